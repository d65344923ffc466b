/**
 * Reading the past of a record: as it was at a moment, and version by version.
 *
 * Most records have not changed since, so the newest version is looked at first, by a point get. Otherwise the version is the
 * first stored key at or behind the record key with the inverted moment, as long as it still belongs to the record; a
 * tombstone there says that the record did not exist.
 *
 * A record may forget its past earlier than the store does: if a write said that nothing before it is to be kept, or if more
 * versions came than are kept of each. Then a mark beside its versions holds the moment from which on its past is whole.
 * It lies in a place of its own, not in one of the versions, because replaying the log writes versions again as they once were.
 * Whatever deletes versions on the strength of a mark carries the mark in the same batch.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { KahunaError } from '../../base/errors.ts';
import type { Timestamp } from '../../base/ids.ts';
import { StoredDamage } from './damage.ts';
import {
  afterRecord,
  encodeHistoryStartKey,
  encodeVersionKey,
  isHistoryStart,
  recordKeyLength,
  versionOf,
} from './keys.ts';
import type { KeyValueStore, StoreBatch, StoreSnapshot } from './key-value-store.ts';
import { openRecord, openVersion, sealedTimestamp, sealRecord } from './records.ts';
import type { DataSnapshot, OpenedRecord, PastRecord, RawRecord, RecordIterator, RecordRange } from './types.ts';

/** Versions read at a time. */
const VERSIONS_PER_READ = 64;
const SCAN_RECORDS_PER_READ = 256;
const SCAN_BYTES_PER_READ = 256 * 1024;

/** A store as it was, and the oldest moment of which it is whole. */
export interface PastView {
  readonly store: KeyValueStore;
  readonly snapshot: StoreSnapshot;
  readonly floor: Timestamp;
}

/** Rejects with 'HISTORY_GONE' if the moment is not kept, and with 'DATA_DAMAGED'. */
export async function readVersion(
  view: PastView,
  wanted: { readonly key: Uint8Array; readonly at: Timestamp },
): Promise<OpenedRecord | undefined> {
  const { store, snapshot } = view;
  const { key, at } = wanted;
  if (at < view.floor) throw new HistoryGone(at, view.floor);
  const newestSealed = store.getSync(key, snapshot);
  if (newestSealed !== undefined) {
    const newest = openRecord(key, newestSealed);
    if (newest.timestamp <= at) return newest;
  }
  const start = historyStart(store, key, snapshot);
  if (at < start) throw new HistoryGone(at, start);
  const iterator = store.iterator({ start: encodeVersionKey(key, at), end: afterRecord(key), snapshot });
  const [found] = await iterator.nextv(1);
  await iterator.close();
  if (found === undefined) return undefined;
  checkVersion(found[0], key.length, found[1]);
  return openVersion(key, found[1]);
}

/**
 * The versions of a record that readers of the past may see, youngest first: those committed at or before `upTo`, down to the
 * one that was the newest at the oldest moment that is kept. Deletions are among them. At most `countMax`.
 */
export async function readVersions(
  view: PastView,
  wanted: { readonly key: Uint8Array; readonly upTo: Timestamp; readonly countMax: number },
): Promise<readonly PastRecord[]> {
  const { store, snapshot } = view;
  const { key, upTo, countMax } = wanted;
  const oldest = Math.max(view.floor, historyStart(store, key, snapshot));
  const versions: PastRecord[] = [];
  if (upTo < oldest) return versions;
  /** False once the versions before this one are not to be shown. */
  const take = (timestamp: Timestamp, payload: Uint8Array | null): boolean => {
    // The record and its own copy are one version.
    if (versions.at(-1)?.timestamp === timestamp) return timestamp > oldest;
    if (payload !== null || timestamp > oldest) versions.push({ timestamp, payload });
    return timestamp > oldest && versions.length < countMax;
  };
  const newestSealed = store.getSync(key, snapshot);
  if (newestSealed !== undefined) {
    const { timestamp, payload } = openRecord(key, newestSealed);
    if (timestamp <= upTo && !take(timestamp, payload)) return versions;
  }
  const iterator = store.iterator({ start: encodeVersionKey(key, upTo), end: afterRecord(key), snapshot });
  try {
    for (;;) {
      const entries = await iterator.nextv(Math.min(VERSIONS_PER_READ, countMax + 1));
      for (const [stored, sealed] of entries) {
        checkVersion(stored, key.length, sealed);
        if (!take(sealedTimestamp(sealed), openVersion(key, sealed)?.payload ?? null)) return versions;
      }
      if (entries.length === 0) return versions;
    }
  } finally {
    await iterator.close();
  }
}

/** All records of a range as they were at one moment, in the order of their keys. */
export class PastScan {
  readonly #iterator: RecordIterator;
  readonly #at: Timestamp;
  #ready: RawRecord[] = [];
  /** The record that the walk is in; empty before the first. */
  #recordKey: Buffer = Buffer.alloc(0);
  /** What became of it is known. */
  #isSettled = true;

