/** How many transactions across partitions the nodes committed, and how many of them while a fault was under way. */
import { RespClient } from '../harness/client.ts';
import type { KahunaCluster, KahunaNode } from '../harness/kahuna.ts';
import { textOf } from '../harness/resp.ts';
import { pause } from '../harness/wait.ts';
import type { Timeline } from './timeline.ts';

const LOOK_EVERY_MS = 200;
const ANSWER_TIMEOUT_MS = 1_000;

export class Crossings {
  readonly #cluster: KahunaCluster;
  readonly #timeline: Timeline;
  /** What each boot of a node has said last. */
  readonly #known = new Map<string, number>();
  #isStopped = false;
  committed = 0;
  committedDuringFaults = 0;

  constructor(cluster: KahunaCluster, timeline: Timeline) {
    this.#cluster = cluster;
    this.#timeline = timeline;
  }

  /** Until `stop`. */
  async follow(): Promise<void> {
    while (!this.#isStopped) {
      await Promise.all(this.#cluster.nodes.map((node) => this.#look(node)));
      await pause(LOOK_EVERY_MS);
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #look(node: KahunaNode): Promise<void> {
    if (!node.isRunning) return;
    const boot = `${node.name} ${node.boots}`;
    const count = await committedAt(node);
    if (count === null || boot !== `${node.name} ${node.boots}`) return;
    const more = count - (this.#known.get(boot) ?? 0);
    this.#known.set(boot, count);
    this.committed += more;
    const nowMs = this.#timeline.nowMs();
    const isDuringFault = this.#timeline.faults.some(
      (fault) => fault.startMs < nowMs - LOOK_EVERY_MS * 2 && nowMs <= fault.endMs,
    );
    if (isDuringFault) this.committedDuringFaults += more;
  }
}

/** Null if the node does not answer: then it is at fault, and what it did will be told later or never. */
async function committedAt({ endpoint }: KahunaNode): Promise<number | null> {
  const client = await RespClient.connect({ ...endpoint, connectTimeoutMs: ANSWER_TIMEOUT_MS }).catch(() => null);
  if (client === null) return null;
  try {
    const answer = await Promise.race([client.call('INFO', 'stats'), pause(ANSWER_TIMEOUT_MS)]);
    if (answer === undefined) return null;
    const found = /^transactions_committed:(\d+)/m.exec(textOf(answer) ?? '')?.[1];
    return found === undefined ? null : Number(found);
  } catch {
    return null;
  } finally {
    client.close();
  }
}
