/**
 * The arithmetic of majorities; no state. Hot path: `majorityIndex` runs for every acknowledgement, so it sorts in the
 * caller's scratch array, by insertion, because configurations are small.
 *
 * A joint configuration (thesis §4.3) needs a majority of each half; an empty half agrees with everything.
 */
import type { NodeId } from '../base/ids.ts';

export type VoteOutcome = 'won' | 'lost' | 'pending';

/** Most votes that a majority needs, of `voterCount` voters. */
export function majorityOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/**
 * The greatest value that a majority of the first `count` values reaches. Sorts that part of `values`. Infinity if
 * `count` is 0: nobody objects.
 */
export function majorityIndex(values: number[], count: number): number {
  if (count === 0) return Infinity;
  for (let i = 1; i < count; i++) {
    const value = values[i] ?? 0;
    let j = i - 1;
    while (j >= 0 && (values[j] ?? 0) > value) {
      values[j + 1] = values[j] ?? 0;
      j--;
    }
    values[j + 1] = value;
  }
  return values[count - majorityOf(count)] ?? 0;
}

/** The outcome among one set of voters. `votes`: granted or refused; a voter without an answer is absent. */
export function majorityVote(voters: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteOutcome {
  if (voters.length === 0) return 'won';
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted++;
    else if (vote === false) refused++;
  }
  const needed = majorityOf(voters.length);
  if (granted >= needed) return 'won';
  return voters.length - refused < needed ? 'lost' : 'pending';
}

/** The outcome in a configuration that may be joint: both halves must be won, one lost half loses. */
export function jointVote(
  voters: readonly NodeId[],
  votersOutgoing: readonly NodeId[],
  votes: ReadonlyMap<NodeId, boolean>,
): VoteOutcome {
  const incoming = majorityVote(voters, votes);
  const outgoing = majorityVote(votersOutgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
}
