/**
 * Broken on purpose: each of these is a mistake that somebody has made in some Raft. A run with one of them must end in
 * a violation within a number of seeds; if it does not, the simulation has gone blind.
 */
import { FORGOTTEN, type LogIndex } from '../../../src/base/ids.ts';
import { RaftCore } from '../../../src/raft/core.ts';
import type { PendingRead } from '../../../src/raft/read-index.ts';
import type { RaftState } from '../../../src/raft/state.ts';
import { MESSAGE_TYPES } from '../../../src/raft/types.ts';
import type { ConfChange, Message, RaftConfig, RaftInitialState, Ready } from '../../../src/raft/types.ts';
import { type Profile, wiping } from './profile.ts';
import type { WorldOptions } from './world.ts';

/** A core whose inside can be reached. */
export class OpenCore extends RaftCore {
  get internals(): RaftState {
    return this.state;
  }
}

export interface PlantedBug {
  readonly name: string;
  readonly options: WorldOptions;
  /** Seeds within which it must be found. */
  readonly seedsMax: number;
  /** Where to start looking: rare ones cost too much time from 1 on. */
  readonly firstSeed?: number;
}

/** A bug that is made by changing objects of the core right after its construction. */
function patched(patch: (s: RaftState) => void, adjust?: (profile: Profile) => Profile): WorldOptions {
  return {
    createCore: (config, initial) => {
      const core = new OpenCore(config, initial);
      patch(core.internals);
      return core;
    },
    ...(adjust === undefined ? {} : { adjust }),
  };
}

/** A bug that lives in a subclass. */
function built(create: new (config: RaftConfig, initial: RaftInitialState) => RaftCore): WorldOptions {
  return { createCore: (config, initial) => new create(config, initial) };
}

/** A candidate's vote for another is forgotten before the next request. */
class VotesTwice extends OpenCore {
  override step(m: Message): void {
    if (m.type === MESSAGE_TYPES.vote && m.term === this.internals.term && this.role === 'follower') {
      this.internals.vote = 0;
      this.internals.leader = 0;
    }
    super.step(m);
  }
}

/** The leader counts what it has only staged. */
class CountsUnflushed extends OpenCore {
  override ready(): Ready {
    const s = this.internals;
    const self = s.tracker.get(s.id);
    if (s.role === 'leader' && self !== undefined) self.acknowledged(s.log.lastIndex);
    return super.ready();
  }
}

/** Any entry will do, not only one that was proposed after the loss. */
class ReinstatesEarly extends OpenCore {
  override step(m: Message): void {
    super.step(m);
    for (const peer of this.internals.tracker.peers) if (peer.amnesia !== 0) peer.reinstateAt = 1;
  }
}

/** The new term of a vote request is answered, but the old one is kept in memory. */
class KeepsOldTerm extends OpenCore {
  override step(m: Message): void {
    const { term, leader, vote } = this.internals;
    const wasFollower = this.role === 'follower';
    super.step(m);
    const s = this.internals;
    if (m.type !== MESSAGE_TYPES.vote || !wasFollower || s.term === term || s.vote !== m.from) return;
    s.term = term;
    s.vote = vote;
    s.leader = leader;
  }
}

/** A change is taken while the one before is neither committed nor applied. */
class ChangesAtOnce extends OpenCore {
  override proposeConfChange(change: ConfChange): LogIndex {
    const { log } = this.internals;
    const { applied } = log;
    log.applied = log.lastIndex;
    const index = super.proposeConfChange(change);
    log.applied = applied;
    return index;
  }
}

/** Hard state reaches the disk without the vote. */
class ForgetsVote extends OpenCore {
  override ready(): Ready {
    const ready = super.ready();
    if (ready.hardState === null) return ready;
    return { ...ready, hardState: { ...ready.hardState, vote: 0 } };
  }
}

