/**
 * Copies of replaced records that a power cut could still take.
 *
 * When history is switched on, the records that exist have no copies among the versions. The first change that replaces such
 * a record copies it, in the same batch. But that batch may be lost in a power cut while a later one of the same record
 * survives, and then the replaced record is nowhere: not under its key, not among the versions, and not in the log that is
 * replayed. So until a sync has made the first batch durable, every further change of the record carries the copy along.
 *
 * What is remembered is bounded by `isFull`: the store then syncs before it goes on.
 */
import type { Timestamp } from '../../base/ids.ts';
import type { StoreBatch } from './key-value-store.ts';

/** Bytes of keys and records beyond which a sync is due. */
const BYTES_MAX = 8 * 1024 * 1024;
/** What the bookkeeping of one copy is taken to weigh. */
const OVERHEAD_BYTES = 200;

interface Copy {
  readonly versionKey: Uint8Array;
  readonly sealed: Uint8Array;
  /** Once the floor has reached it, nobody needs the copy. */
  readonly supersededAt: Timestamp;
}

export class ReplacedCopies {
  /** By record key, one character a byte. */
  #volatile = new Map<string, Copy>();
  /** Those that the sync under way covers. */
  #syncing = new Map<string, Copy>();
  #volatileBytes = 0;

  get isFull(): boolean {
    return this.#volatileBytes > BYTES_MAX;
  }

  /** `sealed` stays as it is. */
  remember(recordKey: Uint8Array, copy: Copy): void {
    this.#volatile.set(nameOf(recordKey), copy);
    this.#volatileBytes += copy.versionKey.length + copy.sealed.length + OVERHEAD_BYTES;
  }

  /** Adds the copy that belongs to a record which is changed again, if a power cut could still take it. */
  addTo(batch: StoreBatch, recordKey: Uint8Array, floor: Timestamp): void {
    if (this.#volatile.size === 0 && this.#syncing.size === 0) return;
    const name = nameOf(recordKey);
    const copy = this.#volatile.get(name) ?? this.#syncing.get(name);
    if (copy !== undefined && copy.supersededAt > floor) batch.put(copy.versionKey, copy.sealed);
  }

  /** Every batch handed over so far is complete, and a sync begins. `syncEnded` says that it succeeded. */
  syncBegins(): void {
    this.#syncing = this.#volatile;
    this.#volatile = new Map();
    this.#volatileBytes = 0;
  }

  syncEnded(): void {
    this.#syncing = new Map();
  }

  clear(): void {
    this.#volatile = new Map();
    this.#syncing = new Map();
    this.#volatileBytes = 0;
  }
}

function nameOf(recordKey: Uint8Array): string {
  return Buffer.from(recordKey.buffer, recordKey.byteOffset, recordKey.byteLength).toString('latin1');
}
