/** What coordinators and partitions tell each other, and the records of transactions. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { KahunaError } from '../../src/base/errors.ts';
import {
  decodeChecks,
  decodeCommit,
  decodeDecision,
  decodeFetched,
  decodeIds,
  decodeIntent,
  decodeKeys,
  decodeLock,
  decodeOutcome,
  decodeResolve,
  decodeStatus,
  encodeChecks,
  encodeCommit,
  encodeDecision,
  encodeFetched,
  encodeIds,
  encodeIntent,
  encodeKeys,
  encodeLock,
  encodeOutcome,
  encodeResolve,
  encodeStatus,
  type KeyCheck,
} from '../../src/partition/transaction-codec.ts';
import { stringFromBytes } from '../../src/values/string.ts';
import { SPACE_COUNT } from '../../src/values/value.ts';
import { type Case, codec, describeCodecs } from './codec-suite.ts';

const plain = { noNullPrototype: true } as const;
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u64 = fc.maxSafeNat();
const id = fc.record({ node: u32, epoch: u64, counter: u64 }, plain);
const latin1 = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const name = { space: fc.nat(SPACE_COUNT - 1), key: latin1 };
const value = fc.oneof(
  latin1,
  fc.integer({ min: 16_380, max: 16_400 }).map((length) => stringFromBytes(Buffer.alloc(length, 1))),
);
const object = fc.option(fc.record({ value, expiresAtMs: fc.oneof(fc.constant(0), u64) }, plain));
const check = fc.record({ ...name, version: u64 }, plain);
const intent = fc.record(
  {
    id,
    anchor: u32,
    term: u64,
    decideByMs: u64,
    checks: fc.array(check, { maxLength: 3 }),
    writes: fc.array(fc.record({ ...name, object }, plain), { maxLength: 3 }),
  },
  plain,
);
const mode = fc.constantFrom('read' as const, 'write' as const);

const ID = { node: 3, epoch: 0x0405, counter: 0x06 };
const ID_HEX = '0300000005040000000000000600000000000000';
const KEY = { space: 2, key: 'k\xff' };
const KEY_HEX = '02026bff';
const INTENT = {
  id: ID,
  anchor: 7,
  term: 8,
  decideByMs: 9,
  checks: [{ ...KEY, version: 0x0a0b }],
  writes: [
    { ...KEY, object: { value: 'v', expiresAtMs: 0 } },
    { space: 18, key: '', object: null },
  ],
};
const INTENT_HEX =
  `${ID_HEX}0700000008000000000000000900000000000000` +
  `01${KEY_HEX}0b0a000000000000` +
  `02${KEY_HEX}010301007600120000`;

const cases: readonly Case[] = [
  codec({
    name: 'lock',
    golden: {
      id: ID,
      waits: true,
      isConfirmed: true,
      leaseMs: 0x1122,
      keys: [
        { ...KEY, mode: 'write' },
        { ...KEY, mode: 'read' },
      ],
    },
    hex: `${ID_HEX}032211000002${KEY_HEX}01${KEY_HEX}00`,
    any: fc.record(
      {
        id,
        waits: fc.boolean(),
        isConfirmed: fc.boolean(),
        leaseMs: u32,
        keys: fc.array(fc.record({ ...name, mode }, plain)),
      },
      plain,
    ),
    encode: encodeLock,
    decode: decodeLock,
  }),
  codec({
    name: 'keys',
    golden: [KEY],
    hex: `01${KEY_HEX}`,
    any: fc.array(fc.record(name, plain)),
    encode: encodeKeys,
    decode: decodeKeys,
  }),
  codec({
    name: 'objects',
    golden: {
      isGranted: true,
      term: 1,
      closed: 6,
      nowMs: 2,
      objects: [
        { version: 3, object: null },
        { version: 4, object: { value: 'v', expiresAtMs: 5 } },
      ],
    },
    hex:
      '010100000000000000020000000000000002030000000000000000' +
      '0400000000000000' +
      '010b010105000000000000007600' +
      '0600000000000000',
    any: fc.record(
      {
        isGranted: fc.boolean(),
        term: u64,
        closed: u64,
        nowMs: u64,
        objects: fc.array(fc.record({ version: u64, object }, plain), { maxLength: 3 }),
      },
      plain,
    ),
    encode: encodeFetched,
    decode: decodeFetched,
  }),
  codec<{ readonly term: number; readonly checks: readonly KeyCheck[] }>({
    name: 'check',
    golden: { term: 4, checks: [{ ...KEY, version: 5 }] },
    hex: `040000000000000001${KEY_HEX}0500000000000000`,
    any: fc.record({ term: u64, checks: fc.array(check) }, plain),
    encode: ({ term, checks }) => encodeChecks(term, checks),
    decode: decodeChecks,
  }),
  codec({
    name: 'intent',
    golden: INTENT,
    hex: INTENT_HEX,
    any: intent,
    encode: encodeIntent,
    decode: decodeIntent,
  }),
  codec({
    name: 'commit',
    golden: { timestampMin: 0x21, participants: [2, 5], settled: [ID], intent: INTENT },
    hex: `210000000000000002020000000500000001${ID_HEX}${INTENT_HEX}`,
    any: fc.record({ timestampMin: u64, participants: fc.array(u32), settled: fc.array(id), intent }, plain),
    encode: encodeCommit,
    decode: decodeCommit,
  }),
  codec({
    name: 'outcome',
    golden: { isDone: true, timestamp: 0x31 },
    hex: '013100000000000000',
    any: fc.record({ isDone: fc.boolean(), timestamp: u64 }, plain),
    encode: encodeOutcome,
    decode: decodeOutcome,
  }),
  codec({
    name: 'resolve',
    golden: { id: ID, timestamp: 0x41 },
    hex: `${ID_HEX}4100000000000000`,
    any: fc.record({ id, timestamp: u64 }, plain),
    encode: (message) => encodeResolve(message.id, message.timestamp),
    decode: decodeResolve,
  }),
  codec({
    name: 'status',
    golden: { id: ID, decideByMs: 0x51 },
    hex: `${ID_HEX}5100000000000000`,
    any: fc.record({ id, decideByMs: u64 }, plain),
    encode: (message) => encodeStatus(message.id, message.decideByMs),
    decode: decodeStatus,
  }),
  codec({
    name: 'ids',
    golden: [ID, ID],
    hex: `02${ID_HEX}${ID_HEX}`,
    any: fc.array(id),
    encode: encodeIds,
    decode: decodeIds,
  }),
  codec({
    name: 'decision',
    golden: { timestamp: 0x61, participants: [1, 2] },
    hex: '6100000000000000020100000002000000',
    any: fc.record({ timestamp: u64, participants: fc.array(u32) }, plain),
    encode: encodeDecision,
    decode: decodeDecision,
  }),
];

describeCodecs('transaction message', cases);

describe('transaction messages', () => {
  it('that claim to hold more than follows are refused before much is built', () => {
    const countOfMany = Buffer.from('ffffffffffff07', 'hex');
    assert.throws(() => decodeKeys(countOfMany), KahunaError);
    assert.throws(() => decodeIds(countOfMany), KahunaError);
    assert.throws(() => decodeDecision(Buffer.concat([Buffer.alloc(8), countOfMany])), KahunaError);
  });
});
