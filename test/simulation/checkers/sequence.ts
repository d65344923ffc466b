/**
 * Sequences: no value is given out twice, a request that ended before another began got smaller values, and a repeated id
 * gets the same answer again. What is missing between the values was taken by requests whose outcome is unknown.
 */
import { afterWhatEnded, when } from './history.ts';

export interface Allocation {
  readonly first: number;
  readonly last: number;
  readonly startMs: number;
  readonly endMs: number;
  /** Idempotency id; null without one. */
  readonly id: string | null;
}

export function checkSequence(name: string, allocations: readonly Allocation[]): readonly string[] {
  const broken: string[] = [];
  const originals: Allocation[] = [];
  const byId = new Map<string, Allocation>();
  for (const allocation of allocations) {
    const known = allocation.id === null ? undefined : byId.get(allocation.id);
    if (known === undefined) {
      originals.push(allocation);
      if (allocation.id !== null) byId.set(allocation.id, allocation);
    } else if (known.first !== allocation.first || known.last !== allocation.last) {
      broken.push(`sequence ${name}: id ${allocation.id ?? ''} got ${told(known)} and ${told(allocation)}`);
    }
  }
  const byFirst = [...originals].sort((a, b) => a.first - b.first);
  for (let i = 1; i < byFirst.length; i++) {
    const before = byFirst[i - 1] as Allocation;
    const after = byFirst[i] as Allocation;
    if (after.first <= before.last) broken.push(`sequence ${name}: ${told(before)} and ${told(after)} overlap`);
  }
  return [...broken, ...checkOrder(name, originals)];
}

/** What the sequence says of itself in the end, and the values that unknown requests may have taken. */
export interface SequenceEnd {
  readonly current: number;
  readonly unknownCount: number;
}

/** For sequences of increment 1 that start at 0 and are never deleted. */
export function checkGaps(name: string, allocations: readonly Allocation[], end: SequenceEnd): readonly string[] {
  const given = new Map(allocations.map((allocation) => [allocation.first, allocation]));
  let count = 0;
  let highest = 0;
  for (const { first, last } of given.values()) {
    count += last - first + 1;
    highest = Math.max(highest, last);
  }
  if (highest > end.current) return [`sequence ${name}: ${highest} was given out, but it stands at ${end.current}`];
  const missing = end.current - count;
  if (missing <= end.unknownCount) return [];
  return [`sequence ${name}: ${missing} values are missing, ${end.unknownCount} may have been taken unseen`];
}

/** A replay may be answered before the original is: only allocations without an id are held to real time. */
function checkOrder(name: string, allocations: readonly Allocation[]): readonly string[] {
  const broken: string[] = [];
  const plain = allocations.filter(({ id }) => id === null);
  const isGreater = (one: Allocation, other: Allocation): boolean => one.last > other.last;
  afterWhatEnded(plain, isGreater, (later, greatest) => {
    if (later.first <= greatest.last) {
      broken.push(`sequence ${name}: ${told(later)} after ${told(greatest)} had been answered`);
    }
  });
  return broken;
}

function told(allocation: Allocation): string {
  return `[${allocation.first}, ${allocation.last}] (${when(allocation)})`;
}
