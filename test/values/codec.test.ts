/**
 * Records: golden bytes for each shape, round trips for random values, and refusal of every cut, every extension and, as
 * far as bytes can tell, every mutation (a mutation either is refused or is another value's one encoding).
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KahunaError } from '../../src/base/errors.ts';
import {
  assembleValue,
  changedPages,
  decodeKeyRecord,
  encodeKeyRecord,
  encodeKeyRecordInto,
  encodedSize,
  pageCount,
  typeOf,
} from '../../src/values/codec.ts';
import { Lock } from '../../src/values/lock.ts';
import { residentBytes, valueBytes } from '../../src/values/memory.ts';
import { ANSWERS_PER_PAGE } from '../../src/values/idempotency.ts';
import { type Sequence, allocate, createSequence } from '../../src/values/sequence.ts';
import { PAGE_BYTES, ZERO_PAGE, append, setRange, stringFromBytes } from '../../src/values/string.ts';
import type { Value } from '../../src/values/value.ts';

const EXPIRY = 1_700_000_000_123;

function hex(value: Value, expiresAtMs = 0): string {
  return Buffer.from(encodeKeyRecord(value, expiresAtMs)).toString('hex');
}

/** All that is stored of a value: applies the page changes to what was stored before. */
function store(pages: Map<number, Uint8Array>, old: Value | undefined, value: Value | undefined): void {
  for (const { index, payload } of changedPages(old, value)) {
    if (payload === null) assert.ok(pages.delete(index), `page ${index} was not there`);
    else pages.set(index, payload);
  }
}

function load(record: Uint8Array, pages: ReadonlyMap<number, Uint8Array>): Value {
  const decoded = decodeKeyRecord(record);
  if (decoded.value !== undefined) return decoded.value;
  const payloads = Array.from({ length: decoded.pageCount }, (_, i) => {
    const page = pages.get(decoded.firstPage + i);
    assert.ok(page !== undefined, `page ${decoded.firstPage + i} is missing`);
    return page;
  });
  return assembleValue(decoded, payloads);
}

function sequenceWithAnswers(count: number): Sequence {
  let sequence = createSequence({ start: -3n, increment: 2n, max: 9_000_000_000_000_000_000n }, 1000);
  for (let i = 0; i < count; i++) {
    const allocation = allocate(sequence, { count: i % 2 === 0 ? null : 3n, id: `id-${i}\xff`, nowMs: 1000 + i });
    assert.ok(typeof allocation !== 'string');
    sequence = allocation.sequence;
  }
  return sequence;
}

function assertMalformed(run: () => unknown, what: string): void {
  assert.throws(run, (error) => error instanceof KahunaError && error.code === 'VALUE_MALFORMED', what);
}

const lock = new Lock({ token: 7, owner: 'me\xff', expiresAtMs: EXPIRY, acquiredAt: 6_963_200_000_000_000 });
const passedLock = new Lock({
  token: 7,
  highestToken: 6_963_200_000_000_001,
  owner: 'me',
  expiresAtMs: EXPIRY,
  acquiredAt: 6_963_200_000_000_000,
});
const freeLock = new Lock({ token: 258, owner: null, expiresAtMs: 0, acquiredAt: 0 });
const values: readonly Value[] = [
  '',
  'abc',
  'x'.repeat(PAGE_BYTES),
  stringFromBytes(Buffer.alloc(3 * PAGE_BYTES + 5, 7)),
  setRange('', 5 * PAGE_BYTES, Buffer.from('end')),
  lock,
  passedLock,
  freeLock,
  createSequence({ start: 0n, increment: 1n, max: null }, 1000),
  sequenceWithAnswers(3),
  sequenceWithAnswers(ANSWERS_PER_PAGE),
  sequenceWithAnswers(3 * ANSWERS_PER_PAGE + 2),
];

