/**
 * How keys are stored: one key record, and for long values page records beside it. A hot path for short strings: size
 * and encoding allocate nothing (benchmark: SET in compat/bench).
 *
 * Key record (integers little-endian; u64 at most 2^53 - 1; i64 two's complement; varint as in base/varint.ts):
 *
 *   0  u8   type, a number of VALUE_TYPES
 *   1  u8   flags: 1 = the key expires, 2 = paged
 *   2  u64  time of expiry in ms, at least 1                        (only with flag 1)
 *   …  body to the end of the record
 *
 *   string          the bytes, at most STRING_INLINE_BYTES_MAX
 *   string, paged   u32 length > STRING_INLINE_BYTES_MAX, u32 PAGE_BYTES; pages 0 … are the bytes
 *   lock            u64 token ≥ 1, u64 expiresAtMs, u64 acquiredAt, u8 state (0 free, 1 held, 2 held and a higher token was
 *                   granted since); if 2, u64 highest token > token; if not 0, the owner's bytes
 *   sequence        i64 start, i64 increment, i64 current, u8 hasMax, i64 max if 1,
 *                   u64 revision, u64 createdAtMs, u64 updatedAtMs, u32 firstPage, u32 number of closed pages
 *                   (flag 2 if not 0), varint number of open answers, answers
 *   answer          varint length and bytes of the id, i64 count (0 = NEXT), i64 last, u64 atMs
 *
 * Page record: a string's page as it is, or nothing at all for a page of zeros; a sequence's page is its answers.
 *
 * A record has one encoding. Decoding checks every bound and refuses what encoding could not have written with
 * KahunaError 'VALUE_MALFORMED'; checksums are the storage's matter, so this error means a bug or a newer format.
 */
import { assert, unreachable } from '../base/assert.ts';
import { ByteReader, ByteWriter, getU64, putU32, putU64 } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import { varintSize } from '../base/varint.ts';
import { Lock } from './lock.ts';
import { Sequence } from './sequence.ts';
import {
  ANSWERS_PER_PAGE,
  type Answer,
  AnswerPage,
  IDEMPOTENCY_ID_BYTES_MAX,
  IdempotencyWindow,
} from './idempotency.ts';
import {
  PAGE_BYTES,
  PagedString,
  STRING_INLINE_BYTES_MAX,
  ZERO_PAGE,
  asBuffer,
  latin1,
  pageCountOf,
  pageSizeOf,
} from './string.ts';
import { VALUE_TYPES, type Value, type ValueType } from './value.ts';

const FLAG_EXPIRES = 1;
const FLAG_PAGED = 2;
const HEADER_BYTES = 2;
const EXPIRY_BYTES = 8;
/** Below this length writing characters one by one beats a call into the runtime. */
const SHORT_TEXT = 24;
const NO_BYTES = new Uint8Array(0);

/** What a key record says. `value` is missing if pages have to be read first: then see `assembleValue`. */
export interface DecodedKey {
  readonly type: ValueType;
  /** 0 = never. */
  readonly expiresAtMs: number;
  readonly value: Value | undefined;
  /** Page records of the value: numbers `firstPage` to before `firstPage + pageCount`. */
  readonly firstPage: number;
  readonly pageCount: number;
  readonly header: PagedHeader | undefined;
}

/** What of a paged value lies in the key record. */
export type PagedHeader = { readonly byteLength: number } | { readonly sequence: Sequence };

/** A page record to write, or to delete if the payload is null. */
export interface PageChange {
  readonly index: number;
  /** Belongs to the value: must not be changed. */
  readonly payload: Uint8Array | null;
}

export function typeOf(value: Value): ValueType {
  if (typeof value === 'string' || value instanceof PagedString) return 'string';
  if (value instanceof Lock) return 'lock';
  if (value instanceof Sequence) return 'sequence';
  return unreachable(value);
}

/** Bytes that `encodeKeyRecordInto` will write. */
export function encodedSize(value: Value, expiresAtMs: number): number {
  return HEADER_BYTES + (expiresAtMs === 0 ? 0 : EXPIRY_BYTES) + bodySize(value);
}

