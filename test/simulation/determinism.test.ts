/**
 * Equal seeds make equal runs, byte for byte, wherever they run: the hash covers every event's moment and order, every chunk
 * that a node received, every write of its log, and what clients saw. Two processes that differ in all that must not matter
 * (time zone, language, memory, compiler) run the seeds that this one runs.
 */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runSeed } from './run.ts';

const FIRST_SEED = 7;
const SEEDS = 2;
/** Short: what differs, differs soon. */
const CHANGES = { faultTimeMs: 3_000 };
const SIMULATE = fileURLToPath(new URL('simulate.ts', import.meta.url));

/** Trace hashes of the seeds, as another process finds them. */
async function elsewhere(nodeOptions: readonly string[], environment: NodeJS.ProcessEnv): Promise<string[]> {
  const words = ['--seed', String(FIRST_SEED), '--seeds', String(SEEDS), '--with', JSON.stringify(CHANGES)];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...nodeOptions, '--import', 'tsx', SIMULATE, ...words],
    { env: { ...process.env, ...environment }, maxBuffer: 64 * 1024 * 1024 },
  );
  return [...stdout.matchAll(/trace ([0-9a-f]+),/g)].map(([, hash]) => hash ?? '');
}

describe('a simulated run', function () {
  this.timeout(600_000);

  it('is the same for the same seed, in any process, and another for another seed', async () => {
    const others = Promise.all([
      elsewhere(['--max-semi-space-size=1'], { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' }),
      elsewhere(['--max-old-space-size=300'], { TZ: 'America/St_Johns' }),
    ]);
    const here: string[] = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      here.push((await runSeed(seed, { adjust: (profile) => ({ ...profile, ...CHANGES }) })).traceHash);
    }
    assert.notEqual(here[0], here[1]);
    for (const hashes of await others) assert.deepEqual(hashes, here);
  });
});
