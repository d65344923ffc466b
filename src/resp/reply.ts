/**
 * What a command answers, before it is written in RESP2 or RESP3. The common replies are plain JavaScript values, so
 * that answering allocates nothing more:
 *
 *   string       bulk string; each character is one byte (latin1)
 *   Uint8Array   bulk string
 *   number       integer (must be a safe integer)
 *   bigint       integer (64 bits)
 *   null         null (RESP2: null bulk string)
 *   boolean      RESP3 boolean (RESP2: integer 1 or 0)
 *   array        array
 *
 * Everything else is one of the classes below. Replies are immutable once returned.
 */
export type Reply =
  | string
  | Uint8Array
  | number
  | bigint
  | null
  | boolean
  | readonly Reply[]
  | Status
  | ErrorReply
  | NullArray
  | MapReply
  | SetReply
  | DoubleReply
  | VerbatimReply
  | BigNumberReply
  | PushReply
  | EncodedReply;

export type Protocol = 2 | 3;

/** `+text`. CR and LF in it are replaced by spaces when it is written. */
export class Status {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** `-text`; the first word is the prefix that clients act on. CR and LF are replaced by spaces when it is written. */
export class ErrorReply {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** `*-1` in RESP2, null in RESP3. Use `NULL_ARRAY`. */
export class NullArray {}

/** RESP3 map; RESP2 flattens it to an array of key, value, key, value. */
export class MapReply {
  readonly entries: readonly (readonly [Reply, Reply])[];
  constructor(entries: readonly (readonly [Reply, Reply])[]) {
    this.entries = entries;
  }
}

/** RESP3 set; RESP2 array. */
export class SetReply {
  readonly items: readonly Reply[];
  constructor(items: readonly Reply[]) {
    this.items = items;
  }
}

/** RESP3 double; RESP2 bulk string with the same digits. */
export class DoubleReply {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** RESP3 verbatim string; RESP2 bulk string of the text alone. */
export class VerbatimReply {
  readonly format: 'txt' | 'mkd';
  readonly text: string;
  constructor(format: 'txt' | 'mkd', text: string) {
    this.format = format;
    this.text = text;
  }
}

/** RESP3 big number; RESP2 bulk string. */
export class BigNumberReply {
  readonly digits: string;
  constructor(digits: string) {
    this.digits = digits;
  }
}

/** RESP3 push; RESP2 array. Out-of-band: never the answer to a command in RESP3. */
export class PushReply {
  readonly items: readonly Reply[];
  constructor(items: readonly Reply[]) {
    this.items = items;
  }
}

/** A whole reply (or several in a row) that is already in the wire form of the session's protocol. */
export class EncodedReply {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

export const OK = new Status('OK');
export const QUEUED = new Status('QUEUED');
export const PONG = new Status('PONG');
export const NULL_ARRAY = new NullArray();

/** Thrown by command code to answer with an error; the evaluation undoes what it had changed. Carries no stack. */
export class ReplyError {
  readonly reply: ErrorReply;
  constructor(reply: ErrorReply | string) {
    this.reply = typeof reply === 'string' ? new ErrorReply(reply) : reply;
  }
}
