/**
 * Strings in memory. A hot path: every SET and GET comes through here (benchmark: SET/GET in compat/bench).
 *
 * A short string (at most STRING_INLINE_BYTES_MAX bytes) is a JavaScript string of one character a byte: V8 stores it
 * as one byte a character, it is a reply as it stands, and comparing two is one call. A longer one is a `PagedString`:
 * immutable pages of PAGE_BYTES bytes, the last one cut to size. Changing some bytes copies the pages they lie in and
 * the list of pages, nothing else, so a patch of a long string costs a page, and which pages must be written follows
 * from comparing references.
 *
 * Invariants: a value is a `PagedString` if and only if it is longer than STRING_INLINE_BYTES_MAX; every page but the
 * last has PAGE_BYTES bytes; nobody changes a page once it is in a value. Pages of zeros may be one shared page.
 */
import { assert } from '../base/assert.ts';
import type { StringValue, Value } from './value.ts';

export const STRING_INLINE_BYTES_MAX = 16_384;
/** Part of the stored format: a page record holds this many bytes. Equal to the inline limit, so one page is never paged. */
export const PAGE_BYTES = 16_384;

export class PagedString {
  readonly pages: readonly Uint8Array[];
  readonly byteLength: number;

  /** Takes over `pages`, which must fit `byteLength`, as the invariants above say. */
  constructor(pages: readonly Uint8Array[], byteLength: number) {
    assert(byteLength > STRING_INLINE_BYTES_MAX, `${byteLength} bytes are not enough for a paged string`);
    assert(pages.length === pageCountOf(byteLength), `${pages.length} pages do not hold ${byteLength} bytes`);
    this.pages = pages;
    this.byteLength = byteLength;
  }
}

/** Shared by all values that hold whole pages of zeros. Never written to. */
export const ZERO_PAGE: Uint8Array = Buffer.alloc(PAGE_BYTES);

/** Number of pages of a paged string of that many bytes. */
export function pageCountOf(byteLength: number): number {
  return Math.ceil(byteLength / PAGE_BYTES);
}

/** Bytes of page `index` of a string of `byteLength` bytes. */
export function pageSizeOf(byteLength: number, index: number): number {
  return Math.min(PAGE_BYTES, byteLength - index * PAGE_BYTES);
}

export function isStringValue(value: Value): value is StringValue {
  return typeof value === 'string' || value instanceof PagedString;
}

export function byteLength(value: StringValue): number {
  return typeof value === 'string' ? value.length : value.byteLength;
}

/** The bytes as a value. Copies them: the caller keeps `bytes`. */
export function stringFromBytes(bytes: Uint8Array): StringValue {
  if (bytes.length <= STRING_INLINE_BYTES_MAX) return latin1(bytes);
  const pages: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PAGE_BYTES)
    pages.push(copyOf(bytes, at, Math.min(at + PAGE_BYTES, bytes.length)));
  return new PagedString(pages, bytes.length);
}

/** Pages that together hold `length` bytes, as a value: a short string if they are few. Takes over the pages. */
export function stringFromPages(pages: readonly Uint8Array[], length: number): StringValue {
  if (length > STRING_INLINE_BYTES_MAX) return new PagedString(pages, length);
  const first = pages[0];
  return first === undefined ? '' : latin1(first);
}

/**
 * The value as pages, for algorithms that treat both forms alike. A short string gives one fresh page (none if empty);
 * the caller must not change pages of a paged one.
 */
export function pagesOf(value: StringValue): readonly Uint8Array[] {
  if (typeof value !== 'string') return value.pages;
  return value.length === 0 ? [] : [Buffer.from(value, 'latin1')];
}

/** A form that can be a bulk string reply; immutable, like all replies. Copies a paged string. */
export function toReply(value: StringValue): string | Uint8Array {
  return typeof value === 'string' ? value : joinPages(value, 0, value.byteLength);
}

/** The bytes, in memory that the caller owns. */
export function toBytes(value: StringValue): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'latin1') : joinPages(value, 0, value.byteLength);
}

/** Bytes `start` to before `end` (0 ≤ start ≤ end ≤ length), as a bulk string reply. */
export function sliceString(value: StringValue, start: number, end: number): string | Uint8Array {
  assert(start >= 0 && start <= end && end <= byteLength(value), `slice ${start}…${end} lies outside the string`);
  return typeof value === 'string' ? value.slice(start, end) : joinPages(value, start, end);
}

