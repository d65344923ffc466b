/**
 * A raw client: one socket, pipelining, no retry, no reconnect, no queue while offline. Test traffic must not pass
 * through a library that resends writes by itself, or the duplicates that it finds are its own.
 */
import { connect, type Socket } from 'node:net';

import { type Outcome, outcomeOfReply } from './outcome.ts';
import { type Argument, encodeRequest, type Frame, ProtocolViolation, RespDecoder, type RespValue } from './resp.ts';

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Default 3000. */
  readonly connectTimeoutMs?: number;
  /** Limit for `outcome`; default 20000. */
  readonly callTimeoutMs?: number;
  /** Protocol to ask for with HELLO; 2 (default) sends nothing. */
  readonly protocol?: 2 | 3;
}

/** The connection ended, or was never made; `wasConnected` tells which. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  readonly wasConnected: boolean;

  constructor(message: string, wasConnected: boolean) {
    super(message);
    this.wasConnected = wasConnected;
  }
}

interface Waiter {
  resolve(frame: Frame): void;
  reject(error: Error): void;
}

export class RespClient {
  readonly #socket: Socket;
  readonly #decoder = new RespDecoder();
  readonly #callTimeoutMs: number;
  #waiters: Waiter[] = [];
  #waitersDone = 0;
  #end: Error | null = null;
  /** RESP3 pushes and replies that nobody asked for, oldest first. */
  readonly unsolicited: Frame[] = [];

  private constructor(socket: Socket, callTimeoutMs: number) {
    this.#socket = socket;
    this.#callTimeoutMs = callTimeoutMs;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#finish(new ConnectionLost(error.message, true)));
    socket.on('close', () => this.#finish(new ConnectionLost('connection closed', true)));
  }

  /** @throws ConnectionLost with `wasConnected` false; for protocol 3 also if HELLO is refused. */
  static async connect(options: ConnectOptions): Promise<RespClient> {
    const socket = await openSocket(options);
    const client = new RespClient(socket, options.callTimeoutMs ?? 20_000);
    if (options.protocol === 3) {
      const hello = await client.call('HELLO', '3');
      if (hello.type === 'error') {
        client.close();
        throw new ConnectionLost(`HELLO 3 refused: ${hello.text}`, false);
      }
    }
    return client;
  }

  get isOpen(): boolean {
    return this.#end === null;
  }

  /** The reply with its bytes. Error replies resolve too. @throws ConnectionLost, ProtocolViolation */
  frame(args: readonly Argument[]): Promise<Frame> {
    return this.#request(encodeRequest(args));
  }

  /** The reply's meaning; error replies resolve as values of type 'error'. @throws ConnectionLost, ProtocolViolation */
  async call(...args: readonly Argument[]): Promise<RespValue> {
    return (await this.frame(args)).value;
  }

  /** As `call`, but an error reply throws. For set-up code that has no use for errors. */
  async must(...args: readonly Argument[]): Promise<RespValue> {
    const value = await this.call(...args);
    if (value.type === 'error') throw new Error(`${args.slice(0, 3).join(' ')}: ${value.text}`);
    return value;
  }

  /** Requests in one write, replies in order. */
  pipeline(requests: readonly (readonly Argument[])[]): Promise<Frame[]> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const replies = requests.map(() => this.#expect());
    this.#socket.write(Buffer.concat(requests.map(encodeRequest)));
    return Promise.all(replies);
  }

  /**
   * Never throws for what the server or the network did. After `unknown` by timeout the connection is closed: a late
   * reply must not be taken for the answer to the next request.
   */
  async outcome(...args: readonly Argument[]): Promise<Outcome> {
    if (this.#end !== null) return { class: 'failed', reason: this.#end.message, seen: 'no-connection' };
    const timer = setTimeout(() => {
      this.#finish(new ConnectionLost(`no reply within ${this.#callTimeoutMs} ms`, true));
    }, this.#callTimeoutMs);
    try {
      return outcomeOfReply(await this.call(...args));
    } catch (error) {
      if (error instanceof ConnectionLost || error instanceof ProtocolViolation) {
        return { class: 'unknown', reason: error.message };
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Bytes as they are; nothing is expected back, whatever comes lands in `unsolicited`. */
  writeRaw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Resolves when the peer has closed the connection. */
  untilClosed(): Promise<void> {
    if (this.#socket.closed) return Promise.resolve();
    return new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }

  close(): void {
    this.#finish(new ConnectionLost('closed by the client', true));
  }

  #request(bytes: Buffer): Promise<Frame> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const reply = this.#expect();
    this.#socket.write(bytes);
    return reply;
  }

  #expect(): Promise<Frame> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) this.#deliver(frame);
    } catch (error) {
      this.#finish(error instanceof Error ? error : new ProtocolViolation(String(error)));
    }
  }

  #deliver(frame: Frame): void {
    const waiter = frame.value.type === 'push' ? undefined : this.#waiters[this.#waitersDone];
    if (waiter === undefined) {
      this.unsolicited.push(frame);
      return;
    }
    this.#waitersDone += 1;
    if (this.#waitersDone > 1024) {
      this.#waiters = this.#waiters.slice(this.#waitersDone);
      this.#waitersDone = 0;
    }
    waiter.resolve(frame);
  }

  #finish(error: Error): void {
    if (this.#end !== null) return;
    this.#end = error;
    this.#socket.destroy();
    const waiters = this.#waiters.slice(this.#waitersDone);
    this.#waiters = [];
    this.#waitersDone = 0;
    for (const waiter of waiters) waiter.reject(error);
  }
}

function openSocket(options: ConnectOptions): Promise<Socket> {
  const timeoutMs = options.connectTimeoutMs ?? 3_000;
  return new Promise((resolve, reject) => {
    const socket = connect({ host: options.host, port: options.port });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(new ConnectionLost(error.message, false));
    };
    socket.setTimeout(timeoutMs, () => fail(new Error(`no connection within ${timeoutMs} ms`)));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.removeListener('error', fail);
      resolve(socket);
    });
  });
}
