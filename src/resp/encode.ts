/**
 * Hot path: every reply is written here, as RESP2 or RESP3.
 *
 * Replies of one turn are written one after the other into a scratch buffer that grows by doubling and is used again;
 * `take` copies out what was written. A bulk string of BY_REFERENCE_BYTES_MIN or more is not copied: what stands
 * before it is closed as one chunk, and the string's own bytes become the next one.
 *
 * What must stay true: a simple string and an error are one line, whoever made the text (CR and LF become spaces,
 * Redis CVE of 2025 on injected replies); lengths are counted in bytes; characters are bytes (latin1).
 */
import { assert, unreachable } from '../base/assert.ts';
import { formatDouble } from './double.ts';
import {
  BigNumberReply,
  DoubleReply,
  EncodedReply,
  ErrorReply,
  MapReply,
  NullArray,
  OK,
  type Protocol,
  PushReply,
  type Reply,
  SetReply,
  Status,
  VerbatimReply,
} from './reply.ts';

/** Bulk strings from this size on are handed to the socket without a copy. */
export const BY_REFERENCE_BYTES_MIN = 16 * 1024;
/** Replies nested deeper than this (only a script can make them) are cut off with an error in their place. */
export const REPLY_DEPTH_MAX = 512;

const SCRATCH_BYTES_MIN = 4 * 1024;
/** A scratch buffer that grew beyond this is given back after use. */
const SCRATCH_BYTES_KEPT_MAX = 1024 * 1024;
/** Below this length a loop over characters is faster than a call into the engine. */
const SHORT_TEXT_MAX = 16;
const TOO_DEEP = new ErrorReply('ERR reply is nested too deeply');

const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const MINUS = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const DOLLAR = 0x24;
const STAR = 0x2a;
const PERCENT = 0x25;
const TILDE = 0x7e;
const GREATER = 0x3e;
const EQUALS = 0x3d;
const COMMA = 0x2c;
const HASH = 0x23;
const UNDERSCORE = 0x5f;
const PARENTHESIS = 0x28;

const EMPTY = Buffer.alloc(0);

/** Output for any number of sessions in turn; nothing is kept between `take` and the next `write`. */
export class ReplyBuffer {
  private scratch: Buffer = EMPTY;
  /** Bytes of `scratch` in use. */
  private length = 0;
  /** Bytes of `scratch` that are already in `chunks`. */
  private closed = 0;
  /** What was finished before the open part of `scratch`, in order. Parts of the scratch are copies. */
  private chunks: Uint8Array[] = [];
  private chunkBytes = 0;

  /** Bytes written and not yet taken. */
  get byteLength(): number {
    return this.chunkBytes + this.length - this.closed;
  }

  /**
   * Everything written since the last call, as chunks that belong to the caller, in order; empty if there is nothing.
   * Chunks of large bulk strings are the reply's own bytes: nobody may change them.
   */
  take(): Uint8Array[] {
    this.closeChunk();
    const chunks = this.chunks;
    this.chunks = [];
    this.chunkBytes = 0;
    this.length = 0;
    this.closed = 0;
    if (this.scratch.length > SCRATCH_BYTES_KEPT_MAX) this.scratch = EMPTY;
    return chunks;
  }

  /** As `take`, in one buffer that belongs to the caller. */
  takeBuffer(): Buffer {
    const [first = EMPTY, ...others] = this.take();
    if (others.length > 0) return Buffer.concat([first, ...others]);
    return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
  }

  write(reply: Reply, protocol: Protocol): void {
    if (reply === OK) {
      this.reserve(5);
      const { scratch, length } = this;
      scratch[length] = PLUS;
      scratch[length + 1] = 0x4f;
      scratch[length + 2] = 0x4b;
      scratch[length + 3] = CR;
      scratch[length + 4] = LF;
      this.length = length + 5;
      return;
    }
    this.writeNested(reply, protocol, 0);
  }

