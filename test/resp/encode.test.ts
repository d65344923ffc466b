/** Proves the encoder by golden bytes in both protocols, and encoder and decoder against each other. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DecodeError, decodeReplies, ReplyDecoder } from '../../src/resp/decode.ts';
import { formatDouble } from '../../src/resp/double.ts';
import { BY_REFERENCE_BYTES_MIN, encodeReply, REPLY_DEPTH_MAX, ReplyBuffer } from '../../src/resp/encode.ts';
import {
  BigNumberReply,
  DoubleReply,
  EncodedReply,
  ErrorReply,
  MapReply,
  NULL_ARRAY,
  OK,
  PushReply,
  QUEUED,
  type Reply,
  SetReply,
  Status,
  VerbatimReply,
} from '../../src/resp/reply.ts';

const encode = (reply: Reply, protocol: 2 | 3): string => encodeReply(reply, protocol).toString('latin1');

describe('resp/encode: golden bytes', () => {
  const golden: readonly (readonly [string, Reply, string, string])[] = [
    ['OK', OK, '+OK\r\n', '+OK\r\n'],
    ['a status', QUEUED, '+QUEUED\r\n', '+QUEUED\r\n'],
    ['a status with line ends', new Status('a\r\n+b'), '+a  +b\r\n', '+a  +b\r\n'],
    ['an error', new ErrorReply('ERR x'), '-ERR x\r\n', '-ERR x\r\n'],
    ['an error with line ends', new ErrorReply('ERR x\r\n$1\r\ny'), '-ERR x  $1  y\r\n', '-ERR x  $1  y\r\n'],
    ['the empty string', '', '$0\r\n\r\n', '$0\r\n\r\n'],
    ['a string of all bytes', '\0\xff\r\n', '$4\r\n\0\xff\r\n\r\n', '$4\r\n\0\xff\r\n\r\n'],
    ['a byte array', Uint8Array.of(0, 255), '$2\r\n\0\xff\r\n', '$2\r\n\0\xff\r\n'],
    ['a long byte array', Buffer.alloc(100, 'x'), `$100\r\n${'x'.repeat(100)}\r\n`, `$100\r\n${'x'.repeat(100)}\r\n`],
    ['zero', 0, ':0\r\n', ':0\r\n'],
    ['minus zero', -0, ':0\r\n', ':0\r\n'],
    ['a negative integer', -1, ':-1\r\n', ':-1\r\n'],
    ['a safe integer', Number.MAX_SAFE_INTEGER, ':9007199254740991\r\n', ':9007199254740991\r\n'],
    ['the least bigint', -(2n ** 63n), ':-9223372036854775808\r\n', ':-9223372036854775808\r\n'],
    ['null', null, '$-1\r\n', '_\r\n'],
    ['the null array', NULL_ARRAY, '*-1\r\n', '_\r\n'],
    ['true', true, ':1\r\n', '#t\r\n'],
    ['false', false, ':0\r\n', '#f\r\n'],
    [
      'an array',
      ['a', 1, null, ['b']],
      '*4\r\n$1\r\na\r\n:1\r\n$-1\r\n*1\r\n$1\r\nb\r\n',
      '*4\r\n$1\r\na\r\n:1\r\n_\r\n*1\r\n$1\r\nb\r\n',
    ],
    ['an empty array', [], '*0\r\n', '*0\r\n'],
    [
      'a map',
      new MapReply([
        ['a', 1],
        ['b', null],
      ]),
      '*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n$-1\r\n',
      '%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n_\r\n',
    ],
    ['a set', new SetReply(['a']), '*1\r\n$1\r\na\r\n', '~1\r\n$1\r\na\r\n'],
    ['a push', new PushReply(['a']), '*1\r\n$1\r\na\r\n', '>1\r\n$1\r\na\r\n'],
    ['a double', new DoubleReply(1.5), '$3\r\n1.5\r\n', ',1.5\r\n'],
    ['infinity', new DoubleReply(Infinity), '$3\r\ninf\r\n', ',inf\r\n'],
    ['a verbatim string', new VerbatimReply('txt', 'a\r\nb'), '$4\r\na\r\nb\r\n', '=8\r\ntxt:a\r\nb\r\n'],
    [
      'a big number',
      new BigNumberReply('123456789012345678901'),
      '$21\r\n123456789012345678901\r\n',
      '(123456789012345678901\r\n',
    ],
    ['an encoded reply', new EncodedReply(Buffer.from(':1\r\n')), ':1\r\n', ':1\r\n'],
  ];
  for (const [name, reply, resp2, resp3] of golden) {
    it(`${name} is written as RESP2 and RESP3`, () => {
      assert.equal(encode(reply, 2), resp2);
      assert.equal(encode(reply, 3), resp3);
    });
  }

  it('integers of every length have the digits that JavaScript prints', () => {
    for (let power = 0; power <= 15; power++) {
      for (const value of [10 ** power - 1, 10 ** power, 10 ** power + 1, -(10 ** power)]) {
        assert.equal(encode(value, 2), `:${value === 0 ? 0 : value}\r\n`);
      }
    }
  });

  it('a number that is not a safe integer is our own mistake', () => {
    for (const value of [1.5, Number.NaN, 2 ** 53, Infinity]) assert.throws(() => encode(value, 2), /safe integer/);
  });

  it('replies that are nested too deeply end in an error, not in a stack overflow', () => {
    let reply: Reply = 1;
    for (let i = 0; i < 50_000; i++) reply = [reply];
    const text = encode(reply, 3);
    assert.equal(text, `${'*1\r\n'.repeat(REPLY_DEPTH_MAX)}-ERR reply is nested too deeply\r\n`);
  });
});

describe('resp/encode: buffering', () => {
  it('large bulk strings are passed on by reference, in order', () => {
    const large = Buffer.alloc(BY_REFERENCE_BYTES_MIN, 'L');
    const output = new ReplyBuffer();
    output.write(OK, 2);
    output.write(large, 2);
    output.write(1, 2);
    assert.equal(output.byteLength, 5 + 8 + large.length + 2 + 4);
    const chunks = output.take();
    assert.equal(chunks.length, 3);
    assert.equal(chunks[1], large);
    assert.equal(Buffer.concat(chunks).toString(), `+OK\r\n$16384\r\n${large.toString()}\r\n:1\r\n`);
    assert.equal(output.byteLength, 0);
    assert.deepEqual(output.take(), []);
  });

  it('what was taken is not touched by what is written later', () => {
    const output = new ReplyBuffer();
    output.write('first', 2);
    const first = output.takeBuffer();
    output.write('other', 2);
    assert.equal(first.toString(), '$5\r\nfirst\r\n');
    assert.equal(output.takeBuffer().toString(), '$5\r\nother\r\n');
  });

  it('output of any size and mixture comes out whole', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40_000), { maxLength: 12 }), fc.nat(5), (sizes, takeEvery) => {
        const output = new ReplyBuffer();
        const taken: Uint8Array[] = [];
        let expected = '';
        sizes.forEach((size, i) => {
          const text = String.fromCharCode(97 + i).repeat(size);
          output.write(i % 2 === 0 ? text : Buffer.from(text), 2);
          expected += `$${size}\r\n${text}\r\n`;
          if (i % (takeEvery + 1) === 0) taken.push(...output.take());
        });
        taken.push(...output.take());
        assert.equal(Buffer.concat(taken).toString(), expected);
      }),
      { numRuns: 100 },
    );
  });
});

describe('resp/double', () => {
  const golden: readonly (readonly [number, string])[] = [
    [0, '0'],
    [-0, '-0'],
    [1, '1'],
    [-1.5, '-1.5'],
    [0.1, '0.1'],
    [3.14159, '3.14159'],
    [NaN, 'nan'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [1e15, '1000000000000000'],
    [2 ** 53, '9007199254740992'],
    [2 ** 62, '4611686018427387904'],
    [1e18, '1000000000000000000'],
    [1e19, '1e+19'],
    [1.5e19, '1.5e+19'],
    [1e21, '1e+21'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [5e-324, '5e-324'],
    [0.001, '0.001'],
    [0.0001, '0.0001'],
    [1e-5, '0.00001'],
    [1e-6, '0.000001'],
    [1e-7, '1e-7'],
    [1.5e-7, '1.5e-7'],
    [12345.678, '12345.678'],
    [0.30000000000000004, '0.30000000000000004'],
    [1234567.0000001, '1.2345670000001e+6'],
  ];
  for (const [value, text] of golden)
    it(`${value} is printed as ${text}`, () => assert.equal(formatDouble(value), text));

  it('every double reads back as itself', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        const text = formatDouble(value).replace('inf', 'Infinity');
        assert.ok(Object.is(Number(text), value), text);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Replies that survive the wire unchanged in RESP3. */
