/** Amounts that are moved between accounts: their sum is the same in every read, and each acknowledged move was made once. */
import { type OutcomeKind, type Span, when } from './history.ts';

export interface BankRead extends Span {
  /** All accounts, read at once. */
  readonly balances: readonly number[];
  /** How many moves had been made, if that was read with them. */
  readonly moves: number | null;
}

export interface BankMove extends Span {
  readonly outcome: OutcomeKind;
}

export interface BankHistory {
  readonly total: number;
  readonly reads: readonly BankRead[];
  readonly moves: readonly BankMove[];
}

const TOLD_MAX = 5;

export function checkBank({ total, reads, moves }: BankHistory): readonly string[] {
  const broken: string[] = [];
  const ends = moves.filter(({ outcome }) => outcome === 'ok').map(({ endMs }) => endMs);
  const starts = moves.filter(({ outcome }) => outcome !== 'failed').map(({ startMs }) => startMs);
  for (const read of reads) {
    const sum = read.balances.reduce((so, balance) => so + balance, 0);
    if (sum !== total) broken.push(`the accounts add up to ${sum} (${read.balances.join(', ')}; ${when(read)})`);
    if (read.moves === null) continue;
    const least = ends.filter((endMs) => endMs < read.startMs).length;
    const most = starts.filter((startMs) => startMs <= read.endMs).length;
    if (read.moves < least || read.moves > most) {
      broken.push(`${read.moves} moves had been made (${when(read)}), there were ${least} to ${most}`);
    }
  }
  return broken.slice(0, TOLD_MAX);
}
