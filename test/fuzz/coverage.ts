/**
 * What code has ever run: V8's own block coverage, read between inputs. An input that reaches a block for the first time is
 * worth keeping.
 *
 * A reading gives, for each function that ran since the last one, its blocks with counts. Blocks with count 0 are listed only
 * inside functions that ran; so per function what was never reached is kept as a list of intervals, and shrinks.
 */
import { Session } from 'node:inspector';

interface Interval {
  readonly start: number;
  readonly end: number;
}

interface FunctionCoverage {
  readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
}

export interface Reading {
  /** Something ran that had never run before. */
  readonly isNew: boolean;
  note(): void;
}

export class Coverage {
  readonly #session = new Session();
  readonly #covers: (url: string) => boolean;
  /** By function: what of it has never run. */
  readonly #missing = new Map<string, readonly Interval[]>();

  constructor(covers: (url: string) => boolean) {
    this.#covers = covers;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Functions that have run at least once. */
  get functionCount(): number {
    return this.#missing.size;
  }

  /** What ran since the last reading; what of it had never run before counts as known only once it is noted. */
  read(): Reading {
    const changes = new Map<string, readonly Interval[]>();
    this.#session.post('Profiler.takePreciseCoverage', (error, coverage) => {
      if (error !== null) throw new Error(`no coverage: ${error.message}`);
      for (const { url, functions } of coverage.result) {
        if (!this.#covers(url)) continue;
        for (const one of functions) this.#compare(url, one, changes);
      }
    });
    return {
      isNew: changes.size > 0,
      note: () => {
        for (const [name, missing] of changes) this.#missing.set(name, missing);
      },
    };
  }

  #compare(url: string, { ranges }: FunctionCoverage, changes: Map<string, readonly Interval[]>): void {
    const [whole] = ranges;
    if (whole === undefined || whole.count === 0) return;
    const name = `${url}:${whole.startOffset}:${whole.endOffset}`;
    const now = unreached(ranges);
    const before = this.#missing.get(name);
    const both = before === undefined ? now : intersection(before, now);
    if (before === undefined || sizeOf(both) !== sizeOf(before)) changes.set(name, both);
  }

  close(): void {
    this.#session.disconnect();
  }
}

/** Ranges are nested, outer ones first: an inner one overrides what is said of its part. */
function unreached(ranges: FunctionCoverage['ranges']): Interval[] {
  const missing: Interval[] = [];
  for (const { startOffset, endOffset, count } of ranges) {
    if (count === 0) missing.push({ start: startOffset, end: endOffset });
  }
  return missing.sort((a, b) => a.start - b.start);
}

function intersection(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  const both: Interval[] = [];
  for (const one of a) {
    for (const other of b) {
      const start = Math.max(one.start, other.start);
      const end = Math.min(one.end, other.end);
      if (start < end) both.push({ start, end });
    }
  }
  return both;
}

function sizeOf(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, { start, end }) => sum + end - start, 0);
}
