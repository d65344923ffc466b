/**
 * What a leader knows of one member. Hot path: `acknowledged` and `sent` run for every batch.
 *
 *     probe      one append at a time, until it is known where the logs meet
 *     replicate  appends are pipelined: `next` runs ahead of `match`, within the limits on what is in flight
 *     snapshot   nothing is sent: the driver streams a snapshot, because the entries needed are compacted away
 *
 * Invariants: match < next; match only rises (a member never loses what it acknowledged in this term), unless the member
 * has lost its disk (amnesia.ts).
 */
import type { LogIndex, NodeId } from '../base/ids.ts';
import { violated } from './violation.ts';

export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** What the driver may see of a follower. */
export interface FollowerProgress {
  readonly id: NodeId;
  readonly match: LogIndex;
  readonly next: LogIndex;
  readonly state: ProgressState;
  /** Answered since the last quorum check: within one to two election times. */
  readonly isRecentlyActive: boolean;
}

/** Appends that were sent and not yet acknowledged: a ring of (last index, bytes), in ascending order of index. */
export class Inflights {
  count = 0;
  bytes = 0;
  private readonly messagesMax: number;
  private readonly bytesMax: number;
  private readonly indexes: number[] = [];
  private readonly sizes: number[] = [];
  private start = 0;

  constructor(messagesMax: number, bytesMax: number) {
    this.messagesMax = messagesMax;
    this.bytesMax = bytesMax;
  }

  /** True if no more may be sent. One message may pass the limit on bytes, so that progress is always possible. */
  get isFull(): boolean {
    return this.count >= this.messagesMax || (this.bytes >= this.bytesMax && this.count > 0);
  }

  add(lastIndex: LogIndex, bytes: number): void {
    if (this.isFull) violated(`no room for an append in flight: ${this.count} messages, ${this.bytes} bytes`);
    let slot = this.start + this.count;
    if (slot >= this.messagesMax) slot -= this.messagesMax;
    this.indexes[slot] = lastIndex;
    this.sizes[slot] = bytes;
    this.count++;
    this.bytes += bytes;
  }

  /** Everything up to `index` has arrived. */
  freeTo(index: LogIndex): void {
    while (this.count > 0 && (this.indexes[this.start] ?? 0) <= index) {
      this.bytes -= this.sizes[this.start] ?? 0;
      this.count--;
      this.start++;
      if (this.start >= this.messagesMax) this.start = 0;
    }
  }

  clear(): void {
    this.count = 0;
    this.bytes = 0;
    this.start = 0;
  }
}

export interface InflightLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

export class Progress implements FollowerProgress {
  readonly id: NodeId;
  /** Highest index known to be durable on the member, in agreement with this log. */
  match: LogIndex = 0;
  /** Next index to send. */
  next: LogIndex;
  state: ProgressState = 'probe';
  /** probe: an append is out; nothing more until an answer comes. */
  isProbeSent = false;
  /** snapshot: its index. */
  pendingSnapshot: LogIndex = 0;
  /** The member knows no configuration; only a snapshot can bring it one. */
  needsSnapshot = false;
  isRecentlyActive = true;
  /** Highest commit index that was sent in a form that the member can use. */
  sentCommit: LogIndex = 0;
  /** Highest read-index round that the member has echoed. */
  ackedRound = 0;
  /** Not 0: the member has lost its memory, in the start of this number; it is not counted (amnesia.ts). */
  amnesia = 0;
  /** The entry that it must hold, and that must be committed without it, before it is counted again. */
  reinstateAt: LogIndex = 0;
  /** Starts that are over: what still arrives of them is late. One for each time that a disk was lost in this term. */
  readonly amnesiasEnded = new Set<number>();
  /** It was told that it may vote again; what it says next without its number counts. */
  isReinstated = false;
  /** Seen stuck at a heartbeat tick: the next heartbeat response makes the leader ask again. */
  isSuspect = false;
  /** An empty append is to find out what arrived. */
  isResendDue = false;
  readonly inflights: Inflights;
  private matchAtHeartbeat: LogIndex = 0;

