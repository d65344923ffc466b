import assert from 'node:assert/strict';
import { createWorld, type World } from './harness.ts';

const withAdmin = (): Promise<World> => createWorld({ values: { 'admin-port': 9100, 'admin-bind': ['127.0.0.1'] } });

async function get(world: World, path: string, head = ''): Promise<{ status: number; body: string; text: string }> {
  const client = await world.admin();
  const text = await client.raw(`GET ${path} HTTP/1.1\r\nHost: x\r\n${head}\r\n`);
  assert.ok(client.isClosed);
  const [header = '', body = ''] = text.split('\r\n\r\n');
  assert.equal(/Content-Length: (\d+)/.exec(header)?.[1], String(Buffer.byteLength(body)));
  return { status: Number(header.split(' ')[1]), body, text };
}

describe('the admin service', () => {
  it('is absent without a port', async () => {
    const world = await createWorld();
    assert.equal(world.server.adminPort, 0);
  });

  it('tells health and readiness apart', async () => {
    const world = await withAdmin();
    assert.equal((await get(world, '/healthz')).status, 200);
    assert.equal((await get(world, '/readyz')).status, 200);
    world.cluster.isReady = false;
    assert.equal((await get(world, '/healthz')).status, 200);
    assert.equal((await get(world, '/readyz?verbose')).status, 503);
  });

  it('serves metrics that Prometheus can read', async () => {
    const world = await withAdmin();
    const client = await world.connect();
    await client.send('SET a 1', 'GET a', 'NOPE', 'FAIL x');
    world.cluster.keyspaceStats.misses = 4;
    const { status, body } = await get(world, '/metrics');
    assert.match(body, /^kahuna_lookups_total\{result="miss"\} 4$/m);
    assert.equal(status, 200);
    for (const line of body.trimEnd().split('\n')) {
      assert.match(line, /^(# (HELP|TYPE) kahuna_\w+ .+|kahuna_\w+(\{(\w+="[^"]*",?)+\})? -?[0-9.e+-]+)$/);
    }
    assert.ok(body.includes('kahuna_clients 1\n'));
    assert.ok(body.includes('kahuna_commands_total{command="set"} 1\n'));
    assert.ok(body.includes('kahuna_command_seconds_bucket{command="set",le="+Inf"} 1\n'));
    assert.ok(body.includes('kahuna_errors_total{prefix="ERR"} 1\n'));
    assert.ok(body.includes('kahuna_replica_leader{partition="1"} 1\n'));
  });

  it('answers only what it knows', async () => {
    const world = await withAdmin();
    assert.equal((await get(world, '/nope')).status, 404);
    const client = await world.admin();
    assert.match(await client.raw('POST /metrics HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 405 /);
    assert.match(await (await world.admin()).raw('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.match(await (await world.admin()).raw(`GET / HTTP/1.1\r\nX: ${'x'.repeat(9000)}`), /^HTTP\/1\.1 431 /);
  });

  it('does not wait for ever for a request, nor serve without bound', async () => {
    const world = await withAdmin();
    const slow = await world.admin();
    await slow.raw('GET /metr');
    await world.time.pass(11_000);
    assert.match(slow.take(), /^HTTP\/1\.1 408 /);
    for (let i = 0; i < 64; i++) await world.admin();
    const refused = await world.admin();
    await world.time.settle();
    assert.ok(refused.isClosed);
  });
});