describe('stored values', () => {
  it('have these bytes', () => {
    assert.equal(hex(''), '0100');
    assert.equal(hex('abc\xff'), '0100616263ff');
    assert.equal(hex('abc', EXPIRY), '01017b68e5cf8b010000616263');
    assert.equal(hex(stringFromBytes(Buffer.alloc(40_000))), '0102409c000000400000');
    assert.equal(hex(freeLock), '100002010000000000000000000000000000000000000000000000');
    assert.equal(hex(lock), '100007000000000000007b68e5cf8b01000000008056febc1800016d65ff');
    assert.equal(hex(passedLock), '100007000000000000007b68e5cf8b01000000008056febc18000201008056febc18006d65');
    assert.equal(
      hex(createSequence({ start: -1n, increment: 1n, max: null }, 1000)),
      '1100ffffffffffffffff0100000000000000ffffffffffffffff000100000000000000e803000000000000e8030000000000000000000000000000' +
        '00',
    );
    assert.equal(
      hex(sequenceWithAnswers(2)),
      '1100fdffffffffffffff0200000000000000050000000000000001000084e2506ce67c0300000000000000e803000000000000e90300000000000000' +
        '000000000000000205' +
        '69642d30ff0000000000000000ffffffffffffffffe803000000000000' +
        '0569642d31ff03000000000000000500000000000000e903000000000000',
    );
  });

  it('are read back as they were written', () => {
    for (const value of values) {
      for (const expiresAtMs of [0, 1, EXPIRY, Number.MAX_SAFE_INTEGER]) {
        const pages = new Map<number, Uint8Array>();
        store(pages, undefined, value);
        assert.equal(pages.size, pageCount(value));
        const record = encodeKeyRecord(value, expiresAtMs);
        const decoded = decodeKeyRecord(record);
        assert.equal(decoded.expiresAtMs, expiresAtMs);
        assert.equal(decoded.type, typeOf(value));
        assert.deepEqual(load(record, pages), value);
        assert.equal(encodedSize(value, expiresAtMs), record.length);
      }
    }
  });

  it('are written where they are asked to, and nowhere else', () => {
    for (const value of values) {
      const target = Buffer.alloc(encodedSize(value, EXPIRY) + 10, 0xaa);
      const end = encodeKeyRecordInto(target, 5, value, EXPIRY);
      assert.equal(end, target.length - 5);
      assert.deepEqual([...target.subarray(0, 5), ...target.subarray(end)], new Array<number>(10).fill(0xaa));
      assert.deepEqual(new Uint8Array(target.subarray(5, end)), new Uint8Array(encodeKeyRecord(value, EXPIRY)));
    }
  });

  it('do not keep the bytes that they were read from', () => {
    const record = encodeKeyRecord('abc', 0);
    const decoded = decodeKeyRecord(record);
    const long = decodeKeyRecord(encodeKeyRecord(stringFromBytes(Buffer.alloc(2 * PAGE_BYTES, 1)), 0));
    const pages = [Buffer.alloc(PAGE_BYTES, 1), Buffer.alloc(PAGE_BYTES, 1)];
    const value = assembleValue(long, pages);
    record.fill(0);
    for (const page of pages) page.fill(0);
    assert.equal(decoded.value, 'abc');
    assert.deepEqual(value, stringFromBytes(Buffer.alloc(2 * PAGE_BYTES, 1)));
  });

  it('survive random strings in one form only', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.oneof(fc.constant(0), fc.integer({ min: 1 })),
        (bytes, expiresAtMs) => {
          const value = stringFromBytes(bytes);
          const decoded = decodeKeyRecord(encodeKeyRecord(value, expiresAtMs));
          assert.deepEqual([decoded.value, decoded.expiresAtMs], [value, expiresAtMs]);
        },
      ),
    );
  });

  it('are refused if they are cut or go on', () => {
    for (const value of values.filter((one) => typeof one !== 'string')) {
      const record = encodeKeyRecord(value, EXPIRY);
      for (let length = 0; length < record.length; length++) {
        if (value instanceof Lock && value.owner !== null && length >= record.length - 3) continue; // a shorter owner is an owner
        assertMalformed(() => decodeKeyRecord(record.subarray(0, length)), `${typeOf(value)} cut to ${length}`);
      }
      if (!(value instanceof Lock) || value.owner === null)
        assertMalformed(() => decodeKeyRecord(Buffer.concat([record, Buffer.of(0)])), typeOf(value));
    }
    for (let length = 0; length < 10; length++)
      assertMalformed(() => decodeKeyRecord(encodeKeyRecord('abc', EXPIRY).subarray(0, length)), `cut to ${length}`);
  });

  it('that are changed in a bit are refused, or are what they then encode', () => {
    for (const value of values.filter((one) => typeof one !== 'string')) {
      const record = encodeKeyRecord(value, EXPIRY);
      for (let bit = 0; bit < record.length * 8; bit++) {
        const mutated = Buffer.from(record);
        mutated[bit >> 3] = (mutated[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        try {
          const decoded = decodeKeyRecord(mutated);
          if (decoded.value !== undefined)
            assert.deepEqual(Buffer.from(encodeKeyRecord(decoded.value, decoded.expiresAtMs)), mutated);
        } catch (error) {
          assert.ok(
            error instanceof KahunaError && error.code === 'VALUE_MALFORMED',
            `bit ${bit} of a ${typeOf(value)}: ${String(error)}`,
          );
        }
      }
    }
  });

  it('are refused if they contradict themselves', () => {
    const record = (text: string): Buffer => Buffer.from(text, 'hex');
    assertMalformed(() => decodeKeyRecord(record('0000')), 'type 0');
    assertMalformed(() => decodeKeyRecord(record('0200')), 'a list');
    assertMalformed(() => decodeKeyRecord(record('0104')), 'an unknown flag');
    assertMalformed(() => decodeKeyRecord(record('01010000000000000000')), 'an expiry of 0');
    assertMalformed(() => decodeKeyRecord(record('0101000000000000ff00')), 'an expiry beyond 2^53');
    assertMalformed(() => decodeKeyRecord(record('01020040000000400000')), 'a short string in pages');
    assertMalformed(() => decodeKeyRecord(record('0102409c000000200000')), 'pages of another size');
    assertMalformed(
      () => decodeKeyRecord(Buffer.concat([record('0100'), Buffer.alloc(PAGE_BYTES + 1)])),
      'a long string unpaged',
    );
    assertMalformed(() => decodeKeyRecord(record('1002')), 'a lock with pages');
    const passed = '100007000000000000007b68e5cf8b01000000008056febc180002';
    assertMalformed(() => decodeKeyRecord(record(`${passed}07000000000000006d65`)), 'a token that was not passed');
    assertMalformed(() => decodeKeyRecord(record(`${passed.slice(0, -2)}03`)), 'a lock in an unknown state');
  });

  it('refuse pages that do not fit', () => {
    const decoded = decodeKeyRecord(encodeKeyRecord(stringFromBytes(Buffer.alloc(2 * PAGE_BYTES + 1, 1)), 0));
    const page = Buffer.alloc(PAGE_BYTES, 1);
    assertMalformed(() => assembleValue(decoded, [page, page]), 'a page too few');
    assertMalformed(() => assembleValue(decoded, [page, page, page]), 'a last page too long');
    assertMalformed(() => assembleValue(decoded, [page, page, Buffer.alloc(0)]), 'a last page that is empty');
    assertMalformed(() => assembleValue(decoded, [page, page.subarray(1), Buffer.alloc(1)]), 'a short page');
    assertMalformed(() => assembleValue(decodeKeyRecord(encodeKeyRecord('abc', 0)), []), 'a value without pages');
    const sequence = decodeKeyRecord(encodeKeyRecord(sequenceWithAnswers(ANSWERS_PER_PAGE), 0));
    assertMalformed(() => assembleValue(sequence, [Buffer.alloc(10)]), 'a page of answers that is none');
  });
});

