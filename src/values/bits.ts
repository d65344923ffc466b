/**
 * Strings as arrays of bits: bit 0 is the highest bit of byte 0, as in Redis (bitops.c). All functions are pure and take
 * both forms of a string; a bit past the end reads as 0. Offsets are below 2^32 (512 MiB), so exact.
 *
 * Counting and searching go over 32 bits at a time. They cost O(bytes looked at), changing bits costs one or two pages.
 */
import { assert } from '../base/assert.ts';
import { PAGE_BYTES, byteAt, byteLength, pagesOf, setRange, stringFromPages } from './string.ts';
import type { StringValue } from './value.ts';

export type BitOperation = 'AND' | 'OR' | 'XOR' | 'NOT';

export function getBit(value: StringValue, offset: number): 0 | 1 {
  return (byteAt(value, Math.floor(offset / 8)) >> (7 - (offset % 8))) & 1 ? 1 : 0;
}

/** Grows the string with zeros as far as the bit needs. The same reference comes back if nothing changes. */
export function setBit(value: StringValue, offset: number, bit: 0 | 1): StringValue {
  const index = Math.floor(offset / 8);
  const old = byteAt(value, index);
  const mask = 1 << (7 - (offset % 8));
  const byte = bit === 1 ? old | mask : old & ~mask;
  if (byte === old && index < byteLength(value)) return value;
  return setRange(value, index, Buffer.of(byte));
}

/** Number of ones from bit `start` to before bit `end`; 0 ≤ start ≤ end ≤ 8 × length. */
export function bitCount(value: StringValue, start: number, end: number): number {
  assert(start >= 0 && start <= end && end <= byteLength(value) * 8, `bits ${start}…${end} lie outside the string`);
  if (start === end) return 0;
  const firstByte = Math.floor(start / 8);
  const lastByte = Math.floor((end - 1) / 8);
  // Whole bytes first, then what is too much at both edges is taken back.
  let count = 0;
  const pages = pagesOf(value);
  for (let index = Math.floor(firstByte / PAGE_BYTES); index <= Math.floor(lastByte / PAGE_BYTES); index++) {
    const page = pages[index];
    assert(page !== undefined, `page ${index} is missing`);
    const base = index * PAGE_BYTES;
    count += onesIn(page, Math.max(0, firstByte - base), Math.min(page.length, lastByte + 1 - base));
  }
  count -= popCount8(byteAt(value, firstByte) & ~(0xff >> (start % 8)) & 0xff);
  count -= popCount8(byteAt(value, lastByte) & (0xff >> (((end - 1) % 8) + 1)));
  return count;
}

/** Position of the first bit that equals `bit` from bit `start` to before bit `end` (both within the string), or -1. */
export function bitPosition(
  value: StringValue,
  bit: 0 | 1,
  range: { readonly start: number; readonly end: number },
): number {
  const { start, end } = range;
  assert(start >= 0 && start <= end && end <= byteLength(value) * 8, `bits ${start}…${end} lie outside the string`);
  const skipped = bit === 1 ? 0 : 0xff;
  const pages = pagesOf(value);
  let at = start;
  while (at < end) {
    const index = Math.floor(at / 8);
    const page = pages[Math.floor(index / PAGE_BYTES)];
    assert(page !== undefined, `byte ${index} is missing`);
    const within = index % PAGE_BYTES;
    const byte = page[within] ?? 0;
    if (byte !== skipped) {
      const found = firstBitInByte(byte, bit, at % 8);
      if (found !== -1) return index * 8 + found < end ? index * 8 + found : -1;
      at = (index + 1) * 8;
    } else {
      let next = within + 1;
      while (next < page.length && page[next] === skipped) next++;
      at = (index - within + next) * 8;
    }
  }
  return -1;
}

/**
 * The bitwise operation over the sources, shorter ones padded with zeros to the longest. NOT takes exactly one.
 */
