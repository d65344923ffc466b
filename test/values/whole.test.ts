/** Objects in one run of bytes: golden bytes, every kind of value whole, cut, mutated, and nothing kept of the bytes read. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts';
import { KahunaError } from '../../src/base/errors.ts';
import { ANSWERS_PER_PAGE } from '../../src/values/idempotency.ts';
import { Lock } from '../../src/values/lock.ts';
import { type Sequence, allocate, createSequence } from '../../src/values/sequence.ts';
import { PAGE_BYTES, setRange, stringFromBytes } from '../../src/values/string.ts';
import type { Value } from '../../src/values/value.ts';
import { readWhole, type WholeObject, wholeSize, writeWhole } from '../../src/values/whole.ts';

const EXPIRY = 1_700_000_000_123;

function encode(object: WholeObject): Uint8Array {
  const writer = new ByteWriter(16);
  writeWhole(writer, object);
  return writer.finishCopy();
}

function decode(bytes: Uint8Array): WholeObject {
  const reader = new ByteReader(bytes);
  const object = readWhole(reader);
  reader.expectEnd();
  return object;
}

function hex(object: WholeObject): string {
  return Buffer.from(encode(object)).toString('hex');
}

function sequenceWithAnswers(count: number): Sequence {
  let sequence = createSequence({ start: 0n, increment: 1n, max: null }, 1_000);
  for (let i = 0; i < count; i++) {
    const allocation = allocate(sequence, { count: null, id: `id-${i}`, nowMs: 1_000 + i });
    assert.ok(typeof allocation !== 'string');
    sequence = allocation.sequence;
  }
  return sequence;
}

const values: readonly Value[] = [
  '',
  'abc\xff',
  'x'.repeat(PAGE_BYTES),
  stringFromBytes(Buffer.alloc(2 * PAGE_BYTES + 5, 7)),
  // Pages of zeros between, which are stored as nothing.
  setRange('start', 4 * PAGE_BYTES, Buffer.from('end')),
  new Lock({ token: 7, owner: 'me\xff', expiresAtMs: EXPIRY, acquiredAt: 6_963_200_000_000_000 }),
  new Lock({ token: 258, owner: null, expiresAtMs: 0, acquiredAt: 0 }),
  createSequence({ start: -1n, increment: 1n, max: 5n }, 1_000),
  sequenceWithAnswers(2 * ANSWERS_PER_PAGE + 3),
];
const objects = values.flatMap((value) => [0, EXPIRY].map((expiresAtMs) => ({ value, expiresAtMs })));

function refusesOrAgrees(bytes: Uint8Array, what: string): void {
  try {
    assert.ok(Buffer.from(encode(decode(bytes))).equals(bytes), what);
  } catch (error) {
    assert.ok(error instanceof KahunaError, `${what}: ${String(error)}`);
    assert.match(String(error.code), /^(VALUE|BYTES)_MALFORMED$/, what);
  }
}

describe('whole objects', () => {
  it('have these bytes', () => {
    assert.equal(hex({ value: 'abc', expiresAtMs: 0 }), '05' + '0100616263' + '00');
    assert.equal(hex({ value: '', expiresAtMs: EXPIRY }), '0a' + '01017b68e5cf8b010000' + '00');
    const paged = hex({ value: stringFromBytes(Buffer.alloc(PAGE_BYTES + 2, 0x61)), expiresAtMs: 0 });
    const [header, pages] = ['0a' + '01020240000000400000', '02' + '808001' + '61'.repeat(PAGE_BYTES) + '02' + '6161'];
    assert.equal(paged, header + pages);
    const zeros = hex({ value: setRange('', PAGE_BYTES + 1, Buffer.from('a')), expiresAtMs: 0 });
    assert.equal(zeros, header + '02' + '00' + '02' + '0061', 'a page of zeros is no bytes');
  });

  it('are read as they were written, with pages and expiry', () => {
    for (const object of objects) assert.deepEqual(decode(encode(object)), object);
  });

  it('follow one another, and leave what comes after them', () => {
    const writer = new ByteWriter(16);
    for (const object of objects) writeWhole(writer, object);
    writer.u8(77);
    const reader = new ByteReader(writer.finish());
    for (const object of objects) assert.deepEqual(readWhole(reader), object);
    assert.equal(reader.u8(), 77);
  });

  it('keep nothing of the bytes that they were read from', () => {
    for (const object of objects) {
      const bytes = encode(object);
      const read = decode(bytes);
      bytes.fill(0xee);
      assert.deepEqual(read, object);
    }
  });

  it('are refused by name wherever they are cut', () => {
    for (const object of objects) {
      const bytes = encode(object);
      const step = bytes.length > 200 ? 97 : 1;
      for (let length = 0; length < bytes.length; length += step) {
        assert.throws(() => decode(bytes.subarray(0, length)), KahunaError, `cut to ${length} of ${bytes.length}`);
      }
    }
  });

  it('that were changed are refused by name, or are what these bytes say', () => {
    for (const object of objects) {
      const bytes = Buffer.from(encode(object));
      const step = bytes.length > 200 ? 2_003 : 1;
      for (let at = 0; at < bytes.length; at += step) {
        for (let bit = 0; bit < 8; bit++) {
          bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
          refusesOrAgrees(bytes, `bit ${bit} of byte ${at}`);
          bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        }
      }
    }
  });

  it('of any bytes are read or refused by name', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => refusesOrAgrees(bytes, 'any bytes')));
  });

  it('are estimated at no less than they take, and long ones at little more', () => {
    for (const object of objects) assert.ok(wholeSize(object) >= encode(object).length);
    const long = { value: stringFromBytes(Buffer.alloc(1_000_000, 1)), expiresAtMs: 0 };
    assert.ok(wholeSize(long) < encode(long).length * 1.05);
  });
});
