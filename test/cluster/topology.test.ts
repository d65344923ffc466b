/** The shape of a cluster: the same on every node, every slot somewhere, replicas and leaders spread. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { SLOT_COUNT } from '../../src/base/ids.ts';
import { buildTopology, partitionOfSlot, type Topology } from '../../src/cluster/topology.ts';

const names = ['n1', 'n2', 'n3', 'n4', 'n5'];
const member = (name: string): { name: string; host: string; port: number } => ({ name, host: name, port: 7000 });

function topology(count: number, partitions: number, replicationFactor: number, selfName = 'n1'): Topology {
  return buildTopology({ members: names.slice(0, count).map(member), selfName, partitions, replicationFactor });
}

describe('topology', () => {
  it('is the same on all nodes, in whatever order they list each other', () => {
    const here = topology(3, 4, 3);
    const there = buildTopology({
      members: ['n3', 'n1', 'n2'].map(member),
      selfName: 'n2',
      partitions: 4,
      replicationFactor: 3,
    });
    assert.deepEqual({ ...there, self: 0 }, { ...here, self: 0 });
    assert.deepEqual([here.self.id, there.self.id], [1, 2]);
  });

  it('gives every slot to exactly one partition', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1024 }),
        fc.integer({ min: 0, max: SLOT_COUNT - 1 }),
        (partitions, slot) => {
          const { partitions: all } = topology(3, partitions, 3);
          let next = 0;
          for (const { firstSlot, lastSlot } of all) {
            assert.equal(firstSlot, next);
            assert.ok(lastSlot >= firstSlot);
            next = lastSlot + 1;
          }
          assert.equal(next, SLOT_COUNT);
          const found = partitionOfSlot(all, slot);
          assert.ok(found.firstSlot <= slot && slot <= found.lastSlot);
        },
      ),
    );
  });

  it('spreads replicas and preferred leaders, each node at most once a partition', () => {
    const { partitions, metadata } = topology(4, 8, 3);
    const leaders = new Map<number, number>();
    const replicas = new Map<number, number>();
    for (const partition of partitions) {
      assert.equal(new Set(partition.replicas).size, 3);
      const [leader = 0] = partition.replicas;
      leaders.set(leader, (leaders.get(leader) ?? 0) + 1);
      for (const node of partition.replicas) replicas.set(node, (replicas.get(node) ?? 0) + 1);
    }
    assert.deepEqual([...leaders.values()], [2, 2, 2, 2]);
    assert.deepEqual([...replicas.values()], [6, 6, 6, 6]);
    assert.deepEqual(metadata.replicas, [1, 2, 3, 4]);
  });

  it('has as many replicas as there are nodes, if that is fewer than wanted', () => {
    assert.deepEqual(topology(2, 1, 3).partitions[0]?.replicas, [1, 2]);
    assert.deepEqual(topology(1, 1, 3).partitions[0]?.replicas, [1]);
  });

  it('has another cluster id with other members, partitions or replicas, not with other addresses', () => {
    const id = topology(3, 4, 3).clusterId;
    const others = [topology(2, 4, 3), topology(3, 5, 3), topology(3, 4, 2)].map(({ clusterId }) => clusterId);
    assert.equal(new Set([id, ...others]).size, 4);
    const moved = buildTopology({
      members: names.slice(0, 3).map((name) => ({ name, host: 'elsewhere', port: 1 })),
      selfName: 'n1',
      partitions: 4,
      replicationFactor: 3,
    });
    assert.equal(moved.clusterId, id);
  });

  it('refuses a node that is not one of its members', () => {
    assert.throws(() => topology(2, 1, 1, 'n9'), { code: 'TOPOLOGY' });
  });
});
