/**
 * One client: bytes in, requests to the dispatcher, replies out in request order. (Hot path: everything here down to
 * `completed` runs once a command and allocates nothing. Bench: test/server/dispatch-cost.)
 *
 * Replies. A reply that is ready while nothing is pending goes straight into the output buffer. Otherwise it waits in
 * its slot (pending.ts) until every earlier slot is done. Output leaves once per turn of the event loop (turn.ts).
 *
 * Waiting. A session stops dispatching for one or more reasons at once, the bits of STALL; the reader then keeps what
 * it has, and the socket is read ahead up to HELD_BYTES_MAX, so that the end of a waiting client is noticed and a
 * client that writes its whole pipeline before it reads is served. When the last bit is cleared the session goes on at
 * the end of the turn, never from within a completion: the cluster is not re-entered while it completes work.
 *
 * Ending. `isClosed` is the end: nothing is sent or dispatched any more, pending work was cancelled, and completions
 * fall into the void. `#isEnding` comes before it: no more requests, but the replies owed still leave.
 */
import { assert } from '../base/assert.ts';
import type { Timestamp } from '../base/ids.ts';
import type { Connection, ConnectionHandler, TimerHandle } from '../base/platform.ts';
import { type Call, type OpenTransaction, type WatchedKey, type Work, WriteMark } from '../cluster/api.ts';
import type { ReplyBuffer } from '../resp/encode.ts';
import { decodeReplies } from '../resp/decode.ts';
import { EncodedReply, ErrorReply } from '../resp/reply.ts';
import type { Protocol, PushReply, Reply } from '../resp/reply.ts';
import { ProtocolError, RequestReader } from '../resp/requests.ts';
import type { CommandEntry } from './command-table.ts';
import type { ServerContext } from './context.ts';
import {
  EARLY_FLUSH_BYTES,
  HELD_BYTES_MAX,
  LINGER_MS,
  OUTPUT_STALL_BYTES,
  OUTPUT_UNAUTHENTICATED_BYTES,
  PENDING_BYTES_MAX,
  PENDING_COMMANDS_MAX,
} from './limits.ts';
import type { Transaction } from './multi.ts';
import { OutputGuard } from './output-guard.ts';
import { ClusterSlot, SideWork, Slot } from './pending.ts';
import type { TransactionCalls } from './pending.ts';

/** Why a session does not dispatch. */
export const STALL = {
  /** A command that the later ones must wait for: blocking, or a session command that has not settled. */
  barrier: 1,
  /** Too many commands, or bytes of them, are pending. */
  pending: 2,
  /** The client does not take its replies. */
  output: 4,
  /** CLIENT PAUSE. */
  paused: 8,
  /** A command that is about the answers to all earlier ones: WAIT. */
  earlier: 16,
} as const;

/** What makes a session's commands leave the straight path of the dispatcher; shares the number with SERVER_GATE. */
export const GATE = { unauthenticated: 1, multi: 2, reply: 4, ending: 8, open: 16, moment: 32 } as const;

export class Session implements ConnectionHandler {
  readonly id: number;
  readonly context: ServerContext;
  readonly connection: Connection;
  readonly connectedAtMs: number;

  // State that commands read and change.
  protocol: Protocol = 2;
  database = 0;
  name = '';
  libraryName = '';
  libraryVersion = '';
  transaction: Transaction | null = null;
  watched: WatchedKey[] = [];
  /** KAHUNA.TX: data commands run inside it. */
  openTransaction: OpenTransaction | null = null;
  /** The last write of the session that was acknowledged; the cluster keeps it. */
  readonly mark = new WriteMark();
  isMonitor = false;
  isNoEvict = false;
  isNoTouch = false;
  /** The moment that its commands read (KAHUNA.ASOF); 0 = the present. */
  asOf: Timestamp = 0;
  isReadOnly = false;
  /** EXEC is running its session commands: they must not wait. */
  isInExec = false;
  /** CLIENT REPLY: 'skip' holds for the next command, 'skipping' while that one is handled. */
  replyMode: 'on' | 'off' | 'skip' | 'skipping' = 'on';
  /** The command being dispatched gets no reply. */
  isSilent = false;

  /** Bits of GATE; 0 for a plain, authenticated client. */
  gate = 0;
  /** Monotonic ms when the bytes being handled arrived, or the session went on. */
  nowMs: number;
  /** Monotonic ms of the last bytes received. */
  lastActiveMs: number;
  lastEntry: CommandEntry | null = null;
  commandCount = 0;
  isMarked = false;

