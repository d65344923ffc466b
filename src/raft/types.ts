/**
 * The words of the Raft core. Everything here is plain data; nothing in this room does I/O, reads a clock or draws a
 * random number of its own (Ongaro, "Consensus: Bridging Theory and Practice", 2014, cited below as "thesis").
 */
import type { LogIndex, NodeId, Term } from '../base/ids.ts';

/** Entry types as stored and sent: append-only. An empty `normal` entry is a leader's no-op. */
export const ENTRY_TYPES = { normal: 0, confChange: 1 } as const;
export type EntryType = (typeof ENTRY_TYPES)[keyof typeof ENTRY_TYPES];

export interface Entry {
  readonly term: Term;
  readonly index: LogIndex;
  readonly type: EntryType;
  /** Owned by the entry from creation on: nobody changes it. */
  readonly data: Uint8Array;
}

/** What must survive a crash besides the entries. */
export interface HardState {
  readonly term: Term;
  /** Candidate voted for in `term`; 0 = none. FORGOTTEN: this node has lost its memory and gives no votes (amnesia.ts). */
  readonly vote: NodeId;
  /** Highest index known to be committed; a hint, may lag. */
  readonly commit: LogIndex;
}

/** Membership: `voters` alone is a simple majority; a non-empty `votersOutgoing` is a joint configuration (thesis §4.3). */
export interface ConfState {
  readonly voters: readonly NodeId[];
  readonly votersOutgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Demoted voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
}

export interface SnapshotMetadata {
  readonly index: LogIndex;
  readonly term: Term;
  readonly confState: ConfState;
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface SoftState {
  readonly role: Role;
  /** Known leader of the term; 0 = none. */
  readonly leader: NodeId;
  readonly term: Term;
}

/** A read-index request that is now confirmed: state applied up to `index` may be served to `context`. */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

/**
 * What the driver must do next. Order: stage `entries` and `hardState`, send `messages`; when all that was staged by
 * this and every earlier Ready is durable, send `messagesAfterPersist` and call `persisted(number)`; `committed` may be
 * applied at once. Several Readys may be under way; `persisted` counts for all earlier ones too, and a Ready with
 * nothing to sync is persisted as soon as the ones before it are. A `snapshot` is installed on its own time, after
 * everything handed out before it, and ends with `snapshotInstalled`.
 */
export interface Ready {
  /** Counts up; acknowledged with `persisted`. */
  readonly number: number;
  /** New hard state to make durable, if term or vote changed, or if the commit hint rose and a flush is due anyway. */
  readonly hardState: HardState | null;
  /** Entries to make durable; they replace everything from the index of the first one on. */
  readonly entries: readonly Entry[];
  /** A snapshot that a leader sent: the driver installs it, then calls `snapshotInstalled`. */
  readonly snapshot: SnapshotMetadata | null;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist: readonly Message[];
  /** Entries that are committed and durable here, in order, each handed out once. */
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Contexts of reads that will never be confirmed, because leadership was lost: ask again, here or elsewhere. */
  readonly readsDropped: readonly number[];
  readonly softState: SoftState;
  /** True if anything of this Ready must reach the disk before `persisted`. */
  readonly mustSync: boolean;
}

/** Message types as sent: append-only. */
export const MESSAGE_TYPES = {
  append: 1,
  appendResponse: 2,
  heartbeat: 3,
  heartbeatResponse: 4,
  vote: 5,
  voteResponse: 6,
  preVote: 7,
  preVoteResponse: 8,
  snapshot: 9,
  timeoutNow: 10,
  readIndex: 11,
  readIndexResponse: 12,
  reinstate: 13,
} as const;
export type MessageType = (typeof MESSAGE_TYPES)[keyof typeof MESSAGE_TYPES];

/** One message of a group. Unused fields are 0, false, null or empty; one shape keeps the hot path monomorphic. */
export interface Message {
  readonly type: MessageType;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
  /** append: term of the entry before `entries`; (pre)vote: term of the last entry; rejected append: term at the hint. */
  readonly logTerm: Term;
  /** append: index of the entry before `entries`; responses: acknowledged or rejected index; votes: last index. */
  readonly index: LogIndex;
  /** appendResponse, heartbeatResponse: 0, or the number of this start of a sender that has lost its memory (amnesia.ts). */
  readonly commit: LogIndex;
  readonly entries: readonly Entry[];
  readonly reject: boolean;
  /** Rejections: where the follower suggests to try next (thesis §5.3, fast back-up). */
  readonly rejectHint: LogIndex;
  /**
   * heartbeat: read-index round, echoed by the response; 0 = a commit notice, which wants no response.
   * vote: 1 = on behalf of the leader (transfer), passes over leader stickiness. readIndex: echoed by its response.
   * reinstate: the number of the start that it is meant for.
   */
  readonly context: number;
  readonly snapshot: SnapshotMetadata | null;
  /** Set by the driver, opaque to the core: partition time of the sender in ms; 0 = none. */
  leaderTimeMs: number;
}

export interface ConfChange {
  /** Applied together; more than one change (or `joint`) goes through a joint configuration. */
  readonly changes: readonly { readonly kind: 'addVoter' | 'addLearner' | 'remove'; readonly node: NodeId }[];
  readonly joint: boolean;
  /** Opaque to the core: carried to whoever applies the entry. */
  readonly context: Uint8Array;
}

export interface RaftConfig {
  readonly id: NodeId;
  /** Ticks without a leader before an election; the real time-out is drawn from [n, 2n). At least 2. */
  readonly electionTicks: number;
  /** Ticks between heartbeats; less than electionTicks. */
  readonly heartbeatTicks: number;
  /**
   * Ticks between heartbeats while every member holds the whole log, all of it is committed, and nothing is under way.
   * heartbeatTicks ≤ this < electionTicks; heartbeatTicks if absent. A third of electionTicks leaves room for two that come late.
   */
  readonly idleHeartbeatTicks?: number;
  /** Entry bytes in one append message; one entry always fits. */
  readonly appendBytesMax: number;
  /** Append messages in flight to one follower. */
  readonly inflightMessagesMax: number;
  /** Entry bytes in flight to one follower. */
  readonly inflightBytesMax: number;
  /** Bytes of own uncommitted entries beyond which `propose` refuses. */
  readonly uncommittedBytesMax: number;
  /** Uniform in 0 … 2^32 - 1; used for election jitter and to tell this start's forwarded reads from an earlier one's. */
  readonly randomU32: () => number;
  /**
   * True: followers learn of a new commit index with the next append or heartbeat, not by a message of its own. It saves a
   * message a follower for each batch, and costs followers a heartbeat of delay in applying.
   */
  readonly holdsCommitNotices?: boolean;
  /**
   * Ticks after the start in which no (pre)vote is granted; 0 if absent. Set it to `electionTicks` where leaders serve
   * reads under a lease: a voter that restarts has forgotten that it promised to hold still.
   */
  readonly voteDelayTicks?: number;
}

/** How a core starts: what its disk held. */
export interface RaftInitialState {
  readonly hardState: HardState;
  /** Last entry that is only in a snapshot or was compacted away, with the membership as of that index. */
  readonly snapshot: SnapshotMetadata;
  /** Durable entries after the snapshot, contiguous. */
  readonly entries: readonly Entry[];
  /** Applied index of the state machine: snapshot.index ≤ applied. Entries up to it are not handed out again. */
  readonly applied: LogIndex;
}
