/** What clients send to a whole server: RESP bytes into sessions, HTTP into the admin port, Lua into the engine. */
import assert from 'node:assert/strict';
import { decodeReplies } from '../../../src/resp/decode.ts';
import { ErrorReply } from '../../../src/resp/reply.ts';
import type { ScriptHost } from '../../../src/scripting/host.ts';
import {
  createTestHost,
  encode as encodeReplyText,
  ScriptClient,
  SteppingClock,
} from '../../scripting/script-client.ts';
import { createWorld, encode } from '../../server/harness.ts';
import type { FuzzTarget } from '../target.ts';

const COMMANDS = [
  ['SET', 'k', 'v', 'EX', '10'],
  ['GET', 'k'],
  ['MULTI'],
  ['EXEC'],
  ['WATCH', 'k'],
  ['HELLO', '3', 'AUTH', 'default', 'x', 'SETNAME', 'n'],
  ['CLIENT', 'LIST', 'TYPE', 'normal'],
  ['CLIENT', 'TRACKING', 'ON'],
  ['CONFIG', 'GET', 'max*'],
  ['CONFIG', 'SET', 'timeout', '1'],
  ['COMMAND', 'DOCS', 'get'],
  ['COMMAND', 'GETKEYS', 'EVAL', 'x', '1', 'k'],
  ['ACL', 'LOG', '5'],
  ['EVAL', "return redis.call('GET', KEYS[1])", '1', 'k'],
  ['SCAN', '0', 'MATCH', '*', 'COUNT', '10'],
  ['OBJECT', 'ENCODING', 'k'],
  ['MEMORY', 'USAGE', 'k'],
  ['LATENCY', 'HISTOGRAM'],
  ['SLOWLOG', 'GET', '-1'],
  ['CLUSTER', 'SLOTS'],
  ['INFO', 'everything'],
  ['WAIT', '0', '1'],
  ['RESET'],
  ['QUIT'],
  ['MONITOR'],
  ['SELECT', '3'],
] as const;

/** After these another client may rightly get no answer, or a password may be asked for. */
const DISTURBING = /shutdown|pause|kill|debug|config|acl|monitor|failover/i;

const session: FuzzTarget = {
  name: 'session',
  about: 'bytes into a real session: no failure inside, and other clients are served',
  seeds: () => [
    ...COMMANDS.map((argv) => Buffer.from(encode(argv))),
    Buffer.from(COMMANDS.slice(0, 5).map(encode).join(''), 'latin1'),
    Buffer.from('PING\r\nSET a "b c"\r\n'),
  ],
  words: [...COMMANDS.flat(), '\r\n', '*1\r\n', '$4\r\n', '*3\r\n$3\r\n', ...COMMANDS.map(encode)],
  msMax: 3_000,
  open: () => ({
    run: async (input) => {
      const world = await createWorld({ seed: 1, pieceBytesMax: 64 });
      const witness = await world.connect();
      const client = await world.connect();
      const received = await client.raw(input.toString('latin1'));
      await world.time.pass(50);
      const failures = world.log.filter(({ level }) => level === 'error');
      assert.deepEqual(failures, []);
      if (!/hello|monitor/i.test(input.toString('latin1')) && !client.isClosed)
        decodeReplies(Buffer.from(received, 'latin1'));
      if (DISTURBING.test(input.toString('latin1')) || world.shutdowns.length > 0) return;
      assert.equal(await witness.raw('PING\r\n'), '+PONG\r\n');
      client.connection.destroy();
      await world.time.settle();
      assert.equal(world.server.context.clients.count, 1);
    },
  }),
};

