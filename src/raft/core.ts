/**
 * Raft as a value machine: messages, ticks and proposals in; records to persist, messages to send and entries to apply
 * out, in a Ready (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014; Ongaro's thesis of
 * the same year; the shape is that of etcd's raft). It does no I/O, keeps no time, and every method is synchronous.
 *
 * Hot path: propose → ready → step(appendResponse) → ready (benchmark: npm run raft:bench). A proposal costs
 * one entry; messages and acknowledgements are made once a Ready, however many proposals and messages came before.
 *
 * The driver's part is stated at `Ready`, the states and messages in README.md. One core is used from one thread, and no
 * method may be called from within another.
 */
import { assert, unreachable } from '../base/assert.ts';
import type { LogIndex, NodeId } from '../base/ids.ts';
import { entryWanted, found, handleReinstate } from './amnesia.ts';
import { encodeConfChange } from './conf-codec.ts';
import {
  admitTerm,
  campaign,
  countOwnVote,
  forgetLeader,
  handleTimeoutNow,
  handleVote,
  handleVoteResponse,
  tickElection,
} from './election.ts';
import {
  followSender,
  handleAppend,
  handleHeartbeat,
  handleSnapshot,
  respond,
  snapshotInstalled,
} from './following.ts';
import { assertInvariants } from './invariants.ts';
import { ENTRY_OVERHEAD_BYTES } from './log.ts';
import { objectionTo } from './membership.ts';
import { NO_ENTRIES } from './messages.ts';
import {
  addRead,
  advanceCommit,
  countOwnLog,
  handleAppendResponse,
  handleHeartbeatResponse,
  pump,
  reportSnapshot,
  reportUnreachable,
  tickLeader,
} from './replication.ts';
import { becomeFollower } from './roles.ts';
import { NO_ACK, RaftState } from './state.ts';
import { transferLeadership } from './transfer.ts';
import { ENTRY_TYPES, MESSAGE_TYPES } from './types.ts';
import type {
  ConfChange,
  Entry,
  HardState,
  Message,
  RaftConfig,
  RaftInitialState,
  ReadState,
  Ready,
  SnapshotMetadata,
  SoftState,
} from './types.ts';
import { RaftView } from './view.ts';

const NO_MESSAGES: readonly Message[] = Object.freeze([]);
const NO_READ_STATES: readonly ReadState[] = Object.freeze([]);
const NO_CONTEXTS: readonly number[] = Object.freeze([]);

export class RaftCore extends RaftView {
  private reported: SoftState;

  /** Throws an assertion if `initial` contradicts itself: the disk lost something. */
  constructor(config: RaftConfig, initial: RaftInitialState) {
    checkConfig(config);
    super(new RaftState(config, initial));
    this.reported = { role: 'follower', leader: 0, term: this.state.term };
  }

  // -------------------------------------------------------------------------------------------------------------
  // Input

  /** One unit of time has passed. */
  tick(): void {
    const s = this.state;
    s.ticks++;
    s.forwarded.advance(s.readsDropped);
    if (s.role === 'leader') tickLeader(s);
    else tickElection(s);
  }

  /** Takes a message of a peer; entries in it belong to the core from now on. What is not for this node is ignored. */
  step(m: Message): void {
    const s = this.state;
    if (m.to !== s.id || m.from === s.id || !admitTerm(s, m)) return;
    switch (m.type) {
      case MESSAGE_TYPES.append:
        followSender(s, m);
        handleAppend(s, m);
        return;
      case MESSAGE_TYPES.heartbeat:
        followSender(s, m);
        handleHeartbeat(s, m);
        return;
      case MESSAGE_TYPES.snapshot:
        followSender(s, m);
        handleSnapshot(s, m);
        return;
      case MESSAGE_TYPES.appendResponse:
        if (s.role === 'leader') handleAppendResponse(s, m);
        return;
      case MESSAGE_TYPES.heartbeatResponse:
        if (s.role === 'leader') handleHeartbeatResponse(s, m);
        return;
      case MESSAGE_TYPES.vote:
      case MESSAGE_TYPES.preVote:
        handleVote(s, m);
        return;
      case MESSAGE_TYPES.voteResponse:
      case MESSAGE_TYPES.preVoteResponse:
        handleVoteResponse(s, m);
        return;
      case MESSAGE_TYPES.timeoutNow:
        handleTimeoutNow(s, m);
        return;
      case MESSAGE_TYPES.reinstate:
        handleReinstate(s, m);
        return;
      case MESSAGE_TYPES.readIndex:
        if (s.role === 'leader') addRead(s, m.from, m.context);
        return;
      case MESSAGE_TYPES.readIndexResponse:
        this.takeForwardedRead(m);
        return;
      default:
        unreachable(m.type);
    }
  }

  private takeForwardedRead(m: Message): void {
    const read = this.state.forwarded.take(m.context, m.index);
    if (read !== null) this.state.readStates.push(read);
  }

