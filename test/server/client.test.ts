import assert from 'node:assert/strict';
import { createWorld, plain } from './harness.ts';

describe('CLIENT', () => {
  it('LIST and INFO show one line a client with the fields of Redis 7.2', async () => {
    const world = await createWorld();
    const [client, other] = [await world.connect(), await world.connect()];
    await other.send(
      'CLIENT SETNAME other',
      'CLIENT SETINFO lib-name ioredis',
      'CLIENT SETINFO LIB-VER 5.3',
      'SELECT 2',
      'MULTI',
    );
    await world.time.pass(3000);
    const list = String(plain(await client.call('CLIENT', 'LIST')));
    const lines = list.trimEnd().split('\n');
    assert.equal(lines.length, 2);
    assert.equal(
      lines[1],
      `id=2 addr=${other.address} laddr=127.0.0.1:6379 fd=2 name=other age=3 idle=3 flags=x db=2 sub=0 psub=0 ssub=0 ` +
        'multi=0 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=multi ' +
        'user=default redir=-1 resp=2 lib-name=ioredis lib-ver=5.3',
    );
    assert.match(String(plain(await client.call('CLIENT', 'INFO'))), /^id=1 .*cmd=client\|info .*\n$/);
  });

  it('LIST filters by type and id', async () => {
    const world = await createWorld();
    const client = await world.connect();
    await world.connect();
    const ids = async (...options: string[]): Promise<string[]> =>
      [...String(plain(await client.call('CLIENT', 'LIST', ...options))).matchAll(/^id=(\d+)/gm)].map(
        (match) => match[1] ?? '',
      );
    assert.deepEqual(await ids('TYPE', 'normal'), ['1', '2']);
    assert.deepEqual(await ids('TYPE', 'pubsub'), []);
    assert.deepEqual(await ids('ID', '2', '99'), ['2']);
    assert.equal(await client.error('CLIENT', 'LIST', 'TYPE', 'x'), "ERR Unknown client type 'x'");
    assert.equal(await client.error('CLIENT', 'LIST', 'ID', 'x'), 'ERR Invalid client ID');
    assert.equal(await client.error('CLIENT', 'LIST', 'x'), 'ERR syntax error');
  });

  it('SETNAME and SETINFO refuse what cannot stand in a line', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(
      await client.error('CLIENT', 'SETNAME', 'a b'),
      'ERR Client names cannot contain spaces, newlines or special characters.',
    );
    assert.equal(
      await client.error('CLIENT', 'SETINFO', 'lib-name', 'a\nb'),
      'ERR lib-name cannot contain spaces, newlines or special characters.',
    );
    assert.equal(await client.error('CLIENT', 'SETINFO', 'nope', 'x'), "ERR Unrecognized option 'nope'");
    assert.equal(plain(await client.call('CLIENT', 'SETNAME', '')), 'OK');
    assert.equal(await client.call('CLIENT', 'GETNAME'), null);
  });

  it('KILL closes the chosen clients, the asker last and with its answer', async () => {
    const world = await createWorld();
    const [client, second, third] = [await world.connect(), await world.connect(), await world.connect()];
    assert.equal(await client.call('CLIENT', 'KILL', 'ID', '2'), 1);
    assert.ok(second.isClosed);
    assert.equal(await client.error('CLIENT', 'KILL', '1.2.3.4:5'), 'ERR No such client');
    assert.equal(plain(await client.call('CLIENT', 'KILL', third.address)), 'OK');
    assert.ok(third.isClosed);
    assert.equal(await client.call('CLIENT', 'KILL', 'TYPE', 'normal'), 0);
    assert.equal(await client.call('CLIENT', 'KILL', 'USER', 'default', 'SKIPME', 'no'), 1);
    assert.ok(client.isClosed);
  });

  it('KILL refuses bad filters', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(await client.error('CLIENT', 'KILL', 'ID', '0'), 'ERR client-id should be greater than 0');
    assert.equal(await client.error('CLIENT', 'KILL', 'USER', 'x'), "ERR No such user 'x'");
    assert.equal(await client.error('CLIENT', 'KILL', 'SKIPME', 'maybe'), 'ERR syntax error');
    assert.equal(await client.error('CLIENT', 'KILL', 'ADDR', 'x', 'y'), 'ERR syntax error');
  });

  it('PAUSE WRITE stops writes and lets reads through, until UNPAUSE', async () => {
    const world = await createWorld();
    const [client, other] = [await world.connect(), await world.connect()];
    assert.equal(plain(await client.call('CLIENT', 'PAUSE', '10000', 'WRITE')), 'OK');
    assert.equal(await other.send('GET a', 'SET a 1', 'GET a'), '$-1\r\n');
    assert.equal(await other.send('PING'), '');
    assert.equal(await client.send('MULTI', 'SET b 1', 'GET b'), '+OK\r\n');
    client.connection.destroy();
    const third = await world.connect();
    await third.call('CLIENT', 'UNPAUSE');
    await world.time.settle();
    assert.equal(other.take(), '+OK\r\n$1\r\n1\r\n+PONG\r\n');
  });

  it('PAUSE ALL stops everything for its time', async () => {
    const world = await createWorld();
    const [client, other] = [await world.connect(), await world.connect()];
    await client.call('CLIENT', 'PAUSE', '1000');
    assert.equal(await other.send('GET a', 'PING'), '');
    await world.time.pass(900);
    assert.equal(other.take(), '');
    await world.time.pass(200);
    assert.equal(other.take(), '$-1\r\n+PONG\r\n');
  });

  it('PAUSE is never shortened by a later one, and checks its arguments', async () => {
    const world = await createWorld();
    const client = await world.connect();
    assert.equal(await client.error('CLIENT', 'PAUSE', 'x'), 'ERR timeout is not an integer or out of range');
    assert.equal(await client.error('CLIENT', 'PAUSE', '-1'), 'ERR timeout is negative');
    assert.equal(await client.error('CLIENT', 'PAUSE', '1', 'x'), 'ERR CLIENT PAUSE mode must be WRITE or ALL');
    await client.call('CLIENT', 'PAUSE', '1000', 'WRITE');
    await client.call('CLIENT', 'PAUSE', '10', 'WRITE');
    assert.equal(await client.send('SET a 1'), '');
    await world.time.pass(500);
    assert.equal(client.take(), '');
    await world.time.pass(600);
    assert.equal(client.take(), '+OK\r\n');
  });

  it('UNBLOCK ends the wait of another client, by timeout or by error', async () => {
    const world = await createWorld();
    const [client, blocked] = [await world.connect(), await world.connect()];
    assert.equal(await client.call('CLIENT', 'UNBLOCK', '2'), 0);
    await blocked.send('BLPOP list 0', 'PING');
    assert.equal(await client.call('CLIENT', 'UNBLOCK', '2'), 1);
    await world.time.settle();
    assert.equal(blocked.take(), '*-1\r\n+PONG\r\n');
    await blocked.send('BLPOP list 0');
    assert.equal(await client.call('CLIENT', 'UNBLOCK', '2', 'ERROR'), 1);
    await world.time.settle();
    assert.equal(blocked.take(), '-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n');
    assert.equal(
      await client.error('CLIENT', 'UNBLOCK', '2', 'x'),
      'ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR',
    );
    assert.equal(await client.error('CLIENT', 'UNBLOCK', 'x'), 'ERR value is not an integer or out of range');
  });

  it('TRACKING is refused clearly, and switched off without a word', async () => {
    const client = await (await createWorld()).connect();
    assert.match(await client.error('CLIENT', 'TRACKING', 'ON'), /^ERR client side caching is not supported/);
    assert.equal(plain(await client.call('CLIENT', 'TRACKING', 'OFF')), 'OK');
    assert.match(await client.error('CLIENT', 'CACHING', 'YES'), /tracking mode/);
    assert.equal(await client.call('CLIENT', 'GETREDIR'), -1);
    assert.equal(
      await client.send('CLIENT TRACKINGINFO'),
      '*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n',
    );
  });

  it('TRACKING checks its options as Redis does, also when it is switched off', async () => {
    const client = await (await createWorld()).connect();
    const error = (...options: readonly string[]): Promise<string> => client.error('CLIENT', 'TRACKING', ...options);
    assert.equal(await error('OFF', 'FOO'), 'ERR syntax error');
    assert.equal(await error('OFF', 'REDIRECT'), 'ERR syntax error');
    assert.equal(await error('PERHAPS', 'BCAST'), 'ERR syntax error');
    assert.equal(await error('PERHAPS', 'REDIRECT', 'x'), 'ERR value is not an integer or out of range');
    assert.equal(await error('OFF', 'REDIRECT', '99'), 'ERR The client ID you want redirect to does not exist');
    assert.equal(
      await error('OFF', 'REDIRECT', '1', 'REDIRECT', '1'),
      'ERR A client can only redirect to a single other client',
    );
    assert.equal(await error('ON', 'PREFIX', 'a'), 'ERR PREFIX option requires BCAST mode to be enabled');
    assert.equal(await error('ON', 'BCAST', 'OPTIN'), 'ERR OPTIN and OPTOUT are not compatible with BCAST');
    assert.equal(await error('ON', 'OPTIN', 'OPTOUT'), "ERR You can't specify both OPTIN mode and OPTOUT mode");
    assert.equal(
      plain(await client.call('CLIENT', 'TRACKING', 'off', 'redirect', '1', 'prefix', 'a', 'optin', 'noloop')),
      'OK',
    );
  });

  it('takes any 64-bit integer for a client id or a time', async () => {
    const client = await (await createWorld()).connect();
    const [int64Max, tooLarge] = ['9223372036854775807', '9223372036854775808'];
    assert.equal(await client.call('CLIENT', 'KILL', 'ID', int64Max), 0);
    assert.equal(await client.error('CLIENT', 'KILL', 'ID', tooLarge), 'ERR client-id should be greater than 0');
    assert.equal(plain(await client.call('CLIENT', 'LIST', 'ID', int64Max)), '');
    assert.equal(await client.error('CLIENT', 'LIST', 'ID', tooLarge), 'ERR Invalid client ID');
    assert.equal(await client.call('CLIENT', 'UNBLOCK', int64Max), 0);
    assert.equal(await client.error('CLIENT', 'PAUSE', int64Max), 'ERR timeout is out of range');
  });

  it('names the container in errors about subcommands', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(await client.error('CLIENT'), "ERR wrong number of arguments for 'client' command");
    assert.equal(await client.error('CLIENT', 'NOPE'), "ERR unknown subcommand 'NOPE'. Try CLIENT HELP.");
    assert.equal(await client.error('CLIENT', 'ID', 'x'), "ERR wrong number of arguments for 'client|id' command");
    assert.ok(Array.isArray(await client.call('CLIENT', 'HELP')));
  });
});

