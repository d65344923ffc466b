/** Records, changes and stores for the tests of the data store. */
import { strict as assert } from 'node:assert';
import type { GroupId, LogIndex, Timestamp } from '../../../src/base/ids.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { DataStoreOptions } from '../../../src/storage/data/options.ts';
import { encodeRecordKey } from '../../../src/storage/data/keys.ts';
import { sealRecord } from '../../../src/storage/data/records.ts';
import { openDataStore } from '../../../src/storage/data/state.ts';
import type {
  AppliedState,
  DataSnapshot,
  DataStore,
  RecordChange,
  RecordRange,
} from '../../../src/storage/data/types.ts';
import { MemoryProcess } from '../../doubles/memory-process.ts';
import { MemoryDevice, type MemoryDeviceOptions } from '../../doubles/memory-store.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';

export const SLOT = 7;
const DIRECTORY = '/data';

export function key(name: string, slot = SLOT): Uint8Array {
  return encodeRecordKey(slot, 0, name);
}

export function put(name: string, value: string, timestamp: Timestamp, replaces: Timestamp = 0): RecordChange {
  return { key: key(name), sealed: sealRecord(key(name), timestamp, Buffer.from(value)), timestamp, replaces };
}

export function del(name: string, timestamp: Timestamp, replaces: Timestamp): RecordChange {
  return { key: key(name), sealed: null, timestamp, replaces };
}

export function applied(index: LogIndex, state = `state ${index}`): AppliedState {
  return { index, term: 1, state: Buffer.from(state) };
}

export function apply(
  data: DataStore,
  group: GroupId,
  changes: readonly RecordChange[],
  index: LogIndex,
): Promise<void> {
  return new Promise((resolve) => data.apply(group, changes, applied(index), resolve));
}

export function text(record: { readonly payload: Uint8Array } | undefined): string | undefined {
  return record === undefined ? undefined : Buffer.from(record.payload).toString();
}

/** A data store on a device in memory, as one process of a machine opens it. */
export class Node {
  readonly device: MemoryDevice;
  readonly random: SeededRandom;
  bootId = 'boot-1';

  constructor(seed: number, options: Partial<MemoryDeviceOptions> = {}) {
    this.random = new SeededRandom(seed);
    this.device = new MemoryDevice({ random: this.random.fork('device'), schedule: queueMicrotask, ...options });
  }

  open(options: Partial<DataStoreOptions> = {}): Promise<DataStore> {
    return openDataStore({
      store: this.device.open(),
      identity: { clusterId: 'c', nodeId: 1 },
      machineBootId: this.bootId,
      process: new MemoryProcess(),
      disk: this.device.disk,
      directory: DIRECTORY,
      log: silentLogger,
      ...options,
    });
  }

  /** The machine crashes: the next open finds another boot id. */
  crashMachine(kind: 'machine' | 'machine-rotation', keptCounts?: readonly number[]): void {
    this.device.crash(kind, keptCounts);
    this.bootId = `boot-${Number.parseInt(this.bootId.slice(5), 10) + 1}`;
  }
}

/** Everything in a range: name of the user key and value, with the version if older ones are wanted. */
export async function contents(
  snapshot: DataSnapshot,
  range: RecordRange,
  options: { withVersions?: boolean } = {},
): Promise<{ key: string; sealed: string }[]> {
  const iterator = snapshot.iterate(range, options);
  const all: { key: string; sealed: string }[] = [];
  for (;;) {
    const records = await iterator.next(10, 1_000);
    if (records.length === 0) break;
    for (const record of records) {
      all.push({ key: Buffer.from(record.key).toString('hex'), sealed: Buffer.from(record.sealed).toString('hex') });
    }
  }
  await iterator.close();
  return all;
}

/** Runs `count` cases with seeds that are printed when a case fails. */
export async function withSeeds(first: number, count: number, run: (seed: number) => Promise<void>): Promise<void> {
  const only = Number.parseInt(process.env['SEED'] ?? '', 10);
  const seeds = Number.isNaN(only) ? Array.from({ length: count }, (_, i) => first + i) : [only];
  for (const seed of seeds) {
    try {
      await run(seed);
    } catch (error) {
      assert.fail(
        `seed ${seed} (replay with SEED=${seed}): ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    }
  }
}
