/** A leader, and coordinators that send it the steps of transactions across partitions. */
import { strict as assert } from 'node:assert';
import type { TransactionId } from '../../src/partition/key-locks.ts';
import {
  decodeFetched,
  decodeOutcome,
  encodeChecks,
  encodeCommit,
  encodeIds,
  encodeIntent,
  encodeKeys,
  encodeLock,
  encodeResolve,
  encodeStatus,
  type Fetched,
  type Intent,
  type KeyCheck,
  type Outcome,
} from '../../src/partition/transaction-codec.ts';
import { decodeReplies } from '../../src/resp/decode.ts';
import { EncodedReply, ErrorReply, type Reply, Status } from '../../src/resp/reply.ts';
import { TRANSACTION_SPACE } from '../../src/values/value.ts';
import { type JobFields, TestLeader } from './leader.ts';

export const A: TransactionId = { node: 5, epoch: 1, counter: 1 };
export const B: TransactionId = { node: 5, epoch: 1, counter: 2 };
export const C: TransactionId = { node: 6, epoch: 1, counter: 1 };
export const WAITING = '(waits)';

/** A leader, and coordinators that talk to it. Reading one answer settles everything first. */
export class World {
  readonly leader: TestLeader;
  #asked = 0;

  constructor(leader: TestLeader) {
    this.leader = leader;
  }

  static async create(): Promise<World> {
    return new World(await TestLeader.create());
  }

  get nowMs(): number {
    return this.leader.time.now();
  }

  /** Sends a step; what it returns settles everything and tells the answer, or that there is none yet. */
  send(row: string, payload: Buffer, fields: JobFields = {}): () => Promise<Reply> {
    const name = `${row} ${this.#asked++}`;
    this.leader.submit(name, [row, payload.toString('latin1')], fields);
    return async () => {
      await this.leader.settle();
      const { replies } = this.leader;
      const reply = replies.has(name) ? (replies.get(name) ?? null) : WAITING;
      return reply instanceof EncodedReply ? (decodeReplies(reply.bytes)[0] ?? null) : reply;
    };
  }

  plain(...argv: readonly string[]): () => Promise<Reply> {
    const name = `${argv[0] ?? ''} ${this.#asked++}`;
    this.leader.submit(name, argv);
    return () => this.#answerTo(name);
  }

  exec(...calls: readonly (readonly string[])[]): () => Promise<Reply> {
    const name = `EXEC ${this.#asked++}`;
    this.leader.submitTransaction(name, calls);
    return () => this.#answerTo(name);
  }

