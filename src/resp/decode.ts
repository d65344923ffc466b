/**
 * Reads replies (RESP2 and RESP3) from bytes: for kahuna-cli, and for tests that must see exactly what a client sees.
 * Strict where client libraries are lenient: line ends, digits and lengths must be what a correct server sends.
 *
 * The values are those of reply.ts: bulk strings are latin1 strings, integers are numbers if they are safe and bigints
 * otherwise, a bulk error (`!`) is an ErrorReply, RESP3 null and RESP2 null bulk are null, `*-1` is NULL_ARRAY.
 * Attributes (`|`) are read and dropped. Streamed types (`$?`, `*?`) are refused: no Redis sends them.
 *
 * Aggregates are built on an explicit stack, so each byte is looked at once however the input is cut, and depth costs
 * memory rather than the call stack.
 */
import { KahunaError } from '../base/errors.ts';
import { unreachable } from '../base/assert.ts';
import {
  BigNumberReply,
  DoubleReply,
  ErrorReply,
  MapReply,
  NULL_ARRAY,
  PushReply,
  type Reply,
  SetReply,
  Status,
  VerbatimReply,
} from './reply.ts';

/** The bytes are not a reply; nothing after them can be trusted. */
export class DecodeError extends KahunaError<'malformed-reply'> {
  constructor(message: string) {
    super('malformed-reply', message);
  }
}

const LINE_BYTES_MAX = 1024 * 1024;
const DEPTH_MAX = 1024;
const BULK_BYTES_MAX = 2 ** 32;

type Aggregate = 'array' | 'map' | 'set' | 'push' | 'attribute';

/** An aggregate that is being read: `items` has fewer than `size` elements. */
interface Frame {
  readonly kind: Aggregate;
  readonly size: number;
  readonly items: Reply[];
}

type Bulk = 'bulk' | 'error' | 'verbatim';

export class ReplyDecoder {
  private readonly stack: Frame[] = [];
  private input: Buffer = Buffer.alloc(0);
  private at = 0;
  /** A bulk whose header was read: its bytes and CR LF are still to come. */
  private bulk: { readonly kind: Bulk; readonly size: number } | null = null;
  private searched = 0;
  /** Pieces of a long bulk string that is not complete yet, so that it is put together once. */
  private pieces: Uint8Array[] = [];
  private pieceBytes = 0;

  /** Whether the input ends between two replies. */
  get isIdle(): boolean {
    return this.at === this.input.length && this.pieceBytes === 0 && this.stack.length === 0 && this.bulk === null;
  }

  /** Adds bytes (they are copied) and returns the replies that are complete with them. Throws DecodeError. */
  push(chunk: Uint8Array): Reply[] {
    const unread = this.input.subarray(this.at);
    this.pieceBytes += chunk.byteLength;
    if (this.bulk !== null && unread.length + this.pieceBytes < this.bulk.size + 2) {
      this.pieces.push(Uint8Array.from(chunk));
      return [];
    }
    this.input = Buffer.concat([unread, ...this.pieces, chunk]);
    this.pieces = [];
    this.pieceBytes = 0;
    this.at = 0;
    const replies: Reply[] = [];
    for (;;) {
      const reply = this.next();
      if (reply === INCOMPLETE) return replies;
      replies.push(reply);
    }
  }

  private next(): Reply | typeof INCOMPLETE {
    for (;;) {
      const value = this.bulk === null ? this.readLine() : this.readBulk(this.bulk);
      if (value === INCOMPLETE) return INCOMPLETE;
      if (value === OPENED) continue;
      const finished = this.place(value);
      if (finished !== INCOMPLETE) return finished;
    }
  }

  /** Puts a value into the innermost open aggregate, closing those that are full. */
  private place(value: Reply): Reply | typeof INCOMPLETE {
    let current = value;
    for (;;) {
      const frame = this.stack.at(-1);
      if (frame === undefined) return current;
      frame.items.push(current);
      if (frame.items.length < frame.size) return INCOMPLETE;
      this.stack.pop();
      if (frame.kind === 'attribute') return INCOMPLETE;
      current = close(frame.kind, frame.items);
    }
  }

  private readLine(): Reply | typeof INCOMPLETE | typeof OPENED {
    const end = this.input.indexOf(0x0a, this.at + this.searched);
    if (end === -1) {
      this.searched = this.input.length - this.at;
      if (this.searched > LINE_BYTES_MAX) throw new DecodeError(`a line of more than ${LINE_BYTES_MAX} bytes`);
      return INCOMPLETE;
    }
    this.searched = 0;
    if (end === this.at || this.input[end - 1] !== 0x0d) throw new DecodeError('a line that does not end in CR LF');
    const line = this.input.toString('latin1', this.at, end - 1);
    this.at = end + 1;
    return this.interpret(line);
  }

