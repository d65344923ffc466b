/** The seal of records: its bytes, and that nothing else opens. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { KahunaError } from '../../../src/base/errors.ts';
import { encodeRecordKey } from '../../../src/storage/data/keys.ts';
import {
  appendSealed,
  beginSeal,
  endSeal,
  openRecord,
  openVersion,
  SEAL_BYTES,
  sealedTimestamp,
  sealHistoryStart,
  sealRecord,
  sealTombstone,
  startsHistory,
} from '../../../src/storage/data/records.ts';

const KEY = encodeRecordKey(7, 0, 'key');
const timestamp = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const payload = fc.uint8Array({ maxLength: 300 });

describe('data store: sealed records', () => {
  it('keep these bytes for ever', () => {
    assert.equal(
      hex(sealRecord(KEY, 0x1122_3344_5566, Buffer.from('value'))),
      '2941a597' + '6655443322110000' + '76616c7565',
    );
    assert.equal(hex(sealTombstone(KEY, 0x1122_3344_5566)), '7e7ff7c7' + '6655443322110001');
    assert.equal(
      hex(sealHistoryStart(KEY, 0x1122_3344_5566, Buffer.from('v'))),
      '03c333f7' + '6655443322110002' + '76',
    );
  });

  it('open to what was sealed', () => {
    fc.assert(
      fc.property(timestamp, payload, (t, bytes) => {
        const sealed = sealRecord(KEY, t, bytes);
        const opened = openRecord(KEY, sealed);
        assert.equal(opened.timestamp, t);
        assert.equal(hex(opened.payload), hex(bytes));
        assert.equal(sealed.length, SEAL_BYTES + bytes.length);
        assert.equal(sealedTimestamp(sealed), t);
      }),
    );
  });

  it('are the same whether sealed alone, into a writer, or around a payload written in place', () => {
    fc.assert(
      fc.property(timestamp, payload, fc.uint8Array({ maxLength: 5 }), (t, bytes, before) => {
        const wanted = hex(sealRecord(KEY, t, bytes));
        const writer = new ByteWriter(0);
        writer.bytes(before);
        appendSealed(writer, KEY, { timestamp: t, payload: bytes });
        assert.equal(hex(writer.finish().subarray(before.length)), wanted);
        writer.reset();
        writer.bytes(KEY);
        const sealAt = beginSeal(writer, t);
        for (const byte of bytes) writer.u8(byte);
        endSeal(writer, sealAt, writer.finish().subarray(0, KEY.length));
        assert.equal(hex(writer.finish().subarray(KEY.length)), wanted);
      }),
    );
  });

  it('do not open with any byte changed, cut, or added, nor under another key', () => {
    for (const sealed of [
      sealRecord(KEY, 123_456_789, Buffer.from('some value')),
      sealRecord(KEY, 0, Buffer.alloc(0)),
    ]) {
      for (let at = 0; at < sealed.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const flipped = Buffer.from(sealed);
          flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
          refused(() => openRecord(KEY, flipped));
          refused(() => openVersion(KEY, flipped));
        }
        refused(() => openRecord(KEY, sealed.subarray(0, at)));
      }
      refused(() => openRecord(KEY, Buffer.concat([sealed, Buffer.of(0)])));
      refused(() => openRecord(encodeRecordKey(7, 0, 'kez'), sealed));
      refused(() => openRecord(encodeRecordKey(8, 0, 'key'), sealed));
    }
  });

  it('a record that starts its history opens like any other, and says so', () => {
    const sealed = sealHistoryStart(KEY, 99, Buffer.from('value'));
    assert.deepEqual(openRecord(KEY, sealed), openRecord(KEY, sealRecord(KEY, 99, Buffer.from('value'))));
    assert.equal(startsHistory(sealed), true);
    assert.equal(startsHistory(sealRecord(KEY, 99, Buffer.from('value'))), false);
    assert.equal(startsHistory(sealTombstone(KEY, 99)), false);
  });

  it('a tombstone opens as the absence of a version, and never as a record', () => {
    const sealed = sealTombstone(KEY, 99);
    assert.equal(openVersion(KEY, sealed), undefined);
    assert.equal(sealedTimestamp(sealed), 99);
    refused(() => openRecord(KEY, sealed));
    for (let at = 0; at < sealed.length; at++) {
      const flipped = Buffer.from(sealed);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      refused(() => openVersion(KEY, flipped));
    }
  });
});

function refused(open: () => unknown): void {
  assert.throws(open, (error) => error instanceof KahunaError && error.code === 'DATA_DAMAGED');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
