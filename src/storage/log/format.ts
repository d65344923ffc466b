/**
 * The bytes of the log on disk; README.md beside this file tells the idea. Everything is little-endian, everything starts
 * at a multiple of a sector (512 bytes, the unit that a disk writes whole or not at all).
 *
 * A segment file is
 *
 *     segment header   1 sector
 *     flush, flush, …  each a whole number of sectors
 *     zeros            to the end of the file
 *
 * Segment header (also, with segment number 0, the content of the file `identity`):
 *
 *     0    8  "KAHUNALG"
 *     8    4  crc32 of bytes 12 … 511
 *     12   4  format version
 *     16   8  salt: random, drawn once when the log was created, the same in all of its segments
 *     24   8  segment number, from 1
 *     32   8  number of the first flush in this segment
 *     40  16  hash of the flush before that one (zeros before flush 1)
 *     56   8  node id
 *     64   2  length of the cluster id in bytes, then the cluster id in UTF-8, then zeros
 *
 * Magic, checksum and version keep their place and meaning in every later version, so that an old program can say "this
 * is newer than I am" instead of "this is damaged".
 *
 * Flush:
 *
 *     0    4  "KFLU"
 *     4    4  crc32 of bytes 8 … 511 of the first sector
 *     8    8  salt
 *     16   8  flush number, from 1, without a gap over all segments
 *     24  16  hash of the flush before: first half of SHA-256 over its first sector
 *     40   4  payload bytes
 *     44   4  crc32 of all table sectors, 0 if there are none
 *     48   4  flags: 1 = the flush after this one begins the next segment; 2 = the payload starts with the state of groups
 *     52  12  zeros
 *     64   …  payload (records, see records.ts), zeros up to the end of the sector
 *
 * If that takes more than one sector, table sectors follow with the sums of all sectors but the first, 124 in each:
 *
 *     0    4  crc32 of bytes 4 … 511, seeded with the first four bytes of the salt
 *     4    4  position of this sector in the table, from 0
 *     8    8  flush number
 *     16   4  sum (see sector-sum.ts) of the second sector of the flush, and so on; zeros after the last
 *
 * The first sector checks itself and, through the table's checksum, fixes all others; so its hash stands for the flush.
 */
import { hash } from 'node:crypto';
import { copyBytes, getU32, getU64, putU32, putU64 } from '../../base/bytes.ts';
import { crc32 } from '../../base/checksum.ts';
import type { LogIdentity } from './types.ts';

export const FORMAT_VERSION = 1;
export const SECTOR_BYTES = 512;
export const FLUSH_HEADER_BYTES = 64;
export const SALT_BYTES = 8;
export const HASH_BYTES = 16;
export const TABLE_HEADER_BYTES = 16;
export const TABLE_SUMS_PER_SECTOR = (SECTOR_BYTES - TABLE_HEADER_BYTES) / 4;
export const CLUSTER_ID_BYTES_MAX = 256;
/** One flush; far above any sane batch, far below what a length field or a buffer can hold. */
export const FLUSH_PAYLOAD_BYTES_MAX = 1 << 30;

/** Append-only. */
export const FLUSH_FLAGS = { nextBeginsSegment: 1, startsWithGroups: 2 } as const;

const SEGMENT_MAGIC = Buffer.from('KAHUNALG', 'latin1');
const FLUSH_MAGIC = Buffer.from('KFLU', 'latin1').readUInt32LE(0);

export interface SegmentHeader extends LogIdentity {
  readonly salt: Uint8Array;
  readonly segment: number;
  readonly firstFlush: number;
  /** Hash of the flush before the first one. */
  readonly previousHash: Uint8Array;
}

export type DecodedSegmentHeader =
  | { readonly kind: 'header'; readonly header: SegmentHeader }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'empty' }
  | { readonly kind: 'damaged' };

/** Fills one sector of `target` from `at` on. */
export function putSegmentHeader(target: Uint8Array, at: number, header: SegmentHeader): void {
  const clusterId = Buffer.from(header.clusterId, 'utf8');
  target.fill(0, at, at + SECTOR_BYTES);
  target.set(SEGMENT_MAGIC, at);
  putU32(target, at + 12, FORMAT_VERSION);
  target.set(header.salt, at + 16);
  putU64(target, at + 24, header.segment);
  putU64(target, at + 32, header.firstFlush);
  target.set(header.previousHash, at + 40);
  putU64(target, at + 56, header.nodeId);
  target[at + 64] = clusterId.length;
  target[at + 65] = clusterId.length >>> 8;
  target.set(clusterId, at + 66);
  putU32(target, at + 8, crc32(target.subarray(at + 12, at + SECTOR_BYTES)));
}

