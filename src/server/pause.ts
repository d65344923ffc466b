/** CLIENT PAUSE: until a moment, no client's command runs ('all'), or none that may write ('write'). */
import type { Clock, TimerHandle, Timers } from '../base/platform.ts';

export class Pause {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #onEnd: () => void;
  #mode: 'none' | 'write' | 'all' = 'none';
  #untilMs = 0;
  #timer: TimerHandle | null = null;

  /** `onEnd` is called whenever a pause ends, by time or by `end`. */
  constructor(clock: Clock, timers: Timers, onEnd: () => void) {
    this.#clock = clock;
    this.#timers = timers;
    this.#onEnd = onEnd;
  }

  get mode(): 'none' | 'write' | 'all' {
    return this.#mode;
  }

  /** A running pause is never shortened, and 'all' is not weakened to 'write' (networking.c pauseClients). */
  begin(mode: 'write' | 'all', durationMs: number): void {
    const untilMs = this.#clock.monotonicMs() + durationMs;
    if (this.#mode === 'none' || mode === 'all') this.#mode = mode;
    if (untilMs <= this.#untilMs) return;
    this.#untilMs = untilMs;
    this.#timer?.cancel();
    this.#timer = this.#timers.after(durationMs, () => {
      this.end();
    });
  }

  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#mode === 'none') return;
    this.#mode = 'none';
    this.#untilMs = 0;
    this.#onEnd();
  }
}
