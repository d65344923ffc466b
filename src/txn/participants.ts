/** What coordination needs of the cluster around it; the cluster implements it. */
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock, Random, TimerHandle } from '../base/platform.ts';
import type { DataCommand } from '../commands/define.ts';
import type { JobCall, JobTransaction } from '../partition/job.ts';
import type { KeyspaceStats } from '../partition/keyspace-stats.ts';
import type { Protocol, Reply } from '../resp/reply.ts';
import type { TransactionStats } from './transaction-stats.ts';

/** How one step goes to a partition. */
export interface StepOptions {
  /** Monotonic ms. */
  readonly deadlineMs: number;
  /** Steps with the same mark are evaluated in the order in which they were given, as far as they go to one partition. */
  readonly mark: Mark;
}

/** What is asked of one partition. */
export interface StepPart {
  readonly group: GroupId;
  readonly payload: Buffer;
}

/** Of a session or of a transaction: what the router keeps order by. Its last write, once one was acknowledged. */
export interface Mark {
  group: GroupId;
  index: LogIndex;
}

export interface Participants {
  readonly node: NodeId;
  readonly bootEpoch: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly keyspaceStats: KeyspaceStats;
  readonly stats: TransactionStats;
  readonly commandTimeoutMs: number;
  groupOf(key: string): GroupId;
  /** Hash tags that lie in each of the partitions. */
  readonly tags: readonly string[];
  newMark(): Mark;
  after(ms: number, callback: () => void): TimerHandle;
  /** True once nobody waits for the answer. */
  isGone(request: Request): boolean;
  /** Decisions wait to be forgotten: `Steps.forgetSettled` is to be called within a second or so. */
  settledLater(): void;
  /**
   * Has a step done by whoever leads the group, and done once if it writes, whatever happens to leaders meanwhile. Never rejects;
   * the answer may be an error: TRYAGAIN and CLUSTERDOWN if it was not and will not be done, UNCERTAIN if that is not known.
   */
  step(group: GroupId, command: DataCommand, payload: Buffer, options: StepOptions): Promise<Reply>;
  /** A step that changes nothing, at several partitions in no order: an answer to each part. Hot path: one promise for all. */
  readEach(command: DataCommand, parts: readonly StepPart[], deadlineMs: number): Promise<readonly Reply[]>;
}

/** A request whose keys lie in several partitions. */
export interface Request {
  readonly call: JobCall | null;
  readonly transaction: JobTransaction | null;
  readonly protocol: Protocol;
  readonly isNoTouch: boolean;
  /** Monotonic ms. */
  readonly deadlineMs: number;
  /** Of the session, of which nothing else is under way: its last write is noted there. */
  readonly mark: Mark;
}
