/**
 * What a resident key is charged against `maxmemory`: an estimate from the shapes that V8 (64 bits, as Node is built)
 * gives the objects. It counts shared pages once for each key that holds them, so it errs upwards.
 */
import { unreachable } from '../base/assert.ts';
import { ANSWERS_PER_PAGE } from './idempotency.ts';
import { Lock } from './lock.ts';
import { Sequence } from './sequence.ts';
import { PagedString } from './string.ts';
import type { Value } from './value.ts';

/**
 * The entry in the map of keys (about 60), the resident object and its boxed numbers (about 150), and the share of the
 * heap that stands free for the collector. (Measured: a node with `maxmemory 256mb` and 1,000,000 keys of 100 bytes holds about
 * 580 MB in all.)
 */
const KEY_BYTES = 320;
/** Header of a string; its characters follow, rounded up to words. */
const STRING_BYTES = 16;
const WORD = 8;
/** A Buffer, its ArrayBuffer and the allocation behind it, besides the bytes. */
const PAGE_OVERHEAD_BYTES = 216;
const PAGED_STRING_BYTES = 64;
const LOCK_BYTES = 72;
const SEQUENCE_BYTES = 256;
/** An answer with its two bigints, besides its id. */
const ANSWER_BYTES = 136;
/** An entry in the maps from ids to pages. */
const ANSWER_INDEX_BYTES = 40;

/** Bytes charged for a resident key. `key` and short strings hold one character a byte. */
export function residentBytes(key: string, value: Value): number {
  return KEY_BYTES + stringBytes(key) + valueBytes(value);
}

/** Bytes charged for the value alone. */
export function valueBytes(value: Value): number {
  if (typeof value === 'string') return stringBytes(value);
  if (value instanceof PagedString) {
    return PAGED_STRING_BYTES + value.byteLength + value.pages.length * (PAGE_OVERHEAD_BYTES + WORD);
  }
  if (value instanceof Lock) return LOCK_BYTES + (value.owner === null ? 0 : stringBytes(value.owner));
  if (value instanceof Sequence) return SEQUENCE_BYTES + windowBytes(value);
  return unreachable(value);
}

function windowBytes(sequence: Sequence): number {
  let bytes = 0;
  for (const answer of sequence.window.open) bytes += ANSWER_BYTES + stringBytes(answer.id);
  const first = sequence.window.closed[0]?.answers[0];
  if (first !== undefined) {
    // Ids of one client have about one length: the first stands for all.
    const each = ANSWER_BYTES + ANSWER_INDEX_BYTES + stringBytes(first.id);
    bytes += sequence.window.closed.length * ANSWERS_PER_PAGE * each;
  }
  return bytes;
}

function stringBytes(text: string): number {
  return STRING_BYTES + Math.ceil(text.length / WORD) * WORD;
}
