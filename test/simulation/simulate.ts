/**
 * Runs simulated clusters by seed.
 *
 *   npm run simulate -- --seed 7              one seed; --seeds K for K seeds from there
 *   npm run simulate -- --minutes 10          fresh seeds for ten minutes, on two processes (--jobs); --seed N: from there
 *   --seed sources    a first seed that follows from the sources: another one for each state of them, the same for the same
 *   --shrink          makes the first failure smaller, for five minutes at most (--shrink-minutes)
 *   --with '{…}'      changes the profile that the seed draws: what a shrunk failure prints
 *   --profile quiet   one of the sizes that speed is measured with (quiet, dense) instead of what the seed draws
 *   --twice           each seed twice: equal seeds must make equal runs
 *   --trace           each line as it happens
 *
 * Exit codes: 1 a rule was broken, 2 no progress after the healing, 3 equal seeds made unequal runs, 4 the runs met too
 * little to prove anything. A failure prints all that is known and the command that replays it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SEEDS_FOR_EVIDENCE, missingEvidence } from './evidence.ts';
import { describeFailure } from './failure.ts';
import type { Profile } from './profile.ts';
import { type Report, runSeed, type RunOptions } from './run.ts';
import { shrink } from './shrink.ts';
import { SIZES } from './sizes.ts';
import { seedOfSources } from './source-seed.ts';

const EXIT = { violation: 1, noProgress: 2, nonDeterminism: 3, vacuous: 4 } as const;
const FRESH_SEED_MAX = 2 ** 31;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FAILURES_MAX = 5;
/** So few that each one's hash is told. */
const SEEDS_TOLD = 3;

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    stride: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    jobs: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    'shrink-minutes': { type: 'string', default: '5' },
    with: { type: 'string' },
    profile: { type: 'string' },
    twice: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
});

interface Summary {
  seeds: number;
  readonly failed: number[];
  events: number;
  simulatedMs: number;
  cpuMs: number;
  exitCode: number;
  readonly marks: Map<string, number>;
}

/** A summary between processes. */
type Told = Omit<Summary, 'marks'> & { readonly marks: readonly (readonly [string, number])[] };

function numberOf(name: 'seed' | 'seeds' | 'stride' | 'minutes' | 'jobs' | 'shrink-minutes'): number | undefined {
  const text = options[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`--${name} wants a number`);
  return value;
}

function changesOf(): (profile: Profile) => Profile {
  const size = options.profile === undefined ? {} : SIZES[options.profile];
  if (size === undefined) throw new RangeError(`--profile wants one of ${Object.keys(SIZES).join(' ')}`);
  const given = options.with === undefined ? {} : (JSON.parse(options.with) as Partial<Profile>);
  return (profile) => ({ ...profile, ...size, ...given });
}

async function runSeeds(first: number): Promise<Summary> {
  const minutes = numberOf('minutes');
  const seeds = numberOf('seeds') ?? (minutes === undefined ? 1 : Number.MAX_SAFE_INTEGER);
  const stride = numberOf('stride') ?? 1;
  const startedMs = performance.now();
  const run: RunOptions = {
    adjust: changesOf(),
    ...(options.trace ? { onTrace: (line: string) => console.log(line) } : {}),
  };
  const summary: Summary = {
    seeds: 0,
    failed: [],
    events: 0,
    simulatedMs: 0,
    cpuMs: 0,
    exitCode: 0,
    marks: new Map(),
  };
  for (let i = 0, seed = first; i < seeds; i++, seed += stride) {
    if (minutes !== undefined && performance.now() - startedMs > minutes * 60_000) break;
    const before = process.cpuUsage();
    const report = await runSeed(seed, run);
    summary.cpuMs += process.cpuUsage(before).user / 1_000;
    add(summary, report);
    if (seeds <= SEEDS_TOLD) console.log(`seed ${seed}: trace ${report.traceHash}, ${JSON.stringify(report.profile)}`);
    if (options.twice) await compare(report, run, summary);
    if (report.violations.length > 0) await tell(report, run, summary);
    if (summary.failed.length >= FAILURES_MAX) break;
  }
  return summary;
}

function add(summary: Summary, report: Report): void {
  summary.seeds++;
  summary.events += report.events;
  summary.simulatedMs += report.simulatedMs;
  for (const [mark, times] of report.marks) summary.marks.set(mark, (summary.marks.get(mark) ?? 0) + times);
}

