/**
 * Keys whose past is cut short although the store's floor lies before it: because more versions came than are kept of one key
 * (`versionsMax`), or because a write said that nothing before it is kept. A mark then says from when on the past is whole
 * (versions.ts), and what was superseded before that goes: the key's own versions and those of its elements.
 *
 * Finding the keys. Each change that supersedes a version counts for its key; when as many have come as half of what is kept, but at
 * least CHANGES_MIN, the versions of the key are counted on disk. So a key holds at most half as many again as it should, or a few
 * more than it should, and counting costs about three steps a change. The table of counts is bounded: when it is full it is
 * emptied, and the sweep counts instead, as soon as nothing changes or as many changes have come as it takes steps. So it does with
 * what a restart forgets.
 *
 * What is held is not cut: the mark of a key with too many versions never passes the held floor.
 *
 * A mark is written before, or in the same batch as, whatever is deleted because of it. When the store's floor has
 * passed a mark, the mark goes; at most one of each key is remembered for that, and forgotten ones are left to the sweep.
 */
import type { Timestamp } from '../../base/ids.ts';
import { assert } from '../../base/assert.ts';
import type { History } from './history.ts';
import { encodeHistoryStartKey, isKeyRecord, rangeOfKeyRecord } from './keys.ts';
import type { KeyValueStore, StoreBatch } from './key-value-store.ts';
import { type KeyStart, type StepBudget, Sweep, type SweepFindings } from './sweep.ts';
import { historyStart } from './versions.ts';

export interface TrimLimits {
  /** Keys whose changes are counted: about 10 MiB. */
  readonly countedKeysMax: number;
  /** Keys that wait to be trimmed, and marks that wait to go. */
  readonly queuedKeysMax: number;
}

export const TRIM_LIMITS: TrimLimits = { countedKeysMax: 65_536, queuedKeysMax: 16_384 };

/** Changes after which the versions of a key are counted, at least: each time costs more than a change does. */
const CHANGES_MIN = 4;
/** Keys trimmed in one batch. */
const KEYS_PER_BATCH = 32;
/** Marks looked at in one batch. */
const MARKS_PER_BATCH = 64;

interface Trim {
  /** Of the key's own record. */
  readonly key: Uint8Array;
  /** Where its past begins, at least; 0: as counting says. */
  start: Timestamp;
}

/** Writes a batch that deletes versions. */
export type WriteDeletions = (batch: StoreBatch) => Promise<void>;

export class Trims {
  readonly #store: KeyValueStore;
  readonly #limits: TrimLimits;
  #versionsMax = Number.POSITIVE_INFINITY;
  /** Changes since the versions of a key were counted, by its record key, one character a byte. */
  readonly #changes = new Map<string, number>();
  /** Keys that wait to be trimmed, in order of arrival; a key is in it once. */
  readonly #queue = new Map<string, Trim>();
  /** The trim under way. */
  #sweep: Sweep | null = null;
  /** Keys with a mark, as long as it is not known to the sweep alone. */
  #marks: KeyStart[] = [];
  /** A key with too many versions may be known to nobody. */
  #isForgetful = false;
  /** Changes and steps since the last sweep over everything began. */
  #changeCount = 0;
  #sweepSteps = 0;
  #changesAtLastCall = 0;

