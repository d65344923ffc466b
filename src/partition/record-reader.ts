/**
 * Reads keys from LevelDB for a leader: short values at once, long ones aside, and the records that a scan meets.
 * A wrong value is never served: damage takes the replica out of service, or ends a node that has no others (damage.ts).
 */
import { KahunaError } from '../base/errors.ts';
import type { GroupId, Slot, Timestamp } from '../base/ids.ts';
import type { ProcessControl, Timers } from '../base/platform.ts';
import type { PastKey } from '../commands/view.ts';
import { afterRecord, decodeRecordKey, encodePageKey, encodeRecordKey, slotRange } from '../storage/data/keys.ts';
import { openRecord } from '../storage/data/records.ts';
import type { DataSnapshot, DataStore, OpenedRecord, RawRecord } from '../storage/data/types.ts';
import { assembleValue, type DecodedKey, decodeKeyRecord, typeOf } from '../values/codec.ts';
import { PAGE_BYTES } from '../values/string.ts';
import { type Space, VALUE_TYPES, type Value } from '../values/value.ts';
import { readCarriedAnswers } from './carried-answers.ts';
import { isDamage, ReplicaDamaged } from './damage.ts';
import type { RecordedAnswer } from './entry-format.ts';
import { SYNCHRONOUS_PAGES_MAX } from './limits.ts';

export interface LoadedKey {
  readonly timestamp: Timestamp;
  readonly expiresAtMs: number;
  /** Null: too long to be read within an evaluation. */
  readonly value: Value | null;
}

/** A record that a scan met. */
export interface ScannedRecord {
  readonly recordKey: Uint8Array;
  /** False for the pages of long values. */
  readonly isKeyRecord: boolean;
  readonly slot: Slot;
  readonly space: Space;
  readonly key: string;
  /** Type number; 0 if this is no key record. */
  readonly type: number;
  readonly expiresAtMs: number;
  readonly timestamp: Timestamp;
}

/** Pages read between two turns of the event loop. */
const PAGES_PER_STEP = 64;

export class RecordReader {
  readonly #data: DataStore;
  readonly #process: ProcessControl;
  readonly #timers: Timers;
  readonly #slotOf: (key: string) => Slot;
  /** Takes the replica out of service; null: it has no others to be rebuilt from. */
  onDamage: ((error: unknown) => void) | null = null;

  constructor(
    data: DataStore,
    platform: { readonly process: ProcessControl; readonly timers: Timers },
    slotOf: (key: string) => Slot,
  ) {
    this.#data = data;
    this.#process = platform.process;
    this.#timers = platform.timers;
    this.#slotOf = slotOf;
  }

