/**
 * Writes what changed in a key into the open batch, in stored form: the key record, and the pages of long values that
 * are not shared with what was there before.
 *
 * Hot path (bench: compat/bench, SET): key and sealed record are written straight into the batch's memory.
 */
import { putU32, putU64 } from '../base/bytes.ts';
import { crc32 } from '../base/checksum.ts';
import type { Slot, Timestamp } from '../base/ids.ts';
import { encodePageKey, encodeRecordKey } from '../storage/data/keys.ts';
import { markHistoryStart, SEAL_BYTES } from '../storage/data/records.ts';
import { changedPages, encodedSize, encodeKeyRecordInto } from '../values/codec.ts';
import type { Space, Value } from '../values/value.ts';
import type { Batch } from './batch.ts';
import { CHANGE_OPS } from './entry-format.ts';

/** A key and the change that is made to it. */
export interface KeyTarget {
  readonly slot: Slot;
  readonly space: Space;
  readonly key: string;
  readonly timestamp: Timestamp;
  /** Commit timestamp of the record that is replaced, 0 if there was none. */
  readonly replaces: Timestamp;
}

export interface KeyPut extends KeyTarget {
  readonly old: Value | undefined;
  readonly value: Value;
  readonly expiresAtMs: number;
  /** What it replaces was committed at `replaces` or before, if there is anything: a flush left it. */
  readonly isReplacedUnknown: boolean;
  /** Readers of the past find nothing before it. */
  readonly forgetsPast: boolean;
}

export function putKeyRecords(batch: Batch, put: KeyPut): void {
  const { value, expiresAtMs, timestamp } = put;
  const key = encodeRecordKey(put.slot, put.space, put.key);
  const size = encodedSize(value, expiresAtMs);
  const op = put.isReplacedUnknown && put.replaces !== 0 ? CHANGE_OPS.putUnknown : CHANGE_OPS.put;
  const slice = batch.put(key.length, SEAL_BYTES + size, timestamp, put.replaces, op);
  const { buffer, offset } = slice;
  buffer.set(key, offset);
  const sealAt = offset + key.length;
  const end = encodeKeyRecordInto(buffer, sealAt + SEAL_BYTES, value, expiresAtMs);
  putU64(buffer, sealAt + 4, timestamp);
  if (put.forgetsPast) markHistoryStart(buffer, sealAt);
  putU32(buffer, sealAt, crc32(buffer.subarray(sealAt + 4, end), crc32(key)));
  if (typeof value !== 'string' || (put.old !== undefined && typeof put.old !== 'string')) {
    writePages(batch, put, { key, old: put.old, value });
  }
}

export function deleteKeyRecords(batch: Batch, target: KeyTarget, old: Value): void {
  const key = encodeRecordKey(target.slot, target.space, target.key);
  const { buffer, offset } = batch.delete(key.length, target.timestamp, target.replaces);
  buffer.set(key, offset);
  if (typeof old !== 'string') writePages(batch, target, { key, old, value: undefined });
}

/** Deletes one record by its stored key: what is dead and nobody refers to. */
export function deleteRecord(batch: Batch, key: Uint8Array, timestamp: Timestamp, replaces: Timestamp): void {
  const { buffer, offset } = batch.delete(key.length, timestamp, replaces);
  buffer.set(key, offset);
}

function writePages(
  batch: Batch,
  target: KeyTarget,
  change: { readonly key: Uint8Array; readonly old: Value | undefined; readonly value: Value | undefined },
): void {
  const { timestamp } = target;
  for (const { index, payload } of changedPages(change.old, change.value)) {
    const key = encodePageKey(change.key, index);
    if (payload === null) {
      deleteRecord(batch, key, timestamp, target.replaces);
      continue;
    }
    const { buffer, offset } = batch.put(key.length, SEAL_BYTES + payload.length, timestamp, target.replaces);
    buffer.set(key, offset);
    const sealAt = offset + key.length;
    buffer.set(payload, sealAt + SEAL_BYTES);
    putU64(buffer, sealAt + 4, timestamp);
    const end = sealAt + SEAL_BYTES + payload.length;
    putU32(buffer, sealAt, crc32(buffer.subarray(sealAt + 4, end), crc32(key)));
  }
}
