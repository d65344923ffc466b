/** The measurements that are not a rate: failover, restart, memory. */
import { RespClient } from '../harness/client.ts';
import type { Endpoint } from '../harness/deployment.ts';
import { startKahuna } from '../harness/kahuna.ts';
import { OutageProbe } from '../harness/outage.ts';
import { fill } from './load.ts';

export interface FailoverResult {
  /** One a leader that was killed. */
  readonly outagesMs: readonly number[];
  /** What clients of surviving nodes were told. */
  readonly errors: readonly string[];
}

/** Kills the leader of a three-node cluster with default settings, again and again, under writes through the others. */
export async function measureFailover(kills: number): Promise<FailoverResult> {
  const cluster = await startKahuna({ nodes: 3 });
  const outagesMs: number[] = [];
  const errors: string[] = [];
  try {
    for (let round = 0; round < kills; round += 1) {
      const leader = await cluster.untilLeader('probe');
      const survivors = cluster.nodes.filter((node) => node !== leader).map((node) => node.endpoint);
      const probe = new OutageProbe(survivors, 'probe');
      const result = await probe.around(async () => {
        await leader.kill();
      }, 30_000);
      outagesMs.push(result.longestGapMs);
      errors.push(...result.errors);
      leader.start();
      await cluster.untilAllReady();
    }
  } finally {
    await cluster.stop();
  }
  return { outagesMs, errors };
}

export interface RestartResult {
  /** From spawning the process to the first right answer to a GET, after SIGTERM. */
  readonly afterSigtermMs: number;
  /** The same after kill -9. */
  readonly afterKillMs: number;
}

const RESTART_VALUE = 'v'.repeat(100);

export async function measureRestart(keys: number): Promise<RestartResult> {
  const cluster = await startKahuna({ nodes: 1 });
  try {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error('no node');
    await fill(node.endpoint, keys, (index) => ['SET', `restart:${index}`, RESTART_VALUE]);
    const timed = async (): Promise<number> => {
      const startMs = performance.now();
      node.start();
      await node.untilReady(60_000);
      await mustRead(node.endpoint, `restart:${keys >> 1}`, RESTART_VALUE);
      return performance.now() - startMs;
    };
    await node.terminate(60_000);
    const afterSigtermMs = await timed();
    await node.kill();
    return { afterSigtermMs, afterKillMs: await timed() };
  } finally {
    await cluster.stop();
  }
}

async function mustRead(endpoint: Endpoint, key: string, value: string): Promise<void> {
  const client = await RespClient.connect(endpoint);
  const answer = await client.must('GET', key);
  client.close();
  if (answer.type !== 'bulk' || answer.bytes.toString() !== value)
    throw new Error(`${key} reads wrong after a restart`);
}

export interface MemoryResult {
  /** The highest resident size that was seen while every key was read. */
  readonly residentBytes: number;
  /** The kernel's high-water mark of the process, loading included. */
  readonly peakBytes: number;
  readonly keys: number;
}

/** Loads more than `maxmemory` holds, then reads every key and checks its value. */
export async function measureMemory(keys: number): Promise<MemoryResult> {
  const cluster = await startKahuna({ nodes: 1, args: ['--maxmemory', '256mb'] });
  try {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error('no node');
    const valueOf = (index: number): string => `${index}:`.padEnd(100, 'm');
    await fill(node.endpoint, keys, (index) => ['SET', `memory:${index}`, valueOf(index)]);
    const client = await RespClient.connect(node.endpoint);
    let residentBytes = 0;
    for (let first = 0; first < keys; first += 500) {
      const count = Math.min(500, keys - first);
      const frames = await client.pipeline(
        Array.from({ length: count }, (_, offset) => ['GET', `memory:${first + offset}`]),
      );
      for (const [offset, { value }] of frames.entries()) {
        if (value.type !== 'bulk' || value.bytes.toString() !== valueOf(first + offset)) {
          throw new Error(`memory:${first + offset} reads wrong: ${value.type}`);
        }
      }
      if (first % 10_000 === 0) residentBytes = Math.max(residentBytes, node.process.memory().resident);
    }
    client.close();
    return { residentBytes, peakBytes: node.process.memory().peak, keys };
  } finally {
    await cluster.stop();
  }
}
