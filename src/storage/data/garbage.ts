/**
 * Collection of the versions that no reader can see any more.
 *
 * A version is visible to some reader at or above the floor unless the version that superseded it is itself at or below the
 * floor. Sources of work, in this order, each bounded by the caller's number of steps:
 *
 * 1. Tombstones whose turn has come (below).
 * 2. The queue: each change that replaced a version says so when it is applied; the version goes once the floor has passed
 *    the change. The queue is bounded; what does not fit, and what a restart forgets, is left to the sweep.
 * 3. Trims (trims.ts): keys of which more versions came than are kept, and keys whose past begins with a write that said so.
 * 4. The sweep (sweep.ts), which runs only while something may have been forgotten.
 *
 * A tombstone hides the versions under it. If it went while a deletion of those is not durable, a power cut could bring one of
 * them back, and a reader would see a deleted record. So a tombstone is collected in a second stage: it must be at or below the
 * floor, every earlier deletion of a version must have been made durable, and what still lies under it goes in the same batch.
 * If that is too much for one batch, the tombstone waits for another sync. Every other order of deletions is harmless: what
 * comes back lies under a newer version.
 *
 * Each batch that deletes versions carries the floor, so that no power cut keeps the deletions and loses the floor.
 *
 * Invariant (tested against a naive model): a read at or above the floor gives the same answer before and after any step,
 * and after any crash and replay.
 */
import type { Timestamp } from '../../base/ids.ts';
import type { BatchWriter } from './batch-writer.ts';
import type { History, SupersededVersions } from './history.ts';
import { afterRecord, encodeVersionKey } from './keys.ts';
import { isEndOfRange, type KeyValueStore, type StoreBatch } from './key-value-store.ts';
import { openVersion } from './records.ts';
import { type StepBudget, Sweep, type SweepFindings } from './sweep.ts';
import { type TrimLimits, TRIM_LIMITS, Trims } from './trims.ts';
import type { RecordChange } from './types.ts';

/** Replaced versions that are remembered: about 10 MiB with keys of 50 bytes. */
const SUPERSEDED_COUNT_MAX = 65_536;
/** Tombstones that are remembered until the next sync. */
const TOMBSTONE_COUNT_MAX = 16_384;
/** Deletions in one batch. */
const CHUNK_COUNT_MAX = 256;
/** Versions under one tombstone that are looked for, and deleted, at a time. */
const UNDER_COUNT_MAX = 32;

export interface GarbageLimits extends Partial<TrimLimits> {
  readonly supersededCountMax: number;
  readonly tombstoneCountMax: number;
}

interface Superseded {
  readonly key: Uint8Array;
  readonly version: Timestamp;
  readonly supersededAt: Timestamp;
  readonly isDeletion: boolean;
  /** False: the version is that of `version` or an older one, and must be looked for. */
  readonly isExact: boolean;
}

interface Tombstone {
  readonly key: Uint8Array;
  readonly timestamp: Timestamp;
}

export class Garbage implements SupersededVersions {
  readonly #store: KeyValueStore;
  readonly #limits: GarbageLimits;
  /** In the order of application; `#supersededHead` is the first that is still to come. */
  #superseded: Superseded[] = [];
  #supersededHead = 0;
  #tombstones: Tombstone[] = [];
  /** What became garbage within these bounds may be known to nobody; 0 and 0: nothing is forgotten. */
  #forgottenFrom: Timestamp = 0;
  #forgottenUpTo: Timestamp = 0;
  /** The pass under way, and the bounds within which it looks for forgotten garbage. */
  #sweep: Sweep | null = null;
  /** Of the last call of `collect`. */
  #budget: StepBudget = { left: 0 };
  #sweepUpTo: Timestamp = 0;
  #isFirstDrainingPassDue = true;
  readonly #trims: Trims;
  /** Batches that deleted versions, and how many of them are durable. It begins unequal: nobody knows what came before. */
  #deletionCount = 1;
  #durableDeletionCount = 0;

  constructor(
    store: KeyValueStore,
    limits: GarbageLimits = { supersededCountMax: SUPERSEDED_COUNT_MAX, tombstoneCountMax: TOMBSTONE_COUNT_MAX },
  ) {
    this.#store = store;
    this.#limits = limits;
    this.#trims = new Trims(store, { ...TRIM_LIMITS, ...limits });
  }

