/** Bit operations on both forms of a string against strings of '0' and '1'. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type BitOperation,
  bitCount,
  bitOperation,
  bitPosition,
  getBit,
  getBits,
  setBit,
  setBits,
} from '../../src/values/bits.ts';
import { PAGE_BYTES, byteLength, stringFromBytes, toBytes } from '../../src/values/string.ts';

/** Small contents, and ones whose interesting bytes lie around a page's border. */
const content = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc
    .tuple(
      fc.constantFrom(PAGE_BYTES - 3, PAGE_BYTES, 2 * PAGE_BYTES - 2),
      fc.constantFrom(0, 0xff),
      fc.uint8Array({ minLength: 1, maxLength: 12 }),
    )
    .map(([before, fill, tail]) => Buffer.concat([Buffer.alloc(before, fill), tail])),
);

function bitsOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
}

describe('bits', () => {
  it('are read and set one by one', () => {
    fc.assert(
      fc.property(
        content,
        fc.nat({ max: 3 * PAGE_BYTES * 8 }),
        fc.constantFrom(0 as const, 1 as const),
        (bytes, offset, bit) => {
          const value = stringFromBytes(bytes);
          const expected = Buffer.alloc(Math.max(bytes.length, Math.floor(offset / 8) + 1));
          expected.set(bytes);
          assert.equal(getBit(value, offset), ((expected[offset >> 3] ?? 0) >> (7 - (offset & 7))) & 1);
          const mask = 0x80 >> (offset & 7);
          expected[offset >> 3] =
            bit === 1 ? (expected[offset >> 3] ?? 0) | mask : (expected[offset >> 3] ?? 0) & ~mask;
          assert.ok(toBytes(setBit(value, offset, bit)).equals(expected));
        },
      ),
    );
  });

  it('do not make a new value when nothing changes', () => {
    const value = stringFromBytes(Buffer.from([0x80]));
    assert.equal(setBit(value, 0, 1), value);
    assert.equal(setBit(value, 5, 0), value);
    assert.notEqual(setBit(value, 9, 0), value);
  });

  it('are counted and found in any range', () => {
    fc.assert(
      fc.property(content, fc.nat(), fc.nat(), (bytes, a, b) => {
        const total = bytes.length * 8;
        const near = (n: number): number => (n % 2 === 0 ? n % (total + 1) : Math.max(0, total - (n % 100)));
        const start = Math.min(near(a), near(b));
        const end = Math.max(near(a), near(b));
        const value = stringFromBytes(bytes);
        const bits = bitsOf(bytes).slice(start, end);
        assert.equal(bitCount(value, start, end), bits.replaceAll('0', '').length);
        for (const bit of [0, 1] as const) {
          const index = bits.indexOf(String(bit));
          assert.equal(bitPosition(value, bit, { start, end }), index === -1 ? -1 : start + index);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('combine as their definition says, shorter sources padded with zeros', () => {
    const byteOf: Readonly<Record<Exclude<BitOperation, 'NOT'>, (a: number, b: number) => number>> = {
      AND: (a, b) => a & b,
      OR: (a, b) => a | b,
      XOR: (a, b) => a ^ b,
    };
    fc.assert(
      fc.property(
        fc.constantFrom('AND' as const, 'OR' as const, 'XOR' as const),
        fc.array(content, { minLength: 1, maxLength: 4 }),
        (operation, sources) => {
          const length = Math.max(...sources.map((source) => source.length));
          const expected = Buffer.from(
            Array.from({ length }, (_, i) => sources.map((source) => source[i] ?? 0).reduce(byteOf[operation])),
          );
          assert.ok(toBytes(bitOperation(operation, sources.map(stringFromBytes))).equals(expected));
        },
      ),
      { numRuns: 30 },
    );
    fc.assert(
      fc.property(content, (bytes) => {
        assert.ok(
          toBytes(bitOperation('NOT', [stringFromBytes(bytes)])).equals(Buffer.from(bytes.map((byte) => ~byte))),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('hold integers of any width at any offset', () => {
    const field = fc.record({
      offset: fc.oneof(fc.nat({ max: 100 }), fc.integer({ min: PAGE_BYTES * 8 - 70, max: PAGE_BYTES * 8 + 70 })),
      width: fc.integer({ min: 1, max: 64 }),
    });
    fc.assert(
      fc.property(content, field, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (bytes, at, number) => {
        const { offset, width } = at;
        const padded = bitsOf(bytes).padEnd(offset + width, '0');
        const value = stringFromBytes(bytes);
        assert.equal(getBits(value, offset, width), BigInt(`0b${padded.slice(offset, offset + width)}`));
        const stored = BigInt.asUintN(width, number);
        const changed = setBits(value, at, number);
        assert.equal(getBits(changed, offset, width), stored);
        const digits = stored.toString(2).padStart(width, '0');
        const expected = `${padded.slice(0, offset)}${digits}${padded.slice(offset + width)}`;
        assert.equal(bitsOf(toBytes(changed)), expected.padEnd(byteLength(changed) * 8, '0'));
      }),
      { numRuns: 40 },
    );
  });
});
