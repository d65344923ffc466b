/**
 * The emulation against answers of a real server: float-cases.txt holds random and extreme sums, recorded from
 * redis-server 7.0.15 on x86-64. What these cannot show, arithmetic laws do.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import {
  LONG_DOUBLE_MAX,
  ZERO,
  addLongDoubles,
  compareLongDoubles,
  formatLongDouble,
  negateLongDouble,
  parseLongDouble,
  toDouble,
} from '../../src/values/float.ts';

const CASES = readFileSync(new URL('float-cases.txt', import.meta.url), 'latin1')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

function incrementedBy(stored: string, increment: string): string {
  const a = parseLongDouble(stored);
  const b = parseLongDouble(increment);
  if (a === undefined || b === undefined) return 'invalid';
  const sum = addLongDoubles(a, b);
  return sum === undefined ? 'infinite' : formatLongDouble(sum);
}

const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => {
  const parsed = parseLongDouble(String(number));
  assert.ok(parsed !== undefined && typeof parsed !== 'string');
  return parsed;
});

describe('long doubles', () => {
  it('add and print as Redis does', () => {
    assert.ok(CASES.length > 500);
    for (const line of CASES) {
      const [stored = '', increment = '', reply = ''] = line.split('|');
      assert.equal(incrementedBy(stored, increment), reply, line);
    }
  });

  it('print the same digits again when their own text is read', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat({ max: 10 ** 9 }), (whole, fraction) => {
        const parsed = parseLongDouble(`${whole}.${fraction}`);
        assert.ok(parsed !== undefined && typeof parsed !== 'string');
        const text = formatLongDouble(parsed);
        const again = parseLongDouble(text);
        assert.ok(again !== undefined && typeof again !== 'string');
        assert.equal(formatLongDouble(again), text);
      }),
    );
  });

  it('give a double back that they were read from', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e300, noNaN: true }), (number) => {
        const parsed = parseLongDouble(String(number));
        assert.ok(parsed !== undefined && typeof parsed !== 'string');
        assert.equal(toDouble(parsed), number);
      }),
    );
  });

  it('add in either order, and a number and its negative make zero', () => {
    fc.assert(
      fc.property(finite, finite, (a, b) => {
        assert.deepEqual(addLongDoubles(a, b), addLongDoubles(b, a));
        assert.equal(addLongDoubles(a, negateLongDouble(a))?.mantissa, 0n);
      }),
    );
  });

  it('compare as numbers do', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
        const left = parseLongDouble(String(a).replace('I', 'i'));
        const right = parseLongDouble(String(b).replace('I', 'i'));
        assert.ok(left !== undefined && right !== undefined);
        assert.equal(Math.sign(compareLongDoubles(left, right)), a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  it('end at the largest finite one', () => {
    assert.equal(addLongDoubles(LONG_DOUBLE_MAX, LONG_DOUBLE_MAX), undefined);
    assert.deepEqual(addLongDoubles(LONG_DOUBLE_MAX, ZERO), LONG_DOUBLE_MAX);
    assert.equal(addLongDoubles('infinity', '-infinity'), undefined);
    assert.equal(compareLongDoubles('infinity', LONG_DOUBLE_MAX), 1);
    assert.equal(compareLongDoubles('-infinity', negateLongDouble(LONG_DOUBLE_MAX)), -1);
    assert.equal(negateLongDouble(negateLongDouble('infinity')), 'infinity');
    assert.equal(formatLongDouble(LONG_DOUBLE_MAX).length, 4933);
  });

  it('refuse texts that are too long to be floats, and read long ones', () => {
    assert.equal(parseLongDouble('1'.repeat(5 * 1024)), undefined);
    assert.equal(parseLongDouble('0'.repeat(5 * 1024 - 2) + '1') === undefined, false);
    assert.equal(parseLongDouble(`1e${'9'.repeat(400)}`), undefined);
    assert.equal(parseLongDouble(`0x1p${'9'.repeat(400)}`), undefined);
    assert.equal(parseLongDouble(`0x1p-${'9'.repeat(400)}`), undefined);
  });
});
