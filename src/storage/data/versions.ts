/**
 * Reading a record as of a moment: the newest version that was committed at or before it.
 *
 * Most records have not changed since, so the newest version is looked at first, by a point get. Otherwise the version is the
 * first stored key at or behind the record key with the inverted moment, as long as it still belongs to the record; a
 * tombstone there says that the record did not exist.
 */
import { KahunaError } from '../../base/errors.ts';
import type { Timestamp } from '../../base/ids.ts';
import { afterRecord, encodeVersionKey, versionOf } from './keys.ts';
import type { KeyValueStore, StoreSnapshot } from './key-value-store.ts';
import { openRecord, openVersion, sealedTimestamp } from './records.ts';
import type { OpenedRecord, RawRecord } from './types.ts';

/** `at` is not below the snapshot's history floor. Rejects with 'DATA_DAMAGED'. */
export async function readVersion(
  store: KeyValueStore,
  snapshot: StoreSnapshot,
  wanted: { readonly key: Uint8Array; readonly at: Timestamp },
): Promise<OpenedRecord | undefined> {
  const { key, at } = wanted;
  const newestSealed = store.getSync(key, snapshot);
  if (newestSealed !== undefined) {
    const newest = openRecord(key, newestSealed);
    if (newest.timestamp <= at) return newest;
  }
  const iterator = store.iterator({ start: encodeVersionKey(key, at), end: afterRecord(key), snapshot });
  const [found] = await iterator.nextv(1);
  await iterator.close();
  if (found === undefined) return undefined;
  checkVersion(found[0], key.length, found[1]);
  return openVersion(key, found[1]);
}

/** A version must lie under its own timestamp. Throws KahunaError 'DATA_DAMAGED'. */
function checkVersion(stored: Uint8Array, recordLength: number, sealed: Uint8Array): void {
  openVersion(stored.subarray(0, recordLength), sealed);
  if (sealedTimestamp(sealed) === versionOf(stored, recordLength)) return;
  const shown = Buffer.from(stored.subarray(0, 64)).toString('hex');
  throw new KahunaError(
    'DATA_DAMAGED',
    `the stored version ${shown} is damaged: it holds that of another moment; rebuild this replica from its peers`,
  );
}

/** Checks a record as it was streamed: its key and its seal. Throws KahunaError 'DATA_DAMAGED'; returns its timestamp. */
export function checkRawRecord(record: RawRecord, recordLength: number): Timestamp {
  if (record.key.length === recordLength) return openRecord(record.key, record.sealed).timestamp;
  checkVersion(record.key, recordLength, record.sealed);
  return sealedTimestamp(record.sealed);
}
