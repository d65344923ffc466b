/**
 * The ordered key-value store under the data store, as narrow as it can be: after abstract-level, so that the real one
 * (LevelDB through `level`, see node/) is a thin adapter and the double is a short file.
 *
 * What LevelDB promises, and so the double: a batch is atomic, in memory and on disk; batches that were handed over one
 * after the other's completion take effect in that order; what was written survives the end of the process, but not of
 * the machine (see checkpoint.ts); a snapshot sees what was complete when it was taken.
 */
export interface KeyValueStore {
  /** The value, in bytes that belong to the caller; undefined if absent. Throws StoredDamage if it cannot be read. */
  getSync(key: Uint8Array, snapshot?: StoreSnapshot): Uint8Array | undefined;
  batch(): StoreBatch;
  snapshot(): StoreSnapshot;
  iterator(options: StoreIteratorOptions): StoreIterator;
  /** Deletes every key of the range. Not atomic: a crash may leave a part. Rejects with KahunaError 'DATA_DAMAGED' if it cannot be read. */
  clear(range: StoreRange): Promise<void>;
  /** Rewrites the files under a range, so that what was deleted gives back its space. */
  compactRange(range: StoreRange): Promise<void>;
  /** Every batch that was written has completed before. Iterators and snapshots that are still open are closed. */
  close(): Promise<void>;
}

/** Operations are copied when they are added: the caller may reuse its buffers at once. */
export interface StoreBatch {
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  /** Writes everything as one, then calls back, never within this call. After an error the outcome is unknown. */
  write(done: (error: Error | null) => void): void;
}

export interface StoreSnapshot {
  close(): void;
}

/** Half open: [start, end). */
export interface StoreRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

export interface StoreIteratorOptions extends StoreRange {
  /** Without one, the iterator takes its own when it is made. */
  readonly snapshot?: StoreSnapshot;
  /** Values are then empty. */
  readonly keysOnly?: boolean;
}

export interface StoreIterator {
  /**
   * Up to `countMax` further entries in key order; fewer only at the end, or if they are together larger than READ_BYTES_MAX.
   * One call at a time. Rejects with KahunaError 'DATA_DAMAGED' if the range cannot be read, and with StoredDamage if it lies within one slot.
   */
  nextv(countMax: number): Promise<readonly StoreEntry[]>;
  close(): Promise<void>;
}

export type StoreEntry = readonly [key: Uint8Array, value: Uint8Array];

/** Bytes of entries, beyond which a call of `nextv` stops early. */
export const READ_BYTES_MAX = 128 * 1024;

/** Whether nothing comes behind the entries that `nextv(countMax)` returned. False if only another call can tell. */
export function isEndOfRange(entries: readonly StoreEntry[], countMax: number): boolean {
  if (entries.length >= countMax) return false;
  return entries.reduce((bytes, [key, value]) => bytes + key.length + value.length, 0) <= READ_BYTES_MAX;
}

/** Writes a batch as a promise, for places where one promise a batch costs nothing. */
export function writeBatch(batch: StoreBatch): Promise<void> {
  return new Promise((resolve, reject) => {
    batch.write((error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