  async #answerTo(name: string): Promise<Reply> {
    await this.leader.settle();
    return this.leader.replies.has(name) ? shown(this.leader.replies.get(name) ?? null) : WAITING;
  }

  ask(...argv: readonly string[]): Promise<Reply> {
    return this.plain(...argv)();
  }

  lock(
    id: TransactionId,
    keys: readonly string[],
    options: {
      readonly waits?: boolean;
      readonly leaseMs?: number;
      readonly mode?: 'read' | 'write';
      readonly isConfirmed?: boolean;
    } = {},
  ): () => Promise<Fetched | string> {
    const { waits = false, leaseMs = 10_000, mode = 'write', isConfirmed = false } = options;
    const payload = encodeLock({ id, waits, isConfirmed, leaseMs, keys: keys.map((key) => ({ space: 0, key, mode })) });
    const answer = this.send('%TXLOCK', payload);
    return async () => fetchedOf(await answer());
  }

  async read(...keys: readonly string[]): Promise<Fetched> {
    const fetched = fetchedOf(await this.send('%TXGET', encodeKeys(keys.map((key) => ({ space: 0, key }))))());
    assert.ok(typeof fetched !== 'string', 'it is answered');
    return fetched;
  }

  async checksOf(...keys: readonly string[]): Promise<readonly KeyCheck[]> {
    const { objects } = await this.read(...keys);
    return keys.map((key, i) => ({ space: 0, key, version: objects[i]?.version ?? -1 }));
  }

  intent(id: TransactionId, fields: Partial<Intent>): Intent {
    const { term } = this.leader;
    const checks = fields.checks ?? [];
    return {
      id,
      anchor: 1,
      term: checks.length === 0 ? 0 : term,
      decideByMs: this.nowMs + 5_000,
      checks,
      writes: [],
      ...fields,
    };
  }

  async prepare(id: TransactionId, fields: Partial<Intent>): Promise<Outcome> {
    return outcomeOf(await this.send('%TXPREPARE', encodeIntent(this.intent(id, fields)))());
  }

  async commit(
    id: TransactionId,
    fields: Partial<Intent>,
    more: {
      readonly participants?: readonly number[];
      readonly timestampMin?: number;
      readonly settled?: readonly TransactionId[];
    } = {},
  ): Promise<Outcome> {
    const { participants = [2], timestampMin = 0, settled = [] } = more;
    const payload = encodeCommit({ participants, timestampMin, settled, intent: this.intent(id, fields) });
    return outcomeOf(await this.send('%TXCOMMIT', payload)());
  }

  async status(id: TransactionId, decideByMs = this.nowMs): Promise<Outcome> {
    return outcomeOf(await this.send('%TXSTATUS', encodeStatus(id, decideByMs))());
  }

  resolve(id: TransactionId, timestamp: number): Promise<Reply> {
    return this.send('%TXRESOLVE', encodeResolve(id, timestamp))();
  }

  release(...ids: readonly TransactionId[]): Promise<Reply> {
    return this.send('%TXRELEASE', encodeIds(ids))();
  }

  check(term: number, checks: readonly KeyCheck[]): () => Promise<Reply> {
    return this.send('%TXCHECK', encodeChecks(term, checks));
  }

  /** Records that transactions have left in the store. */
  get recordCount(): number {
    return this.leader.applier.state.keyCounts[TRANSACTION_SPACE] ?? 0;
  }

  /** Later than everything that the partition has committed. */
  get laterTimestamp(): number {
    return this.leader.applier.state.lastTimestamp + 1_000;
  }
}

export function fetchedOf(reply: Reply): Fetched | string {
  return reply instanceof Uint8Array ? decodeFetched(reply) : shown(reply);
}

export function outcomeOf(reply: Reply): Outcome {
  // The recorded answer of a repeated request comes as it was sent.
  const bytes = typeof reply === 'string' ? Buffer.from(reply, 'latin1') : reply;
  assert.ok(bytes instanceof Uint8Array, `${shown(reply)} is no outcome`);
  return decodeOutcome(bytes);
}

/** Short: what an array holds is separated by commas. */
export function shown(reply: Reply): string {
  if (reply instanceof ErrorReply || reply instanceof Status) return reply.text;
  if (reply instanceof Uint8Array) return Buffer.from(reply).toString('latin1');
  if (typeof reply === 'string' || typeof reply === 'number') return String(reply);
  return Array.isArray(reply) ? reply.map(shown).join(',') : JSON.stringify(reply);
}

export function valuesOf(fetched: Fetched | string): readonly (string | null)[] | string {
  if (typeof fetched === 'string') return fetched;
  return fetched.isGranted
    ? fetched.objects.map(({ object }) => (typeof object?.value === 'string' ? object.value : null))
    : '(taken)';
}

export const put = (key: string, value: string, expiresAtMs = 0): Intent['writes'][number] => ({
  space: 0,
  key,
  object: { value, expiresAtMs },
});
export const del = (key: string): Intent['writes'][number] => ({ space: 0, key, object: null });

export function lockPayload(id: TransactionId, keys: readonly string[], { isConfirmed = false } = {}): string {
  const named = keys.map((key) => ({ space: 0, key, mode: 'write' as const }));
  return encodeLock({ id, waits: false, isConfirmed, leaseMs: 1_000, keys: named }).toString('latin1');
}
