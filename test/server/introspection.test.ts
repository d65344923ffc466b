import assert from 'node:assert/strict';
import { memoryNode } from '../doubles/memory-cluster.ts';
import { createWorld, plain, type World } from './harness.ts';

describe('COMMAND', () => {
  it('COUNT, LIST and INFO agree on the table', async () => {
    const world = await createWorld();
    const client = await world.connect();
    const count = await client.call('COMMAND', 'COUNT');
    const all = plain(await client.call('COMMAND'));
    assert.ok(Array.isArray(all));
    assert.equal(all.length, count);
    const names = plain(await client.call('COMMAND', 'LIST'));
    assert.ok(
      Array.isArray(names) && names.includes('get') && names.includes('client|list') && names.length > all.length,
    );
    assert.ok(!names.some((name) => String(name).startsWith('%')), 'internal rows are hidden');
  });

  it('INFO describes a command as Redis does', async () => {
    const client = await (await createWorld()).connect();
    assert.deepEqual(plain(await client.call('COMMAND', 'INFO', 'get', 'nope', 'client|id')), [
      [
        'get',
        2,
        ['readonly', 'fast'],
        1,
        1,
        1,
        ['@read', '@string', '@fast'],
        [],
        [
          [
            'flags',
            ['RO', 'access'],
            'begin_search',
            ['type', 'index', 'spec', ['index', 1]],
            'find_keys',
            ['type', 'range', 'spec', ['lastkey', 0, 'keystep', 1, 'limit', 0]],
          ],
        ],
        [],
      ],
      null,
      ['client|id', 2, ['noscript', 'loading', 'stale'], 0, 0, 0, ['@slow', '@connection'], [], [], []],
    ]);
  });

  it('DOCS carries what redis-cli needs for its hints', async () => {
    const client = await (await createWorld()).connect();
    await client.call('HELLO', '3');
    const docs = plain(await client.call('COMMAND', 'DOCS', 'ping', 'client|id', 'nope'));
    assert.deepEqual(docs, [
      [
        'ping',
        [
          ['summary', 'Ping the server'],
          ['since', '1.0.0'],
          ['group', 'connection'],
          ['complexity', 'O(1)'],
          [
            'arguments',
            [
              [
                ['name', 'message'],
                ['type', 'string'],
                ['display_text', 'message'],
                ['flags', ['optional']],
              ],
            ],
          ],
        ],
      ],
      [
        'client|id',
        [
          ['summary', 'Returns the client ID for the current connection'],
          ['since', '5.0.0'],
          ['group', 'connection'],
          ['complexity', 'O(1)'],
        ],
      ],
    ]);
  });

  it('LIST filters', async () => {
    const client = await (await createWorld()).connect();
    assert.deepEqual(plain(await client.call('COMMAND', 'LIST', 'FILTERBY', 'PATTERN', 'WA*')), [
      'wait',
      'waitaof',
      'watch',
    ]);
    assert.deepEqual(plain(await client.call('COMMAND', 'LIST', 'FILTERBY', 'MODULE', 'x')), []);
    const admin = plain(await client.call('COMMAND', 'LIST', 'FILTERBY', 'ACLCAT', 'transaction'));
    assert.deepEqual(admin, ['discard', 'exec', 'multi', 'unwatch', 'watch']);
    assert.equal(await client.error('COMMAND', 'LIST', 'FILTERBY', 'x', 'y'), 'ERR syntax error');
  });

  it('GETKEYS finds keys by position and by count', async () => {
    const client = await (await createWorld()).connect();
    assert.deepEqual(plain(await client.call('COMMAND', 'GETKEYS', 'BLPOP', 'a', 'b', '0')), ['a', 'b']);
    assert.deepEqual(plain(await client.call('COMMAND', 'GETKEYS', 'EVAL', 'x', '2', 'a', 'b', 'c')), ['a', 'b']);
    assert.deepEqual(plain(await client.call('COMMAND', 'GETKEYS', 'EVAL', 'x', '2', 'a')), []);
    assert.equal(
      await client.error('COMMAND', 'GETKEYS', 'MSETEX', '2', 'a', '1'),
      'ERR Invalid arguments specified for command',
    );
    assert.equal(await client.error('COMMAND', 'GETKEYS', 'CLIENT', 'NOPE'), 'ERR Invalid command specified');
    assert.equal(await client.error('COMMAND', 'GETKEYS', 'NOPE', 'a'), 'ERR Invalid command specified');
    assert.equal(await client.error('COMMAND', 'GETKEYS', 'PING', 'a'), 'ERR The command has no key arguments');
    assert.equal(
      await client.error('COMMAND', 'GETKEYS', 'GET', 'a', 'b'),
      'ERR Invalid number of arguments specified for command',
    );
  });

  it('GETKEYSANDFLAGS tells what happens to each key, by the arguments where they decide', async () => {
    const client = await (await createWorld()).connect();
    const uses = async (...request: readonly string[]): Promise<unknown> =>
      plain(await client.call('COMMAND', 'GETKEYSANDFLAGS', ...request));
    const readsAndUpdates = ['RW', 'access', 'update'];
    assert.deepEqual(await uses('GET', 'a'), [['a', ['RO', 'access']]]);
    assert.deepEqual(await uses('DEL', 'a', 'b'), [
      ['a', readsAndUpdates],
      ['b', readsAndUpdates],
    ]);
    assert.deepEqual(await uses('COPY', 'a', 'b'), [
      ['a', ['RO']],
      ['b', ['OW', 'update']],
    ]);
    assert.deepEqual(await uses('WATCH', 'a'), [['a', ['RO']]]);
  });

  it('INFO specifies keys by use and by count, and DOCS refers to them', async () => {
    const client = await (await createWorld()).connect();
    const specsOf = async (name: string): Promise<unknown> => {
      const [row] = plain(await client.call('COMMAND', 'INFO', name)) as readonly (readonly unknown[])[];
      return row?.[8];
    };
    const range = (flags: readonly string[], index: number): unknown => [
      ...['notes', 'a remark', 'flags', flags, 'begin_search', ['type', 'index', 'spec', ['index', index]]],
      ...['find_keys', ['type', 'range', 'spec', ['lastkey', 0, 'keystep', 1, 'limit', 0]]],
    ];
    assert.deepEqual(await specsOf('copy'), [range(['RO', 'access', 'variable_flags'], 1), range(['OW', 'update'], 2)]);
    assert.deepEqual(await specsOf('eval'), [
      [
        ...['flags', ['RO', 'access'], 'begin_search', ['type', 'index', 'spec', ['index', 2]]],
        ...['find_keys', ['type', 'keynum', 'spec', ['keynumidx', 0, 'firstkey', 1, 'keystep', 1]]],
      ],
    ]);
    await client.send('HELLO 3');
    assert.match(await client.send('COMMAND INFO get'), /~0\r\n~1\r\n%3\r\n[^]*~0\r\n$/, 'sets in RESP3');
    const docs = JSON.stringify(plain(await client.call('COMMAND', 'DOCS', 'copy')));
    assert.match(docs, /"source".*"key_spec_index",0.*"destination".*"key_spec_index",1/);
  });

  it('finds a command in any spelling, and remembers a bounded number of them', async () => {
    const client = await (await createWorld()).connect();
    const name = 'kahuna.explain';
    for (let i = 0; i < 6000; i++) {
      const spelled = [...name].map((letter, bit) => ((i >> bit) & 1 ? letter.toUpperCase() : letter)).join('');
      assert.ok(Array.isArray(plain(await client.call(spelled, 'ping'))));
    }
  });
});

