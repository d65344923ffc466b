/**
 * The leader's side of replication: what is sent to whom, what answers mean, and when an entry is committed. Hot path:
 * propose → pump → handleAppendResponse → advanceCommit; none of them allocates besides the messages themselves.
 *
 * Nothing is sent while messages are handled: changes only mark that something may be due, and `pump` runs once a Ready
 * and joins all of it into as few messages as the limits allow. Musts: only entries of the own term are committed by
 * counting (Raft §5.4.2); this node counts its own log only as far as its disk holds it; a leader that is no voter any
 * more steps down when the configuration without it commits (thesis §4.2.2).
 */
import type { LogIndex, NodeId } from '../base/ids.ts';
import { admitResponse, maybeReinstate } from './amnesia.ts';
import { encodeConfChange } from './conf-codec.ts';
import { successor } from './election.ts';
import { entryBytes } from './log.ts';
import { isJoint, LEAVE_JOINT } from './membership.ts';
import { NO_ENTRIES } from './messages.ts';
import type { Progress } from './progress.ts';
import { becomeFollower } from './roles.ts';
import type { RaftState } from './state.ts';
import { maybeHandOver, sendTimeoutNow, tickTransfer } from './transfer.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from './types.ts';
import type { Entry, Message } from './types.ts';
import { violated } from './violation.ts';

/** Sends everything that is due. Called once a Ready. */
export function pump(s: RaftState): void {
  if (s.role !== 'leader') return;
  const isRoundStarting = s.reads.startRound(s.isHeartbeatDue);
  if (isRoundStarting) {
    const self = s.tracker.get(s.id);
    if (self !== undefined) self.ackedRound = s.reads.round;
  }
  if (isRoundStarting || s.isPumpDue) for (const peer of s.tracker.peers) pumpPeer(s, peer, isRoundStarting);
  s.isHeartbeatDue = false;
  s.isPumpDue = false;
  s.isNoticeDue = false;
  if (isRoundStarting) releaseReads(s);
}

function pumpPeer(s: RaftState, peer: Progress, isRoundStarting: boolean): void {
  if (peer.isResendDue && !s.log.hasTerm(peer.next - 1)) peer.becomeProbe();
  if (peer.isResendDue) sendAppend(s, peer, NO_ENTRIES);
  while (peer.isReady && peer.next <= s.log.lastIndex) {
    if (peer.needsSnapshot || !s.log.hasTerm(peer.next - 1)) {
      sendSnapshot(s, peer);
      break;
    }
    sendAppend(s, peer, s.log.slice(peer.next, s.config.appendBytesMax));
  }
  if (isRoundStarting) sendHeartbeat(s, peer, s.reads.round);
  else if (!s.holdsCommitNotices && Math.min(peer.match, s.log.commit) > peer.sentCommit) sendHeartbeat(s, peer, 0);
}

function sendAppend(s: RaftState, peer: Progress, entries: readonly Entry[]): void {
  const before = peer.next - 1;
  const message = s.draft(MESSAGE_TYPES.append, peer.id);
  message.index = before;
  message.logTerm = s.log.termAt(before);
  message.commit = s.log.commit;
  message.entries = entries;
  peer.isResendDue = false;
  peer.sent(entries.length, entries.length === 0 ? 0 : bytesOf(entries));
  peer.sentCommit = Math.max(peer.sentCommit, Math.min(s.log.commit, before + entries.length));
  s.send(message);
}

function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}

/** Commit is what this member may use for certain. `round` 0: only to tell the commit index, no answer wanted. */
function sendHeartbeat(s: RaftState, peer: Progress, round: number): void {
  const message = s.draft(MESSAGE_TYPES.heartbeat, peer.id);
  message.commit = Math.min(peer.match, s.log.commit);
  message.context = round;
  peer.sentCommit = Math.max(peer.sentCommit, message.commit);
  s.send(message);
}

/** Asks the driver to stream the applied state; nothing more goes to this member until that has ended. */
function sendSnapshot(s: RaftState, peer: Progress): void {
  const index = s.log.applied;
  // Nobody there, or nothing to send yet: a heartbeat response asks again.
  if (!peer.isRecentlyActive || index === 0) {
    peer.isProbeSent = true;
    return;
  }
  const message = s.draft(MESSAGE_TYPES.snapshot, peer.id);
  message.snapshot = { index, term: s.log.termAt(index), confState: s.membership.at(index) };
  peer.becomeSnapshot(index);
  s.send(message);
}

export function handleAppendResponse(s: RaftState, m: Message): void {
  const peer = s.tracker.get(m.from);
  if (peer === undefined || !admit(s, peer, m)) return;
  peer.isRecentlyActive = true;
  if (m.reject) {
    handleRejection(s, peer, m);
    return;
  }
  if (m.index > s.log.lastIndex) violated(`node ${m.from} acknowledges ${m.index}, the log ends at ${s.log.lastIndex}`);
  const isNews = peer.acknowledged(m.index);
  if (peer.state === 'probe' && (isNews || m.index === peer.match)) peer.becomeReplicate();
  else if (peer.state === 'snapshot' && s.log.hasTerm(peer.match)) peer.becomeReplicate();
  s.isPumpDue = true;
  if (!isNews) return;
  advanceCommit(s);
  if (peer.amnesia === 0) maybeHandOver(s, peer);
  else maybeReinstate(s, peer);
}

/** Hot path: nearly every response passes at the first comparison. */
function admit(s: RaftState, peer: Progress, m: Message): boolean {
  if (m.commit === peer.amnesia) return true;
  if (!admitResponse(s, peer, m)) return false;
  if (peer.amnesia === 0) advanceCommit(s);
  return s.role === 'leader';
}

