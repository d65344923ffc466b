/**
 * Bytes in and out for the codecs of this room: big-endian, fixed widths, no Buffer. Numbers above 32 bits are written
 * as two halves; readers refuse what is not an exact JavaScript integer, so nothing is rounded in silence.
 */
import { KahunaError } from '../base/errors.ts';
import { violated } from './violation.ts';

/** `truncated`: the bytes end too early. `malformed`: they cannot have been written by an encoder of this room. */
export type RaftCodecErrorCode = 'RAFT_BYTES_TRUNCATED' | 'RAFT_BYTES_MALFORMED';

/** The only error that the decoders of this room throw. */
export class RaftCodecError extends KahunaError<RaftCodecErrorCode> {}

export function malformed(what: string): never {
  throw new RaftCodecError('RAFT_BYTES_MALFORMED', `malformed Raft bytes: ${what}`);
}

const TWO_32 = 2 ** 32;
const INITIAL_BYTES = 1024;

/** Grows as needed and is reused: `clear` between messages keeps the memory. */
export class WireWriter {
  /** Bytes written since `clear`. */
  length = 0;
  private bytes: Uint8Array;
  private view: DataView;

  constructor(initialBytes: number = INITIAL_BYTES) {
    this.bytes = new Uint8Array(initialBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  clear(): void {
    this.length = 0;
  }

  /** What was written, without a copy: valid until the next call of any method. */
  peek(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** A copy of what was written; it belongs to the caller. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.length, value);
    this.length += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.length, value);
    this.length += 4;
  }

  /** 0 … 2^53 - 1. */
  u53(value: number): void {
    if (!(Number.isSafeInteger(value) && value >= 0)) violated(`${value} is no unsigned exact integer`);
    this.reserve(8);
    this.view.setUint32(this.length, Math.floor(value / TWO_32));
    this.view.setUint32(this.length + 4, value >>> 0);
    this.length += 8;
  }

  f64(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.length, value);
    this.length += 8;
  }

  copy(chunk: Uint8Array): void {
    this.reserve(chunk.length);
    this.bytes.set(chunk, this.length);
    this.length += chunk.length;
  }

  private reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }
}

/** Reads forward; every read past the end throws RAFT_BYTES_TRUNCATED. */
export class WireReader {
  private bytes: Uint8Array;
  private view: DataView;
  private position = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.bytes.length - this.position;
  }

  u8(): number {
    return this.view.getUint8(this.advance(1));
  }

  u16(): number {
    return this.view.getUint16(this.advance(2));
  }

  u32(): number {
    return this.view.getUint32(this.advance(4));
  }

  u53(): number {
    const at = this.advance(8);
    const value = this.view.getUint32(at) * TWO_32 + this.view.getUint32(at + 4);
    if (value > Number.MAX_SAFE_INTEGER) malformed('a number of more than 53 bits');
    return value;
  }

  f64(): number {
    return this.view.getFloat64(this.advance(8));
  }

  /**
   * Copies everything that is left, so that what `take` returns outlives the bytes that were handed in. One allocation
   * for all: memory outside the heap costs more to get than to fill.
   */
  ownRest(): void {
    const rest = memory(this.remaining);
    rest.set(this.bytes.subarray(this.position));
    this.bytes = rest;
    this.view = new DataView(rest.buffer, rest.byteOffset, rest.length);
    this.position = 0;
  }

  /** The next bytes, as a part of the copy that `ownRest` made. */
  take(count: number): Uint8Array {
    const at = this.advance(count);
    return this.bytes.subarray(at, at + count);
  }

  /** A copy of the next bytes. */
  copy(count: number): Uint8Array {
    const at = this.advance(count);
    const chunk = new Uint8Array(count);
    chunk.set(this.bytes.subarray(at, at + count));
    return chunk;
  }

  end(): void {
    if (this.remaining > 0) malformed(`${this.remaining} bytes too many`);
  }

  private advance(count: number): number {
    if (count > this.remaining) {
      throw new RaftCodecError('RAFT_BYTES_TRUNCATED', `Raft bytes end ${count - this.remaining} bytes too early`);
    }
    const at = this.position;
    this.position += count;
    return at;
  }
}

const SLAB_BYTES = 16 * 1024;
let slab = new Uint8Array(0);
let used = 0;

/** Memory for so many bytes. Short runs share a slab, which is free when all of them are; what comes together goes together. */
function memory(count: number): Uint8Array {
  if (count > SLAB_BYTES / 8) return new Uint8Array(count);
  if (used + count > slab.length) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  const bytes = slab.subarray(used, used + count);
  used += count;
  return bytes;
}
