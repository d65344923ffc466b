/**
 * What a partition is besides its records: counters that change with each entry and are stored in the same atomic batch.
 *
 *   u8  format = 5
 *   u64 time of the last entry, ms | u64 greatest commit timestamp | u32 rolling hash
 *   u32 bytes, configuration (raft/conf-codec.ts)
 *   u8  spaces, then each: u64 live keys | u64 flushed at (records not newer than this are dead)
 *   u8  databases, then each: u64 keys that have an expiry
 *   u64 oldest moment that is held | u64 oldest moment that need be kept | u64 revision of the holds
 *   u8  flushes that are remembered, then each: u8 space, 255 for all databases | u64 timestamp
 *   u8  databases with earlier ones, then each: u8 space | u64 timestamp of the last of these
 *
 * Readers of the past must know by which flush a record was dead at their moment. The last FLUSHES_MAX flushes are remembered, and
 * of the earlier ones the last of each database: a moment before that is not kept where it matters (`flushedBefore`).
 *
 * The rolling hash chains a CRC-32 over the bytes of all applied entries: replicas that disagree at an equal applied
 * index did not apply the same history.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { crc32 } from '../base/checksum.ts';
import { KahunaError } from '../base/errors.ts';
import type { Timestamp } from '../base/ids.ts';
import { decodeConfState, encodeConfState } from '../raft/conf-codec.ts';
import type { ConfState } from '../raft/types.ts';
import { DATABASE_COUNT, SPACE_COUNT, type Space } from '../values/value.ts';
import { ALL_DATABASES, type DecodedEntry, EXPIRING_COUNTER, type FlushChange, type Holds } from './entry-format.ts';

export type { Holds };

const STATE_FORMAT = 5;
const FLUSHES_MAX = 32;

export const NO_HOLDS: Holds = { floor: 0, passed: 0, revision: 0 };

export interface PartitionState {
  readonly timeMs: number;
  readonly lastTimestamp: Timestamp;
  readonly rollingHash: number;
  readonly confState: ConfState;
  /** By space. */
  readonly keyCounts: readonly number[];
  /** By database: keys that have an expiry. */
  readonly expiringCounts: readonly number[];
  /** By space: records whose commit timestamp is not greater are dead. 0 = never flushed. */
  readonly flushedAt: readonly Timestamp[];
  readonly holds: Holds;
  /** The last flushes, oldest first. */
  readonly flushes: readonly FlushChange[];
  /** By database: the last flush that is not among `flushes`; 0 = all are. */
  readonly earlierFlushes: readonly Timestamp[];
}

export function emptyPartitionState(confState: ConfState): PartitionState {
  return {
    timeMs: 0,
    lastTimestamp: 0,
    rollingHash: 0,
    confState,
    keyCounts: new Array<number>(SPACE_COUNT).fill(0),
    expiringCounts: new Array<number>(DATABASE_COUNT).fill(0),
    flushedAt: new Array<number>(SPACE_COUNT).fill(0),
    holds: NO_HOLDS,
    flushes: [],
    earlierFlushes: new Array<number>(DATABASE_COUNT).fill(0),
  };
}

/** The state after an entry with these bytes. */
export function afterEntry(state: PartitionState, data: Uint8Array, entry: DecodedEntry): PartitionState {
  let { keyCounts, expiringCounts, flushedAt, flushes, earlierFlushes } = state;
  if (entry.countChanges.length > 0) {
    const keys = [...keyCounts];
    const expiring = [...expiringCounts];
    for (const { counter, change } of entry.countChanges) {
      if (counter < EXPIRING_COUNTER) count(keys, counter, change);
      else count(expiring, counter - EXPIRING_COUNTER, change);
    }
    keyCounts = keys;
    expiringCounts = expiring;
  }
  for (const flush of entry.flushes) {
    flushedAt = flushedAt.map((at, space) => (isFlushed(space, flush.space) ? flush.timestamp : at));
    flushes = [...flushes, flush];
    const [oldest] = flushes;
    if (flushes.length <= FLUSHES_MAX || oldest === undefined) continue;
    flushes = flushes.slice(1);
    earlierFlushes = earlierFlushes.map((at, space) => (isFlushed(space, oldest.space) ? oldest.timestamp : at));
  }
  return {
    timeMs: Math.max(state.timeMs, entry.timeMs),
    lastTimestamp: Math.max(state.lastTimestamp, entry.lastTimestamp),
    rollingHash: crc32(data, state.rollingHash),
    confState: state.confState,
    keyCounts,
    expiringCounts,
    flushedAt,
    holds: entry.holds ?? state.holds,
    flushes,
    earlierFlushes,
  };
}