  private writeNested(reply: Reply, protocol: Protocol, depth: number): void {
    switch (typeof reply) {
      case 'string':
        this.bulkText(reply);
        return;
      case 'number':
        this.integer(reply);
        return;
      case 'bigint':
        this.line(COLON, reply.toString());
        return;
      case 'boolean':
        if (protocol === 3) this.line(HASH, reply ? 't' : 'f');
        else this.integer(reply ? 1 : 0);
        return;
      case 'object':
        break;
      default:
        unreachable(reply);
    }
    if (reply === null) {
      if (protocol === 3) this.line(UNDERSCORE, '');
      else this.line(DOLLAR, '-1');
    } else if (reply instanceof Uint8Array) {
      this.bulkBytes(reply);
    } else if (reply instanceof Status) {
      this.line(PLUS, oneLine(reply.text));
    } else if (reply instanceof ErrorReply) {
      this.line(MINUS, oneLine(reply.text));
    } else if (reply instanceof EncodedReply) {
      this.bytes(reply.bytes);
    } else if (reply instanceof NullArray) {
      if (protocol === 3) this.line(UNDERSCORE, '');
      else this.line(STAR, '-1');
    } else if (reply instanceof DoubleReply) {
      if (protocol === 3) this.line(COMMA, formatDouble(reply.value));
      else this.bulkText(formatDouble(reply.value));
    } else if (reply instanceof VerbatimReply) {
      if (protocol === 3) this.verbatim(reply);
      else this.bulkText(reply.text);
    } else if (reply instanceof BigNumberReply) {
      if (protocol === 3) this.line(PARENTHESIS, oneLine(reply.digits));
      else this.bulkText(reply.digits);
    } else if (depth >= REPLY_DEPTH_MAX) {
      this.line(MINUS, TOO_DEEP.text);
    } else {
      this.aggregate(reply, protocol, depth + 1);
    }
  }

  private aggregate(
    reply: readonly Reply[] | MapReply | SetReply | PushReply,
    protocol: Protocol,
    depth: number,
  ): void {
    if (reply instanceof MapReply) {
      const { entries } = reply;
      if (protocol === 3) this.header(PERCENT, entries.length);
      else this.header(STAR, entries.length * 2);
      for (const [key, value] of entries) {
        this.writeNested(key, protocol, depth);
        this.writeNested(value, protocol, depth);
      }
    } else if (reply instanceof SetReply) {
      this.items(protocol === 3 ? TILDE : STAR, reply.items, protocol, depth);
    } else if (reply instanceof PushReply) {
      this.items(protocol === 3 ? GREATER : STAR, reply.items, protocol, depth);
    } else {
      this.items(STAR, reply, protocol, depth);
    }
  }

  private items(marker: number, items: readonly Reply[], protocol: Protocol, depth: number): void {
    this.header(marker, items.length);
    for (const item of items) this.writeNested(item, protocol, depth);
  }

  private integer(value: number): void {
    assert(Number.isSafeInteger(value), `integer reply ${value} is not a safe integer`);
    this.header(COLON, value);
  }

  /** Marker, decimal integer, CR LF. */
  private header(marker: number, value: number): void {
    this.reserve(24);
    const { scratch } = this;
    let at = this.length;
    scratch[at++] = marker;
    if (value >= 0 && value < 10) {
      scratch[at++] = ZERO + value;
    } else if (value >= 0 && value < 1_000_000_000) {
      let end = at + (value < 100 ? 2 : value < 1000 ? 3 : digitCount(value));
      const next = end;
      for (let rest = value; end > at; ) {
        const tenth = (rest / 10) | 0;
        scratch[--end] = ZERO + rest - tenth * 10;
        rest = tenth;
      }
      at = next;
    } else {
      at += latin1Write(scratch, String(value), at);
    }
    scratch[at] = CR;
    scratch[at + 1] = LF;
    this.length = at + 2;
  }

