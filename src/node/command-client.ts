/**
 * A client for programs of this project: one connection, commands in order, replies in order, nothing repeated and
 * nothing reconnected by itself. kahuna-cli and kahuna-cluster use it.
 */
import { createConnection, type Socket } from 'node:net';
import { KahunaError } from '../base/errors.ts';
import { ReplyDecoder } from '../resp/decode.ts';
import { PushReply, type Reply } from '../resp/reply.ts';

export interface CommandClientOptions {
  readonly host: string;
  readonly port: number;
  /** For the connection to be made, in ms. */
  readonly connectTimeoutMs: number;
  /** Replies that nobody asked for: pushes, and what MONITOR streams. */
  readonly onUnsolicited?: (reply: Reply) => void;
  /** The connection is gone; called once. */
  readonly onClose?: () => void;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export class CommandClient {
  readonly #socket: Socket;
  readonly #options: CommandClientOptions;
  readonly #decoder = new ReplyDecoder();
  #waiting: Waiting[] = [];
  #isClosed = false;

  private constructor(socket: Socket, options: CommandClientOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#received(chunk));
    socket.on('error', (error) => this.#ended(error.message));
    socket.on('close', () => this.#ended('the server closed the connection'));
  }

  /** Rejects with KahunaError 'CONNECTION' if no connection can be made in time. */
  static connect(options: CommandClientOptions): Promise<CommandClient> {
    const { host, port, connectTimeoutMs } = options;
    return new Promise((resolve, reject) => {
      const socket = createConnection({ host, port });
      const timer = setTimeout(
        () => socket.destroy(new Error(`no answer within ${connectTimeoutMs} ms`)),
        connectTimeoutMs,
      );
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(new KahunaError('CONNECTION', `cannot connect to ${host}:${port}: ${reasonOf(error)}`, error));
      });
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        resolve(new CommandClient(socket, options));
      });
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** `words` hold one character a byte. Rejects with KahunaError 'CONNECTION' if the connection ends before the reply. */
  call(words: readonly string[]): Promise<Reply> {
    if (this.#isClosed) return Promise.reject(new KahunaError('CONNECTION', 'not connected'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(encodeRequest(words));
    });
  }

  close(): void {
    this.#ended('closed');
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    let replies: Reply[];
    try {
      replies = this.#decoder.push(chunk);
    } catch (error) {
      this.#ended(error instanceof Error ? `what the server sent is no reply: ${error.message}` : String(error));
      this.#socket.destroy();
      return;
    }
    for (const reply of replies) {
      const waiting = reply instanceof PushReply ? undefined : this.#waiting.shift();
      if (waiting === undefined) this.#options.onUnsolicited?.(reply);
      else waiting.resolve(reply);
    }
  }

  #ended(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(new KahunaError('CONNECTION', reason));
    this.#options.onClose?.();
  }
}

function encodeRequest(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${word.length}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join('')}`, 'latin1');
}

/** An error for several addresses (localhost) has an empty message of its own. */
function reasonOf(error: Error): string {
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : error.name;
}
