/**
 * Counters: every increment that was acknowledged is applied exactly once, every one that was refused never, and what
 * clients see agrees with real time.
 *
 * The value that INCR answers is its place in the order of all increments. So:
 * - no value is answered twice, and none is greater than the final value;
 * - acknowledged ≤ final ≤ acknowledged + unknown;
 * - if one operation ended before another began, the later INCR saw more, the later GET at least as much.
 */

export interface CounterOperation {
  readonly kind: 'increment' | 'read';
  readonly startMs: number;
  readonly endMs: number;
  /** The value answered; null if the outcome is unknown. Refused operations are left out. */
  readonly value: number | null;
}

export function checkCounter(
  key: string,
  operations: readonly CounterOperation[],
  finalValue: number,
): readonly string[] {
  const broken: string[] = [];
  const answered = operations.filter((operation) => operation.value !== null);
  const seen = new Set<number>();
  let acknowledged = 0;
  let unknown = 0;
  for (const { kind, value } of operations) {
    if (kind !== 'increment') continue;
    if (value === null) {
      unknown++;
      continue;
    }
    acknowledged++;
    if (seen.has(value)) broken.push(`counter ${key}: value ${value} was answered to two increments`);
    seen.add(value);
  }
  if (finalValue < acknowledged) {
    broken.push(`counter ${key}: ${acknowledged} increments were acknowledged, ${finalValue} applied`);
  }
  if (finalValue > acknowledged + unknown) {
    broken.push(
      `counter ${key}: ${finalValue} increments applied, ${acknowledged} acknowledged and ${unknown} unknown`,
    );
  }
  for (const { value } of answered) {
    if ((value ?? 0) > finalValue)
      broken.push(`counter ${key}: ${value ?? 0} was answered, but it ended at ${finalValue}`);
  }
  return [...broken, ...checkOrder(key, answered)];
}

function checkOrder(key: string, answered: readonly CounterOperation[]): readonly string[] {
  const broken: string[] = [];
  const byEnd = [...answered].sort((a, b) => a.endMs - b.endMs);
  const byStart = [...answered].sort((a, b) => a.startMs - b.startMs);
  let ended = 0;
  let greatest = 0;
  for (const later of byStart) {
    for (let next = byEnd[ended]; next !== undefined && next.endMs < later.startMs; next = byEnd[++ended]) {
      greatest = Math.max(greatest, next.value ?? 0);
    }
    const value = later.value ?? 0;
    const isStale = later.kind === 'increment' ? value <= greatest : value < greatest;
    if (isStale) {
      const range = `${later.startMs.toFixed(1)}-${later.endMs.toFixed(1)} ms`;
      broken.push(`counter ${key}: ${later.kind} at ${range} saw ${value} after ${greatest} had been answered`);
    }
  }
  return broken;
}
