/**
 * Which requests are in the log already, with their answers: how a repeated request is applied once (exactly
 * once; the idea is that of RIFL, Lee et al., SOSP 2015, with the log itself as the completion record).
 *
 * The ledger costs nothing while nobody repeats: it is built from the answers in the log when the first repetition
 * arrives, kept current while repetitions may follow, and dropped afterwards. The log (and what a snapshot carried)
 * reaches back beyond every deadline, so that a request which is not found never was applied, and, at a leader whose own
 * first entry has committed, never will be.
 *
 * Built while clients wait, from up to a million answers: it keeps places in the entries, not copies, and makes no object
 * an answer.
 */
import { getU32, getU64 } from '../base/bytes.ts';
import type { LogIndex } from '../base/ids.ts';
import { ANSWER_HEADER_BYTES, type RecordedAnswer, type RequestId } from './entry-format.ts';

export interface KnownAnswer {
  /** 0 if the entry is no longer in the log (it has committed long ago). */
  readonly index: LogIndex;
  readonly reply: Uint8Array;
}

export class RequestLedger {
  /** By node and boot: count → position in the arrays below. */
  readonly #positions = new Map<string, Map<number, number>>();
  readonly #entries: Uint8Array[] = [];
  readonly #offsets: number[] = [];
  readonly #indices: LogIndex[] = [];
  /** The origin that was looked up last: answers of one origin come in a row. */
  #lastNode = -1;
  #lastEpoch = -1;
  #lastCounters = new Map<number, number>();

  get size(): number {
    return this.#offsets.length;
  }

  /** Adds `count` answers that lie in `entry` from `offset` on. The entry must not change. */
  addAll(entry: Uint8Array, at: { readonly offset: number; readonly count: number }, index: LogIndex): void {
    let { offset } = at;
    for (let left = at.count; left > 0; left--) {
      const counters = this.#countersOf(getU32(entry, offset), getU64(entry, offset + 4));
      counters.set(getU64(entry, offset + 12), this.#offsets.length);
      this.#entries.push(entry);
      this.#offsets.push(offset + ANSWER_HEADER_BYTES);
      this.#indices.push(index);
      offset += ANSWER_HEADER_BYTES + getU32(entry, offset + 20);
    }
  }

  /** Adds one answer whose entry is not written yet. `reply` is kept. */
  add(answer: RecordedAnswer, index: LogIndex): void {
    const own = new Uint8Array(ANSWER_HEADER_BYTES + answer.reply.length);
    own.set(answer.reply, ANSWER_HEADER_BYTES);
    new DataView(own.buffer).setUint32(ANSWER_HEADER_BYTES - 4, answer.reply.length, true);
    this.#countersOf(answer.node, answer.epoch).set(answer.counter, this.#offsets.length);
    this.#entries.push(own);
    this.#offsets.push(ANSWER_HEADER_BYTES);
    this.#indices.push(index);
  }

  find(id: RequestId): KnownAnswer | undefined {
    const position = this.#positions.get(originOf(id.node, id.epoch))?.get(id.counter);
    const entry = position === undefined ? undefined : this.#entries[position];
    if (position === undefined || entry === undefined) return undefined;
    const offset = this.#offsets[position] ?? 0;
    const length = getU32(entry, offset - 4);
    return { index: this.#indices[position] ?? 0, reply: entry.slice(offset, offset + length) };
  }

  #countersOf(node: number, epoch: number): Map<number, number> {
    if (node === this.#lastNode && epoch === this.#lastEpoch) return this.#lastCounters;
    const origin = originOf(node, epoch);
    let counters = this.#positions.get(origin);
    if (counters === undefined) {
      counters = new Map();
      this.#positions.set(origin, counters);
    }
    this.#lastNode = node;
    this.#lastEpoch = epoch;
    this.#lastCounters = counters;
    return counters;
  }
}

function originOf(node: number, epoch: number): string {
  return `${node}:${epoch}`;
}
