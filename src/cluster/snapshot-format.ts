/**
 * A partition's state on its way to another node, and while it lies there until it is whole.
 *
 *   header:  u8 format = 2 | u8 purpose | u32 group | u64 history floor
 *            | u32 bytes, Raft message | u32 bytes, partition state | u32 bytes, carried answers
 *   records: u32 number, each: u32 key bytes | u32 sealed bytes | key | sealed record
 *   end:     u64 number of records | u64 number of record messages
 *   result:  u8 1 = installed, 0 = not
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import type { GroupId, Timestamp } from '../base/ids.ts';
import type { RawRecord } from '../storage/data/types.ts';

const FORMAT = 2;

/** Append-only numbers. `catchUp`: the receiver's log is too far behind. `rebuild`: its data is damaged (quarantine.ts). */
export const SNAPSHOT_PURPOSES = { catchUp: 0, rebuild: 1 } as const;
export type SnapshotPurpose = (typeof SNAPSHOT_PURPOSES)[keyof typeof SNAPSHOT_PURPOSES];

export interface SnapshotHeader {
  readonly purpose: SnapshotPurpose;
  readonly group: GroupId;
  /** Oldest moment at which the versions that are sent along are complete. */
  readonly historyFloor: Timestamp;
  /** The encoded Raft message, with the metadata of what follows. */
  readonly message: Uint8Array;
  readonly state: Uint8Array;
  readonly answers: Uint8Array;
}

export function encodeHeader(header: SnapshotHeader): Uint8Array {
  const writer = new ByteWriter(header.answers.length + 4096);
  writer.u8(FORMAT);
  writer.u8(header.purpose);
  writer.u32(header.group);
  writer.u64(header.historyFloor);
  for (const part of [header.message, header.state, header.answers]) {
    writer.u32(part.length);
    writer.bytes(part);
  }
  return writer.finish();
}

/** Views of `bytes`. Throws KahunaError 'BYTES_MALFORMED', or 'SNAPSHOT_FORMAT' if another version wrote it. */
export function decodeHeader(bytes: Uint8Array): SnapshotHeader {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== FORMAT) {
    throw new KahunaError('SNAPSHOT_FORMAT', `a snapshot has format ${format}, this version knows ${FORMAT}`);
  }
  const purpose = reader.u8();
  if (purpose !== SNAPSHOT_PURPOSES.catchUp && purpose !== SNAPSHOT_PURPOSES.rebuild) {
    throw new KahunaError('SNAPSHOT_FORMAT', `a snapshot of unknown purpose ${purpose}`);
  }
  const group = reader.u32();
  const historyFloor = reader.u64();
  const message = reader.bytes(reader.u32());
  const state = reader.bytes(reader.u32());
  const answers = reader.bytes(reader.u32());
  reader.expectEnd();
  return { purpose, group, historyFloor, message, state, answers };
}

export function writeRecords(writer: ByteWriter, records: readonly RawRecord[]): void {
  writer.u32(records.length);
  for (const { key, sealed } of records) {
    writer.u32(key.length);
    writer.u32(sealed.length);
    writer.bytes(key);
    writer.bytes(sealed);
  }
}

/** Views of `bytes`. Throws KahunaError 'BYTES_MALFORMED'. */
export function decodeRecords(bytes: Uint8Array): readonly RawRecord[] {
  const reader = new ByteReader(bytes);
  const records: RawRecord[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const keyBytes = reader.u32();
    const sealedBytes = reader.u32();
    const key = reader.bytes(keyBytes);
    records.push({ key, sealed: reader.bytes(sealedBytes) });
  }
  reader.expectEnd();
  return records;
}

export interface SnapshotEnd {
  readonly recordCount: number;
  readonly partCount: number;
}

export function encodeEnd(end: SnapshotEnd): Uint8Array {
  const writer = new ByteWriter(16);
  writer.u64(end.recordCount);
  writer.u64(end.partCount);
  return writer.finish();
}

export function decodeEnd(bytes: Uint8Array): SnapshotEnd {
  const reader = new ByteReader(bytes);
  const recordCount = reader.u64();
  const partCount = reader.u64();
  reader.expectEnd();
  return { recordCount, partCount };
}
