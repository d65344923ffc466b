/** Strings of both forms against a naive buffer; sharing of pages by counting what is new. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  PAGE_BYTES,
  PagedString,
  STRING_INLINE_BYTES_MAX,
  ZERO_PAGE,
  append,
  byteAt,
  byteLength,
  equalsBytes,
  pageCountOf,
  pageSizeOf,
  setRange,
  sliceString,
  stringFromBytes,
  toBytes,
  toReply,
} from '../../src/values/string.ts';
import type { StringValue } from '../../src/values/value.ts';

/** Lengths and offsets around the places where something changes. */
const position = fc.oneof(
  fc.nat({ max: 40 }),
  fc.nat({ max: 3 * PAGE_BYTES }),
  fc.constantFrom(
    0,
    1,
    PAGE_BYTES - 1,
    PAGE_BYTES,
    PAGE_BYTES + 1,
    2 * PAGE_BYTES - 1,
    2 * PAGE_BYTES,
    2 * PAGE_BYTES + 1,
  ),
);
/** Bytes that differ from place to place, so that a shift is noticed. */
const bytes = fc.tuple(position, fc.nat({ max: 255 })).map(([length, seed]) => pattern(length, seed));

function pattern(length: number, seed: number): Buffer {
  const result = Buffer.alloc(length);
  for (let i = 0; i < length; i++) result[i] = (i * 31 + (i >> 8) * 7 + seed) & 0xff;
  return result;
}

/** The value holds these bytes, in the one form that is allowed for them. */
function assertHolds(value: StringValue, expected: Buffer): void {
  assert.equal(typeof value === 'string', expected.length <= STRING_INLINE_BYTES_MAX);
  assert.equal(byteLength(value), expected.length);
  assert.ok(toBytes(value).equals(expected));
  if (typeof value === 'string') return;
  assert.deepEqual(
    value.pages.map((page) => page.length),
    Array.from({ length: pageCountOf(expected.length) }, (_, index) => pageSizeOf(expected.length, index)),
  );
}

function naiveSetRange(old: Buffer, offset: number, patch: Buffer): Buffer {
  if (patch.length === 0) return old;
  const result = Buffer.alloc(Math.max(old.length, offset + patch.length));
  old.copy(result);
  patch.copy(result, offset);
  return result;
}

function newPages(before: StringValue, after: StringValue): number {
  if (typeof after === 'string') return 0;
  const known = typeof before === 'string' ? [] : before.pages;
  return after.pages.filter((page) => page !== ZERO_PAGE && !known.includes(page)).length;
}

describe('strings', () => {
  it('hold the bytes that they were made of, and do not keep them', () => {
    fc.assert(
      fc.property(bytes, (content) => {
        const source = Buffer.from(content);
        const value = stringFromBytes(source);
        source.fill(0);
        assertHolds(value, content);
        const reply = toReply(value);
        assert.ok(content.equals(typeof reply === 'string' ? Buffer.from(reply, 'latin1') : reply));
      }),
    );
  });

  it('append and patch as a plain buffer does, and leave the old value alone', () => {
    const step = fc.record({ offset: fc.option(position), patch: bytes });
    fc.assert(
      fc.property(bytes, fc.array(step, { maxLength: 5 }), (start, steps) => {
        let naive = start;
        let value = stringFromBytes(start);
        for (const { offset, patch } of steps) {
          const before = value;
          const naiveBefore = naive;
          naive = offset === null ? Buffer.concat([naive, patch]) : naiveSetRange(naive, offset, patch);
          value = offset === null ? append(value, patch) : setRange(value, offset, patch);
          assertHolds(value, naive);
          assertHolds(before, naiveBefore);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('slice as a plain buffer does', () => {
    fc.assert(
      fc.property(bytes, position, position, (content, a, b) => {
        const start = Math.min(a, b, content.length);
        const end = Math.min(Math.max(a, b), content.length);
        const slice = sliceString(stringFromBytes(content), start, end);
        const expected = content.subarray(start, end);
        assert.ok(expected.equals(typeof slice === 'string' ? Buffer.from(slice, 'latin1') : slice));
      }),
    );
  });

  it('give single bytes, and zero past the end', () => {
    fc.assert(
      fc.property(bytes, position, (content, index) => {
        assert.equal(byteAt(stringFromBytes(content), index), content[index] ?? 0);
      }),
    );
  });

  it('are equal if and only if their bytes are', () => {
    fc.assert(
      fc.property(bytes, position, (content, at) => {
        const changed = Buffer.from(content);
        if (content.length > 0) changed[at % content.length] = (changed[at % content.length] ?? 0) ^ 1;
        const value = stringFromBytes(content);
        assert.ok(equalsBytes(value, content));
        assert.equal(equalsBytes(value, changed), content.length === 0);
        assert.equal(equalsBytes(value, Buffer.concat([content, Buffer.of(0)])), false);
      }),
    );
  });

  it('share all pages that a change does not touch', () => {
    const value = stringFromBytes(pattern(100 * PAGE_BYTES + 5, 1));
    assert.equal(newPages(value, setRange(value, 50 * PAGE_BYTES + 7, Buffer.from('x'))), 1);
    assert.equal(newPages(value, setRange(value, 50 * PAGE_BYTES - 1, Buffer.from('xy'))), 2);
    assert.equal(newPages(value, append(value, Buffer.from('x'))), 1);
    assert.equal(newPages(value, append(value, pattern(PAGE_BYTES, 2))), 2);
    assert.equal(append(value, Buffer.alloc(0)), value);
    assert.equal(setRange(value, 3, Buffer.alloc(0)), value);
  });

  it('do not spend memory on gaps', () => {
    const value = setRange('', 512 * 1024 * 1024 - 1, Buffer.from('x'));
    assert.ok(value instanceof PagedString);
    assert.equal(value.byteLength, 512 * 1024 * 1024);
    assert.equal(value.pages.filter((page) => page !== ZERO_PAGE).length, 1);
    assert.ok(ZERO_PAGE.every((byte) => byte === 0));
  });

  it('keep pages in memory of their own', () => {
    const value = stringFromBytes(pattern(3 * PAGE_BYTES, 1));
    assert.ok(value instanceof PagedString);
    for (const page of value.pages) assert.equal(page.buffer.byteLength, page.length);
  });

  it('refuse pages that do not fit their length', () => {
    assert.throws(() => new PagedString([ZERO_PAGE], PAGE_BYTES));
    assert.throws(() => new PagedString([ZERO_PAGE], 2 * PAGE_BYTES));
  });
});
