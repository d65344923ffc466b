import assert from 'node:assert/strict';
import { createWorld, plain } from './harness.ts';

const WITH_PASSWORD = { settings: [['requirepass', 'secret']] } as const;

describe('AUTH and HELLO', () => {
  it('let nothing through before the password but what Redis lets through', async () => {
    const client = await (await createWorld(WITH_PASSWORD)).connect();
    for (const request of [['GET', 'a'], ['PING'], ['MULTI'], ['CLIENT', 'LIST'], ['CONFIG', 'GET', '*']]) {
      assert.equal(await client.error(...request), 'NOAUTH Authentication required.');
    }
    assert.match(await client.error('HELLO'), /^NOAUTH HELLO must be called with the client already authenticated/);
    assert.match(await client.error('NOPE'), /^ERR unknown command 'NOPE'/);
    assert.equal(await client.error('GET'), "ERR wrong number of arguments for 'get' command");
    assert.equal(plain(await client.call('RESET')), 'RESET');
    assert.equal(plain(await client.call('QUIT')), 'OK');
  });

  it('accept the password alone and with the name of the user', async () => {
    const world = await createWorld(WITH_PASSWORD);
    for (const request of [
      ['AUTH', 'secret'],
      ['AUTH', 'default', 'secret'],
    ]) {
      const client = await world.connect();
      assert.equal(plain(await client.call(...request)), 'OK');
      assert.equal(plain(await client.call('PING')), 'PONG');
    }
  });

  it('say the same to a wrong user and to a wrong password', async () => {
    const client = await (await createWorld(WITH_PASSWORD)).connect();
    const refusal = 'WRONGPASS invalid username-password pair or user is disabled.';
    assert.equal(await client.error('AUTH', 'wrong'), refusal);
    assert.equal(await client.error('AUTH', 'nobody', 'secret'), refusal);
    assert.equal(await client.error('AUTH', 'a', 'b', 'c'), 'ERR syntax error');
  });

  it('say that no password is configured', async () => {
    const client = await (await createWorld()).connect();
    assert.match(await client.error('AUTH', 'x'), /^ERR AUTH <password> called without any password configured/);
    assert.equal(plain(await client.call('AUTH', 'default', 'anything')), 'OK');
  });

  it('a pipeline may authenticate and go on with a large request', async () => {
    const client = await (await createWorld(WITH_PASSWORD)).connect();
    const replies = await client.pipeline([
      ['AUTH', 'secret'],
      ['SET', 'a', 'x'.repeat(20_000)],
      ['DEL', ...'abcdefghijklm'],
    ]);
    assert.deepEqual(plain(replies), ['OK', 'OK', 1]);
  });

  it('HELLO answers a map, and takes AUTH and SETNAME in any order', async () => {
    const world = await createWorld(WITH_PASSWORD);
    for (const options of [
      ['AUTH', 'default', 'secret', 'SETNAME', 'me'],
      ['setname', 'me', 'auth', 'default', 'secret'],
    ]) {
      const client = await world.connect();
      const reply = await client.call('HELLO', '3', ...options);
      const entries = plain(reply);
      assert.ok(Array.isArray(entries));
      const id = world.server.context.clients.lastId;
      assert.deepEqual(entries, [
        ['server', 'redis'],
        ['version', '7.2.5'],
        ['proto', 3],
        ['id', id],
        ['mode', 'standalone'],
        ['role', 'master'],
        ['modules', []],
      ]);
      assert.equal(plain(await client.call('CLIENT', 'GETNAME')), 'me');
    }
  });

  it('a HELLO that fails changes nothing', async () => {
    const world = await createWorld(WITH_PASSWORD);
    const client = await world.connect();
    assert.match(await client.error('HELLO', '3', 'AUTH', 'default', 'wrong', 'SETNAME', 'x'), /^WRONGPASS/);
    await client.call('AUTH', 'secret');
    assert.equal(await client.error('HELLO', '4'), 'NOPROTO unsupported protocol version');
    assert.equal(await client.error('HELLO', 'x'), 'ERR Protocol version is not an integer or out of range');
    assert.equal(await client.error('HELLO', '3', 'SETNAME'), "ERR Syntax error in HELLO option 'SETNAME'");
    assert.equal(
      await client.error('HELLO', '3', 'SETNAME', 'a b'),
      'ERR Client names cannot contain spaces, newlines or special characters.',
    );
    assert.equal(await client.send('GET none', 'CLIENT GETNAME'), '$-1\r\n$-1\r\n');
  });

  it('a change of the password concerns new connections; without one everybody is let in', async () => {
    const world = await createWorld();
    const first = await world.connect();
    await first.call('CONFIG', 'SET', 'requirepass', 'new');
    assert.equal(plain(await first.call('PING')), 'PONG');
    const second = await world.connect();
    assert.match(await second.error('PING'), /^NOAUTH/);
    await first.call('CONFIG', 'SET', 'requirepass', '');
    assert.equal(plain(await second.call('PING')), 'PONG');
  });

  it('secrets show in neither MONITOR nor SLOWLOG', async () => {
    const world = await createWorld({
      settings: [
        ['requirepass', 'secret'],
        ['slowlog-log-slower-than', '0'],
      ],
    });
    const [client, monitor] = [await world.connect(), await world.connect()];
    await monitor.send('AUTH secret', 'MONITOR');
    await client.send('AUTH secret', 'HELLO 3 AUTH default secret', 'CONFIG SET requirepass secret');
    const shown = monitor.take() + (await monitor.send('SLOWLOG GET -1'));
    assert.ok(shown.includes('"AUTH" "(redacted)"'), shown);
    assert.ok(!shown.includes('secret'), shown);
  });
});

