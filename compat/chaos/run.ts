/**
 * `npm run chaos`: real nodes behind proxies that break their links, processes that are killed, stopped, wiped and moved in
 * time, and clients on real sockets whose histories are checked by the same checkers as in the simulator.
 *
 * The seed repeats the choices of a run, not its timing: real processes are not deterministic.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { type OptionValues, readOptions } from '../harness/options.ts';
import { keepEvidence, removeFolder } from '../harness/process.ts';
import { freshSeed, seededRandom } from '../harness/random.ts';
import { seconds } from '../harness/report.ts';
import { FAULTS } from './faults/index.ts';
import { htmlReport } from './html-report.ts';
import { CROSSED_DURING_FAULTS, type RunResult, type RunSetup, runScenario } from './scenario-run.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { chart, summaryLine } from './text-report.ts';
import { TOTALS } from './workloads/spread-bank.ts';

const OPTIONS = {
  minutes: { default: 0, doc: 'length of the whole run; 0 = each scenario once for 15 s' },
  scenario: { default: '', doc: 'scenarios to run, separated by commas; none = all' },
  seconds: { default: 0, doc: 'length of a scenario; 0 = a fair share of the minutes, 10 to 60' },
  seed: { default: -1, doc: 'choices of faults and operations; -1 = a fresh one' },
  partitions: { default: 0, doc: 'over how many the keys are spread; 0 = one and eight in turn' },
  clients: { default: 3, doc: 'clients of each workload' },
  html: { default: '', doc: 'file to write a report into, as one page without anything else' },
  list: { default: false, doc: 'tell the scenarios and the faults, and end' },
} as const;

type Options = OptionValues<typeof OPTIONS>;

/** Of every second scenario. */
const PARTITIONS = 8;
const LENGTH_DEFAULT_MS = 15_000;
const LENGTH_MIN_MS = 12_000;
const LENGTH_MAX_MS = 60_000;
/** Of a scenario, beside its length: start, last reads, checks. */
const OVERHEAD_MS = 9_000;
/** By which `npm run compat` knows that nothing was tested. */
const SKIPPED_CODE = 3;

async function main(): Promise<void> {
  const options = readOptions('npm run chaos --', OPTIONS, process.argv.slice(2));
  if (options.list) return list();
  const seed = options.seed < 0 ? freshSeed() : options.seed;
  const scenarios = chosen(options, seed);
  console.log(`chaos: seed ${seed}, scenarios ${scenarios.map(({ name }) => name).join(', ')}`);
  const results: RunResult[] = [];
  const startMs = performance.now();
  const isOver = endOf(options, startMs);
  const lengthMs = lengthOf(options, scenarios.length);
  for (let round = 0; results.length === 0 || (options.minutes > 0 && !isOver(lengthMs)); round += 1) {
    for (const [index, scenario] of scenarios.entries()) {
      if (results.length > 0 && isOver(lengthMs)) break;
      // A single scenario with a given seed is a repetition: then it is the scenario's own.
      const isRepetition = options.seed >= 0 && scenarios.length === 1 && round === 0;
      const inTurn = (index + round) % 2 === 0 ? PARTITIONS : 1;
      const partitions = options.partitions > 0 ? options.partitions : inTurn;
      const ownSeed = isRepetition ? seed : seedOf(seed, scenario, round);
      results.push(await one({ scenario, seed: ownSeed, partitions, lengthMs, clientCount: options.clients }));
    }
  }
  const left = scenarios.filter((scenario) => results.every((result) => result.scenario !== scenario));
  tell(results, left, performance.now() - startMs);
  const idle = idleWorkloads(results);
  if (idle.length > 0) console.log(`NO EVIDENCE  nothing succeeded in the whole run of ${idle.join(', ')}`);
  const uncrossed = missingOfSeveralPartitions(results);
  for (const text of uncrossed) console.log(`NO EVIDENCE  ${text}`);
  if (options.html !== '') {
    mkdirSync(dirname(resolve(options.html)), { recursive: true });
    writeFileSync(options.html, htmlReport(results, seed));
    console.log(`report: ${resolve(options.html)}`);
  }
  const hasFailed = idle.length > 0 || uncrossed.length > 0 || results.some((result) => result.verdict === 'failed');
  const hasRun = results.some((result) => result.verdict === 'passed');
  process.exit(hasFailed ? 1 : hasRun ? 0 : SKIPPED_CODE);
}

function list(): void {
  for (const { name, nodes, faults } of SCENARIOS)
    console.log(`${name.padEnd(14)} ${nodes} nodes: ${faults.join(', ')}`);
  console.log();
  for (const { name, doc } of FAULTS) console.log(`${name.padEnd(18)} ${doc}`);
}

