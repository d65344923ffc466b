/**
 * MULTI, EXEC, DISCARD, WATCH at the entry node.
 *
 * Commands are queued here, and only the finished transaction travels: one `Work` with all data commands and all watched
 * keys, atomic at the leader. Session commands (SELECT, PING, CLIENT …) never leave this node; inside EXEC they run when
 * the data part has been answered, in their places, so that what they change and show is what a client would see in
 * Redis. If there are any, the session's later commands wait for EXEC; otherwise EXEC is pipelined like any command.
 *
 * WATCH remembers each key's version, which it reads like any command; EXEC hands them over with the calls, and whoever
 * evaluates the transaction compares them under the same locks. So nothing is registered anywhere for a watched key.
 */
import type { Call, WatchedKey } from '../cluster/api.ts';
import { slotOfKey } from '../base/slots.ts';
import { assert, mustExist } from '../base/assert.ts';
import {
  EXEC_ABORT,
  EXEC_WITHOUT_MULTI,
  DISCARD_WITHOUT_MULTI,
  MULTI_NESTED,
  WATCH_INSIDE_MULTI,
  fail,
  genericError,
} from '../resp/errors.ts';
import { encodeReply } from '../resp/encode.ts';
import { EncodedReply, ErrorReply, NULL_ARRAY, OK } from '../resp/reply.ts';
import type { Reply } from '../resp/reply.ts';
import { selectedDatabase } from './arguments.ts';
import { ENTRY } from './command-table.ts';
import type { CommandEntry } from './command-table.ts';
import { MULTI_BYTES_MAX, MULTI_COMMANDS_MAX, WATCHED_KEYS_MAX } from './limits.ts';
import { TransactionWork } from './pending.ts';
import type { TransactionCalls } from './pending.ts';
import { ensureScript, isScriptKnown, scriptRefusal } from './script-bodies.ts';
import { ANSWERED_LATER } from './session-command.ts';
import type { SessionReply } from './session-command.ts';
import type { Session } from './session.ts';

interface QueuedCommand {
  readonly entry: CommandEntry;
  readonly argv: readonly Buffer[];
}

/** What is queued between MULTI and EXEC. */
export class Transaction {
  /** Emptied once the transaction can only fail. */
  queued: QueuedCommand[] = [];
  #bytes = 0;
  #isAborted = false;
  #mayWrite = false;

  /** An error at queueing time: EXEC will refuse. */
  get isAborted(): boolean {
    return this.#isAborted;
  }

  get mayWrite(): boolean {
    return this.#mayWrite;
  }

  get bytes(): number {
    return this.#bytes;
  }

  abort(): void {
    this.#isAborted = true;
    this.queued = [];
    this.#bytes = 0;
  }

