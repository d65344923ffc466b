/** Histories of sets: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { checkSet, type SetAdd, type SetHistory, type SetRead } from './set.ts';

const add = (element: number, [startMs, endMs]: readonly [number, number], change: Partial<SetAdd> = {}): SetAdd => ({
  client: 'c',
  startMs,
  endMs,
  element,
  outcome: 'ok',
  wasThere: false,
  ...change,
});
const read = ([startMs, endMs]: readonly [number, number], ...elements: readonly number[]): SetRead => ({
  client: 'c',
  startMs,
  endMs,
  elements: new Set(elements),
});

function check(history: Partial<SetHistory>): string {
  return checkSet('s', { adds: [], reads: [], counts: [], ...history }).join('\n');
}

describe('the checker of sets', () => {
  it('accepts what was added in reads that come after, and perhaps in those meanwhile', () => {
    const adds = [add(1, [0, 9]), add(2, [0, 9], { outcome: 'unknown' })];
    assert.equal(check({ adds, reads: [read([1, 2]), read([3, 4], 1), read([10, 11], 1), read([12, 13], 1, 2)] }), '');
    const counts = [0, 1, 2].map((count) => ({ client: 'c', startMs: 1, endMs: 2, count }));
    assert.equal(check({ adds, counts }), '');
  });

  it('finds a lost element', () => {
    assert.match(check({ adds: [add(1, [0, 1])], reads: [read([2, 3])] }), /1 was there at 1.0 ms, and is missing/);
  });

  it('finds an element that was seen and is gone, though its adding is unknown', () => {
    const adds = [add(1, [0, 1], { outcome: 'unknown' })];
    assert.match(check({ adds, reads: [read([2, 3], 1), read([4, 5])] }), /is missing in the read of 4.0-5.0/);
  });

  it('finds an element that nobody added, that was refused, or that is early', () => {
    assert.match(check({ reads: [read([2, 3], 7)] }), /which nobody added/);
    assert.match(check({ adds: [add(1, [0, 1], { outcome: 'failed' })], reads: [read([2, 3], 1)] }), /was refused/);
    assert.match(check({ adds: [add(1, [5, 6])], reads: [read([2, 3], 1)] }), /before it was added/);
  });

  it('finds an adding that says it was repeated', () => {
    assert.match(check({ adds: [add(1, [0, 1], { wasThere: true })] }), /was there before it was added/);
  });

  it('finds counts that are too small or too great', () => {
    const adds = [add(1, [0, 1]), add(2, [0, 9])];
    const count = (count: number) => [{ client: 'c', startMs: 4, endMs: 5, count }];
    assert.match(check({ adds, counts: count(0) }), /0 elements were counted .* 1 to 2/);
    assert.match(check({ adds, counts: count(3) }), /3 elements were counted/);
  });

  it('checks 1,000 elements in 1,000 reads in good time', () => {
    const adds = Array.from({ length: 1_000 }, (_, i) => add(i, [i, i + 0.5]));
    const reads = adds.map((_, i) => read([i + 0.6, i + 0.7], ...adds.slice(0, i + 1).map(({ element }) => element)));
    const startedMs = performance.now();
    assert.equal(check({ adds, reads }), '');
    assert.ok(performance.now() - startedMs < 2_000);
  });
});
