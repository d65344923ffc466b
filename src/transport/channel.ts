/**
 * An authenticated connection to another node: messages out, coalesced into one frame a flush; messages in.
 *
 * Hot path (bench: compat/bench, SET on three nodes): a message is written once into the channel's buffer; the flush
 * copies the turn's messages into the one chunk that the connection takes.
 */
import { ByteWriter } from '../base/bytes.ts';
import { crc32 } from '../base/checksum.ts';
import { KahunaError } from '../base/errors.ts';
import type { Connection, Random, TimerHandle, Timers } from '../base/platform.ts';
import { FRAME_HEADER_BYTES, FrameReader, LINK_KINDS, malformed } from './frames.ts';
import {
  type Challenge,
  decodeChallenge,
  decodeHello,
  encodeChallenge,
  encodeHello,
  type Hello,
  type Identity,
  isProofValid,
  NONCE_BYTES,
  proofOf,
  type Purpose,
  refused,
} from './handshake.ts';
import { FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX, HANDSHAKE_TIMEOUT_MS, SCRATCH_BYTES_KEPT } from './limits.ts';

export interface ChannelEvents {
  /** The payload is valid during the call only. */
  message(kind: number, payload: Buffer): void;
  /** Called once; nothing follows. */
  closed(error: Error | undefined): void;
  /** Everything written has left. */
  drained(): void;
}

export interface ChannelOptions {
  readonly connection: Connection;
  readonly identity: Identity;
  readonly secret: string;
  readonly timers: Timers;
  readonly random: Random;
}

