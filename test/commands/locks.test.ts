import { goldenSuite } from './golden-suite.ts';

describe('locks commands', () => {
  goldenSuite('locks');
});
