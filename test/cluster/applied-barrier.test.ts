/** The barrier: it waits for this node and for every connected one, and for none longer than a second. */
import { strict as assert } from 'node:assert';
import { AppliedBarrier } from '../../src/cluster/applied-barrier.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';
import { LinkDouble } from './link-double.ts';

const GROUP = 0;

class Node {
  readonly time = new VirtualTime();
  readonly link = new LinkDouble();
  applied = 0;
  readonly barrier = new AppliedBarrier({
    timers: this.time,
    transport: this.link.transport,
    nodes: [2, 3],
    appliedIndexOf: () => this.applied,
    wake: () => undefined,
  });

  wait(index: number): { isOver: boolean } {
    const waiting = { isOver: false };
    void this.barrier.wait(GROUP, index).then(() => (waiting.isOver = true));
    return waiting;
  }

  apply(index: number): void {
    this.applied = index;
    this.barrier.applied();
  }
}

describe('applied barrier', () => {
  it('ends when this node and every connected one have applied the index', async () => {
    const [here, there] = [new Node(), new Node()];
    here.link.down.add(3);
    const waiting = here.wait(7);
    const [query, ...others] = here.link.taken();
    assert.ok(query !== undefined && query.to === 2);
    assert.deepEqual(others, [], 'who is not connected is not asked');
    there.barrier.queried(1, query.payload);
    here.apply(7);
    await here.time.settle();
    assert.equal(waiting.isOver, false);
    there.apply(6);
    assert.deepEqual(there.link.sent, []);
    there.apply(8);
    const [answer] = there.link.taken();
    here.barrier.answered(answer?.payload ?? assert.fail('no answer'));
    await here.time.settle();
    assert.equal(waiting.isOver, true);
  });

  it('waits for this node too', async () => {
    const node = new Node();
    node.link.down.add(2).add(3);
    const waiting = node.wait(5);
    await node.time.pass(10);
    assert.equal(waiting.isOver, false);
    node.apply(5);
    await node.time.settle();
    assert.equal(waiting.isOver, true);
  });

  it('is not held up for longer than a second, and an answer that comes later does no harm', async () => {
    const node = new Node();
    node.applied = 9;
    const waiting = node.wait(9);
    const queries = node.link.taken();
    await node.time.pass(990);
    assert.equal(waiting.isOver, false);
    await node.time.pass(20);
    assert.equal(waiting.isOver, true);
    for (const { payload } of queries) node.barrier.answered(payload.subarray(0, 4));
    assert.equal(node.time.size, 0);
  });
});
