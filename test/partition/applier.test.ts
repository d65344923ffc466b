/** The applier against a store that completes when it is told: order, batches, and standing still for a snapshot. */
import { strict as assert } from 'node:assert';
import { KahunaError } from '../../src/base/errors.ts';
import type { LogIndex } from '../../src/base/ids.ts';
import type { Timers } from '../../src/base/platform.ts';
import { ApplyPace } from '../../src/partition/apply-pace.ts';
import { Applier } from '../../src/partition/applier.ts';
import { Batch } from '../../src/partition/batch.ts';
import { APPLY_BATCH_BYTES_MAX, APPLY_EARLY_BYTES, APPLY_PAUSE_MS } from '../../src/partition/limits.ts';
import { decodePartitionState, emptyPartitionState } from '../../src/partition/partition-state.ts';
import { ENTRY_TYPES, type Entry } from '../../src/raft/types.ts';
import type { AppliedState, DataStore, RecordChange } from '../../src/storage/data/types.ts';
import { drainPromises } from '../doubles/stepping.ts';

const EMPTY = emptyPartitionState({ voters: [1], votersOutgoing: [], learners: [], learnersNext: [] });

interface Applied {
  readonly changes: readonly RecordChange[];
  readonly applied: AppliedState;
  readonly done: () => void;
}

class Bench {
  readonly batches: Applied[] = [];
  readonly told: LogIndex[] = [];
  readonly damages: string[] = [];
  /** What the next batch meets instead of being taken. */
  failure: Error | null = null;
  readonly due: (() => void)[] = [];
  /** What was said to be held, and how to say that it is in effect. */
  readonly held: { readonly floor: number; readonly inEffect: () => void }[] = [];
  readonly applier: Applier;
  nowMs = 0;

  constructor() {
    const timers: Timers = {
      after: (_, callback) => {
        this.due.push(callback);
        return { cancel: () => this.due.splice(this.due.indexOf(callback), 1) };
      },
      endOfTurn: (callback) => this.due.push(callback),
    };
    const data = {
      apply: (_: number, changes: readonly RecordChange[], applied: AppliedState, done: () => void) => {
        if (this.failure !== null) throw this.failure;
        this.batches.push({ changes, applied, done });
      },
    } as unknown as DataStore;
    this.applier = new Applier({
      group: 1,
      pace: new ApplyPace({ monotonicMs: () => this.nowMs, wallMs: () => 0 }, timers),
      data,
      index: 0,
      term: 0,
      state: EMPTY,
      events: {
        applied: (index) => this.told.push(index),
        damaged: (error) => this.damages.push(String(error)),
        holdsChanged: ({ floor }) =>
          new Promise((resolve) => {
            this.held.push({ floor, inEffect: resolve });
          }),
        confStateAfter: () => ({ ...EMPTY.confState, voters: [1, 2] }),
      },
    });
  }

  enqueue(...entries: readonly Entry[]): void {
    for (const entry of entries) this.applier.enqueue(entry);
  }

  /** The batch under way completes, and the pause after it ends. */
  complete(): Applied {
    const batch = this.end();
    this.pass(APPLY_PAUSE_MS);
    return batch;
  }

  /** The batch under way completes. */
  end(): Applied {
    const batch = this.batches.shift();
    if (batch === undefined) throw new Error('nothing is under way');
    batch.done();
    return batch;
  }

