/**
 * All replicas of a node, and the one log that they share.
 *
 * A turn: every replica in which something happened hands out its Raft work; messages leave, and what must be durable
 * goes into one flush for all of them. While a flush is under way further work collects, so that under load one flush
 * carries what arrived during the one before (group commit without a timer).
 *
 * Besides turns there are two timers for all replicas: Raft's ticks, and one look at everything that falls due with time
 * (waiters, expiry, deadlines, checkpoints, old versions), which comes only when something asked for it.
 */
import { Alarm } from '../base/alarm.ts';
import { assert } from '../base/assert.ts';
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Platform, TimerHandle } from '../base/platform.ts';
import type { Message, Ready } from '../raft/types.ts';
import { StoredDamage } from '../storage/data/damage.ts';
import type { DataStore } from '../storage/data/types.ts';
import type { LogCheckpoint, RaftLog } from '../storage/log/types.ts';
import { isDamage } from './damage.ts';
import { HistoryKeeper, type HistorySettings } from './history-keeper.ts';
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
  readonly history: HistorySettings;
}

/** Records that one round of collecting old versions looks at. */
const COLLECT_STEPS_MAX = 1_000;
/** Least time between two looks at what is due, in ms. */
const LOOK_GAP_MS = 20;
/** Time between two tries to let go entries that only age protects, in ms. */
const COMPACT_AGAIN_MS = 1_000;
/** An entry that never comes. */
const NOWHERE = { index: Number.POSITIVE_INFINITY, term: Number.POSITIVE_INFINITY };
/** Least time between two rounds of collecting old versions, when the one before left nothing to do, in ms. */
const COLLECT_GAP_MS = 250;

interface Pending {
  readonly replica: Replica;
  readonly ready: Ready;
}

