/**
 * One replica of a partition: drives its Raft core, keeps the log and LevelDB in step with it, and, while it leads,
 * evaluates requests through a tenure.
 *
 * The engine calls `turn` once per event-loop turn in which something happened here; what a turn must make durable goes
 * into the flush that all replicas of the node share.
 *
 * Invariants:
 * - Only entries that are committed and durable on this node are applied.
 * - Nothing is evaluated before the first entry of the own term is in LevelDB: until then resident objects could miss
 *   what an earlier leader committed (thesis §6.4 asks for its commit; LevelDB is where evaluation reads from).
 */
import { assert, mustExist } from '../base/assert.ts';
import { type GroupId, type LogIndex, type NodeId, SLOT_COUNT, type Term } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock, Random } from '../base/platform.ts';
import type { RaftCore } from '../raft/core.ts';
import { type ConfState, type Entry, MESSAGE_TYPES, type Message, type Ready } from '../raft/types.ts';
import type { DataStore, RecordRange } from '../storage/data/types.ts';
import type { LogCheckpoint, RaftLog } from '../storage/log/types.ts';
import type { ApplyPace } from './apply-pace.ts';
import { Applier } from './applier.ts';
import { ReplicaDamaged } from './damage.ts';
import type { RecordedAnswer } from './entry-format.ts';
import type { TransactionPart } from './key-locks.ts';
import type { Job, Unblocking } from './job.ts';
import type { KeyspaceStats } from './keyspace-stats.ts';
import { LOG_BYTES_MAX, UNAPPLIED_BYTES_MAX } from './limits.ts';
import { LogWindow, type LogWindowHost } from './log-window.ts';
import {
  NO_TRANSACTIONS,
  type OpenDecision,
  readOpenTransactions,
  type StoredTransactions,
} from './open-transactions.ts';
import { encodePartitionState, type Holds, type PartitionState } from './partition-state.ts';
import { PartitionTime } from './partition-time.ts';
import { partitionRange } from './ranges.ts';
import type { RecordReader } from './record-reader.ts';
import type { RequestLedger } from './request-ledger.ts';
import type { MemoryBudget } from './resident.ts';
import type { Scanner } from './scanner.ts';
import { Tenure } from './tenure.ts';
import type { TenureHost } from './tenure-host.ts';
import { TRANSACTION_SPACE } from '../values/value.ts';
import { tagOfSlot } from '../base/slots.ts';

/** An entry of a leader that has nothing to say. */
const NO_DATA = new Uint8Array(0);

/** What a replica needs of the node around it. */
export interface ReplicaHost {
  readonly node: NodeId;
  readonly clock: Clock;
  readonly log: Logger;
  readonly raftLog: RaftLog;
  readonly data: DataStore;
  readonly budget: MemoryBudget;
  readonly applyPace: ApplyPace;
  readonly keyspaceStats: KeyspaceStats;
  readonly random: Random;
  /** Asks for a turn of this replica at the end of the present event-loop turn. */
  wake(replica: Replica): void;
  /** Asks for `look` at this monotonic moment (ms), or soon after. */
  lookAt(atMs: number): void;
  send(group: GroupId, message: Message): void;
  /** Streams the state of this replica to a node that lags too far behind. */
  sendSnapshot(replica: Replica, message: Message): void;
  /** The core has taken a snapshot that was staged here: it is to be installed. */
  installSnapshot(replica: Replica): void;
  /** Calls back once everything that is staged now is durable. */
  flushed(done: () => void): void;
  /** This replica leads and serves (`isServing`), or has just ceased to. */
  servingChanged(replica: Replica, isServing: boolean): void;
  /** The data of this replica is damaged: it has left service and waits to be rebuilt. */
  quarantined(replica: Replica, reason: string): void;
  /** The data was replaced by that of another replica. */
  rebuilt(replica: Replica): void;
  /** LevelDB holds more of the replica's entries. */
  appliedTo(replica: Replica): void;
  /** An entry says which moments the partition holds. Resolves when that is in effect: nothing is applied before. */
  holdsChanged(replica: Replica, holds: Holds): Promise<void>;
  /** A transaction is prepared or decided here, and may have to be settled. */
  transactionOpened(): void;
}

