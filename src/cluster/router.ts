/**
 * Takes the work of this node's clients to the leaders of their partitions, here or elsewhere, and repeats it at the
 * next leader until it is answered or its deadline has passed.
 *
 * Hot path (bench: compat/bench, GET and SET): one job a request, no promise and no closure; with one partition not even
 * a slot is computed.
 *
 * A request that may have been applied is repeated under its old id, so it is applied once (request-ledger.ts). What is
 * refused here for good is refused with an error that says whether it may have been applied.
 */
import { assert, mustExist } from '../base/assert.ts';
import type { GroupId, LogIndex, NodeId, Term } from '../base/ids.ts';
import type { Clock } from '../base/platform.ts';
import { slotOfKey } from '../base/slots.ts';
import { keyIndices } from '../commands/key-indices.ts';
import type { Job, JobOwner, Unblocking } from '../partition/job.ts';
import { clusterDown, KEY_ELSEWHERE, tryAgain, uncertain } from '../resp/errors.ts';
import { encodeReply } from '../resp/encode.ts';
import { type ErrorReply, EncodedReply, type Reply, ReplyError } from '../resp/reply.ts';
import type { Call, Work, WriteMark } from './api.ts';
import type { DecodedAnswer, DecodedUnblock, DecodedUnblockAnswer } from './request-codec.ts';
import { EntryJob, Route } from './route.ts';
import { partitionOfSlot, type Topology } from './topology.ts';

export interface RouterHost {
  readonly clock: Clock;
  readonly node: NodeId;
  readonly bootEpoch: number;
  readonly commandTimeoutMs: number;
  /** Gives a job to the replica on this node; it serves. */
  submitHere(group: GroupId, job: Job): void;
  cancelHere(group: GroupId, job: Job): void;
  /** Sends a request; false if there is no connection to the node. */
  sendRequest(to: NodeId, route: Route, job: EntryJob): boolean;
  sendCancel(to: NodeId, counter: number): void;
  /** Ends the wait of a job on this node; false if it waits for no key. */
  unblockHere(group: GroupId, job: Job, how: Unblocking): boolean;
  /** Asks another node to end the wait of a job; `unblockAnswered` tells what came of it. */
  sendUnblock(to: NodeId, what: DecodedUnblock): void;
  /** True if this node leads the group and takes requests. */
  isServingHere(group: GroupId): boolean;
  endOfTurn(callback: () => void): void;
  /** Has work done whose keys lie in several partitions. */
  submitAcross(work: Work): void;
  /** Nothing of this session is under way in one partition any more, and work across partitions may wait for that. */
  sessionIsIdle(mark: WriteMark): void;
  /** Asks for `look` at this monotonic moment (ms), or soon after. */
  lookAt(atMs: number): void;
}

/** Pause between two tries to send what waits for a leader, in ms; most of it goes at once when one makes itself known. */
const HELD_AGAIN_MS = 20;

interface PendingUnblock {
  readonly job: EntryJob;
  readonly sentTo: NodeId;
  readonly sentTerm: Term;
  /** Monotonic ms; past it nothing will be heard of it. */
  readonly untilMs: number;
  readonly resolve: (wasWaiting: boolean) => void;
}

export class Router implements JobOwner {
  readonly #host: RouterHost;
  readonly #topology: Topology;
  readonly #routes = new Map<GroupId, Route>();
  readonly #onlyRoute: Route | null;
  #counter = 0;
  #strand = 0;
  /** Work of clients that may still be cancelled: what waits for a key. */
  readonly #blocking = new Map<Work, EntryJob>();
  /** Jobs that another node was asked to unblock, by their count. */
  readonly #unblocks = new Map<number, PendingUnblock>();
  /** Monotonic ms of the next look that was asked for. */
  #lookAtMs = Number.POSITIVE_INFINITY;

