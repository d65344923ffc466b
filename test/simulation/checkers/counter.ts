/**
 * Counters: every increment that was acknowledged is applied exactly once, every one that was refused never, and what
 * clients see agrees with real time.
 *
 * The value that INCR answers is its place in the order of all increments. So:
 * - no value is answered twice, and none is greater than the final value;
 * - acknowledged ≤ final ≤ acknowledged + unknown;
 * - if one operation ended before another began, the later INCR saw more, the later GET at least as much.
 */
import { afterWhatEnded, when } from './history.ts';

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
  const valueOf = ({ value }: CounterOperation): number => value ?? 0;
  const isGreater = (one: CounterOperation, other: CounterOperation): boolean => valueOf(one) > valueOf(other);
  afterWhatEnded(answered, isGreater, (later, greatest) => {
    const isStale =
      later.kind === 'increment' ? valueOf(later) <= valueOf(greatest) : valueOf(later) < valueOf(greatest);
    if (isStale) {
      broken.push(
        `counter ${key}: ${later.kind} at ${when(later)} saw ${valueOf(later)} after ${valueOf(greatest)} had been answered`,
      );
    }
  });
  return broken;
}
