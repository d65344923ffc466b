/**
 * No script runs on: whatever it does, it ends within its limits with an error that says so, everything it wrote is
 * undone, and the next script runs as if nothing had happened. The clock moves by a step at every look, so that time
 * limits pass without waiting.
 */
import assert from 'node:assert/strict';
import { ErrorReply } from '../../src/resp/reply.ts';
import type { ScriptHost } from '../../src/scripting/host.ts';
import { createTestHost, encode, ScriptClient, SteppingClock } from './script-client.ts';

const TIME = /^-ERR script exceeded the time limit of 10 milliseconds and was aborted, nothing was applied/;
const MEMORY = /^-ERR script exceeded the memory limit of 25165824 bytes and was aborted, nothing was applied/;

const ENDLESS: Readonly<Record<string, string>> = {
  'a plain loop': 'while true do end',
  'a loop in pcall in a loop': 'while true do pcall(function() while true do end end) end',
  'a loop in xpcall with a handler that loops':
    'while true do xpcall(function() while true do end end, function() while true do end end) end',
  'nested pcalls': 'local function f(n) if n == 0 then while true do end end pcall(f, n-1) while true do end end f(50)',
  'pcall of pcall': 'while true do pcall(pcall, pcall, function() while true do end end) end',
  'a loop in a coroutine': 'coroutine.wrap(function() while true do end end)()',
  'coroutines that catch each other':
    'local function f(n) local c = coroutine.create(function() if n == 0 then while true do end end f(n-1) end) coroutine.resume(c) while true do end end f(20)',
  'endless coroutines': 'while true do coroutine.wrap(function() return 1 end)() end',
  'a coroutine that yields for ever':
    'local c = coroutine.wrap(function() while true do coroutine.yield(1) end end) while true do c() end',
  'a sort that never ends':
    'local t = {} for i=1,200 do t[i]=i end while true do pcall(table.sort, t, function(a,b) return true end) end',
  'a comparator that loops': 'table.sort({2,1}, function() while true do end end)',
  'a metamethod that loops': 'local t = setmetatable({}, {__index=function(t,k) while true do end end}) return t.x',
  'a recursion through metamethods':
    'local t = {} setmetatable(t, {__index=function(t,k) return t[k..1] end}) while true do pcall(function() return t.x end) end',
  'gsub with a function that loops': "string.gsub('x','x',function() while true do end end)",
  'a reader that loops': 'load(function() while true do end end)',
  'a reader that never ends': "local n = 0 return load(function() n = n + 1 return 'local x = 1 ' end)",
  'a reader that fails for ever': "while true do load(function() error('x') end) end",
  'redis.call in a loop': "while true do redis.call('set','a','b') end",
  'redis.pcall that fails in a loop': "while true do redis.pcall('nosuch') end",
  'errors with large texts': "while true do pcall(error, ('x'):rep(1000)) end",
  'a pattern that explodes': "return string.find(('a'):rep(40), ('a?'):rep(40)..('a'):rep(40))",
  'a pattern of repetitions': "return string.find(('a'):rep(5000), 'a-a-a-a-a-a-a-b')",
  'a greedy pattern': "return string.match(('a'):rep(3000), '^(a*)(a*)(a*)(a*)(a*)b')",
  'gsub that explodes': "return string.gsub(('a'):rep(3000), 'a*a*a*b', '')",
  'gmatch that explodes': "for _ in string.gmatch(('a'):rep(3000), 'a*a*a*b') do end",
  'patterns in pcall': "while true do pcall(string.find, ('a'):rep(40), ('a?'):rep(40)..('a'):rep(40)) end",
  'balanced pairs': "return string.find(('('):rep(20000), '%b()%b()')",
  'long copies': "local s = ('x'):rep(1000000) while true do local t = s:rep(2) end",
  'upper case of long strings': "local s = ('x'):rep(1000000) while true do s:upper() end",
  'cjson in a loop': 'while true do cjson.encode({1,2,3,{a=1}}) end',
  'cjson of a shared structure': 'local t = {1} for i=1,60 do t = {t,t} end return cjson.encode(t)',
  'cmsgpack of a shared structure': 'local t = {1} for i=1,15 do t = {t,t,t,t} end return cmsgpack.pack(t)',
  'sha1 of long strings': "local s = ('x'):rep(1000000) while true do redis.sha1hex(s) end",
  'garbage collection': 'while true do collectgarbage() end',
};

const GREEDY: Readonly<Record<string, string>> = {
  'a string that doubles': "local s = 'x' while true do s = s..s end",
  'a string that doubles in pcall': "local s = 'x' while true do pcall(function() while true do s = s..s end end) end",
  'a table that grows': 'local t = {} for i=1,1e9 do t[i] = i end',
  'a table that grows in pcall': 'local t = {} while true do pcall(function() for i=#t+1,1e9 do t[i] = i end end) end',
  'string.rep': "return string.rep('x', 1e9)",
  'string.rep in pcall': "pcall(string.rep, 'x', 1e9) return 'survived'",
  'string.rep beyond 32 bits': "return string.rep('xy', 2^40)",
  'table.concat': "local t = {} for i=1,20 do t[i] = ('x'):rep(1000000) end return table.concat(t)",
  'gsub that multiplies': "return string.gsub(('x'):rep(10000), 'x', ('y'):rep(10000))",
  'coroutines that stay': 'local t = {} while true do t[#t+1] = coroutine.create(function() end) end',
  'closures that stay': 'local t = {} while true do t[#t+1] = function() return t end end',
  'a program that is too large': "return loadstring('return '..('1+'):rep(4000000)..'1')",
  'cjson that multiplies':
    "local s = ('\\1'):rep(1000000) local t = {} for i=1,50 do t[i] = s end return cjson.encode(t)",
  'cjson modules': 'local t = {} while true do t[#t+1] = cjson.new() end',
};

