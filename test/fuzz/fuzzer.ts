/**
 * The loop: pick an input that reached something, change it, run it, and keep it if it reached something new.
 *
 * Reading coverage costs as much as a few hundred short inputs, so inputs run in batches; only a batch that reached something new
 * is run again, half by half, to find out which of its inputs did. A broken rule ends the loop: the input is made as small as
 * a bounded number of tries allows.
 */
import type { SeededRandom } from '../doubles/seeded-random.ts';
import type { Coverage } from './coverage.ts';
import { Judge } from './judge.ts';
import { Mutator } from './mutator.ts';
import { DEFAULTS, type FuzzTarget } from './target.ts';

/** A batch takes about this long, in ms. */
const BATCH_MS = 40;
const BATCH_COUNT_MAX = 400;
const SHRINK_TRIES_MAX = 600;
/** Chance that a new input is made from one of the latest finds. */
const LATEST_CHANCE = 0.3;

export interface FuzzOptions {
  readonly random: SeededRandom;
  readonly corpus: readonly Uint8Array[];
  /** Null: inputs are made from the corpus alone. */
  readonly coverage: Coverage | null;
  readonly isOver: (runs: number) => boolean;
  /** Told of each input before it runs. */
  readonly onInput?: (input: Uint8Array) => void;
}

export interface FuzzFailure {
  readonly input: Uint8Array;
  readonly error: Error;
}

export interface FuzzReport {
  readonly runs: number;
  /** Inputs that reached something new, beside the corpus. */
  readonly found: readonly Uint8Array[];
  readonly failure: FuzzFailure | null;
}

export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzReport> {
  const judge = new Judge(target, await target.open());
  try {
    return await new Fuzzer(target, judge, options).run();
  } finally {
    await judge.close();
  }
}

class Fuzzer {
  readonly #target: FuzzTarget;
  readonly #judge: Judge;
  readonly #options: FuzzOptions;
  readonly #mutator: Mutator;
  readonly #pool: Uint8Array[] = [];
  readonly #found: Uint8Array[] = [];
  #runs = 0;
  #batchCount = 8;

  constructor(target: FuzzTarget, judge: Judge, options: FuzzOptions) {
    this.#target = target;
    this.#judge = judge;
    this.#options = options;
    this.#mutator = new Mutator({
      random: options.random,
      words: (target.words ?? []).map((word) => (typeof word === 'string' ? Buffer.from(word, 'latin1') : word)),
      bytesMax: target.bytesMax ?? DEFAULTS.bytesMax,
    });
  }

  async run(): Promise<FuzzReport> {
    const { corpus, coverage } = this.#options;
    for (const input of [new Uint8Array(0), ...this.#target.seeds(), ...corpus]) {
      this.#pool.push(input);
      const failure = await this.#try(input);
      if (failure !== null) return this.#report(failure);
    }
    coverage?.read().note();
    while (!this.#options.isOver(this.#runs)) {
      const start = performance.now();
      const batch: Uint8Array[] = [];
      for (let i = 0; i < this.#batchCount; i++) {
        const input = this.#next();
        batch.push(input);
        const failure = await this.#try(input);
        if (failure !== null) return this.#report(await this.#shrunk(failure));
      }
      this.#adapt(performance.now() - start);
      const reading = coverage?.read();
      if (reading?.isNew !== true || coverage === null) continue;
      await this.#keepNew(batch, coverage);
      // What ran only by chance, or for the fuzzer itself, is not looked for again.
      reading.note();
    }
    return this.#report(null);
  }

  async #try(input: Uint8Array): Promise<FuzzFailure | null> {
    this.#runs++;
    this.#options.onInput?.(input);
    const error = await this.#judge.judge(input);
    return error === null ? null : { input, error };
  }

  #next(): Uint8Array {
    const { random } = this.#options;
    const latest = this.#found.slice(-16);
    const base = latest.length > 0 && random.chance(LATEST_CHANCE) ? random.pick(latest) : random.pick(this.#pool);
    return this.#mutator.mutate(base, random.pick(this.#pool));
  }

  #adapt(ms: number): void {
    const wanted = Math.round((this.#batchCount * BATCH_MS) / Math.max(ms, 1));
    this.#batchCount = Math.max(2, Math.min(BATCH_COUNT_MAX, wanted));
  }

  /** Which of them did it: they run again, half by half. */
  async #keepNew(batch: readonly Uint8Array[], coverage: Coverage): Promise<void> {
    for (const input of batch) if ((await this.#try(input)) !== null) return;
    const reading = coverage.read();
    if (!reading.isNew) return;
    const middle = Math.floor(batch.length / 2);
    if (middle > 0) {
      await this.#keepNew(batch.slice(0, middle), coverage);
      await this.#keepNew(batch.slice(middle), coverage);
    } else {
      reading.note();
      this.#pool.push(...batch);
      this.#found.push(...batch);
    }
  }

  async #shrunk(failure: FuzzFailure): Promise<FuzzFailure> {
    let best = failure;
    let tries = 0;
    for (let size = Math.ceil(best.input.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < best.input.length && tries < SHRINK_TRIES_MAX; tries++) {
        const without = Buffer.concat([best.input.subarray(0, at), best.input.subarray(at + size)]);
        const smaller = await this.#try(without);
        if (smaller !== null) best = smaller;
        else at += size;
      }
    }
    return best;
  }

  #report(failure: FuzzFailure | null): FuzzReport {
    return { runs: this.#runs, found: this.#found, failure };
  }
}
