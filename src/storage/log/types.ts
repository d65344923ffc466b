/**
 * The log of a node: one durable, append-only journal for all Raft groups. What is staged becomes durable together, by
 * one write and one sync a flush. See DESIGN of the room in README.md beside this file.
 */
import type { GroupId, LogIndex, NodeId, Term } from '../../base/ids.ts';

/** Structurally equal to raft's Entry: storage and raft do not import each other. */
export interface LogEntry {
  readonly term: Term;
  readonly index: LogIndex;
  readonly type: number;
  readonly data: Uint8Array;
}

export interface LogHardState {
  readonly term: Term;
  readonly vote: NodeId;
  readonly commit: LogIndex;
}

/** Where replay of a group may start after a machine crash: everything up to `index` is durable in the data store. */
export interface LogCheckpoint {
  readonly index: LogIndex;
  readonly term: Term;
  /** State of the partition as of `index` that is not found in its records: owned by the partition, opaque here. */
  readonly state: Uint8Array;
}

/** What the disk held of one group. */
export interface RecoveredGroup {
  readonly hardState: LogHardState;
  readonly checkpoint: LogCheckpoint;
  /** Contiguous; the first one follows `compacted.index`. */
  readonly entries: readonly LogEntry[];
  /** Last entry that was dropped by compaction or replaced by a snapshot; {0, 0} if none ever was. */
  readonly compacted: { readonly index: LogIndex; readonly term: Term };
}

export interface LogIdentity {
  readonly clusterId: string;
  readonly nodeId: NodeId;
}

/**
 * Callers stage what a turn produced, then call `flush` once. Staging order within a group is the order of effect.
 * A failed write ends the process (FatalReason `logWrite`): `done` is never called with an error.
 */
export interface RaftLog {
  /** Groups found at open, by id; empty after `releaseRecovered`. */
  readonly recovered: ReadonlyMap<GroupId, RecoveredGroup>;
  /** Lets go of the memory of `recovered`: to be called once its readers have taken what they need. */
  releaseRecovered(): void;
  /** Replaces everything from entries[0].index on. The data arrays must not change until the flush is done. */
  stageEntries(group: GroupId, entries: readonly LogEntry[]): void;
  stageHardState(group: GroupId, hardState: LogHardState): void;
  /** Entries up to `index` are no longer needed. Space is freed when whole segments are. */
  stageCompaction(group: GroupId, upTo: { readonly index: LogIndex; readonly term: Term }): void;
  stageCheckpoint(group: GroupId, checkpoint: LogCheckpoint): void;
  /** The log of the group is now empty and starts after `checkpoint`: a snapshot took its place. */
  stageReset(group: GroupId, checkpoint: LogCheckpoint): void;
  /** Forgets the group: its replica has left this node. */
  stageRemoval(group: GroupId): void;
  /** True if something is staged that no flush has taken yet. */
  readonly hasStaged: boolean;
  /** True while a flush is under way; `flush` must not be called then. */
  readonly isFlushing: boolean;
  /** Makes everything staged durable, then calls back once. */
  flush(done: () => void): void;
  /** Bytes on disk that hold live or not yet freed records. */
  readonly sizeBytes: number;
  close(): Promise<void>;
}
