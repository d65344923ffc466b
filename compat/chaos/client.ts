/**
 * Clients of the chaos run on real sockets: the harness's own raw one, and ioredis as people use it, except that it may
 * resend nothing by itself. Both make a connection when they need one, repeat nothing, and put what happened into the three
 * classes of `test/simulation/checkers/history.ts`.
 *
 * Replies are handed on in the terms of `src/resp/reply.ts`, which workloads know; they are decoded by the harness's own
 * decoder, or by ioredis, never by the server's code.
 */
import { Redis, ReplyError } from 'ioredis';

import { ErrorReply, MapReply, NULL_ARRAY, type Reply, SetReply, Status } from '../../src/resp/reply.ts';
import {
  classOfError,
  type Outcome,
  plain,
  type Request,
  type StageClient,
} from '../../test/simulation/workloads/stage.ts';
import { RespClient } from '../harness/client.ts';
import type { Endpoint } from '../harness/deployment.ts';
import { ProtocolViolation, type RespValue, textOf } from '../harness/resp.ts';
import { pause } from '../harness/wait.ts';
import type { Timeline } from './timeline.ts';

export type ClientKind = 'raw' | 'ioredis';

export interface ChaosClientSetup {
  readonly kind: ClientKind;
  /** Of the workload's client; its connections are told apart by a number behind a dot. */
  readonly name: string;
  /** Where the next connection goes. */
  readonly chooseEndpoint: () => Endpoint;
  readonly timeline: Timeline;
  /** For what no server may ever do. */
  readonly violation: (text: string) => void;
}

/** Longer than any deadline inside the server and any time that a request asks to wait. */
const CALL_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** After a node that is down; nothing was sent. */
const RECONNECT_PAUSE_MS = 50;
/**
 * A server that knows about its trouble, or is not there. Every other refusal (FENCED, EXECABORT of a wrong command) is what
 * the client asked for.
 */
const TROUBLE = /\b(no connection|TRYAGAIN|CLUSTERDOWN|LOADING|READONLY|OOM|MISCONF|MASTERDOWN|UNCERTAIN)\b/;
/** What a server says about a bug of its own. */
const BUG = /^ERR internal/;

/** One connection. Errors of the connection reject; error replies resolve as ErrorReply. */
interface Wire {
  readonly isOpen: boolean;
  /** Sends at once, without waiting for what was sent before. */
  send(request: Request): Promise<Reply>;
  close(): void;
}

export class ChaosClient implements StageClient {
  readonly #setup: ChaosClientSetup;
  #wire: Wire | null = null;
  #node = '';
  /** Connections that this side ended: what was under way on them is unknown, and nobody's fault. */
  readonly #left = new WeakSet<Wire>();

  constructor(setup: ChaosClientSetup) {
    this.#setup = setup;
  }

