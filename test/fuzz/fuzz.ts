/**
 * Feeds foreign bytes into every door of the server:
 *
 *   npm run fuzz -- [--seconds N] [--target T] [--seed S] [--keep]     N seconds, shared by all targets or for one
 *   npm run fuzz -- --target T --replay FILE                           one input, as it was printed or kept
 *
 * Exit code 1 if a rule was broken: the input is written to test/fuzz/failures/, and the command that replays it printed.
 * `--keep` adds what reached new code to the corpus.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Judge } from './judge.ts';
import { targets } from './targets.ts';
import { DEFAULTS, type FuzzTarget } from './target.ts';
import { SHARED_INPUT_BYTES, type WorkOrder, type WorkResult } from './work.ts';

const FAILURES = fileURLToPath(new URL('./failures', import.meta.url));
/** An input that is not done after so many of its own bounds never will be. */
const STUCK_FACTOR = 40;
const LOOK_MS = 500;
/** A thread does not inherit what lets Node read TypeScript: it says so again before it loads its work. */
const WORKER = `import('tsx/esm/api').then(({ register }) => {
  register();
  return import(${JSON.stringify(new URL('./work.ts', import.meta.url).href)});
}).catch((error) => { throw error; });`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    target: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
    replay: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

function chosen(): readonly FuzzTarget[] {
  if (values.target === undefined) return targets;
  const found = targets.filter(({ name }) => name === values.target);
  if (found.length > 0) return found;
  const known = targets.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join('\n');
  throw new RangeError(`there is no target ${values.target}; there are\n${known}`);
}

function number(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new RangeError(`--${name} wants a number, not ${text}`);
  return value;
}

async function replay(target: FuzzTarget, path: string): Promise<void> {
  const judge = new Judge(target, await target.open());
  const error = await judge.judge(readFileSync(path));
  await judge.close();
  console.log(error === null ? `${target.name}: all is well` : (error.stack ?? error.message));
  if (error !== null) process.exitCode = 1;
}

/** Runs one target in a thread of its own; ends the thread if an input does not end. */
function runTarget(target: FuzzTarget, order: Omit<WorkOrder, 'target' | 'shared'>): Promise<WorkResult> {
  const shared = new SharedArrayBuffer(8 + SHARED_INPUT_BYTES);
  const numbers = new Uint32Array(shared, 0, 2);
  const worker = new Worker(WORKER, {
    eval: true,
    workerData: { ...order, target: target.name, shared } satisfies WorkOrder,
  });
  return new Promise((resolve, reject) => {
    let last = 0;
    let lastChange = performance.now();
    const stuckMs = Math.max(20_000, (target.msMax ?? DEFAULTS.msMax) * STUCK_FACTOR);
    const watch = setInterval(() => {
      if (numbers[0] !== last) {
        last = numbers[0] ?? 0;
        lastChange = performance.now();
      } else if (last > 0 && performance.now() - lastChange > stuckMs) {
        const input = Buffer.from(shared.slice(8, 8 + (numbers[1] ?? 0)));
        void worker.terminate();
        resolve({
          runs: last,
          found: 0,
          functions: 0,
          failure: { input, stack: `it did not end within ${stuckMs} ms` },
        });
      }
    }, LOOK_MS);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => {
      clearInterval(watch);
    });
  });
}

function tell(target: FuzzTarget, input: Uint8Array, stack: string): void {
  mkdirSync(FAILURES, { recursive: true });
  const path = `${FAILURES}/${target.name}-${Date.now()}`;
  writeFileSync(path, input);
  console.log(
    `${target.name} BROKE A RULE with ${input.length} bytes: ${JSON.stringify(Buffer.from(input).toString('latin1'))}`,
  );
  console.log(stack);
  console.log(`replay: npm run fuzz -- --target ${target.name} --replay ${path}`);
}

async function main(): Promise<void> {
  const list = chosen();
  const [first] = list;
  if (values.replay !== undefined && first !== undefined && list.length === 1) return replay(first, values.replay);
  const seed = number(values.seed, 'seed');
  const ms = (number(values.seconds, 'seconds') * 1_000) / list.length;
  console.log(`seed ${seed}, ${(ms / 1_000).toFixed(1)} s a target`);
  for (const target of list) {
    const { runs, found, functions, failure } = await runTarget(target, { seed, ms, keepsFound: values.keep });
    console.log(
      `${target.name.padEnd(18)} ${String(runs).padStart(8)} inputs, ${found} new, ${functions} functions reached`,
    );
    if (failure === null) continue;
    process.exitCode = 1;
    tell(target, failure.input, failure.stack);
  }
}

await main();
