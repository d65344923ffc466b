/** Faults on real processes, and the record of what each did. Every fault ends with all nodes serving again. */
import type { KahunaCluster, KahunaNode } from '../harness/kahuna.ts';
import { describeEnd } from '../harness/process.ts';
import type { SeededRandom } from '../harness/random.ts';
import { seconds } from '../harness/report.ts';
import { pause } from '../harness/wait.ts';
import type { Fault } from './history.ts';

export type FaultKind =
  | 'kill-leader'
  | 'kill-follower'
  | 'kill-all'
  | 'pause-leader'
  | 'pause-follower'
  | 'rolling-restart';

/** A key of the partition whose leader is aimed at. */
const AIM_KEY = 'crash:aim';
const RECOVERY_TIMEOUT_MS = 30_000;

export class Nemesis {
  readonly faults: Fault[] = [];
  readonly #cluster: KahunaCluster;
  readonly #random: SeededRandom;
  /** Leaders seen, one after the other, without repetition. */
  readonly #leaders: string[] = [];
  #isWatching = true;

  constructor(cluster: KahunaCluster, random: SeededRandom) {
    this.#cluster = cluster;
    this.#random = random;
  }

  /** Follows the leadership until `stop`: it may go and come back within one fault. */
  async watch(): Promise<void> {
    while (this.#isWatching) {
      const leader = await this.#cluster.leader(AIM_KEY);
      if (leader !== null) this.#note(leader);
      await pause(200);
    }
  }

  stop(): void {
    this.#isWatching = false;
  }

  #note(leader: KahunaNode): void {
    if (this.#leaders.at(-1) !== leader.name) this.#leaders.push(leader.name);
  }

  get leaderChanges(): number {
    return Math.max(0, this.#leaders.length - 1);
  }

  async strike(kind: FaultKind): Promise<void> {
    switch (kind) {
      case 'kill-leader':
        return this.#kill(await this.#leader(), true);
      case 'kill-follower':
        return this.#kill(await this.#follower(), false);
      case 'kill-all':
        return this.#killAll();
      case 'pause-leader':
        return this.#pause(await this.#leader(), true);
      case 'pause-follower':
        return this.#pause(await this.#follower(), false);
      case 'rolling-restart':
        return this.#rollingRestart();
    }
  }

  async #leader(): Promise<KahunaNode> {
    const leader = await this.#cluster.untilLeader(AIM_KEY, RECOVERY_TIMEOUT_MS);
    this.#note(leader);
    return leader;
  }

  async #follower(): Promise<KahunaNode> {
    const leader = await this.#leader();
    return this.#random.pick(this.#cluster.nodes.filter((node) => node !== leader));
  }

  /** Down long enough for an election, and now and then so short that its peers hardly notice. */
  async #kill(node: KahunaNode, hitLeader: boolean): Promise<void> {
    const downMs = this.#random.pick([0, 1_500, 3_000]);
    await this.#during(
      { kind: 'kill -9', nodes: [node], hitLeader, keepsQuorum: true, note: `down ${seconds(downMs)}` },
      async () => {
        await node.kill();
        await pause(downMs);
        node.start();
      },
    );
  }

  async #killAll(): Promise<void> {
    const nodes = this.#cluster.nodes;
    await this.#leader();
    await this.#during({ kind: 'kill -9 all', nodes, hitLeader: true, keepsQuorum: false, note: '' }, async () => {
      await Promise.all(nodes.map((node) => node.kill()));
      for (const node of nodes) {
        node.start();
        await pause(this.#random.pick([0, 0, 300]));
      }
    });
  }

  async #pause(node: KahunaNode, hitLeader: boolean): Promise<void> {
    const pausedMs = this.#random.integer(1_000, 5_000);
    await this.#during(
      { kind: 'SIGSTOP', nodes: [node], hitLeader, keepsQuorum: true, note: seconds(pausedMs) },
      async () => {
        await node.process.freeze();
        await pause(pausedMs);
        node.process.thaw();
      },
    );
  }

  async #rollingRestart(): Promise<void> {
    for (const node of this.#cluster.nodes) {
      const hitLeader = (await this.#leader()) === node;
      await this.#during(
        { kind: 'SIGTERM and restart', nodes: [node], hitLeader, keepsQuorum: true, note: '' },
        async () => {
          const end = await node.terminate();
          if (end.wasForced) throw new Error(`${node.name} did not end after SIGTERM`);
          if (end.code !== 0)
            throw new Error(`${node.name} ended with ${describeEnd(end)} after SIGTERM\n${node.process.logTail()}`);
          node.start();
        },
      );
    }
  }

  async #during(
    fault: { kind: string; nodes: readonly KahunaNode[]; hitLeader: boolean; keepsQuorum: boolean; note: string },
    act: () => Promise<void>,
  ): Promise<void> {
    const names = fault.nodes.map((node) => node.name);
    const { kind, hitLeader, keepsQuorum } = fault;
    const record: Fault = {
      kind,
      nodes: names,
      hitLeader,
      keepsQuorum,
      startMs: performance.now(),
      endMs: Number.POSITIVE_INFINITY,
    };
    this.faults.push(record);
    await act();
    await this.#cluster.untilAllReady(RECOVERY_TIMEOUT_MS);
    record.endMs = performance.now();
    const leader = await this.#leader();
    console.log(
      `    ${kind.padEnd(20)} ${names.join(' ').padEnd(9)} ${hitLeader ? 'leader  ' : 'follower'} ${fault.note.padEnd(12)} all ready after ${seconds(record.endMs - record.startMs)}, leader ${leader.name}`,
    );
  }
}
