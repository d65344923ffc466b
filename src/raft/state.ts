/**
 * The whole state of one core, and the few changes that every part of it makes. The rules live in election.ts,
 * replication.ts (leader) and following.ts (the others); each of them takes this state as its first argument.
 * Hot path: `appendOwn` runs once a proposal, `send` once a message.
 */
import { FORGOTTEN, type LogIndex, type NodeId, type Term } from '../base/ids.ts';
import { decodeConfChange } from './conf-codec.ts';
import { entryBytes, RaftLog } from './log.ts';
import { isVoterOf, Membership } from './membership.ts';
import { draftMessage } from './messages.ts';
import type { MessageDraft } from './messages.ts';
import { ForwardedReads, ReadQueue } from './read-index.ts';
import { Tracker } from './tracker.ts';
import { ENTRY_TYPES } from './types.ts';
import type {
  Entry,
  EntryType,
  Message,
  MessageType,
  RaftConfig,
  RaftInitialState,
  ReadState,
  Role,
  SnapshotMetadata,
} from './types.ts';
import { violated } from './violation.ts';

/** `ackIndex` when no acknowledgement is due; 0 is a valid one. */
export const NO_ACK = -1;

export class RaftState {
  readonly id: NodeId;
  readonly config: RaftConfig;
  readonly log: RaftLog;
  readonly membership: Membership;

  /** Rises only; changed by becomeFollower and becomeCandidate alone, and the vote with it. */
  term: Term;
  vote: NodeId;
  role: Role = 'follower';
  /** Leader of `term` as far as known; 0 = none. */
  leader: NodeId = 0;

  /** Number of this start if it began without a memory; else 0 (amnesia.ts). */
  readonly amnesia: number;
  /** The driver cannot lead: its state machine is damaged. Votes and acknowledgements speak of the log, and go on. */
  isBarred = false;

  /** Ticks since the start. */
  ticks = 0;
  /** No vote is given before this tick, not even to itself: an earlier start may have promised a leader to hold still. */
  readonly voteDelayTicks: number;
  /** Follower, candidates: ticks since a leader was heard or a vote was given. Leader: since the last quorum check. */
  electionElapsed = 0;
  /** Drawn anew for each wait, in [electionTicks, 2 × electionTicks), or less after forgetLeader. */
  electionTimeout = 0;
  heartbeatElapsed = 0;
  /** Leader: ticks since it appended an entry. Whoever holds that entry has heard of this leader since. */
  appendElapsed = 0;

  /** Candidates: the answers so far, the own one included once it counts. */
  readonly votes = new Map<NodeId, boolean>();

  // Leader only, meaningless otherwise.
  readonly tracker: Tracker;
  readonly reads = new ReadQueue();
  /** First entry of the own term: what lies before it is committed only together with it (Raft §5.4.2). */
  termStartIndex: LogIndex = 0;
  /** Bytes of entries of the own term that are not committed. */
  uncommittedBytes = 0;
  /** Who is to become leader; 0 = no transfer under way. */
  transferTarget: NodeId = 0;
  transferElapsed = 0;
  /** A timeoutNow was sent in this term: whoever holds it may pass over leader stickiness at any time. */
  isLeaseBroken = false;
  /** A heartbeat is due to everyone. */
  isHeartbeatDue = false;
  /** Something happened that may let appends or commit notices leave. */
  isPumpDue = false;
  /** Whoever does not know the commit index is to be told, even if notices are held. */
  isNoticeDue = false;

  // Follower only.
  readonly forwarded: ForwardedReads;
  /** A snapshot that the driver is to install; meanwhile the log stands still. */
  incoming: SnapshotMetadata | null = null;
  isIncomingHandedOut = false;
  /** Highest append of this term that is to be acknowledged with the next Ready. */
  ackIndex: LogIndex = NO_ACK;
  /** Highest heartbeat round of this term to echo with the next Ready; 0 = none. */
  ackRound = 0;

  // What the next Ready carries.
  messages: Message[] = [];
  messagesAfterPersist: Message[] = [];
  readStates: ReadState[] = [];
  readsDropped: number[] = [];

  constructor(config: RaftConfig, initial: RaftInitialState) {
    this.id = config.id;
    this.config = config;
    this.log = new RaftLog(initial);
    this.membership = new Membership(initial.snapshot.index, initial.snapshot.confState);
    for (const entry of initial.entries) {
      if (entry.type === ENTRY_TYPES.confChange) this.membership.appended(entry.index, decodeConfChange(entry.data));
    }
    if (this.membership.isBlank && this.log.lastIndex > 0) violated('a node without a membership holds log entries');
    this.term = initial.hardState.term;
    // A node that never saw a term has promised nothing.
    this.voteDelayTicks = this.term === 0 ? 0 : (config.voteDelayTicks ?? 0);
    this.vote = initial.hardState.vote;
    this.amnesia = this.vote === FORGOTTEN ? amnesiaOf(config) : 0;
    this.tracker = new Tracker(config.id, config);
    this.forwarded = new ForwardedReads(config.electionTicks);
    this.resetElectionTimer();
  }