  readonly #reader: RequestReader;
  readonly #outputGuard = new OutputGuard();
  readonly #onRequest: (argv: readonly Buffer[]) => boolean;
  #output: ReplyBuffer | null = null;
  #head: Slot | null = null;
  #tail: Slot | null = null;
  #pendingCount = 0;
  #pendingBytes = 0;
  /** Of bulk replies that are done and wait for an earlier one. */
  #waitingReplyBytes = 0;
  #stall = 0;
  #isFeeding = false;
  #isReadPaused = false;
  #parked: readonly Buffer[] | null = null;
  /** The client sends nothing more. */
  #isPeerDone = false;
  #isEnding = false;
  #isClosed = false;
  readonly #sideWorks = new Set<Work>();
  /** Ends a connection whose client does not take the last replies. */
  #linger: TimerHandle | null = null;

  constructor(context: ServerContext, connection: Connection, id: number) {
    this.id = id;
    this.context = context;
    this.connection = connection;
    this.nowMs = context.platform.clock.monotonicMs();
    this.connectedAtMs = this.nowMs;
    this.lastActiveMs = this.nowMs;
    const isOpen = !context.credentials.isRequired;
    if (!isOpen) this.gate = GATE.unauthenticated;
    this.#reader = new RequestReader(context.live, isOpen);
    this.#onRequest = (argv) => {
      context.dispatcher.dispatch(this, argv);
      return this.#stall === 0 && !this.#isEnding;
    };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isAuthenticated(): boolean {
    return (this.gate & GATE.unauthenticated) === 0;
  }

  get commandTimeoutMs(): number {
    return this.context.live.commandTimeoutMs;
  }

  /** Bytes on the wire of the request being dispatched. */
  get requestBytes(): number {
    return this.#reader.requestBytes;
  }

  /** Unhandled input. */
  get inputBytes(): number {
    return this.#reader.bufferedBytes;
  }

