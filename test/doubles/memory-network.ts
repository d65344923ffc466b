/**
 * A network in memory: hosts listen and connect, bytes travel as chunks that are cut anywhere, and nothing arrives
 * before its time. Everything happens through the timers that are handed in, so that a virtual clock decides the order.
 *
 * Each direction of a connection is a stream of its own:
 *
 *   write -> bufferedBytes -> link (latency, window) -> onData of the other end, in random pieces
 *
 * Bytes count against the sender's `bufferedBytes` until the receiver has taken them; a paused receiver takes none, and
 * beyond `windowBytes` in flight the rest waits at the sender: back-pressure as TCP has it. `onDrain` comes when
 * `bufferedBytes` falls to zero.
 *
 * Faults: `cut` and `heal` stop and restart a directed path between two hosts (bytes wait, as TCP retransmits);
 * `reset` breaks a connection at once on both ends; `resetHost` breaks all of a host's, as a crash does. Chunks are
 * overwritten after `onData` returns: whoever kept one without a copy sees rubbish.
 */
import type {
  Connection,
  ConnectionHandler,
  Listener,
  ListenOptions,
  Network,
  Timers,
} from '../../src/base/platform.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface MemoryNetworkOptions {
  readonly timers: Timers;
  readonly random: SeededRandom;
  /** One way, drawn for each delivery; default 0 (delivered in a later turn of the same moment). */
  readonly latencyMs?: (from: string, to: string) => number;
  /** Bytes in flight in one direction; default 64 KiB. */
  readonly windowBytes?: number;
  /** Largest piece that is delivered at once; pieces are drawn from 1 to this. Default 64 KiB: cuts are rare. */
  readonly pieceBytesMax?: number;
}

const GARBAGE = 0xdd;
const EPHEMERAL_PORT_FIRST = 40_000;

export class MemoryNetwork {
  readonly timers: Timers;
  readonly random: SeededRandom;
  readonly windowBytes: number;
  readonly #latencyMs: (from: string, to: string) => number;
  readonly #pieceBytesMax: number;
  readonly #listeners = new Map<string, MemoryListener>();
  readonly #ends = new Set<MemoryConnection>();
  /** Directed paths that carry nothing: 'from>to'. */
  readonly #cut = new Set<string>();
  #lastPort = EPHEMERAL_PORT_FIRST;
  /** Times that something wanted to pass where a path is cut: evidence that a cut did something. */
  blockedCount = 0;
  /** Pieces, connections and ends that were given a latency. */
  latencyCount = 0;

  constructor(options: MemoryNetworkOptions) {
    this.timers = options.timers;
    this.random = options.random;
    this.windowBytes = options.windowBytes ?? 64 * 1024;
    this.#latencyMs = options.latencyMs ?? (() => 0);
    this.#pieceBytesMax = options.pieceBytesMax ?? 64 * 1024;
  }

  /** The network as one host sees it. */
  host(name: string): Network {
    return {
      listen: (options, onConnection) => this.#listen(name, options, onConnection),
      connect: (options) => this.#connect(name, options),
    };
  }

