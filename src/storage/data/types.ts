/**
 * The data of a node: the applied state of all its partitions in one ordered key-value store. Reads of the newest
 * version are synchronous point gets; everything that ranges is asynchronous, on an explicit snapshot.
 */
import type { KahunaError } from '../../base/errors.ts';
import type { GroupId, LogIndex, Term, Timestamp } from '../../base/ids.ts';

/** One change of one record. `key` is a record key without version suffix (see keys.ts). */
export interface RecordChange {
  readonly key: Uint8Array;
  /** Sealed record (see records.ts), or null to delete. */
  readonly sealed: Uint8Array | null;
  /** Commit timestamp of this change. */
  readonly timestamp: Timestamp;
  /**
   * Commit timestamp of the record that it replaces, 0 if there was none: what history collection needs. Exact for a key's
   * own record; for its elements (pages) that of their key's record will do, which is the same or later.
   */
  readonly replaces: Timestamp;
  /** True: what it replaces was flushed, so that nobody knew it; it is that of `replaces` or older, or there is none. */
  readonly isReplacedUnknown?: boolean;
}

/** State of a partition that changes with each entry and is written in the same batch as its records. */
export interface AppliedState {
  readonly index: LogIndex;
  readonly term: Term;
  /** Owned by the partition (counters, membership, rolling hash …), opaque here. */
  readonly state: Uint8Array;
}

/** What the store held of one group when it was opened. */
export interface RecoveredState extends AppliedState {
  /**
   * Index of the snapshot that was installed last, 0 if none was; everything up to it is durable. If it is above the log's
   * checkpoint, the crash came between the end of the install and the log's reset: reset the log to this state (nothing can
   * have been applied since). If `index` itself is 0, an install was interrupted: the ranges are empty, and nothing of the
   * group's log may be applied to them unless it begins at index 1.
   */
  readonly installedIndex: LogIndex;
}

/** Whether older versions are kept. History is on if one of the first two is above 0. */
export interface HistoryPolicy {
  /** How long the users' setting keeps versions. The store only looks whether it is 0; the floor comes with `collect`. */
  readonly retentionMs: number;
  /** Oldest moment that some hold or reader has registered, 0 for none. Nothing that it sees is collected. */
  readonly heldFloor: Timestamp;
  /** Older versions that are kept of each key besides the newest, unless they are held; 0 or absent: no bound. */
  readonly versionsMax?: number;
}

/** A version of a record: null is its deletion. */
export interface PastRecord {
  readonly timestamp: Timestamp;
  /** May be kept. */
  readonly payload: Uint8Array | null;
}

export interface OpenedRecord {
  readonly timestamp: Timestamp;
  /** A view into the bytes read: copy what must outlive them. */
  readonly payload: Uint8Array;
}

/** Ranges are half open on record keys: [start, end). */
export interface RecordRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

export interface DataStore {
  /** Applied state of every group found at open. */
  readonly recovered: ReadonlyMap<GroupId, RecoveredState>;
  /**
   * True if the store was last written under the same machine boot id: what it holds is then all that was written, and
   * replay of a group may start behind its recovered index. False: replay starts behind the log's checkpoint. It stays false
   * over further restarts until every group has been replayed to where it was before the machine crashed.
   */
  readonly isSameBoot: boolean;

  /** Newest version of a record. Throws KahunaError 'DATA_DAMAGED' if the checksum does not fit key and value. */
  get(key: Uint8Array): OpenedRecord | undefined;
  /**
   * Applies the changes of consecutive entries of one group in one atomic batch, together with its new applied state.
   * Not synced. One batch a group at a time; `done` runs later, never within the call. The bytes are copied before the call
   * returns. Timestamps of the changes rise or stay equal. A failure ends the process (FatalReason `dataWrite`), but where history is
   * kept, throws KahunaError 'DATA_DAMAGED' if what is to be replaced cannot be read: then nothing was applied.
   */
  apply(group: GroupId, changes: readonly RecordChange[], applied: AppliedState, done: () => void): void;

  /** A consistent view of everything applied by calls of `apply` whose `done` has run. */
  snapshot(): DataSnapshot;

  /** Makes everything applied so far durable, whatever LevelDB did with its files meanwhile. */
  sync(): Promise<void>;

  /**
   * Replaces a range by what a snapshot sender streams: `begin` marks the group as incomplete (a crash in between makes
   * `recovered` report index 0 and an empty range), `finish` sets its applied state. Without `source`, the history of
   * this node begins anew with the newest commit that the store or the snapshot holds: pass it where history may be on.
   */
  beginInstall(group: GroupId, ranges: readonly RecordRange[], source?: InstallSource): Promise<SnapshotInstall>;

  /** Empties the ranges and forgets the group; durable when it resolves, and completed at the next open after a crash. */
  removeGroup(group: GroupId, ranges: readonly RecordRange[]): Promise<void>;

