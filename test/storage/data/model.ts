/**
 * The naive twin of the data store: a list of all changes ever made. It drives one or two groups of a node through commits,
 * applies in random order of completion, syncs, collections and crashes, and knows what every record was at every moment.
 */
import { strict as assert } from 'node:assert';
import type { Timestamp } from '../../../src/base/ids.ts';
import {
  afterRecord,
  encodeHistoryStartKey,
  encodePageKey,
  encodeRecordKey,
  isKeyRecord,
  recordKeyLength,
  slotRange,
} from '../../../src/storage/data/keys.ts';
import { openVersion, sealHistoryStart, sealRecord } from '../../../src/storage/data/records.ts';
import type { DataStoreOptions } from '../../../src/storage/data/options.ts';
import type { DataStore, HistoryPolicy, RecordChange } from '../../../src/storage/data/types.ts';
import { HistoryGone, PastScan } from '../../../src/storage/data/versions.ts';
import type { CrashKind } from '../../doubles/memory-store.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { StepScheduler } from '../../doubles/stepping.ts';
import { applied, contents, Node, text } from './support.ts';

interface Entry {
  readonly changes: readonly RecordChange[];
}

class Group {
  readonly id: number;
  /** The Raft log: entry i has index i + 1. */
  readonly entries: Entry[] = [];
  readonly records: readonly Uint8Array[];
  /** Timestamp of the last commit of each record as the log says, 0 if it is deleted. */
  readonly committed = new Map<string, Timestamp>();
  /** Timestamp of the last change of each key record that began its past. */
  readonly starts = new Map<string, Timestamp>();
  appliedIndex = 0;
  durableIndex = 0;
  isApplying = false;
  lastTimestamp = 0;

  constructor(id: number) {
    this.id = id;
    const keys = Array.from({ length: 6 }, (_, i) => encodeRecordKey(id, 0, `k${i}`));
    this.records = [...keys, ...keys.slice(0, 2).map((key) => encodePageKey(key, 3))];
  }

  /** The key's own record to which a record belongs. */
  keyRecordOf(record: Uint8Array): Uint8Array {
    return (
      this.records.find(
        (key) => isKeyRecord(key) && Buffer.compare(key.subarray(0, -1), record.subarray(0, key.length - 1)) === 0,
      ) ?? record
    );
  }

  /** Moments at which the record became what it is after `at`, by the first `index` entries. */
  changesAfter(record: Uint8Array, at: Timestamp, index: number): number {
    const moments = new Set<Timestamp>();
    for (const { changes } of this.entries.slice(0, index)) {
      for (const { key, timestamp } of changes) {
        if (timestamp > at && Buffer.compare(key, record) === 0) moments.add(timestamp);
      }
    }
    return moments.size;
  }

  /** What the record was at `at`, by the first `index` entries. */
  valueAt(record: Uint8Array, at: Timestamp, index: number): string | undefined {
    let value: string | undefined;
    for (const { changes } of this.entries.slice(0, index)) {
      for (const { key, sealed, timestamp } of changes) {
        if (timestamp > at || Buffer.compare(key, record) !== 0) continue;
        value = sealed === null ? undefined : Buffer.from(sealed).toString('hex');
      }
    }
    return value;
  }
}

export class Model {
  readonly random: SeededRandom;
  readonly groups: readonly Group[];
  readonly scheduler = new StepScheduler();
  readonly node: Node;
  data!: DataStore;
  clock: Timestamp = 0;
  policy: HistoryPolicy = { retentionMs: 0, heldFloor: 0 };
  /** Moments compared with the store, so that a run proves that it did something. */
  comparedCount = 0;
  /** Share of the changes of keys that begin their past. */
  startChance = 0;
  /** Share of the puts of absent keys of which nobody knows whether they replace something. */
  unknownChance = 0;
  /** How often a moment was refused because the record has forgotten it. */
  forgottenCount = 0;
  /** Oldest moment of which the test has not allowed to be forgotten. */
  wantedFloor: Timestamp = 0;

