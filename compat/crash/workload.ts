/**
 * Clients of the crash test: each is pinned to one node, does one thing at a time, and writes down what it saw. After
 * an operation whose outcome is open it opens a new connection and leaves the keys of that operation alone.
 */
import { performance } from 'node:perf_hooks';

import { RespClient } from '../harness/client.ts';
import type { Endpoint } from '../harness/deployment.ts';
import type { Outcome } from '../harness/outcome.ts';
import type { SeededRandom } from '../harness/random.ts';
import { type Argument, itemsOf, type RespValue, textOf } from '../harness/resp.ts';
import { pause } from '../harness/wait.ts';
import type { FinalState, Operation, OutcomeClass } from './history.ts';

const REGISTER_COUNT = 3;
const COUNTER_COUNT = 5;
const LOCK_COUNT = 3;
const LOCK_TTL_MS = [300, 1_500] as const;
/** Think time: enough clients are there to keep the servers busy, and the history must stay small. */
const THINK_MS = [3, 35] as const;
/** Longer than any deadline inside the server. */
const CALL_TIMEOUT_MS = 30_000;

/** What all clients of one run share. */
export class Workload {
  readonly prefix: string;
  readonly operations: Operation[] = [];
  readonly registerKeys = new Set<string>();
  readonly claimKeys = new Set<string>();
  readonly #workers: Promise<void>[] = [];
  #isStopped = false;
  #claimRound = 0;
  #requestCount = 0;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Makes what must exist before clients start. */
  async prepare(endpoint: Endpoint): Promise<void> {
    const client = await RespClient.connect(endpoint);
    await client.must('KAHUNA.SEQ', 'CREATE', this.sequence);
    client.close();
  }

  start(endpoints: readonly Endpoint[], clientsPerNode: number, random: SeededRandom): void {
    for (const [index, endpoint] of endpoints.entries()) {
      for (let number = 0; number < clientsPerNode; number += 1) {
        const id = index * clientsPerNode + number + 1;
        const others = endpoints.filter((other) => other !== endpoint);
        this.#workers.push(new Worker(this, { id, endpoint, others, random: random.fork(`worker ${id}`) }).run());
      }
    }
  }

  /** Resolves when every client has ended its last operation. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#workers);
  }

  get counters(): readonly string[] {
    return Array.from({ length: COUNTER_COUNT }, (_, index) => `${this.prefix}:counter:${index}`);
  }

  get locks(): readonly string[] {
    return Array.from({ length: LOCK_COUNT }, (_, index) => `${this.prefix}:lock:${index}`);
  }

  get pair(): readonly [string, string] {
    return [`{${this.prefix}:pair}:a`, `{${this.prefix}:pair}:b`];
  }

  get sequence(): string {
    return `${this.prefix}:sequence`;
  }

  /** The key that all clients race for now. */
  currentClaim(): string {
    const key = `${this.prefix}:claim:${this.#claimRound}`;
    this.claimKeys.add(key);
    return key;
  }

  nextClaim(): void {
    this.#claimRound += 1;
  }

  nextRequestId(): string {
    this.#requestCount += 1;
    return `${this.prefix}:${this.#requestCount}`;
  }

  /** What one node answers after everything has healed. @throws on any error */
  async finalState(endpoint: Endpoint): Promise<FinalState> {
    const client = await RespClient.connect({ ...endpoint, callTimeoutMs: CALL_TIMEOUT_MS });
    try {
      const numbers = async (keys: readonly string[]): Promise<Map<string, number>> => {
        const frames = await client.pipeline(keys.map((key) => ['GET', key]));
        return new Map(keys.map((key, index) => [key, numberOf(frames[index]?.value)]));
      };
      const claimKeys = [...this.claimKeys];
      const claimFrames = await client.pipeline(claimKeys.map((key) => ['GET', key]));
      const tokenFrames = await client.pipeline(this.locks.map((lock) => ['KAHUNA.LOCK', 'TOKEN', lock]));
      const pair = itemsOf(await client.must('MGET', ...this.pair));
      return {
        node: endpoint.name,
        registers: await numbers([...this.registerKeys]),
        counters: await numbers(this.counters),
        claims: new Map(claimKeys.map((key, index) => [key, textOrNull(claimFrames[index]?.value)])),
        pair: [numberOf(pair[0]), numberOf(pair[1])],
        lockTokens: new Map(this.locks.map((lock, index) => [lock, numberOf(tokenFrames[index]?.value)])),
      };
    } finally {
      client.close();
    }
  }
}

/** 0 for an absent key. @throws on errors and on what is no number */
function numberOf(value: RespValue | undefined): number {
  if (value?.type === 'null') return 0;
  const number = value === undefined ? Number.NaN : Number(textOf(value) ?? 'no');
  if (!Number.isSafeInteger(number)) throw new Error(`no number: ${JSON.stringify(value)}`);
  return number;
}

