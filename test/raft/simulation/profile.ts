/**
 * What kind of run a seed makes. Each seed draws a subset of the faults and its own sizes ("swarm testing"), because
 * faults that are always on hide each other; one seed in ten draws none at all.
 */
import type { RaftConfig } from '../../../src/raft/types.ts';
import { SimRandom } from './random.ts';

/** Simulated time in a tick of a node. */
export const TICK = 10;

export interface Profile {
  readonly seed: number;
  /** Members at the start; the nodes after them start blank and join by configuration changes. */
  readonly initialVoters: number;
  readonly initialLearners: number;
  readonly nodeCount: number;
  readonly raft: Omit<RaftConfig, 'id' | 'randomU32'>;
  /** Time under faults. */
  readonly faultTime: number;
  readonly lossChance: number;
  readonly duplicateChance: number;
  readonly delayMax: number;
  /** Messages of one link keep their order. */
  readonly isFifo: boolean;
  /** Every message goes through its bytes. */
  readonly isEncoded: boolean;
  readonly flushDelayMax: number;
  readonly applyDelayMax: number;
  readonly installDelayMax: number;
  readonly installFailChance: number;
  /** Mean time between faults; Infinity for none. */
  readonly faultGap: number;
  readonly faults: readonly Fault[];
  /** Longest time between a crash and the next start. */
  readonly downTimeMax: number;
  /** Mean time between proposals, and between reads. */
  readonly proposeGap: number;
  readonly readGap: number;
  /** Leases are in use: voters hold still after a restart, and nobody forgets its leader. */
  readonly isLeased: boolean;
  /** All start with empty disks and must found the group. Default: they are founded. */
  readonly isNew?: boolean;
}

export const FAULTS = [
  'isolate',
  'halves',
  'oneWay',
  'ring',
  'heal',
  'crash',
  'crashLeader',
  'crashAll',
  'membership',
  'transfer',
  'compact',
  'forget',
  'campaign',
  'stall',
  'unreachable',
] as const;
/** `wipe` is drawn by nobody: runs that aim at it add it, because it rules out other things (see `wiping`). */
export type Fault = (typeof FAULTS)[number] | 'wipe';

export function drawProfile(seed: number): Profile {
  const random = new SimRandom(seed, 1);
  const isQuiet = random.chance(0.1);
  const electionTicks = random.pick([3, 5, 10]);
  const initialVoters = random.pick([1, 2, 3, 3, 3, 4, 5]);
  const initialLearners = random.pick([0, 0, 1]);
  const isLeased = random.chance(0.3);
  const faults = FAULTS.filter((fault) => {
    if (fault === 'forget' && isLeased) return false;
    return random.chance(fault === 'membership' || fault === 'compact' ? 0.7 : 0.5);
  });
  return {
    seed,
    initialVoters,
    initialLearners,
    nodeCount: Math.min(6, initialVoters + initialLearners + random.below(3)),
    raft: {
      electionTicks,
      heartbeatTicks: electionTicks > 3 ? random.pick([1, 2]) : 1,
      appendBytesMax: random.pick([1, 60, 4096]),
      inflightMessagesMax: random.pick([1, 2, 8, 64]),
      inflightBytesMax: random.pick([1, 200, 65_536]),
      uncommittedBytesMax: random.pick([200, 65_536]),
      ...(isLeased ? { voteDelayTicks: electionTicks } : {}),
      ...drawNotices(seed, electionTicks),
    },
    faultTime: random.between(1000, 3000),
    lossChance: isQuiet ? 0 : random.pick([0, 0, 0.02, 0.1, 0.3]),
    duplicateChance: isQuiet ? 0 : random.pick([0, 0, 0.05, 0.3]),
    delayMax: random.pick([0, 2, 8, 25]),
    isFifo: random.chance(0.5),
    isEncoded: random.chance(0.2),
    flushDelayMax: random.pick([0, 2, 10, 60]),
    applyDelayMax: random.pick([0, 0, 10, 100]),
    installDelayMax: random.pick([1, 20, 100]),
    installFailChance: random.pick([0, 0, 0.3]),
    faultGap: isQuiet || faults.length === 0 ? Infinity : random.pick([20, 60, 150]),
    faults,
    downTimeMax: 6 * electionTicks * TICK,
    proposeGap: random.pick([3, 10, 40]),
    readGap: random.pick([15, 60]),
    isLeased,
  };
}

/** Half of the groups tell commits late, and half let heartbeats be rare while nothing is under way, as a node's do. */
function drawNotices(seed: number, electionTicks: number): Partial<RaftConfig> {
  const random = new SimRandom(seed, 2);
  const idleHeartbeatTicks = Math.max(2, Math.floor(electionTicks / 3));
  return {
    holdsCommitNotices: random.chance(0.5),
    ...(random.chance(0.5) ? { idleHeartbeatTicks } : {}),
  };
}

/** Disks of a minority are lost again and again; the membership stays as it is. */
export function wiping(profile: Profile): Profile {
  const initialVoters = profile.initialVoters < 3 ? 3 : profile.initialVoters;
  return {
    ...profile,
    initialVoters,
    nodeCount: Math.max(initialVoters + profile.initialLearners, profile.nodeCount),
    faultGap: Number.isFinite(profile.faultGap) ? profile.faultGap : 60,
    faults: [...profile.faults.filter((fault) => fault !== 'membership'), 'wipe', 'wipe', 'wipe'],
    isNew: profile.seed % 2 === 0,
  };
}
