/** What a step is answered with. */
import { assert } from '../base/assert.ts';
import type { Reply } from '../resp/reply.ts';

/** Steps that answer with more than a number answer with bytes. */
export function bytesOf(reply: Reply): Uint8Array {
  if (typeof reply === 'string') return Buffer.from(reply, 'latin1');
  assert(reply instanceof Uint8Array, 'a step is answered with bytes');
  return reply;
}