  /**
   * Appends an entry with `data`, which belongs to the core from now on. Returns its index, or 0 if it is refused: this
   * node does not lead, hands leadership over, or has more than `uncommittedBytesMax` under way. (index, term) tells
   * whether it was committed: another term at that index means that it was not, and never will be.
   */
  propose(data: Uint8Array): LogIndex {
    const s = this.state;
    if (s.role !== 'leader' || s.transferTarget !== 0) return 0;
    const bytes = s.uncommittedBytes + data.length + ENTRY_OVERHEAD_BYTES;
    if (bytes > s.config.uncommittedBytesMax && s.uncommittedBytes > 0) return 0;
    return s.appendOwn(ENTRY_TYPES.normal, data);
  }

  /**
   * Changes the membership; it is in force when this returns. Returns the index of the entry, or 0 if it is refused: this
   * node does not lead or hands over, has not committed an entry of its own term yet, the change before is not committed
   * and applied, a joint configuration is not left yet, or the change makes no sense (see objectionTo in membership.ts).
   * A joint configuration is left by the leader itself.
   */
  proposeConfChange(change: ConfChange): LogIndex {
    const s = this.state;
    if (s.role !== 'leader' || s.transferTarget !== 0 || change.changes.length === 0) return 0;
    const { log, membership } = s;
    if (log.commit < s.termStartIndex || membership.confIndex > log.applied) return 0;
    if (objectionTo(membership.conf, change) !== null) return 0;
    const index = s.appendOwn(ENTRY_TYPES.confChange, encodeConfChange(change));
    advanceCommit(s);
    return index;
  }

  /**
   * Leader: asks for a linearizable read. `context` comes back in readStates, with the index that must be applied first,
   * or in readsDropped if leadership is lost before. False if this node does not lead.
   */
  readIndex(context: number): boolean {
    if (this.state.role !== 'leader') return false;
    addRead(this.state, 0, context);
    return true;
  }

  /**
   * Follower: asks the leader for a read index. The answer comes as for `readIndex`; the context is dropped if the leader
   * changes or stays silent for two election times. False if no leader is known or too many are waiting.
   */
  forwardReadIndex(context: number): boolean {
    const s = this.state;
    if (s.role !== 'follower' || s.leader === 0 || s.forwarded.isFull) return false;
    const message = s.draft(MESSAGE_TYPES.readIndex, s.leader);
    message.context = s.forwarded.add(context, s.config.randomU32);
    s.sendDurable(message, 0);
    return true;
  }

  /** Hands leadership to another voter; false if that cannot be tried. Proposals are refused until it has ended. */
  transferLeadership(to: NodeId): boolean {
    return transferLeadership(this.state, to);
  }

  /**
   * Stands for election now, by way of prevote. Does nothing on a leader, on a non-voter, while a snapshot is installed,
   * and while a leader is heard (within electionTicks): its transferLeadership is the way then.
   */
  campaign(): void {
    campaign(this.state);
  }

  /**
   * This is the first start of the group: every other voter has said, since this core was made, that it is blank too. The
   * core votes from the next flush on. False if it has a memory, or has taken part in anything meanwhile (amnesia.ts).
   */
  found(): boolean {
    return found(this.state);
  }

  /**
   * Leader: index of an entry that must be proposed soon, with or without data, so that a member that lost its memory can be
   * made a voter again; 0 if none is wanted.
   */
  get entryWanted(): LogIndex {
    return entryWanted(this.state);
  }

  /** While it is barred this node does not stand for election; a leader goes on until it hands over or resigns. */
  bar(isBarred: boolean): void {
    this.state.isBarred = isBarred;
  }

  /** Gives leadership up at once, in the same term. Does nothing on others. */
  resign(): void {
    const s = this.state;
    if (s.role === 'leader') becomeFollower(s, s.term, 0);
  }

  /**
   * Follower: the leader is believed dead (its connection broke). Prevotes and votes are granted from now on, and the own
   * campaign comes within half an election time. A living leader is taken back at its next message. Not to be used
   * where leaders serve reads under a lease.
   */
  forgetLeader(): void {
    forgetLeader(this.state);
  }

  /** What was sent to this node is probably lost. */
  reportUnreachable(node: NodeId): void {
    reportUnreachable(this.state, node);
  }

  /** There is a new connection to this node: a leader says at once that it lives, before it is missed. */
  reportReachable(node: NodeId): void {
    const s = this.state;
    if (s.role === 'leader' && s.tracker.get(node) !== undefined) s.isHeartbeatDue = true;
  }

