/**
 * Clients that only read, at every node, while others at every node count. A client that also writes is soon stuck at a
 * leader that was cut off, and then asks it nothing more; these go on asking, so a leader that answers without making sure
 * that it still leads is caught with an old value.
 */
import { checkCounter, type CounterOperation } from '../../test/simulation/checkers/counter.ts';
import { Actor, mustRead, type Workload } from '../../test/simulation/workload.ts';
import type { Stage } from '../../test/simulation/workloads/stage.ts';

const KEY = 'watched:count';

export class WatcherWorkload implements Workload {
  readonly name = 'watcher';
  okCount = 0;
  readonly #stage: Stage;
  readonly #operations: CounterOperation[] = [];
  #final = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: this.#stage.nodeCount }, (_, node) => [
      this.#run(new Actor(this.#stage, `watcher${node}`), 'read'),
      this.#run(new Actor(this.#stage, `teller${node}`), 'increment'),
    ]).flat();
  }

  async #run(actor: Actor, kind: CounterOperation['kind']): Promise<void> {
    while (await actor.think()) {
      const { startMs, endMs, outcome } = await actor.call(kind === 'read' ? 'GET' : 'INCR', KEY);
      if (outcome.kind === 'failed' || (outcome.kind === 'unknown' && kind === 'read')) continue;
      const value = outcome.kind === 'ok' ? Number(outcome.reply) : null;
      this.#operations.push({ kind, startMs, endMs, value });
      if (outcome.kind === 'ok') this.okCount += 1;
    }
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'watcher-final');
    this.#final = Number((await mustRead(actor, 'GET', KEY)).reply);
  }

  check(): readonly string[] {
    return checkCounter(KEY, this.#operations, this.#final);
  }
}
