/**
 * Client libraries, unmodified and with their default settings, against one node, three nodes, and three nodes whose
 * leader is killed while locks are taken through the others. Each library has a folder and a lock file of its own.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { attach, type Deployment } from '../harness/deployment.ts';
import { type KahunaCluster, startKahuna } from '../harness/kahuna.ts';
import { type OptionValues, readOptions } from '../harness/options.ts';
import { table } from '../harness/report.ts';
import { findTool, findToolOrSay, type ToolName } from '../harness/tools.ts';

const OPTIONS = {
  only: { default: '', doc: 'clients to run, separated by commas' },
  target: { default: '', doc: 'host:port,host:port of servers that run already; only the first two columns' },
  'no-install': { default: false, doc: 'do not run npm ci' },
} as const;

type Options = OptionValues<typeof OPTIONS>;

interface Client {
  readonly folder: string;
  /** Also run while the leader dies. */
  readonly failover: boolean;
  /** What it needs besides Node.js. */
  readonly tool: ToolName | null;
}

const CLIENTS: readonly Client[] = [
  { folder: 'redis-cli', failover: false, tool: 'redis-cli' },
  { folder: 'ioredis5', failover: true, tool: null },
  { folder: 'ioredis6', failover: true, tool: null },
  { folder: 'node-redis4', failover: true, tool: null },
  { folder: 'node-redis5', failover: true, tool: null },
  { folder: 'node-redis6', failover: true, tool: null },
  { folder: 'redlock4', failover: true, tool: null },
  { folder: 'redlock5', failover: true, tool: null },
  { folder: 'redis-semaphore', failover: true, tool: null },
  { folder: 'python', failover: true, tool: 'python3-redis' },
];

const PROGRAM_TIMEOUT_MS = 90_000;
/** Something in every program's key space; all keys live in one partition by default. */
const AIM_KEY = 'failover';

/** 'ok', 'skipped', '' where a column does not apply, or the failure. */
type Cell = string;

async function main(): Promise<void> {
  const options = readOptions('npx tsx compat/clients/run.ts', OPTIONS, process.argv.slice(2));
  const chosen = CLIENTS.filter(({ folder }) => options.only === '' || options.only.split(',').includes(folder));
  const present = chosen.filter((client) => isPresent(client, options));
  const cells = new Map<string, Cell[]>(chosen.map((client) => [client.folder, present.includes(client) ? [] : ['skipped']]));
  const record = (client: Client, column: string, cell: Cell): void => {
    cells.get(client.folder)?.push(cell);
    if (cell !== '') console.log(`${client.folder.padEnd(16)} ${column.padEnd(12)} ${cell}`);
  };
  if (options.target !== '') {
    await runBasic(attach('server', options.target), present, (client, cell) => record(client, 'server', cell));
  } else {
    await withKahuna(1, (cluster) => runBasic(cluster, present, (client, cell) => record(client, '1 node', cell)));
    await withKahuna(3, async (cluster) => {
      await runBasic(cluster, present, (client, cell) => record(client, '3 nodes', cell));
      for (const client of present) {
        record(client, 'leader dies', client.failover ? await runFailover(client, cluster) : '');
      }
    });
  }
  const headers = options.target === '' ? ['client', '1 node', '3 nodes', 'leader dies'] : ['client', 'server'];
  const rows = [...cells].map(([folder, results]) => [folder, ...results.map((cell) => cell.split(':', 1)[0] ?? '')]);
  console.log(`\n${table(headers, rows)}`);
  process.exit([...cells.values()].flat().every((cell) => cell === '' || cell === 'skipped' || cell.startsWith('ok')) ? 0 : 1);
}

async function withKahuna(nodes: 1 | 3, work: (cluster: KahunaCluster) => Promise<void>): Promise<void> {
  const cluster = await startKahuna({ nodes });
  try {
    await work(cluster);
  } finally {
    await cluster.stop();
  }
}

/** Tools looked for, packages installed. */
function isPresent(client: Client, options: Options): boolean {
  if (client.tool !== null && findToolOrSay(client.tool, `the client ${client.folder}`) === null) return false;
  const folder = join(import.meta.dirname, client.folder);
  if (options['no-install'] || !existsSync(join(folder, 'package-lock.json'))) return true;
  const installed = join(folder, 'node_modules/.package-lock.json');
  const isCurrent = existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(folder, 'package-lock.json')).mtimeMs;
  if (isCurrent) return true;
  console.log(`npm ci in ${client.folder}`);
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--silent'], { cwd: folder, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`npm ci in ${client.folder} failed:\n${result.stderr}`);
  return true;
}

async function runBasic(target: Deployment, clients: readonly Client[], record: (client: Client, cell: Cell) => void): Promise<void> {
  const ports = target.endpoints.map((endpoint) => endpoint.port);
  for (const client of clients) record(client, await new Program(client, 'basic', ports).result());
}

/** Only survivors have clients: what their users see is what counts. */
async function runFailover(client: Client, cluster: KahunaCluster): Promise<Cell> {
  const leader = await cluster.untilLeader(AIM_KEY);
  const survivors = cluster.nodes.filter((node) => node !== leader).map((node) => node.endpoint.port);
  const program = new Program(client, 'failover', survivors);
  await Promise.race([program.ready, program.result()]);
  await leader.kill();
  program.tell('killed');
  const cell = await program.result();
  leader.start();
  await cluster.untilAllReady();
  return cell;
}

class Program {
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #result: Promise<Cell>;

  constructor(client: Client, mode: 'basic' | 'failover', ports: readonly number[]) {
    const folder = join(import.meta.dirname, client.folder);
    const isPython = client.tool === 'python3-redis';
    const command = isPython ? (findTool('python3-redis') ?? 'python3') : process.execPath;
    this.#child = spawn(command, [join(folder, isPython ? 'main.py' : 'main.mjs'), mode, ports.join(',')], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, REDIS_CLI: findTool('redis-cli') ?? 'redis-cli' },
    });
    let cell: Cell = '';
    let errors = '';
    let announceReady: () => void = () => undefined;
    this.ready = new Promise((resolve) => (announceReady = resolve));
    if (this.#child.stdout === null || this.#child.stderr === null) throw new Error('no pipes');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const said = parseLine(line);
      if (said.event === 'ready') announceReady();
      else cell = said.event === 'done' ? `ok: ${said.text}` : `FAILED: ${said.text}`;
    });
    this.#child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
    const timer = setTimeout(() => {
      cell = `FAILED: no end after ${PROGRAM_TIMEOUT_MS} ms`;
      this.#child.kill('SIGKILL');
    }, PROGRAM_TIMEOUT_MS);
    this.#result = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => {
        clearTimeout(timer);
        if (cell === '' || (code !== 0 && cell.startsWith('ok'))) cell = `FAILED: code ${code}: ${errors.slice(-600)}`;
        resolve(cell);
      });
    });
    this.#child.stdin?.on('error', () => undefined); // it may have ended before it is told; its result says so
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  result(): Promise<Cell> {
    return this.#result;
  }
}

/** One line of what a program says; anything else is shown as it is. */
function parseLine(line: string): { readonly event: string; readonly text: string } {
  try {
    const said: unknown = JSON.parse(line);
    if (typeof said === 'object' && said !== null && 'event' in said && typeof said.event === 'string') {
      const text = 'summary' in said ? said.summary : 'error' in said ? said.error : '';
      return { event: said.event, text: typeof text === 'string' ? text : JSON.stringify(text) };
    }
  } catch {
    // falls through: not one of its own lines
  }
  return { event: 'other', text: line };
}

await main();
