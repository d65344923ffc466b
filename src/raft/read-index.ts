/**
 * Linearizable reads without writing (thesis §6.4).
 *
 * A read asked of a leader may be served once (a) the leader has learned, after the request, that it still was the leader,
 * and (b) the state holds everything committed before the request. For (a) all reads of a turn share one heartbeat round
 * with a number of its own; members echo the highest round that they saw, and a round is confirmed when a majority has
 * echoed it or a later one. A round is never reused: a read that is asked again joins a new one. For (b) the index is
 * the commit index at the request, but at least the first entry of the leader's own term, because only when that one is
 * committed does the leader know everything that earlier leaders committed. Until then reads are parked.
 */
import type { LogIndex, NodeId } from '../base/ids.ts';
import type { ReadState } from './types.ts';

/** Who asked: this node's driver (`from` 0, its own context) or a follower (its id, the context of its message). */
export interface PendingRead {
  readonly from: NodeId;
  readonly context: number;
  readonly index: LogIndex;
}

interface Round {
  readonly number: number;
  readonly reads: readonly PendingRead[];
}

export class ReadQueue {
  /** The round that the latest heartbeats carry; rounds only rise in a term of leadership, and start above 1. */
  round = 1;
  /** Latest round known to be confirmed. */
  confirmed = 0;
  private open: PendingRead[] = [];
  private waiting: Round[] = [];

  get isEmpty(): boolean {
    return this.open.length === 0 && this.waiting.length === 0;
  }

  get hasOpen(): boolean {
    return this.open.length > 0;
  }

  /** Joins the round that the next heartbeats will start. */
  add(read: PendingRead): void {
    this.open.push(read);
  }

  /**
   * Starts a new round if reads wait for one, or if `isForced`: what is added from now on belongs to a later one. True if
   * the members must be asked.
   */
  startRound(isForced: boolean): boolean {
    if (this.open.length === 0 && !isForced) return false;
    this.round++;
    if (this.open.length > 0) {
      this.waiting.push({ number: this.round, reads: this.open });
      this.open = [];
    }
    return true;
  }

  /** Takes the reads of confirmed rounds whose index is committed, oldest first. */
  release(confirmed: number, commit: LogIndex): readonly PendingRead[] {
    if (confirmed > this.confirmed) this.confirmed = confirmed;
    let rounds = 0;
    for (const round of this.waiting) {
      // All reads of a round were asked under the same commit rule; its last one has the highest index.
      if (round.number > confirmed || (round.reads[round.reads.length - 1]?.index ?? 0) > commit) break;
      rounds++;
    }
    if (rounds === 0) return NO_READS;
    return this.waiting.splice(0, rounds).flatMap((round) => round.reads);
  }

  /** Leadership starts or ends: empties the queue and hands back what was in it. */
  reset(): readonly PendingRead[] {
    const dropped = this.isEmpty ? NO_READS : [...this.waiting.flatMap((round) => round.reads), ...this.open];
    this.open = [];
    this.waiting = [];
    this.round = 1;
    this.confirmed = 0;
    return dropped;
  }
}

const NO_READS: readonly PendingRead[] = Object.freeze([]);

/** A forwarded read is given up after this many election times. */
const FORWARD_ELECTIONS_MAX = 2;
/** Forwarded reads without an answer; one more is refused. */
const FORWARDED_READS_MAX = 65_536;

/** A follower's reads that wait for the leader's answer. */
export class ForwardedReads {
  /** Echo of the message, the driver's context, and the tick of the request; ascending in tick. */
  private readonly pending = new Map<number, { readonly context: number; readonly tick: number }>();
  private readonly ticksMax: number;
  private tick = 0;
  private nextEcho = 0;

  constructor(electionTicks: number) {
    this.ticksMax = electionTicks * FORWARD_ELECTIONS_MAX;
  }

  get isFull(): boolean {
    return this.pending.size >= FORWARDED_READS_MAX;
  }

  /**
   * Registers a read; returns what its message carries. Echoes start at a random place, so that an answer to an earlier
   * start of this node is not taken for one of this start.
   */
  add(context: number, randomU32: () => number): number {
    if (this.nextEcho === 0) this.nextEcho = 1 + randomU32() * 2 ** 20;
    const echo = this.nextEcho++;
    this.pending.set(echo, { context, tick: this.tick });
    return echo;
  }

  /** The leader's answer; null if nobody waits for it. */
  take(echo: number, index: LogIndex): ReadState | null {
    const read = this.pending.get(echo);
    if (read === undefined) return null;
    this.pending.delete(echo);
    return { context: read.context, index };
  }

  /** Time passes: moves the contexts of overdue reads to `dropped`. */
  advance(dropped: number[]): void {
    this.tick++;
    if (this.pending.size === 0) return;
    for (const [echo, read] of this.pending) {
      if (this.tick - read.tick < this.ticksMax) return;
      this.pending.delete(echo);
      dropped.push(read.context);
    }
  }

  /** The leader changed: nobody will answer. */
  drop(dropped: number[]): void {
    if (this.pending.size === 0) return;
    for (const read of this.pending.values()) dropped.push(read.context);
    this.pending.clear();
  }
}