/** Writes the key record at `offset`, where `encodedSize` bytes must be free; returns the offset behind it. */
export function encodeKeyRecordInto(target: Uint8Array, offset: number, value: Value, expiresAtMs: number): number {
  target[offset] = VALUE_TYPES[typeOf(value)];
  target[offset + 1] = (expiresAtMs === 0 ? 0 : FLAG_EXPIRES) | (pageCount(value) === 0 ? 0 : FLAG_PAGED);
  let at = offset + HEADER_BYTES;
  if (expiresAtMs !== 0) {
    assert(expiresAtMs > 0 && expiresAtMs <= Number.MAX_SAFE_INTEGER, `${expiresAtMs} is not a time of expiry`);
    putU64(target, at, expiresAtMs);
    at += EXPIRY_BYTES;
  }
  if (typeof value === 'string') return writeText(target, at, value);
  if (value instanceof PagedString) {
    putU32(target, at, value.byteLength);
    putU32(target, at + 4, PAGE_BYTES);
    return at + 8;
  }
  const body = encodeBody(value);
  target.set(body, at);
  return at + body.length;
}

/** The key record in memory of its own. */
export function encodeKeyRecord(value: Value, expiresAtMs: number): Uint8Array {
  const bytes = new Uint8Array(encodedSize(value, expiresAtMs));
  const end = encodeKeyRecordInto(bytes, 0, value, expiresAtMs);
  assert(end === bytes.length, `a record of ${end} bytes was sized as ${bytes.length}`);
  return bytes;
}

/** Copies what it keeps: `payload` may be reused. Throws KahunaError 'VALUE_MALFORMED'. */
export function decodeKeyRecord(payload: Uint8Array): DecodedKey {
  const type = payload[0];
  const flags = payload[1];
  if (flags === undefined) throw malformed('a key record is cut');
  if ((flags & ~(FLAG_EXPIRES | FLAG_PAGED)) !== 0) throw malformed(`unknown flags ${flags} in a key record`);
  let at = HEADER_BYTES;
  let expiresAtMs = 0;
  if ((flags & FLAG_EXPIRES) !== 0) {
    at += EXPIRY_BYTES;
    if (payload.length < at) throw malformed('a key record is cut');
    expiresAtMs = getU64(payload, HEADER_BYTES);
    if (expiresAtMs === 0 || expiresAtMs > Number.MAX_SAFE_INTEGER)
      throw malformed(`${expiresAtMs} is not a time of expiry`);
  }
  if (type === VALUE_TYPES.string && (flags & FLAG_PAGED) === 0) {
    if (payload.length - at > STRING_INLINE_BYTES_MAX)
      throw malformed(`${payload.length - at} bytes in an unpaged string`);
    return whole('string', expiresAtMs, asBuffer(payload).toString('latin1', at));
  }
  return decodeRest({ type: type ?? 0, isPaged: (flags & FLAG_PAGED) !== 0, expiresAtMs }, new ByteReader(payload, at));
}

/** The value of a paged key, from its pages in order (one for each number that `decoded` names). Copies the pages. */
export function assembleValue(decoded: DecodedKey, pages: readonly Uint8Array[]): Value {
  const { header } = decoded;
  if (header === undefined || pages.length !== decoded.pageCount) {
    throw malformed(`${pages.length} pages for a value of ${decoded.pageCount}`);
  }
  if ('sequence' in header) return withClosedPages(header.sequence, pages);
  return new PagedString(
    pages.map((page, index) => decodePage(page, pageSizeOf(header.byteLength, index))),
    header.byteLength,
  );
}

/** Number of page records that the value has. */
export function pageCount(value: Value): number {
  if (typeof value === 'string') return 0;
  if (value instanceof PagedString) return value.pages.length;
  return value instanceof Sequence ? value.window.closed.length : 0;
}

/**
 * Page records to write and delete when a key's value changes from `old` (undefined = absent) to `value` (undefined =
 * deleted). Pages that both share are found by reference, so this costs nothing for what did not change but a look.
 */
export function changedPages(old: Value | undefined, value: Value | undefined): PageChange[] {
  const oldRange = pageRange(old);
  const range = pageRange(value);
  const changes: PageChange[] = [];
  for (let index = oldRange.first; index < oldRange.end; index++) {
    if (index < range.first || index >= range.end) changes.push({ index, payload: null });
  }
  for (let index = range.first; index < range.end; index++) {
    const page = pageAt(value, index);
    if (page !== undefined && page !== pageAt(old, index)) changes.push({ index, payload: encodePage(page) });
  }
  return changes;
}

// ---------------------------------------------------------------------------------------------------------------
// Pages

type Page = Uint8Array | AnswerPage;

function pageRange(value: Value | undefined): { readonly first: number; readonly end: number } {
  const first = value instanceof Sequence ? value.window.firstPage : 0;
  return { first, end: value === undefined ? first : first + pageCount(value) };
}

function pageAt(value: Value | undefined, index: number): Page | undefined {
  if (value instanceof PagedString) return value.pages[index];
  if (value instanceof Sequence) return value.window.closed[index - value.window.firstPage];
  return undefined;
}

