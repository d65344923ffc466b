/** What lies on the disk, as records: keys, values, the seal around them, the store's own records, and those of the log. */
import assert from 'node:assert/strict';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { crc32 } from '../../../src/base/checksum.ts';
import { decodeAnswers, decodeEntry } from '../../../src/partition/entry-format.ts';
import {
  appendRecordKey,
  decodeRecordKey,
  encodePageKey,
  encodeRecordKey,
  encodeVersionKey,
  recordKeyLength,
} from '../../../src/storage/data/keys.ts';
import {
  DATA_FORMAT,
  decodeBoot,
  decodeGroup,
  decodeHistory,
  decodeIdentity,
  decodeReplacement,
  encodeBoot,
  encodeGroup,
  encodeHistory,
  encodeIdentity,
  encodeReplacement,
  groupKey,
  replacementKey,
} from '../../../src/storage/data/metadata.ts';
import { openVersion, sealRecord, sealTombstone } from '../../../src/storage/data/records.ts';
import {
  forEachRecord,
  putRecordHeader,
  readGroupSummary,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
} from '../../../src/storage/log/records.ts';
import { assembleValue, decodeKeyRecord, encodeKeyRecord } from '../../../src/values/codec.ts';
import { ANSWERS_PER_PAGE } from '../../../src/values/idempotency.ts';
import { Lock } from '../../../src/values/lock.ts';
import { createSequence } from '../../../src/values/sequence.ts';
import { stringFromBytes } from '../../../src/values/string.ts';
import type { FuzzTarget } from '../target.ts';
import { codecTarget, refusedOr } from './round-trip.ts';

const KEY = encodeRecordKey(5, 0, 'a\0key');
const NOTHING = new Uint8Array(0);

function keyAgain(input: Buffer): Uint8Array {
  const { slot, space, key, kind, page, version } = decodeRecordKey(input);
  const own = encodeRecordKey(slot, space, key);
  const appended = new ByteWriter(16);
  appendRecordKey(appended, { slot, space, key });
  assert.deepEqual([...appended.finish()], [...own]);
  const recordKey = kind === 'page' ? encodePageKey(own, page) : own;
  assert.equal(recordKeyLength(input), recordKey.length);
  return version === undefined ? recordKey : encodeVersionKey(recordKey, version);
}

/** Pages that a paged value of the input would have: all zeros, or answers of a sequence. */
const PAGES_MAX = 4;

function valueAgain(input: Buffer): Uint8Array | null {
  const decoded = decodeKeyRecord(input);
  if (decoded.value !== undefined) return encodeKeyRecord(decoded.value, decoded.expiresAtMs);
  if (decoded.pageCount > PAGES_MAX || decoded.type !== 'string') return null;
  const value = assembleValue(decoded, new Array<Uint8Array>(decoded.pageCount).fill(NOTHING));
  return encodeKeyRecord(value, decoded.expiresAtMs);
}

function sequence(): ReturnType<typeof createSequence> {
  return createSequence({ start: -5n, increment: 2n, max: 99n }, 1_000);
}

/** A record with the right checksum around fuzzed content: the first byte picks which one. */
const METADATA: readonly { readonly key: Uint8Array; readonly again: (value: Uint8Array) => Uint8Array | null }[] = [
  {
    key: Buffer.from([0x80, 1]),
    again: (value) => {
      const identity = decodeIdentity(value);
      // What a newer format says besides is skipped: the number alone is enough to refuse it.
      return identity.format > DATA_FORMAT ? null : encodeIdentity(identity);
    },
  },
  { key: Buffer.from([0x80, 2]), again: (value) => encodeBoot(decodeBoot(value)) },
  { key: Buffer.from([0x80, 3]), again: (value) => encodeHistory(decodeHistory(value)) },
  { key: groupKey(7), again: (value) => encodeGroup(groupKey(7), decodeGroup(groupKey(7), value)) },
  { key: replacementKey(7), again: (value) => encodeReplacement(7, decodeReplacement(replacementKey(7), value)) },
];

function metadataAgain(input: Buffer): Uint8Array | null {
  const [which = 0] = input;
  const kind = METADATA[which % METADATA.length];
  if (kind === undefined) return null;
  const body = input.subarray(1);
  const value = Buffer.concat([Buffer.alloc(4), body]);
  value.writeUInt32LE(crc32(body, crc32(kind.key)));
  const again = kind.again(value);
  return again === null ? null : Buffer.concat([input.subarray(0, 1), again.subarray(4)]);
}

function metadataSeed(which: number, sealed: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([which]), sealed.subarray(4)]);
}

function logRecords(...records: readonly { readonly kind: number; readonly data?: Uint8Array }[]): Uint8Array {
  const parts = records.map(({ kind, data = NOTHING }) => {
    const bytes = Buffer.alloc(RECORD_HEADER_BYTES + data.length);
    bytes[0] = kind;
    bytes.writeUInt32LE(data.length, 4);
    bytes.writeBigUInt64LE(1n, 8);
    bytes.writeBigUInt64LE(2n, 16);
    bytes.writeBigUInt64LE(3n, 24);
    bytes.set(data, RECORD_HEADER_BYTES);
    return bytes;
  });
  return Buffer.concat(parts);
}

function logRecordsAgain(input: Buffer): Uint8Array {
  const parts: Buffer[] = [];
  forEachRecord(input, (record) => {
    const header = Buffer.alloc(RECORD_HEADER_BYTES);
    putRecordHeader(header, 0, record, record.data.length);
    parts.push(header, Buffer.from(record.data));
    if (record.kind === RECORD_KINDS.group) refusedOr(() => readGroupSummary(record.data));
  });
  return Buffer.concat(parts);
}

