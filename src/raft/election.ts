/**
 * Elections: PreVote (thesis §9.6), leader stickiness and CheckQuorum (§6.2 there), votes, and what a message's term
 * does to this node.
 *
 * Musts: a vote leaves only when term and vote are durable; a request for votes leaves only when the candidate's own
 * vote and the log that it boasts of are durable (else a grant to an earlier start of this node could elect it with a
 * shorter log); only voters stand and count, but anybody asked answers, because a learner may have been promoted by an
 * entry that it has not received.
 */
import type { NodeId } from '../base/ids.ts';
import { isVoterOf, membersOf } from './membership.ts';
import { isFromLeader, VOTE_FOR_TRANSFER } from './messages.ts';
import { jointVote } from './quorum.ts';
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate, setLeader } from './roles.ts';
import type { RaftState } from './state.ts';
import { MESSAGE_TYPES } from './types.ts';
import type { Message, MessageType } from './types.ts';

/** Stands for election, if this node may and hears no leader: first asks for prevotes. */
export function campaign(s: RaftState): void {
  if (s.role === 'leader' || !s.isPromotable || s.holdsStill) return;
  becomePreCandidate(s);
  requestVotes(s, MESSAGE_TYPES.preVote, 0);
  decide(s);
}

/** Stands at once, past prevote: a majority has agreed to vote, or the leader asked for it. */
function startElection(s: RaftState, voteContext: number): void {
  becomeCandidate(s);
  requestVotes(s, MESSAGE_TYPES.vote, voteContext);
}

function requestVotes(s: RaftState, type: MessageType, voteContext: number): void {
  const { conf } = s.membership;
  for (const node of membersOf(conf)) {
    if (node === s.id || !isVoterOf(conf, node)) continue;
    const request = s.draft(type, node);
    if (type === MESSAGE_TYPES.preVote) request.term = s.term + 1;
    request.index = s.log.lastIndex;
    request.logTerm = s.log.lastTerm;
    request.context = voteContext;
    s.sendDurable(request, s.log.lastIndex);
  }
}

/** The disk holds more than before: a candidate's vote for itself counts from here on. */
export function countOwnVote(s: RaftState): void {
  if (s.role !== 'candidate' || s.votes.has(s.id) || !s.isTermDurable) return;
  s.votes.set(s.id, true);
  decide(s);
}

function decide(s: RaftState): void {
  const { voters, votersOutgoing } = s.membership.conf;
  const outcome = jointVote(voters, votersOutgoing, s.votes);
  if (outcome === 'lost') {
    becomeFollower(s, s.term, 0);
  } else if (outcome === 'won') {
    if (s.role === 'preCandidate') startElection(s, 0);
    else if (s.isTermDurable) becomeLeader(s);
  }
}

/**
 * Compares the term of a message with the own one. True if the message is to be handled: then it is of the own term,
 * or it is about prevotes. A lower term is answered with the own one, so that a leader or candidate that was left behind
 * catches up instead of being ignored for ever (the deadlock between PreVote and CheckQuorum).
 */
export function admitTerm(s: RaftState, m: Message): boolean {
  const isVoteRequest = m.type === MESSAGE_TYPES.vote || m.type === MESSAGE_TYPES.preVote;
  if (isVoteRequest && holdsStill(s, m)) return false;
  if (m.term < s.term) {
    refuseLowerTerm(s, m);
    return false;
  }
  if (m.term === s.term || m.type === MESSAGE_TYPES.preVote) return true;
  // The grant of a prevote carries the term that would be, and binds nobody to it.
  if (m.type === MESSAGE_TYPES.preVoteResponse && !m.reject) return true;
  becomeFollower(s, m.term, isFromLeader(m.type) ? m.from : 0);
  return true;
}

/** No vote while a leader is heard, unless that leader itself asks for the election. */
function holdsStill(s: RaftState, m: Message): boolean {
  return m.context !== VOTE_FOR_TRANSFER && m.term > s.term && s.holdsStill;
}

function refuseLowerTerm(s: RaftState, m: Message): void {
  const type = refusalOf(m.type);
  if (type === null) return;
  const response = s.draft(type, m.from);
  response.index = m.index;
  response.reject = true;
  s.sendDurable(response, 0);
}

function refusalOf(type: MessageType): MessageType | null {
  if (isFromLeader(type)) return MESSAGE_TYPES.appendResponse;
  if (type === MESSAGE_TYPES.vote) return MESSAGE_TYPES.voteResponse;
  return type === MESSAGE_TYPES.preVote ? MESSAGE_TYPES.preVoteResponse : null;
}

/** Answers a request for a vote of the own term, or for a prevote of any term that is not lower. */
export function handleVote(s: RaftState, m: Message): void {
  const isPreVote = m.type === MESSAGE_TYPES.preVote;
  // The term may have been adopted from another message while votes are still withheld after a restart.
  const isDelayed = s.ticks < s.voteDelayTicks && m.context !== VOTE_FOR_TRANSFER;
  const isFree = isPreVote ? m.term > s.term : s.vote === m.from || (s.vote === 0 && s.leader === 0);
  const isGranted = isFree && s.log.isUpToDate(m.index, m.logTerm) && !isDelayed && !s.isAmnesiac;
  const response = s.draft(isPreVote ? MESSAGE_TYPES.preVoteResponse : MESSAGE_TYPES.voteResponse, m.from);
  response.reject = !isGranted;
  if (isPreVote) {
    // The answer to the question "would you"; a refusal tells the own term, in case the candidate is behind.
    if (isGranted) {
      response.term = m.term;
      s.send(response);
    } else if (s.term > 0) {
      // Without a memory and without a term there is nothing to say.
      s.sendDurable(response, 0);
    }
    return;
  }
  if (isGranted) {
    s.vote = m.from;
    s.electionElapsed = 0;
  }
  s.sendDurable(response, 0);
}

export function handleVoteResponse(s: RaftState, m: Message): void {
  if (m.type === MESSAGE_TYPES.preVoteResponse) {
    if (s.role !== 'preCandidate') return;
    if (!m.reject && m.term !== s.term + 1) return;
  } else if (s.role !== 'candidate') {
    return;
  }
  if (s.votes.has(m.from)) return;
  s.votes.set(m.from, !m.reject);
  decide(s);
}

/** The leader of this term hands over: stand at once. */
export function handleTimeoutNow(s: RaftState, m: Message): void {
  if (s.role !== 'follower' || !s.isPromotable || (s.leader !== 0 && s.leader !== m.from)) return;
  startElection(s, VOTE_FOR_TRANSFER);
}

/** A tick without the role of leader. */
export function tickElection(s: RaftState): void {
  s.electionElapsed++;
  if (s.electionElapsed >= s.electionTimeout && s.isPromotable) campaign(s);
}

/** Stops waiting for a leader that is believed dead: prevotes are granted now, and the own campaign comes soon. */
export function forgetLeader(s: RaftState): void {
  if (s.role !== 'follower' || s.leader === 0) return;
  setLeader(s, 0);
  const span = Math.ceil(s.config.electionTicks / 2);
  const soon = s.electionElapsed + 1 + (s.config.randomU32() % span);
  s.electionTimeout = Math.min(s.electionTimeout, soon);
}

/** The best placed voter besides this node: who holds most of the log. 0 if there is none. */
export function successor(s: RaftState): NodeId {
  let best: NodeId = 0;
  let match = -1;
  for (const peer of s.tracker.peers) {
    if (peer.match <= match || peer.amnesia !== 0 || !s.membership.conf.voters.includes(peer.id)) continue;
    best = peer.id;
    match = peer.match;
  }
  return best;
}
