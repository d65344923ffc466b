/**
 * The run of a seed. Each seed draws a subset of the faults and its own sizes ("swarm testing"), because faults that are
 * always on hide each other; one seed in ten draws none at all. Every draw has a stream of its own, so that a new fault or
 * a new setting changes nothing of the others.
 */
import { SeededRandom } from '../doubles/seeded-random.ts';
import { FAULTS } from './faults/index.ts';
import { POINT_NAMES } from './points.ts';
import { CLOCK_OFFSET_MAX_MS, type Plan, type PlannedStrike, type Profile } from './profile.ts';
import { WORKLOADS } from './workloads/names.ts';

/** Workloads of a run, in the mean. */
const WORKLOADS_MEAN = 3.2;

export function drawProfile(seed: number): Profile {
  const draw = new Draw(new SeededRandom(seed).fork('profile'));
  const mixed = drawMixed(seed, draw);
  const aimed = draw.chance('aims at snapshots', 0.2) ? withSnapshots(mixed, draw) : mixed;
  const pointed = draw.chance('aims at points', 0.15) ? withPoints(aimed) : aimed;
  return pointed.faults.includes('atPoint') ? { ...pointed, points: drawPoints(draw) } : pointed;
}

/** The strikes of a run: those that it is given, or some at exponential intervals. */
export function planOf(profile: Profile): Plan {
  if (profile.plan !== undefined) return profile.plan;
  const random = new SeededRandom(profile.seed).fork('plan');
  const plan: PlannedStrike[] = [];
  if (profile.faults.length === 0) return plan;
  for (let atMs = 0; ; ) {
    atMs += -Math.log(1 - random.float()) * profile.faultGapMs;
    if (atMs >= profile.faultTimeMs) return plan;
    plan.push({ atMs: Math.round(atMs), fault: random.pick(profile.faults), seed: random.u32() });
  }
}

class Draw {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  pick<T>(name: string, choices: readonly T[]): T {
    return this.#random.fork(name).pick(choices);
  }

  chance(name: string, probability: number): boolean {
    return this.#random.fork(name).chance(probability);
  }
}

/** Nodes are away for longer than the others remember, and die while they are brought up to date. */
function withSnapshots(profile: Profile, draw: Draw): Profile {
  const nodeCount = Math.max(3, profile.nodeCount);
  const faults = profile.faults.filter((fault) => draw.chance(`snapshots and ${fault}`, 0.3) && fault !== 'stepClock');
  return {
    ...profile,
    nodeCount,
    commandTimeoutMs: 500,
    logMemoryBytes: 500,
    checkpointIntervalMs: 200,
    faultTimeMs: 30_000,
    faultGapMs: 4_000,
    faults: [...new Set<string>(['absent', 'killInstalling', ...faults])],
  };
}

/** Half of all strikes are at points, each as likely as all the rest. */
function withPoints(profile: Profile): Profile {
  const others = profile.faults.filter((name) => name !== 'stepClock' && name !== 'atPoint');
  return { ...profile, faults: [...others, ...Array.from({ length: Math.max(1, others.length) }, () => 'atPoint')] };
}

/** Some of them, or all. */
function drawPoints(draw: Draw): Profile['points'] {
  const share = draw.pick('share of points', [0.1, 0.3, 1]);
  const drawn = POINT_NAMES.filter((name) => draw.chance(`point ${name}`, share));
  return drawn.length === 0 ? POINT_NAMES : drawn;
}

const DAMAGING: ReadonlySet<string> = new Set(FAULTS.filter(({ damages }) => damages).map(({ name }) => name));
const ENDING: ReadonlySet<string> = new Set(
  FAULTS.filter(({ endsProcesses }) => endsProcesses).map(({ name }) => name),
);

function drawFaults(draw: Draw, canBeDamaged: boolean): readonly string[] {
  if (draw.chance('is quiet', 0.1)) return [];
  const share = draw.pick('share of faults', [0.1, 0.2, 0.35]);
  const drawn = FAULTS.map(({ name }): string => name)
    .filter((name) => draw.chance(`fault ${name}`, share))
    .filter((name) => canBeDamaged || !DAMAGING.has(name));
  // A node that has heard of no leader since its start trusts its wall clock: steps and restarts do not go together.
  const hasRestarts = drawn.some((name) => ENDING.has(name));
  return drawn.filter((name) => name !== 'stepClock' || !hasRestarts);
}

function drawMixed(seed: number, draw: Draw): Profile {
  const nodeCount = draw.pick('nodes', [1, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
  const replicationFactor = draw.pick('replicas', [3, 3, 3, nodeCount >= 5 ? 5 : 3, nodeCount === 4 ? 2 : 3]);
  const electionTimeoutMs = draw.pick('election', [200, 400, 1_000]);
  const scrubIntervalMs = draw.pick('scrub', [0, 300, 1_000, 5_000]);
  const workloads = WORKLOADS.filter((name) => draw.chance(`workload ${name}`, WORKLOADS_MEAN / WORKLOADS.length));
  return {
    seed,
    nodeCount,
    partitions: draw.pick('partitions', [1, 1, 4, 8]),
    replicationFactor,
    readConsistency: draw.pick('reads', ['quorum', 'quorum', 'lease']),
    electionTimeoutMs,
    heartbeatMs: Math.floor(electionTimeoutMs / draw.pick('heartbeats', [5, 10])),
    commandTimeoutMs: draw.pick('command time-out', [500, 500, 2_000, 5_000]),
    checkpointIntervalMs: draw.pick('checkpoints', [200, 1_000, 10_000]),
    scrubIntervalMs,
    logMemoryBytes: draw.pick('log memory', [500, 500, 20_000, 1_000_000]),
    retentionMs: draw.pick('retention', [0, 0, 500, 3_000]),
    retentionCount: draw.pick('versions', [0, 0, 1, 4]),
    residentBytes: draw.pick('memory', [0, 0, 1, 3_000]),
    latencyMs: { min: draw.pick('least latency', [0.05, 0.5, 2]), max: draw.pick('latency', [3, 3, 10, 30]) },
    lateChance: draw.pick('late pieces', [0, 0, 0.002, 0.02]),
    cutChance: draw.pick('cut pieces', [0, 0.02, 0.2]),
    diskMs: { min: 0.1, max: draw.pick('disk', [0.5, 2, 20]) },
    storeMs: { min: 0, max: draw.pick('store', [0.2, 2, 40]) },
    drift: draw.pick('drift', [0, 0.001, 0.03]),
    wallOffsetMs: draw.pick('wall clocks', [0, 5, CLOCK_OFFSET_MAX_MS / 2]),
    faults: drawFaults(draw, nodeCount >= 3 && replicationFactor >= 3).filter(
      (name) => name !== 'strayRecord' || scrubIntervalMs > 0,
    ),
    points: [],
    faultGapMs: draw.pick('gap', [500, 1_500, 4_000]),
    faultTimeMs: draw.pick('fault time', [8_000, 12_000, 20_000]),
    isCoreFirst: draw.chance('core first', 0.5),
    workloads: workloads.length === 0 ? ['counter'] : workloads,
    clientCount: draw.pick('clients', [2, 3, 4]),
    thinkMs: draw.pick('thinking', [20, 60, 150]),
    isPinned: draw.chance('pinned', 0.5),
    readChance: draw.pick('reading', [0.1, 0.3, 0.7]),
  };
}
