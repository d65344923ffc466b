/**
 * Lua scripts: what lock libraries send, every conversion both ways, every way to fail. The texts are fixed, the keys
 * and arguments are drawn.
 */
import { createHash } from 'node:crypto';

import fc from 'fast-check';

import { integerText, key, list, value, weighted, words, type Words } from './arguments.ts';
import type { CommandGenerator } from './table.ts';

/** With two keys and two arguments in mind; most cope with fewer. */
export const SCRIPTS: readonly string[] = [
  // Locks, as the libraries send them.
  `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`,
  `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], 100000000) else return 0 end`,
  `local token = redis.call('get', KEYS[1]) if not token or token ~= ARGV[1] then return 0 end redis.call('del', KEYS[1]) return 1`,
  `for i, k in ipairs(KEYS) do if redis.call("exists", k) == 1 then return 0 end end for i, k in ipairs(KEYS) do redis.call("set", k, ARGV[1], "PX", 300000000) end return #KEYS`,
  `local n = 0 for i, k in ipairs(KEYS) do if redis.call("get", k) == ARGV[1] then redis.pcall("del", k) n = n + 1 end end return n`,
  // Lua to reply.
  `return 1`,
  `return -7.9`,
  `return 1e15`,
  `return 'plain'`,
  `return ''`,
  `return nil`,
  `return true`,
  `return false`,
  `return {}`,
  `return {1, 2.7, 'three', true, false, {4, {5}}}`,
  `return {1, nil, 3}`,
  `return {1, false, 3}`,
  `return {ok = 'FINE'}`,
  `return {err = 'MY own error'}`,
  `return {err = 'noprefix'}`,
  `return {ok = 'two\\r\\nlines'}`,
  `return redis.status_reply('STATUS')`,
  `return redis.error_reply('ERR from script')`,
  `return redis.error_reply('MYCODE from script')`,
  `return redis.error_reply('-DASH first')`,
  `return {KEYS, ARGV}`,
  `return {#KEYS, #ARGV, KEYS[1], ARGV[2]}`,
  `return {a = 1, b = 2}`,
  `return {1, 2, a = 3}`,
  `return function() end`,
  `redis.setresp(3) return {double = 3.5}`,
  `redis.setresp(3) return {map = {}}`,
  `redis.setresp(3) return true`,
  `redis.setresp(3) return redis.call('get', KEYS[1] or 'a')`,
  `return {double = 3.25}`,
  `return {big_number = '1234567890123456789012'}`,
  `redis.setresp(4)`,
  `return {verbatim_string = {format = 'txt', string = 'hi'}}`,
  // Reply to Lua.
  `local r = redis.call('get', KEYS[1]) return {type(r), tostring(r)}`,
  `local r = redis.call('set', KEYS[1], ARGV[1]) return {type(r), r.ok}`,
  `local r = redis.pcall('incr', KEYS[1]) if type(r) == 'table' then return {'err', r.err} end return {type(r), r}`,
  `local r = redis.call('mget', KEYS[1], 'nokey', KEYS[1]) return {type(r), #r, r[1], r[2], type(r[2])}`,
  `return redis.call('ping')`,
  `return redis.call('echo', ARGV[1] or 'x')`,
  `return redis.call('incrby', KEYS[1], 3)`,
  `return redis.call('set', KEYS[1], 20000.0)`,
  `redis.call('set', KEYS[1], 3.14159265358979) return redis.call('get', KEYS[1])`,
  `redis.call('set', KEYS[1], 1e20) return redis.call('get', KEYS[1])`,
  `return redis.call('incrbyfloat', KEYS[1], 0.5)`,
  `return redis.call('append', KEYS[1], 'x\\0y')`,
  `return redis.call('strlen', KEYS[1])`,
  `return {redis.call('ttl', KEYS[1]), redis.call('exists', KEYS[1])}`,
  `return redis.call('type', KEYS[1])`,
  `local t = redis.call('type', KEYS[1]) return {type(t), t.ok}`,
  `return redis.call('getset', KEYS[1], ARGV[1] or 'z')`,
  `return redis.call('set', KEYS[1], 'v', 'NX')`,
  `return redis.call('set', KEYS[1], 'v', 'GET')`,
  `return redis.call('bitfield', KEYS[1], 'OVERFLOW', 'FAIL', 'INCRBY', 'u2', 0, 3)`,
  // Writes of keys that were not declared, several writes, reads of own writes.
  `redis.call('set', 'b', 'undeclared') return redis.call('get', 'b')`,
  `for i = 1, 5 do redis.call('incr', KEYS[1] or 'c') end return redis.call('get', KEYS[1] or 'c')`,
  `redis.call('mset', 'a', '1', 'b', '2') redis.call('del', 'a') return {redis.call('exists', 'a'), redis.call('exists', 'b')}`,
  `local n = redis.call('dbsize') redis.call('flushdb') return n`,
  `redis.call('select', 1) redis.call('set', 'c', 'in one') return redis.call('get', 'c')`,
  `redis.call('rename', KEYS[1], 'd') return redis.call('get', 'd')`,
  // Failures: a write before the failure stays, as in Redis.
  `redis.call('set', KEYS[1], 'before') return redis.call('incr', KEYS[1])`,
  `redis.call('set', KEYS[1], 'kept') error('own error')`,
  `error({err = 'TABLE as error'})`,
  `error('plain')`,
  `error()`,
  `return redis.call('nosuchcommand', 1)`,
  `return redis.pcall('nosuchcommand', 1)`,
  `return redis.call('get')`,
  `return redis.pcall('get')`,
  `return redis.call()`,
  `return redis.pcall()`,
  `return redis.call('get', {})`,
  `return redis.call('get', nil)`,
  `return redis.call('set', KEYS[1], true)`,
  `return redis.call('incr', KEYS[1], 'too', 'many')`,
  `return redis.call('multi')`,
  `return redis.call('watch', 'a')`,
  `return redis.call('subscribe', 'a')`,
  `return redis.call('eval', 'return 1', 0)`,
  `return redis.call('script', 'load', 'return 1')`,
  `return redis.call('hello', '3')`,
  `return redis.call('auth', 'x')`,
  `local ok, err = pcall(redis.call, 'incr', KEYS[1]) if ok then return 'ok' end return type(err)`,
  `local ok, err = pcall(function() return redis.call('nosuch') end) return {tostring(ok), type(err), err.err}`,
  `return redis.pcall('set', KEYS[1], 'v', 'EX', 'abc')`,
  `return redis.call('set', KEYS[1], 'v', 'EX', 'abc')`,
  `return nosuchglobal`,
  `newglobal = 1`,
  `KEYS = nil return 1`,
  `local x = nil return x.y`,
  `return 1 + {}`,
  `return 'a' < 1`,
  `this is not lua`,
  `return`,
  ``,
  `return "unfinished`,
  `if true then return 1`,
  // The sandbox and the library.
  `return {type(os), type(io), type(require), type(dofile), type(loadfile), type(loadstring), type(print), type(debug)}`,
  `return {type(string), type(table), type(math), type(coroutine), type(redis), type(_G)}`,
  `return redis.sha1hex('')`,
  `return redis.sha1hex(ARGV[1] or 'abc')`,
  `return redis.sha1hex()`,
  `redis.log(redis.LOG_NOTICE, 'from a test') return redis.LOG_WARNING`,
  `redis.log('x')`,
  `return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}`,
  `redis.foo = 1`,
  `string.len = nil`,
  `getmetatable('').__index = nil return 1`,
  `setmetatable(_G, nil)`,
  `return redis.replicate_commands()`,
  `redis.set_repl(redis.REPL_ALL) return 1`,
  `redis.breakpoint() return 1`,
  `return tostring(redis.pcall('set', KEYS[1], 'v') == nil)`,
  `return tostring(10 / 3)`,
  `return {tostring(1e15), tostring(2^53), tostring(-0), tostring(1/0), tostring(3)}`,
  `return {string.format('%d %5.2f %s %q', 3, 2.5, 'x', 'y')}`,
  `return {string.byte('\\0\\255', 1, 2)}`,
  `return {table.concat({1, 2, 3}, ','), unpack({1, 2, 3}, 2, 3)}`,
  `return {select('#', 1, 2), select(2, 'a', 'b')}`,
  `return {tonumber('0x10'), tonumber('  12  '), tonumber('1e2'), tostring(tonumber('x'))}`,
  `return {string.gsub('hello', 'l', 'L')}`,
  `return {string.find('hello', 'l+')}`,
  `local s = 0 for w in string.gmatch('1 2 3', '%d') do s = s + w end return s`,
  `return {math.floor(3.7), math.ceil(3.2), math.max(1, 5), math.abs(-2)}`,
  `local t = {3, 1, 2} table.sort(t) return t`,
  `local t = {} for i = 1, 300 do t[i] = i end return t`,
  `return string.rep('x', 5000)`,
  `local c = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) return {c(), c()}`,
  // Shebangs.
  `#!lua\nreturn 1`,
  `#!lua flags=no-writes\nreturn redis.call('get', KEYS[1] or 'a')`,
  `#!lua flags=no-writes\nreturn redis.call('set', KEYS[1] or 'a', '1')`,
  `#!lua flags=allow-oom,no-cluster\nreturn 2`,
  `#!lua flags=nosuch\nreturn 1`,
  `#!lua name=x\nreturn 1`,
  `#!python\nreturn 1`,
];

