/**
 * Resident keys by the time at which they expire: a binary heap with one node a key at most.
 *
 * A key whose expiry moves later keeps its node; it is scheduled again when that node comes up. So SET with a new expiry
 * over and over costs nothing here.
 */
import type { Space } from '../values/value.ts';
import type { ResidentKey } from './resident.ts';

/** Keys looked at for an average; a few more are. */
const TTL_SAMPLES = 1_000;

export class ExpiryHeap {
  /** False for a key that has left memory, or that a flush took: then it is in memory no more, or another object is. */
  readonly #isResident: (resident: ResidentKey) => boolean;
  #heap: ResidentKey[] = [];
  #times: number[] = [];
  /** Keys whose time came while a transaction held them. */
  #held: ResidentKey[] = [];

  constructor(isResident: (resident: ResidentKey) => boolean) {
    this.#isResident = isResident;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Earliest scheduled time, or Infinity. */
  get nextMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  add(resident: ResidentKey): void {
    resident.scheduledAtMs = resident.expiresAtMs;
    this.#heap.push(resident);
    this.#times.push(resident.expiresAtMs);
    this.#up(this.#heap.length - 1);
  }

  /** Takes out one key that is due and still expires then; undefined if there is none. */
  takeDue(nowMs: number): ResidentKey | undefined {
    while (this.#heap.length > 0 && (this.#times[0] ?? 0) <= nowMs) {
      const scheduledMs = this.#times[0] ?? 0;
      const resident = this.#pop();
      // A second node of a key that was scheduled earlier later on.
      if (resident.scheduledAtMs !== scheduledMs) continue;
      resident.scheduledAtMs = 0;
      if (resident.value === undefined || resident.expiresAtMs === 0 || !this.#isResident(resident)) continue;
      if (resident.expiresAtMs <= nowMs) return resident;
      this.add(resident);
    }
    return undefined;
  }

  /** The key is due, and a transaction holds it: it comes up again once something was let go. */
  hold(resident: ResidentKey): void {
    this.#held.push(resident);
  }

  /** False if nothing was held. */
  takeUpHeld(): boolean {
    if (this.#held.length === 0) return false;
    const held = this.#held;
    this.#held = [];
    for (const resident of held) if (resident.expiresAtMs !== 0 && this.#isResident(resident)) this.add(resident);
    return true;
  }

  clear(): void {
    this.#heap = [];
    this.#times = [];
    this.#held = [];
  }

  /** Forgets nodes of keys that are gone, once they are the majority. */
  compact(residentCount: number): void {
    if (this.#heap.length < 1_024 || this.#heap.length < residentCount * 2) return;
    const live = this.#heap.filter(
      (resident, i) => resident.scheduledAtMs === this.#times[i] && this.#isResident(resident),
    );
    this.#heap = [];
    this.#times = [];
    for (const resident of live) {
      if (resident.expiresAtMs === 0) resident.scheduledAtMs = 0;
      else this.add(resident);
    }
  }

  /** How long keys of a space have left on average, in ms, by an even sample; 0 if it holds none. */
  averageTtlMs(space: Space, nowMs: number): number {
    const step = Math.max(1, Math.floor(this.#heap.length / TTL_SAMPLES));
    let sum = 0;
    let count = 0;
    for (let i = 0; i < this.#heap.length; i += step) {
      const resident = this.#heap[i] as ResidentKey;
      if (resident.space !== space || resident.expiresAtMs <= nowMs || !this.#isResident(resident)) continue;
      sum += resident.expiresAtMs - nowMs;
      count++;
    }
    return count === 0 ? 0 : Math.round(sum / count);
  }

  #pop(): ResidentKey {
    const top = this.#heap[0] as ResidentKey;
    const last = this.#heap.pop() as ResidentKey;
    const lastTime = this.#times.pop() ?? 0;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#times[0] = lastTime;
      this.#down(0);
    }
    return top;
  }

  #up(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#times[parent] ?? 0) <= (this.#times[at] ?? 0)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(start: number): void {
    let at = start;
    for (;;) {
      const left = at * 2 + 1;
      let least = at;
      if (left < this.#heap.length && (this.#times[left] ?? 0) < (this.#times[least] ?? 0)) least = left;
      if (left + 1 < this.#heap.length && (this.#times[left + 1] ?? 0) < (this.#times[least] ?? 0)) least = left + 1;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const resident = this.#heap[a] as ResidentKey;
    const time = this.#times[a] ?? 0;
    this.#heap[a] = this.#heap[b] as ResidentKey;
    this.#times[a] = this.#times[b] ?? 0;
    this.#heap[b] = resident;
    this.#times[b] = time;
  }
}
