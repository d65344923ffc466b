/**
 * WAIT and WAITAOF: how many voters besides the leader have fsynced an index of a partition's log. The leader knows; an
 * entry node asks it.
 */
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import type { Clock, TimerHandle, Timers } from '../base/platform.ts';
import { ByteReader } from '../base/bytes.ts';
import type { Replica } from '../partition/replica.ts';
import type { Transport } from '../transport/transport.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';

/** Pause between two looks at the followers' progress, in ms. */
const LOOK_MS = 5;
/** WAIT 0 waits without end: it is asked again after this long, in ms. */
const QUERY_MS = 1_000;

interface Waiter {
  readonly group: GroupId;
  readonly index: LogIndex;
  readonly count: number;
  readonly deadlineMs: number;
  readonly done: (count: number) => void;
}

export interface ReplicaWaitHost {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly node: NodeId;
  readonly transport: Transport;
  replicaOf(group: GroupId): Replica | undefined;
  leaderOf(group: GroupId): NodeId;
  wake(): void;
}

export class ReplicaWait {
  readonly #host: ReplicaWaitHost;
  /** Waiting at this node, which leads or led. */
  #waiters: Waiter[] = [];
  /** Asked of other nodes. */
  readonly #queries = new Map<number, (count: number) => void>();
  #lastQuery = 0;
  #timer: TimerHandle | null = null;
  #isClosed = false;

  constructor(host: ReplicaWaitHost) {
    this.#host = host;
  }

  /** Resolves with the number of voters, when `count` is reached or the time is over; `timeoutMs` 0 waits without end. */
  async wait(
    group: GroupId,
    index: LogIndex,
    want: { readonly count: number; readonly timeoutMs: number },
  ): Promise<number> {
    const deadlineMs =
      want.timeoutMs === 0 ? Number.POSITIVE_INFINITY : this.#host.clock.monotonicMs() + want.timeoutMs;
    let best = 0;
    for (;;) {
      const remaining = deadlineMs - this.#host.clock.monotonicMs();
      const roundMs = Math.max(0, Math.min(remaining, QUERY_MS));
      best = Math.max(best, await this.#ask(group, index, { count: want.count, timeoutMs: roundMs }));
      if (best >= want.count || remaining <= QUERY_MS || this.#isClosed) return best;
    }
  }

  #ask(group: GroupId, index: LogIndex, want: { readonly count: number; readonly timeoutMs: number }): Promise<number> {
    return new Promise<number>((resolve) => {
      const leader = this.#host.leaderOf(group);
      if (leader === this.#host.node || leader === 0) {
        this.#add({
          group,
          index,
          count: want.count,
          deadlineMs: this.#host.clock.monotonicMs() + want.timeoutMs,
          done: resolve,
        });
        return;
      }
      this.#lastQuery++;
      const query = this.#lastQuery;
      const writer = this.#host.transport.begin(leader, MESSAGE_KINDS.waitQuery, false);
      if (writer !== null) {
        writer.u32(query);
        writer.u32(group);
        writer.u64(index);
        writer.u32(Math.min(want.count, 1_000));
        writer.u32(Math.ceil(want.timeoutMs));
        this.#host.transport.end(leader);
        this.#host.wake();
        this.#queries.set(query, resolve);
      }
      // The answer may never come; twice the time is long enough to know. Without a link there is none to wait for.
      const giveUpMs = writer === null ? want.timeoutMs : want.timeoutMs * 2 + QUERY_MS;
      this.#host.timers.after(giveUpMs, () => {
        this.#queries.delete(query);
        resolve(0);
      });
    });
  }

  queried(from: NodeId, payload: Buffer): void {
    const reader = new ByteReader(payload);
    const query = reader.u32();
    const group = reader.u32();
    const index = reader.u64();
    const count = reader.u32();
    const deadlineMs = this.#host.clock.monotonicMs() + Math.min(reader.u32(), QUERY_MS);
    const done = (reached: number): void => {
      const writer = this.#host.transport.begin(from, MESSAGE_KINDS.waitAnswer, false);
      if (writer === null) return;
      writer.u32(query);
      writer.u32(reached);
      this.#host.transport.end(from);
      this.#host.wake();
    };
    this.#add({ group, index, count, deadlineMs, done });
  }

  answered(payload: Buffer): void {
    const reader = new ByteReader(payload);
    const query = reader.u32();
    this.#queries.get(query)?.(reader.u32());
    this.#queries.delete(query);
  }

  #add(waiter: Waiter): void {
    this.#waiters.push(waiter);
    this.#look();
  }

  #look(): void {
    const now = this.#host.clock.monotonicMs();
    this.#waiters = this.#waiters.filter((waiter) => {
      const reached = this.#reached(waiter);
      if (reached < waiter.count && waiter.deadlineMs > now) return true;
      waiter.done(reached);
      return false;
    });
    if (this.#waiters.length === 0 || this.#timer !== null) return;
    this.#timer = this.#host.timers.after(LOOK_MS, () => {
      this.#timer = null;
      this.#look();
    });
  }

  #reached(waiter: Waiter): number {
    const core = this.#host.replicaOf(waiter.group)?.core;
    if (core === undefined) return 0;
    const { voters } = core.confState;
    return core.followers().filter(({ id, match }) => voters.includes(id) && match >= waiter.index).length;
  }

  /** Who waits gets what is reached by now. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const waiter of this.#waiters) waiter.done(this.#reached(waiter));
    this.#waiters = [];
    for (const resolve of this.#queries.values()) resolve(0);
    this.#queries.clear();
  }
}
