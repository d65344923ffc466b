/**
 * Changes of role. The only place where `term` and `role` change; the vote is given in election.ts besides.
 *
 *     follower --time-out--> preCandidate --majority would vote--> candidate --majority voted--> leader
 *         ^_______ a higher term, a leader of this term, or a lost election ________________________|
 */
import { FORGOTTEN, type NodeId, type Term } from '../base/ids.ts';
import type { RaftState } from './state.ts';
import { NO_ACK } from './state.ts';
import { ENTRY_TYPES } from './types.ts';
import { violated } from './violation.ts';

const NO_OP = new Uint8Array(0);

/**
 * Follows `leader` (0 = nobody known) in `term`. A higher term is adopted here, in memory; it reaches the disk with the
 * next Ready, and no message that claims it leaves before that.
 */
export function becomeFollower(s: RaftState, term: Term, leader: NodeId): void {
  if (term < s.term) violated(`term falls from ${s.term} to ${term}`);
  if (s.role === 'leader') {
    s.dropReads();
    s.transferTarget = 0;
    s.isHeartbeatDue = false;
    s.isPumpDue = false;
    s.isNoticeDue = false;
  }
  if (term > s.term) {
    s.term = term;
    if (s.vote !== FORGOTTEN) s.vote = 0;
    s.ackIndex = NO_ACK;
    s.ackRound = 0;
  }
  s.role = 'follower';
  setLeader(s, leader);
  s.resetElectionTimer();
}

/** Notes who leads; reads forwarded to another leader will not be answered. */
export function setLeader(s: RaftState, leader: NodeId): void {
  if (s.leader === leader) return;
  if (leader !== 0 && leader === s.id && s.role !== 'leader') violated(`node ${s.id} follows itself`);
  s.forwarded.drop(s.readsDropped);
  s.leader = leader;
}

/**
 * Asks around whether an election could be won, without touching the term (thesis §9.6). If nobody answers, because the
 * others have not missed the leader yet, it asks again after half the usual time: a prevote disturbs nobody.
 */
export function becomePreCandidate(s: RaftState): void {
  if (s.role === 'leader') violated('a leader cannot stand for election');
  s.role = 'preCandidate';
  setLeader(s, 0);
  s.votes.clear();
  s.votes.set(s.id, true);
  s.resetElectionTimer();
  s.electionTimeout = Math.ceil(s.electionTimeout / 2);
}

/** Enters a new term with the vote given to itself; that vote counts once it is durable. */
export function becomeCandidate(s: RaftState): void {
  if (s.role === 'leader') violated('a leader cannot stand for election');
  s.role = 'candidate';
  s.term += 1;
  s.vote = s.id;
  s.ackIndex = NO_ACK;
  s.ackRound = 0;
  setLeader(s, 0);
  s.votes.clear();
  s.resetElectionTimer();
}

/** Leads the present term: starts with an empty entry, whose commit brings everything before it along (Raft §5.4.2). */
export function becomeLeader(s: RaftState): void {
  if (s.role !== 'candidate') violated(`a ${s.role} becomes leader`);
  if (!s.isTermDurable || s.vote !== s.id) violated(`leader of term ${s.term} before its own vote is durable`);
  if (s.incoming !== null) violated('leader while a snapshot is being installed');
  s.role = 'leader';
  setLeader(s, s.id);
  s.electionElapsed = 0;
  s.heartbeatElapsed = 0;
  s.transferTarget = 0;
  s.isLeaseBroken = false;
  s.uncommittedBytes = 0;
  s.reads.reset();
  s.tracker.reset(s.membership.conf, s.log.lastIndex + 1);
  const self = s.tracker.get(s.id);
  if (self !== undefined) self.match = s.log.unstable.durableIndex;
  s.termStartIndex = s.log.lastIndex + 1;
  s.appendOwn(ENTRY_TYPES.normal, NO_OP);
}
