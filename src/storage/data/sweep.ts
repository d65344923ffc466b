/**
 * A pass over the keys of the store that finds superseded versions by their neighbours: over all of them for what the
 * collector's queue has forgotten, or over the records of one key whose past was cut short (trim). It reads keys without
 * values, in chunks, each on a fresh iterator: a snapshot held over a slow pass would keep LevelDB from letting go of anything.
 *
 * Between two chunks the store changes, but only above the place of the walk: a version can only be superseded by a
 * younger one, which sorts before it. So what the walk has concluded of a record stays true when it goes on.
 *
 * What the neighbours tell about a version committed at t:
 * - a younger version of t' is there: superseded at t';
 * - it is the first, and the record has no newest version: a tombstone, lone once all under it are gone;
 * - it is the first, and the record has a newest version: that one's own copy, which stays; unless it stems from an earlier
 *   period of history (t <= since) and the record has been written since without a copy. Only then is the value read.
 *
 * What was superseded at or before the floor is garbage, and so is, of a key with a mark that its past begins later
 * (versions.ts), what was superseded at or before that. Every batch that deletes on the strength of a mark carries the mark.
 * Where more versions of a key are met than are kept of one, its past begins with the last that is, or with the oldest moment
 * that is held. The elements of a key lie behind its own record, so all this is known when they come.
 *
 * Damage belongs to one replica, and the walk passes through all. A read that fails over many slots is done again slot by slot, until
 * it is known whose the damage is; the walk then goes on behind that slot, so that other replicas lose nothing. What it leaves
 * out is found when the replica has been rebuilt, since everything remembered is forgotten then (garbage.ts, reset).
 */
import type { Slot, Timestamp } from '../../base/ids.ts';
import type { History } from './history.ts';
import {
  allRecords,
  isHistoryStart,
  isKeyRecord,
  keyPrefixLength,
  recordKeyLength,
  slotRange,
  versionOf,
} from './keys.ts';
import { isDataDamage, StoredDamage } from './damage.ts';
import {
  isEndOfRange,
  type KeyValueStore,
  type StoreBatch,
  type StoreEntry,
  type StoreRange,
} from './key-value-store.ts';
import { sealedTimestamp } from './records.ts';
import type { RecordRange } from './types.ts';
import { historyStart, putHistoryStart } from './versions.ts';

const CHUNK_COUNT_MAX = 256;
const NEVER = Number.MAX_SAFE_INTEGER;

/** What is left of the steps of one call of `collect`. */
export interface StepBudget {
  left: number;
}

/** Where the past of a key begins. */
export interface KeyStart {
  /** Of the key's own record. */
  readonly key: Uint8Array;
  readonly start: Timestamp;
}

export interface SweepFindings {
  readonly deletedCount: number;
  /** Lone or soon lone, at or below the floor. Their keys belong to the receiver. */
  readonly tombstones: readonly { readonly key: Uint8Array; readonly timestamp: Timestamp }[];
  /** Keys that have a mark since this chunk, and the moment that it says. They belong to the receiver. */
  readonly marked: readonly KeyStart[];
  readonly isEnd: boolean;
  /** Smallest moment at which something that this pass left becomes garbage. */
  readonly nextGarbageAt: Timestamp;
  /** At the end: the pass began with every deletion durable and saw nothing but lone tombstones. */
  readonly isConclusive: boolean;
}

export interface SweepOptions {
  /** Default: all records. */
  readonly range?: RecordRange;
  /** Every deletion that was made before is durable. */
  readonly beganClean: boolean;
  /** The past of the one key in the range begins there, whether or not its mark is written yet. */
  readonly start?: Timestamp;
}

