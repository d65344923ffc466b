/**
 * Layout of the keys in the data store. On the hot path: keys are encoded once per written record.
 *
 * Problem. One ordered store holds every partition of a node. A partition must be one contiguous range (splitting moves
 * nothing, a snapshot is a scan), the newest version of a record must be found by one point get (a seek costs an
 * asynchronous hop), and its older versions must lie beside it.
 *
 *     slot       u16, big-endian, 0 to 16383, or METADATA_SLOT
 *     space      u8: database 0 to 15, the names of locks, of sequences …
 *     user key   escaped: 0x00 becomes 0x00 0xFF; ended by 0x00 0x01
 *     kind       u8, see RECORD_KINDS
 *     sub-key    as many bytes as the kind says; a page number is u32, big-endian
 *     ----------------------------------------------------------------- up to here: the record key, under which the newest
 *     version    nothing for the newest; else u64, big-endian: 2^64 - 1 - commit timestamp              version is stored
 *
 * The escape keeps the order of raw bytes ("a" < "a\0" < "ab": 0x01 < 0xFF, and every other byte is above 0x00) and
 * delimits itself. So no record key is a prefix of another, provided that each kind's sub-key has a fixed length or
 * delimits itself too: a new kind must keep that. From it follow three things that the rest of the room relies on:
 * the end of the record key can be found in any stored key, so newest and older versions are told apart; the versions of a
 * record sort directly under its newest one, youngest first; a half-open range on record keys contains the versions of
 * exactly the records that it contains.
 *
 * One version of a record is none: HISTORY_START, before all others, says from when on the record's past is kept if that is later
 * than the store's own floor (versions.ts).
 *
 * Keys that begin with a byte from 0x80 on are the node's own (metadata.ts).
 *
 * Rejected: a suffix for the newest version as well (each put would copy the key), and versions in a range of their own
 * (a split or a snapshot would have to treat two ranges).
 */
import { assert } from '../../base/assert.ts';
import type { ByteWriter } from '../../base/bytes.ts';
import { SLOT_COUNT, type Slot, type Timestamp } from '../../base/ids.ts';
import { StoredDamage } from './damage.ts';
import type { RecordRange } from './types.ts';

/** What a record is about. On disk: append-only; a new row also needs its length in SUB_KEY_BYTES. */
export const RECORD_KINDS = {
  /** The key's own record: type, expiry, revision, and the value if it is small. */
  key: 0,
  /** One page of a long string; the sub-key is its number. */
  page: 1,
} as const;
export type RecordKind = keyof typeof RECORD_KINDS;

/** Bytes of the sub-key, by kind number. */
const SUB_KEY_BYTES: readonly number[] = [0, 4];

/** Stands where the slot does in the records of the metadata group, which have none. */
export const METADATA_SLOT = SLOT_COUNT;

const HEADER_BYTES = 3;
const ESCAPED_ZERO = 0xff;
const TERMINATOR = 0x01;
const VERSION_BYTES = 8;
const TWO_32 = 0x1_0000_0000;
const U32_MAX = 0xffff_ffff;
const PAGE_MAX = U32_MAX;

export interface DecodedKey {
  readonly slot: Slot;
  readonly space: number;
  /** One character a byte (latin1). */
  readonly key: string;
  readonly kind: RecordKind;
  /** Page number; 0 for the other kinds. */
  readonly page: number;
  /** Commit timestamp of an older version; undefined for the newest. */
  readonly version: Timestamp | undefined;
}

/** Key of a key's own record. `key` has one character a byte (latin1). The caller owns the bytes. */
export function encodeRecordKey(slot: Slot, space: number, key: string): Uint8Array {
  const zeros = key.indexOf('\0') === -1 ? 0 : countZeros(key);
  const target = Buffer.allocUnsafe(HEADER_BYTES + key.length + zeros + 3);
  target[0] = slot >>> 8;
  target[1] = slot;
  target[2] = space;
  let at = HEADER_BYTES;
  if (zeros === 0) at += target.write(key, HEADER_BYTES, 'latin1');
  else {
    for (let i = 0; i < key.length; i++) {
      const byte = key.charCodeAt(i);
      target[at++] = byte;
      if (byte === 0) target[at++] = ESCAPED_ZERO;
    }
  }
  target[at] = 0;
  target[at + 1] = TERMINATOR;
  target[at + 2] = RECORD_KINDS.key;
  return target;
}

