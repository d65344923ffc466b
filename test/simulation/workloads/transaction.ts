/**
 * Clients that move amounts between accounts anywhere, by MULTI, by WATCH and by scripts, and add them up: the total never changes,
 * whatever happens, and a watched account that moved lets nothing of EXEC happen. With several partitions the accounts lie in
 * different ones.
 */
import { type BankMove, type BankRead, checkBank } from '../checkers/bank.ts';
import { Actor, mustRead, type Operation, type Workload } from '../workload.ts';
import type { Request, Stage } from './stage.ts';

const ACCOUNTS = ['bank:a', 'bank:b', 'bank:c', 'bank:d', 'bank:e'];
const TOTAL_KEY = 'bank:transfers';

/** `keys`: the table in which the script finds the accounts; `amount`: where it finds the amount. */
function moveScript(keys: 'KEYS' | 'ARGV', amount: string): string {
  return `
if tonumber(redis.call('GET', ${keys}[1]) or 0) < -500 then return false end
redis.call('DECRBY', ${keys}[1], ${amount})
redis.call('INCRBY', ${keys}[2], ${amount})
return {redis.call('INCR', ${keys}[3])}`;
}

const MOVE = moveScript('KEYS', 'ARGV[1]');
/** It declares no key. */
const MOVE_UNDECLARED = moveScript('ARGV', 'ARGV[4]');

export class TransactionWorkload implements Workload {
  readonly name = 'transaction';
  okCount = 0;
  readonly #stage: Stage;
  readonly #reads: BankRead[] = [];
  readonly #moves: BankMove[] = [];

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
      const kind = actor.random.below(4);
      if (kind === 0) await this.#total(actor);
      else if (kind === 3) await this.#script(actor);
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
    const from = actor.random.pick(ACCOUNTS);
    const to = actor.random.pick(ACCOUNTS.filter((account) => account !== from));
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

  async #exec(actor: Actor, watched: readonly string[], requests: readonly Request[]): Promise<void> {
    const named = ['EXEC', ...watched, ...requests.flat()];
    this.#note(await (watched.length === 0 ? actor.exec(requests, named) : actor.execWatched(requests, named)));
  }

  /** By a script, which refuses what would take an account below its limit. */
  async #script(actor: Actor): Promise<void> {
    const [from, to] = [actor.random.pick(ACCOUNTS), actor.random.pick(ACCOUNTS)];
    const amount = 1 + actor.random.below(9);
    if (actor.random.chance(0.5)) this.#note(await actor.call('EVAL', MOVE, 3, from, to, TOTAL_KEY, amount));
    else this.#note(await actor.call('EVAL', MOVE_UNDECLARED, 0, from, to, TOTAL_KEY, amount));
  }

  /** Nil, of EXEC and of the script, means that nothing was moved. */
  #note({ outcome, ...span }: Operation): void {
    if (outcome.kind === 'ok') this.okCount++;
    const isRefused = outcome.kind === 'ok' && !Array.isArray(outcome.reply);
    this.#moves.push({ ...span, outcome: isRefused ? 'failed' : outcome.kind });
  }

  async #total(actor: Actor): Promise<void> {
    const keys = [...ACCOUNTS, TOTAL_KEY];
    if (actor.random.chance(0.5)) this.#read(await actor.call('MGET', ...keys));
    else this.#read(await actor.exec(keys.map((key) => ['GET', key])));
  }

  #read({ outcome, ...span }: Operation): void {
    if (outcome.kind !== 'ok' || !Array.isArray(outcome.reply)) return;
    this.okCount++;
    const values = outcome.reply.map(Number);
    this.#reads.push({ ...span, balances: values.slice(0, -1), moves: values.at(-1) ?? 0 });
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'bank-final');
    const span = { client: actor.clientName, startMs: actor.nowMs };
    const outcome = await mustRead(actor, 'MGET', ...ACCOUNTS, TOTAL_KEY);
    this.#read({ ...span, endMs: actor.nowMs, outcome });
  }

  check(): readonly string[] {
    return checkBank({ total: 0, reads: this.#reads, moves: this.#moves });
  }
}
