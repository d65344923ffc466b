/**
 * What reads of the past must have shown: amounts that are moved between accounts, each in another partition, seen at moments.
 * Whoever reads the same moment sees the same, whenever and however; the sum never differs; what a transaction left behind
 * is there at the moment of its commit, and what it found at the one before.
 */
import type { BankRead } from '../../../test/simulation/checkers/bank.ts';
import { type Span, when } from '../../../test/simulation/checkers/history.ts';

/** A moment of the past that is worth a look. */
export interface Moment {
  readonly at: number;
  /** When it was the present: what had been acknowledged before is in it, what was asked for later is not. Null: unknown. */
  readonly present: Span | null;
  /** By key: what it must hold at the moment. */
  readonly known: ReadonlyMap<string, number>;
}

/** What all keys were at a moment, as somebody read them later. */
export interface PastRead extends Span {
  readonly moment: Moment;
  /** How it was read. */
  readonly by: string;
  readonly values: ReadonlyMap<string, number>;
}

const TOLD_MAX = 5;

/** Broken rules, in words. */
export function checkPast(reads: readonly PastRead[]): readonly string[] {
  const broken: string[] = [];
  const firsts = new Map<number, PastRead>();
  for (const read of reads) {
    const first = firsts.get(read.moment.at);
    if (first === undefined) firsts.set(read.moment.at, read);
    else if (told(first.values) !== told(read.values)) {
      broken.push(
        `moment ${read.moment.at} was ${told(first.values)} (${first.by}, ${when(first)}), and then ${told(read.values)} (${read.by}, ${when(read)})`,
      );
    }
    for (const [key, value] of read.moment.known) {
      if (read.values.get(key) === value) continue;
      broken.push(
        `${key} was ${read.values.get(key) ?? 'not read'} at moment ${read.moment.at} (${read.by}, ${when(read)}); who committed then knows of ${value}`,
      );
    }
  }
  return broken.slice(0, TOLD_MAX);
}

/** The reads in the terms of the checker of sums, each at the time when its moment was the present. */
export function bankReads(
  reads: readonly PastRead[],
  keys: { readonly accounts: readonly string[]; readonly counters: readonly string[] },
): readonly BankRead[] {
  return reads.map(({ client, startMs, endMs, moment, values }) => {
    const balances = keys.accounts.map((key) => values.get(key) ?? 0);
    const moves = keys.counters.reduce((sum, key) => sum + (values.get(key) ?? 0), 0);
    if (moment.present === null) return { client, startMs, endMs, balances, moves: null };
    return { ...moment.present, balances, moves };
  });
}

function told(values: ReadonlyMap<string, number>): string {
  return [...values].map(([key, value]) => `${key}=${value}`).join(' ');
}