const admin: FuzzTarget = {
  name: 'admin-http',
  about: 'bytes into the admin port: one well-formed answer at most, and the connection ends',
  seeds: () => [
    Buffer.from('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from('GET /healthz HTTP/1.0\r\n\r\n'),
    Buffer.from('POST /readyz HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc'),
  ],
  words: ['\r\n', 'GET ', ' HTTP/1.1', '/metrics', '/readyz', 'HEAD ', '%00', '?', '#', ' '],
  bytesMax: 12_000,
  msMax: 3_000,
  open: () => ({
    run: async (input) => {
      const world = await createWorld({
        seed: 1,
        pieceBytesMax: 64,
        settings: [],
        values: { 'admin-port': 9_121, 'admin-bind': ['127.0.0.1'] },
      });
      const client = await world.admin();
      const received = await client.raw(input.toString('latin1'));
      await world.time.pass(60_000);
      const all = received + client.take();
      assert.ok(
        all === '' || /^HTTP\/1\.1 \d{3} [A-Za-z ]+\r\n(?:[A-Za-z-]+: [^\r\n]*\r\n)+\r\n/.test(all),
        all.slice(0, 200),
      );
      assert.ok(client.isClosed, 'no connection stays');
      assert.deepEqual(
        world.log.filter(({ level }) => level === 'error'),
        [],
      );
    },
  }),
};

/** What a script could leave behind, or change for those after it. */
const SENTINEL = `
  local names = {}
  for name in pairs(_G) do names[#names + 1] = tostring(name) end
  table.sort(names)
  local seen = table.concat(names, ',')
  seen = seen .. '|' .. tostring(getmetatable('').__index == string) .. tostring(rawequal(_G, getfenv(1)))
  seen = seen .. '|' .. string.rep('x', 3) .. string.format('%d', 7) .. cjson.encode({1}) .. tostring(#KEYS) .. tostring(#ARGV)
  seen = seen .. '|' .. type(io) .. type(os and os.execute) .. type(require) .. type(dofile) .. type(debug)
  return seen`;

const SCRIPTS = [
  "return {KEYS[1], ARGV[1], #ARGV, {ok='x'}, false, 1.5}",
  "return redis.call('SET', KEYS[1], ARGV[1])",
  "local ok, e = pcall(redis.call, 'GET') return e",
  'local t = {} for i = 1, 10 do t[i] = i end return cjson.encode(t)',
  'return cmsgpack.pack({a = 1, [2] = {3}})',
  "return string.format('%5.2f %q %s', 1.5, 'x', ARGV[1]) .. string.rep('ab', 3, ',')",
  'local co = coroutine.wrap(function() coroutine.yield(1) end) return co()',
  "setmetatable({}, {__gc = function() end, __index = _G}) return getmetatable('').__index and 1",
  "return struct.pack('>I2', 7) .. bit.tohex(255)",
  'while true do end',
  "local s = 'x' while true do s = s .. s end",
  "return redis.error_reply('MY error')",
  "rawset(_G, 'x', 1)",
  'string.find = nil return 1',
  "return load and 1 or loadstring('return 1')()",
  'local f = function(f) return f(f) end return f(f)',
  "return ('a'):rep(100):find(('a?'):rep(20) .. ('a'):rep(20))",
] as const;

const KEYWORDS = [
  ...'and break do else elseif end false for function if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
  ...'_G KEYS ARGV redis.call redis.pcall redis.log cjson.decode cmsgpack.unpack struct.unpack bit.lshift string.gsub table.concat'.split(
    ' ',
  ),
  ...'getfenv setfenv setmetatable getmetatable rawset pcall xpcall error loadstring coroutine.create math.random os.clock'.split(
    ' ',
  ),
  ...'( ) { } [ ] = == ~= .. ... , ; : # -- --[[ ]] "" \' 1e308 0x 2^53 -1 %'.split(' '),
  'return ',
  'for i=1,10 do ',
  '\x1bLua',
  '\0',
];

class LuaBench {
  readonly clock = new SteppingClock();
  readonly #host: ScriptHost;
  readonly #before: string;

  constructor(host: ScriptHost) {
    this.#host = host;
    this.#before = this.#sentinel();
  }

  static async create(): Promise<LuaBench> {
    return new LuaBench(await createTestHost({ instructionsMax: 300_000, memoryBytesMax: 16 * 1024 * 1024 }));
  }

  #sentinel(): string {
    return encodeReplyText(new ScriptClient(this.#host).eval(SENTINEL));
  }

  run(script: string, keys: readonly string[], args: readonly string[]): void {
    const client = new ScriptClient(this.#host);
    const text = encodeReplyText(client.eval(script, keys, args));
    const replies = decodeReplies(Buffer.from(text, 'latin1'));
    assert.equal(replies.length, 1, 'one reply, whatever it says');
    const [reply] = replies;
    if (reply instanceof ErrorReply) assert.ok(!/[\r\n]/.test(reply.text));
    assert.equal(this.#sentinel(), this.#before, 'a script leaves nothing to the next one');
  }
}

export const clientTargets: readonly FuzzTarget[] = [
  session,
  admin,
  {
    name: 'lua-source',
    about: 'scripts: one reply within the limits, and nothing left for the next script',
    seeds: () => SCRIPTS.map((script) => Buffer.from(script)),
    words: KEYWORDS,
    msMax: 4_000,
    open: async () => {
      const bench = await LuaBench.create();
      return { run: (input) => bench.run(input.toString('latin1'), ['k'], ['v', '2']) };
    },
  },
  {
    name: 'lua-arguments',
    about: 'arguments of library functions: one reply within the limits, and nothing left for the next script',
    seeds: () =>
      [
        '{"a":[1,2.5,null,"x\\u00e9"]}',
        '\x83\xa1a\x01\xa1b\xc0',
        '>I2s4<d',
        '%d %5.2f %s',
        '(a*(.)%w(%s*))',
        '[^%s]+',
      ].map((text) => Buffer.from(text, 'latin1')),
    words: [
      '%b()',
      '%f[',
      '%1',
      '(',
      ')',
      '[^',
      '*',
      '\\u',
      '{"',
      '[[',
      '\xdf',
      '\xdd',
      '\xc1',
      '1e999',
      '!4',
      'i16',
      'c0',
    ],
    msMax: 4_000,
    open: async () => {
      const bench = await LuaBench.create();
      return {
        run: (input) => {
          const middle = Math.floor(input.length / 2);
          bench.run(
            LIBRARIES,
            [],
            [input.toString('latin1'), input.toString('latin1', middle), input.toString('latin1', 0, middle)],
          );
        },
      };
    },
  },
];

const LIBRARIES = `
  local n = 0
  for i = 1, #ARGV do
    local a, b = ARGV[i], ARGV[i % #ARGV + 1]
    for _, f in ipairs({cjson.decode, cmsgpack.unpack, struct.size, loadstring, tonumber, redis.sha1hex, redis.error_reply, redis.status_reply, redis.log}) do
      if pcall(f, a, b) then n = n + 1 end
    end
    for _, f in ipairs({string.find, string.match, string.gsub, string.format, string.rep, struct.unpack, struct.pack, bit.tohex, table.concat, redis.call, redis.pcall, cmsgpack.unpack_one}) do
      if pcall(f, a, b, a) then n = n + 1 end
    end
    local ok, t = pcall(cjson.decode, a)
    if ok then n = n + (pcall(cjson.encode, t) and 1 or 0) + (pcall(cmsgpack.pack, t) and 1 or 0) end
  end
  return n`;
