/**
 * When the appliers of a node hand batches to LevelDB: all that wait do so in the same turn, and the store makes one write of it.
 *
 * A write costs the same whether it carries one entry or a hundred (two changes of thread, a record in the write-ahead file), and with
 * many partitions each has few entries. So after a write there is a pause, of all appliers together, in which entries collect.
 */
import type { Clock, TimerHandle, Timers } from '../base/platform.ts';
import { APPLY_PAUSE_MS } from './limits.ts';

export class ApplyPace {
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** Monotonic ms at which the pause after the last batch ends. */
  #endMs = Number.NEGATIVE_INFINITY;
  /** At most one entry an applier. */
  readonly #waiting = new Set<() => void>();
  /** Set while somebody waits. */
  #timer: TimerHandle | null = null;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** A batch is in the store: the next pause begins. Those who wait already wait no longer for it. */
  pause(): void {
    this.#endMs = this.#clock.monotonicMs() + APPLY_PAUSE_MS;
  }

  /** Calls `pump` now, if the pause is over; else when it is, once, however often it was asked for. */
  soon(pump: () => void): void {
    const leftMs = this.#endMs - this.#clock.monotonicMs();
    if (leftMs <= 0) {
      pump();
      return;
    }
    this.#waiting.add(pump);
    this.#timer ??= this.#timers.after(leftMs, () => {
      this.#timer = null;
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const one of waiting) one();
    });
  }

  /** It waits no more. */
  leave(pump: () => void): void {
    if (!this.#waiting.delete(pump) || this.#waiting.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }
}