export interface ReplicaOptions {
  readonly group: GroupId;
  readonly core: RaftCore;
  readonly slots: { readonly first: number; readonly last: number };
  readonly reader: RecordReader;
  readonly scanner: Scanner;
  readonly slotOf: (key: string) => number;
  readonly readConsistency: 'quorum' | 'lease';
  /** Length of a lease from the start of the round that granted it, in ms; below the election time-out. */
  readonly leaseMs: number;
  readonly commandTimeoutMs: number;
  /** How long answers stay in the log, in ms: longer than any request can be repeated. */
  readonly requestWindowMs: number;
  /** Entries that are kept for followers that come back, in bytes; a group of one keeps none. */
  readonly logMemoryBytes: number;
  readonly applied: { readonly index: LogIndex; readonly term: Term; readonly state: PartitionState };
  /** Why its data cannot be used from the start on; null if it can. */
  readonly damage: string | null;
}

export class Replica implements TenureHost, LogWindowHost {
  readonly group: GroupId;
  readonly core: RaftCore;
  readonly reader: RecordReader;
  readonly scanner: Scanner;
  readonly time: PartitionTime;
  readonly slots: { readonly first: number; readonly last: number };
  readonly commandTimeoutMs: number;
  readonly applier: Applier;
  readonly requestWindowMs: number;
  readonly transactionTag: string;
  readonly #window: LogWindow;
  readonly #host: ReplicaHost;
  readonly #options: ReplicaOptions;
  #tenure: Tenure | null = null;
  #isServing = false;
  /** Index of the first entry of the own term, while this replica leads. */
  #ownTermIndex: LogIndex = 0;
  #role: string = 'follower';
  #leader: NodeId = 0;
  #term: Term;
  #leaseUntilMs = 0;
  #isTransferring = false;
  /** The records of open transactions are being read, before this replica serves. */
  #isTakingUp = false;
  /** This start began without a memory, and nobody has given it back yet. */
  #isAmnesiac: boolean;
  /** Why its data is not used until it was rebuilt; null while it is well. */
  #damage: string | null = null;
  /** The node is being closed. */
  #isClosed = false;
  /** Committed entries up to here were handed out by the core. */
  #handedIndex: LogIndex;

  constructor(
    host: ReplicaHost,
    options: ReplicaOptions,
    checkpoint: { readonly index: LogIndex; readonly term: Term },
  ) {
    this.#host = host;
    this.#options = options;
    this.group = options.group;
    this.core = options.core;
    this.reader = options.reader;
    this.scanner = options.scanner;
    this.slots = options.slots;
    this.commandTimeoutMs = options.commandTimeoutMs;
    this.requestWindowMs = options.requestWindowMs;
    const { first } = options.slots;
    this.transactionTag = first < SLOT_COUNT ? tagOfSlot(first) : '';
    this.time = new PartitionTime(host.clock);
    this.time.logged(options.applied.state.timeMs);
    this.#term = options.core.term;
    this.#isAmnesiac = options.core.isAmnesiac;
    this.#handedIndex = options.applied.index;
    this.applier = new Applier({
      pace: host.applyPace,
      group: options.group,
      data: host.data,
      events: this,
      index: options.applied.index,
      term: options.applied.term,
      state: options.applied.state,
    });
    this.#window = new LogWindow(this, checkpoint);
    if (this.core.confState.voters.length > 1) {
      this.reader.onDamage = (error) => {
        this.quarantine(error instanceof Error ? error.message : String(error));
      };
    }
    if (options.damage !== null) this.quarantine(options.damage);
  }

  // -------------------------------------------------------------------------------------------------------------
  // TenureHost

  get node(): NodeId {
    return this.#host.node;
  }

  get clock(): Clock {
    return this.#host.clock;
  }

  get random(): Random {
    return this.#host.random;
  }

  get budget(): MemoryBudget {
    return this.#host.budget;
  }

  get keyspaceStats(): KeyspaceStats {
    return this.#host.keyspaceStats;
  }

  get log(): Logger {
    return this.#host.log;
  }

  get data(): DataStore {
    return this.#host.data;
  }

  get range(): RecordRange {
    return partitionRange(this.slots);
  }

  get term(): Term {
    return this.core.term;
  }

  get isSoleVoter(): boolean {
    const { voters, votersOutgoing } = this.core.confState;
    return voters.length === 1 && votersOutgoing.length === 0 && voters[0] === this.#host.node;
  }

  get lastIndex(): LogIndex {
    return this.core.lastIndex;
  }

  get commitIndex(): LogIndex {
    return this.core.commitIndex;
  }

