/**
 * What a key holds in memory. Values are immutable: a command builds a new one that shares what did not change, so
 * that an evaluation can be undone by putting the old reference back, and what must be written is found by comparing
 * references.
 */
import type { Lock } from './lock.ts';
import type { PagedString } from './string.ts';
import type { Sequence } from './sequence.ts';

/** A string of at most STRING_INLINE_BYTES_MAX bytes is a JavaScript string of one character a byte (latin1). */
export type StringValue = string | PagedString;

export type Value = StringValue | Lock | Sequence;

/** Type numbers as stored on disk: append-only. */
export const VALUE_TYPES = {
  string: 1,
  list: 2,
  set: 3,
  zset: 4,
  hash: 5,
  stream: 6,
  lock: 16,
  sequence: 17,
} as const;
export type ValueType = keyof typeof VALUE_TYPES;

/**
 * Keys live in spaces: the sixteen databases of SELECT, and one space each for the names of locks and sequences, and
 * for the records of transactions under way, so that they never collide. The number is part of each stored key: append-only.
 */
export const DATABASE_COUNT = 16;
export const LOCK_SPACE = 16;
export const SEQUENCE_SPACE = 17;
/** Prepared parts and decisions of transactions that span partitions (partition/txn-codec.ts); no command reaches it. */
export const TRANSACTION_SPACE = 18;
export const SPACE_COUNT = 19;
export type Space = number;
