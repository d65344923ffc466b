/** 64-bit integers against plain bigints, and the strictness of Redis's string2ll. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  INT64_MAX,
  INT64_MIN,
  type Int64,
  addInt64,
  clampToSafe,
  int64,
  multiplyInt64,
  negateInt64,
  parseInt64,
  parseInt64Text,
} from '../../src/values/integer.ts';

const bigint64 = fc.oneof(
  fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.constantFrom(INT64_MAX, INT64_MIN, INT64_MIN + 1n, 0n, 2n ** 53n, 2n ** 53n - 1n, -(2n ** 53n), 10n ** 15n),
);

function parseBoth(text: string): Int64 | undefined {
  const parsed = parseInt64(Buffer.from(text, 'latin1'));
  assert.equal(parseInt64Text(text), parsed, text);
  return parsed;
}

function expected(value: bigint): Int64 | undefined {
  if (value > INT64_MAX || value < INT64_MIN) return undefined;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

describe('64-bit integers', () => {
  it('are read from their text', () => {
    fc.assert(fc.property(bigint64, (value) => assert.equal(parseBoth(String(value)), expected(value))));
  });

  it('are nothing else than Redis reads', () => {
    const refused = [
      '',
      '-',
      '+1',
      '01',
      '-0',
      '00',
      ' 1',
      '1 ',
      '1.0',
      '1e3',
      '0x1',
      'a',
      '1a',
      '--1',
      '9223372036854775808',
    ];
    for (const text of [...refused, '-9223372036854775809', '99999999999999999999', '1'.repeat(21), '-01']) {
      assert.equal(parseBoth(text), undefined, text);
    }
    fc.assert(
      fc.property(fc.string({ maxLength: 22 }), (text) => {
        const isInteger = /^(0|-?[1-9][0-9]*)$/.test(text);
        assert.equal(parseBoth(text), isInteger ? expected(BigInt(text)) : undefined);
      }),
    );
  });

  it('add, multiply and negate within 64 bits, and are a bigint only beyond 2^53', () => {
    fc.assert(
      fc.property(bigint64, bigint64, (a, b) => {
        const left = int64(a) ?? 0;
        const right = int64(b) ?? 0;
        assert.equal(addInt64(left, right), expected(a + b));
        assert.equal(multiplyInt64(left, right), expected(a * b));
        assert.equal(negateInt64(left), expected(-a));
      }),
    );
    assert.ok(Object.is(negateInt64(0), 0));
  });

  it('are clamped to what a number holds exactly', () => {
    assert.equal(clampToSafe(5), 5);
    assert.equal(clampToSafe(INT64_MAX), Number.MAX_SAFE_INTEGER);
    assert.equal(clampToSafe(INT64_MIN), Number.MIN_SAFE_INTEGER);
  });
});
