import { goldenSuite } from './golden-suite.ts';

describe('conditions commands', () => {
  goldenSuite('conditions');
});
