/**
 * What a partition is besides its records: counters that change with each entry and are stored in the same atomic batch.
 *
 *   u8  format = 4
 *   u64 time of the last entry, ms | u64 greatest commit timestamp | u32 rolling hash
 *   u32 bytes, configuration (raft/conf-codec.ts)
 *   u8  spaces, then each: u64 live keys | u64 flushed at (records not newer than this are dead)
 *   u8  databases, then each: u64 keys that have an expiry
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
import { DATABASE_COUNT, SPACE_COUNT } from '../values/value.ts';
import { ALL_DATABASES, type DecodedEntry, EXPIRING_COUNTER } from './entry-format.ts';

const STATE_FORMAT = 4;

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
  };
}

/** The state after an entry with these bytes. */
export function afterEntry(state: PartitionState, data: Uint8Array, entry: DecodedEntry): PartitionState {
  let { keyCounts, expiringCounts, flushedAt } = state;
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
  }
  return {
    timeMs: Math.max(state.timeMs, entry.timeMs),
    lastTimestamp: Math.max(state.lastTimestamp, entry.lastTimestamp),
    rollingHash: crc32(data, state.rollingHash),
    confState: state.confState,
    keyCounts,
    expiringCounts,
    flushedAt,
  };
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
  reader.expectEnd();
  return { timeMs, lastTimestamp, rollingHash, confState, keyCounts, expiringCounts, flushedAt };
}

/** Another number than this version knows would be another format. */
function counted(reader: ByteReader, expected: number, what: string): number {
  const count = reader.u8();
  if (count !== expected)
    throw new KahunaError('STATE_FORMAT', `partition state has ${count} ${what}, not ${expected}`);
  return count;
}