  /** The moment is not below the floor of the snapshot. */
  constructor(snapshot: DataSnapshot, range: RecordRange, at: Timestamp) {
    this.#iterator = snapshot.iterate(range, { withVersions: true });
    this.#at = at;
  }

  /**
   * The next record that was there, or null at the end. Without a record: so many versions were walked over, and the walk stands
   * behind the record with this key. Rejects with 'HISTORY_GONE' at a record whose past does not reach back to the moment.
   */
  async next(
    walkedMax = Number.POSITIVE_INFINITY,
  ): Promise<{ readonly key: Uint8Array; readonly record: OpenedRecord | null } | null> {
    for (let walked = 0; ; walked++) {
      if (this.#ready.length === 0) {
        this.#ready = [...(await this.#iterator.next(SCAN_RECORDS_PER_READ, SCAN_BYTES_PER_READ))].reverse();
      }
      const raw = this.#ready.pop();
      if (raw === undefined) return null;
      if (walked >= walkedMax && !this.#isWithin(raw)) {
        this.#ready.push(raw);
        return { key: this.#recordKey, record: null };
      }
      const record = this.#take(raw);
      if (record !== undefined) return { key: this.#recordKey, record };
    }
  }

  close(): Promise<void> {
    return this.#iterator.close();
  }

  /** Whether it belongs to the record that the walk is in. */
  #isWithin({ key }: RawRecord): boolean {
    return this.#recordKey.compare(key, 0, recordKeyLength(key)) === 0;
  }

  #take({ key, sealed }: RawRecord): OpenedRecord | undefined {
    const length = recordKeyLength(key);
    if (length === key.length) {
      this.#enter(key, length);
      const newest = openRecord(key, sealed);
      if (newest.timestamp > this.#at) return undefined;
      this.#isSettled = true;
      return newest;
    }
    if (this.#recordKey.compare(key, 0, length) !== 0) this.#enter(key, length);
    if (this.#isSettled) return undefined;
    const timestamp = versionOf(key, length);
    checkVersion(key, length, sealed);
    if (isHistoryStart(timestamp)) {
      const start = openHistoryStart(this.#recordKey, sealed);
      if (this.#at < start) throw new HistoryGone(this.#at, start);
    } else if (timestamp <= this.#at) {
      this.#isSettled = true;
      return openVersion(this.#recordKey, sealed);
    }
    return undefined;
  }

  #enter(key: Uint8Array, length: number): void {
    this.#recordKey = Buffer.from(key.subarray(0, length));
    this.#isSettled = false;
  }
}

/** From when on the past of a record is kept, as its mark says; 0 if it has none. Throws 'DATA_DAMAGED'. */
export function historyStart(store: KeyValueStore, key: Uint8Array, snapshot?: StoreSnapshot): Timestamp {
  const sealed = store.getSync(encodeHistoryStartKey(key), snapshot);
  return sealed === undefined ? 0 : openHistoryStart(key, sealed);
}

/** Adds the mark; it must not say less than the one that is there. */
export function putHistoryStart(batch: StoreBatch, key: Uint8Array, start: Timestamp): void {
  const stored = encodeHistoryStartKey(key);
  const writer = new ByteWriter(8);
  writer.u64(start);
  batch.put(stored, sealRecord(key, versionOf(stored, key.length), writer.finish()));
}

function openHistoryStart(key: Uint8Array, sealed: Uint8Array): Timestamp {
  const { payload } = openRecord(key, sealed);
  const reader = new ByteReader(payload);
  const start = reader.u64();
  reader.expectEnd();
  return start;
}

/** A version must lie under its own timestamp. Throws KahunaError 'DATA_DAMAGED'. */
function checkVersion(stored: Uint8Array, recordLength: number, sealed: Uint8Array): void {
  openVersion(stored.subarray(0, recordLength), sealed);
  if (sealedTimestamp(sealed) === versionOf(stored, recordLength)) return;
  const shown = Buffer.from(stored.subarray(0, 64)).toString('hex');
  throw new StoredDamage(stored, `the stored version ${shown} is damaged: it holds that of another moment`);
}

/**
 * Checks a record as it was streamed: its key and its seal. Throws KahunaError 'DATA_DAMAGED'; returns its timestamp, 0 for a mark
 * beside the versions.
 */
export function checkRawRecord(record: RawRecord, recordLength: number): Timestamp {
  if (record.key.length === recordLength) return openRecord(record.key, record.sealed).timestamp;
  checkVersion(record.key, recordLength, record.sealed);
  const timestamp = sealedTimestamp(record.sealed);
  return isHistoryStart(timestamp) ? 0 : timestamp;
}

/** A moment that is not kept any more, of a record or of all. */
export class HistoryGone extends KahunaError<'HISTORY_GONE'> {
  readonly at: Timestamp;
  /** The oldest that is. */
  readonly oldest: Timestamp;

  constructor(at: Timestamp, oldest: Timestamp) {
    super('HISTORY_GONE', `moment ${at} lies before the oldest that is kept, ${oldest}`);
    this.at = at;
    this.oldest = oldest;
  }
}
