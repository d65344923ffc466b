/** Log entries: what a batch collects comes out of its bytes, damage is refused by name, and the bytes do not change. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { KahunaError } from '../../src/base/errors.ts';
import { Batch } from '../../src/partition/batch.ts';
import {
  ALL_DATABASES,
  answersOf,
  decodeAnswers,
  decodeEntry,
  decodeHeader,
  EXPIRING_COUNTER,
} from '../../src/partition/entry-format.ts';
import { RequestLedger } from '../../src/partition/request-ledger.ts';

type Op =
  | {
      readonly kind: 'put';
      readonly key: Uint8Array;
      readonly sealed: Uint8Array;
      readonly at: number;
      readonly replaces: number;
    }
  | { readonly kind: 'delete'; readonly key: Uint8Array; readonly at: number; readonly replaces: number }
  | { readonly kind: 'flush'; readonly space: number; readonly at: number };

const bytes = fc.uint8Array({ maxLength: 40 });
const timestamp = fc.maxSafeNat();
const plain = { noNullPrototype: true } as const;
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record(
    { kind: fc.constant('put' as const), key: bytes, sealed: bytes, at: timestamp, replaces: timestamp },
    plain,
  ),
  fc.record({ kind: fc.constant('delete' as const), key: bytes, at: timestamp, replaces: timestamp }, plain),
  fc.record(
    { kind: fc.constant('flush' as const), space: fc.constantFrom(0, 15, ALL_DATABASES), at: timestamp },
    plain,
  ),
);
const answer = fc.record(
  { node: fc.integer({ min: 0, max: 2 ** 32 - 1 }), epoch: timestamp, counter: timestamp, reply: bytes },
  plain,
);
const content = fc.record(
  {
    timeMs: timestamp,
    lastTimestamp: timestamp,
    counts: fc.array(fc.tuple(fc.constantFrom(0, 3, 15, 16, 17, 128, 143), fc.integer({ min: -5, max: 5 })), {
      maxLength: 6,
    }),
    ops: fc.array(op, { maxLength: 8 }),
    answers: fc.uniqueArray(answer, {
      maxLength: 5,
      selector: ({ node, epoch, counter }) => `${node} ${epoch} ${counter}`,
    }),
  },
  plain,
);
type Content = typeof content extends fc.Arbitrary<infer T> ? T : never;

function fill(batch: Batch, { timeMs, lastTimestamp, counts, ops, answers }: Content): void {
  batch.timeMs = timeMs;
  batch.lastTimestamp = lastTimestamp;
  for (const [counter, change] of counts) {
    if (counter < EXPIRING_COUNTER) batch.countChange(counter, change);
    else batch.expiringChange(counter - EXPIRING_COUNTER, change);
  }
  for (const one of ops) write(batch, one);
  for (const one of answers) batch.answer(one, one.reply);
}

function write(batch: Batch, one: Op): void {
  if (one.kind === 'flush') {
    batch.flush(one.space, one.at);
  } else if (one.kind === 'delete') {
    const { buffer, offset } = batch.delete(one.key.length, one.at, one.replaces);
    buffer.set(one.key, offset);
  } else {
    const { buffer, offset } = batch.put(one.key.length, one.sealed.length, one.at, one.replaces);
    buffer.set(one.key, offset);
    buffer.set(one.sealed, offset + one.key.length);
  }
}

function check(entry: Uint8Array, { timeMs, lastTimestamp, counts, ops, answers }: Content): void {
  const decoded = decodeEntry(entry);
  assert.deepEqual(decodeHeader(entry), { timeMs, lastTimestamp });
  assert.deepEqual([decoded.timeMs, decoded.lastTimestamp], [timeMs, lastTimestamp]);
  const sums = new Map<number, number>();
  for (const [counter, change] of counts) sums.set(counter, (sums.get(counter) ?? 0) + change);
  const expected = [...sums].filter(([, sum]) => sum !== 0).sort(([a], [b]) => a - b);
  assert.deepEqual(
    decoded.countChanges.map(({ counter, change }) => [counter, change]),
    expected,
  );
  const records = ops.filter((one) => one.kind !== 'flush');
  assert.deepEqual(
    decoded.records.map(({ key, sealed, timestamp: at, replaces }) => ({
      key: [...key],
      sealed: sealed === null ? null : [...sealed],
      at,
      replaces,
    })),
    records.map((one) => ({
      key: [...one.key],
      sealed: one.kind === 'put' ? [...one.sealed] : null,
      at: one.at,
      replaces: one.replaces,
    })),
  );
  const flushes = ops.filter((one) => one.kind === 'flush').map(({ space, at }) => ({ space, timestamp: at }));
  assert.deepEqual(decoded.flushes, flushes);
  assert.deepEqual(
    decodeAnswers(entry).map(({ reply, ...id }) => ({ ...id, reply: [...reply] })),
    answers.map(({ reply, ...id }) => ({ ...id, reply: [...reply] })),
  );
}

describe('log entry', () => {
  it('holds what its batch collected, and nothing of what was taken back', () => {
    const batch = new Batch();
    fc.assert(
      fc.property(content, fc.array(op, { maxLength: 3 }), (kept, undone) => {
        fill(batch, { ...kept, answers: [] });
        const position = batch.position;
        for (const one of undone) write(batch, one);
        batch.truncate(position);
        for (const one of kept.answers) batch.answer(one, one.reply);
        check(batch.encode(), kept);
        batch.reset();
        assert.ok(batch.isEmpty);
      }),
    );
  });

  it('stays as it is when its batch is used again', () => {
    const batch = new Batch();
    fc.assert(
      fc.property(content, content, (first, second) => {
        fill(batch, first);
        const entry = batch.encode();
        batch.reset();
        fill(batch, second);
        check(entry, first);
        batch.reset();
      }),
    );
  });

  it('is refused by name wherever it is cut or changed, if it is refused', () => {
    const batch = new Batch();
    fc.assert(
      fc.property(content, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (kept, place, mask, isCut) => {
        fill(batch, kept);
        const entry = batch.encode();
        batch.reset();
        const at = place % entry.length;
        const damaged = isCut
          ? entry.slice(0, at)
          : Uint8Array.from(entry, (byte, i) => (i === at ? byte ^ mask : byte));
        for (const decode of [decodeEntry, decodeAnswers, decodeHeader, answersOf]) {
          try {
            decode(damaged);
          } catch (error) {
            assert.ok(error instanceof KahunaError, `${decode.name} threw ${String(error)}`);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is found in the ledger by the ids of its answers, with the very replies', () => {
    const batch = new Batch();
    fc.assert(
      fc.property(content, (kept) => {
        fill(batch, kept);
        const entry = batch.encode();
        batch.reset();
        const ledger = new RequestLedger();
        ledger.addAll(entry, answersOf(entry), 17);
        assert.equal(ledger.size, kept.answers.length);
        for (const one of kept.answers) {
          const known = ledger.find(one);
          assert.deepEqual([known?.index, [...(known?.reply ?? [])]], [17, [...one.reply]]);
          assert.equal(ledger.find({ ...one, counter: one.counter === 0 ? 1 : one.counter - 1 })?.index ?? 17, 17);
        }
      }),
    );
  });

  it('has these bytes', () => {
    const batch = new Batch();
    fill(batch, {
      timeMs: 0x0102_0304_05,
      lastTimestamp: 0x0607_0809,
      counts: [
        [0, 2],
        [16, -1],
      ],
      ops: [
        { kind: 'put', key: Buffer.from('ky'), sealed: Buffer.from('sld'), at: 0x11, replaces: 0x22 },
        { kind: 'delete', key: Buffer.from('x'), at: 0x33, replaces: 0x44 },
        { kind: 'flush', space: ALL_DATABASES, at: 0x55 },
      ],
      answers: [{ node: 3, epoch: 0x66, counter: 0x77, reply: Buffer.from('+OK') }],
    });
    assert.deepEqual(
      Buffer.from(batch.encode())
        .toString('hex')
        .match(/.{1,64}/g),
      [
        '010504030201000000090807060000000002000200000010ffffffff3e000000',
        '010200000003000000110000000000000022000000000000006b79736c640201',
        '000000330000000000000044000000000000007803ff55000000000000000100',
        '00000300000066000000000000007700000000000000030000002b4f4b',
      ],
    );
  });
});

describe('request ledger', () => {
  it('knows answers whose entry is not written yet, and the last of two with one id', () => {
    const ledger = new RequestLedger();
    const id = { node: 1, epoch: 2, counter: 3 };
    ledger.add({ ...id, reply: Buffer.from('a') }, 4);
    ledger.add({ ...id, counter: 4, reply: Buffer.from('b') }, 5);
    ledger.add({ ...id, reply: Buffer.from('c') }, 6);
    const known = ledger.find(id);
    assert.deepEqual([known?.index, Buffer.from(known?.reply ?? []).toString()], [6, 'c']);
    assert.equal(ledger.find({ ...id, epoch: 3 }), undefined);
    assert.equal(ledger.find({ ...id, node: 2 }), undefined);
  });
});
