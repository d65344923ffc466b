/**
 * Whatever bytes the libraries are given, they answer or raise an error of Lua: no exception leaves a run, and the
 * engine goes on. What is packed is unpacked as it was.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ScriptHost } from '../../src/scripting/host.ts';
import { createTestHost, encode, ScriptClient } from './script-client.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);

describe(`library functions stand any input (SEED=${seed})`, () => {
  let client: ScriptClient;
  let host: ScriptHost;

  before(async () => {
    host = await createTestHost({ instructionsMax: 5_000_000 });
    client = new ScriptClient(host);
  });

  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value).toString('latin1')),
    fc.string({ unit: fc.constantFrom(...'[]{}",:0123456789.eE+-truefalsnil\\u '), maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(...'bBhHlLiITfdscx<>!= 0123456789'), maxLength: 12 }),
    fc.string({ unit: fc.constantFrom(...'%*+-?[]()^$.abf01'), maxLength: 20 }),
  );

  it('bytes as data, formats, patterns and programs', () => {
    const script = `
      for i = 1, #ARGV do
        local a, b = ARGV[i], ARGV[i % #ARGV + 1]
        pcall(cjson.decode, a) pcall(cmsgpack.unpack, a) pcall(cmsgpack.unpack_one, a, #b) pcall(cmsgpack.unpack_limit, a, 3, 1)
        pcall(struct.unpack, a, b) pcall(struct.unpack, a, b, 2) pcall(struct.pack, a, 1, -2, b, 4, b) pcall(struct.size, a)
        pcall(string.find, b, a) pcall(string.match, b, a) pcall(string.gsub, b, a, b) pcall(string.format, a, 1, b, 2^40, -1)
        pcall(function() local n = 0 for x in string.gmatch(b, a) do n = n + 1 if n > 9 then break end end end)
        pcall(loadstring, a) pcall(redis.sha1hex, a) pcall(redis.error_reply, a) pcall(redis.status_reply, a) pcall(tonumber, a)
        pcall(bit.tohex, a, b) pcall(string.rep, a, #b) pcall(string.sub, a, #b, -#b) pcall(table.concat, {a, b}, a)
        pcall(cjson.encode, {a, [b] = a, {[a] = 1}}) pcall(cmsgpack.pack, {a, [b] = a}, a)
      end
      return #ARGV`;
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 8 }), (words) => {
        assert.equal(encode(client.eval(script, [], words)), `:${words.length}\r\n`);
      }),
      { seed, numRuns: 400 },
    );
  });

  it('error texts of any bytes are one line', () => {
    fc.assert(
      fc.property(bytes, (text) => {
        for (const script of [
          'error(ARGV[1])',
          'error({err=ARGV[1]})',
          'return {err=ARGV[1]}',
          'return {ok=ARGV[1]}',
          'return redis.error_reply(ARGV[1])',
        ]) {
          assert.match(encode(client.eval(script, [], [text])), /^[-+][^\r\n]*\r\n$/);
        }
      }),
      { seed, numRuns: 200 },
    );
  });

  it('JSON and MessagePack read back what they wrote', () => {
    const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.boolean(),
        fc.integer(),
        fc.string({ maxLength: 8 }),
        fc.array(tie('value'), { minLength: 1, maxLength: 4 }),
        fc.dictionary(fc.string({ minLength: 1, maxLength: 5 }), tie('value'), { maxKeys: 4, noNullPrototype: true }),
      ),
    })).value;
    fc.assert(
      fc.property(value, (data) => {
        const text = Buffer.from(JSON.stringify(data)).toString('latin1');
        const reply = client.eval(
          'local v = cjson.decode(ARGV[1]) return {cjson.encode(v), cjson.encode(cmsgpack.unpack(cmsgpack.pack(v)))}',
          [],
          [text],
        ) as Buffer[];
        for (const part of reply) assert.deepEqual(normal(JSON.parse(part.toString('utf8'))), normal(data));
      }),
      { seed, numRuns: 300 },
    );
  });

  it('arguments beyond the memory limit are refused, and the next script runs', async () => {
    const small = new ScriptClient(await createTestHost({ memoryBytesMax: 12 * 1024 * 1024 }));
    const large = 'x'.repeat(30 * 1024 * 1024);
    for (const [keys, args] of [
      [[], [large]],
      [[large], []],
      [[], ['y'.repeat(60_000), large]],
    ] as const) {
      assert.match(encode(small.eval('return 1', keys, args)), /^-ERR script exceeded the memory limit/);
      assert.equal(encode(small.eval('return 1')), ':1\r\n');
    }
    assert.match(
      encode(
        small.eval(
          'return {ARGV[1],ARGV[2]}',
          [],
          Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(60_000, 'z')),
        ),
      ),
      /^-ERR script exceeded the memory limit/,
    );
    assert.equal(encode(small.eval('return 1')), ':1\r\n');
  });
});

/** Lua has one kind of empty table, and keys that look like numbers may order a table otherwise. */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, item]) => [name, normal(item)] as const);
  return entries.length === 0 ? {} : Object.fromEntries(entries);
}
