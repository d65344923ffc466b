/**
 * The evaluation's view against plain maps: random evaluations that are kept, rolled back in part, or taken back as a whole.
 * After each, the view shows what the maps hold; the entries replayed into the data store show it too, with everything
 * evicted in between.
 */
import { KeyLocks } from '../../src/partition/key-locks.ts';
import type { OpenDecision } from '../../src/partition/open-transactions.ts';
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import type { LogIndex } from '../../src/base/ids.ts';
import { slotOfKey } from '../../src/base/slots.ts';
import type { Savepoint, ScanPage } from '../../src/commands/view.ts';
import { Batch } from '../../src/partition/batch.ts';
import { decodeEntry } from '../../src/partition/entry-format.ts';
import type { EvaluationContext } from '../../src/partition/evaluation-context.ts';
import { KeyNotResident } from '../../src/partition/evaluation-ends.ts';
import { EvaluationView } from '../../src/partition/evaluation-view.ts';
import {
  afterEntry,
  emptyPartitionState,
  encodePartitionState,
  type PartitionState,
} from '../../src/partition/partition-state.ts';
import { RecordReader } from '../../src/partition/record-reader.ts';
import { MemoryBudget } from '../../src/partition/resident.ts';
import type { DataStore } from '../../src/storage/data/types.ts';
import { stringFromBytes, toBytes } from '../../src/values/string.ts';
import { DATABASE_COUNT, type Space, type StringValue, type Value } from '../../src/values/value.ts';
import { MemoryProcess } from '../doubles/memory-process.ts';
import { MemoryView } from '../doubles/memory-view.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { GROUP, TestLeader } from './leader.ts';

const SPACES = [0, 1, 16];
const KEYS = ['a', 'b', 'c', 'long'];
const START_MS = 1_700_000_000_000;

interface Held {
  readonly bytes: string;
  readonly expiresAtMs: number;
}
type Model = Map<string, Held>;

const nameOf = (space: Space, key: string): string => `${space} ${key}`;

/** A short value, or one of a few pages. */
function valueOf(seed: number, isLong: boolean): StringValue {
  return stringFromBytes(Buffer.alloc(isLong ? 40_000 + (seed % 3) * 16_384 : 5, String(seed)));
}

function told(value: Value): string {
  if (typeof value !== 'string' && !('pages' in value)) throw new Error('the test writes strings only');
  return toBytes(value).toString('latin1');
}

class Bench implements EvaluationContext {
  readonly batch = new Batch();
  readonly reader: RecordReader;
  readonly random = new SeededRandom(1);
  readonly isWhole = true;
  readonly locks = new KeyLocks();
  readonly decisions = new Map<string, OpenDecision>();
  readonly past = new MemoryView().past;
  readonly appliedTimestamp = 0;
  readonly term = 1;
  readonly transactionTag = '0';
  readonly view: EvaluationView;
  readonly budget = new MemoryBudget(0);
  readonly #data: DataStore;
  #index: LogIndex = 0;
  #state: PartitionState = emptyPartitionState({ voters: [1], votersOutgoing: [], learners: [], learnersNext: [] });
  nowMs = START_MS;

