/** Clients that read and write single keys with unique values, in every way that decides by what is there. */
import type { RegisterAction, RegisterOperation } from '../checkers/register.ts';
import { Actor, type Workload } from '../workload.ts';
import { brokenRegisters } from './registers.ts';
import type { Stage } from './stage.ts';

/** Operations on one key before a fresh one takes its place: the check is exponential. */
const OPERATIONS_MAX = 40;
/** Unknown writes stay open for ever: with more of them a key is left alone. */
const UNKNOWN_MAX = 5;
const SLOTS = 2;

interface Register {
  readonly key: string;
  readonly operations: RegisterOperation[];
  begun: number;
  unknown: number;
  lastValue: string;
}

export class RegisterWorkload implements Workload {
  readonly name = 'register';
  okCount = 0;
  readonly #stage: Stage;
  readonly #all: Register[] = [];
  readonly #present: Register[] = [];
  #nextValue = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    for (let slot = 0; slot < SLOTS; slot++) this.#present.push(this.#fresh());
  }

  #fresh(): Register {
    const register = { key: `register:${this.#all.length}`, operations: [], begun: 0, unknown: 0, lastValue: '' };
    this.#all.push(register);
    return register;
  }

  start(): readonly Promise<void>[] {
    const count = Math.min(3, this.#stage.load.clientCount);
    return Array.from({ length: count }, (_, i) => this.#run(new Actor(this.#stage, `register${i}`)));
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const slot = actor.random.below(SLOTS);
      let register = this.#present[slot] as Register;
      if (register.begun >= OPERATIONS_MAX || register.unknown > UNKNOWN_MAX) {
        register = this.#fresh();
        this.#present[slot] = register;
      }
      register.begun++;
      await this.#act(actor, register);
    }
  }

  async #act(actor: Actor, register: Register): Promise<void> {
    const action = this.#draw(actor, register);
    const { client, startMs, endMs, outcome } = await actor.call(...requestOf(register.key, action));
    if (outcome.kind !== 'ok') {
      if (outcome.kind === 'unknown' && action.kind !== 'read') register.unknown++;
      register.operations.push({ client, startMs, endMs, action, outcome: outcome.kind });
      return;
    }
    this.okCount++;
    const answer = answerOf(action, outcome.reply);
    register.operations.push({ client, startMs, endMs, action, outcome: 'ok', answer });
    if ('value' in action && action.value !== null) register.lastValue = action.value;
    else if (typeof answer === 'string') register.lastValue = answer;
  }

  #draw(actor: Actor, register: Register): RegisterAction {
    const value = `v${this.#nextValue++}`;
    switch (actor.random.below(9)) {
      case 0:
        return { kind: 'create', value };
      case 1:
        return { kind: 'swap', expected: register.lastValue, value };
      case 2:
        return { kind: 'delete' };
      case 3:
        return { kind: 'exchange', value };
      case 4:
        return { kind: 'write', value };
      case 5:
        return { kind: 'exchange', value: null };
      default:
        return { kind: 'read' };
    }
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(): readonly string[] {
    return brokenRegisters(
      this.#stage,
      this.#all.map(({ key, operations }) => ({ name: key, operations })),
    );
  }
}

function requestOf(key: string, action: RegisterAction): readonly string[] {
  const value = 'value' in action ? (action.value ?? '') : '';
  switch (action.kind) {
    case 'read':
      return ['GET', key];
    case 'write':
      return ['SET', key, value];
    case 'create':
      return ['SET', key, value, 'NX'];
    case 'swap':
      return ['SET', key, value, 'IFEQ', action.expected ?? ''];
    case 'delete':
      return ['DEL', key];
    case 'exchange':
      return action.value === null ? ['GETDEL', key] : ['SET', key, value, 'GET'];
  }
}

function answerOf(action: RegisterAction, reply: unknown): string | null | boolean {
  if (action.kind === 'read' || action.kind === 'exchange') return typeof reply === 'string' ? reply : null;
  if (action.kind === 'delete') return reply === 1;
  return reply !== null;
}
