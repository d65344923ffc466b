/** Mistakes that somebody has made in some Raft, in the core that the whole node runs on. */
import { RaftCore } from '../../../src/raft/core.ts';
import { RaftLog } from '../../../src/raft/log.ts';
import type { Progress } from '../../../src/raft/progress.ts';
import { RaftState } from '../../../src/raft/state.ts';
import { Tracker } from '../../../src/raft/tracker.ts';
import { MESSAGE_TYPES } from '../../../src/raft/types.ts';
import { aimed, counting, type PlantedBug } from './bug.ts';
import { getter, method } from './patch.ts';

function stateOf(core: RaftCore): RaftState {
  return (core as unknown as { readonly state: RaftState }).state;
}

function votersOf(tracker: Tracker): readonly Progress[] {
  return (tracker as unknown as { readonly voters: readonly Progress[] }).voters;
}

/** Leaders come and go, and few of a term know of each other. */
const elections = {
  ...counting,
  faults: ['killLeader', 'isolateLeader', 'halves', 'oneWay', 'pauseLeader'] as const,
  faultGapMs: 500,
  electionTimeoutMs: 200,
  heartbeatMs: 20,
  commandTimeoutMs: 500,
};

export const RAFT_BUGS: readonly PlantedBug[] = [
  {
    name: 'what one voter holds counts as committed',
    plant: () =>
      method(Tracker.prototype, 'committedIndex', () => {
        return function (this: Tracker) {
          return Math.max(...votersOf(this).map(({ match }) => match));
        };
      }),
    options: aimed({ ...elections, faults: ['isolateLeader', 'killLeader'] }),
    firstSeed: 1,
  },
  {
    name: 'a node that lost its disks votes at once',
    plant: () => getter(RaftState.prototype, 'isAmnesiac', () => () => false),
    options: aimed({ ...elections, faults: ['wipe', 'killLeader', 'isolateLeader', 'halves'] }),
    firstSeed: 1,
  },
  {
    name: 'a voter votes twice in a term',
    plant: () =>
      method(RaftCore.prototype, 'step', (step) => {
        return function (this: RaftCore, m) {
          const s = stateOf(this);
          if (m.type === MESSAGE_TYPES.vote && m.term === s.term && this.role === 'follower') {
            s.vote = 0;
            s.leader = 0;
          }
          step.call(this, m);
        };
      }),
    options: aimed({ ...elections, nodeCount: 5, replicationFactor: 5, lateChance: 0.02 }),
    firstSeed: 1,
  },
  {
    name: "a voter does not ask how far the candidate's log reaches",
    plant: () => method(RaftLog.prototype, 'isUpToDate', () => () => true),
    options: aimed(elections),
    firstSeed: 1,
  },
  {
    name: 'a follower does not check what comes before the entries that it takes',
    plant: () =>
      method(RaftLog.prototype, 'matches', () => {
        return function (this: RaftLog, index) {
          return this.hasTerm(index);
        };
      }),
    options: aimed(elections),
    firstSeed: 1,
  },
];
