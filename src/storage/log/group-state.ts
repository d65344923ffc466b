/**
 * What the log knows of one group besides the bytes of its entries: the only place where that changes. The writer and the
 * replay at start go through the same transitions, so the writer refuses what the replay could not accept.
 *
 * A transition that is not allowed changes nothing and returns the reason; null means done. To the writer a refusal is
 * our own bug (assertion); to the replay it is damage.
 */
import { FORGOTTEN, type LogIndex, type Term } from '../../base/ids.ts';
import type { LogCheckpoint, LogHardState } from './types.ts';

const NO_BYTES = new Uint8Array(0);

export type Refusal = string | null;

export class GroupState {
  /** Term never falls; a vote once given in a term stays, FORGOTTEN excepted: that is none. */
  hardState: LogHardState = { term: 0, vote: 0, commit: 0 };
  /** compacted ≤ checkpoint ≤ last, except that a fresh group has no checkpoint and all are 0. */
  checkpoint: LogCheckpoint = { index: 0, term: 0, state: NO_BYTES };
  /** Last entry dropped; never falls except by a reset. */
  compacted: { readonly index: LogIndex; readonly term: Term } = { index: 0, term: 0 };
  /** Last entry there is; `compacted.index` if there is none. */
  lastIndex: LogIndex = 0;
  /**
   * Where the live entries lie: those from `spanFirst[i]` up to the next span's first (or the last entry) are in segment
   * `spanSegment[i]`. Both ascend. Entries before the first span are in segments that were freed.
   */
  readonly #spanFirst: LogIndex[] = [];
  readonly #spanSegment: number[] = [];

  /** Oldest segment that holds a live entry of this group; Infinity if none does. */
  get oldestSegment(): number {
    return this.#spanSegment[0] ?? Number.POSITIVE_INFINITY;
  }

  /** Takes over what a segment head says: the state as of there, its entries lying in earlier segments. */
  static from(summary: {
    readonly hardState: LogHardState;
    readonly checkpoint: LogCheckpoint;
    readonly compacted: { readonly index: LogIndex; readonly term: Term };
    readonly lastIndex: LogIndex;
  }): GroupState {
    const state = new GroupState();
    state.hardState = summary.hardState;
    state.checkpoint = summary.checkpoint;
    state.compacted = summary.compacted;
    state.lastIndex = summary.lastIndex;
    return state;
  }

  /** Entries [first, first + count) now lie in `segment`; whatever was at or after `first` is gone. */
  append(first: LogIndex, count: number, segment: number): Refusal {
    if (first > this.lastIndex + 1) return `entry ${first} leaves a gap after ${this.lastIndex}`;
    if (first <= this.compacted.index) return `entry ${first} was compacted up to ${this.compacted.index}`;
    if (first <= this.checkpoint.index) return `entry ${first} lies under the checkpoint at ${this.checkpoint.index}`;
    if (first <= this.lastIndex) this.#cutSpans(first);
    if (this.#spanSegment.at(-1) !== segment) {
      this.#spanFirst.push(first);
      this.#spanSegment.push(segment);
    }
    this.lastIndex = first + count - 1;
    return null;
  }

  setHardState(next: LogHardState): Refusal {
    const { term, vote } = this.hardState;
    if (next.term < term) return `term ${next.term} falls below ${term}`;
    if (next.term === term && vote !== 0 && vote !== FORGOTTEN && next.vote !== vote)
      return `vote of term ${term} changes from ${vote} to ${next.vote}`;
    this.hardState = next;
    return null;
  }

  compact(upTo: { readonly index: LogIndex; readonly term: Term }): Refusal {
    if (upTo.index < this.compacted.index) return `compaction falls from ${this.compacted.index} to ${upTo.index}`;
    if (upTo.index > this.lastIndex) return `compaction to ${upTo.index} passes the last entry ${this.lastIndex}`;
    if (upTo.index > this.checkpoint.index)
      return `compaction to ${upTo.index} passes the checkpoint ${this.checkpoint.index}`;
    this.compacted = upTo;
    this.#dropSpans(upTo.index);
    return null;
  }

  setCheckpoint(checkpoint: LogCheckpoint): Refusal {
    if (checkpoint.index < this.checkpoint.index)
      return `checkpoint falls from ${this.checkpoint.index} to ${checkpoint.index}`;
    if (checkpoint.index > this.lastIndex)
      return `checkpoint ${checkpoint.index} passes the last entry ${this.lastIndex}`;
    this.checkpoint = checkpoint;
    return null;
  }

  reset(checkpoint: LogCheckpoint): Refusal {
    this.checkpoint = checkpoint;
    this.compacted = { index: checkpoint.index, term: checkpoint.term };
    this.lastIndex = checkpoint.index;
    this.#spanFirst.length = 0;
    this.#spanSegment.length = 0;
    return null;
  }

  /** Removes what lies at or after `first`. */
  #cutSpans(first: LogIndex): void {
    while ((this.#spanFirst.at(-1) ?? -1) >= first) {
      this.#spanFirst.pop();
      this.#spanSegment.pop();
    }
  }

  /** Removes the spans all of whose entries are at or before `index`. */
  #dropSpans(index: LogIndex): void {
    let gone = 0;
    for (; gone < this.#spanFirst.length; gone++) {
      const spanEnd = this.#spanFirst[gone + 1] ?? this.lastIndex + 1;
      if (spanEnd > index + 1) break;
    }
    if (gone === 0) return;
    this.#spanFirst.splice(0, gone);
    this.#spanSegment.splice(0, gone);
  }
}