async function compare(report: Report, run: RunOptions, summary: Summary): Promise<void> {
  const again = await runSeed(report.seed, run);
  if (again.traceHash === report.traceHash && again.events === report.events) return;
  summary.failed.push(report.seed);
  summary.exitCode = EXIT.nonDeterminism;
  const at = report.lines.findIndex((line, i) => line !== again.lines[i]);
  console.log(`seed ${report.seed} made two runs, ${report.traceHash} and ${again.traceHash}; they differ first here:`);
  console.log(`  ${report.lines[at] ?? '(the end)'}\n  ${again.lines[at] ?? '(the end)'}`);
}

async function tell(report: Report, run: RunOptions, summary: Summary): Promise<void> {
  summary.failed.push(report.seed);
  const isStuck = report.violations.every((text) => text.includes('no progress: '));
  summary.exitCode ||= isStuck ? EXIT.noProgress : EXIT.violation;
  const isFirst = summary.failed.length === 1;
  const untilMs = performance.now() + (numberOf('shrink-minutes') ?? 5) * 60_000;
  const { onTrace: _, ...silent } = run;
  const goesOn = (): boolean => performance.now() < untilMs;
  const shrunk = options.shrink && isFirst ? await shrink(report, { goesOn, run: silent }) : undefined;
  console.log(describeFailure(report, shrunk));
}

/** The same in several processes, each with every n-th seed. */
async function runJobs(first: number, jobs: number): Promise<Summary> {
  const given = process.argv
    .slice(2)
    .filter((word, i, words) => !/^--(seed|jobs)$/.test(word) && !/^--(seed|jobs)$/.test(words[i - 1] ?? ''));
  const children = Array.from({ length: jobs }, (_, i) =>
    fork(fileURLToPath(import.meta.url), [
      ...given,
      '--jobs',
      '1',
      '--seed',
      String(first + i),
      '--stride',
      String(jobs),
    ]),
  );
  const summaries = await Promise.all(children.map(summaryOf));
  const total: Summary = { seeds: 0, failed: [], events: 0, simulatedMs: 0, cpuMs: 0, exitCode: 0, marks: new Map() };
  for (const summary of summaries) {
    total.seeds += summary.seeds;
    total.failed.push(...summary.failed);
    total.events += summary.events;
    total.simulatedMs += summary.simulatedMs;
    total.cpuMs += summary.cpuMs;
    total.exitCode ||= summary.exitCode;
    for (const [mark, times] of summary.marks) total.marks.set(mark, (total.marks.get(mark) ?? 0) + times);
  }
  return total;
}

function summaryOf(child: ChildProcess): Promise<Told> {
  return new Promise((resolve, reject) => {
    child.once('message', (told) => resolve(told as Told));
    child.once('exit', (code) => reject(new Error(`a process ended with ${String(code)} before it told its result`)));
  });
}

function print(summary: Summary): void {
  const { seeds, failed, events, simulatedMs, cpuMs } = summary;
  for (const [mark, times] of [...summary.marks].sort()) console.log(`  ${mark}: ${times}`);
  console.log(
    `${seeds} seeds, ${failed.length} failed${failed.length > 0 ? ` (${failed.join(' ')})` : ''}; ` +
      `${(simulatedMs / 1000).toFixed(0)} s simulated in ${(cpuMs / 1000).toFixed(1)} s of one core ` +
      `(${(simulatedMs / cpuMs).toFixed(0)} times real time), ${events} events (${((events / cpuMs) * 1000).toFixed(0)} a second)`,
  );
}

const isFresh = options.seed === undefined && options.minutes !== undefined;
const isOfSources = options.seed === 'sources';
if (isOfSources) options.seed = String(seedOfSources(ROOT, FRESH_SEED_MAX));
const first = numberOf('seed') ?? (isFresh ? randomInt(FRESH_SEED_MAX) : 1);
const jobs = numberOf('jobs') ?? (isFresh ? 2 : 1);
if (isFresh || isOfSources) console.log(`fresh seeds from ${first} on`);
const summary = jobs > 1 ? await runJobs(first, jobs) : await runSeeds(first);
if (process.send !== undefined) {
  process.send({ ...summary, marks: [...summary.marks] } satisfies Told, () => process.exit(summary.exitCode));
} else {
  print(summary);
  const isDrawn = options.profile === undefined && options.with === undefined;
  const missing = isDrawn && summary.seeds >= SEEDS_FOR_EVIDENCE ? missingEvidence(summary.marks, summary.seeds) : [];
  for (const text of missing) console.log(`not enough: ${text}`);
  process.exitCode = summary.exitCode || (missing.length > 0 ? EXIT.vacuous : 0);
}
