/**
 * The latency monitor (latency.c of Redis): spikes of named events that took at least `latency-monitor-threshold` ms.
 * One sample a second and event; the worse of two in one second is kept.
 */
import { LATENCY_SAMPLES_MAX } from './limits.ts';

export interface LatencySample {
  readonly wallSeconds: number;
  readonly latencyMs: number;
}

export interface LatencyEvent {
  readonly name: string;
  /** Oldest first. */
  readonly samples: readonly LatencySample[];
  readonly maxMs: number;
}

interface Series {
  samples: LatencySample[];
  maxMs: number;
}

export class LatencyMonitor {
  readonly #series = new Map<string, Series>();

  /** The caller has checked the threshold. */
  record(event: string, latencyMs: number, wallSeconds: number): void {
    let series = this.#series.get(event);
    if (series === undefined) {
      series = { samples: [], maxMs: 0 };
      this.#series.set(event, series);
    }
    const rounded = Math.round(latencyMs);
    series.maxMs = Math.max(series.maxMs, rounded);
    const last = series.samples.at(-1);
    if (last !== undefined && last.wallSeconds === wallSeconds) {
      if (rounded > last.latencyMs) series.samples[series.samples.length - 1] = { wallSeconds, latencyMs: rounded };
      return;
    }
    series.samples.push({ wallSeconds, latencyMs: rounded });
    if (series.samples.length > LATENCY_SAMPLES_MAX) series.samples.shift();
  }

  events(): LatencyEvent[] {
    return [...this.#series].map(([name, series]) => ({ name, samples: series.samples, maxMs: series.maxMs }));
  }

  event(name: string): LatencyEvent | undefined {
    const series = this.#series.get(name);
    return series === undefined ? undefined : { name, samples: series.samples, maxMs: series.maxMs };
  }

  /** Number of events that were forgotten; without names all are. */
  reset(names: readonly string[]): number {
    if (names.length === 0) {
      const count = this.#series.size;
      this.#series.clear();
      return count;
    }
    let count = 0;
    for (const name of names) if (this.#series.delete(name)) count++;
    return count;
  }
}
