/**
 * Transactions across partitions as the cluster sees them: which requests need a coordinator, how its steps travel, and when leaders
 * settle what coordinators left.
 *
 * A session's requests keep their order: while one of them is under way across partitions, its later ones wait in its mark.
 */
import { assert } from '../base/assert.ts';
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
import type { Participants, StepOptions } from '../txn/participants.ts';
import { type LedPartition, Recovery } from '../txn/recovery.ts';
import { type Work, WriteMark } from './api.ts';

/** Pause between looks at what is open, in ms, while something is. */
const LOOK_MS = 250;
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
  replicas(): Iterable<Replica>;
  /** True if this boot of the node is connected. */
  isConnected(node: NodeId, bootEpoch: number): boolean;
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
  readonly #host: TransactionsHost;
  readonly #steps: Steps;
  readonly #coordinator: Coordinator;
  readonly #recovery: Recovery;
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
    this.#steps = new Steps(this);
    this.#coordinator = new Coordinator(this, this.#steps);
    this.#recovery = new Recovery(this, (id) => this.#isLost(id));
  }

  // -------------------------------------------------------------------------------------------------------------
  // Work of sessions

  /** Work whose keys lie in several partitions. */
  submit(work: Work): void {
    this.#run(work, () => this.#coordinator.run(work));
  }

  /** FLUSHALL or FLUSHDB, of all partitions at one moment. */
  flush(work: Work): void {
    this.#run(work, () => this.#coordinator.flush(work));
  }

  #run(work: Work, run: () => Promise<Reply>): void {
    const { mark } = work;
    if (mark.crossing !== null) {
      // It turned out late that it needs several partitions: it is the older one.
      mark.crossing.unshift(work);
      return;
    }
    mark.crossing = [];
    run().then(
      (reply) => {
        this.#finish(work, reply);
      },
      (error: unknown) => {
        this.log.error('a transaction broke', { error });
        this.#finish(work, uncertain('an internal error; the log of the node tells the cause'));
      },
    );
  }

  #finish(work: Work, reply: Reply): void {
    const { mark } = work;
    const waiting = mark.crossing ?? [];
    mark.crossing = null;
    work.complete(reply);
    for (const next of waiting) this.#host.submit(next);
  }

  /** A transaction that a session conducts. */
  begin(options: TransactionOptions, mark: WriteMark): InteractiveTransaction {
    return new InteractiveTransaction(this, this.#steps, { options, mark });
  }

  /** Takes work out that waits behind a transaction of its session; false if it does not. */
  cancel(work: Work): boolean {
    const { crossing } = work.mark;
    const at = crossing?.indexOf(work) ?? -1;
    if (crossing === null || at === -1) return false;
    crossing.splice(at, 1);
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

  step(group: GroupId, command: DataCommand, payload: Buffer, { deadlineMs, mark }: StepOptions): Promise<Reply> {
    assert(mark instanceof WriteMark, 'marks come from sessions and from here');
    return new Promise<Reply>((resolve) => {
      this.#host.submitTo(group, {
        call: { command, argv: [STEP_NAME, payload], database: 0 },
        transaction: null,
        protocol: 3,
        isNoTouch: false,
        deadlineMs,
        mark,
        complete: (reply) => {
          resolve(reply instanceof EncodedReply ? decode(reply.bytes) : reply);
        },
      });
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
    for (const replica of this.#host.replicas()) {
      const { group, preparedParts, openDecisions } = replica;
      if (preparedParts.length === 0 && openDecisions.length === 0) continue;
      led.push({ group, nowMs: replica.time.now(), preparedParts, openDecisions });
    }
    if (led.length === 0) return;
    this.#recovery.look(led);
    this.mayBeOpen();
  }

  #isLost({ node, epoch }: TransactionId): boolean {
    if (node === this.node) return epoch !== this.bootEpoch;
    return !this.#host.isConnected(node, epoch);
  }

  close(): void {
    this.#isClosed = true;
  }
}

const STEP_NAME = Buffer.from('%');

/** The answer to a step; bytes are handed on without a copy. */
function decode(bytes: Uint8Array): Reply {
  if (bytes[0] !== BULK) return decodeReplies(bytes)[0] ?? null;
  let at = 1;
  let length = 0;
  for (; bytes[at] !== CR; at++) length = length * 10 + (bytes[at] ?? 0) - 0x30;
  return bytes.subarray(at + 2, at + 2 + length);
}