/** Need libraries that a server may add later; used only if the server has them. */
export const LIBRARY_SCRIPTS: Readonly<Record<'cjson' | 'bit' | 'cmsgpack' | 'struct', readonly string[]>> = {
  cjson: [
    `return cjson.encode({1, 2, {a = 'b'}})`,
    `return cjson.encode({})`,
    `return cjson.decode('{"a": [1, 2.5, null, true]}').a`,
    `return cjson.encode(cjson.decode('{"n": 0.1, "s": "\\\\u00e9"}'))`,
    `return cjson.decode('not json')`,
    `return cjson.decode(ARGV[1] or '[]')`,
    `return cjson.encode(ARGV)`,
    `return tostring(cjson.decode('null') == cjson.null)`,
  ],
  bit: [
    `return {bit.band(255, 15), bit.bor(1, 2), bit.bxor(5, 1), bit.bnot(0), bit.lshift(1, 31), bit.rshift(-1, 28), bit.tohex(255, 4)}`,
    `return bit.band('x')`,
  ],
  cmsgpack: [
    `return cmsgpack.pack({1, 'two', {3.5, true}})`,
    `return cmsgpack.unpack(cmsgpack.pack({1, 'two', {3}}))`,
    `return cmsgpack.unpack(ARGV[1] or '\\1')`,
  ],
  struct: [
    `return {struct.unpack('>I2s', struct.pack('>I2s', 513, 'abc'))}`,
    `return struct.size('>bBhHiIlL')`,
    `return struct.pack('z', 'a')`,
  ],
};