/** Leaders that die after half a sentence: what it takes to get into figure 8 of the Raft paper. */
const figureEight = (profile: Profile): Profile => ({
  ...profile,
  initialVoters: 3,
  initialLearners: 0,
  nodeCount: 3,
  raft: {
    ...profile.raft,
    electionTicks: 3,
    heartbeatTicks: 1,
    appendBytesMax: 1,
    inflightMessagesMax: 1,
    uncommittedBytesMax: 1e9,
  },
  lossChance: 0.1,
  delayMax: 8,
  flushDelayMax: 2,
  faultGap: 20,
  faults: ['crashLeader', 'crashLeader', 'isolate', 'heal'],
  proposeGap: 3,
  isLeased: false,
});

/** Leaders that stand still and are cut off while others go on. */
const stalling = (profile: Profile): Profile => ({
  ...profile,
  initialVoters: 3,
  initialLearners: 0,
  nodeCount: 3,
  raft: { ...profile.raft, electionTicks: 3, heartbeatTicks: 1 },
  lossChance: 0,
  delayMax: 2,
  flushDelayMax: 2,
  faultGap: 20,
  faults: ['stall', 'isolate', 'heal'],
  proposeGap: 3,
  readGap: 3,
  isLeased: false,
});

/** Leaders serve reads under leases, so voters hold still after a restart and nobody forgets its leader. */
export const leased = (profile: Profile): Profile => ({
  ...profile,
  raft: { ...profile.raft, voteDelayTicks: profile.raft.electionTicks },
  faults: profile.faults.filter((fault) => fault !== 'forget'),
  isLeased: true,
});

/** Short lives, and impatient voters that do not hear the leader. */
const restarting = (profile: Profile): Profile =>
  leased({
    ...profile,
    initialVoters: 3,
    initialLearners: 0,
    nodeCount: 3,
    raft: { ...profile.raft, electionTicks: 10, heartbeatTicks: 8 },
    lossChance: 0,
    delayMax: 2,
    flushDelayMax: 2,
    faultGap: 20,
    faults: ['crash', 'crash', 'oneWay', 'campaign', 'campaign', 'heal'],
    downTimeMax: 20,
    // Logs stay equal, so that whoever asks may be voted for.
    proposeGap: 300,
  });

