/**
 * What one evaluation sees and changes: the leader's resident objects, ahead of commit, with everything needed to take
 * it back.
 *
 * Hot path (bench: compat/bench, GET and SET). A read is one Map look-up. A change puts the new value into the resident
 * object at once, writes the record into the open batch, and remembers the old fields in a reused undo record. An
 * evaluation that throws is undone from the last change to the first; nothing of it is left.
 *
 * `observedIndex` is the greatest log index whose change the evaluation has seen (absences included): its answer may
 * leave once that index has committed.
 */
import { assert } from '../base/assert.ts';
import { msOfTimestamp, nextTimestamp, timestampFromMs } from '../base/hlc.ts';
import type { LogIndex, Term, Timestamp } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import type { KeyObject, PastView, Savepoint, ScanPage, ScanRequest, View } from '../commands/view.ts';
import { clockAhead, futureMoment, MOMENT_NOT_OVER } from '../resp/errors.ts';
import { type ErrorReply, type Protocol, ReplyError } from '../resp/reply.ts';
import { DATABASE_COUNT, SPACE_COUNT, type Space, type Value } from '../values/value.ts';
import type { Batch } from './batch.ts';
import {
  KeyElsewhere,
  KeyLocked,
  KeyNotResident,
  RangeNotResident,
  RequestAborted,
  WaitForKey,
} from './evaluation-ends.ts';
import type { EvaluationContext } from './evaluation-context.ts';
import { ALL_DATABASES } from './entry-format.ts';
import {
  ALL_PARTS,
  isWhole,
  type KeyLock,
  type KeyLocks,
  type KeyName,
  type LockMode,
  type TransactionPart,
  transactionName,
} from './key-locks.ts';
import { CLOCK_AHEAD_MAX_MS } from './limits.ts';
import type { OpenDecision } from './open-transactions.ts';
import { type Holds, NO_HOLDS, type PartitionState } from './partition-state.ts';
import { deleteKeyRecords, deleteRecord, putKeyRecords } from './record-writer.ts';
import type { Intent } from './transaction-codec.ts';
import { isPresent, type MemoryBudget, type ResidentKey, ResidentTable, type SpaceTable } from './resident.ts';
import { type FlushedSpace, UndoLog, UndoMark, type UndoRecord } from './undo-log.ts';

/** Keys that a flush turns into tombstones one by one. */
const FLUSH_TOMBSTONES_MAX = 10_000;
/** Keys that RANDOMKEY chooses from, from a random place on. */
const RANDOM_PAGE_KEYS = 64;

/** The newest state of a key. Absent: `version` is when it went, or later. */
export interface NewestKey {
  readonly version: Timestamp;
  /** Null: too long to be read within an evaluation. */
  readonly value: Value | null | undefined;
  readonly expiresAtMs: number;
}

export class EvaluationView implements View {
  nowMs = 0;
  protocol: Protocol = 2;
  waits = 0;
  firstRunMs = 0;
  mayWait = false;
  isNoTouch = false;
  countsLookups = false;
  scriptMs = 0;
  /** On whose behalf keys are read and changed; null for everything but a transaction across partitions. */
  part: TransactionPart | null = null;
  /** The answer may leave at once: whoever gets it asks again before it relies on it. */
  isUnconfirmed = false;
  /** Look-ups of this evaluation that counted: found, not found. */
  hits = 0;
  misses = 0;
  observedIndex: LogIndex = 0;
  /** Keys whose change others may be waiting for; collected only while `collectsTouched`. */
  touched: ResidentKey[] = [];
  /** Keys that this evaluation found expired. */
  expired: { readonly space: Space; readonly key: string }[] = [];

