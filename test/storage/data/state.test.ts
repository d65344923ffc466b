/** Atomic apply, what a crash leaves, and replay: random runs against a model that remembers everything. */
import { strict as assert } from 'node:assert';
import type { FatalReason } from '../../../src/base/platform.ts';
import { BOOT_KEY, encodeIdentity, groupKey, IDENTITY_KEY } from '../../../src/storage/data/metadata.ts';
import { ProcessEnded } from '../../doubles/memory-process.ts';
import { drainPromises, StepScheduler } from '../../doubles/stepping.ts';
import { Model } from './model.ts';
import { apply, applied, key, Node, put, text, withSeeds } from './support.ts';

describe('data store: crashes', () => {
  it('after a crash of the process, each group is exactly at the applied index that it reports', () =>
    withSeeds(1, 40, async (seed) => {
      const model = new Model(seed, 2);
      await model.open();
      for (let round = 0; round < 4; round++) {
        await model.scramble(40);
        await model.crash('process');
        assert.equal(model.data.isSameBoot, true);
        await model.checkNewest();
      }
    }));

  it('after a power cut that keeps the order, each group is exactly at the applied index that it reports', () =>
    withSeeds(100, 40, async (seed) => {
      const model = new Model(seed, 2);
      await model.open();
      for (let round = 0; round < 4; round++) {
        await model.scramble(40);
        await model.crash('machine');
        for (const group of model.groups) group.appliedIndex = model.data.recovered.get(group.id)?.index ?? 0;
        await model.checkNewest();
        // Else the next crash may come in the middle of a replay, which passes through states that never were.
        for (const group of model.groups) group.appliedIndex = group.durableIndex;
        await model.applyEverything();
        await model.sync();
      }
    }));

  it('after a power cut that loses earlier batches and keeps later ones, replay from the checkpoint gives the right state', () =>
    withSeeds(200, 60, async (seed) => {
      const model = new Model(seed, 2);
      await model.open();
      for (let round = 0; round < 4; round++) {
        await model.scramble(60);
        await model.crash('machine-rotation');
        await model.applyEverything();
        await model.checkNewest();
      }
    }));

  it('such a power cut does lose earlier batches while later ones are there', async () => {
    let count = 0;
    await withSeeds(300, 40, async (seed) => {
      const model = new Model(seed, 2);
      await model.open();
      await model.scramble(80);
      await model.crash('machine-rotation');
      for (const group of model.groups) group.appliedIndex = model.data.recovered.get(group.id)?.index ?? 0;
      await model.checkNewest().catch(() => count++);
    });
    assert.ok(count >= 5 || process.env['SEED'] !== undefined, `only ${count} of 40 runs`);
  });

  it('a crash in the middle of a replay does not make the rest of it look done', () =>
    withSeeds(400, 60, async (seed) => {
      const model = new Model(seed, 2);
      await model.open();
      await model.scramble(60);
      await model.crash('machine-rotation');
      for (let restart = 0; restart < 3; restart++) {
        const doubtful = model.groups.map((group) => model.data.recovered.get(group.id)?.index ?? 0);
        for (const group of model.groups) model.applyNext(group);
        await model.scheduler.step();
        await model.crash('process');
        const isBehind = model.groups.some((group, i) => {
          const found = model.data.recovered.get(group.id)?.index ?? 0;
          return found < (doubtful[i] ?? 0) && found > group.durableIndex;
        });
        if (isBehind) assert.equal(model.data.isSameBoot, false, 'a replay that is half done is done again');
      }
      await model.applyEverything();
      await model.checkNewest();
    }));

  it('replaying entries that are applied already changes nothing', () =>
    withSeeds(500, 20, async (seed) => {
      const model = new Model(seed, 1);
      await model.open();
      await model.scramble(40);
      await model.applyEverything();
      await model.crash('machine');
      for (const group of model.groups) group.appliedIndex = 0;
      await model.applyEverything();
      await model.checkNewest();
    }));

  it('refuses to go back behind the applied index where nothing was lost', async () => {
    const node = new Node(1);
    await node.open();
    node.device.crash('process');
    const data = await node.open();
    await apply(data, 1, [put('a', '1', 10)], 5);
    assert.throws(() => data.apply(1, [], applied(4), () => undefined), /applied before/);
  });

  it('trusts what the checkpoint covers after a power cut, and nothing beyond', async () => {
    const node = new Node(2);
    let data = await node.open();
    await apply(data, 1, [put('a', '1', 10)], 5);
    await data.sync();
    node.crashMachine('machine');
    data = await node.open({ checkpoints: new Map([[1, { index: 5 }]]) });
    assert.equal(data.isSameBoot, false);
    node.device.crash('process');
    data = await node.open({ checkpoints: new Map([[1, { index: 5 }]]) });
    assert.equal(data.isSameBoot, true, 'nothing had to be replayed');
    node.crashMachine('machine');
    data = await node.open();
    node.device.crash('process');
    data = await node.open();
    assert.equal(data.isSameBoot, false, 'nobody vouched for index 5');
    await apply(data, 1, [], 5);
    node.device.crash('process');
    data = await node.open();
    assert.equal(data.isSameBoot, true, 'replayed');
  });

  it('does not trust an unknown boot, nor write-ahead files that lost their end', async () => {
    const node = new Node(3);
    await node.open();
    node.device.crash('process');
    assert.equal((await node.open({ isTailTorn: true })).isSameBoot, false);
    node.device.crash('process');
    assert.equal((await node.open()).isSameBoot, true);
    node.device.crash('process');
    assert.equal((await node.open({ machineBootId: '' })).isSameBoot, false);
    node.device.crash('process');
    assert.equal((await node.open({ machineBootId: '' })).isSameBoot, false);
  });
});

