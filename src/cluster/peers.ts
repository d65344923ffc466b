/** What this node tells the others, message by message, and what it knows of them. */
import { ByteReader } from '../base/bytes.ts';
import type { NodeId } from '../base/ids.ts';
import type { Clock, Timers } from '../base/platform.ts';
import type { Replica } from '../partition/replica.ts';
import type { Transport } from '../transport/transport.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';
import { type DecodedUnblock, writeRequest, writeUnblock } from './request-codec.ts';
import type { EntryJob, Route } from './route.ts';
import type { TopologyNode } from './topology.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface PeersHost {
  readonly platform: { readonly clock: Clock; readonly timers: Timers };
  readonly transport: Transport;
  readonly nodes: readonly TopologyNode[];
  readonly bootEpoch: number;
  /** How clients reach this node, as other nodes shall tell them; the port is known once it is bound. */
  readonly clientAddress: Address;
}

export class Peers {
  readonly #host: PeersHost;
  readonly #bootEpochs = new Map<NodeId, number>();
  readonly #addresses = new Map<NodeId, Address>();
  #clientPort: number;
  #isFlushScheduled = false;

  constructor(host: PeersHost) {
    this.#host = host;
    this.#clientPort = host.clientAddress.port;
  }

  get clientAddress(): Address {
    return { host: this.#host.clientAddress.host, port: this.#clientPort };
  }

  announceClientPort(port: number): void {
    this.#clientPort = port;
    for (const { id } of this.#host.nodes) if (this.#host.transport.isUp(id)) this.sendAddress(id);
    this.wake();
  }

  /** How clients reach another node, if it has told. */
  addressOf(node: NodeId): Address | undefined {
    return this.#addresses.get(node);
  }

  /** Boot of a connected node; 0 if it has not told. */
  bootEpochOf(node: NodeId): number {
    return this.#bootEpochs.get(node) ?? 0;
  }

  /** What `sendAddress` of another node has sent. */
  addressTold(from: NodeId, payload: Buffer): void {
    const reader = new ByteReader(payload);
    const bootEpoch = reader.u64();
    const port = reader.u32();
    this.#bootEpochs.set(from, bootEpoch);
    this.#addresses.set(from, { host: Buffer.from(reader.rest()).toString('utf8'), port });
  }

  /** u64 boot epoch | u32 client port | client host. */
  sendAddress(to: NodeId): void {
    const { transport, bootEpoch, clientAddress } = this.#host;
    const writer = transport.begin(to, MESSAGE_KINDS.address, false);
    if (writer === null) return;
    writer.u64(bootEpoch);
    writer.u32(this.#clientPort);
    writer.bytes(Buffer.from(clientAddress.host, 'utf8'));
    transport.end(to);
  }

  /** u32 group | u64 term: this node leads it and serves. */
  sendServing(to: NodeId, replica: Replica): void {
    const { transport } = this.#host;
    const writer = transport.begin(to, MESSAGE_KINDS.serving, false);
    if (writer === null) return;
    writer.u32(replica.group);
    writer.u64(replica.term);
    transport.end(to);
  }

  /** False if there is no connection to the node. */
  sendRequest(to: NodeId, route: Route, job: EntryJob): boolean {
    const { transport, platform } = this.#host;
    const writer = transport.begin(to, MESSAGE_KINDS.request, false);
    if (writer === null) return false;
    writeRequest(writer, job, { group: route.group, term: route.term, nowMs: platform.clock.monotonicMs() });
    transport.end(to);
    this.wake();
    return true;
  }

  /** u64 counter of a request that nobody waits for any more. */
  sendCancel(to: NodeId, counter: number): void {
    const { transport } = this.#host;
    const writer = transport.begin(to, MESSAGE_KINDS.cancel, false);
    if (writer === null) return;
    writer.u64(counter);
    transport.end(to);
    this.wake();
  }

  sendUnblock(to: NodeId, what: DecodedUnblock): void {
    const { transport } = this.#host;
    const writer = transport.begin(to, MESSAGE_KINDS.unblock, false);
    if (writer === null) return;
    writeUnblock(writer, what);
    transport.end(to);
    this.wake();
  }

  /** What was written to links leaves at the end of this turn. */
  wake(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    this.#host.platform.timers.endOfTurn(() => {
      this.#isFlushScheduled = false;
      this.#host.transport.flush();
    });
  }
}
