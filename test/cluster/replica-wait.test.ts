/** WAIT: how many voters hold an index, counted where the leader is, within the time that was given. */
import { strict as assert } from 'node:assert';
import { ReplicaWait } from '../../src/cluster/replica-wait.ts';
import type { Replica } from '../../src/partition/replica.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';
import { LinkDouble } from './link-double.ts';

const GROUP = 1;

class Node {
  readonly time: VirtualTime;
  readonly link = new LinkDouble();
  leader = 1;
  readonly match = new Map<number, number>();
  readonly wait: ReplicaWait;

  constructor(node: number, time = new VirtualTime()) {
    this.time = time;
    const core = {
      confState: { voters: [1, 2, 3] },
      followers: () => [...this.match].map(([id, match]) => ({ id, match })),
    };
    this.wait = new ReplicaWait({
      clock: time,
      timers: time,
      node,
      transport: this.link.transport,
      replicaOf: () => ({ core }) as unknown as Replica,
      leaderOf: () => this.leader,
      wake: () => undefined,
    });
  }

  ask(index: number, count: number, timeoutMs: number): { result: number | null; atMs: number } {
    const asked: { result: number | null; atMs: number } = { result: null, atMs: -1 };
    void this.wait.wait(GROUP, index, { count, timeoutMs }).then((result) => {
      Object.assign(asked, { result, atMs: this.time.monotonicMs() });
    });
    return asked;
  }
}

describe('WAIT at the leader', () => {
  it('answers as soon as enough voters hold the index; learners do not count', async () => {
    const node = new Node(1);
    node.match.set(2, 4).set(3, 9).set(4, 9);
    const asked = node.ask(5, 2, 1_000);
    await node.time.pass(50);
    assert.equal(asked.result, null);
    node.match.set(2, 5);
    await node.time.pass(10);
    assert.equal(asked.result, 2);
    assert.ok(asked.atMs <= 60);
  });

  it('answers with what was reached when the time is over, also beyond the length of one round', async () => {
    for (const timeoutMs of [100, 2_500]) {
      const node = new Node(1);
      node.match.set(2, 5).set(3, 1);
      const asked = node.ask(5, 2, timeoutMs);
      await node.time.pass(timeoutMs - 20);
      assert.equal(asked.result, null);
      await node.time.pass(40);
      assert.equal(asked.result, 1);
    }
  });

  it('answers what is reached when the node ends, and leaves nothing behind', async () => {
    const node = new Node(1);
    node.match.set(2, 5);
    const asked = node.ask(5, 2, 0);
    await node.time.pass(100);
    node.wait.close();
    await node.time.settle();
    assert.equal(asked.result, 1);
    assert.equal(node.time.size, 0);
  });
});

describe('WAIT at another node', () => {
  it('asks the leader, and gives its answer', async () => {
    const time = new VirtualTime();
    const [leader, entry] = [new Node(1, time), new Node(2, time)];
    leader.match.set(2, 9).set(3, 9);
    const asked = entry.ask(9, 2, 500);
    const [query] = entry.link.taken();
    leader.wait.queried(2, query?.payload ?? assert.fail('nothing was asked'));
    const [answer] = leader.link.taken();
    assert.ok(answer !== undefined && answer.to === 2);
    entry.wait.answered(answer.payload);
    await time.settle();
    assert.equal(asked.result, 2);
  });

  it('asks the next leader in the next round, and keeps the best answer', async () => {
    const node = new Node(2);
    const asked = node.ask(9, 2, 0);
    assert.deepEqual(
      node.link.taken().map(({ to }) => to),
      [1],
    );
    node.leader = 3;
    await node.time.pass(3_100);
    assert.deepEqual(
      node.link.taken().map(({ to }) => to),
      [3],
    );
    node.wait.close();
    await node.time.settle();
    assert.equal(asked.result, 0);
  });

  it('ends in its own time if the leader cannot be reached', async () => {
    const node = new Node(2);
    node.link.down.add(1);
    const asked = node.ask(9, 1, 100);
    await node.time.pass(150);
    assert.equal(asked.result, 0);
  });
});
