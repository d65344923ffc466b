/**
 * Proves the request reader against golden texts (probed on redis-server 7.0.15 and read in 7.2's networking.c), whole,
 * byte by byte, cut at every place, paused at every request, and mutated at random.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  ARGUMENT_COUNT_MAX,
  INLINE_BYTES_MAX,
  ProtocolError,
  RequestReader,
  UNAUTHENTICATED_BUFFER_BYTES_MAX,
} from '../../src/resp/requests.ts';

const LIMITS = { bulkBytesMax: 512 * 1024 * 1024, bufferBytesMax: 1024 * 1024 * 1024 };

interface Outcome {
  readonly requests: string[][];
  /** Error text as sent, `close` for a silent end, or null. */
  readonly error: string | null;
}

interface ReadOptions {
  readonly isAuthenticated?: boolean;
  readonly limits?: { bulkBytesMax: number; bufferBytesMax: number };
  /** Pause after each request, and resume from outside. */
  readonly pausing?: boolean;
}

function readPieces(pieces: readonly Buffer[], options: ReadOptions = {}): Outcome {
  const reader = new RequestReader(options.limits ?? LIMITS, options.isAuthenticated ?? true);
  const requests: string[][] = [];
  const take = (argv: Buffer[]): boolean => {
    requests.push(argv.map((argument) => argument.toString('latin1')));
    return options.pausing !== true;
  };
  try {
    for (const piece of pieces) {
      // A copy that is overwritten afterwards: what the reader keeps must be its own.
      const chunk = Buffer.from(piece);
      reader.push(chunk, take);
      chunk.fill('!');
      while (reader.isPaused) reader.resume(take);
    }
    return { requests, error: null };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { requests, error: error.reply?.text ?? `close: ${error.code}` };
  }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const read = (text: string, options: ReadOptions = {}): Outcome => readPieces([bytes(text)], options);

function eachByte(input: Buffer): Buffer[] {
  return Array.from(input, (_, i) => input.subarray(i, i + 1));
}

const frame = (...argv: string[]): string =>
  `*${argv.length}\r\n${argv.map((argument) => `$${argument.length}\r\n${argument}\r\n`).join('')}`;

describe('resp/requests: golden cases', () => {
  const golden: readonly (readonly [string, string[][], string | null])[] = [
    ['', [], null],
    ['\r\n', [], null],
    ['\n', [], null],
    ['   \r\n', [], null],
    ['*0\r\n', [], null],
    ['*-5\r\n', [], null],
    ['*-1\r\n*-9223372036854775808\r\n*0\r\nPING\r\n', [['PING']], null],
    ['PING\r\n', [['PING']], null],
    ['PING\n', [['PING']], null],
    ['  PING   x\t y\r\n', [['PING', 'x', 'y']], null],
    ['SET a "b c"\r\n', [['SET', 'a', 'b c']], null],
    [String.raw`SET a "\x41\n\"\\\q\xZZ"` + '\r\n', [['SET', 'a', 'A\n"\\qxZZ']], null],
    [String.raw`SET a 'b \' \n'` + '\r\n', [['SET', 'a', String.raw`b ' \n`]], null],
    ['SET fo"o b"\r\n', [['SET', 'foo b']], null],
    ['SET a ""\r\n', [['SET', 'a', '']], null],
    ['SET "a\r\n', [], 'ERR Protocol error: unbalanced quotes in request'],
    ["SET 'a\r\n", [], 'ERR Protocol error: unbalanced quotes in request'],
    ['SET "a"b\r\n', [], 'ERR Protocol error: unbalanced quotes in request'],
    ['PING\r\nSET "a\r\nPING\r\n', [['PING']], 'ERR Protocol error: unbalanced quotes in request'],
    // Behind a NUL a line has no end.
    ['PI\0NG\r\nPING\r\n', [], null],
    ['\0\r\n*1\r\n$4\r\nPING\r\n', [], null],
    ['PING\r\nSET "a\0"\r\n', [['PING']], null],
    ['PING\r\0\n', [], null],
    [frame('GET', 'k'), [['GET', 'k']], null],
    [frame('SET', 'k', ''), [['SET', 'k', '']], null],
    [frame('SET', 'k', '\r\n$3\r\n*1'), [['SET', 'k', '\r\n$3\r\n*1']], null],
    [frame('A') + '\r\nB\r\n' + frame('C') + '*0\r\n' + frame('D'), [['A'], ['B'], ['C'], ['D']], null],
    ['*1\r\n$3\r\nabcde', [['abc']], null],
    ['*1\rx$1\ryzab', [['z']], null],
    ['*abc\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['*\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['*+1\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['* 1\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['*01\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['*-0\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['*1e3\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['*1\n', [], null],
    ['*2147483648\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['*9223372036854775808\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    ['*99999999999999999999999\r\n', [], 'ERR Protocol error: invalid multibulk length'],
    [`*${ARGUMENT_COUNT_MAX + 1}\r\n`, [], 'ERR Protocol error: invalid multibulk length'],
    [`*${ARGUMENT_COUNT_MAX}\r\n`, [], null],
    ['*1\r\n:5\r\n', [], "ERR Protocol error: expected '$', got ':'"],
    ['*1\r\n*1\r\n', [], "ERR Protocol error: expected '$', got '*'"],
    ['*1\r\n+PING\r\n', [], "ERR Protocol error: expected '$', got '+'"],
    ['*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n', [], "ERR Protocol error: expected '$', got 'f'"],
    ['*1\r\n$-1\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$-2\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$+3\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$ 3\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$03\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$abc\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$536870913\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$9999999999\r\n', [], 'ERR Protocol error: invalid bulk length'],
    ['*1\r\n$536870912\r\nx', [], null],
    [frame('GET', 'k') + '*1\r\n$x\r\n', [['GET', 'k']], 'ERR Protocol error: invalid bulk length'],
    ['POST / HTTP/1.1\r\n', [], 'close: cross-protocol'],
    ['post\r\n', [], 'close: cross-protocol'],
    ['Host: localhost\r\n', [], 'close: cross-protocol'],
    ['PING\r\nhOsT: x\r\nPING\r\n', [['PING']], 'close: cross-protocol'],
    ['GET / HTTP/1.1\r\nHost: x\r\nPING\r\n', [['GET', '/', 'HTTP/1.1']], 'close: cross-protocol'],
  ];
  for (const [text, requests, error] of golden) {
    it(`${JSON.stringify(text)} gives ${JSON.stringify(error ?? requests)}, however it is cut`, () => {
      const input = bytes(text);
      assert.deepEqual(read(text), { requests, error });
      assert.deepEqual(readPieces(eachByte(input)), { requests, error });
      assert.deepEqual(read(text, { pausing: true }), { requests, error });
      for (let cut = 1; cut < input.length; cut++) {
        assert.deepEqual(readPieces([input.subarray(0, cut), input.subarray(cut)]), { requests, error }, `cut ${cut}`);
      }
    });
  }
});

describe('resp/requests: limits', () => {
  it('a header line without end is refused after 64 KiB', () => {
    const digits = '1'.repeat(INLINE_BYTES_MAX);
    assert.equal(read(`*${digits}`).error, 'ERR Protocol error: too big mbulk count string');
    assert.equal(read(`*1\r\n$${digits}`).error, 'ERR Protocol error: too big bulk count string');
    assert.equal(read(`*${digits.slice(1)}`).error, null);
  });

  it('an inline request may have 64 KiB, and not one byte more, wherever its end is', () => {
    const most = 'x'.repeat(INLINE_BYTES_MAX);
    assert.deepEqual(read(`${most}\r\n`).requests, [[most]]);
    for (const text of [`${most}x`, `${most}x\r\n`]) {
      assert.equal(read(text).error, 'ERR Protocol error: too big inline request');
    }
    const pieces = Array.from({ length: 66 }, () => Buffer.alloc(1024, 'x'));
    assert.equal(readPieces(pieces).error, 'ERR Protocol error: too big inline request');
    assert.equal(readPieces([bytes('\0\r\n'), ...pieces]).error, 'ERR Protocol error: too big inline request');
  });

  it('proto-max-bulk-len counts for each argument and may change under way', () => {
    const limits = { ...LIMITS, bulkBytesMax: 5 };
    const reader = new RequestReader(limits, true);
    let count = 0;
    const take = (): boolean => {
      count++;
      return true;
    };
    reader.push(bytes(frame('SET', 'k', '12345')), take);
    assert.throws(() => {
      reader.push(bytes(frame('SET', 'k', '123456')), take);
    }, /invalid bulk length/);
    const other = new RequestReader(limits, true);
    limits.bulkBytesMax = 6;
    other.push(bytes(frame('SET', 'k', '123456')), take);
    assert.equal(count, 2);
  });

  it('before authentication: ten arguments of 16 KiB', () => {
    const options = { isAuthenticated: false };
    const ten = Array.from({ length: 10 }, () => 'x');
    assert.deepEqual(read(frame(...ten), options).requests, [ten]);
    assert.equal(read('*11\r\n', options).error, 'ERR Protocol error: unauthenticated multibulk length');
    assert.deepEqual(read(frame('AUTH', 'x'.repeat(16_384)), options).error, null);
    assert.equal(read('*1\r\n$16385\r\n', options).error, 'ERR Protocol error: unauthenticated bulk length');
  });

  it('an AUTH lifts the limits for what follows it in the same packet', () => {
    const reader = new RequestReader(LIMITS, false);
    const sizes: number[] = [];
    reader.push(bytes(frame('AUTH', 'pw') + frame('SET', 'k', 'v'.repeat(20_000))), (argv) => {
      if (argv[0]?.toString() === 'AUTH') reader.setAuthenticated(true);
      sizes.push(argv.length);
      return true;
    });
    assert.deepEqual(sizes, [2, 3]);
  });

  it('unhandled input is bounded: one MiB before authentication, the query buffer limit after', () => {
    const pause = (): boolean => false;
    for (const [isAuthenticated, limit] of [
      [false, UNAUTHENTICATED_BUFFER_BYTES_MAX],
      [true, 2_000_000],
    ] as const) {
      const reader = new RequestReader({ ...LIMITS, bufferBytesMax: 2_000_000 }, isAuthenticated);
      reader.push(bytes(frame('PING')), pause);
      assert.ok(reader.isPaused);
      const piece = Buffer.alloc(100_000, 'x');
      let sent = 0;
      assert.throws(
        () => {
          for (; sent < 3_000_000; sent += piece.length) reader.push(piece, pause);
        },
        (error) => error instanceof ProtocolError && error.code === 'buffer-limit' && error.reply === null,
      );
      assert.ok(sent <= limit && sent > limit - piece.length);
      assert.equal(reader.bufferedBytes, 0);
    }
  });

  it('what is announced and not sent costs nothing', () => {
    const text = `*${ARGUMENT_COUNT_MAX}\r\n$3\r\nSET\r\n$500000000\r\nabc`;
    const before = process.memoryUsage();
    const readers = Array.from({ length: 200 }, () => {
      const reader = new RequestReader(LIMITS, true);
      reader.push(bytes(text), () => true);
      return reader;
    });
    const after = process.memoryUsage();
    assert.ok(after.arrayBuffers - before.arrayBuffers < 1024 * 1024);
    assert.ok(after.heapUsed - before.heapUsed < 8 * 1024 * 1024);
    assert.equal(readers[0]?.bufferedBytes, text.length);
  });

  it('a long value in small pieces takes at most twice its size, and arrives whole', () => {
    const value = Buffer.alloc(1_000_000, 'v');
    const reader = new RequestReader(LIMITS, true);
    const input = Buffer.concat([bytes('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n'), value, bytes('\r\n')]);
    const got: Buffer[] = [];
    for (let at = 0; at < input.length; at += 1000) {
      reader.push(input.subarray(at, at + 1000), (argv) => {
        got.push(...argv);
        assert.equal(reader.requestBytes, input.length);
        return true;
      });
    }
    assert.equal(got.length, 3);
    assert.ok(got[2]?.equals(value));
    assert.ok((got[2]?.buffer.byteLength ?? Infinity) <= 2 * input.length);
    assert.equal(reader.bufferedBytes, 0);
  });

  it('a hundred thousand arguments in one-byte pieces cost linear time', () => {
    const argv = Array.from({ length: 100_000 }, () => 'a');
    const outcome = readPieces([...eachByte(bytes(frame(...argv)))]);
    assert.equal(outcome.requests[0]?.length, 100_000);
  });
});

describe('resp/requests: pausing', () => {
  it('delivers nothing while paused, keeps the order, and resumes where it stopped', () => {
    const reader = new RequestReader(LIMITS, true);
    const got: string[] = [];
    const take = (argv: Buffer[]): boolean => {
      got.push(argv.join(' '));
      return argv[0]?.toString() !== 'STOP';
    };
    reader.push(bytes(frame('A') + frame('STOP', '1') + frame('B')), take);
    assert.deepEqual(got, ['A', 'STOP 1']);
    reader.push(bytes(frame('C') + 'STOP 2\r\n' + frame('D').slice(0, 5)), take);
    assert.deepEqual(got, ['A', 'STOP 1']);
    reader.resume(take);
    assert.deepEqual(got, ['A', 'STOP 1', 'B', 'C', 'STOP 2']);
    assert.ok(reader.isPaused);
    reader.resume(take);
    assert.equal(reader.isPaused, false);
    reader.push(bytes(frame('D').slice(5)), take);
    assert.deepEqual(got.slice(5), ['D']);
  });

  it('a protocol error behind a pause is thrown when its turn comes', () => {
    const reader = new RequestReader(LIMITS, true);
    let count = 0;
    reader.push(bytes(frame('A') + frame('B') + '*x\r\n'), () => ++count < 1);
    reader.resume(() => ++count < 2);
    assert.equal(count, 2);
    assert.throws(() => {
      reader.resume(() => true);
    }, ProtocolError);
    reader.push(bytes(frame('A')), () => assert.fail('delivered after an error'));
  });

  it('a client that makes every request of a deep pipeline pause costs linear work', () => {
    const depth = 20_000;
    const reader = new RequestReader(LIMITS, true);
    let count = 0;
    const take = (): boolean => {
      count++;
      return false;
    };
    reader.push(bytes(frame('X').repeat(depth)), take);
    while (reader.isPaused) reader.resume(take);
    assert.equal(count, depth);
  });

  it('reports the size of each request', () => {
    const reader = new RequestReader(LIMITS, true);
    const texts = [frame('A'), 'PING x\r\n', frame('B', 'C'), frame('D')];
    const sizes: number[] = [];
    reader.push(bytes(texts.join('')), () => {
      sizes.push(reader.requestBytes);
      return true;
    });
    assert.deepEqual(
      sizes,
      texts.map((text) => text.length),
    );
  });
});

describe('resp/requests: random input', () => {
  const argument = fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value).toString('latin1'));
  const request = fc.array(argument, { minLength: 1, maxLength: 5 });

  it('what was framed comes out, wherever it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 20 }),
        fc.array(fc.nat(2000), { maxLength: 8 }),
        fc.boolean(),
        (requests, cuts, pausing) => {
          const input = bytes(requests.map((argv) => frame(...argv)).join(''));
          const places = [0, ...cuts.map((cut) => cut % (input.length + 1)).sort((a, b) => a - b), input.length];
          const pieces = places.slice(1).map((place, i) => input.subarray(places[i], place));
          assert.deepEqual(readPieces(pieces, { pausing }), { requests, error: null });
        },
      ),
      { numRuns: 300 },
    );
  });

  it('mutated frames give requests or a ProtocolError, never anything else, the same whole and byte by byte', () => {
    const mutation = fc.tuple(
      fc.nat(),
      fc.constantFrom(...'*$\r\n0129-+ "\'\0x\xffp'),
      fc.constantFrom('set', 'insert', 'delete'),
    );
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 4 }),
        fc.array(mutation, { maxLength: 6 }),
        (requests, mutations) => {
          let text = requests.map((argv) => frame(...argv)).join('');
          for (const [at, char, kind] of mutations) {
            const place = at % (text.length + 1);
            text =
              text.slice(0, place) +
              (kind === 'delete' ? '' : char) +
              text.slice(kind === 'insert' ? place : place + 1);
          }
          const whole = read(text);
          assert.deepEqual(readPieces(eachByte(bytes(text))), whole);
          assert.deepEqual(read(text, { pausing: true }), whole);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
