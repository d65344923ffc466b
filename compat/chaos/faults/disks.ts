/** Faults of disks: one that is full, and one that was replaced by an empty one. */
import { FATAL_EXIT_CODES } from '../../../src/base/platform.ts';
import { RespClient } from '../../harness/client.ts';
import type { KahunaNode } from '../../harness/kahuna.ts';
import { describeEnd, folderSize } from '../../harness/process.ts';
import { pause, waitFor } from '../../harness/wait.ts';
import { isLevel, replicasOf } from '../status.ts';
import { type FaultContext, type FaultPlan, type FaultRow, followers } from './fault.ts';
import { restartPolitely } from './processes.ts';

/** Written while the disk is full, so that the node needs room soon. In a database of its own, where no workload looks. */
const BALLAST_DATABASE = 7;
const BALLAST_BYTES = 200_000;
const BALLAST_TIMEOUT_MS = 20_000;
const HONEST_ENDS: readonly number[] = [FATAL_EXIT_CODES.logWrite, FATAL_EXIT_CODES.dataWrite];

export const DISK_FAULTS: readonly FaultRow[] = [
  {
    name: 'full-disk',
    doc: 'the disk of one node has no free byte; later it has; needs root for a small file system',
    draw: fullDisk,
  },
  {
    name: 'wipe-follower',
    doc: 'a follower loses its disk and is rebuilt as docs/operations.md says',
    draw: wipe,
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

/** Either it cannot start, and its exit code says so, or it can. */
async function startOnFullDisk(node: KahunaNode): Promise<string> {
  node.start();
  const started = node.process;
  const ended = await Promise.race([started.ended, pause(4_000).then(() => null)]);
  if (ended === null) return 'started again, and had room enough for that';
  if (ended.code === null || ended.code === 0 || ended.code === FATAL_EXIT_CODES.invariant) {
    throw new Error(`${node.name} ended with ${describeEnd(ended)} when started on a full disk\n${started.logTail()}`);
  }
  return `with code ${ended.code} when started again`;
}

/**
 * The procedure of docs/operations.md ("A damaged or lost replica"), step by step. The clients are silent until the node is
 * down, as the procedure asks, and work on during the rest.
 */
function wipe(context: FaultContext): FaultPlan {
  const { cluster, gate } = context;
  const [node] = followers(context);
  if (node === undefined) throw new Error('a cluster without followers');
  return {
    text: `the data of ${node.name} is gone`,
    nodes: cluster.nodes,
    keepsQuorum: false,
    async act() {
      await gate.stop();
      const endpoints = cluster.endpoints;
      try {
        await waitFor({ what: 'all replicas level', timeoutMs: 20_000, everyMs: 50 }, () => isLevel(endpoints));
        await node.kill();
      } finally {
        gate.open();
      }
      const bytes = folderSize(node.dataFolder);
      node.wipe();
      node.start();
      for (const other of cluster.nodes) if (other !== node) await restartPolitely(other);
      const caughtUp = await waitFor({ what: `${node.name} to catch up`, timeoutMs: 30_000, everyMs: 50 }, () =>
        levelOf(node),
      );
      return `${bytes} bytes gone; rebuilt up to entry ${caughtUp}`;
    },
  };
}

/** The last entry of the data's partition, once it is committed here and a leader is known; else null. */
async function levelOf(node: KahunaNode): Promise<number | null> {
  const data = (await replicasOf(node.endpoint)).find(({ group }) => group === 1);
  return data !== undefined && data.leader > 0 && data.last > 0 && data.commit > 0 ? data.applied : null;
}
