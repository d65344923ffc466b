/**
 * What a node that reads a moment asks of partitions, and what they answer.
 *
 *   keys    u64 moment | keys (transaction-codec.ts)
 *   objects varint n, each: u64 revision, 0 = nothing was there; else: object (values/whole.ts)
 *   page    u64 moment | u8 space | u8 stored type, 0 = any | u32 keys to look at | varint bytes, cursor in decimal digits
 *   found   varint bytes, cursor to go on with | varint n, each: varint bytes, key
 *
 * Little-endian; on the wire: append-only.
 */
import { ByteReader } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import type { Timestamp } from '../base/ids.ts';
import type { ScanPage } from '../commands/view.ts';
import { SPACE_COUNT, type Space } from '../values/value.ts';
import { readWhole, type WholeObject, writeWhole } from '../values/whole.ts';
import type { KeyName } from './key-locks.ts';
import { decodeKeys, encodeKeys } from './transaction-codec.ts';
import { beginMessage, endMessage } from './message-writer.ts';

export interface KeysAt {
  readonly at: Timestamp;
  readonly keys: readonly KeyName[];
}

/** Null: nothing was there. */
export type ObjectAt = (WholeObject & { readonly version: Timestamp }) | null;

export interface PageAt {
  readonly at: Timestamp;
  readonly space: Space;
  /** 0 = any. */
  readonly type: number;
  readonly count: number;
  readonly cursor: bigint;
}

const CURSOR = /^(0|[1-9]\d{0,19})$/;

export function encodeKeysAt({ at, keys }: KeysAt): Buffer {
  const encoded = encodeKeys(keys);
  const writer = beginMessage();
  writer.u64(at);
  writer.bytes(encoded);
  return endMessage(writer);
}

export function decodeKeysAt(bytes: Uint8Array): KeysAt {
  const reader = new ByteReader(bytes);
  const at = reader.u64();
  return { at, keys: decodeKeys(reader.rest()) };
}

export function encodeObjects(objects: readonly ObjectAt[]): Buffer {
  const writer = beginMessage();
  writer.varint(objects.length);
  for (const object of objects) {
    writer.u64(object?.version ?? 0);
    if (object !== null) writeWhole(writer, object);
  }
  return endMessage(writer);
}

export function decodeObjects(bytes: Uint8Array): readonly ObjectAt[] {
  const reader = new ByteReader(bytes);
  const objects: ObjectAt[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const version = reader.u64();
    objects.push(version === 0 ? null : { ...readWhole(reader), version });
  }
  reader.expectEnd();
  return objects;
}

export function encodePageAt({ at, space, type, count, cursor }: PageAt): Buffer {
  const writer = beginMessage();
  writer.u64(at);
  writer.u8(space);
  writer.u8(type);
  writer.u32(count);
  writer.latin1(String(cursor));
  return endMessage(writer);
}

export function decodePageAt(bytes: Uint8Array): PageAt {
  const reader = new ByteReader(bytes);
  const at = reader.u64();
  const space = reader.u8();
  const type = reader.u8();
  const count = reader.u32();
  const cursor = readCursor(reader);
  reader.expectEnd();
  if (space >= SPACE_COUNT) throw malformed(`there is no space ${space}`);
  if (count === 0) throw malformed('it asks for no keys');
  return { at, space, type, count, cursor };
}

export function encodeFound({ keys, next }: ScanPage): Buffer {
  const writer = beginMessage();
  writer.latin1(String(next));
  writer.varint(keys.length);
  for (const key of keys) writer.latin1(key);
  return endMessage(writer);
}

export function decodeFound(bytes: Uint8Array): ScanPage {
  const reader = new ByteReader(bytes);
  const next = readCursor(reader);
  const keys: string[] = [];
  for (let left = reader.varint(); left > 0; left--) keys.push(reader.latin1());
  reader.expectEnd();
  return { keys, next };
}

function readCursor(reader: ByteReader): bigint {
  const text = reader.latin1();
  const cursor = CURSOR.test(text) ? BigInt(text) : -1n;
  if (cursor < 0n || cursor !== BigInt.asUintN(64, cursor)) throw malformed('its cursor is none');
  return cursor;
}

function malformed(what: string): KahunaError<'REQUEST_MALFORMED'> {
  return new KahunaError('REQUEST_MALFORMED', `a message about a moment cannot be read: ${what}`);
}
