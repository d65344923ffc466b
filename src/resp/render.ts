/**
 * Replies as people and programs read them, for kahuna-cli: as redis-cli shows them on a terminal, raw for pipes, and
 * as JSON. Bulk strings are bytes, one character each: they are shown as UTF-8 where they are that.
 */
import { unreachable } from '../base/assert.ts';
import {
  BigNumberReply,
  DoubleReply,
  EncodedReply,
  ErrorReply,
  MapReply,
  NullArray,
  PushReply,
  type Reply,
  SetReply,
  Status,
  VerbatimReply,
} from './reply.ts';

export type RenderStyle = 'terminal' | 'raw' | 'json';

/** Without a line end. */
export function renderReply(reply: Reply, style: RenderStyle): string {
  switch (style) {
    case 'terminal':
      return forTerminal(reply, '');
    case 'raw':
      return raw(reply);
    case 'json':
      return json(reply);
    default:
      return unreachable(style);
  }
}

/** True if the reply is an error; errors inside arrays (EXEC) are results like others. */
export function isFailure(reply: Reply): boolean {
  return reply instanceof ErrorReply;
}

/** Bytes as text: UTF-8 if they are valid, else one character a byte. */
function textOf(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : latin1;
}

// ---------------------------------------------------------------------------------------------------------------
// As redis-cli on a terminal (redis-cli.c cliFormatReplyTTY)

function forTerminal(reply: Reply, indent: string): string {
  if (reply === null || reply instanceof NullArray) return '(nil)';
  if (typeof reply === 'string') return quoted(reply);
  if (reply instanceof Uint8Array) return quoted(latin1Of(reply));
  if (typeof reply === 'number' || typeof reply === 'bigint') return `(integer) ${reply}`;
  if (typeof reply === 'boolean') return reply ? '(true)' : '(false)';
  if (reply instanceof Status) return reply.text;
  if (reply instanceof ErrorReply) return `(error) ${textOf(reply.text)}`;
  if (reply instanceof DoubleReply) return `(double) ${doubleText(reply.value)}`;
  if (reply instanceof BigNumberReply) return `(big number) ${reply.digits}`;
  if (reply instanceof VerbatimReply) return textOf(reply.text);
  if (reply instanceof EncodedReply) return '(encoded)';
  if (reply instanceof MapReply) return mapLines(reply, indent);
  if (reply instanceof SetReply) return itemLines(reply.items, { mark: '~', empty: '(empty set)', indent });
  if (reply instanceof PushReply) return itemLines(reply.items, { mark: '>', empty: '(empty push)', indent });
  return itemLines(reply, { mark: ')', empty: '(empty array)', indent });
}

interface ListStyle {
  readonly mark: string;
  readonly empty: string;
  readonly indent: string;
}

/** The first item stands behind what is already on the line; the others begin at `indent`. */
function itemLines(items: readonly Reply[], { mark, empty, indent }: ListStyle): string {
  if (items.length === 0) return empty;
  const width = String(items.length).length;
  const inner = indent + ' '.repeat(width + 2);
  return items
    .map((item, i) => `${i === 0 ? '' : indent}${String(i + 1).padStart(width)}${mark} ${forTerminal(item, inner)}`)
    .join('\n');
}

function mapLines(reply: MapReply, indent: string): string {
  if (reply.entries.length === 0) return '(empty hash)';
  const width = String(reply.entries.length).length;
  return reply.entries
    .map(([key, value], i) => {
      const start = `${String(i + 1).padStart(width)}# ${forTerminal(key, indent)} => `;
      return `${i === 0 ? '' : indent}${start}${forTerminal(value, indent + ' '.repeat(start.length))}`;
    })
    .join('\n');
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\\\'],
  ['"', '\\"'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\x07', '\\a'],
  ['\b', '\\b'],
]);

function quoted(latin1: string): string {
  const text = textOf(latin1);
  // Text is shown as such; bytes that are no text are shown as \xHH.
  const isText = text !== latin1 || /^[\x00-\x7f]*$/.test(latin1);
  let inside = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const escape = ESCAPES.get(char);
    if (escape !== undefined) inside += escape;
    else if (code < 0x20 || code === 0x7f || (!isText && code > 0x7f))
      inside += `\\x${code.toString(16).padStart(2, '0')}`;
    else inside += char;
  }
  return `"${inside}"`;
}

function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return String(value);
}

// ---------------------------------------------------------------------------------------------------------------
// For pipes (redis-cli.c cliFormatReplyRaw)

function raw(reply: Reply): string {
  if (reply === null || reply instanceof NullArray) return '';
  if (typeof reply === 'string') return textOf(reply);
  if (reply instanceof Uint8Array) return textOf(latin1Of(reply));
  if (typeof reply === 'number' || typeof reply === 'bigint') return String(reply);
  if (typeof reply === 'boolean') return String(reply);
  if (reply instanceof Status || reply instanceof VerbatimReply) return textOf(reply.text);
  if (reply instanceof ErrorReply) return textOf(reply.text);
  if (reply instanceof DoubleReply) return doubleText(reply.value);
  if (reply instanceof BigNumberReply) return reply.digits;
  if (reply instanceof EncodedReply) return '(encoded)';
  if (reply instanceof MapReply) return reply.entries.map(([key, value]) => `${raw(key)} ${raw(value)}`).join('\n');
  const items: readonly Reply[] = reply instanceof SetReply || reply instanceof PushReply ? reply.items : reply;
  return items.map(raw).join('\n');
}

// ---------------------------------------------------------------------------------------------------------------
// For programs: every reply is one JSON value on one line; an error is {"error": text}

function json(reply: Reply): string {
  if (reply === null || reply instanceof NullArray) return 'null';
  if (typeof reply === 'string') return JSON.stringify(textOf(reply));
  if (reply instanceof Uint8Array) return JSON.stringify(textOf(latin1Of(reply)));
  if (typeof reply === 'number' || typeof reply === 'bigint' || typeof reply === 'boolean') return String(reply);
  if (reply instanceof Status || reply instanceof VerbatimReply) return JSON.stringify(textOf(reply.text));
  if (reply instanceof ErrorReply) return `{"error":${JSON.stringify(textOf(reply.text))}}`;
  // JSON has no infinity and no NaN.
  if (reply instanceof DoubleReply)
    return Number.isFinite(reply.value) ? String(reply.value) : `"${doubleText(reply.value)}"`;
  if (reply instanceof BigNumberReply) return reply.digits;
  if (reply instanceof EncodedReply) return '"(encoded)"';
  if (reply instanceof MapReply) {
    return `{${reply.entries.map(([key, value]) => `${JSON.stringify(raw(key))}:${json(value)}`).join(',')}}`;
  }
  const items: readonly Reply[] = reply instanceof SetReply || reply instanceof PushReply ? reply.items : reply;
  return `[${items.map(json).join(',')}]`;
}

function latin1Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
