/**
 * A consistent view of the store, and the reading of ranges from it: for streams to peers, for scans, for the scrub.
 * Records come in chunks, because each read of the store costs an asynchronous hop.
 */
import { assert } from '../../base/assert.ts';
import type { Timestamp } from '../../base/ids.ts';
import { recordKeyLength } from './keys.ts';
import type { KeyValueStore, StoreIterator, StoreSnapshot } from './key-value-store.ts';
import type { DataSnapshot, RawRecord, RecordIterator, RecordRange } from './types.ts';

export class StoreView implements DataSnapshot {
  readonly historyFloor: Timestamp;
  readonly #store: KeyValueStore;
  readonly #inner: StoreSnapshot;
  #isReleased = false;

  constructor(store: KeyValueStore, historyFloor: Timestamp) {
    this.#store = store;
    this.#inner = store.snapshot();
    this.historyFloor = historyFloor;
  }

  /** What the store itself calls a snapshot. */
  get inner(): StoreSnapshot {
    assert(!this.#isReleased, 'a released snapshot cannot be read');
    return this.#inner;
  }

  iterate(range: RecordRange, options: { withVersions?: boolean; keysOnly?: boolean } = {}): RecordIterator {
    const keysOnly = options.keysOnly ?? false;
    const inner = this.#store.iterator({ start: range.start, end: range.end, snapshot: this.inner, keysOnly });
    return new RangeIterator(inner, options.withVersions ?? false);
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#inner.close();
  }
}

class RangeIterator implements RecordIterator {
  readonly #inner: StoreIterator;
  readonly #withVersions: boolean;
  /** Read from the store and not yet handed out. */
  #ready: RawRecord[] = [];
  #isAtEnd = false;

  constructor(inner: StoreIterator, withVersions: boolean) {
    this.#inner = inner;
    this.#withVersions = withVersions;
  }

  async next(countMax: number, bytesMax: number): Promise<readonly RawRecord[]> {
    assert(countMax > 0, 'an empty chunk means the end, so at least one record must be asked for');
    const chunk: RawRecord[] = [];
    let bytes = 0;
    while (chunk.length < countMax && bytes < bytesMax) {
      if (this.#ready.length === 0) await this.#read(countMax);
      const taken = this.#takeUpTo(countMax - chunk.length, bytesMax - bytes);
      if (taken.records.length === 0) break;
      chunk.push(...taken.records);
      bytes += taken.bytes;
    }
    return chunk;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #read(countMax: number): Promise<void> {
    while (this.#ready.length === 0 && !this.#isAtEnd) {
      const entries = await this.#inner.nextv(countMax);
      if (entries.length === 0) this.#isAtEnd = true;
      for (const [key, sealed] of entries) {
        if (this.#withVersions || recordKeyLength(key) === key.length) this.#ready.push({ key, sealed });
      }
    }
  }

  #takeUpTo(countMax: number, bytesMax: number): { records: RawRecord[]; bytes: number } {
    let count = 0;
    let bytes = 0;
    while (count < countMax && bytes < bytesMax) {
      const next = this.#ready[count];
      if (next === undefined) break;
      bytes += next.key.length + next.sealed.length;
      count++;
    }
    return { records: this.#ready.splice(0, count), bytes };
  }
}
