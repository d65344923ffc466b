/**
 * The seal of a record: a checksum that binds value, commit timestamp and key together. On the hot path: one seal per
 * written record at the leader, one check per record read.
 *
 * LevelDB does not notice a flipped bit in a table, and may even return the value of another key. So every record carries
 *
 *     crc32      u32   over the record key, then everything that follows here
 *     timestamp  u56   commit timestamp
 *     flags      u8    0: a value; TOMBSTONE: the record was deleted at this timestamp (only as an older version);
 *                      STARTS_HISTORY: a value, and what came before it is not kept for readers of the past
 *     payload    …
 *
 * All numbers are little-endian: timestamp and flags are one u64 whose top byte, which no timestamp uses, holds the flags.
 * A record that was moved to another key, cut, or changed in any bit does not open; an old value of the same key does, which
 * only the comparison of replicas finds (scrub.ts).
 *
 * The leader seals straight into the log entry; followers apply slices of that entry. So the bytes of a record are made
 * once in the cluster.
 */
import { assert } from '../../base/assert.ts';
import { type ByteWriter, getU32, putU32, putU64 } from '../../base/bytes.ts';
import { crc32 } from '../../base/checksum.ts';
import type { Timestamp } from '../../base/ids.ts';
import { StoredDamage } from './damage.ts';
import type { OpenedRecord } from './types.ts';

/** Bytes before the payload. */
export const SEAL_BYTES = 12;
const FLAGS_AT = 11;
const TOMBSTONE = 1;
const STARTS_HISTORY = 2;
const TWO_32 = 0x1_0000_0000;
const EMPTY = new Uint8Array(0);

/** The sealed record, in bytes that the caller owns. `key` is the record key, without version. */
export function sealRecord(key: Uint8Array, timestamp: Timestamp, payload: Uint8Array): Uint8Array {
  const sealed = Buffer.allocUnsafe(SEAL_BYTES + payload.length);
  sealed.set(payload, SEAL_BYTES);
  putU64(sealed, 4, timestamp);
  putU32(sealed, 0, crc32(sealed.subarray(4), crc32(key)));
  return sealed;
}

/** In a sealed record whose checksum is not computed yet: readers of the past find nothing before it. */
export function markHistoryStart(sealed: Uint8Array, sealAt: number): void {
  sealed[sealAt + FLAGS_AT] = STARTS_HISTORY;
}

/** As `sealRecord`, for a record that starts its history. */
export function sealHistoryStart(key: Uint8Array, timestamp: Timestamp, payload: Uint8Array): Uint8Array {
  const sealed = sealRecord(key, timestamp, payload);
  markHistoryStart(sealed, 0);
  putU32(sealed, 0, crc32(sealed.subarray(4), crc32(key)));
  return sealed;
}

/** Whether what came before a sealed record is not kept; unchecked. */
export function startsHistory(sealed: Uint8Array): boolean {
  return sealed[FLAGS_AT] === STARTS_HISTORY;
}

/** What takes the place of a record among the older versions from the moment of its deletion on. */
export function sealTombstone(key: Uint8Array, timestamp: Timestamp): Uint8Array {
  const sealed = sealRecord(key, timestamp, EMPTY);
  sealed[FLAGS_AT] = TOMBSTONE;
  putU32(sealed, 0, crc32(sealed.subarray(4), crc32(key)));
  return sealed;
}

/** Appends a sealed record to `writer`. */
export function appendSealed(writer: ByteWriter, key: Uint8Array, record: OpenedRecord): void {
  const sealAt = beginSeal(writer, record.timestamp);
  writer.bytes(record.payload);
  endSeal(writer, sealAt, key);
}

/** Starts a sealed record at the end of `writer`; the payload is written next. Returns what `endSeal` wants to know. */
export function beginSeal(writer: ByteWriter, timestamp: Timestamp): number {
  const sealAt = writer.length;
  writer.u32(0);
  writer.u64(timestamp);
  return sealAt;
}

/** Everything written since `beginSeal` is the payload. `key` may be a view into the same writer. */
export function endSeal(writer: ByteWriter, sealAt: number, key: Uint8Array): void {
  const covered = writer.finish().subarray(sealAt + 4);
  writer.patchU32(sealAt, crc32(covered, crc32(key)));
}

/**
 * Checks the seal and opens the record: the payload is a view into `sealed`. Throws KahunaError 'DATA_DAMAGED' if it is not
 * what was once sealed for this key.
 */
export function openRecord(key: Uint8Array, sealed: Uint8Array): OpenedRecord {
  const opened = openVersion(key, sealed);
  if (opened === undefined) throw damagedRecord(key, 'a deletion stands in the place of a value');
  return opened;
}

/** As `openRecord`, for a stored version: undefined if that is a deletion. */
export function openVersion(key: Uint8Array, sealed: Uint8Array): OpenedRecord | undefined {
  if (sealed.length < SEAL_BYTES) throw damagedRecord(key, `only ${sealed.length} bytes are left of it`);
  if (crc32(sealed.subarray(4), crc32(key)) !== getU32(sealed, 0))
    throw damagedRecord(key, 'its checksum does not fit');
  const flags = sealed[FLAGS_AT];
  if (flags === TOMBSTONE && sealed.length === SEAL_BYTES) return undefined;
  if (flags !== 0 && flags !== STARTS_HISTORY) throw damagedRecord(key, `its flags are ${String(flags)}`);
  return { timestamp: sealedTimestamp(sealed), payload: sealed.subarray(SEAL_BYTES) };
}

/** Commit timestamp of a sealed record or tombstone, unchecked. */
export function sealedTimestamp(sealed: Uint8Array): Timestamp {
  assert(sealed.length >= SEAL_BYTES, 'too short for a sealed record');
  return getU32(sealed, 4) + (getU32(sealed, 8) & 0x00ff_ffff) * TWO_32;
}

function damagedRecord(key: Uint8Array, why: string): StoredDamage {
  const shown = Buffer.from(key.subarray(0, 64)).toString('hex');
  return new StoredDamage(key, `the stored record of key ${shown} is damaged: ${why}`);
}
