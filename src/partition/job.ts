/**
 * One request as a partition sees it: what to evaluate, for whom, until when. Made at the entry node for local work and
 * on the link for forwarded work; the same object goes through evaluation, the batch and the answer.
 */
import type { LogIndex, NodeId, Timestamp } from '../base/ids.ts';
import type { DataCommand } from '../commands/define.ts';
import type { Protocol, Reply } from '../resp/reply.ts';
import type { Space } from '../values/value.ts';
import type { RequestId } from './entry-format.ts';

export interface JobCall {
  readonly command: DataCommand;
  readonly argv: readonly Buffer[];
  readonly database: Space;
}

export interface JobWatch {
  readonly database: Space;
  readonly key: Buffer;
  readonly version: Timestamp;
}

export interface JobTransaction {
  readonly calls: readonly JobCall[];
  readonly watched: readonly JobWatch[];
}

/** Who gets the outcome of a job; exactly one of the two is called, once. */
export interface JobOwner {
  /** The job is done; whatever it wrote is committed at `index` (0 if it wrote nothing). */
  complete(job: Job, reply: Reply, index: LogIndex): void;
  /** This replica cannot tell or do any more: to be repeated at the next leader, under the same id. */
  retry(job: Job): void;
}

/** How the wait of a command ends from outside: as if its time were over, or with an error. */
export type Unblocking = 'timeout' | 'error';

export class Job implements RequestId {
  readonly owner: JobOwner;
  /** The single command; null for a transaction. */
  readonly call: JobCall | null;
  readonly transaction: JobTransaction | null;
  readonly protocol: Protocol;
  /** Monotonic ms of this node. */
  deadlineMs: number;
  /** Jobs of one strand are evaluated in order of submission, also behind one that waits. */
  readonly strand: number;
  readonly node: NodeId;
  readonly epoch: number;
  readonly counter: number;
  /** True if an earlier attempt may have been applied. */
  isRetry = false;
  /** True once nobody waits for the answer. */
  isCancelled = false;
  /** It waits no more: it answers as if its time were over. */
  isUnblocked = false;
  /** Reading a key does not count as an access to it (CLIENT NO-TOUCH). */
  isNoTouch = false;
  /** How long it has waited for a key at earlier leaders, in ms: its time goes on, and it keeps its place among those that wait. */
  waitedMs = 0;

  // Set by the evaluation, read until the answer leaves.
  reply: Reply = null;
  /** Greatest log index of a change that the evaluation saw. */
  observedIndex: LogIndex = 0;
  /** Index of the entry in which an earlier attempt of this request was applied; 0 otherwise. */
  appliedAt: LogIndex = 0;
  /** Evaluations that ended in waiting for a key. */
  waits = 0;
  /** Evaluations that ended in waiting for a transaction. */
  lockWaits = 0;
  /** It waits until no transaction is prepared: see KeyLocked. */
  waitsForAll = false;
  /** Partition time of the first evaluation, at whichever leader that was; 0 before the first one here. */
  firstRunMs = 0;
  /** Evaluations that ended in loading. */
  loads = 0;

  constructor(fields: {
    readonly owner: JobOwner;
    readonly call: JobCall | null;
    readonly transaction: JobTransaction | null;
    readonly protocol: Protocol;
    readonly deadlineMs: number;
    readonly strand: number;
    readonly node: NodeId;
    readonly epoch: number;
    readonly counter: number;
  }) {
    this.owner = fields.owner;
    this.call = fields.call;
    this.transaction = fields.transaction;
    this.protocol = fields.protocol;
    this.deadlineMs = fields.deadlineMs;
    this.strand = fields.strand;
    this.node = fields.node;
    this.epoch = fields.epoch;
    this.counter = fields.counter;
  }

  /** False only if every command of it is known to change nothing: a script may write. */
  get mayWrite(): boolean {
    if (this.call !== null) return !isReadOnly(this.call);
    return this.transaction?.calls.some((call) => !isReadOnly(call)) ?? false;
  }
}

function isReadOnly(call: JobCall): boolean {
  return call.command.flags.includes('readonly');
}
