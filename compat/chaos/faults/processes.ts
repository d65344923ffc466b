/** Faults of processes: killed, stopped, ended politely, and started again on the same data. */
import type { KahunaNode } from '../../harness/kahuna.ts';
import { describeEnd } from '../../harness/process.ts';
import { seconds } from '../../harness/report.ts';
import { pause } from '../../harness/wait.ts';
import { type FaultContext, type FaultPlan, type FaultRow, followers, minorityOf, namesOf } from './fault.ts';

/** Down long enough for an election, and now and then so short that the others hardly notice. */
const DOWN_MS = [0, 1_500, 3_000];
const PAUSE_MS = [1_000, 5_000] as const;

export const PROCESS_FAULTS: readonly FaultRow[] = [
  {
    name: 'kill-leader',
    doc: 'kill -9 of the leader, restart on its data',
    draw: (context) => kill(context, [context.leader], true),
  },
  {
    name: 'kill-follower',
    doc: 'kill -9 of a follower, restart on its data',
    draw: (context) => kill(context, followers(context).slice(0, 1), true),
  },
  {
    name: 'kill-minority',
    doc: 'kill -9 of as many nodes as may be absent, the leader among them',
    draw: (context) => kill(context, [context.leader, ...followers(context)].slice(0, minorityOf(context)), true),
  },
  {
    name: 'kill-majority',
    doc: 'kill -9 of one node more than that',
    draw: (context) => kill(context, [context.leader, ...followers(context)].slice(0, minorityOf(context) + 1), false),
  },
  {
    name: 'kill-all',
    doc: 'kill -9 of all nodes at once',
    draw: (context) => kill(context, context.cluster.nodes, false),
  },
  {
    name: 'pause-leader',
    doc: 'SIGSTOP of the leader for 1 to 5 s',
    draw: (context) => stopFor(context, [context.leader], true),
  },
  {
    name: 'pause-follower',
    doc: 'SIGSTOP of a follower for 1 to 5 s',
    draw: (context) => stopFor(context, followers(context).slice(0, 1), true),
  },
  {
    name: 'pause-majority',
    doc: 'SIGSTOP of a majority for 1 to 5 s',
    draw: (context) => stopFor(context, followers(context).slice(0, minorityOf(context) + 1), false),
  },
  { name: 'rolling-restart', doc: 'SIGTERM and restart of each node, one after the other', draw: rollingRestart },
];

function kill({ random }: FaultContext, nodes: readonly KahunaNode[], keepsQuorum: boolean): FaultPlan {
  const downMs = nodes.length > 1 ? 300 : random.pick(DOWN_MS);
  return {
    text: `kill -9 ${namesOf(nodes)}, down ${seconds(downMs)}`,
    nodes,
    keepsQuorum,
    async act() {
      const before = nodes.map((node) => node.process.pid);
      const ends = await Promise.all(nodes.map((node) => node.kill()));
      await pause(downMs);
      for (const node of nodes) node.start();
      const killed = ends.filter((end) => end.signal === 'SIGKILL').length;
      if (killed === 0) return null;
      return `${killed} of ${nodes.length} killed: pid ${before.join(' ')}, then ${nodes.map((node) => node.process.pid).join(' ')}`;
    },
  };
}

function stopFor({ random }: FaultContext, nodes: readonly KahunaNode[], keepsQuorum: boolean): FaultPlan {
  const pausedMs = random.integer(...PAUSE_MS);
  return {
    text: `SIGSTOP ${namesOf(nodes)} for ${seconds(pausedMs)}`,
    nodes,
    keepsQuorum,
    async act() {
      await Promise.all(nodes.map((node) => node.process.freeze()));
      await pause(pausedMs);
      for (const node of nodes) node.process.thaw();
      return `the kernel reported ${nodes.length} stopped`;
    },
  };
}

/** One fault for each node, because only its own clients may notice. */
function rollingRestart({ cluster }: FaultContext): readonly FaultPlan[] {
  return cluster.nodes.map((node) => ({
    text: `SIGTERM ${node.name} and restart`,
    nodes: [node],
    keepsQuorum: true,
    act: async () => `ended with code 0, ready after ${seconds(await restartPolitely(node))}`,
  }));
}

/** As operations.md has it. @returns how long it was away, ms. @throws if it does not end by itself with code 0 */
export async function restartPolitely(node: KahunaNode): Promise<number> {
  const startMs = performance.now();
  const end = await node.terminate();
  if (end.wasForced || end.code !== 0) {
    const how = end.wasForced ? 'did not end' : `ended with ${describeEnd(end)}`;
    throw new Error(`${node.name} ${how} after SIGTERM\n${node.process.logTail()}`);
  }
  node.start();
  await node.untilReady();
  return performance.now() - startMs;
}