  /** Timers that are set come due. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (const callback of this.due.splice(0)) callback();
  }
}

function entry(index: number, bytes = 5, term = 1): Entry {
  const batch = new Batch();
  batch.timeMs = index;
  const { buffer, offset } = batch.put(1, bytes, index, 0);
  buffer[offset] = 0x6b;
  buffer.fill(index, offset + 1, offset + 1 + bytes);
  return { term, index, type: ENTRY_TYPES.normal, data: batch.encode() };
}

function holding(index: number, floor: number): Entry {
  const batch = new Batch();
  batch.timeMs = index;
  batch.hold({ floor, passed: 0, revision: index });
  return { term: 1, index, type: ENTRY_TYPES.normal, data: batch.encode() };
}

const noOp = (index: LogIndex, term: number): Entry => ({
  term,
  index,
  type: ENTRY_TYPES.normal,
  data: new Uint8Array(0),
});

describe('applier', () => {
  it('applies entries in order, with the index, term and state of the last one', () => {
    const bench = new Bench();
    bench.enqueue(entry(1), entry(2), noOp(3, 2));
    const first = bench.complete();
    assert.equal(first.applied.index, 1);
    const second = bench.complete();
    assert.deepEqual(
      second.changes.map(({ timestamp }) => timestamp),
      [2],
    );
    assert.deepEqual([second.applied.index, second.applied.term], [3, 2]);
    assert.equal(decodePartitionState(second.applied.state).timeMs, 2);
    assert.deepEqual([bench.applier.index, bench.applier.term, bench.told], [3, 2, [1, 3]]);
  });

  it('says that something is applied when the store has said so, not before', () => {
    const bench = new Bench();
    bench.enqueue(entry(1));
    assert.deepEqual([bench.applier.index, bench.told], [0, []]);
    assert.ok(bench.applier.pendingBytes > 0);
    bench.complete();
    assert.deepEqual([bench.applier.index, bench.told, bench.applier.pendingBytes], [1, [1], 0]);
  });

  it('puts no more into a batch than its bound, but always a whole entry', () => {
    const bench = new Bench();
    const half = APPLY_BATCH_BYTES_MAX / 2;
    bench.enqueue(
      entry(1),
      entry(2, half),
      entry(3, half),
      entry(4, half),
      entry(5, APPLY_BATCH_BYTES_MAX * 2),
      entry(6),
    );
    const indices: number[] = [];
    while (bench.batches.length > 0) indices.push(bench.complete().applied.index);
    assert.deepEqual(indices, [1, 2, 3, 4, 5, 6]);
  });

  it('carries a change of membership in the state', () => {
    const bench = new Bench();
    bench.enqueue({ term: 1, index: 1, type: ENTRY_TYPES.confChange, data: Uint8Array.of(1) });
    assert.deepEqual(decodePartitionState(bench.complete().applied.state).confState.voters, [1, 2]);
  });

  it('refuses entries that do not follow one another', () => {
    const bench = new Bench();
    assert.throws(() => bench.enqueue(entry(2)), /out of order/);
  });

  it('applies what comes alone at once and without a timer, and lets collect what follows soon', () => {
    const bench = new Bench();
    bench.enqueue(entry(1));
    assert.equal(bench.batches.length, 1);
    bench.enqueue(entry(2));
    bench.end();
    bench.enqueue(entry(3));
    assert.equal(bench.batches.length, 0, 'the pause');
    assert.equal(bench.due.length, 1);
    bench.pass(APPLY_PAUSE_MS);
    assert.equal(bench.end().applied.index, 3);
    assert.equal(bench.due.length, 0, 'nothing waits');
    bench.nowMs += APPLY_PAUSE_MS;
    bench.enqueue(entry(4));
    assert.equal(bench.end().applied.index, 4);
    bench.enqueue(entry(5, APPLY_EARLY_BYTES));
    assert.equal(bench.end().applied.index, 5, 'much does not wait');
    assert.deepEqual(bench.told, [1, 3, 4, 5]);
  });

  it('stands still after the batch under way, forgets what waited, and goes on from where it is put', async () => {
    const bench = new Bench();
    bench.enqueue(entry(1), entry(2));
    let isStill = false;
    void bench.applier.suspend().then(() => {
      isStill = true;
    });
    await drainPromises();
    assert.equal(isStill, false);
    bench.complete();
    await drainPromises();
    assert.equal(isStill, true);
    assert.deepEqual([bench.batches.length, bench.told], [0, []]);
    bench.applier.resume(10, 3, { ...EMPTY, timeMs: 77 });
    bench.enqueue(entry(11));
    assert.equal(decodePartitionState(bench.complete().applied.state).timeMs, 77);
    assert.equal(bench.applier.index, 11);
  });

  it('says that what a batch replaces cannot be read, and is idle then', async () => {
    const bench = new Bench();
    bench.failure = new KahunaError('DATA_DAMAGED', 'EIO');
    bench.enqueue(entry(1));
    assert.equal(bench.damages.length, 1);
    await bench.applier.suspend();
    assert.deepEqual([bench.applier.index, bench.told], [0, []]);
    bench.failure = new Error('a bug');
    bench.applier.resume(0, 0, EMPTY);
    assert.throws(() => {
      bench.enqueue(entry(1));
    }, /a bug/);
  });

  it('waits for nothing if nothing is under way', async () => {
    const bench = new Bench();
    await bench.applier.suspend();
    bench.enqueue(entry(5));
    assert.equal(bench.batches.length, 0);
  });

  it('applies an entry with holds, and what comes after it, when they are in effect', async () => {
    const bench = new Bench();
    bench.enqueue(entry(1), entry(2), holding(3, 8), entry(4));
    bench.complete();
    bench.enqueue(entry(5));
    bench.pass(APPLY_PAUSE_MS);
    assert.deepEqual([bench.batches.length, bench.told, bench.held.map(({ floor }) => floor)], [0, [1], [8]]);
    bench.held[0]?.inEffect();
    await drainPromises();
    const batch = bench.complete();
    assert.equal(batch.applied.index, 3, 'such an entry ends a batch');
    assert.deepEqual(decodePartitionState(batch.applied.state).holds, { floor: 8, passed: 0, revision: 3 });
    assert.deepEqual(bench.told, [1, 3]);
    assert.equal(bench.complete().applied.index, 5);
    assert.equal(bench.held.length, 1);
  });

  it('stands still only when what is held is in effect', async () => {
    const bench = new Bench();
    bench.enqueue(holding(1, 8));
    let isStill = false;
    void bench.applier.suspend().then(() => {
      isStill = true;
    });
    await drainPromises();
    assert.equal(isStill, false);
    bench.held[0]?.inEffect();
    await drainPromises();
    assert.equal(isStill, false);
    bench.complete();
    await drainPromises();
    assert.equal(isStill, true);
  });

  describe('a stop', () => {
    const told: boolean[] = [];
    const stopAt = (bench: Bench, index: LogIndex): void => {
      bench.applier.stopAt(index, (isReached) => {
        told.push(isReached);
        if (isReached) assert.equal(bench.applier.index, index);
      });
    };

    beforeEach(() => {
      told.length = 0;
    });

    it('ends a batch, and is reached before the next one is handed to the store', () => {
      const bench = new Bench();
      stopAt(bench, 3);
      bench.enqueue(entry(1), entry(2), entry(3), entry(4), entry(5));
      bench.complete();
      assert.deepEqual(told, []);
      const batch = bench.batches[0];
      assert.ok(batch);
      assert.equal(batch.applied.index, 3);
      bench.batches.shift();
      batch.done();
      assert.deepEqual([told, bench.batches.length], [[true], 0]);
      for (const callback of bench.due.splice(0)) callback();
      assert.equal(bench.complete().applied.index, 5);
    });

    it('is reached at once where the data is there already, and nothing is under way', () => {
      const bench = new Bench();
      bench.enqueue(entry(1));
      bench.complete();
      stopAt(bench, 1);
      assert.deepEqual(told, [true]);
    });

    it('is reached by the batch under way if that ends there', () => {
      const bench = new Bench();
      bench.enqueue(entry(1));
      stopAt(bench, 1);
      assert.deepEqual(told, []);
      bench.complete();
      assert.deepEqual(told, [true]);
    });

    it('is missed if the batch under way passes it, or the data has passed it', () => {
      const bench = new Bench();
      bench.enqueue(entry(1), entry(2), entry(3));
      bench.complete();
      stopAt(bench, 2);
      bench.complete();
      stopAt(bench, 1);
      assert.deepEqual(told, [false, false]);
    });

    it('is missed when the data is replaced, or another one takes its place', async () => {
      const bench = new Bench();
      stopAt(bench, 2);
      stopAt(bench, 3);
      assert.deepEqual(told, [false]);
      await bench.applier.suspend();
      assert.deepEqual(told, [false, false]);
      stopAt(bench, 10);
      assert.deepEqual(told, [false, false, false], 'while it is suspended');
      bench.applier.resume(10, 3, EMPTY);
      assert.equal(bench.applier.resumeCount, 1);
      stopAt(bench, 10);
      assert.deepEqual(told.at(-1), true);
    });

    it('that was given up ends no batch', () => {
      const bench = new Bench();
      bench.enqueue(entry(1));
      stopAt(bench, 2);
      bench.applier.endStop();
      assert.deepEqual(told, [false]);
      bench.enqueue(entry(2), entry(3));
      bench.complete();
      assert.equal(bench.complete().applied.index, 3);
      assert.deepEqual(told, [false]);
    });
  });
});
