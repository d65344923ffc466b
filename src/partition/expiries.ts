/**
 * Keys that expire, at a partition's leader: their deletion is logged when somebody has seen that they are gone, or soon after their
 * time has come if nobody asks.
 *
 * Invariant: what is deleted here is in memory. So nothing is read outside of an evaluation, where neither a value that is too
 * long nor damage could be dealt with. A key that has left memory meanwhile is the sweep's (sweeper.ts); one that a
 * flush took is gone already, although it may still be in the heap.
 */
import type { Space } from '../values/value.ts';
import type { EvaluationView } from './evaluation-view.ts';
import { ExpiryHeap } from './expiry-heap.ts';
import { EXPIRY_KEYS_PER_CYCLE_MAX } from './limits.ts';
import type { ResidentKey } from './resident.ts';

/** What it needs of the tenure whose keys these are. */
export interface ExpiriesHost {
  readonly view: EvaluationView;
  /** Begins an evaluation of nobody's request. */
  begin(): void;
  /** Its changes stay. */
  keepChanges(): void;
}

export class Expiries {
  readonly #host: ExpiriesHost;
  readonly #heap: ExpiryHeap;

  constructor(host: ExpiriesHost) {
    this.#host = host;
    const { residents } = host.view;
    this.#heap = new ExpiryHeap((resident) => residents.get(resident.space, resident.key) === resident);
  }

  /** Earliest time at which a key may expire, on the partition's clock; Infinity if none does. */
  get nextMs(): number {
    return this.#heap.nextMs;
  }

  /** The key was given an expiry earlier than it is scheduled for. */
  schedule(resident: ResidentKey): void {
    this.#heap.add(resident);
  }

  /** Something was let go: keys that were held may be deleted. False if none were. */
  takeUpHeld(): boolean {
    return this.#heap.takeUpHeld();
  }

  /** A command that failed within EXEC or a script was undone, and with it the deletion of keys that it found expired. */
  deleteAgain(): void {
    const { view } = this.#host;
    view.countsLookups = false;
    this.#deleteEach([...view.expired]);
  }

  /**
   * The evaluation failed and was undone, but it has seen keys that expired: their deletion is logged before the error leaves, so
   * that no later leader shows them again. False if it has seen none.
   */
  deleteSeen(): boolean {
    const { view } = this.#host;
    const { expired, part } = view;
    if (expired.length === 0) return false;
    view.expired = [];
    this.#host.begin();
    view.part = part;
    this.#deleteEach(expired);
    if (view.hasChanged) this.#host.keepChanges();
    return true;
  }

  #deleteEach(expired: EvaluationView['expired']): void {
    const { view } = this.#host;
    for (const { space, key } of expired) if (view.residents.get(space, key) !== undefined) view.peek(space, key);
  }

  /** Deletes keys whose time has come although nobody asks for them. */
  deleteDue(): void {
    const { view } = this.#host;
    this.#host.begin();
    for (let count = 0; count < EXPIRY_KEYS_PER_CYCLE_MAX; count++) {
      const resident = this.#heap.takeDue(view.nowMs);
      if (resident === undefined) break;
      if (resident.lock?.admits(null, true) === false) this.#heap.hold(resident);
      else view.peek(resident.space, resident.key);
    }
    if (view.hasChanged) this.#host.keepChanges();
  }

  /** How long keys of a space have left on average, in ms, by an even sample of those in memory. */
  averageTtlMs(space: Space, nowMs: number): number {
    return this.#heap.averageTtlMs(space, nowMs);
  }

  /** Forgets keys that have left memory, once they are the most. */
  compact(residentCount: number): void {
    this.#heap.compact(residentCount);
  }

  clear(): void {
    this.#heap.clear();
  }
}
