/**
 * `npm run bench`: Kahuna, one node and three, beside Redis with `appendfsync always` and a three-node etcd, in one
 * run on one machine. Rounds alternate between the contestants, so that a machine that changes its speed changes it
 * for all; medians over the rounds are compared with the floors and aims of goals.ts.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';

import type { Deployment, Endpoint } from '../harness/deployment.ts';
import { type KahunaCluster, PROJECT_FOLDER, startKahuna } from '../harness/kahuna.ts';
import { type OptionValues, readOptions } from '../harness/options.ts';
import { startRedis } from '../harness/redis.ts';
import { median, seconds, table } from '../harness/report.ts';
import { findTool, findToolOrSay } from '../harness/tools.ts';
import { measureEtcd } from './etcd.ts';
import {
  ALL_LOADS,
  type Contestant,
  CONTESTANTS,
  FAILOVER_GOAL,
  idOf,
  type LimitGoal,
  loadId,
  type Measurement,
  measurementsOf,
  MEMORY_GOAL,
  RATIO_GOALS,
  RESTART_GOAL,
} from './goals.ts';
import { fillKeys, type Load, LoadGenerator, type Operation, type Rate } from './load.ts';
import { profile } from './profile.ts';
import { measureFailover, measureMemory, measureRestart } from './scenarios.ts';

const OPTIONS = {
  quick: { default: false, doc: 'one short round, only what the goals need, no etcd, fewer keys: for a first look' },
  rounds: { default: 3, doc: 'alternating rounds; the median counts' },
  seconds: { default: 5, doc: 'length of one measurement' },
  match: { default: '', doc: 'only goals and measurements whose name contains this (SET, "1 node", P16, restart …)' },
  keys: { default: 1_000_000, doc: 'keys for restart and memory' },
  kills: { default: 5, doc: 'leader kills for the failover time' },
  'etcd-rate': {
    default: 0,
    doc: 'writes/s of etcd from an earlier run on this machine, instead of the minute it takes',
  },
  'no-kahuna': { default: false, doc: 'only Redis and etcd: the yardsticks of this machine' },
  profile: { default: '', doc: 'profile a node under one load instead: set, get, incr or evalsha' },
  clients: { default: 50, doc: 'for --profile' },
  pipeline: { default: 16, doc: 'for --profile' },
  nodes: { default: 1, doc: 'for --profile: 1 or 3' },
  out: { default: join(PROJECT_FOLDER, 'compat/bench/out'), doc: 'folder for the JSON and the profiles' },
} as const;

type Options = OptionValues<typeof OPTIONS>;

interface Row {
  readonly what: string;
  readonly value: string;
  readonly ratio: number | null;
  readonly floor: string;
  readonly aim: string;
  readonly verdict: 'aim' | 'floor' | 'MISSED' | 'not measured';
}

async function main(): Promise<void> {
  const options = readOptions('npm run bench --', OPTIONS, process.argv.slice(2));
  const binary = findToolOrSay('redis-benchmark', 'every benchmark');
  if (binary === null) process.exit(3);
  if (options.profile !== '') {
    await profileOnly(options, binary);
    process.exit(0);
  }
  const [load1 = 0] = loadavg();
  if (load1 > 0.5) console.log(`NOTE: the machine is busy (load ${load1.toFixed(1)}); figures will be low and uneven`);
  const rates = await measureRates(options, binary);
  const etcd = await etcdRate(options);
  const rows = ratioRows(options, rates, etcd);
  if (!options['no-kahuna']) rows.push(...(await limitRows(options)));
  console.log(`\n${rateTable(rates)}`);
  if (etcd !== null) console.log(`\netcd, three nodes, etcdctl check perf --load=l: ${etcd} writes/s`);
  const goals = table(
    ['goal', 'measured', 'floor', 'aim', 'reached'],
    rows.map((row) => [row.what, row.value, row.floor, row.aim, row.verdict]),
  );
  console.log(`\n${goals}`);
  writeJson(options, { rates, etcd, rows });
  process.exit(rows.some((row) => row.verdict === 'MISSED') ? 1 : 0);
}

async function profileOnly(options: Options, binary: string): Promise<void> {
  const operation = options.profile.toUpperCase();
  if (!isOperation(operation)) throw new Error(`--profile ${options.profile}: not set, get, incr or evalsha`);
  const load: Load = { operation, clients: options.clients, pipeline: options.pipeline };
  const nodes = options.nodes === 3 ? 3 : 1;
  await profile({ load, nodes, seconds: options.seconds, binary, outFolder: options.out });
}

function isOperation(text: string): text is Operation {
  return ['SET', 'GET', 'INCR', 'EVALSHA'].includes(text);
}

/** Rates of each measurement, one a round. */
type Rates = ReadonlyMap<string, readonly Rate[]>;

