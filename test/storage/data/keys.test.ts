/** The layout of keys: order, delimiting, versions, and the bytes that must never change. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { KahunaError } from '../../../src/base/errors.ts';
import {
  afterRecord,
  allRecords,
  appendRecordKey,
  decodeRecordKey,
  encodePageKey,
  encodeRecordKey,
  encodeHistoryStartKey,
  encodeVersionKey,
  isHistoryStart,
  rangeOfKeyRecord,
  isKeyRecord,
  isWithin,
  keyRange,
  METADATA_SLOT,
  prefixRange,
  recordKeyLength,
  slotRange,
  spaceRange,
  versionOf,
  versionRange,
} from '../../../src/storage/data/keys.ts';

/** Mostly bytes that the escape treats specially. */
const userKey = fc
  .array(fc.oneof(fc.constantFrom(0, 1, 2, 254, 255), fc.integer({ min: 0, max: 255 })), { maxLength: 8 })
  .map((bytes) => String.fromCharCode(...bytes));
const slot = fc.integer({ min: 0, max: METADATA_SLOT });
const space = fc.integer({ min: 0, max: 255 });
const page = fc.integer({ min: 0, max: 0xffff_ffff });
const timestamp = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const address = fc.tuple(slot, space, userKey);

describe('data store: keys', () => {
  it('keep these bytes for ever', () => {
    const record = encodeRecordKey(0x1234, 3, 'a\0b');
    assert.equal(hex(record), '12340361' + '00ff' + '62' + '0001' + '00');
    assert.equal(hex(encodePageKey(record, 0x01020304)), '1234036100ff620001' + '01' + '01020304');
    assert.equal(hex(encodeVersionKey(record, 0x1122_3344_5566)), `${hex(record)}ffffeeddccbbaa99`);
    assert.equal(hex(encodeHistoryStartKey(record)), `${hex(record)}ffe0000000000000`);
    assert.ok(isHistoryStart(versionOf(encodeHistoryStartKey(record), record.length)));
    assert.deepEqual(rangeOfKeyRecord(record).start, record.subarray(0, -1));
    assert.equal(hex(encodeRecordKey(METADATA_SLOT, 0, '')), '4000000001' + '00');
  });

  it('come apart into what they were made of', () => {
    fc.assert(
      fc.property(address, page, timestamp, ([s, n, k], p, t) => {
        const record = encodeRecordKey(s, n, k);
        const parts = { slot: s, space: n, key: k, page: 0, version: undefined };
        assert.deepEqual(decodeRecordKey(record), { ...parts, kind: 'key' });
        const pageKey = encodePageKey(record, p);
        assert.deepEqual(decodeRecordKey(pageKey), { ...parts, kind: 'page', page: p });
        assert.deepEqual(decodeRecordKey(encodeVersionKey(pageKey, t)), {
          ...parts,
          kind: 'page',
          page: p,
          version: t,
        });
        assert.equal(recordKeyLength(encodeVersionKey(record, t)), record.length);
        assert.equal(versionOf(encodeVersionKey(record, t), record.length), t);
        assert.deepEqual([isKeyRecord(record), isKeyRecord(pageKey)], [true, false]);
      }),
    );
  });

  it('sort as slot, space and raw user key do, and pages behind the key record by number', () => {
    fc.assert(
      fc.property(address, address, page, page, (a, b, p, q) => {
        const [x, y] = [encodeRecordKey(...a), encodeRecordKey(...b)];
        assert.equal(Math.sign(Buffer.compare(x, y)), compareAddresses(a, b));
        assert.equal(Math.sign(Buffer.compare(encodePageKey(x, p), encodePageKey(x, q))), Math.sign(p - q));
        assert.ok(Buffer.compare(x, encodePageKey(x, p)) < 0);
        if (compareAddresses(a, b) !== 0) {
          assert.equal(Math.sign(Buffer.compare(encodePageKey(x, p), encodePageKey(y, q))), compareAddresses(a, b));
        }
      }),
    );
  });

  it('are never a prefix of one another, so versions lie directly under their record, youngest first', () => {
    fc.assert(
      fc.property(address, address, timestamp, timestamp, page, (a, b, t, u, p) => {
        const x = encodeRecordKey(...a);
        for (const y of [encodeRecordKey(...b), encodePageKey(x, p), encodePageKey(encodeRecordKey(...b), p)]) {
          if (Buffer.compare(x, y) === 0) continue;
          assert.notEqual(hex(y).startsWith(hex(x)), true);
          assert.equal(Buffer.compare(encodeVersionKey(x, t), y), Buffer.compare(x, y));
        }
        assert.ok(Buffer.compare(x, encodeVersionKey(x, t)) < 0);
        assert.equal(Math.sign(Buffer.compare(encodeVersionKey(x, t), encodeVersionKey(x, u))), Math.sign(u - t));
      }),
    );
  });

  it('go into a writer as they go into an array of their own', () => {
    fc.assert(
      fc.property(address, ([s, n, k]) => {
        const writer = new ByteWriter(0);
        appendRecordKey(writer, { slot: s, space: n, key: k });
        assert.equal(hex(writer.finish()), hex(encodeRecordKey(s, n, k)));
      }),
    );
  });

  it('ranges hold exactly the records that they name, with all their versions', () => {
    fc.assert(
      fc.property(address, address, timestamp, page, (a, b, t, p) => {
        const [s, n, k] = a;
        const record = encodeRecordKey(...b);
        const isSame = compareAddresses(a, b) === 0;
        for (const stored of [record, encodePageKey(record, p), encodeVersionKey(record, t)]) {
          assert.equal(isWithin(stored, slotRange(s, METADATA_SLOT)), b[0] >= s);
          assert.equal(isWithin(stored, slotRange(0, s)), b[0] <= s);
          assert.equal(isWithin(stored, spaceRange(s, n)), b[0] === s && b[1] === n);
          assert.equal(isWithin(stored, keyRange(s, n, k)), isSame);
          assert.equal(isWithin(stored, allRecords()), true);
        }
        assert.ok(Buffer.compare(afterRecord(record), encodeVersionKey(record, t)) > 0);
        assert.equal(isWithin(encodeVersionKey(record, t), versionRange(record)), true);
        assert.equal(isWithin(record, versionRange(record)), false);
      }),
    );
    assert.equal(isWithin(Buffer.of(0x80), allRecords()), false);
  });

  it('the key behind a record comes before the next record', () => {
    fc.assert(
      fc.property(address, address, (a, b) => {
        const [x, y] = [encodeRecordKey(...a), encodeRecordKey(...b)];
        if (Buffer.compare(x, y) < 0) assert.ok(Buffer.compare(afterRecord(x), y) <= 0);
      }),
    );
    const noBound = () => prefixRange(Buffer.of(255, 255));
    assert.throws(noBound);
  });

  it('other bytes are refused as damage, never misread', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        try {
          const decoded = decodeRecordKey(bytes);
          const record = encodeRecordKey(decoded.slot, decoded.space, decoded.key);
          const key = decoded.kind === 'page' ? encodePageKey(record, decoded.page) : record;
          assert.equal(hex(decoded.version === undefined ? key : encodeVersionKey(key, decoded.version)), hex(bytes));
        } catch (error) {
          assert.ok(error instanceof KahunaError && error.code === 'DATA_DAMAGED', String(error));
        }
      }),
      { numRuns: 2_000 },
    );
    const record = encodeRecordKey(1, 0, 'k');
    for (let length = 0; length < record.length; length++) {
      assert.throws(() => recordKeyLength(record.subarray(0, length)), KahunaError);
    }
  });
});

function compareAddresses(a: readonly [number, number, string], b: readonly [number, number, string]): number {
  const [slotA, spaceA, keyA] = a;
  const [slotB, spaceB, keyB] = b;
  return (
    Math.sign(slotA - slotB) ||
    Math.sign(spaceA - spaceB) ||
    Math.sign(Buffer.compare(Buffer.from(keyA, 'latin1'), Buffer.from(keyB, 'latin1')))
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