  get appliedIndex(): LogIndex {
    return this.applier.index;
  }

  get appliedState(): PartitionState {
    return this.applier.state;
  }

  get isBackedUp(): boolean {
    return this.applier.pendingBytes > UNAPPLIED_BYTES_MAX || this.core.logBytes > LOG_BYTES_MAX;
  }

  get isLeaseValid(): boolean {
    return this.#leaseUntilMs !== 0 && this.#host.clock.monotonicMs() < this.#leaseUntilMs;
  }

  slotOf(key: string): number {
    return this.#options.slotOf(key);
  }

  propose(entry: Uint8Array): LogIndex {
    return this.core.propose(entry);
  }

  wake(): void {
    this.#host.wake(this);
  }

  lookAt(atMs: number): void {
    this.#host.lookAt(atMs);
  }

  transactionOpened(): void {
    this.#host.transactionOpened();
  }

  fillLedger(ledger: RequestLedger): void {
    this.#window.fillLedger(ledger);
  }

  // LogWindowHost

  get raftLog(): RaftLog {
    return this.#host.raftLog;
  }

  get keepBytes(): number {
    return this.isSoleVoter ? 0 : this.#options.logMemoryBytes;
  }

  // -------------------------------------------------------------------------------------------------------------
  // What others see

  /** True while requests may be submitted here. */
  get isServing(): boolean {
    return this.#isServing && !this.#isTransferring;
  }

  get leader(): NodeId {
    return this.#leader;
  }

  get role(): 'leader' | 'follower' | 'candidate' | 'learner' {
    const role = this.core.role;
    if (role === 'leader') return 'leader';
    if (!this.core.isVoter || this.core.isAmnesiac) return 'learner';
    return role === 'follower' ? 'follower' : 'candidate';
  }

  get residentKeys(): number {
    return this.#tenure?.residentKeys ?? 0;
  }

  get residentBytes(): number {
    return this.#tenure?.residentBytes ?? 0;
  }

  /** Bytes of entries that the log keeps. */
  get logBytes(): number {
    return this.core.logBytes;
  }

