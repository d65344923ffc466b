/**
 * Keys that are set once, with a time to live: gone not before it has passed, and once gone, gone for good.
 *
 * How late a key may go is not checked while faults last: time stands still for a partition that has no leader.
 */

export interface ExpiringKey {
  readonly key: string;
  /** Of the SET. */
  readonly startMs: number;
  /** Infinity if its outcome is unknown. */
  readonly endMs: number;
  /** It has surely not expired before. */
  readonly earliestEndMs: number;
  readonly isFailed: boolean;
  readonly reads: readonly KeyRead[];
}

export interface KeyRead {
  readonly startMs: number;
  readonly endMs: number;
  readonly isPresent: boolean;
}

export function checkExpiry(expiring: ExpiringKey): readonly string[] {
  const { key, endMs, earliestEndMs, isFailed, reads } = expiring;
  const present = reads.filter((read) => read.isPresent);
  if (isFailed) return present.length === 0 ? [] : [`key ${key}: its SET was refused, and yet it was read`];
  const broken: string[] = [];
  // The first moment at which somebody knew that it had been set.
  const knownMs = Math.min(endMs, ...present.map((read) => read.endMs));
  for (const gone of reads) {
    if (gone.isPresent || gone.startMs <= knownMs) continue;
    if (gone.endMs < earliestEndMs) {
      broken.push(`key ${key}: gone at ${gone.endMs.toFixed(1)} ms, before ${earliestEndMs.toFixed(1)} ms`);
    }
    const back = present.find((read) => read.startMs > gone.endMs);
    if (back !== undefined) {
      broken.push(`key ${key}: gone at ${gone.endMs.toFixed(1)} ms, and back at ${back.endMs.toFixed(1)} ms`);
    }
  }
  return broken;
}
