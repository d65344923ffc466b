/**
 * The data store of a node: one ordered key-value store with the applied state of all its groups. On the hot path: `apply` once
 * per committed batch of entries, `get` once per key that is not resident.
 *
 * Problem. The store below is not synced with each batch, and after a power cut it may have lost an earlier batch while a
 * later one survived (checkpoint.ts). The Raft log can replay; so the store must say exactly what it can vouch for, and
 * replaying must be harmless.
 *
 * - All that an entry changes is one batch: records, older versions, applied index, the partition's own state. Replaying
 *   entries over a state that already holds some of their effects ends in the same state, because each change puts or
 *   deletes a whole record.
 * - After a crash of the process alone, the store holds everything that was written, and replay starts behind the applied
 *   index. That is so if the machine's boot id is the one of the last open. After a crash of the machine, replay starts
 *   behind the log's checkpoint, and every group is *suspect* up to the index found: its effects up to there may have holes.
 *   The suspicion is stored in the batch that stores the new boot id. Otherwise a second crash, of the process only, would
 *   make the half-replayed state look whole. It ends, group by group, with the batch that passes the suspect index.
 * - Ranges that are being replaced are marked (install.ts).
 *
 * Whatever fails here ends the process: the outcome of a failed write is unknown.
 */
import { assert, mustExist } from '../../base/assert.ts';
import { KahunaError } from '../../base/errors.ts';
import type { GroupId, LogIndex, Timestamp } from '../../base/ids.ts';
import { BatchWriter } from './batch-writer.ts';
import { syncWriteAhead } from './checkpoint.ts';
import { isDataDamage } from './damage.ts';
import { Garbage } from './garbage.ts';
import { History } from './history.ts';
import { overlaps, RangeInstall } from './install.ts';
import { JointBatch } from './joint-batch.ts';
import type { KeyValueStore, StoreBatch } from './key-value-store.ts';
import {
  encodeGroup,
  encodeReplacement,
  groupKey,
  NODE_PREFIX,
  replacementKey,
  type StoredGroup,
  type StoredReplacement,
} from './metadata.ts';
import type { DataStoreOptions } from './options.ts';
import { openRecord } from './records.ts';
import { type RecoveredStore, recoverStore } from './recovery.ts';
import { hashRange, scrubRange } from './scrub.ts';
import { StoreView } from './snapshot.ts';
import type {
  AppliedState,
  DataSnapshot,
  DataStore,
  HistoryPolicy,
  InstallSource,
  OpenedRecord,
  PastRecord,
  RecordChange,
  RecordRange,
  RecoveredState,
  ScrubbedRange,
  ScrubLimits,
  SnapshotInstall,
} from './types.ts';
import { type PastView, readVersion, readVersions } from './versions.ts';

/**
 * Checks whose directory it is, cleans what a crash left behind, and notes the machine's boot. Ends the process with
 * `wrongDirectory` if the directory belongs to another node, another cluster or a newer format, and with `dataDamaged` if the
 * store's own records are damaged.
 */
export async function openDataStore(options: DataStoreOptions): Promise<DataStore> {
  try {
    return new KeyValueDataStore(options, await recoverStore(options));
  } catch (error) {
    if (!(error instanceof KahunaError)) throw error;
    if (error.code === 'WRONG_DIRECTORY') return options.process.fatal('wrongDirectory', error.message, error);
    if (error.code === 'DATA_DAMAGED' || error.code === 'BYTES_MALFORMED') {
      return options.process.fatal('dataDamaged', error.message, error);
    }
    throw error;
  }
}

/** A group as the store last heard of it. Fields change only when a batch or an install of the group begins or ends. */
interface GroupState {
  readonly key: Uint8Array;
  index: LogIndex;
  timestampMax: Timestamp;
  suspectUpTo: LogIndex;
  installedIndex: LogIndex;
  /** A batch, an install or a removal is under way: no other may begin. */
  isBusy: boolean;
}

