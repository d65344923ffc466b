/** The host by itself: what goes in and out of a run, byte by byte, and how a run ends. */
import assert from 'node:assert/strict';
import {
  BigNumberReply,
  DoubleReply,
  ErrorReply,
  MapReply,
  NULL_ARRAY,
  OK,
  PushReply,
  type Reply,
  ReplyError,
  SetReply,
  Status,
  VerbatimReply,
} from '../../src/resp/reply.ts';
import type { ScriptHost } from '../../src/scripting/host.ts';
import type { CallMode, ScriptRun } from '../../src/scripting/script-run.ts';
import { sha1Hex } from '../../src/scripting/sha1.ts';
import { createTestHost, encode } from './script-client.ts';

/** The three kinds of exception that must come out of a run as they went in. */
class NotHere {
  readonly kind = 'key';
}

describe('script host', () => {
  let host: ScriptHost;
  const calls: { argv: string[]; mode: CallMode }[] = [];

  before(async () => {
    host = await createTestHost();
  });

  beforeEach(() => {
    calls.length = 0;
  });

  function run(
    script: string | Buffer,
    options: Partial<ScriptRun> & { answer?: (argv: Buffer[]) => Reply } = {},
  ): Reply {
    const body = typeof script === 'string' ? Buffer.from(script, 'latin1') : script;
    return host.run({
      sha: sha1Hex(body),
      body,
      keys: [],
      args: [],
      readOnly: false,
      call: (argv, mode) => {
        calls.push({ argv: argv.map((word) => word.toString('latin1')), mode: { ...mode } });
        return options.answer === undefined ? OK : options.answer(argv);
      },
      checkCommand: () => true,
      log: () => {},
      randomSeed: () => 1,
      isKilled: null,
      ...options,
    });
  }

  const show = (reply: Reply): string => encode(reply, 3);

  describe('bytes', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

    it('of keys, arguments, commands and replies are kept, short or long', () => {
      for (const repeats of [1, 3, 300, 5_000]) {
        const long = Buffer.concat(Array.from({ length: repeats }, () => all));
        const reply = run('return {KEYS[1], ARGV[1], redis.call("x", KEYS[1]), #KEYS[1]}', {
          keys: [long],
          args: [long],
          answer: (argv) => argv[1] as Buffer,
        });
        assert.deepEqual(reply, [long, long, long, long.length]);
        assert.equal(calls.at(-1)?.argv[1], long.toString('latin1'));
      }
    });

    it('of latin1 text replies are kept', () => {
      for (const length of [0, 1, 23, 24, 25, 255, 70_000]) {
        const text = all
          .toString('latin1')
          .repeat(Math.ceil(length / 256))
          .slice(0, length);
        assert.deepEqual(run('return redis.call("x")', { answer: () => text }), Buffer.from(text, 'latin1'));
      }
    });

    it('of the program itself are kept', () => {
      const body = Buffer.concat([
        Buffer.from("return '"),
        all.filter((code) => ![10, 13, 39, 92].includes(code)),
        Buffer.from("'"),
      ]);
      assert.deepEqual(run(body), Buffer.from(body.subarray(8, -1)));
    });

    it('belong to the reply: later runs do not change it', () => {
      const reply = run('return ARGV[1]', { args: [Buffer.from('first')] }) as Buffer;
      for (let i = 0; i < 100; i++) run('return ("x"):rep(1000)');
      assert.equal(reply.toString(), 'first');
    });

    it('memory may grow in the middle of a call', () => {
      const large = Buffer.alloc(3 * 1024 * 1024, 'y');
      const reply = run(
        'local t = {} for i=1,6 do t[i] = redis.call("x", ("z"):rep(1000000)) end return {#t[6], t[1] == t[6], ARGV[1]}',
        {
          args: [large],
          answer: () => large,
        },
      );
      assert.deepEqual(reply, [large.length, 1, large]);
    });
  });

  describe('replies become Lua values', () => {
    const TABLE: readonly [reply: Reply, inLua2: string, inLua3: string][] = [
      ['text', '"text"', '"text"'],
      [Buffer.from('bytes'), '"bytes"', '"bytes"'],
      [7, '7', '7'],
      [2n ** 62n, '4.6116860184274e+18', '4.6116860184274e+18'],
      [null, 'false', 'nil'],
      [NULL_ARRAY, 'false', 'nil'],
      [true, '1', 'true'],
      [false, '0', 'false'],
      [OK, '{ok="OK"}', '{ok="OK"}'],
      [new Status('fine'), '{ok="fine"}', '{ok="fine"}'],
      [[1, 'a', null], '{1,"a",false}', '{1,"a"}'],
      [[[1], []], '{{1},{}}', '{{1},{}}'],
      [[1, new ErrorReply('E inner')], '{1,{err="E inner"}}', '{1,{err="E inner"}}'],
      [
        new MapReply([
          ['a', 1],
          ['b', [2]],
        ]),
        '{"a",1,"b",{2}}',
        '{map={a=1,b={2}}}',
      ],
      [new SetReply(['x']), '{"x"}', '{set={x=true}}'],
      [new DoubleReply(0.5), '"0.5"', '{double=0.5}'],
      [new DoubleReply(3), '"3"', '{double=3}'],
      [new BigNumberReply('123'), '"123"', '{big_number="123"}'],
      [new VerbatimReply('txt', 'hi'), '"hi"', '{verbatim_string={format="txt",string="hi"}}'],
      [new PushReply([1]), '{1}', '{1}'],
    ];
    const SHOW = `
      local function show(v)
        if type(v) == 'string' then return '"'..v..'"' end
        if type(v) ~= 'table' then return tostring(v) end
        local parts, names = {}, {}
        for i, item in ipairs(v) do parts[i] = show(item) end
        for k in pairs(v) do if type(k) == 'string' then names[#names+1] = k end end
        table.sort(names)
        for _, k in ipairs(names) do if k ~= 'ignore_error_stats_update' then parts[#parts+1] = k..'='..show(v[k]) end end
        return '{'..table.concat(parts, ',')..'}'
      end `;

    for (const [reply, inLua2, inLua3] of TABLE) {
      it(`${JSON.stringify(show(reply))} as ${inLua2}, with setresp(3) as ${inLua3}`, () => {
        assert.deepEqual(run(`${SHOW} return show(redis.call('x'))`, { answer: () => reply }), Buffer.from(inLua2));
        assert.deepEqual(
          run(`${SHOW} redis.setresp(3) return show(redis.call('x'))`, { answer: () => reply }),
          Buffer.from(inLua3),
        );
      });
    }

    it('a command is told the protocol that the script chose, and 2 at the start of each run', () => {
      run("redis.call('a') redis.setresp(3) redis.call('b') redis.setresp(2) redis.call('c')");
      run("redis.call('d')", { readOnly: true });
      assert.deepEqual(
        calls.map(({ argv, mode }) => [argv[0], mode.protocol, mode.readOnly]),
        [
          ['a', 2, false],
          ['b', 3, false],
          ['c', 2, false],
          ['d', 2, true],
        ],
      );
    });

    it('numbers are printed for commands as 7.2 prints them', () => {
      run(
        "redis.call('x', 1, -1, 0, -0, 1e15, 1e17, 2^53, 2^62, 2^63, 0.1, -0.5, 1e100, 1e-7, 1/0, -1/0, 3.0, 123456.789, 1e21)",
      );
      assert.deepEqual(calls[0]?.argv.slice(1), [
        '1',
        '-1',
        '0',
        '0',
        '1000000000000000',
        '100000000000000000',
        '9007199254740992',
        '4611686018427387904',
        '9223372036854776000',
        '0.1',
        '-0.5',
        '1e+100',
        '1e-7',
        'inf',
        '-inf',
        '3',
        '123456.789',
        '1e+21',
      ]);
    });
  });

  describe('exceptions of commands', () => {
    const exceptions = [new NotHere(), new TypeError('a bug'), new Error('another'), 'a text', { plain: true }];
    const ways = [
      "redis.call('x')",
      "redis.pcall('x')",
      "pcall(redis.call, 'x') return 1",
      "while true do pcall(redis.call, 'x') end",
      "xpcall(function() redis.call('x') end, function() while true do end end) return 1",
      "coroutine.wrap(function() redis.call('x') end)()",
      "coroutine.resume(coroutine.create(function() redis.call('x') end)) return 1",
      "local c = coroutine.create(function() pcall(redis.call, 'x') coroutine.yield() end) while true do coroutine.resume(c) end",
      "table.sort({3,2,1}, function(a, b) redis.call('x') return a < b end)",
      "string.gsub('abc', '.', function(c) return redis.call('x') end)",
      "return setmetatable({}, {__index=function() return redis.call('x') end}).y",
      "load(function() redis.call('x') end) return 1",
      "pcall(pcall, pcall, redis.call, 'x') redis.call('y')",
    ];

    it('come out of the run as they are, whatever the script does, and leave the engine as it was', () => {
      for (const exception of exceptions) {
        for (const script of ways) {
          let count = 0;
          const answer = (): Reply => {
            count++;
            throw exception;
          };
          assert.throws(
            () => run(script, { answer }),
            (error) => error === exception,
            script,
          );
          assert.equal(count, 1, `no command runs after the exception: ${script}`);
          assert.equal(run('return 1 + 1'), 2);
        }
      }
    });

    it('that are ReplyErrors are errors of the script', () => {
      const answer = (): Reply => {
        throw new ReplyError('WRONGTYPE not this one');
      };
      const reply = run("return redis.call('x')", { answer });
      assert.ok(reply instanceof ErrorReply);
      assert.match(reply.text, /^WRONGTYPE not this one script: [0-9a-f]{40}, on @user_script:1\.$/);
      assert.deepEqual(run("return redis.pcall('x').err", { answer }), Buffer.from('WRONGTYPE not this one'));
    });
  });

  describe('errors', () => {
    it('of a text without a code get ERR', () => {
      assert.deepEqual(
        run("return redis.pcall('x').err", { answer: () => new ErrorReply('Plain') }),
        Buffer.from('ERR Plain'),
      );
      assert.deepEqual(
        run("return redis.pcall('x').err", { answer: () => new ErrorReply('ERR with end\r\n') }),
        Buffer.from('ERR with end'),
      );
    });

    it('without a text are errors too, where Redis 7.0 crashes', () => {
      assert.match(show(run('error({})')), /^-ERR error object/);
      assert.match(show(run('error(function() end)')), /^-ERR function: 0x/);
    });
  });

  it('compile tells whether a program is one, and keeps it', () => {
    const good = Buffer.from('return 1');
    const bad = Buffer.from('return (');
    assert.equal(host.compile(sha1Hex(good), good), null);
    assert.equal(
      host.compile(sha1Hex(bad), bad)?.text,
      "ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'",
    );
    assert.match(
      host.compile(sha1Hex(Buffer.from('#!bad\n')), Buffer.from('#!bad\n'))?.text ?? '',
      /Unexpected engine/,
    );
  });

  it('a program that is too long is refused', () => {
    const body = Buffer.alloc(9 * 1024 * 1024, ' ');
    assert.match(host.compile(sha1Hex(body), body)?.text ?? '', /longer than/);
  });

  it('a run within a run is a bug', () => {
    assert.throws(() => run("redis.call('x')", { answer: () => run('return 1') }), /within a script/);
    assert.equal(run('return 1'), 1);
  });

  it('random numbers start from the seed of the run, and follow the seed that the script gives', () => {
    const draw = (seed: number): string =>
      show(run('return {math.random(1000000), math.random(1000000)}', { randomSeed: () => seed }));
    assert.equal(draw(1), draw(1));
    assert.notEqual(draw(1), draw(2));
    const own = (seed: number): string =>
      show(run('math.randomseed(5) return tostring(math.random())', { randomSeed: () => seed }));
    assert.equal(own(1), own(2));
    assert.equal(own(1), '$16\r\n0.52483957937213\r\n');
  });

  it('redis.log hands on level and text', () => {
    const logged: [number, string][] = [];
    run("redis.log(redis.LOG_WARNING, 'a', 1, true, 'b\\0c')", {
      log: (level, message) => logged.push([level, message]),
    });
    assert.deepEqual(logged, [[3, 'a 1 b\0c']]);
  });

  it('redis.acl_check_cmd asks the caller', () => {
    assert.equal(run("return redis.acl_check_cmd('get', 'a')", { checkCommand: () => true }), 1);
    assert.equal(run("return redis.acl_check_cmd('get', 'a')", { checkCommand: () => false }), null);
  });

  it('the version is the one that the node announces', () => {
    assert.deepEqual(run('return {redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}'), [Buffer.from('7.2.5'), 0x070205]);
  });

  it('os has a clock and nothing else', () => {
    assert.deepEqual(run('local n = 0 for k in pairs(os) do n = n + 1 end return {n, type(os.clock())}'), [
      1,
      Buffer.from('number'),
    ]);
  });
});