  /** The log keeps more than followers that come back may need: only the age of its entries protects them. */
  get isLogLong(): boolean {
    return this.core.logBytes > this.keepBytes;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Requests

  submit(job: Job): void {
    const tenure = this.#activeTenure();
    if (tenure === null) job.owner.retry(job);
    else tenure.submit(job);
  }

  /** If it leads, and its log has not told the time for so long (ms), it does. */
  writeTime(lagMs: number): void {
    this.#activeTenure()?.writeTime(lagMs);
  }

  cancel(job: Job): void {
    job.isCancelled = true;
    this.#activeTenure()?.cancel(job);
  }

  // Transactions across partitions

  /** Prepared parts that wait for a decision; none where this replica does not lead. */
  get preparedParts(): readonly TransactionPart[] {
    const locks = this.#activeTenure()?.locks;
    return locks === undefined || locks.preparedCount === 0 ? [] : [...locks.parts].filter((part) => part.isPrepared);
  }

  /** Commits that were decided here and are not known everywhere. */
  get openDecisions(): readonly OpenDecision[] {
    return [...(this.#activeTenure()?.decisions.values() ?? [])];
  }

  /** Drops unprepared parts of lost coordinators. True if others are left. */
  dropParts(isLost: (part: TransactionPart) => boolean): boolean {
    return this.#activeTenure()?.dropParts(isLost) ?? false;
  }

  /** Ends the wait of a job for a key; false if it waits for none here. */
  unblock(job: Job, how: Unblocking): boolean {
    return this.#activeTenure()?.unblock(job, how) ?? false;
  }

  /** The tenure, if work may go into it: the core may have stepped down since the last turn, or hand over. */
  #activeTenure(): Tenure | null {
    const isOver = this.core.role !== 'leader' || this.core.term !== this.#term || this.#damage !== null;
    if (this.#tenure !== null && isOver) this.#endTenure();
    return this.#isTransferring ? null : this.#tenure;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Driving Raft

  tickRaft(): void {
    this.core.tick();
    if (this.#damage !== null && !this.core.isTransferring) this.core.resign();
    if (this.#isTransferring && !this.core.isTransferring && this.#isServing) {
      // The other node did not take over in time: this one goes on.
      this.#isTransferring = false;
      this.#host.servingChanged(this, true);
    }
    // A lease is renewed in turns.
    if (this.#tenure !== null && this.#options.readConsistency === 'lease') this.#host.wake(this);
    else this.#wakeIfDue();
  }

  /** A turn, if the core has something to hand out or wants something. */
  #wakeIfDue(): void {
    if (this.core.hasReady() || this.core.entryWanted > this.core.lastIndex) this.#host.wake(this);
  }

  /** Looks at what falls due with time. Returns the monotonic moment of the next look (ms), Infinity if nothing is to come. */
  look(): number {
    try {
      return this.#activeTenure()?.look() ?? Number.POSITIVE_INFINITY;
    } catch (error) {
      // The replica has left service.
      if (!(error instanceof ReplicaDamaged)) throw error;
      return Number.POSITIVE_INFINITY;
    }
  }

  step(message: Message): void {
    if (message.leaderTimeMs > 0 && message.term >= this.core.term) this.time.heard(message.leaderTimeMs);
    this.core.step(message);
    this.#wakeIfDue();
  }

  /** The connection to a node ended: if it led, look for a new leader at once (quorum reads only: a lease relies on silence). */
  nodeLost(node: NodeId): void {
    this.core.reportUnreachable(node);
    if (this.#options.readConsistency === 'quorum' && this.core.leader === node && this.core.role !== 'leader') {
      this.core.forgetLeader();
    }
    this.#host.wake(this);
  }

  /** There is a new connection to a node. */
  nodeFound(node: NodeId): void {
    this.core.reportReachable(node);
    this.#wakeIfDue();
  }

  /** Every voter is as new as this one (see RaftCore.found). */
  found(): boolean {
    if (!this.core.found()) return false;
    this.#host.wake(this);
    return true;
  }

  /**
   * One turn: closes the batch unless the log is busy (then more joins it), and hands out what Raft wants done. Returns
   * the Ready whose persistence the engine must report with `persisted`, or null if there was nothing.
   */
  turn(isLogBusy: boolean): Ready | null {
    const tenure = this.#activeTenure();
    if (this.#damage !== null) this.#leaveOffice();
    if (tenure !== null) {
      tenure.nextSlice();
      if (!isLogBusy && (this.isSoleVoter || tenure.mayCloseBatch)) tenure.closeBatch();
      this.#startReadRound(tenure);
    }
    if (this.core.entryWanted > this.core.lastIndex && (tenure === null || tenure.batch.isEmpty)) {
      this.core.propose(NO_DATA);
    }
    if (!this.core.hasReady()) return null;
    const ready = this.core.ready();
    this.#noteRole(ready);
    this.#stage(ready);
    this.#send(ready.messages);
    this.#take(ready);
    return ready;
  }

  /** Everything that `ready` staged is durable. */
  persisted(ready: Ready): void {
    this.#send(ready.messagesAfterPersist);
    this.core.persisted(ready.number);
    if (this.#isAmnesiac && !this.core.isAmnesiac) {
      this.#isAmnesiac = false;
      this.#host.log.info('this replica votes from now on', { group: this.group, term: this.core.term });
    }
    this.#wakeIfDue();
  }

  #startReadRound(tenure: Tenure): void {
    const now = this.#host.clock.monotonicMs();
    const isLease = this.#options.readConsistency === 'lease' && !this.isSoleVoter;
    const renew = isLease && this.#leaseUntilMs - now < this.#options.leaseMs / 2;
    const context = tenure.reads.startRound(now, renew);
    if (context !== 0) assert(this.core.readIndex(context), 'a serving leader confirms reads');
  }

  #stage(ready: Ready): void {
    const { raftLog } = this.#host;
    if (ready.entries.length > 0) {
      this.#window.append(ready.entries);
      raftLog.stageEntries(this.group, ready.entries);
    }
    if (ready.hardState !== null) raftLog.stageHardState(this.group, ready.hardState);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.type === MESSAGE_TYPES.snapshot) {
        this.#host.sendSnapshot(this, message);
        continue;
      }
      if (message.type === MESSAGE_TYPES.append || message.type === MESSAGE_TYPES.heartbeat) {
        message.leaderTimeMs = this.#isServing ? this.time.now() : 0;
      }
      this.#host.send(this.group, message);
    }
  }

  #take(ready: Ready): void {
    const tenure = this.#tenure;
    for (const entry of ready.committed) {
      this.applier.enqueue(entry);
      tenure?.committed(entry.index);
      this.#handedIndex = entry.index;
    }
    for (const state of ready.readStates) {
      const startedMs = tenure?.reads.confirm(state.context) ?? -1;
      if (startedMs >= 0 && this.#options.readConsistency === 'lease' && this.core.isLeaseAllowed) {
        this.#leaseUntilMs = Math.max(this.#leaseUntilMs, startedMs + this.#options.leaseMs);
      }
    }
    // A batch that committed makes room for the one that collects.
    if (tenure !== null && ready.committed.length > 0) this.#host.wake(this);
    tenure?.releaseReads();
    // A round that ended makes room for the next.
    if (ready.readStates.length > 0 && tenure?.reads.hasWaiting === true) this.#host.wake(this);
    if (ready.snapshot !== null) this.#host.installSnapshot(this);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Roles

  #noteRole(ready: Ready): void {
    const { role, leader, term } = ready.softState;
    const wasLeader = this.#role === 'leader';
    const isNewTerm = term !== this.#term;
    if (wasLeader && (role !== 'leader' || isNewTerm)) this.#endTenure();
    if (role === 'leader' && (!wasLeader || isNewTerm)) {
      this.#ownTermIndex = this.core.lastIndex;
      this.#host.log.info('became leader', { group: this.group, term });
    }
    this.#role = role;
    this.#leader = leader;
    this.#term = term;
    this.#maybeServe();
  }

  #maybeServe(): void {
    if (!this.#mayServe || this.#isTakingUp) return;
    if ((this.applier.state.keyCounts[TRANSACTION_SPACE] ?? 0) === 0) {
      this.#serve(NO_TRANSACTIONS);
      return;
    }
    // Nothing is proposed before the tenure begins, so what is read stays true.
    const term = this.#term;
    this.#isTakingUp = true;
    readOpenTransactions(this.#host.data, this.reader, this.slots.first).then(
      (open) => {
        this.#isTakingUp = false;
        if (this.#mayServe && this.#term === term) this.#serve(open);
        else this.#maybeServe();
      },
      (error: unknown) => {
        this.#isTakingUp = false;
        if (!this.#isClosed) this.reader.fail(error);
      },
    );
  }

  get #mayServe(): boolean {
    if (this.#damage !== null || this.#isServing || this.#isClosed) return false;
    if (this.#role !== 'leader' || this.applier.index < this.#ownTermIndex) return false;
    // The core may have stepped down since its last Ready.
    return this.core.role === 'leader' && this.core.term === this.#term;
  }

  #serve(open: StoredTransactions): void {
    this.time.anchor();
    this.#tenure = new Tenure(this, this.applier.state, open);
    this.#isServing = true;
    this.#host.log.info('serves as leader', { group: this.group, term: this.core.term });
    this.#host.servingChanged(this, true);
  }

  #endTenure(): void {
    const tenure = this.#tenure;
    this.#tenure = null;
    this.#leaseUntilMs = 0;
    this.#isTransferring = false;
    if (!this.#isServing || tenure === null) return;
    this.#isServing = false;
    this.#host.log.info('no longer leader', { group: this.group, term: this.core.term });
    const jobs = tenure.end();
    this.#host.servingChanged(this, false);
    for (const job of jobs) job.owner.retry(job);
  }

  /** Nothing is evaluated here any more. Resolves when the data is left alone. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#endTenure();
    return this.applier.suspend();
  }

  /** Hands leadership to another voter; requests wait at their entry nodes meanwhile. */
  transferLeadership(to: NodeId): boolean {
    const tenure = this.#activeTenure();
    if (tenure === null) return false;
    tenure.closeBatch();
    if (!this.core.transferLeadership(to)) return false;
    this.#isTransferring = true;
    this.#leaseUntilMs = 0;
    this.#host.servingChanged(this, false);
    this.#host.wake(this);
    return true;
  }

  // -------------------------------------------------------------------------------------------------------------
  // ApplierEvents

  applied(index: LogIndex): void {
    // After a rebuild entries are applied again that were applied before.
    if (index > this.core.appliedIndex) this.core.applied(index);
    this.#maybeServe();
    this.#tenure?.applied(index);
    this.#host.appliedTo(this);
    this.#wakeIfDue();
  }

  holdsChanged(holds: Holds): Promise<void> {
    return this.#host.holdsChanged(this, holds);
  }

  damaged(error: unknown): void {
    this.reader.fail(error);
  }

  confStateAfter(entry: Entry): ConfState {
    return this.core.snapshotMetadata(entry.index).confState;
  }

  // -------------------------------------------------------------------------------------------------------------
  // The log's length

  /** What LevelDB holds now, for a checkpoint that becomes valid once LevelDB was synced. */
  checkpointCandidate(): LogCheckpoint {
    const { index, term, state } = this.applier;
    return { index, term, state: encodePartitionState(state) };
  }

  get checkpointIndex(): LogIndex {
    return this.#window.checkpointIndex;
  }

  /** Bytes of entries that came after the last checkpoint. */
  get uncheckpointedBytes(): number {
    return this.#window.uncheckpointedBytes;
  }

  checkpointed(checkpoint: LogCheckpoint): void {
    if (this.#window.checkpointed(checkpoint)) this.#host.wake(this);
  }

  compact(): void {
    if (this.#window.compact()) this.#host.wake(this);
  }

  /** A snapshot took the place of the data: the log follows, then the core learns of it. */
  installed(checkpoint: LogCheckpoint, state: PartitionState, done: () => void): void {
    this.#window.resets(checkpoint);
    this.#host.flushed(() => {
      this.#window.installed();
      this.time.logged(state.timeMs);
      this.core.snapshotInstalled(checkpoint.index);
      this.#handedIndex = checkpoint.index;
      this.applier.resume(checkpoint.index, checkpoint.term, state);
      this.core.applied(checkpoint.index);
      this.#endQuarantine();
      this.#host.wake(this);
      done();
    });
  }

  // -------------------------------------------------------------------------------------------------------------
  // Damaged data (cluster/quarantine.ts has the whole story)

  /** True while the data of this replica is not to be used: it votes and keeps the log, but neither applies nor leads. */
  get isQuarantined(): boolean {
    return this.#damage !== null;
  }

  /** Takes the replica out of service until its data was replaced. Safe to be called from within an evaluation. */
  quarantine(reason: string): void {
    if (this.#damage !== null) return;
    this.#damage = reason;
    this.core.bar(true);
    // What is under way was taken from the log, which is intact.
    void this.applier.suspend();
    this.#host.quarantined(this, reason);
    this.#host.wake(this);
  }

  /** A leader with damaged data hands over to whoever has most of the log; if that fails, it just stops leading. */
  #leaveOffice(): void {
    if (this.core.role !== 'leader' || this.core.isTransferring) return;
    const { voters } = this.core.confState;
    const successors = this.core
      .followers()
      .filter(({ id, isRecentlyActive }) => isRecentlyActive && voters.includes(id));
    const best = successors.sort((a, b) => b.match - a.match)[0];
    if (best === undefined || !this.core.transferLeadership(best.id)) this.core.resign();
  }

  /**
   * Whether a copy of another replica's data as of (index, term) can take the place of the damaged data now. 'later': the log
   * here is not committed that far yet. 'no': the log here would not lead on from it.
   */
  canRebuildFrom(at: { readonly index: LogIndex; readonly term: Term }): 'now' | 'later' | 'no' {
    if (this.#damage === null || at.index < this.checkpointIndex) return 'no';
    if (at.index > this.#handedIndex) return 'later';
    return this.core.termAt(at.index) === at.term ? 'now' : 'no';
  }

  /** The data is a copy as of `installed`, durably; the log leads on from there. */
  rebuildFrom(installed: LogCheckpoint, state: PartitionState): void {
    assert(this.canRebuildFrom(installed) === 'now', 'what was installed fits the log');
    this.#window.carried();
    this.time.logged(state.timeMs);
    this.applier.resume(installed.index, installed.term, state);
    // What was handed out meanwhile and lies in the copy is applied, although it never was here.
    if (installed.index > this.core.appliedIndex) this.core.applied(installed.index);
    for (let index = installed.index + 1; index <= this.#handedIndex; index++) {
      this.applier.enqueue(mustExist(this.core.entry(index), `entry ${index} is in memory`));
    }
    this.#endQuarantine();
    this.#host.appliedTo(this);
    this.#host.wake(this);
  }

  #endQuarantine(): void {
    if (this.#damage === null) return;
    this.#damage = null;
    this.core.bar(false);
    this.#host.rebuilt(this);
  }

  /** Answers that a repeated request may still ask for, in entries up to `index`. */
  answersUpTo(index: LogIndex): readonly RecordedAnswer[] {
    return this.#window.answersUpTo(index);
  }
}
