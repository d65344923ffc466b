/** A real redis-server, as the oracle and as the yardstick of the benchmarks. */
import { join } from 'node:path';

import { type Deployment, type Endpoint, untilReady } from './deployment.ts';
import { freePorts } from './ports.ts';
import { removeFolder, ServerProcess, temporaryFolder } from './process.ts';

export interface RedisOptions {
  /** Path of redis-server. */
  readonly binary: string;
  /** With an append-only file that is fsynced before each reply. */
  readonly durable: boolean;
  readonly args?: readonly string[];
}

export async function startRedis(options: RedisOptions): Promise<Deployment & { readonly process: ServerProcess }> {
  const [port = 0] = await freePorts(1);
  const folder = temporaryFolder('redis');
  const args = [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--daemonize', 'no'],
    ...(options.durable ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']),
    ...(options.args ?? []),
  ];
  const server = ServerProcess.start({
    name: 'redis',
    command: options.binary,
    args,
    logFile: join(folder, 'redis.log'),
  });
  const endpoint: Endpoint = { name: 'redis', host: '127.0.0.1', port };
  await untilReady(endpoint, { timeoutMs: 10_000, process: server });
  return {
    name: 'redis',
    endpoints: [endpoint],
    process: server,
    revive: () => Promise.resolve(server.isRunning ? '' : `redis ended:\n${server.logTail()}`),
    async stop() {
      await server.kill();
      removeFolder(folder);
    },
  };
}