function textOrNull(value: RespValue | undefined): string | null {
  if (value?.type === 'null') return null;
  const text = value === undefined ? null : textOf(value);
  if (text === null) throw new Error(`no text: ${JSON.stringify(value)}`);
  return text;
}

interface WorkerSetup {
  readonly id: number;
  readonly endpoint: Endpoint;
  readonly others: readonly Endpoint[];
  readonly random: SeededRandom;
}

interface Connection {
  readonly client: RespClient;
  readonly node: string;
}

interface Timed {
  readonly worker: number;
  readonly node: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: OutcomeClass;
  readonly reason: string;
  readonly value: RespValue | null;
}

class Worker {
  readonly #workload: Workload;
  readonly #setup: WorkerSetup;
  #client: RespClient | null = null;
  /** Own registers: key and the last value written. */
  readonly #registers: { key: string; value: number }[] = [];
  #generation = 0;

  constructor(workload: Workload, setup: WorkerSetup) {
    this.#workload = workload;
    this.#setup = setup;
  }

  async run(): Promise<void> {
    const { random } = this.#setup;
    const actions = [
      () => this.#write(),
      () => this.#write(),
      () => this.#read(),
      () => this.#read(),
      () => this.#increment(),
      () => this.#increment(),
      () => this.#claim(),
      () => this.#pairIncrement(),
      () => this.#pairRead(),
      () => this.#lock(),
      () => this.#sequence(),
    ];
    while (!this.#workload.isStopped) {
      if (await this.#connected()) await random.pick(actions)();
      await pause(random.integer(...THINK_MS));
    }
    this.#client?.close();
  }

  async #connected(): Promise<boolean> {
    if (this.#client?.isOpen === true) return true;
    try {
      this.#client = await RespClient.connect({ ...this.#setup.endpoint, callTimeoutMs: CALL_TIMEOUT_MS });
      return true;
    } catch {
      await pause(30); // a node that is down; nothing was sent, so there is nothing to write down
      return false;
    }
  }

  async #write(): Promise<void> {
    const { random } = this.#setup;
    const register = random.pick(this.#ownRegisters());
    register.value += 1;
    const { value: reply, ...timed } = await this.#call('SET', register.key, register.value);
    this.#workload.operations.push({ ...timed, kind: 'register-write', key: register.key, value: register.value });
    // Its value may land late, on top of a newer one; and a reply other than OK is not a write.
    if (timed.outcome === 'unknown' || (reply !== null && textOf(reply) !== 'OK')) {
      this.#registers.splice(this.#registers.indexOf(register), 1);
    }
  }

  #ownRegisters(): { key: string; value: number }[] {
    while (this.#registers.length < REGISTER_COUNT) {
      this.#generation += 1;
      const key = `${this.#workload.prefix}:register:${this.#setup.id}:${this.#generation}`;
      this.#workload.registerKeys.add(key);
      this.#registers.push({ key, value: 0 });
    }
    return this.#registers;
  }

