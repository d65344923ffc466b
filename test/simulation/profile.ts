/** What kind of run it is: sizes, speeds, faults, workloads. draw-profile.ts makes one of a seed. */
import type { PointName } from './points.ts';
import type { WorkloadName } from './workloads/names.ts';

/** One blow of a plan. */
export interface PlannedStrike {
  /** Simulated ms since the plan began. */
  readonly atMs: number;
  readonly fault: string;
  /** Decides what it hits and how long it lasts. */
  readonly seed: number;
}

export type Plan = readonly PlannedStrike[];

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
  /** Pause between two comparisons of a partition's replicas; 0 = they are never compared. */
  readonly scrubIntervalMs: number;
  readonly logMemoryBytes: number;
  /** How long older versions are kept, ms, and how many of each key (0 = without bound); 0 ms = none are, besides what is held. */
  readonly retentionMs: number;
  readonly retentionCount: number;
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
  /** Names of the table in faults/index.ts. */
  readonly faults: readonly string[];
  /** Where `atPoint` strikes (points.ts). */
  readonly points: readonly PointName[];
  /** Mean time between faults, ms. */
  readonly faultGapMs: number;
  readonly faultTimeMs: number;
  /** What strikes, instead of what the seed draws. */
  readonly plan?: Plan;
  /** At first only as many nodes are healed as every partition needs; the others stay away, and follow later. */
  readonly isCoreFirst: boolean;
  readonly workloads: readonly WorkloadName[];
  /** Clients of each workload, and the mean pause of a client between two requests, ms. */
  readonly clientCount: number;
  readonly thinkMs: number;
  /** Share of reads among the operations of counters. */
  readonly readChance: number;
  /** Clients stay with one node; otherwise they choose a node at each connection. */
  readonly isPinned: boolean;
}

/** Largest difference between two wall clocks that the design promises to bear, ms. */
export const CLOCK_OFFSET_MAX_MS = 500;

/**
 * Until when a lease that was asked for at `startMs` surely lasts, in simulated time. Leaders count it by their monotonic
 * clocks, which drift; and one that has heard of no other since its start by its wall clock, from which the former leader's
 * time may have drifted since the beginning.
 */
export function surelyUntil({ drift, wallOffsetMs }: Profile, startMs: number, ttlMs: number): number {
  const offsetMs = (wallOffsetMs > 0 ? CLOCK_OFFSET_MAX_MS : 0) + startMs * drift * 2;
  return startMs + ttlMs * (1 - drift * 3) - offsetMs - 5;
}