/** Whether the value is exactly `bytes`, without copying either. */
export function equalsBytes(value: StringValue, bytes: Uint8Array): boolean {
  if (byteLength(value) !== bytes.length) return false;
  if (typeof value === 'string') return value === latin1(bytes);
  return value.pages.every((page, index) =>
    asBuffer(page).equals(bytes.subarray(index * PAGE_BYTES, index * PAGE_BYTES + page.length)),
  );
}

/** The value followed by `bytes` (copied). Costs the last page and what is added. */
export function append(value: StringValue, bytes: Uint8Array): StringValue {
  const length = byteLength(value) + bytes.length;
  if (bytes.length === 0) return value;
  if (typeof value === 'string' && length <= STRING_INLINE_BYTES_MAX) return value + latin1(bytes);
  return patch(value, byteLength(value), bytes);
}

/** The value with `bytes` (copied) at `offset`; a gap before it is filled with zeros. Costs the pages touched. */
export function setRange(value: StringValue, offset: number, bytes: Uint8Array): StringValue {
  assert(offset >= 0 && Number.isSafeInteger(offset), `offset ${offset} is not a position`);
  if (bytes.length === 0) return value;
  const length = Math.max(byteLength(value), offset + bytes.length);
  if (typeof value !== 'string' || length > STRING_INLINE_BYTES_MAX) return patch(value, offset, bytes);
  const flat = Buffer.allocUnsafe(length);
  flat.write(value, 'latin1');
  if (offset > value.length) flat.fill(0, value.length, offset);
  flat.set(bytes, offset);
  return flat.toString('latin1');
}

/** The byte at `index`; 0 past the end, as bit commands see it. */
export function byteAt(value: StringValue, index: number): number {
  if (typeof value === 'string') return index < value.length ? value.charCodeAt(index) : 0;
  return value.pages[Math.floor(index / PAGE_BYTES)]?.[index % PAGE_BYTES] ?? 0;
}

/** One character a byte: the form of keys and short strings. */
export function latin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1');
}

/** A view of the same memory with Buffer's methods. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The result is longer than the inline limit, or the value is paged already. */
function patch(value: StringValue, offset: number, bytes: Uint8Array): PagedString {
  const oldLength = byteLength(value);
  const length = Math.max(oldLength, offset + bytes.length);
  const pages = pagesOf(value).slice();
  const grownFrom = pages.length === 0 ? 0 : pages.length - 1;
  for (let index = grownFrom; index < pageCountOf(length); index++) growPage(pages, index, pageSizeOf(length, index));

  let taken = 0;
  while (taken < bytes.length) {
    const index = Math.floor((offset + taken) / PAGE_BYTES);
    const within = (offset + taken) % PAGE_BYTES;
    const old = pages[index] ?? ZERO_PAGE;
    const count = Math.min(bytes.length - taken, old.length - within);
    const page = Buffer.allocUnsafeSlow(old.length);
    page.set(old);
    page.set(bytes.subarray(taken, taken + count), within);
    pages[index] = page;
    taken += count;
  }
  return new PagedString(pages, length);
}

function growPage(pages: Uint8Array[], index: number, size: number): void {
  const old = pages[index];
  if (old?.length === size) return;
  if (old === undefined) {
    pages[index] = size === PAGE_BYTES ? ZERO_PAGE : Buffer.alloc(size);
    return;
  }
  const page = Buffer.alloc(size);
  page.set(old);
  pages[index] = page;
}

function joinPages(value: PagedString, start: number, end: number): Buffer {
  const joined = Buffer.allocUnsafeSlow(end - start);
  let at = start;
  while (at < end) {
    const index = Math.floor(at / PAGE_BYTES);
    const within = at % PAGE_BYTES;
    const count = Math.min(end - at, PAGE_BYTES - within);
    const page = value.pages[index];
    assert(page !== undefined, `page ${index} is missing`);
    joined.set(page.subarray(within, within + count), at - start);
    at += count;
  }
  return joined;
}

/** In an allocation of its own, so that a page never keeps a larger buffer alive. */
function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}
