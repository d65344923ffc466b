/**
 * What clients did and saw: the form in which checkers get it, from the simulator as from real sockets.
 *
 * Times are milliseconds of one monotonic clock. A client does one thing at a time; after an unknown outcome it goes on under
 * a new name, because what it asked may still be under way.
 *
 * | outcome | meaning |
 * |---|---|
 * | ok | the answer is what the command answered; it took effect at one moment between start and end |
 * | failed | the server, or the lack of a connection, promises that nothing of it was applied or ever will be |
 * | unknown | it may have taken effect at any moment after its start, may do so later, or never |
 *
 * Checkers are pure functions of histories: broken rules in words, none if all is well.
 */

export interface Span {
  readonly client: string;
  readonly startMs: number;
  /** When the client heard of its end; for an unknown outcome when it gave up, which bounds nothing. */
  readonly endMs: number;
}

export type OutcomeKind = 'ok' | 'failed' | 'unknown';

/** The last moment at which the operation may have taken effect. */
export function latestMs({ outcome, endMs }: { readonly outcome: OutcomeKind; readonly endMs: number }): number {
  return outcome === 'ok' ? endMs : Number.POSITIVE_INFINITY;
}

/**
 * Goes through operations by their start and tells of each the best one, by `isBetter`, that had ended before: what it must
 * have seen. O(n log n).
 */
export function afterWhatEnded<T extends { readonly startMs: number; readonly endMs: number }>(
  operations: readonly T[],
  isBetter: (one: T, other: T) => boolean,
  visit: (later: T, best: T) => void,
): void {
  const byStart = [...operations].sort((a, b) => a.startMs - b.startMs);
  const byEnd = [...operations].sort((a, b) => a.endMs - b.endMs);
  let ended = 0;
  let best: T | undefined;
  for (const later of byStart) {
    for (let next = byEnd[ended]; next !== undefined && next.endMs < later.startMs; next = byEnd[++ended]) {
      if (best === undefined || isBetter(next, best)) best = next;
    }
    if (best !== undefined) visit(later, best);
  }
}

/** A span in words. */
export function when({ startMs, endMs }: { readonly startMs: number; readonly endMs: number }): string {
  return `${startMs.toFixed(1)}-${endMs.toFixed(1)} ms`;
}