describe('the connection', () => {
  it('echoes, pings and selects', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(await client.send('PING', 'PING hi', 'ECHO hi'), '+PONG\r\n$2\r\nhi\r\n$2\r\nhi\r\n');
    assert.equal(await client.error('PING', 'a', 'b'), "ERR wrong number of arguments for 'ping' command");
    assert.equal(await client.error('SELECT', 'x'), 'ERR value is not an integer or out of range');
    for (const index of ['16', '-1']) assert.equal(await client.error('SELECT', index), 'ERR DB index is out of range');
    for (const index of ['2147483648', '-9223372036854775808']) {
      assert.equal(
        await client.error('SELECT', index),
        'ERR value is out of range, value must between -2147483648 and 2147483647',
      );
    }
    assert.equal(await client.send('SELECT 15', 'SET a 15', 'SELECT 0', 'GET a'), '+OK\r\n+OK\r\n+OK\r\n$-1\r\n');
  });

  it('QUIT answers and closes, and nothing behind it is handled', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.isHolding = true;
    await client.send('SET a 1', 'QUIT', 'SET a 2');
    world.cluster.release();
    await world.time.settle();
    assert.equal(client.take(), '+OK\r\n+OK\r\n');
    assert.ok(client.isClosed);
    assert.equal(world.cluster.submitted, 1);
  });

  it('RESET brings everything back', async () => {
    const world = await createWorld();
    const client = await world.connect();
    await client.send('HELLO 3 SETNAME me', 'SELECT 4', 'CLIENT NO-TOUCH on', 'WATCH a', 'MULTI');
    assert.equal(await client.send('RESET'), '+RESET\r\n');
    assert.equal(await client.send('CLIENT GETNAME'), '$-1\r\n');
    const session = world.server.context.clients.get(1) ?? assert.fail();
    assert.deepEqual([session.database, session.protocol, session.isNoTouch, session.transaction], [0, 2, false, null]);
  });

  it('answers LOADING until the cluster was ready once, and never again', async () => {
    const world = await createWorld({ isReady: false });
    const client = await world.connect();
    assert.equal(await client.error('GET', 'a'), 'LOADING Redis is loading the dataset in memory');
    assert.match(await client.send('INFO persistence'), /loading:1/);
    world.cluster.isReady = true;
    assert.equal(await client.call('GET', 'a'), null);
    world.cluster.isReady = false;
    assert.equal(await client.call('GET', 'a'), null);
  });
});

describe('CLIENT REPLY', () => {
  it('OFF silences everything until ON', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(
      await client.send('CLIENT REPLY OFF', 'SET a 1', 'PING', 'NOPE', 'CLIENT REPLY ON', 'GET a'),
      '+OK\r\n$1\r\n1\r\n',
    );
  });

  it('SKIP silences itself and the next command', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(
      await client.send('CLIENT REPLY SKIP', 'PING', 'ECHO a', 'CLIENT REPLY SKIP', 'SET a 1', 'GET a'),
      '$1\r\na\r\n$1\r\n1\r\n',
    );
    assert.equal(await client.send('CLIENT REPLY SKIP', 'CLIENT REPLY SKIP', 'PING', 'PING'), '+PONG\r\n');
    assert.equal(await client.send('CLIENT REPLY SKIP', 'CLIENT REPLY ON', 'PING'), '+OK\r\n+PONG\r\n');
  });
});
