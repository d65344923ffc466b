/** What the server does every second whatever clients do. */
import type { TimerHandle } from '../base/platform.ts';
import type { ServerContext } from './context.ts';
import { HOUSEKEEPING_INTERVAL_MS } from './limits.ts';
import { memoryReport } from './memory-report.ts';

export class Housekeeping {
  readonly #context: ServerContext;
  #timer: TimerHandle | null = null;

  constructor(context: ServerContext) {
    this.#context = context;
  }

  start(): void {
    this.#timer = this.#context.platform.timers.after(HOUSEKEEPING_INTERVAL_MS, () => {
      this.#run();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #run(): void {
    const { clients, platform, stats } = this.#context;
    const nowMs = platform.clock.monotonicMs();
    stats.sample(nowMs);
    clients.sweep(nowMs);
    memoryReport(this.#context);
  }
}