  readonly residents: ResidentTable;
  readonly random: Random;
  readonly #context: EvaluationContext;
  readonly #batch: Batch;
  /** Speculative state: as of the last evaluated command. Reset from the applied state when leadership begins. */
  readonly #keyCounts: number[] = new Array<number>(SPACE_COUNT).fill(0);
  /** By database: keys that have an expiry. */
  readonly #expiringCounts: number[] = new Array<number>(DATABASE_COUNT).fill(0);
  readonly #flushedAt: Timestamp[] = new Array<number>(SPACE_COUNT).fill(0);
  readonly #flushIndex: LogIndex[] = new Array<number>(SPACE_COUNT).fill(0);
  #lastTimestamp: Timestamp = 0;
  #timestamp: Timestamp = 0;
  /** Greatest timestamp that an entry, or the open batch, says: no later leader commits at or below it. */
  #loggedTimestamp: Timestamp = 0;
  /** The last entry with a commit timestamp below that of an earlier one. */
  #backdatedIndex: LogIndex = 0;
  #holds: Holds = NO_HOLDS;
  /** `nowMs` as an integer that a field holds without a box. */
  #nowSeconds = 0;
  readonly #undo = new UndoLog();
  #startPosition = 0;
  /** A key that this evaluation has found neither in memory nor in LevelDB: who asks and then sets it looks there once. */
  #absentSpace: Space = -1;
  #absentKey = '';

  constructor(context: EvaluationContext, budget: MemoryBudget) {
    this.#context = context;
    this.#batch = context.batch;
    this.random = context.random;
    this.residents = new ResidentTable(budget, context.locks);
  }