  /** Takes the command, or returns the error that refuses it. */
  queue(entry: CommandEntry, argv: readonly Buffer[], bytes: number): ErrorReply | null {
    if (this.#isAborted) return null;
    if (this.queued.length >= MULTI_COMMANDS_MAX || this.#bytes + bytes > MULTI_BYTES_MAX) {
      this.abort();
      return genericError(
        `transaction too large (at most ${MULTI_COMMANDS_MAX} commands and ${MULTI_BYTES_MAX} bytes)`,
      );
    }
    this.queued.push({ entry, argv });
    this.#bytes += bytes;
    if (entry.mayWrite) this.#mayWrite = true;
    return null;
  }
}

export function beginTransaction(session: Session): Reply {
  if (session.transaction !== null) return fail(MULTI_NESTED);
  session.setTransaction(new Transaction());
  return OK;
}

export function discardTransaction(session: Session): Reply {
  if (session.transaction === null) return fail(DISCARD_WITHOUT_MULTI);
  session.setTransaction(null);
  session.watched = [];
  return OK;
}

export function execTransaction(session: Session, argv: readonly Buffer[]): SessionReply | Promise<Reply> {
  const { transaction, watched } = session;
  if (transaction === null) return fail(EXEC_WITHOUT_MULTI);
  session.setTransaction(null);
  session.watched = [];
  if (transaction.isAborted) return fail(EXEC_ABORT);
  const { queued } = transaction;
  const calls = callsOf(session, queued);
  if (calls.length < queued.length || !areScriptsKnown(session, queued)) {
    return execInSteps(session, queued, { calls, watched });
  }
  if (calls.length === 0 && watched.length === 0) return [];
  const { context } = session;
  if (context.monitors.count > 0) {
    for (const command of queued) context.dispatcher.feedMonitors(session, command.entry, command.argv);
  }
  const entry = mustExist(session.lastEntry, 'EXEC is the command being run');
  const work = new TransactionWork(session, entry, argv, {
    calls,
    watched,
    entries: queued.map((command) => command.entry),
  });
  session.appendWork(work);
  context.cluster.submit(work);
  return ANSWERED_LATER;
}

/** The data commands, each with the database that a SELECT before it chose. */
function callsOf(session: Session, queued: readonly QueuedCommand[]): Call[] {
  const calls: Call[] = [];
  let { database } = session;
  for (const { entry, argv } of queued) {
    if (entry.data !== null) calls.push({ command: entry.data, argv, database });
    else if (entry.fullName === 'select') database = selectedDatabase(argv) ?? database;
  }
  return calls;
}

function areScriptsKnown(session: Session, queued: readonly QueuedCommand[]): boolean {
  return queued.every(({ entry, argv }) => !isScript(entry) || isScriptKnown(session.context, entry, argv));
}

function isScript(entry: CommandEntry): boolean {
  return (entry.bits & (ENTRY.scriptBody | ENTRY.scriptDigest)) !== 0;
}

/** The rare EXEC: bodies of scripts are fetched first, session commands run last. */
async function execInSteps(
  session: Session,
  queued: readonly QueuedCommand[],
  transaction: TransactionCalls,
): Promise<Reply> {
  const { context } = session;
  const { dispatcher } = context;
  // HELLO in between: each reply is in the protocol of its place, and RESP3 keeps the types that both need.
  const isMixed = queued.some(({ entry }) => entry.fullName === 'hello');
  for (const { entry, argv } of queued) {
    if (!isScript(entry) || isScriptKnown(context, entry, argv)) continue;
    // A script that is refused or that nobody knows is an error in its place, which its leader finds; a failing
    // catalogue refuses EXEC.
    if (scriptRefusal(context, entry, argv) === null) await ensureScript(context, entry, argv);
  }
  let answers: readonly Reply[] = [];
  if (transaction.calls.length > 0 || transaction.watched.length > 0) {
    if (session.isClosed) return null;
    const outcome = await session.submitAside(transaction, isMixed ? 3 : session.protocol);
    if (outcome === null) return NULL_ARRAY;
    if (!Array.isArray(outcome)) return outcome;
    answers = outcome;
  }
  assert(answers.length === transaction.calls.length, 'a transaction answers each of its commands');
  const replies: Reply[] = [];
  const add = (reply: Reply): void => {
    replies.push(isMixed ? new EncodedReply(encodeReply(reply, session.protocol)) : reply);
  };
  let answered = 0;
  session.isInExec = true;
  try {
    for (const { entry, argv } of queued) {
      if (entry.data === null) {
        add(await dispatcher.runInExec(session, entry, argv));
      } else {
        const reply = answers[answered++] ?? null;
        dispatcher.feedMonitors(session, entry, argv);
        dispatcher.recordInExec(entry, reply);
        add(reply);
      }
    }
  } finally {
    session.isInExec = false;
  }
  return replies;
}

export function unwatch(session: Session): Reply {
  session.watched = [];
  return OK;
}

/** Reads the versions where the keys live: one piece of work a partition. */
export async function watch(session: Session, argv: readonly Buffer[]): Promise<Reply> {
  if (session.transaction !== null) return fail(WATCH_INSIDE_MULTI);
  const { database } = session;
  const keys = argv.slice(1).filter((key) => !isWatched(session.watched, database, key));
  if (session.watched.length + keys.length > WATCHED_KEYS_MAX) {
    return fail(genericError(`too many watched keys (at most ${WATCHED_KEYS_MAX})`));
  }
  const command = mustExist(session.context.watchVersions, 'no command row reads the versions of keys');
  const answers = await Promise.all(
    keysByPartition(session, keys).map(async (group) => {
      const reply = await session.submitAside({ command, argv: [WATCH_NAME, ...group], database });
      return { group, reply };
    }),
  );
  const watched: WatchedKey[] = [];
  for (const { group, reply } of answers) {
    if (reply instanceof ErrorReply) return reply;
    assert(Array.isArray(reply) && reply.length === group.length, 'each watched key has a version');
    group.forEach((key, i) => {
      const version: unknown = reply[i];
      assert(typeof version === 'number', 'a version is a number');
      watched.push({ database, key: Buffer.from(key), version });
    });
  }
  session.watched = [...session.watched, ...watched];
  return OK;
}

const WATCH_NAME = Buffer.from('WATCH');

function keysByPartition(session: Session, keys: readonly Buffer[]): Buffer[][] {
  const { cluster } = session.context;
  const groups = new Map<number, Buffer[]>();
  for (const key of keys) {
    const partition = cluster.partitionOfSlot(slotOfKey(key.toString('latin1'))).id;
    const group = groups.get(partition);
    if (group === undefined) groups.set(partition, [key]);
    else group.push(key);
  }
  return [...groups.values()];
}

function isWatched(watched: readonly WatchedKey[], database: number, key: Buffer): boolean {
  return watched.some((known) => known.database === database && known.key.equals(key));
}
