/** Links that lose, delay, duplicate, reorder and cut messages, each direction by itself. */
import type { NodeId } from '../../../src/base/ids.ts';
import { decodeMessage, encodeMessage } from '../../../src/raft/codec.ts';
import { formatMessage } from '../../../src/raft/messages.ts';
import type { Message } from '../../../src/raft/types.ts';
import { WireWriter } from '../../../src/raft/wire.ts';
import type { World } from './world.ts';

/** A snapshot's stream takes this many times as long as a message. */
const STREAM_FACTOR = 4;

export class SimNetwork {
  private readonly world: World;
  private readonly cuts = new Set<number>();
  /** Arrival of the last message of a link, where links keep the order. */
  private readonly lastArrival = new Map<number, number>();
  private readonly writer = new WireWriter();
  isLossless = false;

  constructor(world: World) {
    this.world = world;
  }

  cut(from: NodeId, to: NodeId): void {
    this.cuts.add(from * 256 + to);
  }

  isOpen(from: NodeId, to: NodeId): boolean {
    return !this.cuts.has(from * 256 + to);
  }

  heal(): void {
    this.cuts.clear();
  }

  send(message: Message, stateHash: number): void {
    const { random, profile } = this.world;
    const isLost = !this.isLossless && random.chance(profile.lossChance);
    this.transmit(message, stateHash, isLost);
    if (!this.isLossless && random.chance(profile.duplicateChance)) this.transmit(message, stateHash, false);
  }

  private transmit(message: Message, stateHash: number, isLost: boolean): void {
    const { world } = this;
    const link = message.from * 256 + message.to;
    let delay = 1 + world.delay(world.profile.delayMax);
    if (message.snapshot !== null) delay *= STREAM_FACTOR;
    if (world.profile.isFifo) {
      const arrival = Math.max(world.now + delay, this.lastArrival.get(link) ?? 0);
      this.lastArrival.set(link, arrival);
      delay = arrival - world.now;
    }
    const sender = world.nodes[message.from - 1];
    const { start } = sender ?? { start: 0 };
    world.after(delay, () => {
      const isDelivered = !isLost && !this.cuts.has(link) && world.nodes[message.to - 1]?.isUp === true;
      if (isDelivered) this.deliver(message, stateHash);
      else world.trace(() => `lost ${formatMessage(message)}`);
      if (message.snapshot === null || sender === undefined) return;
      // The stream's end is reported to the sender, unless it was started anew.
      world.after(1, () => {
        if (sender.start !== start || sender.core === null) return;
        sender.core.reportSnapshot(message.to, isDelivered);
        sender.drive();
      });
    });
  }

  private deliver(message: Message, stateHash: number): void {
    const { world } = this;
    world.trace(() => formatMessage(message));
    let arrived = message;
    if (world.profile.isEncoded) {
      this.writer.clear();
      encodeMessage(message, this.writer);
      arrived = decodeMessage(this.writer.peek());
    }
    world.nodes[message.to - 1]?.receive(arrived, stateHash);
  }
}