/**
 * The last flush of a space at or before a moment: records that were committed up to then were dead at the moment. 0 if there was
 * none, null if that is not known any more.
 */
export function flushedBefore(state: PartitionState, space: Space, at: Timestamp): Timestamp | null {
  if (space >= DATABASE_COUNT) return 0;
  const known = state.flushes.findLast((flush) => isFlushed(space, flush.space) && flush.timestamp <= at);
  if (known !== undefined) return known.timestamp;
  const earlier = state.earlierFlushes[space] ?? 0;
  return earlier <= at ? earlier : null;
}

/** Moments at which a space was flushed, as far as they are known, oldest first; `from`: all later ones are. */
export function flushesOf(
  state: PartitionState,
  space: Space,
): { readonly from: Timestamp; readonly moments: readonly Timestamp[] } {
  const moments = state.flushes.filter((flush) => isFlushed(space, flush.space)).map(({ timestamp }) => timestamp);
  return { from: state.earlierFlushes[space] ?? 0, moments: space < DATABASE_COUNT ? moments : [] };
}

function count(counts: number[], at: number, change: number): void {
  const changed = (counts[at] ?? 0) + change;
  if (changed < 0) throw new KahunaError('STATE_DIVERGED', `a count of space ${at} would be ${changed}`);
  counts[at] = changed;
}

function isFlushed(space: number, flushed: number): boolean {
  return flushed === ALL_DATABASES ? space < DATABASE_COUNT : flushed === space;
}

export function encodePartitionState(state: PartitionState): Uint8Array {
  const writer = new ByteWriter(512);
  writer.u8(STATE_FORMAT);
  writer.u64(state.timeMs);
  writer.u64(state.lastTimestamp);
  writer.u32(state.rollingHash);
  const confState = encodeConfState(state.confState);
  writer.u32(confState.length);
  writer.bytes(confState);
  writer.u8(SPACE_COUNT);
  for (let space = 0; space < SPACE_COUNT; space++) {
    writer.u64(state.keyCounts[space] ?? 0);
    writer.u64(state.flushedAt[space] ?? 0);
  }
  writer.u8(DATABASE_COUNT);
  for (let database = 0; database < DATABASE_COUNT; database++) writer.u64(state.expiringCounts[database] ?? 0);
  const { holds, flushes, earlierFlushes } = state;
  writer.u64(holds.floor);
  writer.u64(holds.passed);
  writer.u64(holds.revision);
  writer.u8(flushes.length);
  for (const { space, timestamp } of flushes) {
    writer.u8(space);
    writer.u64(timestamp);
  }
  writer.u8(earlierFlushes.filter((at) => at > 0).length);
  earlierFlushes.forEach((at, space) => {
    if (at === 0) return;
    writer.u8(space);
    writer.u64(at);
  });
  return writer.finish();
}

export function decodePartitionState(bytes: Uint8Array): PartitionState {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== STATE_FORMAT) {
    throw new KahunaError('STATE_FORMAT', `partition state has format ${format}, this version knows ${STATE_FORMAT}`);
  }
  const timeMs = reader.u64();
  const lastTimestamp = reader.u64();
  const rollingHash = reader.u32();
  const confState = decodeConfState(reader.bytes(reader.u32()));
  const keyCounts: number[] = [];
  const flushedAt: number[] = [];
  for (let left = counted(reader, SPACE_COUNT, 'spaces'); left > 0; left--) {
    keyCounts.push(reader.u64());
    flushedAt.push(reader.u64());
  }
  const expiringCounts: number[] = [];
  for (let left = counted(reader, DATABASE_COUNT, 'databases'); left > 0; left--) expiringCounts.push(reader.u64());
  const holds = { floor: reader.u64(), passed: reader.u64(), revision: reader.u64() };
  const flushes: FlushChange[] = [];
  for (let left = reader.u8(); left > 0; left--) flushes.push({ space: reader.u8(), timestamp: reader.u64() });
  const earlierFlushes = new Array<number>(DATABASE_COUNT).fill(0);
  for (let left = reader.u8(); left > 0; left--) {
    const space = reader.u8();
    if (space >= DATABASE_COUNT) throw new KahunaError('STATE_FORMAT', `there is no database ${space}`);
    earlierFlushes[space] = reader.u64();
  }
  reader.expectEnd();
  return {
    timeMs,
    lastTimestamp,
    rollingHash,
    confState,
    keyCounts,
    expiringCounts,
    flushedAt,
    holds,
    flushes,
    earlierFlushes,
  };
}

/** Another number than this version knows would be another format. */
function counted(reader: ByteReader, expected: number, what: string): number {
  const count = reader.u8();
  if (count !== expected)
    throw new KahunaError('STATE_FORMAT', `partition state has ${count} ${what}, not ${expected}`);
  return count;
}
