/**
 * What a simulated node has on disk: the log store (hard state, base, entries) and the data store (applied state). The
 * log store changes only when a flush ends; what was staged and not flushed is lost by a crash.
 */
import { assert } from '../../../src/base/assert.ts';
import { FORGOTTEN, type LogIndex, type Term } from '../../../src/base/ids.ts';
import type { Entry, HardState, RaftInitialState, Ready, SnapshotMetadata } from '../../../src/raft/types.ts';

export interface AppliedState {
  readonly index: LogIndex;
  readonly hash: number;
}

export class SimDisk {
  hardState: HardState = { term: 0, vote: 0, commit: 0 };
  base: SnapshotMetadata;
  /** What the disks held that were lost before. */
  readonly lost: SimDisk[] = [];
  entries: Entry[] = [];
  /** The data store as of its last sync; what was applied after it is applied again. */
  applied: AppliedState = { index: 0, hash: 0 };

  constructor(base: SnapshotMetadata) {
    this.base = base;
  }

  get lastIndex(): LogIndex {
    return this.base.index + this.entries.length;
  }

  /** 0 if the disk does not hold the entry. */
  termAt(index: LogIndex): Term {
    if (index === this.base.index) return this.base.term;
    return this.entries[index - this.base.index - 1]?.term ?? 0;
  }

  /** A flush that carries this Ready has ended. */
  write(ready: Ready): void {
    if (ready.hardState !== null) this.hardState = ready.hardState;
    const first = ready.entries[0];
    if (first === undefined) return;
    const keep = first.index - this.base.index - 1;
    assert(
      keep >= 0 && keep <= this.entries.length,
      `entries from ${first.index} on a disk that ends at ${this.lastIndex}`,
    );
    this.entries.length = keep;
    for (const entry of ready.entries) this.entries.push(entry);
  }

  compact(base: SnapshotMetadata, applied: AppliedState): void {
    this.entries.splice(0, base.index - this.base.index);
    this.base = base;
    this.applied = applied;
  }

  installSnapshot(base: SnapshotMetadata, hash: number): void {
    this.base = base;
    this.entries = [];
    this.applied = { index: base.index, hash };
  }

  /** An empty disk takes the place of this one. */
  lose(base: SnapshotMetadata): void {
    const before = new SimDisk(this.base);
    before.hardState = this.hardState;
    before.entries = this.entries;
    this.lost.push(before);
    this.hardState = { term: 0, vote: FORGOTTEN, commit: 0 };
    this.base = base;
    this.entries = [];
    this.applied = { index: 0, hash: 0 };
  }

  initialState(): RaftInitialState {
    return { hardState: this.hardState, snapshot: this.base, entries: [...this.entries], applied: this.applied.index };
  }
}
