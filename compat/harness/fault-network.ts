/**
 * Faults on the connections between nodes: a TCP proxy for every ordered pair, so that each node reaches each other one
 * through a port of its own.
 *
 * A direction is *from* one node *to* another, whoever dialled: bytes of a connection that n1 made to n2 are subject to
 * the direction n1→n2 on the way out and to n2→n1 on the way back. So a one-way cut is one direction that delivers
 * nothing, while the other one works.
 *
 * | fault    | what the nodes see                                                                     |
 * |----------|----------------------------------------------------------------------------------------|
 * | silent   | nothing arrives, no error; what was sent arrives when the direction works again, as TCP |
 * |          | sends it again after a cable is back                                                    |
 * | cut      | connections end with a reset, new ones are refused                                      |
 * | delay    | everything arrives later, in order                                                      |
 * | throttle | so many bytes a second, and back-pressure                                               |
 * | reset    | connections end in the middle of what is being sent                                     |
 *
 * Every fault counts what it did: a fault that met no traffic proves nothing, and whoever injected it must be able to tell.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

import type { SeededRandom } from './random.ts';

/** What one direction does. */
export interface DirectionState {
  readonly isSilent: boolean;
  readonly isCut: boolean;
  /** Each piece arrives this much later, and up to `jitterMs` more; ms. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** 0 = without limit. */
  readonly bytesPerSecond: number;
}

const CLEAR: DirectionState = { isSilent: false, isCut: false, delayMs: 0, jitterMs: 0, bytesPerSecond: 0 };

/** What faults did since the last `takeEffects`. */
export interface NetworkEffects {
  /** Bytes that waited in a silent direction. */
  heldBytes: number;
  /** Connections that were refused because the direction was cut. */
  refused: number;
  /** Connections that were ended. */
  ended: number;
  /** Pieces that were delivered late, by delay or by throttle. */
  latePieces: number;
  /** The longest of these, ms. */
  latestMs: number;
}

/** Bytes waiting in one direction of one connection beyond which the sender feels back-pressure. */
const HELD_BYTES_MAX = 4 * 1024 * 1024;
/** Largest piece handed on at once where bytes are counted. */
const THROTTLED_PIECE_BYTES = 16 * 1024;

const noEffects = (): NetworkEffects => ({ heldBytes: 0, refused: 0, ended: 0, latePieces: 0, latestMs: 0 });

interface ProxiedNode {
  readonly name: string;
  /** Where it accepts other nodes. */
  readonly port: number;
}

export class FaultNetwork {
  readonly #random: SeededRandom;
  readonly #servers: Server[] = [];
  readonly #ports = new Map<string, number>();
  readonly #states = new Map<string, DirectionState>();
  readonly #tunnels = new Set<Tunnel>();
  #effects = noEffects();

  private constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Listens for every ordered pair on the given ports, in the order of `pairsOf`. */
  static async open(
    nodes: readonly ProxiedNode[],
    ports: readonly number[],
    random: SeededRandom,
  ): Promise<FaultNetwork> {
    const network = new FaultNetwork(random);
    for (const [index, { from, to }] of pairsOf(nodes).entries()) {
      const port = ports[index];
      if (port === undefined) throw new Error(`no port for the proxy from ${from.name} to ${to.name}`);
      network.#ports.set(keyOf(from.name, to.name), port);
      network.#servers.push(await network.#listen(from, to, port));
    }
    return network;
  }

  /** The port at which `from` reaches `to`. */
  port(from: string, to: string): number {
    const port = this.#ports.get(keyOf(from, to));
    if (port === undefined) throw new Error(`no proxy from ${from} to ${to}`);
    return port;
  }

  /** Changes what a direction does; what is not named stays. */
  set(from: string, to: string, change: Partial<DirectionState>): void {
    this.#states.set(keyOf(from, to), { ...this.state(from, to), ...change });
    for (const tunnel of this.#tunnels) {
      if (!tunnel.joins(from, to)) continue;
      if (change.isCut === true) tunnel.end();
      else tunnel.stateChanged();
    }
  }

