import { AssertionFailure } from '../base/assert.ts';

/**
 * An invariant does not hold: our own bug, which stops the node. On hot paths this stands behind a plain `if`, because
 * an argument of `assert` is a string that would be put together at every call.
 */
export function violated(message: string): never {
  throw new AssertionFailure(message);
}
