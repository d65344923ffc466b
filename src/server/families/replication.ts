/** WAIT and WAITAOF: how many copies of this connection's last write are on disk. Both tell what the cluster knows. */
import { integer } from '../../commands/grammar.ts';
import { MUST_BE_POSITIVE, fail, rangeError } from '../../resp/errors.ts';
import type { Reply } from '../../resp/reply.ts';
import { mustIntegerAt, mustTimeoutAt } from '../arguments.ts';
import { sessionCommand } from '../session-command.ts';
import type { Session } from '../session.ts';

/** A write is acknowledged only when a majority has fsynced it; so these ask for copies beyond that. */
const wait = sessionCommand({
  name: 'WAIT',
  group: 'generic',
  since: '3.0.0',
  summary:
    'Wait for the synchronous replication of all the write commands sent in the context of the current connection',
  complexity: 'O(1)',
  flags: ['noscript'],
  arity: 3,
  categories: ['connection'],
  groupCategory: null,
  args: [integer('numreplicas'), integer('timeout')],
  isAfterEarlier: true,
  run: (session, argv) => {
    const count = mustIntegerAt(argv, 1);
    return waitFor(session, count, mustTimeout(session, argv, 2));
  },
});

const waitAof = sessionCommand({
  name: 'WAITAOF',
  group: 'generic',
  since: '7.2.0',
  summary:
    'Blocks until all of the preceding write commands sent by the connection are written to the append-only file of ' +
    'the master and/or replicas.',
  complexity: 'O(1)',
  flags: ['noscript'],
  arity: 4,
  categories: ['connection'],
  groupCategory: null,
  args: [integer('numlocal'), integer('numreplicas'), integer('timeout')],
  isAfterEarlier: true,
  run: async (session, argv): Promise<Reply> => {
    const local = mustIntegerAt(argv, 1);
    if (local < 0 || local > 1) return fail(rangeError(0, 1));
    const count = mustIntegerAt(argv, 2, MUST_BE_POSITIVE);
    if (count < 0) return fail(MUST_BE_POSITIVE);
    const timeoutMs = mustTimeout(session, argv, 3);
    // The leader's own copy was synced before the write was acknowledged.
    return [1, await waitFor(session, count, timeoutMs)];
  },
});

function mustTimeout(session: Session, argv: readonly Buffer[], index: number): number {
  return mustTimeoutAt(argv, index, session.context.platform.clock.wallMs());
}

function waitFor(session: Session, count: number, timeoutMs: number): Promise<Reply> {
  // Inside EXEC nothing may wait: the count of now (replication.c, CLIENT_DENY_BLOCKING).
  const wanted = session.isInExec ? 0 : count;
  return session.context.cluster.waitForReplicas(session.mark, wanted, timeoutMs);
}

export const replicationCommands = [wait, waitAof] as const;
