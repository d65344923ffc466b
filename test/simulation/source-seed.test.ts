/** Seeds that follow from the sources, over folders that are made for it. */
import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seedOfSources } from './source-seed.ts';

const SEED_MAX = 2 ** 31;

describe('the seed of the sources', () => {
  let root: string;
  const seed = (): number => seedOfSources(root, SEED_MAX);

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'kahuna-sources-'));
    for (const folder of ['src', 'test']) mkdirSync(join(root, folder, 'inner'), { recursive: true });
    writeFileSync(join(root, 'src', 'inner', 'a.ts'), 'one');
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  it('is the same as long as the sources are', () => {
    const before = seed();
    assert.ok(Number.isSafeInteger(before) && before >= 0 && before < SEED_MAX);
    writeFileSync(join(root, 'src', 'notes.txt'), 'no source');
    assert.equal(seed(), before);
  });

  it('is another one when a file has other content, another name, or moved', () => {
    const seeds = [seed()];
    writeFileSync(join(root, 'src', 'inner', 'a.ts'), 'two');
    seeds.push(seed());
    renameSync(join(root, 'src', 'inner', 'a.ts'), join(root, 'src', 'inner', 'b.ts'));
    seeds.push(seed());
    renameSync(join(root, 'src', 'inner', 'b.ts'), join(root, 'test', 'inner', 'b.ts'));
    seeds.push(seed());
    assert.equal(new Set(seeds).size, seeds.length);
  });
});
