/** Numbers as C prints and converts them. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatArgument, formatG, toInteger32, toInteger64 } from '../../src/scripting/numbers.ts';

describe('numbers of scripts', () => {
  it('%g rounds to even on a tie, and drops zeros', () => {
    const rows: readonly [value: number, precision: number, text: string][] = [
      [0, 14, '0'],
      [-0, 14, '-0'],
      [1, 14, '1'],
      [-1.5, 14, '-1.5'],
      [0.1, 14, '0.1'],
      [0.1, 17, '0.10000000000000001'],
      [1e15, 14, '1e+15'],
      [1e14, 14, '1e+14'],
      [123456789012345, 14, '1.2345678901234e+14'],
      [99999999999999.9, 14, '1e+14'],
      [2.5, 1, '2'],
      [3.5, 1, '4'],
      [0.25, 1, '0.2'],
      [0.35, 1, '0.3'],
      [1234567890123.5, 13, '1234567890124'],
      [1234567890122.5, 13, '1234567890122'],
      [0.0001, 14, '0.0001'],
      [0.00001, 14, '1e-05'],
      [1e100, 14, '1e+100'],
      [5e-324, 14, '4.9406564584125e-324'],
      [Number.NaN, 14, 'nan'],
      [-1 / 0, 14, '-inf'],
      [100, 3, '100'],
      [1000, 3, '1e+03'],
      [999.5, 3, '1e+03'],
      [0.5, 14, '0.5'],
    ];
    for (const [value, precision, text] of rows) assert.equal(formatG(value, precision), text);
  });

  it('%.17g reads back as the same number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        assert.ok(Object.is(Number(formatG(value, 17)), value));
      }),
    );
  });

  it('a number becomes a 64-bit integer as on x86', () => {
    const least = -(2n ** 63n);
    const rows: readonly [value: number, integer: number | bigint][] = [
      [0, 0],
      [-0, 0],
      [3.99, 3],
      [-3.99, -3],
      [-0.5, 0],
      [2 ** 53 - 1, 2 ** 53 - 1],
      [2 ** 53, 2n ** 53n],
      [2 ** 62, 2n ** 62n],
      [2 ** 63, least],
      [-(2 ** 63), least],
      [1e300, least],
      [Number.NaN, least],
      [1 / 0, least],
    ];
    for (const [value, integer] of rows) assert.ok(Object.is(toInteger64(value), integer), String(value));
  });

  it('an int keeps the low 32 bits', () => {
    assert.equal(toInteger32(2 ** 32 + 5), 5);
    assert.equal(toInteger32(2 ** 31), -(2 ** 31));
    assert.equal(toInteger32(-1.9), -1);
    assert.equal(toInteger32(1e300), 0);
  });

  it('arguments of commands are whole numbers without exponent where 64 bits hold them', () => {
    assert.equal(formatArgument(1e17), '100000000000000000');
    assert.equal(formatArgument(-0), '0');
    assert.equal(formatArgument(0.1), '0.1');
  });
});
