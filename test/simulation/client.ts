/**
 * A client of the simulated cluster: RESP bytes over a simulated connection, and an honest class for each outcome.
 *
 * - ok: the reply is what the command answers. Replies that say "no" (nil, wrong type) are ok too.
 * - failed: nothing of the request was, or ever will be, applied: the connection was refused before a byte was sent, or the
 *   error says so. Checkers hold the server to it.
 * - unknown: it may have been applied, or may still be.
 *
 * A client never repeats anything. After an unknown outcome it goes on with a new connection.
 */
import type { Connection } from '../../src/base/platform.ts';
import { ReplyDecoder } from '../../src/resp/decode.ts';
import { ErrorReply, type Reply } from '../../src/resp/reply.ts';
import { classOfError, type Outcome, type Request, type StageClient } from './workloads/stage.ts';
import type { World } from './world.ts';

const RETRY_MS = 30;

interface Waiting {
  readonly complete: (outcome: Outcome) => void;
}

export class SimClient implements StageClient {
  readonly name: string;
  readonly #world: World;
  /** The node that it stays with; null to choose one at each connection. */
  readonly #pinned: string | null;
  #connection: Connection | null = null;
  #waiting: Waiting[] = [];
  #decoder = new ReplyDecoder();

  constructor(world: World, name: string, pinned: string | null) {
    this.name = name;
    this.#world = world;
    this.#pinned = pinned;
    world.clientHosts.add(name);
  }

  /** Sends requests in one go. */
  async pipeline(requests: readonly Request[]): Promise<readonly Outcome[]> {
    const connection = await this.#connected();
    if (connection === null) return requests.map(() => ({ kind: 'failed', error: 'no connection' }));
    const outcomes = requests.map(() => this.#outcome(connection));
    connection.write(Buffer.from(requests.map(encode).join(''), 'latin1'));
    return Promise.all(outcomes);
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  /** Ends the connection; whatever was asked is unknown. */
  disconnect(): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#lost(connection, 'disconnected');
    connection.destroy();
  }

  async #connected(): Promise<Connection | null> {
    if (this.#connection !== null) return this.#connection;
    const node = this.#pinned ?? this.#world.pickNode();
    const { network } = this.#world;
    try {
      const connection = await network.host(this.name).connect({ host: node, port: CLIENT_PORT, timeoutMs: 1_000 });
      this.#connection = connection;
      this.#decoder = new ReplyDecoder();
      connection.attach({
        onData: (chunk) => this.#received(connection, chunk),
        onDrain: () => undefined,
        onClose: () => this.#lost(connection, 'the connection was closed'),
      });
      return connection;
    } catch {
      await this.#world.scheduler.sleep(RETRY_MS);
      return null;
    }
  }

  #outcome(connection: Connection): Promise<Outcome> {
    return new Promise((resolve) => {
      const { scheduler, profile } = this.#world;
      const timer = scheduler.after(profile.commandTimeoutMs * 2 + CLIENT_PATIENCE_MS, () => {
        this.#lost(connection, 'the client lost patience');
        connection.destroy();
        this.#world.mark('client lost patience');
      });
      this.#waiting.push({
        complete: (outcome) => {
          timer.cancel();
          resolve(outcome);
        },
      });
    });
  }

  #received(connection: Connection, chunk: Buffer): void {
    if (connection !== this.#connection) return;
    for (const reply of this.#decoder.push(chunk)) {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#world.violation(`client ${this.name} got a reply that it did not ask for`);
        return;
      }
      next.complete(classify(reply));
    }
  }

  #lost(connection: Connection, error: string): void {
    if (connection !== this.#connection) return;
    this.#connection = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { complete } of waiting) complete({ kind: 'unknown', error });
  }
}

/** Longer than any wait that a client asks the server for, beyond the server's own time-outs, ms. */
const CLIENT_PATIENCE_MS = 2_000;
export const CLIENT_PORT = 7001;

function classify(reply: Reply): Outcome {
  if (!(reply instanceof ErrorReply)) return { kind: 'ok', reply };
  const kind = classOfError(reply.text);
  return kind === 'ok' ? { kind, reply } : { kind, error: reply.text };
}

function encode(argv: Request): string {
  const words = argv.map(String);
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}
