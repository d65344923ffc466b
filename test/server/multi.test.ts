import assert from 'node:assert/strict';
import { CLUSTER_DOWN, CROSS_SLOT } from '../../src/resp/errors.ts';
import { createWorld as createWorldWith, plain, type World } from './harness.ts';

const NESTED = 'ERR MULTI calls can not be nested';

for (const isRemote of [false, true]) {
  const createWorld = (): Promise<World> => createWorldWith({ isRemote });
  const where = isRemote ? 'with the leader on another node' : 'with the leader here';

  describe(`MULTI ${where}`, () => {
    it('queues commands and runs them as one piece of work', async () => {
      const world = await createWorld();
      const client = await world.connect();
      assert.equal(
        await client.send('MULTI', 'SET a 1', 'INCR a', 'GET a'),
        '+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n',
      );
      assert.equal(world.cluster.submitted, 0);
      assert.equal(await client.send('EXEC'), '*3\r\n+OK\r\n:2\r\n$1\r\n2\r\n');
      assert.equal(world.cluster.submitted, 1);
    });

    it('refuses to nest, and EXEC, DISCARD without it', async () => {
      const client = await (await createWorld()).connect();
      assert.equal(await client.error('EXEC'), 'ERR EXEC without MULTI');
      assert.equal(await client.error('DISCARD'), 'ERR DISCARD without MULTI');
      await client.call('MULTI');
      assert.equal(await client.error('MULTI'), NESTED);
      assert.equal(await client.error('WATCH', 'a'), 'ERR WATCH inside MULTI is not allowed');
      await client.call('SET', 'a', '1');
      // Neither of these errors spoils the transaction (multi.c).
      assert.deepEqual(plain(await client.call('EXEC')), ['OK']);
    });

    it('fails as a whole after an error at queueing time', async () => {
      for (const wrong of [['NOPE'], ['GET'], ['CLIENT', 'NOPE'], ['SAVE']]) {
        const world = await createWorld();
        const client = await world.connect();
        await client.call('MULTI');
        await client.call('SET', 'a', '1');
        await client.error(...wrong);
        assert.equal(
          await client.error('EXEC'),
          'EXECABORT Transaction discarded because of previous errors.',
          wrong[0],
        );
        assert.equal(world.cluster.submitted, 0);
        assert.equal(await client.call('GET', 'a'), null);
      }
    });

    it('says why an EXEC itself is refused, and discards', async () => {
      const client = await (await createWorld()).connect();
      await client.pipeline([['MULTI'], ['SET', 'a', '1']]);
      const refusal = "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";
      assert.equal(await client.error('EXEC', 'x'), refusal);
      assert.equal(await client.error('EXEC'), 'ERR EXEC without MULTI');
    });

    it('answers errors of commands in their places', async () => {
      const client = await (await createWorld()).connect();
      await client.pipeline([['MULTI'], ['SET', 'a', 'x'], ['INCR', 'a'], ['GET', 'a']]);
      assert.deepEqual(plain(await client.call('EXEC')), ['OK', 'ERR value is not an integer or out of range', 'x']);
    });

    it('forgets everything at DISCARD', async () => {
      const world = await createWorld();
      const client = await world.connect();
      assert.equal(
        await client.send('WATCH a', 'MULTI', 'SET a 1', 'DISCARD', 'GET a'),
        '+OK\r\n+OK\r\n+QUEUED\r\n+OK\r\n$-1\r\n',
      );
      const session = [...world.server.context.clients.all()][0] ?? assert.fail();
      assert.deepEqual(session.watched, []);
    });

    it('applies SELECT to the commands queued behind it, and to the session if it ran', async () => {
      const world = await createWorld();
      const client = await world.connect();
      await client.pipeline([
        ['MULTI'],
        ['SET', 'a', '0'],
        ['SELECT', '3'],
        ['SET', 'a', '3'],
        ['SELECT', '99'],
        ['GET', 'a'],
      ]);
      assert.deepEqual(plain(await client.call('EXEC')), ['OK', 'OK', 'OK', 'ERR DB index is out of range', '3']);
      assert.equal(world.cluster.keyspace.get(0, 'a'), '0');
      assert.equal(world.cluster.keyspace.get(3, 'a'), '3');
      assert.equal(plain(await client.call('GET', 'a')), '3');
    });

    it('answers each command in the protocol of its place when HELLO stands among them', async () => {
      const client = await (await createWorld()).connect();
      const greeting = (received: string): string =>
        received.replace(/([%*])\d+\r\n\$6\r\nserver.*modules\r\n\*0\r\n/s, '$1…');
      await client.pipeline([['MULTI'], ['GET', 'a'], ['HELLO', '3'], ['GET', 'a'], ['HELLO', '9']]);
      assert.equal(
        greeting(await client.send('EXEC')),
        '*4\r\n$-1\r\n%…_\r\n-NOPROTO unsupported protocol version\r\n',
      );
      assert.equal(await client.send('GET a'), '_\r\n');
      await client.pipeline([['MULTI'], ['GET', 'a'], ['HELLO', '2'], ['GET', 'a']]);
      assert.equal(greeting(await client.send('EXEC')), '*3\r\n_\r\n*…$-1\r\n');
      await client.call('SET', 'a', 'text');
      await client.pipeline([['MULTI'], ['HELLO', '3'], ['GET', 'a'], ['INCR', 'a']]);
      assert.match(await client.send('EXEC'), /\$4\r\ntext\r\n-ERR value is not an integer/);
    });

    it('does not apply SELECT if a watched key moved', async () => {
      const world = await createWorld();
      const [client, other] = [await world.connect(), await world.connect()];
      await client.call('WATCH', 'a');
      await other.call('SET', 'a', 'other');
      await client.pipeline([['MULTI'], ['SELECT', '3']]);
      assert.equal(await client.send('EXEC'), '*-1\r\n');
      assert.equal(plain(await client.call('GET', 'a')), 'other');
    });

    it('runs session commands in their places, and makes later commands wait for them', async () => {
      const world = await createWorld();
      const client = await world.connect();
      world.cluster.isHolding = true;
      await client.send('MULTI', 'SET a 1', 'CLIENT SETNAME late', 'PING', 'CLIENT GETNAME', 'EXEC', 'CLIENT GETNAME');
      assert.equal(world.server.context.clients.get(1)?.name, '');
      client.take();
      world.cluster.release();
      await world.time.settle();
      assert.equal(client.take(), '*4\r\n+OK\r\n+OK\r\n+PONG\r\n$4\r\nlate\r\n$4\r\nlate\r\n');
    });

    it('answers an empty transaction with an empty array', async () => {
      const client = await (await createWorld()).connect();
      assert.equal(await client.send('MULTI', 'EXEC'), '+OK\r\n*0\r\n');
    });

    it('passes an error of the cluster on, instead of the array', async () => {
      const world = await createWorld();
      const client = await world.connect();
      await client.pipeline([['MULTI'], ['SET', 'a', '1'], ['PING']]);
      world.cluster.failure = CROSS_SLOT;
      assert.match(await client.error('EXEC'), /^CROSSSLOT /);
    });

    it('is bounded in commands and bytes', async () => {
      const world = await createWorld();
      const client = await world.connect();
      await client.call('MULTI');
      const value = 'x'.repeat(8 * 1024 * 1024);
      for (let i = 0; i < 7; i++) await client.call('SET', 'a', value);
      assert.match(await client.error('SET', 'a', value), /^ERR transaction too large/);
      assert.match(await client.error('EXEC'), /^EXECABORT/);
    });

    it('counts the commands inside it', async () => {
      const world = await createWorld();
      const client = await world.connect();
      await client.send('MULTI', 'SET a x', 'INCR a', 'PING', 'EXEC');
      const { table } = world.server.context;
      assert.equal(table.findByFullName('set')?.stats.calls, 1);
      assert.equal(table.findByFullName('incr')?.stats.failed, 1);
      assert.equal(table.findByFullName('ping')?.stats.calls, 1);
      assert.equal(table.findByFullName('exec')?.stats.calls, 1);
    });
  });

  describe(`WATCH ${where}`, () => {
    it('lets EXEC through while nothing moved, and answers null once something did', async () => {
      const world = await createWorld();
      const [client, other] = [await world.connect(), await world.connect()];
      assert.equal(
        await client.send('WATCH a b', 'MULTI', 'SET a 1', 'EXEC'),
        '+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n',
      );
      await client.send('WATCH a b');
      await other.send('SET b 1');
      assert.equal(await client.send('MULTI', 'SET a 2', 'EXEC'), '+OK\r\n+QUEUED\r\n*-1\r\n');
      // EXEC ended the watch.
      assert.equal(await client.send('MULTI', 'SET a 2', 'EXEC'), '+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n');
    });

    it('sees a key that was absent appear, and one that was there vanish', async () => {
      const world = await createWorld();
      const [client, other] = [await world.connect(), await world.connect()];
      await other.send('SET there 1');
      for (const [key, change] of [
        ['absent', 'SET absent 1'],
        ['there', 'DEL there'],
      ] as const) {
        await client.send(`WATCH ${key}`);
        await other.send(change);
        assert.equal(await client.send('MULTI', 'GET a', 'EXEC'), '+OK\r\n+QUEUED\r\n*-1\r\n');
      }
    });

    it('watches per database, and validates even without data commands', async () => {
      const world = await createWorld();
      const [client, other] = [await world.connect(), await world.connect()];
      await client.send('SELECT 5', 'WATCH a', 'SELECT 0');
      await other.send('SET a 1');
      assert.equal(await client.send('MULTI', 'PING', 'EXEC'), '+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n');
      await client.send('SELECT 5', 'WATCH a', 'SELECT 0');
      await other.send('SELECT 5', 'SET a 1');
      assert.equal(await client.send('MULTI', 'PING', 'EXEC'), '+OK\r\n+QUEUED\r\n*-1\r\n');
    });

    it('asks each partition once, and fails as a whole if one cannot answer', async () => {
      const world = await createWorld();
      world.cluster.partitionList = [
        { id: 1, firstSlot: 0, lastSlot: 8191, replicas: [1], leader: 1, term: 1 },
        { id: 2, firstSlot: 8192, lastSlot: 16_383, replicas: [1], leader: 1, term: 1 },
      ];
      const client = await world.connect();
      await client.send('WATCH a b c d e f');
      assert.equal(world.cluster.submitted, 2);
      world.cluster.failure = CLUSTER_DOWN;
      assert.match(await client.error('WATCH', 'z'), /^CLUSTERDOWN/);
      assert.equal(world.server.context.clients.get(1)?.watched.length, 6);
    });

    it('ends with UNWATCH and RESET, and its reads are cancelled with the connection', async () => {
      const world = await createWorld();
      const client = await world.connect();
      await client.send('WATCH a', 'UNWATCH');
      assert.deepEqual(world.server.context.clients.get(1)?.watched, []);
      await client.send('WATCH a', 'RESET');
      assert.deepEqual(world.server.context.clients.get(1)?.watched, []);
      world.cluster.isHolding = true;
      await client.send('WATCH a');
      client.connection.destroy();
      await world.time.settle();
      assert.equal(world.cluster.cancelled.length, 1);
      world.cluster.release();
      await world.time.settle();
    });
  });
}
