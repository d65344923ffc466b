/** The replies of the strings commands, as a real Redis gives them: see golden/strings.txt and compat/oracle/golden.ts. */
import { goldenSuite } from './golden-suite.ts';

describe('strings commands answer as Redis', () => {
  goldenSuite('strings');
});
