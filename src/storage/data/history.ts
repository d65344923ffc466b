/**
 * Older versions of records: when they are written, and which moments can be read.
 *
 * The newest version of a record lies under its record key. A reader of an older moment needs the versions that came before.
 * Keeping them costs a second put per change, so history can be switched off and on while the node runs:
 *
 * - `off`: only the newest version is written. Only moments at or after the last commit can be read. No version exists on
 *   disk, deletions aside that nothing older lies under (harmless).
 * - `on`: each change also writes its own copy under its timestamp, a deletion a tombstone. So every version is written by
 *   the log entry that made it, and replaying the log restores it: that is why the *new* version is copied, not the replaced
 *   one, which after a power cut may be nowhere to be found. The price is that the newest version is stored twice.
 * - `draining`: history was switched off, but versions still exist. As `off`, but a deletion still writes its tombstone:
 *   else a version under it would come back to life if history is switched on again. The collector ends this mode when
 *   a pass, begun after everything was made durable, finds nothing but tombstones.
 *
 * `since` is at least every commit timestamp that was applied before history was switched on: records up to it may have no
 * copy. When such a record is replaced, it is copied from under its key first, in the same batch, and carried along until
 * that is durable (replaced-copies.ts). So at any moment, after any power cut, either the record is still under its key or its
 * copy is among the versions. Changes of elements (pages) do not say exactly which version they replace, so there the
 * store is always asked.
 *
 * `floor` is the oldest moment that can be read. It only rises, it is part of each batch that deletes a version, and reads
 * below it are refused.
 *
 * A record may begin its own past later than that: because a write said so (`startsHistory`), or because it has more versions than
 * are kept of one (trim.ts). versions.ts tells how that is stored.
 *
 * Rejected: copying the replaced version (see above); a backfill of copies when history is switched on (it reads and writes
 * the whole store).
 */
import { assert } from '../../base/assert.ts';
import type { Timestamp } from '../../base/ids.ts';
import { encodeVersionKey, isKeyRecord } from './keys.ts';
import type { KeyValueStore, StoreBatch } from './key-value-store.ts';
import { encodeHistory, HISTORY_KEY, type HistoryMode, type StoredHistory } from './metadata.ts';
import { sealedTimestamp, sealTombstone, startsHistory } from './records.ts';
import { ReplacedCopies } from './replaced-copies.ts';
import type { HistoryPolicy, RecordChange } from './types.ts';
import { historyStart, putHistoryStart } from './versions.ts';

/** Told of each change that has replaced a version. */
export interface SupersededVersions {
  /** `isExact`: the replaced version is that of `change.replaces`; else it is of that moment or before. */
  add(change: RecordChange, isExact: boolean): void;
  /** The past of the record begins with this change; `isMarked`: it began later than the store's before. */
  begins(change: RecordChange, isMarked: boolean): void;
}

export class History {
  readonly #store: KeyValueStore;
  readonly #superseded: SupersededVersions;
  readonly #copies = new ReplacedCopies();
  #mode: HistoryMode;
  #since: Timestamp;
  #floor: Timestamp;
  /** Largest commit timestamp that was ever handed to a batch. */
  #timestampMax: Timestamp;
  #policy: HistoryPolicy = { retentionMs: 0, heldFloor: 0 };
  /**
   * Counts changes of what is stored about the history; `#savedRevision` is what a completed batch has carried, and what a power
   * cut cannot take any more is `#durableRevision`. Until then every batch carries it: one that relies on it may outlive the
   * one that came before.
   */
  #revision = 0;
  #savedRevision = 0;
  #syncingRevision = 0;
  #durableRevision = 0;

  constructor(
    store: KeyValueStore,
    stored: StoredHistory & { timestampMax: Timestamp },
    superseded: SupersededVersions,
  ) {
    this.#store = store;
    this.#superseded = superseded;
    this.#mode = stored.mode;
    this.#since = stored.since;
    this.#floor = stored.floor;
    this.#timestampMax = Math.max(stored.timestampMax, stored.floor);
  }

  get mode(): HistoryMode {
    return this.#mode;
  }

  get since(): Timestamp {
    return this.#since;
  }

  get timestampMax(): Timestamp {
    return this.#timestampMax;
  }

  /** Oldest moment that can be read. */
  get floor(): Timestamp {
    return this.#mode === 'on' ? this.#floor : Math.max(this.#floor, this.#timestampMax);
  }

  /** Older versions that are kept of each key; Infinity if there is no bound. */
  get versionsMax(): number {
    return this.#policy.versionsMax === undefined || this.#policy.versionsMax === 0
      ? Number.POSITIVE_INFINITY
      : this.#policy.versionsMax;
  }

  /** Oldest moment of which nothing may go; Infinity if nobody holds any. */
  get heldFloor(): Timestamp {
    return this.#policy.heldFloor === 0 ? Number.POSITIVE_INFINITY : this.#policy.heldFloor;
  }

