/**
 * Kahuna nodes as real processes, one or several, with their faults: kill -9, SIGTERM, SIGSTOP, restart on the same
 * port and data.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { RespClient } from './client.ts';
import { type Deployment, type Endpoint, untilReady } from './deployment.ts';
import { FaultNetwork, pairsOf } from './fault-network.ts';
import { freePorts } from './ports.ts';
import { describeEnd, type ProcessEnd, removeFolder, ServerProcess, temporaryFolder } from './process.ts';
import type { SeededRandom } from './random.ts';
import { type Argument, itemsOf, type RespValue, textOf } from './resp.ts';
import { waitFor } from './wait.ts';

export const PROJECT_FOLDER = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const READY_TIMEOUT_MS = 30_000;
/** A read needs a leader, so its answer shows more than that the port is open. */
const READY_PROBE: readonly Argument[] = ['GET', 'compat:ready'];

/** The server's entry file: `COMPAT_SERVER`, or the build of this checkout, brought up to date once. */
export function kahunaServer(): string {
  const chosen = process.env['COMPAT_SERVER'];
  if (chosen !== undefined) return resolve(chosen);
  const built = join(PROJECT_FOLDER, 'dist/bin/kahuna-server.js');
  if (!existsSync(built) || statSync(built).mtimeMs < newestSource(join(PROJECT_FOLDER, 'src'))) {
    console.log('building (npm run build) …');
    const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: PROJECT_FOLDER, encoding: 'utf8' });
    if (build.status !== 0) throw new Error(`npm run build failed:\n${build.stdout}${build.stderr}`);
  }
  if (!existsSync(built)) throw new Error(`${built} does not exist after npm run build`);
  return built;
}

function newestSource(folder: string): number {
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && entry.name.endsWith('.ts')) {
      newest = Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
    }
  }
  return newest;
}

export interface KahunaOptions {
  readonly nodes: 1 | 3 | 5;
  /** Default: one. */
  readonly partitions?: number;
  /** Further flags for every node. */
  readonly args?: readonly string[];
  /** Flags for Node.js itself (profiling), before the script. */
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Nodes reach each other through a `FaultNetwork`, whose choices this decides. */
  readonly faultyNetwork?: SeededRandom;
  /** What is special about single nodes. */
  readonly ofNode?: (name: string, folder: string) => NodeSpecials;
}

export interface NodeSpecials {
  /** Default: a folder beside the logs. */
  readonly dataFolder?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export async function startKahuna(options: KahunaOptions): Promise<KahunaCluster> {
  const { partitions = 1 } = options;
  const script = kahunaServer();
  const folder = temporaryFolder(`kahuna${options.nodes}`);
  const ports = await freePorts(options.nodes * 2);
  const names = Array.from({ length: options.nodes }, (_, index) => `n${index + 1}`);
  const clusterPort = (index: number): number => ports[options.nodes + index] ?? 0;
  const network = await openNetwork(
    names.map((name, index) => ({ name, port: clusterPort(index) })),
    options.faultyNetwork,
  );
  const nodes = names.map((name, index) => {
    const specials = options.ofNode?.(name, folder) ?? {};
    const dataFolder = specials.dataFolder ?? join(folder, name);
    mkdirSync(dataFolder, { recursive: true });
    const portOf = (other: string): number =>
      network === null || other === name ? clusterPort(names.indexOf(other)) : network.port(name, other);
    const initialCluster = names.map((other) => `${other}=127.0.0.1:${portOf(other)}`).join(',');
    const port = ports[index] ?? 0;
    const clusterArgs = [
      '--node-id',
      name,
      '--cluster-port',
      String(clusterPort(index)),
      '--initial-cluster',
      initialCluster,
    ];
    return new KahunaNode({
      endpoint: { name, host: '127.0.0.1', port },
      dataFolder,
      logFile: join(folder, `${name}.log`),
      command: [
        ...(options.nodeArgs ?? []),
        script,
        ...['--port', String(port), '--dir', dataFolder],
        ...(options.nodes > 1 ? clusterArgs : []),
        ...(partitions > 1 ? ['--partitions', String(partitions)] : []),
        ...(options.args ?? []),
        ...(specials.args ?? []),
      ],
      env: { ...options.env, ...specials.env },
    });
  });
  const name = `kahuna-${options.nodes}${partitions > 1 ? `x${partitions}` : ''}`;
  const cluster = new KahunaCluster({ name, folder, nodes, network });
  for (const node of nodes) node.start();
  await cluster.untilAllReady();
  return cluster;
}

async function openNetwork(
  nodes: readonly { readonly name: string; readonly port: number }[],
  random: SeededRandom | undefined,
): Promise<FaultNetwork | null> {
  if (random === undefined || nodes.length === 1) return null;
  return FaultNetwork.open(nodes, await freePorts(pairsOf(nodes).length), random);
}

interface NodeSetup {
  readonly endpoint: Endpoint;
  readonly dataFolder: string;
  readonly logFile: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export class KahunaNode {
  readonly #setup: NodeSetup;
  #process: ServerProcess | null = null;
  /** How often it was started. */
  boots = 0;

  constructor(setup: NodeSetup) {
    this.#setup = setup;
  }

  get name(): string {
    return this.#setup.endpoint.name;
  }

  get endpoint(): Endpoint {
    return this.#setup.endpoint;
  }

  get dataFolder(): string {
    return this.#setup.dataFolder;
  }

  get logFile(): string {
    return this.#setup.logFile;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning === true;
  }

  /** @throws if it was never started. */
  get process(): ServerProcess {
    if (this.#process === null) throw new Error(`${this.name} was not started`);
    return this.#process;
  }

  start(): void {
    if (this.isRunning) throw new Error(`${this.name} runs already`);
    this.boots += 1;
    this.#process = ServerProcess.start({
      name: this.name,
      command: process.execPath,
      args: this.#setup.command,
      logFile: this.#setup.logFile,
      env: this.#setup.env,
    });
  }

