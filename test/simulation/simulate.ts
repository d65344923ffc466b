/**
 * Runs simulated clusters by seed:  npm run simulate -- --seed N [--seeds K] [--minutes M] [--trace]
 * Exit code 1 if a rule was broken. A failing seed prints its last lines and the command that replays it.
 */
import { runSeed } from './run.ts';

const LINES = 60;

function option(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  const value = at < 0 ? fallback : Number(process.argv[at + 1]);
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`--${name} wants a number`);
  return value;
}

const first = option('seed', 1);
const minutes = option('minutes', 0);
const seeds = option('seeds', minutes > 0 ? Number.MAX_SAFE_INTEGER : 1);
const isTraced = process.argv.includes('--trace');
const started = performance.now();
const marks = new Map<string, number>();
const failed: number[] = [];
let count = 0;
let events = 0;
let simulatedMs = 0;

for (let seed = first; seed < first + seeds; seed++) {
  if (minutes > 0 && performance.now() - started > minutes * 60_000) break;
  const report = await runSeed(seed, isTraced ? { onTrace: (line) => console.log(line) } : {});
  count++;
  events += report.events;
  simulatedMs += report.simulatedMs;
  for (const [mark, times] of report.marks) marks.set(mark, (marks.get(mark) ?? 0) + times);
  if (seeds === 1) console.log(`seed ${seed}: trace ${report.traceHash}, ${JSON.stringify(report.profile)}`);
  if (report.violations.length === 0) continue;
  failed.push(seed);
  process.exitCode = 1;
  if (!isTraced) console.log(report.lines.slice(-LINES).join('\n'));
  console.log(`seed ${seed} broke ${report.violations.length} rules:\n  ${report.violations.join('\n  ')}`);
  console.log(`  ${JSON.stringify(report.profile)}`);
  console.log(`replay: npm run simulate -- --seed ${seed} --trace`);
}

const seconds = (performance.now() - started) / 1000;
console.log(
  `${count} seeds, ${failed.length} failed${failed.length > 0 ? ` (${failed.join(' ')})` : ''}; ` +
    `${(simulatedMs / 1000).toFixed(0)} s simulated in ${seconds.toFixed(1)} s, ${events} events`,
);
for (const [mark, times] of [...marks].sort()) console.log(`  ${mark}: ${times}`);