function voterMatches(s: RaftState, ids: readonly number[]): LogIndex {
  const matches = ids.map((id) => s.tracker.get(id)?.match ?? 0).sort((a, b) => b - a);
  return matches[Math.floor(matches.length / 2)] ?? 0;
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  { name: 'messages that claim the disk leave before the flush', options: { isCareless: true }, seedsMax: 20 },
  { name: 'the vote is not persisted', options: built(ForgetsVote), seedsMax: 20 },
  { name: 'a second vote is given in a term', options: built(VotesTwice), seedsMax: 50 },
  { name: 'a vote does not adopt the term in memory', options: built(KeepsOldTerm), seedsMax: 50 },
  { name: 'the leader counts entries that it has not flushed', options: built(CountsUnflushed), seedsMax: 20 },
  {
    name: 'votes are given without comparing logs',
    options: patched((s) => {
      s.log.isUpToDate = () => true;
    }),
    seedsMax: 100,
  },
  {
    name: 'entries of older terms are committed by counting',
    options: patched((s) => {
      Object.defineProperty(s, 'termStartIndex', { get: () => 0, set: () => undefined });
      s.releaseBytes = () => undefined;
      s.reads.add = () => undefined;
    }, figureEight),
    seedsMax: 1000,
  },
  {
    name: 'learners count',
    options: patched((s) => {
      s.tracker.committedIndex = () => voterMatches(s, [s.id, ...s.tracker.peers.map((peer) => peer.id)]);
    }),
    seedsMax: 200,
  },
  {
    name: 'a joint configuration asks the new half only',
    options: patched((s) => {
      s.tracker.committedIndex = () => voterMatches(s, s.membership.conf.voters);
    }),
    seedsMax: 400,
  },
  { name: 'a configuration change does not wait for the one before', options: built(ChangesAtOnce), seedsMax: 200 },
  {
    name: 'a truncated configuration stays in force',
    options: patched((s) => {
      s.membership.truncated = () => false;
    }),
    seedsMax: 400,
  },
  {
    name: 'a flush counts for entries that were overwritten meanwhile',
    options: patched((s) => {
      const { unstable } = s.log;
      unstable.truncated = (index) => {
        unstable.stagedIndex = Math.min(unstable.stagedIndex, index - 1);
        unstable.durableIndex = Math.min(unstable.durableIndex, index - 1);
      };
    }),
    seedsMax: 400,
  },
  {
    name: 'entries are applied before they are durable here',
    options: patched((s) => {
      Object.defineProperty(s.log, 'applicable', { get: () => s.log.commit });
    }),
    seedsMax: 50,
  },
  {
    name: 'a follower does not check the entry before',
    options: patched((s) => {
      const { log } = s;
      log.matches = (index, term) => log.hasTerm(index) && (index <= log.commit ? log.termAt(index) === term : true);
    }),
    seedsMax: 50,
  },
  {
    name: 'a follower keeps entries that contradict the leader',
    options: patched((s) => {
      s.log.findNew = (entries) => entries.filter((entry) => entry.index <= s.log.lastIndex).length;
    }),
    seedsMax: 100,
  },
  {
    name: 'reads are served without asking anybody',
    options: patched((s) => {
      s.tracker.confirmedRound = () => Infinity;
    }),
    seedsMax: 400,
  },
  {
    name: 'reads are served before the first commit of the own term',
    options: patched((s) => {
      const add = s.reads.add.bind(s.reads);
      s.reads.add = (read: PendingRead) => add({ ...read, index: s.log.commit });
    }),
    seedsMax: 400,
  },
  {
    name: 'a read joins a round that is already under way',
    options: patched((s) => {
      s.reads.add = (read) => {
        const inside = s.reads as unknown as { waiting: { number: number; reads: PendingRead[] }[] };
        inside.waiting.push({ number: s.reads.round, reads: [read] });
      };
    }, stalling),
    seedsMax: 400,
  },
  {
    name: 'a restarted voter forgets that it holds still for a lease',
    options: patched((s) => {
      Object.defineProperty(s, 'voteDelayTicks', { value: 0 });
    }, restarting),
    seedsMax: 200,
  },
  {
    name: 'votes are given while a leader with a lease is heard',
    options: patched((s) => {
      Object.defineProperty(s, 'holdsStill', { get: () => false });
    }, leased),
    seedsMax: 400,
    firstSeed: 600,
  },
  {
    name: 'what was lost is never sent again',
    options: patched((s) => {
      const reset = s.tracker.reconfigure.bind(s.tracker);
      s.tracker.reconfigure = (conf, next) => {
        reset(conf, next);
        for (const peer of s.tracker.peers) peer.retryIfSuspect = () => false;
      };
    }),
    seedsMax: 100,
  },
  {
    name: 'a voter that an uncommitted configuration leaves out does not stand',
    options: patched((s) => {
      Object.defineProperty(s, 'isPromotable', { get: () => s.isVoter && s.incoming === null });
    }),
    seedsMax: 2000,
    firstSeed: 340,
  },
  {
    name: 'a voter that lost its disk votes as if nothing had happened',
    options: patched((s) => {
      Object.defineProperty(s, 'isAmnesiac', { get: () => false });
      if (s.vote === FORGOTTEN) s.vote = 0;
    }, wiping),
    seedsMax: 200,
  },
  {
    name: 'a voter that lost its disk is a voter again before it holds what it forgot',
    options: { ...built(ReinstatesEarly), adjust: wiping },
    seedsMax: 200,
    firstSeed: 200,
  },
  {
    name: 'a restart ends the loss of memory',
    options: {
      createCore: (config, initial) => {
        const { hardState } = initial;
        const vote = hardState.term > 0 && hardState.vote === FORGOTTEN ? 0 : hardState.vote;
        return new OpenCore(config, { ...initial, hardState: { ...hardState, vote } });
      },
      adjust: wiping,
    },
    seedsMax: 200,
    firstSeed: 374,
  },
];
