/** Notes when this process did not run for longer than any node may be silent: a machine that was suspended, or far too busy. */
import { pause } from '../harness/wait.ts';
import type { Timeline } from './timeline.ts';

const BEAT_MS = 50;
/** Lateness of a beat that is no matter of scheduling any more. */
const STALL_MIN_MS = 1_000;

export class StallWatch {
  readonly #timeline: Timeline;
  #isStopped = false;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** Until `stop`. */
  async follow(): Promise<void> {
    while (!this.#isStopped) {
      const startMs = this.#timeline.nowMs();
      await pause(BEAT_MS);
      const endMs = this.#timeline.nowMs();
      if (endMs - startMs > BEAT_MS + STALL_MIN_MS) this.#timeline.stalls.push({ startMs, endMs });
    }
  }

  stop(): void {
    this.#isStopped = true;
  }
}