export class Sweep {
  readonly #store: KeyValueStore;
  readonly #beganClean: boolean;
  readonly #end: Uint8Array;
  /** Everything before it has been looked at. */
  #start: Uint8Array;
  /** Somewhere ahead lies what cannot be read: chunks end with their slot. */
  #isSlotwise = false;
  /** The record whose versions are being walked; empty before the first. */
  #recordKey: Buffer = Buffer.alloc(0);
  #hasNewest = false;
  /** Timestamp of the version before this one in the walk; undefined at the first of its record. */
  #newer: Timestamp | undefined;
  /** Versions of the record that were superseded after the floor, if it is a key's own. */
  #olderCount = 0;
  /** The key's own record, to which the record belongs, and where its past begins: 0 if not later than the store's. */
  #keyRecord: Buffer = Buffer.alloc(0);
  #keyStart: Timestamp = 0;
  /** Where it begins if no more versions of the key are kept than may be, and none is held; 0: no more were met. */
  #countedStart: Timestamp = 0;
  readonly #startAtLeast: Timestamp;
  /** The batch that carries the mark of `#keyRecord`. */
  #markedBatch: StoreBatch | null = null;
  #marked: KeyStart[] = [];
  #nextGarbageAt: Timestamp = NEVER;
  #hasVersions = false;

  constructor(store: KeyValueStore, options: SweepOptions) {
    const range = options.range ?? allRecords();
    this.#store = store;
    this.#beganClean = options.beganClean;
    this.#start = range.start;
    this.#end = range.end;
    this.#startAtLeast = options.start ?? 0;
  }

  /** The finder of something had to leave it although it is garbage from `timestamp` on. */
  leaves(timestamp: Timestamp): void {
    this.#nextGarbageAt = Math.min(this.#nextGarbageAt, timestamp);
  }

  /**
   * Walks one chunk and adds deletions to `batch`. Costs one step a key and one a deletion. Rejects with StoredDamage: then the batch is
   * void, and the next call goes on behind the slot.
   */
  async next(history: History, batch: StoreBatch, budget: StepBudget): Promise<SweepFindings> {
    try {
      return await this.#walk(history, batch, budget);
    } catch (error) {
      if (error instanceof StoredDamage) this.#leaveOut(error.slot);
      throw error;
    }
  }

