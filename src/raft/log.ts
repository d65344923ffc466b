/**
 * The log of one group in memory: everything after the last compaction. Hot path: append, termAt and slice run for every
 * batch (benchmark: npm run raft:bench), so entries lie in one array and positions are arithmetic.
 *
 *     compacted …  baseIndex | firstIndex … applied … handed … commit … lastIndex
 *                              \___ durable ends somewhere in here, at or after handed (see unstable.ts)
 *
 * Invariants: indexes are contiguous, terms never fall; base ≤ applied ≤ handed ≤ commit ≤ last; handed ≤ durable;
 * nothing at or below commit is ever truncated.
 */
import type { LogIndex, Term } from '../base/ids.ts';
import { NO_ENTRIES } from './messages.ts';
import { ENTRY_TYPES } from './types.ts';
import type { Entry, RaftInitialState } from './types.ts';
import { Unstable } from './unstable.ts';
import { violated } from './violation.ts';

/** What an entry costs besides its data, in limits and in counts of bytes. */
export const ENTRY_OVERHEAD_BYTES = 16;
/** Released slots at the front are given back once there are this many and they are half of the array. */
const RELEASED_SLOTS_MIN = 1024;

const RELEASED: Entry = Object.freeze({ term: 0, index: 0, type: ENTRY_TYPES.normal, data: new Uint8Array(0) });

export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

export class RaftLog {
  /** Last entry that is no longer here (compacted, or covered by a snapshot), and its term; 0, 0 before the first. */
  baseIndex: LogIndex;
  baseTerm: Term;
  lastIndex: LogIndex;
  lastTerm: Term;
  /** Highest index known to be committed; rises only. */
  commit: LogIndex;
  /** Highest index that Ready.committed has carried. */
  handed: LogIndex;
  /** Highest index that the driver reports as applied. */
  applied: LogIndex;
  /** Bytes of the entries in memory, overhead included. */
  sizeBytes = 0;
  readonly unstable: Unstable;
  private entries: Entry[] = [];
  /** Slots of `entries` at the front whose entry was compacted away. */
  private released = 0;
  // The last slice, kept because the followers of a healthy group and the disk all want the same one.
  private cachedFrom: LogIndex = 0;
  private cachedBytesMax = 0;
  private cached: readonly Entry[] = NO_ENTRIES;

  constructor(initial: RaftInitialState) {
    const { snapshot, hardState } = initial;
    this.baseIndex = snapshot.index;
    this.baseTerm = snapshot.term;
    this.lastIndex = snapshot.index;
    this.lastTerm = snapshot.term;
    this.commit = snapshot.index;
    for (const entry of initial.entries) this.push(entry);
    this.commit = Math.max(hardState.commit, initial.applied, snapshot.index);
    this.applied = initial.applied;
    this.handed = initial.applied;
    this.unstable = new Unstable(hardState, this.lastIndex);
    if (initial.applied < snapshot.index)
      violated(`applied ${initial.applied} lies before the snapshot ${snapshot.index}`);
    if (this.commit > this.lastIndex)
      violated(`the log ends at ${this.lastIndex}, before its commit index ${this.commit}`);
    if (this.lastTerm > hardState.term)
      violated(`last entry of term ${this.lastTerm}, hard state of ${hardState.term}`);
  }

  /** True if the term of the entry at `index` is known: it is in memory or the last one before. */
  hasTerm(index: LogIndex): boolean {
    return index >= this.baseIndex && index <= this.lastIndex;
  }

  /** Term of the entry at `index`; 0 if it is compacted away or not there yet. */
  termAt(index: LogIndex): Term {
    if (index === this.baseIndex) return this.baseTerm;
    return this.entryAt(index)?.term ?? 0;
  }

  /** The entry at `index`; undefined if it is compacted away or not there yet. */
  entryAt(index: LogIndex): Entry | undefined {
    if (index <= this.baseIndex || index > this.lastIndex) return undefined;
    return this.entries[index - this.baseIndex - 1 + this.released];
  }

  /** True if the log holds an entry of this term at this index (Raft §5.3, the consistency check). */
  matches(index: LogIndex, term: Term): boolean {
    return this.hasTerm(index) && this.termAt(index) === term;
  }

  /** True if a log that ends so holds everything that this one may have committed (Raft §5.4.1). */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Adds the entry that follows the last one. */
  push(entry: Entry): void {
    if (entry.index !== this.lastIndex + 1) violated(`entry ${entry.index} does not follow ${this.lastIndex}`);
    if (entry.term < this.lastTerm)
      violated(`entry ${entry.index} of term ${entry.term} follows term ${this.lastTerm}`);
    this.entries.push(entry);
    this.lastIndex = entry.index;
    this.lastTerm = entry.term;
    this.sizeBytes += entryBytes(entry);
    this.cached = NO_ENTRIES;
  }

