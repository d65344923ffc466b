/** The past as clients of whole nodes see it: moments over all partitions, through any node, after restarts and other leaders. */
import assert from 'node:assert/strict';
import type { SettingValues } from '../../src/config/settings.ts';
import { ErrorReply, NullArray, type Reply, Status } from '../../src/resp/reply.ts';
import type { RunningNode } from '../../src/node/compose.ts';
import { SmallCluster, type TestClient } from './small-cluster.ts';

const KEPT: Partial<SettingValues> = { partitions: 4, 'version-retention': 3_600_000 };
const KEYS = Array.from({ length: 12 }, (_, i) => `key:${i}`);

function errorOf(reply: Reply): string {
  assert.ok(reply instanceof ErrorReply, `an error, not ${JSON.stringify(reply)}`);
  return reply.text;
}

function valueOf(reply: Reply): string {
  assert.ok(typeof reply === 'string', JSON.stringify(reply));
  return reply;
}

async function moment(client: TestClient): Promise<number> {
  const at = await client.call('KAHUNA.TIME');
  assert.ok(typeof at === 'number');
  return at;
}

async function acquire(
  client: TestClient,
  holder: string,
  at: number,
  leaseMs: number,
): Promise<{ readonly id: number; readonly at: number }> {
  const reply = await client.call('KAHUNA.HOLD', 'ACQUIRE', holder, String(at), 'PX', String(leaseMs));
  assert.ok(Array.isArray(reply), reply instanceof ErrorReply ? reply.text : '');
  return { id: Number(reply[1]), at: Number(reply[3]) };
}

async function startAll(world: SmallCluster, names: readonly string[]): Promise<RunningNode[]> {
  const nodes: RunningNode[] = [];
  for (const name of names) nodes.push(await world.start(name));
  return nodes;
}

async function keysOf(client: TestClient, ...argv: readonly string[]): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let cursor = '0', pages = 0; pages === 0 || cursor !== '0'; pages++) {
    assert.ok(pages < 200);
    const reply = await client.call(argv[0] ?? '', cursor, ...argv.slice(1));
    assert.ok(Array.isArray(reply), JSON.stringify(reply));
    cursor = String(reply[0]);
    keys.push(...(reply[1] as readonly string[]));
  }
  return keys.sort();
}

