/** The replies of the expiry commands, as a real Redis gives them: see golden/expiry.txt and compat/oracle/golden.ts. */
import { goldenSuite } from './golden-suite.ts';

describe('expiry commands answer as Redis', () => {
  goldenSuite('expiry');
});
