/**
 * What kind of run a seed makes. Each seed draws a subset of the faults and its own sizes ("swarm testing"), because faults
 * that are always on hide each other; one seed in ten draws none at all.
 */
import { SeededRandom } from '../doubles/seeded-random.ts';
import { WORKLOADS, type WorkloadName } from './workloads/names.ts';

export const FAULTS = [
  'kill',
  'killLeader',
  'killAll',
  'powerOff',
  'powerOffAll',
  'isolate',
  'isolateLeader',
  'oneWay',
  'halves',
  'pause',
  'pauseLeader',
  'freezeAlone',
  'reset',
  'slow',
  'transfer',
  'shutdown',
  'absent',
  'killInstalling',
  'stallDisk',
  'stepClock',
  'checkpoint',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface Profile {
  readonly seed: number;
  readonly nodeCount: number;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly readConsistency: 'quorum' | 'lease';
  readonly electionTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly commandTimeoutMs: number;
  readonly checkpointIntervalMs: number;
  readonly logMemoryBytes: number;
  /** Memory for resident keys; 0 = without bound. */
  readonly residentBytes: number;
  /** One way, between two hosts. */
  readonly latencyMs: { readonly min: number; readonly max: number };
  /** Chance that a piece of a stream takes ten times as long. */
  readonly lateChance: number;
  /** Chance that what was written at once arrives in pieces. */
  readonly cutChance: number;
  readonly diskMs: { readonly min: number; readonly max: number };
  readonly storeMs: { readonly min: number; readonly max: number };
  /** Monotonic clocks run this much too fast or too slow at most, as a fraction. */
  readonly drift: number;
  /** Wall clocks are off by this much at most, ms. */
  readonly wallOffsetMs: number;
  readonly faults: readonly Fault[];
  /** Mean time between faults, ms. */
  readonly faultGapMs: number;
  readonly faultTimeMs: number;
  readonly workloads: readonly WorkloadName[];
  /** Clients of each workload, and the mean pause of a client between two requests, ms. */
  readonly clientCount: number;
  readonly thinkMs: number;
  /** Share of reads among the operations of counters. */
  readonly readChance: number;
  /** Clients stay with one node; otherwise they choose a node at each connection. */
  readonly isPinned: boolean;
}

/** Workloads of a run, in the mean. */
const WORKLOADS_MEAN = 3.2;

/** Largest difference between two wall clocks that the design promises to bear, ms. */
const CLOCK_OFFSET_MAX_MS = 500;

/**
 * Until when a lease that was asked for at `startMs` surely lasts, in simulated time. Leaders count it by their monotonic
 * clocks, which drift; and one that has heard of no other since its start by its wall clock, from which the former leader's
 * time may have drifted since the beginning.
 */
export function surelyUntil({ drift, wallOffsetMs }: Profile, startMs: number, ttlMs: number): number {
  const offsetMs = (wallOffsetMs > 0 ? CLOCK_OFFSET_MAX_MS : 0) + startMs * drift * 2;
  return startMs + ttlMs * (1 - drift * 3) - offsetMs - 5;
}

export function drawProfile(seed: number): Profile {
  const random = new SeededRandom(seed).fork('profile');
  const profile = drawMixed(seed, random);
  return random.chance(0.2) ? withSnapshots(profile, random) : profile;
}

/** Nodes are away for longer than the others remember, and die while they are brought up to date. */
function withSnapshots(profile: Profile, random: SeededRandom): Profile {
  return {
    ...profile,
    nodeCount: Math.max(3, profile.nodeCount),
    commandTimeoutMs: 500,
    logMemoryBytes: 500,
    checkpointIntervalMs: 200,
    faultTimeMs: 30_000,
    faultGapMs: 4_000,
    faults: ['absent', 'killInstalling', ...profile.faults.filter(() => random.chance(0.3))],
  };
}

function drawMixed(seed: number, random: SeededRandom): Profile {
  const isQuiet = random.chance(0.1);
  const nodeCount = random.pick([1, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
  const electionTimeoutMs = random.pick([200, 400, 1_000]);
  const partitions = random.pick([1, 1, 1, 4]);
  const drawn = FAULTS.filter(() => random.chance(0.35));
  const hasRestarts = drawn.some((fault) => /^(kill|powerOff|shutdown|absent|killInstalling)/.test(fault));
  // A node that has heard of no leader since its start trusts its wall clock: steps and restarts do not go together.
  const faults = drawn.filter((fault) => fault !== 'stepClock' || !hasRestarts);
  // A stream of its own, so that a new workload does not change all else that a seed draws.
  const chosen = random.fork('workloads');
  const workloads = WORKLOADS.filter(() => chosen.chance(WORKLOADS_MEAN / WORKLOADS.length));
  return {
    seed,
    nodeCount,
    partitions,
    replicationFactor: random.pick([3, 3, 3, nodeCount >= 5 ? 5 : 3, nodeCount === 4 ? 2 : 3]),
    readConsistency: random.pick(['quorum', 'quorum', 'lease']),
    electionTimeoutMs,
    heartbeatMs: Math.floor(electionTimeoutMs / random.pick([5, 10])),
    commandTimeoutMs: random.pick([500, 500, 2_000, 5_000]),
    checkpointIntervalMs: random.pick([200, 1_000, 10_000]),
    logMemoryBytes: random.pick([500, 500, 20_000, 1_000_000]),
    residentBytes: random.pick([0, 0, 1, 3_000]),
    latencyMs: { min: random.pick([0.05, 0.5, 2]), max: random.pick([3, 3, 10, 30]) },
    lateChance: random.pick([0, 0, 0.002, 0.02]),
    cutChance: random.pick([0, 0.02, 0.2]),
    diskMs: { min: 0.1, max: random.pick([0.5, 2, 20]) },
    storeMs: { min: 0, max: random.pick([0.2, 2, 40]) },
    drift: random.pick([0, 0.001, 0.03]),
    wallOffsetMs: random.pick([0, 5, CLOCK_OFFSET_MAX_MS / 2]),
    faults: isQuiet ? [] : faults,
    faultGapMs: random.pick([500, 1_500, 4_000]),
    faultTimeMs: random.pick([8_000, 12_000, 20_000]),
    workloads: workloads.length === 0 ? ['counter'] : workloads,
    clientCount: random.pick([2, 3, 4]),
    thinkMs: random.pick([20, 60, 150]),
    isPinned: random.chance(0.5),
    readChance: random.pick([0.1, 0.3, 0.7]),
  };
}