export class Channel {
  /** Who is at the other end; set once the handshake is done. */
  peer: Identity | null = null;
  purpose: Purpose | 0 = 0;
  readonly #options: ChannelOptions;
  readonly #reader = new FrameReader(HANDSHAKE_BYTES_MAX);
  readonly #writer = new ByteWriter(16 * 1024);
  #messageStart = 0;
  #events: ChannelEvents | null = null;
  #onHandshake: ((kind: number, payload: Buffer) => void) | null = null;
  #fail: ((error: Error) => void) | null = null;
  #isClosed = false;
  /** What arrived right behind the handshake, in the same chunk, before `attach`. */
  readonly #early: { readonly kind: number; readonly payload: Buffer }[] = [];

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#writer.zeros(FRAME_HEADER_BYTES);
    options.connection.attach({
      onData: (chunk) => {
        this.#receive(chunk);
      },
      onDrain: () => {
        this.#events?.drained();
      },
      onClose: (error) => {
        this.#closed(error);
      },
    });
  }

  get bufferedBytes(): number {
    return this.#options.connection.bufferedBytes;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Starts a message; its payload is written into the writer returned, then `end` is called. */
  begin(kind: number): ByteWriter {
    this.#writer.u8(kind);
    this.#messageStart = this.#writer.length;
    this.#writer.u32(0);
    return this.#writer;
  }

  end(): void {
    this.#writer.patchU32(this.#messageStart, this.#writer.length - this.#messageStart - 4);
  }

  get hasMessages(): boolean {
    return this.#writer.length > FRAME_HEADER_BYTES;
  }

  /** Sends what was written since the last flush, as one frame; an empty frame keeps a quiet link alive. */
  flush(): void {
    if (this.#isClosed) return;
    const writer = this.#writer;
    writer.patchU32(0, writer.length - FRAME_HEADER_BYTES);
    writer.patchU32(4, crc32(writer.finish().subarray(FRAME_HEADER_BYTES)));
    // A copy from the pool of Buffer, if it is short: memory outside the heap costs more to get than to fill.
    this.#options.connection.write(Buffer.from(writer.finish()));
    writer.reset(SCRATCH_BYTES_KEPT);
    writer.zeros(FRAME_HEADER_BYTES);
  }

  pause(): void {
    this.#options.connection.pause();
  }

  resume(): void {
    this.#options.connection.resume();
  }

  close(): void {
    this.#options.connection.destroy();
  }

  /**
   * Sets who gets the messages that follow the handshake. Some may have come already: `ready` is called before they are handed
   * over, so that nobody answers on a link of which its owner has not been told.
   */
  attach(events: ChannelEvents, ready?: () => void): void {
    this.#events = events;
    ready?.();
    for (const { kind, payload } of this.#early.splice(0)) events.message(kind, payload);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Handshake

  /** Called by the side that connected. Rejects if the other side is not who it should be. */
  async dial(purpose: Purpose, expected: { readonly node: number }): Promise<Identity> {
    const { identity, secret } = this.#options;
    const hello: Hello = { ...identity, purpose, nonce: this.#options.random.bytes(NONCE_BYTES) };
    return this.#handshake<Identity>((resolve) => {
      let challenge: Challenge | null = null;
      this.#sendNow(LINK_KINDS.hello, encodeHello(hello));
      return (kind, payload) => {
        if (challenge === null) {
          if (kind !== LINK_KINDS.challenge) throw malformed(`kind ${kind} instead of a challenge`);
          challenge = decodeChallenge(payload);
          const { nonce } = challenge;
          this.#checkIdentity(challenge, expected.node);
          const parts = { hello, acceptor: challenge, nonce };
          if (!isProofValid(proofOf(secret, 'acceptor', parts), challenge.proof)) {
            throw refused(`node ${challenge.node} does not know the cluster secret`);
          }
          this.#sendNow(LINK_KINDS.proof, proofOf(secret, 'dialler', parts));
        } else {
          if (kind !== LINK_KINDS.welcome) throw malformed(`kind ${kind} instead of a welcome`);
          this.#established(challenge, purpose);
          resolve(challenge);
        }
      };
    });
  }

  /** Called by the side that was connected to. */
  async accept(): Promise<Hello> {
    const { identity, secret } = this.#options;
    const nonce = this.#options.random.bytes(NONCE_BYTES);
    return this.#handshake<Hello>((resolve) => {
      let hello: Hello | null = null;
      return (kind, payload) => {
        if (hello === null) {
          if (kind !== LINK_KINDS.hello) throw malformed(`kind ${kind} instead of a hello`);
          hello = decodeHello(payload);
          this.#checkIdentity(hello, 0);
          const proof = proofOf(secret, 'acceptor', { hello, acceptor: identity, nonce });
          this.#sendNow(LINK_KINDS.challenge, encodeChallenge({ ...identity, nonce, proof }));
        } else {
          if (kind !== LINK_KINDS.proof) throw malformed(`kind ${kind} instead of a proof`);
          if (!isProofValid(proofOf(secret, 'dialler', { hello, acceptor: identity, nonce }), payload)) {
            throw refused(`node ${hello.node} does not know the cluster secret`);
          }
          this.#sendNow(LINK_KINDS.welcome, new Uint8Array(0));
          this.#established(hello, hello.purpose);
          resolve(hello);
        }
      };
    });
  }

  #handshake<T>(start: (resolve: (value: T) => void) => (kind: number, payload: Buffer) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer: TimerHandle = this.#options.timers.after(HANDSHAKE_TIMEOUT_MS, () => {
        this.#fail?.(refused(`no answer within ${HANDSHAKE_TIMEOUT_MS} ms`));
      });
      this.#fail = (error) => {
        this.#fail = null;
        timer.cancel();
        this.close();
        reject(error);
      };
      this.#onHandshake = start((value) => {
        this.#fail = null;
        timer.cancel();
        resolve(value);
      });
    });
  }

  #checkIdentity(other: Identity, expectedNode: number): void {
    const { identity } = this.#options;
    if (other.clusterId !== identity.clusterId) {
      throw refused(`node ${other.node} belongs to cluster ${other.clusterId}, this one to ${identity.clusterId}`);
    }
    if (other.node === identity.node) throw refused(`both ends call themselves node ${other.node}`);
    if (expectedNode !== 0 && other.node !== expectedNode) {
      throw refused(`node ${expectedNode} was expected, node ${other.node} answered`);
    }
  }

  #established(peer: Identity, purpose: Purpose): void {
    this.peer = peer;
    this.purpose = purpose;
    this.#onHandshake = null;
    this.#reader.bytesMax = FRAME_BYTES_MAX;
  }

  #sendNow(kind: number, payload: Uint8Array): void {
    this.begin(kind).bytes(payload);
    this.end();
    this.flush();
  }

  // -------------------------------------------------------------------------------------------------------------

  #receive(chunk: Buffer): void {
    if (this.#isClosed) return;
    try {
      this.#reader.push(chunk, (kind, payload) => {
        if (this.#isClosed) return;
        if (this.#onHandshake !== null) this.#onHandshake(kind, payload);
        else if (this.#events !== null) this.#events.message(kind, payload);
        else this.#early.push({ kind, payload: Buffer.from(payload) });
      });
    } catch (error) {
      // What a peer sent costs its own connection; our own mistakes are not hidden behind one.
      if (!(error instanceof KahunaError)) throw error;
      this.#fail?.(error);
      this.#closed(error);
      this.close();
    }
  }

  #closed(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#fail?.(error ?? refused('the other side closed the connection'));
    this.#events?.closed(error);
  }
}
