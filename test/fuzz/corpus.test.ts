/**
 * Every input that is kept, and a few hundred fresh ones of each target, made from a seed: no rule is broken. What this finds
 * is replayed as the message says; `npm run fuzz` looks for longer, and with the guidance of coverage.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { readCorpus } from './corpus.ts';
import { fuzz } from './fuzzer.ts';
import { targets } from './targets.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 32);
const FRESH_MS = 250;
const FRESH_RUNS_MAX = 300;

describe(`foreign bytes (SEED=${seed})`, () => {
  for (const target of targets) {
    it(`${target.name}: ${target.about}`, async () => {
      const end = performance.now() + FRESH_MS;
      const corpus = readCorpus(target.name);
      const least = corpus.length + target.seeds().length;
      const { failure } = await fuzz(target, {
        random: new SeededRandom(seed),
        corpus,
        coverage: null,
        isOver: (runs) => runs > least + FRESH_RUNS_MAX || performance.now() > end,
      });
      if (failure === null) return;
      const input = Buffer.from(failure.input).toString('hex');
      assert.fail(
        `${target.name} broke a rule with the input ${input}: ${failure.error.stack ?? failure.error.message}`,
      );
    });
  }

  it('each kept input belongs to a target', () => {
    const names = new Set(targets.map(({ name }) => name));
    assert.equal(names.size, targets.length, 'names are unique');
    for (const folder of readdirSync(new URL('./corpus', import.meta.url))) assert.ok(names.has(folder), folder);
  });
});
