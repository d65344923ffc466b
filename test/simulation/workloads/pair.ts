/**
 * Clients that set two keys anywhere to one value at once, and read them at once: each pair is one register, and nobody may see a part. There are
 * many pairs, so most of them are read long after they were written, and one of several that are read together may be written at that moment.
 */
import type { RegisterAction, RegisterOperation } from '../checkers/register.ts';
import { type Actor, actors, type Operation, type Workload } from '../workload.ts';
import { brokenRegisters } from './registers.ts';
import type { Stage } from './stage.ts';

const PAIRS = 12;
/** Of those, how many a client reads at once, at most. */
const READ_MAX = 3;
/** Operations on one pair before a fresh one takes its place: the check is exponential. */
const OPERATIONS_MAX = 50;
/** Unknown writes stay open for ever: with more of them a pair is left alone. */
const UNKNOWN_MAX = 5;
const CLIENTS_MAX = 6;

class Pair {
  readonly keys: readonly [string, string];
  readonly operations: RegisterOperation[] = [];
  begun = 0;
  unknown = 0;

  constructor(number: number) {
    this.keys = [`pair:${number}:a`, `pair:${number}:b`];
  }
}

export class PairWorkload implements Workload {
  readonly name = 'pair';
  okCount = 0;
  readonly #stage: Stage;
  readonly #all: Pair[] = [];
  readonly #present: Pair[] = [];
  readonly #broken: string[] = [];
  #values = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    for (let place = 0; place < PAIRS; place++) this.#present.push(this.#fresh());
  }

  #fresh(): Pair {
    const pair = new Pair(this.#all.length);
    this.#all.push(pair);
    return pair;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'pair', most: CLIENTS_MAX }, (actor) => this.#run(actor));
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const first = actor.random.below(PAIRS);
      if (actor.random.below(3) === 0) await this.#write(actor, this.#take(first));
      else {
        const count = 1 + actor.random.below(READ_MAX);
        await this.#read(
          actor,
          Array.from({ length: count }, (_, i) => this.#take((first + i) % PAIRS)),
        );
      }
    }
  }

  #take(place: number): Pair {
    let pair = this.#present[place] as Pair;
    if (pair.begun >= OPERATIONS_MAX || pair.unknown > UNKNOWN_MAX) {
      pair = this.#fresh();
      this.#present[place] = pair;
    }
    pair.begun++;
    return pair;
  }

  async #write(actor: Actor, pair: Pair): Promise<void> {
    const value = `p${this.#values++}`;
    const operation = await actor.call('MSET', pair.keys[0], value, pair.keys[1], value);
    if (operation.outcome.kind === 'unknown') pair.unknown++;
    this.#note(pair, { kind: 'write', value }, { operation, answer: true });
  }

  async #read(actor: Actor, pairs: readonly Pair[]): Promise<void> {
    const operation = await actor.call('MGET', ...pairs.flatMap(({ keys }) => keys));
    const { outcome } = operation;
    const values: readonly unknown[] = outcome.kind === 'ok' && Array.isArray(outcome.reply) ? outcome.reply : [];
    pairs.forEach((pair, i) => {
      const [a, b] = [values[2 * i], values[2 * i + 1]];
      if (outcome.kind === 'ok' && a !== b) {
        this.#broken.push(`pair: ${pair.keys.join(' and ')} were read as ${String(a)} and ${String(b)}`);
      }
      this.#note(pair, { kind: 'read' }, { operation, answer: typeof a === 'string' ? a : null });
    });
  }

  #note(
    { operations }: Pair,
    action: RegisterAction,
    { operation, answer }: { readonly operation: Operation; readonly answer: string | true | null },
  ): void {
    const { outcome, client, startMs, endMs } = operation;
    const span = { client, startMs, endMs, action };
    if (outcome.kind !== 'ok') {
      operations.push({ ...span, outcome: outcome.kind });
      return;
    }
    this.okCount++;
    operations.push({ ...span, outcome: 'ok', answer });
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(): readonly string[] {
    const registers = this.#all.map(({ keys, operations }) => ({ name: `pair ${keys[0]}`, operations }));
    return [...this.#broken.slice(0, 5), ...brokenRegisters(this.#stage, registers)];
  }
}
