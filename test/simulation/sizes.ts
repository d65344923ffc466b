/** The sizes that the simulator's speed is quoted with; see docs/testing.md. */
import type { Profile } from './profile.ts';

const COMMON: Partial<Profile> = {
  readConsistency: 'quorum',
  replicationFactor: 3,
  electionTimeoutMs: 1_000,
  heartbeatMs: 100,
  commandTimeoutMs: 5_000,
  checkpointIntervalMs: 10_000,
  scrubIntervalMs: 0,
  logMemoryBytes: 1_000_000,
  retentionMs: 0,
  retentionCount: 0,
  residentBytes: 0,
  latencyMs: { min: 0.5, max: 3 },
  lateChance: 0,
  cutChance: 0,
  diskMs: { min: 0.1, max: 2 },
  storeMs: { min: 0, max: 2 },
  drift: 0,
  wallOffsetMs: 5,
  isPinned: true,
  isCoreFirst: false,
  readChance: 0.3,
};

export const SIZES: Readonly<Record<string, Partial<Profile>>> = {
  /** 3 nodes, 3 groups, about 20 operations a second, no faults. */
  quiet: {
    ...COMMON,
    nodeCount: 3,
    partitions: 2,
    faults: [],
    faultTimeMs: 300_000,
    workloads: ['counter'],
    clientCount: 2,
    thinkMs: 130,
  },
  /** 5 nodes, 5 groups, about 100 operations a second between faults. */
  dense: {
    ...COMMON,
    nodeCount: 5,
    partitions: 4,
    faults: [
      'kill',
      'killLeader',
      'powerOff',
      'isolate',
      'isolateLeader',
      'oneWay',
      'pause',
      'transfer',
      'reset',
      'slow',
    ],
    faultGapMs: 1_500,
    faultTimeMs: 60_000,
    workloads: ['counter', 'register'],
    clientCount: 6,
    thinkMs: 60,
  },
};
