/** What follows from a row's grammar, and which rows are refused. The derived facts of Redis's rows were compared with COMMAND INFO. */
import assert from 'node:assert/strict';
import { type CommandDefinition, commandsByName, defineCommand, deriveSpec } from '../../src/commands/define.ts';
import { after, block, integer, key, many, oneOf, optional, text, token } from '../../src/commands/grammar.ts';
import { dataCommandsByName } from '../../src/commands/index.ts';
import { syntaxOf } from '../../src/commands/syntax.ts';

function row(changes: Partial<CommandDefinition>): CommandDefinition {
  return {
    name: 'TEST',
    group: 'string',
    since: '1.0.0',
    summary: 'Tests.',
    complexity: 'O(1)',
    flags: ['readonly'],
    args: [],
    ...changes,
  };
}

function facts(name: string): unknown {
  const spec = dataCommandsByName.get(name);
  assert.ok(spec !== undefined);
  return [spec.arity, spec.keys.first, spec.keys.last, spec.keys.step];
}

describe('rows', () => {
  it('get arity and key positions from their grammar', () => {
    assert.deepEqual(facts('GET'), [2, 1, 1, 1]);
    assert.deepEqual(facts('SET'), [-3, 1, 1, 1]);
    assert.deepEqual(facts('MSET'), [-3, 1, -1, 2]);
    assert.deepEqual(facts('DEL'), [-2, 1, -1, 1]);
    assert.deepEqual(facts('BITOP'), [-4, 2, -1, 1]);
    assert.deepEqual(facts('RENAME'), [3, 1, 2, 1]);
    assert.deepEqual(facts('COPY'), [-3, 1, 2, 1]);
    assert.deepEqual(facts('LCS'), [-3, 1, 2, 1]);
    assert.deepEqual(facts('SCAN'), [-2, 0, 0, 0]);
    assert.deepEqual(facts('FLUSHALL'), [-1, 0, 0, 0]);
    assert.deepEqual(facts('OBJECT'), [-2, 0, 0, 0]);
    assert.deepEqual(facts('OBJECT|ENCODING'), [3, 2, 2, 1]);
    assert.deepEqual(facts('KAHUNA.LOCK|ACQUIRE'), [-6, 2, 2, 1]);
  });

  it('find movable keys behind their number', () => {
    const keysOf = (name: string, ...words: string[]): readonly number[] | undefined =>
      dataCommandsByName.get(name)?.keysOf?.(words.map((word) => Buffer.from(word)));
    assert.deepEqual(keysOf('MSETEX', 'MSETEX', '2', 'a', '1', 'b', '2', 'EX', '5'), [2, 4]);
    assert.deepEqual(keysOf('KAHUNA.LOCK|MACQUIRE', 'KAHUNA.LOCK', 'MACQUIRE', '2', 'a', 'b', 'me', 'PX', '5'), [3, 4]);
    assert.deepEqual(keysOf('MSETEX', 'MSETEX', '9', 'a', '1'), []);
    assert.deepEqual(keysOf('MSETEX', 'MSETEX', '2', 'a', '1', 'b'), []);
    assert.deepEqual(keysOf('MSETEX', 'MSETEX', 'x', 'a', '1'), []);
    assert.deepEqual(keysOf('MSETEX', 'MSETEX', '-1', 'a', '1'), []);
    const script = deriveSpec(
      row({ args: [text('script'), integer('numkeys'), optional(many(key())), optional(many(text('arg')))] }),
    );
    assert.deepEqual(script.keysOf?.(['EVAL', 'x', '2', 'a', 'b', 'c'].map((word) => Buffer.from(word))), [3, 4]);
    assert.equal(dataCommandsByName.get('MSETEX')?.flags.includes('movablekeys'), true);
    assert.equal(dataCommandsByName.get('GET')?.keysOf, null);
  });

  it('get ACL categories from flags and group', () => {
    assert.deepEqual(dataCommandsByName.get('GET')?.categories, ['string', 'read', 'fast']);
    assert.deepEqual(dataCommandsByName.get('KEYS')?.categories, ['keyspace', 'read', 'slow', 'dangerous']);
    assert.deepEqual(dataCommandsByName.get('OBJECT')?.categories, ['slow']);
    assert.deepEqual(dataCommandsByName.get('KAHUNA.LOCK|ACQUIRE')?.categories, [
      'kahuna',
      'write',
      'blocking',
      'slow',
    ]);
    assert.deepEqual(deriveSpec(row({ flags: ['admin'] })).categories, ['string', 'admin', 'dangerous', 'slow']);
  });

  it('are refused if they contradict themselves', () => {
    const refused: readonly (readonly [RegExp, Partial<CommandDefinition>])[] = [
      [/command name/, { name: 'get' }],
      [/version/, { since: '1.0' }],
      [/summary or complexity/, { summary: '' }],
      [/flag occurs twice/, { flags: ['readonly', 'readonly'] }],
      [/contradict/, { flags: ['readonly', 'write'] }],
      [/denyoom/, { flags: ['readonly', 'denyoom'] }],
      [/blocking/, { flags: ['write', 'blocking', 'fast'] }],
      [/neither reads nor writes/, { flags: [], args: [key()] }],
      [/must be declared/, { args: [optional(text('x')), key()] }],
      [/must be declared/, { args: [optional(key())] }],
      [/must be declared/, { args: [after('FROM', key())] }],
      [/must be declared/, { args: [many(key()), text('x')] }],
      [/must be declared/, { args: [key('a'), text('x'), many(key('b'))] }],
      [/must be declared/, { args: [many(block('b', optional(text('x')), key()))] }],
      [/must be declared/, { args: [key('a'), key('b'), text('x'), key('c')] }],
      [/one name/, { args: [text('x'), text('x')] }],
      [/movable/, { flags: ['readonly', 'movablekeys'] }],
      [/may be missing/, { arity: -1, args: [key()] }],
      [/backwards/, { keys: { first: 2, last: 1, step: 1 }, args: [key(), text('x')] }],
      [/no token/, { args: [{ name: 'x', type: 'pure-token' }] }],
      [/wrong type/, { args: [{ name: 'x', type: 'oneof' }] }],
    ];
    for (const [reason, changes] of refused) assert.throws(() => deriveSpec(row(changes)), reason);
  });

  it('are refused if two have one name', () => {
    const one = defineCommand({ ...row({}), run: () => null });
    assert.throws(() => commandsByName([one, one]), /two commands are named TEST/);
  });

  it('read as syntax lines', () => {
    const lines = [...dataCommandsByName.values()].map(syntaxOf);
    assert.ok(lines.includes('MSET key value [key value ...]'));
    assert.ok(lines.includes('EXPIRE key seconds [NX | XX | GT | LT]'));
    assert.ok(lines.includes('BITOP <AND | OR | XOR | NOT> destkey key [key ...]'));
    assert.ok(lines.includes('BITCOUNT key [start end [BYTE | BIT]]'));
    assert.ok(lines.includes('KAHUNA.LOCK ACQUIRE resource owner PX ttl [WAIT milliseconds]'));
    assert.equal(
      syntaxOf(deriveSpec(row({ args: [optional(many(oneOf('x', token('A'), after('B', integer('n')))))] }))),
      'TEST [<A | B n> [<A | B n> ...]]',
    );
  });
});
