/**
 * Partition time: the clock by which a partition's keys and locks expire.
 *
 * Problem: expiry must not be decided by wall clocks. They step, they differ between nodes, and a key that one leader
 * has shown as expired must not come back under the next.
 *
 * Idea: only the leader decides, on a reading that is anchored once, when it becomes leader, and from then on advances
 * with its monotonic clock. The anchor is the greatest of (a) the time in the last log entry, so time never falls over
 * what was decided, and (b) the time that the previous leader sent last plus the monotonic time since: a lower bound of
 * what that leader could have shown, so nothing expires earlier than it would have there. Only a node that has heard
 * from no leader since its own start anchors at its wall clock. A reading is drawn towards the wall clock by at most
 * SLEW_PER_MILLE, so a step of the wall clock cannot shorten a lock by more than that.
 *
 * Bound: between two leaders that heard of each other, expiry may come later by the silence of the network, never
 * earlier except by drift of the monotonic clocks.
 */
import type { Clock } from '../base/platform.ts';

/** The reading runs at most this much faster or slower than the monotonic clock, in thousandths. */
const SLEW_PER_MILLE = 1;

export class PartitionTime {
  readonly #clock: Clock;
  /** Reading at the monotonic instant `#anchorMonotonicMs`; moves only forward. */
  #anchorMs = 0;
  #anchorMonotonicMs = 0;
  /** Last reading handed out: the next one is never smaller. */
  #lastMs = 0;
  /** Highest time found in an applied or appended entry. */
  #loggedMs = 0;
  /** What a leader told last, and when; 0 = no leader heard since start. */
  #heardMs = 0;
  #heardMonotonicMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A leader's message carried its reading. */
  heard(leaderTimeMs: number): void {
    if (leaderTimeMs <= 0) return;
    const now = this.#clock.monotonicMs();
    const running = this.#heardMs === 0 ? 0 : this.#heardMs + (now - this.#heardMonotonicMs);
    if (leaderTimeMs >= running) {
      this.#heardMs = leaderTimeMs;
      this.#heardMonotonicMs = now;
    }
  }

  /** An entry with this time is in the log. */
  logged(timeMs: number): void {
    if (timeMs > this.#loggedMs) this.#loggedMs = timeMs;
  }

  /** Called when this node becomes leader. */
  anchor(): void {
    const now = this.#clock.monotonicMs();
    const continued =
      this.#heardMs === 0 ? Math.floor(this.#clock.wallMs()) : this.#heardMs + (now - this.#heardMonotonicMs);
    this.#anchorMs = Math.max(this.#loggedMs, this.#lastMs, continued);
    this.#anchorMonotonicMs = now;
  }

  /** The reading at the leader, in ms since 1970; whole, never falling. */
  now(): number {
    const monotonic = this.#clock.monotonicMs();
    const elapsed = monotonic - this.#anchorMonotonicMs;
    if (elapsed >= 1_000) {
      const reading = this.#anchorMs + elapsed;
      const slewMax = (elapsed * SLEW_PER_MILLE) / 1_000;
      const offset = this.#clock.wallMs() - reading;
      this.#anchorMs = reading + Math.max(-slewMax, Math.min(slewMax, offset));
      this.#anchorMonotonicMs = monotonic;
    }
    const reading = Math.floor(this.#anchorMs + (monotonic - this.#anchorMonotonicMs));
    if (reading > this.#lastMs) this.#lastMs = reading;
    return this.#lastMs;
  }
}