  constructor(data: DataStore) {
    this.#data = data;
    const timers = { after: () => ({ cancel: () => undefined }), endOfTurn: () => undefined };
    this.reader = new RecordReader(data, { process: new MemoryProcess(), timers }, slotOfKey);
    this.view = new EvaluationView(this, this.budget);
    this.view.reset(this.#state);
  }

  keyReleased(): void {
    // Nobody waits here.
  }
  refusedTimestamp(): void {
    // Nobody counts here.
  }
  transactionOpened(): void {
    // Nobody settles anything here.
  }
  leaseEndsAt(): void {
    // Nobody drops parts here.
  }
  slotOf(key: string): number {
    return slotOfKey(key);
  }
  isAllAwaited(): boolean {
    return false;
  }

  waiterCount(): number {
    return 0;
  }
  scanned(): ScanPage | undefined {
    return undefined;
  }
  randomCursor(): bigint {
    return 0n;
  }
  isCursorHere(): boolean {
    return false;
  }
  spaceFlushed(): void {
    // Nobody sweeps here.
  }
  averageTtlMs(): number {
    return 7;
  }
  scheduleExpiry(): void {
    // Nobody takes what is due.
  }

  begin(): EvaluationView {
    if (this.batch.isEmpty) this.batch.index = this.#index + 1;
    this.view.begin(this.nowMs, 2);
    return this.view;
  }

  /** Closes the batch and applies its entry as every replica does. */
  async close(): Promise<void> {
    if (this.batch.isEmpty) return;
    this.batch.timeMs = this.nowMs;
    const entry = this.batch.encode();
    this.batch.reset();
    const decoded = decodeEntry(entry);
    this.#state = afterEntry(this.#state, entry, decoded);
    this.#index++;
    const applied = { index: this.#index, term: 1, state: encodePartitionState(this.#state) };
    await new Promise<void>((resolve) => {
      this.#data.apply(GROUP, decoded.records, applied, resolve);
    });
  }

  evict(): void {
    this.budget.limitBytes = 1;
    for (let i = 0; i < 3; i++) this.view.residents.evict(this.#index, 1_000);
    this.budget.limitBytes = 0;
  }

  check(model: Model): void {
    const view = this.begin();
    for (const space of SPACES) {
      let count = 0;
      let expiring = 0;
      for (const key of KEYS) {
        const held = model.get(nameOf(space, key));
        const found = view.peek(space, key);
        const shown = found === undefined ? undefined : { bytes: told(found.value), expiresAtMs: found.expiresAtMs };
        assert.deepEqual(shown, held, `space ${space}, key ${key}`);
        if (held !== undefined) count++;
        if (held !== undefined && held.expiresAtMs !== 0) expiring++;
      }
      assert.equal(view.keyCount(space), count, `keys of space ${space}`);
      if (space >= DATABASE_COUNT) continue;
      const averageTtlMs = expiring === 0 ? 0 : 7;
      assert.deepEqual(view.expiring(space), { count: expiring, averageTtlMs }, `keys of space ${space} that expire`);
    }
    view.commit();
  }
}

const place = { space: fc.constantFrom(...SPACES), key: fc.constantFrom(...KEYS) };
const op = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      ...place,
      seed: fc.nat(9),
      ttlMs: fc.constantFrom(0, 0, 5, 50, -1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), ...place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('find' as const), ...place }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('flush' as const), space: fc.constantFrom<Space | 'all'>(0, 1, 'all') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mark' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const) }) },
);
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;
const evaluation = fc.record({
  ops: fc.array(op, { maxLength: 8 }),
  end: fc.constantFrom('keep', 'keep', 'undo'),
  then: fc.constantFrom('', '', 'close', 'evict', 'pass'),
});

function expire(model: Model, nowMs: number): void {
  for (const [name, { expiresAtMs }] of model) if (expiresAtMs !== 0 && expiresAtMs <= nowMs) model.delete(name);
}

function run(bench: Bench, model: Model, ops: readonly Op[]): void {
  const { view } = bench;
  let mark: { readonly savepoint: Savepoint; readonly model: Model } | null = null;
  for (const one of ops) {
    if (one.kind === 'mark') {
      mark = { savepoint: view.savepoint(), model: new Map(model) };
    } else if (one.kind === 'rollback') {
      if (mark === null) continue;
      view.rollback(mark.savepoint);
      restore(model, mark.model);
    } else if (one.kind === 'flush') {
      view.flush(one.space);
      for (const name of [...model.keys()]) {
        const space = Number(name.split(' ', 1)[0]);
        if (one.space === 'all' ? space < 16 : space === one.space) model.delete(name);
      }
    } else {
      runOnKey(bench, model, one);
    }
  }
}

function runOnKey(bench: Bench, model: Model, one: Extract<Op, { readonly key: string }>): void {
  const { view, nowMs } = bench;
  const name = nameOf(one.space, one.key);
  if (one.kind === 'find') {
    const found = view.find(one.space, one.key);
    assert.equal(found === undefined ? undefined : told(found.value), model.get(name)?.bytes);
  } else if (one.kind === 'remove') {
    assert.equal(view.remove(one.space, one.key), model.delete(name));
  } else {
    const value = valueOf(one.seed, one.key === 'long');
    const expiresAtMs = one.ttlMs === 0 ? 0 : nowMs + one.ttlMs;
    view.put(one.space, one.key, value, expiresAtMs);
    if (one.ttlMs < 0) model.delete(name);
    else model.set(name, { bytes: told(value), expiresAtMs });
  }
}

function restore(model: Model, from: Model): void {
  model.clear();
  for (const [name, held] of from) model.set(name, held);
}

describe('evaluation view', () => {
  it('shows what plain maps hold, kept, rolled back, undone, replayed and evicted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(evaluation, { maxLength: 12 }), async (evaluations) => {
        const { data } = await TestLeader.create();
        const bench = new Bench(data);
        const model: Model = new Map();
        for (const { ops, end, then } of evaluations) {
          // What has expired goes when it is met; here all of it at once, to compare.
          expire(model, bench.nowMs);
          bench.check(model);
          const before = new Map(model);
          const bytes = bench.batch.encode();
          bench.begin();
          run(bench, model, ops);
          if (end === 'keep') {
            bench.view.commit();
          } else {
            bench.view.undoAll();
            restore(model, before);
            assert.deepEqual(bench.batch.encode(), bytes, 'an evaluation that was taken back leaves no bytes');
          }
          if (then === 'close' || then === 'evict') await bench.close();
          if (then === 'evict') bench.evict();
          if (then === 'pass') bench.nowMs += 10;
        }
        expire(model, bench.nowMs);
        bench.check(model);
        await bench.close();
        bench.evict();
        bench.check(model);
      }),
      { numRuns: 150 },
    );
  });

  it('asks for what does not fit between two evaluations, and keeps nothing of the attempt', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SETRANGE', 'long', '399999', 'x');
    leader.evictAll();
    const bench = new Bench(leader.data);
    const view = bench.begin();
    view.put(0, 'other', 'v', 0);
    assert.throws(() => view.find(0, 'long'), KeyNotResident);
    view.undoAll();
    assert.ok(!view.hasChanged && bench.batch.isEmpty);
  });

  it('tells a watch that a flush took a key which had left memory: absent, present and absent again is a change', async () => {
    const { data } = await TestLeader.create();
    const bench = new Bench(data);
    const before = bench.begin().version(0, 'k');
    bench.begin().put(0, 'k', 'v', 0);
    bench.view.commit();
    await bench.close();
    bench.evict();
    bench.begin().flush(0);
    bench.view.commit();
    assert.notEqual(bench.begin().version(0, 'k'), before);
  });

  it('names the last entry that it saw a change of, absences included', async () => {
    const { data } = await TestLeader.create();
    const bench = new Bench(data);
    bench.begin().put(0, 'a', 'v', 0);
    bench.view.commit();
    await bench.close();
    bench.begin().remove(0, 'a');
    bench.view.commit();
    const view = bench.begin();
    assert.equal(view.peek(0, 'b'), undefined);
    assert.equal(view.observedIndex, 0);
    assert.equal(view.peek(0, 'a'), undefined);
    assert.equal(view.observedIndex, 2);
  });

  it('gives each evaluation that changes something a timestamp above all before', async () => {
    const { data } = await TestLeader.create();
    const bench = new Bench(data);
    const seen: number[] = [];
    for (let i = 0; i < 5; i++) {
      const view = bench.begin();
      view.put(0, 'a', `${i}`, 0);
      view.put(0, 'b', `${i}`, 0);
      assert.equal(view.peek(0, 'a')?.version, view.peek(0, 'b')?.version);
      seen.push(view.peek(0, 'a')?.version ?? 0);
      if (i % 2 === 0) view.commit();
      else view.undoAll();
    }
    assert.deepEqual(
      seen,
      [...new Set(seen)].sort((a, b) => a - b),
    );
  });
});