  /** Leader: the stream of the snapshot that was sent to `node` has ended. Must be called for each one, in the end. */
  reportSnapshot(node: NodeId, isDelivered: boolean): void {
    reportSnapshot(this.state, node, isDelivered);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Output, and what became of it

  /** True if `ready` has something to hand out. */
  hasReady(): boolean {
    const s = this.state;
    const { log } = s;
    return (
      s.isPumpDue ||
      s.isHeartbeatDue ||
      s.messages.length > 0 ||
      s.messagesAfterPersist.length > 0 ||
      s.ackIndex !== NO_ACK ||
      s.ackRound > 0 ||
      log.lastIndex > log.unstable.stagedIndex ||
      this.isHardStateDue ||
      (s.incoming === null ? log.applicable > log.handed : !s.isIncomingHandedOut) ||
      s.reads.hasOpen ||
      s.readStates.length > 0 ||
      s.readsDropped.length > 0 ||
      this.isSoftStateDue
    );
  }

  private get isHardStateDue(): boolean {
    const { term, vote, log } = this.state;
    return term !== log.unstable.stagedTerm || vote !== log.unstable.stagedVote;
  }

  private get isSoftStateDue(): boolean {
    const { role, leader, term } = this.state;
    return role !== this.reported.role || leader !== this.reported.leader || term !== this.reported.term;
  }

  /** Everything that is to be done now; see Ready. Each thing is handed out once. */
  ready(): Ready {
    const s = this.state;
    pump(s);
    respond(s);
    const { unstable } = s.log;
    unstable.issued++;
    const entries = s.log.range(unstable.stagedIndex + 1, s.log.lastIndex);
    const mustSync = entries.length > 0 || this.isHardStateDue;
    const hardState = this.takeHardState(entries.length > 0);
    if (mustSync) unstable.staged(unstable.issued, s.log.lastIndex, s);
    const ready: Ready = {
      number: unstable.issued,
      hardState,
      entries,
      snapshot: this.takeSnapshot(),
      messages: s.messages.length === 0 ? NO_MESSAGES : s.messages,
      messagesAfterPersist: s.messagesAfterPersist.length === 0 ? NO_MESSAGES : s.messagesAfterPersist,
      committed: this.takeCommitted(),
      readStates: s.readStates.length === 0 ? NO_READ_STATES : s.readStates,
      readsDropped: s.readsDropped.length === 0 ? NO_CONTEXTS : s.readsDropped,
      softState: this.takeSoftState(),
      mustSync,
    };
    if (s.messages.length > 0) s.messages = [];
    if (s.messagesAfterPersist.length > 0) s.messagesAfterPersist = [];
    if (s.readStates.length > 0) s.readStates = [];
    if (s.readsDropped.length > 0) s.readsDropped = [];
    assertInvariants(s);
    return ready;
  }

  /** The commit index alone is no reason to write; it rides along with entries, or with a new term or vote. */
  private takeHardState(hasEntries: boolean): HardState | null {
    const { term, vote, log } = this.state;
    if (!this.isHardStateDue && !(hasEntries && log.commit > log.unstable.stagedCommit)) return null;
    log.unstable.stagedCommit = log.commit;
    return { term, vote, commit: log.commit };
  }

  private takeSnapshot(): SnapshotMetadata | null {
    const s = this.state;
    if (s.incoming === null || s.isIncomingHandedOut) return null;
    s.isIncomingHandedOut = true;
    return s.incoming;
  }

  private takeCommitted(): readonly Entry[] {
    const { log, incoming } = this.state;
    const to = log.applicable;
    // While a snapshot is installed the state machine is not to be touched.
    if (incoming !== null || to <= log.handed) return NO_ENTRIES;
    const committed = log.range(log.handed + 1, to);
    log.handed = to;
    return committed;
  }

  private takeSoftState(): SoftState {
    const { role, leader, term } = this.state;
    if (this.isSoftStateDue) this.reported = { role, leader, term };
    return this.reported;
  }

  /** Everything that the Readys up to `readyNumber` staged is durable, and their messagesAfterPersist are on their way. */
  persisted(readyNumber: number): void {
    const s = this.state;
    s.log.unstable.persisted(readyNumber);
    countOwnVote(s);
    countOwnLog(s);
  }

  /** The state machine has applied everything up to `index`. */
  applied(index: LogIndex): void {
    this.state.log.appliedTo(index);
  }

  /**
   * The snapshot of a Ready is in place: state, empty log and membership are durable, and applied is `index`. With 0: it
   * could not be installed, and nothing has changed.
   */
  snapshotInstalled(index: LogIndex): void {
    snapshotInstalled(this.state, index);
  }

  /** Forgets entries up to `upTo`, which must be applied and durable; a follower that needs them gets a snapshot. */
  compact(upTo: LogIndex): void {
    this.state.log.compact(upTo);
    this.state.membership.compacted(upTo);
  }
}

function checkConfig(config: RaftConfig): void {
  assert(config.id >= 1, `node id ${config.id}`);
  assert(config.electionTicks >= 2, `electionTicks ${config.electionTicks} is less than 2`);
  assert(
    config.heartbeatTicks >= 1 && config.heartbeatTicks < config.electionTicks,
    `heartbeatTicks ${config.heartbeatTicks}`,
  );
  const { idleHeartbeatTicks = config.heartbeatTicks } = config;
  assert(
    idleHeartbeatTicks >= config.heartbeatTicks && idleHeartbeatTicks < config.electionTicks,
    `idleHeartbeatTicks ${idleHeartbeatTicks}`,
  );
  assert(config.inflightMessagesMax >= 1, `inflightMessagesMax ${config.inflightMessagesMax}`);
}
