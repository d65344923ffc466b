/**
 * Sequences: no value is given out twice, a request that ended before another began got smaller values, and a repeated id
 * gets the same answer again.
 */

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

/** A replay may be answered before the original is: only allocations without an id are held to real time. */
function checkOrder(name: string, allocations: readonly Allocation[]): readonly string[] {
  const broken: string[] = [];
  const plain = allocations.filter(({ id }) => id === null);
  const byEnd = [...plain].sort((a, b) => a.endMs - b.endMs);
  const byStart = [...plain].sort((a, b) => a.startMs - b.startMs);
  let ended = 0;
  let greatest: Allocation | undefined;
  for (const later of byStart) {
    for (let next = byEnd[ended]; next !== undefined && next.endMs < later.startMs; next = byEnd[++ended]) {
      if (greatest === undefined || next.last > greatest.last) greatest = next;
    }
    if (greatest !== undefined && later.first <= greatest.last) {
      broken.push(`sequence ${name}: ${told(later)} after ${told(greatest)} had been answered`);
    }
  }
  return broken;
}

function told({ first, last, startMs, endMs }: Allocation): string {
  return `[${first}, ${last}] (${startMs.toFixed(1)}-${endMs.toFixed(1)} ms)`;
}
