/** Clients that take values of sequences: one by one, in ranges, and again under the same id through another connection. */
import { type Allocation, checkSequence } from '../checkers/sequence.ts';
import { Actor, type Operation, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

const NAMES = ['seq:a', 'seq:b'];

export class SequenceWorkload implements Workload {
  readonly name = 'sequence';
  okCount = 0;
  readonly #stage: Stage;
  readonly #allocations = new Map<string, Allocation[]>(NAMES.map((name) => [name, []]));
  #ids = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: this.#stage.load.clientCount }, (_, i) =>
      this.#run(new Actor(this.#stage, `taker${i}`)),
    );
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const name = actor.random.pick(NAMES);
      const kind = actor.random.below(4);
      if (kind === 0) await this.#reserve(actor, name);
      else if (kind === 1) await this.#twice(actor, name);
      else await this.#next(actor, name, null);
    }
  }

  async #next(actor: Actor, name: string, id: string | null): Promise<void> {
    const suffix = id === null ? [] : ['IDEMPOTENCY', id];
    await this.#take(actor, name, ['KAHUNA.SEQ', 'NEXT', name, ...suffix], id);
  }

  async #reserve(actor: Actor, name: string): Promise<void> {
    const count = 1 + actor.random.below(9);
    const allocation = await this.#take(actor, name, ['KAHUNA.SEQ', 'RESERVE', name, count], null);
    if (allocation !== null && allocation.last - allocation.first + 1 !== count) {
      this.#stage.violation(
        `sequence ${name}: ${count} values were asked for, [${allocation.first}, ${allocation.last}] given`,
      );
    }
  }

  /** Under one id, again and again, until two answers were had. */
  async #twice(actor: Actor, name: string): Promise<void> {
    const id = `id${this.#ids++}`;
    await this.#next(actor, name, id);
    if (actor.random.chance(0.3)) actor.client.disconnect();
    await this.#next(actor, name, id);
  }

  async #take(
    actor: Actor,
    name: string,
    request: readonly (string | number)[],
    id: string | null,
  ): Promise<Allocation | null> {
    const operation = await actor.call(...request);
    if (isMissing(operation)) {
      await actor.call('KAHUNA.SEQ', 'CREATE', name);
      return null;
    }
    if (operation.outcome.kind !== 'ok') return null;
    this.okCount++;
    const { reply } = operation.outcome;
    const [first, last] = (Array.isArray(reply) ? reply : [reply, reply]) as readonly unknown[];
    const allocation = {
      first: Number(first),
      last: Number(last),
      startMs: operation.startMs,
      endMs: operation.endMs,
      id,
    };
    this.#allocations.get(name)?.push(allocation);
    return allocation;
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(): readonly string[] {
    return NAMES.flatMap((name) => checkSequence(name, this.#allocations.get(name) ?? []));
  }
}

function isMissing({ outcome }: Operation): boolean {
  if (outcome.kind !== 'ok') return false;
  const { reply } = outcome;
  return reply !== null && typeof reply === 'object' && 'text' in reply && reply.text.startsWith('NOSEQ');
}
