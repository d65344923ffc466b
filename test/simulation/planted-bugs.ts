/**
 * Broken on purpose: each of these is a mistake that somebody has made in some database. A run with one of them must end in a
 * violation within SEEDS_MAX seeds; if it does not, the simulation has gone blind. They change the real code, for one run at
 * a time, and put it back.
 */
import type { PlantedBug } from './planted/bug.ts';
import { HISTORY_BUGS } from './planted/history.ts';
import { PARTITION_BUGS } from './planted/partition.ts';
import { RAFT_BUGS } from './planted/raft.ts';
import { SCRUB_BUGS } from './planted/scrub.ts';
import { STORAGE_BUGS } from './planted/storage.ts';
import { TRANSACTION_BUGS } from './planted/transactions.ts';
import { type Report, runSeed } from './run.ts';

export const plantedBugs: readonly PlantedBug[] = [
  ...HISTORY_BUGS,
  ...PARTITION_BUGS,
  ...RAFT_BUGS,
  ...SCRUB_BUGS,
  ...STORAGE_BUGS,
  ...TRANSACTION_BUGS,
];

/** Runs seeds with the bug until one breaks a rule; undefined if none of so many does. */
export async function hunt({ plant, options, firstSeed }: PlantedBug, seedsMax: number): Promise<Report | undefined> {
  const mend = plant?.();
  try {
    for (let seed = firstSeed; seed < firstSeed + seedsMax; seed++) {
      const report = await runSeed(seed, options);
      if (report.violations.length > 0) return report;
    }
    return undefined;
  } finally {
    mend?.();
  }
}
