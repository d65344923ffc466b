/**
 * Pages of the keys that were there at a moment, for a scan that may take long: all of its pages show the same moment, whatever
 * changes meanwhile.
 *
 * A page is one walk over newest records and their versions (storage/data/versions.ts). A cursor is a slot and a hash of the last key
 * that was passed, as in scanner.ts; its place is remembered, or else found by walking over the slot. Should the key's
 * last version have been collected meanwhile, the slot is walked over again: keys may come twice, none is missed.
 */
import { msOfTimestamp } from '../base/hlc.ts';
import type { Timestamp } from '../base/ids.ts';
import type { ScanPage, ScanRequest } from '../commands/view.ts';
import { historyGone, fail } from '../resp/errors.ts';
import { recordKeyLength } from '../storage/data/keys.ts';
import type { DataSnapshot } from '../storage/data/types.ts';
import { PastScan } from '../storage/data/versions.ts';
import { SCAN_CURSORS_MAX } from './limits.ts';
import { flushedBefore, flushesOf, type PartitionState } from './partition-state.ts';
import { keyRecordAt, slotEnd, slotStart, startAfter } from './record-reader.ts';
import { cursorAfter, cursorAtSlot, FROM_SLOT_START, placeOfCursor } from './scanner.ts';

/** Versions that one page walks over although it finds nothing: then it ends early. */
const WALKED_PER_PAGE_MAX = 20_000;
const KEYS_PER_READ = 1_000;
const BYTES_PER_READ = 1024 * 1024;

export interface HistoryScannerHost {
  readonly slots: { readonly first: number; readonly last: number };
  /** `endSlot`: greatest slot of all partitions, where a scan of the whole ends. */
  readonly scanner: { readonly endSlot: number };
}

export class HistoryScanner {
  readonly #host: HistoryScannerHost;
  /** Recent cursors and the record key at which each goes on, oldest first. */
  readonly #places = new Map<bigint, Uint8Array>();

  constructor(host: HistoryScannerHost) {
    this.#host = host;
  }

  /** Rejects with ReplyError or HistoryGone if the moment is not kept, of all keys or of one. */
  async scan(
    snapshot: DataSnapshot,
    state: PartitionState,
    { scan: request, at }: { readonly scan: ScanRequest; readonly at: Timestamp },
  ): Promise<ScanPage> {
    if (at < snapshot.historyFloor) fail(historyGone(at, snapshot.historyFloor));
    const flushedAt = flushedBefore(state, request.space, at);
    if (flushedAt === null) return fail(historyGone(at, flushesOf(state, request.space).from));
    const atMs = msOfTimestamp(at);
    const start = await this.#startOf(request.cursor, snapshot);
    const walk = new PastScan(snapshot, { start, end: slotEnd(this.#host.slots.last) }, at);
    const keys: string[] = [];
    let looked = 0;
    try {
      for (;;) {
        const next = await walk.next(WALKED_PER_PAGE_MAX);
        if (next === null) return { keys, next: this.#afterPartition() };
        if (next.record !== null) {
          looked++;
          const found = keyRecordAt(next.key, next.record);
          const isThere =
            found.isKeyRecord &&
            found.space === request.space &&
            found.timestamp > flushedAt &&
            (found.expiresAtMs === 0 || found.expiresAtMs > atMs) &&
            (request.type === undefined || found.type === request.type);
          if (isThere && request.matches(found.key)) keys.push(found.key);
        }
        if (looked >= request.count || next.record === null) return { keys, next: this.#cursorAfter(next.key) };
      }
    } finally {
      await walk.close();
    }
  }

  async #startOf(cursor: bigint, snapshot: DataSnapshot): Promise<Uint8Array> {
    const { first, last } = this.#host.slots;
    const place = placeOfCursor(cursor);
    if (cursor === 0n || place.slot < first) return slotStart(first);
    if (place.slot > last) return slotEnd(last);
    if (place.hash === FROM_SLOT_START) return slotStart(place.slot);
    const known = this.#places.get(cursor);
    if (known !== undefined) return known;
    const range = { start: slotStart(place.slot), end: slotEnd(place.slot) };
    const iterator = snapshot.iterate(range, { keysOnly: true, withVersions: true });
    try {
      for (;;) {
        const records = await iterator.next(KEYS_PER_READ, BYTES_PER_READ);
        if (records.length === 0) return range.start;
        for (const { key } of records) {
          const recordKey = key.subarray(0, recordKeyLength(key));
          if (cursorAfter(place.slot, recordKey) === cursor) return startAfter(recordKey);
        }
      }
    } finally {
      await iterator.close();
    }
  }

  #cursorAfter(recordKey: Uint8Array): bigint {
    const cursor = cursorAfter(((recordKey[0] ?? 0) << 8) | (recordKey[1] ?? 0), recordKey);
    this.#places.delete(cursor);
    this.#places.set(cursor, startAfter(recordKey));
    if (this.#places.size > SCAN_CURSORS_MAX) {
      const [oldest] = this.#places.keys();
      if (oldest !== undefined) this.#places.delete(oldest);
    }
    return cursor;
  }

  #afterPartition(): bigint {
    const { last } = this.#host.slots;
    return last >= this.#host.scanner.endSlot ? 0n : cursorAtSlot(last + 1);
  }
}
