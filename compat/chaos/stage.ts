/** Real processes as workloads see them: the same workloads and checkers as in the simulator, over real sockets. */
import { SeededRandom } from '../../test/doubles/seeded-random.ts';
import type { Load, Stage } from '../../test/simulation/workloads/stage.ts';
import type { Endpoint } from '../harness/deployment.ts';
import { pause } from '../harness/wait.ts';
import { ChaosClient } from './client.ts';
import type { Timeline } from './timeline.ts';

export interface ChaosStageSetup {
  readonly endpoints: readonly Endpoint[];
  readonly load: Load;
  readonly seed: number;
  readonly timeline: Timeline;
  readonly replicaCount: number;
  /** How far clocks may be from each other in this scenario, beside what any machine's are. */
  readonly clocks: ClockBounds;
}

export interface ClockBounds {
  /** Rates of monotonic clocks differ by this fraction at most. */
  readonly drift: number;
  /** Wall clocks are set while the scenario runs. */
  readonly areSteppedByFaults: boolean;
}

/** Two clocks, a node's and ours, may run apart by this much within a lease, and be read at different moments. */
const LEASE_MARGIN_MS = 30;
/** A partition's time follows a wall clock that was set by this fraction at most (src/partition/partition-time.ts). */
const SLEW = 0.001;
/** Share of connections that go to another node than the client's own. */
const ELSEWHERE_CHANCE = 0.2;

export class ChaosStage implements Stage {
  readonly load: Load;
  readonly hasFaults = true;
  readonly nodeCount: number;
  readonly replicaCount: number;
  readonly random: SeededRandom;
  /** Evidence, by name. */
  readonly marks = new Map<string, number>();
  readonly violations: string[] = [];
  isStopping = false;
  readonly #setup: ChaosStageSetup;
  #clients = 0;

  constructor(setup: ChaosStageSetup) {
    this.#setup = setup;
    this.load = setup.load;
    this.nodeCount = setup.endpoints.length;
    this.replicaCount = setup.replicaCount;
    this.random = new SeededRandom(setup.seed);
  }

  get nowMs(): number {
    return this.#setup.timeline.nowMs();
  }

  sleep(ms: number): Promise<void> {
    return pause(ms);
  }

  after(ms: number, callback: () => void): void {
    setTimeout(callback, ms);
  }

  createClient(name: string): ChaosClient {
    const { endpoints, timeline } = this.#setup;
    // Connections of one client: the same home, so that every node has clients of every workload.
    const actor = name.replace(/\.\d+$/, '');
    const random = this.random.fork(`client ${name}`);
    const home = endpoints[homeOf(actor) % endpoints.length] as Endpoint;
    this.#clients += 1;
    return new ChaosClient({
      kind: this.#clients % 2 === 0 ? 'ioredis' : 'raw',
      name,
      chooseEndpoint: () => (random.chance(ELSEWHERE_CHANCE) ? random.pick(endpoints) : home),
      timeline,
      violation: (text) => this.violation(text),
    });
  }

  surelyUntil(startMs: number, ttlMs: number): number {
    const { drift, areSteppedByFaults } = this.#setup.clocks;
    const apart = drift * 2 + (areSteppedByFaults ? SLEW : 0);
    // What the lease was counted from may have been measured by another leader's clock ever since the scenario began.
    return startMs + ttlMs * (1 - apart) - startMs * drift - LEASE_MARGIN_MS;
  }

  /** Nobody looks into the nodes of real processes between two of their steps. */
  holdersOf(): number {
    return Number.POSITIVE_INFINITY;
  }

  mark(name: string, times = 1): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + times);
  }

  /** Clients note what they saw themselves: they know the node. */
  ended(): void {
    return;
  }

  violation(text: string): void {
    this.violations.push(text);
  }
}

/** The number behind the name, so that consecutive clients live at consecutive nodes. */
function homeOf(actor: string): number {
  return Number(/\d+$/.exec(actor)?.[0] ?? 0);
}
