/**
 * Clients that append to a value of many pages, which does not fit between two evaluations when it has left memory: its
 * length is a counter.
 */
import { type CounterOperation, checkCounter } from '../checkers/counter.ts';
import { Actor, mustRead, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

const KEY = 'long';
const BASE_BYTES = 300_000;

export class LongStringWorkload implements Workload {
  readonly name = 'longString';
  okCount = 0;
  readonly #stage: Stage;
  readonly #operations: CounterOperation[] = [];
  #made: Promise<void> | null = null;
  #final = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: 2 }, (_, i) => this.#run(new Actor(this.#stage, `appender${i}`)));
  }

  async #run(actor: Actor): Promise<void> {
    this.#made ??= this.#make(actor);
    await this.#made;
    while (await actor.think()) {
      const kind = actor.random.below(4) === 0 ? 'read' : 'increment';
      const { startMs, endMs, outcome } = await (kind === 'read'
        ? actor.call('STRLEN', KEY)
        : actor.call('APPEND', KEY, 'y'));
      if (outcome.kind === 'failed' || (outcome.kind === 'unknown' && kind === 'read')) continue;
      const value = outcome.kind === 'ok' ? Number(outcome.reply) - BASE_BYTES : null;
      if (value !== null) this.okCount++;
      this.#operations.push({ kind, startMs, endMs, value });
    }
  }

  /** Again and again until it is surely there; the value is the same each time. */
  async #make(actor: Actor): Promise<void> {
    while (!this.#stage.isStopping) {
      const { outcome } = await actor.call('SETRANGE', KEY, BASE_BYTES - 1, 'x');
      if (outcome.kind === 'ok') return;
      await actor.think();
    }
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'appender-final');
    if (this.okCount === 0) return;
    this.#final = Number((await mustRead(actor, 'STRLEN', KEY)).reply) - BASE_BYTES;
  }

  check(): readonly string[] {
    return this.okCount === 0 ? [] : checkCounter(KEY, this.#operations, this.#final);
  }
}
