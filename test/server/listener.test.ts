import assert from 'node:assert/strict';
import { isLoopback } from '../../src/server/listener.ts';
import { createServer } from '../../src/server/server.ts';
import { createWorld, plain } from './harness.ts';

describe('the listener', () => {
  it('refuses clients beyond maxclients with the text of Redis', async () => {
    const world = await createWorld({ settings: [['maxclients', '1']] });
    const first = await world.connect();
    const second = await world.connect();
    await world.time.settle();
    assert.equal(second.take(), '-ERR max number of clients reached\r\n');
    assert.ok(second.isClosed);
    assert.equal(plain(await first.call('PING')), 'PONG');
    first.connection.destroy();
    await world.time.settle();
    assert.equal(plain(await (await world.connect()).call('PING')), 'PONG');
  });

  it('serves only this machine while there is no password', async () => {
    const world = await createWorld();
    const stranger = await world.connect('10.1.2.3');
    await world.time.settle();
    assert.match(stranger.take(), /^-DENIED Redis is running in protected mode because .*\r\n$/);
    assert.ok(stranger.isClosed);
    const local = await world.connect();
    await local.call('CONFIG', 'SET', 'protected-mode', 'no');
    assert.equal(plain(await (await world.connect('10.1.2.3')).call('PING')), 'PONG');
    await local.call('CONFIG', 'SET', 'protected-mode', 'yes', 'requirepass', 'x');
    assert.match(await (await world.connect('10.1.2.3')).error('PING'), /^NOAUTH/);
  });

  it('knows the loopback addresses in all their spellings', () => {
    for (const address of ['127.0.0.1:5', '127.1.2.3', '::1:5', '[::1]:5', '::ffff:127.0.0.1:5', '::1'])
      assert.ok(isLoopback(address), address);
    for (const address of ['10.0.0.1:5', '128.0.0.1:127', '::2:1', '1.127.0.0.1', '::ffff:10.0.0.1:5', '?:0'])
      assert.ok(!isLoopback(address), address);
  });

  it('counts a failed accept and goes on', async () => {
    const world = await createWorld();
    const { clients, stats } = world.server.context;
    const open = clients.open.bind(clients);
    clients.open = () => {
      throw new Error('no memory');
    };
    const failed = await world.connect();
    await world.time.settle();
    assert.ok(failed.isClosed);
    assert.equal(stats.acceptFailures, 1);
    clients.open = open;
    assert.equal(plain(await (await world.connect()).call('PING')), 'PONG');
  });

  it('says which address cannot be bound', async () => {
    const world = await createWorld();
    await assert.rejects(
      createWorldOn(world),
      (error: Error & { code?: string }) => error.code === 'LISTEN' && /127\.0\.0\.1:6379/.test(error.message),
    );
  });

  it('closes: accepts nobody, gives the replies that are ready, cancels the rest, leaves no timer', async () => {
    const world = await createWorld();
    const [busy, waiting] = [await world.connect(), await world.connect()];
    await waiting.send('BLPOP list 0');
    busy.connection.write(Buffer.from('PING\r\n'));
    await world.time.settle();
    const closing = world.server.close();
    await world.time.settle();
    await closing;
    assert.equal(busy.take(), '+PONG\r\n');
    assert.ok(busy.isClosed && waiting.isClosed);
    assert.equal(world.cluster.cancelled.length, 1);
    assert.equal(world.network.size, 0);
    assert.equal(world.time.size, 0);
    await assert.rejects(world.connect());
  });
});

/** Another server on the same address. */
async function createWorldOn(world: Awaited<ReturnType<typeof createWorld>>): Promise<void> {
  const { platform, settings, cluster, log } = world.server.context;
  const server = createServer({
    platform,
    settings,
    cluster,
    log,
    dataCommands: [],
    version: '0.1.0',
    onShutdown: () => undefined,
  });
  await server.start();
}