  private interpret(line: string): Reply | typeof OPENED {
    const rest = line.slice(1);
    switch (line.charAt(0)) {
      case '+':
        return new Status(simple(rest));
      case '-':
        return new ErrorReply(simple(rest));
      case ':':
        return integer(rest);
      case '_':
        if (rest !== '') throw new DecodeError('a null with content');
        return null;
      case '#':
        if (rest !== 't' && rest !== 'f') throw new DecodeError(`boolean "${rest}"`);
        return rest === 't';
      case ',':
        return new DoubleReply(double(rest));
      case '(':
        if (!/^-?(0|[1-9][0-9]*)$/.test(rest)) throw new DecodeError('a big number that is none');
        return new BigNumberReply(rest);
      case '$':
        return rest === '-1' ? null : this.openBulk('bulk', rest);
      case '!':
        return this.openBulk('error', rest);
      case '=':
        return this.openBulk('verbatim', rest);
      case '*':
        return rest === '-1' ? NULL_ARRAY : this.open('array', rest);
      case '%':
        return this.open('map', rest);
      case '~':
        return this.open('set', rest);
      case '>':
        return this.open('push', rest);
      case '|':
        return this.open('attribute', rest);
      default:
        throw new DecodeError(`type byte ${JSON.stringify(line.charAt(0))}`);
    }
  }

  private openBulk(kind: Bulk, digits: string): typeof OPENED {
    this.bulk = { kind, size: length(digits, BULK_BYTES_MAX) };
    return OPENED;
  }

  private open(kind: Aggregate, digits: string): Reply | typeof OPENED {
    const count = length(digits, 2 ** 31 - 1);
    const size = kind === 'map' || kind === 'attribute' ? count * 2 : count;
    if (size === 0) return kind === 'attribute' ? OPENED : close(kind, []);
    if (this.stack.length >= DEPTH_MAX) throw new DecodeError(`replies nested deeper than ${DEPTH_MAX}`);
    this.stack.push({ kind, size, items: [] });
    return OPENED;
  }

  private readBulk(bulk: { readonly kind: Bulk; readonly size: number }): Reply | typeof INCOMPLETE {
    const end = this.at + bulk.size;
    if (this.input.length < end + 2) return INCOMPLETE;
    if (this.input[end] !== 0x0d || this.input[end + 1] !== 0x0a) {
      throw new DecodeError('a bulk string that does not end in CR LF');
    }
    const text = this.input.toString('latin1', this.at, end);
    this.at = end + 2;
    this.bulk = null;
    switch (bulk.kind) {
      case 'bulk':
        return text;
      case 'error':
        return new ErrorReply(text);
      case 'verbatim': {
        const format = text.slice(0, 4);
        if (format !== 'txt:' && format !== 'mkd:') throw new DecodeError('a verbatim string without format');
        return new VerbatimReply(format === 'txt:' ? 'txt' : 'mkd', text.slice(4));
      }
      default:
        return unreachable(bulk.kind);
    }
  }
}

/** All replies in `bytes`. Throws DecodeError if they are malformed or end in the middle of a reply. */
export function decodeReplies(bytes: Uint8Array): Reply[] {
  const decoder = new ReplyDecoder();
  const replies = decoder.push(bytes);
  if (!decoder.isIdle) throw new DecodeError('the bytes end in the middle of a reply');
  return replies;
}

const INCOMPLETE = Symbol('incomplete');
const OPENED = Symbol('opened');

function close(kind: Exclude<Aggregate, 'attribute'>, items: Reply[]): Reply {
  switch (kind) {
    case 'array':
      return items;
    case 'set':
      return new SetReply(items);
    case 'push':
      return new PushReply(items);
    case 'map': {
      const entries: [Reply, Reply][] = [];
      for (let i = 0; i + 1 < items.length; i += 2) entries.push([items[i] ?? null, items[i + 1] ?? null]);
      return new MapReply(entries);
    }
    default:
      return unreachable(kind);
  }
}

function simple(text: string): string {
  if (text.includes('\r')) throw new DecodeError('CR inside a line');
  return text;
}

function integer(digits: string): number | bigint {
  if (!/^-?(0|[1-9][0-9]{0,18})$/.test(digits) || digits === '-0') throw new DecodeError(`integer "${digits}"`);
  const exact = BigInt(digits);
  if (exact !== BigInt.asIntN(64, exact)) throw new DecodeError(`integer "${digits}" beyond 64 bits`);
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : exact;
}

function length(digits: string, max: number): number {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(value <= max)) throw new DecodeError(`length "${digits}"`);
  return value;
}

function double(text: string): number {
  if (text === 'inf') return Number.POSITIVE_INFINITY;
  if (text === '-inf') return Number.NEGATIVE_INFINITY;
  if (text === 'nan') return Number.NaN;
  if (!/^-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$/i.test(text)) throw new DecodeError(`double "${text}"`);
  return Number(text);
}
