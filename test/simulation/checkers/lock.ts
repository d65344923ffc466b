/**
 * Locks with leases: nobody holds what another surely holds, tokens rise with every grant, and who waited longer is served
 * first.
 *
 * A grant surely holds from the moment at which its holder heard of it until it began to release it, or until its lease had
 * passed since the request was *sent*, whichever comes first. The lease is counted by the clock of some leader, so it is
 * shortened here by what clocks may differ.
 */

export interface Grant {
  readonly owner: string;
  readonly token: number;
  readonly startMs: number;
  readonly endMs: number;
  /** When the lease has surely not ended before, as far as clocks are right. */
  readonly leaseEndMs: number;
  /** When the holder began to release it, or the lock was renewed for less; Infinity if never. */
  readonly releaseMs: number;
}

export function checkLock(resource: string, grants: readonly Grant[]): readonly string[] {
  const broken: string[] = [];
  const byEnd = [...grants].sort((a, b) => a.endMs - b.endMs);
  for (const [i, held] of byEnd.entries()) {
    const surelyUntil = Math.min(held.releaseMs, held.leaseEndMs);
    for (const other of byEnd.slice(i + 1)) {
      if (other.endMs >= surelyUntil) break;
      if (other.owner !== held.owner) broken.push(`lock ${resource}: ${told(other)} while ${told(held)}`);
    }
  }
  const byToken = new Map<number, Grant>();
  for (const grant of byEnd) {
    const known = byToken.get(grant.token);
    if (known !== undefined && known.owner !== grant.owner) {
      broken.push(`lock ${resource}: token ${grant.token} was given to ${known.owner} and to ${grant.owner}`);
    }
    byToken.set(grant.token, grant);
  }
  return [...broken, ...checkTokens(resource, byEnd)];
}

/** In real time tokens never fall. */
function checkTokens(resource: string, byEnd: readonly Grant[]): readonly string[] {
  const broken: string[] = [];
  const byStart = [...byEnd].sort((a, b) => a.startMs - b.startMs);
  let ended = 0;
  let highest: Grant | undefined;
  for (const later of byStart) {
    for (let next = byEnd[ended]; next !== undefined && next.endMs < later.startMs; next = byEnd[++ended]) {
      if (highest === undefined || next.token > highest.token) highest = next;
    }
    if (highest !== undefined && later.token < highest.token) {
      broken.push(`lock ${resource}: ${told(later)} after ${told(highest)}`);
    }
  }
  return broken;
}

function told({ owner, token, startMs, endMs }: Grant): string {
  return `${owner} got token ${token} (${startMs.toFixed(1)}-${endMs.toFixed(1)} ms)`;
}
