/**
 * Time that passes only when a test says so. Callbacks run in the order of their times, and of their registration within
 * one time; everything that is due at one moment, and what it registers for the end of the turn, is one "turn".
 */
import type { Clock, TimerHandle, Timers } from '../../src/base/platform.ts';
import { drainPromises } from './stepping.ts';

interface Waiting {
  readonly atMs: number;
  readonly sequence: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

export class VirtualTime implements Clock, Timers {
  #nowMs = 0;
  #wallOffsetMs: number;
  #sequence = 0;
  /** Sorted by time, then by sequence. */
  readonly #waiting: Waiting[] = [];
  #endOfTurn: (() => void)[] = [];

  /** `wallMs` is what the wall clock shows at the beginning. */
  constructor(wallMs = 1_700_000_000_000) {
    this.#wallOffsetMs = wallMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  /** Steps the wall clock, as an administrator or NTP would. */
  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    const timer: Waiting = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      callback,
      isCancelled: false,
    };
    let position = this.#waiting.length;
    while (position > 0 && (this.#waiting[position - 1]?.atMs ?? 0) > timer.atMs) position--;
    this.#waiting.splice(position, 0, timer);
    return {
      cancel: () => {
        timer.isCancelled = true;
      },
    };
  }

  endOfTurn(callback: () => void): void {
    this.#endOfTurn.push(callback);
  }

  /** Timers that are set and not cancelled. */
  get size(): number {
    return this.#waiting.filter((timer) => !timer.isCancelled).length;
  }

  /** Runs what is due now, turn after turn, until nothing is; time does not pass. */
  async settle(): Promise<void> {
    for (let turns = 0; ; turns++) {
      if (turns > 1_000_000) throw new Error('the turns do not end');
      await drainPromises();
      if (!this.#runDue() && this.#endOfTurn.length === 0) return;
      const callbacks = this.#endOfTurn;
      this.#endOfTurn = [];
      for (const callback of callbacks) callback();
    }
  }

  /** Lets `ms` pass, settling at each moment at which something is due. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (;;) {
      const next = this.#waiting.find((timer) => !timer.isCancelled);
      if (next === undefined || next.atMs > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      await this.settle();
    }
    this.#nowMs = untilMs;
    await this.settle();
  }

  /** Passes time, in the steps of what is due, until the condition holds; throws past the bound. */
  async until(condition: () => boolean, withinMs = 60_000): Promise<void> {
    const untilMs = this.#nowMs + withinMs;
    await this.settle();
    while (!condition()) {
      const next = this.#waiting.find((timer) => !timer.isCancelled);
      if (next === undefined || next.atMs > untilMs)
        throw new Error(`the condition did not hold within ${withinMs} ms`);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      await this.settle();
    }
  }

  #runDue(): boolean {
    let hasRun = false;
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined || (next.atMs > this.#nowMs && !next.isCancelled)) return hasRun;
      this.#waiting.shift();
      if (next.isCancelled) continue;
      hasRun = true;
      next.callback();
    }
  }
}