  constructor(seed: number, groupCount: number) {
    this.random = new SeededRandom(seed).fork('model');
    this.groups = Array.from({ length: groupCount }, (_, i) => new Group(i + 1));
    this.node = new Node(seed, { schedule: this.scheduler.schedule, rotationBytes: 500 });
  }

  async open(options: Partial<DataStoreOptions> = {}): Promise<void> {
    const checkpoints = new Map(this.groups.map((group) => [group.id, { index: group.durableIndex }]));
    const garbageLimits = { supersededCountMax: 8, tombstoneCountMax: 4 };
    this.data = await this.run(this.node.open({ history: this.policy, checkpoints, garbageLimits, ...options }));
    for (const group of this.groups) {
      group.isApplying = false;
      const found = this.data.recovered.get(group.id)?.index ?? 0;
      group.appliedIndex = this.data.isSameBoot ? found : group.durableIndex;
      assert.ok(found >= group.durableIndex, 'what was synced is there');
    }
  }

  /** Lets completions happen, oldest first, until the promise has settled. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.until(promise);
  }

  commit(group: Group): void {
    const timestamp = ++this.clock;
    const changes: RecordChange[] = [];
    for (let count = 1 + this.random.below(3); count > 0; count--) {
      const key = this.random.pick(group.records);
      const name = Buffer.from(key).toString('hex');
      const before = group.committed.get(name) ?? 0;
      if (before === 0 && this.random.chance(0.3)) continue;
      const isDeletion = before > 0 && this.random.chance(0.35);
      // Of a page only a bound is known: the last commit of its key.
      const replaces = before > 0 && !isKeyRecord(key) ? Math.max(before, group.lastTimestamp) : before;
      const payload = Buffer.from(`${timestamp}.${count}`);
      const mayStart = this.startChance > 0 && !isDeletion && isKeyRecord(key) && this.policy.heldFloor === 0;
      const starts = mayStart && this.random.chance(this.startChance);
      if (starts) group.starts.set(name, timestamp);
      const sealed = isDeletion ? null : (starts ? sealHistoryStart : sealRecord)(key, timestamp, payload);
      // What a flush left is replaced without being known; of a key that is not there that is all that anybody knows.
      const mayBeUnknown = this.unknownChance > 0 && before === 0 && !isDeletion && group.lastTimestamp > 0;
      const isReplacedUnknown = mayBeUnknown && this.random.chance(this.unknownChance);
      if (isReplacedUnknown) changes.push({ key, sealed, timestamp, replaces: group.lastTimestamp, isReplacedUnknown });
      else changes.push({ key, sealed, timestamp, replaces });
      group.committed.set(name, isDeletion ? 0 : timestamp);
    }
    group.lastTimestamp = timestamp;
    group.entries.push({ changes });
  }

  /** Hands the next entries to the store unless a batch is under way. */
  applyNext(group: Group): void {
    if (group.isApplying || group.appliedIndex === group.entries.length) return;
    const count = 1 + this.random.below(Math.min(4, group.entries.length - group.appliedIndex));
    const entries = group.entries.slice(group.appliedIndex, group.appliedIndex + count);
    const index = group.appliedIndex + entries.length;
    group.isApplying = true;
    const { data } = this;
    this.data.apply(
      group.id,
      entries.flatMap(({ changes }) => changes),
      applied(index),
      () => {
        assert.equal(data, this.data, 'nothing of a dead process runs');
        group.isApplying = false;
        group.appliedIndex = index;
      },
    );
  }

  async applyEverything(): Promise<void> {
    for (const group of this.groups) {
      while (group.isApplying || group.appliedIndex < group.entries.length) {
        this.applyNext(group);
        await this.scheduler.step();
      }
    }
  }

