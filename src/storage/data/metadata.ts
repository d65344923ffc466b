/**
 * What the data store keeps about itself, beside the records: whose directory it is, which boot of the machine wrote it
 * last, how complete its history is, how far each group is applied, and which ranges are being replaced.
 *
 *     0x80 0x01                    identity
 *     0x80 0x02                    boot id of the machine that opened it last
 *     0x80 0x03                    history
 *     0x81 group (u64, big-endian) applied state of a group
 *     0x82 group (u64, big-endian) ranges of a group that are being replaced or removed
 *
 * Each value begins with a CRC-32 (u32) over its key and the rest, so that damage is noticed at start. Integers are varints
 * unless said otherwise; byte strings carry a varint length before them.
 */
import { ByteReader, ByteWriter, getU32 } from '../../base/bytes.ts';
import { crc32 } from '../../base/checksum.ts';
import { KahunaError } from '../../base/errors.ts';
import type { GroupId, LogIndex, NodeId, Term, Timestamp } from '../../base/ids.ts';
import type { RecordRange } from './types.ts';

/** Rises when an older version of Kahuna could misread what a newer one wrote. */
export const DATA_FORMAT = 1;

/** Keys from here on are not records. */
export const NODE_PREFIX = 0x80;
const GROUP_PREFIX = 0x81;
const REPLACEMENT_PREFIX = 0x82;

export const IDENTITY_KEY = Buffer.from([NODE_PREFIX, 1]);
export const BOOT_KEY = Buffer.from([NODE_PREFIX, 2]);
export const HISTORY_KEY = Buffer.from([NODE_PREFIX, 3]);
export const GROUP_RANGE: RecordRange = { start: Buffer.from([GROUP_PREFIX]), end: Buffer.from([GROUP_PREFIX + 1]) };
export const REPLACEMENT_RANGE: RecordRange = {
  start: Buffer.from([REPLACEMENT_PREFIX]),
  end: Buffer.from([REPLACEMENT_PREFIX + 1]),
};

export interface StoredIdentity {
  readonly format: number;
  readonly clusterId: string;
  readonly nodeId: NodeId;
}

/** See history.ts. */
export const HISTORY_MODES = ['off', 'on', 'draining'] as const;
export type HistoryMode = (typeof HISTORY_MODES)[number];

export interface StoredHistory {
  readonly mode: HistoryMode;
  readonly since: Timestamp;
  readonly floor: Timestamp;
}

export interface StoredGroup {
  readonly index: LogIndex;
  readonly term: Term;
  /** Largest commit timestamp that the group has applied. */
  readonly timestampMax: Timestamp;
  /** Effects up to this index may be present without being complete: the machine crashed. 0 if there is no doubt. */
  readonly suspectUpTo: LogIndex;
  /** Index of the snapshot that was installed last; 0 if none was. */
  readonly installedIndex: LogIndex;
  readonly state: Uint8Array;
}

export interface StoredReplacement {
  /** False: the ranges are only to be emptied, and the group forgotten. */
  readonly isInstall: boolean;
  readonly ranges: readonly RecordRange[];
}

export function groupKey(group: GroupId): Uint8Array {
  return prefixedKey(GROUP_PREFIX, group);
}

export function replacementKey(group: GroupId): Uint8Array {
  return prefixedKey(REPLACEMENT_PREFIX, group);
}

/** Group in a key that `groupKey` or `replacementKey` made. */
export function groupOfKey(key: Uint8Array): GroupId {
  if (key.length !== 9) throw damagedMetadata(key, 'its key has the wrong length');
  return Number(Buffer.from(key).readBigUInt64BE(1));
}

export function encodeIdentity(identity: StoredIdentity): Uint8Array {
  return seal(IDENTITY_KEY, (body) => {
    body.varint(identity.format);
    body.varint(identity.nodeId);
    body.lengthPrefixed(Buffer.from(identity.clusterId));
  });
}

export function decodeIdentity(value: Uint8Array): StoredIdentity {
  const body = open(IDENTITY_KEY, value);
  const format = body.varint();
  const nodeId = body.varint();
  // A newer format may say more: it is refused by its number, not as damage.
  const clusterId = readText(IDENTITY_KEY, body);
  if (format <= DATA_FORMAT) body.expectEnd();
  return { format, nodeId, clusterId };
}

