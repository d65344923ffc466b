/** What clients do in a run, and what must be true of what they saw. */
import { ErrorReply, type Reply } from '../../src/resp/reply.ts';
import type { SeededRandom } from '../doubles/seeded-random.ts';
import type { Outcome, Request, Stage, StageClient } from './workloads/stage.ts';

export interface Workload {
  readonly name: string;
  /** Starts the clients; the promises resolve when each has seen `stage.isStopping` and ended. */
  start(): readonly Promise<void>[];
  /** After silence, with everything healed: what must be read to check. */
  finish(): Promise<void>;
  /** Broken rules, in words. */
  check(): readonly string[];
  /** Operations that ended well: evidence that the run did its work. */
  readonly okCount: number;
}

/** One operation as its client saw it; an unknown one may take effect at any time after `startMs`. */
export interface Operation {
  readonly client: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
}

/** What COMMIT answered, if it was ok. */
export type Interaction = Operation & { readonly commit: Reply };

/** How often a client comes afresh, to another node if it may. */
const RECONNECT_CHANCE = 0.03;

/** A client with a random stream of its own, and the pauses between its requests. */
export class Actor {
  readonly name: string;
  readonly stage: Stage;
  readonly random: SeededRandom;
  client: StageClient;
  /** Counts connections, so that each has a name of its own. */
  #connections = 1;

  constructor(stage: Stage, name: string) {
    this.stage = stage;
    this.name = name;
    this.random = stage.random.fork(`actor ${name}`);
    this.client = stage.createClient(`${name}.1`);
  }

  get nowMs(): number {
    return this.stage.nowMs;
  }

  /** Of the present connection: who asks over another one is another client to a checker. */
  get clientName(): string {
    return `${this.name}.${this.#connections}`;
  }

  reconnect(): void {
    this.client.disconnect();
    this.#connections++;
    this.client = this.stage.createClient(this.clientName);
  }

  maybeReconnect(): void {
    if (this.random.chance(RECONNECT_CHANCE)) this.reconnect();
  }

  /** Sends one request; after an unknown outcome the next one goes over a new connection. */
  async call(...request: Request): Promise<Operation> {
    this.maybeReconnect();
    const startMs = this.nowMs;
    const client = this.clientName;
    const [outcome] = await this.client.pipeline([request]);
    const operation = { client, startMs, endMs: this.nowMs, outcome: outcome as Outcome };
    this.noted(request, operation);
    return operation;
  }

  /** MULTI, the requests, EXEC over the present connection; the outcome is that of EXEC. */
  async exec(requests: readonly Request[], named: Request = ['EXEC', ...requests.flat()]): Promise<Operation> {
    const startMs = this.nowMs;
    const client = this.clientName;
    const outcomes = await this.client.pipeline([['MULTI'], ...requests, ['EXEC']]);
    const operation = { client, startMs, endMs: this.nowMs, outcome: outcomes.at(-1) as Outcome };
    this.noted(named, operation);
    return operation;
  }

  /** As `exec`, over the connection that watched; if that is gone, nothing is sent. */
  async execWatched(requests: readonly Request[], named?: Request): Promise<Operation> {
    if (this.client.isConnected) return this.exec(requests, named);
    const { nowMs, clientName } = this;
    this.reconnect();
    const error = 'the connection that watched is gone';
    return { client: clientName, startMs: nowMs, endMs: nowMs, outcome: { kind: 'failed', error } };
  }

  /**
   * KAHUNA.TX, the requests one by one, COMMIT. The outcome is that of COMMIT, and if it is ok the reply is an array of the
   * replies to the requests. What fails before COMMIT leaves nothing behind.
   */
  async interact(begin: Request, requests: readonly Request[]): Promise<Interaction> {
    const startMs = this.nowMs;
    const client = this.clientName;
    const replies: Reply[] = [];
    const end = (outcome: Outcome, commit: Reply = null): Interaction => {
      const operation = { client, startMs, endMs: this.nowMs, outcome, commit };
      this.noted(['KAHUNA.TX', ...requests.flat()], operation);
      return operation;
    };
    for (const request of [begin, ...requests]) {
      // On a new connection it would be a command by itself.
      const isFirst = request === begin;
      const [outcome] = isFirst || this.client.isConnected ? await this.client.pipeline([request]) : [];
      if (outcome?.kind !== 'ok' || (!isFirst && !this.client.isConnected)) {
        this.reconnect();
        return end({
          kind: 'failed',
          error: outcome?.kind === 'ok' || outcome === undefined ? 'the connection is gone' : outcome.error,
        });
      }
      if (outcome.reply instanceof ErrorReply) {
        await this.client.pipeline([['KAHUNA.TX', 'ROLLBACK']]);
        return end({ kind: 'failed', error: outcome.reply.text });
      }
      if (!isFirst) replies.push(outcome.reply);
      await this.stage.sleep(this.random.below(5));
    }
    if (!this.client.isConnected) {
      this.reconnect();
      return end({ kind: 'failed', error: 'the connection is gone' });
    }
    const [outcome] = await this.client.pipeline([['KAHUNA.TX', 'COMMIT']]);
    if (outcome?.kind !== 'ok') return end(outcome ?? { kind: 'unknown', error: 'no answer' });
    return end({ kind: 'ok', reply: replies }, outcome.reply);
  }

  noted(request: Request, { client, startMs, outcome }: Operation): void {
    this.stage.ended({ client, request, startMs }, outcome);
    if (outcome.kind === 'unknown' && client === this.clientName) this.reconnect();
  }

  /** Waits between two requests; false if the run is stopping. */
  async think(): Promise<boolean> {
    const { load } = this.stage;
    await this.stage.sleep(-Math.log(1 - this.random.float()) * load.thinkMs);
    return !this.stage.isStopping;
  }
}

/** As many clients as the load wants, but not more than `most`; each does `run`. */
export function actors(
  stage: Stage,
  { name, most = Number.POSITIVE_INFINITY }: { readonly name: string; readonly most?: number },
  run: (actor: Actor) => Promise<void>,
): readonly Promise<void>[] {
  const count = Math.min(most, stage.load.clientCount);
  return Array.from({ length: count }, (_, i) => run(new Actor(stage, `${name}${i}`)));
}

const READS_MAX = 200;
const READ_PAUSE_MS = 20;

/** Repeats a read until it is answered: only used when everything is healed. Throws if it never is. */
export async function mustRead(actor: Actor, ...request: Request): Promise<Outcome & { readonly kind: 'ok' }> {
  for (let tries = 0; tries < READS_MAX; tries++) {
    const { outcome } = await actor.call(...request);
    if (outcome.kind === 'ok') return outcome;
    await actor.stage.sleep(READ_PAUSE_MS);
  }
  throw new Error(`${request.join(' ')} is never answered`);
}