export class Engine {
  readonly replicas = new Map<GroupId, Replica>();
  readonly history: HistoryKeeper;
  readonly #options: EngineOptions;
  readonly #awake = new Set<Replica>();
  #isTurnScheduled = false;
  /** Readies that wait for the next flush to start, and those that the present flush makes durable. */
  #staged: Pending[] = [];
  #flushing: Pending[] = [];
  /** Called when the next flush is done. */
  #waiting: (() => void)[] = [];
  readonly #alarm: Alarm;
  #ticker: TimerHandle | null = null;
  #lastCheckpointMs = 0;
  #checkpointing: Promise<void> | null = null;
  #isCollecting = false;
  /** When versions are to be collected next; Infinity while nothing has happened that could let any go. */
  #collectAtMs = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.history = new HistoryKeeper(options.data, options.history);
    this.#lastCheckpointMs = options.platform.clock.monotonicMs();
    this.#alarm = new Alarm(options.platform, {
      gapMs: LOOK_GAP_MS,
      ring: () => {
        this.#look();
      },
    });
  }

  add(replica: Replica): void {
    assert(!this.replicas.has(replica.group), `group ${replica.group} is on this node once`);
    this.replicas.set(replica.group, replica);
  }

  start(): void {
    this.#tickLater();
    this.#collectLater(0);
    this.#alarm.at(0);
    for (const replica of this.replicas.values()) {
      if (!this.#options.data.isSameBoot && !replica.isQuarantined) this.#reachAgain(replica, replica.core.lastIndex);
      // Alone there is nobody to wait for.
      if (replica.isSoleVoter) replica.core.campaign();
      this.wake(replica);
    }
    this.history.opened();
  }

  /** The data of a replica is not to be used. */
  quarantined(replica: Replica): void {
    this.history.mustReach(replica.group, NOWHERE);
  }

  /** It is a copy, perhaps of an older state. */
  rebuilt(replica: Replica): void {
    this.#reachAgain(replica, replica.core.commitIndex);
  }

  /** What it holds is certain when it has been applied to `index` (history-keeper.ts). */
  #reachAgain(replica: Replica, index: LogIndex): void {
    const { core, group, applier } = replica;
    this.history.mustReach(group, { index, term: core.termAt(index) });
    this.history.applied(group, applier.index, applier.term);
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

  /** Asks for a look at everything that falls due with time, at this monotonic moment at the latest. */
  lookAt(atMs: number): void {
    this.#alarm.at(atMs);
  }

  /** LevelDB holds more of a replica's entries: a checkpoint may be due, and versions may have become old. */
  appliedTo(replica: Replica): void {
    this.history.applied(replica.group, replica.applier.index, replica.applier.term);
    const isLong = replica.uncheckpointedBytes > CHECKPOINT_LOG_BYTES;
    this.#alarm.at(isLong ? 0 : this.#lastCheckpointMs + this.#options.checkpointIntervalMs);
    this.#collectLater(COLLECT_GAP_MS);
  }

  step(group: GroupId, message: Message): void {
    this.replicas.get(group)?.step(message);
  }

  nodeFound(node: NodeId): void {
    for (const replica of this.replicas.values()) replica.nodeFound(node);
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
  // What falls due with time

  #tickLater(): void {
    this.#ticker = this.#options.platform.timers.after(this.#options.tickMs, () => {
      if (this.#isClosed) return;
      this.#tickLater();
      for (const replica of this.replicas.values()) replica.tickRaft();
    });
  }

  #look(): void {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const replica of this.replicas.values()) nextMs = Math.min(nextMs, replica.look());
    nextMs = Math.min(nextMs, this.#maybeCheckpoint(), this.#maybeCollect());
    this.#alarm.at(nextMs);
  }

  /** Returns when to look again. */
  #maybeCheckpoint(): number {
    const now = this.#options.platform.clock.monotonicMs();
    const dueMs = this.#lastCheckpointMs + this.#options.checkpointIntervalMs;
    let nextMs = Number.POSITIVE_INFINITY;
    let isDue = false;
    for (const replica of this.replicas.values()) {
      if (replica.isQuarantined) continue;
      if (replica.applier.index === replica.checkpointIndex) {
        replica.compact();
        if (replica.isLogLong) nextMs = Math.min(nextMs, now + COMPACT_AGAIN_MS);
      } else {
        nextMs = Math.min(nextMs, dueMs);
        if (now >= dueMs || replica.uncheckpointedBytes > CHECKPOINT_LOG_BYTES) isDue = true;
      }
    }
    if (!isDue) return nextMs;
    this.checkpoint().catch((error: unknown) => {
      this.#options.platform.process.fatal('dataWrite', 'a checkpoint failed', error);
    });
    // Its end asks for the next look.
    return Number.POSITIVE_INFINITY;
  }

  /** A setting of the history has changed. */
  historyChanged(): void {
    this.history.settingsChanged();
    this.#collectLater(0);
  }

  #collectLater(afterMs: number): void {
    if (!this.#options.data.hasHistory) return;
    const atMs = this.#options.platform.clock.monotonicMs() + afterMs;
    if (atMs < this.#collectAtMs) this.#collectAtMs = atMs;
    this.#alarm.at(this.#collectAtMs);
  }

  /** Lets versions go that nobody asks for any more (history-keeper.ts). Returns when to look again. */
  #maybeCollect(): number {
    if (this.#isCollecting || this.replicas.size === 0) return Number.POSITIVE_INFINITY;
    const nowMs = this.#options.platform.clock.monotonicMs();
    if (nowMs < this.#collectAtMs) return this.#collectAtMs;
    const { lagMs } = this.history;
    for (const replica of this.replicas.values()) replica.writeTime(lagMs);
    this.#collectAtMs = nowMs + lagMs;
    const times = [...this.replicas.values()].map((replica) => replica.applier.state.timeMs).filter((time) => time > 0);
    const floor = this.history.collectFloor(times);
    if (floor === null) return Number.POSITIVE_INFINITY;
    this.#isCollecting = true;
    this.#options.data.collect(floor, COLLECT_STEPS_MAX).then(
      (isDone) => {
        this.#isCollecting = false;
        if (!isDone) this.#collectLater(0);
        // What was applied meanwhile has set the time already.
        this.#alarm.at(this.#collectAtMs);
      },
      (error: unknown) => {
        this.#isCollecting = false;
        if (!this.#isClosed) this.#collectingFailed(error);
      },
    );
    return Number.POSITIVE_INFINITY;
  }

  /** Whose data is damaged leaves service; once it was rebuilt, what was not collected now is found. Others go on. */
  #collectingFailed(error: unknown): void {
    const { process } = this.#options.platform;
    if (!isDamage(error)) {
      process.fatal('dataWrite', 'collecting old versions failed', error);
      return;
    }
    const replica = error instanceof StoredDamage ? this.#replicaOf(error.slot) : undefined;
    if (replica === undefined) {
      process.fatal('dataDamaged', 'old versions cannot be read', error);
      return;
    }
    replica.reader.fail(error);
    this.#collectLater(COLLECT_GAP_MS);
  }

  #replicaOf(slot: number): Replica | undefined {
    return [...this.replicas.values()].find(({ slots }) => slot >= slots.first && slot <= slots.last);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Checkpoints

  /** Makes the data durable and lets the log forget what it no longer needs. One at a time. */
  checkpoint(): Promise<void> {
    this.#checkpointing ??= this.#checkpoint().finally(() => {
      this.#checkpointing = null;
      this.#lastCheckpointMs = this.#options.platform.clock.monotonicMs();
      // The marks of deleted records may go after a sync, entries after a checkpoint.
      this.#collectLater(0);
      this.#alarm.at(this.#lastCheckpointMs);
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

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#ticker?.cancel();
    this.#alarm.close();
    const closed = [...this.replicas.values()].map((replica) => replica.close());
    if (this.#checkpointing !== null) await this.#checkpointing;
    await Promise.all(closed);
  }
}
