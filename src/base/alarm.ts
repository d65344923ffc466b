/**
 * One timer for many deadlines: it rings at the earliest moment that anybody has asked for, and whoever is rung looks at
 * everything that may be due and asks for the next moment.
 *
 * So what waits for nothing costs nothing, and thousands of deadlines cost one timer. Rings are at least `gapMs` apart: what
 * falls due one by one is looked at together. A ring may come although what it was asked for is long done.
 *
 * Hot path: `at` runs for requests; while an earlier ring is due it is one comparison.
 */
import type { Clock, TimerHandle, Timers } from './platform.ts';

export class Alarm {
  readonly #platform: { readonly clock: Clock; readonly timers: Timers };
  readonly #gapMs: number;
  readonly #ring: () => void;
  #timer: TimerHandle | null = null;
  /** Monotonic ms of the next ring; Infinity while none is asked for. */
  #atMs = Number.POSITIVE_INFINITY;
  #lastRingMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  /** `ring` is called from a timer, never from within `at`. */
  constructor(
    platform: { readonly clock: Clock; readonly timers: Timers },
    options: { readonly gapMs: number; readonly ring: () => void },
  ) {
    this.#platform = platform;
    this.#gapMs = options.gapMs;
    this.#ring = options.ring;
  }

  /** Asks for a ring at this monotonic moment or, if that has passed, as soon as the gap allows. Infinity asks for nothing. */
  at(atMs: number): void {
    if (atMs >= this.#atMs || this.#isClosed) return;
    const { clock, timers } = this.#platform;
    const earliestMs = this.#lastRingMs + this.#gapMs;
    // What the gap holds back is due at the same moment as what was asked for before.
    if (this.#atMs <= earliestMs) return;
    this.#timer?.cancel();
    this.#atMs = Math.max(atMs, earliestMs);
    this.#timer = timers.after(Math.max(0, Math.ceil(this.#atMs - clock.monotonicMs())), this.#rings);
  }

  readonly #rings = (): void => {
    if (this.#isClosed) return;
    this.#timer = null;
    this.#atMs = Number.POSITIVE_INFINITY;
    this.#lastRingMs = this.#platform.clock.monotonicMs();
    this.#ring();
  };

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }
}