function encodePage(page: Page): Uint8Array {
  if (page === ZERO_PAGE) return NO_BYTES;
  if (!(page instanceof AnswerPage)) return page;
  const writer = new ByteWriter();
  for (const answer of page.answers) writeAnswer(writer, answer);
  return writer.finishCopy();
}

function decodePage(payload: Uint8Array, size: number): Uint8Array {
  if (payload.length === 0 && size === PAGE_BYTES) return ZERO_PAGE;
  if (payload.length !== size) throw malformed(`a page of ${payload.length} bytes where ${size} belong`);
  const page = Buffer.allocUnsafeSlow(size);
  page.set(payload);
  return page;
}

function withClosedPages(sequence: Sequence, pages: readonly Uint8Array[]): Sequence {
  const closed = pages.map((payload) =>
    reading(new ByteReader(payload), (reader) => new AnswerPage(readAnswers(reader, ANSWERS_PER_PAGE))),
  );
  const { start, increment, max, current, revision, createdAtMs, updatedAtMs } = sequence;
  const { firstPage, open } = sequence.window;
  const window = new IdempotencyWindow({ firstPage, closed, open });
  return new Sequence({ start, increment, max, current, revision, createdAtMs, updatedAtMs, window });
}

// ---------------------------------------------------------------------------------------------------------------
// Bodies

function bodySize(value: Value): number {
  if (typeof value === 'string') return value.length;
  if (value instanceof PagedString) return 8;
  if (value instanceof Lock) return 25 + (lockState(value) === LOCK_STATES.passed ? 8 : 0) + (value.owner?.length ?? 0);
  let size = 25 + (value.max === null ? 0 : 8) + 32 + varintSize(value.window.open.length);
  for (const answer of value.window.open) size += varintSize(answer.id.length) + answer.id.length + 24;
  return size;
}

function writeText(target: Uint8Array, offset: number, text: string): number {
  if (text.length < SHORT_TEXT) {
    for (let i = 0; i < text.length; i++) target[offset + i] = text.charCodeAt(i);
  } else {
    asBuffer(target).write(text, offset, 'latin1');
  }
  return offset + text.length;
}

function encodeBody(value: Lock | Sequence): Uint8Array {
  const writer = new ByteWriter();
  if (value instanceof Lock) {
    writer.u64(value.token);
    writer.u64(value.expiresAtMs);
    writer.u64(value.acquiredAt);
    const state = lockState(value);
    writer.u8(state);
    if (state === LOCK_STATES.passed) writer.u64(value.highestToken);
    if (value.owner !== null) writer.bytes(Buffer.from(value.owner, 'latin1'));
  } else {
    writeInt64(writer, value.start);
    writeInt64(writer, value.increment);
    writeInt64(writer, value.current);
    writer.u8(value.max === null ? 0 : 1);
    if (value.max !== null) writeInt64(writer, value.max);
    writer.u64(value.revision);
    writer.u64(value.createdAtMs);
    writer.u64(value.updatedAtMs);
    writer.u32(value.window.firstPage);
    writer.u32(value.window.closed.length);
    writer.varint(value.window.open.length);
    for (const answer of value.window.open) writeAnswer(writer, answer);
  }
  return writer.finish();
}

function decodeRest(
  head: { readonly type: number; readonly isPaged: boolean; readonly expiresAtMs: number },
  reader: ByteReader,
): DecodedKey {
  const { expiresAtMs } = head;
  switch (head.type) {
    case VALUE_TYPES.string: {
      const byteLength = reading(reader, readPagedLength);
      const count = pageCountOf(byteLength);
      return { type: 'string', expiresAtMs, value: undefined, firstPage: 0, pageCount: count, header: { byteLength } };
    }
    case VALUE_TYPES.lock:
      if (head.isPaged) throw malformed('a lock has no pages');
      return whole('lock', expiresAtMs, reading(reader, readLock));
    case VALUE_TYPES.sequence: {
      const { sequence, closedCount } = reading(reader, readSequence);
      if (head.isPaged !== closedCount > 0) throw malformed('a sequence contradicts its flags');
      if (closedCount === 0) return whole('sequence', expiresAtMs, sequence);
      const { firstPage } = sequence.window;
      return {
        type: 'sequence',
        expiresAtMs,
        value: undefined,
        firstPage,
        pageCount: closedCount,
        header: { sequence },
      };
    }
    default:
      throw malformed(`unknown type ${head.type} in a key record`);
  }
}

function whole(type: ValueType, expiresAtMs: number, value: Value): DecodedKey {
  return { type, expiresAtMs, value, firstPage: 0, pageCount: 0, header: undefined };
}