  /** Marker, text without line ends, CR LF. */
  private line(marker: number, text: string): void {
    this.reserve(text.length + 3);
    const { scratch } = this;
    let at = this.length;
    scratch[at++] = marker;
    at += latin1Write(scratch, text, at);
    scratch[at] = CR;
    scratch[at + 1] = LF;
    this.length = at + 2;
  }

  private bulkText(text: string): void {
    const size = text.length;
    this.header(DOLLAR, size);
    if (size >= BY_REFERENCE_BYTES_MIN) {
      this.reference(Buffer.from(text, 'latin1'));
      this.reserve(2);
    } else {
      this.reserve(size + 2);
      latin1Write(this.scratch, text, this.length);
      this.length += size;
    }
    this.lineEnd();
  }

  private bulkBytes(bytes: Uint8Array): void {
    this.header(DOLLAR, bytes.byteLength);
    this.bytes(bytes);
    this.reserve(2);
    this.lineEnd();
  }

  private bytes(bytes: Uint8Array): void {
    const size = bytes.byteLength;
    if (size >= BY_REFERENCE_BYTES_MIN) {
      this.reference(bytes);
      return;
    }
    this.reserve(size + 2);
    const { scratch, length } = this;
    if (size <= SHORT_TEXT_MAX) {
      for (let i = 0; i < size; i++) scratch[length + i] = bytes[i] ?? 0;
    } else {
      scratch.set(bytes, length);
    }
    this.length = length + size;
  }

  private verbatim(reply: VerbatimReply): void {
    const size = reply.text.length + 4;
    this.header(EQUALS, size);
    this.reserve(size + 2);
    latin1Write(this.scratch, `${reply.format}:${reply.text}`, this.length);
    this.length += size;
    this.lineEnd();
  }

  /** Two bytes must have been reserved. */
  private lineEnd(): void {
    this.scratch[this.length] = CR;
    this.scratch[this.length + 1] = LF;
    this.length += 2;
  }

  private reference(bytes: Uint8Array): void {
    this.closeChunk();
    this.chunks.push(bytes);
    this.chunkBytes += bytes.byteLength;
  }

  private closeChunk(): void {
    const size = this.length - this.closed;
    if (size === 0) return;
    const chunk = Buffer.allocUnsafe(size);
    this.scratch.copy(chunk, 0, this.closed, this.length);
    this.chunks.push(chunk);
    this.chunkBytes += size;
    this.closed = this.length;
  }

  private reserve(size: number): void {
    if (this.length + size <= this.scratch.length) return;
    this.grow(size);
  }

  private grow(size: number): void {
    // What is closed was copied, so its room can be used again.
    const open = this.length - this.closed;
    const capacity = Math.max(SCRATCH_BYTES_MIN, 2 * (open + size));
    const grown = capacity <= this.scratch.length ? this.scratch : Buffer.allocUnsafeSlow(capacity);
    this.scratch.copy(grown, 0, this.closed, this.length);
    this.scratch = grown;
    this.length = open;
    this.closed = 0;
  }
}

/** One reply by itself; for tests, tools, and replies that are encoded once and sent many times. */
export function encodeReply(reply: Reply, protocol: Protocol): Buffer {
  try {
    shared.write(reply, protocol);
    return shared.takeBuffer();
  } catch (error) {
    shared.take();
    throw error;
  }
}

/** For replies one by one; empty between two calls. */
const shared = new ReplyBuffer();

/** Writes the characters as bytes; the room must have been reserved. Returns their number. */
function latin1Write(target: Buffer, text: string, at: number): number {
  const size = text.length;
  if (size <= SHORT_TEXT_MAX) {
    for (let i = 0; i < size; i++) target[at + i] = text.charCodeAt(i);
  } else {
    target.write(text, at, size, 'latin1');
  }
  return size;
}

function digitCount(value: number): number {
  let count = 3;
  for (let bound = 1000; value >= bound; bound *= 10) count++;
  return count;
}

function oneLine(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === CR || code === LF) return text.replace(/[\r\n]/g, ' ');
  }
  return text;
}
