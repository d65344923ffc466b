/**
 * Waits until every connected node has applied an index of a group: what was loaded (SCRIPT LOAD) or forgotten (SCRIPT
 * FLUSH) is then known wherever a client asks next. A node that is cut off, or stands still, does not hold it up for longer than
 * BARRIER_MS: until it has caught up it may run what was forgotten. Rejected: asking the leader of the group before each script
 * that is known; then no script runs while that group elects a leader.
 */
import { ByteReader } from '../base/bytes.ts';
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import type { TimerHandle, Timers } from '../base/platform.ts';
import type { Transport } from '../transport/transport.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';

/** The longest wait, in ms. */
const BARRIER_MS = 1_000;

export interface AppliedBarrierHost {
  readonly timers: Timers;
  readonly transport: Transport;
  readonly nodes: readonly NodeId[];
  /** Applied index of the group on this node; Infinity if it has no replica of it. */
  appliedIndexOf(group: GroupId): LogIndex;
  wake(): void;
}

interface Waiting {
  readonly group: GroupId;
  readonly index: LogIndex;
  readonly reached: () => void;
}

export class AppliedBarrier {
  readonly #host: AppliedBarrierHost;
  /** Queries of this node that are not answered, by number. */
  readonly #queries = new Map<number, () => void>();
  #lastQuery = 0;
  #waiting: Waiting[] = [];

  constructor(host: AppliedBarrierHost) {
    this.#host = host;
  }

  async wait(group: GroupId, index: LogIndex): Promise<void> {
    const { transport, nodes, timers } = this.#host;
    const here = new Promise<void>((resolve) => {
      this.#whenApplied({ group, index, reached: resolve });
    });
    const others = nodes.filter((node) => transport.isUp(node)).map((node) => this.#ask(node, group, index));
    let timer: TimerHandle | undefined;
    const late = new Promise<void>((resolve) => {
      timer = timers.after(BARRIER_MS, resolve);
    });
    await Promise.race([Promise.all([here, ...others]), late]);
    timer?.cancel();
  }

  #ask(node: NodeId, group: GroupId, index: LogIndex): Promise<void> {
    const writer = this.#host.transport.begin(node, MESSAGE_KINDS.appliedQuery, false);
    if (writer === null) return Promise.resolve();
    this.#lastQuery++;
    const query = this.#lastQuery;
    writer.u32(query);
    writer.u32(group);
    writer.u64(index);
    this.#host.transport.end(node);
    this.#host.wake();
    return new Promise<void>((resolve) => {
      this.#queries.set(query, resolve);
      this.#host.timers.after(BARRIER_MS, () => {
        this.#queries.delete(query);
      });
    });
  }

  queried(from: NodeId, payload: Buffer): void {
    const reader = new ByteReader(payload);
    const query = reader.u32();
    const group = reader.u32();
    this.#whenApplied({
      group,
      index: reader.u64(),
      reached: () => {
        const writer = this.#host.transport.begin(from, MESSAGE_KINDS.appliedAnswer, false);
        if (writer === null) return;
        writer.u32(query);
        this.#host.transport.end(from);
        this.#host.wake();
      },
    });
  }

  answered(payload: Buffer): void {
    const query = new ByteReader(payload).u32();
    this.#queries.get(query)?.();
    this.#queries.delete(query);
  }

  /** The group was applied further on this node. */
  applied(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) this.#whenApplied(one);
  }

  #whenApplied(waiting: Waiting): void {
    if (this.#host.appliedIndexOf(waiting.group) >= waiting.index) waiting.reached();
    else this.#waiting.push(waiting);
  }
}
