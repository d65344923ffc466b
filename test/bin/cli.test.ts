import assert from 'node:assert/strict';
import { formatForPeople, formatJson, formatRaw } from '../../src/bin/cli-format.ts';
import { readCliOptions } from '../../src/bin/cli-options.ts';
import {
  DoubleReply,
  ErrorReply,
  MapReply,
  NULL_ARRAY,
  OK,
  type Reply,
  SetReply,
  VerbatimReply,
} from '../../src/resp/reply.ts';

describe('kahuna-cli', () => {
  it('shows replies to people as redis-cli does', () => {
    const cases: readonly (readonly [Reply, string])[] = [
      [OK, 'OK\n'],
      [Buffer.from('a"\n\x00\xffé', 'latin1'), '"a\\"\\n\\x00\\xff\\xe9"\n'],
      [5, '(integer) 5\n'],
      [null, '(nil)\n'],
      [NULL_ARRAY, '(nil)\n'],
      [true, '(true)\n'],
      [new DoubleReply(1.5), '(double) 1.5\n'],
      [new ErrorReply('ERR x'), '(error) ERR x\n'],
      [new VerbatimReply('txt', 'a\nb'), 'a\nb\n'],
      [[], '(empty array)\n'],
      [['a', [1, []], 'b'], '1) "a"\n2) 1) (integer) 1\n   2) (empty array)\n3) "b"\n'],
      [
        new MapReply([
          ['k', 'v'],
          ['l', [1]],
        ]),
        '1# "k" => "v"\n2# "l" => 1) (integer) 1\n',
      ],
      [new SetReply(['x']), '1~ "x"\n'],
    ];
    for (const [reply, shown] of cases) assert.equal(formatForPeople(reply), shown);
  });

  it('shows programs the bytes alone', () => {
    assert.equal(
      formatRaw(['a', Buffer.from('\xff', 'latin1'), null, [1, new MapReply([['k', 'v']])]]),
      'a\n\xff\n\n1\nk\nv\n',
    );
  });

  it('shows each reply as one line of JSON', () => {
    const text = Buffer.from('"é→\n', 'utf8').toString('latin1');
    const cases: readonly (readonly [Reply, string])[] = [
      [OK, '"OK"'],
      [text, JSON.stringify('"é→\n')],
      ['\xff', '"ÿ"'],
      [9223372036854775807n, '9223372036854775807'],
      [null, 'null'],
      [NULL_ARRAY, 'null'],
      [new DoubleReply(Number.POSITIVE_INFINITY), '"Infinity"'],
      [new ErrorReply('ERR x'), '{"error":"ERR x"}'],
      [['a', [1, true], new MapReply([['k', ['v']]])], '["a",[1,true],{"k":["v"]}]'],
    ];
    for (const [reply, shown] of cases) {
      assert.equal(Buffer.from(formatJson(reply), 'latin1').toString('utf8'), `${shown}\n`);
    }
  });

  it('reads options up to the command, and the command as it stands', () => {
    const request = readCliOptions(['-p', '7000', '-n', '3', '-2', '--raw', 'SET', '-p', 'x'], {
      KAHUNA_CLI_PASSWORD: 'secret',
    });
    assert.deepEqual(request, {
      kind: 'run',
      options: {
        host: '127.0.0.1',
        port: 7000,
        user: 'default',
        password: 'secret',
        database: 3,
        protocol: 2,
        output: 'raw',
        repeat: 1,
        intervalMs: 0,
        command: ['SET', '-p', 'x'],
      },
    });
    for (const wrong of [
      ['-p'],
      ['-p', 'x'],
      ['-p', '70000'],
      ['--nope'],
      ['-n', '16'],
      ['-p', '0.5'],
      ['-n', '1.5'],
      ['-r', '2.5'],
    ])
      assert.throws(() => readCliOptions(wrong, {}), Error);
    assert.equal(readCliOptions(['--help'], {}).kind, 'help');
  });
});
