/** The messages of the scrub: they come out as they went in, and what no node sends is refused by name. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { ByteWriter, compareBytes } from '../../src/base/bytes.ts';
import { KahunaError } from '../../src/base/errors.ts';
import {
  LOOK_BYTES_MAX,
  readFinding,
  readLook,
  readVerdict,
  type ScrubFinding,
  writeFinding,
  writeLook,
  writeVerdict,
} from '../../src/cluster/scrub-codec.ts';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const name = { group: u32, look: fc.maxSafeNat(), term: fc.maxSafeNat() };
const bytes = fc.uint8Array({ maxLength: 20 });
const range = fc
  .tuple(bytes, bytes)
  .filter(([a, b]) => compareBytes(a, b) !== 0)
  .map(([a, b]) => (compareBytes(a, b) < 0 ? { start: a, end: b } : { start: b, end: a }));
const plain = { noNullPrototype: true } as const;
const look = fc
  .tuple(
    fc.record({ ...name, index: fc.maxSafeNat(), bytesMax: fc.integer({ min: 1, max: LOOK_BYTES_MAX }) }, plain),
    range,
  )
  .map(([fields, { start, end }]) => ({ ...fields, start, end }));
const verdict = fc
  .tuple(fc.record({ ...name, index: fc.maxSafeNat() }, plain), range)
  .map(([fields, { start, end }]) => ({ ...fields, start, end }));
const hash = fc.record(
  {
    hash: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((digest) => Buffer.from(digest).toString('hex')),
    count: u32,
    stateFormat: fc.integer({ min: 0, max: 255 }),
    stateChecksum: u32,
    end: bytes,
  },
  plain,
);
const finding: fc.Arbitrary<ScrubFinding> = fc.record(
  { ...name, found: fc.oneof(fc.constantFrom('missed' as const, 'damaged' as const), hash) },
  plain,
);

interface Codec<T> {
  readonly write: (writer: ByteWriter, message: T) => void;
  readonly read: (payload: Uint8Array) => T;
}

function encode<T>({ write }: Codec<T>, message: T): Uint8Array {
  const writer = new ByteWriter(8);
  write(writer, message);
  return writer.finishCopy();
}

function refusal(work: () => unknown): string | null {
  try {
    work();
  } catch (error) {
    if (error instanceof KahunaError) return String(error.code);
    throw error;
  }
  return null;
}

function suite<T>(title: string, codec: Codec<T>, messages: fc.Arbitrary<T>): void {
  describe(title, () => {
    it('comes out as it went in, in memory of its own', () => {
      fc.assert(
        fc.property(messages, (message) => {
          const payload = encode(codec, message);
          const decoded = codec.read(payload);
          payload.fill(0xaa);
          assert.deepEqual(decoded, message);
        }),
      );
    });

    it('is refused when it is cut anywhere, or goes on behind its end', () => {
      fc.assert(
        fc.property(messages, (message) => {
          const payload = encode(codec, message);
          for (let length = 0; length < payload.length; length++) {
            assert.ok(refusal(() => codec.read(payload.subarray(0, length))) !== null, `cut at ${length}`);
          }
          assert.equal(
            refusal(() => codec.read(Buffer.concat([payload, Buffer.of(0)]))),
            'BYTES_MALFORMED',
          );
        }),
        { numRuns: 40 },
      );
    });

    it('is refused, or means exactly what its bytes say, when any of them is changed', () => {
      fc.assert(
        fc.property(messages, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, at, mask) => {
          const payload = encode(codec, message);
          const position = at % payload.length;
          payload[position] = (payload[position] ?? 0) ^ mask;
          let decoded: T;
          try {
            decoded = codec.read(payload);
          } catch (error) {
            assert.ok(error instanceof KahunaError);
            return;
          }
          assert.deepEqual(encode(codec, decoded), payload);
        }),
        { numRuns: 300 },
      );
    });
  });
}

describe('messages of the scrub', () => {
  suite('a look', { write: writeLook, read: readLook }, look);
  suite('a finding', { write: writeFinding, read: readFinding }, finding);
  suite('a verdict', { write: writeVerdict, read: readVerdict }, verdict);

  it('a look at nothing, or at too much, is refused', () => {
    const one = { group: 1, look: 2, term: 3, index: 4, start: Buffer.from('a'), end: Buffer.from('b'), bytesMax: 5 };
    const codeOf = (change: Partial<typeof one>) =>
      refusal(() => readLook(encode({ write: writeLook, read: readLook }, { ...one, ...change })));
    assert.equal(codeOf({}), null);
    assert.equal(codeOf({ bytesMax: 0 }), 'SCRUB_MALFORMED');
    assert.equal(codeOf({ bytesMax: LOOK_BYTES_MAX + 1 }), 'SCRUB_MALFORMED');
    assert.equal(codeOf({ end: Buffer.from('a') }), 'SCRUB_MALFORMED');
    assert.equal(codeOf({ end: Buffer.from('A') }), 'SCRUB_MALFORMED');
  });

  it('golden: the bytes of one of each', () => {
    const range1 = { start: Buffer.from([0, 1]), end: Buffer.from([0, 9]) };
    const of = { group: 1, look: 2, term: 3 };
    const hex = (payload: Uint8Array) => Buffer.from(payload).toString('hex');
    assert.equal(
      hex(encode({ write: writeLook, read: readLook }, { ...of, index: 4, bytesMax: 5, ...range1 })),
      '01000000' +
        '0200000000000000' +
        '0300000000000000' +
        '0400000000000000' +
        '05000000' +
        '020000000001' +
        '020000000009',
    );
    const found = { hash: '0123456789abcdef'.repeat(2), count: 6, stateFormat: 7, stateChecksum: 8, end: range1.end };
    assert.equal(
      hex(encode({ write: writeFinding, read: readFinding }, { ...of, found })),
      '01000000' +
        '0200000000000000' +
        '0300000000000000' +
        '01' +
        '0123456789abcdef'.repeat(2) +
        '06000000' +
        '07' +
        '08000000' +
        '020000000009',
    );
    assert.equal(
      hex(encode({ write: writeVerdict, read: readVerdict }, { ...of, index: 4, ...range1 })),
      '01000000' + '0200000000000000' + '0300000000000000' + '0400000000000000' + '020000000001' + '020000000009',
    );
  });
});
