/** Round trips against a naive reading of the definition, edges, and every cut of a whole encoding. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ByteReader, ByteWriter, compareBytes, copyBytes, equalBytes, startsWith } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/checksum.ts';
import { varintSize } from '../../src/base/varint.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const safeInteger = fc.oneof(
  fc.nat({ max: 300 }),
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 2 ** 32 - 1, 2 ** 32, MAX),
);

describe('bytes', () => {
  it('comparing orders like Buffer.compare, and equality and prefixes agree with it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), fc.uint8Array({ maxLength: 6 }), (a, b) => {
        assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(a, b));
        assert.equal(equalBytes(a, b), Buffer.compare(a, b) === 0);
        assert.equal(startsWith(a, b), a.length >= b.length && Buffer.compare(a.subarray(0, b.length), b) === 0);
      }),
    );
  });

  it('what is written is read back, in the same order', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('u8' as const), value: fc.nat(0xff) }),
      fc.record({ kind: fc.constant('u16' as const), value: fc.nat(0xffff) }),
      fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
      fc.record({ kind: fc.constant('u64' as const), value: safeInteger }),
      fc.record({ kind: fc.constant('varint' as const), value: safeInteger }),
      fc.record({ kind: fc.constant('lengthPrefixed' as const), value: fc.uint8Array({ maxLength: 300 }) }),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const writer = new ByteWriter(0);
        for (const { kind, value } of steps) {
          if (kind === 'lengthPrefixed') writer.lengthPrefixed(value);
          else writer[kind](value);
        }
        const whole = writer.finishCopy();
        const reader = new ByteReader(whole);
        for (const { kind, value } of steps) assert.deepEqual(reader[kind](), value);
        reader.expectEnd();
        const readCut = (cut: number): void => {
          const short = new ByteReader(whole, 0, cut);
          for (const { kind } of steps) short[kind]();
        };
        const cuts = Math.min(whole.length, 40);
        for (let cut = 0; cut < cuts; cut++) assert.throws(() => readCut(cut), { code: 'BYTES_MALFORMED' });
      }),
      { numRuns: 60 },
    );
  });

  it('a varint takes as many bytes as varintSize says, and a longer form is refused', () => {
    for (const value of [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 49 - 1, 2 ** 49, MAX]) {
      const writer = new ByteWriter();
      writer.varint(value);
      assert.equal(writer.length, varintSize(value));
    }
    const refused = [
      [0x80, 0x00],
      [0xff, 0x80, 0x00],
      new Array<number>(8).fill(0xff),
      new Array<number>(9).fill(0x80),
    ];
    for (const bytes of refused) {
      assert.throws(() => new ByteReader(Uint8Array.from(bytes)).varint(), { code: 'BYTES_MALFORMED' });
    }
  });

  it('integers that are not exact are neither written nor read', () => {
    const writer = new ByteWriter();
    for (const value of [-1, MAX + 1, Number.NaN]) {
      assert.throws(() => writer.u64(value));
      assert.throws(() => writer.varint(value));
    }
    assert.throws(() => new ByteReader(new Uint8Array(8).fill(0xff)).u64(), { code: 'BYTES_MALFORMED' });
  });

  it('trailing bytes, and ranges outside of the input, are refused', () => {
    assert.throws(() => new ByteReader(new Uint8Array(1)).expectEnd(), { code: 'BYTES_MALFORMED' });
    assert.throws(() => new ByteReader(new Uint8Array(4)).bytes(5), { code: 'BYTES_MALFORMED' });
    assert.throws(() => new ByteReader(new Uint8Array(4)).bytes(-1), { code: 'BYTES_MALFORMED' });
    assert.throws(() => new ByteReader(new Uint8Array(4), 2, 5));
  });

  it('patching changes only what was written, and a reset gives large memory back', () => {
    const writer = new ByteWriter(4);
    writer.zeros(12);
    writer.patchU32(4, 0xdead_beef);
    assert.throws(() => writer.patchU32(9, 1));
    const reader = new ByteReader(writer.finish());
    assert.equal(reader.u32(), 0);
    assert.equal(reader.u32(), 0xdead_beef);
    assert.equal(reader.u32(), 0);
    writer.reset(0);
    assert.equal(writer.capacity, 0);
    writer.u8(7);
    assert.deepEqual([...writer.finish()], [7]);
  });

  it('a copy shares no memory, and checksums chain over pieces', () => {
    const source = Uint8Array.from([1, 2, 3]);
    const copy = copyBytes(source);
    source[0] = 9;
    assert.equal(copy[0], 1);
    assert.equal(crc32(Buffer.from('123456789')), 0xcbf4_3926);
    assert.equal(crc32(Buffer.from('6789'), crc32(Buffer.from('12345'))), 0xcbf4_3926);
  });
});
