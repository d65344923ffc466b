/**
 * Clients that load scripts at one node and run them at another, and now and then throw all away: what was loaded is
 * known on all nodes, what was forgotten on none.
 */
import { createHash } from 'node:crypto';
import { checkCatalog, type ScriptChange, type ScriptLook } from '../checkers/catalog.ts';
import { type Actor, actors, type Operation, type Workload } from '../workload.ts';
import type { Stage } from './stage.ts';

/** Loads and runs of one script before another takes its place. */
const OPERATIONS_MAX = 200;
const CLIENTS_MAX = 3;
const FLUSH_CHANCE = 0.1;

interface Script {
  readonly body: string;
  readonly answer: number;
  readonly sha: string;
  readonly changes: ScriptChange[];
  readonly looks: ScriptLook[];
}

export class CatalogWorkload implements Workload {
  readonly name = 'catalog';
  okCount = 0;
  readonly #stage: Stage;
  readonly #scripts: Script[] = [];
  readonly #broken: string[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'catalog', most: CLIENTS_MAX }, (actor) => this.#run(actor));
  }

  #script(): Script {
    const last = this.#scripts.at(-1);
    if (last !== undefined && last.changes.length + last.looks.length < OPERATIONS_MAX) return last;
    const answer = this.#scripts.length;
    const body = `return ${answer}`;
    const sha = createHash('sha1').update(body).digest('hex');
    const script = { body, answer, sha, changes: [], looks: [] };
    this.#scripts.push(script);
    return script;
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const script = this.#script();
      const kind = actor.random.below(4);
      if (actor.random.chance(FLUSH_CHANCE)) await this.#flush(actor);
      else if (kind === 0) this.#changed(script, 'load', await actor.call('SCRIPT', 'LOAD', script.body));
      else if (kind === 1) await this.#look(actor, script);
      else await this.#evaluate(actor, script);
    }
  }

  async #flush(actor: Actor): Promise<void> {
    const flush = await actor.call('SCRIPT', 'FLUSH');
    // It takes the older ones as well, and those that were made meanwhile.
    for (const script of this.#scripts) this.#changed(script, 'flush', flush);
  }

  #changed(script: Script, kind: ScriptChange['kind'], { outcome, ...span }: Operation): void {
    if (outcome.kind === 'ok') this.okCount++;
    const wasApart = (this.#stage.lastApartMs ?? Number.NEGATIVE_INFINITY) >= span.startMs;
    script.changes.push({ ...span, kind, outcome: outcome.kind, wasApart });
  }

  async #look(actor: Actor, script: Script): Promise<void> {
    const { outcome, ...span } = await actor.call('SCRIPT', 'EXISTS', script.sha);
    if (outcome.kind !== 'ok') return;
    this.okCount++;
    const isKnown = Array.isArray(outcome.reply) && outcome.reply[0] === 1;
    script.looks.push({ ...span, isKnown, isOfCatalogue: true });
  }

  async #evaluate(actor: Actor, script: Script): Promise<void> {
    const { outcome, ...span } = await actor.call('EVALSHA', script.sha, 0);
    const isMissing = outcome.kind === 'failed' && outcome.error.startsWith('NOSCRIPT');
    if (outcome.kind !== 'ok' && !isMissing) return;
    this.okCount++;
    if (outcome.kind === 'ok' && outcome.reply !== script.answer) {
      this.#broken.push(`catalog: ${script.body} answered ${JSON.stringify(outcome.reply)}`);
    }
    script.looks.push({ ...span, isKnown: !isMissing, isOfCatalogue: false });
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(): readonly string[] {
    const mayMiss = this.#stage.hasFaults;
    const broken = this.#scripts.flatMap(({ body, changes, looks }) => checkCatalog(body, { changes, looks, mayMiss }));
    return [...this.#broken.slice(0, 5), ...broken];
  }
}
