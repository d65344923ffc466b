/**
 * Requests that other nodes send to partitions led here: evaluates them as if they had entered here, and sends the
 * answers back over the link.
 */
import type { GroupId, LogIndex, NodeId, Term } from '../base/ids.ts';
import type { DataCommand } from '../commands/define.ts';
import { Job, type JobOwner } from '../partition/job.ts';
import type { Replica } from '../partition/replica.ts';
import { encodeReply } from '../resp/encode.ts';
import type { Reply } from '../resp/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';
import { type DecodedUnblock, readRequest, writeAnswer, writeUnblockAnswer } from './request-codec.ts';

const NO_BYTES = new Uint8Array(0);
/** Strands of other nodes are kept apart from each other and from those of this node. */
const STRANDS_PER_NODE = 2 ** 32;

class RemoteJob extends Job {
  readonly group: GroupId;
  readonly term: Term;

  constructor(fields: ConstructorParameters<typeof Job>[0], route: { readonly group: GroupId; readonly term: Term }) {
    super(fields);
    this.group = route.group;
    this.term = route.term;
  }
}

export interface ForwarderHost {
  readonly transport: Transport;
  /** Boot of a connected node: part of the ids of its requests. */
  bootEpochOf(node: NodeId): number;
  replicaOf(group: GroupId): Replica | undefined;
  commandOf(name: string): DataCommand | undefined;
  nowMs(): number;
  /** Answers are waiting: to be flushed at the end of the turn. */
  wake(): void;
  /** Makes sure that a script is known here; false if it is by now. */
  mustFetchScript(job: Job, then: () => void): boolean;
}

export class Forwarder implements JobOwner {
  readonly #host: ForwarderHost;
  /** Requests under way, by entry node and count. */
  readonly #jobs = new Map<NodeId, Map<number, RemoteJob>>();

  constructor(host: ForwarderHost) {
    this.#host = host;
  }

  /** A request arrived. Throws a coded error if it is malformed: the link is then closed. */
  received(from: NodeId, payload: Buffer): void {
    const request = readRequest(payload, (name) => this.#host.commandOf(name));
    const { group, term, counter } = request;
    const job = new RemoteJob(
      {
        owner: this,
        call: request.call,
        transaction: request.transaction,
        protocol: request.protocol,
        deadlineMs: this.#host.nowMs() + request.remainingMs,
        strand: from * STRANDS_PER_NODE + request.strand,
        node: from,
        epoch: this.#host.bootEpochOf(from),
        counter,
      },
      { group, term },
    );
    job.isRetry = request.isRetry;
    job.isUnblocked = request.isUnblocked;
    job.isNoTouch = request.isNoTouch;
    job.waitedMs = request.waitedMs;
    this.#jobsOf(from).set(counter, job);
    if (
      !this.#host.mustFetchScript(job, () => {
        this.#submit(job);
      })
    ) {
      this.#submit(job);
    }
  }

  #submit(job: RemoteJob): void {
    if (job.isCancelled) return;
    const replica = this.#host.replicaOf(job.group);
    if (replica === undefined || !replica.isServing || replica.term !== job.term) this.retry(job);
    else replica.submit(job);
  }

  cancelled(from: NodeId, counter: number): void {
    const job = this.#jobs.get(from)?.get(counter);
    if (job === undefined) return;
    this.#jobs.get(from)?.delete(counter);
    this.#cancel(job);
  }

  /** CLIENT UNBLOCK at the entry node. The answer to the request itself leaves before this one, or after a retry. */
  unblock(from: NodeId, { counter, how }: DecodedUnblock): void {
    const job = this.#jobs.get(from)?.get(counter);
    const wasWaiting = job !== undefined && (this.#host.replicaOf(job.group)?.unblock(job, how) ?? false);
    const writer = this.#host.transport.begin(from, MESSAGE_KINDS.unblockAnswer, false);
    if (writer === null) return;
    writeUnblockAnswer(writer, { counter, wasWaiting });
    this.#host.transport.end(from);
    this.#host.wake();
  }

  /** The link to the node is gone: nobody there waits for these answers under this link any more. */
  nodeLost(node: NodeId): void {
    const jobs = this.#jobs.get(node);
    this.#jobs.delete(node);
    for (const job of jobs?.values() ?? []) this.#cancel(job);
  }

  #cancel(job: RemoteJob): void {
    job.isCancelled = true;
    this.#host.replicaOf(job.group)?.cancel(job);
  }

  // -------------------------------------------------------------------------------------------------------------
  // JobOwner

  complete(job: Job, reply: Reply, index: LogIndex): void {
    if (job instanceof RemoteJob) this.#answer(job, encodeReply(reply, job.protocol), { index, isRepeat: false });
  }

  retry(job: Job): void {
    if (job instanceof RemoteJob) this.#answer(job, NO_BYTES, { index: 0, isRepeat: true });
  }

  #answer(job: RemoteJob, reply: Uint8Array, outcome: { readonly index: LogIndex; readonly isRepeat: boolean }): void {
    const jobs = this.#jobs.get(job.node);
    // After a broken link the same request may be here again, as another job.
    if (jobs?.get(job.counter) === job) jobs.delete(job.counter);
    if (job.isCancelled) return;
    const { transport } = this.#host;
    const writer = transport.begin(job.node, MESSAGE_KINDS.answer, false);
    if (writer === null) return;
    const { counter, group, term } = job;
    writeAnswer(writer, { counter, group, term, reply, ...outcome });
    transport.end(job.node);
    this.#host.wake();
  }

  #jobsOf(node: NodeId): Map<number, RemoteJob> {
    const present = this.#jobs.get(node);
    if (present !== undefined) return present;
    const jobs = new Map<number, RemoteJob>();
    this.#jobs.set(node, jobs);
    return jobs;
  }
}
