/**
 * Answers that wait until leadership is confirmed and until what they observed has committed.
 *
 * All reads that arrive while a round is under way share the next one, so that a busy leader sends few rounds for many
 * reads (thesis §6.4). With a lease, a read that finds it valid after its
 * evaluation needs no round (thesis §6.4.1).
 */
import type { LogIndex } from '../base/ids.ts';
import type { Job } from './job.ts';

const ROUNDS_IN_FLIGHT_MAX = 1;

interface Round {
  readonly context: number;
  readonly startedMs: number;
  readonly jobs: Job[];
}

export class ReadRounds {
  #waiting: Job[] = [];
  #rounds: Round[] = [];
  /** Confirmed, but a change that they observed has not committed. */
  #observing: Job[] = [];
  #lastContext = 0;

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#rounds.length === 0 && this.#observing.length === 0;
  }

  /** True if a read waits for a round that has not started. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  add(job: Job): void {
    this.#waiting.push(job);
  }

  /** The job needs no round, only the commit of what it observed. */
  addConfirmed(job: Job): void {
    this.#observing.push(job);
  }

  /** Context of a round to start now, or 0. `force` starts one even if no read waits (lease renewal). */
  startRound(nowMs: number, force: boolean): number {
    if (this.#waiting.length === 0 && !force) return 0;
    if (this.#rounds.length >= ROUNDS_IN_FLIGHT_MAX) return 0;
    this.#lastContext++;
    this.#rounds.push({ context: this.#lastContext, startedMs: nowMs, jobs: this.#waiting });
    this.#waiting = [];
    return this.#lastContext;
  }

  /** The round and all before it are confirmed. Returns when the latest of them started, or -1 if it is unknown. */
  confirm(context: number): number {
    let startedMs = -1;
    while (this.#rounds.length > 0 && (this.#rounds[0] as Round).context <= context) {
      const round = this.#rounds.shift() as Round;
      startedMs = round.startedMs;
      for (const job of round.jobs) this.#observing.push(job);
    }
    return startedMs;
  }

  /** Hands out the jobs whose observations have committed, in order of confirmation. */
  release(commitIndex: LogIndex, complete: (job: Job) => void): void {
    if (this.#observing.length === 0) return;
    const jobs = this.#observing;
    this.#observing = [];
    for (const job of jobs) {
      if (job.observedIndex <= commitIndex) complete(job);
      else this.#observing.push(job);
    }
  }

  /** Monotonic ms of the earliest deadline; Infinity if nothing waits. */
  nextDeadlineMs(): number {
    let next = Number.POSITIVE_INFINITY;
    const consider = (jobs: readonly Job[]): void => {
      for (const job of jobs) if (job.deadlineMs < next) next = job.deadlineMs;
    };
    consider(this.#waiting);
    consider(this.#observing);
    for (const round of this.#rounds) consider(round.jobs);
    return next;
  }

  /** Takes out the jobs that `isDue` names. */
  remove(isDue: (job: Job) => boolean): readonly Job[] {
    const removed: Job[] = [];
    const keep = (job: Job): boolean => {
      if (!isDue(job)) return true;
      removed.push(job);
      return false;
    };
    this.#waiting = this.#waiting.filter(keep);
    this.#observing = this.#observing.filter(keep);
    for (const round of this.#rounds) {
      const kept = round.jobs.filter(keep);
      round.jobs.splice(0, round.jobs.length, ...kept);
    }
    return removed;
  }

  clear(): readonly Job[] {
    const jobs = [...this.#observing, ...this.#rounds.flatMap((round) => round.jobs), ...this.#waiting];
    this.#waiting = [];
    this.#rounds = [];
    this.#observing = [];
    return jobs;
  }
}
