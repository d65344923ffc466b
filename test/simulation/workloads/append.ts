/**
 * Clients that append to lists and read them, several at a time: by MULTI, by a script, by single commands. A list is a
 * string of elements of one size, so APPEND answers the position. Keys of one tag lie in one partition; with several
 * partitions the tags spread, and half of the transactions take keys of several.
 */
import { type AppendStep, type AppendTransaction, checkAppends } from '../checkers/append.ts';
import { Actor, actors, mustRead, type Operation, type Workload } from '../workload.ts';
import type { Request, Stage } from './stage.ts';

const TAGS = ['{append:1}', '{append:2}', '{append:3}'];
const KEYS_PER_TAG = 3;
/** Bytes of an element. */
const ID_SIZE = 6;
/** Elements of a list before another takes its place. */
const LIST_MAX = 60;
const STEPS_MAX = 4;
const SCRIPT = `
local answers = {}
for i = 1, #ARGV do
  if ARGV[i] == '' then answers[i] = redis.call('GET', KEYS[i])
  else answers[i] = redis.call('APPEND', KEYS[i], ARGV[i]) end
end
return answers`;

/** What is to be done; its answer is not known yet. */
type Plan = { readonly key: string; readonly id: string | null };

export class AppendWorkload implements Workload {
  readonly name = 'append';
  okCount = 0;
  readonly #stage: Stage;
  readonly #transactions: AppendTransaction[] = [];
  readonly #broken: string[] = [];
  /** By key without its generation: the present one, and how many elements were sent to it. */
  readonly #lists = new Map<string, { generation: number; sent: number }>();
  #ids = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'append' }, (actor) => this.#run(actor));
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const plans = this.#draw(actor);
      const [only] = plans;
      if (plans.length > 1 || only === undefined) {
        const style = actor.random.below(3);
        if (style === 0) this.#note(plans, await actor.exec(plans.map(requestOf)));
        else if (style === 1) this.#note(plans, await actor.call(...scriptOf(plans)));
        else this.#note(plans, await this.#interact(actor, plans));
        actor.maybeReconnect();
      } else if (only.id === null && actor.random.chance(0.5)) {
        const keys = actor.random.chance(0.5) ? this.#keysOf(actor.random.pick(TAGS)) : this.#allKeys();
        const reads = keys.map((key) => ({ key, id: null }));
        this.#note(reads, await actor.call('MGET', ...keys));
      } else {
        const operation = await actor.call(...requestOf(only));
        const { outcome } = operation;
        this.#note(
          plans,
          outcome.kind === 'ok' ? { ...operation, outcome: { kind: 'ok', reply: [outcome.reply] } } : operation,
        );
      }
    }
  }

  async #interact(actor: Actor, plans: readonly Plan[]): Promise<Operation> {
    const mode = actor.random.pick(['OPTIMISTIC', 'PESSIMISTIC']);
    const operation = await actor.interact(['KAHUNA.TX', 'BEGIN', mode, 'TIMEOUT', 10_000], plans.map(requestOf));
    this.#stage.mark(`${mode.toLowerCase()} transactions: ${operation.outcome.kind}`);
    return operation;
  }

  #draw(actor: Actor): readonly Plan[] {
    const only = actor.random.chance(0.5) ? actor.random.pick(TAGS) : null;
    return Array.from({ length: 1 + actor.random.below(STEPS_MAX) }, () => {
      const tag = only ?? actor.random.pick(TAGS);
      const name = `${tag}${actor.random.below(KEYS_PER_TAG)}`;
      const list = this.#list(name);
      if (actor.random.chance(0.5)) return { key: `${name}:${list.generation}`, id: null };
      if (list.sent >= LIST_MAX) {
        list.generation++;
        list.sent = 0;
      }
      list.sent++;
      return { key: `${name}:${list.generation}`, id: String(this.#ids++).padStart(ID_SIZE, '0') };
    });
  }

  #list(name: string): { generation: number; sent: number } {
    let list = this.#lists.get(name);
    if (list === undefined) {
      list = { generation: 0, sent: 0 };
      this.#lists.set(name, list);
    }
    return list;
  }

  #keysOf(tag: string): readonly string[] {
    return Array.from({ length: KEYS_PER_TAG }, (_, i) => `${tag}${i}:${this.#list(`${tag}${i}`).generation}`);
  }

  #allKeys(): readonly string[] {
    return TAGS.flatMap((tag) => this.#keysOf(tag));
  }

  #note(plans: readonly Plan[], { client, startMs, endMs, outcome }: Operation): void {
    if (outcome.kind !== 'ok') {
      const steps = plans.map((plan) => stepOf(plan, undefined));
      this.#transactions.push({ client, startMs, endMs, outcome: outcome.kind, steps });
      return;
    }
    const answers: readonly unknown[] = Array.isArray(outcome.reply) ? outcome.reply : [];
    if (answers.length !== plans.length) {
      this.#tell(`${plans.length} commands were answered with ${JSON.stringify(outcome.reply)}`);
      return;
    }
    this.okCount++;
    const steps = plans.map((plan, i) => stepOf(plan, answers[i]));
    this.#transactions.push({ client, startMs, endMs, outcome: 'ok', steps });
    const torn = answers.find(
      (answer) => (typeof answer === 'string' ? answer.length : Number(answer)) % ID_SIZE !== 0,
    );
    if (torn !== undefined) this.#tell(`a list is torn: ${JSON.stringify(torn)}`);
  }

  #tell(text: string): void {
    if (this.#broken.length < 5) this.#broken.push(`append: ${text}`);
  }

  async finish(): Promise<void> {
    const actor = new Actor(this.#stage, 'append-final');
    for (const tag of TAGS) {
      const keys = this.#keysOf(tag);
      const startMs = actor.nowMs;
      const outcome = await mustRead(actor, 'MGET', ...keys);
      const reads = keys.map((key) => ({ key, id: null }));
      this.#note(reads, { client: actor.clientName, startMs, endMs: actor.nowMs, outcome });
    }
  }

  check(): readonly string[] {
    return [...this.#broken, ...checkAppends(this.#transactions)];
  }
}

function requestOf({ key, id }: Plan): Request {
  return id === null ? ['GET', key] : ['APPEND', key, id];
}

function scriptOf(plans: readonly Plan[]): Request {
  return ['EVAL', SCRIPT, plans.length, ...plans.map(({ key }) => key), ...plans.map(({ id }) => id ?? '')];
}

/** `answer` undefined: it is not known. Lua has no null in lists but false, which is answered as null. */
function stepOf({ key, id }: Plan, answer: unknown): AppendStep {
  if (id !== null) return { kind: 'append', key, id, position: answer === undefined ? null : Number(answer) / ID_SIZE };
  if (answer === undefined) return { kind: 'read', key, ids: null };
  const text = typeof answer === 'string' ? answer : '';
  const ids = Array.from({ length: Math.floor(text.length / ID_SIZE) }, (_, i) =>
    text.slice(i * ID_SIZE, (i + 1) * ID_SIZE),
  );
  return { kind: 'read', key, ids };
}