  async #read(): Promise<void> {
    const keys = [...this.#workload.registerKeys].slice(-30);
    if (keys.length === 0) return;
    const key = this.#setup.random.pick(keys);
    const { value: reply, ...timed } = await this.#call('GET', key);
    this.#workload.operations.push({
      ...timed,
      kind: 'register-read',
      key,
      value: reply === null ? 0 : numberOf(reply),
    });
  }

  async #increment(): Promise<void> {
    const key = this.#setup.random.pick(this.#workload.counters);
    const { value: reply, ...timed } = await this.#call('INCR', key);
    this.#workload.operations.push({ ...timed, kind: 'increment', key, value: reply === null ? 0 : numberOf(reply) });
  }

  async #claim(): Promise<void> {
    const key = this.#workload.currentClaim();
    const token = `${this.#setup.id}/${this.#workload.nextRequestId()}`;
    const { value: reply, ...timed } = await this.#call('SET', key, token, 'NX');
    const hasWon = reply !== null && textOf(reply) === 'OK';
    this.#workload.operations.push({ ...timed, kind: 'claim', key, token, hasWon });
    // Some keys see several losers, most get a winner and are left alone.
    if (timed.outcome !== 'ok' || this.#setup.random.float() < 0.5) this.#workload.nextClaim();
  }

  async #pairIncrement(): Promise<void> {
    const [first, second] = this.#workload.pair;
    const { value: reply, ...timed } = await this.#timed(async (client) => {
      for (const request of [['MULTI'], ['INCR', first], ['INCR', second]]) {
        const queued = await client.outcome(...request);
        if (queued.class !== 'ok') return unsent(client, queued);
      }
      return client.outcome('EXEC');
    });
    const values = reply === null ? [] : itemsOf(reply).map(numberOf);
    this.#workload.operations.push({ ...timed, kind: 'pair-increment', values: [values[0] ?? 0, values[1] ?? 0] });
  }

  async #pairRead(): Promise<void> {
    const { value: reply, ...timed } = await this.#call('MGET', ...this.#workload.pair);
    const values = reply === null ? [] : itemsOf(reply).map(numberOf);
    this.#workload.operations.push({ ...timed, kind: 'pair-read', values: [values[0] ?? 0, values[1] ?? 0] });
  }

  async #lock(): Promise<void> {
    const { random, id } = this.#setup;
    const resource = random.pick(this.#workload.locks);
    const owner = `${id}/${this.#workload.nextRequestId()}`;
    const ttlMs = random.integer(...LOCK_TTL_MS);
    const waiting: Argument[] = random.float() < 0.5 ? ['WAIT', 500] : [];
    const { value: reply, ...timed } = await this.#call(
      'KAHUNA.LOCK',
      'ACQUIRE',
      resource,
      owner,
      'PX',
      ttlMs,
      ...waiting,
    );
    const token = reply === null || reply.type === 'null' ? null : numberOf(reply);
    this.#workload.operations.push({ ...timed, kind: 'lock-acquire', resource, owner, ttlMs, token });
    if (token === null) return;
    await pause(random.integer(0, 60));
    if (random.float() < 0.3) await this.#extend(resource, owner, ttlMs);
    if (random.float() < 0.8) await this.#release(resource, owner); // else it runs out
  }

  async #extend(resource: string, owner: string, ttlMs: number): Promise<void> {
    if (!(await this.#connected())) return;
    const { value: reply, ...timed } = await this.#call('KAHUNA.LOCK', 'EXTEND', resource, owner, 'PX', ttlMs);
    const token = reply === null || reply.type === 'null' ? null : numberOf(reply);
    this.#workload.operations.push({ ...timed, kind: 'lock-extend', resource, owner, ttlMs, token });
  }

  async #release(resource: string, owner: string): Promise<void> {
    if (!(await this.#connected())) return;
    const { value: reply, ...timed } = await this.#call('KAHUNA.LOCK', 'RELEASE', resource, owner);
    const isReleased = reply !== null && textOf(reply) === '1';
    this.#workload.operations.push({ ...timed, kind: 'lock-release', resource, owner, isReleased });
  }

  /** An open outcome, and now and then a good one, is asked again with the same id through another node. */
  async #sequence(): Promise<void> {
    const { random, others } = this.#setup;
    const id = this.#workload.nextRequestId();
    const reserve = random.float() < 0.3 ? random.integer(2, 10) : null;
    if (this.#client === null) return;
    const outcome = await this.#take({ client: this.#client, node: this.#setup.endpoint.name }, id, reserve);
    if (outcome === 'ok' && random.float() > 0.2) return;
    const other = random.pick(others.length === 0 ? [this.#setup.endpoint] : others);
    const client = await RespClient.connect({ ...other, callTimeoutMs: CALL_TIMEOUT_MS }).catch(() => null);
    if (client === null) return;
    await this.#take({ client, node: other.name }, id, reserve);
    client.close();
  }

  async #take(through: Connection, id: string, reserve: number | null): Promise<OutcomeClass> {
    const name = this.#workload.sequence;
    const request: Argument[] = reserve === null ? ['NEXT', name] : ['RESERVE', name, reserve];
    const { value: reply, ...timed } = await this.#timed(
      (client) => client.outcome('KAHUNA.SEQ', ...request, 'IDEMPOTENCY', id),
      through,
    );
    const items = reply === null ? [] : reserve === null ? [reply, reply] : itemsOf(reply);
    const [first, last] = items.map(numberOf);
    this.#workload.operations.push({ ...timed, kind: 'sequence-take', name, id, first: first ?? 0, last: last ?? 0 });
    return timed.outcome;
  }

  #call(...args: Argument[]): Promise<Timed> {
    return this.#timed((client) => client.outcome(...args));
  }

  async #timed(act: (client: RespClient) => Promise<Outcome>, through?: Connection): Promise<Timed> {
    const client = through?.client ?? this.#client;
    if (client === null) throw new Error('an operation without a connection');
    const node = through?.node ?? this.#setup.endpoint.name;
    const startMs = performance.now();
    const outcome = await act(client);
    const endMs = performance.now();
    const common = { worker: this.#setup.id, node, startMs, endMs, outcome: outcome.class };
    if (outcome.class === 'ok') return { ...common, reason: '', value: outcome.value };
    if (outcome.class === 'unknown') {
      client.close(); // whatever still comes on it belongs to nobody
      return { ...common, reason: `${outcome.reason} after ${Math.round(endMs - startMs)} ms`, value: null };
    }
    return { ...common, reason: outcome.reason, value: null };
  }
}

/** MULTI or a queued command went wrong: EXEC is never sent, so nothing can be applied. */
function unsent(client: RespClient, outcome: Outcome): Outcome {
  client.close(); // or its transaction would stay open
  if (outcome.class !== 'unknown') return outcome;
  return { class: 'failed', reason: `before EXEC: ${outcome.reason}`, seen: 'no-connection' };
}
