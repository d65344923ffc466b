/**
 * Locks with leases: nobody holds what another surely holds, tokens rise with every grant, and who waited longer is served
 * first.
 *
 * A grant surely holds from the moment at which its holder heard of it until it began to release it, or until its lease had
 * passed since the request was *sent*, whichever comes first. The lease is counted by the clock of some leader, so it is
 * shortened here by what clocks may differ.
 */
import { afterWhatEnded, when } from './history.ts';

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
  // An answer may come when the lease is over: its holder never surely held anything.
  const held = byEnd.filter((grant) => surelyUntil(grant) > grant.endMs);
  for (const [i, one] of held.entries()) {
    for (let next = i + 1; next < held.length; next++) {
      const other = held[next] as Grant;
      if (other.endMs >= surelyUntil(one)) break;
      if (other.owner !== one.owner) broken.push(`lock ${resource}: ${told(other)} while ${told(one)}`);
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

function surelyUntil(grant: Grant): number {
  return Math.min(grant.releaseMs, grant.leaseEndMs);
}

/** A request that was ready to wait. */
export interface Attempt {
  readonly owner: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly isGranted: boolean;
}

/**
 * Who came later by more than `marginMs`, which is more than any way to the leader takes, is not served before. Only for
 * runs without faults: a leader that dies takes the order of its queue along.
 */
export function checkFairness(resource: string, attempts: readonly Attempt[], marginMs: number): readonly string[] {
  const broken: string[] = [];
  const byStart = [...attempts].sort((a, b) => a.startMs - b.startMs);
  for (const [i, earlier] of byStart.entries()) {
    for (let next = i + 1; next < byStart.length; next++) {
      const later = byStart[next] as Attempt;
      if (later.startMs >= earlier.endMs) break;
      if (later.startMs < earlier.startMs + marginMs || !later.isGranted) continue;
      if (later.endMs + marginMs < earlier.endMs) {
        broken.push(
          `lock ${resource}: ${later.owner} asked at ${later.startMs.toFixed(1)} ms and had it at ${later.endMs.toFixed(1)} ms, ` +
            `${earlier.owner} asked at ${earlier.startMs.toFixed(1)} ms and waited until ${earlier.endMs.toFixed(1)} ms`,
        );
      }
    }
  }
  return broken;
}

/** In real time tokens never fall. */
function checkTokens(resource: string, grants: readonly Grant[]): readonly string[] {
  const broken: string[] = [];
  const isHigher = (one: Grant, other: Grant): boolean => one.token > other.token;
  afterWhatEnded(grants, isHigher, (later, highest) => {
    if (later.token < highest.token) broken.push(`lock ${resource}: ${told(later)} after ${told(highest)}`);
  });
  return broken;
}

function told(grant: Grant): string {
  return `${grant.owner} got token ${grant.token} (${when(grant)})`;
}
