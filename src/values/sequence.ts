/**
 * A durable sequence (KAHUNA.SEQ): 64-bit values, each given out at most once, and a window of idempotency ids.
 *
 * The problem: a client that lost the answer asks again with the same id and must get the same values. So the answers
 * are kept, at least for IDEMPOTENCY_RETENTION_MS, and what is kept must be bounded. Forgetting an id early would give
 * two answers to one id, so a window that is full of ids younger than that refuses further ids instead
 * (IDEMPOTENCY_IDS_MAX in an hour is about 18 a second and sequence); calls without an id are never refused for it.
 *
 * The idea: answers are appended in order of time. The newest lie in the open page, which is written with the sequence's
 * own record; a page of ANSWERS_PER_PAGE is closed, written once, and dropped as a whole when its newest answer is old
 * enough. So a call writes a few kilobytes at most, however long the window is.
 *
 * Invariants: `current` only moves in the direction of `increment`, never past `max` or out of 64 bits; answers are in
 * the order of their times; an id occurs once; all closed pages are full and their numbers consecutive.
 */
import { assert } from '../base/assert.ts';
import { INT64_MAX, INT64_MIN } from './integer.ts';

export const IDEMPOTENCY_RETENTION_MS = 3_600_000;
export const IDEMPOTENCY_IDS_MAX = 65_536;
export const IDEMPOTENCY_ID_BYTES_MAX = 256;
/** Part of the stored format: closed pages hold exactly this many answers. */
export const ANSWERS_PER_PAGE = 64;

export interface SequenceParameters {
  readonly start: bigint;
  /** Not 0; a negative one counts down. */
  readonly increment: bigint;
  /** No value above it is given out; null = only the 64 bits bound it. Only with a positive increment. */
  readonly max: bigint | null;
}

/** What an id was used for, and the last value that it was given; the first follows from count and increment. */
export interface Answer {
  /** One character a byte. */
  readonly id: string;
  /** Values reserved, at least 1; null = NEXT. */
  readonly count: bigint | null;
  readonly last: bigint;
  /** Partition time of the call. */
  readonly atMs: number;
}

/** A closed page of the window. Immutable. */
export class AnswerPage {
  readonly answers: readonly Answer[];
  readonly #byId = new Map<string, Answer>();

  constructor(answers: readonly Answer[]) {
    assert(answers.length === ANSWERS_PER_PAGE, `a closed page holds ${answers.length} answers`);
    this.answers = answers;
    for (const answer of answers) this.#byId.set(answer.id, answer);
  }

  find(id: string): Answer | undefined {
    return this.#byId.get(id);
  }

  get newestAtMs(): number {
    return this.answers[ANSWERS_PER_PAGE - 1]?.atMs ?? 0;
  }
}

export interface IdempotencyWindow {
  /** Number of the first closed page: counts up from 0 as pages are dropped. */
  readonly firstPage: number;
  readonly closed: readonly AnswerPage[];
  /** Fewer than ANSWERS_PER_PAGE, the newest last. */
  readonly open: readonly Answer[];
}

const EMPTY_WINDOW: IdempotencyWindow = { firstPage: 0, closed: [], open: [] };

export class Sequence implements SequenceParameters {
  readonly start: bigint;
  readonly increment: bigint;
  readonly max: bigint | null;
  /** The value given out last; `start` before the first. */
  readonly current: bigint;
  /** 1 at creation, one more with each allocation. */
  readonly revision: number;
  /** Partition times. */
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

export interface SequenceFields extends SequenceParameters {
  readonly current: bigint;
  readonly revision: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly window: IdempotencyWindow;
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
 * are none: 'exhausted' past the maximum, 'mismatch' if the id was used for something else, 'windowFull' as said above.
 */
export type Allocation =
  | { readonly first: bigint; readonly last: bigint; readonly sequence: Sequence }
  | 'exhausted'
  | 'mismatch'
  | 'windowFull';

export function allocate(sequence: Sequence, request: AllocationRequest): Allocation {
  const { count, id, nowMs } = request;
  const window = dropOld(sequence.window, nowMs);
  if (id !== null) {
    const answer = findAnswer(window, id);
    if (answer !== undefined) return answer.count === count ? repeated(sequence, answer) : 'mismatch';
  }
  const last = sequence.current + sequence.increment * (count ?? 1n);
  if (last > (sequence.max ?? INT64_MAX) || last < INT64_MIN) return 'exhausted';
  if (id !== null && answerCount(window) >= IDEMPOTENCY_IDS_MAX) return 'windowFull';
  const next = new Sequence({
    start: sequence.start,
    increment: sequence.increment,
    max: sequence.max,
    current: last,
    revision: sequence.revision + 1,
    createdAtMs: sequence.createdAtMs,
    updatedAtMs: nowMs,
    window: id === null ? window : addAnswer(window, { id, count, last, atMs: nowMs }),
  });
  return { first: sequence.current + sequence.increment, last, sequence: next };
}

export function answerCount(window: IdempotencyWindow): number {
  return window.closed.length * ANSWERS_PER_PAGE + window.open.length;
}

function repeated(sequence: Sequence, answer: Answer): Allocation {
  return { first: answer.last - sequence.increment * ((answer.count ?? 1n) - 1n), last: answer.last, sequence };
}

function findAnswer(window: IdempotencyWindow, id: string): Answer | undefined {
  const open = window.open.find((answer) => answer.id === id);
  if (open !== undefined) return open;
  for (const page of window.closed) {
    const answer = page.find(id);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function addAnswer(window: IdempotencyWindow, answer: Answer): IdempotencyWindow {
  const open = [...window.open, answer];
  if (open.length < ANSWERS_PER_PAGE) return { firstPage: window.firstPage, closed: window.closed, open };
  return { firstPage: window.firstPage, closed: [...window.closed, new AnswerPage(open)], open: [] };
}

/** The window without closed pages, or the open page's first answers, that nobody may ask for any more. */
function dropOld(window: IdempotencyWindow, nowMs: number): IdempotencyWindow {
  const limitMs = nowMs - IDEMPOTENCY_RETENTION_MS;
  const pages = window.closed.findIndex((page) => page.newestAtMs > limitMs);
  const droppedPages = pages === -1 ? window.closed.length : pages;
  const droppedOpen = droppedPages < window.closed.length ? 0 : oldAnswers(window.open, limitMs);
  if (droppedPages === 0 && droppedOpen === 0) return window;
  return {
    firstPage: window.firstPage + droppedPages,
    closed: window.closed.slice(droppedPages),
    open: window.open.slice(droppedOpen),
  };
}

function oldAnswers(open: readonly Answer[], limitMs: number): number {
  const young = open.findIndex((answer) => answer.atMs > limitMs);
  return young === -1 ? open.length : young;
}
