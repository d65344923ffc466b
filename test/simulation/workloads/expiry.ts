/** Clients that set keys with a time to live and look when they go. */
import { checkExpiry, type ExpiringKey, type KeyRead } from '../checkers/expiry.ts';
import { Actor, mustRead, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

/** Keys that are looked at, at a time. */
const RECENT_KEYS = 6;

interface Written extends ExpiringKey {
  readonly reads: KeyRead[];
}

export class ExpiryWorkload implements Workload {
  readonly name = 'expiry';
  okCount = 0;
  readonly #stage: Stage;
  readonly #keys: Written[] = [];
  readonly #stillThere: string[] = [];
  #nextKey = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: this.#stage.load.clientCount }, (_, i) =>
      this.#run(new Actor(this.#stage, `expirer${i}`)),
    );
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      if (this.#keys.length === 0 || actor.random.chance(0.2)) await this.#set(actor);
      else await this.#look(actor);
    }
  }

  async #set(actor: Actor): Promise<void> {
    const key = `expiring:${this.#nextKey++}`;
    const ttlMs = 100 + actor.random.below(4_000);
    const { startMs, endMs, outcome } = await actor.call('SET', key, 'x', 'PX', ttlMs);
    this.#keys.push({
      key,
      startMs,
      endMs: outcome.kind === 'ok' ? endMs : Number.POSITIVE_INFINITY,
      earliestEndMs: this.#stage.surelyUntil(startMs, ttlMs),
      isFailed: outcome.kind === 'failed',
      reads: [],
    });
    if (outcome.kind === 'ok') this.okCount++;
  }

  async #look(actor: Actor): Promise<void> {
    const written = this.#keys[Math.max(0, this.#keys.length - 1 - actor.random.below(RECENT_KEYS))] as Written;
    const command = actor.random.pick(['GET', 'GET', 'EXISTS', 'PTTL', 'MGET', 'SETNX']);
    if (command === 'SETNX') return this.#transaction(actor, written);
    const { startMs, endMs, outcome } = await actor.call(command, written.key);
    if (outcome.kind !== 'ok') return;
    this.okCount++;
    written.reads.push({ startMs, endMs, isPresent: isPresent(command, outcome.reply) });
  }

  /** A failed command in a transaction that has seen the key: what expired in it must stay gone too. */
  async #transaction(actor: Actor, { key, reads }: Written): Promise<void> {
    const startMs = actor.nowMs;
    const outcomes = await actor.client.pipeline([['MULTI'], ['EXISTS', key], ['HGET', key, 'f'], ['EXEC']]);
    const outcome = outcomes[3];
    if (outcome === undefined) return;
    actor.noted(['EXEC', 'EXISTS', key], { client: actor.name, startMs, endMs: actor.nowMs, outcome });
    if (outcome.kind !== 'ok' || !Array.isArray(outcome.reply)) return;
    this.okCount++;
    reads.push({ startMs, endMs: actor.nowMs, isPresent: outcome.reply[0] === 1 });
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'expiry-final');
    // Longer than any time to live, in a world where all is well.
    await this.#stage.sleep(4_500);
    for (const { key } of this.#keys.slice(-20)) {
      const { reply } = await mustRead(actor, 'EXISTS', key);
      if (reply !== 0) this.#stillThere.push(key);
    }
  }

  check(): readonly string[] {
    return [
      ...this.#keys.flatMap((key) => checkExpiry(key)),
      ...this.#stillThere.map((key) => `key ${key} is still there long after its time`),
    ];
  }
}

function isPresent(command: string, reply: unknown): boolean {
  if (command === 'EXISTS') return reply === 1;
  if (command === 'PTTL') return reply !== -2;
  if (command === 'MGET') return Array.isArray(reply) && reply[0] !== null;
  return reply !== null;
}
