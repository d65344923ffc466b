/**
 * The Redis protocol as a client sees it, RESP2 and RESP3, written apart from the server's own encoder on purpose: a
 * test that reads replies with the code that wrote them proves nothing.
 *
 * The decoder keeps the exact bytes of every top-level reply beside its meaning, because the differential test
 * compares bytes, and everybody else compares meaning.
 */

export type RespValue =
  | { readonly type: 'simple' | 'error' | 'big-number'; readonly text: string }
  /** Text, not number: RESP integers reach ±2^63, JavaScript's exact ones do not. */
  | { readonly type: 'integer'; readonly text: string }
  | { readonly type: 'double'; readonly text: string }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'bulk' | 'blob-error'; readonly bytes: Buffer }
  | { readonly type: 'verbatim'; readonly format: string; readonly bytes: Buffer }
  | { readonly type: 'null'; readonly notation: '$-1' | '*-1' | '_' }
  | { readonly type: 'array' | 'set' | 'push'; readonly items: readonly RespValue[] }
  | { readonly type: 'map' | 'attribute'; readonly entries: readonly (readonly [RespValue, RespValue])[] };

export interface Frame {
  /** Exactly what the server sent for this reply. */
  readonly raw: Buffer;
  readonly value: RespValue;
}

/** What the server sent is not the Redis protocol. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}

export type Argument = string | Buffer | number;

/** One request as an array of bulk strings. Strings are encoded as UTF-8. */
export function encodeRequest(args: readonly Argument[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`, 'latin1')];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg), 'utf8');
    parts.push(Buffer.from(`$${bytes.length}\r\n`, 'latin1'), bytes, CRLF);
  }
  return Buffer.concat(parts);
}

const CRLF = Buffer.from('\r\n', 'latin1');
const NESTING_MAX = 64;

/** Feeds on chunks cut anywhere, hands out whole replies. */
export class RespDecoder {
  #pending: Buffer[] = [];
  #pendingSize = 0;
  /** Bytes needed before another attempt can succeed: keeps large replies from being parsed again at each chunk. */
  #wanted = 1;

  /** @throws ProtocolViolation; the connection is of no use afterwards. */
  push(chunk: Buffer): Frame[] {
    this.#pending.push(chunk);
    this.#pendingSize += chunk.length;
    const frames: Frame[] = [];
    if (this.#pendingSize < this.#wanted) return frames;
    const buffer = this.#pending.length === 1 ? chunk : Buffer.concat(this.#pending, this.#pendingSize);
    let offset = 0;
    while (offset < buffer.length) {
      const reader = new FrameReader(buffer, offset);
      const value = reader.read(0);
      if (value === null) {
        this.#wanted = reader.wanted - offset;
        break;
      }
      frames.push({ raw: Buffer.from(buffer.subarray(offset, reader.offset)), value });
      offset = reader.offset;
      this.#wanted = 1;
    }
    const rest = buffer.subarray(offset);
    this.#pending = rest.length > 0 ? [rest] : [];
    this.#pendingSize = rest.length;
    return frames;
  }

  /** Bytes of a reply that has not ended yet. */
  get unfinished(): Buffer {
    return Buffer.concat(this.#pending, this.#pendingSize);
  }
}

/** Reads one value; `null` means that more bytes are needed, at least up to `wanted`. */
class FrameReader {
  readonly #buffer: Buffer;
  offset: number;
  wanted = 0;

  constructor(buffer: Buffer, offset: number) {
    this.#buffer = buffer;
    this.offset = offset;
  }

  read(depth: number): RespValue | null {
    if (depth > NESTING_MAX) throw new ProtocolViolation(`reply nested deeper than ${NESTING_MAX}`);
    const line = this.#line();
    if (line === null) return null;
    const text = line.slice(1);
    switch (line[0]) {
      case '+':
        return { type: 'simple', text };
      case '-':
        return { type: 'error', text };
      case ':':
        if (!/^[+-]?\d+$/.test(text)) throw new ProtocolViolation(`integer reply ${JSON.stringify(text)}`);
        return { type: 'integer', text };
      case ',':
        return { type: 'double', text };
      case '(':
        return { type: 'big-number', text };
      case '_':
        return { type: 'null', notation: '_' };
      case '#':
        if (text !== 't' && text !== 'f') throw new ProtocolViolation(`boolean reply ${JSON.stringify(text)}`);
        return { type: 'boolean', value: text === 't' };
      case '$':
        return this.#bulk('bulk', text);
      case '!':
        return this.#bulk('blob-error', text);
      case '=':
        return this.#bulk('verbatim', text);
      case '*':
        return this.#items('array', text, depth);
      case '~':
        return this.#items('set', text, depth);
      case '>':
        return this.#items('push', text, depth);
      case '%':
        return this.#entries('map', text, depth);
      case '|':
        return this.#entries('attribute', text, depth);
      default:
        throw new ProtocolViolation(`reply starts with ${JSON.stringify(line.slice(0, 40))}`);
    }
  }

  #line(): string | null {
    const end = this.#buffer.indexOf(CRLF, this.offset);
    if (end < 0) {
      this.wanted = this.#buffer.length + 1;
      return null;
    }
    const line = this.#buffer.toString('latin1', this.offset, end);
    if (line.length === 0) throw new ProtocolViolation('empty line where a reply should start');
    this.offset = end + 2;
    return line;
  }

  #bulk(type: 'bulk' | 'blob-error' | 'verbatim', text: string): RespValue | null {
    const size = parseCount(text);
    if (size === -1) return { type: 'null', notation: '$-1' };
    const end = this.offset + size;
    if (this.#buffer.length < end + 2) {
      this.wanted = end + 2;
      return null;
    }
    if (this.#buffer[end] !== 13 || this.#buffer[end + 1] !== 10) {
      throw new ProtocolViolation(`bulk string of ${size} bytes does not end in CRLF`);
    }
    const bytes = Buffer.from(this.#buffer.subarray(this.offset, end));
    this.offset = end + 2;
    if (type !== 'verbatim') return { type, bytes };
    return { type, format: bytes.toString('latin1', 0, 3), bytes: bytes.subarray(4) };
  }

  #items(type: 'array' | 'set' | 'push', text: string, depth: number): RespValue | null {
    const count = parseCount(text);
    if (count === -1) return { type: 'null', notation: '*-1' };
    const items: RespValue[] = [];
    for (let index = 0; index < count; index += 1) {
      const item = this.read(depth + 1);
      if (item === null) return null;
      items.push(item);
    }
    return { type, items };
  }

  #entries(type: 'map' | 'attribute', text: string, depth: number): RespValue | null {
    const count = parseCount(text);
    const entries: (readonly [RespValue, RespValue])[] = [];
    for (let index = 0; index < count; index += 1) {
      const key = this.read(depth + 1);
      if (key === null) return null;
      const value = this.read(depth + 1);
      if (value === null) return null;
      entries.push([key, value]);
    }
    return { type, entries };
  }
}

function parseCount(text: string): number {
  if (!/^(-1|\d{1,10})$/.test(text)) throw new ProtocolViolation(`length ${JSON.stringify(text)} in a reply`);
  return Number(text);
}

/** The text of a string-like reply as UTF-8, or null for everything else. */
export function textOf(value: RespValue): string | null {
  switch (value.type) {
    case 'simple':
    case 'integer':
    case 'double':
    case 'big-number':
      return value.text;
    case 'bulk':
    case 'verbatim':
      return value.bytes.toString('utf8');
    default:
      return null;
  }
}

/** Items of an array, set or push; entries of a map one after the other, as RESP2 lays them out. */
export function itemsOf(value: RespValue): readonly RespValue[] {
  switch (value.type) {
    case 'array':
    case 'set':
    case 'push':
      return value.items;
    case 'map':
      return value.entries.flat();
    default:
      return [];
  }
}

/** Bytes as a person reads them: printable ASCII as it is, the rest escaped; long ones cut. */
export function printable(bytes: Buffer, sizeMax = 400): string {
  let text = '';
  for (const byte of bytes.subarray(0, sizeMax)) {
    if (byte === 0x5c) text += '\\\\';
    else if (byte === 13) text += '\\r';
    else if (byte === 10) text += '\\n';
    else if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return bytes.length > sizeMax ? `${text}… (${bytes.length} bytes)` : text;
}
