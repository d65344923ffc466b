/** KAHUNA.TX: transactions that a client conducts command by command; what they do is in txn/interactive.ts. */
import { timestampFromMs } from '../../base/hlc.ts';
import type { OpenTransaction } from '../../cluster/api.ts';
import { after, integer, oneOf, optional, token } from '../../commands/grammar.ts';
import {
  ASOF_NEEDS_READONLY,
  BAD_MOMENT,
  badTransactionTimeout,
  fail,
  futureMoment,
  MOMENT_BUSY,
  NO_TRANSACTION,
  SYNTAX_ERROR,
  TRANSACTION_OPEN,
  TRANSACTION_UNWATCHED,
} from '../../resp/errors.ts';
import { MapReply, OK, type Reply } from '../../resp/reply.ts';
import { parseInt64 } from '../../values/integer.ts';
import { upperAt } from '../arguments.ts';
import { TRANSACTION_TIMEOUT_DEFAULT_MS, TRANSACTION_TIMEOUT_MAX_MS } from '../limits.ts';
import type { Session } from '../session.ts';
import { sessionCommand, sessionContainer } from '../session-command.ts';
import { helpReply } from './help.ts';

const begin = sessionCommand({
  name: 'KAHUNA.TX|BEGIN',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Begins a transaction: the commands of this connection run inside it until COMMIT or ROLLBACK',
  complexity: 'O(1)',
  flags: ['noscript', 'no_multi'],
  arity: -2,
  args: [
    optional(oneOf('mode', token('OPTIMISTIC'), token('PESSIMISTIC'))),
    optional(oneOf('isolation', token('SERIALIZABLE'), token('SNAPSHOT'))),
    optional(after('TIMEOUT', integer('milliseconds'))),
    optional(token('READONLY')),
    optional(after('ASOF', integer('timestamp'))),
  ],
  isAfterEarlier: true,
  run: (session, argv): Reply | Promise<Reply> => {
    if (session.openTransaction !== null) return fail(TRANSACTION_OPEN);
    if (session.watched.length > 0) return fail(TRANSACTION_UNWATCHED);
    if (session.asOf !== 0) return fail(MOMENT_BUSY);
    const options = readOptions(argv);
    return options.isolation === 'snapshot' ? openAtMoment(session, options) : open(session, options);
  },
});

const commit = sessionCommand({
  name: 'KAHUNA.TX|COMMIT',
  group: 'kahuna',
  since: '0.2.0',
  summary:
    'Applies the transaction, all of it at one moment, and answers with its commit timestamp; or CONFLICT, and nothing of it',
  complexity: 'O(N) where N is the number of keys, and two round trips inside the cluster',
  flags: ['noscript', 'no_multi'],
  arity: 2,
  args: [],
  run: (session) => {
    const transaction = mustBeOpen(session);
    return transaction.commit().then((reply) => {
      session.setOpenTransaction(null);
      return reply;
    });
  },
});

const rollback = sessionCommand({
  name: 'KAHUNA.TX|ROLLBACK',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Ends the transaction; nothing of it is applied',
  complexity: 'O(1)',
  flags: ['noscript', 'no_multi'],
  arity: 2,
  args: [],
  run: (session) => {
    mustBeOpen(session).rollback();
    session.setOpenTransaction(null);
    return OK;
  },
});

const status = sessionCommand({
  name: 'KAHUNA.TX|STATUS',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Shows the transaction of this connection',
  complexity: 'O(N) where N is the number of keys',
  flags: ['noscript', 'no_multi'],
  arity: 2,
  args: [],
  run: (session): Reply => {
    const now = mustBeOpen(session).status();
    return new MapReply([
      ['id', now.name],
      ['state', now.state],
      ['mode', now.mode],
      ['isolation', now.isolation],
      ['moment', now.moment === 0 ? null : now.moment],
      ['readonly', now.isReadOnly ? 1 : 0],
      ['timeout', now.timeoutMs],
      ['ttl', now.leftMs],
      ['reads', now.reads],
      ['writes', now.writes],
    ]);
  },
});

