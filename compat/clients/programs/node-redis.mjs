/** node-redis 4, 5 and 6 with their default settings. */
import { assert, noErrors, run, throughLeaderDeath } from './setup.mjs';

/** `scanPages` is true where scanIterator yields pages of keys instead of keys (5 and later). */
export function runNodeRedis({ createClient, createCluster, scanPages }) {
  return run({
    basic: async (ports) => {
      await basic(createClient, scanPages, ports);
      return `plain over ${ports.length} nodes; ${await clusterAware(createCluster, ports)}`;
    },
    failover: (ports) => failover(createClient, ports),
  });
}

const open = (createClient, port) =>
  noErrors(createClient({ url: `redis://127.0.0.1:${port}` }), `node ${port}`).connect();

async function basic(createClient, scanPages, ports) {
  const clients = await Promise.all(ports.map((port) => open(createClient, port)));
  const at = (index) => clients[index % clients.length];
  await at(0).flushAll();

  assert.equal(await at(0).set('k', 'v'), 'OK');
  assert.equal(await at(1).get('k'), 'v');
  assert.equal(await at(2).set('k', 'w', { NX: true }), null);
  assert.equal(await at(1).set('lock', 'me', { PX: 30_000, NX: true }), 'OK');
  const ttl = await at(0).pTTL('lock');
  assert.ok(ttl > 0 && ttl <= 30_000, `PTTL ${ttl}`);
  assert.equal(await at(0).incr('n'), 1);
  assert.equal(await at(1).incrBy('n', 41), 42);
  assert.deepEqual(await at(2).mGet(['k', 'n', 'nokey']), ['v', '42', null]);
  assert.equal(Number(await at(0).incrByFloat('f', 0.5)), 0.5);
  assert.equal(Number(await at(0).expire('k', 100)), 1);
  assert.equal(Number(await at(1).persist('k')), 1);
  assert.equal(await at(1).type('k'), 'string');
  assert.equal(await at(1).setBit('bits', 7, 1), 0);
  assert.equal(await at(2).bitCount('bits'), 1);
  assert.equal(await at(2).getDel('k'), 'v');

  assert.deepEqual(await at(0).multi().set('t', '1').incr('t').get('t').exec(), ['OK', 2, '2']);
  await at(0).watch('t');
  await at(1).set('t', 'changed');
  await assert.rejects(at(0).multi().set('t', 'mine').exec(), /watched/i);

  await Promise.all(Array.from({ length: 200 }, (_, index) => at(index).set(`p${index}`, String(index))));
  assert.equal((await at(1).mGet(Array.from({ length: 200 }, (_, index) => `p${index}`))).join(), Array.from({ length: 200 }, (_, index) => index).join());

  const script = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
  const digest = await at(0).scriptLoad(script);
  assert.equal(await at(1).evalSha(digest, { keys: ['lock'], arguments: ['you'] }), 0);
  assert.equal(await at(2).eval(script, { keys: ['lock'], arguments: ['me'] }), 1);

  const seen = new Set();
  for await (const item of at(2).scanIterator({ MATCH: 'p*', COUNT: 50 })) for (const key of scanPages ? item : [item]) seen.add(key);
  assert.equal(seen.size, 200);

  await assert.rejects(at(0).sendCommand(['NOSUCH']), /ERR unknown command/);
  assert.match(await at(0).info(), /redis_version:7\./);
  await at(0).select(3);
  assert.equal(await at(0).dbSize(), 0);
  await Promise.all(clients.map((client) => client.quit()));
}

async function clusterAware(createCluster, ports) {
  const cluster = noErrors(createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) }), 'cluster');
  await cluster.connect();
  for (let index = 0; index < 50; index += 1) await cluster.set(`c${index}`, String(index));
  for (let index = 0; index < 50; index += 1) assert.equal(await cluster.get(`c${index}`), String(index));
  await cluster.quit();
  return 'cluster client works';
}

async function failover(createClient, ports) {
  const clients = await Promise.all(ports.map((port) => open(createClient, port)));
  await clients[0].set('failover', '0');
  const summary = await throughLeaderDeath(clients, async (client) => {
    const value = await client.incr('failover');
    assert.ok(Number(await client.get('failover')) >= value);
    await client.multi().incr('failover').get('failover').exec();
  });
  await Promise.all(clients.map((client) => client.quit()));
  return summary;
}
