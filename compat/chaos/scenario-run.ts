/**
 * One scenario from its first process to its verdict. It passes only if no rule is broken *and* it did its work: every
 * workload succeeded often enough, every kind of fault had an effect, leaders really changed.
 */
import { join } from 'node:path';

import { createWorkload } from '../../test/simulation/workloads/index.ts';
import { WORKLOADS } from '../../test/simulation/workloads/names.ts';
import type { Workload } from '../../test/simulation/workload.ts';
import { type KahunaCluster, type NodeSpecials, startKahuna } from '../harness/kahuna.ts';
import { type SeededRandom, seededRandom } from '../harness/random.ts';
import { seconds } from '../harness/report.ts';
import { findTool } from '../harness/tools.ts';
import { pause, within } from '../harness/wait.ts';
import { messageOf } from './client.ts';
import { Crossings } from './crossings.ts';
import { FakeClocks } from './fake-clocks.ts';
import { shuffled } from './faults/fault.ts';
import { Nemesis } from './nemesis.ts';
import { NodeLogs } from './node-logs.ts';
import { compareReplicas } from './replica-content.ts';
import { RATE_MAX, type Scenario } from './scenarios.ts';
import { SmallDisk } from './small-disk.ts';
import { DATA_GROUP } from './status.ts';
import { ChaosStage } from './stage.ts';
import { StallWatch } from './stall-watch.ts';
import { Timeline, unexcused } from './timeline.ts';
import { WatcherWorkload } from './watchers.ts';
import { SpreadBankWorkload } from './workloads/spread-bank.ts';

export interface RunSetup {
  readonly scenario: Scenario;
  readonly seed: number;
  /** How long faults strike, ms. */
  readonly lengthMs: number;
  /** Clients of each workload. */
  readonly clientCount: number;
  /** Over how many the keys are spread: with several, transactions and appends are taken across them. */
  readonly partitions: number;
  readonly say: (line: string) => void;
}

export interface RunResult {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly partitions: number;
  readonly verdict: 'passed' | 'failed' | 'skipped';
  readonly nodeNames: readonly string[];
  /** What chance drew for all nodes. */
  readonly args: readonly string[];
  readonly timeline: Timeline;
  /** Broken rules, in words. */
  readonly violations: readonly string[];
  /** What the run did not do, so that it proves nothing. */
  readonly missing: readonly string[];
  /** Evidence, by name. */
  readonly marks: ReadonlyMap<string, number>;
  /** Operations that ended well, by workload. */
  readonly okByWorkload: ReadonlyMap<string, number>;
  /** Where logs and data are; null if there are none, or nobody needs them. */
  readonly folder: string | null;
  /** The longest stretch between two answers while clients asked, ms: what faults cost those who could be served. */
  readonly longestSilenceMs: number;
  readonly tookMs: number;
}

/** Evidence of several partitions. */
const CROSSED = 'transactions across partitions';
export const CROSSED_DURING_FAULTS = 'transactions across partitions during faults';
/**
 * What a transaction waits for adds up over partitions, and so do their failovers; over links of 150 ms, or with five nodes on two
 * busy cores, those who stand in line for the same key need more than the 5 s that are enough for one partition.
 */
const PATIENCE = ['--command-timeout', '10s'];
const STEADY_MS = 1_000;
/** What a fault takes, more or less: none begins when less time is left. */
const FAULT_MS = 3_000;
/** Longest time for what clients have under way, and for their last reads. */
const END_TIMEOUT_MS = 60_000;
const THINK_MS = 60;
/** Acknowledged operations a second that a run must have seen, faults included. */
const OK_PER_SECOND_MIN = 40;
const SMALL_DISK_SIZE = '48m';
const SMALL_DISK_NODE = 'n3';

export async function runScenario(setup: RunSetup): Promise<RunResult> {
  const { scenario, seed } = setup;
  const library = findTool('libfaketime');
  if (scenario.clocks !== undefined && library === null) {
    return skipped(setup, 'libfaketime not found (Debian: apt-get install libfaketime)');
  }
  const random = seededRandom(seed);
  const clocks = scenario.clocks === undefined || library === null ? null : new FakeClocks(library, scenario.clocks);
  const args = [...drawArgs(scenario, random.fork('args')), ...(setup.partitions > 1 ? PATIENCE : [])];
  const disks = new Disks(scenario);
  const rates = random.fork('rates');
  let cluster: KahunaCluster;
  try {
    cluster = await startKahuna({
      nodes: scenario.nodes,
      partitions: setup.partitions,
      args,
      faultyNetwork: random.fork('network'),
      ofNode: (name, folder) =>
        clocks?.specialsOf(name, folder, 1 + (rates.float() * 2 - 1) * RATE_MAX) ?? disks.specialsOf(name, folder),
    });
  } catch (error) {
    disks.remove();
    if (disks.whyNot !== null) return skipped(setup, disks.whyNot);
    return { ...nothing(setup), verdict: 'failed', violations: [`the cluster did not start: ${messageOf(error)}`] };
  }
  let result: RunResult | null = null;
  try {
    const { disk } = disks;
    if (scenario.hasSmallDisk === true && disk === null) {
      await cluster.stop();
      return skipped(setup, disks.whyNot ?? 'no small file system');
    }
    result = await runOn(cluster, { ...setup, clocks, disk, args, random });
    return result;
  } finally {
    await Promise.all(cluster.nodes.filter((node) => node.isRunning).map((node) => node.kill()));
    await cluster.network?.close();
    if (result?.verdict !== 'passed') disks.disk?.keep(join(cluster.folder, `${SMALL_DISK_NODE}.kept`));
    disks.remove();
  }
}

