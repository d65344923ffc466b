/**
 * What every codec of messages and records promises: golden bytes, every message whole, cut everywhere and changed in each bit. A
 * message is refused by name, or it is read and means the same again.
 */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { KahunaError } from '../../src/base/errors.ts';

export interface Case {
  readonly name: string;
  /** One message with each of its fields set, and its bytes. */
  readonly golden: Buffer;
  readonly hex: string;
  readonly any: fc.Arbitrary<Buffer>;
  /** Reads the message and writes it again. */
  readonly again: (bytes: Uint8Array) => Buffer;
}

export function codec<T>(one: {
  readonly name: string;
  readonly golden: T;
  readonly hex: string;
  readonly any: fc.Arbitrary<T>;
  readonly encode: (message: T) => Buffer;
  readonly decode: (bytes: Uint8Array) => T;
}): Case {
  const { encode, decode } = one;
  return {
    name: one.name,
    golden: encode(one.golden),
    hex: one.hex,
    any: one.any.map((message) => {
      const bytes = encode(message);
      const read = decode(bytes);
      bytes.fill(bytes.length % 256);
      assert.deepEqual(read, message, 'it is read as it was written, and keeps nothing of the bytes');
      return encode(message);
    }),
    again: (bytes) => encode(decode(bytes)),
  };
}

function refusedOrSame(again: Case['again'], bytes: Uint8Array): void {
  try {
    assert.ok(again(bytes).equals(bytes), `${Buffer.from(bytes).toString('hex')} means something else again`);
  } catch (error) {
    assert.ok(error instanceof KahunaError, String(error));
    assert.match(String(error.code), /^(REQUEST|VALUE|BYTES)_MALFORMED$/);
  }
}

/** Of `what`: the tests of each case. */
export function describeCodecs(what: string, cases: readonly Case[]): void {
  for (const { name: title, golden, hex, any, again } of cases) {
    describe(`${what}: ${title}`, () => {
      it('has these bytes', () => {
        assert.equal(golden.toString('hex'), hex);
      });

      it('comes out as it went in', () => {
        fc.assert(
          fc.property(any, (bytes) => {
            assert.ok(again(bytes).equals(bytes));
          }),
        );
      });

      it('is refused by name wherever it is cut, and if it goes on', () => {
        for (let length = 0; length < golden.length; length++) {
          assert.throws(() => again(golden.subarray(0, length)), KahunaError, `cut to ${length}`);
        }
        assert.throws(() => again(Buffer.concat([golden, Buffer.of(0)])), KahunaError);
      });

      it('that was changed is refused by name, or means what its bytes say', () => {
        for (let at = 0; at < golden.length; at++) {
          for (let byte = 0; byte < 256; byte++) {
            refusedOrSame(
              again,
              golden.map((old, i) => (i === at ? byte : old)),
            );
          }
        }
        fc.assert(
          fc.property(any, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, place, mask) => {
            if (bytes.length === 0) return;
            const at = place % bytes.length;
            bytes[at] = (bytes[at] ?? 0) ^ mask;
            refusedOrSame(again, bytes);
          }),
        );
      });

      it('of any bytes is read or refused by name', () => {
        fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => refusedOrSame(again, bytes)));
      });
    });
  }
}
