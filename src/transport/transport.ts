/**
 * All connections of a node to its peers: one link a pair, made by the node with the smaller number, kept up as long as
 * the node runs; and connections of their own for snapshots.
 *
 * A link carries what may be lost (Raft repeats it) and what its owner repeats itself after `linkDown` (forwarded
 * requests). A peer that connects again replaces its older link at once: nothing of the older one is read afterwards.
 */
import type { ByteWriter } from '../base/bytes.ts';
import type { NodeId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock, Connection, Listener, Network, Random, TimerHandle, Timers } from '../base/platform.ts';
import { Channel } from './channel.ts';
import { KEEP_ALIVE_KIND } from './frames.ts';
import { type Identity, PURPOSES } from './handshake.ts';
import { BACKLOG_BYTES_MAX, KEEP_ALIVE_MS, RECONNECT_MAX_MS, RECONNECT_MIN_MS, SILENCE_MAX_MS } from './limits.ts';

export interface Peer {
  readonly node: NodeId;
  readonly host: string;
  readonly port: number;
}

export interface TransportEvents {
  /** The payload is valid during the call only. */
  message(from: NodeId, kind: number, payload: Buffer): void;
  linkUp(node: NodeId): void;
  linkDown(node: NodeId): void;
  /** A peer opened a connection for a snapshot; the receiver attaches to it in this call. */
  snapshotConnection(from: NodeId, channel: Channel): void;
}

export interface TransportOptions {
  readonly platform: {
    readonly clock: Clock;
    readonly timers: Timers;
    readonly random: Random;
    readonly network: Network;
  };
  readonly identity: Identity;
  readonly secret: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly peers: readonly Peer[];
  readonly log: Logger;
  readonly events: TransportEvents;
}