const help = sessionCommand({
  name: 'KAHUNA.TX|HELP',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Returns helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['noscript', 'no_multi', 'loading', 'stale'],
  arity: 2,
  args: [],
  run: () =>
    helpReply('KAHUNA.TX', [
      'BEGIN [OPTIMISTIC|PESSIMISTIC] [SERIALIZABLE|SNAPSHOT] [TIMEOUT <ms>] [READONLY] [ASOF <timestamp>]',
      '    Begins a transaction. Ordinary commands run inside it and answer at once.',
      'COMMIT',
      '    Applies it at one moment and answers with the commit timestamp, or CONFLICT.',
      'ROLLBACK',
      '    Ends it; nothing is applied.',
      'STATUS',
      '    Shows the transaction of this connection.',
    ]),
});

function open(session: Session, options: Options): Reply {
  const transaction = session.context.cluster.beginTransaction(options, session.mark);
  session.setOpenTransaction(transaction);
  return transaction.name;
}

/** The present moment, or that of ASOF, which must be over. */
async function openAtMoment(session: Session, options: Options): Promise<Reply> {
  const now = await session.context.cluster.timestamp(session.nowMs + session.commandTimeoutMs);
  if (options.moment > now) return fail(futureMoment(Math.ceil((options.moment - now) / timestampFromMs(1))));
  if (session.isClosed) return null;
  return open(session, options.moment === 0 ? { ...options, moment: now } : options);
}

function mustBeOpen(session: Session): OpenTransaction {
  return session.openTransaction ?? fail(NO_TRANSACTION);
}

type Options = Parameters<Session['context']['cluster']['beginTransaction']>[0];

/** Words in any order, each at most once. */
function readOptions(argv: readonly Buffer[]): Options {
  const words = new Set<string>();
  let timeoutMs = TRANSACTION_TIMEOUT_DEFAULT_MS;
  let moment = 0;
  for (let i = 2; i < argv.length; i++) {
    const word = upperAt(argv, i);
    const kind = KINDS[word] ?? fail(SYNTAX_ERROR);
    if (words.has(kind)) fail(SYNTAX_ERROR);
    words.add(kind).add(word);
    if (word !== 'TIMEOUT' && word !== 'ASOF') continue;
    i++;
    const argument = argv[i] ?? fail(SYNTAX_ERROR);
    if (word === 'TIMEOUT') timeoutMs = readTimeout(argument);
    else moment = readMoment(argument);
  }
  const mode = words.has('PESSIMISTIC') ? 'pessimistic' : 'optimistic';
  if (moment !== 0 && !words.has('READONLY')) fail(ASOF_NEEDS_READONLY);
  if (moment !== 0 && words.has('SERIALIZABLE')) fail(SYNTAX_ERROR);
  const isolation = moment !== 0 || words.has('SNAPSHOT') ? 'snapshot' : 'serializable';
  return { mode, isolation, moment, isReadOnly: words.has('READONLY'), timeoutMs };
}

function readMoment(bytes: Buffer): number {
  const at = parseInt64(bytes);
  return typeof at === 'number' && at >= 1 ? at : fail(BAD_MOMENT);
}

/** What each word decides. */
const KINDS: Readonly<Record<string, string>> = {
  OPTIMISTIC: 'mode',
  PESSIMISTIC: 'mode',
  SERIALIZABLE: 'isolation',
  SNAPSHOT: 'isolation',
  ASOF: 'moment',
  TIMEOUT: 'time',
  READONLY: 'access',
};

function readTimeout(bytes: Buffer): number {
  const ms = parseInt64(bytes);
  if (typeof ms === 'number' && ms >= 1 && ms <= TRANSACTION_TIMEOUT_MAX_MS) return ms;
  return fail(badTransactionTimeout(TRANSACTION_TIMEOUT_MAX_MS));
}

export const kahunaTxCommands = [
  sessionContainer(
    { name: 'KAHUNA.TX', group: 'kahuna', since: '0.2.0', summary: 'A container for interactive transactions' },
    [begin, commit, rollback, status, help],
  ),
] as const;
