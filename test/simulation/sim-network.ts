/** The network in memory, with streams that are cut into pieces only now and then: each piece costs an event. */
import { MemoryNetwork, type MemoryNetworkOptions } from '../doubles/memory-network.ts';

export class SimNetwork extends MemoryNetwork {
  readonly #cutChance: number;

  constructor(options: MemoryNetworkOptions & { readonly cutChance: number }) {
    super(options);
    this.#cutChance = options.cutChance;
  }

  override pieceBytes(available: number): number {
    return this.random.chance(this.#cutChance) ? super.pieceBytes(available) : available;
  }
}