  /** Both directions. */
  setBoth(a: string, b: string, change: Partial<DirectionState>): void {
    this.set(a, b, change);
    this.set(b, a, change);
  }

  state(from: string, to: string): DirectionState {
    return this.#states.get(keyOf(from, to)) ?? CLEAR;
  }

  /** All directions work again. */
  heal(): void {
    this.#states.clear();
    for (const tunnel of this.#tunnels) tunnel.stateChanged();
  }

  /** Ends the connections of a pair, each after a part of the piece that it carries next. @returns how many it is set for. */
  resetSoon(a: string, b: string): number {
    let count = 0;
    for (const tunnel of this.#tunnels) {
      if (!tunnel.joins(a, b)) continue;
      tunnel.endWithinPiece(this.#random.float());
      count += 1;
    }
    return count;
  }

  takeEffects(): NetworkEffects {
    const effects = this.#effects;
    this.#effects = noEffects();
    return effects;
  }

  async close(): Promise<void> {
    for (const tunnel of this.#tunnels) tunnel.end();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #listen(from: ProxiedNode, to: ProxiedNode, port: number): Promise<Server> {
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket, from, to));
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: '127.0.0.1', port, exclusive: true }, () => resolve(server));
    });
  }

  #accept(near: Socket, from: ProxiedNode, to: ProxiedNode): void {
    near.on('error', () => undefined); // 'close' follows, and is what counts
    if (this.state(from.name, to.name).isCut || this.state(to.name, from.name).isCut) {
      this.#effects.refused += 1;
      near.resetAndDestroy();
      return;
    }
    const far = connect({ host: '127.0.0.1', port: to.port });
    far.on('error', () => undefined);
    const tunnel = new Tunnel({
      ends: [
        { name: from.name, socket: near },
        { name: to.name, socket: far },
      ],
      stateOf: (one, other) => this.state(one, other),
      random: this.#random,
      effects: () => this.#effects,
      ended: () => this.#tunnels.delete(tunnel),
    });
    this.#tunnels.add(tunnel);
  }
}

/** Each node with each other one, as one that dials and one that is dialled. */
export function pairsOf<T>(nodes: readonly T[]): readonly { readonly from: T; readonly to: T }[] {
  return nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => ({ from, to })));
}

function keyOf(from: string, to: string): string {
  return `${from} ${to}`;
}

interface TunnelEnd {
  readonly name: string;
  readonly socket: Socket;
}

interface TunnelSetup {
  readonly ends: readonly [TunnelEnd, TunnelEnd];
  readonly stateOf: (from: string, to: string) => DirectionState;
  readonly random: SeededRandom;
  readonly effects: () => NetworkEffects;
  readonly ended: () => void;
}

/** One connection through the proxy: two pipes, and one end. */
class Tunnel {
  readonly #setup: TunnelSetup;
  readonly #pipes: readonly [Pipe, Pipe];
  #isEnded = false;

  constructor(setup: TunnelSetup) {
    this.#setup = setup;
    const [near, far] = setup.ends;
    const pipe = (from: TunnelEnd, to: TunnelEnd): Pipe =>
      new Pipe({
        source: from.socket,
        target: to.socket,
        state: () => setup.stateOf(from.name, to.name),
        random: setup.random,
        effects: setup.effects,
        finished: () => this.end(),
      });
    this.#pipes = [pipe(near, far), pipe(far, near)];
    near.socket.setNoDelay(true);
    far.socket.setNoDelay(true);
  }

  joins(a: string, b: string): boolean {
    const [near, far] = this.#setup.ends;
    return (near.name === a && far.name === b) || (near.name === b && far.name === a);
  }

