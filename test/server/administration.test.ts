import assert from 'node:assert/strict';
import { createWorld, plain } from './harness.ts';

describe('CONFIG', () => {
  it('GET answers a map of the settings that match, secrets as stars', async () => {
    const client = await (
      await createWorld({
        settings: [
          ['requirepass', 'x'],
          ['maxclients', '123'],
        ],
      })
    ).connect();
    await client.call('AUTH', 'x');
    assert.deepEqual(plain(await client.call('CONFIG', 'GET', 'maxclients')), ['maxclients', '123']);
    const shown = plain(await client.call('CONFIG', 'GET', 'requirepas?', 'MAXCLIENTS'));
    assert.deepEqual(shown, ['requirepass', '********', 'MAXCLIENTS', '123']);
    const once = plain(await client.call('CONFIG', 'GET', 'MaxClients', 'maxclients', 'maxclient*'));
    assert.deepEqual(once, ['MaxClients', '123']);
    assert.deepEqual(plain(await client.call('CONFIG', 'GET', 'MAXCLIENT?', 'MaxClients')), ['maxclients', '123']);
    assert.deepEqual(plain(await client.call('CONFIG', 'GET', 'nope')), []);
    const all = plain(await client.call('CONFIG', 'GET', '*'));
    assert.ok(Array.isArray(all) && all.length > 50);
  });

  it('SET changes all or nothing, with the texts of Redis', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(plain(await client.call('CONFIG', 'SET', 'timeout', '5', 'maxclients', '7')), 'OK');
    assert.equal(
      await client.error('CONFIG', 'SET', 'nope', '1'),
      "ERR Unknown option or number of arguments for CONFIG SET - 'nope'",
    );
    assert.equal(
      await client.error('CONFIG', 'SET', 'timeout'),
      "ERR wrong number of arguments for 'config|set' command",
    );
    assert.equal(await client.error('CONFIG', 'SET', 'timeout', '9', 'maxclients'), 'ERR syntax error');
    assert.equal(
      await client.error('CONFIG', 'SET', 'timeout', '9', 'maxclients', 'x'),
      "ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed into an integer",
    );
    assert.equal(
      await client.error('CONFIG', 'SET', 'timeout', '1', 'timeout', '2'),
      "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
    );
    assert.equal(
      await client.error('CONFIG', 'SET', 'port', '1'),
      "ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config",
    );
    assert.deepEqual(plain(await client.call('CONFIG', 'GET', 'timeout')), ['timeout', '5']);
  });

  it('REWRITE writes what is in force into the file, and says so if there is none', async () => {
    const alone = await (await createWorld()).connect();
    assert.equal(await alone.error('CONFIG', 'REWRITE'), 'ERR The server is running without a config file');
    const world = await createWorld({ options: { configPath: 'kahuna.conf' } });
    const client = await world.connect();
    assert.match(await client.error('CONFIG', 'REWRITE'), /^ERR Rewriting config file: No such file/);
    world.files.set('kahuna.conf', '# mine\ntimeout 1\n');
    await client.call('CONFIG', 'SET', 'timeout', '77');
    assert.equal(plain(await client.call('CONFIG', 'REWRITE')), 'OK');
    assert.match(world.files.get('kahuna.conf') ?? '', /^# mine\ntimeout 77\n/);
  });

  it('RESETSTAT zeroes the counters', async () => {
    const world = await createWorld();
    const client = await world.connect();
    await client.send('SET a 1', 'NOPE', 'CONFIG RESETSTAT');
    const info = await client.send('INFO stats commandstats errorstats');
    assert.match(info, /total_commands_processed:1\r\n/);
    assert.ok(!info.includes('cmdstat_set') && !info.includes('errorstat_ERR'));
  });
});

