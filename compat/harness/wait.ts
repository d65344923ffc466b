/** Waiting for a condition with a bound; nothing in this folder waits for a length of time in the hope that it is enough. */

export interface WaitOptions {
  /** What is waited for, for the error message. */
  readonly what: string;
  readonly timeoutMs: number;
  /** Pause between two looks; default 20. */
  readonly everyMs?: number;
}

/** The first result that is neither null nor false. @throws Error after `timeoutMs`, with the last failure as cause. */
export async function waitFor<T>(
  options: WaitOptions,
  look: () => Promise<T | null | false> | T | null | false,
): Promise<T> {
  const endMs = performance.now() + options.timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const result = await look();
      if (result !== null && result !== false) return result;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= endMs) {
      throw new Error(`${options.what}: not within ${options.timeoutMs} ms`, { cause: lastError });
    }
    await pause(options.everyMs ?? 20);
  }
}

/** For gaps that are part of a scenario (fault lengths, expiry of a key), never for readiness. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Rejects if `work` takes longer; `work` itself goes on. */
export async function within<T>(what: string, timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
