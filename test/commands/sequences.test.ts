import { goldenSuite } from './golden-suite.ts';

describe('sequences commands', () => {
  goldenSuite('sequences');
});
