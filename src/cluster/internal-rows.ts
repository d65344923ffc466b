/** Commands that nodes send each other and no client can name. */
import { timestampFromMs } from '../base/hlc.ts';
import { type DataCommand, defineCommand } from '../commands/define.ts';
import type { KeyspaceCounts } from '../partition/keyspace-stats.ts';
import { ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';
import { scriptRows } from './script-catalog.ts';

/** Answers with what a partition holds of the session's database; `keyspaceOf` reads it. */
export const keyspaceRow: DataCommand = defineCommand({
  name: '%KEYSPACE',
  group: 'generic',
  since: '0.1.0',
  summary: 'Keys of a database in one partition; internal',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [],
  arity: -1,
  run: (view, args): Reply => {
    const { count, averageTtlMs } = view.expiring(args.database);
    return [view.keyCount(args.database), count, averageTtlMs];
  },
});

/** Throws ReplyError if the partition answered with an error. */
export function keyspaceOf(reply: Reply): KeyspaceCounts {
  if (reply instanceof ErrorReply) throw new ReplyError(reply);
  const [keys = 0, expiring = 0, averageTtlMs = 0] = Array.isArray(reply) ? reply.map(Number) : [];
  return { keys, expiring, averageTtlMs };
}

/** Of two partitions as one; each key that expires weighs the same. */
export function joinKeyspaces(a: KeyspaceCounts, b: KeyspaceCounts): KeyspaceCounts {
  const expiring = a.expiring + b.expiring;
  const ttls = a.averageTtlMs * a.expiring + b.averageTtlMs * b.expiring;
  return { keys: a.keys + b.keys, expiring, averageTtlMs: expiring === 0 ? 0 : Math.round(ttls / expiring) };
}

/** Answers with a timestamp after everything that the partition has acknowledged. */
export const timestampRow: DataCommand = defineCommand({
  name: '%TIMESTAMP',
  group: 'kahuna',
  since: '0.1.0',
  summary: 'Timestamp of one partition; internal',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [],
  arity: -1,
  run: (view): Reply => Math.max(view.timestamp, timestampFromMs(view.nowMs)),
});

export const internalRows: readonly DataCommand[] = [keyspaceRow, timestampRow, ...Object.values(scriptRows)];