  /** Forgets all speculation and starts from what is applied. */
  reset(state: PartitionState): void {
    this.residents.clear();
    for (let space = 0; space < SPACE_COUNT; space++) {
      this.#keyCounts[space] = state.keyCounts[space] ?? 0;
      this.#flushedAt[space] = state.flushedAt[space] ?? 0;
      this.#flushIndex[space] = 0;
    }
    for (let space = 0; space < DATABASE_COUNT; space++) this.#expiringCounts[space] = state.expiringCounts[space] ?? 0;
    // No record carries this one: what WATCH is told of a forgotten key is no version that a key ever had.
    this.#lastTimestamp = state.lastTimestamp + 1;
    this.residents.forgetUpTo(this.#lastTimestamp);
    this.#loggedTimestamp = state.lastTimestamp;
    this.#backdatedIndex = 0;
    this.#holds = state.holds;
    this.#undo.count = 0;
    this.touched = [];
  }

  // -------------------------------------------------------------------------------------------------------------
  // One evaluation

  begin(nowMs: number, protocol: Protocol): void {
    this.nowMs = nowMs;
    this.#nowSeconds = Math.floor(nowMs / 1_000);
    this.protocol = protocol;
    this.waits = 0;
    this.firstRunMs = nowMs;
    this.mayWait = false;
    this.isNoTouch = false;
    this.countsLookups = false;
    this.scriptMs = 0;
    this.part = null;
    this.isUnconfirmed = false;
    this.hits = 0;
    this.misses = 0;
    this.observedIndex = 0;
    this.#timestamp = 0;
    this.#undo.count = 0;
    this.#startPosition = this.#batch.position;
    this.#absentSpace = -1;
    this.touched.length = 0;
    if (this.expired.length !== 0) this.expired = [];
  }

  get hasChanged(): boolean {
    return this.#undo.count > 0 || this.#batch.position > this.#startPosition;
  }

  /** Keeps what the evaluation changed. */
  commit(): void {
    this.#batch.lastTimestamp = this.#lastTimestamp;
    this.#loggedTimestamp = this.#lastTimestamp;
    for (let i = 0; i < this.#undo.count; i++) {
      const undo = this.#undo.at(i);
      undo.resident = null;
      undo.value = undefined;
      undo.flushed = null;
    }
    this.#undo.count = 0;
  }

  /** Takes everything back that the evaluation changed. */
  undoAll(): void {
    this.#undoTo(0, this.#startPosition);
  }

  savepoint(): Savepoint {
    return new UndoMark(this.#undo.count, this.#batch.position);
  }

  rollback(savepoint: Savepoint): void {
    assert(savepoint instanceof UndoMark, 'a savepoint comes from the view that made it');
    this.#undoTo(savepoint.undoCount, savepoint.position);
  }

  get timestamp(): Timestamp {
    if (this.#timestamp === 0) {
      this.#timestamp = nextTimestamp(this.#lastTimestamp, this.nowMs);
      this.#lastTimestamp = this.#timestamp;
    }
    return this.#timestamp;
  }

  get revision(): Timestamp {
    return this.timestamp;
  }

  /** Whatever is evaluated later at this leader gives what it changes a version above this one. */
  get closedTimestamp(): Timestamp {
    return Math.min(this.#lastTimestamp, this.#context.locks.preparedFloor);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Reading

  find(space: Space, key: string): KeyObject | undefined {
    const resident = this.#live(space, key);
    if (resident !== undefined && !this.isNoTouch) this.#accessed(resident);
    return this.#counted(resident);
  }

  touch(space: Space, key: string): boolean {
    const resident = this.#counted(this.#live(space, key));
    if (resident === undefined) return false;
    this.#accessed(resident);
    return true;
  }

  #accessed(resident: ResidentKey): void {
    resident.isReferenced = true;
    resident.accessedAtSeconds = this.#nowSeconds;
  }

  peek(space: Space, key: string): KeyObject | undefined {
    return this.#counted(this.#live(space, key));
  }

  #counted(resident: ResidentKey | undefined): (ResidentKey & KeyObject) | undefined {
    if (resident === undefined || !isPresent(resident)) {
      if (this.countsLookups) this.misses++;
      return undefined;
    }
    if (this.countsLookups) this.hits++;
    return resident;
  }

  version(space: Space, key: string): Timestamp {
    const resident = this.#live(space, key);
    if (resident !== undefined) return resident.version;
    // Deleted or expired: the tombstone tells when; never seen: not after what was forgotten.
    return this.residents.get(space, key)?.version ?? this.residents.forgottenVersion;
  }

  /**
   * True if the key is as it was at `version`. One whose time has come is not, even if a transaction holds it: who asks may be
   * that transaction, and must not wait for itself.
   */
  isUnchanged(space: Space, key: string, version: Timestamp): boolean {
    const resident = this.#resident(space, key);
    if (resident === undefined) return version === this.residents.forgottenVersion;
    const { value, expiresAtMs } = resident;
    const isOver = value !== undefined && expiresAtMs !== 0 && expiresAtMs <= this.nowMs;
    return !isOver && resident.version === version;
  }

  keyCount(space: Space): number {
    this.#observeAll();
    return this.#keyCounts[space] ?? 0;
  }

  expiring(database: Space): { readonly count: number; readonly averageTtlMs: number } {
    this.#observeAll();
    const count = this.#expiringCounts[database] ?? 0;
    return { count, averageTtlMs: count === 0 ? 0 : this.#context.averageTtlMs(database) };
  }

  /** Counts and scans depend on every change so far. */
  #observeAll(): void {
    this.passAllParts();
    this.observeEvaluated();
  }

  /** The answer waits until everything that was evaluated by now has committed. */
  observeEvaluated(): void {
    this.#observe(this.#batch.index === 0 ? 0 : this.#batch.index - 1);
    if (!this.#batch.isEmpty) this.#observe(this.#batch.index);
  }

  beforeAllKeys(): void {
    if (!this.#context.isWhole) throw new KeyElsewhere();
  }

  scan(request: ScanRequest): ScanPage {
    // What corrects the page looks keys up too; those are not the command's look-ups.
    const { countsLookups } = this;
    this.countsLookups = false;
    const page = this.#context.scanned(request);
    this.countsLookups = countsLookups;
    if (page === undefined) throw new RangeNotResident(request);
    this.#observeAll();
    return page;
  }

  randomKey(space: Space): string | undefined {
    if (this.keyCount(space) === 0) return undefined;
    const start = this.#context.randomCursor();
    const pageFrom = (cursor: bigint): ScanPage =>
      this.scan({ space, cursor, count: RANDOM_PAGE_KEYS, matches: () => true });
    let cursor = start;
    for (let hasWrapped = false; ; ) {
      const page = pageFrom(cursor);
      const key = page.keys[this.random.u32() % Math.max(1, page.keys.length)];
      if (key !== undefined) return key;
      cursor = page.next;
      if (!this.#context.isCursorHere(cursor)) {
        if (hasWrapped) return undefined;
        hasWrapped = true;
        cursor = 0n;
      }
    }
  }

  /** Deletes a stored record that a flush left behind and no live key refers to. Outside of requests only. */
  dropDead(recordKey: Uint8Array, replaces: Timestamp): void {
    deleteRecord(this.#batch, recordKey, this.timestamp, replaces);
  }

  /** Commit timestamp below which records of the space are dead. */
  flushedAt(space: Space): Timestamp {
    return this.#flushedAt[space] ?? 0;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Changing

  put(space: Space, key: string, value: Value, expiresAtMs: number, forgetsPast = false): void {
    if (expiresAtMs !== 0 && expiresAtMs <= this.nowMs) {
      this.erase(space, key);
      return;
    }
    const present = this.#resident(space, key);
    if (!this.#context.locks.isEmpty) this.#passToChange(space, key, present);
    const resident = present ?? this.residents.add(space, key);
    const timestamp = this.timestamp;
    this.#remember(resident);
    const old = resident.value;
    putKeyRecords(this.#batch, {
      slot: this.#context.slotOf(key),
      space,
      key,
      old,
      value,
      expiresAtMs,
      timestamp,
      // A flush may have left a record under the key that nobody has looked at.
      replaces: old === undefined ? (this.#flushedAt[space] ?? 0) : resident.version,
      isReplacedUnknown: old === undefined,
      forgetsPast: forgetsPast && this.#holds.floor === 0,
    });
    if (old === undefined) this.#count(space, 1);
    this.#countExpiring(space, resident.expiresAtMs, expiresAtMs);
    resident.value = value;
    resident.expiresAtMs = expiresAtMs;
    resident.version = timestamp;
    resident.changedIndex = this.#batch.index;
    this.#accessed(resident);
    this.residents.charge(resident);
    if (expiresAtMs !== 0 && (resident.scheduledAtMs === 0 || expiresAtMs < resident.scheduledAtMs)) {
      this.#context.scheduleExpiry(resident);
    }
    this.touched.push(resident);
  }

  remove(space: Space, key: string): boolean {
    const resident = this.#resident(space, key);
    if (resident?.value === undefined) return false;
    if (resident.lock !== null) this.#pass(resident.lock, true);
    const wasLive = resident.expiresAtMs === 0 || resident.expiresAtMs > this.nowMs;
    this.#delete(resident);
    return wasLive;
  }

  /** The key is absent now. If it was before, it came and went within one moment. */
  erase(space: Space, key: string): void {
    if (!this.remove(space, key)) this.#touchAbsent(space, key);
  }

  /** The key came and went within one moment: nothing to write, but whoever watches it shall know. */
  #touchAbsent(space: Space, key: string): void {
    const present = this.residents.get(space, key);
    if (!this.#context.locks.isEmpty) this.#passToChange(space, key, present);
    const resident = present ?? this.residents.add(space, key);
    this.#remember(resident);
    resident.version = this.timestamp;
    this.residents.charge(resident);
  }

  flush(space: Space | 'all'): void {
    this.passAllParts();
    for (const part of [...this.#context.locks.parts]) if (part !== this.part) this.close(part);
    const timestamp = this.timestamp;
    this.#batch.flush(space === 'all' ? ALL_DATABASES : space, timestamp);
    this.#context.spaceFlushed();
    const first = space === 'all' ? 0 : space;
    const last = space === 'all' ? DATABASE_COUNT - 1 : space;
    for (let flushed = first; flushed <= last; flushed++) {
      const undo = this.#undo.add();
      const keyCount = this.#keyCounts[flushed] ?? 0;
      const expiringCount = this.#expiringCounts[flushed] ?? 0;
      const table = this.residents.takeOut(flushed);
      undo.flushed = {
        space: flushed,
        table,
        flushedAt: this.#flushedAt[flushed] ?? 0,
        flushIndex: this.#flushIndex[flushed] ?? 0,
        keyCount,
        expiringCount,
      };
      this.#leaveTombstones(table, keyCount, timestamp);
      this.#flushedAt[flushed] = timestamp;
      this.#flushIndex[flushed] = this.#batch.index;
      this.#count(flushed, -keyCount);
      this.#addExpiring(flushed, -expiringCount);
    }
    // A record not newer than the flush is dead: what follows in this evaluation gets a timestamp of its own.
    this.#timestamp = 0;
  }

  /**
   * WATCH notices that a flush took a key, and only that: keys that were there are absent since now, others since when
   * they were. Of very many keys, and of keys that were not in memory, only the whole is remembered; then a watch on an absent key may
   * fail in vain.
   */
  #leaveTombstones(table: SpaceTable, keyCount: number, timestamp: Timestamp): void {
    if (table.keys.size > FLUSH_TOMBSTONES_MAX) {
      this.residents.forgetUpTo(timestamp);
      return;
    }
    let presentCount = 0;
    for (const taken of table.keys.values()) if (taken.value !== undefined) presentCount++;
    if (presentCount < keyCount) this.residents.forgetUpTo(timestamp);
    for (const taken of table.keys.values()) {
      const tombstone = this.residents.add(taken.space, taken.key);
      tombstone.version = taken.value === undefined ? taken.version : timestamp;
      tombstone.changedIndex = this.#batch.index;
      this.residents.charge(tombstone);
    }
  }

  abort(reply: ErrorReply): never {
    throw new RequestAborted(reply);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Transactions across partitions

  get locks(): KeyLocks {
    return this.#context.locks;
  }

  get decisions(): Map<string, OpenDecision> {
    return this.#context.decisions;
  }

  get term(): Term {
    return this.#context.term;
  }

  get transactionTag(): string {
    return this.#context.transactionTag;
  }

  /** Takes a free key for a part. Not undone if the evaluation throws later: the part keeps it until it is closed. */
  lock(part: TransactionPart, name: KeyName, mode: LockMode): void {
    const lock = this.#context.locks.take(part, name, mode);
    const resident = this.residents.get(name.space, name.key);
    if (resident !== undefined) resident.lock = lock;
  }

  /** From now on the part is a promise. */
  prepare(part: TransactionPart, intent: Intent): void {
    this.#context.locks.prepare(part, intent, { nowMs: this.nowMs, timestamp: this.timestamp });
    this.#context.transactionOpened();
  }

  /** A commit that its participants are to be told of. */
  decided(decision: OpenDecision): void {
    this.#context.decisions.set(transactionName(decision.id), decision);
    this.#context.transactionOpened();
  }

  /** An unprepared part holds its keys for `leaseMs` from now on. */
  lease(part: TransactionPart, leaseMs: number): void {
    part.untilMs = this.nowMs + leaseMs;
    this.#context.leaseEndsAt(part.untilMs);
    this.#context.transactionOpened();
  }

  /** Lets go what the part holds. The last act of an evaluation: it is not undone. */
  close(part: TransactionPart): void {
    const { locks } = this.#context;
    for (const lock of locks.close(part)) {
      const resident = this.residents.get(lock.space, lock.key);
      if (resident !== undefined) resident.lock = lock.isHeld ? lock : null;
      this.#context.keyReleased(lock);
    }
    this.#context.keyReleased(ALL_PARTS);
  }

  /** A new part must not come in front of what waits until none is prepared: null, or how to wait. */
  obstacleOfNewPart(): KeyLocked | null {
    return this.#context.isAllAwaited() ? new KeyLocked(ALL_PARTS) : null;
  }

  /** How to wait for a key that is not free. */
  obstacleOf(name: KeyName): KeyLocked {
    const isKey = this.#context.locks.find(name.space, name.key)?.isHeld === true;
    return isKey ? new KeyLocked(name) : new KeyLocked(ALL_PARTS, isWhole(name));
  }

  /** Everything waits while somebody has the partition as a whole. */
  passStopper(): void {
    if (this.#context.locks.stopper !== null) throw new KeyLocked(ALL_PARTS);
  }

  /** What is prepared may have been acknowledged: counts, scans and flushes must not miss it. */
  passAllParts(): void {
    const own = this.part?.isPrepared === true ? 1 : 0;
    if (this.#context.locks.preparedCount > own) throw new KeyLocked(ALL_PARTS, true);
  }

  /**
   * From now on every commit timestamp is greater than this one, which came from another partition. Throws ReplyError if it is
   * so far ahead of the time here that a clock must be wrong.
   */
  advance(timestamp: Timestamp): void {
    if (timestamp <= this.#lastTimestamp) return;
    assert(this.#timestamp === 0, 'the clock is advanced before a timestamp is taken');
    const aheadMs = msOfTimestamp(timestamp) - this.nowMs;
    if (aheadMs > CLOCK_AHEAD_MAX_MS) {
      this.#context.refusedTimestamp(aheadMs);
      throw new ReplyError(clockAhead(aheadMs));
    }
    this.#lastTimestamp = timestamp;
  }

  /** What this evaluation changes was committed at `timestamp`, elsewhere: later than the present version of each key concerned. */
  commitAt(timestamp: Timestamp): void {
    assert(this.#timestamp === 0, 'an evaluation has one timestamp');
    this.#timestamp = timestamp;
    if (timestamp > this.#lastTimestamp) this.#lastTimestamp = timestamp;
    else this.#backdatedIndex = this.#batch.index;
  }

  #pass(lock: KeyLock, isWrite: boolean): void {
    if (!lock.admits(this.part, isWrite)) throw new KeyLocked(lock);
  }

  #passToRead(space: Space, key: string): void {
    const lock = this.#context.locks.find(space, key);
    if (lock !== undefined) this.#pass(lock, false);
  }

  #passToChange(space: Space, key: string, resident: ResidentKey | undefined): void {
    const lock = resident === undefined ? this.#context.locks.find(space, key) : resident.lock;
    if (lock !== null && lock !== undefined) this.#pass(lock, true);
  }

  // -------------------------------------------------------------------------------------------------------------
  // The past (history-reads.ts)

  get past(): PastView {
    return this.#context.past;
  }

  /**
   * From when the answer may leave, nothing is ever committed at or below `at`, by this leader or the next, that was not evaluated by
   * now. Throws ReplyError for a moment that is not over.
   */
  promise(at: Timestamp): void {
    if (this.#timestamp !== 0 && at >= this.#timestamp) throw new ReplyError(MOMENT_NOT_OVER);
    if (at <= this.#context.appliedTimestamp) return;
    const aheadMs = msOfTimestamp(at) - this.nowMs;
    if (at > this.#loggedTimestamp && aheadMs > CLOCK_AHEAD_MAX_MS) throw new ReplyError(futureMoment(aheadMs));
    this.#passTime(at);
    this.#observeAll();
  }

  /** Writes the time into the log. Nobody waits for it, so it waits for nothing: parts that are prepared are not in its way. */
  writeTime(): void {
    this.#passTime(timestampFromMs(this.nowMs));
  }

  /** What is evaluated from now on, here and at later leaders, has a later timestamp. */
  #passTime(at: Timestamp): void {
    if (at <= this.#loggedTimestamp) return;
    if (at > this.#lastTimestamp) this.#lastTimestamp = at;
    this.#batch.promise(this.#lastTimestamp, this.nowMs);
    this.#loggedTimestamp = this.#lastTimestamp;
  }

  /** The entry after which LevelDB holds all that was evaluated by now, as far as it was committed at or below `at`. */
  settledIndex(at: Timestamp): LogIndex {
    return at <= this.#context.appliedTimestamp ? this.#backdatedIndex : this.evaluatedIndex;
  }

  /** The entry that holds the last of what was evaluated by now and not undone. */
  get evaluatedIndex(): LogIndex {
    return this.#batch.isEmpty ? this.#batch.index - 1 : this.#batch.index;
  }

  /** The newest state of a key, expired or not, without making it resident. */
  newest(space: Space, key: string): NewestKey {
    const resident = this.residents.get(space, key);
    if (resident !== undefined) {
      if (resident.lock !== null) this.#pass(resident.lock, false);
      this.#observe(resident.changedIndex);
      const { version, value, expiresAtMs } = resident;
      return { version, value, expiresAtMs };
    }
    if (!this.#context.locks.isEmpty) this.#passToRead(space, key);
    this.#observe(this.#flushIndex[space] ?? 0);
    const loaded = this.#context.reader.readKey(space, key);
    const flushedAt = this.#flushedAt[space] ?? 0;
    // What a flush has killed is swept up without a trace in memory.
    const absent = { version: Math.max(this.residents.forgottenVersion, flushedAt), value: undefined, expiresAtMs: 0 };
    if (loaded === undefined) return absent;
    const { timestamp, value, expiresAtMs } = loaded;
    if (timestamp <= flushedAt) return absent;
    return { version: timestamp, value, expiresAtMs };
  }

  get holds(): Holds {
    return this.#holds;
  }

  /** Says in the log which moments are held from now on. The last act of an evaluation: it is not undone. */
  hold(holds: Holds): void {
    this.#batch.hold(holds);
    this.#holds = holds;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Waiting

  waitFor(space: Space, key: string, deadlineMs: number): never {
    throw new WaitForKey(space, key, deadlineMs);
  }

  waiterCount(space: Space, key: string): number {
    return this.#context.waiterCount(space, key);
  }

  // -------------------------------------------------------------------------------------------------------------

  /** The resident key if the partition holds the key, loading it if need be; expired ones included. */
  #resident(space: Space, key: string): ResidentKey | undefined {
    const resident = this.residents.get(space, key);
    if (resident === undefined) {
      if (!this.#context.locks.isEmpty) this.#passToRead(space, key);
      return space === this.#absentSpace && key === this.#absentKey ? undefined : this.#load(space, key);
    }
    if (resident.lock !== null) this.#pass(resident.lock, false);
    if (resident.changedIndex > this.observedIndex) this.observedIndex = resident.changedIndex;
    return resident;
  }

  #live(space: Space, key: string): ResidentKey | undefined {
    const resident = this.#resident(space, key);
    if (resident === undefined || resident.expiresAtMs === 0 || resident.value === undefined) return resident;
    if (resident.expiresAtMs > this.nowMs) return resident;
    if (resident.lock !== null) this.#pass(resident.lock, true);
    this.expired.push({ space, key });
    this.#delete(resident);
    return undefined;
  }

  #load(space: Space, key: string): ResidentKey | undefined {
    this.#observe(this.#flushIndex[space] ?? 0);
    const loaded = this.#context.reader.readKey(space, key);
    if (loaded === undefined || loaded.timestamp <= (this.#flushedAt[space] ?? 0)) {
      this.knownAbsent(space, key);
      return undefined;
    }
    if (loaded.value === null) throw new KeyNotResident(space, key);
    return this.admit(space, key, loaded.value, loaded);
  }

  /** The key need not be looked for: nobody can have set it, or it was looked for. */
  knownAbsent(space: Space, key: string): void {
    this.#absentSpace = space;
    this.#absentKey = key;
  }

  /** Makes a key resident as LevelDB holds it. */
  admit(
    space: Space,
    key: string,
    value: Value,
    fields: { readonly expiresAtMs: number; readonly timestamp: Timestamp },
  ): ResidentKey {
    const resident = this.residents.add(space, key);
    resident.value = value;
    resident.expiresAtMs = fields.expiresAtMs;
    resident.version = fields.timestamp;
    resident.accessedAtSeconds = this.#nowSeconds;
    this.residents.charge(resident);
    if (resident.expiresAtMs !== 0) this.#context.scheduleExpiry(resident);
    return resident;
  }

  #delete(resident: ResidentKey): void {
    const old = resident.value;
    assert(old !== undefined, 'only a key that is there can be deleted');
    const timestamp = this.timestamp;
    this.#remember(resident);
    const { space, key, version } = resident;
    const slot = this.#context.slotOf(key);
    deleteKeyRecords(this.#batch, { slot, space, key, timestamp, replaces: version }, old);
    this.#count(resident.space, -1);
    this.#countExpiring(space, resident.expiresAtMs, 0);
    resident.value = undefined;
    resident.expiresAtMs = 0;
    resident.version = timestamp;
    resident.changedIndex = this.#batch.index;
    if (resident.changedIndex > this.observedIndex) this.observedIndex = resident.changedIndex;
    this.residents.charge(resident);
    this.touched.push(resident);
  }

  #count(space: Space, change: number): void {
    this.#keyCounts[space] = (this.#keyCounts[space] ?? 0) + change;
    this.#batch.countChange(space, change);
  }

  /** The expiry of a key changes; 0 = none. A key that is absent has none. */
  #countExpiring(space: Space, beforeMs: number, afterMs: number): void {
    if ((beforeMs === 0) !== (afterMs === 0) && space < DATABASE_COUNT)
      this.#addExpiring(space, afterMs === 0 ? -1 : 1);
  }

  #addExpiring(space: Space, change: number): void {
    this.#expiringCounts[space] = (this.#expiringCounts[space] ?? 0) + change;
    this.#batch.expiringChange(space, change);
  }

  #observe(index: LogIndex): void {
    if (index > this.observedIndex) this.observedIndex = index;
  }

  #remember(resident: ResidentKey): void {
    const undo = this.#undo.add();
    undo.resident = resident;
    undo.value = resident.value;
    undo.expiresAtMs = resident.expiresAtMs;
    undo.version = resident.version;
    undo.changedIndex = resident.changedIndex;
  }

  #undoTo(count: number, position: number): void {
    while (this.#undo.count > count) {
      this.#undo.count--;
      const undo = this.#undo.at(this.#undo.count);
      if (undo.flushed !== null) this.#unflush(undo.flushed);
      if (undo.resident !== null) this.#undoKey(undo.resident, undo);
      undo.flushed = null;
      undo.resident = null;
      undo.value = undefined;
    }
    this.#batch.truncate(position);
  }

  #undoKey(resident: ResidentKey, undo: UndoRecord): void {
    const wasPresent = undo.value !== undefined;
    const isNowPresent = resident.value !== undefined;
    if (wasPresent !== isNowPresent) this.#count(resident.space, wasPresent ? 1 : -1);
    this.#countExpiring(resident.space, resident.expiresAtMs, undo.expiresAtMs);
    resident.value = undo.value;
    resident.expiresAtMs = undo.expiresAtMs;
    resident.version = undo.version;
    resident.changedIndex = undo.changedIndex;
    // A key that came into being here was never known to be absent: forget it rather than keep a guess.
    if (!wasPresent && undo.changedIndex === 0) this.residents.drop(resident);
    else this.residents.charge(resident);
    if (resident.expiresAtMs !== 0 && resident.scheduledAtMs === 0) this.#context.scheduleExpiry(resident);
  }

  #unflush(flushed: FlushedSpace): void {
    this.residents.restore(flushed.space, flushed.table);
    this.#flushedAt[flushed.space] = flushed.flushedAt;
    this.#flushIndex[flushed.space] = flushed.flushIndex;
    this.#count(flushed.space, flushed.keyCount);
    this.#addExpiring(flushed.space, flushed.expiringCount);
  }
}