  constructor(store: KeyValueStore, limits: TrimLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  setVersionsMax(versionsMax: number): void {
    if (versionsMax === this.#versionsMax) return;
    // With a lower bound keys may have too many that nobody will change again.
    if (versionsMax < this.#versionsMax) this.#isForgetful = true;
    this.#versionsMax = versionsMax;
    this.#changes.clear();
  }

  clear(): void {
    this.#changes.clear();
    this.#queue.clear();
    this.#sweep = null;
    this.#marks = [];
    this.#isForgetful = this.#versionsMax !== Number.POSITIVE_INFINITY;
  }

  /** A version of the record was superseded. Keeps nothing of `recordKey`. */
  superseded(recordKey: Uint8Array, byDeletion: boolean): void {
    if (this.#versionsMax === Number.POSITIVE_INFINITY || !isKeyRecord(recordKey)) return;
    this.#changeCount++;
    const name = nameOf(recordKey);
    // Who sets a deleted key supersedes the deletion, and does not say so.
    const count = (this.#changes.get(name) ?? 0) + (byDeletion ? 2 : 1);
    if (count >= Math.max(CHANGES_MIN, this.#versionsMax / 2)) {
      this.#changes.delete(name);
      this.#add(Buffer.from(recordKey), 0);
    } else if (this.#changes.size < this.#limits.countedKeysMax || this.#changes.has(name)) {
      this.#changes.set(name, count);
    } else {
      this.#changes.clear();
      this.#isForgetful = true;
    }
  }

  /** The past of a key begins at `start`; `isMarked`: it had a mark before. Keeps `key`. */
  begins(key: Uint8Array, { start, isMarked }: { readonly start: Timestamp; readonly isMarked: boolean }): void {
    this.#add(key, start);
    if (!isMarked) this.#rememberMark({ key, start });
  }

  /** Keys have a mark now that had none. Keeps them. */
  areMarked(marked: readonly KeyStart[]): void {
    for (const mark of marked) this.#rememberMark(mark);
  }

  /** Whether a sweep over everything shall look for keys with too many versions; asked once a call of `collect`. */
  isSweepDue(): boolean {
    const isIdle = this.#changeCount === this.#changesAtLastCall;
    this.#changesAtLastCall = this.#changeCount;
    return this.#isForgetful && (isIdle || this.#changeCount >= this.#sweepSteps);
  }

  sweepBegins(): void {
    this.#isForgetful = false;
    this.#changeCount = 0;
    this.#sweepSteps = 0;
  }

  sweepTook(steps: number): void {
    this.#sweepSteps += steps;
  }

  async collect(history: History, budget: StepBudget, write: WriteDeletions): Promise<void> {
    await this.#dropMarks(history, budget, write);
    while (budget.left > 0) {
      const batch = this.#store.batch();
      // Keys that wait already: none comes twice into a batch, and a mark is never followed by an older one.
      let left = this.#sweep === null ? Math.min(KEYS_PER_BATCH, this.#queue.size) : 1;
      if (left === 0) return;
      let deletedCount = 0;
      for (; left > 0 && budget.left > 0; left--) {
        this.#sweep ??= this.#next(history, budget);
        if (this.#sweep === null) continue;
        const found = await this.#continue(this.#sweep, history, { batch, budget });
        this.areMarked(found.marked);
        deletedCount += found.deletedCount;
        if (!found.isEnd) break;
        this.#sweep = null;
      }
      if (deletedCount > 0) await write(batch);
    }
  }

  /** One that meets damage is not gone on with. */
  async #continue(
    sweep: Sweep,
    history: History,
    into: { readonly batch: StoreBatch; readonly budget: StepBudget },
  ): Promise<SweepFindings> {
    try {
      return await sweep.next(history, into.batch, into.budget);
    } catch (error) {
      this.#sweep = null;
      throw error;
    }
  }

  #add(key: Uint8Array, start: Timestamp): void {
    const name = nameOf(key);
    const present = this.#queue.get(name);
    if (present !== undefined) present.start = Math.max(present.start, start);
    else if (this.#queue.size < this.#limits.queuedKeysMax) this.#queue.set(name, { key, start });
    else this.#isForgetful = true;
  }

  /** Begins with the next key; null if nothing is to be done about it. */
  #next(history: History, budget: StepBudget): Sweep | null {
    const [first] = this.#queue;
    assert(first !== undefined, 'a key waits to be trimmed');
    const [name, { key, start }] = first;
    this.#queue.delete(name);
    budget.left--;
    if (start !== 0 && start <= history.floor) return null;
    return new Sweep(this.#store, { range: rangeOfKeyRecord(key), beganClean: false, start });
  }

  #rememberMark(mark: KeyStart): void {
    if (this.#marks.length < this.#limits.queuedKeysMax) this.#marks.push(mark);
  }

  /** Marks that say no more than the store's own floor go. */
  async #dropMarks(history: History, budget: StepBudget, write: WriteDeletions): Promise<void> {
    while (budget.left > 0) {
      const first = this.#marks[0];
      if (first === undefined || first.start > history.floor) return;
      const batch = this.#store.batch();
      let count = 0;
      for (const mark of this.#marks.splice(0, MARKS_PER_BATCH)) {
        budget.left--;
        const present = historyStart(this.#store, mark.key);
        if (present > history.floor) this.#rememberMark({ key: mark.key, start: present });
        else if (present > 0) {
          batch.delete(encodeHistoryStartKey(mark.key));
          count++;
        }
      }
      if (count > 0) await write(batch);
    }
  }
}

function nameOf(recordKey: Uint8Array): string {
  return Buffer.from(recordKey.buffer, recordKey.byteOffset, recordKey.byteLength).toString('latin1');
}