/** The small disk of a scenario, if it has one and the machine lets us make it. */
class Disks {
  disk: SmallDisk | null = null;
  whyNot: string | null = null;
  readonly #isWanted: boolean;

  constructor({ hasSmallDisk = false }: Scenario) {
    this.#isWanted = hasSmallDisk;
  }

  specialsOf(name: string, folder: string): NodeSpecials {
    if (!this.#isWanted || name !== SMALL_DISK_NODE) return {};
    this.disk = SmallDisk.make(folder, name, SMALL_DISK_SIZE, (text) => {
      this.whyNot = `a small file system cannot be mounted (that needs root): ${text}`;
    });
    return this.disk === null ? {} : { dataFolder: this.disk.dataFolder };
  }

  remove(): void {
    this.disk?.remove();
  }
}

function nothing({ scenario, seed, partitions }: RunSetup): Omit<RunResult, 'verdict'> {
  const evidence = { missing: [], marks: new Map(), okByWorkload: new Map(), longestSilenceMs: 0 };
  const nobody = { nodeNames: [], args: [], folder: null, tookMs: 0 };
  return { scenario, seed, partitions, timeline: new Timeline(), violations: [], ...evidence, ...nobody };
}

function skipped(setup: RunSetup, why: string): RunResult {
  setup.say(`  SKIPPED: ${why}`);
  return { ...nothing(setup), verdict: 'skipped', missing: [why] };
}

/** What may be set this way or that without any promise changing. */
function drawArgs({ nodes, args = [] }: Scenario, random: SeededRandom): readonly string[] {
  return [
    ...['--replication-factor', String(nodes)],
    ...['--read-consistency', random.pick(['quorum', 'lease'])],
    // Little memory for the log: who was away for a moment needs a snapshot.
    ...random.pick([[], ['--log-memory-size', '1mb']]),
    ...random.pick([[], ['--checkpoint-interval', '1s']]),
    // What is held is kept in any case.
    ...random.pick([
      [],
      ['--version-retention', '10m'],
      ['--version-retention', '3s', '--version-retention-count', '4'],
    ]),
    ...args,
  ];
}

interface Prepared extends RunSetup {
  readonly clocks: FakeClocks | null;
  readonly disk: SmallDisk | null;
  readonly args: readonly string[];
  readonly random: SeededRandom;
}

async function runOn(cluster: KahunaCluster, setup: Prepared): Promise<RunResult> {
  const { scenario, random, clocks, disk, say } = setup;
  const { network } = cluster;
  if (network === null) throw new Error('chaos needs proxies between the nodes');
  const timeline = new Timeline();
  const stage = new ChaosStage({
    endpoints: cluster.endpoints,
    load: { clientCount: setup.clientCount, thinkMs: THINK_MS, readChance: 0.4 },
    seed: setup.seed,
    timeline,
    replicaCount: scenario.nodes,
    clocks: { drift: clocks?.kind === 'rates' ? RATE_MAX : 0, areSteppedByFaults: clocks?.kind === 'steps' },
  });
  const logs = new NodeLogs(cluster.nodes, timeline);
  const crossings = new Crossings(cluster, timeline);
  const stalls = new StallWatch(timeline);
  const following = Promise.all([logs.follow(), crossings.follow(), stalls.follow()]);
  const shared = WORKLOADS.map((name) => createWorkload(name, stage));
  const workloads: readonly Workload[] = [...shared, new WatcherWorkload(stage), new SpreadBankWorkload(stage)];
  const nemesis = new Nemesis({ cluster, network, random: random.fork('nemesis'), clocks, disk }, timeline, say);
  const failures: string[] = [];
  const clients = workloads.flatMap((workload) => workload.start());
  await trying(failures, () => strikeFor(setup, timeline, nemesis, random.fork('order')));
  stage.isStopping = true;
  timeline.loadEndMs = timeline.nowMs();
  network.heal();
  await trying(failures, async () => {
    await within('clients to end', END_TIMEOUT_MS, Promise.all(clients));
    await cluster.untilAllReady();
  });
  // What could not be read in the end cannot be judged: that alone is a failure, and the rest would be noise.
  const finished: Workload[] = [];
  const lastReads = workloads.map((workload) =>
    trying(failures, async () => {
      await within(`the last reads of ${workload.name}`, END_TIMEOUT_MS, workload.finish());
      finished.push(workload);
    }),
  );
  await Promise.all(lastReads);
  if (failures.length === 0) {
    await trying(failures, async () => {
      const { differences, recordCount } = await compareReplicas(cluster);
      failures.push(...differences.map((text) => `replicas differ: ${text}`));
      stage.mark('records compared', recordCount);
    });
  }
  logs.stop();
  crossings.stop();
  stalls.stop();
  await following;
  for (const { startMs, endMs } of timeline.stalls)
    say(`  ${seconds(startMs)}  this machine, or this process, stood still for ${seconds(endMs - startMs)}`);
  if (setup.partitions > 1) {
    stage.mark(CROSSED, crossings.committed);
    stage.mark(CROSSED_DURING_FAULTS, crossings.committedDuringFaults);
  }
  logs.look();
  const violations = [...failures, ...brokenRules({ scenario, stage, workloads: finished, timeline })];
  const missing = violations.length > 0 ? [] : missingEvidence({ ...setup, timeline, marks: stage.marks });
  for (const [message, count] of logs.messages) stage.mark(`log: ${message}`, count);
  return {
    scenario,
    seed: setup.seed,
    partitions: setup.partitions,
    verdict: violations.length === 0 && missing.length === 0 ? 'passed' : 'failed',
    nodeNames: cluster.nodes.map((node) => node.name),
    args: setup.args,
    timeline,
    violations,
    missing,
    marks: stage.marks,
    okByWorkload: new Map(workloads.map(({ name, okCount }) => [name, okCount])),
    folder: cluster.folder,
    longestSilenceMs: longestSilenceMs(timeline),
    tookMs: timeline.nowMs(),
  };
}

/** A cluster that does not come back is a finding like any other. */
async function trying(failures: string[], act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
    failures.push(`${messageOf(error)}${cause}`);
  }
}

