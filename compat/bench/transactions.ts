/**
 * `npm run bench:transactions`: transactions across partitions beside plain commands, on one cluster of three nodes with
 * eight partitions, in rounds that alternate. Ratios count, not figures: clients and nodes share the machine.
 */
import { connect, type Socket } from 'node:net';
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

import { ReplyDecoder } from '../../src/resp/decode.ts';
import { ErrorReply, type Reply } from '../../src/resp/reply.ts';
import type { Endpoint } from '../harness/deployment.ts';
import { type KahunaCluster, PROJECT_FOLDER, startKahuna } from '../harness/kahuna.ts';
import { readOptions } from '../harness/options.ts';
import { median, table } from '../harness/report.ts';

const OPTIONS = {
  rounds: { default: 3, doc: 'alternating rounds; the median counts' },
  seconds: { default: 5, doc: 'length of one measurement' },
  warmup: { default: 10, doc: 'seconds of each load before anything is measured: until code is compiled' },
  clients: { default: 50, doc: 'connections' },
  kills: { default: 3, doc: 'coordinators killed, for the time until their locks are gone' },
  match: { default: '', doc: 'only loads whose name contains this' },
  out: { default: join(PROJECT_FOLDER, 'compat/bench/out'), doc: 'folder for the JSON' },
} as const;

const KEYS = 100_000;
/** Set in one pipeline while the keys are filled. */
const FILL_KEYS = 500;
const VALUE = 'x'.repeat(64);

type Request = readonly string[];

