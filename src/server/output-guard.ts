/** Judges whether a client takes its replies: `client-output-buffer-limit` of Redis, hard and soft. */
import { OUTPUT_CEILING_BYTES } from './limits.ts';

/** 0 = no limit of that kind. The soft one holds if `softBytes` are exceeded for `softSeconds` without a break. */
export interface OutputLimit {
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly softSeconds: number;
}

export class OutputGuard {
  /** Monotonic ms since which the soft limit is exceeded; -1 = it is not. */
  #softSinceMs = -1;

  /** The name of the limit that is broken, or null. */
  judge(bytes: number, limit: OutputLimit, nowMs: number): 'hard' | 'soft' | 'ceiling' | null {
    if (limit.hardBytes > 0 && bytes > limit.hardBytes) return 'hard';
    if (bytes > OUTPUT_CEILING_BYTES) return 'ceiling';
    if (limit.softBytes === 0 || bytes <= limit.softBytes) {
      this.#softSinceMs = -1;
      return null;
    }
    if (this.#softSinceMs === -1) this.#softSinceMs = nowMs;
    return nowMs - this.#softSinceMs > limit.softSeconds * 1000 ? 'soft' : null;
  }

  drained(): void {
    this.#softSinceMs = -1;
  }
}