describe('pages of values', () => {
  it('are written only where a string changed', () => {
    const old = stringFromBytes(Buffer.alloc(10 * PAGE_BYTES, 1));
    const indices = (value: Value | undefined): string[] =>
      changedPages(old, value).map(({ index, payload }) => `${payload === null ? '-' : '+'}${index}`);
    assert.deepEqual(indices(old), []);
    assert.deepEqual(indices(setRange(old, 3 * PAGE_BYTES + 5, Buffer.from('x'))), ['+3']);
    assert.deepEqual(indices(append(old, Buffer.from('x'))), ['+10']);
    assert.deepEqual(indices('short').length, 10);
    assert.deepEqual(indices(undefined)[9], '-9');
    assert.deepEqual(changedPages(undefined, 'short'), []);
  });

  it('of zeros are stored as nothing', () => {
    const value = setRange('', 3 * PAGE_BYTES, Buffer.from('x'));
    assert.deepEqual(
      changedPages(undefined, value).map(({ payload }) => payload?.length),
      [0, 0, 0, 1],
    );
    const pages = new Map<number, Uint8Array>();
    store(pages, undefined, value);
    const read = load(encodeKeyRecord(value, 0), pages);
    assert.ok(typeof read !== 'string' && 'pages' in read && read.pages[0] === ZERO_PAGE);
  });

  it('follow a value through any changes', () => {
    const change = fc.oneof(
      fc.record({
        kind: fc.constant('set' as const),
        length: fc.constantFrom(0, 5, PAGE_BYTES, PAGE_BYTES + 1, 4 * PAGE_BYTES),
      }),
      fc.record({ kind: fc.constant('patch' as const), length: fc.nat({ max: 5 * PAGE_BYTES }) }),
      fc.record({ kind: fc.constant('delete' as const), length: fc.constant(0) }),
      fc.record({ kind: fc.constant('sequence' as const), length: fc.constantFrom(0, 3, 70, 200) }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const pages = new Map<number, Uint8Array>();
        let value: Value | undefined;
        for (const { kind, length } of changes) {
          const old = value;
          if (kind === 'set') value = stringFromBytes(Buffer.alloc(length, 9));
          else if (kind === 'delete') value = undefined;
          else if (kind === 'sequence') value = sequenceWithAnswers(length);
          else
            value = setRange(
              typeOf(old ?? '') === 'string' ? ((old ?? '') as string) : '',
              length,
              Buffer.from('patch'),
            );
          store(pages, old, value);
          if (value === undefined) assert.equal(pages.size, 0);
          else assert.deepEqual(load(encodeKeyRecord(value, 0), pages), value);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('of a sequence go when its window moves on', () => {
    const old = sequenceWithAnswers(3 * ANSWERS_PER_PAGE);
    const allocation = allocate(old, { count: null, id: 'later', nowMs: 4_000_000 });
    assert.ok(typeof allocation !== 'string');
    const changes = changedPages(old, allocation.sequence);
    assert.deepEqual(
      changes,
      [0, 1, 2].map((index) => ({ index, payload: null })),
    );
  });
});

describe('memory estimates', () => {
  it('grow with key, value and pages', () => {
    assert.ok(residentBytes('key', 'x'.repeat(1000)) > 1000);
    assert.ok(residentBytes('k'.repeat(800), '') - residentBytes('', '') === 800);
    const long = stringFromBytes(Buffer.alloc(10 * PAGE_BYTES));
    assert.ok(valueBytes(long) > 10 * PAGE_BYTES && valueBytes(long) < 11 * PAGE_BYTES);
    assert.ok(valueBytes(lock) > valueBytes(freeLock));
    assert.ok(valueBytes(sequenceWithAnswers(200)) > valueBytes(sequenceWithAnswers(3)) + 100 * 100);
  });
});
