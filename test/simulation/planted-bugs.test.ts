/** Finds what was broken on purpose: for each planted bug, the seeds from the first one on are run until one fails. */
import { plantedBugs } from './planted-bugs.ts';
import { runSeed } from './run.ts';

describe('the simulation finds planted bugs', function () {
  this.timeout(60_000);

  for (const { name, plant, options, firstSeed, seedsMax } of plantedBugs) {
    it(name, async () => {
      const mend = plant?.();
      try {
        for (let seed = firstSeed; seed < firstSeed + seedsMax; seed++) {
          const { violations } = await runSeed(seed, options ?? {});
          if (violations.length === 0) continue;
          if (process.env['SHOW'] !== undefined)
            console.log(`      seed ${seed}: ${violations[0]?.slice(0, 300) ?? ''}`);
          return;
        }
        throw new Error(`not found by seeds ${firstSeed} to ${firstSeed + seedsMax - 1}`);
      } finally {
        mend?.();
      }
    });
  }
});
