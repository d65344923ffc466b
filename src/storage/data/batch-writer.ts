/**
 * The one way in which batches reach the store. On the hot path: one call per applied batch.
 *
 * A failed write has an unknown outcome, so it ends the process. And the store may finish batches in another order than they
 * were handed over while several are under way. That is harmless for records, of which each belongs to one group with one
 * batch at a time, but not for the record about the history: an older one must not overwrite a newer one, and no batch that
 * relies on it (changes without copies, deletions of versions) may become visible before it, or outlive it in a power cut. So
 * batches that carry it go one at a time, and until it is durable every batch carries it.
 */
import type { ProcessControl } from '../../base/platform.ts';
import type { History } from './history.ts';
import type { StoreBatch } from './key-value-store.ts';

export class BatchWriter {
  readonly #history: History;
  readonly #process: ProcessControl;
  /** Batches under way, by the parity of the generation in which they began; see `settled`. */
  readonly #underWay: [number, number] = [0, 0];
  #generation: 0 | 1 = 0;
  #onGenerationEnd: (() => void) | null = null;
  #settling: Promise<void> = Promise.resolve();
  /** A batch with the record about the history is under way; `#waiting` begins when it ends. */
  #isCarrying = false;
  #waiting: (() => void)[] = [];

  constructor(history: History, process: ProcessControl) {
    this.#history = history;
    this.#process = process;
  }

  /** Calls back once the batch is in the store, never within this call. */
  write(batch: StoreBatch, done: () => void): void {
    const generation = this.#begin();
    this.#start(batch, () => this.#end(generation, done), false);
  }

  writeAsync(batch: StoreBatch): Promise<void> {
    return new Promise((resolve) => {
      this.write(batch, resolve);
    });
  }

  /** As `writeAsync`, with the record about the history in any case. */
  writeWithHistory(batch: StoreBatch): Promise<void> {
    return new Promise((resolve) => {
      const generation = this.#begin();
      this.#start(batch, () => this.#end(generation, resolve), true);
    });
  }

  /** Resolves when every batch that was handed over before this call is in the store. */
  settled(): Promise<void> {
    this.#settling = this.#settling.then(() => this.#nextGeneration());
    return this.#settling;
  }

  /** An operation on the store failed: ends the process. */
  fail(what: string, cause: unknown): never {
    const said = cause instanceof Error ? cause.message : String(cause);
    this.#process.fatal('dataWrite', `${what}: ${said}; the outcome is unknown, restart the node`, cause);
  }

  #start(batch: StoreBatch, done: () => void, mustCarry: boolean): void {
    if (!mustCarry && !this.#history.isUnsaved) {
      this.#submit(batch, done);
      return;
    }
    if (this.#isCarrying) {
      this.#waiting.push(() => this.#start(batch, done, mustCarry));
      return;
    }
    this.#isCarrying = true;
    const revision = this.#history.addTo(batch);
    this.#submit(batch, () => {
      this.#history.saved(revision);
      this.#isCarrying = false;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const startNext of waiting) startNext();
      done();
    });
  }

  #submit(batch: StoreBatch, done: () => void): void {
    batch.write((error) => {
      if (error !== null) this.fail('a write to the data store failed', error);
      done();
    });
  }

  #begin(): 0 | 1 {
    this.#underWay[this.#generation]++;
    return this.#generation;
  }

  #end(generation: 0 | 1, done: () => void): void {
    this.#underWay[generation]--;
    done();
    if (generation === this.#generation || this.#underWay[generation] > 0) return;
    this.#onGenerationEnd?.();
    this.#onGenerationEnd = null;
  }

  /** Batches from now on belong to the other generation; resolves when those of the present one are done. */
  #nextGeneration(): Promise<void> {
    const ending = this.#generation;
    this.#generation = ending === 0 ? 1 : 0;
    if (this.#underWay[ending] === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onGenerationEnd = resolve;
    });
  }
}
