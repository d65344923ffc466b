/**
 * Transactions across partitions as the cluster sees them: which requests need a coordinator, how its steps travel, and when leaders
 * settle what coordinators left.
 *
 * A session's requests keep their order: one of them begins across partitions when all earlier ones are done, and the later ones wait
 * in the session's mark meanwhile. Were it to wait for earlier ones where they are, partition by partition, while it holds keys in others,
 * it could be in a ring with whoever they wait for.
 */
import { assert } from '../base/assert.ts';
import { KahunaError } from '../base/errors.ts';
import type { GroupId, NodeId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock, Random, TimerHandle, Timers } from '../base/platform.ts';
import type { DataCommand } from '../commands/define.ts';
import type { TransactionId } from '../partition/key-locks.ts';
import type { KeyspaceStats } from '../partition/keyspace-stats.ts';
import type { Replica } from '../partition/replica.ts';
import { decodeReplies } from '../resp/decode.ts';
import { uncertain } from '../resp/errors.ts';
import { EncodedReply, type Reply } from '../resp/reply.ts';
import { Coordinator } from '../txn/coordinator.ts';
import { Steps } from '../txn/steps.ts';
import { InteractiveTransaction, type TransactionOptions } from '../txn/interactive.ts';
import { SETTLED_KEPT_MS } from '../txn/limits.ts';
import { MomentReads } from '../txn/moment-reads.ts';
import type { Participants, Request, StepOptions, StepPart } from '../txn/participants.ts';
import { type LedPartition, Recovery } from '../txn/recovery.ts';
import { TransactionStats } from '../txn/transaction-stats.ts';
import { type Work, WriteMark } from './api.ts';

/** Pause between looks at what is open, in ms, while something is. */
const LOOK_MS = 250;
/**
 * A coordinator of which nothing is heard for this long counts as lost, in ms: long before its link is given up, and longer than
 * a quiet link is silent. If it lives, that costs an attempt.
 */
const COORDINATOR_SILENCE_MS = 1_500;
const BULK = 0x24;
const CR = 0x0d;

export interface TransactionsHost {
  readonly node: NodeId;
  readonly bootEpoch: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Logger;
  readonly keyspaceStats: KeyspaceStats;
  readonly commandTimeoutMs: number;
  /** Hash tags that lie in each of the partitions. */
  readonly tags: readonly string[];
  groupOf(key: string): GroupId;
  /** The partition at which a cursor of SCAN stands. */
  groupOfCursor(cursor: bigint): GroupId;
  replicas(): Iterable<Replica>;
  /** True if this boot of the node is connected. */
  isConnected(node: NodeId, bootEpoch: number): boolean;
  /** Time since anything was heard from a connected node, in ms. */
  silenceMs(node: NodeId): number;
  /** Submits as if a session had, behind whatever is under way. */
  submit(work: Work): void;
  submitTo(group: GroupId, work: Work): void;
}

export class Transactions implements Participants {
  readonly node: NodeId;
  readonly bootEpoch: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly keyspaceStats: KeyspaceStats;
  readonly commandTimeoutMs: number;
  readonly tags: readonly string[];
  readonly stats = new TransactionStats();
  readonly #host: TransactionsHost;
  readonly moments: MomentReads;
  readonly #steps: Steps;
  readonly #coordinator: Coordinator;
  readonly #recovery: Recovery;
  /** Cancelled work. */
  readonly #gone = new WeakSet<object>();
  #isForgetting = false;
  #isLooking = false;
  #isClosed = false;

  constructor(host: TransactionsHost) {
    this.#host = host;
    this.node = host.node;
    this.bootEpoch = host.bootEpoch;
    this.clock = host.clock;
    this.random = host.random;
    this.log = host.log;
    this.keyspaceStats = host.keyspaceStats;
    this.commandTimeoutMs = host.commandTimeoutMs;
    this.tags = host.tags;
    this.moments = new MomentReads(this, (cursor) => host.groupOfCursor(cursor));
    this.#steps = new Steps(this);
    this.#coordinator = new Coordinator(this, this.#steps);
    this.#recovery = new Recovery(this, (id) => this.#isLost(id));
  }

  // -------------------------------------------------------------------------------------------------------------
  // Work of sessions

  /** Work whose keys lie in several partitions. */
  submit(work: Work): void {
    const { mark } = work;
    const run = (): Promise<Reply> => this.#coordinator.run(work);
    if (mark.crossing === null) {
      this.#enqueue(work, run);
      return;
    }
    // It turned out late that it needs several partitions: it is older than what waits.
    const { waiting } = mark.crossing;
    const younger = waiting.findIndex(({ isElder }) => !isElder);
    waiting.splice(younger === -1 ? waiting.length : younger, 0, { work, run, isElder: true });
    this.mayBegin(mark);
  }

  /** FLUSHALL or FLUSHDB, of all partitions at one moment. */
  flush(work: Work): void {
    this.#enqueue(work, () => this.#coordinator.flush(work));
  }

