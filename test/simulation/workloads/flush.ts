/**
 * Clients that fill a database of their own with three keys at once, read them at once, and empty it: together the keys are
 * one register, which FLUSHDB clears. Nobody may see a part.
 */
import type { RegisterAction, RegisterOperation } from '../checkers/register.ts';
import { type Actor, actors, type Operation, type Workload } from '../workload.ts';
import { brokenRegisters } from './registers.ts';
import type { Request, Stage } from './stage.ts';

const DATABASE_FIRST = 5;
const DATABASE_COUNT = 10;
const KEYS = ['flush:a', 'flush:b', 'flush:c'];
const OPERATIONS_MAX = 60;
const UNKNOWN_MAX = 6;
const CLIENTS_MAX = 3;

interface Database {
  readonly number: number;
  readonly operations: RegisterOperation[];
  unknown: number;
}

export class FlushWorkload implements Workload {
  readonly name = 'flush';
  okCount = 0;
  readonly #stage: Stage;
  readonly #databases: Database[] = [];
  readonly #broken: string[] = [];
  #values = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): readonly Promise<void>[] {
    return actors(this.#stage, { name: 'flush', most: CLIENTS_MAX }, (actor) => this.#run(actor));
  }

  async #run(actor: Actor): Promise<void> {
    while (await actor.think()) {
      const database = this.#database();
      if (database === null) return;
      const kind = actor.random.below(6);
      if (kind === 0) await this.#act(actor, database, { kind: 'write', value: null });
      else if (kind < 3) await this.#act(actor, database, { kind: 'write', value: `f${this.#values++}` });
      else await this.#act(actor, database, { kind: 'read' });
    }
  }

  /** Null when all have been used. */
  #database(): Database | null {
    const last = this.#databases.at(-1);
    if (last !== undefined && last.operations.length < OPERATIONS_MAX && last.unknown <= UNKNOWN_MAX) return last;
    if (this.#databases.length === DATABASE_COUNT) return null;
    const database = { number: DATABASE_FIRST + this.#databases.length, operations: [], unknown: 0 };
    this.#databases.push(database);
    return database;
  }

  async #act(actor: Actor, database: Database, action: RegisterAction): Promise<void> {
    const request = requestOf(action);
    const startMs = actor.nowMs;
    const client = actor.clientName;
    // SELECT is of the connection, and a new connection may be made at any time.
    const [, outcome] = await actor.client.pipeline([['SELECT', database.number], request]);
    if (outcome === undefined) return;
    const operation: Operation = { client, startMs, endMs: actor.nowMs, outcome };
    actor.noted([`${database.number}:`, ...request], operation);
    actor.maybeReconnect();
    this.#note(database, action, operation);
  }

  #note({ number, operations, ...counts }: Database, action: RegisterAction, operation: Operation): void {
    const { outcome, client, startMs, endMs } = operation;
    const span = { client, startMs, endMs, action };
    if (outcome.kind !== 'ok') {
      operations.push({ ...span, outcome: outcome.kind });
      const database = this.#databases.find((one) => one.number === number);
      if (outcome.kind === 'unknown' && database !== undefined) database.unknown = counts.unknown + 1;
      return;
    }
    this.okCount++;
    if (action.kind !== 'read') {
      operations.push({ ...span, outcome: 'ok', answer: true });
      return;
    }
    const values: readonly unknown[] = Array.isArray(outcome.reply) ? outcome.reply : [];
    const [first] = values;
    if (values.length !== KEYS.length || values.some((value) => value !== first)) {
      this.#broken.push(`flush: database ${number} was read in parts: ${JSON.stringify(outcome.reply)}`);
    }
    operations.push({ ...span, outcome: 'ok', answer: typeof first === 'string' ? first : null });
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(): readonly string[] {
    const registers = this.#databases.map(({ number, operations }) => ({ name: `database ${number}`, operations }));
    return [...this.#broken.slice(0, 5), ...brokenRegisters(this.#stage, registers)];
  }
}

function requestOf(action: RegisterAction): Request {
  if (action.kind === 'read') return ['MGET', ...KEYS];
  const value = 'value' in action ? action.value : null;
  return value === null ? ['FLUSHDB'] : ['MSET', ...KEYS.flatMap((key) => [key, value])];
}