const sealedRecord: FuzzTarget = {
  name: 'sealed-record',
  about: 'a stored record that was changed is never returned as data',
  seeds: () => [sealRecord(KEY, 9, Buffer.from('payload')), sealTombstone(KEY, 9), sealRecord(KEY, 2 ** 40, NOTHING)],
  open: () => {
    const written = new Set(sealedRecord.seeds().map((bytes) => Buffer.from(bytes).toString('hex')));
    return {
      run: (input) => {
        const wasRead = refusedOr(() => ({ opened: openVersion(KEY, input) })) !== null;
        assert.equal(wasRead, written.has(input.toString('hex')));
        assert.equal(
          refusedOr(() => openVersion(encodeRecordKey(5, 0, 'other'), input)),
          null,
        );
      },
    };
  },
};

const logEntry: FuzzTarget = {
  name: 'log-entry',
  about: 'entries of a partition: refused by a coded error, or records and answers that lie within the entry',
  seeds: () => ENTRIES.map((text) => Buffer.from(text, 'hex')),
  open: () => ({
    run: (input) => {
      const entry = refusedOr(() => decodeEntry(input));
      for (const { key, sealed } of entry?.records ?? []) {
        assert.equal(key.buffer, input.buffer);
        assert.ok(key.length + (sealed?.length ?? 0) <= input.length);
      }
      const answers = refusedOr(() => decodeAnswers(input)) ?? [];
      const bytes = answers.reduce((sum, { reply }) => sum + reply.length, 0);
      assert.ok(bytes <= input.length);
    },
  }),
};

/** A put, a delete and a flush; and answers. */
const ENTRIES = [
  '01' +
    '0100000000000000' +
    '0200000000000000' +
    '01' +
    '0001000000' +
    '1e000000' +
    '0102000000030000000900000000000000' +
    '0000000000000000' +
    '6162' +
    '010203' +
    '00000000',
  '01' +
    '0100000000000000' +
    '0200000000000000' +
    '00' +
    '0a000000' +
    '03ff0900000000000000' +
    '01000000' +
    '01000000' +
    '0200000000000000' +
    '0300000000000000' +
    '05000000' +
    '2b4f4b0d0a',
  '01' +
    '0100000000000000' +
    '0200000000000000' +
    '00' +
    '16000000' +
    '020100000009000000000000000800000000000000' +
    '61' +
    '00000000',
];

export const recordTargets: readonly FuzzTarget[] = [
  codecTarget({
    name: 'record-key',
    about: 'keys of the ordered store',
    seeds: () => [
      KEY,
      encodePageKey(KEY, 3),
      encodeVersionKey(KEY, 2 ** 52 + 1),
      encodeVersionKey(encodePageKey(KEY, 2 ** 32 - 1), 0),
    ],
    words: [Buffer.from([0, 1]), Buffer.from([0, 0xff])],
    again: keyAgain,
  }),
  codecTarget({
    name: 'key-record',
    about: 'values: strings, locks, sequences',
    seeds: () => [
      encodeKeyRecord('text', 0),
      encodeKeyRecord('text', 1_700_000_000_000),
      encodeKeyRecord(stringFromBytes(Buffer.alloc(40_000)), 0),
      encodeKeyRecord(new Lock({ token: 3, owner: 'me', expiresAtMs: 9, acquiredAt: 8 }), 0),
      encodeKeyRecord(sequence(), 0),
    ],
    again: valueAgain,
  }),
  {
    name: 'sequence-page',
    about: 'pages of a sequence: answers for idempotency ids',
    seeds: () => [answersPage()],
    bytesMax: 4_096,
    open: () => {
      const record = Buffer.from(encodeKeyRecord(sequence(), 0));
      // One closed page: flag 2, and the number of closed pages behind the fixed fields.
      record[1] = 2;
      record.writeUInt32LE(1, record.length - 5);
      const decoded = decodeKeyRecord(record);
      return { run: (input) => void refusedOr(() => assembleValue(decoded, [input])) };
    },
  },
  sealedRecord,
  codecTarget({
    name: 'metadata',
    about: "the data store's own records, under a right checksum",
    seeds: () => [
      metadataSeed(0, encodeIdentity({ format: 1, clusterId: 'c', nodeId: 1 })),
      metadataSeed(1, encodeBoot('boot')),
      metadataSeed(2, encodeHistory({ mode: 'on', since: 1, floor: 2 })),
      metadataSeed(
        3,
        encodeGroup(groupKey(7), {
          index: 1,
          term: 2,
          timestampMax: 3,
          suspectUpTo: 4,
          installedIndex: 5,
          state: Buffer.from('s'),
        }),
      ),
      metadataSeed(
        4,
        encodeReplacement(7, { isInstall: true, ranges: [{ start: Buffer.from('a'), end: Buffer.from('b') }] }),
      ),
    ],
    again: metadataAgain,
  }),
  codecTarget({
    name: 'log-records',
    about: 'what a flush of the log carries',
    seeds: () => [
      logRecords({ kind: 1, data: Buffer.from('entry') }, { kind: 2, data: Buffer.alloc(8, 1) }),
      logRecords({ kind: 7, data: Buffer.alloc(52) }, { kind: 3 }, { kind: 4, data: Buffer.from('s') }, { kind: 6 }),
    ],
    again: logRecordsAgain,
  }),
  logEntry,
];

function answersPage(): Uint8Array {
  const writer = new ByteWriter(64);
  for (let i = 0; i < ANSWERS_PER_PAGE; i++) {
    writer.lengthPrefixed(Buffer.from(`id ${i}`));
    for (const value of [0, 0, i, 0, i, 0]) writer.u32(value);
  }
  return writer.finishCopy();
}