  /** How many older versions of each key are kept; Infinity if there is no bound. */
  setVersionsMax(versionsMax: number): void {
    this.#trims.setVersionsMax(versionsMax);
  }

  /** Called by the history as a change replaces a version; copies what it keeps. */
  add(change: RecordChange, isExact: boolean): void {
    this.#trims.superseded(change.key, change.sealed === null);
    if (this.#superseded.length - this.#supersededHead >= this.#limits.supersededCountMax) {
      this.#forget(change.timestamp, change.timestamp);
      return;
    }
    this.#superseded.push({
      key: Buffer.from(change.key),
      version: change.replaces,
      supersededAt: change.timestamp,
      isDeletion: change.sealed === null,
      isExact,
    });
  }

  begins(change: RecordChange, isMarked: boolean): void {
    this.#trims.begins(Buffer.from(change.key), { start: change.timestamp, isMarked });
  }

  /** The store was opened, ranges were replaced, or the mode of the history changed: nothing remembered is sure to hold. */
  reset(history: History): void {
    this.#superseded = [];
    this.#supersededHead = 0;
    this.#tombstones = [];
    this.#trims.clear();
    this.#sweep = null;
    this.#forgottenFrom = 0;
    this.#forgottenUpTo = history.mode === 'off' ? 0 : Math.max(history.timestampMax, 1);
    this.#isFirstDrainingPassDue = true;
  }

  /** Deletions that are complete; `madeDurable` takes the number that was read before a sync began. */
  get deletionCount(): number {
    return this.#deletionCount;
  }

  madeDurable(deletionCount: number): void {
    this.#durableDeletionCount = Math.max(this.#durableDeletionCount, deletionCount);
  }

  /** One call at a time; see DataStore.collect. */
  async collect(history: History, writer: BatchWriter, stepsMax: number): Promise<boolean> {
    const budget: StepBudget = { left: stepsMax };
    this.#budget = budget;
    await this.#collectTombstones(writer, budget);
    if (history.mode === 'on') {
      await this.#collectSuperseded(history.floor, writer, budget);
      await this.#trims.collect(history, budget, (batch) => this.#writeDeletions(writer, batch));
    }
    if (history.mode !== 'off') await this.#continueSweep(history, writer, budget);
    return budget.left > 0;
  }

  /** Somebody waits for the end of the call of `collect` that is under way: it ends after its present step, as if it had had no more. */
  hurry(): void {
    this.#budget.left = 0;
  }

  get #isClean(): boolean {
    return this.#durableDeletionCount === this.#deletionCount;
  }

  #forget(from: Timestamp, upTo: Timestamp): void {
    this.#forgottenFrom = this.#forgottenUpTo === 0 ? from : Math.min(this.#forgottenFrom, from);
    this.#forgottenUpTo = Math.max(this.#forgottenUpTo, upTo);
  }

  async #collectTombstones(writer: BatchWriter, budget: StepBudget): Promise<void> {
    if (!this.#isClean) return;
    // Whatever is put back during this call waits for the next sync.
    for (let left = this.#tombstones.length; left > 0 && budget.left > 0; ) {
      const chunk = this.#tombstones.splice(0, Math.min(left, CHUNK_COUNT_MAX, budget.left));
      left -= chunk.length;
      const batch = this.#store.batch();
      let versionCount = 0;
      for (const [i, tombstone] of chunk.entries()) {
        if (budget.left <= 0) {
          this.#tombstones.unshift(...chunk.slice(i));
          break;
        }
        versionCount += await this.#addTombstone(batch, tombstone, budget);
      }
      await writer.writeWithHistory(batch);
      if (versionCount > 0) this.#deletionCount++;
    }
  }

  /** Deletes what lies under the tombstone, and it if that was all; returns how many versions lay there. */
  async #addTombstone(batch: StoreBatch, tombstone: Tombstone, budget: StepBudget): Promise<number> {
    const { key, timestamp } = tombstone;
    budget.left--;
    const versionKey = encodeVersionKey(key, timestamp);
    const sealed = this.#store.getSync(versionKey);
    if (sealed === undefined || openVersion(key, sealed) !== undefined) return 0;
    const { count, isAll } = await this.#addUnder(batch, key, timestamp);
    // If that was all, the tombstone goes with it: both are lost, or neither.
    if (isAll) batch.delete(versionKey);
    else this.#addToTombstones(tombstone);
    budget.left -= count;
    return count;
  }

  /** Deletes the versions under that of `timestamp`, or as many as fit in one step; returns how many, and whether that was all. */
  async #addUnder(
    batch: StoreBatch,
    key: Uint8Array,
    timestamp: Timestamp,
  ): Promise<{ readonly count: number; readonly isAll: boolean }> {
    const start = Buffer.concat([encodeVersionKey(key, timestamp), Buffer.of(0)]);
    const iterator = this.#store.iterator({ start, end: afterRecord(key), keysOnly: true });
    try {
      const under = await iterator.nextv(UNDER_COUNT_MAX);
      for (const [versionUnder] of under) batch.delete(versionUnder);
      return { count: under.length, isAll: isEndOfRange(under, UNDER_COUNT_MAX) };
    } finally {
      await iterator.close();
    }
  }

  async #collectSuperseded(floor: Timestamp, writer: BatchWriter, budget: StepBudget): Promise<void> {
    while (budget.left > 0) {
      const batch = this.#store.batch();
      let count = 0;
      for (; count < CHUNK_COUNT_MAX && budget.left > 0; count++) {
        const next = this.#superseded[this.#supersededHead];
        if (next === undefined || next.supersededAt > floor) break;
        this.#supersededHead++;
        budget.left--;
        if (next.isExact) batch.delete(encodeVersionKey(next.key, next.version));
        else {
          const under = await this.#addUnder(batch, next.key, next.supersededAt);
          budget.left -= under.count;
          if (!under.isAll) this.#forget(next.supersededAt, next.supersededAt);
        }
        if (next.isDeletion) this.#addToTombstones({ key: next.key, timestamp: next.supersededAt });
      }
      this.#trimSuperseded();
      if (count === 0) return;
      await this.#writeDeletions(writer, batch);
    }
  }

  #trimSuperseded(): void {
    if (this.#supersededHead < CHUNK_COUNT_MAX || this.#supersededHead * 2 < this.#superseded.length) return;
    this.#superseded = this.#superseded.slice(this.#supersededHead);
    this.#supersededHead = 0;
  }

  #addToTombstones(tombstone: Tombstone): boolean {
    if (this.#tombstones.length >= this.#limits.tombstoneCountMax) {
      this.#forget(tombstone.timestamp, tombstone.timestamp);
      return false;
    }
    this.#tombstones.push(tombstone);
    return true;
  }

  async #continueSweep(history: History, writer: BatchWriter, budget: StepBudget): Promise<void> {
    if (budget.left <= 0) return;
    if (this.#sweep === null) {
      if (!this.#isPassDue(history)) return;
      // While draining, a batch from before the switch may still be on its way with a version.
      if (history.mode === 'draining') await writer.settled();
      this.#sweep = new Sweep(this.#store, { beganClean: this.#isClean });
      this.#trims.sweepBegins();
      this.#sweepUpTo = this.#forgottenUpTo;
      this.#forgottenFrom = 0;
      this.#forgottenUpTo = 0;
    }
    const sweep = this.#sweep;
    while (budget.left > 0) {
      const batch = this.#store.batch();
      const before = budget.left;
      const found = await sweep.next(history, batch, budget);
      this.#trims.sweepTook(before - budget.left);
      for (const tombstone of found.tombstones) {
        if (!this.#addToTombstones(tombstone)) sweep.leaves(tombstone.timestamp);
      }
      this.#trims.areMarked(found.marked);
      if (found.deletedCount > 0) await this.#writeDeletions(writer, batch);
      if (found.isEnd) {
        this.#endPass(history, found);
        return;
      }
    }
  }

  #isPassDue(history: History): boolean {
    if (history.mode === 'draining') return this.#isFirstDrainingPassDue || this.#isClean;
    return this.#trims.isSweepDue() || (this.#forgottenUpTo > 0 && history.floor >= this.#forgottenFrom);
  }

  #endPass(history: History, found: SweepFindings): void {
    this.#sweep = null;
    if (history.mode === 'draining') {
      this.#isFirstDrainingPassDue = false;
      if (found.isConclusive) history.endDraining();
    } else if (found.nextGarbageAt <= this.#sweepUpTo) this.#forget(found.nextGarbageAt, this.#sweepUpTo);
  }

  async #writeDeletions(writer: BatchWriter, batch: StoreBatch): Promise<void> {
    await writer.writeWithHistory(batch);
    this.#deletionCount++;
  }
}
