/** Histories of sequences: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { type Allocation, checkGaps, checkSequence } from './sequence.ts';

const take = (
  first: number,
  last: number,
  [startMs, endMs]: readonly [number, number],
  id: string | null = null,
): Allocation => ({
  first,
  last,
  startMs,
  endMs,
  id,
});

describe('the checker of sequences', () => {
  it('accepts values in any order within their overlap, and replays', () => {
    const allocations = [take(2, 4, [0, 9]), take(1, 1, [0, 9]), take(5, 5, [10, 11], 'a'), take(5, 5, [20, 21], 'a')];
    assert.deepEqual(checkSequence('s', allocations), []);
    assert.deepEqual(checkGaps('s', allocations, { current: 5, unknownCount: 0 }), []);
  });

  it('finds a value that was given twice, also inside a range', () => {
    assert.match(checkSequence('s', [take(1, 1, [0, 9]), take(1, 1, [0, 9])]).join(), /overlap/);
    assert.match(checkSequence('s', [take(1, 5, [0, 9]), take(3, 3, [0, 9])]).join(), /overlap/);
    assert.match(checkSequence('s', [take(1, 1, [0, 9], 'a'), take(1, 1, [0, 9], 'b')]).join(), /overlap/);
  });

  it('finds values that fall in real time', () => {
    assert.match(checkSequence('s', [take(2, 2, [0, 1]), take(1, 1, [2, 3])]).join(), /had been answered/);
  });

  it('finds a replay with another answer', () => {
    assert.match(checkSequence('s', [take(1, 1, [0, 1], 'a'), take(2, 2, [2, 3], 'a')]).join(), /id a got/);
  });

  it('finds gaps that nobody made, and values beyond the end', () => {
    const allocations = [take(1, 1, [0, 1]), take(4, 4, [2, 3])];
    assert.deepEqual(checkGaps('s', allocations, { current: 4, unknownCount: 2 }), []);
    assert.match(checkGaps('s', allocations, { current: 4, unknownCount: 1 }).join(), /2 values are missing/);
    assert.match(checkGaps('s', allocations, { current: 3, unknownCount: 9 }).join(), /stands at 3/);
  });

  it('checks 100,000 allocations in good time', () => {
    const allocations = Array.from({ length: 100_000 }, (_, i) => take(i * 3 + 1, i * 3 + 3, [i, i + 4]));
    const startedMs = performance.now();
    assert.deepEqual(checkSequence('s', allocations), []);
    assert.ok(performance.now() - startedMs < 2_000);
  });
});
