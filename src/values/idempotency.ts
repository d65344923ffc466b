/**
 * The answers that a sequence keeps for idempotency ids.
 *
 * The problem: a client that lost the answer asks again with the same id and must get the same values. So answers are
 * kept, at least for IDEMPOTENCY_RETENTION_MS, and what is kept must be bounded. Forgetting an id early would give two
 * answers to one id, so a window that is full of ids younger than that takes no further ones (IDEMPOTENCY_IDS_MAX in an
 * hour is about 18 a second and sequence).
 *
 * The idea: answers are appended in order of time. The newest lie in the open page, which is written with the sequence's
 * own record; a page of ANSWERS_PER_PAGE is closed, written once, and dropped as a whole when its newest answer is old
 * enough. So a call writes a few kilobytes at most, however long the window is. Ids of closed pages are found through
 * maps from id to page number: one for each of the newest pages, and one for every PAGES_PER_GROUP before them, so that a
 * full window takes some eighty look-ups and no call builds a large map.
 *
 * Invariants: answers are in the order of their times; an id occurs once among the answers that are kept; all closed
 * pages are full and their numbers consecutive. Rejected: forgetting the oldest when full (breaks the promise), and one
 * record with everything (each call would rewrite it).
 */
import { assert } from '../base/assert.ts';

export const IDEMPOTENCY_RETENTION_MS = 3_600_000;
export const IDEMPOTENCY_IDS_MAX = 65_536;
export const IDEMPOTENCY_ID_BYTES_MAX = 256;
/** Part of the stored format: closed pages hold exactly this many answers. */
export const ANSWERS_PER_PAGE = 64;

const PAGES_PER_GROUP = 16;

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

/** A closed page. Immutable; known by its reference. */
export class AnswerPage {
  readonly answers: readonly Answer[];

  constructor(answers: readonly Answer[]) {
    assert(answers.length === ANSWERS_PER_PAGE, `a closed page holds ${answers.length} answers`);
    this.answers = answers;
  }

  get newestAtMs(): number {
    return this.answers[ANSWERS_PER_PAGE - 1]?.atMs ?? 0;
  }
}

/** Page numbers by id, for consecutive pages. May still know ids of pages that were dropped. */
interface PageIndex {
  readonly endPage: number;
  readonly pageCount: number;
  readonly pageOf: ReadonlyMap<string, number>;
}

/** Immutable. */
export class IdempotencyWindow {
  /** Number of the first closed page: counts up from 0 as pages are dropped. */
  readonly firstPage: number;
  readonly closed: readonly AnswerPage[];
  /** Fewer than ANSWERS_PER_PAGE, the newest last. */
  readonly open: readonly Answer[];
  readonly #indices: readonly PageIndex[];

  /** `indices` only from within: they must cover the closed pages. */
  constructor(
    content: Pick<IdempotencyWindow, 'firstPage' | 'closed' | 'open'>,
    indices: readonly PageIndex[] = indexAll(content.firstPage, content.closed),
  ) {
    assert(content.open.length < ANSWERS_PER_PAGE, `${content.open.length} answers are too many for the open page`);
    this.firstPage = content.firstPage;
    this.closed = content.closed;
    this.open = content.open;
    this.#indices = indices;
  }

  get answerCount(): number {
    return this.closed.length * ANSWERS_PER_PAGE + this.open.length;
  }

  get isFull(): boolean {
    return this.answerCount >= IDEMPOTENCY_IDS_MAX;
  }

  find(id: string): Answer | undefined {
    const open = this.open.find((answer) => answer.id === id);
    if (open !== undefined) return open;
    for (const index of this.#indices) {
      const number = index.pageOf.get(id);
      if (number === undefined || number < this.firstPage) continue;
      return this.closed[number - this.firstPage]?.answers.find((answer) => answer.id === id);
    }
    return undefined;
  }

  /** With one more answer, whose id must not be kept yet. */
  add(answer: Answer): IdempotencyWindow {
    const { firstPage, closed } = this;
    const open = [...this.open, answer];
    if (open.length < ANSWERS_PER_PAGE) return new IdempotencyWindow({ firstPage, closed, open }, this.#indices);
    const page = new AnswerPage(open);
    const indices = grouped([...this.#indices, indexPage(page, firstPage + closed.length)]);
    return new IdempotencyWindow({ firstPage, closed: [...closed, page], open: [] }, indices);
  }

  /** Without the pages, or the first answers of the open page, that nobody may ask for any more. */
  dropOld(nowMs: number): IdempotencyWindow {
    const limitMs = nowMs - IDEMPOTENCY_RETENTION_MS;
    const droppedPages = countOld(this.closed, (page) => page.newestAtMs <= limitMs);
    const droppedOpen = droppedPages < this.closed.length ? 0 : countOld(this.open, (answer) => answer.atMs <= limitMs);
    if (droppedPages === 0 && droppedOpen === 0) return this;
    const firstPage = this.firstPage + droppedPages;
    return new IdempotencyWindow(
      { firstPage, closed: this.closed.slice(droppedPages), open: this.open.slice(droppedOpen) },
      this.#indices.filter((index) => index.endPage > firstPage),
    );
  }
}

export const EMPTY_WINDOW = new IdempotencyWindow({ firstPage: 0, closed: [], open: [] });

function countOld<T>(items: readonly T[], isOld: (item: T) => boolean): number {
  const young = items.findIndex((item) => !isOld(item));
  return young === -1 ? items.length : young;
}

function indexAll(firstPage: number, pages: readonly AnswerPage[]): readonly PageIndex[] {
  let indices: readonly PageIndex[] = [];
  for (const [offset, page] of pages.entries()) indices = grouped([...indices, indexPage(page, firstPage + offset)]);
  return indices;
}

function indexPage(page: AnswerPage, number: number): PageIndex {
  return { endPage: number + 1, pageCount: 1, pageOf: new Map(page.answers.map((answer) => [answer.id, number])) };
}

/** Joins the last single pages into one group once there are enough of them. */
function grouped(indices: readonly PageIndex[]): readonly PageIndex[] {
  const singles = indices.slice(-PAGES_PER_GROUP);
  const last = singles[PAGES_PER_GROUP - 1];
  if (last === undefined || singles.some((index) => index.pageCount !== 1)) return indices;
  // An id can come twice if its first page was dropped since: then the later page counts.
  const pageOf = new Map(singles.flatMap((index) => [...index.pageOf]));
  return [...indices.slice(0, -PAGES_PER_GROUP), { endPage: last.endPage, pageCount: PAGES_PER_GROUP, pageOf }];
}
