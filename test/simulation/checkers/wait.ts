/**
 * WAIT: it does not count more replicas than there are, nor more than hold the write, and it answers less than was asked for
 * only when its time is over, or its node shuts down.
 */
import { type Span, when } from './history.ts';

export interface Waited extends Span {
  readonly wanted: number;
  /** Never 0: without end. */
  readonly timeoutMs: number;
  readonly answered: number;
  /** Replicas besides the leader that may hold the write, as far as somebody could look; Infinity if not. */
  readonly holders: number;
}

export interface WaitRules {
  /** Of the partition, with the leader. */
  readonly replicaCount: number;
  /** By how much of it a time-out may be shorter than it should, as clocks differ. */
  readonly clockMargin: number;
  /** Nodes were shut down. */
  readonly mayEndEarly: boolean;
}

export function checkWait(
  waits: readonly Waited[],
  { replicaCount, clockMargin, mayEndEarly }: WaitRules,
): readonly string[] {
  const broken: string[] = [];
  for (const wait of waits) {
    const { wanted, timeoutMs, answered, holders, startMs, endMs } = wait;
    const told = `WAIT ${wanted} ${timeoutMs} (${when(wait)}) answered ${answered}`;
    if (!Number.isInteger(answered) || answered < 0) broken.push(`${told}, which is no count`);
    if (answered > replicaCount - 1) broken.push(`${told}, but there are ${replicaCount} replicas in all`);
    if (answered > holders) broken.push(`${told}, but no more than ${holders} others hold the write`);
    if (!mayEndEarly && answered < wanted && endMs - startMs < timeoutMs * (1 - clockMargin) - 1) {
      broken.push(`${told}, before its time was over`);
    }
  }
  return broken.slice(0, 10);
}