export function bitOperation(operation: BitOperation, sources: readonly StringValue[]): StringValue {
  assert(operation !== 'NOT' || sources.length === 1, 'NOT takes one source');
  const length = sources.reduce((longest, source) => Math.max(longest, byteLength(source)), 0);
  const sourcePages = sources.map(pagesOf);
  const pages: Uint8Array[] = [];
  for (let at = 0, index = 0; at < length; at += PAGE_BYTES, index++) {
    const result = Buffer.alloc(Math.min(PAGE_BYTES, length - at));
    combinePage(
      operation,
      sourcePages.map((list) => list[index]),
      result,
    );
    pages.push(result);
  }
  return stringFromPages(pages, length);
}

/** The unsigned number in `width` bits (1 to 64) from `offset`. */
export function getBits(value: StringValue, offset: number, width: number): bigint {
  const first = Math.floor(offset / 8);
  const last = Math.floor((offset + width - 1) / 8);
  let number = 0n;
  for (let index = first; index <= last; index++) number = (number << 8n) | BigInt(byteAt(value, index));
  return BigInt.asUintN(width, number >> BigInt((last + 1) * 8 - (offset + width)));
}

/** The string with the low `width` bits of `number` at `offset`, grown with zeros as needed. */
export function setBits(
  value: StringValue,
  at: { readonly offset: number; readonly width: number },
  number: bigint,
): StringValue {
  const { offset, width } = at;
  const first = Math.floor(offset / 8);
  const count = Math.floor((offset + width - 1) / 8) - first + 1;
  const shift = BigInt((first + count) * 8 - (offset + width));
  let bytes = 0n;
  for (let i = 0; i < count; i++) bytes = (bytes << 8n) | BigInt(byteAt(value, first + i));
  const mask = ((1n << BigInt(width)) - 1n) << shift;
  bytes = (bytes & ~mask) | (BigInt.asUintN(width, number) << shift);
  const patch = Buffer.alloc(count);
  for (let i = count - 1; i >= 0; i--) {
    patch[i] = Number(bytes & 0xffn);
    bytes >>= 8n;
  }
  return setRange(value, first, patch);
}

function combinePage(operation: BitOperation, sources: readonly (Uint8Array | undefined)[], result: Uint8Array): void {
  const first = sources[0];
  if (first !== undefined) result.set(first);
  if (operation === 'NOT') {
    for (let i = 0; i < result.length; i++) result[i] = ~(result[i] ?? 0);
    return;
  }
  for (let s = 1; s < sources.length; s++) {
    const source = sources[s];
    const shared = Math.min(source?.length ?? 0, result.length);
    for (let i = 0; i < shared; i++) {
      const a = result[i] ?? 0;
      const b = source?.[i] ?? 0;
      result[i] = operation === 'AND' ? a & b : operation === 'OR' ? a | b : a ^ b;
    }
    if (operation === 'AND') result.fill(0, shared);
  }
}

function firstBitInByte(byte: number, bit: 0 | 1, from: number): number {
  for (let i = from; i < 8; i++) if (((byte >> (7 - i)) & 1) === bit) return i;
  return -1;
}

function onesIn(page: Uint8Array, start: number, end: number): number {
  let count = 0;
  let at = start;
  while (at < end && (page.byteOffset + at) % 4 !== 0) count += popCount8(page[at++] ?? 0);
  const words = Math.floor((end - at) / 4);
  if (words > 0) {
    for (const word of new Uint32Array(page.buffer, page.byteOffset + at, words)) count += popCount32(word);
    at += words * 4;
  }
  while (at < end) count += popCount8(page[at++] ?? 0);
  return count;
}

function popCount8(byte: number): number {
  return popCount32(byte);
}

/** Adds neighbouring bits, pairs, nibbles, then all bytes at once (Warren, "Hacker's Delight", §5-1). */
function popCount32(word: number): number {
  let n = word - ((word >>> 1) & 0x5555_5555);
  n = (n & 0x3333_3333) + ((n >>> 2) & 0x3333_3333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