describe('data store: failures', () => {
  it('a failed write ends the process, and its changes are there afterwards together or not at all', () =>
    withSeeds(1, 20, async (seed) => {
      const { node, scheduler } = steppedNode(seed);
      let data = await scheduler.until(node.open());
      await scheduler.until(apply(data, 1, [put('a', '1', 10), put('b', '1', 10)], 1));
      node.device.failWrite(1);
      data.apply(1, [put('a', '2', 11, 10), put('b', '2', 11, 10)], applied(2), () =>
        assert.fail('nothing is acknowledged'),
      );
      await drainPromises();
      await assert.rejects(scheduler.step(), isFatal('dataWrite'));
      node.device.crash('process');
      data = await scheduler.until(node.open());
      assert.equal(text(data.get(key('a'))), text(data.get(key('b'))));
      assert.equal(data.recovered.get(1)?.index, Number(text(data.get(key('a')))));
    }));

  it('a failed sync ends the process', async () => {
    const node = new Node(1);
    const data = await node.open();
    await apply(data, 1, [put('a', '1', 10)], 1);
    node.device.failSync(1);
    await assert.rejects(data.sync(), isFatal('dataWrite'));
  });

  it('a delayed batch holds up its group only', async () => {
    const { node, scheduler } = steppedNode(1);
    const data = await scheduler.until(node.open());
    node.device.delayWrite(1, 10);
    let isDone = false;
    data.apply(1, [put('a', '1', 10)], applied(1), () => {
      isDone = true;
    });
    await drainPromises();
    await scheduler.until(apply(data, 2, [], 1));
    assert.equal(isDone, false);
    assert.throws(() => data.apply(1, [], applied(2), () => undefined), /under way/);
    await scheduler.drain();
    assert.equal(isDone, true);
  });

  it('close waits for what is under way', async () => {
    const { node, scheduler } = steppedNode(1);
    let data = await scheduler.until(node.open());
    data.apply(1, [put('a', '1', 10)], applied(1), () => undefined);
    await scheduler.until(data.close());
    assert.throws(() => data.get(key('a')), /closed/);
    data = await scheduler.until(node.open());
    assert.equal(text(data.get(key('a'))), '1');
  });
});

describe('data store: whose directory it is', () => {
  it('refuses the directory of another node, of another cluster, and of a newer format', async () => {
    const node = new Node(1);
    await node.open();
    node.device.crash('process');
    await assert.rejects(node.open({ identity: { clusterId: 'c', nodeId: 2 } }), isFatal('wrongDirectory'));
    node.device.crash('process');
    await assert.rejects(node.open({ identity: { clusterId: 'd', nodeId: 1 } }), isFatal('wrongDirectory'));
    node.device.crash('process');
    node.device.overwrite(IDENTITY_KEY, encodeIdentity({ format: 2, clusterId: 'c', nodeId: 1 }));
    await assert.rejects(node.open(), isFatal('wrongDirectory'));
  });

  it('knows its directory again after a power cut at any moment', () =>
    withSeeds(1, 30, async (seed) => {
      const { node, scheduler } = steppedNode(seed);
      void node.open().catch(() => undefined);
      for (let steps = node.random.below(12); steps > 0; steps--) await scheduler.step();
      scheduler.clear();
      node.crashMachine('machine-rotation');
      const data = await scheduler.until(node.open());
      assert.equal(data.recovered.size, 0);
    }));

  it("stops when one of the store's own records is damaged, or its identity is gone", async () => {
    for (const name of [IDENTITY_KEY, BOOT_KEY, groupKey(1)]) {
      for (let bit = 0; bit < 100; bit += 3) {
        const node = new Node(1);
        await apply(await node.open(), 1, [put('a', '1', 10)], 1);
        node.device.crash('process');
        node.device.flipBit(name, bit);
        await assert.rejects(node.open(), isFatal('dataDamaged'));
      }
    }
    const node = new Node(1);
    await apply(await node.open(), 1, [put('a', '1', 10)], 1);
    node.device.crash('process');
    node.device.loseKey(IDENTITY_KEY);
    await assert.rejects(node.open(), isFatal('dataDamaged'));
  });
});

function steppedNode(seed: number): { node: Node; scheduler: StepScheduler } {
  const scheduler = new StepScheduler();
  return { node: new Node(seed, { schedule: scheduler.schedule }), scheduler };
}

function isFatal(reason: FatalReason): (error: unknown) => boolean {
  return (error) => error instanceof ProcessEnded && error.reason === reason;
}
