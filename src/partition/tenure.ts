/**
 * Everything that a leader knows and nobody else may know: evaluated but uncommitted state, requests in flight, waiters,
 * reads to be confirmed. It is made when this replica becomes leader and thrown away when it is one no more, so that
 * nothing of it can outlive the term: every resident object is dropped, and every waiting request is repeated at the next leader.
 *
 * Hot path (bench: compat/bench, GET and SET): submit → evaluate → batch or answer, without a promise or a closure.
 *
 * Invariants:
 * - While the batch is open, its index is the next one of the log: nothing else is proposed before it is closed.
 * - An answer leaves only when everything that its evaluation saw has committed; one that changed nothing also waits for
 *   a confirmation of leadership that began after the evaluation.
 */
import { AssertionFailure, assert, mustExist } from '../base/assert.ts';
import { type LogIndex, SLOT_COUNT, type Term, type Timestamp } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import { Args } from '../commands/args.ts';
import { NotResident, type ScanPage, type ScanRequest } from '../commands/view.ts';
import { encodeReply } from '../resp/encode.ts';
import { INTERNAL_ERROR, KEY_ELSEWHERE, tryAgain, UNBLOCKED, uncertain } from '../resp/errors.ts';
import type { ErrorReply } from '../resp/reply.ts';
import { EncodedReply, type Reply, ReplyError } from '../resp/reply.ts';
import type { Space } from '../values/value.ts';
import { Batch } from './batch.ts';
import { ReplicaDamaged } from './damage.ts';
import type { EvaluationContext } from './evaluation-context.ts';
import {
  KeyElsewhere,
  KeyLocked,
  KeyNotResident,
  RangeNotResident,
  RequestAborted,
  WaitForKey,
} from './evaluation-ends.ts';
import { EvaluationView } from './evaluation-view.ts';
import { Expiries } from './expiries.ts';
import { HistoryReads, PastNotRead } from './history-reads.ts';
import type { Job, JobCall, Unblocking } from './job.ts';
import { Inflight } from './inflight.ts';
import { completeRead, distinctKeys, isStep, nameOf, refusalOf } from './job-answers.ts';
import { JobScans } from './job-scans.ts';
import { ALL_PARTS, KeyLocks, type KeyName, type TransactionPart, transactionName } from './key-locks.ts';
import {
  BATCH_BYTES_MAX,
  EVICTION_STEPS_PER_TURN,
  LOAD_ROUNDS_MAX,
  PARKED_REQUESTS_MAX,
  TIME_HELD_MS,
  UNCOMMITTED_BYTES_MAX,
} from './limits.ts';
import type { OpenDecision, StoredTransactions } from './open-transactions.ts';
import { Parked } from './parked.ts';
import type { PartitionState } from './partition-state.ts';
import { Pins } from './pins.ts';
import { ReadRounds } from './read-rounds.ts';
import type { RecordReader } from './record-reader.ts';
import { Repetitions } from './repetitions.ts';
import type { ResidentKey } from './resident.ts';
import { Slices } from './slices.ts';
import { Sweeper } from './sweeper.ts';
import { SweptKeys, type SweptKeysHost } from './swept-keys.ts';
import type { TenureHost } from './tenure-host.ts';
import { runTransaction } from './transactions.ts';

export class Tenure implements EvaluationContext {
  readonly batch = new Batch();
  readonly reader: RecordReader;
  readonly random: Random;
  readonly reads = new ReadRounds();
  readonly locks = new KeyLocks();
  readonly decisions = new Map<string, OpenDecision>();
  readonly #host: TenureHost;
  readonly #view: EvaluationView;
  readonly #args = new Args();
  readonly #parked = new Parked();
  readonly #expiries: Expiries;
  readonly swept: SweptKeys;
  readonly #sweeper: Sweeper;
  readonly #scans: JobScans;
  readonly past: HistoryReads;
  readonly #inflight = new Inflight();
  readonly #repetitions: Repetitions;
  readonly #loading = new Set<Job>();
  readonly #pins = new Pins();
  readonly #toWake: KeyName[] = [];
  #isWaking = false;
  readonly #slices: Slices;
  /** Partition time of the evaluations of this turn; 0 = not read yet. */
  #nowMs = 0;
  /** Monotonic ms of the next look that was asked for. */
  #lookAtMs = Number.POSITIVE_INFINITY;
  #isLooking = false;
  /** What is being evaluated, or was last. */
  #job: Job | null = null;
  #isOver = false;