/** Reads the first sector of `bytes`; what it hands out is copied. A file that is too short counts as damaged or empty. */
export function readSegmentHeader(bytes: Uint8Array): DecodedSegmentHeader {
  if (isZero(bytes, 0, Math.min(SECTOR_BYTES, bytes.length))) return { kind: 'empty' };
  if (bytes.length < SECTOR_BYTES) return { kind: 'damaged' };
  if (SEGMENT_MAGIC.compare(bytes, 0, SEGMENT_MAGIC.length) !== 0) return { kind: 'damaged' };
  if (getU32(bytes, 8) !== crc32(bytes.subarray(12, SECTOR_BYTES))) return { kind: 'damaged' };
  const version = getU32(bytes, 12);
  if (version > FORMAT_VERSION) return { kind: 'newer', version };
  const clusterIdBytes = (bytes[64] ?? 0) | ((bytes[65] ?? 0) << 8);
  if (version !== FORMAT_VERSION || clusterIdBytes > CLUSTER_ID_BYTES_MAX) return { kind: 'damaged' };
  return {
    kind: 'header',
    header: {
      salt: copyBytes(bytes.subarray(16, 16 + SALT_BYTES)),
      segment: getU64(bytes, 24),
      firstFlush: getU64(bytes, 32),
      previousHash: copyBytes(bytes.subarray(40, 40 + HASH_BYTES)),
      nodeId: getU64(bytes, 56),
      clusterId: Buffer.from(bytes.subarray(66, 66 + clusterIdBytes)).toString('utf8'),
    },
  };
}

export interface FlushHeader {
  readonly number: number;
  /** A view into the sector. */
  readonly previousHash: Uint8Array;
  readonly payloadBytes: number;
  readonly tableChecksum: number;
  readonly flags: number;
}

/**
 * Fills the header of a flush whose first sector starts at `at` and holds the first part of the payload already (padded
 * with zeros to the end of the sector).
 */
export function putFlushHeader(target: Uint8Array, at: number, salt: Uint8Array, header: FlushHeader): void {
  putU32(target, at, FLUSH_MAGIC);
  target.set(salt, at + 8);
  putU64(target, at + 16, header.number);
  target.set(header.previousHash, at + 24);
  putU32(target, at + 40, header.payloadBytes);
  putU32(target, at + 44, header.tableChecksum);
  putU32(target, at + 48, header.flags);
  target.fill(0, at + 52, at + FLUSH_HEADER_BYTES);
  putU32(target, at + 4, crc32(target.subarray(at + 8, at + SECTOR_BYTES)));
}

/** Header of the flush that starts at `at`, or null if the sector there is not the intact first sector of one of this log. */
export function readFlushHeader(bytes: Uint8Array, at: number, salt: Uint8Array): FlushHeader | null {
  if (at + SECTOR_BYTES > bytes.length || getU32(bytes, at) !== FLUSH_MAGIC) return null;
  for (let i = 0; i < SALT_BYTES; i++) if (bytes[at + 8 + i] !== salt[i]) return null;
  if (getU32(bytes, at + 4) !== crc32(bytes.subarray(at + 8, at + SECTOR_BYTES))) return null;
  return {
    number: getU64(bytes, at + 16),
    previousHash: bytes.subarray(at + 24, at + 24 + HASH_BYTES),
    payloadBytes: getU32(bytes, at + 40),
    tableChecksum: getU32(bytes, at + 44),
    flags: getU32(bytes, at + 48),
  };
}

/** What the next flush carries as the hash of this one. A fresh array. */
export function flushHash(bytes: Uint8Array, at: number): Uint8Array {
  return hash('sha256', bytes.subarray(at, at + SECTOR_BYTES), 'buffer').subarray(0, HASH_BYTES);
}

/** Sectors of a flush: those with header and payload, and those of the table behind them. */
export function flushSectors(payloadBytes: number): { readonly content: number; readonly table: number } {
  const content = Math.ceil((FLUSH_HEADER_BYTES + payloadBytes) / SECTOR_BYTES);
  return { content, table: Math.ceil((content - 1) / TABLE_SUMS_PER_SECTOR) };
}

/** Completes a table sector whose sums are in place. */
export function putTableHeader(target: Uint8Array, at: number, salt: Uint8Array, header: TableHeader): void {
  putU32(target, at + 4, header.position);
  putU64(target, at + 8, header.flush);
  putU32(target, at, tableChecksum(target, at, salt));
}

export interface TableHeader {
  readonly flush: number;
  readonly position: number;
}

/** Header of the table sector at `at`, or null if the sector there is not an intact one of this log. */
export function readTableHeader(bytes: Uint8Array, at: number, salt: Uint8Array): TableHeader | null {
  if (at + SECTOR_BYTES > bytes.length || getU32(bytes, at) !== tableChecksum(bytes, at, salt)) return null;
  return { position: getU32(bytes, at + 4), flush: getU64(bytes, at + 8) };
}

function tableChecksum(bytes: Uint8Array, at: number, salt: Uint8Array): number {
  return crc32(bytes.subarray(at + 4, at + SECTOR_BYTES), getU32(salt, 0));
}

const ZEROS = Buffer.alloc(64 * 1024);

/** True if [start, end) holds nothing but zeros. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += ZEROS.length) {
    const until = Math.min(at + ZEROS.length, end);
    if (ZEROS.compare(bytes, at, until, 0, until - at) !== 0) return false;
  }
  return true;
}