  kill(): Promise<ProcessEnd> {
    return this.process.kill();
  }

  /** Empties its data directory, as a disk that was replaced would be. @throws while it runs */
  wipe(): void {
    if (this.isRunning) throw new Error(`${this.name} runs: its data cannot be taken away`);
    for (const entry of readdirSync(this.dataFolder)) {
      rmSync(join(this.dataFolder, entry), { recursive: true, force: true });
    }
  }

  terminate(timeoutMs?: number): Promise<ProcessEnd & { readonly wasForced: boolean }> {
    return this.process.terminate(timeoutMs);
  }

  untilReady(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    return untilReady(this.endpoint, { timeoutMs, process: this.process, probe: READY_PROBE });
  }
}

export class KahunaCluster implements Deployment {
  readonly name: string;
  readonly nodes: readonly KahunaNode[];
  /** Null if nodes reach each other directly. */
  readonly network: FaultNetwork | null;
  readonly #folder: string;

  constructor(setup: {
    readonly name: string;
    readonly folder: string;
    readonly nodes: readonly KahunaNode[];
    readonly network: FaultNetwork | null;
  }) {
    this.name = setup.name;
    this.#folder = setup.folder;
    this.nodes = setup.nodes;
    this.network = setup.network;
  }

  get endpoints(): readonly Endpoint[] {
    return this.nodes.map((node) => node.endpoint);
  }

  get folder(): string {
    return this.#folder;
  }

  async untilAllReady(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.untilReady(timeoutMs)));
  }

  /** The node that a majority of the running nodes believes to lead the partition of `key`. */
  async untilLeader(key: string, timeoutMs = 15_000): Promise<KahunaNode> {
    return waitFor({ what: `a leader for ${key}`, timeoutMs }, () => this.leader(key));
  }

  /** Null while there is no agreement. */
  async leader(key: string): Promise<KahunaNode | null> {
    const running = this.nodes.filter((node) => node.isRunning);
    const answers = await Promise.all(running.map((node) => leaderPort(node.endpoint, key)));
    const votes = new Map<number, number>();
    for (const port of answers) if (port !== null) votes.set(port, (votes.get(port) ?? 0) + 1);
    for (const node of running) {
      if ((votes.get(node.endpoint.port) ?? 0) * 2 > running.length) return node;
    }
    return null;
  }

  async revive(): Promise<string> {
    const ended = this.nodes.filter((node) => !node.isRunning);
    const words = ended.map(({ name, process }) => {
      const how = process.end === null ? 'an unknown end' : describeEnd(process.end);
      return `${name} ended with ${how}:\n${process.logTail(6)}`;
    });
    for (const node of ended) node.start();
    if (ended.length > 0) await this.untilAllReady();
    return words.join('\n');
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => node.isRunning).map((node) => node.kill()));
    await this.network?.close();
    removeFolder(this.#folder);
  }
}

/** Client port of the leader as this node sees it: the first node of the range in CLUSTER SLOTS. */
async function leaderPort(endpoint: Endpoint, key: string): Promise<number | null> {
  let client: RespClient | null = null;
  try {
    client = await RespClient.connect({ ...endpoint, connectTimeoutMs: 500, callTimeoutMs: 800 });
    const slot = await client.outcome('CLUSTER', 'KEYSLOT', key);
    const slots = await client.outcome('CLUSTER', 'SLOTS');
    if (slot.class !== 'ok' || slots.class !== 'ok') return null;
    return portOfSlot(slots.value, Number(textOf(slot.value)));
  } catch {
    return null;
  } finally {
    client?.close();
  }
}

function portOfSlot(slots: RespValue, slot: number): number | null {
  for (const range of itemsOf(slots)) {
    const [first, last, leader] = itemsOf(range);
    if (first === undefined || last === undefined || leader === undefined) continue;
    if (Number(textOf(first)) > slot || Number(textOf(last)) < slot) continue;
    const port = itemsOf(leader)[1];
    return port === undefined ? null : Number(textOf(port));
  }
  return null;
}