function handleRejection(s: RaftState, peer: Progress, m: Message): void {
  const candidate = s.log.lastIndexWithin(Math.min(m.rejectHint, s.log.lastIndex), m.logTerm);
  if (!peer.rejected(m.index, candidate)) return;
  // Every log agrees before its first entry; who denies even that has no membership and needs a snapshot.
  if (m.index === 0) peer.needsSnapshot = true;
  s.isPumpDue = true;
}

export function handleHeartbeatResponse(s: RaftState, m: Message): void {
  const peer = s.tracker.get(m.from);
  if (peer === undefined || !admit(s, peer, m)) return;
  peer.isRecentlyActive = true;
  if (m.context > peer.ackedRound) peer.ackedRound = Math.min(m.context, s.reads.round);
  if (peer.retryIfSuspect()) s.isPumpDue = true;
  if (peer.amnesia !== 0) maybeReinstate(s, peer);
  releaseReads(s);
}

/** The own disk holds more: the leader's share of the quorum grows. */
export function countOwnLog(s: RaftState): void {
  if (s.role !== 'leader') return;
  const self = s.tracker.get(s.id);
  if (self !== undefined && self.acknowledged(s.log.unstable.durableIndex)) advanceCommit(s);
}

/** Commits what a quorum holds, if that reaches into the own term, and does what follows from it. */
export function advanceCommit(s: RaftState): void {
  const before = s.log.commit;
  const index = s.tracker.committedIndex();
  if (index < s.termStartIndex || !s.log.commitTo(index)) return;
  s.releaseBytes(before + 1, index);
  s.isPumpDue = true;
  releaseReads(s);
  const { conf, confIndex } = s.membership;
  if (confIndex > index) return;
  if (isJoint(conf)) {
    s.appendOwn(ENTRY_TYPES.confChange, encodeConfChange(LEAVE_JOINT));
    advanceCommit(s);
  } else if (!conf.voters.includes(s.id)) {
    stepDownRemoved(s);
  }
}

/** The configuration without this voter is committed: the others hear of it, the best placed one takes over. */
function stepDownRemoved(s: RaftState): void {
  for (const peer of s.tracker.peers) sendHeartbeat(s, peer, 0);
  const next = successor(s);
  if (next !== 0) sendTimeoutNow(s, next);
  becomeFollower(s, s.term, 0);
}

/** Hands out the reads whose round is confirmed. */
function releaseReads(s: RaftState): void {
  for (const read of s.reads.release(s.tracker.confirmedRound(), s.log.commit)) {
    if (read.from === 0) {
      s.readStates.push({ context: read.context, index: read.index });
    } else {
      answerRead(s, { from: read.from, context: read.context, index: read.index });
    }
  }
}

function answerRead(s: RaftState, read: { from: NodeId; context: number; index: LogIndex }): void {
  const response = s.draft(MESSAGE_TYPES.readIndexResponse, read.from);
  response.context = read.context;
  response.index = read.index;
  s.send(response);
}

/** Leader: registers a read. `from` 0 is this node's own driver. */
export function addRead(s: RaftState, from: NodeId, context: number): void {
  s.reads.add({ from, context, index: Math.max(s.log.commit, s.termStartIndex) });
}

/** A tick of the leader: CheckQuorum (thesis §6.2), the end of a transfer that takes too long, heartbeats. */
export function tickLeader(s: RaftState): void {
  tickTransfer(s);
  s.electionElapsed++;
  if (s.electionElapsed >= s.config.electionTicks) {
    s.electionElapsed = 0;
    if (!s.tracker.takeQuorumActive()) {
      becomeFollower(s, s.term, 0);
      return;
    }
  }
  s.heartbeatElapsed++;
  s.appendElapsed++;
  if (s.heartbeatElapsed < s.config.heartbeatTicks) return;
  if (isQuiet(s)) {
    tellCommit(s);
    return;
  }
  s.heartbeatElapsed = 0;
  s.isHeartbeatDue = true;
  for (const peer of s.tracker.peers) peer.suspectIfStuck();
}

/**
 * A settled group needs fewer heartbeats, and none while it is used: whoever holds the last entry has heard of the leader since
 * that was appended, and the leader of it. Both sides still hear of each other several times in an election time.
 */
function isQuiet(s: RaftState): boolean {
  const { heartbeatTicks, idleHeartbeatTicks = heartbeatTicks } = s.config;
  return Math.min(s.heartbeatElapsed, s.appendElapsed) < idleHeartbeatTicks && s.isSettled;
}

/** Instead of a heartbeat: says what is committed to those who do not know, and wants no answer. */
function tellCommit(s: RaftState): void {
  if (!s.tracker.peers.some((peer) => peer.sentCommit < s.log.commit)) return;
  s.isPumpDue = true;
  s.isNoticeDue = true;
}

/** The driver could not deliver to this member: what is in flight is probably lost. */
export function reportUnreachable(s: RaftState, node: NodeId): void {
  if (s.role !== 'leader') return;
  const peer = s.tracker.get(node);
  if (peer === undefined || peer.state !== 'replicate' || node === s.id) return;
  peer.becomeProbe();
  s.isPumpDue = true;
}

/** The stream of a snapshot has ended. Either way the member is probed after its next sign of life. */
export function reportSnapshot(s: RaftState, node: NodeId, isDelivered: boolean): void {
  if (s.role !== 'leader') return;
  const peer = s.tracker.get(node);
  if (peer === undefined || peer.state !== 'snapshot') return;
  if (!isDelivered) peer.pendingSnapshot = 0;
  peer.becomeProbe();
  peer.isProbeSent = true;
}
