/** What an evaluation has changed in memory, as it was before, oldest change first. Hot path: the records are used again. */
import type { LogIndex, Timestamp } from '../base/ids.ts';
import type { Space, Value } from '../values/value.ts';
import type { ResidentKey, SpaceTable } from './resident.ts';

export interface FlushedSpace {
  readonly space: Space;
  readonly table: SpaceTable;
  readonly flushedAt: Timestamp;
  readonly flushIndex: LogIndex;
  readonly keyCount: number;
  readonly expiringCount: number;
}

export class UndoRecord {
  resident: ResidentKey | null = null;
  value: Value | undefined;
  expiresAtMs = 0;
  version: Timestamp = 0;
  changedIndex: LogIndex = 0;
  /** Set instead of `resident` for a flush. */
  flushed: FlushedSpace | null = null;
}

/** How far an evaluation had got: what was changed in memory, and written into the batch. */
export class UndoMark {
  readonly opaque = 'savepoint' as const;
  readonly undoCount: number;
  /** In the batch. */
  readonly position: number;

  constructor(undoCount: number, position: number) {
    this.undoCount = undoCount;
    this.position = position;
  }
}

export class UndoLog {
  readonly #records: UndoRecord[] = [];
  /** Changes that can be undone. */
  count = 0;

  /** For the next change. */
  add(): UndoRecord {
    const present = this.#records[this.count];
    this.count++;
    if (present !== undefined) return present;
    const created = new UndoRecord();
    this.#records.push(created);
    return created;
  }

  /** Of this change, counted from 0; also of one that was just taken back by lowering `count`. */
  at(position: number): UndoRecord {
    return this.#records[position] as UndoRecord;
  }
}
