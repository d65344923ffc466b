import assert from 'node:assert/strict';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { createWorld, encode } from './harness.ts';

describe('a session', () => {
  it('answers in request order, whatever the order in which work completes', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.isHolding = true;
    assert.equal(await client.send('SET a 1', 'PING', 'INCR a', 'ECHO hi', 'GET a'), '');
    world.cluster.release([2]);
    world.cluster.release([1]);
    await world.time.settle();
    assert.equal(client.take(), '');
    world.cluster.release();
    await world.time.settle();
    assert.equal(client.take(), '+OK\r\n+PONG\r\n:2\r\n$2\r\nhi\r\n$1\r\n2\r\n');
  });

  it('gives the same bytes however requests are cut and in whatever order work completes', async () => {
    // Random pipelines, random cuts, random completion order; compared with what one connection gets in one piece.
    for (let seed = 1; seed <= 30; seed++) {
      const random = new SeededRandom(seed);
      const world = await createWorld({ seed, pieceBytesMax: random.pick([1, 7, 100, 10_000]) });
      const client = await world.connect();
      const requests = Array.from({ length: 50 }, (_, i) =>
        random.pick([
          ['PING'],
          ['INCR', 'n'],
          ['SET', `k${i % 5}`, 'v'.repeat(random.below(200))],
          ['GET', `k${i % 5}`],
          ['NOPE'],
          ['GET'],
        ]),
      );
      const expected = await expectedReplies(requests);
      world.cluster.isHolding = true;
      client.connection.write(Buffer.from(requests.map(encode).join(''), 'latin1'));
      await world.time.settle();
      while (world.cluster.held.length > 0) {
        world.cluster.release([random.below(world.cluster.held.length)]);
        await world.time.settle();
      }
      assert.equal(client.take(), expected, `seed ${seed}`);
    }
  });

  it('sends the replies of one turn in one piece', async () => {
    const world = await createWorld();
    const client = await world.connect();
    let pieces = 0;
    const { connection } = [...world.server.context.clients.all()][0] ?? assert.fail();
    const write = connection.write.bind(connection);
    connection.write = (chunk) => {
      pieces++;
      write(chunk);
    };
    await client.raw('PING\r\n'.repeat(100));
    assert.equal(pieces, 1);
  });

  it('cancels what is pending when the client goes, and completions then fall into the void', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.isHolding = true;
    await client.send('SET a 1', 'SET b 2');
    client.connection.destroy();
    await world.time.settle();
    assert.equal(world.cluster.cancelled.length, 2);
    world.cluster.release();
    await world.time.settle();
    assert.equal(world.server.context.clients.count, 0);
  });

  it('closes only itself when the code that serves it fails', async () => {
    const world = await createWorld();
    const [broken, other] = [await world.connect(), await world.connect()];
    world.cluster.bug = new Error('a bug');
    assert.equal(await broken.send('SET a 1'), '');
    assert.ok(broken.isClosed);
    assert.equal(await other.send('GET a'), '$-1\r\n');
    assert.equal(world.log.filter((line) => line.level === 'error').length, 1);
  });

  it('answers a protocol error after the replies that it owes, then closes', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.isHolding = true;
    assert.equal(await client.raw('INCR a\r\n*1\r\n:5\r\nPING\r\n'), '');
    world.cluster.release();
    await world.time.settle();
    assert.equal(client.take(), ":1\r\n-ERR Protocol error: expected '$', got ':'\r\n");
    assert.ok(client.isClosed);
  });

  it('closes without a word when an HTTP request arrives', async () => {
    const world = await createWorld();
    const client = await world.connect();
    assert.equal(await client.send('POST / HTTP/1.1'), '');
    assert.ok(client.isClosed);
  });

  it('answers what was asked before the client half-closed', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.isHolding = true;
    client.connection.write(Buffer.from('SET a 1\r\nPING\r\n'));
    client.connection.end();
    await world.time.settle();
    assert.equal(client.take(), '');
    world.cluster.release();
    await world.time.settle();
    assert.equal(client.take(), '+OK\r\n+PONG\r\n');
    assert.ok(client.isClosed);
    assert.equal(world.server.context.clients.count, 0);
  });

  it('lets later commands wait behind a blocking one, and drops it when the client ends', async () => {
    const world = await createWorld();
    const client = await world.connect();
    assert.equal(await client.send('BLPOP list 0', 'SET a 1'), '');
    assert.equal(world.cluster.submitted, 1);
    world.cluster.unpark(['list', 'x']);
    await world.time.settle();
    assert.equal(client.take(), '*2\r\n$4\r\nlist\r\n$1\r\nx\r\n+OK\r\n');
    await client.send('BLPOP list 0');
    client.connection.end();
    await world.time.settle();
    assert.equal(world.cluster.cancelled.length, 1);
    assert.ok(client.isClosed);
  });

  it('gives a blocking command its waiting time on top of the deadline', async () => {
    const world = await createWorld();
    const client = await world.connect();
    await client.send('BLPOP list 2.5');
    const deadlines = (): number[] => world.cluster.parked.map((work) => work.deadlineMs);
    assert.deepEqual(deadlines(), [world.time.monotonicMs() + 7500]);
    world.cluster.unpark(null);
    await client.send('BLPOP list 0');
    assert.deepEqual(deadlines(), [Number.POSITIVE_INFINITY]);
  });

  it('stops dispatching at the bound of pending commands, and serves the whole pipeline in the end', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.isHolding = true;
    const count = 10_000;
    await client.raw(encode(['INCR', 'n']).repeat(count));
    const heldCount = (): number => world.cluster.held.length;
    assert.equal(heldCount(), 4096);
    while (heldCount() > 0) {
      world.cluster.release();
      await world.time.settle();
    }
    const replies = client.take().split('\r\n');
    assert.equal(replies.length, count + 1);
    assert.equal(replies[count - 1], `:${count}`);
  });

  it('stops reading from the socket when a waiting client keeps sending', async () => {
    const world = await createWorld();
    const client = await world.connect();
    await client.send('BLPOP list 0');
    const value = 'x'.repeat(1024 * 1024);
    for (let i = 0; i < 32; i++) client.connection.write(Buffer.from(encode(['SET', 'k', value])));
    await world.time.settle();
    assert.ok(client.connection.bufferedBytes > 8 * 1024 * 1024);
    world.cluster.unpark(null);
    await world.time.settle();
    assert.equal(client.connection.bufferedBytes, 0);
    assert.equal(client.take(), `$-1\r\n${'+OK\r\n'.repeat(32)}`);
  });

  it('is closed with a log line when its unread replies pass the hard limit', async () => {
    const world = await createWorld({ settings: [['client-output-buffer-limit', 'normal 1mb 0 0']] });
    const client = await world.connect();
    await client.send(`SET big ${'x'.repeat(60_000)}`);
    client.connection.pause();
    await client.send(...Array.from({ length: 40 }, () => 'GET big'));
    assert.equal(world.server.context.clients.count, 0);
    assert.ok(world.log.some((line) => line.level === 'warn' && line.fields['limit'] === 'hard'));
  });

  it('is closed when its unread replies stay over the soft limit for its time, and not before', async () => {
    const world = await createWorld({ settings: [['client-output-buffer-limit', 'normal 0 200kb 5']] });
    const client = await world.connect();
    await client.send(`SET big ${'x'.repeat(60_000)}`);
    client.connection.pause();
    await client.send(...Array.from({ length: 10 }, () => 'GET big'));
    await world.time.pass(4000);
    assert.equal(world.server.context.clients.count, 1);
    await world.time.pass(3000);
    assert.equal(world.server.context.clients.count, 0);
  });

  it('is closed after `timeout` seconds without a word, unless it waits', async () => {
    const world = await createWorld({ settings: [['timeout', '10']] });
    const [idle, waiting] = [await world.connect(), await world.connect()];
    await waiting.send('BLPOP list 0');
    await world.time.pass(9000);
    assert.ok(!idle.isClosed);
    await world.time.pass(3000);
    assert.ok(idle.isClosed);
    assert.ok(!waiting.isClosed);
  });

  it('keeps what it was given: argument bytes do not change when the network uses its buffers again', async () => {
    const world = await createWorld({ pieceBytesMax: 20 });
    const client = await world.connect();
    world.cluster.isHolding = true;
    await client.send('SET key value');
    const call = world.cluster.held[0]?.work.call ?? assert.fail();
    assert.deepEqual(call.argv.map(String), ['SET', 'key', 'value']);
  });

  it('switches the protocol for what follows HELLO only', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.isHolding = true;
    await client.send('GET none', 'HELLO 3', 'GET none');
    world.cluster.release();
    await world.time.settle();
    const received = client.take();
    assert.ok(received.startsWith('$-1\r\n%7\r\n'), received);
    assert.ok(received.endsWith('_\r\n'), received);
  });
});

/** What one client gets that sends everything at once, with nothing held back. */
async function expectedReplies(requests: readonly (readonly string[])[]): Promise<string> {
  const world = await createWorld();
  const client = await world.connect();
  return client.raw(requests.map(encode).join(''));
}