  /** Order-independent hash and count of the newest records in a range, for comparing replicas. */
  hashRange(snapshot: DataSnapshot, range: RecordRange): Promise<{ readonly hash: string; readonly count: number }>;
  /**
   * As `hashRange`, of as much of the range as the limits allow, and with the damage that was met beside the hash. Rejects with
   * KahunaError 'DATA_DAMAGED' if the range cannot be read.
   */
  scrubRange(snapshot: DataSnapshot, range: RecordRange, limits: ScrubLimits): Promise<ScrubbedRange>;
  /**
   * False while a group is replayed after a crash of the machine: effects of entries that lie ahead may then be there already,
   * so what is found at an applied index is not what other replicas hold there.
   */
  isExact(group: GroupId): boolean;

  /** Newest version with timestamp ≤ `at` of a record. Rejects with HistoryGone if the moment is not kept (any more), of this record or of all. */
  getAt(snapshot: DataSnapshot, key: Uint8Array, at: Timestamp): Promise<OpenedRecord | undefined>;
  /**
   * Versions of a record committed at or before `upTo`, youngest first, deletions among them, down to the one that is seen at
   * the oldest moment that is kept; at most `countMax`. Rejects with 'DATA_DAMAGED'.
   */
  versionsOf(
    snapshot: DataSnapshot,
    key: Uint8Array,
    wanted: { readonly upTo: Timestamp; readonly countMax: number },
  ): Promise<readonly PastRecord[]>;
  /** Oldest timestamp at which history is complete; the newest applied one while history is off. Only rises. */
  readonly historyFloor: Timestamp;
  /** True while older versions are kept. */
  readonly keepsHistory: boolean;
  /** True while older versions are kept, or left of a time when they were: `collect` has something to do. */
  readonly hasHistory: boolean;
  /** Switches the keeping of older versions; in effect at once, or when a running `collect` has ended. */
  setHistory(policy: HistoryPolicy): void;
  /** Resolves when the last policy is in effect: whatever is applied then is kept, or not, as it says. */
  historySettled(): Promise<void>;
  /**
   * Lets versions go that no reader at or above `floor` can see; bounded work per call (`stepsMax` keys looked at or
   * deleted); true when nothing more can be done for now. The marks of deleted records go only after a `sync`. Nothing is
   * collected while a group is being replayed or installed. One call at a time.
   */
  collect(floor: Timestamp, stepsMax: number): Promise<boolean>;

  close(): Promise<void>;
}

export interface ScrubLimits {
  /** Bytes of newest records after which the look ends, with a whole record. */
  readonly bytesMax: number;
  /** Asked between two reads of the store: true gives the look up. What it says of the range is then without meaning. */
  readonly isStopped: () => boolean;
}

export interface ScrubbedRange {
  /** Over the newest records, 32 hex digits. */
  readonly hash: string;
  /** Newest records. */
  readonly count: number;
  /** Key of the first newest record that was not looked at, or the end of the range. */
  readonly end: Uint8Array;
  /** What was read, older versions included: what the look has cost. */
  readonly readBytes: number;
  readonly readCount: number;
  /** The first record, or older version, whose seal does not fit. */
  readonly damage: KahunaError<'DATA_DAMAGED'> | null;
}

export interface DataSnapshot {
  /** The store's `historyFloor` when the snapshot was taken: whoever streams it to a peer sends this along. */
  readonly historyFloor: Timestamp;
  /** Iterates newest records (no older versions) of a range in key order. */
  iterate(
    range: RecordRange,
    options?: { readonly withVersions?: boolean; readonly keysOnly?: boolean },
  ): RecordIterator;
  release(): void;
}

export interface RecordIterator {
  /** Up to `countMax` further records, stopping early beyond `bytesMax` bytes; empty at the end. */
  next(countMax: number, bytesMax: number): Promise<readonly RawRecord[]>;
  close(): Promise<void>;
}

/** A stored record as it lies on disk: with version suffix in the key when `withVersions`, sealed value. */
export interface RawRecord {
  readonly key: Uint8Array;
  /** Empty when `keysOnly`. */
  readonly sealed: Uint8Array;
}

/** What the receiver must know about where a snapshot comes from. */
export interface InstallSource {
  /** `historyFloor` of the sender's snapshot. If versions were not streamed: its largest commit timestamp, or more. */
  readonly historyFloor: Timestamp;
}

/** One call at a time; each is awaited before the next. */
export interface SnapshotInstall {
  /** Checks each record's seal; rejects with 'DATA_DAMAGED'. */
  write(records: readonly RawRecord[]): Promise<void>;
  /** Makes everything durable, then the group valid, durably too. The log's reset comes after it. */
  finish(applied: AppliedState): Promise<void>;
  /** Empties the ranges; the group stays without a valid state. */
  abort(): Promise<void>;
}