/** A connection that awaits each answer, or those of a pipeline. */
class Client {
  readonly #socket: Socket;
  readonly #decoder = new ReplyDecoder();
  #replies: Reply[] = [];
  #wanted = 0;
  #resolve: ((replies: readonly Reply[]) => void) | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#replies.push(...this.#decoder.push(chunk));
      if (this.#replies.length < this.#wanted || this.#resolve === null) return;
      const resolve = this.#resolve;
      this.#resolve = null;
      resolve(this.#replies.splice(0, this.#wanted));
    });
    const lost = (): void => {
      this.#resolve?.([new ErrorReply('CLOSED')]);
      this.#resolve = null;
    };
    socket.on('error', lost);
    socket.on('close', lost);
  }

  static open({ host, port }: Endpoint): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port }, () => {
        resolve(new Client(socket));
      });
      socket.once('error', reject);
    });
  }

  call(...requests: readonly Request[]): Promise<readonly Reply[]> {
    this.#wanted = requests.length;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#socket.write(requests.map(encoded).join(''), 'latin1');
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

function encoded(request: Request): string {
  return `*${request.length}\r\n${request.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}

/** One operation of client `i`; false if it ended in a conflict. */
type Operation = (client: Client, i: number) => Promise<boolean>;

const key = (): string => `key:${Math.floor(Math.random() * KEYS)}`;

async function done(client: Client, ...requests: readonly Request[]): Promise<boolean> {
  const error = (await client.call(...requests)).find((reply) => reply instanceof ErrorReply);
  if (error instanceof ErrorReply && !error.text.startsWith('CONFLICT')) throw new Error(error.text);
  return error === undefined;
}

const LOADS: Readonly<Record<string, Operation>> = {
  SET: (client) => done(client, ['SET', key(), VALUE]),
  GET: (client) => done(client, ['GET', key()]),
  'MULTI SET SET EXEC': (client) => done(client, ['MULTI'], ['SET', key(), VALUE], ['SET', key(), VALUE], ['EXEC']),
  'MGET of 10': (client) => done(client, ['MGET', ...Array.from({ length: 10 }, key)]),
  'MULTI INCR hot INCR own EXEC': (client, i) =>
    done(client, ['MULTI'], ['INCR', 'hot'], ['INCR', `own:${i}`], ['EXEC']),
  'KAHUNA.TX 2 reads 2 writes': async (client) => {
    const [a, b] = [key(), key()];
    for (const request of [
      ['KAHUNA.TX', 'BEGIN'],
      ['GET', a],
      ['GET', b],
      ['SET', a, VALUE],
      ['SET', b, VALUE],
    ]) {
      if (await done(client, request)) continue;
      await done(client, ['KAHUNA.TX', 'ROLLBACK']);
      return false;
    }
    return done(client, ['KAHUNA.TX', 'COMMIT']);
  },
};

interface Measured {
  readonly perSecond: number;
  readonly p99Ms: number;
  readonly conflicts: number;
  /** Operations of the client that had fewest. */
  readonly least: number;
}

async function measure(endpoints: readonly Endpoint[], operation: Operation, options: Sizes): Promise<Measured> {
  const clients = await Promise.all(
    Array.from({ length: options.clients }, (_, i) => Client.open(endpoints[i % endpoints.length] as Endpoint)),
  );
  const latencies: number[] = [];
  const counts = new Array<number>(clients.length).fill(0);
  let conflicts = 0;
  const startMs = performance.now();
  const endMs = startMs + options.seconds * 1_000;
  await Promise.all(
    clients.map(async (client, i) => {
      for (let now = startMs; now < endMs; ) {
        const isDone = await operation(client, i);
        const after = performance.now();
        latencies.push(after - now);
        now = after;
        if (isDone) counts[i] = (counts[i] ?? 0) + 1;
        else conflicts++;
      }
    }),
  );
  const tookMs = performance.now() - startMs;
  for (const client of clients) client.close();
  latencies.sort((a, b) => a - b);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return {
    perSecond: (total * 1_000) / tookMs,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    conflicts: conflicts / Math.max(1, total + conflicts),
    least: Math.min(...counts),
  };
}

/** Every key holds a value before anything is measured. */
async function fill(endpoint: Endpoint): Promise<void> {
  const client = await Client.open(endpoint);
  for (let first = 0; first < KEYS; first += FILL_KEYS) {
    const sets = Array.from({ length: FILL_KEYS }, (_, i): Request => ['SET', `key:${first + i}`, VALUE]);
    await done(client, ...sets);
  }
  client.close();
}

interface Sizes {
  readonly clients: number;
  readonly seconds: number;
}

/** Kills a node that coordinates, and asks every key for a write through another: how long the slowest took. */
async function measureDeadCoordinator(cluster: KahunaCluster, clients: number): Promise<number> {
  const [victim, survivor] = [cluster.nodes[2], cluster.nodes[0]];
  if (victim === undefined || survivor === undefined) throw new Error('three nodes are there');
  const keys = Array.from({ length: 200 }, (_, i) => `dead:${i}`);
  const pick = (): string => keys[Math.floor(Math.random() * keys.length)] as string;
  const busy = await Promise.all(Array.from({ length: clients }, () => Client.open(victim.endpoint)));
  let isOver = false;
  const loops = busy.map(async (client) => {
    while (!isOver) {
      const [first] = await client.call(['MULTI'], ['INCR', pick()], ['INCR', pick()], ['EXEC']);
      if (first instanceof ErrorReply) return;
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const writers = await Promise.all(keys.map(() => Client.open(survivor.endpoint)));
  const killedMs = performance.now();
  await victim.kill();
  let lastMs = 0;
  await Promise.all(
    keys.map(async (name, i) => {
      const [reply] = await (writers[i] as Client).call(['SET', name, '1']);
      if (reply instanceof ErrorReply) throw new Error(reply.text);
      lastMs = Math.max(lastMs, performance.now() - killedMs);
    }),
  );
  isOver = true;
  await Promise.all(loops);
  for (const client of [...busy, ...writers]) client.close();
  victim.start();
  await cluster.untilAllReady();
  return lastMs;
}

async function main(): Promise<void> {
  const options = readOptions('npm run bench:transactions --', OPTIONS, process.argv.slice(2));
  const [load = 0] = loadavg();
  if (load > 0.5) console.log(`NOTE: the machine is busy (load ${load.toFixed(1)}); figures will be low and uneven`);
  const cluster = await startKahuna({ nodes: 3, args: ['--partitions', '8'] });
  const measured = new Map<string, Measured[]>();
  let deadMs: number[] = [];
  try {
    // Leaders move to where they are preferred within a few seconds.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    const endpoints = cluster.nodes.map(({ endpoint }) => endpoint);
    await fill(endpoints[0] as Endpoint);
    const loads = Object.entries(LOADS).filter(([name]) => name.includes(options.match));
    for (const [, operation] of loads) await measure(endpoints, operation, { ...options, seconds: options.warmup });
    for (let round = 0; round < options.rounds; round++) {
      for (const [name, operation] of loads) {
        const result = await measure(endpoints, operation, options);
        measured.set(name, [...(measured.get(name) ?? []), result]);
      }
    }
    for (let i = 0; i < options.kills; i++)
      deadMs = [...deadMs, await measureDeadCoordinator(cluster, options.clients)];
  } finally {
    await cluster.stop();
  }
  report(measured, deadMs, options.out);
}

/** What is compared with what, and the least ratio. */
const RATIOS = [
  { name: 'MULTI SET SET EXEC', to: 'SET', least: 0.25 },
  { name: 'MGET of 10', to: 'GET', least: 0.4 },
] as const;

function report(measured: ReadonlyMap<string, readonly Measured[]>, deadMs: readonly number[], out: string): void {
  const of = (name: string, what: (one: Measured) => number): number => median((measured.get(name) ?? []).map(what));
  const rows = [...measured.keys()].map((name) => [
    name,
    of(name, ({ perSecond }) => perSecond).toFixed(0),
    of(name, ({ p99Ms }) => p99Ms).toFixed(1),
    `${(of(name, ({ conflicts }) => conflicts) * 100).toFixed(2)} %`,
    of(name, ({ least }) => least).toFixed(0),
  ]);
  console.log(`\n${table(['load', 'per second', 'p99 ms', 'conflicts', 'fewest of a client'], rows)}`);
  for (const { name, to, least } of RATIOS) {
    if (!measured.has(name) || !measured.has(to)) continue;
    const ratio = of(name, ({ perSecond }) => perSecond) / of(to, ({ perSecond }) => perSecond);
    const p99 = of(name, ({ p99Ms }) => p99Ms) / of(to, ({ p99Ms }) => p99Ms);
    console.log(`${name}: ${ratio.toFixed(2)} x ${to} (floor ${least}), p99 ${p99.toFixed(1)} x`);
  }
  if (deadMs.length > 0)
    console.log(`locks of a dead coordinator were gone after ${median(deadMs).toFixed(0)} ms (median)`);
  mkdirSync(out, { recursive: true });
  writeFileSync(
    join(out, 'transactions.json'),
    JSON.stringify({ measured: Object.fromEntries(measured), deadMs }, null, 2),
  );
}

await main();
