/** The replies of the generic commands, as a real Redis gives them: see golden/generic.txt and compat/oracle/golden.ts. */
import { goldenSuite } from './golden-suite.ts';

describe('generic commands answer as Redis', () => {
  goldenSuite('generic');
});
