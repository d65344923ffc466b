/**
 * The way from this node to the leader of one partition: who that is, what was sent there and is not answered, and what
 * waits until a leader is known.
 *
 * Requests keep the order of their submission: whatever is to be sent again goes back to its place among those that wait
 * (by its count), and nothing overtakes a waiting request. A leader refuses requests that name another term than its own,
 * so of two requests sent one after the other the second can never be taken where the first was refused.
 */
import type { GroupId, NodeId, Term } from '../base/ids.ts';
import type { Work } from './api.ts';
import { Job, type JobOwner } from '../partition/job.ts';

/** A request of a client of this node, on its way to one partition. */
export class EntryJob extends Job {
  readonly work: Work;
  readonly route: Route;
  /** Monotonic ms since which it waits for a leader; 0 while it is under way. */
  heldSinceMs = 0;
  /** Monotonic ms at which it was taken, if it may wait for a key; else -1. */
  takenMs = -1;
  /** The other node that it was sent to last, and the term of that node's leadership: only its answer counts. */
  sentTo: NodeId = 0;
  sentTerm: Term = 0;

  constructor(
    work: Work,
    route: Route,
    fields: { readonly owner: JobOwner; readonly node: NodeId; readonly epoch: number; readonly counter: number },
  ) {
    super({
      owner: fields.owner,
      call: work.call,
      transaction: work.transaction,
      protocol: work.protocol,
      deadlineMs: work.deadlineMs,
      strand: work.mark.strand,
      node: fields.node,
      epoch: fields.epoch,
      counter: fields.counter,
    });
    this.work = work;
    this.isNoTouch = work.isNoTouch;
    this.route = route;
  }

  get mayBlock(): boolean {
    return this.call?.command.flags.includes('blocking') ?? false;
  }
}

export class Route {
  readonly group: GroupId;
  /** 0 = none known. */
  leader: NodeId = 0;
  /** Greatest term in which a leader was heard of. */
  term: Term = 0;
  /** The held requests are tried at the end of this turn. */
  isDrainDue = false;
  /** Wait for a leader, in order of submission. */
  held: EntryJob[] = [];
  /** Sent to another node and not answered, by their count. */
  readonly inflight = new Map<number, EntryJob>();

  constructor(group: GroupId) {
    this.group = group;
  }

  hold(job: EntryJob, nowMs: number): void {
    job.heldSinceMs = nowMs;
    const last = this.held.at(-1);
    this.held.push(job);
    if (last !== undefined && last.counter > job.counter) this.held.sort((a, b) => a.counter - b.counter);
  }

  /** Whatever was sent (to `node`, if given) and not answered waits again: it may or may not have been applied. */
  recallInflight(nowMs: number, node: NodeId = 0): void {
    for (const job of this.inflight.values()) {
      if (node !== 0 && job.sentTo !== node) continue;
      this.inflight.delete(job.counter);
      job.isRetry = true;
      this.hold(job, nowMs);
    }
  }
}