  /** Position in `entries` of the first one that this log lacks or contradicts; their count if there is none. */
  findNew(entries: readonly Entry[]): number {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i];
      if (entry !== undefined && !this.matches(entry.index, entry.term)) return i;
    }
    return entries.length;
  }

  /** Drops everything from `index` on: another leader's log contradicts it. */
  truncateFrom(index: LogIndex): void {
    if (index <= this.commit) violated(`entry ${index} is to be overwritten, but ${this.commit} is committed`);
    for (let at = index; at <= this.lastIndex; at++) {
      const entry = this.entryAt(at);
      if (entry !== undefined) this.sizeBytes -= entryBytes(entry);
    }
    this.entries.length -= this.lastIndex - index + 1;
    this.lastIndex = index - 1;
    this.lastTerm = this.termAt(index - 1);
    this.cached = NO_ENTRIES;
    this.unstable.truncated(index);
  }

  /** Largest index ≤ `index` whose term is ≤ `term`: where two logs can agree at best. Below the base: `index` itself. */
  lastIndexWithin(index: LogIndex, term: Term): LogIndex {
    if (index <= this.baseIndex) return index;
    let low = this.baseIndex;
    let high = Math.min(index, this.lastIndex);
    while (low < high) {
      const middle = low + Math.ceil((high - low) / 2);
      if (this.termAt(middle) <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * Entries from `from` on, as many as fit into `bytesMax`, but at least one if there is one. The array is shared:
   * nobody changes it.
   */
  slice(from: LogIndex, bytesMax: number): readonly Entry[] {
    if (from > this.lastIndex) return NO_ENTRIES;
    if (this.cached.length > 0 && this.cachedFrom === from && this.cachedBytesMax === bytesMax) return this.cached;
    if (from <= this.baseIndex) violated(`entry ${from} is compacted away; the log starts after ${this.baseIndex}`);
    const start = from - this.baseIndex - 1 + this.released;
    let end = start;
    let bytes = 0;
    while (end < this.entries.length) {
      bytes += entryBytes(this.entries[end] ?? RELEASED);
      if (bytes > bytesMax && end > start) break;
      end++;
    }
    this.cached = this.entries.slice(start, end);
    this.cachedFrom = from;
    this.cachedBytesMax = bytesMax;
    return this.cached;
  }

  /** Entries from `from` to `to`, both included. */
  range(from: LogIndex, to: LogIndex): readonly Entry[] {
    if (from > to) return NO_ENTRIES;
    if (this.cached.length === to - from + 1 && this.cachedFrom === from) return this.cached;
    if (from <= this.baseIndex || to > this.lastIndex)
      violated(`no entries ${from}–${to} in ${this.baseIndex}–${this.lastIndex}`);
    const start = from - this.baseIndex - 1 + this.released;
    return this.entries.slice(start, start + (to - from + 1));
  }

  /** Raises the commit index; false if it was there already. */
  commitTo(index: LogIndex): boolean {
    if (index <= this.commit) return false;
    if (index > this.lastIndex)
      violated(`commit ${index} lies beyond the last entry ${this.lastIndex}: the log lost entries`);
    this.commit = index;
    return true;
  }

  /** Highest index that may be handed out for application: committed, and durable here. */
  get applicable(): LogIndex {
    return Math.min(this.commit, this.unstable.durableIndex);
  }

  appliedTo(index: LogIndex): void {
    if (index < this.applied) violated(`applied falls from ${this.applied} to ${index}`);
    if (index > this.handed) violated(`applied ${index}, but only ${this.handed} was handed out`);
    this.applied = index;
  }

  /** Forgets the entries up to `index`, which are applied and durable; keeps the term of the last of them. */
  compact(index: LogIndex): void {
    if (index <= this.baseIndex) return;
    if (index > this.applied) violated(`compaction to ${index} passes the applied index ${this.applied}`);
    if (index > this.unstable.durableIndex)
      violated(`compaction to ${index} passes durable ${this.unstable.durableIndex}`);
    const term = this.termAt(index);
    for (let at = this.baseIndex + 1; at <= index; at++) {
      const slot = at - this.baseIndex - 1 + this.released;
      this.sizeBytes -= entryBytes(this.entries[slot] ?? RELEASED);
      this.entries[slot] = RELEASED;
    }
    this.released += index - this.baseIndex;
    this.baseIndex = index;
    this.baseTerm = term;
    this.cached = NO_ENTRIES;
    if (this.released >= RELEASED_SLOTS_MIN && this.released * 2 >= this.entries.length) {
      this.entries = this.entries.slice(this.released);
      this.released = 0;
    }
  }

  /** An installed snapshot takes the place of everything here. */
  replaceBySnapshot(index: LogIndex, term: Term): void {
    if (index <= this.commit) violated(`snapshot ${index} is not ahead of the commit index ${this.commit}`);
    this.entries = [];
    this.released = 0;
    this.sizeBytes = 0;
    this.cached = NO_ENTRIES;
    this.baseIndex = index;
    this.baseTerm = term;
    this.lastIndex = index;
    this.lastTerm = term;
    this.commit = index;
    this.handed = index;
    this.applied = index;
    this.unstable.replaced(index);
  }
}
