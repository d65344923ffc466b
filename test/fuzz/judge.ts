/**
 * Runs one input and says what was wrong with it: a rule of the target that was broken, a rejection that nobody handled, too
 * much time, too much memory.
 */
import { getHeapStatistics } from 'node:v8';
import type { FuzzSubject, FuzzTarget } from './target.ts';
import { DEFAULTS } from './target.ts';

/** What is slow once may have met the garbage collector, or another process: it counts if it stays so. */
const SLOW_REPEATS = 3;

export class Judge {
  readonly #target: FuzzTarget;
  readonly #subject: FuzzSubject;
  #stray: unknown = undefined;
  #hasStray = false;
  readonly #onStray = (error: unknown): void => {
    this.#stray ??= error;
    this.#hasStray = true;
  };
  readonly #others: NodeJS.UnhandledRejectionListener[];

  constructor(target: FuzzTarget, subject: FuzzSubject) {
    this.#target = target;
    this.#subject = subject;
    this.#others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    process.on('unhandledRejection', this.#onStray);
  }

  /** Null if all went well. */
  async judge(input: Uint8Array): Promise<Error | null> {
    const { msMax = DEFAULTS.msMax, memoryBytesMax = DEFAULTS.memoryBytesMax } = this.#target;
    const first = await this.#measure(input);
    if (first.error !== null) return first.error;
    if (first.bytes > memoryBytesMax) {
      return new Error(`${input.length} bytes of input took ${first.bytes} bytes of memory, at most ${memoryBytesMax}`);
    }
    let { ms } = first;
    for (let repeat = 0; repeat < SLOW_REPEATS && ms > msMax; repeat++) {
      ms = Math.min(ms, (await this.#measure(input)).ms);
    }
    return ms > msMax ? new Error(`it took ${ms.toFixed(0)} ms, at most ${msMax} ms`) : null;
  }

  async #measure(
    input: Uint8Array,
  ): Promise<{ readonly error: Error | null; readonly ms: number; readonly bytes: number }> {
    const before = memory();
    const start = performance.now();
    let error: Error | null = null;
    try {
      // A buffer of its own: subjects may overwrite what they are given.
      const result = this.#subject.run(Buffer.from(input));
      if (result !== undefined) {
        await result;
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    const ms = performance.now() - start;
    if (this.#hasStray) {
      error ??= new Error('a rejection was not handled', { cause: this.#stray });
      this.#stray = undefined;
      this.#hasStray = false;
    }
    return { error, ms, bytes: memory() - before };
  }

  async close(): Promise<void> {
    process.off('unhandledRejection', this.#onStray);
    for (const other of this.#others) process.on('unhandledRejection', other);
    await this.#subject.close?.();
  }
}

function memory(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}
