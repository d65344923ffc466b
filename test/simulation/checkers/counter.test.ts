/** Histories of counters: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { checkCounter, type CounterOperation } from './counter.ts';

const increment = (startMs: number, endMs: number, value: number | null): CounterOperation => ({
  kind: 'increment',
  startMs,
  endMs,
  value,
});
const read = (startMs: number, endMs: number, value: number): CounterOperation => ({
  kind: 'read',
  startMs,
  endMs,
  value,
});

function finds(pattern: RegExp, final: number, ...operations: readonly CounterOperation[]): void {
  assert.match(checkCounter('k', operations, final).join('\n'), pattern);
}

describe('the checker of counters', () => {
  it('accepts increments in any order within their overlap, and unknown ones that count or not', () => {
    const operations = [increment(0, 9, 2), increment(0, 9, 1), read(1, 8, 0), read(10, 11, 2), increment(3, 4, null)];
    assert.deepEqual(checkCounter('k', operations, 2), []);
    assert.deepEqual(checkCounter('k', operations, 3), []);
  });

  it('finds an increment that was applied twice, or was refused and applied', () => {
    finds(/2 increments applied, 1 acknowledged and 0 unknown/, 2, increment(0, 1, 1));
  });

  it('finds a lost increment', () => {
    finds(/2 increments were acknowledged, 1 applied/, 1, increment(0, 1, 1), increment(2, 3, 1));
    finds(/7 was answered, but it ended at 1/, 1, read(0, 1, 7), increment(0, 1, 1));
  });

  it('finds a value that was answered twice', () => {
    finds(/value 1 was answered to two/, 2, increment(0, 9, 1), increment(0, 9, 1));
  });

  it('finds a stale read and a stale increment', () => {
    finds(/read at 4\.0-5\.0 ms saw 0 after 1/, 1, increment(0, 1, 1), read(4, 5, 0));
    finds(
      /read at 4\.0-5\.0 ms saw 1 after 2/,
      2,
      increment(0, 9, 1),
      increment(0, 9, 2),
      read(1, 2, 2),
      read(4, 5, 1),
    );
    finds(/increment at 4\.0-5\.0 ms saw 1 after 2/, 2, increment(0, 1, 2), increment(4, 5, 1));
  });

  it('checks 100,000 operations in good time', () => {
    const operations = Array.from({ length: 100_000 }, (_, i) => increment(i, i + 3, i + 1));
    const startedMs = performance.now();
    assert.deepEqual(checkCounter('k', operations, 100_000), []);
    assert.ok(performance.now() - startedMs < 2_000);
  });
});
