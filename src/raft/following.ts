/**
 * What a follower does with the leader's messages: append, heartbeat, snapshot. Hot path: `handleAppend` runs once a
 * batch. Acknowledgements of a turn are joined into one, which leaves when the entries are durable.
 */
import type { LogIndex } from '../base/ids.ts';
import { becomeFollower, setLeader } from './roles.ts';
import type { RaftState } from './state.ts';
import { NO_ACK } from './state.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from './types.ts';
import type { Entry, Message } from './types.ts';
import { violated } from './violation.ts';

/** A message of the leader of this term: whoever this node was, it follows now. */
export function followSender(s: RaftState, m: Message): void {
  if (s.role === 'leader') violated(`nodes ${s.id} and ${m.from} both lead term ${s.term}`);
  if (s.leader !== 0 && s.leader !== m.from) violated(`nodes ${s.leader} and ${m.from} both lead term ${s.term}`);
  if (s.role !== 'follower') becomeFollower(s, m.term, m.from);
  s.electionElapsed = 0;
  setLeader(s, m.from);
}

export function handleAppend(s: RaftState, m: Message): void {
  // A snapshot is about to replace the log; the leader will ask again.
  if (s.incoming !== null) return;
  const { log } = s;
  if (s.membership.isBlank) {
    // Without a membership the configuration entries of the log mean nothing: rejecting at 0 asks for a snapshot.
    reject(s, m, 0);
  } else if (m.index < log.commit) {
    // Long known: what is committed here agrees with every leader.
    acknowledge(s, log.commit);
  } else if (log.matches(m.index, m.logTerm)) {
    appendNew(s, m.entries);
    const last = m.index + m.entries.length;
    log.commitTo(Math.min(m.commit, last));
    acknowledge(s, last);
  } else {
    reject(s, m, log.lastIndexWithin(Math.min(m.index, log.lastIndex), m.logTerm));
  }
}

/** Appends what is new; what contradicts the log, and everything behind it, goes first (Raft §5.3). */
function appendNew(s: RaftState, entries: readonly Entry[]): void {
  const { log } = s;
  for (let i = log.findNew(entries); i < entries.length; i++) {
    const entry = entries[i];
    if (entry === undefined) break;
    if (entry.index <= log.lastIndex) {
      log.truncateFrom(entry.index);
      s.membership.truncated(entry.index);
    }
    log.push(entry);
    if (entry.type === ENTRY_TYPES.confChange) s.adoptConfEntry(entry);
  }
}

/** This node agrees with the leader up to `index`; said once the disk holds it. */
function acknowledge(s: RaftState, index: LogIndex): void {
  if (index > s.ackIndex) s.ackIndex = index;
}

function reject(s: RaftState, m: Message, hint: LogIndex): void {
  const response = s.draft(MESSAGE_TYPES.appendResponse, m.from);
  response.index = m.index;
  response.reject = true;
  response.rejectHint = hint;
  response.logTerm = s.log.termAt(hint);
  response.commit = amnesiaOf(s);
  s.sendDurable(response, 0);
}

export function handleHeartbeat(s: RaftState, m: Message): void {
  // The leader never sends more than what this node has acknowledged; commitTo asserts that the log still has it. What
  // was acknowledged before this node lost its memory is no measure.
  if (!s.isAmnesiac) s.log.commitTo(m.commit);
  if (m.context > s.ackRound) s.ackRound = m.context;
}

export function handleSnapshot(s: RaftState, m: Message): void {
  const { snapshot } = m;
  if (snapshot === null || s.incoming !== null) return;
  const { log } = s;
  if (s.membership.isBlank || snapshot.index > log.lastIndex) {
    if (snapshot.index > log.commit) acceptSnapshot(s, m);
  } else if (snapshot.index <= log.commit) {
    acknowledge(s, log.commit);
  } else if (log.matches(snapshot.index, snapshot.term)) {
    // The log holds all that the snapshot covers: nothing to install.
    log.commitTo(snapshot.index);
    acknowledge(s, snapshot.index);
  } else {
    acceptSnapshot(s, m);
  }
}

function acceptSnapshot(s: RaftState, m: Message): void {
  s.incoming = m.snapshot;
  s.isIncomingHandedOut = false;
}

/** The driver has installed the snapshot up to `index` (its state, log and membership are durable), or failed: 0. */
export function snapshotInstalled(s: RaftState, index: LogIndex): void {
  const { incoming } = s;
  if (incoming === null || !s.isIncomingHandedOut) violated('no snapshot is being installed');
  s.incoming = null;
  if (index === 0) return;
  if (index !== incoming.index) violated(`snapshot ${index} installed, ${incoming.index} was asked for`);
  s.log.replaceBySnapshot(incoming.index, incoming.term);
  s.membership.replaced(incoming.index, incoming.confState);
  // Whoever leads now has everything that was committed; it learns that this node has it too.
  if (s.leader !== 0) acknowledge(s, index);
}

/** What responses carry as long as they are not to be counted. */
function amnesiaOf(s: RaftState): number {
  return s.isAmnesiac ? s.amnesia : 0;
}

/** The answers of a turn, each once. */
export function respond(s: RaftState): void {
  if (s.leader === 0 || s.role === 'leader') {
    s.ackIndex = NO_ACK;
    s.ackRound = 0;
    return;
  }
  if (s.ackIndex !== NO_ACK) {
    const response = s.draft(MESSAGE_TYPES.appendResponse, s.leader);
    response.index = s.ackIndex;
    response.commit = amnesiaOf(s);
    s.sendDurable(response, s.ackIndex);
    s.ackIndex = NO_ACK;
  }
  if (s.ackRound > 0) {
    const response = s.draft(MESSAGE_TYPES.heartbeatResponse, s.leader);
    response.context = s.ackRound;
    response.commit = amnesiaOf(s);
    s.sendDurable(response, 0);
    s.ackRound = 0;
  }
}
