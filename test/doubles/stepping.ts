/**
 * Completions one by one: what a double has begun completes only when the test says so, and everything that follows from
 * it through promises has happened before the next one.
 */
export class StepScheduler {
  readonly #waiting: (() => void)[] = [];

  readonly schedule = (complete: () => void): void => {
    this.#waiting.push(complete);
  };

  get size(): number {
    return this.#waiting.length;
  }

  /** Forgets everything that waits: for use with a crash. */
  clear(): void {
    this.#waiting.length = 0;
  }

  /** Completes the operation at `position` of those that wait (in order of their beginning), if there is one. */
  async step(position = 0): Promise<void> {
    const [complete] = this.#waiting.splice(Math.min(position, this.#waiting.length - 1), 1);
    complete?.();
    await drainPromises();
  }

  /** Steps, oldest first, until `promise` has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await drainPromises();
    for (let steps = 0; !isSettled; steps++) {
      if (steps > 100_000 || this.size === 0)
        throw new Error('nothing is left to complete, and the promise is not settled');
      await this.step();
    }
    return promise;
  }

  /** Steps until nothing waits any more. */
  async drain(): Promise<void> {
    await drainPromises();
    while (this.size > 0) await this.step();
  }
}

/** Lets every promise that is settled by now, and what follows from it, run. */
export function drainPromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
