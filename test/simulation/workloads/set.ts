/** Clients that add to sets, which are bitmaps: SETBIT adds, GET reads all, BITCOUNT counts, GETBIT looks for one. */
import { checkSet, type SetAdd, type SetCount, type SetRead } from '../checkers/set.ts';
import { Actor, actors, mustRead, type Operation, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

/** Elements of a set before another takes its place: reads get longer, and the check is quadratic. */
const ELEMENTS_MAX = 300;

interface Sets {
  readonly key: string;
  readonly adds: SetAdd[];
  readonly reads: SetRead[];
  readonly counts: SetCount[];
  next: number;
}

export class SetWorkload implements Workload {
  readonly name = 'set';
  okCount = 0;
  readonly #stage: Stage;
  readonly #sets: Sets[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#fresh();
  }

  #fresh(): Sets {
    const set = { key: `set:${this.#sets.length}`, adds: [], reads: [], counts: [], next: 0 };
    this.#sets.push(set);
    return set;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'set' }, (actor) => this.#run(actor));
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const last = this.#sets.at(-1);
      const set = last === undefined || last.next >= ELEMENTS_MAX ? this.#fresh() : last;
      if (actor.random.chance(this.#stage.load.readChance)) await this.#look(actor, set);
      else await this.#add(actor, set);
    }
  }

  async #add(actor: Actor, set: Sets): Promise<void> {
    // Not in order, so that the value grows in jumps and is written in the middle.
    const element = set.next ^ 5;
    set.next++;
    const { outcome, ...span } = await actor.call('SETBIT', set.key, element, 1);
    if (outcome.kind === 'ok') this.okCount++;
    set.adds.push({ ...span, element, outcome: outcome.kind, wasThere: outcome.kind === 'ok' && outcome.reply !== 0 });
  }

  async #look(actor: Actor, set: Sets): Promise<void> {
    const command = actor.random.pick(['GET', 'GET', 'BITCOUNT']);
    this.#note(set, command, await actor.call(command, set.key));
  }

  #note(set: Sets, command: string, { outcome, ...span }: Operation): void {
    if (outcome.kind !== 'ok') return;
    this.okCount++;
    const { reply } = outcome;
    if (command === 'GET') set.reads.push({ ...span, elements: bitsOf(typeof reply === 'string' ? reply : '') });
    else set.counts.push({ ...span, count: Number(reply) });
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'set-final');
    for (const set of this.#sets) {
      const startMs = actor.nowMs;
      const outcome = await mustRead(actor, 'GET', set.key);
      this.#note(set, 'GET', { client: actor.clientName, startMs, endMs: actor.nowMs, outcome });
    }
  }

  check(): readonly string[] {
    return this.#sets.flatMap((set) => checkSet(set.key, set));
  }
}

/** Bit 0 is the highest of the first byte. */
function bitsOf(bytes: string): ReadonlySet<number> {
  const bits = new Set<number>();
  for (let i = 0; i < bytes.length * 8; i++) {
    if (((bytes.charCodeAt(i >> 3) >> (7 - (i & 7))) & 1) === 1) bits.add(i);
  }
  return bits;
}
