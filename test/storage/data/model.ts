/**
 * The naive twin of the data store: a list of all changes ever made. It drives one or two groups of a node through commits,
 * applies in random order of completion, syncs, collections and crashes, and knows what every record was at every moment.
 */
import { strict as assert } from 'node:assert';
import type { Timestamp } from '../../../src/base/ids.ts';
import { encodePageKey, encodeRecordKey, isKeyRecord, slotRange } from '../../../src/storage/data/keys.ts';
import { sealRecord } from '../../../src/storage/data/records.ts';
import type { DataStoreOptions } from '../../../src/storage/data/options.ts';
import type { DataStore, HistoryPolicy, RecordChange } from '../../../src/storage/data/types.ts';
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
  appliedIndex = 0;
  durableIndex = 0;
  isApplying = false;
  lastTimestamp = 0;

  constructor(id: number) {
    this.id = id;
    const keys = Array.from({ length: 6 }, (_, i) => encodeRecordKey(id, 0, `k${i}`));
    this.records = [...keys, ...keys.slice(0, 2).map((key) => encodePageKey(key, 3))];
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
      const sealed = isDeletion ? null : sealRecord(key, timestamp, payload);
      changes.push({ key, sealed, timestamp, replaces });
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
        const found = await this.run(this.data.getAt(snapshot, record, at));
        const sealed = group.valueAt(record, at, group.entries.length);
        const wanted = sealed === undefined ? undefined : Buffer.from(sealed, 'hex').subarray(12).toString();
        assert.equal(text(found), wanted, `record ${Buffer.from(record).toString('hex')} at ${at}, floor ${floor}`);
        this.comparedCount++;
      }
    }
    snapshot.release();
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
}
