/**
 * What the server may ask of the cluster: the one door through which finished work leaves the entry node.
 */
import type { GroupId, LogIndex, NodeId, Slot, Term, Timestamp } from '../base/ids.ts';
import type { DataCommand } from '../commands/define.ts';
import type { Unblocking } from '../partition/job.ts';
import type { KeyspaceCounts, KeyspaceStats } from '../partition/keyspace-stats.ts';
import type { Protocol, Reply } from '../resp/reply.ts';
import type { TransactionOptions, TransactionStatus } from '../txn/interactive.ts';
import type { TransactionStats } from '../txn/transaction-stats.ts';
import type { HoldsApi } from './holds.ts';

/** One command to be evaluated at a leader. The buffers belong to the call: the server does not reuse them. */
export interface Call {
  readonly command: DataCommand;
  /** argv[0] is the name as the client wrote it. */
  readonly argv: readonly Buffer[];
  readonly database: number;
}

export interface WatchedKey {
  readonly database: number;
  readonly key: Buffer;
  readonly version: Timestamp;
}

/**
 * One piece of work of a session. The cluster calls `complete` exactly once, at the earliest during `submit`, and in
 * any order relative to other work; the session puts replies back in request order.
 */
export interface Work {
  readonly call: Call | null;
  /** MULTI/EXEC: all or nothing in one step; `call` is null then. The reply is an array, or null if a watched key moved. */
  readonly transaction: { readonly calls: readonly Call[]; readonly watched: readonly WatchedKey[] } | null;
  readonly protocol: Protocol;
  /** CLIENT NO-TOUCH: reading a key does not count as an access to it. */
  readonly isNoTouch: boolean;
  /** The moment that the session reads; 0 or absent: the present. Nothing of the work changes anything then. */
  readonly asOf?: Timestamp;
  /** Monotonic ms; past it the answer is an error: TRYAGAIN/CLUSTERDOWN if nothing was applied, else UNCERTAIN. */
  readonly deadlineMs: number;
  /** Of the session: work with the same mark is evaluated in order of submission, and its writes are noted in it. */
  readonly mark: WriteMark;
  complete(reply: Reply): void;
}

export interface NodeDescription {
  readonly id: NodeId;
  readonly name: string;
  /** 40 hex digits, as CLUSTER MYID and NODES show. */
  readonly hexId: string;
  readonly clientHost: string;
  readonly clientPort: number;
  readonly clusterPort: number;
  readonly isSelf: boolean;
  readonly isConnected: boolean;
}

export interface PartitionDescription {
  readonly id: GroupId;
  /** Inclusive. */
  readonly firstSlot: Slot;
  readonly lastSlot: Slot;
  readonly replicas: readonly NodeId[];
  /** 0 = none known. */
  readonly leader: NodeId;
  readonly term: Term;
}

/** What INFO and metrics show of a replica on this node. */
export interface ReplicaStatus {
  readonly group: GroupId;
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner';
  readonly leader: NodeId;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly logBytes: number;
  readonly residentKeys: number;
  readonly residentBytes: number;
  /** Its data is damaged, and waits to be rebuilt. */
  readonly isQuarantined: boolean;
}

/** What the comparing of replicas has done on this node, as leader, since its start (scrub.ts). */
export interface ScrubReport {
  /** Partitions that were gone through from end to end. */
  readonly rounds: number;
  readonly ranges: number;
  readonly records: number;
  /** Ranges in which some replica was away or could not look. */
  readonly incompleteRanges: number;
  /** Ranges in which replicas differed. */
  readonly mismatches: number;
  /** Of these, those without a majority. */
  readonly undecided: number;
  /** Replicas that were told to rebuild themselves. */
  readonly condemned: number;
  /** Wall clock at the end of the last round, in ms; 0 = none has ended. */
  readonly lastRoundAtMs: number;
}

/** What one node keeps of the past. */
export interface HistoryReport {
  /** Older versions are being kept. */
  readonly isKept: boolean;
  /** Oldest moment that its data is whole of. */
  readonly floor: Timestamp;
  /** Oldest moment that is held by what it has applied; 0 = none is. */
  readonly heldFloor: Timestamp;
}

