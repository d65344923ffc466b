/** Clients that take values of sequences: one by one, in ranges, and again under the same id through another connection. */
import { type Allocation, checkGaps, checkSequence } from '../checkers/sequence.ts';
import { Actor, mustRead, type Operation, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

const NAMES = ['seq:a', 'seq:b'];

export class SequenceWorkload implements Workload {
  readonly name = 'sequence';
  okCount = 0;
  readonly #stage: Stage;
  readonly #allocations = new Map<string, Allocation[]>(NAMES.map((name) => [name, []]));
  /** Values that requests of unknown outcome asked for. */
  readonly #unknown = new Map<string, number>(NAMES.map((name) => [name, 0]));
  readonly #currents = new Map<string, number>();
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
    if (operation.outcome.kind === 'unknown') {
      const count = request[1] === 'RESERVE' ? Number(request[3]) : 1;
      this.#unknown.set(name, (this.#unknown.get(name) ?? 0) + count);
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

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'sequence-final');
    for (const name of NAMES) {
      const { reply } = await mustRead(actor, 'KAHUNA.SEQ', 'GET', name);
      // A map, as names and values in turn; an error if the sequence was never made.
      if (Array.isArray(reply)) this.#currents.set(name, Number(reply[reply.indexOf('current') + 1]));
    }
  }

  check(): readonly string[] {
    return NAMES.flatMap((name) => {
      const allocations = this.#allocations.get(name) ?? [];
      const end = { current: this.#currents.get(name) ?? 0, unknownCount: this.#unknown.get(name) ?? 0 };
      return [...checkSequence(name, allocations), ...checkGaps(name, allocations, end)];
    });
  }
}

function isMissing({ outcome }: Operation): boolean {
  if (outcome.kind !== 'ok') return false;
  const { reply } = outcome;
  return reply !== null && typeof reply === 'object' && 'text' in reply && reply.text.startsWith('NOSEQ');
}