class KeyValueDataStore implements DataStore {
  readonly recovered: ReadonlyMap<GroupId, RecoveredState>;
  readonly isSameBoot: boolean;
  readonly #options: DataStoreOptions;
  readonly #store: KeyValueStore;
  readonly #garbage: Garbage;
  readonly #history: History;
  readonly #writer: BatchWriter;
  readonly #joint: JointBatch;
  readonly #groups = new Map<GroupId, GroupState>();
  /** Marked groups (install.ts), including those whose install a crash or an abort has ended. */
  readonly #marks: Map<GroupId, StoredReplacement>;
  /** Installs and removals under way. */
  #replacementCount = 0;
  #collecting: Promise<unknown> | null = null;
  #pendingPolicy: HistoryPolicy | null = null;
  /** Ends when the last switch of the history is durable. */
  #saving: Promise<void> = Promise.resolve();
  #lastSync: Promise<void> = Promise.resolve();
  #nextSync: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: DataStoreOptions, recovered: RecoveredStore) {
    this.#options = options;
    this.#store = options.store;
    this.recovered = recovered.groups;
    this.isSameBoot = recovered.isSameBoot;
    this.#marks = recovered.marks;
    for (const [group, stored] of recovered.groups) this.#groups.set(group, newGroupState(group, stored));
    this.#garbage = new Garbage(options.store, options.garbageLimits);
    this.#history = new History(options.store, recovered.history, this.#garbage);
    this.#writer = new BatchWriter(this.#history, options.process);
    this.#joint = new JointBatch(options.store, this.#writer);
    this.#garbage.reset(this.#history);
    if (options.history !== null) this.setHistory(options.history ?? { retentionMs: 0, heldFloor: 0 });
  }

  get(key: Uint8Array): OpenedRecord | undefined {
    this.#assertOpen();
    const sealed = this.#store.getSync(key);
    return sealed === undefined ? undefined : openRecord(key, sealed);
  }

  apply(group: GroupId, changes: readonly RecordChange[], applied: AppliedState, done: () => void): void {
    const state = this.#begin(group);
    assert(applied.index > 0, 'entries begin at index 1');
    this.#noteReplay(state, applied.index);
    const { needsSync } = this.#history;
    const batch = needsSync ? this.#store.batch() : this.#joint.batch;
    try {
      // Before anything else is added: what it replaces may turn out unreadable, and then the batch holds copies and no change.
      this.#history.addVersions(batch, changes);
    } catch (error) {
      state.isBusy = false;
      throw error;
    }
    let bytes = applied.state.length;
    for (const change of changes) {
      assert((change.key[0] ?? 0xff) < NODE_PREFIX, "a change of one of the store's own keys");
      if (change.sealed === null) batch.delete(change.key);
      else {
        batch.put(change.key, change.sealed);
        bytes += change.sealed.length;
      }
      if (change.timestamp > state.timestampMax) state.timestampMax = change.timestamp;
    }
    this.#history.observe(state.timestampMax);
    if (this.#marks.has(group)) this.#dropMark(batch, group);
    state.index = applied.index;
    if (state.index >= state.suspectUpTo) state.suspectUpTo = 0;
    batch.put(state.key, encodeGroup(state.key, { ...applied, ...suspicion(state) }));
    const written = (): void => {
      state.isBusy = false;
      done();
    };
    if (!needsSync) {
      this.#joint.added(bytes, written);
      return;
    }
    this.sync().then(
      () => {
        this.#writer.write(batch, written);
      },
      (error: unknown) => this.#writer.fail('a sync failed', error),
    );
  }

  snapshot(): DataSnapshot {
    this.#assertOpen();
    return new StoreView(this.#store, this.#history.floor);
  }

  sync(): Promise<void> {
    this.#assertOpen();
    // A sync under way may have listed the files already, so a later caller waits for the next one, and shares it.
    this.#nextSync ??= this.#lastSync.then(() => {
      this.#nextSync = null;
      this.#lastSync = this.#syncNow();
      return this.#lastSync;
    });
    return this.#nextSync;
  }

  async beginInstall(group: GroupId, ranges: readonly RecordRange[], source?: InstallSource): Promise<SnapshotInstall> {
    const state = this.#begin(group);
    await this.#beginReplacement(group, { isInstall: true, ranges });
    state.index = 0;
    state.suspectUpTo = 0;
    const keepsVersions = this.#history.mode === 'on';
    return new RangeInstall(
      {
        store: this.#store,
        keepsVersions,
        write: (batch) => this.#writer.writeAsync(batch),
        finish: (applied, timestampMax) => this.#finishInstall(group, { applied, timestampMax, source, keepsVersions }),
        abandon: () => this.#abandonInstall(state, ranges),
      },
      ranges,
    );
  }

  async removeGroup(group: GroupId, ranges: readonly RecordRange[]): Promise<void> {
    const state = this.#begin(group);
    await this.#beginReplacement(group, { isInstall: false, ranges });
    await this.sync();
    const batch = this.#store.batch();
    this.#dropMark(batch, group);
    await this.#writer.writeAsync(batch);
    await this.sync();
    this.#groups.delete(group);
    this.#endReplacement(state);
  }

  hashRange(snapshot: DataSnapshot, range: RecordRange): Promise<{ readonly hash: string; readonly count: number }> {
    return hashRange(asView(snapshot), range);
  }

  scrubRange(snapshot: DataSnapshot, range: RecordRange, limits: ScrubLimits): Promise<ScrubbedRange> {
    return scrubRange(asView(snapshot), range, limits);
  }

  isExact(group: GroupId): boolean {
    return (this.#groups.get(group)?.suspectUpTo ?? 0) === 0;
  }

  getAt(snapshot: DataSnapshot, key: Uint8Array, at: Timestamp): Promise<OpenedRecord | undefined> {
    return readVersion(this.#pastView(snapshot), { key, at });
  }

  versionsOf(
    snapshot: DataSnapshot,
    key: Uint8Array,
    wanted: { readonly upTo: Timestamp; readonly countMax: number },
  ): Promise<readonly PastRecord[]> {
    return readVersions(this.#pastView(snapshot), { key, ...wanted });
  }

  #pastView(snapshot: DataSnapshot): PastView {
    return { store: this.#store, snapshot: asView(snapshot).inner, floor: snapshot.historyFloor };
  }

  get historyFloor(): Timestamp {
    return this.#history.floor;
  }

  get hasHistory(): boolean {
    return this.#history.mode !== 'off';
  }

  get keepsHistory(): boolean {
    return this.#history.mode === 'on';
  }

  setHistory(policy: HistoryPolicy): void {
    if (this.#collecting !== null) {
      // Appliers may wait for it.
      this.#pendingPolicy = policy;
      this.#garbage.hurry();
      return;
    }
    // What was added so far has copies, or none, as the policy of before says.
    this.#joint.send();
    const hasChanged = this.#history.setPolicy(policy);
    this.#garbage.setVersionsMax(this.#history.versionsMax);
    if (!hasChanged) return;
    this.#garbage.reset(this.#history);
    this.#saveSoon();
  }

  /** Until a switch is durable each batch carries it, and they go one at a time. */
  #saveSoon(): void {
    if (this.#history.isUnsaved) this.#saving = this.#saving.then(() => this.#saveHistory());
  }

  async #saveHistory(): Promise<void> {
    if (this.#isClosed || !this.#history.isUnsaved) return;
    await this.#writer.writeWithHistory(this.#store.batch());
    await this.#syncUnlessClosed();
  }

  async #syncUnlessClosed(): Promise<void> {
    if (!this.#isClosed) await this.sync();
  }

  async historySettled(): Promise<void> {
    while (this.#pendingPolicy !== null) await this.#collectingEnded();
  }

  async collect(floor: Timestamp, stepsMax: number): Promise<boolean> {
    this.#assertOpen();
    assert(this.#collecting === null, 'versions are being collected already');
    if (this.#replacementCount > 0 || this.#isReplaying()) return true;
    if (this.#history.mode === 'on') this.#history.advanceFloor(floor);
    const collecting = this.#garbage.collect(this.#history, this.#writer, stepsMax);
    this.#collecting = collecting;
    try {
      return await collecting;
    } finally {
      this.#collecting = null;
      this.#applyPendingPolicy();
      this.#saveSoon();
    }
  }

  async close(): Promise<void> {
    this.#assertOpen();
    this.#isClosed = true;
    await this.#collectingEnded();
    await this.#saving;
    this.#joint.send();
    await this.#writer.settled();
    await this.#lastSync;
    await this.#store.close();
  }

  /** Takes the group for one operation. */
  #begin(group: GroupId): GroupState {
    this.#assertOpen();
    let state = this.#groups.get(group);
    if (state === undefined) {
      state = newGroupState(group, null);
      this.#groups.set(group, state);
    }
    assert(!state.isBusy, `group ${group} has an operation under way`);
    state.isBusy = true;
    return state;
  }

  /** Entries that go back behind what the store holds are a replay: its state is in doubt until they have caught up. */
  #noteReplay(state: GroupState, index: LogIndex): void {
    if (index >= state.index) return;
    assert(!this.isSameBoot, `entry ${index} was applied before: the store holds ${state.index}`);
    if (state.index > state.suspectUpTo) state.suspectUpTo = state.index;
  }

  #isReplaying(): boolean {
    for (const state of this.#groups.values()) if (state.suspectUpTo > 0) return true;
    return false;
  }

  async #syncNow(): Promise<void> {
    this.#joint.send();
    await this.#writer.settled();
    const deletionCount = this.#garbage.deletionCount;
    this.#history.syncBegins();
    try {
      await syncWriteAhead(this.#options.disk, this.#options.directory);
    } catch (error) {
      this.#writer.fail('a sync of the data store failed', error);
    }
    this.#garbage.madeDurable(deletionCount);
    this.#history.syncEnded();
  }

  /** Marks the ranges, durably, and empties them. */
  async #beginReplacement(group: GroupId, replacement: StoredReplacement): Promise<void> {
    for (const [other, mark] of this.#marks) {
      const isClash = mark.ranges.some((a) => replacement.ranges.some((b) => overlaps(a, b)));
      assert(other === group || !isClash, `the ranges of group ${group} overlap those that group ${other} left marked`);
    }
    this.#replacementCount++;
    await this.#collectingEnded();
    // An earlier mark of the group may name other ranges: they stay marked until they are empty as well.
    const earlier = this.#marks.get(group)?.ranges ?? [];
    const mark = { ...replacement, ranges: [...replacement.ranges, ...earlier] };
    this.#marks.set(group, mark);
    const state = mustExist(this.#groups.get(group), 'the group was taken before');
    const batch = this.#store.batch();
    batch.put(replacementKey(group), encodeReplacement(group, mark));
    if (replacement.isInstall) batch.put(state.key, encodeGroup(state.key, EMPTY_GROUP));
    else batch.delete(state.key);
    await this.#writer.writeAsync(batch);
    await this.sync();
    await this.#clear(mark.ranges);
  }

  async #clear(ranges: readonly RecordRange[]): Promise<void> {
    try {
      for (const range of ranges) await this.#store.clear(range);
    } catch (error) {
      if (isDataDamage(error))
        this.#options.process.fatal('dataDamaged', `a range cannot be emptied: ${error.message}`, error);
      this.#writer.fail('emptying a range of the data store failed', error);
    }
  }

  async #finishInstall(
    group: GroupId,
    installed: {
      applied: AppliedState;
      timestampMax: Timestamp;
      source: InstallSource | undefined;
      keepsVersions: boolean;
    },
  ): Promise<void> {
    const { applied, timestampMax, source } = installed;
    const state = mustExist(this.#groups.get(group), 'the group was taken before');
    await this.sync();
    state.index = applied.index;
    state.installedIndex = applied.index;
    state.timestampMax = timestampMax;
    this.#history.observe(Math.max(timestampMax, source?.historyFloor ?? 0));
    this.#history.raiseFloor(source?.historyFloor ?? this.#history.timestampMax);
    if (!installed.keepsVersions) {
      // History may have been switched on meanwhile: what came before has no copies.
      this.#history.raiseSince(timestampMax);
      this.#history.raiseFloor(timestampMax);
    }
    const batch = this.#store.batch();
    batch.put(state.key, encodeGroup(state.key, { ...applied, ...suspicion(state) }));
    this.#dropMark(batch, group);
    await this.#writer.writeAsync(batch);
    await this.sync();
    this.#endReplacement(state);
  }

  /** The mark stays, and the ranges are durably empty: replay from the first entry on may drop it. */
  async #abandonInstall(state: GroupState, ranges: readonly RecordRange[]): Promise<void> {
    await this.#clear(ranges);
    await this.sync();
    this.#endReplacement(state);
  }

  #endReplacement(state: GroupState): void {
    state.isBusy = false;
    this.#replacementCount--;
    this.#garbage.reset(this.#history);
  }

  #dropMark(batch: StoreBatch, group: GroupId): void {
    batch.delete(replacementKey(group));
    this.#marks.delete(group);
  }

  #applyPendingPolicy(): void {
    const policy = this.#pendingPolicy;
    if (policy === null) return;
    this.#pendingPolicy = null;
    this.setHistory(policy);
  }

  /** Resolves when no call of `collect` is under way; its failure is its caller's. */
  async #collectingEnded(): Promise<void> {
    await this.#collecting?.then(
      () => undefined,
      () => undefined,
    );
  }

  #assertOpen(): void {
    assert(!this.#isClosed, 'the data store is closed');
  }
}

const EMPTY_GROUP: StoredGroup = {
  index: 0,
  term: 0,
  timestampMax: 0,
  suspectUpTo: 0,
  installedIndex: 0,
  state: new Uint8Array(0),
};

function newGroupState(group: GroupId, stored: StoredGroup | null): GroupState {
  const { index, timestampMax, suspectUpTo, installedIndex } = stored ?? EMPTY_GROUP;
  return { key: groupKey(group), index, timestampMax, suspectUpTo, installedIndex, isBusy: false };
}

function suspicion(state: GroupState): Omit<StoredGroup, keyof AppliedState> {
  const { timestampMax, suspectUpTo, installedIndex } = state;
  return { timestampMax, suspectUpTo, installedIndex };
}

function asView(snapshot: DataSnapshot): StoreView {
  assert(snapshot instanceof StoreView, 'a snapshot of another store');
  return snapshot;
}
