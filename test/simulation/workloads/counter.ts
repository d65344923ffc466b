/** Clients that count: INCR, INCRBY by a pipeline, GET. */
import { type CounterOperation, checkCounter } from '../checkers/counter.ts';
import { Actor, mustRead, type Operation, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

const KEYS = ['count:a', 'count:b', 'count:c'];

export class CounterWorkload implements Workload {
  readonly name = 'counter';
  okCount = 0;
  readonly #stage: Stage;
  readonly #operations = new Map<string, CounterOperation[]>(KEYS.map((key) => [key, []]));
  readonly #finals = new Map<string, number>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: this.#stage.load.clientCount }, (_, i) =>
      this.#run(new Actor(this.#stage, `counter${i}`)),
    );
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const key = actor.random.pick(KEYS);
      if (actor.random.chance(this.#stage.load.readChance)) this.#note(key, 'read', await actor.call('GET', key));
      else if (actor.random.chance(0.2)) await this.#pipeline(actor, key);
      else this.#note(key, 'increment', await actor.call('INCR', key));
    }
  }

  /** Several increments at once: those of one connection take effect in order. */
  async #pipeline(actor: Actor, key: string): Promise<void> {
    const startMs = actor.nowMs;
    const count = 2 + actor.random.below(6);
    const outcomes = await actor.client.pipeline(Array.from({ length: count }, () => ['INCR', key]));
    let last = 0;
    for (const outcome of outcomes) {
      const operation = { client: actor.name, startMs, endMs: actor.nowMs, outcome };
      actor.noted(['INCR', key, '(pipeline)'], operation);
      this.#note(key, 'increment', operation);
      const value = outcome.kind === 'ok' ? Number(outcome.reply) : 0;
      if (outcome.kind === 'ok' && value <= last) {
        this.#stage.violation(`counter ${key}: of one pipeline, ${value} was answered after ${last}`);
      }
      if (outcome.kind === 'ok') last = value;
    }
  }

  #note(key: string, kind: 'increment' | 'read', { startMs, endMs, outcome }: Operation): void {
    if (outcome.kind === 'failed') return;
    const isKnown = outcome.kind === 'ok';
    if (!isKnown && kind === 'read') return;
    if (isKnown) this.okCount++;
    const value = isKnown ? Number(outcome.reply) : null;
    this.#operations.get(key)?.push({ kind, startMs, endMs, value });
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'counter-final');
    for (const key of KEYS) this.#finals.set(key, Number((await mustRead(actor, 'GET', key)).reply));
  }

  check(): readonly string[] {
    return KEYS.flatMap((key) => checkCounter(key, this.#operations.get(key) ?? [], this.#finals.get(key) ?? 0));
  }
}
