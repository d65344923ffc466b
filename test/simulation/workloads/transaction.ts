/**
 * Clients that move amounts between accounts of one slot, by MULTI and by WATCH, and add them up: the total never changes,
 * whatever happens, and a watched account that moved lets nothing of EXEC happen.
 */
import { Actor, mustRead, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

const ACCOUNTS = ['{bank}a', '{bank}b', '{bank}c'];
const TOTAL_KEY = '{bank}transfers';

export class TransactionWorkload implements Workload {
  readonly name = 'transaction';
  okCount = 0;
  readonly #stage: Stage;
  readonly #broken: string[] = [];
  #acknowledged = 0;
  #unknown = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: this.#stage.load.clientCount }, (_, i) =>
      this.#run(new Actor(this.#stage, `banker${i}`)),
    );
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const kind = actor.random.below(3);
      if (kind === 0) await this.#total(actor);
      else if (kind === 1) await this.#move(actor);
      else await this.#watched(actor);
    }
  }

  async #move(actor: Actor): Promise<void> {
    const amount = 1 + actor.random.below(9);
    await this.#exec(
      actor,
      [],
      [
        ['DECRBY', actor.random.pick(ACCOUNTS), amount],
        ['INCRBY', actor.random.pick(ACCOUNTS), amount],
        ['INCR', TOTAL_KEY],
      ],
    );
  }

  /** Sets absolute values that it has read: only right if nobody moved them since. */
  async #watched(actor: Actor): Promise<void> {
    const [from, to] = [ACCOUNTS[0] as string, ACCOUNTS[1] as string];
    const amount = 1 + actor.random.below(9);
    const read = await actor.client.pipeline([
      ['WATCH', from, to],
      ['MGET', from, to],
    ]);
    const values = read[1];
    if (read[0]?.kind !== 'ok' || values?.kind !== 'ok' || !Array.isArray(values.reply)) return;
    await actor.stage.sleep(actor.random.below(20));
    const [a, b] = values.reply.map(Number) as [number, number];
    await this.#exec(
      actor,
      [from, to],
      [
        ['SET', from, a - amount],
        ['SET', to, b + amount],
        ['INCR', TOTAL_KEY],
      ],
    );
  }

  async #exec(
    actor: Actor,
    watched: readonly string[],
    requests: readonly (readonly (string | number)[])[],
  ): Promise<void> {
    const { outcome } = await actor.exec(requests, ['EXEC', ...watched, ...requests.flat()]);
    if (outcome.kind === 'unknown') this.#unknown++;
    if (outcome.kind !== 'ok') return;
    this.okCount++;
    if (Array.isArray(outcome.reply)) this.#acknowledged++;
  }

  async #total(actor: Actor): Promise<void> {
    const { outcome } = await actor.call('MGET', ...ACCOUNTS);
    if (outcome.kind !== 'ok' || !Array.isArray(outcome.reply)) return;
    this.okCount++;
    const sum = outcome.reply.reduce((total: number, value) => total + Number(value), 0);
    if (sum !== 0) this.#broken.push(`the accounts add up to ${sum} (${outcome.reply.map(Number).join(', ')})`);
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'bank-final');
    const values = (await mustRead(actor, 'MGET', ...ACCOUNTS, TOTAL_KEY)).reply as readonly unknown[];
    const [transfers] = values.slice(-1).map(Number) as [number];
    const sum = values.slice(0, -1).reduce((total: number, value) => total + Number(value), 0);
    if (sum !== 0) this.#broken.push(`in the end the accounts add up to ${sum}`);
    if (transfers < this.#acknowledged || transfers > this.#acknowledged + this.#unknown) {
      this.#broken.push(
        `${transfers} transfers were made, ${this.#acknowledged} acknowledged, ${this.#unknown} unknown`,
      );
    }
  }

  check(): readonly string[] {
    return this.#broken;
  }
}
