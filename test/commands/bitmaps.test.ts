/** The replies of the bitmaps commands, as a real Redis gives them: see golden/bitmaps.txt and compat/oracle/golden.ts. */
import { goldenSuite } from './golden-suite.ts';

describe('bitmaps commands answer as Redis', () => {
  goldenSuite('bitmaps');
});
