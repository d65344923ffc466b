/** Faults of disks: one that is full, and one that was replaced by an empty one. */
import { FATAL_EXIT_CODES } from '../../../src/base/platform.ts';
import { RespClient } from '../../harness/client.ts';
import type { KahunaNode } from '../../harness/kahuna.ts';
import { describeEnd, folderSize } from '../../harness/process.ts';
import { waitFor } from '../../harness/wait.ts';
import { DATA_GROUP, replicasOf } from '../status.ts';
import { type FaultContext, type FaultPlan, type FaultRow, followers } from './fault.ts';

/** Written while the disk is full, so that the node needs room soon. In a database of its own, where no workload looks. */
const BALLAST_DATABASE = 7;
const BALLAST_BYTES = 200_000;
const BALLAST_TIMEOUT_MS = 20_000;
const RESTORE_TIMEOUT_MS = 30_000;
/** For a start on a slow machine. */
const START_TIMEOUT_MS = 30_000;
const HONEST_ENDS: readonly number[] = [FATAL_EXIT_CODES.logWrite, FATAL_EXIT_CODES.dataWrite];

export const DISK_FAULTS: readonly FaultRow[] = [
  {
    name: 'full-disk',
    doc: 'the disk of one node has no free byte; later it has; needs root for a small file system',
    draw: fullDisk,
  },
  {
    name: 'wipe-follower',
    doc: 'a follower loses its disk and is restored as docs/operations.md says',
    draw: (context) => wipe(context, followers(context)[0]),
  },
  {
    name: 'wipe-leader',
    doc: 'the same for the leader',
    draw: (context) => wipe(context, context.leader),
  },
];

/** The node must stop by itself with the exit code that says why, must say so again when it is started, and must come back. */
function fullDisk({ cluster, disk }: FaultContext): FaultPlan {
  const node = cluster.nodes.find((candidate) => disk?.isOf(candidate) === true);
  if (disk === null || node === undefined) throw new Error('a scenario with full disks needs a small one');
  return {
    text: `the disk of ${node.name} is full`,
    nodes: [node],
    keepsQuorum: true,
    async act() {
      const taken = disk.fill();
      const others = cluster.nodes.filter((other) => other !== node);
      await writeBallast(others, () => !node.isRunning);
      const { end } = node.process;
      if (end === null) throw new Error(`${node.name} neither stopped nor refused with ${disk.freeBytes} bytes free`);
      if (end.code === null || !HONEST_ENDS.includes(end.code)) {
        throw new Error(`${node.name} ended with ${describeEnd(end)} on a full disk\n${node.process.logTail()}`);
      }
      const again = await startOnFullDisk(node);
      disk.free();
      if (!node.isRunning) node.start();
      return `${taken} bytes taken; it ended with code ${end.code}, ${again}; ${disk.freeBytes} bytes free again`;
    },
  };
}

async function writeBallast(nodes: readonly KahunaNode[], isEnough: () => boolean): Promise<void> {
  const [node] = nodes;
  if (node === undefined) throw new Error('nobody to write to');
  const client = await RespClient.connect(node.endpoint);
  try {
    await client.must('SELECT', BALLAST_DATABASE);
    const bytes = Buffer.alloc(BALLAST_BYTES, 'b');
    await waitFor(
      { what: 'the node to notice its full disk', timeoutMs: BALLAST_TIMEOUT_MS, everyMs: 50 },
      async () => {
        await client.outcome('SET', 'chaos:ballast', bytes);
        return isEnough();
      },
    );
    await client.outcome('DEL', 'chaos:ballast');
  } finally {
    client.close();
  }
}

/** Either it cannot start, and its exit code says so, or it serves. */
async function startOnFullDisk(node: KahunaNode): Promise<string> {
  node.start();
  const started = node.process;
  const serving = node.untilReady(START_TIMEOUT_MS).then(
    () => null,
    () => started.end,
  );
  const end = await serving;
  if (end === null) return 'it had room enough to start again';
  if (end.code === null || end.code === 0 || end.code === FATAL_EXIT_CODES.invariant) {
    throw new Error(`${node.name} ended with ${describeEnd(end)} when started on a full disk\n${started.logTail()}`);
  }
  return `with code ${end.code} when started again`;
}

/**
 * The procedure of docs/operations.md ("A damaged or lost replica"), under full load: the node is stopped, its directory is
 * gone, it is started. It must serve its clients, and vote again once its leaders have restored it.
 */
function wipe({ cluster }: FaultContext, node: KahunaNode | undefined): FaultPlan {
  if (node === undefined) throw new Error('a cluster without followers');
  return {
    text: `the data of ${node.name} is gone`,
    nodes: [node],
    keepsQuorum: true,
    async act() {
      await node.kill();
      const bytes = folderSize(node.dataFolder);
      node.wipe();
      node.start();
      await node.untilReady();
      const [other] = cluster.nodes.filter((candidate) => candidate !== node);
      const wanted = other === undefined ? 0 : (await replicasOf(other.endpoint)).length;
      const applied = await waitFor(
        { what: `${node.name} to vote again`, timeoutMs: RESTORE_TIMEOUT_MS, everyMs: 50 },
        () => votingSince(node, wanted),
      );
      return `${bytes} bytes gone; restored up to entry ${applied}, and votes`;
    },
  };
}

/** What the data's partition has applied, once all replicas of the node vote; else null. */
async function votingSince(node: KahunaNode, replicaCount: number): Promise<number | null> {
  const replicas = await replicasOf(node.endpoint);
  const areVoting = replicas.every(({ role, leader, applied }) => role !== 'learner' && leader > 0 && applied > 0);
  if (!areVoting || replicas.length < replicaCount) return null;
  return replicas.find(({ group }) => group === DATA_GROUP)?.applied ?? null;
}
