/** Finds what was broken on purpose, and prints by which seed and by which broken rule. */
import { strict as assert } from 'node:assert';
import { SEEDS_MAX } from './planted/bug.ts';
import { hunt, plantedBugs } from './planted-bugs.ts';

const BUGS_MIN = 25;
const RULE_SHOWN = 90;

describe('the simulation finds planted bugs', function () {
  this.timeout(600_000);
  const table: string[] = [];

  after(() => {
    console.log(table.join('\n'));
  });

  it(`at least ${BUGS_MIN} of them`, () => {
    assert.ok(plantedBugs.length >= BUGS_MIN);
    assert.equal(new Set(plantedBugs.map(({ name }) => name)).size, plantedBugs.length);
  });

  for (const bug of plantedBugs) {
    it(bug.name, async () => {
      const found = await hunt(bug, SEEDS_MAX);
      assert.ok(found, `not found by seeds ${bug.firstSeed} to ${bug.firstSeed + SEEDS_MAX - 1}`);
      const rule = (found.violations[0] ?? '').split('\n')[0]?.slice(0, RULE_SHOWN) ?? '';
      table.push(`      ${bug.name}\n        seed ${found.seed} (${found.seed - bug.firstSeed + 1}.): ${rule}`);
    });
  }
});
