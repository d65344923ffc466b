/** What a node that reads a moment and the partitions tell each other. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { KahunaError } from '../../src/base/errors.ts';
import {
  decodeFound,
  decodeKeysAt,
  decodeObjects,
  decodePageAt,
  encodeFound,
  encodeKeysAt,
  encodeObjects,
  encodePageAt,
} from '../../src/partition/moment-codec.ts';
import { stringFromBytes } from '../../src/values/string.ts';
import { SPACE_COUNT } from '../../src/values/value.ts';
import { type Case, codec, describeCodecs } from './codec-suite.ts';

const plain = { noNullPrototype: true } as const;
const u64 = fc.maxSafeNat();
const latin1 = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const space = fc.nat(SPACE_COUNT - 1);
const cursor = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const value = fc.oneof(
  latin1,
  fc.integer({ min: 16_380, max: 16_400 }).map((length) => stringFromBytes(Buffer.alloc(length, 1))),
);
const version = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const object = fc.option(fc.record({ value, expiresAtMs: fc.oneof(fc.constant(0), u64), version }, plain));

const cases: readonly Case[] = [
  codec({
    name: 'keys',
    golden: { at: 0x0102, keys: [{ space: 2, key: 'k\xff' }] },
    hex: '0201000000000000' + '0102026bff',
    any: fc.record({ at: u64, keys: fc.array(fc.record({ space, key: latin1 }, plain)) }, plain),
    encode: encodeKeysAt,
    decode: decodeKeysAt,
  }),
  codec({
    name: 'objects',
    golden: [null, { value: 'v', expiresAtMs: 5, version: 0x0304 }],
    hex: '02' + '0000000000000000' + '0403000000000000' + '0b010105000000000000007600',
    any: fc.array(object, { maxLength: 4 }),
    encode: encodeObjects,
    decode: decodeObjects,
  }),
  codec({
    name: 'page',
    golden: { at: 0x0102, space: 3, type: 4, count: 0x0506, cursor: 2n ** 64n - 1n },
    hex: `020100000000000003040605000014${Buffer.from('18446744073709551615').toString('hex')}`,
    any: fc.record(
      { at: u64, space, type: fc.nat(255), count: fc.integer({ min: 1, max: 2 ** 32 - 1 }), cursor },
      plain,
    ),
    encode: encodePageAt,
    decode: decodePageAt,
  }),
  codec({
    name: 'found keys',
    golden: { keys: ['a', '', 'k\xff'], next: 7n },
    hex: '0137' + '03' + '0161' + '00' + '026bff',
    any: fc.record({ keys: fc.array(latin1), next: cursor }, plain),
    encode: encodeFound,
    decode: decodeFound,
  }),
];

describeCodecs('message about a moment', cases);

describe('messages about moments', () => {
  it('that claim to hold more than follows are refused before much is built', () => {
    const countOfMany = Buffer.from('ffffffffffff07', 'hex');
    assert.throws(() => decodeObjects(countOfMany), KahunaError);
    assert.throws(() => decodeFound(Buffer.concat([Buffer.from('0130', 'hex'), countOfMany])), KahunaError);
  });

  it('are refused if they name a space that there is not, no keys at all, or a cursor that is none', () => {
    const good = { at: 1, space: 0, type: 0, count: 1, cursor: 0n };
    for (const bad of [{ space: SPACE_COUNT }, { count: 0 }, { cursor: 2n ** 64n }, { cursor: -1n }]) {
      assert.throws(() => decodePageAt(encodePageAt({ ...good, ...bad })), { code: 'REQUEST_MALFORMED' });
    }
  });
});