const wireReply = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small' },
    fc.uint8Array({ maxLength: 30 }).map((value) => Buffer.from(value).toString('latin1')),
    fc.maxSafeInteger().map((value) => (value === 0 ? 0 : value)),
    fc.bigInt(2n ** 60n, 2n ** 63n - 1n),
    fc.constantFrom<Reply>(null, true, false, OK, new VerbatimReply('txt', 'x\r\n'), new BigNumberReply('-12')),
    fc.double({ noNaN: true }).map((value) => new DoubleReply(value)),
    fc.stringMatching(/^[A-Z]+ [a-z ]*$/).map((text) => new ErrorReply(text)),
    fc.array(tie('reply'), { maxLength: 4 }),
    fc.array(tie('reply'), { maxLength: 4 }).map((items) => new SetReply(items)),
    fc.array(tie('reply'), { maxLength: 4 }).map((items) => new PushReply(items)),
    fc.array(fc.tuple(tie('reply'), tie('reply')), { maxLength: 3 }).map((entries) => new MapReply(entries)),
  ),
})).reply;

describe('resp/decode', () => {
  it('reads back what the encoder wrote, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(wireReply, { maxLength: 4 }), fc.nat(20), (replies, step) => {
        const bytes = Buffer.concat(replies.map((reply) => encodeReply(reply, 3)));
        const decoder = new ReplyDecoder();
        const got: Reply[] = [];
        for (let at = 0; at < bytes.length; at += step + 1)
          got.push(...decoder.push(bytes.subarray(at, at + step + 1)));
        assert.deepEqual(got, replies);
        assert.ok(decoder.isIdle);
      }),
      { numRuns: 300 },
    );
  });

  it('knows RESP2 nulls, bulk errors and attributes', () => {
    const text = '$-1\r\n*-1\r\n!5\r\nERR x\r\n|1\r\n+a\r\n:1\r\n:2\r\n*1\r\n|1\r\n+a\r\n:1\r\n:3\r\n';
    assert.deepEqual(decodeReplies(Buffer.from(text)), [null, NULL_ARRAY, new ErrorReply('ERR x'), 2, [3]]);
  });

  for (const text of [
    'x\r\n',
    '+a\n',
    '+a\rb\r\n',
    ':01\r\n',
    ':+1\r\n',
    ':-0\r\n',
    ':9223372036854775808\r\n',
    '$-2\r\n',
    '$1\r\nabc',
    '$?\r\n',
    '*?\r\n',
    '*-2\r\n',
    '#x\r\n',
    '_x\r\n',
    ',1.e\r\n',
    '(1x\r\n',
    '=3\r\nabc\r\n',
    '\r\n',
    '*99999999999\r\n',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => decodeReplies(Buffer.from(text)), DecodeError);
    });
  }

  it('refuses input that ends in the middle, at every place', () => {
    const bytes = encodeReply(['abc', new MapReply([['a', 1]])], 3);
    for (let cut = 1; cut < bytes.length; cut++)
      assert.throws(() => decodeReplies(bytes.subarray(0, cut)), DecodeError);
  });

  it('refuses nesting without bound, and never fails otherwise than by its own error', () => {
    assert.throws(() => new ReplyDecoder().push(Buffer.from('*1\r\n'.repeat(100_000))), DecodeError);
    const char = fc.constantFrom(...'*$+-:_#,(!=%~>|\r\n0123456789tfx');
    fc.assert(
      fc.property(fc.array(char, { maxLength: 40 }), (chars) => {
        try {
          new ReplyDecoder().push(Buffer.from(chars.join('')));
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
