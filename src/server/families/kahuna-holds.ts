/** KAHUNA.HOLD: moments that are kept for as long as a lease is renewed; how, is in cluster/holds.ts. */
import { timestampFromMs } from '../../base/hlc.ts';
import { after, integer, text } from '../../commands/grammar.ts';
import { BAD_HOLD_ID, BAD_MOMENT, badHolder, badLease, fail, futureMoment, SYNTAX_ERROR } from '../../resp/errors.ts';
import { MapReply, type Reply } from '../../resp/reply.ts';
import { parseInt64 } from '../../values/integer.ts';
import { textAt, upperAt } from '../arguments.ts';
import type { Session } from '../session.ts';
import { sessionCommand, sessionContainer } from '../session-command.ts';
import { helpReply } from './help.ts';

const HOLDER_BYTES_MAX = 128;
const LEASE_MIN_MS = 1_000;
const LEASE_MAX_MS = 30 * 24 * 3_600_000;

const acquire = sessionCommand({
  name: 'KAHUNA.HOLD|ACQUIRE',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Keeps what was there at a moment and later readable for as long as the lease is renewed; 0 is the present',
  complexity: 'O(N) where N is the number of partitions: a small write in each',
  flags: ['noscript', 'no_multi'],
  arity: 6,
  args: [text('holder'), integer('timestamp'), after('PX', integer('lease'))],
  isAfterEarlier: true,
  run: async (session, argv): Promise<Reply> => {
    const holder = textAt(argv, 2);
    if (holder.length < 1 || holder.length > HOLDER_BYTES_MAX) return fail(badHolder(HOLDER_BYTES_MAX));
    const at = parseInt64(argv[3] ?? NOTHING);
    if (typeof at !== 'number' || at < 0) return fail(BAD_MOMENT);
    const leaseMs = leaseAt(argv, 4);
    const { cluster } = session.context;
    const deadlineMs = deadlineOf(session);
    const now = at === 0 ? 0 : await cluster.latestTimestamp(deadlineMs);
    if (at > now) return fail(futureMoment(Math.ceil((at - now) / timestampFromMs(1))));
    const hold = await cluster.holds.acquire(holder, { at, leaseMs }, deadlineMs);
    return new MapReply([
      ['id', hold.id],
      ['timestamp', hold.at],
    ]);
  },
});

const renew = sessionCommand({
  name: 'KAHUNA.HOLD|RENEW',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Renews the lease of a hold; returns 1, or 0 if it is gone',
  complexity: 'O(1)',
  flags: ['noscript', 'no_multi'],
  arity: 5,
  args: [integer('id'), after('PX', integer('lease'))],
  run: async (session, argv): Promise<Reply> => {
    const id = idAt(argv);
    const leaseMs = leaseAt(argv, 3);
    return (await session.context.cluster.holds.renew(id, leaseMs, deadlineOf(session))) ? 1 : 0;
  },
});

const release = sessionCommand({
  name: 'KAHUNA.HOLD|RELEASE',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Ends a hold; returns 1, or 0 if it is gone already',
  complexity: 'O(1)',
  flags: ['noscript', 'no_multi'],
  arity: 3,
  args: [integer('id')],
  run: async (session, argv): Promise<Reply> =>
    (await session.context.cluster.holds.release(idAt(argv), deadlineOf(session))) ? 1 : 0,
});

const list = sessionCommand({
  name: 'KAHUNA.HOLD|LIST',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Lists the holds: who holds which moment, and for how long',
  complexity: 'O(N) where N is the number of holds',
  flags: ['noscript', 'no_multi'],
  arity: 2,
  args: [],
  run: async (session): Promise<Reply> => {
    const holds = await session.context.cluster.holds.list(deadlineOf(session));
    return holds.map(
      ({ id, holder, at, ttlMs }) =>
        new MapReply([
          ['id', id],
          ['holder', holder],
          ['timestamp', at],
          ['ttl', ttlMs],
        ]),
    );
  },
});

const floor = sessionCommand({
  name: 'KAHUNA.HOLD|FLOOR',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Returns the oldest timestamp that can be read of all keys',
  complexity: 'O(N) where N is the number of partitions',
  flags: ['noscript', 'no_multi'],
  arity: 2,
  args: [],
  run: (session): Promise<Reply> => session.context.cluster.historyFloor(deadlineOf(session)),
});

const help = sessionCommand({
  name: 'KAHUNA.HOLD|HELP',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Returns helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('KAHUNA.HOLD', [
      'ACQUIRE <holder> <timestamp> PX <lease>',
      '    Keeps what was there at the timestamp and later readable; 0 is the present.',
      'RENEW <id> PX <lease>',
      '    Renews the lease.',
      'RELEASE <id>',
      '    Ends the hold.',
      'LIST',
      '    Lists the holds.',
      'FLOOR',
      '    Returns the oldest timestamp that can be read of all keys.',
    ]),
});

const NOTHING = Buffer.alloc(0);

function leaseAt(argv: readonly Buffer[], at: number): number {
  if (upperAt(argv, at) !== 'PX') return fail(SYNTAX_ERROR);
  const leaseMs = parseInt64(argv[at + 1] ?? NOTHING);
  const isRight = typeof leaseMs === 'number' && leaseMs >= LEASE_MIN_MS && leaseMs <= LEASE_MAX_MS;
  return isRight ? leaseMs : fail(badLease(LEASE_MIN_MS, LEASE_MAX_MS));
}

function idAt(argv: readonly Buffer[]): number {
  const id = parseInt64(argv[2] ?? NOTHING);
  return typeof id === 'number' && id >= 1 ? id : fail(BAD_HOLD_ID);
}

function deadlineOf(session: Session): number {
  return session.nowMs + session.commandTimeoutMs;
}

export const kahunaHoldsCommands = [
  sessionContainer(
    { name: 'KAHUNA.HOLD', group: 'kahuna', since: '0.2.0', summary: 'A container for commands on holds of the past' },
    [acquire, floor, help, list, release, renew],
  ),
] as const;