/** All of them begin at a place that the seed chooses, so that short runs get to each in time. */
function chosen(options: Options, seed: number): readonly Scenario[] {
  const first = options.minutes === 0 ? 0 : seed % SCENARIOS.length;
  if (options.scenario === '') return [...SCENARIOS.slice(first), ...SCENARIOS.slice(0, first)];
  return options.scenario.split(',').map((name) => {
    const scenario = SCENARIOS.find((candidate) => candidate.name === name);
    if (scenario === undefined) throw new Error(`no scenario is named ${name}; --list tells them`);
    return scenario;
  });
}

/** Whether another scenario of that length would end too late. */
function endOf({ minutes }: Options, startMs: number): (lengthMs: number) => boolean {
  const endMs = minutes === 0 ? Number.POSITIVE_INFINITY : startMs + minutes * 60_000;
  return (lengthMs) => performance.now() + lengthMs + OVERHEAD_MS > endMs;
}

function lengthOf({ seconds: wanted, minutes }: Options, count: number): number {
  if (wanted > 0) return wanted * 1000;
  if (minutes === 0) return LENGTH_DEFAULT_MS;
  return Math.min(LENGTH_MAX_MS, Math.max(LENGTH_MIN_MS, (minutes * 60_000) / count - OVERHEAD_MS));
}

function seedOf(seed: number, { name }: Scenario, round: number): number {
  return seededRandom(seed).fork(`${name} ${round}`).integer(0, 0x7fff_ffff);
}

async function one(setup: Omit<RunSetup, 'say'>): Promise<RunResult> {
  const { scenario, seed, partitions, lengthMs } = setup;
  const size = `${scenario.nodes} nodes${partitions > 1 ? `, ${partitions} partitions` : ''}`;
  console.log(`\n== ${scenario.name}: ${size}, ${seconds(lengthMs)}, seed ${seed}`);
  const result = await runScenario({ ...setup, say: (line) => console.log(line) });
  if (result.verdict !== 'skipped') console.log(chart(result));
  for (const text of result.violations.slice(0, 20)) console.log(`  VIOLATION  ${text}`);
  if (result.violations.length > 20) console.log(`  … and ${result.violations.length - 20} more`);
  if (result.verdict !== 'skipped') for (const text of result.missing) console.log(`  NO EVIDENCE  ${text}`);
  console.log(summaryLine(result));
  if (result.verdict === 'failed') keep(result, lengthMs);
  else if (result.folder !== null) removeFolder(result.folder);
  result.timeline.history.length = 0; // a night has many of them, and nobody asks again
  return result;
}

/** Logs, data and what happened stay; how to do it again is said. */
function keep(result: RunResult, lengthMs: number): void {
  const { scenario, seed, partitions, folder, timeline, violations, missing } = result;
  keepEvidence();
  if (folder !== null) {
    const { seconds: perSecond, faults, leaderChanges, troubles, errorLines } = timeline;
    const told = {
      scenario: scenario.name,
      seed,
      violations,
      missing,
      faults,
      leaderChanges,
      troubles,
      errorLines,
      perSecond,
    };
    writeFileSync(join(folder, 'timeline.json'), JSON.stringify(told, null, 1));
    writeFileSync(join(folder, 'history.jsonl'), timeline.history.map((line) => `${JSON.stringify(line)}\n`).join(''));
    console.log(`  logs, data, timeline.json and history.jsonl: ${folder}`);
  }
  console.log(
    `  again: npm run chaos -- --scenario ${scenario.name} --seed ${seed} --partitions ${partitions} --seconds ${Math.round(lengthMs / 1000)}`,
  );
}

/** One scenario may be too short for a workload to get anywhere; a run may not. */
function idleWorkloads(results: readonly RunResult[]): readonly string[] {
  const run = results.filter((result) => result.verdict === 'passed');
  const names = new Set(run.flatMap((result) => [...result.okByWorkload.keys()]));
  return [...names].filter((name) => run.every((result) => (result.okByWorkload.get(name) ?? 0) === 0));
}

/** What no scenario of several partitions has shown; nothing is missing if none has passed. */
function missingOfSeveralPartitions(results: readonly RunResult[]): readonly string[] {
  const run = results.filter(({ verdict, partitions }) => verdict === 'passed' && partitions > 1);
  if (run.length === 0) return [];
  const wanted = [CROSSED_DURING_FAULTS, ...TOTALS];
  return wanted
    .filter((mark) => run.every(({ marks }) => (marks.get(mark) ?? 0) === 0))
    .map((mark) => `no ${mark} in the whole run`);
}

function tell(results: readonly RunResult[], left: readonly Scenario[], tookMs: number): void {
  console.log('\n== chaos');
  for (const result of results) console.log(summaryLine(result));
  if (left.length > 0) console.log(`not run, for lack of time: ${left.map(({ name }) => name).join(', ')}`);
  const count = (verdict: RunResult['verdict']): number =>
    results.filter((result) => result.verdict === verdict).length;
  console.log(
    `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped in ${seconds(tookMs)}`,
  );
}

await main();
