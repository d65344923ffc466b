/** What nodes ask partitions that read a moment on behalf of a session (txn/moment-reads.ts): commands that no client can name. */
import { assert } from '../base/assert.ts';
import { KahunaError } from '../base/errors.ts';
import { type DataCommand, defineCommand } from '../commands/define.ts';
import type { View } from '../commands/view.ts';
import { stepMalformed } from '../resp/errors.ts';
import { type Reply, ReplyError } from '../resp/reply.ts';
import { EvaluationView } from './evaluation-view.ts';
import { HistoryReads } from './history-reads.ts';
import { decodeKeysAt, decodePageAt, encodeFound, encodeObjects, type ObjectAt } from './moment-codec.ts';

/** Answers with what keys were at a moment. */
export const keysAtRow = row('%PASTKEYS', decodeKeysAt, (past, { at, keys }) => {
  const found = past.keysAt(keys, at).map((key): ObjectAt => {
    if (key?.value === undefined) return null;
    return { value: key.value, expiresAtMs: key.expiresAtMs, version: key.version };
  });
  return encodeObjects(found);
});

/** Answers with a page of the keys that were there at a moment. */
export const pageAtRow = row('%PASTPAGE', decodePageAt, (past, { at, space, type, count, cursor }) => {
  const request = { space, cursor, count, matches: () => true, ...(type === 0 ? {} : { type }) };
  return encodeFound(past.scanAt(request, at));
});

export const momentRows: readonly DataCommand[] = [keysAtRow, pageAtRow];

function row<T>(
  name: string,
  decode: (payload: Uint8Array) => T,
  run: (past: HistoryReads, request: T) => Reply,
): DataCommand {
  return defineCommand({
    name,
    group: 'kahuna',
    since: '0.2.0',
    summary: 'Reads a moment; internal',
    complexity: 'O(N)',
    flags: ['readonly'],
    args: [{ name: 'payload', type: 'string' }],
    run: (view: View, args): Reply => {
      assert(view instanceof EvaluationView, 'moments are read at the leader of a partition');
      assert(view.past instanceof HistoryReads, 'a leader reads the past from its own data');
      return run(view.past, decoded(decode, args.bytes()));
    },
  });
}

/** What another node of another mind sends must not stop this one. */
function decoded<T>(decode: (payload: Uint8Array) => T, payload: Uint8Array): T {
  try {
    return decode(payload);
  } catch (error) {
    if (error instanceof KahunaError) throw new ReplyError(stepMalformed(error.message));
    throw error;
  }
}
