/**
 * Nothing leaks from one script to the next, whatever the first one tries: scripts that attack the sandbox run in random
 * order and number on one engine, and after each a fingerprint of everything that a script can see is compared with that
 * of a fresh engine.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ScriptHost } from '../../src/scripting/host.ts';
import { createTestHost, encode, ScriptClient } from './script-client.ts';

/** Walks over all that is reachable from the globals and uses a little of each library. */
const FINGERPRINT = `
  local lines, seen = {}, {}
  local function walk(path, value)
    local kind = type(value)
    if kind == 'table' then
      if seen[value] then lines[#lines+1] = path..' again' return end
      seen[value] = true
      local names = {}
      for k in pairs(value) do names[#names+1] = tostring(k) end
      table.sort(names)
      for _, k in ipairs(names) do walk(path..'.'..k, value[k] == nil and value[tonumber(k)] or value[k]) end
      walk(path..'(meta)', getmetatable(value))
    elseif kind == 'function' or kind == 'userdata' then lines[#lines+1] = path..' '..kind
    else lines[#lines+1] = path..' '..kind..' '..tostring(value) end
  end
  walk('_G', _G)
  walk('string', getmetatable(''))
  for _, value in ipairs({1, true, print_missing_is_error and 1 or 2}) do lines[#lines+1] = tostring(getmetatable(value)) end
  return lines
`.replace('print_missing_is_error and 1 or 2', '(function() return 1 end)()');

const USES = `
  local s = 'abc'
  return {s:upper(), s:rep(2), #s, ('%d'):format(5), tostring(cjson.encode_max_depth()), cjson.encode({1,{a=cjson.null}}),
    cjson.encode(0.1), tostring(cjson.encode_sparse_array()), cmsgpack.pack({1}), struct.pack('h', 7), bit.bor(1,2),
    tostring(math.random(1e6)), tostring(pcall(error, 'x')), #KEYS, #ARGV, tostring(rawget(_G, 'leak')), type(redis.call),
    tostring(redis.call('get', 'nokey')), table.concat({1,2}, ','), tostring(coroutine.running()), tostring(next({})),
    select('#', unpack({1,2})), tostring(loadstring('return 1')()), tostring(tonumber('10', 2)), string.sub('abc', 2)}
`;

const ATTACKS = [
  'leak = 1',
  '_G.leak = 1',
  "rawset(_G, 'leak', 1)",
  'getmetatable(_G).__newindex = nil',
  'setmetatable(_G, nil)',
  'setmetatable(_G, {__index={leak=1}})',
  "getmetatable('').__index = nil",
  "getmetatable('').leak = 1",
  "rawset(getmetatable(''), '__index', nil)",
  'string.upper = string.lower',
  "rawset(string, 'upper', nil)",
  'string.leak = 1',
  'table.insert(string, 1)',
  'table.insert(_G, 1, 1)',
  'table.insert(math, 1, 2)',
  'table.sort(redis)',
  'table.remove(string)',
  'table.foreach(_G, function(k, v) _G[k] = nil end)',
  'for k in pairs(_G) do _G[k] = nil end',
  'for k, v in pairs(string) do string[k] = 1 end',
  'for k, v in pairs(_G) do if type(v) == "table" then rawset(v, "leak", 1) end end',
  'local f, t = pairs(redis) t.call = nil t.leak = 1',
  'local f, t = pairs(_G) t.redis = nil rawset(t, "leak", 1)',
  'local k, v = next(_G) v.leak = 1',
  'redis.call = nil',
  "redis['call'] = print",
  'redis = {}',
  'cjson.encode_max_depth(3)',
  'cjson.encode_number_precision(3)',
  'cjson.encode_sparse_array(true, 1, 1)',
  'cjson.decode_invalid_numbers(false)',
  "cjson.encode_invalid_numbers('null')",
  'cjson.new().encode_max_depth(1)',
  'cjson.null.x = 1',
  'cjson.encode = nil',
  'cjson.encode_keep_buffer(false)',
  'math.randomseed(1)',
  'math.random()',
  'redis.setresp(3)',
  'redis.set_repl(0)',
  'redis.replicate_commands()',
  'KEYS = 1',
  'KEYS.leak = 1',
  'ARGV[1] = 1',
  "setmetatable(KEYS, {__index=function() return 'leak' end})",
  'coroutine.wrap(function() leak = 1 end)()',
  'coroutine.wrap(function() coroutine.yield() end)()',
  "collectgarbage('stop')",
  "collectgarbage('setpause', 1)",
  'loadstring("leak = 1")()',
  'load(function() return nil end)',
  'pcall(loadstring("leak = 1"))',
  "error({err='E', leak=1})",
  "error(setmetatable({}, {__tostring=function() return 'x' end}))",
  "error(setmetatable({}, {__index=function() error('deep') end}))",
  'while true do end',
  "local s='x' while true do s=s..s end",
  "redis.call('boom')",
  "pcall(redis.call, 'boom')",
  'return redis',
  'return {redis, _G, string}',
  'return setmetatable({}, {__index=_G})',
  'local t = {} t.t = t return t',
  'redis.log(3, "x")',
  "xpcall(function() error('x') end, function() leak = 1 end)",
  "assert(loadstring('local a = ... a.leak = 1'))(_G)",
  'unpack(_G)',
  'table.concat(string)',
  'getmetatable(redis).__index.leak = 1',
  'getfenv(0).leak = 1',
  'setfenv(1, {})',
  'debug.getregistry()',
  'newproxy(true)',
  'package.loaded.leak = 1',
  'module("leak")',
  'require("os")',
  'os.execute("true")',
  'os.clock = nil',
  'io.open("x")',
  'string.dump(string.rep)',
  'loadstring(string.dump(function() leak = 1 end))',
  '_VERSION = 1',
  'bit.leak = 1',
  'struct.pack = nil',
  'cmsgpack.pack = nil',
] as const;

