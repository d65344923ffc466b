/** ioredis, plain and cluster-aware, with its default settings. */
import { assert, noErrors, pause, run, throughLeaderDeath } from './setup.mjs';

export function runIoredis({ Redis, Cluster }) {
  return run({ basic: (ports) => basic(Redis, Cluster, ports), failover: (ports) => failover(Redis, ports) });
}

async function basic(Redis, Cluster, ports) {
  const clients = ports.map((port) => noErrors(new Redis({ host: '127.0.0.1', port }), `node ${port}`));
  const at = (index) => clients[index % clients.length];
  await at(0).flushall();

  assert.equal(await at(0).set('k', 'v'), 'OK');
  assert.equal(await at(1).get('k'), 'v');
  assert.equal(await at(2).getBuffer('k').then(String), 'v');
  assert.equal(await at(0).set('k', 'w', 'NX'), null);
  assert.equal(await at(1).set('lock', 'me', 'PX', 30_000, 'NX'), 'OK');
  assert.equal(await at(2).set('lock', 'you', 'PX', 30_000, 'NX'), null);
  const ttl = await at(0).pttl('lock');
  assert.ok(ttl > 0 && ttl <= 30_000, `PTTL ${ttl}`);
  assert.equal(await at(0).incr('n'), 1);
  assert.equal(await at(1).incrby('n', 41), 42);
  assert.deepEqual(await at(2).mget('k', 'n', 'nokey'), ['v', '42', null]);
  assert.equal(Number(await at(0).incrbyfloat('f', 0.5)), 0.5);
  assert.equal(await at(0).expire('k', 100), 1);
  assert.equal(await at(1).persist('k'), 1);
  assert.equal(await at(1).type('k'), 'string');
  assert.equal(await at(1).setbit('bits', 7, 1), 0);
  assert.equal(await at(2).bitcount('bits'), 1);

  const binary = Buffer.from([0, 255, 13, 10, 128]);
  await at(0).set(binary, binary);
  assert.deepEqual(await at(1).getBuffer(binary), binary);

  assert.deepEqual(await at(0).multi().set('t', '1').incr('t').get('t').exec(), [
    [null, 'OK'],
    [null, 2],
    [null, '2'],
  ]);
  await at(0).watch('t');
  await at(1).set('t', 'changed');
  assert.equal(await at(0).multi().set('t', 'mine').exec(), null);

  const piped = await at(2).pipeline(Array.from({ length: 200 }, (_, index) => ['set', `p${index}`, String(index)])).exec();
  assert.ok(piped.every(([error, reply]) => error === null && reply === 'OK'));
  assert.equal((await Promise.all(Array.from({ length: 200 }, (_, index) => at(index).get(`p${index}`)))).join(), Array.from({ length: 200 }, (_, index) => index).join());

  at(1).defineCommand('compareAndDelete', {
    numberOfKeys: 1,
    lua: "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end",
  });
  assert.equal(await at(1).compareAndDelete('lock', 'you'), 0);
  assert.equal(await at(1).compareAndDelete('lock', 'me'), 1);
  assert.deepEqual(await at(0).eval('return {KEYS[1], ARGV[1], 3}', 1, 'a', 'b'), ['a', 'b', 3]);

  const seen = new Set();
  for await (const keys of at(2).scanStream({ match: 'p*', count: 50 })) for (const key of keys) seen.add(key);
  assert.equal(seen.size, 200);

  await assert.rejects(at(0).call('NOSUCH'), /ERR unknown command/);
  await assert.rejects(at(0).incr('k'), /ERR value is not an integer or out of range/);
  assert.match(await at(0).info(), /redis_version:7\./);
  await at(0).select(3);
  assert.equal(await at(0).dbsize(), 0);
  const duplicate = noErrors(at(1).duplicate({ db: 2, connectionName: 'compat' }), 'duplicate');
  assert.equal(await duplicate.client('GETNAME'), 'compat');
  await duplicate.set('in2', 'x');
  assert.equal(await at(1).get('in2'), null);
  duplicate.disconnect();
  await Promise.all(clients.map((client) => client.quit()));

  return `plain over ${ports.length} nodes; ${await clusterAware(Cluster, ports)}`;
}

async function clusterAware(Cluster, ports) {
  const cluster = noErrors(new Cluster(ports.map((port) => ({ host: '127.0.0.1', port }))), 'cluster');
  for (let index = 0; index < 50; index += 1) await cluster.set(`c${index}`, String(index));
  for (let index = 0; index < 50; index += 1) assert.equal(await cluster.get(`c${index}`), String(index));
  assert.deepEqual(await cluster.multi().set('{x}a', '1').incr('{x}a').exec(), [
    [null, 'OK'],
    [null, 2],
  ]);
  assert.equal(await cluster.eval('return redis.call("get", KEYS[1])', 1, '{x}a'), '2');
  const known = cluster.nodes('all').length;
  assert.ok(known >= 1 && known <= ports.length, `${known} nodes known`);
  await cluster.quit();
  await pause(10);
  return `cluster client sees ${known} nodes`;
}

async function failover(Redis, ports) {
  const clients = ports.map((port) => noErrors(new Redis({ host: '127.0.0.1', port }), `node ${port}`));
  await clients[0].set('failover', '0');
  const summary = await throughLeaderDeath(clients, async (client) => {
    const value = await client.incr('failover');
    assert.ok((await client.get('failover')) >= value);
    await client.multi().incr('failover').get('failover').exec();
  });
  await Promise.all(clients.map((client) => client.quit()));
  return summary;
}
