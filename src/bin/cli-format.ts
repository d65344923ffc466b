/** Replies as redis-cli shows them: for people with types and numbering, raw for programs, and as JSON. */
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
} from '../resp/reply.ts';

/** With a line end. */
export function formatForPeople(reply: Reply): string {
  return format(reply, '');
}

/** With a line end. Bytes of strings are kept (latin1). */
export function formatRaw(reply: Reply): string {
  const items = itemsOf(reply);
  return items === null ? `${rawScalar(reply)}\n` : items.map(formatRaw).join('');
}

/**
 * One line of JSON with a line end; an error is `{"error": text}`. Bytes that are UTF-8 are read as such, others as one
 * character a byte. The result holds one byte a character, as the other formats do.
 */
export function formatJson(reply: Reply): string {
  return `${Buffer.from(json(reply), 'utf8').toString('latin1')}\n`;
}

function json(reply: Reply): string {
  if (typeof reply === 'number' || typeof reply === 'bigint' || typeof reply === 'boolean') return String(reply);
  if (reply === null || reply instanceof NullArray) return 'null';
  if (reply instanceof ErrorReply) return `{"error":${jsonText(reply.text)}}`;
  // JSON has neither infinity nor NaN: those are strings.
  if (reply instanceof DoubleReply && Number.isFinite(reply.value)) return String(reply.value);
  if (reply instanceof BigNumberReply) return reply.digits;
  if (reply instanceof MapReply) {
    return `{${reply.entries.map(([name, value]) => `${jsonText(rawScalar(name))}:${json(value)}`).join(',')}}`;
  }
  const items = itemsOf(reply);
  return items === null
    ? jsonText(typeof reply === 'string' ? reply : rawScalar(reply))
    : `[${items.map(json).join(',')}]`;
}

function jsonText(bytes: string): string {
  const text = Buffer.from(bytes, 'latin1').toString('utf8');
  return JSON.stringify(Buffer.from(text, 'utf8').toString('latin1') === bytes ? text : bytes);
}

/** `prefix` is what the lines after the first one begin with. */
function format(reply: Reply, prefix: string): string {
  if (reply instanceof MapReply) {
    if (reply.entries.length === 0) return '(empty hash)\n';
    return numbered(
      reply.entries,
      '#',
      prefix,
      ([name, value], inner) => `${format(name, inner).trimEnd()} => ${format(value, inner)}`,
    );
  }
  if (reply instanceof SetReply) {
    if (reply.items.length === 0) return '(empty set)\n';
    return numbered(reply.items, '~', prefix, format);
  }
  const items = itemsOf(reply);
  if (items === null) return `${scalar(reply)}\n`;
  if (items.length === 0) return '(empty array)\n';
  return numbered(items, ')', prefix, format);
}

function numbered<T>(
  items: readonly T[],
  mark: string,
  prefix: string,
  show: (item: T, prefix: string) => string,
): string {
  const width = String(items.length).length;
  const inner = prefix + ' '.repeat(width + 2);
  return items
    .map((item, i) => `${i === 0 ? '' : prefix}${String(i + 1).padStart(width)}${mark} ${show(item, inner)}`)
    .join('');
}

/** Elements of an array or what RESP2 would flatten to one; null for anything else. */
function itemsOf(reply: Reply): readonly Reply[] | null {
  if (reply instanceof PushReply || reply instanceof SetReply) return reply.items;
  if (reply instanceof MapReply) return reply.entries.flat();
  return Array.isArray(reply) ? reply : null;
}

function scalar(reply: Reply): string {
  if (typeof reply === 'string') return quote(reply);
  if (reply instanceof Uint8Array) return quote(latin1(reply));
  if (typeof reply === 'number' || typeof reply === 'bigint') return `(integer) ${reply}`;
  if (typeof reply === 'boolean') return reply ? '(true)' : '(false)';
  if (reply === null || reply instanceof NullArray) return '(nil)';
  if (reply instanceof ErrorReply) return `(error) ${reply.text}`;
  if (reply instanceof DoubleReply) return `(double) ${reply.value}`;
  return rawScalar(reply);
}

function rawScalar(reply: Reply): string {
  if (reply instanceof Uint8Array) return latin1(reply);
  if (reply === null || reply instanceof NullArray) return '';
  if (reply instanceof Status || reply instanceof ErrorReply || reply instanceof VerbatimReply) return reply.text;
  if (reply instanceof DoubleReply) return String(reply.value);
  if (reply instanceof BigNumberReply) return reply.digits;
  if (reply instanceof EncodedReply) return latin1(reply.bytes);
  return typeof reply === 'object' ? '' : String(reply);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\x07': '\\a',
  '\b': '\\b',
};

function quote(text: string): string {
  let quoted = '';
  for (const character of text) {
    const code = character.charCodeAt(0);
    quoted +=
      ESCAPES[character] ?? (code >= 0x20 && code <= 0x7e ? character : `\\x${code.toString(16).padStart(2, '0')}`);
  }
  return `"${quoted}"`;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
