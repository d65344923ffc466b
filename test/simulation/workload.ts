/** What clients do in a run, and what must be true of what they saw. */
import type { Outcome } from './client.ts';
import { SimClient } from './client.ts';
import type { World } from './world.ts';
import type { SeededRandom } from '../doubles/seeded-random.ts';

export interface Workload {
  readonly name: string;
  /** Starts the clients; the promises resolve when each has seen `world.isStopping` and ended. */
  start(): readonly Promise<void>[];
  /** After silence, with everything healed: what must be read to check. */
  finish(): Promise<void>;
  /** Broken rules, in words. */
  check(): readonly string[];
  /** Operations that ended well: evidence that the run did its work. */
  readonly okCount: number;
}

/** One operation as its client saw it. Times are simulated ms; an unknown one may take effect at any time after `startMs`. */
export interface Operation {
  readonly client: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
}

/** How often a client comes afresh, to another node if it may. */
const RECONNECT_CHANCE = 0.03;

/** A client with a random stream of its own, and the pauses between its requests. */
export class Actor {
  readonly name: string;
  readonly world: World;
  readonly random: SeededRandom;
  client: SimClient;
  #reconnects = 0;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.random = world.random.fork(`actor ${name}`);
    this.client = this.#newClient();
  }

  #newClient(): SimClient {
    const { machines, profile } = this.world;
    this.#reconnects++;
    const pinned = profile.isPinned ? this.random.pick(machines).name : null;
    return new SimClient(this.world, `${this.name}.${this.#reconnects}`, pinned);
  }

  get nowMs(): number {
    return this.world.scheduler.nowMs;
  }

  /** Sends one request; after an unknown outcome the next one goes over a new connection. */
  async call(...argv: readonly (string | number)[]): Promise<Operation> {
    if (this.random.chance(RECONNECT_CHANCE)) {
      this.client.disconnect();
      this.client = this.#newClient();
    }
    const startMs = this.nowMs;
    const outcome = await this.client.call(...argv);
    const operation = { client: this.name, startMs, endMs: this.nowMs, outcome };
    this.noted(argv, operation);
    return operation;
  }

  noted(argv: readonly (string | number)[], { startMs, outcome }: Operation): void {
    const { world } = this;
    world.mark(outcome.kind);
    const said = outcome.kind === 'ok' ? JSON.stringify(plain(outcome.reply)) : outcome.error;
    world.noteClient(said.length);
    world.trace(`${this.name} ${argv.join(' ')} (since ${startMs.toFixed(2)}) -> ${outcome.kind} ${said}`);
    if (outcome.kind !== 'unknown') return;
    world.mark(`unknown: ${outcome.error.slice(0, 40)}`);
    this.client.disconnect();
    this.client = this.#newClient();
  }

  /** Waits between two requests; false if the run is stopping. */
  async think(): Promise<boolean> {
    const { profile, scheduler } = this.world;
    await scheduler.sleep(-Math.log(1 - this.random.float()) * profile.thinkMs);
    return !this.world.isStopping;
  }
}

export function plain(reply: unknown): unknown {
  if (reply instanceof Uint8Array) return Buffer.from(reply).toString('latin1');
  if (Array.isArray(reply)) return reply.map(plain);
  if (typeof reply === 'bigint') return reply.toString();
  if (reply !== null && typeof reply === 'object') {
    if ('text' in reply) return reply.text;
    if ('entries' in reply && Array.isArray(reply.entries)) return reply.entries.map(plain);
    return {};
  }
  return reply;
}

/** Repeats a read until it is answered: only used when everything is healed. */
export async function mustRead(
  actor: Actor,
  ...argv: readonly (string | number)[]
): Promise<Outcome & { readonly kind: 'ok' }> {
  for (let tries = 0; tries < 200; tries++) {
    const { outcome } = await actor.call(...argv);
    if (outcome.kind === 'ok') return outcome;
    await actor.world.scheduler.sleep(20);
  }
  throw new Error(`${argv.join(' ')} is never answered`);
}