  /** Returns whether the mode changed. Not while versions are being collected. */
  setPolicy(policy: HistoryPolicy): boolean {
    this.#policy = policy;
    const isOn = policy.retentionMs > 0 || policy.heldFloor > 0;
    if (isOn === (this.#mode === 'on') || (!isOn && this.#mode === 'off')) return false;
    this.#floor = this.floor;
    if (isOn) this.#since = this.#timestampMax;
    this.#mode = isOn ? 'on' : 'draining';
    this.#copies.clear();
    this.#revision++;
    return true;
  }

  /** The collector found that nothing is left to drain. */
  endDraining(): void {
    assert(this.#mode === 'draining', 'only what is being drained can end draining');
    this.#mode = 'off';
    this.#revision++;
  }

  /** Moments below `floor` cannot be read, and the next batch says so on disk. */
  raiseFloor(floor: Timestamp): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    this.#revision++;
  }

  /** Readers below `floor` are gone. Said on disk only by the batches that delete versions on the strength of it. */
  advanceFloor(floor: Timestamp): void {
    const allowed = Math.min(floor, this.heldFloor);
    if (allowed > this.#floor) this.#floor = allowed;
  }

  /** Records up to `timestamp` were installed without copies. */
  raiseSince(timestamp: Timestamp): void {
    if (timestamp <= this.#since) return;
    this.#since = timestamp;
    this.#revision++;
  }

  /** A change or an installed record with this timestamp is on its way into the store. */
  observe(timestamp: Timestamp): void {
    if (timestamp > this.#timestampMax) this.#timestampMax = timestamp;
  }

  /** Adds to `batch` what the changes of one call of `apply` leave for readers of the past. */
  addVersions(batch: StoreBatch, changes: readonly RecordChange[]): void {
    const first = changes[0];
    if (first === undefined || this.#mode === 'off') return;
    for (const change of changes) {
      if (change.sealed === null) this.#putTombstone(batch, change);
      else if (this.#mode === 'on') batch.put(encodeVersionKey(change.key, change.timestamp), change.sealed);
      if (this.#mode === 'draining') continue;
      if (change.sealed !== null && startsHistory(change.sealed)) {
        this.#begin(batch, change);
        continue;
      }
      if (change.replaces === 0) continue;
      assert(change.replaces <= change.timestamp, 'a change replaces what was committed after it');
      this.#copies.addTo(batch, change.key, this.#floor);
      if (change.isReplacedUnknown === true && isKeyRecord(change.key)) {
        this.#replaceUnknown(batch, change);
        continue;
      }
      const isSecond = change.replaces === change.timestamp;
      const isExact = !isSecond && isKeyRecord(change.key);
      // What was written from the first change of this batch on has its copy in this batch.
      if (!isExact || (change.replaces <= this.#since && change.replaces < first.timestamp))
        this.#keepReplaced(batch, change);
      // The second change of a record in one transaction took the place of the first one's version.
      if (!isSecond || change.sealed === null) this.#superseded.add(change, isExact);
    }
  }

  /** True if a sync is due before more is written. */
  get needsSync(): boolean {
    return this.#copies.isFull;
  }

  /** Every batch handed over so far is complete, and a sync begins. */
  syncBegins(): void {
    this.#copies.syncBegins();
    this.#syncingRevision = this.#savedRevision;
  }

  syncEnded(): void {
    this.#copies.syncEnded();
    this.#durableRevision = this.#syncingRevision;
  }

  /** True while a power cut could take what must be known about the history. */
  get isUnsaved(): boolean {
    return this.#revision !== this.#durableRevision;
  }

  /** Adds the record about the history; returns what to pass to `saved`. Only `BatchWriter` calls this. */
  addTo(batch: StoreBatch): number {
    batch.put(HISTORY_KEY, encodeHistory({ mode: this.#mode, since: this.#since, floor: this.#floor }));
    return this.#revision;
  }

  /** The batch that carried `revision` is complete. */
  saved(revision: number): void {
    this.#savedRevision = revision;
  }

  #putTombstone(batch: StoreBatch, change: RecordChange): void {
    batch.put(encodeVersionKey(change.key, change.timestamp), sealTombstone(change.key, change.timestamp));
  }

  /** A replay meets its own mark, or a later one. */
  #begin(batch: StoreBatch, change: RecordChange): void {
    const present = historyStart(this.#store, change.key);
    if (present >= change.timestamp) return;
    putHistoryStart(batch, change.key, change.timestamp);
    this.#superseded.begins(change, present > 0);
  }

  /** What a flush left under the key, if anything, is replaced. (An earlier change of this batch is left to the sweep.) */
  #replaceUnknown(batch: StoreBatch, change: RecordChange): void {
    const sealed = this.#store.getSync(change.key);
    if (sealed === undefined) return;
    const replaces = sealedTimestamp(sealed);
    if (replaces >= change.timestamp) return;
    this.#keepReplaced(batch, change);
    this.#superseded.add({ ...change, replaces }, true);
  }

  /** Nothing is under the key if the record is new, and something younger in a replay: then its copy is there already. */
  #keepReplaced(batch: StoreBatch, change: RecordChange): void {
    const sealed = this.#store.getSync(change.key);
    if (sealed === undefined) return;
    const timestamp = sealedTimestamp(sealed);
    if (timestamp > this.#since || timestamp >= change.timestamp) return;
    const versionKey = encodeVersionKey(change.key, timestamp);
    batch.put(versionKey, sealed);
    this.#copies.remember(change.key, { versionKey, sealed, supersededAt: change.timestamp });
  }
}