async function strikeFor(
  { scenario, lengthMs }: RunSetup,
  timeline: Timeline,
  nemesis: Nemesis,
  random: SeededRandom,
): Promise<void> {
  await pause(STEADY_MS);
  let left: string[] = [];
  do {
    if (left.length === 0) left = shuffled(scenario.faults, random);
    const name = left.pop();
    if (name !== undefined) await nemesis.strike(name);
    await pause(STEADY_MS);
  } while (timeline.nowMs() + FAULT_MS < lengthMs);
}

interface Judged {
  readonly scenario: Scenario;
  readonly workloads: readonly Workload[];
  readonly timeline: Timeline;
}

function brokenRules({
  scenario,
  stage,
  workloads,
  timeline,
}: Judged & { readonly stage: ChaosStage }): readonly string[] {
  const troubles = unexcused(timeline.troubles, timeline);
  return [
    ...stage.violations,
    ...workloads.flatMap((workload) => workload.check().map((text) => `${workload.name}: ${text}`)),
    ...troubles.map(
      ({ client, node, what, outcome, error, startMs, endMs }) =>
        `a client of a living node saw an error: ${client} at ${node}, ${(startMs / 1000).toFixed(2)}-${(endMs / 1000).toFixed(2)} s, ${what}: ${outcome}: ${error}`,
    ),
    // A full disk is told as an error, as it should be.
    ...(scenario.hasSmallDisk === true ? [] : timeline.errorLines.map((line) => `a node logged an error: ${line}`)),
  ];
}

/** A run that did not do the work proves nothing. */
function missingEvidence({
  scenario,
  timeline,
  lengthMs,
  partitions,
  marks,
}: RunSetup & { readonly timeline: Timeline; readonly marks: ReadonlyMap<string, number> }): readonly string[] {
  const missing: string[] = [];
  const ok = timeline.count('ok');
  const okMin = Math.round((lengthMs / 1000) * OK_PER_SECOND_MIN);
  if (ok < okMin) missing.push(`only ${ok} operations succeeded, ${okMin} are needed`);
  if (timeline.faults.length === 0) missing.push('no fault was injected');
  for (const name of new Set(timeline.faults.map((fault) => fault.name))) {
    const isVain = timeline.faults.every((fault) => fault.name !== name || fault.effect === null);
    if (isVain) missing.push(`the fault ${name} never had an effect`);
  }
  if ((marks.get('records compared') ?? 0) === 0) missing.push('no replicas were compared');
  if (partitions > 1 && (marks.get(CROSSED) ?? 0) === 0) missing.push('nothing was committed across partitions');
  const changes = dataLeaders(timeline).length - 1;
  if (changes < scenario.leaderChangesMin)
    missing.push(`${changes} leader changes, ${scenario.leaderChangesMin} are needed`);
  return missing;
}

/** Leaders of the partition that holds the data, or, of several, of the one whose leader is aimed at. */
export function dataLeaders(timeline: Timeline): Timeline['leaderChanges'] {
  return timeline.leaderChanges.filter((change) => change.group === DATA_GROUP);
}

function longestSilenceMs({ history, loadEndMs }: Timeline): number {
  let longest = 0;
  let previousMs = history[0]?.endMs ?? 0;
  for (const { endMs, outcome } of history) {
    if (outcome !== 'ok') continue;
    if (endMs > loadEndMs) break;
    longest = Math.max(longest, endMs - previousMs);
    previousMs = endMs;
  }
  return longest;
}
