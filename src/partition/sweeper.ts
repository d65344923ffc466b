/**
 * Finds what nobody asks for: records that a FLUSH left behind, and keys that expired while they were not in memory.
 *
 * A flush is O(1): it moves the time at or before which records of a space are dead. A key that is not resident has no
 * place in the expiry heap. Both are invisible at once; the sweep gives their space back. The leader walks the partition
 * slowly, a few hundred records a step, and deletes through the log like any other change, so replicas stay equal.
 */
import type { DataStore, RecordRange } from '../storage/data/types.ts';
import { keyRecordOf, type ScannedRecord, startAfter } from './record-reader.ts';

/** Records looked at in one step. */
const RECORDS_PER_STEP = 500;
const BYTES_PER_STEP = 1024 * 1024;
/** Pause between two steps of a walk, in ms; without one after a step that found much. */
const STEP_PAUSE_MS = 250;
/** Pause between two walks, in ms. */
const WALK_PAUSE_MS = 60_000;
/** Share of a step that must be dead for the next one to follow at once. */
const DENSE = 0.25;

export interface SweepTarget {
  readonly isOver: boolean;
  /** True while the log or LevelDB lag behind: the sweep waits. */
  readonly isBusy: boolean;
  /** Deletes what is dead or expired among the records; returns how many. */
  sweep(records: readonly ScannedRecord[]): number;
  /** Asks for a tick at this monotonic moment (ms). */
  lookAt(atMs: number): void;
}

export class Sweeper {
  readonly #data: DataStore;
  readonly #range: RecordRange;
  readonly #target: SweepTarget;
  #position: Uint8Array;
  #nextMs: number;
  #isRunning = false;

  constructor(data: DataStore, range: RecordRange, from: { readonly target: SweepTarget; readonly nowMs: number }) {
    this.#data = data;
    this.#range = range;
    this.#target = from.target;
    this.#position = range.start;
    this.#nextMs = from.nowMs + STEP_PAUSE_MS;
  }

  /** Monotonic ms of the next step; Infinity while one is under way, whose end asks for the next. */
  get nextMs(): number {
    return this.#isRunning ? Number.POSITIVE_INFINITY : this.#nextMs;
  }

  /** Something was flushed: the next walk begins soon. */
  hurry(nowMs: number): void {
    this.#nextMs = Math.min(this.#nextMs, nowMs + STEP_PAUSE_MS);
  }

  /** Starts a step if it is time. `failed` is told when the store cannot be read. */
  tick(nowMs: number, failed: (error: unknown) => void): void {
    if (this.#isRunning || nowMs < this.#nextMs || this.#target.isBusy) return;
    this.#isRunning = true;
    this.#step(nowMs).then(
      () => {
        this.#isRunning = false;
        this.#target.lookAt(this.#nextMs);
      },
      (error: unknown) => {
        if (!this.#target.isOver) failed(error);
      },
    );
  }

  async #step(nowMs: number): Promise<void> {
    const snapshot = this.#data.snapshot();
    try {
      const iterator = snapshot.iterate({ start: this.#position, end: this.#range.end });
      const records = await iterator.next(RECORDS_PER_STEP, BYTES_PER_STEP);
      await iterator.close();
      if (this.#target.isOver) return;
      const last = records.at(-1);
      if (last === undefined) {
        this.#position = this.#range.start;
        this.#nextMs = nowMs + WALK_PAUSE_MS;
        return;
      }
      this.#position = startAfter(last.key);
      const swept = this.#target.sweep(records.map(keyRecordOf));
      this.#nextMs = swept > records.length * DENSE ? nowMs : nowMs + STEP_PAUSE_MS;
    } finally {
      snapshot.release();
    }
  }
}
