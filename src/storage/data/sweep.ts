/**
 * One pass over all keys of the store that finds superseded versions by their neighbours: what the collector's queue has
 * forgotten. It reads keys without values, in chunks, each on a fresh iterator: a snapshot held over a slow pass would keep
 * LevelDB from letting go of anything.
 *
 * Between two chunks the store changes, but only above the place of the walk: a version can only be superseded by a
 * younger one, which sorts before it. So what the walk has concluded of a record stays true when it goes on.
 *
 * What the neighbours tell about a version committed at t:
 * - a younger version of t' is there: superseded at t';
 * - it is the first, and the record has no newest version: a tombstone, lone once all under it are gone;
 * - it is the first, and the record has a newest version: that one's own copy, which stays; unless it stems from an earlier
 *   period of history (t <= since) and the record has been written since without a copy. Only then is the value read.
 */
import type { Timestamp } from '../../base/ids.ts';
import type { History } from './history.ts';
import { allRecords, recordKeyLength, versionOf } from './keys.ts';
import type { KeyValueStore, StoreBatch } from './key-value-store.ts';
import { sealedTimestamp } from './records.ts';

const CHUNK_COUNT_MAX = 256;
const NEVER = Number.MAX_SAFE_INTEGER;

/** What is left of the steps of one call of `collect`. */
export interface StepBudget {
  left: number;
}

export interface SweepFindings {
  readonly deletedCount: number;
  /** Lone or soon lone, at or below the floor. Their keys belong to the receiver. */
  readonly tombstones: readonly { readonly key: Uint8Array; readonly timestamp: Timestamp }[];
  readonly isEnd: boolean;
  /** Smallest moment at which something that this pass left becomes garbage. */
  readonly nextGarbageAt: Timestamp;
  /** At the end: the pass began with every deletion durable and saw nothing but lone tombstones. */
  readonly isConclusive: boolean;
}

export class Sweep {
  readonly #store: KeyValueStore;
  readonly #beganClean: boolean;
  readonly #end = allRecords().end;
  /** Everything before it has been looked at. */
  #start: Uint8Array = allRecords().start;
  /** The record whose versions are being walked; empty before the first. */
  #recordKey: Buffer = Buffer.alloc(0);
  #hasNewest = false;
  /** Timestamp of the version before this one in the walk; undefined at the first of its record. */
  #newer: Timestamp | undefined;
  #nextGarbageAt: Timestamp = NEVER;
  #hasVersions = false;

  constructor(store: KeyValueStore, beganClean: boolean) {
    this.#store = store;
    this.#beganClean = beganClean;
  }

  /** The finder of something had to leave it although it is garbage from `timestamp` on. */
  leaves(timestamp: Timestamp): void {
    this.#nextGarbageAt = Math.min(this.#nextGarbageAt, timestamp);
  }

  /** Walks one chunk and adds deletions to `batch`. Costs one step a key and one a deletion. */
  async next(history: History, batch: StoreBatch, budget: StepBudget): Promise<SweepFindings> {
    const iterator = this.#store.iterator({ start: this.#start, end: this.#end, keysOnly: true });
    const entries = await iterator.nextv(Math.min(CHUNK_COUNT_MAX, budget.left));
    await iterator.close();
    let deletedCount = 0;
    const tombstones: { key: Uint8Array; timestamp: Timestamp }[] = [];
    for (const [stored] of entries) {
      const recordLength = recordKeyLength(stored);
      if (stored.length === recordLength) {
        this.#enter(stored, recordLength, true);
        continue;
      }
      if (this.#recordKey.compare(stored, 0, recordLength) !== 0) this.#enter(stored, recordLength, false);
      const timestamp = versionOf(stored, recordLength);
      if (this.#newer === undefined && !this.#hasNewest) {
        if (history.mode === 'draining' || timestamp <= history.floor) {
          tombstones.push({ key: Buffer.from(this.#recordKey), timestamp });
        } else this.leaves(timestamp);
      } else {
        this.#hasVersions = true;
        if (this.#isGarbage(history, timestamp)) {
          batch.delete(stored);
          deletedCount++;
        }
      }
      this.#newer = timestamp;
    }
    const last = entries.at(-1)?.[0];
    if (last !== undefined) this.#start = Buffer.concat([last, Buffer.of(0)]);
    budget.left -= Math.max(entries.length, 1) + deletedCount;
    return {
      deletedCount,
      tombstones,
      isEnd: last === undefined,
      nextGarbageAt: this.#nextGarbageAt,
      isConclusive: this.#beganClean && !this.#hasVersions,
    };
  }

  #enter(stored: Uint8Array, recordLength: number, hasNewest: boolean): void {
    this.#recordKey = Buffer.from(stored.subarray(0, recordLength));
    this.#hasNewest = hasNewest;
    this.#newer = undefined;
  }

  #isGarbage(history: History, timestamp: Timestamp): boolean {
    if (history.mode === 'draining') return true;
    const supersededAt = this.#newer ?? this.#newestAbove(history, timestamp);
    if (supersededAt === undefined) return false;
    if (supersededAt <= history.floor) return true;
    this.leaves(supersededAt);
    return false;
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