describe('the past, for clients', () => {
  it('is one state of all partitions for whatever a connection asks at a moment', async () => {
    const world = new SmallCluster({ values: KEPT });
    const node = await world.start('n1');
    await world.ready(node);
    const client = await world.client('n1');
    for (const key of KEYS) await client.call('SET', key, 'old');
    await client.call('SET', 'lease', 'x', 'PX', '5000');
    await client.call('SETRANGE', 'long', '300000', 'old');
    const at = await moment(client);
    for (const key of KEYS.slice(0, 6)) await client.call('SET', key, 'new value');
    await client.call('DEL', ...KEYS.slice(6, 9));
    await client.call('SETRANGE', 'long', '300000', 'new');
    await client.call('SET', 'later', '1');
    await world.time.pass(10_000);

    const reader = await world.client('n1');
    assert.ok((await reader.call('KAHUNA.ASOF', String(at))) instanceof Status);
    assert.deepEqual(await reader.call('MGET', ...KEYS, 'later'), [...KEYS.map(() => 'old'), null]);
    assert.equal(await reader.call('STRLEN', KEYS[0] ?? ''), 3);
    assert.equal(await reader.call('EXISTS', ...KEYS, 'later'), 12);
    assert.equal(await reader.call('GET', 'lease'), 'x');
    const ttl = await reader.call('PTTL', 'lease');
    assert.ok(typeof ttl === 'number' && ttl > 4_000 && ttl <= 5_000, 'what was left then');
    assert.equal(await reader.call('GETRANGE', 'long', '300000', '-1'), 'old');
    assert.equal(await reader.call('DBSIZE'), 14);
    assert.deepEqual([...((await reader.call('KEYS', 'key:*')) as string[])].sort(), [...KEYS].sort());
    assert.deepEqual(await keysOf(reader, 'SCAN', 'COUNT', '3'), [...KEYS, 'lease', 'long'].sort());
    assert.deepEqual(await keysOf(reader, 'SCAN', 'MATCH', 'key:1*'), ['key:1', 'key:10', 'key:11']);
    assert.deepEqual(await keysOf(reader, 'KAHUNA.SCAN', 'PREFIX', 'key:1'), ['key:1', 'key:10', 'key:11']);
    assert.ok([...KEYS, 'lease', 'long'].includes(valueOf(await reader.call('RANDOMKEY'))));
    assert.equal(
      await reader.call('EVAL', "return redis.call('GET', 'key:1') .. redis.call('GET', 'key:7')", '0'),
      'oldold',
    );
    await reader.call('MULTI');
    await reader.call('GET', 'key:2');
    await reader.call('GET', 'key:8');
    assert.deepEqual(await reader.call('EXEC'), ['old', 'old']);
    const [, revision] = ((await reader.call('KAHUNA.GET', 'key:3')) as readonly Reply[]).slice(2);
    assert.ok(typeof revision === 'number' && revision <= at);

    assert.match(errorOf(await reader.call('SET', 'key:1', 'x')), /^ERR this connection reads a moment/);
    assert.match(errorOf(await reader.call('WATCH', 'key:1')), /^ERR this connection reads/);
    assert.match(errorOf(await reader.call('KAHUNA.TX', 'BEGIN')), /^ERR this connection reads/);
    assert.match(errorOf(await reader.call('EVAL', "return redis.call('SET', 'key:1', 'x')", '0')), /reads a moment/);
    assert.match(errorOf(await reader.call('KAHUNA.HISTORY', 'key:1')), /name moments of their own/);
    await reader.call('MULTI');
    assert.match(errorOf(await reader.call('DEL', 'key:1')), /^ERR this connection reads/);
    assert.match(errorOf(await reader.call('EXEC')), /^EXECABORT/);

    await reader.call('KAHUNA.ASOF', 'OFF');
    assert.deepEqual(await reader.call('MGET', 'key:1', 'key:7', 'key:10', 'lease'), ['new value', null, 'old', null]);
    assert.ok((await client.call('KAHUNA.GET', 'key:7')) instanceof NullArray);
    assert.deepEqual(
      await keysOf(client, 'KAHUNA.SCAN', 'PREFIX', 'key:', 'COUNT', '2', 'ASOF', String(at)),
      [...KEYS].sort(),
    );
    assert.deepEqual((await keysOf(client, 'KAHUNA.SCAN', 'PREFIX', 'key:', 'COUNT', '2')).length, 9);
    await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('refuses moments that are not over, and those before what is kept', async () => {
    const world = new SmallCluster({ values: { partitions: 2 } });
    const node = await world.start('n1');
    await world.ready(node);
    const client = await world.client('n1');
    for (const key of KEYS) await client.call('SET', key, '1');
    const at = await moment(client);
    assert.match(
      errorOf(await client.call('KAHUNA.ASOF', String(at + 40_960_000))),
      /^ERR the moment lies \d+ ms ahead/,
    );
    for (const bad of ['x', '0', '-1', '1.5']) {
      assert.match(errorOf(await client.call('KAHUNA.ASOF', bad)), /^ERR a timestamp or revision must be/);
    }
    await client.call('WATCH', 'key:1');
    assert.match(errorOf(await client.call('KAHUNA.ASOF', String(at))), /^ERR KAHUNA.ASOF inside MULTI/);
    await client.call('UNWATCH');
    await client.call('MULTI');
    assert.match(errorOf(await client.call('KAHUNA.ASOF', String(at))), /not allowed inside a transaction/);
    await client.call('DISCARD');
    await client.call('KAHUNA.ASOF', String(at));
    assert.equal(await client.call('GET', 'key:1'), '1');
    const writer = await world.client('n1');
    for (const key of KEYS) await writer.call('SET', key, '2');
    assert.match(errorOf(await client.call('GET', 'key:1')), /^HISTORYGONE /);
    assert.match(errorOf(await client.call('MGET', ...KEYS)), /^HISTORYGONE /);
    assert.match(errorOf(await client.call('KEYS', '*')), /^HISTORYGONE /);
    await client.call('RESET');
    assert.equal(await client.call('GET', 'key:1'), '2');
    await world.finished(node.close(0));
  });

  it('is the same through every node, after restarts and at the next leader', async () => {
    const names = ['n1', 'n2', 'n3'];
    const world = new SmallCluster({ members: names, values: KEPT });
    let nodes = await startAll(world, names);
    await world.ready(...nodes);
    const client = await world.client('n1');
    for (const key of KEYS) await client.call('SET', key, 'old');
    const at = await moment(client);
    for (const key of KEYS) await client.call('SET', key, 'new');
    const check = async (): Promise<void> => {
      for (const name of names) {
        const reader = await world.client(name);
        await reader.call('KAHUNA.ASOF', String(at));
        assert.deepEqual(
          await reader.call('MGET', ...KEYS),
          KEYS.map(() => 'old'),
        );
        assert.deepEqual(await keysOf(reader, 'SCAN', 'COUNT', '5'), [...KEYS].sort());
        reader.connection.destroy();
      }
    };
    await check();
    await world.finished(nodes[0]?.close(5_000) ?? Promise.resolve());
    nodes[0] = await world.start('n1');
    await world.ready(...nodes);
    await check();
    for (const node of nodes) await world.finished(node.close(0));
    nodes = await startAll(world, names);
    await world.ready(...nodes);
    await check();
    for (const node of nodes) await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('that a client reads ahead of time shortens no lease after a restart', async () => {
    const world = new SmallCluster({ values: KEPT });
    const node = await world.start('n1');
    await world.ready(node);
    const client = await world.client('n1');
    await client.call('SET', 'k', 'v', 'PX', '60000');
    const ahead = (await moment(client)) + 4096 * 50_000;
    assert.equal(((await client.call('KAHUNA.GET', 'k', 'ASOF', String(ahead))) as readonly Reply[])[1], 'v');
    await world.finished(node.close(0));
    const again = await world.start('n1');
    await world.ready(again);
    const left = await (await world.client('n1')).call('PTTL', 'k');
    assert.ok(typeof left === 'number' && left > 50_000, `${JSON.stringify(left)} ms are left`);
    await world.finished(again.close(0));
  });

  it('is kept by a hold alone, from when it was acquired until it is released', async () => {
    const world = new SmallCluster({ values: { partitions: 4 } });
    const node = await world.start('n1');
    await world.ready(node);
    const client = await world.client('n1');
    for (const key of KEYS) await client.call('SET', key, 'old');
    const before = await moment(client);
    assert.match(
      errorOf(await client.call('KAHUNA.HOLD', 'ACQUIRE', 'me', String(before), 'PX', '5000')),
      /^HISTORYGONE /,
    );
    assert.deepEqual(await client.call('KAHUNA.HOLD', 'LIST'), []);
    const { id, at } = await acquire(client, 'me', 0, 60_000);
    for (const key of KEYS) await client.call('KAHUNA.SET', key, 'new', 'NOHISTORY');
    await client.call('FLUSHALL');
    for (const key of KEYS) await client.call('SET', key, 'newer');
    await world.time.pass(30_000);
    await client.call('KAHUNA.ASOF', String(at));
    assert.deepEqual(
      await client.call('MGET', ...KEYS),
      KEYS.map(() => 'old'),
    );
    assert.equal(await client.call('DBSIZE'), KEYS.length);
    const floor = await client.call('KAHUNA.HOLD', 'FLOOR');
    assert.ok(typeof floor === 'number' && floor <= at && floor > before);
    const info = valueOf(await client.call('INFO', 'kahuna'));
    const fields = ['kept', 'floor', 'held_floor'].map((name) =>
      Number(new RegExp(`history_${name}:(\\d+)`).exec(info)?.[1]),
    );
    assert.deepEqual([fields[0], fields[1], (fields[2] ?? 0) <= at && (fields[2] ?? 0) > before], [1, floor, true]);
    assert.equal(await client.call('KAHUNA.HOLD', 'RENEW', String(id), 'PX', '60000'), 1);
    await world.time.pass(45_000);
    assert.equal(await client.call('GET', 'key:1'), 'old');
    const [hold] = (await client.call('KAHUNA.HOLD', 'LIST')) as readonly (readonly Reply[])[];
    assert.deepEqual(hold?.slice(0, 6), ['id', id, 'holder', 'me', 'timestamp', at]);
    assert.ok(Number(hold[7]) <= 15_000 && Number(hold[7]) > 10_000);
    assert.equal(await client.call('KAHUNA.HOLD', 'RELEASE', String(id)), 1);
    assert.equal(await client.call('KAHUNA.HOLD', 'RELEASE', String(id)), 0);
    assert.equal(await client.call('KAHUNA.HOLD', 'RENEW', String(id), 'PX', '1000'), 0);
    await world.time.pass(5_000);
    assert.match(errorOf(await client.call('GET', 'key:1')), /^HISTORYGONE /);
    assert.equal(node.cluster.historyReport.isKept, false);
    await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('goes when the lease of its hold is over, and not before', async () => {
    const world = new SmallCluster({ values: { partitions: 2, 'version-retention': 1_000 } });
    const node = await world.start('n1');
    await world.ready(node);
    const client = await world.client('n1');
    await client.call('SET', 'key:1', 'old');
    const at = await moment(client);
    await client.call('SET', 'key:1', 'new');
    const { id } = await acquire(client, 'me', at, 30_000);
    assert.equal((await acquire(client, 'me', at, 30_000)).id, id, 'asking again is no second hold');
    await world.time.pass(25_000);
    assert.match(JSON.stringify(await client.call('KAHUNA.GET', 'key:1', 'ASOF', String(at))), /old/);
    assert.match(
      errorOf(await client.call('KAHUNA.HOLD', 'ACQUIRE', 'late', String(at - 4096), 'PX', '5000')),
      /^HISTORYGONE/,
    );
    await world.time.pass(20_000);
    assert.match(errorOf(await client.call('KAHUNA.GET', 'key:1', 'ASOF', String(at))), /^HISTORYGONE/);
    assert.match(
      errorOf(await client.call('KAHUNA.HOLD', 'ACQUIRE', 'late', String(at), 'PX', '5000')),
      /^HISTORYGONE/,
    );
    assert.deepEqual(await client.call('KAHUNA.HOLD', 'LIST'), []);
    for (const bad of [
      ['ACQUIRE', '', '0', 'PX', '5000'],
      ['ACQUIRE', 'x'.repeat(129), '0', 'PX', '5000'],
      ['ACQUIRE', 'me', 'x', 'PX', '5000'],
      ['ACQUIRE', 'me', '0', 'EX', '5000'],
      ['ACQUIRE', 'me', '0', 'PX', '999'],
      ['ACQUIRE', 'me', String(at * 2), 'PX', '5000'],
      ['RENEW', 'x', 'PX', '5000'],
      ['RELEASE', '-1'],
    ]) {
      errorOf(await client.call('KAHUNA.HOLD', ...bad));
    }
    await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('that is held stays as long as its lease is renewed, through leaders, restarts and collection, and no longer', async () => {
    const names = ['n1', 'n2', 'n3'];
    const world = new SmallCluster({ members: names, values: { partitions: 2, 'version-retention': 1_000 } });
    let nodes = await startAll(world, names);
    await world.ready(...nodes);
    const write = async (value: string): Promise<void> => {
      const client = await world.client('n1');
      for (const key of KEYS) await client.call('SET', key, value);
      client.connection.destroy();
    };
    await write('old');
    const { id, at } = await acquire(await world.client('n2'), 'me', 0, 12_000);
    const changes: readonly (() => Promise<void> | void)[] = [
      () => undefined,
      () => {
        for (const group of [0, 1, 2]) {
          const leader = nodes.find((node) => node.cluster.engine.replicas.get(group)?.isServing === true);
          const next = (leader === undefined ? 0 : nodes.indexOf(leader) + 1) % nodes.length;
          leader?.cluster.engine.replicas.get(group)?.transferLeadership(next + 1);
        }
      },
      async () => {
        await world.finished(nodes[1]?.close(5_000) ?? Promise.resolve());
        nodes[1] = await world.start('n2');
      },
      async () => {
        for (const node of nodes) await world.finished(node.close(0));
        nodes = await startAll(world, names);
      },
    ];
    for (const [round, change] of changes.entries()) {
      await write(`new ${round}`);
      await change();
      await world.ready(...nodes);
      await world.time.pass(4_000);
      await write(`newer ${round}`);
      await world.time.pass(4_000);
      const client = await world.client(names[round % 3] ?? 'n1');
      await client.call('KAHUNA.ASOF', String(at));
      assert.deepEqual(
        await client.call('MGET', ...KEYS),
        KEYS.map(() => 'old'),
        `round ${round}`,
      );
      assert.equal(await client.call('KAHUNA.HOLD', 'RENEW', String(id), 'PX', '12000'), 1, `round ${round}`);
      const [versions] = [(await (await world.client('n3')).call('KAHUNA.HISTORY', 'key:0')) as readonly Reply[]];
      assert.ok(versions.length >= 2 * (round + 1), 'what came after it is kept, too');
      client.connection.destroy();
    }
    await world.time.pass(20_000);
    const client = await world.client('n2');
    assert.equal(await client.call('KAHUNA.HOLD', 'RENEW', String(id), 'PX', '12000'), 0);
    assert.deepEqual(await client.call('KAHUNA.HOLD', 'LIST'), []);
    assert.match(errorOf(await client.call('KAHUNA.GET', 'key:0', 'ASOF', String(at))), /^HISTORYGONE/);
    assert.match(errorOf(await client.call('KAHUNA.HOLD', 'ACQUIRE', 'me', String(at), 'PX', '5000')), /^HISTORYGONE/);
    assert.equal(((await client.call('KAHUNA.HISTORY', 'key:0')) as readonly Reply[]).length, 1);
    for (const node of nodes) await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('can be held by so many and no more, who may go on renewing, and make room', async () => {
    const world = new SmallCluster({ values: { partitions: 1 } });
    const node = await world.start('n1');
    await world.ready(node);
    const client = await world.client('n1');
    await client.call('SET', 'k', 'v');
    const first = await acquire(client, 'first', 0, 3_600_000);
    for (let i = 1; i < 1_000; i++) await acquire(client, `holder ${i}`, first.at, 3_600_000);
    const more = ['KAHUNA.HOLD', 'ACQUIRE', 'one more', String(first.at), 'PX', '5000'] as const;
    assert.match(errorOf(await client.call(...more)), /^OOM the cluster has as many holds/);
    assert.equal((await acquire(client, 'first', first.at, 3_600_000)).id, first.id, 'it is there already');
    assert.equal(await client.call('KAHUNA.HOLD', 'RENEW', String(first.id), 'PX', '5000'), 1);
    assert.equal(await client.call('KAHUNA.HOLD', 'RELEASE', String(first.id)), 1);
    await acquire(client, 'one more', first.at, 5_000);
    assert.equal(((await client.call('KAHUNA.HOLD', 'LIST')) as readonly Reply[]).length, 1_000);
    await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('that is held is whole at nodes that were down when it was acquired, and after all were', async () => {
    const names = ['n1', 'n2', 'n3'];
    const world = new SmallCluster({ members: names, values: { partitions: 2 } });
    let nodes = await startAll(world, names);
    await world.ready(...nodes);
    const client = await world.client('n1');
    for (const key of KEYS) await client.call('SET', key, 'old');
    await world.finished(nodes[2]?.close(5_000) ?? Promise.resolve());
    const { at } = await acquire(client, 'me', 0, 3_600_000);
    for (const key of KEYS) await client.call('SET', key, 'new');
    await world.time.pass(20_000);
    nodes[2] = await world.start('n3');
    await world.ready(...nodes);
    await world.time.pass(5_000);
    for (const group of [1, 2]) {
      const leader = nodes.find((node) => node.cluster.engine.replicas.get(group)?.isServing === true);
      if (leader !== nodes[2]) leader?.cluster.engine.replicas.get(group)?.transferLeadership(3);
    }
    await world.time.until(() =>
      [1, 2].every((group) => nodes[2]?.cluster.engine.replicas.get(group)?.isServing === true),
    );
    const check = async (): Promise<void> => {
      const reader = await world.client('n2');
      await reader.call('KAHUNA.ASOF', String(at));
      assert.deepEqual(
        await reader.call('MGET', ...KEYS),
        KEYS.map(() => 'old'),
      );
      reader.connection.destroy();
    };
    await check();
    for (const node of nodes) await world.finished(node.close(0));
    nodes = await startAll(world, names);
    await world.ready(...nodes);
    await check();
    for (const key of KEYS) await (await world.client('n3')).call('SET', key, 'newest');
    await check();
    for (const node of nodes) await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });

  it('goes with time although partitions stand idle, and keeps few versions of a key if so told', async () => {
    const world = new SmallCluster({
      values: { partitions: 4, 'version-retention': 10_000, 'version-retention-count': 3 },
    });
    const node = await world.start('n1');
    await world.ready(node);
    const client = await world.client('n1');
    for (const key of KEYS) await client.call('SET', key, 'first');
    const first = await moment(client);
    for (let i = 0; i < 40; i++) await client.call('SET', 'key:1', `v${i}`);
    await world.time.pass(5_000);
    const kept = (await client.call('KAHUNA.HISTORY', 'key:1', 'COUNT', '100')) as readonly Reply[];
    assert.ok(kept.length >= 4 && kept.length <= 6, `${kept.length} versions`);
    assert.match(errorOf(await client.call('KAHUNA.GET', 'key:1', 'ASOF', String(first))), /^HISTORYGONE/);
    assert.match(JSON.stringify(await client.call('KAHUNA.GET', 'key:2', 'ASOF', String(first))), /first/);
    await world.time.pass(20_000);
    const floor = await client.call('KAHUNA.HOLD', 'FLOOR');
    assert.ok(typeof floor === 'number' && floor > first, 'the floor rises by itself');
    assert.equal(((await client.call('KAHUNA.HISTORY', 'key:1', 'COUNT', '100')) as readonly Reply[]).length, 1);
    await client.call('CONFIG', 'SET', 'version-retention', '0');
    await world.time.pass(2_000);
    assert.equal(node.cluster.historyReport.isKept, false);
    await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });
});
