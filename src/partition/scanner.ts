/**
 * SCAN, KEYS and RANDOMKEY: pages of keys that are exact at one moment although LevelDB is read asynchronously.
 *
 * Problem: evaluation is synchronous and must be atomic; a range of LevelDB can only be read aside, and LevelDB lags
 * behind what was evaluated.
 *
 * Idea: read the page from a LevelDB snapshot taken at applied index `a`; then evaluate the command again and correct
 * the page by the present state of every key of its range that was changed by an entry after `a`. The tenure keeps the
 * lists of changed keys for as long as a scan needs them.
 *
 * Cursors are numbers of 64 bits: slot * 2^50 + a 50-bit hash of the last key that was looked at. The hash finds the
 * place again in the order of keys within the slot: at once through a small table of recent cursors, else by reading
 * the slot from its beginning. If the key has been deleted meanwhile, the slot is read again from its beginning: SCAN may
 * return a key twice, never miss one that stayed.
 */
import { compareBytes } from '../base/bytes.ts';
import { crc32 } from '../base/checksum.ts';
import type { LogIndex, Slot, Timestamp } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import type { ScanRequest } from '../commands/view.ts';
import type { DataSnapshot, DataStore } from '../storage/data/types.ts';
import { SCAN_CURSORS_MAX } from './limits.ts';
import { keyRecordOf, type ScannedRecord, slotEnd, slotStart, startAfter } from './record-reader.ts';

const HASH_BITS = 50n;
const HASH_MASK = (1n << HASH_BITS) - 1n;
/** The hash part of a cursor that means "from the beginning of the slot". */
export const FROM_SLOT_START = 1n;
const RECORDS_PER_READ = 1_000;
const BYTES_PER_READ = 1024 * 1024;

export interface ScannedKey {
  readonly key: string;
  readonly type: number;
  readonly expiresAtMs: number;
  readonly timestamp: Timestamp;
}

/** What was found in LevelDB, before it is brought up to date. */
export interface ScannedRange {
  readonly request: ScanRequest;
  readonly appliedIndex: LogIndex;
  /** Record keys: the range that was looked at is [start, end). */
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly keys: readonly ScannedKey[];
  readonly next: bigint;
}

export class Scanner {
  readonly #data: DataStore;
  readonly #firstSlot: Slot;
  readonly #lastSlot: Slot;
  /** Greatest slot of all partitions: where the whole scan ends. */
  readonly endSlot: Slot;
  /** Recent cursors and the record key at which each stands, oldest first. */
  readonly #places = new Map<bigint, Uint8Array>();

  constructor(data: DataStore, slots: { readonly first: Slot; readonly last: Slot; readonly end: Slot }) {
    this.#data = data;
    this.#firstSlot = slots.first;
    this.#lastSlot = slots.last;
    this.endSlot = slots.end;
  }

  /** Takes its snapshot in this turn, so that `appliedIndex` is what the snapshot holds. */
  async scan(request: ScanRequest, appliedIndex: LogIndex): Promise<ScannedRange> {
    const snapshot = this.#data.snapshot();
    try {
      const start = await this.#startOf(request, snapshot);
      return await this.#read(request, snapshot, { appliedIndex, start });
    } finally {
      snapshot.release();
    }
  }

