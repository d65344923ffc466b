/** Clients that write and then ask by WAIT how many replicas have it; what was acknowledged is there in the end. */
import { checkWait, type Waited } from '../checkers/wait.ts';
import { Actor, actors, mustRead, type Workload } from '../workload.ts';
import type { Outcome, Stage } from './stage.ts';

const KEYS_MAX = 400;
/** More than any drift of clocks. */
const CLOCK_MARGIN = 0.1;

export class WaitWorkload implements Workload {
  readonly name = 'wait';
  okCount = 0;
  readonly #stage: Stage;
  readonly #waits: Waited[] = [];
  readonly #acknowledged: string[] = [];
  readonly #lost: string[] = [];
  #keys = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'waiter' }, (actor) => this.#run(actor));
  }

  async #run(actor: Actor): Promise<void> {
    while ((await actor.think()) && this.#keys < KEYS_MAX) {
      const key = `waited:${this.#keys++}`;
      const wanted = actor.random.below(this.#stage.replicaCount + 1);
      const timeoutMs = 1 + actor.random.below(400);
      const startMs = actor.nowMs;
      const client = actor.clientName;
      const [set, wait] = await actor.client.pipeline([
        ['SET', key, `value-of-${key}.`],
        ['WAIT', wanted, timeoutMs],
      ]);
      const span = { client, startMs, endMs: actor.nowMs };
      actor.noted(['SET', key], { ...span, outcome: set as Outcome });
      actor.noted(['WAIT', wanted, timeoutMs], { ...span, outcome: wait as Outcome });
      actor.maybeReconnect();
      if (set?.kind !== 'ok') continue;
      this.okCount++;
      this.#acknowledged.push(key);
      if (wait?.kind !== 'ok') continue;
      const holders = this.#stage.holdersOf?.(`value-of-${key}.`) ?? Number.POSITIVE_INFINITY;
      this.#waits.push({ ...span, wanted, timeoutMs, answered: Number(wait.reply), holders });
    }
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'wait-final');
    for (const key of this.#acknowledged) {
      const { reply } = await mustRead(actor, 'GET', key);
      if (reply !== `value-of-${key}.`) this.#lost.push(key);
    }
  }

  check(): readonly string[] {
    const { replicaCount, hasFaults } = this.#stage;
    return [
      ...this.#lost.map((key) => `wait: ${key} was acknowledged, and is lost`),
      ...checkWait(this.#waits, { replicaCount, clockMargin: CLOCK_MARGIN, mayEndEarly: hasFaults }),
    ];
  }
}
