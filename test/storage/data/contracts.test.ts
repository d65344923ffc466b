/** The contracts of the stores, on LevelDB in a temporary directory and on the doubles. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/base/log.ts';
import { nodeDisk } from '../../../src/node/platform-disk.ts';
import { openPlatformStore } from '../../../src/node/platform-store.ts';
import type { KeyValueStore } from '../../../src/storage/data/key-value-store.ts';
import { openDataStore } from '../../../src/storage/data/state.ts';
import type { DataStore } from '../../../src/storage/data/types.ts';
import { type DataStoreHarness, describeDataStore } from '../../contracts/data-store.ts';
import { describeKeyValueStore, type StoreHarness } from '../../contracts/key-value-store.ts';
import { MemoryProcess } from '../../doubles/memory-process.ts';
import { MemoryDevice } from '../../doubles/memory-store.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { Node } from './support.ts';

const disk = nodeDisk;

describeKeyValueStore('the double', (): StoreHarness => {
  const device = new MemoryDevice({ random: new SeededRandom(1), schedule: queueMicrotask, rotationBytes: 100 });
  return { open: () => Promise.resolve(device.open()), dispose: () => Promise.resolve() };
});

describeKeyValueStore('LevelDB', (): StoreHarness => {
  let directory = '';
  let store: KeyValueStore | undefined;
  return {
    open: async () => {
      if (directory === '') directory = await mkdtemp(join(tmpdir(), 'kahuna-store-'));
      const opened = await openPlatformStore({ directory, disk, process: new MemoryProcess(), log: silentLogger });
      store = opened.store;
      return store;
    },
    dispose: async () => {
      await store?.close();
      await rm(directory, { recursive: true });
    },
  };
});

describeDataStore('the double', (): DataStoreHarness => {
  const node = new Node(1, { rotationBytes: 500 });
  return { open: (options) => node.open(options), dispose: () => Promise.resolve() };
});

describeDataStore('LevelDB', (): DataStoreHarness => {
  let directory = '';
  let data: DataStore | undefined;
  const process = new MemoryProcess();
  return {
    open: async (options = {}) => {
      if (directory === '') directory = await mkdtemp(join(tmpdir(), 'kahuna-data-'));
      const opened = await openPlatformStore({ directory, disk, process, log: silentLogger });
      const identity = { clusterId: 'c', nodeId: 1 };
      data = await openDataStore({
        ...opened,
        identity,
        machineBootId: 'boot-1',
        process,
        disk,
        directory,
        log: silentLogger,
        ...options,
      });
      return data;
    },
    dispose: async () => {
      await data?.close();
      await rm(directory, { recursive: true });
    },
  };
});
