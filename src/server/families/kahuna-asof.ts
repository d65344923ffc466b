/** KAHUNA.ASOF: from now on the connection reads a moment; how, is in txn/moment-reads.ts. */
import { timestampFromMs } from '../../base/hlc.ts';
import { integer, oneOf, token } from '../../commands/grammar.ts';
import { BAD_MOMENT, fail, futureMoment, MOMENT_BUSY } from '../../resp/errors.ts';
import { OK, type Reply } from '../../resp/reply.ts';
import { parseInt64 } from '../../values/integer.ts';
import { upperAt } from '../arguments.ts';
import type { Session } from '../session.ts';
import { sessionCommand } from '../session-command.ts';

const asof = sessionCommand({
  name: 'KAHUNA.ASOF',
  group: 'kahuna',
  since: '0.2.0',
  summary:
    'Lets the commands of this connection read a moment of the past, of all keys alike; OFF returns to the present',
  complexity: 'O(1), and one round trip inside the cluster',
  flags: ['noscript', 'no_multi'],
  arity: 2,
  args: [oneOf('moment', integer('timestamp'), token('OFF'))],
  isAfterEarlier: true,
  run: (session, argv): Reply | Promise<Reply> => {
    if (upperAt(argv, 1) !== 'OFF') return choose(session, argv[1] ?? Buffer.alloc(0));
    session.setMoment(0);
    return OK;
  },
});

/** A moment that is not over in any partition is refused: what it will have been is not known. */
async function choose(session: Session, word: Buffer): Promise<Reply> {
  const at = parseInt64(word);
  if (typeof at !== 'number' || at < 1) return fail(BAD_MOMENT);
  if (session.openTransaction !== null || session.watched.length > 0) return fail(MOMENT_BUSY);
  const now = await session.context.cluster.latestTimestamp(session.nowMs + session.commandTimeoutMs);
  if (at > now) return fail(futureMoment(Math.ceil((at - now) / timestampFromMs(1))));
  session.setMoment(at);
  return OK;
}

export const kahunaAsofCommands = [asof] as const;