  /** Nothing travels from one host to the other, nor are connections made, until `heal`. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  heal(from: string, to: string): void {
    this.#cut.delete(`${from}>${to}`);
    for (const end of this.#ends) if (end.host === from && end.peerHost === to) end.pump();
  }

  healAll(): void {
    this.#cut.clear();
    for (const end of this.#ends) end.pump();
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  /** Both ends of every connection between the two hosts learn that it is gone; returns how many ends. */
  reset(a: string, b: string): number {
    const before = this.#ends.size;
    for (const end of [...this.#ends]) {
      if ((end.host === a && end.peerHost === b) || (end.host === b && end.peerHost === a)) end.break('ECONNRESET');
    }
    return before - this.#ends.size;
  }

  /**
   * As when the host's process ends: listeners are gone, peers see a reset, and the host hears nothing any more. Silent: as
   * when the host loses its power, or its network; its peers wait for answers that never come.
   */
  resetHost(name: string, isSilent = false): void {
    for (const [address, listener] of this.#listeners) if (listener.host === name) this.#listeners.delete(address);
    for (const end of [...this.#ends]) {
      if (end.host === name) end.vanish(isSilent);
    }
  }

  /** Open ends of connections. */
  get size(): number {
    return this.#ends.size;
  }

  // -------------------------------------------------------------------------------------------------------------
  // For the connections

  latency(from: string, to: string): number {
    this.latencyCount++;
    return this.#latencyMs(from, to);
  }

  pieceBytes(available: number): number {
    return 1 + this.random.below(Math.min(available, this.#pieceBytesMax));
  }

  forget(end: MemoryConnection): void {
    this.#ends.delete(end);
  }

  // -------------------------------------------------------------------------------------------------------------

  #listen(host: string, { host: bound, port: wanted }: ListenOptions, onConnection: OnConnection): Promise<Listener> {
    const port = wanted === 0 ? ++this.#lastPort : wanted;
    const address = `${host}:${port}`;
    if (this.#listeners.has(address)) return Promise.reject(new Error(`EADDRINUSE: ${bound}:${port}`));
    const listener = new MemoryListener(host, port, onConnection, () => this.#listeners.delete(address));
    this.#listeners.set(address, listener);
    return Promise.resolve(listener);
  }

  #connect(from: string, options: ListenOptions & { readonly timeoutMs: number }): Promise<Connection> {
    const { host: to, port, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      if (this.isCut(from, to) || this.isCut(to, from)) {
        this.blockedCount++;
        this.timers.after(timeoutMs, () => {
          reject(new Error(`ETIMEDOUT: ${to}:${port}`));
        });
        return;
      }
      // One way there for the server's end, there and back for the client's.
      this.timers.after(this.latency(from, to), () => {
        const listener = this.#listeners.get(`${to}:${port}`);
        if (listener === undefined) {
          reject(new Error(`ECONNREFUSED: ${to}:${port}`));
          return;
        }
        const near = `${from}:${++this.#lastPort}`;
        const far = `${to}:${port}`;
        const client = new MemoryConnection(this, from, { remoteAddress: far, localAddress: near, peerHost: to });
        const server = new MemoryConnection(this, to, { remoteAddress: near, localAddress: far, peerHost: from });
        client.join(server);
        this.#ends.add(client).add(server);
        listener.onConnection(server);
        // If the server has ended it by then, whoever attaches learns it.
        this.timers.after(this.latency(to, from), () => {
          resolve(client);
        });
      });
    });
  }
}

type OnConnection = (connection: Connection) => void;

class MemoryListener implements Listener {
  readonly host: string;
  readonly port: number;
  readonly onConnection: OnConnection;
  readonly #remove: () => void;

  constructor(host: string, port: number, onConnection: OnConnection, remove: () => void) {
    this.host = host;
    this.port = port;
    this.onConnection = onConnection;
    this.#remove = remove;
  }

  close(): Promise<void> {
    this.#remove();
    return Promise.resolve();
  }
}

interface Sent {
  readonly deliver: () => void;
  isDue: boolean;
}

interface Addresses {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly peerHost: string;
}

/** One end of a connection. */
export class MemoryConnection implements Connection {
  readonly host: string;
  readonly peerHost: string;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly #network: MemoryNetwork;
  #peer: MemoryConnection | null = null;
  #handler: ConnectionHandler | null = null;
  /** Written here and not yet on the link. */
  readonly #outbox: Uint8Array[] = [];
  #outboxBytes = 0;
  /** On the link or delivered to a paused receiver, not yet taken. */
  #flightBytes = 0;
  /** Arrived here and not yet handed to the handler. */
  readonly #inbox: Buffer[] = [];
  #corks = 0;
  #isPaused = false;
  #isDelivering = false;
  /** This end sends nothing more once the outbox is empty. */
  #isEnding = false;
  #hasSentEnd = false;
  #hasSeenEnd = false;
  #isClosed = false;
  /** What this end has put on the link, in order. */
  readonly #link: Sent[] = [];
  #hasToldEnd = false;

  constructor(network: MemoryNetwork, host: string, addresses: Addresses) {
    this.#network = network;
    this.host = host;
    this.peerHost = addresses.peerHost;
    this.remoteAddress = addresses.remoteAddress;
    this.localAddress = addresses.localAddress;
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer;
    peer.#peer = this;
  }

  get #theOther(): MemoryConnection {
    if (this.#peer === null) throw new Error('a connection has two ends');
    return this.#peer;
  }

  get bufferedBytes(): number {
    return this.#outboxBytes + this.#flightBytes;
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== null) throw new Error('a connection has one handler');
    this.#handler = handler;
    if (this.#isClosed) this.#tellClosed(undefined);
    else this.#deliverSoon();
  }

  write(chunk: Uint8Array): void {
    if (this.#isClosed || this.#isEnding || chunk.length === 0) return;
    this.#outbox.push(chunk);
    this.#outboxBytes += chunk.length;
    if (this.#corks === 0) this.pump();
  }

  cork(): void {
    this.#corks++;
  }

  uncork(): void {
    this.#corks--;
    if (this.#corks === 0) this.pump();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliverSoon();
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.pump();
  }

  destroy(): void {
    if (this.#isClosed) return;
    const peer = this.#peer;
    this.#close(undefined);
    this.#network.timers.after(this.#network.latency(this.host, this.peerHost), () => peer?.break('ECONNRESET'));
  }

  /** The connection is gone; the handler is told with this error. */
  break(code: string): void {
    if (this.#isClosed) return;
    const peer = this.#peer;
    this.#close(new Error(code));
    peer?.break(code);
  }

  /** This end is gone without a word; the other one sees a reset, or, if silent, nothing. */
  vanish(isSilent = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handler = null;
    this.#network.forget(this);
    if (!isSilent) this.#peer?.break('ECONNRESET');
  }

  /** Puts on the link what fits into the window, in random pieces. */
  pump(): void {
    const network = this.#network;
    if (this.#isClosed || this.#corks > 0) return;
    if (network.isCut(this.host, this.peerHost)) {
      if (this.#outboxBytes > 0) network.blockedCount++;
      return;
    }
    // A window that is nearly full waits until half of it is free: else pieces shrink to a byte each.
    const hasRoom = this.#flightBytes * 2 <= network.windowBytes;
    while (hasRoom && this.#outboxBytes > 0 && this.#flightBytes < network.windowBytes) {
      const piece = this.#takePiece(
        network.pieceBytes(Math.min(this.#outboxBytes, network.windowBytes - this.#flightBytes)),
      );
      this.#flightBytes += piece.length;
      this.#send(() => this.#theOther.#arrive(piece));
    }
    if (this.#isEnding && !this.#hasSentEnd && this.#outboxBytes === 0) {
      this.#hasSentEnd = true;
      this.#send(() => this.#theOther.#arriveEnd());
      this.#maybeFinish();
    }
  }

  /** A copy: it is handed to the other end, and spoilt afterwards. */
  #takePiece(bytes: number): Buffer {
    const piece = Buffer.allocUnsafe(bytes);
    let filled = 0;
    while (filled < bytes) {
      const [chunk] = this.#outbox;
      if (chunk === undefined) throw new Error('the outbox holds less than it counts');
      const left = bytes - filled;
      if (chunk.length <= left) {
        piece.set(chunk, filled);
        filled += chunk.length;
        this.#outbox.shift();
      } else {
        piece.set(chunk.subarray(0, left), filled);
        filled = bytes;
        this.#outbox[0] = chunk.subarray(left);
      }
    }
    this.#outboxBytes -= bytes;
    return piece;
  }

  /** In order, whatever the latencies: a piece that is faster than the one before it waits for it. */
  #send(deliver: () => void): void {
    const item: Sent = { deliver, isDue: false };
    this.#link.push(item);
    this.#network.timers.after(this.#network.latency(this.host, this.peerHost), () => {
      item.isDue = true;
      while (this.#link[0]?.isDue === true) this.#link.shift()?.deliver();
    });
  }

  #arrive(piece: Buffer): void {
    if (this.#isClosed) return;
    this.#inbox.push(piece);
    this.#deliver();
  }

  #arriveEnd(): void {
    if (this.#isClosed) return;
    this.#hasSeenEnd = true;
    this.#deliver();
  }

  #deliverSoon(): void {
    this.#network.timers.after(0, () => {
      this.#deliver();
    });
  }

  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (!this.#isClosed && !this.#isPaused && this.#handler !== null) {
      const piece = this.#inbox.shift();
      if (piece === undefined) break;
      this.#handler.onData(piece);
      piece.fill(GARBAGE);
      this.#theOther.#taken(piece.length);
    }
    this.#isDelivering = false;
    if (this.#hasSeenEnd && this.#inbox.length === 0 && !this.#isClosed && !this.#isPaused) this.#tellEnd();
  }

  /** The other side sends nothing more; unless the handler wants to say something yet, it is over. */
  #tellEnd(): void {
    const handler = this.#handler;
    if (handler === null) return;
    if (!this.#hasToldEnd) {
      this.#hasToldEnd = true;
      if (handler.onEnd === undefined) this.end();
      else handler.onEnd();
    }
    this.#maybeFinish();
  }

  #taken(bytes: number): void {
    if (this.#isClosed) return;
    this.#flightBytes -= bytes;
    this.pump();
    if (this.bufferedBytes === 0) this.#handler?.onDrain();
  }

  /** Closes once both directions have ended. */
  #maybeFinish(): void {
    if (this.#hasSentEnd && this.#hasToldEnd) this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#outbox.length = 0;
    this.#inbox.length = 0;
    this.#network.forget(this);
    if (this.#handler !== null) this.#tellClosed(error);
  }

  /** Never from within a call of the handler's own. */
  #tellClosed(error: Error | undefined): void {
    const handler = this.#handler;
    this.#network.timers.after(0, () => handler?.onClose(error));
  }
}
