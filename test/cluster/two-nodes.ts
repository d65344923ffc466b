/** Nodes 1 and 2 with real links between them, over a network in memory. */
import { silentLogger } from '../../src/base/log.ts';
import type { Channel } from '../../src/transport/channel.ts';
import { Transport, type TransportEvents } from '../../src/transport/transport.ts';
import { MemoryNetwork } from '../doubles/memory-network.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import type { VirtualTime } from '../doubles/virtual-time.ts';

export class TwoNodes {
  readonly network: MemoryNetwork;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime) {
    this.#time = time;
    this.network = new MemoryNetwork({ timers: time, random: new SeededRandom(2) });
  }

  /** The transport of one of them; what is not in `events` is ignored, and connections for snapshots are closed. */
  transport(id: 1 | 2, events: Partial<TransportEvents>): Transport {
    return new Transport({
      platform: {
        clock: this.#time,
        timers: this.#time,
        random: new SeededRandom(id),
        network: this.network.host(`h${id}`),
      },
      identity: { clusterId: 'c', node: id, bootEpoch: id },
      secret: 's',
      listen: { host: `h${id}`, port: 1 },
      peers: [1, 2].map((node) => ({ node, host: `h${node}`, port: 1 })),
      log: silentLogger,
      events: {
        message: () => undefined,
        linkUp: () => undefined,
        linkDown: () => undefined,
        snapshotConnection: (_from: number, channel: Channel) => {
          channel.close();
        },
        ...events,
      },
    });
  }
}
