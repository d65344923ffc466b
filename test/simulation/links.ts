/** Which nodes have a connection to which, as they say themselves. */
import type { SimMachine } from '../doubles/sim-platform.ts';

export class Links {
  readonly #nowMs: () => number;
  readonly #nodeCount: number;
  /** The other ends of each node's connections. */
  readonly #ends = new Map<SimMachine, Set<unknown>>();
  #lastApartMs = 0;

  constructor(nodeCount: number, nowMs: () => number) {
    this.#nodeCount = nodeCount;
    this.#nowMs = nowMs;
  }

  /** A process starts, without any. */
  started(machine: SimMachine): void {
    this.#ends.set(machine, new Set());
    this.#noteGap();
  }

  /** What a node logs. */
  told(machine: SimMachine, event: string, node: unknown): void {
    if (event !== 'link up' && event !== 'link down') return;
    this.#noteGap();
    const ends = this.#ends.get(machine);
    if (event === 'link up') ends?.add(node);
    else ends?.delete(node);
    this.#noteGap();
  }

  /** The last moment at which some node was without a connection to another one. */
  get lastApartMs(): number {
    this.#noteGap();
    return this.#lastApartMs;
  }

  #noteGap(): void {
    const all = [...this.#ends.values()];
    const areAllLinked = all.length === this.#nodeCount && all.every((ends) => ends.size === this.#nodeCount - 1);
    if (!areAllLinked) this.#lastApartMs = this.#nowMs();
  }
}
