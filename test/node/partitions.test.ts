/** Plain commands and scripts on a whole node with several partitions, as a client sees them. */
import { strict as assert } from 'node:assert';
import { notAcrossPartitions } from '../../src/resp/errors.ts';
import { ErrorReply, type Reply } from '../../src/resp/reply.ts';
import { SmallCluster, type TestClient } from './small-cluster.ts';

const KEYS = ['a', 'b', 'c', 'd', 'e'];

async function open(): Promise<TestClient> {
  const world = new SmallCluster({ values: { partitions: 8 } });
  await world.ready(await world.start('n1'));
  const client = await world.client('n1');
  await client.call('MSET', ...KEYS.flatMap((key) => [key, 'x']));
  return client;
}

function textOf(reply: Reply): string {
  return reply instanceof ErrorReply ? reply.text : JSON.stringify(reply);
}

describe('a node with several partitions', () => {
  for (const command of [`'DBSIZE'`, `'KEYS', '*'`, `'SCAN', '0'`, `'RANDOMKEY'`, `'FLUSHALL'`, `'FLUSHDB'`]) {
    it(`refuses what concerns all keys within a script: ${command}`, async () => {
      // It was answered by one partition for all, and a flush emptied that one.
      const client = await open();
      for (const keys of [[], ['a'], KEYS]) {
        const reply = textOf(await client.call('EVAL', `return redis.call(${command})`, String(keys.length), ...keys));
        assert.ok(reply.startsWith(notAcrossPartitions().text), reply);
        const caught = `local r = redis.pcall(${command}) return type(r) == 'table' and r.err ~= nil`;
        assert.equal(await client.call('EVAL', caught, String(keys.length), ...keys), 1);
      }
      assert.equal(await client.call('DBSIZE'), KEYS.length);
      assert.deepEqual(
        await client.call('MGET', ...KEYS),
        KEYS.map(() => 'x'),
      );
    });
  }

  it('answers by themselves what it refuses within a script', async () => {
    const client = await open();
    assert.equal(await client.call('DBSIZE'), KEYS.length);
    assert.deepEqual([...((await client.call('KEYS', '*')) as string[])].sort(), KEYS);
    const random = await client.call('RANDOMKEY');
    assert.ok(typeof random === 'string' && KEYS.includes(random));
    assert.equal(textOf(await client.call('FLUSHALL')), '{"text":"OK"}');
    assert.equal(await client.call('DBSIZE'), 0);
  });
});
