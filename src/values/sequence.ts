/**
 * A durable sequence (KAHUNA.SEQ): 64-bit values, each given out at most once, with a window of idempotency ids (see
 * idempotency.ts). Calls without an id are never refused because the window is full.
 *
 * Invariants: `current` only moves in the direction of `increment`, never past `max` or out of 64 bits.
 */
import { assert } from '../base/assert.ts';
import { type Answer, EMPTY_WINDOW, type IdempotencyWindow } from './idempotency.ts';
import { INT64_MAX, INT64_MIN } from './integer.ts';

export interface SequenceParameters {
  readonly start: bigint;
  /** Not 0; a negative one counts down. */
  readonly increment: bigint;
  /** No value above it is given out; null = only the 64 bits bound it. Only with a positive increment. */
  readonly max: bigint | null;
}

export interface SequenceFields extends SequenceParameters {
  /** The value given out last; `start` before the first. */
  readonly current: bigint;
  /** 1 at creation, one more with each allocation. */
  readonly revision: number;
  /** Partition times. */
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly window: IdempotencyWindow;
}

/** Immutable. */
export class Sequence implements SequenceFields {
  readonly start: bigint;
  readonly increment: bigint;
  readonly max: bigint | null;
  readonly current: bigint;
  readonly revision: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly window: IdempotencyWindow;

  constructor(fields: SequenceFields) {
    this.start = fields.start;
    this.increment = fields.increment;
    this.max = fields.max;
    this.current = fields.current;
    this.revision = fields.revision;
    this.createdAtMs = fields.createdAtMs;
    this.updatedAtMs = fields.updatedAtMs;
    this.window = fields.window;
  }
}

export function createSequence(parameters: SequenceParameters, nowMs: number): Sequence {
  assert(parameters.increment !== 0n, 'the increment is 0');
  return new Sequence({
    ...parameters,
    current: parameters.start,
    revision: 1,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    window: EMPTY_WINDOW,
  });
}

export function hasParameters(sequence: Sequence, wanted: SequenceParameters): boolean {
  return sequence.start === wanted.start && sequence.increment === wanted.increment && sequence.max === wanted.max;
}

export interface AllocationRequest {
  /** At least 1; null = NEXT, one value. */
  readonly count: bigint | null;
  /** Null = no idempotency. */
  readonly id: string | null;
  readonly nowMs: number;
}

/**
 * The values given out and the sequence after it (the same reference if an earlier answer was repeated), or why there
 * are none: 'exhausted' past the maximum, 'mismatch' if the id was used for something else, 'windowFull' if no id can be
 * kept at present.
 */
export type Allocation =
  | { readonly first: bigint; readonly last: bigint; readonly sequence: Sequence }
  | 'exhausted'
  | 'mismatch'
  | 'windowFull';

export function allocate(sequence: Sequence, request: AllocationRequest): Allocation {
  const { count, id, nowMs } = request;
  const { increment, max } = sequence;
  const window = sequence.window.dropOld(nowMs);
  const answer = id === null ? undefined : window.find(id);
  if (answer !== undefined) return answer.count === count ? repeated(sequence, answer) : 'mismatch';

  const last = sequence.current + increment * (count ?? 1n);
  if (last > (max ?? INT64_MAX) || last < INT64_MIN) return 'exhausted';
  if (id !== null && window.isFull) return 'windowFull';
  const next = new Sequence({
    start: sequence.start,
    increment,
    max,
    current: last,
    revision: sequence.revision + 1,
    createdAtMs: sequence.createdAtMs,
    updatedAtMs: nowMs,
    window: id === null ? window : window.add({ id, count, last, atMs: nowMs }),
  });
  return { first: sequence.current + increment, last, sequence: next };
}

function repeated(sequence: Sequence, answer: Answer): Allocation {
  return { first: answer.last - sequence.increment * ((answer.count ?? 1n) - 1n), last: answer.last, sequence };
}
