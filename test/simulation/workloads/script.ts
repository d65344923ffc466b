/**
 * Clients that run a script at any node, by its text or by its digest: two counters that it raises together must stay equal,
 * and each run counts once.
 */
import { createHash } from 'node:crypto';
import { type CounterOperation, checkCounter } from '../checkers/counter.ts';
import { Actor, mustRead, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

const KEYS = ['{script}a', '{script}b'];
const BODY = "local a = redis.call('INCR', KEYS[1]) local b = redis.call('INCR', KEYS[2]) return {a, b}";
const SHA = createHash('sha1').update(BODY).digest('hex');

export class ScriptWorkload implements Workload {
  readonly name = 'script';
  okCount = 0;
  readonly #stage: Stage;
  readonly #operations: CounterOperation[] = [];
  readonly #broken: string[] = [];
  #final = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: 3 }, (_, i) => this.#run(new Actor(this.#stage, `scripter${i}`)));
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const isByDigest = actor.random.chance(0.7);
      const argv = isByDigest ? ['EVALSHA', SHA, 2, ...KEYS] : ['EVAL', BODY, 2, ...KEYS];
      const { startMs, endMs, outcome } = await actor.call(...argv);
      if (outcome.kind === 'failed') {
        if (outcome.error.startsWith('NOSCRIPT')) await actor.call('SCRIPT', 'LOAD', BODY);
        continue;
      }
      if (outcome.kind === 'unknown') {
        this.#operations.push({ kind: 'increment', startMs, endMs, value: null });
        continue;
      }
      const [a, b] = Array.isArray(outcome.reply) ? outcome.reply.map(Number) : [Number.NaN, Number.NaN];
      if (a === undefined || a !== b) {
        this.#broken.push(`the script's counters are ${String(a)} and ${String(b)}: ${JSON.stringify(outcome.reply)}`);
        continue;
      }
      this.okCount++;
      this.#operations.push({ kind: 'increment', startMs, endMs, value: a });
    }
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'script-final');
    this.#final = Number((await mustRead(actor, 'GET', KEYS[0] ?? '')).reply);
  }

  check(): readonly string[] {
    return [...this.#broken, ...checkCounter('script', this.#operations, this.#final)];
  }
}
