/**
 * WATCH: an EXEC that answered nil had a reason, and one that took effect had none. What the transaction wrote and what was
 * read before it are a compare-and-set, which register.ts judges; here is what a compare-and-set cannot see: a value that
 * changed and changed back.
 */
import { latestMs, type OutcomeKind, type Span, when } from './history.ts';

/** WATCH and EXEC of one key. */
export interface Watched {
  readonly watch: Span;
  readonly exec: Span;
  /** EXEC did not answer nil. */
  readonly hasTakenEffect: boolean;
  /** The key was not there. When it last was is forgotten in time, and then a watch on it may fail in vain. */
  readonly wasAbsent: boolean;
}

/** Something that touched the key, or may have: a write, an EXEC that took effect. */
export interface Touch extends Span {
  readonly outcome: OutcomeKind;
}

const TOLD_MAX = 5;

export function checkWatch(key: string, watched: readonly Watched[], touches: readonly Touch[]): readonly string[] {
  const broken: string[] = [];
  for (const { watch, exec, hasTakenEffect, wasAbsent } of watched) {
    const others = touches.filter(({ client, startMs }) => !(client === exec.client && startMs === exec.startMs));
    const between = others.find(
      ({ outcome, startMs, endMs }) => outcome === 'ok' && startMs > watch.endMs && endMs < exec.startMs,
    );
    if (hasTakenEffect && between !== undefined) {
      broken.push(
        `WATCH ${key}: EXEC (${when(exec)}) took effect, though ${between.client} had touched it (${when(between)}) since (${when(watch)})`,
      );
    }
    const reason = others.some(
      (touch) => touch.outcome !== 'failed' && touch.startMs < exec.endMs && latestMs(touch) > watch.startMs,
    );
    if (!hasTakenEffect && !reason && !wasAbsent) {
      broken.push(
        `WATCH ${key}: EXEC (${when(exec)}) was refused, though nobody had touched it since (${when(watch)})`,
      );
    }
  }
  return broken.slice(0, TOLD_MAX);
}