class Boom extends Error {}

describe('scripts leave nothing behind', function () {
  let host: ScriptHost;
  let clean: readonly string[];

  const boom = {
    name: 'BOOM',
    arity: 1,
    flags: [] as const,
    subcommands: [],
    run: (): never => {
      throw new Boom('boom');
    },
  };
  const clientOf = (on: ScriptHost): ScriptClient => {
    const client = new ScriptClient(on);
    client.add(boom as never);
    return client;
  };
  const fingerprint = (client: ScriptClient): readonly string[] => [
    encode(client.eval(FINGERPRINT)),
    encode(client.eval(USES)),
  ];
  const attack = (client: ScriptClient, script: string): void => {
    try {
      client.eval(script, ['k'], ['a']);
    } catch (error) {
      assert.ok(error instanceof Boom);
    }
  };

  before(async () => {
    const settings = { instructionsMax: 300_000, memoryBytesMax: 24 * 1024 * 1024 };
    host = await createTestHost(settings);
    clean = fingerprint(clientOf(await createTestHost(settings)));
  });

  it('after each attack by itself', () => {
    for (const script of ATTACKS) {
      const client = clientOf(host);
      attack(client, script);
      const after = fingerprint(clientOf(host));
      assert.deepEqual(after, clean, script);
    }
  });

  it('after any sequence of attacks', () => {
    const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ATTACKS), { minLength: 1, maxLength: 6 }), (scripts) => {
        const client = clientOf(host);
        // Two in one program, each protected, so that a later one builds on what an earlier one has done.
        attack(client, scripts.map((script) => `pcall(loadstring(${luaString(script)}))`).join(' '));
        for (const script of scripts) attack(client, script);
        assert.deepEqual(fingerprint(clientOf(host)), clean);
      }),
      { seed, numRuns: 60 },
    );
  });

  it('no attack changes what the rest of its own script sees of the libraries', () => {
    for (const script of ATTACKS) {
      if (/while true|redis\.call\('boom'|'boom'\)|cjson\.\w+\(|random|setresp/.test(script)) continue;
      const reply = encode(
        clientOf(host).eval(
          `pcall(loadstring(${luaString(script)})) return {('a'):upper(), type(redis.call), rawget(_G,'leak') == nil, string.upper('b')}`,
        ),
      );
      assert.equal(reply, '*4\r\n$1\r\nA\r\n$8\r\nfunction\r\n:1\r\n$1\r\nB\r\n', script);
    }
  });
});

function luaString(text: string): string {
  return `'${text.replace(/[\\'\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))}'`;
}