  readKey(space: Space, key: string): LoadedKey | undefined {
    const recordKey = encodeRecordKey(this.#slotOf(key), space, key);
    const record = this.#get(recordKey);
    if (record === undefined) return undefined;
    const decoded = decodeKeyRecord(record.payload);
    const { expiresAtMs } = decoded;
    const { timestamp } = record;
    if (decoded.value !== undefined) return { timestamp, expiresAtMs, value: decoded.value };
    if (decoded.pageCount > SYNCHRONOUS_PAGES_MAX) return { timestamp, expiresAtMs, value: null };
    const pages = this.#readPages(recordKey, decoded, decoded.firstPage, decoded.pageCount);
    return { timestamp, expiresAtMs, value: assembleValue(decoded, pages) };
  }

  /** Like `readKey`, whatever the length; undefined if the key changed while it was read. */
  async readLongKey(space: Space, key: string): Promise<(LoadedKey & { readonly value: Value }) | undefined> {
    const recordKey = encodeRecordKey(this.#slotOf(key), space, key);
    const record = this.#get(recordKey);
    if (record === undefined) return undefined;
    const decoded = decodeKeyRecord(record.payload);
    const { timestamp } = record;
    if (decoded.value !== undefined) return { timestamp, expiresAtMs: decoded.expiresAtMs, value: decoded.value };
    const pages: Uint8Array[] = [];
    while (pages.length < decoded.pageCount) {
      // Lets other work of the node go on between the steps; the key may change meanwhile.
      if (pages.length > 0) await new Promise<void>((resolve) => this.#timers.endOfTurn(resolve));
      if (this.#get(recordKey)?.timestamp !== timestamp) return undefined;
      const count = Math.min(PAGES_PER_STEP, decoded.pageCount - pages.length);
      pages.push(...this.#readPages(recordKey, decoded, decoded.firstPage + pages.length, count));
    }
    return { timestamp, expiresAtMs: decoded.expiresAtMs, value: assembleValue(decoded, pages) };
  }

  /** The key as it was at a moment. Rejects with HistoryGone; undefined if it was absent. */
  async readPastKey(
    snapshot: DataSnapshot,
    name: { readonly space: Space; readonly key: string },
    at: Timestamp,
  ): Promise<(LoadedKey & { readonly value: Value }) | undefined> {
    const recordKey = encodeRecordKey(this.#slotOf(name.key), name.space, name.key);
    const record = await this.#data.getAt(snapshot, recordKey, at);
    return record === undefined ? undefined : this.#assembledAt(snapshot, { recordKey, record }, at);
  }

  /**
   * Versions of a key committed at or before `upTo`, the newest first, as far as they are kept. `isCut`: there are more, but they
   * would take more than `bytesMax`; one is always read.
   */
  async readVersions(
    snapshot: DataSnapshot,
    name: { readonly space: Space; readonly key: string },
    wanted: { readonly upTo: Timestamp; readonly countMax: number; readonly bytesMax: number },
  ): Promise<{ readonly versions: readonly PastKey[]; readonly isCut: boolean }> {
    const recordKey = encodeRecordKey(this.#slotOf(name.key), name.space, name.key);
    const records = await this.#data.versionsOf(snapshot, recordKey, wanted);
    const versions: PastKey[] = [];
    // Just before the next version all of its pages were still there.
    let currentUntil = wanted.upTo;
    let bytes = 0;
    for (const { timestamp, payload } of records) {
      if (payload !== null) bytes += payload.length + decodeKeyRecord(payload).pageCount * PAGE_BYTES;
      if (bytes > wanted.bytesMax && versions.length > 0) return { versions, isCut: true };
      if (payload === null) versions.push({ value: undefined, expiresAtMs: 0, version: timestamp });
      else {
        const record = { timestamp, payload };
        const { value, expiresAtMs } = await this.#assembledAt(snapshot, { recordKey, record }, currentUntil);
        versions.push({ value, expiresAtMs, version: timestamp });
      }
      currentUntil = timestamp - 1;
    }
    return { versions, isCut: false };
  }

  async #assembledAt(
    snapshot: DataSnapshot,
    { recordKey, record }: { readonly recordKey: Uint8Array; readonly record: OpenedRecord },
    at: Timestamp,
  ): Promise<LoadedKey & { readonly value: Value }> {
    const decoded = decodeKeyRecord(record.payload);
    const { timestamp } = record;
    const { expiresAtMs } = decoded;
    if (decoded.value !== undefined) return { timestamp, expiresAtMs, value: decoded.value };
    const pages: Uint8Array[] = [];
    for (let page = decoded.firstPage; page < decoded.firstPage + decoded.pageCount; page++) {
      const found = await this.#data.getAt(snapshot, encodePageKey(recordKey, page), at);
      if (found === undefined) throw missingPage(recordKey, page, decoded.type);
      pages.push(found.payload);
    }
    return { timestamp, expiresAtMs, value: assembleValue(decoded, pages) };
  }

  /** Commit timestamp of what is stored under a record key now; undefined if nothing is. */
  storedTimestamp(recordKey: Uint8Array): Timestamp | undefined {
    return this.#get(recordKey)?.timestamp;
  }

  typeOf(value: Value): number {
    return VALUE_TYPES[typeOf(value)];
  }

  /** Answers of requests that a snapshot brought, as far as they may still be asked for. */
  carriedAnswers(group: GroupId): readonly RecordedAnswer[] {
    try {
      return readCarriedAnswers(this.#data, group)?.answers ?? [];
    } catch (error) {
      this.fail(error);
      throw new ReplicaDamaged();
    }
  }

  /** What was read, or could not be read, cannot be trusted: the replica leaves service, or the process ends. */
  fail(error: unknown): void {
    if (error instanceof ReplicaDamaged) return;
    const message = error instanceof Error ? error.message : String(error);
    if (this.onDamage === null || !isDamage(error)) this.#process.fatal('dataDamaged', message, error);
    else this.onDamage(error);
  }

  #readPages(recordKey: Uint8Array, decoded: DecodedKey, first: number, count: number): Uint8Array[] {
    const pages: Uint8Array[] = [];
    for (let page = first; page < first + count; page++) {
      const record = this.#get(encodePageKey(recordKey, page));
      if (record === undefined) {
        this.fail(missingPage(recordKey, page, decoded.type));
        throw new ReplicaDamaged();
      }
      pages.push(record.payload);
    }
    return pages;
  }

  #get(key: Uint8Array): OpenedRecord | undefined {
    try {
      return this.#data.get(key);
    } catch (error) {
      this.fail(error);
      throw new ReplicaDamaged();
    }
  }
}

function missingPage(recordKey: Uint8Array, page: number, type: string): KahunaError<'DATA_DAMAGED'> {
  const shown = Buffer.from(recordKey.subarray(0, 64)).toString('hex');
  return new KahunaError('DATA_DAMAGED', `page ${page} of the ${type} ${shown} is missing`);
}

// ---------------------------------------------------------------------------------------------------------------
// What scans need of the layout

export function recordKeyOf(slot: Slot, space: Space, key: string): Uint8Array {
  return encodeRecordKey(slot, space, key);
}

export function slotStart(slot: Slot): Uint8Array {
  return slotRange(slot, slot).start;
}

export function slotEnd(slot: Slot): Uint8Array {
  return slotRange(slot, slot).end;
}

/** The first possible record key after this one. */
export function startAfter(recordKey: Uint8Array): Uint8Array {
  return afterRecord(recordKey);
}

/** The key whose own record this is; undefined for a page. */
export function keyNameOf(record: RawRecord): string | undefined {
  const { key, kind } = decodeRecordKey(record.key);
  return kind === 'key' ? key : undefined;
}

export function keyRecordOf(record: RawRecord): ScannedRecord {
  return keyRecordAt(record.key, openRecord(record.key, record.sealed));
}

export function keyRecordAt(recordKey: Uint8Array, { timestamp, payload }: OpenedRecord): ScannedRecord {
  const { slot, space, key, kind } = decodeRecordKey(recordKey);
  if (kind !== 'key') return { recordKey, isKeyRecord: false, slot, space, key, type: 0, expiresAtMs: 0, timestamp };
  const { type, expiresAtMs } = decodeKeyRecord(payload);
  return { recordKey, isKeyRecord: true, slot, space, key, type: VALUE_TYPES[type], expiresAtMs, timestamp };
}
