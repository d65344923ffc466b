/** Groups that apply in one turn share a write to the store. */
import { strict as assert } from 'node:assert';
import { apply, key, Node, put, text } from './support.ts';

describe('data store: batches of several groups', () => {
  it('what is applied in one turn is one write, and everybody is told', async () => {
    const node = new Node(1);
    const data = await node.open();
    const before = node.device.writeCount;
    const done = [1, 2, 3].map((group) => apply(data, group, [put(`of ${group}`, `v${group}`, 10 + group)], 1));
    assert.equal(node.device.writeCount - before, 0, 'it leaves at the end of the turn');
    await Promise.all(done);
    assert.equal(node.device.writeCount - before, 1);
    for (const group of [1, 2, 3]) assert.equal(text(data.get(key(`of ${group}`))), `v${group}`);
    await apply(data, 1, [put('later', 'x', 20)], 2);
    assert.equal(node.device.writeCount - before, 2);
    await data.close();
  });

  it('each group is found at its index again', async () => {
    const node = new Node(2);
    const data = await node.open();
    await Promise.all([apply(data, 1, [put('a', '1', 11)], 7), apply(data, 2, [put('b', '2', 12)], 9)]);
    await data.close();
    const { recovered } = await node.open();
    assert.deepEqual(
      [1, 2].map((group) => recovered.get(group)?.index),
      [7, 9],
    );
  });

  it('does not wait for the end of the turn when much has come together', async () => {
    const node = new Node(3);
    const data = await node.open();
    const before = node.device.writeCount;
    const large = 'x'.repeat(3 * 1024 * 1024);
    const done = [1, 2, 3].map((group) => apply(data, group, [put(`of ${group}`, large, 10 + group)], 1));
    assert.equal(node.device.writeCount - before, 1);
    await Promise.all(done);
    assert.equal(node.device.writeCount - before, 2);
    await data.close();
  });

  it('a sync covers what was applied before it in the same turn', async () => {
    const node = new Node(4);
    const data = await node.open();
    const done = apply(data, 1, [put('a', '1', 11)], 1);
    await data.sync();
    await done;
    node.crashMachine('machine', []);
    assert.equal(text((await node.open()).get(key('a'))), '1');
  });

  it('what was applied before the past was kept has no copies, in the same turn either', async () => {
    const data = await new Node(5).open({ history: { retentionMs: 0, heldFloor: 0 } });
    await apply(data, 1, [put('a', '1', 11)], 1);
    const done = apply(data, 1, [put('a', '2', 12, 11)], 2);
    data.setHistory({ retentionMs: 60_000, heldFloor: 0 });
    await done;
    await data.sync();
    assert.ok(data.historyFloor >= 12, 'nothing before the switch can be read');
    await data.close();
  });
});