  async pipeline(requests: readonly Request[]): Promise<readonly Outcome[]> {
    const wire = await this.#connected();
    if (wire === null) {
      await pause(RECONNECT_PAUSE_MS);
      return requests.map(() => ({ kind: 'failed', error: 'no connection' }));
    }
    return Promise.all(requests.map((request) => this.#told(wire, request)));
  }

  get isConnected(): boolean {
    return this.#wire?.isOpen === true;
  }

  disconnect(): void {
    if (this.#wire !== null) this.#left.add(this.#wire);
    this.#wire?.close();
    this.#wire = null;
  }

  async #connected(): Promise<Wire | null> {
    if (this.#wire?.isOpen === true) return this.#wire;
    const { kind, chooseEndpoint, timeline } = this.#setup;
    const endpoint = chooseEndpoint();
    const startMs = timeline.nowMs();
    this.#node = endpoint.name;
    try {
      this.#wire = await (kind === 'raw' ? RawWire.open(endpoint) : IoredisWire.open(endpoint));
    } catch (error) {
      this.#wire = null;
      const failed: Outcome = { kind: 'failed', error: `no connection: ${messageOf(error)}` };
      this.#note(['connect'], startMs, failed, false);
    }
    return this.#wire;
  }

  async #told(wire: Wire, request: Request): Promise<Outcome> {
    const startMs = this.#setup.timeline.nowMs();
    const outcome = await outcomeOf(wire, request, this.#setup.violation);
    this.#note(request, startMs, outcome, this.#left.has(wire));
    // Whatever still comes on it belongs to nobody.
    if (outcome.kind === 'unknown' && wire === this.#wire) this.disconnect();
    return outcome;
  }

  #note(request: Request, startMs: number, outcome: Outcome, hasLeft: boolean): void {
    const { timeline, name } = this.#setup;
    const span = { client: name, node: this.#node, startMs, endMs: timeline.nowMs() };
    const said = outcome.kind === 'ok' ? plain(outcome.reply) : outcome.error;
    const isTrouble = outcome.kind !== 'ok' && !hasLeft && (outcome.kind === 'unknown' || TROUBLE.test(outcome.error));
    timeline.note({ ...span, request, outcome: outcome.kind, said, isTrouble });
    if (!isTrouble) return;
    const what = request.join(' ').slice(0, 100);
    timeline.troubles.push({ ...span, what, outcome: outcome.kind, error: outcome.error });
  }
}

async function outcomeOf(wire: Wire, request: Request, violation: (text: string) => void): Promise<Outcome> {
  if (!wire.isOpen) return { kind: 'failed', error: 'no connection' };
  try {
    const reply = await wire.send(request);
    if (!(reply instanceof ErrorReply)) return { kind: 'ok', reply };
    if (BUG.test(reply.text)) violation(`${request.join(' ').slice(0, 200)} was answered with ${reply.text}`);
    const kind = classOfError(reply.text);
    return kind === 'ok' ? { kind, reply } : { kind, error: reply.text };
  } catch (error) {
    if (error instanceof ProtocolViolation) violation(`${request.join(' ').slice(0, 200)}: ${error.message}`);
    return { kind: 'unknown', error: messageOf(error) };
  }
}

class RawWire implements Wire {
  readonly #client: RespClient;

  private constructor(client: RespClient) {
    this.#client = client;
  }

  static async open(endpoint: Endpoint): Promise<Wire> {
    return new RawWire(await RespClient.connect({ ...endpoint, connectTimeoutMs: CONNECT_TIMEOUT_MS }));
  }

  get isOpen(): boolean {
    return this.#client.isOpen;
  }

  async send(request: Request): Promise<Reply> {
    const timer = setTimeout(() => this.#client.close(), CALL_TIMEOUT_MS);
    try {
      return replyOf(await this.#client.call(...request));
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#client.close();
  }
}

function replyOf(value: RespValue): Reply {
  switch (value.type) {
    case 'integer':
      return integerOf(value.text);
    case 'null':
      return value.notation === '*-1' ? NULL_ARRAY : null;
    case 'simple':
      return new Status(value.text);
    case 'error':
      return new ErrorReply(value.text);
    case 'bulk':
      return value.bytes.toString('latin1');
    case 'array':
      return value.items.map(replyOf);
    case 'set':
      return new SetReply(value.items.map(replyOf));
    case 'map':
      return new MapReply(value.entries.map(([key, item]) => [replyOf(key), replyOf(item)]));
    default:
      throw new ProtocolViolation(`a ${value.type} (${textOf(value) ?? ''}) where RESP2 has none`);
  }
}

function integerOf(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

class IoredisWire implements Wire {
  readonly #redis: Redis;

  private constructor(redis: Redis) {
    this.#redis = redis;
  }

  static async open({ host, port }: Endpoint): Promise<Wire> {
    const redis = new Redis({
      host,
      port,
      lazyConnect: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      commandTimeout: CALL_TIMEOUT_MS,
      enableReadyCheck: false,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    redis.on('error', () => undefined); // each request is told by itself
    try {
      await redis.connect();
    } catch (error) {
      redis.disconnect();
      throw error;
    }
    return new IoredisWire(redis);
  }

  get isOpen(): boolean {
    return this.#redis.status === 'ready';
  }

  async send([name, ...args]: Request): Promise<Reply> {
    try {
      return replyOfIoredis(await this.#redis.callBuffer(String(name), ...args));
    } catch (error) {
      if (error instanceof ReplyError) return new ErrorReply(messageOf(error));
      throw error;
    }
  }

  close(): void {
    this.#redis.disconnect();
  }
}

/** ioredis does not tell a status from a bulk string, nor the two kinds of null. */
function replyOfIoredis(reply: unknown): Reply {
  if (reply === null || typeof reply === 'number') return reply;
  if (Buffer.isBuffer(reply)) return reply.toString('latin1');
  if (reply instanceof Error) return new ErrorReply(reply.message);
  if (Array.isArray(reply)) return reply.map(replyOfIoredis);
  throw new ProtocolViolation(`ioredis handed out ${typeof reply}`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