  /**
   * May become leader: its log is not about to be replaced, and it is a voter, either now or until the configuration that
   * leaves it out is committed. The latter is needed (thesis §4.2.2): that configuration's voters may be behind this
   * node, and then only this node can win. It does not count its own vote.
   */
  get isPromotable(): boolean {
    if (this.incoming !== null || this.isBarred || this.isAmnesiac) return false;
    return this.isVoter || isVoterOf(this.membership.at(this.log.commit), this.id);
  }

  /** True until the disk says that what this node has lost is back, or that there was nothing. */
  get isAmnesiac(): boolean {
    return this.amnesia !== 0 && (this.vote === FORGOTTEN || this.log.unstable.durableVote === FORGOTTEN);
  }

  /** This node has taken part in nothing yet. */
  get isBlank(): boolean {
    return this.term === 0 && this.log.lastIndex === 0;
  }

  /** Leader stickiness: a leader was heard lately, or may have been before the start. */
  get holdsStill(): boolean {
    return this.ticks < this.voteDelayTicks || (this.leader !== 0 && this.electionElapsed < this.config.electionTicks);
  }

  get isVoter(): boolean {
    return isVoterOf(this.membership.conf, this.id);
  }

  /** True if the disk holds the present term and vote. */
  get isTermDurable(): boolean {
    const { durableTerm, durableVote } = this.log.unstable;
    return durableTerm === this.term && durableVote === this.vote;
  }

  /** Leader: a commit is told with the next append or heartbeat, not by a message of its own. */
  get holdsCommitNotices(): boolean {
    return this.config.holdsCommitNotices === true && !this.isNoticeDue;
  }

  /** Leader: every member holds the whole log and has its memory, all of it is committed, and nothing is under way. */
  get isSettled(): boolean {
    const { log, reads } = this;
    if (this.role !== 'leader' || log.commit < log.lastIndex || this.transferTarget !== 0 || !reads.isEmpty)
      return false;
    return this.tracker.peers.every((peer) => peer.match === log.lastIndex && peer.amnesia === 0);
  }

  resetElectionTimer(): void {
    const { electionTicks, randomU32 } = this.config;
    this.electionElapsed = 0;
    this.electionTimeout = electionTicks + (randomU32() % electionTicks);
  }

  draft(type: MessageType, to: NodeId): MessageDraft {
    return draftMessage(type, this.id, to, this.term);
  }

  /** Sends a message that claims nothing of this node's disk. */
  send(message: Message): void {
    this.messages.push(message);
  }

  /** Sends a message that claims the present term and vote and the log up to `index`: not before the disk holds them. */
  sendDurable(message: Message, index: LogIndex): void {
    if (this.isTermDurable && index <= this.log.unstable.durableIndex) this.messages.push(message);
    else this.messagesAfterPersist.push(message);
  }

  /** Leader: appends an entry of the own term, which takes effect at once if it changes the configuration. */
  appendOwn(type: EntryType, data: Uint8Array): LogIndex {
    if (this.role !== 'leader') violated(`a ${this.role} appends an entry of its own`);
    const entry: Entry = { term: this.term, index: this.log.lastIndex + 1, type, data };
    this.log.push(entry);
    this.appendElapsed = 0;
    this.uncommittedBytes += entryBytes(entry);
    this.isPumpDue = true;
    if (type === ENTRY_TYPES.confChange) this.adoptConfEntry(entry);
    return entry.index;
  }

  /** A change entry was appended to the log, by this leader or by another. */
  adoptConfEntry(entry: Entry): void {
    this.membership.appended(entry.index, decodeConfChange(entry.data));
    if (this.role !== 'leader') return;
    this.tracker.reconfigure(this.membership.conf, entry.index);
    if (this.transferTarget !== 0 && !this.membership.conf.voters.includes(this.transferTarget))
      this.transferTarget = 0;
  }

  /** Leader: commits own entries up to `index`, so that their bytes no longer count. */
  releaseBytes(from: LogIndex, to: LogIndex): void {
    for (let index = Math.max(from, this.termStartIndex); index <= to; index++) {
      const entry = this.log.entryAt(index);
      if (entry !== undefined) this.uncommittedBytes -= entryBytes(entry);
    }
  }

  /** Leader or not any more: reads that cannot be confirmed are reported, those of followers are left to time out. */
  dropReads(): void {
    for (const read of this.reads.reset()) if (read.from === 0) this.readsDropped.push(read.context);
  }
}

/** Told from that of any other start with a probability of 1 - 2^-52; not 0. */
function amnesiaOf(config: RaftConfig): number {
  return (config.randomU32() % 2 ** 20) * 2 ** 32 + config.randomU32() + 1;
}