  /** The beginning of some slot of the partition. */
  randomCursor(random: Random): bigint {
    const slots = this.#lastSlot - this.#firstSlot + 1;
    return cursorAtSlot(this.#firstSlot + (random.u32() % slots));
  }

  isHere(cursor: bigint): boolean {
    return cursor !== 0n && slotOfCursor(cursor) <= this.#lastSlot;
  }

  async #read(
    request: ScanRequest,
    snapshot: DataSnapshot,
    from: { readonly appliedIndex: LogIndex; readonly start: Uint8Array },
  ): Promise<ScannedRange> {
    const rangeEnd = slotEnd(this.#lastSlot);
    const keys: ScannedKey[] = [];
    let looked = 0;
    let last: ScannedRecord | null = null;
    const iterator = snapshot.iterate({ start: from.start, end: rangeEnd });
    try {
      while (looked < request.count) {
        const wanted = Math.min(RECORDS_PER_READ, request.count - looked);
        const records = await iterator.next(wanted, BYTES_PER_READ);
        if (records.length === 0) {
          return { ...from, request, end: rangeEnd, keys, next: this.#afterPartition() };
        }
        for (const record of records) {
          last = keyRecordOf(record);
          looked++;
          if (!last.isKeyRecord || last.space !== request.space) continue;
          if (request.matches(last.key)) keys.push(last);
        }
      }
    } finally {
      await iterator.close();
    }
    if (last === null) return { ...from, request, end: rangeEnd, keys, next: this.#afterPartition() };
    const end = startAfter(last.recordKey);
    const next = cursorAfter(last.slot, last.recordKey);
    this.#rememberPlace(next, end);
    return { ...from, request, end, keys, next };
  }

  async #startOf(request: ScanRequest, snapshot: DataSnapshot): Promise<Uint8Array> {
    const cursor = BigInt.asUintN(64, request.cursor);
    const slot = Number(cursor >> HASH_BITS);
    if (cursor === 0n || slot < this.#firstSlot) return slotStart(this.#firstSlot);
    if (slot > this.#lastSlot) return slotEnd(this.#lastSlot);
    const hash = cursor & HASH_MASK;
    if (hash === FROM_SLOT_START) return slotStart(slot);
    const known = this.#places.get(cursor);
    if (known !== undefined) return known;
    const iterator = snapshot.iterate({ start: slotStart(slot), end: slotEnd(slot) }, { keysOnly: true });
    try {
      for (;;) {
        const records = await iterator.next(RECORDS_PER_READ, BYTES_PER_READ);
        if (records.length === 0) return slotStart(slot);
        const found = records.find((record) => cursorAfter(slot, record.key) === cursor);
        if (found !== undefined) return startAfter(found.key);
      }
    } finally {
      await iterator.close();
    }
  }

  #afterPartition(): bigint {
    return this.#lastSlot >= this.endSlot ? 0n : cursorAtSlot(this.#lastSlot + 1);
  }

  #rememberPlace(cursor: bigint, place: Uint8Array): void {
    this.#places.delete(cursor);
    this.#places.set(cursor, place);
    if (this.#places.size <= SCAN_CURSORS_MAX) return;
    for (const oldest of this.#places.keys()) {
      this.#places.delete(oldest);
      return;
    }
  }
}

/** Slot at which a cursor stands: which partition to ask. */
export function slotOfCursor(cursor: bigint): Slot {
  return Number(BigInt.asUintN(64, cursor) >> HASH_BITS);
}

export function placeOfCursor(cursor: bigint): { readonly slot: Slot; readonly hash: bigint } {
  return { slot: slotOfCursor(cursor), hash: BigInt.asUintN(64, cursor) & HASH_MASK };
}

/** The cursor that begins with a slot. */
export function cursorAtSlot(slot: Slot): bigint {
  return (BigInt(slot) << HASH_BITS) | FROM_SLOT_START;
}

export function isWithin(range: ScannedRange, recordKey: Uint8Array): boolean {
  return compareBytes(recordKey, range.start) >= 0 && compareBytes(recordKey, range.end) < 0;
}

/** True if both ask for the same page. */
export function isSameRequest(a: ScanRequest, b: ScanRequest): boolean {
  return a.space === b.space && a.cursor === b.cursor && a.count === b.count && a.type === b.type;
}

/** The cursor that goes on behind a record. */
export function cursorAfter(slot: Slot, recordKey: Uint8Array): bigint {
  const low = crc32(recordKey);
  const high = crc32(recordKey, low) & 0x3ffff;
  const hash = (BigInt(high) << 32n) | BigInt(low);
  return (BigInt(slot) << HASH_BITS) | (hash <= FROM_SLOT_START ? FROM_SLOT_START + 1n : hash);
}
