/** Whole clusters under faults: no seed breaks a rule, and together they met enough to prove something. */
import { strict as assert } from 'node:assert';
import { missingEvidence } from './evidence.ts';
import { describeFailure } from './failure.ts';
import { runSeed } from './run.ts';

const FIRST_SEED = 1;
const SEEDS = 30;

describe('a simulated cluster', function () {
  this.timeout(600_000);

  it(`breaks no rule under seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}`, async () => {
    const marks = new Map<string, number>();
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const report = await runSeed(seed);
      if (report.violations.length > 0) assert.fail(describeFailure(report));
      for (const [mark, times] of report.marks) marks.set(mark, (marks.get(mark) ?? 0) + times);
    }
    assert.deepEqual(missingEvidence(marks, SEEDS), []);
  });
});
