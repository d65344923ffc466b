/**
 * Reads of the past and the collection of what nobody can see: random runs against the naive twin, with power cuts, with
 * history switched off and on, and with queues so small that they overflow all the time.
 */
import { strict as assert } from 'node:assert';
import { KahunaError } from '../../../src/base/errors.ts';
import { encodeVersionKey, slotRange } from '../../../src/storage/data/keys.ts';
import { sealRecord } from '../../../src/storage/data/records.ts';
import type { CrashKind } from '../../doubles/memory-store.ts';
import { drainPromises, StepScheduler } from '../../doubles/stepping.ts';
import { Model } from './model.ts';
import { applied, apply, contents, del, key, Node, put, SLOT, text, withSeeds } from './support.ts';

const ON = { retentionMs: 1, heldFloor: 0 };
const OFF = { retentionMs: 0, heldFloor: 0 };

describe('data store: history', () => {
  it('every moment at or above the floor reads as it was, whatever is collected', () =>
    withSeeds(1, 40, async (seed) => {
      const model = new Model(seed, 2);
      model.policy = ON;
      await model.open();
      for (let round = 0; round < 6; round++) {
        await model.scramble(30);
        await model.applyEverything();
        await collectSome(model);
        await model.checkHistory();
        await model.checkNewest();
      }
      assert.ok(model.comparedCount > 50);
    }));

  for (const kind of ['process', 'machine', 'machine-rotation'] satisfies CrashKind[]) {
    it(`so it does after a crash (${kind}) and replay`, () =>
      withSeeds(1_000, 40, async (seed) => {
        const model = new Model(seed, 2);
        model.policy = ON;
        await model.open();
        // A power cut before the first sync may take the switch itself: history then begins anew.
        for (const group of model.groups) model.commit(group);
        await model.applyEverything();
        await model.sync();
        for (let round = 0; round < 5; round++) {
          await model.scramble(30);
          await collectSome(model);
          if (model.random.chance(0.3)) await model.scramble(5);
          await model.crash(kind);
          if (model.random.chance(0.5)) await model.run(model.data.collect(0, 100));
          await model.applyEverything();
          await model.checkHistory();
          await model.checkNewest();
        }
        assert.ok(model.comparedCount > 50);
      }));
  }

  it('so it does when history is switched off and on, and the machine crashes in between', () =>
    withSeeds(2_000, 60, async (seed) => {
      const model = new Model(seed, 2);
      await model.open();
      for (let round = 0; round < 8; round++) {
        model.policy = model.random.pick([ON, OFF]);
        model.data.setHistory(model.policy);
        await model.scramble(25);
        await collectSome(model);
        if (model.random.chance(0.4)) await model.crash(model.random.pick(['process', 'machine', 'machine-rotation']));
        await model.applyEverything();
        // What the switch or the crash has cost is not this test's business: what is not refused must be right.
        model.wantedFloor = Math.max(model.wantedFloor, model.data.historyFloor);
        await model.checkHistory();
        await model.checkNewest();
      }
    }));

  for (const kind of [null, 'process', 'machine', 'machine-rotation'] satisfies (CrashKind | null)[]) {
    it(`so it does where keys keep few versions, or forget by themselves (${kind ?? 'no'} crash)`, () =>
      withSeeds(6_000, 40, async (seed) => {
        const model = new Model(seed, 2);
        model.startChance = 0.05;
        model.unknownChance = 0.3;
        model.policy = { ...ON, versionsMax: 1 + model.random.below(4) };
        await model.open();
        for (const group of model.groups) model.commit(group);
        await model.applyEverything();
        await model.sync();
        for (let round = 0; round < 6; round++) {
          await model.scramble(40);
          await collectSome(model);
          if (kind !== null) await model.crash(kind);
          await model.applyEverything();
          await collectSome(model);
          await model.checkHistory();
          await model.checkNewest();
        }
        assert.ok(model.comparedCount > 20);
      }));
  }

  it('so it does with holds that come and go, and nothing that is held goes', () =>
    withSeeds(7_000, 40, async (seed) => {
      const model = new Model(seed, 2);
      model.startChance = 0.05;
      await model.open();
      for (let round = 0; round < 8; round++) {
        // What the switch costs is not this test's business; what is held from then on is.
        const holds = model.random.chance(0.5);
        const heldFloor = holds ? Math.max(model.clock, 1) : 0;
        model.policy = { retentionMs: model.random.below(2), heldFloor, versionsMax: model.random.below(4) };
        model.data.setHistory(model.policy);
        await model.run(model.data.historySettled());
        for (const group of model.groups) model.commit(group);
        await model.applyEverything();
        await model.sync();
        const floor = model.data.historyFloor;
        for (let part = 0; part < 3; part++) {
          await model.scramble(25);
          await model.run(model.data.collect(model.clock - model.random.below(5), 1 + model.random.below(100)));
          if (model.random.chance(0.3)) await model.sync();
          if (model.random.chance(0.2)) await model.crash(model.random.pick(['process', 'machine']));
        }
        await model.applyEverything();
        if (holds) assert.ok(model.data.historyFloor <= Math.max(heldFloor, floor), 'what is held is kept');
        model.wantedFloor = Math.max(model.wantedFloor, model.data.historyFloor);
        await model.checkHistory();
      }
    }));

  it('a key holds at most half as many versions again as it should, or three more; also those that nobody changes any more', () =>
    withSeeds(8_000, 20, async (seed) => {
      const model = new Model(seed, 1);
      model.policy = ON;
      await model.open({
        garbageLimits: { supersededCountMax: 8, tombstoneCountMax: 4, countedKeysMax: 2, queuedKeysMax: 2 },
      });
      await model.scramble(150);
      await model.applyEverything();
      model.policy = { ...ON, versionsMax: 2 };
      model.data.setHistory(model.policy);
      for (let round = 0; round < 4; round++) {
        await model.scramble(30);
        await model.applyEverything();
        await collectAll(model, 0);
        assert.ok((await model.versionsOfKeys()) <= 1 + 2 + 3, 'of each key its copy, and the older ones');
      }
      await model.checkHistory();
      assert.ok(model.forgottenCount > 0);
    }));

  it('a switch takes effect while batches are under way and collection runs', () =>
    withSeeds(3_000, 40, async (seed) => {
      const model = new Model(seed, 2);
      model.policy = ON;
      await model.open();
      for (let round = 0; round < 6; round++) {
        await model.scramble(20);
        const collecting = model.data.collect(model.clock - 3, 50);
        model.wantedFloor = Math.max(model.wantedFloor, model.clock - 3);
        model.policy = model.random.pick([ON, OFF]);
        model.data.setHistory(model.policy);
        for (const group of model.groups) model.applyNext(group);
        await model.run(collecting);
        if (model.random.chance(0.5)) await model.crash('machine-rotation');
        await model.applyEverything();
        model.wantedFloor = Math.max(model.wantedFloor, model.data.historyFloor);
        await model.checkHistory();
      }
    }));

  it('collection leaves each living record with its own copy, and nothing else', () =>
    withSeeds(4_000, 30, async (seed) => {
      const model = new Model(seed, 2);
      model.policy = ON;
      await model.open();
      for (let round = 0; round < 3; round++) {
        await model.scramble(60);
        if (round === 1) await model.crash('machine-rotation');
        await model.applyEverything();
      }
      model.wantedFloor = model.clock;
      await collectAll(model, model.clock);
      const { versions, records } = await model.countStored();
      assert.equal(versions, records);
      await model.checkHistory();
    }));

  it('switched off, it leaves no version but a deletion here and there, however much is written meanwhile', () =>
    withSeeds(5_100, 20, async (seed) => {
      const model = new Model(seed, 1);
      model.policy = ON;
      await model.open();
      await model.scramble(60);
      model.policy = OFF;
      model.data.setHistory(OFF);
      for (let round = 0; round < 4; round++) {
        await model.scramble(10);
        await model.run(model.data.collect(0, 1_000));
      }
      await model.applyEverything();
      await collectAll(model, 0);
      // With nothing under it, and a newer record, if any, above it, it changes no answer.
      for (const { recordKey, isDeletion } of await model.storedVersions()) {
        assert.ok(isDeletion, `a version of ${recordKey}`);
      }
    }));

  it('a tombstone stays until the deletion of what it hides is durable', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    await apply(data, 1, [put('a', '1', 10)], 1);
    await apply(data, 1, [del('a', 20, 10)], 2);
    const tombstone = encodeVersionKey(key('a'), 20);
    const isThere = async () => {
      const snapshot = data.snapshot();
      const found = await contents(snapshot, slotRange(0, SLOT), { withVersions: true });
      snapshot.release();
      return found.map((record) => record.key).includes(Buffer.from(tombstone).toString('hex'));
    };
    await data.sync();
    assert.equal(await data.collect(30, 100), true);
    assert.equal(await data.collect(30, 100), true);
    assert.equal(await isThere(), true, 'the value under it was deleted after the last sync');
    await data.sync();
    await data.collect(30, 100);
    assert.equal(await isThere(), false);
  });

  it('more forgotten versions than fit in a batch keep the tombstone above them', async () => {
    const node = new Node(1);
    const garbageLimits = { supersededCountMax: 1, tombstoneCountMax: 1 };
    const data = await node.open({ history: ON, garbageLimits });
    await apply(data, 1, [put('b', '1', 5)], 1);
    await apply(data, 1, [put('b', '2', 6, 5), put('a', '7', 7)], 2);
    for (let i = 8; i < 100; i++) await apply(data, 1, [put('a', `${i}`, i, i - 1)], i);
    await data.collect(6, 1);
    await apply(data, 1, [del('a', 100, 99)], 100);
    await data.collect(105, 1);
    for (let calls = 0; calls < 10; calls++) {
      await data.sync();
      await data.collect(105, 1);
      const snapshot = data.snapshot();
      assert.equal(await data.getAt(snapshot, key('a'), 105), undefined);
      snapshot.release();
    }
  });

  it('nor do fewer, if their keys are so large that a read stops early', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON, garbageLimits: { supersededCountMax: 1, tombstoneCountMax: 1 } });
    const large = 'a'.repeat(10_000);
    await apply(data, 1, [put('b', '1', 5)], 1);
    await apply(data, 1, [put('b', '2', 6, 5), put(large, '7', 7)], 2);
    for (let i = 8; i < 38; i++) await apply(data, 1, [put(large, `${i}`, i, i - 1)], i);
    await data.collect(6, 1);
    await apply(data, 1, [del(large, 100, 37)], 100);
    await data.collect(105, 1);
    for (let calls = 0; calls < 10; calls++) {
      await data.sync();
      await data.collect(105, 1);
      const snapshot = data.snapshot();
      assert.equal(await data.getAt(snapshot, key(large), 105), undefined);
      snapshot.release();
    }
  });

  it('draining does not end before versions behind large keys', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    await apply(data, 1, [put('z', '1', 10)], 1);
    data.setHistory(OFF);
    // They have no versions, and a read of their keys stops early.
    const changes = Array.from({ length: 200 }, (_, i) => put(`a${i}`.padEnd(1_000, '.'), '1', 20 + i));
    await apply(data, 1, changes, 2);
    for (let calls = 0; data.hasHistory; calls++) {
      assert.ok(calls < 100, 'it ends');
      await data.sync();
      await data.collect(0, 1_000);
    }
    await apply(data, 1, [del('z', 300, 10)], 3);
    data.setHistory(ON);
    await apply(data, 1, [put('b', '1', 310)], 4);
    const snapshot = data.snapshot();
    assert.equal(await data.getAt(snapshot, key('z'), 310), undefined, 'what was deleted stays deleted');
    snapshot.release();
  });

  it('changes its mode without waiting for a collection that has much to do', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    const names = Array.from({ length: 600 }, (_, i) => `k${i}`);
    const puts = names.map((name, i) => put(name, 'v', 100 + i));
    await apply(data, 1, puts, 1);
    const deletions = names.map((name, i) => del(name, 1_000 + i, 100 + i));
    await apply(data, 1, deletions, 2);
    const versionCount = (): number => node.device.keys().filter((one) => one.length > key('k000').length).length;
    // Versions go first; when that is durable, the marks of deletions are looked at.
    await data.collect(5_000, 100_000);
    await data.sync();
    assert.equal(versionCount(), names.length);
    const collecting = data.collect(5_000, 100_000);
    data.setHistory({ ...ON, heldFloor: 7_000 });
    await data.historySettled();
    assert.equal(await collecting, false);
    assert.ok(versionCount() > names.length / 2, 'it was broken off');
    for (let calls = 0; calls < 10; calls++) {
      await data.collect(5_000, 100_000);
      await data.sync();
    }
    assert.equal(versionCount(), 0, 'and goes on later');
    await data.close();
  });

  it('what is held while a key is being trimmed is kept, too', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON, garbageLimits: { supersededCountMax: 1, tombstoneCountMax: 1 } });
    const policy = { retentionMs: 1_000, versionsMax: 1 };
    data.setHistory({ ...policy, heldFloor: 600 });
    for (let i = 1; i <= 800; i++) await apply(data, 1, [put('a', `${i}`, i, i - 1)], i);
    // Walks over the versions above the held moment, and sees that there are too many.
    await data.collect(0, 100);
    data.setHistory({ ...policy, heldFloor: 300 });
    for (let calls = 0; calls < 20; calls++) await data.collect(0, 100);
    const snapshot = data.snapshot();
    for (const at of [300, 450, 599]) assert.equal(text(await data.getAt(snapshot, key('a'), at)), `${at}`);
    await assert.rejects(data.getAt(snapshot, key('a'), 299), isCode('HISTORY_GONE'));
    snapshot.release();
  });

  it('a record that was replaced just before a power cut can still be read at the moments before', async () => {
    const node = new Node(1, { isTableEarly: false });
    const checkpoints = new Map([[1, { index: 2 }]]);
    let data = await node.open();
    await apply(data, 1, [put('a', 'old', 5)], 1);
    data.setHistory(ON);
    await apply(data, 1, [put('b', '1', 6)], 2);
    await data.sync();
    const changes = [[put('a', '1', 10, 5)], [put('a', '2', 20, 10)], [del('a', 30, 20)]];
    for (const [i, change] of changes.entries()) {
      await apply(data, 1, change, 3 + i);
      if (i === 0) node.device.rotate();
    }
    // What copied the old record is lost, and what changed the record after it is not.
    node.crashMachine('machine-rotation', [0, 2]);
    data = await node.open({ history: ON, checkpoints });
    assert.equal(data.recovered.get(1)?.index, 5);
    for (const [i, change] of changes.entries()) await apply(data, 1, change, 3 + i);
    const snapshot = data.snapshot();
    assert.equal(text(await data.getAt(snapshot, key('a'), 7)), 'old');
    assert.equal(await data.getAt(snapshot, key('a'), 30), undefined);
    snapshot.release();
  });

  it('draining does not end before its deletions are durable', async () => {
    const node = new Node(1, { isTableEarly: false });
    let data = await node.open({ history: ON });
    await apply(data, 1, [put('a', '1', 10)], 1);
    await data.sync();
    data.setHistory(OFF);
    for (let calls = 0; calls < 3; calls++) await data.collect(0, 100);
    node.device.rotate();
    const changes = [[put('b', '1', 20)], [del('a', 40, 10)]];
    for (const [i, change] of changes.entries()) await apply(data, 1, change, 2 + i);
    node.crashMachine('machine-rotation', [0, 2]);
    data = await node.open({ checkpoints: new Map([[1, { index: 1 }]]) });
    for (const [i, change] of changes.entries()) await apply(data, 1, change, 2 + i);
    data.setHistory(ON);
    const snapshot = data.snapshot();
    assert.equal(await data.getAt(snapshot, key('a'), 45), undefined, 'the deleted record stays deleted');
    snapshot.release();
  });

  it('nothing is collected while a group is replayed', async () => {
    const node = new Node(1);
    let data = await node.open({ history: ON });
    await apply(data, 1, [put('a', '1', 10)], 1);
    await apply(data, 1, [put('a', '2', 20, 10)], 2);
    await data.sync();
    node.crashMachine('machine');
    data = await node.open({ history: ON });
    const before = node.device.writeCount;
    assert.equal(await data.collect(30, 100), true);
    assert.equal(node.device.writeCount, before);
    await apply(data, 1, [put('a', '1', 10)], 1);
    await apply(data, 1, [put('a', '2', 20, 10)], 2);
    await data.collect(30, 100);
    assert.ok(node.device.writeCount > before + 2);
  });

  it('a batch that relies on a switch is not written before the switch is', async () => {
    const scheduler = new StepScheduler();
    const node = new Node(1, { schedule: scheduler.schedule });
    const data = await scheduler.until(node.open());
    data.setHistory(ON);
    node.device.delayWrite(1, 10);
    const order: number[] = [];
    const before = node.device.writeCount;
    for (const group of [1, 2, 3]) {
      data.apply(group, [put(`k${group}`, '1', 10)], applied(1), () => order.push(group));
      await drainPromises();
    }
    assert.equal(node.device.writeCount - before, 1);
    await scheduler.drain();
    assert.deepEqual(order, [1, 2, 3]);
  });

  it('bounds the work of one call by the steps that it may take', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    for (let i = 1; i <= 200; i++) await apply(data, 1, [put('a', `${i}`, i, i - 1)], i);
    const before = node.device.writeCount;
    assert.equal(await data.collect(200, 10), false);
    assert.equal(node.device.writeCount - before, 1);
    const snapshot = data.snapshot();
    const left = await contents(snapshot, slotRange(0, SLOT), { withVersions: true });
    assert.equal(left.length, 1 + 200 - 10);
    snapshot.release();
  });

  it('refuses moments below the floor, even those that could be read', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    await apply(data, 1, [put('a', '1', 10)], 1);
    await data.collect(50, 10);
    const snapshot = data.snapshot();
    await assert.rejects(data.getAt(snapshot, key('a'), 49), isCode('HISTORY_GONE'));
    assert.equal(text(await data.getAt(snapshot, key('a'), 50)), '1');
    snapshot.release();
  });

  it('a snapshot goes on reading moments that were collected after it was taken', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    await apply(data, 1, [put('a', '1', 10)], 1);
    await apply(data, 1, [put('a', '2', 20, 10)], 2);
    const snapshot = data.snapshot();
    while (!(await data.collect(30, 10)));
    assert.equal(text(await data.getAt(snapshot, key('a'), 15)), '1');
    snapshot.release();
  });

  it('two changes of a record at the same timestamp leave one version, and a deletion no trace', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    await apply(data, 1, [put('a', '1', 10), put('a', '2', 10, 10), put('b', '1', 10), del('b', 10, 10)], 1);
    await apply(data, 1, [put('a', '3', 20, 10), put('a', '4', 20, 20)], 2);
    for (let round = 0; round < 3; round++) {
      await data.collect(15, 100);
      await data.sync();
    }
    const snapshot = data.snapshot();
    assert.equal(text(await data.getAt(snapshot, key('a'), 15)), '2');
    assert.equal(text(await data.getAt(snapshot, key('a'), 20)), '4');
    assert.equal(await data.getAt(snapshot, key('b'), 15), undefined);
    assert.equal((await contents(snapshot, slotRange(0, SLOT), { withVersions: true })).length, 3);
    snapshot.release();
  });

  it('finds a version that was damaged or put under another moment', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    await apply(data, 1, [put('a', '1', 10)], 1);
    await apply(data, 1, [put('a', '2', 20, 10)], 2);
    const version = encodeVersionKey(key('a'), 10);
    node.device.overwrite(version, sealRecord(key('a'), 9, Buffer.from('1')));
    let snapshot = data.snapshot();
    await assert.rejects(data.getAt(snapshot, key('a'), 15), isCode('DATA_DAMAGED'));
    snapshot.release();
    node.device.overwrite(version, sealRecord(key('a'), 10, Buffer.from('1')));
    node.device.flipBit(version, 100);
    snapshot = data.snapshot();
    await assert.rejects(data.getAt(snapshot, key('a'), 15), isCode('DATA_DAMAGED'));
    snapshot.release();
  });
});

/** Some calls with some floor and few steps, some syncs. */
async function collectSome(model: Model): Promise<void> {
  const floor = Math.max(0, model.clock - model.random.below(20));
  model.wantedFloor = Math.max(model.wantedFloor, floor);
  for (let calls = model.random.below(5); calls > 0; calls--) {
    await model.run(model.data.collect(floor, 1 + model.random.below(60)));
    if (model.random.chance(0.4)) await model.sync();
  }
}

async function collectAll(model: Model, floor: number): Promise<void> {
  for (let round = 0; round < 8; round++) {
    for (let calls = 0; !(await model.run(model.data.collect(floor, 50))); calls++) assert.ok(calls < 1_000, 'it ends');
    await model.sync();
  }
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof KahunaError && error.code === code;
}
