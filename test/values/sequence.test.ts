/** Allocation against a naive twin that remembers everything; the bounds of the idempotency window one by one. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { INT64_MAX, INT64_MIN } from '../../src/values/integer.ts';
import { ANSWERS_PER_PAGE, IDEMPOTENCY_IDS_MAX, IDEMPOTENCY_RETENTION_MS } from '../../src/values/idempotency.ts';
import { type Sequence, allocate, createSequence, hasParameters } from '../../src/values/sequence.ts';

const START_MS = 1_700_000_000_000;
const COUNTING = { start: 0n, increment: 1n, max: null };

function next(
  sequence: Sequence,
  id: string | null,
  nowMs: number,
): { readonly value: bigint; readonly sequence: Sequence } {
  const allocation = allocate(sequence, { count: null, id, nowMs });
  assert.ok(typeof allocation !== 'string', 'nothing was allocated');
  return { value: allocation.last, sequence: allocation.sequence };
}

/** Uses `count` ids at one time. */
function filled(
  sequence: Sequence,
  ids: { readonly count: number; readonly prefix: string; readonly nowMs: number },
): Sequence {
  let result = sequence;
  for (let i = 0; i < ids.count; i++) result = next(result, `${ids.prefix}${i}`, ids.nowMs).sequence;
  return result;
}

describe('sequences', () => {
  it('allocate as a twin does that forgets nothing', () => {
    const call = fc.record({
      count: fc.oneof(fc.constant(null), fc.bigInt({ min: 1n, max: 5n })),
      id: fc.oneof(fc.constant(null), fc.constantFrom('a', 'b', 'c', 'd')),
      waitMs: fc.constantFrom(0, 1, 1000),
    });
    const parameters = fc.record({
      start: fc.bigInt({ min: -5n, max: 5n }),
      increment: fc.constantFrom(1n, 3n),
      max: fc.constantFrom(null, 20n),
    });
    fc.assert(
      fc.property(parameters, fc.array(call, { maxLength: 30 }), (given, calls) => {
        let sequence = createSequence(given, START_MS);
        let current = given.start;
        let nowMs = START_MS;
        const answers = new Map<
          string,
          { readonly count: bigint | null; readonly first: bigint; readonly last: bigint }
        >();
        for (const { count, id, waitMs } of calls) {
          nowMs += waitMs;
          const result = allocate(sequence, { count, id, nowMs });
          const known = id === null ? undefined : answers.get(id);
          const last = current + given.increment * (count ?? 1n);
          if (known !== undefined) {
            if (known.count !== count) assert.equal(result, 'mismatch');
            else assert.deepEqual(result, { first: known.first, last: known.last, sequence });
          } else if (given.max !== null && last > given.max) {
            assert.equal(result, 'exhausted');
          } else {
            assert.ok(typeof result !== 'string');
            assert.deepEqual([result.first, result.last], [current + given.increment, last]);
            assert.equal(result.sequence.revision, sequence.revision + 1);
            if (id !== null) answers.set(id, { count, first: result.first, last });
            current = last;
            sequence = result.sequence;
          }
          assert.equal(sequence.current, current);
        }
      }),
    );
  });

  it('end at both edges of 64 bits', () => {
    const up = createSequence({ start: INT64_MAX - 1n, increment: 1n, max: null }, START_MS);
    const last = next(up, null, START_MS);
    assert.equal(last.value, INT64_MAX);
    assert.equal(allocate(last.sequence, { count: null, id: null, nowMs: START_MS }), 'exhausted');
    const down = createSequence({ start: INT64_MIN + 1n, increment: -1n, max: null }, START_MS);
    const lowest = next(down, null, START_MS);
    assert.equal(lowest.value, INT64_MIN);
    assert.equal(allocate(lowest.sequence, { count: null, id: null, nowMs: START_MS }), 'exhausted');
    assert.equal(allocate(up, { count: INT64_MAX, id: null, nowMs: START_MS }), 'exhausted');
  });

  it('keep an answer for the retention, in whichever page it lies', () => {
    let sequence = next(createSequence(COUNTING, START_MS), 'first', START_MS).sequence;
    sequence = filled(sequence, { count: 5 * ANSWERS_PER_PAGE, prefix: 'x', nowMs: START_MS + 10 });
    const lastMoment = START_MS + IDEMPOTENCY_RETENTION_MS - 1;
    assert.equal(next(sequence, 'first', lastMoment).value, 1n);
    assert.equal(next(sequence, 'x0', lastMoment).value, 2n);
    assert.equal(next(sequence, 'x300', lastMoment).value, 302n);
    const later = next(sequence, 'new', START_MS + 10 + IDEMPOTENCY_RETENTION_MS).sequence;
    assert.equal(later.window.answerCount, 1);
    assert.equal(later.window.firstPage, 5);
  });

  it('refuse ids rather than forget one early, and only ids', () => {
    const full = filled(createSequence(COUNTING, START_MS), {
      count: IDEMPOTENCY_IDS_MAX,
      prefix: 'x',
      nowMs: START_MS,
    });
    assert.equal(full.window.answerCount, IDEMPOTENCY_IDS_MAX);
    assert.equal(allocate(full, { count: null, id: 'more', nowMs: START_MS + 1000 }), 'windowFull');
    assert.equal(next(full, 'x17', START_MS + 1000).value, 18n);
    assert.equal(next(full, null, START_MS + 1000).value, BigInt(IDEMPOTENCY_IDS_MAX) + 1n);
    assert.equal(next(full, 'more', START_MS + IDEMPOTENCY_RETENTION_MS).value, BigInt(IDEMPOTENCY_IDS_MAX) + 1n);
  });

  it('give one answer to an id within the retention, whatever comes and goes meanwhile', () => {
    const call = fc.record({ id: fc.nat({ max: 400 }), waitMs: fc.nat({ max: 20_000 }) });
    fc.assert(
      fc.property(fc.array(call, { minLength: 1500, maxLength: 1500 }), (calls) => {
        let sequence = createSequence(COUNTING, START_MS);
        let nowMs = START_MS;
        const answers = new Map<number, { readonly value: bigint; readonly atMs: number }>();
        for (const { id, waitMs } of calls) {
          nowMs += waitMs;
          const before = sequence.current;
          const { value, sequence: after } = next(sequence, `id ${id}`, nowMs);
          const known = answers.get(id);
          const mustRepeat = known !== undefined && nowMs - known.atMs < IDEMPOTENCY_RETENTION_MS;
          const repeats = value === known?.value;
          assert.ok(repeats ? after === sequence : value === before + 1n && !mustRepeat);
          if (!repeats) answers.set(id, { value, atMs: nowMs });
          sequence = after;
        }
        assert.ok(sequence.window.firstPage > 0, 'no page was ever dropped');
      }),
      { numRuns: 10 },
    );
  });

  it('write only the open page again', () => {
    const sequence = filled(createSequence(COUNTING, START_MS), {
      count: 3 * ANSWERS_PER_PAGE + 1,
      prefix: 'x',
      nowMs: START_MS,
    });
    const after = next(sequence, 'y', START_MS).sequence;
    assert.equal(after.window.closed, sequence.window.closed);
    assert.equal(after.window.open.length, 2);
  });

  it('know their parameters', () => {
    const sequence = createSequence({ start: 1n, increment: 2n, max: 9n }, START_MS);
    assert.equal(hasParameters(sequence, { start: 1n, increment: 2n, max: 9n }), true);
    assert.equal(hasParameters(sequence, { start: 1n, increment: 2n, max: null }), false);
    assert.throws(() => createSequence({ start: 0n, increment: 0n, max: null }, START_MS));
  });
});
