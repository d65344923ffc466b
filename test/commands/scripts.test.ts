/** EVAL and its kin as commands: their arguments, the commands that scripts run, and what is undone when. */
import assert from 'node:assert/strict';
import { defineCommand } from '../../src/commands/define.ts';
import { key } from '../../src/commands/grammar.ts';
import { createScriptCommands } from '../../src/commands/scripts.ts';
import { ErrorReply, NULL_ARRAY, OK } from '../../src/resp/reply.ts';
import type { ScriptHost } from '../../src/scripting/host.ts';
import { sha1Hex } from '../../src/scripting/sha1.ts';
import { NotResident } from '../../src/commands/view.ts';
import { createTestHost, encode, ScriptClient, SteppingClock } from '../scripting/script-client.ts';

class Missing extends NotResident {
  override readonly kind = 'key';
}

describe('script commands', () => {
  let host: ScriptHost;
  let client: ScriptClient;

  before(async () => {
    host = await createTestHost();
  });

  beforeEach(() => {
    client = new ScriptClient(host);
  });

  const run = (...words: string[]): string => encode(client.run(...words));
  const evaluate = (script: string, ...keys: string[]): string => encode(client.eval(script, keys));
  const stored = (name: string, database = 0): unknown => client.view.find(database, name)?.value;

  it('count their keys as Redis does', () => {
    assert.equal(run('EVAL', 'return 1', 'a'), '-ERR value is not an integer or out of range\r\n');
    assert.equal(run('EVAL', 'return 1', '-1'), "-ERR Number of keys can't be negative\r\n");
    assert.equal(run('EVAL', 'return 1', '1'), "-ERR Number of keys can't be greater than number of args\r\n");
    assert.equal(
      run('EVAL', 'return 1', '9223372036854775807'),
      "-ERR Number of keys can't be greater than number of args\r\n",
    );
    assert.equal(run('EVAL', 'return 1', '-9223372036854775808'), "-ERR Number of keys can't be negative\r\n");
    assert.equal(
      run('EVAL', 'return {#KEYS, #ARGV, KEYS[2], ARGV[1]}', '2', 'a', 'b', 'c'),
      '*4\r\n:2\r\n:1\r\n$1\r\nb\r\n$1\r\nc\r\n',
    );
    assert.equal(run('EVAL', 'return #ARGV', '0', 'a', 'b'), ':2\r\n');
  });

  it('find scripts by digest in any case, and say NOSCRIPT otherwise', () => {
    const sha = client.load("return 'found'");
    const unknown = 'f'.repeat(40);
    const noScript = '-NOSCRIPT No matching script. Please use EVAL.\r\n';
    assert.equal(run('EVALSHA', sha, '0'), '$5\r\nfound\r\n');
    assert.equal(run('EVALSHA', sha.toUpperCase(), '0'), '$5\r\nfound\r\n');
    assert.equal(run('EVALSHA_RO', sha, '0'), '$5\r\nfound\r\n');
    assert.equal(run('EVALSHA', unknown, '0'), noScript);
    assert.equal(run('EVALSHA', 'x', '0'), noScript);
    assert.equal(run('EVALSHA', 'ff', '1'), noScript);
    assert.equal(run('EVALSHA', unknown, '1'), "-ERR Number of keys can't be greater than number of args\r\n");
    client.bodies.clear();
    assert.equal(run('EVALSHA', sha, '0'), noScript);
  });

  it('read-only forms and flags refuse writes', () => {
    const write = "return redis.call('set','a','b')";
    const sha = sha1Hex(Buffer.from(write));
    assert.equal(
      run('EVAL_RO', write, '0'),
      `-ERR Write commands are not allowed from read-only scripts. script: ${sha}, on @user_script:1.\r\n`,
    );
    assert.equal(
      run('EVAL_RO', "return redis.pcall('set','a','b')", '0'),
      '-ERR Write commands are not allowed from read-only scripts.\r\n',
    );
    assert.equal(run('EVALSHA_RO', client.load(write), '0'), run('EVAL_RO', write, '0'));
    assert.equal(
      run('EVAL_RO', '#!lua\nreturn 1', '0'),
      '-ERR Can not execute a script with write flag using *_ro command.\r\n',
    );
    assert.equal(run('EVAL_RO', '#!lua flags=no-writes\nreturn 1', '0'), ':1\r\n');
    assert.match(
      run('EVAL', `#!lua flags=no-writes\n${write}`, '0'),
      /read-only scripts\. script: [0-9a-f]{40}, on @user_script:2\.\r\n$/,
    );
    assert.equal(run('EVAL_RO', "return redis.call('get','a')", '0'), '$-1\r\n');
    assert.equal(stored('a'), undefined);
    assert.equal(run('EVAL', write, '0'), '+OK\r\n');
  });

  it('have the rows that COMMAND and routing read', () => {
    const rows = createScriptCommands({ host, bodyOf: () => undefined, commandOf: () => undefined });
    assert.deepEqual(
      rows.map(({ name, arity, keyUses, keyCount, flags }) => [
        name,
        arity,
        keyUses[0][0],
        keyCount?.at,
        flags.includes('readonly'),
        flags.includes('noscript'),
        flags.includes('movablekeys'),
      ]),
      [
        ['EVAL', -3, 'RW', 2, false, true, true],
        ['EVALSHA', -3, 'RW', 2, false, true, true],
        ['EVAL_RO', -3, 'RO', 2, true, true, true],
        ['EVALSHA_RO', -3, 'RO', 2, true, true, true],
      ],
    );
    const words = (line: string): Buffer[] => line.split(' ').map((word) => Buffer.from(word));
    const keysOf = rows[0]?.keysOf ?? (() => null);
    assert.deepEqual(keysOf(words('EVAL body 2 a b c')), [3, 4]);
    assert.deepEqual(keysOf(words('EVAL body 0 a')), []);
  });

  it('a command that fails within a script is undone by itself, what went before stays', () => {
    client.add(
      defineCommand({
        name: 'HALF',
        group: 'string',
        since: '1.0.0',
        summary: 'Writes, then fails.',
        complexity: 'O(1)',
        flags: ['write'],
        args: [key()],
        run: (view, args) => {
          view.put(args.database, args.key(), 'half', 0);
          return new ErrorReply('ERR half way');
        },
      }),
    );
    assert.equal(
      evaluate("redis.call('set','a','1') redis.pcall('half','b') redis.call('set','c','2') return 'ok'"),
      '$2\r\nok\r\n',
    );
    assert.deepEqual([stored('a'), stored('b'), stored('c')], ['1', undefined, '2']);
    assert.match(
      evaluate("redis.call('set','d','1') redis.call('half','b') redis.call('set','e','1')"),
      /^-ERR half way script: /,
    );
    assert.deepEqual([stored('d'), stored('b'), stored('e')], ['1', undefined, undefined]);
    assert.match(
      evaluate("redis.call('set','f','1') redis.call('incr','f') redis.call('set','f','x') redis.call('incr','f')"),
      /^-ERR value is not an integer/,
    );
    assert.equal(stored('f'), 'x');
  });

  it('a key that is not resident ends the run as it ends a command, and nothing is left', () => {
    const missing = new Missing();
    const { find } = client.view;
    let isLoaded = false;
    client.view.find = function (space, name) {
      if (name === 'cold' && !isLoaded) throw missing;
      return find.call(this, space, name);
    };
    const script = "redis.call('set','a','1') pcall(redis.call,'get','cold') redis.call('set','b','1') return 'done'";
    assert.throws(
      () => client.eval(script),
      (error) => error === missing,
    );
    assert.deepEqual([stored('a'), stored('b')], [undefined, undefined]);
    isLoaded = true;
    assert.equal(evaluate(script), '$4\r\ndone\r\n');
    assert.deepEqual([stored('a'), stored('b')], ['1', '1']);
  });

  it('SELECT holds for the rest of the script', () => {
    client.database = 2;
    assert.equal(
      evaluate(
        "redis.call('set','k','two') redis.call('select','5') redis.call('set','k','five') return redis.call('get','k')",
      ),
      '$4\r\nfive\r\n',
    );
    assert.deepEqual([stored('k', 2), stored('k', 5), stored('k', 0)], ['two', 'five', undefined]);
    assert.equal(evaluate("return redis.call('get','k')"), '$3\r\ntwo\r\n');
    assert.match(evaluate("return redis.call('select','16')"), /^-ERR DB index is out of range script/);
    assert.match(evaluate("return redis.call('select','x')"), /^-ERR value is not an integer or out of range script/);
  });

  it('nothing waits within a script', () => {
    client.add(
      defineCommand({
        name: 'WAITING',
        group: 'string',
        since: '1.0.0',
        summary: 'Waits for a key where it may.',
        complexity: 'O(1)',
        flags: ['readonly', 'blocking'],
        args: [key()],
        run: (view, args) => {
          const name = args.key();
          if (view.mayWait) return view.waitFor(args.database, name, view.nowMs + 1_000);
          return NULL_ARRAY;
        },
      }),
    );
    assert.equal(evaluate("return tostring(redis.call('waiting','k'))"), '$5\r\nfalse\r\n');
    assert.equal(evaluate("return redis.call('kahuna.lock','acquire','r','me','px','1000')"), ':1\r\n');
    assert.equal(
      evaluate("return tostring(redis.call('kahuna.lock','acquire','r','you','px','1000','wait','500'))"),
      '$5\r\nfalse\r\n',
    );
  });

  it('a command sees the protocol of the script, not that of the session', () => {
    client.view.protocol = 3;
    client.add(
      defineCommand({
        name: 'PROTOCOL',
        group: 'string',
        since: '1.0.0',
        summary: 'The protocol that the view tells.',
        complexity: 'O(1)',
        flags: ['readonly'],
        args: [],
        run: (view) => view.protocol,
      }),
    );
    assert.equal(
      evaluate("local a = redis.call('protocol') redis.setresp(3) return {a, redis.call('protocol')}"),
      '*2\r\n:2\r\n:3\r\n',
    );
    assert.equal(evaluate("return redis.call('protocol')"), ':2\r\n');
  });

  it('TIME is the time of the partition', () => {
    client.view.nowMs = 1_700_000_000_123;
    assert.equal(evaluate("return redis.call('time')"), '*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n');
  });

  it('commands of the session are answered, refused or unknown', () => {
    assert.equal(
      evaluate("return {redis.call('ping'), redis.call('PING','x'), redis.call('echo','y')}"),
      '*3\r\n+PONG\r\n$1\r\nx\r\n$1\r\ny\r\n',
    );
    assert.equal(
      evaluate("return redis.pcall('ping','a','b')"),
      "-ERR wrong number of arguments for 'ping' command\r\n",
    );
    assert.match(evaluate("return redis.pcall('publish','c','m')"), /^-ERR PUBLISH is not supported within scripts/);
    for (const name of [
      'multi',
      'exec',
      'subscribe',
      'eval',
      'evalsha',
      'client',
      'config',
      'script',
      'watch',
      'auth',
      'hello',
      'wait',
    ]) {
      assert.match(
        evaluate(`return redis.pcall('${name}','a','b')`),
        /^-ERR This Redis command is not allowed from script\r\n|^-ERR Unknown/,
        name,
      );
    }
    assert.equal(
      evaluate("return redis.pcall('config')"),
      '-ERR Wrong number of args calling Redis command from script\r\n',
    );
    for (const name of ['nosuch', 'constructor', '__proto__', 'toString', '', 'GET|', 'object|encoding']) {
      assert.match(
        evaluate(`return redis.pcall('${name}')`),
        /^-ERR (Unknown Redis command called|Wrong number of args calling Redis command) from script\r\n/,
        name,
      );
    }
  });

  it('subcommands are found behind their container', () => {
    evaluate("redis.call('set','n','12')");
    assert.equal(evaluate("return redis.call('object','encoding','n')"), '$3\r\nint\r\n');
    assert.equal(evaluate("return redis.call('OBJECT','Encoding','n')"), '$3\r\nint\r\n');
    assert.equal(
      evaluate("return redis.pcall('object','nosuch','n')"),
      '-ERR Unknown Redis command called from script\r\n',
    );
  });

  it('undeclared keys work', () => {
    assert.equal(
      evaluate("for i=1,3 do redis.call('set','made:'..i,i) end return redis.call('mget','made:1','made:2','made:3')"),
      '*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n',
    );
  });

  it('an abort by the view ends everything', () => {
    client.add(
      defineCommand({
        name: 'FENCED',
        group: 'string',
        since: '1.0.0',
        summary: 'Ends the request.',
        complexity: 'O(1)',
        flags: ['write'],
        args: [],
        run: (view) => view.abort(new ErrorReply('FENCED newer token')),
      }),
    );
    assert.equal(
      evaluate("redis.call('set','a','1') pcall(redis.call,'fenced') redis.call('set','b','1') return OK"),
      '-FENCED newer token\r\n',
    );
    assert.deepEqual([stored('a'), stored('b')], [undefined, undefined]);
  });

  it('redis.log is heard once, however often the script is evaluated, and not without end', () => {
    let isMissing = true;
    const row = defineCommand({
      name: 'LOADS',
      group: 'generic',
      since: '1.0.0',
      summary: 'Is not resident at first.',
      complexity: 'O(1)',
      flags: ['readonly'],
      args: [],
      run: () => {
        if (isMissing) throw new Missing();
        return OK;
      },
    });
    client.add(row);
    const script = "redis.log(2, 'one') redis.call('loads') redis.log(2, 'two')";
    assert.throws(() => client.eval(script), Missing);
    assert.deepEqual(client.logged, []);
    isMissing = false;
    client.eval(script);
    assert.deepEqual(client.logged, ['2 one', '2 two']);
    client.logged.length = 0;
    evaluate("redis.log(2, 'before') error('x')");
    assert.deepEqual(client.logged, ['2 before']);
    client.logged.length = 0;
    evaluate("for i = 1, 1000 do redis.log(2, 'x') end");
    assert.equal(client.logged.length, 100);
  });

  it('within an EXEC end together when they have taken too long, and nothing is applied', () => {
    const clock = new SteppingClock();
    clock.stepMs = 60;
    const limited = new ScriptClient(host, { clock, timeLimitMs: 100 });
    const increment = "return redis.call('incr', 'n')";
    for (let i = 1; i <= 5; i++) assert.equal(encode(limited.eval(increment)), `:${i}\r\n`);
    limited.view.mayWait = false;
    assert.equal(encode(limited.eval(increment)), ':6\r\n');
    assert.equal(encode(limited.eval(increment)), ':7\r\n');
    assert.equal(
      encode(limited.eval(increment)),
      '-ERR scripts of this transaction exceeded the time limit of 100 milliseconds, nothing was applied\r\n',
    );
  });

  it('redis.log goes where it is sent', () => {
    evaluate("redis.log(redis.LOG_NOTICE, 'hello', 'there')");
    assert.deepEqual(client.logged, ['2 hello there']);
  });

  it('math.random differs from script to script, as in Redis 7', () => {
    const draws = new Set(Array.from({ length: 20 }, () => evaluate('return math.random(1000000000)')));
    assert.ok(draws.size > 15);
  });

  describe('of lock libraries', () => {
    it('redlock 5 acquires all or none, extends and releases', () => {
      const acquire = `
        for i, key in ipairs(KEYS) do
          if redis.call("exists", key) == 1 then
            return 0
          end
        end
        for i, key in ipairs(KEYS) do
          redis.call("set", key, ARGV[1], "PX", ARGV[2])
        end
        return #KEYS`;
      const extend = `
        for i, key in ipairs(KEYS) do
          if redis.call("get", key) ~= ARGV[1] then
            return 0
          end
        end
        for i, key in ipairs(KEYS) do
          redis.call("set", key, ARGV[1], "PX", ARGV[2])
        end
        return #KEYS`;
      const release = `
        local count = 0
        for i, key in ipairs(KEYS) do
          if redis.pcall("get", key) == ARGV[1] then
            redis.pcall("del", key)
            count = count + 1
          end
        end
        return count`;
      const words = ['2', 'a', 'b', 'token', '1000'];
      assert.equal(run('EVALSHA', client.load(acquire), ...words), ':2\r\n');
      assert.equal(run('EVALSHA', client.load(acquire), '2', 'b', 'c', 'other', '1000'), ':0\r\n');
      assert.equal(stored('c'), undefined);
      assert.equal(run('EVALSHA', client.load(extend), ...words), ':2\r\n');
      assert.equal(run('EVALSHA', client.load(extend), '1', 'a', 'other', '1000'), ':0\r\n');
      assert.equal(run('EVALSHA', client.load(release), '2', 'a', 'b', 'other'), ':0\r\n');
      assert.equal(run('EVALSHA', client.load(release), '2', 'a', 'b', 'token'), ':2\r\n');
      assert.deepEqual([stored('a'), stored('b')], [undefined, undefined]);
    });

    it('redis-py extends by what is left', () => {
      const extend = `
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end

        local newttl = ARGV[2]
        if ARGV[3] == "0" then
            newttl = ARGV[2] + expiration
        end
        redis.call('pexpire', KEYS[1], newttl)
        return 1`;
      evaluate("redis.call('set','lock','me','px','1000')");
      assert.equal(run('EVAL', extend, '1', 'lock', 'me', '500', '0'), ':1\r\n');
      assert.equal(evaluate("return redis.call('pttl','lock')"), ':1500\r\n');
      assert.equal(run('EVAL', extend, '1', 'lock', 'you', '500', '0'), ':0\r\n');
      assert.equal(run('EVAL', extend, '1', 'nokey', 'me', '500', '0'), ':0\r\n');
    });

    it('replies that are OK compare as tables', () => {
      assert.equal(evaluate("return redis.call('set',KEYS[1],'x','nx') ~= false", 'fresh'), ':1\r\n');
      assert.equal(evaluate("return redis.call('set',KEYS[1],'x','nx') == false", 'fresh'), ':1\r\n');
      assert.equal(encode(OK), '+OK\r\n');
    });
  });
});
