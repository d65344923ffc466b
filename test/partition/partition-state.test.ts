/** The state of a partition beside its records: what an entry changes in it, and its bytes. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { KahunaError } from '../../src/base/errors.ts';
import { decodeCarriedAnswers, encodeCarriedAnswers } from '../../src/partition/carried-answers.ts';
import type { DecodedEntry } from '../../src/partition/entry-format.ts';
import {
  afterEntry,
  decodePartitionState,
  emptyPartitionState,
  encodePartitionState,
  flushedBefore,
  flushesOf,
  type PartitionState,
} from '../../src/partition/partition-state.ts';
import { DATABASE_COUNT, LOCK_SPACE, SPACE_COUNT } from '../../src/values/value.ts';
import { encodeConfState } from '../../src/raft/conf-codec.ts';
import { confState } from '../raft/arbitrary.ts';

const MEMBERS = { voters: [1, 2, 3], votersOutgoing: [4], learners: [5], learnersNext: [] };
const NOTHING: DecodedEntry = { timeMs: 0, lastTimestamp: 0, countChanges: [], records: [], flushes: [], holds: null };
const BYTES = new Uint8Array(3);

function at<T>(count: number, values: Readonly<Record<number, T>>, rest: T): T[] {
  return Array.from({ length: count }, (_, i) => values[i] ?? rest);
}

describe('partition state', () => {
  it('has these bytes', () => {
    const state: PartitionState = {
      ...emptyPartitionState(MEMBERS),
      timeMs: 0x0102_0304_05,
      lastTimestamp: 0x0607_0809,
      rollingHash: 0x0a0b_0c0d,
      keyCounts: at(SPACE_COUNT, { 0: 7, 17: 9 }, 0),
      expiringCounts: at(DATABASE_COUNT, { 15: 3 }, 0),
      flushedAt: at(SPACE_COUNT, { 1: 0x99 }, 0),
      holds: { floor: 0x11, passed: 0x12, revision: 0x13 },
      flushes: [
        { space: 1, timestamp: 0x98 },
        { space: 255, timestamp: 0x99 },
      ],
      earlierFlushes: at(DATABASE_COUNT, { 2: 0x97 }, 0),
    };
    const hex = Buffer.from(encodePartitionState(state)).toString('hex');
    const zeros = (count: number): string => '00'.repeat(count);
    assert.equal(
      hex,
      [
        `05050403020100000009080706000000000d0c0b0a`,
        '1d000000',
        Buffer.from(encodeConfState(MEMBERS)).toString('hex'),
        '13',
        `0700000000000000${zeros(8)}`,
        `${zeros(8)}9900000000000000`,
        zeros(15 * 16),
        `0900000000000000${zeros(8)}`,
        zeros(16),
        '10',
        zeros(15 * 8),
        '0300000000000000',
        '110000000000000012000000000000001300000000000000',
        '02019800000000000000ff9900000000000000',
        '01029700000000000000',
      ].join(''),
    );
    assert.deepEqual(decodePartitionState(Buffer.from(hex, 'hex')), state);
  });

  it('comes out of its bytes, and damaged ones are refused by name', () => {
    const number = fc.maxSafeNat();
    const numbers = fc.array(number, { minLength: SPACE_COUNT, maxLength: SPACE_COUNT });
    const state = fc.record(
      {
        timeMs: number,
        lastTimestamp: number,
        rollingHash: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        confState: confState(true),
        keyCounts: numbers,
        expiringCounts: fc.array(number, { minLength: DATABASE_COUNT, maxLength: DATABASE_COUNT }),
        flushedAt: numbers,
        holds: fc.record({ floor: number, passed: number, revision: number }, { noNullPrototype: true }),
        flushes: fc.array(fc.record({ space: fc.nat(255), timestamp: number }, { noNullPrototype: true }), {
          maxLength: 32,
        }),
        earlierFlushes: fc.array(number, { minLength: DATABASE_COUNT, maxLength: DATABASE_COUNT }),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(state, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (given, place, mask, isCut) => {
        const bytes = encodePartitionState(given);
        assert.deepEqual(decodePartitionState(bytes), given);
        const where = place % bytes.length;
        const damaged = isCut
          ? bytes.slice(0, where)
          : Uint8Array.from(bytes, (byte, i) => (i === where ? byte ^ mask : byte));
        try {
          decodePartitionState(damaged);
          assert.ok(!isCut, 'a cut state was read');
        } catch (error) {
          assert.ok(error instanceof KahunaError, String(error));
        }
      }),
    );
  });

  it('counts keys, and refuses a history in which there would be fewer than none', () => {
    const one = afterEntry(emptyPartitionState(MEMBERS), BYTES, {
      ...NOTHING,
      countChanges: [{ counter: 2, change: 3 }],
    });
    assert.equal(one.keyCounts[2], 3);
    assert.throws(() => afterEntry(one, BYTES, { ...NOTHING, countChanges: [{ counter: 2, change: -4 }] }), {
      code: 'STATE_DIVERGED',
    });
  });

  it('counts the keys of a database that expire apart from all of them', () => {
    const one = afterEntry(emptyPartitionState(MEMBERS), BYTES, {
      ...NOTHING,
      countChanges: [
        { counter: 2, change: 3 },
        { counter: 128 + 2, change: 2 },
      ],
    });
    assert.deepEqual([one.keyCounts[2], one.expiringCounts[2]], [3, 2]);
    assert.throws(() => afterEntry(one, BYTES, { ...NOTHING, countChanges: [{ counter: 130, change: -3 }] }), {
      code: 'STATE_DIVERGED',
    });
  });

  it('notes a flush of one database, or of all sixteen; locks and sequences stay', () => {
    const one = afterEntry(emptyPartitionState(MEMBERS), BYTES, { ...NOTHING, flushes: [{ space: 3, timestamp: 5 }] });
    assert.deepEqual(one.flushedAt, at(SPACE_COUNT, { 3: 5 }, 0));
    const all = afterEntry(one, BYTES, { ...NOTHING, flushes: [{ space: 255, timestamp: 6 }] });
    assert.deepEqual(
      all.flushedAt,
      Array.from({ length: SPACE_COUNT }, (_, space) => (space < LOCK_SPACE ? 6 : 0)),
    );
  });

  it('remembers flushes, and of those that it forgets the last of each database', () => {
    let state = afterEntry(emptyPartitionState(MEMBERS), BYTES, { ...NOTHING, flushes: [{ space: 2, timestamp: 5 }] });
    assert.deepEqual(
      [4, 5, 9].map((moment) => flushedBefore(state, 2, moment)),
      [0, 5, 5],
    );
    assert.equal(flushedBefore(state, 3, 9), 0);
    for (let i = 0; i < 32; i++) {
      state = afterEntry(state, BYTES, { ...NOTHING, flushes: [{ space: i === 7 ? 255 : 3, timestamp: 10 + i }] });
    }
    assert.equal(state.flushes.length, 32);
    assert.deepEqual(
      [4, 5, 9].map((moment) => flushedBefore(state, 2, moment)),
      [null, 5, 5],
    );
    assert.deepEqual(
      [16, 17, 90].map((moment) => flushedBefore(state, 2, moment)),
      [5, 17, 17],
    );
    assert.deepEqual(flushesOf(state, 2), { from: 5, moments: [17] });
    assert.deepEqual(
      [9, 10, 41].map((moment) => flushedBefore(state, 3, moment)),
      [0, 10, 41],
    );
    assert.equal(flushedBefore(state, LOCK_SPACE, 90), 0);
  });

  it('says which moments are held as the last entry that speaks of it did', () => {
    const holds = { floor: 7, passed: 3, revision: 9 };
    const one = afterEntry(emptyPartitionState(MEMBERS), BYTES, { ...NOTHING, holds });
    assert.deepEqual(afterEntry(one, BYTES, NOTHING).holds, holds);
  });

  it('never falls in time, and differs after different histories', () => {
    const first = afterEntry(emptyPartitionState(MEMBERS), BYTES, { ...NOTHING, timeMs: 9, lastTimestamp: 8 });
    const second = afterEntry(first, Uint8Array.of(1), { ...NOTHING, timeMs: 5, lastTimestamp: 4 });
    assert.deepEqual([second.timeMs, second.lastTimestamp], [9, 8]);
    const other = afterEntry(first, Uint8Array.of(2), NOTHING);
    assert.notEqual(second.rollingHash, other.rollingHash);
    const swapped = afterEntry(afterEntry(emptyPartitionState(MEMBERS), Uint8Array.of(1), NOTHING), BYTES, NOTHING);
    assert.notEqual(swapped.rollingHash, second.rollingHash);
  });
});

describe('carried answers', () => {
  it('have these bytes', () => {
    const answers = [{ node: 3, epoch: 0x66, counter: 0x77, reply: Buffer.from('+OK') }];
    const bytes = encodeCarriedAnswers(answers);
    assert.equal(
      Buffer.from(bytes).toString('hex'),
      '01010000000300000066000000000000007700000000000000030000002b4f4b',
    );
    assert.deepEqual(
      decodeCarriedAnswers(bytes).map(({ reply, ...id }) => ({ ...id, reply: Buffer.from(reply) })),
      answers,
    );
  });

  it('are refused by name wherever they are cut', () => {
    const bytes = encodeCarriedAnswers([{ node: 3, epoch: 1, counter: 2, reply: Buffer.from('+OK') }]);
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeCarriedAnswers(bytes.slice(0, length)), KahunaError);
    }
  });
});