  #enqueue(work: Work, run: () => Promise<Reply>): void {
    const { mark } = work;
    mark.crossing ??= { isRunning: false, waiting: [] };
    mark.crossing.waiting.push({ work, run, isElder: false });
    this.mayBegin(mark);
  }

  /** Begins what waits in order, if nothing of the session is under way any more. */
  mayBegin(mark: WriteMark): void {
    const { crossing } = mark;
    if (crossing === null || crossing.isRunning || mark.underWay > 0) return;
    const first = crossing.waiting[0];
    if (first?.run === null || first === undefined) {
      mark.crossing = null;
      // Up to the next one across partitions, behind which the rest waits again.
      for (const { work, run } of crossing.waiting) {
        if (run === null) this.#host.submit(work);
        else this.#enqueue(work, run);
      }
      return;
    }
    crossing.waiting.shift();
    crossing.isRunning = true;
    const { work, run } = first;
    const finish = (reply: Reply): void => {
      crossing.isRunning = false;
      work.complete(reply);
      this.mayBegin(mark);
    };
    run().then(finish, (error: unknown) => {
      this.log.error('a transaction broke', { error });
      finish(uncertain('an internal error; the log of the node tells the cause'));
    });
  }

  /** A transaction that a session conducts. */
  begin(options: TransactionOptions, mark: WriteMark): InteractiveTransaction {
    const tools = { participants: this, steps: this.#steps, moments: this.moments };
    return new InteractiveTransaction(tools, { options, mark });
  }

  /**
   * Nobody waits for the answer any more. Takes work out that waits behind a transaction of its session; false if it does not: a
   * transaction that is under way comes to its end, but waits for nothing more.
   */
  cancel(work: Work): boolean {
    this.#gone.add(work);
    const waiting = work.mark.crossing?.waiting ?? [];
    const at = waiting.findIndex((one) => one.work === work);
    if (at === -1) return false;
    waiting.splice(at, 1);
    return true;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Participants

  groupOf(key: string): GroupId {
    return this.#host.groupOf(key);
  }

  newMark(): WriteMark {
    return new WriteMark();
  }

  isGone(request: Request): boolean {
    return this.#gone.has(request);
  }

  after(ms: number, callback: () => void): TimerHandle {
    return this.#host.timers.after(ms, callback);
  }

  settledLater(): void {
    if (this.#isForgetting || this.#isClosed) return;
    this.#isForgetting = true;
    this.#host.timers.after(SETTLED_KEPT_MS, () => {
      this.#isForgetting = false;
      if (!this.#isClosed) this.#steps.forgetSettled();
    });
  }

  step(group: GroupId, command: DataCommand, payload: Buffer, options: StepOptions): Promise<Reply> {
    return new Promise<Reply>((resolve) => {
      this.#submitStep(command, { group, payload }, options, resolve);
    });
  }

  readEach(command: DataCommand, parts: readonly StepPart[], deadlineMs: number): Promise<readonly Reply[]> {
    const replies = new Array<Reply>(parts.length).fill(null);
    if (parts.length === 0) return Promise.resolve(replies);
    return new Promise((resolve) => {
      let left = parts.length;
      parts.forEach((part, position) => {
        this.#submitStep(command, part, { deadlineMs, mark: this.newMark() }, (reply) => {
          replies[position] = reply;
          left--;
          if (left === 0) resolve(replies);
        });
      });
    });
  }

  #submitStep(
    command: DataCommand,
    { group, payload }: StepPart,
    { deadlineMs, mark }: StepOptions,
    complete: (reply: Reply) => void,
  ): void {
    assert(mark instanceof WriteMark, 'marks come from sessions and from here');
    this.#host.submitTo(group, {
      call: { command, argv: [STEP_NAME, payload], database: 0 },
      transaction: null,
      protocol: 3,
      isNoTouch: false,
      deadlineMs,
      mark,
      complete: (reply) => {
        complete(reply instanceof EncodedReply ? decode(reply.bytes) : reply);
      },
    });
  }

  // -------------------------------------------------------------------------------------------------------------
  // Settling what others left

  /** Something was prepared or decided here, or a replica has begun to lead: it will be looked after. */
  mayBeOpen(): void {
    if (this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    this.#host.timers.after(LOOK_MS, () => {
      this.#isLooking = false;
      if (!this.#isClosed) this.#look();
    });
  }

  nodeLost(node: NodeId): void {
    for (const replica of this.#host.replicas()) replica.dropParts(({ id }) => id.node === node);
    this.#look();
  }

  #look(): void {
    const led: LedPartition[] = [];
    let areKeysTaken = false;
    for (const replica of this.#host.replicas()) {
      if (replica.dropParts(({ id }) => this.#isLost(id))) areKeysTaken = true;
      const { group, preparedParts, openDecisions } = replica;
      if (preparedParts.length === 0 && openDecisions.length === 0) continue;
      led.push({ group, nowMs: replica.time.now(), preparedParts, openDecisions });
    }
    this.#recovery.look(led);
    if (areKeysTaken || led.length > 0) this.mayBeOpen();
  }

  #isLost({ node, epoch }: TransactionId): boolean {
    if (node === this.node) return epoch !== this.bootEpoch;
    return !this.#host.isConnected(node, epoch) || this.#host.silenceMs(node) > COORDINATOR_SILENCE_MS;
  }

  close(): void {
    this.#isClosed = true;
  }
}

const STEP_NAME = Buffer.from('%');

const UNREADABLE = uncertain('what another node answered cannot be read');

/** The answer to a step; bytes are handed on without a copy. */
function decode(bytes: Uint8Array): Reply {
  const end = bytes[0] === BULK ? bytes.indexOf(CR) : -1;
  if (end !== -1) {
    let length = 0;
    for (let at = 1; at < end; at++) length = length * 10 + (bytes[at] ?? 0) - 0x30;
    return bytes.length === end + 2 + length + 2 ? bytes.subarray(end + 2, end + 2 + length) : UNREADABLE;
  }
  try {
    return decodeReplies(bytes)[0] ?? UNREADABLE;
  } catch (error) {
    if (error instanceof KahunaError) return UNREADABLE;
    throw error;
  }
}