  stateChanged(): void {
    for (const pipe of this.#pipes) pipe.pump();
  }

  endWithinPiece(share: number): void {
    for (const pipe of this.#pipes) pipe.endWithinPiece(share);
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#setup.effects().ended += 1;
    for (const pipe of this.#pipes) pipe.stop();
    for (const { socket } of this.#setup.ends) socket.resetAndDestroy();
    this.#setup.ended();
  }
}

interface PipeSetup {
  readonly source: Socket;
  readonly target: Socket;
  readonly state: () => DirectionState;
  readonly random: SeededRandom;
  readonly effects: () => NetworkEffects;
  /** The source has ended, and all that it sent is delivered; or the pipe was told to break. */
  readonly finished: () => void;
}

interface Piece {
  readonly bytes: Buffer;
  readonly arrivedMs: number;
  readonly dueMs: number;
  wasHeld: boolean;
}

/** One direction of one connection. What it holds is in order; the end of the source is the last thing that it delivers. */
class Pipe {
  readonly #setup: PipeSetup;
  #pieces: Piece[] = [];
  #heldBytes = 0;
  #hasSourceEnded = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | null = null;
  #lastDueMs = 0;
  /** When the next throttled piece may leave. */
  #freeAtMs = 0;
  #breakShare: number | null = null;

  constructor(setup: PipeSetup) {
    this.#setup = setup;
    const { source, target } = setup;
    source.on('data', (bytes) => this.#receive(bytes));
    source.once('close', () => {
      this.#hasSourceEnded = true;
      this.pump();
    });
    target.on('drain', () => this.pump());
    source.resume();
  }

  endWithinPiece(share: number): void {
    this.#breakShare = share;
    this.pump();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#pieces = [];
  }

  #receive(bytes: Buffer): void {
    if (this.#isStopped) return;
    const nowMs = performance.now();
    const { delayMs, jitterMs, bytesPerSecond } = this.#setup.state();
    // In order, as TCP delivers: a piece is never due before the one ahead of it.
    this.#lastDueMs = Math.max(this.#lastDueMs, nowMs + delayMs + this.#setup.random.float() * jitterMs);
    const size = bytesPerSecond > 0 ? THROTTLED_PIECE_BYTES : bytes.length;
    for (let at = 0; at < bytes.length; at += size) {
      const part = bytes.subarray(at, at + size);
      this.#pieces.push({ bytes: part, arrivedMs: nowMs, dueMs: this.#lastDueMs, wasHeld: false });
    }
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > HELD_BYTES_MAX) this.#setup.source.pause();
    this.pump();
  }

  /** Delivers what is due. Called whenever something changed. */
  pump(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (!this.#isStopped) {
      const state = this.#setup.state();
      if (state.isSilent) return this.#hold();
      const [piece] = this.#pieces;
      if (piece === undefined) {
        if (this.#hasSourceEnded) this.#setup.finished();
        return;
      }
      const nowMs = performance.now();
      const dueMs = Math.max(piece.dueMs, state.bytesPerSecond > 0 ? this.#freeAtMs : 0);
      if (dueMs > nowMs) {
        this.#timer = setTimeout(() => this.pump(), Math.max(1, dueMs - nowMs));
        return;
      }
      if (this.#setup.target.writableNeedDrain) return;
      this.#deliver(piece, nowMs, state);
    }
  }

  /** What waits is counted once. */
  #hold(): void {
    const effects = this.#setup.effects();
    for (const piece of this.#pieces) {
      if (!piece.wasHeld) effects.heldBytes += piece.bytes.length;
      piece.wasHeld = true;
    }
  }

  #deliver(piece: Piece, nowMs: number, state: DirectionState): void {
    const { target, source } = this.#setup;
    if (this.#breakShare !== null) {
      this.#isStopped = true;
      const part = piece.bytes.subarray(0, Math.floor(piece.bytes.length * this.#breakShare));
      target.write(part, () => this.#setup.finished());
      return;
    }
    this.#pieces.shift();
    this.#heldBytes -= piece.bytes.length;
    if (state.bytesPerSecond > 0) {
      this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (piece.bytes.length * 1000) / state.bytesPerSecond;
    }
    const lateMs = nowMs - piece.arrivedMs;
    const effects = this.#setup.effects();
    if (lateMs >= 1 && !piece.wasHeld && (state.delayMs > 0 || state.bytesPerSecond > 0)) {
      effects.latePieces += 1;
      effects.latestMs = Math.max(effects.latestMs, lateMs);
    }
    target.write(piece.bytes);
    if (source.isPaused() && this.#heldBytes < HELD_BYTES_MAX / 2) source.resume();
  }
}