/** Appends what `encodeRecordKey` returns, without an array of its own: for keys that go straight into a log entry. */
export function appendRecordKey(writer: ByteWriter, address: { slot: Slot; space: number; key: string }): void {
  const { slot, space, key } = address;
  writer.u8(slot >>> 8);
  writer.u8(slot);
  writer.u8(space);
  for (let i = 0; i < key.length; i++) {
    const byte = key.charCodeAt(i);
    writer.u8(byte);
    if (byte === 0) writer.u8(ESCAPED_ZERO);
  }
  writer.u8(0);
  writer.u8(TERMINATOR);
  writer.u8(RECORD_KINDS.key);
}

/** Key of page `page` (0 to 2^32 - 1) of the string whose own record has the key `recordKey`. */
export function encodePageKey(recordKey: Uint8Array, page: number): Uint8Array {
  assert(page >= 0 && page <= PAGE_MAX, `page ${page} is out of range`);
  assert(recordKey[recordKey.length - 1] === RECORD_KINDS.key, 'a page key is derived from the key of a key record');
  const target = Buffer.allocUnsafe(recordKey.length + 4);
  target.set(recordKey);
  target[recordKey.length - 1] = RECORD_KINDS.page;
  target.writeUInt32BE(page, recordKey.length);
  return target;
}

/** Takes a stored key apart. Throws KahunaError 'DATA_DAMAGED' if it is not one. */
export function decodeRecordKey(stored: Uint8Array): DecodedKey {
  const recordEnd = recordKeyLength(stored);
  const userEnd = userKeyEnd(stored);
  const kind = stored[userEnd + 2] === RECORD_KINDS.key ? 'key' : 'page';
  return {
    slot: ((stored[0] ?? 0) << 8) | (stored[1] ?? 0),
    space: stored[2] ?? 0,
    key: unescape(stored, userEnd),
    kind,
    page: kind === 'page' ? readU32(stored, userEnd + HEADER_BYTES) : 0,
    version: stored.length === recordEnd ? undefined : versionOf(stored, recordEnd),
  };
}

/**
 * Length of the record key at the beginning of a stored key: equal to the whole for a newest version, eight less for an
 * older one. Throws KahunaError 'DATA_DAMAGED' for anything else.
 */
export function recordKeyLength(stored: Uint8Array): number {
  const kindAt = userKeyEnd(stored) + 2;
  const subKeyBytes = SUB_KEY_BYTES[stored[kindAt] ?? SUB_KEY_BYTES.length];
  if (subKeyBytes === undefined) throw damagedKey(stored, 'its kind is unknown');
  const length = kindAt + 1 + subKeyBytes;
  if (stored.length !== length && stored.length !== length + VERSION_BYTES) {
    throw damagedKey(stored, 'its length does not fit its kind');
  }
  return length;
}

/** True for a key's own record, false for one of an element. Takes a record key. */
export function isKeyRecord(recordKey: Uint8Array): boolean {
  return recordKey[userKeyEnd(recordKey) + 2] === RECORD_KINDS.key;
}

/** Bytes of a record key that all records of one user key share. */
export function keyPrefixLength(recordKey: Uint8Array): number {
  return userKeyEnd(recordKey) + 2;
}

/** The range of a user key, from the key of its own record. */
export function rangeOfKeyRecord(recordKey: Uint8Array): RecordRange {
  return prefixRange(recordKey.subarray(0, keyPrefixLength(recordKey)));
}

/** Where the version of a record that was committed at `timestamp` is stored once it may be an older one. */
export function encodeVersionKey(recordKey: Uint8Array, timestamp: Timestamp): Uint8Array {
  const target = Buffer.allocUnsafe(recordKey.length + VERSION_BYTES);
  target.set(recordKey);
  target.writeUInt32BE(U32_MAX - Math.floor(timestamp / TWO_32), recordKey.length);
  target.writeUInt32BE(U32_MAX - (timestamp % TWO_32), recordKey.length + 4);
  return target;
}

/** Stands where a commit timestamp does; no commit has it. */
const HISTORY_START: Timestamp = Number.MAX_SAFE_INTEGER;

