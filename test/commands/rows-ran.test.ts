/**
 * Every row was run by some test. Checked after the whole suite, and only if all scenarios of all families were part of
 * it: a selection of tests proves nothing about the rest.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { dataCommandsByName } from '../../src/commands/index.ts';
import { rowsRun } from './client.ts';
import { scenarioCounts } from './golden-suite.ts';

const families = readdirSync(new URL('golden/', import.meta.url)).map((file) => file.replace('.txt', ''));

describe('the rows of all families', () => {
  it('have a scenario file each, and a test that runs it', () => {
    const tests = readdirSync(new URL('.', import.meta.url));
    for (const family of families) assert.ok(tests.includes(`${family}.test.ts`), `golden/${family}.txt has no test`);
  });
});

after('every row has run', () => {
  const ranAll = families.every((family) => {
    const count = scenarioCounts.get(family);
    return count !== undefined && count.run === count.declared;
  });
  if (!ranAll) return;
  const unrun = [...dataCommandsByName.keys()].filter((name) => !rowsRun.has(name));
  assert.deepEqual(unrun, [], 'these rows ran in no test');
});