  constructor(host: TenureHost, state: PartitionState, open: StoredTransactions) {
    this.#host = host;
    this.reader = host.reader;
    this.random = host.random;
    this.#slices = new Slices(host.clock);
    this.#view = new EvaluationView(this, host.budget);
    this.#view.reset(state);
    this.#repetitions = new Repetitions(host);
    this.#scans = new JobScans(host, this.#view);
    this.past = new HistoryReads(host, this.#view);
    const aside: SweptKeysHost = {
      view: this.#view,
      host,
      isOver: () => this.#isOver,
      lookAt: (atMs) => {
        this.lookAt(atMs);
      },
      begin: () => {
        this.#begin(null);
      },
      keepChanges: () => {
        this.#keepChanges();
      },
      loadKey: (missing) => this.#loadKey(missing, null),
    };
    this.swept = new SweptKeys(aside);
    this.#expiries = new Expiries(aside);
    this.#sweeper = new Sweeper(host.data, host.range, { target: this.swept, nowMs: host.clock.monotonicMs() });
    this.lookAt(this.#sweeper.nextMs);
    this.#takeUp(open);
  }

  /** What earlier leaders promised to transactions holds here too. */
  #takeUp({ intents, decisions }: StoredTransactions): void {
    const nowMs = this.#host.time.now();
    for (const intent of intents) {
      const part = this.locks.open(intent.id, 0);
      for (const write of intent.writes) this.locks.take(part, write, 'write');
      for (const check of intent.checks) this.locks.take(part, check, 'read');
      this.locks.prepare(part, intent, { nowMs, timestamp: 0 });
    }
    for (const decision of decisions) {
      this.decisions.set(transactionName(decision.id), { ...decision, sinceMs: nowMs });
    }
    if (intents.length + decisions.length > 0) this.#host.transactionOpened();
  }

  get residentKeys(): number {
    return this.#view.residents.keyCount;
  }

  get residentBytes(): number {
    return this.#view.residents.usedBytes;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Requests

  submit(job: Job): void {
    assert(!this.#isOver, 'a tenure that is over takes no requests');
    if (this.#slices.isUsedUp) this.#defer(job);
    else this.#start(job);
  }

  #start(job: Job): void {
    if ((this.#parked.count !== 0 || this.#loading.size !== 0) && this.#parked.isHeld(job.strand)) {
      if (this.#parked.count >= PARKED_REQUESTS_MAX)
        this.#answerError(job, refusalOf(job, 'too many requests are waiting'));
      else this.#parked.enqueueBehind(job);
      return;
    }
    try {
      if (job.isRetry && this.#answerKnown(job)) return;
    } catch (thrown) {
      this.#onThrown(job, thrown);
      return;
    }
    if (job.call !== null && !job.call.command.mayRunLong) {
      this.#evaluate(job);
      return;
    }
    const startedMs = this.#host.clock.monotonicMs();
    this.#evaluate(job);
    this.#slices.spend(startedMs);
    if (this.#slices.isUsedUp) this.#host.wake();
  }

  #defer(job: Job): void {
    if (!this.#slices.defer(job)) {
      this.#answerError(job, refusalOf(job, 'too many requests are waiting'));
      return;
    }
    this.lookAt(job.deadlineMs);
    this.#host.wake();
  }

  /** Called at the end of each turn that was asked for by `wake`: the next slice begins, and with it another moment. */
  nextSlice(): void {
    this.#nowMs = 0;
    if (this.#host.budget.isExceeded) this.lookAt(0);
    this.#wakeWaiters();
    this.#slices.next((job) => {
      this.#start(job);
    });
    if (this.#slices.isUsedUp) this.#host.wake();
  }

  /** The client of a job is gone: it leaves its queue, and what was held behind it goes on. */
  cancel(job: Job): void {
    job.isCancelled = true;
    if (this.#leaveQueue(job)) this.#releaseStrand(job);
  }

  /**
   * Ends the wait of a job for a key; false if it waits for none. It has changed nothing anywhere: a leader that holds it
   * knows what earlier ones did with it, and later ones get it only if it is to be repeated.
   */
  unblock(job: Job, how: Unblocking): boolean {
    if (!this.#parked.isParked(job)) return false;
    if (how === 'timeout') {
      job.isUnblocked = true;
      this.#evaluate(job);
    } else {
      this.#refuse(job, UNBLOCKED);
    }
    return true;
  }

  #evaluate(job: Job): void {
    if (job.mayWrite && this.#isLogFull) {
      this.#refuse(job, tryAgain('the log is full of writes that wait; nothing was applied'));
      return;
    }
    const view = this.#view;
    this.#begin(job);
    let reply: Reply;
    try {
      if (this.locks.stopper !== null && !isStep(job)) view.passStopper();
      if (job.call !== null) reply = this.#runCall(job.call);
      else reply = runTransaction(view, this.#args, mustExist(job.transaction, 'a job holds a call or a transaction'));
    } catch (thrown) {
      job.observedIndex = view.observedIndex;
      view.undoAll();
      this.#onThrown(job, thrown);
      return;
    }
    this.#countLookups();
    if (view.expired.length !== 0) this.#expiries.deleteAgain();
    job.observedIndex = view.observedIndex;
    if (!view.hasChanged) {
      // What was held behind it may be evaluated now, on the same view.
      const { isUnconfirmed } = view;
      this.#finish(job);
      if (isUnconfirmed) job.owner.complete(job, reply, 0);
      else this.#answerRead(job, reply);
      this.#wakeWaiters();
      return;
    }
    job.reply = reply;
    this.batch.jobs.push(job);
    if (!this.#host.isSoleVoter || job.node !== this.#host.node) {
      const encoded = encodeReply(reply, job.protocol);
      this.batch.answer(job, encoded);
      this.#repetitions.add(job, encoded, this.batch.index);
    }
    if (job.waits !== 0) job.deadlineMs = this.#host.clock.monotonicMs() + this.#host.commandTimeoutMs;
    this.lookAt(job.deadlineMs);
    // It waits no more: its own change must not wake it.
    this.#leaveQueue(job);
    this.#keepChanges();
    this.#finish(job);
  }

  #runCall(call: JobCall): Reply {
    this.#args.reset(call.argv, call.database);
    this.#view.countsLookups = call.command.countsLookups;
    return call.command.run(this.#view, this.#args);
  }

  #countLookups(): void {
    const { keyspaceStats } = this.#host;
    keyspaceStats.hits += this.#view.hits;
    keyspaceStats.misses += this.#view.misses;
  }

  #begin(job: Job | null): void {
    this.#job = job;
    if (this.batch.isEmpty) {
      this.batch.index = this.#host.lastIndex + 1;
    }
    if (this.#nowMs === 0) {
      this.#nowMs = this.#host.time.now();
      // It holds for this turn. Where answers leave at once, without a turn, it holds for a moment: the clock is read less often.
      if (!this.#host.isSoleVoter && !this.#host.isLeaseValid) this.#host.wake();
      else this.lookAt(this.#host.clock.monotonicMs() + TIME_HELD_MS);
    }
    this.#scans.begin(job);
    this.past.begin(job);
    const view = this.#view;
    view.begin(this.#nowMs, job?.protocol ?? 2);
    if (job === null) return;
    view.mayWait = job.call !== null && !job.isUnblocked;
    view.isNoTouch = job.isNoTouch;
    if (job.firstRunMs === 0) job.firstRunMs = this.#nowMs - Math.floor(job.waitedMs);
    view.firstRunMs = job.firstRunMs;
    view.waits = job.waits;
  }

  /** The evaluation stands: its changes stay in the batch, and whoever waits for a changed key is woken. */
  #keepChanges(): void {
    const view = this.#view;
    this.batch.timeMs = this.#nowMs;
    if (view.expired.length !== 0) this.#host.keyspaceStats.expiredKeys += distinctKeys(view.expired);
    const wakes = this.#parked.waiterCount !== 0;
    for (const resident of view.touched) {
      this.#scans.touched(resident);
      if (wakes && this.#parked.hasWaiters(resident.space, resident.key)) this.#toWake.push(resident);
    }
    view.commit();
    this.#host.wake();
    if (this.batch.sizeBytes > BATCH_BYTES_MAX) this.closeBatch();
    this.#wakeWaiters();
  }

  #finish(job: Job): void {
    if (job.waits === 0 && job.loads === 0 && job.lockWaits === 0) return;
    this.#leaveQueue(job);
    this.#loading.delete(job);
    this.#pins.release(job);
    this.#scans.finish(job);
    this.past.finish(job);
    this.#releaseStrand(job);
  }

  #releaseStrand(job: Job): void {
    if (!this.#parked.isHeld(job.strand)) return;
    for (const held of this.#parked.releaseStrand(job.strand)) {
      if (this.#isOver) held.owner.retry(held);
      else if (!held.isCancelled) this.#start(held);
    }
  }

  #answerRead(job: Job, reply: Reply): void {
    if (this.#isOver) {
      // An answer to what was held behind it has ended the tenure.
      job.owner.retry(job);
      return;
    }
    job.reply = reply;
    if (this.#host.isSoleVoter || this.#host.isLeaseValid) {
      if (job.observedIndex <= this.#host.commitIndex) {
        completeRead(job);
        return;
      }
      this.reads.addConfirmed(job);
    } else {
      this.reads.add(job);
    }
    this.lookAt(job.deadlineMs);
    this.#host.wake();
  }

  /** It ends here, and waits for nothing any more. */
  #refuse(job: Job, error: ErrorReply): void {
    this.#finish(job);
    this.#answerError(job, error);
  }

  #answerError(job: Job, error: ErrorReply): void {
    job.owner.complete(job, error, 0);
  }

  /** So much waits for the log already that it takes no writes. */
  get #isLogFull(): boolean {
    return this.#inflight.bytes + this.batch.sizeBytes >= UNCOMMITTED_BYTES_MAX || this.#host.isBackedUp;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Evaluations that cannot finish now

  #onThrown(job: Job, thrown: unknown): void {
    if (thrown instanceof ReplicaDamaged) {
      // This tenure is about to end; another leader has the request next.
      this.#loading.delete(job);
      this.#leaveQueue(job);
      this.#defer(job);
    } else if (thrown instanceof ReplyError || thrown instanceof RequestAborted) {
      this.#countLookups();
      // It waits no more, and nothing is evaluated before what it has seen is logged.
      this.#leaveQueue(job);
      if (this.#expiries.deleteSeen()) job.observedIndex = Math.max(job.observedIndex, this.batch.index);
      this.#finish(job);
      this.#answerRead(job, thrown.reply);
    } else if (thrown instanceof WaitForKey) {
      job.waits++;
      this.#park(job, thrown, thrown.deadlineMs);
    } else if (thrown instanceof KeyLocked) {
      this.#awaitKey(job, thrown);
    } else if (thrown instanceof KeyElsewhere) {
      this.#refuse(job, KEY_ELSEWHERE);
    } else if (
      thrown instanceof KeyNotResident ||
      thrown instanceof RangeNotResident ||
      thrown instanceof PastNotRead
    ) {
      this.#load(job, thrown);
    } else if (thrown instanceof AssertionFailure || thrown instanceof NotResident) {
      throw thrown;
    } else {
      // A command that breaks has changed nothing: it fails alone, and the cause is in the log.
      this.#host.log.error('evaluation failed', { group: this.#host.group, command: nameOf(job), error: thrown });
      this.#refuse(job, INTERNAL_ERROR);
    }
  }

  /** A transaction across partitions holds a key: the job waits for it in the key's queue, until its own deadline. */
  #awaitKey(job: Job, wait: KeyLocked): void {
    const leftMs = job.deadlineMs - this.#host.clock.monotonicMs();
    if (leftMs <= 0) {
      this.#refuse(job, refusalOf(job, 'a transaction holds its keys'));
      this.#wakeWaiters();
      return;
    }
    job.lockWaits++;
    if (job.waitsForAll && !wait.isForAll) this.#leaveQueue(job);
    job.waitsForAll = wait.isForAll;
    this.#park(job, wait, this.#host.time.now() + Math.ceil(leftMs));
  }

  /** It waits for no key any more, or for another one. False if it did not wait. */
  #leaveQueue(job: Job): boolean {
    if (job.waitsForAll) {
      // Who waits behind it may go on.
      job.waitsForAll = false;
      this.keyReleased(ALL_PARTS);
      this.#host.wake();
    }
    return this.#parked.unpark(job);
  }

  /** `deadlineMs`: partition time at which it is evaluated again even if nothing happens. */
  #park(job: Job, { space, key }: KeyName, deadlineMs: number): void {
    if (job.isCancelled) {
      this.#finish(job);
      return;
    }
    if (!this.#parked.isParked(job) && this.#parked.count >= PARKED_REQUESTS_MAX) {
      this.#refuse(job, refusalOf(job, 'too many requests are waiting'));
      return;
    }
    this.#parked.park(job, space, key, deadlineMs);
    this.lookAt(this.#monotonicMsOf(deadlineMs));
    this.#parked.hold(job.strand);
  }

  #load(job: Job, missing: KeyNotResident | RangeNotResident | PastNotRead): void {
    job.loads++;
    if (job.loads > LOAD_ROUNDS_MAX) {
      this.#refuse(job, tryAgain('its keys did not stay in memory; raise maxmemory'));
      return;
    }
    if (job.deadlineMs <= this.#host.clock.monotonicMs()) {
      this.#refuse(job, refusalOf(job, 'its keys could not be loaded in time'));
      return;
    }
    this.#loading.add(job);
    this.#parked.hold(job.strand);
    this.#read(job, missing).then(
      () => {
        if (this.#isOver || !this.#loading.delete(job)) return;
        if (job.isCancelled) {
          this.#finish(job);
          return;
        }
        this.#nowMs = 0;
        this.#evaluate(job);
      },
      (error: unknown) => {
        // The store may be closed by now.
        if (!this.#isOver) this.reader.fail(error);
      },
    );
  }

  #read(job: Job, missing: KeyNotResident | RangeNotResident | PastNotRead): Promise<void> {
    if (missing instanceof KeyNotResident) return this.#loadKey(missing, job);
    if (missing instanceof RangeNotResident) return this.#scans.load(job, missing.request);
    // What it waits for may still be in the open batch.
    this.#host.wake();
    return this.past.load(job, missing);
  }

  /** Brings a long value into memory; it stays there until `job` is done, if there is one. */
  async #loadKey(missing: KeyNotResident, job: Job | null): Promise<void> {
    const { space, key } = missing;
    const loaded = await this.reader.readLongKey(space, key);
    if (this.#isOver) return;
    const { residents } = this.#view;
    // Meanwhile the key may have been changed.
    if (residents.get(space, key) === undefined) {
      if (loaded === undefined || loaded.timestamp <= this.#view.flushedAt(space)) return;
      this.#view.admit(space, key, loaded.value, loaded);
    }
    const resident = residents.get(space, key);
    if (job !== null && resident !== undefined) this.#pins.pin(job, resident, this.#host.budget.limitBytes);
  }

  // -------------------------------------------------------------------------------------------------------------
  // EvaluationContext

  get appliedTimestamp(): Timestamp {
    return this.#host.appliedState.lastTimestamp;
  }

  get term(): Term {
    return this.#host.term;
  }

  get transactionTag(): string {
    return this.#host.transactionTag;
  }

  get isWhole(): boolean {
    const { first, last } = this.#host.slots;
    return first === 0 && last === SLOT_COUNT - 1;
  }

  keyReleased({ space, key }: KeyName): void {
    if (this.#parked.waiterCount !== 0 && this.#parked.hasWaiters(space, key)) this.#toWake.push({ space, key });
    if (this.#expiries.takeUpHeld()) this.lookAt(this.#monotonicMsOf(this.#expiries.nextMs));
  }

  transactionOpened(): void {
    this.#host.transactionOpened();
  }

  refusedTimestamp(aheadMs: number): void {
    const { log, group, keyspaceStats } = this.#host;
    keyspaceStats.refusedTimestamps++;
    log.warn('a commit timestamp was refused: the clock of some node is wrong', { group, aheadMs });
  }

  leaseEndsAt(untilMs: number): void {
    this.lookAt(this.#monotonicMsOf(untilMs));
  }

  slotOf(key: string): number {
    return this.#host.slotOf(key);
  }

  waiterCount(space: Space, key: string): number {
    return this.#parked.waitersBefore(this.#job, space, key);
  }

  isAllAwaited(): boolean {
    return this.#parked.isAllAwaitedBefore(this.#job);
  }

  randomCursor(): bigint {
    return this.#scans.randomCursor();
  }

  isCursorHere(cursor: bigint): boolean {
    return this.#host.scanner.isHere(cursor);
  }

  spaceFlushed(): void {
    this.#sweeper.hurry(this.#host.clock.monotonicMs());
    this.lookAt(this.#sweeper.nextMs);
  }

  scheduleExpiry(resident: ResidentKey): void {
    const { nextMs } = this.#expiries;
    this.#expiries.schedule(resident);
    if (this.#expiries.nextMs < nextMs) this.lookAt(this.#monotonicMsOf(this.#expiries.nextMs));
  }

  averageTtlMs(database: Space): number {
    return this.#expiries.averageTtlMs(database, this.#nowMs);
  }

  scanned(request: ScanRequest): ScanPage | undefined {
    return this.#scans.next(request, this.#nowMs);
  }

  // -------------------------------------------------------------------------------------------------------------
  // The log

  /** False while so many batches are under way that the open one does better to grow. */
  get mayCloseBatch(): boolean {
    return this.#inflight.takes(this.batch.sizeBytes);
  }

  /** Proposes what was collected; at the end of a turn, or earlier if much was. */
  closeBatch(): void {
    this.#nowMs = 0;
    if (this.batch.isEmpty) return;
    const bytes = this.batch.sizeBytes;
    const index = this.#host.propose(this.batch.encode());
    assert(index === this.batch.index, `a batch meant for index ${this.batch.index} became ${index}`);
    this.#inflight.push({ index, jobs: this.batch.jobs, bytes });
    this.#scans.batchClosed(index);
    this.batch.reset();
  }

  /** The entry has committed: the answers of its requests leave. */
  committed(index: LogIndex): void {
    this.#inflight.committed(index);
  }

  releaseReads(): void {
    this.reads.release(this.#host.commitIndex, completeRead);
  }

  /** The log tells the time again if it has not for so long, in ms (history-keeper.ts). */
  writeTime(lagMs: number): void {
    const { time, appliedState, isBackedUp } = this.#host;
    if (isBackedUp || time.now() - appliedState.timeMs < lagMs) return;
    this.#begin(null);
    this.#view.writeTime();
    this.#host.wake();
  }

  /** LevelDB holds everything up to `index`: those keys are clean now. */
  applied(index: LogIndex): void {
    this.#scans.applied(index);
    this.past.applied(index);
    this.#maybeEvict(index);
    this.#expiries.compact(this.residentKeys);
  }

  #maybeEvict(appliedIndex: LogIndex): void {
    const { budget, keyspaceStats } = this.#host;
    if (!budget.isExceeded) return;
    keyspaceStats.residentEvictions += this.#view.residents.evict(appliedIndex, EVICTION_STEPS_PER_TURN);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Time

  /** Asks for `look` at this monotonic moment (ms). Hot path: one comparison, since an earlier one is nearly always due. */
  lookAt(atMs: number): void {
    if (atMs >= this.#lookAtMs) return;
    this.#lookAtMs = atMs;
    if (!this.#isLooking) this.#host.lookAt(atMs);
  }

  /** When the partition's clock will have passed this moment of its own, on the monotonic clock, as far as can be told now. */
  #monotonicMsOf(timeMs: number): number {
    const { clock, time } = this.#host;
    return clock.monotonicMs() + Math.max(0, timeMs - time.now());
  }

  /**
   * Looks at what falls due with time: waiters, expired keys, requests past their deadline, what memory is to be given back.
   * Returns the monotonic moment of the next look (ms), Infinity if nothing is to come.
   */
  look(): number {
    this.#nowMs = 0;
    this.#lookAtMs = Number.POSITIVE_INFINITY;
    this.#isLooking = true;
    this.#endWaits();
    if (this.#isOver) return Number.POSITIVE_INFINITY;
    if (this.#expiries.nextMs <= this.#host.time.now()) this.#expiries.deleteDue();
    this.#endLeases();
    this.#maybeEvict(this.#host.appliedIndex);
    this.#expiries.compact(this.residentKeys);
    const monotonicMs = this.#host.clock.monotonicMs();
    this.#refuseLate(monotonicMs);
    this.lookAt(this.#repetitions.look(monotonicMs));
    this.#sweeper.tick(monotonicMs, (error) => this.reader.fail(error));
    this.#askAgain(monotonicMs);
    this.#isLooking = false;
    return this.#lookAtMs;
  }

  #endWaits(): void {
    if (this.#parked.waiterCount === 0) return;
    for (const job of this.#parked.due(this.#host.time.now())) {
      if (this.#isOver) return;
      // An earlier one may have woken this one.
      if (this.#parked.isParked(job)) this.#evaluate(job);
    }
  }

  /** A coordinator that has gone, or has forgotten: what it did not prepare is free again. True if some is not lost. */
  dropParts(isLost: (part: TransactionPart) => boolean): boolean {
    const { locks } = this;
    for (const part of [...locks.parts]) if (!part.isPrepared && isLost(part)) this.#view.close(part);
    this.#wakeWaiters();
    return locks.partCount > locks.preparedCount;
  }

  #endLeases(): void {
    if (this.locks.partCount === this.locks.preparedCount) return;
    const nowMs = this.#host.time.now();
    this.dropParts((part) => part.untilMs <= nowMs);
    for (const part of this.locks.parts) if (!part.isPrepared) this.leaseEndsAt(part.untilMs);
  }

  /** Of what is left, the earliest moment. What began during this look has asked for itself. */
  #askAgain(monotonicMs: number): void {
    this.lookAt(this.#monotonicMsOf(Math.min(this.#parked.nextDeadlineMs(), this.#expiries.nextMs)));
    if (this.#host.budget.isExceeded) this.lookAt(monotonicMs);
    this.lookAt(this.#sweeper.nextMs);
    for (const job of this.#slices.jobs) this.lookAt(job.deadlineMs);
    for (const job of this.#inflight.jobs()) this.lookAt(job.deadlineMs);
    for (const job of this.batch.jobs) this.lookAt(job.deadlineMs);
    this.lookAt(this.reads.nextDeadlineMs());
  }

  #refuseLate(nowMs: number): void {
    const isLate = (job: Job): boolean => job.deadlineMs <= nowMs;
    for (const job of this.#slices.remove(isLate)) {
      this.#answerError(job, refusalOf(job, 'its turn did not come in time'));
    }
    for (const job of this.#inflight.remove(isLate)) {
      this.#answerError(job, uncertain('no majority confirmed the write in time'));
    }
    if (this.reads.isEmpty) return;
    for (const job of this.reads.remove(isLate)) {
      this.#answerError(job, refusalOf(job, 'no majority confirmed the read in time'));
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Waiting for keys

  #wakeWaiters(): void {
    if (this.#isWaking || this.#toWake.length === 0) return;
    this.#isWaking = true;
    for (let next = this.#toWake.shift(); next !== undefined; next = this.#toWake.shift()) {
      for (const job of this.#parked.jobsOf(next.space, next.key)) {
        // An earlier one of the queue may have ended the tenure or, through its strand, this job.
        if (this.#isOver) break;
        if (this.#parked.isParked(job) && !job.isCancelled) this.#evaluate(job);
      }
    }
    this.#isWaking = false;
  }

  /** True if the request is in the log already: it gets the recorded answer once that entry has committed. */
  #answerKnown(job: Job): boolean {
    this.closeBatch();
    const known = this.#repetitions.find(job);
    this.lookAt(this.#repetitions.look(this.#host.clock.monotonicMs()));
    job.appliedAt = known?.index ?? 0;
    if (known === undefined) return false;
    job.observedIndex = known.index;
    this.#answerRead(job, new EncodedReply(known.reply));
    return true;
  }

  // -------------------------------------------------------------------------------------------------------------

  /** Ends the tenure. Everything that waits is returned, to be repeated at the next leader. */
  end(): readonly Job[] {
    this.#isOver = true;
    // Who was woken and found something to be loaded still has its place in a queue.
    const jobs = new Set([
      ...this.#inflight.clear(),
      ...this.batch.jobs,
      ...this.reads.clear(),
      ...this.#loading,
      ...this.#parked.clear(),
      ...this.#slices.clear(),
    ]);
    this.batch.reset();
    this.#loading.clear();
    this.#scans.clear();
    this.past.clear();
    this.#expiries.clear();
    this.#toWake.length = 0;
    this.#view.residents.clear();
    return [...jobs].filter((job) => !job.isCancelled);
  }
}