async function measureRates(options: Options, binary: string): Promise<Rates> {
  const wanted = wantedMeasurements(options);
  const rates = new Map<string, Rate[]>();
  if (wanted.length === 0) return rates;
  const servers = await startContestants(new Set(wanted.map(({ contestant }) => contestant)));
  const generator = new LoadGenerator(binary, options.quick ? 1.5 : options.seconds);
  try {
    await fillAll(servers);
    for (const load of loadsOf(wanted)) {
      for (let round = 0; round < (options.quick ? 1 : options.rounds); round += 1) {
        for (const { contestant } of wanted.filter((measurement) => loadId(measurement.load) === loadId(load))) {
          const endpoint = await servers.endpointOf(contestant);
          if (endpoint === null) continue;
          const rate = await generator.measure(endpoint, load);
          const id = idOf({ contestant, load });
          rates.set(id, [...(rates.get(id) ?? []), rate]);
          console.log(
            `round ${round + 1}  ${id.padEnd(34)} ${Math.round(rate.rps).toString().padStart(8)}/s  p50 ${rate.p50Ms} ms  p99 ${rate.p99Ms} ms`,
          );
        }
      }
      // EVALSHA empties the databases; GET needs its keys.
      if (load.operation === 'EVALSHA') await fillAll(servers);
    }
  } finally {
    await servers.stop();
  }
  return rates;
}

function wantedMeasurements(options: Options): Measurement[] {
  const forGoals = measurementsOf(
    RATIO_GOALS.filter((goal) => goal.what.includes(options.match) || idOf(goal.of).includes(options.match)),
  );
  const others = options.quick
    ? []
    : CONTESTANTS.flatMap((contestant) => ALL_LOADS.map((load) => ({ contestant, load }))).filter((measurement) =>
        idOf(measurement).includes(options.match),
      );
  const byId = new Map([...forGoals, ...others].map((measurement) => [idOf(measurement), measurement]));
  return [...byId.values()].filter(({ contestant }) => !options['no-kahuna'] || contestant === 'redis');
}

function loadsOf(measurements: readonly Measurement[]): Load[] {
  return [...new Map(measurements.map(({ load }) => [loadId(load), load])).values()];
}

interface Contestants {
  readonly deployments: readonly Deployment[];
  /** Where a measurement connects to, asked before each: leadership may have moved. Null if it was not started. */
  endpointOf(contestant: Contestant): Promise<Endpoint | null>;
  stop(): Promise<void>;
}

async function fillAll({ deployments }: Contestants): Promise<void> {
  for (const { endpoints } of deployments) if (endpoints[0] !== undefined) await fillKeys(endpoints[0]);
}

async function startContestants(wanted: ReadonlySet<Contestant>): Promise<Contestants> {
  const deployments: Deployment[] = [];
  const single = new Map<Contestant, Endpoint>();
  let cluster: KahunaCluster | null = null;
  if (wanted.has('redis')) {
    const binary = findTool('redis-server');
    if (binary === null) throw new Error('redis-benchmark is here, but redis-server is not');
    const redis = await startRedis({ binary, durable: true });
    deployments.push(redis);
    if (redis.endpoints[0] !== undefined) single.set('redis', redis.endpoints[0]);
  }
  if (wanted.has('kahuna-1')) {
    const alone = await startKahuna({ nodes: 1 });
    deployments.push(alone);
    if (alone.endpoints[0] !== undefined) single.set('kahuna-1', alone.endpoints[0]);
  }
  if (wanted.has('kahuna-3 leader') || wanted.has('kahuna-3 follower')) {
    cluster = await startKahuna({ nodes: 3 });
    deployments.push(cluster);
  }
  return {
    deployments,
    async endpointOf(contestant) {
      const alone = single.get(contestant);
      if (alone !== undefined || cluster === null) return alone ?? null;
      const leader = await cluster.untilLeader('key:000000000000');
      if (contestant === 'kahuna-3 leader') return leader.endpoint;
      return cluster.nodes.find((node) => node !== leader)?.endpoint ?? null;
    },
    async stop() {
      for (const deployment of deployments) await deployment.stop();
    },
  };
}

async function etcdRate(options: Options): Promise<number | null> {
  if (options['etcd-rate'] > 0) return options['etcd-rate'];
  if (options.quick || !'etcd 3 nodes SET'.includes(options.match)) return null;
  console.log('etcdctl check perf --load=l (one minute) …');
  return (await measureEtcd())?.writesPerSecond ?? null;
}

