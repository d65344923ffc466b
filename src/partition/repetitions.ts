/**
 * Requests that are asked again because the outcome of an earlier attempt was not known: the ledger of what is in the log, made when
 * the first repetition comes, and forgotten when none have come for a while.
 */
import type { LogIndex } from '../base/ids.ts';
import type { Clock } from '../base/platform.ts';
import type { RequestId } from './entry-format.ts';
import { LEDGER_AGE_MAX_MS, LEDGER_KEPT_MS } from './limits.ts';
import { RequestLedger } from './request-ledger.ts';

export interface RepetitionsHost {
  readonly clock: Clock;
  /** Fills a new ledger from the log and from what a snapshot carried. */
  fillLedger(ledger: RequestLedger): void;
}

export class Repetitions {
  readonly #host: RepetitionsHost;
  #ledger: RequestLedger | null = null;
  /** Monotonic ms at which the ledger was made, and of the last repetition. */
  #madeMs = 0;
  #usedMs = 0;

  constructor(host: RepetitionsHost) {
    this.#host = host;
  }

  /** An answer went into the open batch. */
  add(id: RequestId, reply: Uint8Array, index: LogIndex): void {
    this.#ledger?.add({ node: id.node, epoch: id.epoch, counter: id.counter, reply }, index);
  }

  /** What the log says of the request; the open batch must be closed. Throws ReplicaDamaged if what a snapshot brought cannot be read. */
  find(id: RequestId): ReturnType<RequestLedger['find']> {
    const nowMs = this.#host.clock.monotonicMs();
    const ledger = this.#ledger ?? new RequestLedger();
    if (this.#ledger === null) {
      // It is one only when it is whole.
      this.#host.fillLedger(ledger);
      this.#ledger = ledger;
      this.#madeMs = nowMs;
    }
    this.#usedMs = nowMs;
    return ledger.find(id);
  }

  /** Forgets the ledger if it is time. Returns the moment of the next look (monotonic ms), Infinity if there is nothing to forget. */
  look(nowMs: number): number {
    const endMs = Math.min(this.#usedMs + LEDGER_KEPT_MS, this.#madeMs + LEDGER_AGE_MAX_MS);
    if (this.#ledger !== null && nowMs > endMs) this.#ledger = null;
    return this.#ledger === null ? Number.POSITIVE_INFINITY : endMs + 1;
  }
}