  constructor(topology: Topology, host: RouterHost) {
    this.#host = host;
    this.#topology = topology;
    for (const { id } of [topology.metadata, ...topology.partitions]) this.#routes.set(id, new Route(id));
    this.#onlyRoute = topology.partitions.length === 1 ? this.route(topology.partitions[0]?.id ?? 1) : null;
  }

  route(group: GroupId): Route {
    return mustExist(this.#routes.get(group), `group ${group} has no route`);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Work

  /** Routes by keys; work without keys goes to the first partition. */
  submit(work: Work): void {
    let route = this.#onlyRoute;
    if (route === null) {
      const found = this.#routeOf(work);
      if (found instanceof Route) route = found;
      else if (found === 'several') {
        this.#host.submitAcross(work);
        return;
      } else {
        work.complete(found);
        return;
      }
    }
    this.submitTo(route, work);
  }

  submitTo(route: Route, work: Work): void {
    if (work.mark.strand === 0) {
      this.#strand = (this.#strand + 1) >>> 0 || 1;
      work.mark.strand = this.#strand;
    }
    if (this.#onlyRoute === null) work.mark.underWay++;
    const { node, bootEpoch } = this.#host;
    this.#counter++;
    const job = new EntryJob(work, route, { owner: this, node, epoch: bootEpoch, counter: this.#counter });
    if (job.mayBlock) {
      this.#blocking.set(work, job);
      job.takenMs = this.#host.clock.monotonicMs();
    }
    this.#dispatch(job);
  }

  cancel(work: Work): void {
    const job = this.#blocking.get(work);
    if (job === undefined) return;
    this.#blocking.delete(work);
    job.isCancelled = true;
    const { route } = job;
    if (route.inflight.delete(job.counter)) this.#host.sendCancel(job.sentTo, job.counter);
    else this.#host.cancelHere(route.group, job);
  }

  /** See Cluster.unblock. A request that waits for a leader, not for a key, is left alone: it ends by itself. */
  unblock(work: Work, how: Unblocking): Promise<boolean> {
    const job = this.#blocking.get(work);
    if (job === undefined || this.#unblocks.has(job.counter)) return Promise.resolve(false);
    const { route, counter } = job;
    if (!route.inflight.has(counter)) return Promise.resolve(this.#host.unblockHere(route.group, job, how));
    return new Promise((resolve) => {
      const untilMs = this.#host.clock.monotonicMs() + this.#host.commandTimeoutMs;
      this.#unblocks.set(counter, { job, sentTo: job.sentTo, sentTerm: job.sentTerm, untilMs, resolve });
      this.#lookAt(untilMs);
      this.#host.sendUnblock(job.sentTo, { counter, how });
    });
  }

  /** What came of the wish to unblock a job that waits at another node. */
  unblockAnswered(from: NodeId, { counter, wasWaiting }: DecodedUnblockAnswer): void {
    const pending = this.#unblocks.get(counter);
    if (pending === undefined || pending.sentTo !== from) return;
    this.#unblocks.delete(counter);
    const { job } = pending;
    // Meanwhile another leader may have it, which was asked nothing.
    const isStillThere = job.sentTo === from && job.sentTerm === pending.sentTerm;
    if (wasWaiting && isStillThere) job.isUnblocked = true;
    pending.resolve(wasWaiting && isStillThere);
  }

  #dispatch(job: EntryJob): void {
    const { route } = job;
    if (route.held.length > 0 || !this.#send(job)) this.#hold(job, this.#host.clock.monotonicMs());
  }

  #hold(job: EntryJob, sinceMs: number): void {
    job.route.hold(job, sinceMs);
    this.#lookAt(this.#host.clock.monotonicMs() + HELD_AGAIN_MS);
  }

  #send(job: EntryJob): boolean {
    const { route } = job;
    if (route.leader === 0) return false;
    if (job.isRetry && job.takenMs >= 0) job.waitedMs = this.#host.clock.monotonicMs() - job.takenMs;
    if (route.leader === this.#host.node) {
      if (!this.#host.isServingHere(route.group)) return false;
      job.heldSinceMs = 0;
      this.#host.submitHere(route.group, job);
      return true;
    }
    if (!this.#host.sendRequest(route.leader, route, job)) return false;
    job.heldSinceMs = 0;
    job.sentTo = route.leader;
    job.sentTerm = route.term;
    route.inflight.set(job.counter, job);
    this.#lookAt(job.deadlineMs);
    return true;
  }

  /** What has to wait may find that the next leader is known already: nobody will say so again. */
  #holdAgain(job: EntryJob): void {
    const { route } = job;
    this.#hold(job, this.#host.clock.monotonicMs());
    if (route.isDrainDue) return;
    route.isDrainDue = true;
    this.#host.endOfTurn(() => {
      route.isDrainDue = false;
      this.#drain(route);
    });
  }

  #drain(route: Route): void {
    const waiting = route.held;
    route.held = [];
    for (let i = 0; i < waiting.length; i++) {
      const job = waiting[i] as EntryJob;
      if (job.isCancelled || (route.held.length === 0 && this.#send(job))) continue;
      this.#hold(job, job.heldSinceMs === 0 ? this.#host.clock.monotonicMs() : job.heldSinceMs);
    }
  }

  #routeOf(work: Work): Route | ErrorReply | 'several' {
    let group: GroupId = -1;
    const calls = work.call === null ? (work.transaction?.calls ?? []) : [work.call];
    try {
      for (const call of calls) {
        for (const key of keysOf(call)) {
          const partition = partitionOfSlot(this.#topology.partitions, slotOfKey(key));
          if (group !== -1 && group !== partition.id) return 'several';
          group = partition.id;
        }
      }
    } catch (thrown) {
      if (thrown instanceof ReplyError) return thrown.reply;
      throw thrown;
    }
    for (const watched of work.transaction?.watched ?? []) {
      const partition = partitionOfSlot(this.#topology.partitions, slotOfKey(watched.key.toString('latin1')));
      if (group !== -1 && group !== partition.id) return 'several';
      group = partition.id;
    }
    return this.route(group === -1 ? (this.#topology.partitions[0]?.id ?? 1) : group);
  }

  // -------------------------------------------------------------------------------------------------------------
  // JobOwner: outcomes of jobs on this node

  complete(job: Job, reply: Reply, index: LogIndex): void {
    assert(job instanceof EntryJob, 'the router owns the jobs that it made');
    this.#finish(job, reply, index);
  }

  retry(job: Job): void {
    assert(job instanceof EntryJob, 'the router owns the jobs that it made');
    job.isRetry = true;
    if (!job.isCancelled) this.#holdAgain(job);
  }

  #finish(job: EntryJob, reply: Reply, index: LogIndex): void {
    const { work } = job;
    if (this.#blocking.size !== 0) this.#blocking.delete(work);
    if (job.isCancelled) return;
    const { mark } = work;
    if (index > 0) {
      mark.group = job.route.group;
      mark.index = index;
    }
    if (this.#onlyRoute !== null) {
      work.complete(reply);
      return;
    }
    mark.underWay--;
    if (index === 0 && isElsewhere(reply)) this.#host.submitAcross(work);
    else work.complete(reply);
    if (mark.underWay === 0 && mark.crossing !== null) this.#host.sessionIsIdle(mark);
  }

  // -------------------------------------------------------------------------------------------------------------
  // What other nodes say

  /**
   * What another node says of a request. It is the outcome, or, if `isRepeat`, the node no longer leads in `term` and the
   * request waits for the next leader. The reply is valid during the call only.
   */
  answered(from: NodeId, answer: DecodedAnswer): void {
    const route = this.#routes.get(answer.group);
    const job = route?.inflight.get(answer.counter);
    if (route === undefined || job === undefined) return;
    // It was sent again since: the later copy, which another leader may hold or wait with, gives the one answer.
    if (job.sentTo !== from || job.sentTerm !== answer.term) return;
    route.inflight.delete(answer.counter);
    if (!answer.isRepeat) {
      this.#finish(job, new EncodedReply(Buffer.from(answer.reply)), answer.index);
      return;
    }
    job.isRetry = true;
    if (route.term === answer.term) route.leader = 0;
    this.#holdAgain(job);
  }

  /** A node leads a group and serves. */
  leaderServes(group: GroupId, node: NodeId, term: Term): void {
    const route = this.#routes.get(group);
    if (route === undefined || term < route.term || (term === route.term && route.leader === node)) return;
    if (term > route.term) route.recallInflight(this.#host.clock.monotonicMs());
    route.leader = node;
    route.term = term;
    this.#drain(route);
  }

  /** This node has ceased to serve a group. */
  ceasedHere(group: GroupId): void {
    const route = this.route(group);
    if (route.leader === this.#host.node) route.leader = 0;
  }

  nodeLost(node: NodeId): void {
    for (const route of this.#routes.values()) {
      if (route.leader === node) route.leader = 0;
      route.recallInflight(this.#host.clock.monotonicMs(), node);
      if (route.held.length > 0) this.#lookAt(this.#host.clock.monotonicMs() + HELD_AGAIN_MS);
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Deadlines

  #lookAt(atMs: number): void {
    if (atMs >= this.#lookAtMs) return;
    this.#lookAtMs = atMs;
    this.#host.lookAt(atMs);
  }

  /** Sends what waits, and refuses what is past its deadline. Returns the monotonic moment of the next look (ms). */
  look(): number {
    const now = this.#host.clock.monotonicMs();
    this.#lookAtMs = Number.POSITIVE_INFINITY;
    for (const route of this.#routes.values()) {
      if (route.held.length > 0) {
        this.#drain(route);
        this.#refuseHeld(route, now);
      }
      if (route.inflight.size > 0) this.#refuseInflight(route, now);
      if (route.held.length > 0) this.#lookAt(now + HELD_AGAIN_MS);
      for (const job of route.inflight.values()) this.#lookAt(job.deadlineMs);
    }
    for (const [counter, pending] of this.#unblocks) {
      if (pending.untilMs > now) {
        this.#lookAt(pending.untilMs);
        continue;
      }
      this.#unblocks.delete(counter);
      pending.resolve(false);
    }
    return this.#lookAtMs;
  }

  #refuseHeld(route: Route, now: number): void {
    const late = (job: EntryJob): boolean =>
      job.deadlineMs <= now || now - job.heldSinceMs > this.#host.commandTimeoutMs;
    if (!route.held.some(late)) return;
    const refused = route.held.filter(late);
    route.held = route.held.filter((job) => !late(job));
    for (const job of refused) {
      const isUncertain = job.isRetry && job.mayWrite;
      this.#finish(
        job,
        isUncertain
          ? uncertain('the leader was lost before the outcome was known; the command may have been applied')
          : clusterDown(`partition ${route.group} has no leader; nothing was applied`),
        0,
      );
    }
  }

  #refuseInflight(route: Route, now: number): void {
    for (const job of route.inflight.values()) {
      if (job.deadlineMs > now) continue;
      route.inflight.delete(job.counter);
      this.#finish(
        job,
        job.mayWrite
          ? uncertain('the leader did not answer in time; the command may have been applied, or may still be')
          : tryAgain('the leader did not answer in time'),
        0,
      );
    }
  }
}

const ELSEWHERE = encodeReply(KEY_ELSEWHERE, 2);

/** A script came upon a key of another partition; nothing was applied. */
function isElsewhere(reply: Reply): boolean {
  if (reply instanceof EncodedReply) return reply.bytes.length === ELSEWHERE.length && ELSEWHERE.equals(reply.bytes);
  return reply === KEY_ELSEWHERE;
}

/** Keys of a call, one character a byte. Throws ReplyError if the arguments are malformed. */
function keysOf({ command, argv }: Call): readonly string[] {
  return keyIndices(command, argv).map((i) => mustExist(argv[i], `there is no argument ${i}`).toString('latin1'));
}
