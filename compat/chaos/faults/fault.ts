/** What a fault is: a row with a plan. `index.ts` lists them; a new fault is a row in the file of its kind. */
import type { FaultNetwork } from '../../harness/fault-network.ts';
import type { KahunaCluster, KahunaNode } from '../../harness/kahuna.ts';
import type { SeededRandom } from '../../harness/random.ts';
import type { FakeClocks } from '../fake-clocks.ts';
import type { SmallDisk } from '../small-disk.ts';

export interface FaultContext {
  readonly cluster: KahunaCluster;
  readonly network: FaultNetwork;
  readonly random: SeededRandom;
  /** Null unless the scenario asked for it. */
  readonly clocks: FakeClocks | null;
  readonly disk: SmallDisk | null;
  /** Of the partition that holds the data. */
  readonly leader: KahunaNode;
}

export interface FaultPlan {
  /** What will be done, in words. */
  readonly text: string;
  /** Nodes whose own clients may see errors. */
  readonly nodes: readonly KahunaNode[];
  /** A majority works on, and reaches each other: clients of the other nodes must see no error. */
  readonly keepsQuorum: boolean;
  /** Does it and undoes it; every process runs again afterwards. @returns what it did, in words; null if nothing */
  act(): Promise<string | null>;
}

export interface FaultRow {
  readonly name: string;
  readonly doc: string;
  /** Several are carried out one after the other. */
  draw(context: FaultContext): FaultPlan | readonly FaultPlan[];
}

/** Some other nodes than the leader, in an order of chance. */
export function followers({ cluster, leader, random }: FaultContext): readonly KahunaNode[] {
  return shuffled(
    cluster.nodes.filter((node) => node !== leader),
    random,
  );
}

export function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const keyed = items.map((item) => ({ item, key: random.float() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}

/** The most nodes that may be absent while the others are a majority. */
export function minorityOf({ cluster }: FaultContext): number {
  return Math.floor((cluster.nodes.length - 1) / 2);
}

export function namesOf(nodes: readonly KahunaNode[]): string {
  return nodes.map((node) => node.name).join(' ');
}