export function encodeBoot(machineBootId: string): Uint8Array {
  return seal(BOOT_KEY, (body) => body.lengthPrefixed(Buffer.from(machineBootId)));
}

export function decodeBoot(value: Uint8Array): string {
  const body = open(BOOT_KEY, value);
  const bootId = readText(BOOT_KEY, body);
  body.expectEnd();
  return bootId;
}

export function encodeHistory(history: StoredHistory): Uint8Array {
  return seal(HISTORY_KEY, (body) => {
    body.u8(HISTORY_MODES.indexOf(history.mode));
    body.varint(history.since);
    body.varint(history.floor);
  });
}

export function decodeHistory(value: Uint8Array): StoredHistory {
  const body = open(HISTORY_KEY, value);
  const mode = HISTORY_MODES[body.u8()];
  if (mode === undefined) throw damagedMetadata(HISTORY_KEY, 'its mode is unknown');
  const since = body.varint();
  const floor = body.varint();
  body.expectEnd();
  return { mode, since, floor };
}

/** Written with every batch of entries, so `key` is handed in: the caller keeps it. */
export function encodeGroup(key: Uint8Array, group: StoredGroup): Uint8Array {
  return seal(key, (body) => {
    body.varint(group.index);
    body.varint(group.term);
    body.varint(group.timestampMax);
    body.varint(group.suspectUpTo);
    body.varint(group.installedIndex);
    body.bytes(group.state);
  });
}

/** The state is a view into `value`. */
export function decodeGroup(key: Uint8Array, value: Uint8Array): StoredGroup {
  const body = open(key, value);
  const index = body.varint();
  const term = body.varint();
  const timestampMax = body.varint();
  const suspectUpTo = body.varint();
  const installedIndex = body.varint();
  return { index, term, timestampMax, suspectUpTo, installedIndex, state: body.rest() };
}

export function encodeReplacement(group: GroupId, replacement: StoredReplacement): Uint8Array {
  return seal(replacementKey(group), (body) => {
    body.u8(replacement.isInstall ? 1 : 0);
    body.varint(replacement.ranges.length);
    for (const range of replacement.ranges) {
      body.lengthPrefixed(range.start);
      body.lengthPrefixed(range.end);
    }
  });
}

export function decodeReplacement(key: Uint8Array, value: Uint8Array): StoredReplacement {
  const body = open(key, value);
  const what = body.u8();
  if (what > 1) throw damagedMetadata(key, `it is a replacement of unknown kind ${what}`);
  const ranges: RecordRange[] = [];
  for (let left = body.varint(); left > 0; left--) {
    const start = body.lengthPrefixed();
    ranges.push({ start, end: body.lengthPrefixed() });
  }
  body.expectEnd();
  return { isInstall: what === 1, ranges };
}

function prefixedKey(prefix: number, group: GroupId): Uint8Array {
  const key = Buffer.allocUnsafe(9);
  key[0] = prefix;
  key.writeBigUInt64BE(BigInt(group), 1);
  return key;
}

/** A fresh array per value; the caller owns it. */
function seal(key: Uint8Array, writeBody: (body: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u32(0);
  writeBody(writer);
  writer.patchU32(0, crc32(writer.finish().subarray(4), crc32(key)));
  return writer.finish();
}

function open(key: Uint8Array, value: Uint8Array): ByteReader {
  if (value.length < 4) throw damagedMetadata(key, `only ${value.length} bytes are left of it`);
  if (crc32(value.subarray(4), crc32(key)) !== getU32(value, 0))
    throw damagedMetadata(key, 'its checksum does not fit');
  return new ByteReader(value, 4);
}

function readText(key: Uint8Array, body: ByteReader): string {
  const bytes = body.lengthPrefixed();
  const text = Buffer.from(bytes).toString();
  if (!Buffer.from(text).equals(bytes)) throw damagedMetadata(key, 'it holds bytes that are no text');
  return text;
}

function damagedMetadata(key: Uint8Array, why: string): KahunaError<'DATA_DAMAGED'> {
  const shown = Buffer.from(key).toString('hex');
  return new KahunaError(
    'DATA_DAMAGED',
    `the data store's own record ${shown} is damaged: ${why}; rebuild this replica from its peers`,
  );
}
