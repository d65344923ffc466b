/**
 * Runs simulated groups by seed:  npm run raft:simulate -- --seed N [--count M] [--wipe] [--trace]
 * `--wipe`: disks of a minority are lost again and again.
 * Exit code 1 if a rule was broken. A failing seed is run again with its last events printed.
 */
import { wiping } from './simulation/profile.ts';
import { World } from './simulation/world.ts';

const TRACE_LINES = 80;

function option(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  const value = at < 0 ? fallback : Number(process.argv[at + 1]);
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`--${name} wants a whole number`);
  return value;
}

const first = option('seed', 1);
const count = option('count', 1);
const isWiping = process.argv.includes('--wipe');
const isTraced = process.argv.includes('--trace');
const started = performance.now();
const marks = new Map<string, number>();
let events = 0;

for (let seed = first; seed < first + count; seed++) {
  const lines: string[] = [];
  const world = new World(seed, {
    ...(isTraced || count === 1 ? { onTrace: (line: string) => lines.push(line) } : {}),
    ...(isWiping ? { adjust: wiping } : {}),
  });
  try {
    world.run();
  } catch (error) {
    if (lines.length > 0) console.log(lines.slice(isTraced ? 0 : -TRACE_LINES).join('\n'));
    console.log(`seed ${seed}: ${String(error)}`);
    console.log(JSON.stringify(world.profile));
    console.log(`replay: npm run raft:simulate -- --seed ${seed}${isWiping ? ' --wipe' : ''} --trace`);
    if (error instanceof Error && isTraced) console.log(error.stack);
    process.exitCode = 1;
  }
  if (isTraced && process.exitCode !== 1) console.log(lines.join('\n'));
  events += world.events;
  for (const [mark, times] of world.marks) marks.set(mark, (marks.get(mark) ?? 0) + times);
}

const seconds = (performance.now() - started) / 1000;
console.log(
  `${count} seeds, ${events} events, ${seconds.toFixed(1)} s, ${((seconds * 1000) / count).toFixed(1)} ms a seed`,
);
for (const [mark, times] of [...marks].sort()) console.log(`  ${mark}: ${times}`);