describe('MONITOR', () => {
  it('shows every command of every client with time, database and address', async () => {
    const world = await createWorld();
    const [monitor, client] = [await world.connect(), await world.connect()];
    assert.equal(await monitor.send('MONITOR'), '+OK\r\n');
    await client.raw('*3\r\n$3\r\nset\r\n$1\r\na\r\n$4\r\n"\n\x00z\r\n');
    assert.equal(monitor.take(), `+1700000000.000000 [0 ${client.address}] "set" "a" "\\"\\n\\x00z"\r\n`);
    await client.send('CONFIG GET port');
    assert.equal(monitor.take(), '');
    await client.send('SELECT 3', 'MULTI', 'GET a', 'EXEC');
    assert.deepEqual(
      [...monitor.take().matchAll(/\[(\d) .*?\] (.*)\r\n/g)].map((match) => match.slice(1).join(' ')),
      ['3 "SELECT" "3"', '3 "MULTI"', '3 "GET" "a"', '3 "EXEC"'],
    );
    await client.pipeline([['EVAL', 'body', '0']]);
    assert.match(monitor.take(), /"EVAL" "body" "0"\r\n$/);
  });

  it('ends with the connection and with RESET, and costs nothing then', async () => {
    const world = await createWorld();
    const monitor = await world.connect();
    await monitor.send('MONITOR', 'RESET');
    assert.equal(world.server.context.monitors.count, 0);
    await monitor.send('MONITOR');
    monitor.connection.destroy();
    await world.time.settle();
    assert.equal(world.server.context.monitors.count, 0);
  });
});
