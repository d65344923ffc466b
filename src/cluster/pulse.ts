/**
 * Notices that the other end of a connection is gone without a word (its power failed, the network swallows everything):
 * both ends say something now and then, and whoever hears nothing for too long closes the connection. Links have this of
 * their own; this is for the connections of snapshots.
 */
import type { Clock, TimerHandle, Timers } from '../base/platform.ts';
import type { Channel } from '../transport/channel.ts';
import { KEEP_ALIVE_KIND } from '../transport/frames.ts';
import { KEEP_ALIVE_MS, SILENCE_MAX_MS } from '../transport/limits.ts';

export class Pulse {
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #timers: Timers;
  #heardMs: number;
  #isDeaf = false;
  #timer: TimerHandle | null = null;

  /** Beats until the channel is closed, or until `stop`. */
  constructor(channel: Channel, platform: { readonly clock: Clock; readonly timers: Timers }) {
    this.#channel = channel;
    this.#clock = platform.clock;
    this.#timers = platform.timers;
    this.#heardMs = platform.clock.monotonicMs();
    this.#beat();
  }

  /** Something arrived. */
  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
  }

  /** While nothing is read on purpose, silence means nothing. */
  set isDeaf(value: boolean) {
    this.#isDeaf = value;
    this.heard();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #beat(): void {
    this.#timer = this.#timers.after(KEEP_ALIVE_MS, () => {
      const channel = this.#channel;
      if (channel.isClosed) return;
      if (!this.#isDeaf && this.#clock.monotonicMs() - this.#heardMs > SILENCE_MAX_MS) {
        channel.close();
        return;
      }
      channel.begin(KEEP_ALIVE_KIND);
      channel.end();
      channel.flush();
      this.#beat();
    });
  }
}
