/**
 * All replicas of a node, and the one log that they share.
 *
 * A turn: every replica in which something happened hands out its Raft work; messages leave, and what must be durable
 * goes into one flush for all of them. While a flush is under way further work collects, so that under load one flush
 * carries what arrived during the one before (group commit without a timer).
 */
import { assert } from '../base/assert.ts';
import { timestampFromMs } from '../base/hlc.ts';
import type { GroupId, NodeId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Platform, TimerHandle } from '../base/platform.ts';
import type { Message, Ready } from '../raft/types.ts';
import type { DataStore } from '../storage/data/types.ts';
import type { LogCheckpoint, RaftLog } from '../storage/log/types.ts';
import { CHECKPOINT_LOG_BYTES } from './limits.ts';
import type { Replica } from './replica.ts';

/** What the engine reports; the cluster implements it. */
export interface EngineEvents {
  /** The messages of this turn may leave. */
  flushMessages(): void;
}

export interface EngineOptions {
  readonly platform: Platform;
  readonly raftLog: RaftLog;
  readonly data: DataStore;
  readonly log: Logger;
  readonly events: EngineEvents;
  /** Length of one Raft tick in ms. */
  readonly tickMs: number;
  /** Longest time between checkpoints while entries arrive, in ms. */
  readonly checkpointIntervalMs: number;
  /** How long older versions are kept, in ms; asked again and again. 0 = none are. */
  readonly versionRetentionMs: () => number;
}

/** Records that one round of collecting old versions looks at. */
const COLLECT_STEPS_MAX = 1_000;
/** Pause between looks at waiters, expiry and deadlines, in ms. */
const HOUSEKEEPING_MS = 20;

interface Pending {
  readonly replica: Replica;
  readonly ready: Ready;
}