describe('INFO', () => {
  it('has the fields that clients and tools read', async () => {
    const world = await createWorld();
    const client = await world.connect();
    await client.send('SET a 1', 'SELECT 2', 'SET b 1');
    const info = String(plain(await client.call('INFO')));
    for (const field of [
      '# Server\r\nredis_version:7.2.5',
      'redis_mode:standalone',
      'kahuna_version:0.1.0',
      'tcp_port:6379',
      'run_id:',
      'uptime_in_seconds:0',
      '# Clients\r\nconnected_clients:1',
      'maxclients:10000',
      'blocked_clients:0',
      '# Memory\r\nused_memory:',
      'maxmemory_policy:noeviction',
      '# Persistence\r\nloading:0',
      'aof_enabled:1',
      'rdb_bgsave_in_progress:0',
      '# Stats\r\ntotal_connections_received:1',
      'total_commands_processed:3',
      'instantaneous_ops_per_sec:',
      '# Replication\r\nrole:master\r\nconnected_slaves:0',
      '# CPU\r\nused_cpu_sys:',
      '# Cluster\r\ncluster_enabled:0',
      '# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\ndb2:keys=1',
      '# Kahuna\r\n',
      'node_name:n1',
      'replica1:role=leader',
    ]) {
      assert.ok(info.includes(field), `${field} in ${info}`);
    }
    assert.ok(!info.includes('# Commandstats'));
  });

  it('shows the sections that are asked for, and leaves out what it does not know', async () => {
    const client = await (await createWorld()).connect();
    assert.match(
      String(plain(await client.call('INFO', 'CLUSTER', 'nope', 'cpu'))),
      /^# CPU\r\n[^#]*\r\n# Cluster\r\ncluster_enabled:0\r\n$/,
    );
    assert.equal(plain(await client.call('INFO', 'nope')), '');
    await client.send('GET a', 'FAIL x', 'NOPE');
    const all = String(plain(await client.call('INFO', 'everything')));
    assert.match(all, /cmdstat_get:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0\r\n/);
    assert.match(all, /cmdstat_fail:calls=1,.*,failed_calls=1\r\n/);
    assert.match(all, /errorstat_ERR:count=1\r\n/);
    assert.match(all, /latency_percentiles_usec_get:p50=1.000,p99=1.000,p99.9=1.000\r\n/);
  });

  it('is not held up by a partition that cannot count its keys', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.keyspaceCounts = () => new Promise(() => undefined);
    assert.equal(await client.send('INFO keyspace', 'PING'), '');
    await world.time.pass(600);
    assert.equal(client.take(), '$12\r\n# Keyspace\r\n\r\n+PONG\r\n');
    world.cluster.keyspaceCounts = () => Promise.reject(new Error('no leader'));
    assert.match(String(plain(await client.call('INFO', 'keyspace'))), /^# Keyspace\r\n$/);
  });
});

describe('SLOWLOG and LATENCY', () => {
  it('keep the commands that were slow, newest first, cut as Redis cuts them', async () => {
    const world = await createWorld({
      settings: [
        ['slowlog-log-slower-than', '1000'],
        ['slowlog-max-len', '2'],
        ['latency-monitor-threshold', '1'],
      ],
    });
    const client = await world.connect();
    await client.call('CLIENT', 'SETNAME', 'me');
    world.cluster.isHolding = true;
    for (const key of ['a', 'b', 'x'.repeat(200)]) {
      await client.send(`SET ${key} 1`);
      await world.time.pass(5);
      world.cluster.release();
      await world.time.settle();
    }
    client.take();
    assert.equal(await client.call('SLOWLOG', 'LEN'), 2);
    assert.deepEqual(plain(await client.call('SLOWLOG', 'GET')), [
      [2, 1_700_000_000, 5000, ['SET', `${'x'.repeat(128)}... (72 more bytes)`, '1'], client.address, 'me'],
      [1, 1_700_000_000, 5000, ['SET', 'b', '1'], client.address, 'me'],
    ]);
    assert.deepEqual(plain(await client.call('LATENCY', 'LATEST')), [['command', 1_700_000_000, 5, 5]]);
    assert.deepEqual(plain(await client.call('LATENCY', 'HISTORY', 'command')), [[1_700_000_000, 5]]);
    assert.deepEqual(plain(await client.call('LATENCY', 'HISTOGRAM', 'set')), [
      'set',
      ['calls', 3, 'histogram_usec', [8192, 3]],
    ]);
    assert.match(String(plain(await client.call('LATENCY', 'DOCTOR'))), /command: 1 latency spikes/);
    assert.match(String(plain(await client.call('LATENCY', 'GRAPH', 'command'))), /high 5 ms/);
    assert.equal(await client.call('LATENCY', 'RESET', 'nope', 'command'), 1);
    await client.call('SLOWLOG', 'RESET');
    assert.deepEqual(plain(await client.call('SLOWLOG', 'GET', '-1')), []);
  });

  it('check their arguments', async () => {
    const client = await (await createWorld()).connect();
    for (const count of ['-2', 'x']) {
      assert.equal(await client.error('SLOWLOG', 'GET', count), 'ERR count should be greater than or equal to -1');
    }
    assert.equal(await client.error('LATENCY', 'GRAPH', 'x'), "ERR No samples available for event 'x'");
    assert.match(String(plain(await client.call('LATENCY', 'DOCTOR'))), /disabled/);
  });
});