function readPagedLength(reader: ByteReader): number {
  const byteLength = reader.u32();
  const pageBytes = reader.u32();
  if (byteLength <= STRING_INLINE_BYTES_MAX || pageBytes !== PAGE_BYTES) {
    throw malformed(`a paged string of ${byteLength} bytes in pages of ${pageBytes}`);
  }
  return byteLength;
}

/** As stored. */
const LOCK_STATES = { free: 0, held: 1, passed: 2 } as const;

function lockState(lock: Lock): number {
  assert(lock.owner !== null || lock.highestToken === lock.token, 'a free lock has one token');
  if (lock.owner === null) return LOCK_STATES.free;
  return lock.highestToken === lock.token ? LOCK_STATES.held : LOCK_STATES.passed;
}

function readLock(reader: ByteReader): Lock {
  const token = reader.u64();
  const expiresAtMs = reader.u64();
  const acquiredAt = reader.u64();
  const state = reader.u8();
  if (state > LOCK_STATES.passed) throw malformed(`a lock in state ${state}`);
  const highestToken = state === LOCK_STATES.passed ? reader.u64() : token;
  const isHeld = state !== LOCK_STATES.free;
  const owner = isHeld ? latin1(reader.rest()) : null;
  if (token === 0) throw malformed('a lock without a token');
  if (state === LOCK_STATES.passed && highestToken <= token) throw malformed('a lock of a token that was not passed');
  if ((expiresAtMs === 0) === isHeld || (acquiredAt === 0) === isHeld) throw malformed('a lock contradicts itself');
  return new Lock({ token, highestToken, owner, expiresAtMs, acquiredAt });
}

function readSequence(reader: ByteReader): { readonly sequence: Sequence; readonly closedCount: number } {
  const start = readInt64(reader);
  const increment = readInt64(reader);
  const current = readInt64(reader);
  const max = readBoolean(reader) ? readInt64(reader) : null;
  const revision = reader.u64();
  const createdAtMs = reader.u64();
  const updatedAtMs = reader.u64();
  const firstPage = reader.u32();
  const closedCount = reader.u32();
  const openCount = reader.varint();
  if (increment === 0n) throw malformed('a sequence with increment 0');
  if (openCount >= ANSWERS_PER_PAGE) throw malformed(`${openCount} open answers`);
  const open = readAnswers(reader, openCount);
  const window = new IdempotencyWindow({ firstPage, closed: [], open });
  const fields = { start, increment, max, current, revision, createdAtMs, updatedAtMs, window };
  return { sequence: new Sequence(fields), closedCount };
}

function writeAnswer(writer: ByteWriter, answer: Answer): void {
  writer.lengthPrefixed(Buffer.from(answer.id, 'latin1'));
  writeInt64(writer, answer.count ?? 0n);
  writeInt64(writer, answer.last);
  writer.u64(answer.atMs);
}

function readAnswers(reader: ByteReader, count: number): Answer[] {
  const answers: Answer[] = [];
  for (let i = 0; i < count; i++) {
    const id = latin1(reader.lengthPrefixed());
    if (id.length === 0 || id.length > IDEMPOTENCY_ID_BYTES_MAX) throw malformed(`an id of ${id.length} bytes`);
    const stored = readInt64(reader);
    if (stored < 0n) throw malformed(`an answer for ${stored} values`);
    answers.push({ id, count: stored === 0n ? null : stored, last: readInt64(reader), atMs: reader.u64() });
  }
  return answers;
}

function writeInt64(writer: ByteWriter, value: bigint): void {
  const bits = BigInt.asUintN(64, value);
  writer.u32(Number(bits & 0xffff_ffffn));
  writer.u32(Number(bits >> 32n));
}

function readInt64(reader: ByteReader): bigint {
  const low = BigInt(reader.u32());
  return BigInt.asIntN(64, (BigInt(reader.u32()) << 32n) | low);
}

function readBoolean(reader: ByteReader): boolean {
  const byte = reader.u8();
  if (byte > 1) throw malformed(`${byte} is not a boolean`);
  return byte === 1;
}

/** Reads to the end; what the reader refuses is a malformed value. */
function reading<T>(reader: ByteReader, read: (reader: ByteReader) => T): T {
  try {
    const result = read(reader);
    reader.expectEnd();
    return result;
  } catch (error) {
    if (error instanceof KahunaError && error.code === 'BYTES_MALFORMED') throw malformed(error.message, error);
    throw error;
  }
}

function malformed(what: string, cause?: unknown): KahunaError<'VALUE_MALFORMED'> {
  return new KahunaError('VALUE_MALFORMED', what, cause);
}