  /** Output that the client has not taken. */
  get outputBytes(): number {
    return this.connection.bufferedBytes + (this.#output?.byteLength ?? 0) + this.#waitingReplyBytes;
  }

  get pendingCount(): number {
    return this.#pendingCount;
  }

  get hasUnanswered(): boolean {
    return this.#head !== null;
  }

  /** The blocking command that the session waits for, if any. */
  get blockedWork(): ClusterSlot | null {
    const head = this.#tail;
    return head instanceof ClusterSlot && head.isBarrier && !head.isDone ? head : null;
  }

  /** Nothing is pending, waiting or blocked: an idle client may be closed. */
  get isQuiet(): boolean {
    return this.#head === null && this.#stall === 0;
  }

  // -------------------------------------------------------------------------------------------------------------
  // From the connection

  onData(chunk: Buffer): void {
    if (this.#isClosed || this.#isEnding) return;
    const { context } = this;
    context.stats.inputBytes += chunk.length;
    this.nowMs = context.platform.clock.monotonicMs();
    this.lastActiveMs = this.nowMs;
    // Requests outlive this call, the chunk does not. What the reader must keep anyway, it copies itself.
    const isKept = this.#reader.isPaused || this.#reader.bufferedBytes > 0;
    this.#feed(isKept ? chunk : Buffer.from(chunk));
  }

  onDrain(): void {
    this.#outputGuard.drained();
    this.unstall(STALL.output);
  }

  /** `printf 'SET a b' | nc` half-closes: what was asked is answered, but nobody is left to wait for. */
  onEnd(): void {
    this.#isPeerDone = true;
    this.context.turn.mark(this);
  }

  onClose(error?: Error): void {
    this.#linger?.cancel();
    this.context.clients.gone(this);
    if (this.#isClosed) return;
    if (error !== undefined)
      this.context.log.debug('a client connection failed', { client: this.id, error: error.message });
    this.#release();
  }

  // -------------------------------------------------------------------------------------------------------------
  // From the dispatcher and from session commands

  /** Answers the command that is being dispatched, now. */
  answer(reply: Reply): void {
    if (this.#isClosed) return;
    if (this.#head !== null) {
      const slot = new Slot(this);
      this.append(slot);
      this.settle(slot, reply);
    } else if (!this.isSilent) {
      this.#buffer().write(reply, this.protocol);
      this.context.turn.mark(this);
    }
  }

  /** Reserves the place of a reply that comes later, by `settle` or from the cluster. */
  append(slot: Slot): void {
    if (this.#tail === null) this.#head = slot;
    else this.#tail.next = slot;
    this.#tail = slot;
  }

  /** Reserves the place of a data command's reply and counts the command against the bounds. */
  appendWork(slot: ClusterSlot): void {
    this.append(slot);
    this.#pendingBytes += slot.bytes;
    if (++this.#pendingCount >= PENDING_COMMANDS_MAX || this.#pendingBytes >= PENDING_BYTES_MAX) {
      this.#stall |= STALL.pending;
    }
    if (slot.isBarrier) this.#stall |= STALL.barrier;
  }

  /** Fills a slot of this session and sends what is in order. Exactly once a slot. */
  settle(slot: Slot, reply: Reply): void {
    assert(!slot.isDone, 'a reply slot was filled twice');
    slot.isDone = true;
    slot.reply = reply;
    if (this.#isClosed) return;
    if (slot === this.#head) this.#drain();
    else this.#countWaiting(slot);
  }

  /** As `settle`, for a session command whose answer the session's later commands waited for. */
  settleBarrier(slot: Slot, reply: Reply): void {
    this.unstall(STALL.barrier);
    this.settle(slot, reply);
  }

  /** Called by the cluster through the work, exactly once; never throws. */
  completed(slot: ClusterSlot, reply: Reply): void {
    try {
      this.context.dispatcher.record(slot, reply);
      this.#pendingCount--;
      this.#pendingBytes -= slot.bytes;
      if (slot.isBarrier) this.unstall(STALL.barrier);
      if (this.#pendingCount * 2 < PENDING_COMMANDS_MAX && this.#pendingBytes * 2 < PENDING_BYTES_MAX) {
        this.unstall(STALL.pending);
      }
      this.settle(slot, reply);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Submits work on behalf of a session command; cancelled if the client goes. `protocol` is what the replies are for. */
  submitAside(what: Call | TransactionCalls, protocol: Protocol = this.protocol): Promise<Reply> {
    return new Promise((resolve) => {
      const work = new SideWork(this, { what, protocol }, (reply) => {
        this.#sideWorks.delete(work);
        // Another node's answer is in wire form; whoever asks here looks into it.
        resolve(reply instanceof EncodedReply ? (decodeReplies(reply.bytes)[0] ?? null) : reply);
      });
      this.#sideWorks.add(work);
      this.context.cluster.submit(work);
    });
  }

  stall(reason: number): void {
    this.#stall |= reason;
  }

  unstall(reason: number): void {
    if ((this.#stall & reason) === 0) return;
    this.#stall &= ~reason;
    if (this.#stall === 0 && !this.#isFeeding && !this.#isClosed) this.context.turn.mark(this);
  }

  /** Keeps the request until the session goes on; then it is dispatched first. */
  park(argv: readonly Buffer[], reason: number): void {
    assert(this.#parked === null, 'a session parks one request at a time');
    this.#parked = argv;
    this.#stall |= reason;
  }

  /** Out-of-band data (MONITOR lines, pushes): leaves between replies, whatever is pending. */
  push(message: PushReply | Reply): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#buffer().write(message, this.protocol);
    this.context.turn.mark(this);
  }

  setAuthenticated(isAuthenticated: boolean): void {
    this.gate = isAuthenticated ? this.gate & ~GATE.unauthenticated : this.gate | GATE.unauthenticated;
    this.#reader.setAuthenticated(isAuthenticated);
  }

  setReplyMode(mode: 'on' | 'off' | 'skip'): void {
    this.replyMode = mode;
    this.gate = mode === 'on' ? this.gate & ~GATE.reply : this.gate | GATE.reply;
    if (mode === 'on') this.isSilent = false;
  }

  /** Settles whether the command being dispatched is answered; called once a command. */
  beginReply(): void {
    if ((this.gate & GATE.reply) === 0) return;
    if (this.replyMode === 'skipping') {
      this.setReplyMode('on');
      return;
    }
    this.isSilent = true;
    if (this.replyMode === 'skip') this.replyMode = 'skipping';
  }

  setTransaction(transaction: Transaction | null): void {
    this.transaction = transaction;
    this.gate = transaction === null ? this.gate & ~GATE.multi : this.gate | GATE.multi;
  }

  /** 0 = the present. */
  setMoment(asOf: Timestamp): void {
    this.asOf = asOf;
    this.gate = asOf === 0 ? this.gate & ~GATE.moment : this.gate | GATE.moment;
  }

  setOpenTransaction(transaction: OpenTransaction | null): void {
    this.openTransaction = transaction;
    this.gate = transaction === null ? this.gate & ~GATE.open : this.gate | GATE.open;
  }

  /** Handles no further request, sends the replies that are owed, then closes. */
  endAfterReplies(): void {
    if (this.#isEnding || this.#isClosed) return;
    this.#isEnding = true;
    this.gate |= GATE.ending;
    this.context.turn.mark(this);
  }

  /** Sends the replies that are ready and closes; what is pending is cancelled. The server is going down. */
  shut(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#end();
  }

  /** Closes at once: nothing that is owed is sent. */
  kill(): void {
    if (this.#isClosed) return;
    this.#release();
    this.connection.destroy();
  }

  /** An error that no client can cause ends the connection, and only the connection. */
  fail(error: unknown): void {
    if (this.#isClosed) return;
    this.context.stats.sessionFailures++;
    this.context.log.error('a session failed and was closed', {
      client: this.id,
      command: this.lastEntry?.fullName ?? '',
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    this.kill();
  }

  /** Called by the housekeeping; closes clients that take their replies too slowly. */
  checkOutput(nowMs: number): void {
    const limit = this.isAuthenticated ? this.context.live.outputLimitNormal : UNAUTHENTICATED_OUTPUT;
    const bytes = this.outputBytes;
    const verdict = this.#outputGuard.judge(bytes, limit, nowMs);
    if (verdict === null) return;
    this.context.stats.outputLimitDisconnects++;
    this.context.log.warn('a client was closed: it does not take its replies', {
      client: this.id,
      address: this.connection.remoteAddress,
      outputBytes: bytes,
      limit: verdict,
    });
    this.kill();
  }

  // -------------------------------------------------------------------------------------------------------------
  // End of turn

  /** Sends what is owed, goes on after a wait. True if it may go on again: sending ended the wait. */
  endOfTurn(): boolean {
    try {
      return this.#endOfTurn();
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  #endOfTurn(): boolean {
    if (this.#isClosed) return false;
    if (this.#stall === 0 && !this.#isEnding && (this.#parked !== null || this.#reader.isPaused)) {
      this.nowMs = this.context.platform.clock.monotonicMs();
      this.#feed(null);
    }
    this.#flush();
    if (this.#isPeerDone && !this.#isEnding) this.#endWithPeer();
    if (!this.#isEnding) return this.#stall === 0 && (this.#parked !== null || this.#reader.isPaused);
    if (this.#head === null) this.#end();
    return false;
  }

  // -------------------------------------------------------------------------------------------------------------

  /** Hands bytes to the reader; null = go on with what it has. */
  #feed(chunk: Buffer | null): void {
    this.#isFeeding = true;
    try {
      if (chunk === null) this.#resume();
      else this.#reader.push(chunk, this.#onRequest);
      // A stall may have been lifted by a completion within the same call.
      while (this.#stall === 0 && !this.#isEnding && !this.#isClosed && this.#reader.isPaused) this.#resume();
    } catch (error) {
      this.#refuseInput(error);
    } finally {
      this.#isFeeding = false;
    }
    if (!this.#isClosed) this.#adjustReading();
  }

  #resume(): void {
    const parked = this.#parked;
    if (parked !== null) {
      this.#parked = null;
      if (!this.#onRequest(parked)) return;
    }
    this.#reader.resume(this.#onRequest);
  }

  #refuseInput(error: unknown): void {
    if (!(error instanceof ProtocolError)) {
      this.fail(error);
      return;
    }
    const { context } = this;
    context.stats.protocolErrors++;
    context.log.info('a client was closed: protocol error', {
      client: this.id,
      address: this.connection.remoteAddress,
      code: error.code,
      error: error.message,
    });
    if (error.reply === null) {
      this.kill();
      return;
    }
    context.stats.recordError(error.reply);
    this.isSilent = false;
    this.answer(error.reply);
    this.endAfterReplies();
  }

  /** Back-pressure towards the client: the socket rests while more than HELD_BYTES_MAX wait unparsed. */
  #adjustReading(): void {
    const isWaiting = this.#stall !== 0;
    const held = this.#reader.bufferedBytes;
    if (!this.#isReadPaused && isWaiting && held > HELD_BYTES_MAX) {
      this.#isReadPaused = true;
      this.connection.pause();
    } else if (this.#isReadPaused && (!isWaiting || held < HELD_BYTES_MAX)) {
      this.#isReadPaused = false;
      this.connection.resume();
    }
  }

  #buffer(): ReplyBuffer {
    return (this.#output ??= this.context.turn.borrowBuffer());
  }

  /** Moves the replies that are in order into the output. */
  #drain(): void {
    const output = this.#buffer();
    let slot = this.#head;
    while (slot !== null && slot.isDone) {
      if (!slot.isSilent) output.write(slot.reply, slot.protocol);
      slot = slot.next;
    }
    this.#head = slot;
    if (slot === null) {
      this.#tail = null;
      this.#waitingReplyBytes = 0;
      this.unstall(STALL.earlier);
    } else if (this.#waitingReplyBytes > 0) {
      this.#recountWaiting(slot);
    }
    if (output.byteLength > EARLY_FLUSH_BYTES) this.#flush();
    this.context.turn.mark(this);
  }

  #countWaiting(slot: Slot): void {
    this.#waitingReplyBytes += bulkBytes(slot.reply);
    if (this.#waitingReplyBytes > OUTPUT_STALL_BYTES) this.#stall |= STALL.output;
  }

  #recountWaiting(from: Slot): void {
    let bytes = 0;
    for (let slot: Slot | null = from; slot !== null; slot = slot.next) if (slot.isDone) bytes += bulkBytes(slot.reply);
    this.#waitingReplyBytes = bytes;
  }

  #flush(): void {
    const output = this.#output;
    if (output === null) return;
    this.#output = null;
    const { connection, context } = this;
    context.stats.outputBytes += output.byteLength;
    const chunks = output.take();
    context.turn.returnBuffer(output);
    const [first] = chunks;
    if (chunks.length === 1 && first !== undefined) {
      connection.write(first);
    } else if (chunks.length > 1) {
      connection.cork();
      for (const chunk of chunks) connection.write(chunk);
      connection.uncork();
    }
    const buffered = connection.bufferedBytes;
    if (buffered > OUTPUT_STALL_BYTES) this.#stall |= STALL.output;
    else if (this.#waitingReplyBytes <= OUTPUT_STALL_BYTES) this.unstall(STALL.output);
    if (buffered > OUTPUT_UNAUTHENTICATED_BYTES) this.checkOutput(this.nowMs);
  }

  /** After the last request; a command that would wait for the client's sake ends now. */
  #endWithPeer(): void {
    if (this.blockedWork !== null || this.isMonitor) this.kill();
    else if (this.#stall === 0 && this.#parked === null && !this.#reader.isPaused) this.endAfterReplies();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#release();
    this.connection.end();
    this.#linger = this.context.platform.timers.after(LINGER_MS, () => {
      this.connection.destroy();
    });
  }

  /** Everything that others hold of this session is given back; pending work is cancelled. */
  #release(): void {
    this.#isClosed = true;
    this.#isEnding = true;
    const { context } = this;
    for (let slot = this.#head; slot !== null; slot = slot.next) {
      if (slot instanceof ClusterSlot && !slot.isDone) context.cluster.cancel(slot);
    }
    for (const work of this.#sideWorks) context.cluster.cancel(work);
    this.openTransaction?.rollback();
    this.setOpenTransaction(null);
    this.#sideWorks.clear();
    this.#head = null;
    this.#tail = null;
    this.#parked = null;
    this.#waitingReplyBytes = 0;
    if (this.#output !== null) {
      this.#output.take();
      context.turn.returnBuffer(this.#output);
      this.#output = null;
    }
    this.transaction = null;
    this.watched = [];
    context.clients.remove(this);
  }
}

const UNAUTHENTICATED_OUTPUT = { hardBytes: OUTPUT_UNAUTHENTICATED_BYTES, softBytes: 0, softSeconds: 0 } as const;

function bulkBytes(reply: Reply): number {
  if (typeof reply === 'string') return reply.length;
  return reply instanceof Uint8Array ? reply.byteLength : 0;
}

/** The reply as an error, also if a leader elsewhere has already encoded it; null if it is none. */
export function errorOf(reply: Reply): ErrorReply | null {
  if (reply instanceof ErrorReply) return reply;
  if (!(reply instanceof EncodedReply) || reply.bytes[0] !== MINUS) return null;
  const { bytes } = reply;
  return new ErrorReply(Buffer.from(bytes.buffer, bytes.byteOffset + 1, bytes.byteLength - 3).toString('latin1'));
}

const MINUS = 0x2d;
