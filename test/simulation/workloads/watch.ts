/** Clients that change keys by WATCH, also absent ones, while others set and delete them behind their back. */
import { checkRegister, type RegisterAction, type RegisterOperation } from '../checkers/register.ts';
import { checkWatch, type Touch, type Watched } from '../checkers/watch.ts';
import { type Actor, actors, type Operation, type Workload } from '../workload.ts';
import type { Request, Stage } from './stage.ts';

/** Operations on one key before a fresh one takes its place, and unknown ones. */
const OPERATIONS_MAX = 60;
const UNKNOWN_MAX = 6;
const CLIENTS_MAX = 4;

interface Key {
  readonly name: string;
  readonly operations: RegisterOperation[];
  readonly watched: Watched[];
  readonly touches: Touch[];
  begun: number;
  unknown: number;
}

export class WatchWorkload implements Workload {
  readonly name = 'watch';
  okCount = 0;
  readonly #stage: Stage;
  readonly #keys: Key[] = [];
  #values = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'watch', most: CLIENTS_MAX }, (actor) => this.#run(actor));
  }

  #key(): Key {
    const last = this.#keys.at(-1);
    if (last !== undefined && last.begun < OPERATIONS_MAX && last.unknown <= UNKNOWN_MAX) return last;
    const name = `watch:${this.#keys.length}`;
    const key = { name, operations: [], watched: [], touches: [], begun: 0, unknown: 0 };
    this.#keys.push(key);
    return key;
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const key = this.#key();
      key.begun++;
      const kind = actor.random.below(6);
      if (kind === 0) await this.#single(actor, key, { kind: 'write', value: this.#value() });
      else if (kind === 1) await this.#single(actor, key, { kind: 'delete' });
      else await this.#watch(actor, key);
      actor.maybeReconnect();
    }
  }

  #value(): string {
    return `w${this.#values++}`;
  }

  async #single(actor: Actor, key: Key, action: RegisterAction): Promise<void> {
    const request = action.kind === 'write' ? ['SET', key.name, action.value ?? ''] : ['DEL', key.name];
    const operation = await actor.call(...request);
    const { outcome } = operation;
    const answer = action.kind === 'write' || (outcome.kind === 'ok' && outcome.reply === 1);
    this.#note(key, operation, { action, answer });
  }

  async #watch(actor: Actor, key: Key): Promise<void> {
    const { startMs, clientName: client } = { startMs: actor.nowMs, clientName: actor.clientName };
    const [watched, read] = await actor.client.pipeline([
      ['WATCH', key.name],
      ['GET', key.name],
    ]);
    if (watched === undefined || read === undefined) return;
    const watch = { client, startMs, endMs: actor.nowMs };
    actor.noted(['WATCH', 'GET', key.name], { ...watch, outcome: read });
    if (watched.kind !== 'ok' || read.kind !== 'ok') {
      // What the connection watches by now would count at the next EXEC.
      actor.reconnect();
      return;
    }
    this.okCount++;
    const expected = typeof read.reply === 'string' ? read.reply : null;
    key.operations.push({ ...watch, action: { kind: 'read' }, outcome: 'ok', answer: expected });
    await actor.stage.sleep(actor.random.below(30));
    const value = expected !== null && actor.random.chance(0.3) ? null : this.#value();
    const request: Request = value === null ? ['DEL', key.name] : ['SET', key.name, value];
    const exec = await actor.execWatched([request]);
    const { outcome } = exec;
    const hasTakenEffect = outcome.kind === 'ok' && outcome.reply !== null && Array.isArray(outcome.reply);
    if (outcome.kind === 'ok') key.watched.push({ watch, exec, hasTakenEffect, wasAbsent: expected === null });
    // Nil says nothing of the value: it may have changed and changed back.
    if (outcome.kind === 'ok' && !hasTakenEffect) return;
    this.#note(key, exec, { action: { kind: 'swap', expected, value }, answer: true });
  }

  #note(
    key: Key,
    { outcome, ...span }: Operation,
    { action, answer }: { readonly action: RegisterAction; readonly answer: boolean },
  ): void {
    if (outcome.kind === 'unknown') key.unknown++;
    if (outcome.kind === 'ok') this.okCount++;
    key.operations.push({ ...span, action, outcome: outcome.kind, ...(outcome.kind === 'ok' ? { answer } : {}) });
    // To delete what is not there touches nothing.
    if (answer || outcome.kind !== 'ok') key.touches.push({ ...span, outcome: outcome.kind });
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(): readonly string[] {
    return this.#keys.flatMap(({ name, operations, watched, touches }) => {
      const { verdict, text } = checkRegister(name, operations);
      if (verdict === 'undecided') this.#stage.mark('register undecided');
      return [...(text === '' ? [] : [text]), ...checkWatch(name, watched, touches)];
    });
  }
}