export interface Cluster {
  readonly clusterId: string;
  readonly self: NodeDescription;
  /** False until every group that this node serves has a leader that it knows: LOADING before. */
  readonly isReady: boolean;
  nodes(): readonly NodeDescription[];
  partitions(): readonly PartitionDescription[];
  partitionOfSlot(slot: Slot): PartitionDescription;
  replicaStatus(): readonly ReplicaStatus[];
  readonly scrub: { readonly report: ScrubReport };

  submit(work: Work): void;
  /** A transaction that the session with this mark conducts command by command. */
  beginTransaction(options: TransactionOptions, mark: WriteMark): OpenTransaction;
  /** The work's client is gone: parked work is dropped, work under way is completed into the void. */
  cancel(work: Work): void;
  /**
   * CLIENT UNBLOCK: ends the wait of a parked command, wherever its leader is. False if it waits for no key (any more):
   * then it goes on as if nothing had been asked.
   */
  unblock(work: Work, how: Unblocking): Promise<boolean>;

  /** Keys of a database over all partitions. Rejects with ReplyError if one does not answer in time. */
  keyspaceCounts(database: number, deadlineMs: number): Promise<KeyspaceCounts>;
  /** What this node's leaders saw. */
  readonly keyspaceStats: KeyspaceStats;
  readonly transactionStats: TransactionStats;
  /** Voters besides the leader that have fsynced the last write acknowledged through `session`, waiting as WAIT does. */
  waitForReplicas(session: WriteMark, count: number, timeoutMs: number): Promise<number>;
  /**
   * Cluster-wide timestamp now (KAHUNA.TIME): not before anything acknowledged earlier, and before whatever is asked for after the
   * answer. Rejects with ReplyError if a partition does not answer in time.
   */
  timestamp(deadlineMs: number): Promise<Timestamp>;
  /** Oldest moment that can be read of every key of all partitions, at their present leaders. Rejects with ReplyError. */
  historyFloor(deadlineMs: number): Promise<Timestamp>;
  /** What this node keeps of the past. */
  readonly historyReport: HistoryReport;
  readonly holds: HoldsApi;
  /** The latest time of any partition: no moment after it is over. Rejects with ReplyError. */
  latestTimestamp(deadlineMs: number): Promise<Timestamp>;

  readonly scripts: ScriptCatalog;
}

/** What the cluster remembers of a session: its last acknowledged write, and its place among the strands of work. */
export class WriteMark {
  group: GroupId = 0;
  index: LogIndex = 0;
  /** Given at the first submission. */
  strand = 0;
  /** Work that is under way in one partition each. Counted only where there are several. */
  underWay = 0;
  /** Set while work across partitions is under way, or waits until what came before it is done. */
  crossing: Crossing | null = null;
}

/** Work of one session that waits for work across partitions, or is such work itself. */
export interface Crossing {
  isRunning: boolean;
  /** In order. `run` is null for work in one partition, or of unknown reach. */
  readonly waiting: { readonly work: Work; readonly run: (() => Promise<Reply>) | null; readonly isElder: boolean }[];
}

/** See txn/interactive.ts. Promises of one call are awaited before the next; `rollback` may come at any time. */
export interface OpenTransaction {
  /** Name of the transaction in logs and in KAHUNA.TX STATUS. */
  readonly name: string;
  run(call: Call, protocol: Protocol): Promise<Reply>;
  /** Commit timestamp, or an error. */
  commit(): Promise<Reply>;
  rollback(): void;
  status(): TransactionStatus;
}

/** The cluster-wide, durable script cache. SHA1 as 40 lower-case hex digits. */
export interface ScriptCatalog {
  /** In this node's copy; another node may know more (see `find`). */
  get(sha: string): Buffer | undefined;
  /** Asks the leader of the catalogue if this node's copy has no such script. */
  find(sha: string): Promise<Buffer | undefined>;
  /** Durable on a majority when it resolves. Rejects with ReplyError. */
  load(body: Buffer): Promise<string>;
  /** As `load`, and every connected node has it: whichever of them leads can run it by its digest. */
  loadEverywhere(body: Buffer): Promise<string>;
  exists(shas: readonly string[]): Promise<readonly boolean[]>;
  flush(): Promise<void>;
}
