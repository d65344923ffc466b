/** What a planted bug is, and the runs that aim at one. */
import type { FaultName } from '../faults/index.ts';
import type { Profile } from '../profile.ts';
import type { RunOptions } from '../run.ts';
import type { Undo } from './patch.ts';

export interface PlantedBug {
  readonly name: string;
  /** Breaks it; the result mends it. */
  readonly plant?: () => Undo;
  readonly options: RunOptions;
  /** Where to start looking: rare ones cost too much time from 1 on. */
  readonly firstSeed: number;
}

/** Seeds within which each must be found. */
export const SEEDS_MAX = 15;

/** Replicas are not compared, and no history is kept, unless a bug is about that. */
const AIMED = {
  nodeCount: 3,
  replicationFactor: 3,
  faultTimeMs: 12_000,
  scrubIntervalMs: 0,
  retentionMs: 0,
  retentionCount: 0,
};

/** Runs that aim at one thing. */
export function aimed(change: Partial<Profile> & { readonly faults: readonly FaultName[] }): RunOptions {
  return { adjust: (profile) => ({ ...profile, ...AIMED, ...change }) };
}

/** Counters and registers on one partition, by clients that hardly pause. */
export const counting = { workloads: ['counter', 'register'] as const, clientCount: 4, thinkMs: 20, partitions: 1 };

/** Leaders that stand still while others go on, and clients that come to them afresh. */
export const stale = {
  ...counting,
  faults: ['freezeAlone'] as const,
  clientCount: 8,
  readChance: 0.7,
  commandTimeoutMs: 500,
  electionTimeoutMs: 200,
  heartbeatMs: 20,
  isPinned: false,
};