describe('the rest of the server group', () => {
  it('tells the time, the role, and that everything is saved', async () => {
    const world = await createWorld();
    const client = await world.connect();
    await world.time.pass(1250);
    assert.deepEqual(plain(await client.call('TIME')), ['1700000001', '250000']);
    assert.deepEqual(plain(await client.call('ROLE')), ['master', 0, []]);
    assert.equal(await client.call('LASTSAVE'), 1_700_000_001);
    assert.equal(plain(await client.call('SAVE')), 'OK');
    assert.equal(plain(await client.call('BGSAVE')), 'Background saving started');
    assert.equal(await client.error('BGSAVE', 'x'), 'ERR syntax error');
    assert.equal(plain(await client.call('BGREWRITEAOF')), 'Background append only file rewriting started');
  });

  it('refuses clearly what it does not do', async () => {
    const client = await (await createWorld()).connect();
    for (const request of [
      ['REPLICAOF', 'a', '1'],
      ['SLAVEOF', 'a', '1'],
      ['SYNC'],
      ['PSYNC', '?', '-1'],
      ['SWAPDB', '0', '1'],
      ['FAILOVER'],
      ['MODULE', 'LOAD', 'x'],
      ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
    ]) {
      assert.match(await client.error(...request), /^ERR /, request[0]);
    }
    assert.equal(plain(await client.call('REPLICAOF', 'NO', 'ONE')), 'OK');
    assert.deepEqual(await client.call('MODULE', 'LIST'), []);
  });

  it('SWAPDB checks its databases, and has nothing to do for one and the same', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(await client.error('SWAPDB', 'a', 'b'), 'ERR invalid first DB index');
    assert.equal(await client.error('SWAPDB', '2147483648', '0'), 'ERR invalid first DB index');
    assert.equal(await client.error('SWAPDB', '16', 'b'), 'ERR invalid second DB index');
    assert.equal(await client.error('SWAPDB', '0', '16'), 'ERR DB index is out of range');
    assert.equal(plain(await client.call('SWAPDB', '3', '3')), 'OK');
  });

  it('LOLWUT reads the numbers that the drawing of a version takes', async () => {
    const client = await (await createWorld()).connect();
    for (const words of [['VERSION'], ['x', 'y'], ['VERSION', '99', 'x'], ['VERSION', '6', '1', '1', 'x']]) {
      assert.match(String(plain(await client.call('LOLWUT', ...words))), /Redis ver\. 7/);
    }
    for (const words of [['x'], ['5', '1', '1', 'x'], ['6', 'x']]) {
      assert.equal(await client.error('LOLWUT', 'VERSION', ...words), 'ERR value is not an integer or out of range');
    }
  });

  it('FAILOVER reads its options before it says that there are no replicas', async () => {
    const client = await (await createWorld()).connect();
    const error = (...options: readonly string[]): Promise<string> => client.error('FAILOVER', ...options);
    assert.equal(await error('TO', 'a', '1', 'FORCE', 'TIMEOUT', '1'), 'ERR FAILOVER requires connected replicas.');
    for (const options of [
      ['TO'],
      ['ABORT', 'x'],
      ['TO', 'a', '1', 'TO', 'b', '1'],
      ['TIMEOUT', '1', 'TIMEOUT', '1'],
    ]) {
      assert.equal(await error(...options), 'ERR syntax error');
    }
    assert.equal(await error('TO', 'a', 'b'), 'ERR value is not an integer or out of range');
    assert.equal(await error('TIMEOUT', '0'), 'ERR FAILOVER timeout must be greater than 0');
  });

  it('SHUTDOWN hands over to whoever owns the process', async () => {
    const world = await createWorld();
    const client = await world.connect();
    for (const words of [['x'], ['SAVE', 'NOSAVE'], ['ABORT', 'NOW']]) {
      assert.equal(await client.error('SHUTDOWN', ...words), 'ERR syntax error');
    }
    assert.equal(await client.error('SHUTDOWN', 'ABORT'), 'ERR No shutdown in progress.');
    assert.equal(await client.send('SHUTDOWN NOSAVE NOW'), '');
    assert.deepEqual(world.shutdowns, [{ isImmediate: true }]);
  });

  it('DEBUG SLEEP holds its connection, not the others', async () => {
    const world = await createWorld();
    const [client, other] = [await world.connect(), await world.connect()];
    assert.equal(await client.send('DEBUG SLEEP 0.5', 'PING'), '');
    assert.equal(await other.send('PING'), '+PONG\r\n');
    await world.time.pass(600);
    assert.equal(client.take(), '+OK\r\n+PONG\r\n');
  });

  it('DEBUG PROTOCOL and ERROR answer every type', async () => {
    const client = await (await createWorld()).connect();
    await client.send('HELLO 3');
    assert.equal(
      await client.send('DEBUG PROTOCOL true', 'DEBUG PROTOCOL bignum', 'DEBUG PROTOCOL double'),
      '#t\r\n(1234567999999999999999999999999999999\r\n,3.141\r\n',
    );
    assert.equal(
      await client.send('DEBUG PROTOCOL push', 'DEBUG PROTOCOL attrib'),
      '>2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\nSome real reply following the push reply\r\n' +
        '|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply following the attribute\r\n',
    );
    assert.equal(await client.error('DEBUG', 'ERROR', 'MYPREFIX text'), 'MYPREFIX text');
    assert.match(await client.error('DEBUG', 'PROTOCOL', 'x'), /^ERR Wrong protocol type name/);
    await client.send('HELLO 2');
    assert.equal(await client.error('DEBUG', 'PROTOCOL', 'push'), 'ERR RESP2 is not supported by this command');
    assert.ok(Array.isArray(await client.call('DEBUG', 'HELP')));
    assert.match(await client.error('DEBUG', 'HELP', 'x'), /^ERR unknown subcommand or wrong number of arguments/);
    assert.match(
      await client.error('DEBUG', 'NOPE'),
      /^ERR unknown subcommand or wrong number of arguments for 'NOPE'/,
    );
  });

  it('MEMORY answers for the node, and MEMORY USAGE for a key', async () => {
    const client = await (await createWorld()).connect();
    assert.equal(await client.call('MEMORY', 'USAGE', 'a'), 64);
    assert.equal(plain(await client.call('MEMORY', 'PURGE')), 'OK');
    assert.match(String(plain(await client.call('MEMORY', 'DOCTOR'))), /find any memory issue/);
    const stats = plain(await client.call('MEMORY', 'STATS'));
    assert.ok(Array.isArray(stats) && stats.includes('dataset.bytes'));
  });

  it('ACL tells of the one user', async () => {
    const world = await createWorld();
    const client = await world.connect();
    assert.equal(plain(await client.call('ACL', 'WHOAMI')), 'default');
    assert.deepEqual(plain(await client.call('ACL', 'LIST')), ['user default on nopass ~* &* +@all']);
    await client.call('CONFIG', 'SET', 'requirepass', 'secret');
    const digest = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b';
    assert.deepEqual(plain(await client.call('ACL', 'LIST')), [`user default on #${digest} ~* &* +@all`]);
    assert.equal(await client.call('ACL', 'GETUSER', 'nobody'), null);
    const members = plain(await client.call('ACL', 'CAT', 'connection'));
    assert.ok(Array.isArray(members) && members.includes('client|id') && !members.includes('get'));
    assert.equal(await client.error('ACL', 'CAT', 'nope'), "ERR Unknown category 'nope'");
    assert.match(await client.error('ACL', 'SETUSER', 'x', '>secret'), /^ERR there is one user/);
    assert.equal(String(plain(await client.call('ACL', 'GENPASS', '5'))).length, 2);
    for (const bits of ['0', '9223372036854775807']) {
      assert.match(await client.error('ACL', 'GENPASS', bits), /^ERR ACL GENPASS argument/);
    }
    assert.match(
      await client.error('ACL', 'GENPASS', 'x', '0'),
      /^ERR unknown subcommand or wrong number of arguments/,
    );
    const dryRun = (...request: readonly string[]): Promise<string> =>
      client.error('ACL', 'DRYRUN', 'default', ...request);
    assert.equal(plain(await client.call('ACL', 'DRYRUN', 'default', 'client', 'id')), 'OK');
    assert.equal(await dryRun('nosuch', 'a'), "ERR Command 'nosuch' not found");
    assert.equal(await dryRun('client', 'nosuch'), "ERR Command 'client' not found");
    assert.equal(await dryRun('memory', 'nosuch', 'a'), "ERR Command 'memory' not found");
    assert.equal(await dryRun('client|id'), "ERR Command 'client|id' not found");
    assert.equal(await dryRun('GET', 'a', 'b'), "ERR wrong number of arguments for 'get' command");
    assert.equal(await dryRun('client', 'id', 'x'), "ERR wrong number of arguments for 'client|id' command");
  });

  it('ACL LOG keeps failed authentications, equal ones as one', async () => {
    const world = await createWorld({ settings: [['requirepass', 'x']] });
    const client = await world.connect();
    await client.send('AUTH wrong', 'AUTH wrong', 'HELLO 3 AUTH nobody x', 'AUTH x');
    await world.time.pass(1500);
    const log = plain(await client.call('ACL', 'LOG')) as unknown[][];
    assert.equal(log.length, 2);
    assert.deepEqual(log[1]?.slice(0, 12), [
      'count',
      2,
      'reason',
      'auth',
      'context',
      'toplevel',
      'object',
      'AUTH',
      'username',
      'default',
      'age-seconds',
      '1.5',
    ]);
    assert.equal(plain(await client.call('ACL', 'LOG', 'RESET')), 'OK');
    assert.deepEqual(await client.call('ACL', 'LOG', '5'), []);
  });

  it('WAIT and WAITAOF wait for the earlier writes of the connection first', async () => {
    const world = await createWorld();
    const client = await world.connect();
    world.cluster.isHolding = true;
    await client.send('SET a 1', 'WAIT 2 1000', 'WAITAOF 1 2 0');
    assert.equal(world.cluster.waits.length, 0);
    world.cluster.release();
    await world.time.settle();
    assert.equal(client.take(), '+OK\r\n:2\r\n*2\r\n:1\r\n:2\r\n');
    assert.deepEqual(
      world.cluster.waits.map(({ count, timeoutMs }) => [count, timeoutMs]),
      [
        [2, 1000],
        [2, 0],
      ],
    );
    assert.equal(await client.error('WAIT', '0', '-1'), 'ERR timeout is negative');
    assert.equal(await client.error('WAIT', 'x', '0'), 'ERR value is not an integer or out of range');
    assert.equal(await client.error('WAITAOF', '2', '0', '0'), 'ERR value is out of range, value must between 0 and 1');
    for (const count of ['-1', 'x']) {
      assert.equal(await client.error('WAITAOF', '0', count, '0'), 'ERR value is out of range, must be positive');
    }
  });

  it('WAIT and WAITAOF read whole 64-bit integers, and refuse a wait that would end beyond them', async () => {
    const world = await createWorld();
    const client = await world.connect();
    const int64Max = '9223372036854775807';
    assert.equal(await client.error('WAIT', int64Max, '-1'), 'ERR timeout is negative');
    assert.equal(
      await client.error('WAIT', '9223372036854775808', '-1'),
      'ERR value is not an integer or out of range',
    );
    assert.equal(await client.error('WAIT', '0', int64Max), 'ERR timeout is out of range');
    assert.equal(await client.error('WAITAOF', '0', '0', int64Max), 'ERR timeout is out of range');
    await client.call('WAIT', '0', '9223370000000000000');
    assert.equal(world.cluster.waits.at(-1)?.timeoutMs, Number.MAX_SAFE_INTEGER);
  });
});
