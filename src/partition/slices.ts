/**
 * How much of a turn of the event loop evaluations may take. When a slice is used up, other nodes must hear of this one, and it of
 * them, before more is evaluated: what comes is deferred, in order, and nothing is evaluated before it.
 */
import type { Clock } from '../base/platform.ts';
import type { Job } from './job.ts';
import { PARKED_REQUESTS_MAX, SLICE_MS } from './limits.ts';

export class Slices {
  readonly #clock: Clock;
  #deferred: Job[] = [];
  /** Time that evaluations have taken in this slice, in ms, as far as they were measured. */
  #usedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What is evaluated now would come in front of what was deferred, or there is no time for it. */
  get isUsedUp(): boolean {
    return this.#deferred.length !== 0 || this.#usedMs >= SLICE_MS;
  }

  get jobs(): readonly Job[] {
    return this.#deferred;
  }

  /** Puts it behind what waits already; false if too much does. */
  defer(job: Job): boolean {
    if (this.#deferred.length >= PARKED_REQUESTS_MAX) return false;
    this.#deferred.push(job);
    return true;
  }

  /** An evaluation that began at this monotonic moment has ended. */
  spend(startedMs: number): void {
    this.#usedMs += this.#clock.monotonicMs() - startedMs;
  }

  /** The next slice begins: takes up what was deferred, as far as it lasts. */
  next(start: (job: Job) => void): void {
    this.#usedMs = 0;
    if (this.#deferred.length === 0) return;
    const startedMs = this.#clock.monotonicMs();
    do {
      const job = this.#deferred.shift() as Job;
      if (!job.isCancelled) start(job);
    } while (this.#deferred.length > 0 && this.#clock.monotonicMs() - startedMs < SLICE_MS);
    this.#usedMs = this.#clock.monotonicMs() - startedMs;
  }

  /** Takes out those that have waited for too long, in order. */
  remove(isLate: (job: Job) => boolean): readonly Job[] {
    if (!this.#deferred.some(isLate)) return [];
    const late = this.#deferred.filter(isLate);
    this.#deferred = this.#deferred.filter((job) => !isLate(job));
    return late;
  }

  clear(): readonly Job[] {
    return this.#deferred.splice(0);
  }
}