interface Link {
  readonly peer: Peer;
  channel: Channel | null;
  lastHeardMs: number;
  lastSentMs: number;
  reconnectMs: number;
  timer: TimerHandle | null;
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #links = new Map<NodeId, Link>();
  readonly #handshaking = new Set<Channel>();
  #listener: Listener | null = null;
  #keepAlive: TimerHandle | null = null;
  #isClosed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    for (const peer of options.peers) {
      if (peer.node === options.identity.node) continue;
      const link: Link = {
        peer,
        channel: null,
        lastHeardMs: 0,
        lastSentMs: 0,
        reconnectMs: RECONNECT_MIN_MS,
        timer: null,
      };
      this.#links.set(peer.node, link);
    }
  }

  async start(): Promise<void> {
    // A node alone needs no port for others.
    if (this.#links.size === 0) return;
    const { network } = this.#options.platform;
    this.#listener = await network.listen(this.#options.listen, (connection) => {
      this.#accept(connection);
    });
    for (const link of this.#links.values()) this.#maybeDial(link);
    this.#watch();
  }

  get port(): number {
    return this.#listener?.port ?? this.#options.listen.port;
  }

  isUp(node: NodeId): boolean {
    return this.#links.get(node)?.channel !== null && this.#links.has(node);
  }

  /** Time since anything was heard from the node over its present link, in ms; Infinity if there never was one. */
  silenceMs(node: NodeId): number {
    const link = this.#links.get(node);
    if (link === undefined || link.lastHeardMs === 0) return Number.POSITIVE_INFINITY;
    return this.#options.platform.clock.monotonicMs() - link.lastHeardMs;
  }

  get upCount(): number {
    let count = 0;
    for (const link of this.#links.values()) if (link.channel !== null) count++;
    return count;
  }

  /**
   * Starts a message to a node; null if there is no link, or if it is congested and the message may be lost. The caller
   * writes the payload and calls `end`.
   */
  begin(to: NodeId, kind: number, mayBeLost: boolean): ByteWriter | null {
    const channel = this.#links.get(to)?.channel ?? null;
    if (channel === null) return null;
    if (mayBeLost && channel.bufferedBytes > BACKLOG_BYTES_MAX) return null;
    return channel.begin(kind);
  }

  end(to: NodeId): void {
    this.#links.get(to)?.channel?.end();
  }

  /** Sends what this turn wrote, one frame a peer. */
  flush(): void {
    for (const link of this.#links.values()) {
      if (link.channel?.hasMessages !== true) continue;
      link.channel.flush();
      link.lastSentMs = this.#options.platform.clock.monotonicMs();
    }
  }

  /** A connection of its own to a peer. The caller attaches to it and closes it. */
  async openSnapshotConnection(to: NodeId): Promise<Channel> {
    const link = this.#links.get(to);
    if (link === undefined) throw new Error(`node ${to} is no peer of this node`);
    const { channel } = await this.#dial(link.peer, PURPOSES.snapshot);
    return channel;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#keepAlive?.cancel();
    for (const link of this.#links.values()) {
      link.timer?.cancel();
      link.channel?.close();
    }
    for (const channel of this.#handshaking) channel.close();
    await this.#listener?.close();
  }

  // -------------------------------------------------------------------------------------------------------------
  // Making links

  #maybeDial(link: Link): void {
    if (this.#isClosed || link.channel !== null || this.#options.identity.node > link.peer.node) return;
    this.#dial(link.peer, PURPOSES.link).then(
      ({ channel }) => {
        link.reconnectMs = RECONNECT_MIN_MS;
        this.#up(link, channel);
      },
      (error: unknown) => {
        this.#options.log.debug('a node could not be reached', { node: link.peer.node, error: messageOf(error) });
        this.#dialLater(link);
      },
    );
  }

  #dialLater(link: Link): void {
    if (this.#isClosed) return;
    link.timer?.cancel();
    const jitter = 0.5 + this.#options.platform.random.float();
    link.timer = this.#options.platform.timers.after(link.reconnectMs * jitter, () => {
      this.#maybeDial(link);
    });
    link.reconnectMs = Math.min(RECONNECT_MAX_MS, link.reconnectMs * 2);
  }

  async #dial(peer: Peer, purpose: 1 | 2): Promise<{ readonly channel: Channel }> {
    const { network } = this.#options.platform;
    const connection = await network.connect({ host: peer.host, port: peer.port, timeoutMs: 2_000 });
    const channel = this.#channel(connection);
    this.#handshaking.add(channel);
    try {
      await channel.dial(purpose, { node: peer.node });
    } finally {
      this.#handshaking.delete(channel);
    }
    return { channel };
  }

  #accept(connection: Connection): void {
    if (this.#isClosed) {
      connection.destroy();
      return;
    }
    const channel = this.#channel(connection);
    this.#handshaking.add(channel);
    channel
      .accept()
      .then(
        (hello) => {
          const link = this.#links.get(hello.node);
          if (this.#isClosed || link === undefined) {
            this.#options.log.warn('a node that is no member tried to connect', { node: hello.node });
            channel.close();
          } else if (hello.purpose === PURPOSES.snapshot) {
            this.#options.events.snapshotConnection(hello.node, channel);
          } else {
            this.#up(link, channel);
          }
        },
        (error: unknown) => {
          const { remoteAddress } = connection;
          this.#options.log.warn('a connection to the cluster port was refused', {
            remoteAddress,
            error: messageOf(error),
          });
        },
      )
      .finally(() => this.#handshaking.delete(channel));
  }

  #channel(connection: Connection): Channel {
    const { platform, identity, secret } = this.#options;
    return new Channel({ connection, identity, secret, timers: platform.timers, random: platform.random });
  }

  #up(link: Link, channel: Channel): void {
    const older = link.channel;
    if (older !== null) {
      link.channel = null;
      older.close();
      this.#options.events.linkDown(link.peer.node);
    }
    if (this.#isClosed || channel.isClosed) {
      channel.close();
      this.#dialLater(link);
      return;
    }
    const now = this.#options.platform.clock.monotonicMs();
    link.channel = channel;
    link.lastHeardMs = now;
    link.lastSentMs = now;
    const events = {
      message: (kind: number, payload: Buffer): void => {
        if (link.channel !== channel) return;
        link.lastHeardMs = this.#options.platform.clock.monotonicMs();
        this.#options.events.message(link.peer.node, kind, payload);
      },
      closed: (error: Error | undefined): void => {
        if (link.channel !== channel) return;
        link.channel = null;
        this.#options.log.info('link down', { node: link.peer.node, error: error?.message });
        this.#options.events.linkDown(link.peer.node);
        this.#dialLater(link);
      },
      drained: (): void => undefined,
    };
    channel.attach(events, () => {
      this.#options.log.info('link up', { node: link.peer.node });
      this.#options.events.linkUp(link.peer.node);
    });
  }

  /** Keeps quiet links alive and takes silent ones down. */
  #watch(): void {
    this.#keepAlive = this.#options.platform.timers.after(KEEP_ALIVE_MS / 2, () => {
      if (this.#isClosed) return;
      const now = this.#options.platform.clock.monotonicMs();
      for (const link of this.#links.values()) {
        const { channel } = link;
        if (channel === null) continue;
        if (now - link.lastHeardMs > SILENCE_MAX_MS) {
          channel.close();
        } else if (now - link.lastSentMs > KEEP_ALIVE_MS / 2) {
          channel.begin(KEEP_ALIVE_KIND);
          channel.end();
          channel.flush();
          link.lastSentMs = now;
        }
      }
      this.#watch();
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