  constructor(id: NodeId, next: LogIndex, limits: InflightLimits) {
    this.id = id;
    this.next = next;
    this.inflights = new Inflights(limits.inflightMessagesMax, limits.inflightBytesMax);
  }

  /** True if an append may leave now, as far as flow control is concerned. */
  get isReady(): boolean {
    if (this.state === 'replicate') return !this.inflights.isFull;
    return this.state === 'probe' && !this.isProbeSent;
  }

  /** The member has lost its memory: what it acknowledged before is nothing to go by. */
  forget(amnesia: number, reinstateAt: LogIndex): void {
    this.amnesia = amnesia;
    this.reinstateAt = reinstateAt;
    this.isReinstated = false;
    this.match = 0;
    this.matchAtHeartbeat = 0;
    this.next = reinstateAt;
    this.sentCommit = 0;
    this.ackedRound = 0;
    this.needsSnapshot = false;
    this.enter('probe');
  }

  /** The member is a voter again. */
  remember(): void {
    this.amnesiasEnded.add(this.amnesia);
    this.amnesia = 0;
    this.reinstateAt = 0;
    this.isReinstated = false;
  }

  becomeProbe(): void {
    this.next = this.match + 1;
    // After a snapshot the log goes on behind it; if it did not arrive, the probe is rejected and we are here again.
    if (this.state === 'snapshot' && this.pendingSnapshot > this.match) this.next = this.pendingSnapshot + 1;
    this.enter('probe');
  }

  becomeReplicate(): void {
    this.next = this.match + 1;
    this.enter('replicate');
  }

  becomeSnapshot(index: LogIndex): void {
    this.enter('snapshot');
    this.pendingSnapshot = index;
    this.needsSnapshot = false;
  }

  private enter(state: ProgressState): void {
    this.state = state;
    this.isProbeSent = false;
    this.isSuspect = false;
    this.isResendDue = false;
    this.pendingSnapshot = 0;
    this.inflights.clear();
  }

  /** An append with `count` entries of `bytes` was sent from `next` on. */
  sent(count: number, bytes: number): void {
    if (this.state === 'probe') {
      this.isProbeSent = true;
    } else if (count > 0) {
      if (this.state !== 'replicate') violated(`append sent in state ${this.state}`);
      this.next += count;
      this.inflights.add(this.next - 1, bytes);
    }
  }

  /** The member holds everything up to `index`; true if that is news. */
  acknowledged(index: LogIndex): boolean {
    this.inflights.freeTo(index);
    if (index <= this.match) return false;
    this.match = index;
    if (this.next <= index) this.next = index + 1;
    return true;
  }

  /**
   * The member has no matching entry at `index`; `candidate` is where the logs may meet at best. False if the answer
   * is out of date.
   */
  rejected(index: LogIndex, candidate: LogIndex): boolean {
    if (this.state === 'snapshot') return false;
    if (this.state === 'replicate') {
      if (index <= this.match) return false;
      this.becomeProbe();
      return true;
    }
    if (this.next - 1 !== index) return false;
    this.next = Math.max(Math.min(index, candidate + 1), this.match + 1);
    this.isProbeSent = false;
    return true;
  }

  /** A heartbeat tick: notes whether anything in flight has moved since the last one. */
  suspectIfStuck(): void {
    const isWaiting =
      this.state === 'probe' ? this.isProbeSent : this.state === 'replicate' && this.match < this.next - 1;
    this.isSuspect = isWaiting && this.match === this.matchAtHeartbeat;
    this.matchAtHeartbeat = this.match;
  }

  /** The member is alive, so what is stuck was lost: ask again. True if something is to be sent. */
  retryIfSuspect(): boolean {
    if (!this.isSuspect) return false;
    this.isSuspect = false;
    if (this.state === 'probe') this.isProbeSent = false;
    else this.isResendDue = this.state === 'replicate';
    return true;
  }
}
