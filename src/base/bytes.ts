/**
 * Byte arrays: comparing, building and reading them. Plain `Uint8Array` throughout, so that the pure rooms may use it.
 *
 * Integers are little-endian. Whatever is wider than 32 bits is an exact JavaScript integer (at most 2^53 - 1): a writer
 * asserts it, a reader refuses what is larger. `ByteWriter` and `ByteReader` are on hot paths (log flushes, frames between
 * nodes): they allocate nothing beyond the growth of the buffer.
 */
import { AssertionFailure, assert } from './assert.ts';
import { KahunaError } from './errors.ts';
import { VARINT_BYTES_MAX, varintSize } from './varint.ts';

const TWO_32 = 0x1_0000_0000;
const EMPTY = new Uint8Array(0);

/** Order of unsigned bytes; a proper prefix comes first. Negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}

/** A copy that shares no memory with `bytes`, in an allocation of its own. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

/**
 * A buffer that grows and is used again: `reset` keeps the memory. `finish` hands out a view that is valid until the next
 * write or reset; `finishCopy` hands out bytes that the caller owns.
 */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = capacity === 0 ? EMPTY : new Uint8Array(capacity);
  }

  /** Bytes written since the last reset; also the position of the next write. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that fit without growing. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** Forgets what was written. Memory beyond `keepBytesMax` is given back, so that one giant does not stay for ever. */
  reset(keepBytesMax = Number.MAX_SAFE_INTEGER): void {
    this.#length = 0;
    if (this.#bytes.length > keepBytesMax) this.#bytes = new Uint8Array(keepBytesMax);
  }

  u8(value: number): void {
    this.#ensure(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#ensure(2);
    this.#bytes[this.#length++] = value;
    this.#bytes[this.#length++] = value >>> 8;
  }

  u32(value: number): void {
    this.#ensure(4);
    putU32(this.#bytes, this.#length, value);
    this.#length += 4;
  }

  /** Eight bytes; `value` is an exact non-negative integer. */
  u64(value: number): void {
    if (!isExact(value)) throw inexact(value);
    this.#ensure(8);
    putU64(this.#bytes, this.#length, value);
    this.#length += 8;
  }

  varint(value: number): void {
    if (!isExact(value)) throw inexact(value);
    this.#ensure(VARINT_BYTES_MAX);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** The bytes themselves, without a length. Copies. */
  bytes(value: Uint8Array): void {
    this.#ensure(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** A varint length, then the bytes. Copies. */
  lengthPrefixed(value: Uint8Array): void {
    this.varint(value.length);
    this.bytes(value);
  }

  /** A varint length, then the characters, one byte each. */
  latin1(text: string): void {
    const { length } = text;
    this.varint(length);
    this.#ensure(length);
    for (let i = 0; i < length; i++) this.#bytes[this.#length + i] = text.charCodeAt(i);
    this.#length += length;
  }

  /** Room for `count` bytes, which the caller writes into `memory` from here on, all of them, before anything else is written. */
  reserve(count: number): number {
    this.#ensure(count);
    const start = this.#length;
    this.#length += count;
    return start;
  }

  /** Where `reserve` has made room: valid until the next write or reset. */
  get memory(): Uint8Array {
    return this.#bytes;
  }

  zeros(count: number): void {
    this.#ensure(count);
    this.#bytes.fill(0, this.#length, this.#length + count);
    this.#length += count;
  }

  /** Overwrites four bytes that were written before: lengths and checksums that are known only at the end. */
  patchU32(position: number, value: number): void {
    assert(position + 4 <= this.#length, 'a patch lies beyond what was written');
    putU32(this.#bytes, position, value);
  }

  /** A view of what was written, without a copy: valid until the next write or reset. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, as bytes that the caller owns. */
  finishCopy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #ensure(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2, 64));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * Reads from foreign or stored bytes: whatever would pass the end, or is not exact, throws KahunaError
 * 'BYTES_MALFORMED'. Views that it hands out share memory with the input.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #position: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    assert(start >= 0 && start <= end && end <= bytes.length, 'the range to read is not within the bytes');
    this.#bytes = bytes;
    this.#end = end;
    this.#position = start;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#end - this.#position;
  }

  u8(): number {
    const at = this.#take(1);
    return this.#bytes[at] ?? 0;
  }

  u16(): number {
    const at = this.#take(2);
    return (this.#bytes[at] ?? 0) | ((this.#bytes[at + 1] ?? 0) << 8);
  }

  u32(): number {
    return getU32(this.#bytes, this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    const value = getU64(this.#bytes, at);
    if (value > Number.MAX_SAFE_INTEGER) throw malformed(`an integer at ${at} exceeds 2^53 - 1`);
    return value;
  }

  /** Refuses encodings that are longer than needed, so that equal values have equal bytes. */
  varint(): number {
    const start = this.#position;
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= VARINT_BYTES_MAX; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw malformed(`a varint at ${start} exceeds 2^53 - 1`);
        if (count !== varintSize(value)) throw malformed(`a varint at ${start} is longer than needed`);
        return value;
      }
      scale *= 0x80;
    }
    throw malformed(`a varint at ${start} does not end`);
  }

  /** A view of the next `count` bytes. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** A view of as many bytes as the varint before them says. */
  lengthPrefixed(): Uint8Array {
    return this.bytes(this.varint());
  }

  /** What `latin1` of the writer wrote. */
  latin1(): string {
    const length = this.varint();
    const at = this.#take(length);
    if (Buffer.isBuffer(this.#bytes)) return this.#bytes.toString('latin1', at, at + length);
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, length).toString('latin1');
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** The input must be used up: trailing bytes are as malformed as missing ones. */
  expectEnd(): void {
    if (this.#position !== this.#end) throw malformed(`${this.remaining} bytes follow the end at ${this.#position}`);
  }

  #take(count: number): number {
    const at = this.#position;
    if (count < 0 || count > this.#end - at) {
      throw malformed(`${count} bytes wanted at ${at}, ${this.#end - at} left`);
    }
    this.#position = at + count;
    return at;
  }
}

export function putU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

export function getU32(source: Uint8Array, at: number): number {
  return (
    ((source[at] ?? 0) |
      ((source[at + 1] ?? 0) << 8) |
      ((source[at + 2] ?? 0) << 16) |
      ((source[at + 3] ?? 0) << 24)) >>>
    0
  );
}

export function putU64(target: Uint8Array, at: number, value: number): void {
  putU32(target, at, value % TWO_32);
  putU32(target, at + 4, Math.floor(value / TWO_32));
}

/** Not exact beyond 2^53 - 1: whoever reads foreign bytes checks that bound. */
export function getU64(source: Uint8Array, at: number): number {
  return getU32(source, at) + getU32(source, at + 4) * TWO_32;
}

function isExact(value: number): boolean {
  return value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function inexact(value: number): AssertionFailure {
  return new AssertionFailure(`${value} is not an exact unsigned integer`);
}

function malformed(what: string): KahunaError<'BYTES_MALFORMED'> {
  return new KahunaError('BYTES_MALFORMED', what);
}
