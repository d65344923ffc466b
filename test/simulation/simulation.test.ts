/** Whole clusters under faults: no seed breaks a rule, every kind of work was done, and equal seeds make equal runs. */
import { strict as assert } from 'node:assert';
import { runSeed } from './run.ts';

const FIRST_SEED = 1;
const SEEDS = 60;

/** What all seeds together must have met: a run in which nothing happens proves nothing. */
const EVIDENCE: readonly (readonly [mark: string, least: number])[] = [
  ['ok', 20_000],
  ['unknown', 100],
  ['leaderships', 300],
  ['log: installed a snapshot', 2],
  ['log: log.opened', 100],
  ['fault: powerOffAll', 5],
  ['fault: isolateLeader', 10],
  ['fault: transfer', 10],
];

describe('a simulated cluster', function () {
  this.timeout(300_000);

  it(`breaks no rule under seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}`, async () => {
    const marks = new Map<string, number>();
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const report = await runSeed(seed);
      const told = report.violations.join('\n  ');
      assert.equal(
        report.violations.length,
        0,
        `seed ${seed}: ${told}\nreplay: npm run simulate -- --seed ${seed} --trace`,
      );
      for (const [mark, times] of report.marks) marks.set(mark, (marks.get(mark) ?? 0) + times);
    }
    for (const [mark, least] of EVIDENCE) {
      const times = marks.get(mark) ?? 0;
      assert.ok(times >= least, `${mark}: ${times} times, ${least} are needed for the runs to prove anything`);
    }
  });

  it('runs alike if the seed is the same, and not otherwise', async () => {
    const [first, again, other] = [await runSeed(7), await runSeed(7), await runSeed(8)];
    assert.equal(again.traceHash, first.traceHash);
    assert.equal(again.events, first.events);
    assert.notEqual(other.traceHash, first.traceHash);
  });
});
