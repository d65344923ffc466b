/**
 * Which requests are in the log already, with their answers: how a repeated request is applied once (DESIGN: exactly
 * once; the idea is that of RIFL, Lee et al., SOSP 2015, with the log itself as the completion record).
 *
 * The ledger costs nothing while nobody repeats: it is built from the answers in the log when the first repetition
 * arrives, kept current while repetitions may follow, and dropped afterwards. The log (and what a snapshot carried)
 * reaches back at least REQUEST_WINDOW beyond every deadline, so that a request which is not found never was applied,
 * and, at a leader whose own first entry has committed, never will be.
 */
import type { LogIndex } from '../base/ids.ts';
import type { RecordedAnswer, RequestId } from './entry-format.ts';

export interface KnownAnswer {
  /** 0 if the entry is no longer in the log (it has committed long ago). */
  readonly index: LogIndex;
  readonly reply: Uint8Array;
}

export class RequestLedger {
  readonly #answers = new Map<string, KnownAnswer>();

  get size(): number {
    return this.#answers.size;
  }

  add(answer: RecordedAnswer, index: LogIndex): void {
    this.#answers.set(nameOf(answer), { index, reply: Uint8Array.from(answer.reply) });
  }

  find(id: RequestId): KnownAnswer | undefined {
    return this.#answers.get(nameOf(id));
  }
}

function nameOf(id: RequestId): string {
  return `${id.node}:${id.epoch}:${id.counter}`;
}