  /** Commits, applies, completions in any order, and now and then a sync; leaves work under way. */
  async scramble(steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      const group = this.random.pick(this.groups);
      const dice = this.random.float();
      if (dice < 0.35) this.commit(group);
      else if (dice < 0.65) this.applyNext(group);
      else if (dice < 0.95) await this.scheduler.step(this.random.below(4));
      else await this.sync();
    }
  }

  async sync(): Promise<void> {
    const indexes = this.groups.map((group) => group.appliedIndex);
    await this.run(this.data.sync());
    for (const [i, group] of this.groups.entries()) group.durableIndex = indexes[i] ?? 0;
  }

  async crash(kind: CrashKind): Promise<void> {
    this.scheduler.clear();
    if (kind === 'process') this.node.device.crash(kind);
    else this.node.crashMachine(kind);
    await this.open();
    if (kind !== 'process') assert.equal(this.data.isSameBoot, false);
  }

  /** The newest records are exactly those of the log, up to the index that each group has reached. */
  async checkNewest(): Promise<void> {
    const snapshot = this.data.snapshot();
    for (const group of this.groups) {
      const found = await this.run(contents(snapshot, slotRange(group.id, group.id)));
      const wanted = group.records
        .map((key) => ({
          key: Buffer.from(key).toString('hex'),
          sealed: group.valueAt(key, this.clock, group.appliedIndex),
        }))
        .filter(({ sealed }) => sealed !== undefined)
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      assert.deepEqual(found, wanted, `group ${group.id} at index ${group.appliedIndex}`);
    }
    snapshot.release();
  }

  /** Every moment that the store does not refuse reads as the log says. Only when everything is applied. */
  async checkHistory(): Promise<void> {
    const snapshot = this.data.snapshot();
    const floor = snapshot.historyFloor;
    assert.ok(floor <= Math.max(this.wantedFloor, 0), `the floor ${floor} is above ${this.wantedFloor}`);
    for (let at = floor; at <= this.clock; at++) {
      for (const group of this.groups) {
        const record = this.random.pick(group.records);
        if (await this.#hasForgotten(group, record, at)) continue;
        const found = await this.run(this.data.getAt(snapshot, record, at));
        const sealed = group.valueAt(record, at, group.entries.length);
        const wanted = sealed === undefined ? undefined : Buffer.from(sealed, 'hex').subarray(12).toString();
        assert.equal(text(found), wanted, `record ${Buffer.from(record).toString('hex')} at ${at}, floor ${floor}`);
        this.comparedCount++;
      }
    }
    for (const group of this.groups) {
      await this.#checkScan(group, floor + this.random.below(Math.max(1, this.clock + 1 - floor)));
      await this.#checkVersions(group, floor);
    }
    snapshot.release();
  }

  /** A walk over the group at a moment meets what was there, or a key that has forgotten the moment. */
  async #checkScan(group: Group, at: Timestamp): Promise<void> {
    const snapshot = this.data.snapshot();
    const scan = new PastScan(snapshot, slotRange(group.id, group.id), at);
    const found: string[] = [];
    try {
      for (let next = await this.run(scan.next()); next !== null; next = await this.run(scan.next())) {
        const key = Buffer.from(next.key);
        if (isKeyRecord(key)) found.push(`${key.toString('hex')} ${String(text(next.record ?? undefined))}`);
      }
    } catch (error) {
      if (!(error instanceof HistoryGone)) throw error;
      const forgotten = await Promise.all(group.records.map((record) => this.#hasForgotten(group, record, at)));
      assert.ok(forgotten.includes(true), 'a walk is refused because of a key that has forgotten');
      return;
    } finally {
      await this.run(scan.close());
      snapshot.release();
    }
    const wanted = group.records.filter(isKeyRecord).flatMap((record) => {
      const sealed = group.valueAt(record, at, group.entries.length);
      const value = sealed === undefined ? undefined : Buffer.from(sealed, 'hex').subarray(12).toString();
      return value === undefined ? [] : [`${Buffer.from(record).toString('hex')} ${value}`];
    });
    assert.deepEqual(found, wanted, `group ${group.id} at ${at}`);
  }

  /** The versions of a key are those of the log, without gaps, as far as they are kept. */
  async #checkVersions(group: Group, floor: Timestamp): Promise<void> {
    const record = this.random.pick(group.records.filter(isKeyRecord));
    const upTo = floor + this.random.below(Math.max(1, this.clock + 1 - floor));
    const snapshot = this.data.snapshot();
    const countMax = 1 + this.random.below(6);
    const found = await this.run(this.data.versionsOf(snapshot, record, { upTo, countMax }));
    snapshot.release();
    const moments = new Map<Timestamp, string | null>();
    for (const { changes } of group.entries) {
      for (const { key, sealed, timestamp } of changes) {
        if (timestamp > upTo || Buffer.compare(key, record) !== 0) continue;
        moments.set(timestamp, sealed === null ? null : Buffer.from(sealed).subarray(12).toString());
      }
    }
    const all = [...moments].reverse();
    const shown = found.map(({ timestamp, payload }) => [
      timestamp,
      payload === null ? null : Buffer.from(payload).toString(),
    ]);
    assert.deepEqual(shown, all.slice(0, shown.length));
    assert.ok(shown.length <= countMax);
    if (shown.length === countMax || (await this.#hasForgotten(group, record, floor))) return;
    const [oldest] = all.slice(shown.length);
    const next = all[shown.length - 1];
    const isWhole = oldest === undefined || oldest[1] === null || (next?.[0] ?? upTo + 1) <= floor;
    assert.ok(isWhole, `the version of ${oldest?.[0] ?? 0} is missing, floor ${floor}`);
  }

  /** True if the key has forgotten the moment; it must have had a reason. */
  async #hasForgotten(group: Group, record: Uint8Array, at: Timestamp): Promise<boolean> {
    const key = group.keyRecordOf(record);
    const snapshot = this.data.snapshot();
    try {
      await this.run(this.data.getAt(snapshot, key, at));
      return false;
    } catch (error) {
      if (!(error instanceof HistoryGone)) throw error;
    } finally {
      snapshot.release();
    }
    this.forgottenCount++;
    const newer = group.changesAfter(key, at, group.entries.length);
    const isStarted = at < (group.starts.get(Buffer.from(key).toString('hex')) ?? 0);
    const { versionsMax = 0, heldFloor } = this.policy;
    const isTrimmed = versionsMax > 0 && newer > versionsMax && (heldFloor === 0 || at < heldFloor);
    assert.ok(isStarted || isTrimmed, `${Buffer.from(key).toString('hex')} at ${at} is gone, after ${newer} changes`);
    return true;
  }

  /** The largest number of versions on disk that one key has, its newest one's copy among them. */
  async versionsOfKeys(): Promise<number> {
    const snapshot = this.data.snapshot();
    let most = 0;
    for (const group of this.groups) {
      for (const record of group.records.filter(isKeyRecord)) {
        const range = { start: Buffer.concat([record, Buffer.of(0)]), end: afterRecord(record) };
        const found = await this.run(contents(snapshot, range, { withVersions: true }));
        const mark = Buffer.from(encodeHistoryStartKey(record)).toString('hex');
        most = Math.max(most, found.filter(({ key }) => key !== mark).length);
      }
    }
    snapshot.release();
    return most;
  }

  /** Older versions on disk, and records. */
  async countStored(): Promise<{ versions: number; records: number }> {
    const snapshot = this.data.snapshot();
    const range = slotRange(0, 100);
    const records = (await this.run(contents(snapshot, range))).length;
    const all = (await this.run(contents(snapshot, range, { withVersions: true }))).length;
    snapshot.release();
    return { versions: all - records, records };
  }

  /** Versions on disk, where no record may have more than one; `isDeletion`: it hides what lies under it. */
  async storedVersions(): Promise<readonly { readonly recordKey: string; readonly isDeletion: boolean }[]> {
    const snapshot = this.data.snapshot();
    const all = await this.run(contents(snapshot, slotRange(0, 100), { withVersions: true }));
    snapshot.release();
    const versions = all
      .map(({ key, sealed }) => ({ key: Buffer.from(key, 'hex'), sealed: Buffer.from(sealed, 'hex') }))
      .map(({ key, sealed }) => ({ key, sealed, name: key.subarray(0, recordKeyLength(key)) }))
      .filter(({ key, name }) => name.length < key.length);
    const names = versions.map(({ name }) => name.toString('hex'));
    assert.equal(new Set(names).size, names.length, 'no record has two versions');
    return versions.map(({ name, sealed }) => ({
      recordKey: name.toString('hex'),
      isDeletion: openVersion(name, sealed) === undefined,
    }));
  }
}
