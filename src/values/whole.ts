/**
 * A key's value and expiry in one run of bytes, whatever its length: for transactions, which carry objects between nodes and
 * keep them in records of their own until they are decided.
 *
 *   varint bytes, key record (codec.ts) | varint number of pages, then each: varint bytes, page record
 *
 * On disk and on the wire: append-only.
 */
import { assert } from '../base/assert.ts';
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import { assembleValue, changedPages, decodeKeyRecord, encodedSize, encodeKeyRecordInto } from './codec.ts';
import { valueBytes } from './memory.ts';
import type { Value } from './value.ts';

const NO_PAGE = new Uint8Array(0);

export interface WholeObject {
  readonly value: Value;
  /** Partition time in ms; 0 = never. */
  readonly expiresAtMs: number;
}

export function writeWhole(writer: ByteWriter, { value, expiresAtMs }: WholeObject): void {
  const size = encodedSize(value, expiresAtMs);
  writer.varint(size);
  const start = writer.reserve(size);
  const end = encodeKeyRecordInto(writer.memory, start, value, expiresAtMs);
  assert(end === start + size, `a record of ${end - start} bytes was sized as ${size}`);
  if (typeof value === 'string') {
    writer.varint(0);
    return;
  }
  const pages = changedPages(undefined, value);
  writer.varint(pages.length);
  for (const { payload } of pages) writer.lengthPrefixed(payload ?? NO_PAGE);
}

/** Bytes that `writeWhole` takes, about, and rather more: a limit on transactions needs no exact number. */
export function wholeSize({ value }: WholeObject): number {
  return 32 + valueBytes(value);
}

/** Copies what it keeps. Throws KahunaError 'VALUE_MALFORMED' or 'BYTES_MALFORMED'. */
export function readWhole(reader: ByteReader): WholeObject {
  const decoded = decodeKeyRecord(reader.lengthPrefixed());
  const count = reader.varint();
  if (count !== decoded.pageCount) {
    throw new KahunaError('VALUE_MALFORMED', `an object has ${count} pages and says ${decoded.pageCount}`);
  }
  const pages: Uint8Array[] = [];
  for (let left = count; left > 0; left--) pages.push(Uint8Array.from(reader.lengthPrefixed()));
  const { expiresAtMs } = decoded;
  if (decoded.value !== undefined) return { value: decoded.value, expiresAtMs };
  return { value: assembleValue(decoded, pages), expiresAtMs };
}
