/**
 * Requests that wait: for a key to change (blocking commands, lock queues), for a long value to be loaded, or behind
 * such a request of the same strand.
 *
 * Waiters of a key are served first come first served: a waiter that is woken and has to wait again keeps its place, and one
 * that has waited at an earlier leader already takes the place that its time gives it.
 * Everything here is bounded by PARKED_REQUESTS_MAX.
 */
import { mustExist } from '../base/assert.ts';
import type { Space } from '../values/value.ts';
import type { Job } from './job.ts';
import { ALL_PARTS } from './key-locks.ts';

interface Waiter {
  readonly job: Job;
  readonly space: Space;
  readonly key: string;
  /** Partition time in ms. */
  deadlineMs: number;
}

export class Parked {
  readonly #byKey = new Map<string, Waiter[]>();
  readonly #byJob = new Map<Job, Waiter>();
  /** Jobs held behind a waiting one of their strand, in order. A strand is in here exactly while it is held. */
  readonly #strands = new Map<number, Job[]>();
  #heldCount = 0;

  get waiterCount(): number {
    return this.#byJob.size;
  }

  get count(): number {
    return this.#byJob.size + this.#heldCount;
  }

  /** How many wait for the key; of these, if `job` is one, those that came before it. */
  waitersBefore(job: Job | null, space: Space, key: string): number {
    const queue = this.#byKey.get(nameOf(space, key)) ?? [];
    const place = queue.findIndex((waiter) => waiter.job === job);
    return place === -1 ? queue.length : place;
  }

  hasWaiters(space: Space, key: string): boolean {
    return this.#byKey.has(nameOf(space, key));
  }

  isParked(job: Job): boolean {
    return this.#byJob.has(job);
  }

  /**
   * Parks the job at the end of the key's queue, or, if it waits there already, where it stands, or, if it has waited elsewhere,
   * before those that began to wait later.
   */
  park(job: Job, space: Space, key: string, deadlineMs: number): void {
    const present = this.#byJob.get(job);
    if (present !== undefined) {
      if (present.space === space && present.key === key) {
        present.deadlineMs = deadlineMs;
        return;
      }
      this.unpark(job);
    }
    const waiter: Waiter = { job, space, key, deadlineMs };
    this.#byJob.set(job, waiter);
    const name = nameOf(space, key);
    const queue = this.#byKey.get(name);
    if (queue === undefined) this.#byKey.set(name, [waiter]);
    else queue.splice(placeOf(job, queue), 0, waiter);
  }

  /** Takes the job out of its queue; false if it waits for no key. */
  unpark(job: Job): boolean {
    const waiter = this.#byJob.get(job);
    if (waiter === undefined) return false;
    this.#byJob.delete(job);
    const name = nameOf(waiter.space, waiter.key);
    const queue = mustExist(this.#byKey.get(name), 'a waiter stands in a queue');
    queue.splice(queue.indexOf(waiter), 1);
    if (queue.length === 0) this.#byKey.delete(name);
    return true;
  }

  /** Jobs waiting for the key, first come first. */
  jobsOf(space: Space, key: string): readonly Job[] {
    return (this.#byKey.get(nameOf(space, key)) ?? []).map((waiter) => waiter.job);
  }

  /** Somebody who came before `job`, if it waits at all, waits until no transaction is prepared. */
  isAllAwaitedBefore(job: Job | null): boolean {
    for (const waiter of this.#byKey.get(nameOf(ALL_PARTS.space, ALL_PARTS.key)) ?? []) {
      if (waiter.job === job) return false;
      if (waiter.job.waitsForAll) return true;
    }
    return false;
  }

  /** Jobs whose deadline has come, in the order of their queues. */
  due(nowMs: number): readonly Job[] {
    const due: Job[] = [];
    for (const waiter of this.#byJob.values()) if (waiter.deadlineMs <= nowMs) due.push(waiter.job);
    return due;
  }

  /** Partition time of the earliest deadline; Infinity if nobody waits. */
  nextDeadlineMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const waiter of this.#byJob.values()) if (waiter.deadlineMs < next) next = waiter.deadlineMs;
    return next;
  }

  isHeld(strand: number): boolean {
    return this.#strands.has(strand);
  }

  hold(strand: number): void {
    if (!this.#strands.has(strand)) this.#strands.set(strand, []);
  }

  enqueueBehind(job: Job): void {
    mustExist(this.#strands.get(job.strand), 'only a held strand has a queue').push(job);
    this.#heldCount++;
  }

  /** Lets the strand go and returns what was held behind, in order. */
  releaseStrand(strand: number): readonly Job[] {
    const held = this.#strands.get(strand) ?? [];
    this.#strands.delete(strand);
    this.#heldCount -= held.length;
    return held;
  }

  /** Everything that waits, in no particular order; nothing waits afterwards. */
  clear(): readonly Job[] {
    const jobs = [...this.#byJob.keys()];
    for (const held of this.#strands.values()) jobs.push(...held);
    this.#byKey.clear();
    this.#byJob.clear();
    this.#strands.clear();
    this.#heldCount = 0;
    return jobs;
  }
}

function placeOf(job: Job, queue: readonly Waiter[]): number {
  let place = queue.length;
  if (job.waitedMs > 0) while (place > 0 && (queue[place - 1] as Waiter).job.firstRunMs > job.firstRunMs) place--;
  return place;
}

function nameOf(space: Space, key: string): string {
  return `${space}:${key}`;
}