  #leaveOut(slot: Slot): void {
    this.#start = slotRange(slot, slot).end;
    this.#recordKey = Buffer.alloc(0);
    this.#keyRecord = Buffer.alloc(0);
    this.#isSlotwise = false;
    this.#hasVersions = true;
  }

  /** The next keys, and where to go on behind them: null at the end. */
  async #read(wanted: number): Promise<{ readonly entries: readonly StoreEntry[]; readonly rest: Uint8Array | null }> {
    const slot = ((this.#start[0] ?? 0) << 8) | (this.#start[1] ?? 0);
    const slotEnd = this.#isSlotwise ? slotRange(slot, slot).end : this.#end;
    const isLast = Buffer.compare(slotEnd, this.#end) >= 0;
    const end = isLast ? this.#end : slotEnd;
    try {
      const entries = await this.#readKeys({ start: this.#start, end }, wanted);
      const last = entries.at(-1);
      const isAll = last === undefined || isEndOfRange(entries, wanted);
      if (isAll) return { entries, rest: isLast ? null : slotEnd };
      return { entries, rest: Buffer.concat([last[0], Buffer.of(0)]) };
    } catch (error) {
      if (this.#isSlotwise || error instanceof StoredDamage || !isDataDamage(error)) throw error;
      this.#isSlotwise = true;
      return this.#read(wanted);
    }
  }

  async #readKeys(range: StoreRange, wanted: number): Promise<readonly StoreEntry[]> {
    const iterator = this.#store.iterator({ ...range, keysOnly: true });
    try {
      return await iterator.nextv(wanted);
    } finally {
      await iterator.close();
    }
  }

  async #walk(history: History, batch: StoreBatch, budget: StepBudget): Promise<SweepFindings> {
    const { entries, rest } = await this.#read(Math.min(CHUNK_COUNT_MAX, budget.left));
    let deletedCount = 0;
    this.#marked = [];
    const tombstones: { key: Uint8Array; timestamp: Timestamp }[] = [];
    for (const [stored] of entries) {
      const recordLength = recordKeyLength(stored);
      if (stored.length === recordLength) {
        this.#enter(stored, recordLength, true);
        continue;
      }
      if (this.#recordKey.compare(stored, 0, recordLength) !== 0) this.#enter(stored, recordLength, false);
      const timestamp = versionOf(stored, recordLength);
      if (isHistoryStart(timestamp)) {
        if (this.#isMarkGarbage(history)) {
          batch.delete(stored);
          deletedCount++;
        }
        continue;
      }
      if (this.#newer === undefined && !this.#hasNewest) {
        if (history.mode === 'draining' || timestamp <= history.floor) {
          tombstones.push({ key: Buffer.from(this.#recordKey), timestamp });
        } else this.leaves(timestamp);
      } else {
        this.#hasVersions = true;
        if (this.#isGarbage(history, batch, timestamp)) {
          batch.delete(stored);
          deletedCount++;
        }
      }
      this.#newer = timestamp;
    }
    if (rest !== null) this.#start = rest;
    budget.left -= Math.max(entries.length, 1) + deletedCount;
    return {
      deletedCount,
      tombstones,
      marked: this.#marked,
      isEnd: rest === null,
      nextGarbageAt: this.#nextGarbageAt,
      isConclusive: this.#beganClean && !this.#hasVersions,
    };
  }

  #enter(stored: Uint8Array, recordLength: number, hasNewest: boolean): void {
    this.#recordKey = Buffer.from(stored.subarray(0, recordLength));
    this.#hasNewest = hasNewest;
    this.#newer = undefined;
    this.#olderCount = 0;
    if (isKeyRecord(this.#recordKey)) {
      this.#keyRecord = this.#recordKey;
      this.#keyStart = this.#startAtLeast;
      this.#countedStart = 0;
      this.#markedBatch = null;
    } else if (!this.#isOfKey()) {
      this.#keyRecord = Buffer.alloc(0);
      this.#keyStart = 0;
      this.#countedStart = 0;
    }
  }

  /** Whether the record is an element of the key whose record came last. */
  #isOfKey(): boolean {
    const length = this.#keyRecord.length - 1;
    return (
      length > 0 &&
      length === keyPrefixLength(this.#recordKey) &&
      this.#recordKey.compare(this.#keyRecord, 0, length, 0, length) === 0
    );
  }

  /** At the mark of a key: notes what it says, and whether it says no more than the store's own floor. */
  #isMarkGarbage(history: History): boolean {
    if (history.mode === 'draining') {
      this.#hasVersions = true;
      return true;
    }
    const start = historyStart(this.#store, this.#recordKey);
    if (start <= history.floor) return true;
    this.#keyStart = Math.max(this.#keyStart, start);
    this.leaves(start);
    return false;
  }

  #isGarbage(history: History, batch: StoreBatch, timestamp: Timestamp): boolean {
    if (history.mode === 'draining') return true;
    const supersededAt = this.#newer ?? this.#newestAbove(history, timestamp);
    if (supersededAt === undefined) return false;
    if (supersededAt <= history.floor) return true;
    if (this.#recordKey.equals(this.#keyRecord) && ++this.#olderCount > history.versionsMax) {
      this.#countedStart = Math.max(this.#countedStart, supersededAt);
    }
    // What is held may change between two chunks; what a mark says is said.
    const start = Math.max(this.#keyStart, Math.min(this.#countedStart, history.heldFloor));
    if (supersededAt <= start) {
      this.#keyStart = start;
      this.#carryMark(batch);
      return true;
    }
    this.leaves(supersededAt);
    return false;
  }

  #carryMark(batch: StoreBatch): void {
    if (this.#markedBatch === batch) return;
    this.#markedBatch = batch;
    const present = historyStart(this.#store, this.#keyRecord);
    const start = Math.max(this.#keyStart, present);
    putHistoryStart(batch, this.#keyRecord, start);
    this.leaves(start);
    if (present === 0) this.#marked.push({ key: this.#keyRecord, start });
  }

  /** When the newest version superseded its record's first older one; undefined if that is its own copy. */
  #newestAbove(history: History, timestamp: Timestamp): Timestamp | undefined {
    if (timestamp > history.since) return undefined;
    const newest = this.#store.getSync(this.#recordKey);
    if (newest === undefined) return undefined;
    const newestTimestamp = sealedTimestamp(newest);
    return newestTimestamp > timestamp ? newestTimestamp : undefined;
  }
}
