/**
 * A voter that has lost its disk, and how it becomes a voter again.
 *
 * Problem. A node whose directory was emptied comes back under its old name with nothing: it has forgotten the votes that
 * it gave and the entries that it acknowledged. If it voted now, it could vote twice in a term, and elect a leader that
 * lacks what was committed with its help. It cannot tell that from a first start by itself.
 *
 * Idea. Whoever starts with nothing is *amnesiac*: it gives no vote, does not stand, and what it acknowledges does not
 * count, neither for commits nor for reads nor for CheckQuorum. On the disk that is a vote for FORGOTTEN, which every hard
 * state keeps, so that a restart does not pass for a recovery. It ends in one of two ways:
 *
 * - `found`: the driver knows that this is the first start, because every other voter has said, over a connection that was
 *   made after this start, that its own disk is empty too (`isBlank`). See below why that is enough.
 * - `reinstate`: each response of an amnesiac carries a number of this start (in `commit`). A leader that sees a new one
 *   forgets what it knew of that member, and notes X, the next entry of its own log. When X is committed without the
 *   amnesiac being counted, and the amnesiac holds X durably, the leader says so; the amnesiac then notes that it voted
 *   for this leader in this term, and is a voter again once that is durable.
 *
 * Why that is safe. Let C be the node, L the leader that reinstates it in term T, Q the majority without C that holds X.
 * X was proposed after C's start.
 *
 * 1. C lacks nothing. An entry that was committed with the old C's help, in a term up to T, is in L's log (leader
 *    completeness) and lies before X. One of a later term t cannot exist: the majority that elected t's leader shares a
 *    member q ≠ C with Q. If q voted in t first, it would have refused X, which is of a lower term. If q held X first, it
 *    voted only for a log with X in it; but the candidate was in term t before X was proposed, so its log has no X.
 * 2. C votes for nobody twice. In terms up to T it votes no more. If the old C voted for K in a term t > T, then K cannot
 *    win t, by the same argument: some q of Q would have to vote for it. So the second vote of C in t does no harm.
 * 3. A leader that has not heard of C's loss may count what the old C acknowledged. It did hold that, and nobody gets
 *    C's vote before X, which lies after it.
 *
 * Why `found` is safe. Had this node taken part before (voted for or acknowledged something of a leader or candidate K),
 * then K's disk was not empty from then on, and K would say so. And nobody is locked out: a term above 0 on any disk means
 * that a majority agreed to a prevote, so a majority was founded durably before; it can elect a leader, who reinstates the
 * others. If a majority has lost its disks, nothing of this ends by itself, and nobody is elected: what was acknowledged may
 * be gone, and only a person can decide what to do.
 *
 * Rejected: taking the node out and in again by two changes of membership. It needs the same proof for the moment in between,
 * and leaves a group of two voters, with a quorum of two, while a third rebuilds.
 */
import { FORGOTTEN } from '../base/ids.ts';
import { followSender } from './following.ts';
import type { Progress } from './progress.ts';
import type { RaftState } from './state.ts';
import { MESSAGE_TYPES } from './types.ts';
import type { Message } from './types.ts';

/** The driver knows that every voter is as new as this one. False, and nothing changes, if anything has happened since. */
export function found(s: RaftState): boolean {
  if (s.vote !== FORGOTTEN || !s.isBlank) return false;
  s.vote = 0;
  return true;
}

/** Amnesiac: the leader has seen that this node holds again whatever it may have forgotten. */
export function handleReinstate(s: RaftState, m: Message): void {
  followSender(s, m);
  if (s.vote !== FORGOTTEN || m.context !== s.amnesia || s.incoming !== null) return;
  const { log } = s;
  const isHeld = m.index <= log.unstable.durableIndex && (m.index <= log.commit || log.matches(m.index, m.logTerm));
  if (isHeld) s.vote = m.from;
}

/**
 * Leader: a response has come. Notes whether its sender has lost its memory, or has it back, which may change what a
 * quorum holds; false if the response is of a time before the loss and must not be used.
 */
export function admitResponse(s: RaftState, peer: Progress, m: Message): boolean {
  const amnesia = m.commit;
  if (amnesia === peer.amnesia) return true;
  if (amnesia !== 0) {
    if (peer.amnesiasEnded.has(amnesia)) return false;
    peer.forget(amnesia, s.log.lastIndex + 1);
    s.isPumpDue = true;
    return true;
  }
  if (!peer.isReinstated) return false;
  peer.remember();
  return true;
}

/** Leader, after a response of an amnesiac was taken: tells it if it holds again what it may have forgotten. */
export function maybeReinstate(s: RaftState, peer: Progress): void {
  const { reinstateAt } = peer;
  if (s.role !== 'leader' || peer.amnesia === 0 || peer.match < reinstateAt || s.log.commit < reinstateAt) return;
  peer.isReinstated = true;
  const message = s.draft(MESSAGE_TYPES.reinstate, peer.id);
  message.index = reinstateAt;
  // Compacted away means long committed: then the receiver asks its own commit index.
  message.logTerm = s.log.termAt(reinstateAt);
  message.context = peer.amnesia;
  s.send(message);
}

/** Leader: an entry that must be appended so that an amnesiac can be reinstated; 0 = none. */
export function entryWanted(s: RaftState): number {
  if (s.role !== 'leader') return 0;
  let wanted = 0;
  for (const peer of s.tracker.peers) {
    if (peer.amnesia !== 0 && peer.reinstateAt > s.log.lastIndex) wanted = Math.max(wanted, peer.reinstateAt);
  }
  return wanted;
}
