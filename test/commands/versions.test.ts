import { goldenSuite } from './golden-suite.ts';

describe('versions', () => {
  goldenSuite('versions');
});
