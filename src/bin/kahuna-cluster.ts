#!/usr/bin/env node
/** Three nodes on this machine with one command, until Ctrl-C: arguments, words, exit codes. */
import { fileURLToPath } from 'node:url';
import pc from 'picocolors';
import { KahunaError } from '../base/errors.ts';
import { LocalCluster } from '../node/local-cluster.ts';
import { type ClusterArguments, readClusterArguments } from './cluster-options.ts';

const USAGE = `Usage: kahuna-cluster [--ports 7001,7002,7003] [--dir data/cluster] [--name value]…

Starts one node per port on this machine (its port for the others is 100 above), keeps what they print in
<dir>/<node>.log, and stops them on Ctrl-C. Their data stays in <dir>; starting again goes on with it. All other flags
go to every node: kahuna-server --help lists them.
`;

const READY_TIMEOUT_MS = 30_000;
/** Longer than a node takes for itself (shutdown-timeout, 10 s by default). */
const STOP_TIMEOUT_MS = 20_000;
const EXIT_USAGE = 64;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(message: string, code: number): never {
  process.stderr.write(`kahuna-cluster: ${message}\n`);
  process.exit(code);
}

function describe(cluster: LocalCluster, directory: string): string {
  const [first, ...others] = cluster.nodes;
  const port = first?.port ?? 0;
  const list = cluster.nodes.map((node) => `  ${pc.bold(node.name)}  127.0.0.1:${node.port}  log ${node.logFile}`);
  return [
    pc.green(`${cluster.nodes.length} nodes serve; every one of them takes every command.`),
    ...list,
    '',
    `  redis-cli -p ${port}                              or ${others.map((node) => `-p ${node.port}`).join(', ')}`,
    `  npx kahuna-cli -p ${port}                         the shell that comes with Kahuna`,
    `  new Redis({ host: '127.0.0.1', port: ${port} })    with ioredis, or any other Redis client`,
    '',
    `Data is kept in ${directory}. Ctrl-C stops the nodes.`,
  ].join('\n');
}

async function main(): Promise<void> {
  const words = process.argv.slice(2);
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(USAGE);
    return;
  }
  let given: ClusterArguments;
  try {
    given = readClusterArguments(words);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), EXIT_USAGE);
  }
  await run(given);
}

async function run({ ports, directory, flags }: ClusterArguments): Promise<void> {
  const server = fileURLToPath(import.meta.resolve('./kahuna-server.js'));
  let isUp = false;
  const cluster = new LocalCluster({
    ports,
    directory,
    flags,
    command: [process.execPath, server],
    onLost: (node, how) => {
      const end = cluster.lastLines(node).map((line) => `  ${line}\n`);
      process.stderr.write(`${pc.red(`${node.name} ${how}`)}; the end of ${node.logFile}:\n${end.join('')}`);
      if (!isUp || cluster.runningCount === 0) void stop(1);
    },
  });

  async function stop(code: number): Promise<void> {
    if (cluster.isStopping) return;
    if (cluster.runningCount === 0) process.exit(code);
    say(`\nstopping ${cluster.runningCount} nodes …`);
    const killed = await cluster.stop(STOP_TIMEOUT_MS);
    say(
      killed.length === 0 ? 'all stopped' : `stopped; these had to be killed: ${killed.join(', ')} (nothing is lost)`,
    );
    process.exit(killed.length === 0 ? code : 1);
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));
  process.on('exit', () => cluster.killAll());

  try {
    await cluster.start();
    say(`starting ${ports.length} nodes …`);
    await cluster.ready(READY_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof KahunaError)) throw error;
    process.stderr.write(`kahuna-cluster: ${error.message}\n`);
    await stop(1);
    return;
  }
  if (cluster.isStopping) return;
  isUp = true;
  say(describe(cluster, directory));
}

await main();
