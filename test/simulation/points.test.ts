/**
 * Each named point is passed by runs, and a strike there does something: runs that strike at nothing but the points that are left,
 * beside what makes them be passed at all, until none is left.
 */
import { strict as assert } from 'node:assert';
import { describeFailure } from './failure.ts';
import type { FaultName } from './faults/index.ts';
import { POINT_NAMES, type PointName } from './points.ts';
import type { Profile } from './profile.ts';
import { runSeed } from './run.ts';
import { SIZES } from './sizes.ts';

const SEEDS_MAX = 15;
const COMMON: Partial<Profile> = {
  ...SIZES['dense'],
  nodeCount: 3,
  partitions: 3,
  electionTimeoutMs: 200,
  heartbeatMs: 40,
  commandTimeoutMs: 500,
  faultTimeMs: 12_000,
  faultGapMs: 250,
  checkpointIntervalMs: 500,
  logMemoryBytes: 1_000,
  clientCount: 2,
  thinkMs: 60,
  isPinned: false,
};

interface Group {
  readonly name: string;
  readonly points: RegExp;
  readonly faults: readonly FaultName[];
  readonly change: Partial<Profile>;
}

/** What points need to be passed; the first that fits. */
const GROUPS: readonly Group[] = [
  {
    name: 'of damage, and of the comparison of replicas',
    points: /quarantine|copy|compared/,
    faults: ['strayRecord', 'loseSynced'],
    change: { scrubIntervalMs: 300, workloads: ['counter', 'register'] },
  },
  {
    name: 'of snapshots',
    points: /snapshot|applier/,
    faults: ['atPoint', 'atPoint', 'absent'],
    change: {
      workloads: ['counter', 'register'],
      faultTimeMs: 25_000,
      faultGapMs: 1_000,
      logMemoryBytes: 500,
      checkpointIntervalMs: 200,
    },
  },
  {
    name: 'of the past',
    points: /old versions|the past/,
    faults: ['kill'],
    change: { retentionMs: 500, retentionCount: 1, workloads: ['past'] },
  },
  {
    name: 'of the log, of leaderships and of transactions',
    points: /./,
    faults: ['transfer'],
    change: { workloads: ['transaction', 'flush', 'append', 'catalog', 'counter'] },
  },
];

function pointsOf(group: Group): readonly PointName[] {
  return POINT_NAMES.filter((name) => GROUPS.find(({ points }) => points.test(name)) === group);
}

describe('the named points', function () {
  this.timeout(600_000);

  for (const group of GROUPS) {
    it(`${group.name} are passed, and struck at`, async () => {
      let left = pointsOf(group);
      for (let seed = 1; left.length > 0 && seed <= SEEDS_MAX; seed++) {
        const change = { ...COMMON, ...group.change, points: left, faults: ['atPoint', 'atPoint', ...group.faults] };
        const report = await runSeed(seed, { adjust: (profile) => ({ ...profile, ...change }) });
        if (report.violations.length > 0) assert.fail(describeFailure(report));
        left = left.filter((point) => !report.marks.has(`fault: atPoint: ${point}`));
      }
      assert.deepEqual(left, []);
    });
  }
});