function ratioRows(options: Options, rates: Rates, etcd: number | null): Row[] {
  const rateOf = (measurement: Measurement): number | null => {
    const found = rates.get(idOf(measurement));
    return found === undefined ? null : median(found.map(({ rps }) => rps));
  };
  return RATIO_GOALS.filter((goal) => goal.what.includes(options.match) || idOf(goal.of).includes(options.match)).map(
    (goal) => {
      const [own, other] = [rateOf(goal.of), goal.against === 'etcd' ? etcd : rateOf(goal.against)];
      const ratio = own === null || other === null ? null : own / other;
      return {
        what: goal.what,
        ratio,
        value:
          ratio === null || own === null || other === null
            ? ''
            : `${ratio.toFixed(2)} × (${Math.round(own)} / ${Math.round(other)})`,
        floor: `${goal.floor} ×`,
        aim: `${goal.aim} ×`,
        verdict: ratio === null ? 'not measured' : ratio >= goal.aim ? 'aim' : ratio >= goal.floor ? 'floor' : 'MISSED',
      };
    },
  );
}

async function limitRows(options: Options): Promise<Row[]> {
  const rows: Row[] = [];
  const keys = options.quick ? Math.min(options.keys, 200_000) : options.keys;
  const wanted = (goal: LimitGoal): boolean => goal.what.includes(options.match);
  if (wanted(FAILOVER_GOAL)) {
    const { outagesMs, errors } = await measureFailover(options.quick ? 2 : options.kills);
    const all = outagesMs.map((ms) => seconds(ms)).join(', ');
    const row = limitRow(
      FAILOVER_GOAL,
      median(outagesMs) / 1000,
      `of ${all}; ${errors.length} errors through survivors`,
    );
    for (const error of errors.slice(0, 5)) console.log(`  error through a survivor: ${error}`);
    rows.push(errors.length === 0 ? row : { ...row, verdict: 'MISSED' });
  }
  if (wanted(RESTART_GOAL)) {
    const { afterSigtermMs, afterKillMs } = await measureRestart(keys);
    const note = `after SIGTERM ${seconds(afterSigtermMs)}, after kill -9 ${seconds(afterKillMs)}${keys === 1_000_000 ? '' : `, only ${keys} keys`}`;
    rows.push(limitRow(RESTART_GOAL, Math.max(afterSigtermMs, afterKillMs) / 1000, note));
  }
  if (wanted(MEMORY_GOAL)) {
    const memory = await measureMemory(keys);
    const note = `peak ${Math.round(memory.peakBytes / 1e6)} MB${keys === 1_000_000 ? '' : `, only ${keys} keys`}`;
    rows.push(limitRow(MEMORY_GOAL, memory.residentBytes / 1e6, note));
  }
  return rows;
}

function limitRow(goal: LimitGoal, value: number, note: string): Row {
  const digits = goal.unit === 's' ? 2 : 0;
  return {
    what: goal.what,
    ratio: null,
    value: `${value.toFixed(digits)} ${goal.unit} (${note})`,
    floor: `≤ ${goal.floor} ${goal.unit}`,
    aim: `≤ ${goal.aim} ${goal.unit}`,
    verdict: value <= goal.aim ? 'aim' : value <= goal.floor ? 'floor' : 'MISSED',
  };
}

function rateTable(rates: Rates): string {
  const rows = [...rates].map(([id, found]) => [
    id,
    String(Math.round(median(found.map(({ rps }) => rps)))),
    found.map(({ rps }) => Math.round(rps)).join(' '),
    median(found.map(({ p50Ms }) => p50Ms)).toFixed(2),
    median(found.map(({ p99Ms }) => p99Ms)).toFixed(2),
    found[0]?.hitShare === null || found[0] === undefined
      ? ''
      : `${Math.round(found[0].hitShare * 100)} % deleted their key`,
  ]);
  return table(['measurement', 'median/s', 'rounds', 'p50 ms', 'p99 ms', ''], rows);
}

function writeJson(
  options: Options,
  result: { readonly rates: Rates; readonly etcd: number | null; readonly rows: readonly Row[] },
): void {
  mkdirSync(options.out, { recursive: true });
  const path = join(options.out, `bench-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`);
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version };
  const record = { machine, options, rates: Object.fromEntries(result.rates), etcd: result.etcd, goals: result.rows };
  writeFileSync(path, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`\nwritten to ${path}`);
}

await main();
