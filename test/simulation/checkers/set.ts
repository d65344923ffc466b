/**
 * A set to which each element is added once and from which nothing is removed: what was acknowledged, or seen, is in every
 * later read; what was refused, or not yet asked for, is in none.
 */
import { type OutcomeKind, type Span, when } from './history.ts';

export interface SetAdd extends Span {
  readonly element: number;
  readonly outcome: OutcomeKind;
  /** Whether the answer said that it was there before. */
  readonly wasThere: boolean;
}

export interface SetRead extends Span {
  readonly elements: ReadonlySet<number>;
}

/** An answer that only says how many there are. */
export interface SetCount extends Span {
  readonly count: number;
}

export interface SetHistory {
  readonly adds: readonly SetAdd[];
  readonly reads: readonly SetRead[];
  readonly counts: readonly SetCount[];
}

const TOLD_MAX = 10;

export function checkSet(name: string, { adds, reads, counts }: SetHistory): readonly string[] {
  const broken: string[] = [];
  const tell = (text: string): void => {
    if (broken.length < TOLD_MAX) broken.push(`set ${name}: ${text}`);
  };
  const known = new Map<number, SetAdd>(adds.map((add) => [add.element, add]));
  /** By element: the end of the first operation that proves it is there. */
  const provenMs = new Map<number, number>();
  const prove = (element: number, endMs: number): void => {
    provenMs.set(element, Math.min(provenMs.get(element) ?? Number.POSITIVE_INFINITY, endMs));
  };
  for (const { element, outcome, endMs, wasThere } of adds) {
    if (outcome === 'ok') prove(element, endMs);
    if (wasThere) tell(`${element} was there before it was added`);
  }
  for (const read of reads) {
    for (const element of read.elements) {
      prove(element, read.endMs);
      const add = known.get(element);
      if (add === undefined) tell(`${element} was read (${when(read)}), which nobody added`);
      else if (add.outcome === 'failed')
        tell(`${element} was read (${when(read)}), whose adding (${when(add)}) was refused`);
      else if (add.startMs > read.endMs) tell(`${element} was read (${when(read)}) before it was added (${when(add)})`);
    }
  }
  for (const read of reads) {
    for (const [element, endMs] of provenMs) {
      if (endMs < read.startMs && !read.elements.has(element)) {
        tell(`${element} was there at ${endMs.toFixed(1)} ms, and is missing in the read of ${when(read)}`);
      }
    }
  }
  const proofs = [...provenMs.values()];
  for (const count of counts) {
    const least = proofs.filter((endMs) => endMs < count.startMs).length;
    const most = adds.filter(({ outcome, startMs }) => outcome !== 'failed' && startMs <= count.endMs).length;
    if (count.count < least || count.count > most) {
      tell(`${count.count} elements were counted (${when(count)}), there were ${least} to ${most}`);
    }
  }
  return broken;
}