export class Engine {
  readonly replicas = new Map<GroupId, Replica>();
  readonly #options: EngineOptions;
  readonly #awake = new Set<Replica>();
  #isTurnScheduled = false;
  /** Readies that wait for the next flush to start, and those that the present flush makes durable. */
  #staged: Pending[] = [];
  #flushing: Pending[] = [];
  /** Called when the next flush is done. */
  #waiting: (() => void)[] = [];
  #timers: TimerHandle[] = [];
  #lastCheckpointMs = 0;
  #checkpointing: Promise<void> | null = null;
  #isCollecting = false;
  #isClosed = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#lastCheckpointMs = options.platform.clock.monotonicMs();
  }

  add(replica: Replica): void {
    assert(!this.replicas.has(replica.group), `group ${replica.group} is on this node once`);
    this.replicas.set(replica.group, replica);
  }

  start(): void {
    this.#every(this.#options.tickMs, () => {
      for (const replica of this.replicas.values()) replica.tickRaft();
    });
    this.#every(HOUSEKEEPING_MS, () => {
      for (const replica of this.replicas.values()) replica.tick();
      this.#maybeCheckpoint();
      this.#maybeCollect();
    });
    for (const replica of this.replicas.values()) {
      // Alone there is nobody to wait for.
      if (replica.isSoleVoter) replica.core.campaign();
      this.wake(replica);
    }
  }

  /** A look at this replica at the end of the present turn of the event loop. */
  wake(replica: Replica): void {
    this.#awake.add(replica);
    if (this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    this.#options.platform.timers.endOfTurn(() => {
      this.#isTurnScheduled = false;
      this.#turn();
    });
  }

  step(group: GroupId, message: Message): void {
    this.replicas.get(group)?.step(message);
  }

  nodeLost(node: NodeId): void {
    for (const replica of this.replicas.values()) replica.nodeLost(node);
  }

  #turn(): void {
    if (this.#isClosed) return;
    const { raftLog, events } = this.#options;
    const isLogBusy = raftLog.isFlushing;
    const awake = [...this.#awake];
    this.#awake.clear();
    for (const replica of awake) {
      const ready = replica.turn(isLogBusy);
      if (ready === null) continue;
      if (ready.mustSync || this.#hasUnfinished(replica)) this.#staged.push({ replica, ready });
      else replica.persisted(ready);
    }
    events.flushMessages();
    this.#maybeFlush();
  }

  /** Readies of one replica are reported in order: one that needs no sync waits for those before it. */
  #hasUnfinished(replica: Replica): boolean {
    return (
      this.#flushing.some((pending) => pending.replica === replica) ||
      this.#staged.some((pending) => pending.replica === replica)
    );
  }

  /** Calls back once everything that is staged now is durable. */
  flushed(done: () => void): void {
    this.#waiting.push(done);
    this.#maybeFlush();
  }

  #maybeFlush(): void {
    const { raftLog } = this.#options;
    if (raftLog.isFlushing) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (!raftLog.hasStaged) {
      for (const done of waiting) done();
      // Nothing of these had to reach the disk, and what was before them has.
      const staged = this.#staged;
      this.#staged = [];
      for (const { replica, ready } of staged) replica.persisted(ready);
      return;
    }
    this.#flushing = this.#staged;
    this.#staged = [];
    raftLog.flush(() => {
      const flushed = this.#flushing;
      this.#flushing = [];
      for (const { replica, ready } of flushed) replica.persisted(ready);
      for (const done of waiting) done();
      // What collected during the flush goes at once, not at the end of the turn: the log is idle.
      for (const replica of this.replicas.values()) this.#awake.add(replica);
      this.#turn();
    });
  }

  // -------------------------------------------------------------------------------------------------------------
  // Checkpoints

  #maybeCheckpoint(): void {
    const now = this.#options.platform.clock.monotonicMs();
    const isTime = now - this.#lastCheckpointMs > this.#options.checkpointIntervalMs;
    let isDue = false;
    for (const replica of this.replicas.values()) {
      if (replica.isQuarantined) continue;
      if (replica.applier.index === replica.checkpointIndex) replica.compact();
      else if (isTime || replica.uncheckpointedBytes > CHECKPOINT_LOG_BYTES) isDue = true;
    }
    if (isDue) {
      this.checkpoint().catch((error: unknown) => {
        this.#options.platform.process.fatal('dataWrite', 'a checkpoint failed', error);
      });
    }
  }

  /** Lets versions go that are older than the retention, by the time of the partition that lags most. */
  #maybeCollect(): void {
    const retentionMs = this.#options.versionRetentionMs();
    if (retentionMs === 0 || this.#isCollecting || this.replicas.size === 0) return;
    const times = [...this.replicas.values()].map((replica) => replica.applier.state.timeMs).filter((time) => time > 0);
    if (times.length === 0) return;
    this.#isCollecting = true;
    const floor = timestampFromMs(Math.max(0, Math.min(...times) - retentionMs));
    this.#options.data.collect(floor, COLLECT_STEPS_MAX).then(
      () => {
        this.#isCollecting = false;
      },
      (error: unknown) => {
        if (!this.#isClosed) this.#options.platform.process.fatal('dataWrite', 'collecting old versions failed', error);
      },
    );
  }

  /** Makes the data durable and lets the log forget what it no longer needs. One at a time. */
  checkpoint(): Promise<void> {
    this.#checkpointing ??= this.#checkpoint().finally(() => {
      this.#checkpointing = null;
      this.#lastCheckpointMs = this.#options.platform.clock.monotonicMs();
    });
    return this.#checkpointing;
  }

  async #checkpoint(): Promise<void> {
    const candidates = new Map<Replica, LogCheckpoint>();
    for (const replica of this.replicas.values()) {
      if (!replica.isQuarantined) candidates.set(replica, replica.checkpointCandidate());
    }
    await this.#options.data.sync();
    if (this.#isClosed) return;
    for (const [replica, checkpoint] of candidates) {
      // Meanwhile a snapshot may have moved the replica further.
      if (checkpoint.index <= replica.checkpointIndex || replica.isQuarantined) continue;
      replica.checkpointed(checkpoint);
      this.wake(replica);
    }
    this.#maybeFlush();
  }

  // -------------------------------------------------------------------------------------------------------------

  #every(periodMs: number, work: () => void): void {
    const slot = this.#timers.length;
    const again = (): void => {
      if (this.#isClosed) return;
      this.#timers[slot] = this.#options.platform.timers.after(periodMs, () => {
        again();
        work();
      });
    };
    this.#timers.push({ cancel: () => undefined });
    again();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    if (this.#checkpointing !== null) await this.#checkpointing;
    for (const replica of this.replicas.values()) await replica.applier.suspend();
  }
}
