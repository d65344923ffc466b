/** A node as production builds it: it starts, serves, ends without leaving anything, and finds its data again. */
import assert from 'node:assert/strict';
import type { SettingValues } from '../../src/config/settings.ts';
import { ErrorReply, Status } from '../../src/resp/reply.ts';
import { CLIENT_PORT, SmallCluster } from './small-cluster.ts';

const THREE = ['n1', 'n2', 'n3'];

describe('a node that is put together', () => {
  it('serves, ends with nothing left of it, and finds what it acknowledged when it starts again', async () => {
    const world = new SmallCluster();
    const first = await world.start('n1');
    await world.ready(first);
    const client = await world.client('n1');
    assert.ok((await client.call('SET', 'k', 'v')) instanceof Status);
    assert.equal(await client.call('GET', 'k'), 'v');
    await world.finished(first.close(0));
    assert.ok(client.isClosed);
    assert.equal(world.network.size, 0, 'no connection is left');
    const timersLeft = world.time.size;
    await world.time.pass(60_000);
    assert.equal(world.time.size, 0, `no timer goes on for ever, ${timersLeft} ran out`);
    const second = await world.start('n1');
    await world.ready(second);
    assert.equal(await (await world.client('n1')).call('GET', 'k'), 'v');
    await world.finished(second.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('locks its directory against a second one, and says so by a code', async () => {
    const world = new SmallCluster();
    const node = await world.start('n1');
    await assert.rejects(world.start('n1'));
    await world.finished(node.close(0));
    await world.finished((await world.start('n1')).close(0));
  });

  it('refuses what it cannot do before it touches the disk', async () => {
    const cases: readonly (readonly [Partial<SettingValues>, RegExp])[] = [
      [{ join: [{ host: 'h', port: 1 }], 'initial-cluster': [] }, / join: /],
      [{ bind: [] }, / bind: /],
      [{ 'node-id': 'stranger', 'initial-cluster': [{ name: 'n1', host: 'n1', port: 1 }] }, /initial-cluster/],
    ];
    for (const [values, reason] of cases) {
      const world = new SmallCluster({ values });
      await assert.rejects(world.start('n1'), reason);
      assert.deepEqual(world.machine('n1').disk.names('/data'), []);
    }
  });

  it('refuses the directory of another cluster, by ending with its own reason', async () => {
    const world = new SmallCluster();
    await world.finished((await world.start('n1')).close(0));
    const other = new SmallCluster({ values: { partitions: 4 } });
    const machine = world.machine('n1');
    await assert.rejects(other.start('n1', { disk: machine.disk }), { reason: 'wrongDirectory' });
  });

  it('takes settings that change while it runs', async () => {
    const world = new SmallCluster();
    const node = await world.start('n1');
    await world.ready(node);
    const client = await world.client('n1');
    const before = node.cluster.budget;
    assert.ok((await client.call('CONFIG', 'SET', 'maxmemory', '104857600')) instanceof Status);
    assert.equal(node.cluster.budget, before);
    const reply = await client.call('CONFIG', 'GET', 'maxmemory');
    assert.match(JSON.stringify(reply), /104857600/);
    await world.finished(node.close(0));
  });

  it('hands a shutdown to whoever runs it', async () => {
    const world = new SmallCluster();
    const node = await world.start('n1');
    await world.ready(node);
    (await world.client('n1')).send('SHUTDOWN', 'NOSAVE');
    await world.time.until(() => world.shutdowns.length === 1);
    await world.finished(node.close(0));
  });
});

describe('three nodes that are put together', () => {
  it('serve at every node, tell each other where clients find them, and hand over when they leave', async () => {
    const world = new SmallCluster({ members: THREE });
    const nodes = [await world.start('n1'), await world.start('n2'), await world.start('n3')];
    await world.ready(...nodes);
    for (const name of THREE) {
      const client = await world.client(name, `client of ${name}`);
      assert.ok((await client.call('SET', `key ${name}`, name)) instanceof Status);
      assert.equal(await client.call('DBSIZE'), THREE.indexOf(name) + 1);
    }
    await world.time.pass(10_000);
    for (const { cluster } of nodes) {
      assert.deepEqual(
        cluster.nodes().map(({ clientHost, clientPort }) => `${clientHost}:${clientPort}`),
        THREE.map((name) => `${name}:${CLIENT_PORT}`),
      );
    }
    const [first, ...others] = nodes;
    await world.finished(first?.close(5_000) ?? Promise.resolve());
    const client = await world.client('n2');
    assert.equal(await client.call('GET', 'key n1'), 'n1');
    for (const node of others) await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('find a script at the leader of the catalogue while their own copy lags, byte for byte', async () => {
    const world = new SmallCluster({ members: THREE });
    const nodes = [await world.start('n1'), await world.start('n2'), await world.start('n3')];
    await world.ready(...nodes);
    const isLeader = ({ cluster }: (typeof nodes)[number]): boolean => cluster.replicaStatus()[0]?.role === 'leader';
    const leader = nodes.find(isLeader);
    const follower = nodes.find((node) => !isLeader(node));
    assert.ok(leader !== undefined && follower !== undefined);
    const body = Buffer.from('return "\xe9\xff\0"', 'latin1');
    const sha = await world.finished(leader.cluster.scripts.load(body));
    assert.equal(follower.cluster.scripts.get(sha), undefined, 'it lags');
    assert.deepEqual(await world.finished(follower.cluster.scripts.find(sha)), body);
    assert.equal(await world.finished(follower.cluster.scripts.find('f'.repeat(40))), undefined);
    for (const node of nodes) await world.finished(node.close(0));
  });

  it('answer WAIT at every node, and refuse what a minority cannot do', async () => {
    const world = new SmallCluster({ members: THREE, values: { 'command-timeout': 1_000 } });
    const nodes = [await world.start('n1'), await world.start('n2'), await world.start('n3')];
    await world.ready(...nodes);
    await world.time.pass(10_000);
    for (const name of THREE) {
      const client = await world.client(name, `client of ${name}`);
      await client.call('SET', 'k', name);
      assert.equal(await client.call('WAIT', '2', '1000'), 2, name);
    }
    for (const node of nodes.slice(1)) await world.finished(node.close(0));
    const client = await world.client('n1', 'the last');
    const reply = await client.call('SET', 'k', 'lost');
    assert.ok(reply instanceof ErrorReply, JSON.stringify(reply));
    assert.match(reply.text, /^(?:CLUSTERDOWN|UNCERTAIN|TRYAGAIN) /);
  });
});
