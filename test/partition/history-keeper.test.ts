/** What a node keeps of the past, over a store that writes down what it is told. */
import { strict as assert } from 'node:assert';
import { timestampFromMs } from '../../src/base/hlc.ts';
import type { GroupId, Timestamp } from '../../src/base/ids.ts';
import { HistoryKeeper } from '../../src/partition/history-keeper.ts';
import { emptyPartitionState, encodePartitionState } from '../../src/partition/partition-state.ts';
import type { AppliedState, DataStore, HistoryPolicy } from '../../src/storage/data/types.ts';
import { drainPromises } from '../doubles/stepping.ts';

const EMPTY = emptyPartitionState({ voters: [1], votersOutgoing: [], learners: [], learnersNext: [] });

class Bench {
  readonly told: HistoryPolicy[] = [];
  readonly settings = { retentionMs: 0, versionsMax: 0 };
  isSettled: () => void = () => undefined;
  readonly data: { hasHistory: boolean } & Record<string, unknown>;
  readonly keeper: HistoryKeeper;

  constructor(recovered: ReadonlyMap<GroupId, Timestamp> = new Map(), isSameBoot = true) {
    const states: [GroupId, AppliedState][] = [...recovered].map(([group, floor]) => {
      const state = encodePartitionState({ ...EMPTY, holds: { floor, passed: 0, revision: 1 } });
      return [group, { index: 1, term: 1, state }];
    });
    const nothing = { index: 0, term: 0, state: new Uint8Array(0) };
    this.data = {
      recovered: new Map<GroupId, AppliedState>([...states, [9, nothing]]),
      setHistory: (policy: HistoryPolicy) => this.told.push(policy),
      historySettled: () =>
        new Promise<void>((resolve) => {
          this.isSettled = resolve;
        }),
      hasHistory: true,
      keepsHistory: true,
      historyFloor: 40,
      isSameBoot,
    };
    this.keeper = new HistoryKeeper(this.data as unknown as DataStore, {
      retentionMs: () => this.settings.retentionMs,
      versionsMax: () => this.settings.versionsMax,
    });
  }
}

describe('what a node keeps of the past', () => {
  it('is, from the start, what its partitions hold by what they have applied', () => {
    const bench = new Bench(
      new Map([
        [1, 70],
        [2, 0],
        [3, 50],
      ]),
    );
    assert.deepEqual(bench.told, [{ retentionMs: 0, heldFloor: 50, versionsMax: 0 }]);
    assert.equal(bench.keeper.heldFloor, 50);
  });

  it('is the oldest moment that any partition holds', () => {
    const { keeper, told } = new Bench(new Map([[1, 70]]));
    void keeper.holds(2, 50);
    void keeper.holds(1, 90);
    void keeper.holds(2, 0);
    void keeper.holds(1, 0);
    assert.deepEqual(
      told.map(({ heldFloor }) => heldFloor),
      [70, 50, 50, 90, 0],
    );
    assert.equal(keeper.heldFloor, 0);
  });

  it('is all that is left, after a crash of the machine, until every partition is where it may have been before', () => {
    const { keeper, told, data } = new Bench(new Map([[1, 0]]), false);
    const heldFloor = (): number | undefined => told.at(-1)?.heldFloor;
    assert.equal(heldFloor(), 40, 'nobody knows yet what there is');
    data['historyFloor'] = 0;
    keeper.settingsChanged();
    assert.equal(heldFloor(), 1, 'everything');
    data['historyFloor'] = 40;
    keeper.mustReach(1, { index: 10, term: 3 });
    keeper.mustReach(2, { index: 20, term: 3 });
    keeper.opened();
    keeper.applied(1, 9, 3);
    void keeper.holds(1, 70);
    assert.equal(heldFloor(), 40, 'others may hold earlier ones');
    keeper.applied(1, 10, 3);
    assert.equal(heldFloor(), 40);
    keeper.applied(2, 15, 4);
    assert.equal(heldFloor(), 70, 'a later term has come: what was not applied again never will be');
    void keeper.holds(1, 0);
    assert.equal(heldFloor(), 0);
  });

  it('is all that is left while a partition is rebuilt, but not if there is nothing', () => {
    for (const [keepsHistory, expected] of [
      [true, 40],
      [false, 0],
    ] as const) {
      const { keeper, told, data } = new Bench(new Map([[1, 70]]));
      data['keepsHistory'] = keepsHistory;
      keeper.mustReach(1, { index: Number.POSITIVE_INFINITY, term: Number.POSITIVE_INFINITY });
      void keeper.holds(1, 0);
      assert.equal(told.at(-1)?.heldFloor, expected);
      keeper.mustReach(1, { index: 5, term: 1 });
      keeper.applied(1, 5, 1);
      assert.equal(told.at(-1)?.heldFloor, 0);
    }
  });

  it('changes when the store says so', async () => {
    const bench = new Bench();
    let isInEffect = false;
    void bench.keeper.holds(1, 5).then(() => {
      isInEffect = true;
    });
    await drainPromises();
    assert.equal(isInEffect, false);
    bench.isSettled();
    await drainPromises();
    assert.equal(isInEffect, true);
  });

  it('follows the settings', () => {
    const bench = new Bench(new Map([[1, 70]]));
    Object.assign(bench.settings, { retentionMs: 5, versionsMax: 3 });
    bench.keeper.settingsChanged();
    assert.deepEqual(bench.told.at(-1), { retentionMs: 5, heldFloor: 70, versionsMax: 3 });
  });

  it('goes up to the retention before the partition that lags most, never past what is held', () => {
    const bench = new Bench();
    bench.settings.retentionMs = 1_000;
    assert.equal(bench.keeper.collectFloor([9_000, 5_000, 7_000]), timestampFromMs(4_000));
    assert.equal(bench.keeper.collectFloor([500]), 0);
    void bench.keeper.holds(1, timestampFromMs(3_000));
    assert.equal(bench.keeper.collectFloor([9_000, 5_000]), timestampFromMs(3_000));
    assert.equal(bench.keeper.collectFloor([2_500]), timestampFromMs(1_500));
  });

  it('goes up to what is held where holds alone keep it', () => {
    const bench = new Bench(new Map([[1, 70]]));
    assert.equal(bench.keeper.collectFloor([9_000]), 70);
    assert.equal(bench.keeper.collectFloor([]), 70);
  });

  it('goes as a whole once nobody asks for any of it, until nothing is left', () => {
    const bench = new Bench();
    assert.equal(bench.keeper.collectFloor([9_000]), 0);
    bench.data.hasHistory = false;
    assert.equal(bench.keeper.collectFloor([9_000]), null);
  });

  it('lets partitions stand idle for a share of the retention', () => {
    const bench = new Bench();
    assert.equal(bench.keeper.lagMs, Number.POSITIVE_INFINITY);
    const lags = [1_000, 80_000, 365 * 24 * 3_600_000].map((retentionMs) => {
      bench.settings.retentionMs = retentionMs;
      return bench.keeper.lagMs;
    });
    assert.deepEqual(lags, [1_000, 10_000, 600_000]);
  });
});
