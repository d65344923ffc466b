/**
 * What a session has asked for and not yet answered: a queue of slots, one a reply, in request order. (Hot path: one
 * object a command. A slot is at once the queue's link, the `Work` and its `Call`, so that a data command costs a single
 * allocation between the parser and the cluster. Bench: test/server/dispatch-cost.)
 *
 * A slot is filled once, in any order; replies leave from the head only.
 */
import { assert, mustExist } from '../base/assert.ts';
import type { Timestamp } from '../base/ids.ts';
import type { Call, WatchedKey, Work, WriteMark } from '../cluster/api.ts';
import type { DataCommand } from '../commands/define.ts';
import { decodeReplies } from '../resp/decode.ts';
import { EncodedReply, NULL_ARRAY } from '../resp/reply.ts';
import type { Protocol, Reply } from '../resp/reply.ts';
import type { CommandEntry } from './command-table.ts';
import type { Session } from './session.ts';

/** One reply to come. Only its session changes it. */
export class Slot {
  readonly session: Session;
  /** Of the session when the command was dispatched: HELLO in a pipeline changes only what follows it. */
  readonly protocol: Protocol;
  /** CLIENT REPLY OFF or SKIP was in force: the reply is dropped. */
  readonly isSilent: boolean;
  next: Slot | null = null;
  isDone = false;
  /** Meaningful once isDone. */
  reply: Reply = null;

  constructor(session: Session) {
    this.session = session;
    this.protocol = session.protocol;
    this.isSilent = session.isSilent;
  }
}

/** A command whose reply comes from the cluster. */
export abstract class ClusterSlot extends Slot implements Work {
  readonly entry: CommandEntry;
  /** The whole request; argv[0] is the name as the client wrote it. */
  readonly argv: readonly Buffer[];
  /** Monotonic ms of dispatch. */
  readonly startedMs: number;
  readonly deadlineMs: number;
  /** Size of the request on the wire; counts against PENDING_BYTES_MAX. */
  readonly bytes: number;
  /** The session's later commands wait for this one. */
  readonly isBarrier: boolean;
  readonly isNoTouch: boolean;
  readonly asOf: Timestamp;

  constructor(session: Session, entry: CommandEntry, argv: readonly Buffer[], waitMs: number) {
    super(session);
    this.entry = entry;
    this.argv = argv;
    this.startedMs = session.nowMs;
    this.deadlineMs = session.nowMs + session.commandTimeoutMs + waitMs;
    this.bytes = session.requestBytes;
    this.isBarrier = waitMs > 0;
    this.isNoTouch = session.isNoTouch;
    this.asOf = session.asOf;
  }

  abstract get call(): Call | null;
  abstract get transaction(): TransactionCalls | null;

  /** Which write WAIT refers to: the cluster notes the session's acknowledged writes in it. */
  get mark(): WriteMark {
    return this.session.mark;
  }

  complete(reply: Reply): void {
    this.session.completed(this, reply);
  }
}

export interface TransactionCalls {
  readonly calls: readonly Call[];
  readonly watched: readonly WatchedKey[];
}

/** One data command, evaluated at a leader. */
export class CommandWork extends ClusterSlot implements Call {
  readonly command: DataCommand;
  readonly database: number;

  /** `waitMs` is how long the command itself may wait (blocking commands), 0 for all others; Infinity is legal. */
  constructor(session: Session, entry: CommandEntry, command: DataCommand, argv: readonly Buffer[], waitMs: number) {
    super(session, entry, argv, waitMs);
    this.command = command;
    this.database = session.database;
  }

  get call(): Call {
    return this;
  }

  get transaction(): null {
    return null;
  }
}

/** A MULTI/EXEC of data commands only. */
export class TransactionWork extends ClusterSlot {
  readonly transaction: TransactionCalls;
  /** Of the calls, in order. */
  readonly #entries: readonly CommandEntry[];

  constructor(
    session: Session,
    entry: CommandEntry,
    argv: readonly Buffer[],
    what: TransactionCalls & { readonly entries: readonly CommandEntry[] },
  ) {
    super(session, entry, argv, 0);
    this.transaction = { calls: what.calls, watched: what.watched };
    this.#entries = what.entries;
  }

  get call(): null {
    return null;
  }

  override complete(reply: Reply): void {
    const { dispatcher } = this.session.context;
    if (Array.isArray(reply)) dispatcher.recordAllInExec(this.#entries, reply);
    else if (reply instanceof EncodedReply && reply.bytes[0] === ARRAY) dispatcher.recordAllInExec(this.#entries, []);
    // A watched key moved: Redis answers a null array.
    this.session.completed(this, isNull(reply) ? NULL_ARRAY : reply);
  }
}

const ARRAY = 0x2a;
/** `_` of RESP3; the null bulk string of RESP2 is the only reply of five bytes that begins with `$-`. */
const RESP3_NULL = 0x5f;

function isNull(reply: Reply): boolean {
  if (!(reply instanceof EncodedReply)) return reply === null;
  const { bytes } = reply;
  return bytes[0] === RESP3_NULL || (bytes[0] === 0x24 && bytes[1] === 0x2d);
}

/** Work on behalf of a session command (WATCH, EXEC with session commands in it): its reply goes to the command. */
export class SideWork implements Work {
  readonly call: Call | null;
  readonly transaction: TransactionCalls | null;
  readonly protocol: Protocol;
  readonly deadlineMs: number;
  readonly mark: WriteMark;
  readonly isNoTouch: boolean;
  readonly asOf: Timestamp;
  #done: ((reply: Reply) => void) | null;

  constructor(
    session: Session,
    { what, protocol }: { readonly what: Call | TransactionCalls; readonly protocol: Protocol },
    done: (reply: Reply) => void,
  ) {
    this.call = 'calls' in what ? null : what;
    this.transaction = 'calls' in what ? what : null;
    this.protocol = protocol;
    this.deadlineMs = session.context.platform.clock.monotonicMs() + session.commandTimeoutMs;
    this.mark = session.mark;
    this.isNoTouch = session.isNoTouch;
    this.asOf = session.asOf;
    this.#done = done;
  }

  complete(reply: Reply): void {
    const done = mustExist(this.#done, 'a work was completed twice');
    this.#done = null;
    // A leader elsewhere has encoded it already.
    done(reply instanceof EncodedReply ? decodeOne(reply) : reply);
  }
}

function decodeOne(reply: EncodedReply): Reply {
  const [decoded] = decodeReplies(reply.bytes);
  assert(decoded !== undefined, 'an encoded reply is one reply');
  return decoded;
}
