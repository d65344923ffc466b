/** One connection of kahuna-cli: requests go out, replies come back in order, pushes when they come. */
import { connect, type Socket } from 'node:net';
import { ReplyDecoder } from '../resp/decode.ts';
import { PushReply, type Reply } from '../resp/reply.ts';

export class CliConnection {
  readonly #socket: Socket;
  readonly #decoder = new ReplyDecoder();
  readonly #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = [];
  readonly #onUnasked: (reply: Reply) => void;
  /** Why nothing more will come; null while the connection is open. */
  #end: Error | null = null;

  private constructor(socket: Socket, onUnasked: (reply: Reply) => void) {
    this.#socket = socket;
    this.#onUnasked = onUnasked;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on('error', (error) => {
      this.#close(error);
    });
    socket.on('close', () => {
      this.#close(new Error('the server closed the connection'));
    });
  }

  /** `onUnasked` gets what answers no request: pushes, lines of MONITOR. */
  static open(host: string, port: number, onUnasked: (reply: Reply) => void): Promise<CliConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new CliConnection(socket, onUnasked));
      });
    });
  }

  get isOpen(): boolean {
    return this.#end === null;
  }

  /** Arguments are latin1 text (one character a byte). Rejects when the connection ends first. */
  send(argv: readonly string[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#end !== null) {
        reject(this.#end);
        return;
      }
      this.#waiting.push({ resolve, reject });
      const parts = argv.map((argument) => `$${argument.length}\r\n${argument}\r\n`);
      this.#socket.write(Buffer.from(`*${argv.length}\r\n${parts.join('')}`, 'latin1'));
    });
  }

  close(): void {
    this.#socket.end();
  }

  #receive(chunk: Buffer): void {
    for (const reply of this.#decoder.push(chunk)) {
      const waiting = reply instanceof PushReply ? undefined : this.#waiting.shift();
      if (waiting === undefined) this.#onUnasked(reply);
      else waiting.resolve(reply);
    }
  }

  #close(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#end);
  }
}
