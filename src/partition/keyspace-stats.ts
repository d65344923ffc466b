/**
 * What the leaders of a node saw of their keys: counted where requests are evaluated, for INFO. One instance a node;
 * CONFIG RESETSTAT zeroes it.
 *
 * Hot path (bench: compat/bench, GET): plain fields, added to once an evaluation.
 */
export class KeyspaceStats {
  /** Look-ups of commands that read keys, as Redis counts them: found, and not found. */
  hits = 0;
  misses = 0;
  /** Keys deleted because their time had come. */
  expiredKeys = 0;
  /** Values that left memory for others; they stay in the database. */
  residentEvictions = 0;
  /** Commit timestamps of other partitions that were too far ahead of the time here. */
  refusedTimestamps = 0;

  reset(): void {
    this.hits = 0;
    this.misses = 0;
    this.expiredKeys = 0;
    this.residentEvictions = 0;
    this.refusedTimestamps = 0;
  }
}

/** Keys of a database. */
export interface KeyspaceCounts {
  /** Live ones, and expired ones that nobody has met yet. */
  readonly keys: number;
  /** Those of them that have an expiry. */
  readonly expiring: number;
  /** Time that they have left on average, in ms, from a sample of those in memory; 0 if there is none. */
  readonly averageTtlMs: number;
}
