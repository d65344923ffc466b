/** Where the time of a node goes: runs one load against nodes under --cpu-prof and prints the busiest functions. */
import { mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';

import { type KahunaNode, startKahuna } from '../harness/kahuna.ts';
import { table } from '../harness/report.ts';
import { fillKeys, type Load, LoadGenerator } from './load.ts';

export interface ProfileRequest {
  readonly load: Load;
  readonly nodes: 1 | 3;
  readonly seconds: number;
  readonly binary: string;
  /** Where the .cpuprofile goes. */
  readonly outFolder: string;
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const ROWS_SHOWN = 40;

/** The leader is loaded and profiled; with three nodes a follower's profile is printed too. */
export async function profile(request: ProfileRequest): Promise<void> {
  mkdirSync(request.outFolder, { recursive: true });
  const cluster = await startKahuna({
    nodes: request.nodes,
    nodeArgs: ['--cpu-prof', '--cpu-prof-interval', '500', `--cpu-prof-dir=${request.outFolder}`],
  });
  try {
    const leader = request.nodes === 1 ? cluster.nodes[0] : await cluster.untilLeader('key:000000000000');
    if (leader === undefined) throw new Error('no node');
    if (request.load.operation === 'GET') await fillKeys(leader.endpoint);
    const generator = new LoadGenerator(request.binary, request.seconds);
    const rate = await generator.measure(leader.endpoint, request.load);
    console.log(`${Math.round(rate.rps)} requests/s, p50 ${rate.p50Ms} ms, p99 ${rate.p99Ms} ms (under the profiler)`);
    const follower = cluster.nodes.find((node) => node !== leader);
    await printProfile(leader, 'leader', { folder: request.outFolder, requests: generator.requestsSent });
    if (follower !== undefined)
      await printProfile(follower, 'follower', { folder: request.outFolder, requests: generator.requestsSent });
  } finally {
    await cluster.stop();
  }
}

/** Node.js writes the profile when the process ends in an orderly way. */
async function printProfile(
  node: KahunaNode,
  role: string,
  { folder, requests }: { readonly folder: string; readonly requests: number },
): Promise<void> {
  const { pid } = node.process;
  await node.terminate(30_000);
  const file = readdirSync(folder).find((name) => name.includes(`.${pid}.`));
  if (file === undefined) throw new Error(`no profile of process ${pid} in ${folder}; did SIGTERM end it in order?`);
  const path = join(folder, `${role}.cpuprofile`);
  renameSync(join(folder, file), path);
  const profiled = JSON.parse(readFileSync(path, 'utf8')) as CpuProfile; // V8's own format
  const { busyMicros, rows } = busiest(profiled);
  const each = (busyMicros / requests).toFixed(1);
  console.log(
    `\n${role}: ${path}\nbusy ${Math.round(busyMicros / 1000)} ms for ${requests} requests: ${each} µs each, start-up included`,
  );
  console.log(table(['self', 'share of busy', 'function', 'where'], rows));
}

/** Self time by function, without idle time. */
function busiest({ nodes, samples, timeDeltas }: CpuProfile): {
  readonly busyMicros: number;
  readonly rows: string[][];
} {
  const nameOf = new Map<number, { readonly name: string; readonly where: string }>();
  for (const { id, callFrame } of nodes) {
    const file = callFrame.url.split('/').slice(-2).join('/');
    nameOf.set(id, {
      name: callFrame.functionName === '' ? '(anonymous)' : callFrame.functionName,
      where: file === '' ? '' : `${file}:${callFrame.lineNumber + 1}`,
    });
  }
  const self = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const frame = nameOf.get(id);
    const delta = timeDeltas[index] ?? 0;
    if (frame === undefined || frame.name === '(idle)') continue;
    busy += delta;
    const label = `${frame.name}\t${frame.where}`;
    self.set(label, (self.get(label) ?? 0) + delta);
  }
  const rows = [...self]
    .sort(([, a], [, b]) => b - a)
    .slice(0, ROWS_SHOWN)
    .map(([label, micros]) => {
      const [name = '', where = ''] = label.split('\t');
      return [`${Math.round(micros / 1000)} ms`, `${((micros / busy) * 100).toFixed(1)} %`, name, where];
    });
  return { busyMicros: busy, rows };
}
