/** The arithmetic of majorities against a twin that is slow and obvious. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ConfState } from '../../src/raft/types.ts';
import { jointVote, majorityIndex, majorityOf, majorityVote } from '../../src/raft/quorum.ts';
import { Tracker } from '../../src/raft/tracker.ts';

const RUNS = { numRuns: 1500 };

/** The greatest value that more than half of `values` reach, found by trying all. */
function naiveMajorityIndex(values: readonly number[]): number {
  if (values.length === 0) return Infinity;
  const reached = values.filter((value) => values.filter((other) => other >= value).length * 2 > values.length);
  return Math.max(0, ...reached);
}

/** The outcome by looking at every way in which those who have not answered might vote. */
function naiveOutcome(halves: readonly (readonly number[])[], votes: ReadonlyMap<number, boolean>): string {
  const open = [...new Set(halves.flat())].filter((voter) => !votes.has(voter));
  const outcomes = new Set<boolean>();
  for (let choice = 0; choice < 2 ** open.length; choice++) {
    const full = new Map(votes);
    for (const [i, voter] of open.entries()) full.set(voter, (choice & (1 << i)) !== 0);
    const isWon = halves.every(
      (half) => half.length === 0 || half.filter((voter) => full.get(voter) === true).length * 2 > half.length,
    );
    outcomes.add(isWon);
  }
  if (outcomes.size === 2) return 'pending';
  return outcomes.has(true) ? 'won' : 'lost';
}

const voters = fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { maxLength: 5 });
const votes = fc.array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.boolean())).map((pairs) => new Map(pairs));

describe('raft quorum', () => {
  it('a majority is more than half', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(majorityOf), [1, 2, 2, 3, 3, 4, 4]);
  });

  it('majorityIndex is the greatest value that more than half reach', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 9 }), fc.array(fc.nat(20), { maxLength: 3 }), (values, rest) => {
        // What lies behind `count` in the scratch array is somebody else's.
        assert.equal(majorityIndex([...values, ...rest], values.length), naiveMajorityIndex(values));
      }),
      RUNS,
    );
  });

  it('a vote is won, lost or pending exactly if the open answers cannot change that', () => {
    fc.assert(
      fc.property(voters, voters, votes, (incoming, outgoing, answers) => {
        assert.equal(jointVote(incoming, outgoing, answers), naiveOutcome([incoming, outgoing], answers));
        assert.equal(majorityVote(incoming, answers), naiveOutcome([incoming], answers));
      }),
      RUNS,
    );
  });

  it('what is committed is held by a majority of each half, whoever else holds it', () => {
    const matches = fc.array(fc.nat(30), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(voters, voters, matches, matches, (incoming, outgoing, match, rounds) => {
        fc.pre(incoming.length > 0);
        const conf: ConfState = { voters: incoming, votersOutgoing: outgoing, learners: [], learnersNext: [] };
        const tracker = new Tracker(1, { inflightMessagesMax: 1, inflightBytesMax: 1 });
        tracker.reset({ ...conf, learners: [8] }, 31);
        for (let id = 1; id <= 8; id++) {
          const progress = tracker.get(id);
          if (progress === undefined) continue;
          progress.acknowledged(match[id - 1] ?? 0);
          progress.ackedRound = rounds[id - 1] ?? 0;
        }
        const least = (values: readonly number[]): number =>
          Math.min(...[incoming, outgoing].map((half) => naiveMajorityIndex(half.map((id) => values[id - 1] ?? 0))));
        assert.equal(tracker.committedIndex(), least(match));
        assert.equal(tracker.confirmedRound(), least(rounds));
      }),
      RUNS,
    );
  });
});