describe('CLUSTER', () => {
  /** Three nodes, two partitions: n1 leads the first, n2 the second; n3 follows in both and is not connected. */
  async function threeNodes(): Promise<World> {
    const world = await createWorld({ values: { 'cluster-enabled': true } });
    world.cluster.nodeList = [
      memoryNode(1, true),
      memoryNode(2, false),
      { ...memoryNode(3, false), isConnected: false },
    ];
    world.cluster.partitionList = [
      { id: 1, firstSlot: 0, lastSlot: 8191, replicas: [1, 2, 3], leader: 1, term: 4 },
      { id: 2, firstSlot: 8192, lastSlot: 16_383, replicas: [1, 2, 3], leader: 2, term: 5 },
    ];
    return world;
  }
  const hex = (id: number): string => String(id).repeat(40);

  it('SLOTS lists ranges with the leader first', async () => {
    const client = await (await threeNodes()).connect();
    const node = (id: number): unknown => ['10.0.0.1', 7000 + id, hex(id), []];
    assert.deepEqual(plain(await client.call('CLUSTER', 'SLOTS')), [
      [0, 8191, node(1), node(2), node(3)],
      [8192, 16_383, node(2), node(1), node(3)],
    ]);
  });

  it('SHARDS tells roles and health', async () => {
    const client = await (await threeNodes()).connect();
    await client.call('HELLO', '3');
    const [, second] = plain(await client.call('CLUSTER', 'SHARDS')) as [string, unknown][][];
    assert.deepEqual(second?.[0], ['slots', [8192, 16_383]]);
    const nodes = second[1]?.[1] as [string, unknown][][];
    const roles = nodes.map((node) => [node[0]?.[1], node[4]?.[1], node[6]?.[1]]);
    assert.deepEqual(roles, [
      [hex(2), 'master', 'online'],
      [hex(1), 'replica', 'online'],
      [hex(3), 'replica', 'fail'],
    ]);
  });

  it('NODES shows leaders as masters of their slots, the others as replicas', async () => {
    const client = await (await threeNodes()).connect();
    assert.equal(
      plain(await client.call('CLUSTER', 'NODES')),
      `${hex(1)} 10.0.0.1:7001@7101 myself,master - 0 0 4 connected 0-8191\n` +
        `${hex(2)} 10.0.0.1:7002@7102 master - 0 0 5 connected 8192-16383\n` +
        `${hex(3)} 10.0.0.1:7003@7103 slave,fail? ${hex(1)} 0 0 0 disconnected\n`,
    );
    assert.deepEqual(plain(await client.call('CLUSTER', 'REPLICAS', hex(2))), []);
    assert.equal(((await client.call('CLUSTER', 'REPLICAS', hex(1))) as unknown[]).length, 1);
    assert.equal(await client.error('CLUSTER', 'REPLICAS', 'x'), 'ERR Unknown node x');
    assert.match(await client.error('CLUSTER', 'REPLICAS', hex(3)), /not a master/);
  });

  it('INFO says fail while a partition has no leader', async () => {
    const world = await threeNodes();
    const client = await world.connect();
    assert.match(
      String(plain(await client.call('CLUSTER', 'INFO'))),
      /^cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\n.*cluster_known_nodes:3\r\ncluster_size:2\r\ncluster_current_epoch:5/s,
    );
    world.cluster.partitionList = world.cluster.partitionList.map((partition) => ({
      ...partition,
      leader: partition.id === 2 ? 0 : 1,
    }));
    assert.match(String(plain(await client.call('CLUSTER', 'INFO'))), /^cluster_state:fail\r\n/);
    assert.match(await client.send('INFO server cluster'), /redis_mode:cluster.*cluster_enabled:1/s);
  });

  it('KEYSLOT, MYID and MYSHARDID', async () => {
    const client = await (await threeNodes()).connect();
    assert.equal(await client.call('CLUSTER', 'KEYSLOT', '123456789'), 12_739);
    assert.equal(await client.call('CLUSTER', 'KEYSLOT', 'x{123456789}y'), 12_739);
    assert.equal(plain(await client.call('CLUSTER', 'MYID')), hex(1));
    assert.match(String(plain(await client.call('CLUSTER', 'MYSHARDID'))), /^[0-9a-f]{40}$/);
    assert.match(await client.error('CLUSTER', 'ADDSLOTS', '1'), /^ERR CLUSTER ADDSLOTS is not supported/);
    assert.equal(await client.send('READONLY', 'READWRITE', 'ASKING'), '+OK\r\n+OK\r\n+OK\r\n');
  });

  it('KAHUNA.EXPLAIN tells where a command would run, without running it', async () => {
    const world = await threeNodes();
    const client = await world.connect();
    await client.call('HELLO', '3');
    // The slot of a is 15495, that of b 3300.
    assert.deepEqual(plain(await client.call('KAHUNA.EXPLAIN', 'SET', 'a', '1')), [
      ['command', 'set'],
      ['type', 'write'],
      ['keys', 1],
      ['slot', 15_495],
      ['partition', 2],
      ['leader', 'n2'],
      ['path', 'forward'],
      ['partitions', [2]],
    ]);
    const path = async (...request: string[]): Promise<unknown> =>
      (plain(await client.call('KAHUNA.EXPLAIN', ...request)) as [string, unknown][])[6]?.[1];
    assert.equal(await path('GET', 'b'), 'local');
    assert.equal(await path('DEL', 'a', 'b'), 'several');
    assert.equal(await path('PING'), 'session');
    assert.equal(await path('CLIENT', 'ID'), 'session');
    assert.equal(await client.error('KAHUNA.EXPLAIN', 'GET'), "ERR wrong number of arguments for 'get' command");
    assert.match(await client.error('KAHUNA.EXPLAIN', 'NOPE'), /^ERR unknown command/);
    assert.equal(world.cluster.submitted, 0);
  });

  it('KAHUNA.CLUSTER shows nodes and partitions, KAHUNA.TIME the time behind earlier writes', async () => {
    const world = await threeNodes();
    const client = await world.connect();
    assert.equal(((await client.call('KAHUNA.CLUSTER', 'NODES')) as unknown[]).length, 3);
    assert.deepEqual((plain(await client.call('KAHUNA.CLUSTER', 'PARTITIONS')) as unknown[])[1], [
      'id',
      2,
      'first-slot',
      8192,
      'last-slot',
      16_383,
      'replicas',
      ['n1', 'n2', 'n3'],
      'leader',
      'n2',
      'term',
      5,
    ]);
    world.cluster.isHolding = true;
    assert.equal(await client.send('SET a 1', 'KAHUNA.TIME'), '');
    world.cluster.release();
    await world.time.settle();
    assert.equal(client.take(), '+OK\r\n:1001\r\n');
  });
});