/** Where it is stored from when on the past of a record is kept. */
export function encodeHistoryStartKey(recordKey: Uint8Array): Uint8Array {
  return encodeVersionKey(recordKey, HISTORY_START);
}

/** Whether the `version` in a stored key is that of `encodeHistoryStartKey`. */
export function isHistoryStart(version: Timestamp): boolean {
  return version === HISTORY_START;
}

/** Commit timestamp in the key of an older version whose record key takes `recordLength` bytes. */
export function versionOf(stored: Uint8Array, recordLength: number): Timestamp {
  const high = U32_MAX - readU32(stored, recordLength);
  const low = U32_MAX - readU32(stored, recordLength + 4);
  const timestamp = high * TWO_32 + low;
  if (timestamp > Number.MAX_SAFE_INTEGER) throw damagedKey(stored, 'its version is not a timestamp');
  return timestamp;
}

/** Everything in the slots `first` to `last`, both included. */
export function slotRange(first: Slot, last: Slot): RecordRange {
  assert(first >= 0 && first <= last && last <= METADATA_SLOT, `slots ${first} to ${last} are not a range`);
  return { start: slotBytes(first), end: slotBytes(last + 1) };
}

/** Everything in one space of one slot. */
export function spaceRange(slot: Slot, space: number): RecordRange {
  return prefixRange(Buffer.from([slot >>> 8, slot, space]));
}

/** Every record of one user key: its own and those of its elements. */
export function keyRange(slot: Slot, space: number, key: string): RecordRange {
  const recordKey = encodeRecordKey(slot, space, key);
  return prefixRange(recordKey.subarray(0, recordKey.length - 1));
}

/** The records of all slots and of the metadata group: everything but the node's own keys. */
export function allRecords(): RecordRange {
  return slotRange(0, METADATA_SLOT);
}

/** The first possible key behind a record and all its versions: where a scan goes on. */
export function afterRecord(recordKey: Uint8Array): Uint8Array {
  return prefixRange(recordKey).end;
}

/** Where the older versions of a record lie. */
export function versionRange(recordKey: Uint8Array): RecordRange {
  const start = Buffer.allocUnsafe(recordKey.length + 1);
  start.set(recordKey);
  start[recordKey.length] = 0;
  return { start, end: afterRecord(recordKey) };
}

/** Every key that begins with `prefix`, which holds a byte below 0xFF. */
export function prefixRange(prefix: Uint8Array): RecordRange {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  assert(length > 0, 'no key lies behind a prefix of only 0xFF');
  const end = Buffer.from(prefix.subarray(0, length));
  end[length - 1] = (end[length - 1] ?? 0) + 1;
  return { start: Buffer.from(prefix), end };
}

export function isWithin(key: Uint8Array, range: RecordRange): boolean {
  return Buffer.compare(key, range.start) >= 0 && Buffer.compare(key, range.end) < 0;
}

/** Position of the 0x00 0x01 that ends the user key. */
function userKeyEnd(stored: Uint8Array): number {
  for (let at = stored.indexOf(0, HEADER_BYTES); at !== -1; at = stored.indexOf(0, at + 2)) {
    const next = stored[at + 1];
    if (next === TERMINATOR) return at;
    if (next !== ESCAPED_ZERO) break;
  }
  throw damagedKey(stored, 'its user key does not end');
}

function unescape(stored: Uint8Array, end: number): string {
  const bytes = Buffer.allocUnsafe(end - HEADER_BYTES);
  let length = 0;
  for (let at = HEADER_BYTES; at < end; at++) {
    const byte = stored[at] ?? 0;
    bytes[length++] = byte;
    if (byte === 0) at++;
  }
  return bytes.toString('latin1', 0, length);
}

function countZeros(key: string): number {
  let count = 0;
  for (let at = key.indexOf('\0'); at !== -1; at = key.indexOf('\0', at + 1)) count++;
  return count;
}

function slotBytes(slot: number): Uint8Array {
  return Buffer.from([slot >>> 8, slot]);
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  );
}

function damagedKey(stored: Uint8Array, why: string): StoredDamage {
  const shown = Buffer.from(stored.subarray(0, 64)).toString('hex');
  return new StoredDamage(stored, `the stored key ${shown} is damaged: ${why}`);
}
