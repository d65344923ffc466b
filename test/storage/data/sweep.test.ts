/** Collecting old versions where something cannot be read: it is told whose that is, and everybody else's versions go. */
import { strict as assert } from 'node:assert';
import type { DataStore } from '../../../src/storage/data/types.ts';
import { StoredDamage } from '../../../src/storage/data/damage.ts';
import { encodeVersionKey, slotRange } from '../../../src/storage/data/keys.ts';
import { sealRecord } from '../../../src/storage/data/records.ts';
import { ProcessEnded } from '../../doubles/memory-process.ts';
import { apply, contents, key, Node, SLOT } from './support.ts';

const ON = { retentionMs: 1, heldFloor: 0 };
const SLOTS = [3, 200, 201, 9_000];
const DAMAGED_SLOT = 200;
const FLOOR = 1_000;

/** Two versions of a key in each slot, which is a group of its own. */
async function write(data: DataStore): Promise<void> {
  for (const [group, slot] of SLOTS.entries()) {
    for (const [i, timestamp] of [10, 20].entries()) {
      const name = key('k', slot);
      const sealed = sealRecord(name, timestamp, Buffer.from('v'));
      await apply(data, group + 1, [{ key: name, sealed, timestamp, replaces: i * 10 }], i + 1);
    }
  }
}

/** Collects until nothing is left to do; returns the slots of the damage that was met. */
async function collect(data: DataStore): Promise<number[]> {
  const slots: number[] = [];
  for (let calls = 0; calls < 50; calls++) {
    try {
      if (await data.collect(FLOOR, 10_000)) return slots;
    } catch (error) {
      assert.ok(error instanceof StoredDamage, String(error));
      slots.push(error.slot);
    }
  }
  return assert.fail('it does not end');
}

/** How many stored keys each slot has. */
async function counts(data: DataStore): Promise<number[]> {
  const snapshot = data.snapshot();
  const found = [];
  for (const slot of SLOTS) {
    if (slot === DAMAGED_SLOT) continue;
    found.push((await contents(snapshot, slotRange(slot, slot), { withVersions: true })).length);
  }
  snapshot.release();
  return found;
}

describe('collecting past what cannot be read', () => {
  it('a walk over everything tells whose it is, goes on behind that slot, and does so once', async () => {
    const node = new Node(1);
    let data = await node.open({ history: ON });
    await write(data);
    await data.close();
    node.device.makeUnreadable(encodeVersionKey(key('k', DAMAGED_SLOT), 10));
    data = await node.open({ history: ON });
    assert.deepEqual(await counts(data), [3, 3, 3]);
    assert.deepEqual(await collect(data), [DAMAGED_SLOT]);
    assert.deepEqual(await counts(data), [2, 2, 2], 'a record and its own copy');
  });

  it('a read that fails only once costs nobody anything', async () => {
    const node = new Node(1);
    let data = await node.open({ history: ON });
    await write(data);
    await data.close();
    data = await node.open({ history: ON });
    node.device.failRead(1);
    assert.deepEqual(await collect(data), []);
    assert.equal(node.device.failureCount, 1);
    assert.deepEqual(await counts(data), [2, 2, 2]);
  });

  it('what is left of a history that was switched off is not said to be gone', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    await write(data);
    data.setHistory({ retentionMs: 0, heldFloor: 0 });
    const repair = node.device.makeUnreadable(encodeVersionKey(key('k', DAMAGED_SLOT), 10));
    for (let round = 0; round < 3; round++) {
      await collect(data);
      await data.sync();
    }
    assert.ok(data.hasHistory);
    repair();
    for (let round = 0; round < 3; round++) {
      await collect(data);
      await data.sync();
    }
    assert.ok(!data.hasHistory);
  });

  it('a key with too many versions is left alone, and the others are trimmed', async () => {
    const node = new Node(1);
    const data = await node.open({ history: { ...ON, versionsMax: 1 } });
    for (const [group, slot] of SLOTS.entries()) {
      for (let i = 1; i <= 8; i++) {
        const name = key('k', slot);
        const timestamp = FLOOR + i * 10;
        const sealed = sealRecord(name, timestamp, Buffer.from('v'));
        await apply(data, group + 1, [{ key: name, sealed, timestamp, replaces: i === 1 ? 0 : timestamp - 10 }], i);
      }
    }
    node.device.makeUnreadable(encodeVersionKey(key('k', DAMAGED_SLOT), FLOOR + 20));
    const met = await collect(data);
    assert.deepEqual([...new Set(met)], [DAMAGED_SLOT]);
    assert.ok(
      (await counts(data)).every((count) => count <= 5),
      'the record, its copy, one older, the mark',
    );
  });

  it('a deletion that cannot be read is told too', async () => {
    const node = new Node(1);
    const data = await node.open({ history: ON });
    await write(data);
    const name = key('k', DAMAGED_SLOT);
    await apply(data, 2, [{ key: name, sealed: null, timestamp: 30, replaces: 20 }], 3);
    assert.deepEqual(await collect(data), []);
    await data.sync();
    node.device.makeUnreadable(encodeVersionKey(name, 30));
    assert.deepEqual(await collect(data), [DAMAGED_SLOT]);
  });
});

describe('a range that cannot be emptied', () => {
  it('ends the process as damaged data does', async () => {
    const node = new Node(1);
    const data = await node.open();
    await apply(
      data,
      1,
      [{ key: key('k'), sealed: sealRecord(key('k'), 10, Buffer.from('v')), timestamp: 10, replaces: 0 }],
      1,
    );
    node.device.makeUnreadable(key('k'));
    await assert.rejects(data.beginInstall(1, [slotRange(SLOT, SLOT)]), (error: unknown) => {
      assert.ok(error instanceof ProcessEnded, String(error));
      assert.equal(error.reason, 'dataDamaged');
      return true;
    });
  });
});
