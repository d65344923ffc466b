/** The rows that say how their keys are used: as a real Redis 7.0 reports it (COMMAND GETKEYSANDFLAGS, COMMAND INFO). */
import assert from 'node:assert/strict';

import { dataCommandsByName as rows } from '../../src/commands/index.ts';
import type { KeyUse } from '../../src/commands/key-uses.ts';

function useOf(request: string): KeyUse {
  const words = request.split(' ');
  const row = rows.get(words[0] ?? '');
  assert.ok(row !== undefined, request);
  return row.keyUseOf?.(words.map((word) => Buffer.from(word))) ?? row.keyUses[0];
}

describe('how keys are used', () => {
  it('follows from the arguments of SET and BITFIELD', () => {
    assert.deepEqual(useOf('SET a b'), ['OW', 'update']);
    assert.deepEqual(useOf('SET a get'), ['OW', 'update']);
    assert.deepEqual(useOf('SET a b EX 10 get'), ['RW', 'access', 'update']);
    assert.deepEqual(useOf('BITFIELD a'), ['RO', 'access']);
    assert.deepEqual(useOf('BITFIELD a get u8 0 OVERFLOW SAT GET u8 0'), ['RO', 'access']);
    for (const operation of ['SET u8 0 1', 'INCRBY u8 0 1', 'GET u8', 'OVERFLOW', 'FOO']) {
      assert.deepEqual(useOf(`BITFIELD a GET u8 0 ${operation}`), ['RW', 'access', 'update'], operation);
    }
  });

  it('differs between the first key and the others where one is a destination', () => {
    const usesOf = (name: string): unknown => rows.get(name)?.keyUses;
    assert.deepEqual(usesOf('COPY'), [
      ['RO', 'access'],
      ['OW', 'update'],
    ]);
    assert.deepEqual(usesOf('RENAME'), [
      ['RW', 'access', 'delete'],
      ['OW', 'update'],
    ]);
    assert.deepEqual(usesOf('RENAMENX'), [
      ['RW', 'access', 'delete'],
      ['OW', 'insert'],
    ]);
    assert.deepEqual(usesOf('BITOP'), [
      ['OW', 'update'],
      ['RO', 'access'],
    ]);
  });

  it('is what a read or a write usually does where a row does not say', () => {
    assert.deepEqual(useOf('GET a'), ['RO', 'access']);
    assert.deepEqual(useOf('INCR a'), ['RW', 'access', 'update']);
  });
});