/** Scripts that fail by Lua's own limits, which the script may catch. */
const REFUSED: Readonly<Record<string, readonly [script: string, error: RegExp]>> = {
  'deep recursion': ['local function f() return 1 + f() end return f()', /stack overflow/],
  'recursion through C': ["local function f() return (string.gsub('a','a',f)) end return f()", /stack overflow/],
  'recursion through coroutines': ['local function f() return coroutine.wrap(f)() end return f()', /C stack overflow/],
  'recursion through pcall': [
    'local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end return f()',
    /stack overflow/,
  ],
  unpack: ['return unpack({}, 1, 2^31-1)', /too many results to unpack/],
  'unpack the other way': ['return unpack({}, -2^31, 2^31-1)', /too many results to unpack/],
  parentheses: ["return assert(loadstring('return '..('('):rep(1000)..('1')..(')'):rep(1000)))", /syntax levels/],
  'functions in functions': [
    "return assert(loadstring(('return function() '):rep(1000)..(' end'):rep(1000)))",
    /syntax levels/,
  ],
  'a pattern of optional items': ["return string.find(('a'):rep(300000), ('a?'):rep(300000))", /pattern too complex/],
  'a pattern of captures': ["return string.find('a', ('('):rep(100))", /too many captures/],
  'cjson nesting': ['local t = {} t.t = t return cjson.encode(t)', /excessive nesting/],
  'JSON nesting': [
    "cjson.decode_max_depth(1e6) return cjson.decode(('['):rep(1e6))",
    /too many nested data structures/,
  ],
  'MessagePack nesting': ["return cmsgpack.unpack(('\\145'):rep(1e6))", /stack overflow/],
  'string.char of too many': [
    'local t = {} for i=1,9000 do t[i]=65 end return string.char(unpack(t))',
    /too many results to unpack/,
  ],
};

describe('limits of scripts', function () {
  const clock = new SteppingClock();
  let host: ScriptHost;
  let client: ScriptClient;

  before(async () => {
    host = await createTestHost(
      { timeLimitMs: 10, memoryBytesMax: 24 * 1024 * 1024, instructionsMax: 20_000_000 },
      clock,
    );
  });

  beforeEach(() => {
    clock.stepMs = 1;
    client = new ScriptClient(host);
  });

  const run = (script: string): string => encode(client.eval(`redis.call('set','trace','left') ${script}`));
  const assertIntact = (): void => {
    assert.equal(client.view.find(0, 'trace'), undefined, 'what the script wrote is undone');
    assert.equal(
      encode(client.eval("redis.call('set','a','b') return {1,redis.call('get','a')}")),
      '*2\r\n:1\r\n$1\r\nb\r\n',
    );
  };

  for (const [name, script] of Object.entries(ENDLESS)) {
    it(`time ends ${name}`, () => {
      assert.match(run(script), TIME);
      assertIntact();
    });
  }

  for (const [name, script] of Object.entries(GREEDY)) {
    it(`memory ends ${name}`, () => {
      clock.stepMs = 0;
      assert.match(run(script), MEMORY);
      assertIntact();
    });
  }

  for (const [name, [script, error]] of Object.entries(REFUSED)) {
    it(`${name} is an error of the script, not of the engine`, () => {
      clock.stepMs = 0;
      const reply = client.eval(script);
      assert.ok(reply instanceof ErrorReply);
      assert.match(reply.text, error);
      assert.match(encode(client.eval(`return pcall(function() ${script} end) and 'no error' or 'caught'`)), /caught/);
    });
  }

  it('a clock that stands still leaves the limit of instructions', () => {
    clock.stepMs = 0;
    assert.match(run('while true do end'), /^-ERR script exceeded the limit of 20000000 instructions/);
    assertIntact();
  });

  it('SCRIPT KILL ends a script at its next check, and undoes it', () => {
    clock.stepMs = 0;
    client.isKilled = true;
    assert.equal(run('while true do end'), '-ERR Script killed by user with SCRIPT KILL...\r\n');
    client.isKilled = false;
    assertIntact();
  });

  it('much garbage is no use of memory', () => {
    clock.stepMs = 0;
    assert.equal(
      encode(client.eval("for i=1,500 do local s = ('x'):rep(100000)..i end return 'done'")),
      '$4\r\ndone\r\n',
    );
    assert.equal(
      encode(client.eval("local s = ('x'):rep(1000000) for i=1,100 do local t = s..i end return 'done'")),
      '$4\r\ndone\r\n',
    );
    assert.equal(encode(client.eval('for i=1,50000 do local t = {i,{}} end return 1')), ':1\r\n');
  });

  it('a reply that refers to one table many times is bounded', () => {
    assert.match(
      encode(client.eval('local t = {1} for i=1,40 do t = {t,t,t} end return t')),
      /^-ERR script exceeded the time limit/,
    );
    assert.match(encode(client.eval('local t = {} t[1] = t return t')), /reached lua stack limit|nested too deeply/);
    assertIntact();
  });

  it('the error of an ordinary script leaves what it had written, as in Redis', () => {
    assert.match(run("error('x')"), /^-ERR user_script:1: x/);
    assert.equal(client.view.find(0, 'trace')?.value, 'left');
  });

  it('hundreds of scripts stay compiled, thousands do not exhaust memory', () => {
    clock.stepMs = 0;
    for (let i = 0; i < 3_000; i++) assert.equal(client.eval(`return ${i} -- ${'x'.repeat(1_000)}`), i);
    assert.equal(client.eval('return 0 -- again'), 0);
  });
});
