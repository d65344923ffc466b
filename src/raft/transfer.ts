/**
 * Leadership transfer (thesis §3.10): proposals stop, the target catches up, then it is told to stand at once. If it has
 * not taken over within an election time, the leader goes on.
 */
import type { NodeId } from '../base/ids.ts';
import type { Progress } from './progress.ts';
import type { RaftState } from './state.ts';
import { MESSAGE_TYPES } from './types.ts';

/** Starts a transfer; false if this node does not lead or the target is not another voter. */
export function transferLeadership(s: RaftState, to: NodeId): boolean {
  if (s.role !== 'leader' || to === s.id || !s.membership.conf.voters.includes(to)) return false;
  const target = s.tracker.get(to);
  if (target === undefined || target.amnesia !== 0) return false;
  if (s.transferTarget === to) return true;
  s.transferTarget = to;
  s.transferElapsed = 0;
  s.isPumpDue = true;
  maybeHandOver(s, target);
  return true;
}

/** Tells the target to stand as soon as it holds the whole log. */
export function maybeHandOver(s: RaftState, target: Progress): void {
  if (s.transferTarget === target.id && target.match === s.log.lastIndex) sendTimeoutNow(s, target.id);
}

export function sendTimeoutNow(s: RaftState, to: NodeId): void {
  s.isLeaseBroken = true;
  s.send(s.draft(MESSAGE_TYPES.timeoutNow, to));
}

/** A tick of the leader: gives up a transfer that takes too long. */
export function tickTransfer(s: RaftState): void {
  if (s.transferTarget === 0) return;
  s.transferElapsed++;
  if (s.transferElapsed >= s.config.electionTicks) s.transferTarget = 0;
}