/** Scripts whose replies hold a TTL. */
export const TIMED_SCRIPTS: ReadonlySet<string> = new Set(SCRIPTS.filter((script) => script.includes(`'ttl'`)));

/** Commands that concern all keys of a database: over several partitions they cannot be part of anything larger. */
export const ALL_KEYS_COMMANDS: ReadonlySet<string> = new Set([
  'KEYS',
  'SCAN',
  'RANDOMKEY',
  'DBSIZE',
  'FLUSHDB',
  'FLUSHALL',
]);

export function concernsAllKeys(script: string): boolean {
  return [...ALL_KEYS_COMMANDS].some((name) => script.includes(`'${name.toLowerCase()}'`));
}

export function sha1(script: string): string {
  return createHash('sha1').update(Buffer.from(script, 'latin1')).digest('hex');
}

export function scriptCommands(scripts: readonly string[]): readonly CommandGenerator[] {
  const script = fc.constantFrom(...scripts);
  const digest = weighted([
    [6, script.map(sha1)],
    [1, script.map((text) => sha1(text).toUpperCase())],
    [1, fc.constantFrom('', 'abc', 'f'.repeat(40), 'F'.repeat(41))],
  ]);
  const wellFormed: Words = weighted([
    [3, words('1', key, list(value, 0, 2))],
    [2, words('2', key, key, list(value, 0, 2))],
    [1, words('0', list(value, 0, 2))],
  ]);
  const call: Words = weighted([
    [12, wellFormed],
    [1, words(integerText, list(key, 0, 3))],
  ]);
  return [
    { name: 'EVAL', weight: 8, args: words(script, call) },
    { name: 'EVALSHA', weight: 3, args: words(digest, call) },
    { name: 'EVAL_RO', weight: 2, args: words(script, call) },
    { name: 'EVALSHA_RO', weight: 1, args: words(digest, call) },
    {
      name: 'SCRIPT',
      weight: 3,
      args: weighted([
        [6, words('LOAD', script)],
        [3, words('EXISTS', list(digest, 1, 3))],
        [1, words('FLUSH', fc.constantFrom('SYNC', 'ASYNC', 'NOW'))],
        [1, words(fc.constantFrom('FLUSH', 'KILL', 'HELP', 'EXISTS', 'LOAD', 'FOO', 'DEBUG'))],
        [1, words('DEBUG', 'no')],
      ]),
    },
  ];
}
