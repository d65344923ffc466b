/**
 * A key-value store in memory that crashes the way LevelDB does on a real disk.
 *
 * The *device* outlives crashes; `open` gives a store, as a process would open the directory. What the store writes goes into
 * write-ahead files: a file is replaced by the next one when it is full, and the batches of a replaced file become durable
 * (as a table) only when the file after it is full too, or earlier by chance. `disk` shows the files, so that
 * `syncWriteAhead` of the code under test runs against it; a batch is durable when its file was synced after it, or when its
 * file has become a table.
 *
 * `crash` ends the open store: none of its callbacks runs afterwards. What is left depends on what crashed:
 * - `process`: everything that was written.
 * - `machine`: what is durable, and of the rest a random prefix.
 * - `machine-rotation`: what is durable, and of each file's rest a random prefix of its own. So an earlier batch may be lost
 *   while a later one, in the next file, is there: LevelDB does not sync a file that it replaces.
 * A batch is whole or absent: LevelDB drops a torn one.
 *
 * Faults: the n-th write fails, and everything after it, until the device is opened again; whether the failed batch is there
 * then is a coin. The n-th write may be delayed. Reads fail, once, or wherever a key is met. Bits of stored values flip, keys vanish. All randomness comes from the
 * `Random` handed in, and all callbacks through `schedule`, so a run is a function of its seed.
 *
 * The map is a list of small sorted leaves that are shared with snapshots and copied when changed.
 */
import { strict as assert } from 'node:assert';
import { KahunaError } from '../../src/base/errors.ts';
import { unreadableKey, unreadableRange } from '../../src/storage/data/damage.ts';
import type { Random } from '../../src/base/platform.ts';
import type { WriteAheadDisk } from '../../src/storage/data/checkpoint.ts';
import {
  type KeyValueStore,
  READ_BYTES_MAX,
  type StoreBatch,
  type StoreEntry,
  type StoreIterator,
  type StoreIteratorOptions,
  type StoreRange,
  type StoreSnapshot,
} from '../../src/storage/data/key-value-store.ts';
import { SortedMap, type SortedView } from './sorted-map.ts';

export type CrashKind = 'process' | 'machine' | 'machine-rotation';

export interface MemoryDeviceOptions {
  readonly random: Random;
  /** Runs the callback later, never within the call; in the order of the calls unless it models delays. */
  readonly schedule: (callback: () => void) => void;
  /** A write-ahead file is replaced when it holds more than this. Default: 64 KiB. */
  readonly rotationBytes?: number;
  /** False: a replaced file becomes a table only when the file after it is full. Default: true, also earlier by chance. */
  readonly isTableEarly?: boolean;
}

interface Batch {
  readonly operations: readonly Operation[];
  readonly bytes: number;
}

interface Operation {
  readonly key: string;
  /** Null to delete. */
  readonly value: Uint8Array | null;
}

interface WriteAheadFile {
  readonly name: string;
  readonly batches: Batch[];
  bytes: number;
  /** The first so many batches survive a power cut. */
  durableCount: number;
}

export class MemoryDevice {
  readonly #random: Random;
  readonly #schedule: (callback: () => void) => void;
  readonly #rotationBytes: number;
  readonly #isTableEarly: boolean;
  /** What lies in tables: durable. */
  #tables = new SortedMap();
  /** Oldest first; the last one is written to. Never more than two, as in LevelDB. */
  #files: WriteAheadFile[] = [];
  #fileNumber = 3;
  #store: MemoryStore | null = null;
  #failWriteIn = 0;
  #delayWriteIn = 0;
  #delayTurns = 0;
  #failSyncIn = 0;
  #failReadIn = 0;
  /** Keys that cannot be read. */
  readonly #unreadable = new Set<string>();
  /** Nothing is free: every write fails, and so does opening. */
  isFull = false;
  /** Failures that struck. */
  failureCount = 0;
  /** What waits while the device is stalled; null if it is not. */
  #stalled: (() => void)[] | null = null;
  /** Batches that reached the files, over all openings. */
  writeCount = 0;

  constructor(options: MemoryDeviceOptions) {
    this.#random = options.random;
    this.#schedule = options.schedule;
    this.#rotationBytes = options.rotationBytes ?? 64 * 1024;
    this.#isTableEarly = options.isTableEarly ?? true;
    this.#addFile();
  }

  /** Opens the device as a process would. As LevelDB does, it makes tables of the files that it finds. */
  open(): KeyValueStore {
    assert.equal(this.#store, null, 'the device is open already');
    if (this.isFull) {
      this.failureCount++;
      throw new KahunaError('DATA_OPEN_FAILED', 'ENOSPC: the data store cannot be opened');
    }
    while (this.#files.length > 0) this.#makeTable();
    this.#addFile();
    const store = new MemoryStore(this, this.#tables.copy());
    this.#store = store;
    return store;
  }

  /**
   * `keptCounts`: instead of chance, how many volatile batches each file keeps, oldest file first. Says what was lost:
   * `earlier` if a batch is gone while one that was written after it is there.
   */
  crash(kind: CrashKind, keptCounts?: readonly number[]): 'nothing' | 'later' | 'earlier' {
    this.#store?.die();
    this.#store = null;
    this.forgetFailures();
    if (kind === 'process') return 'nothing';
    let isPrefixOver = false;
    let lost: 'nothing' | 'later' | 'earlier' = 'nothing';
    for (const [i, file] of this.#files.entries()) {
      const volatileCount = file.batches.length - file.durableCount;
      const wanted = keptCounts?.[i] ?? this.#random.u32() % (volatileCount + 1);
      const keptCount = isPrefixOver ? 0 : Math.min(wanted, volatileCount);
      file.batches.length = file.durableCount + keptCount;
      if (lost !== 'nothing' && file.batches.length > 0) lost = 'earlier';
      if (keptCount === volatileCount) continue;
      if (lost === 'nothing') lost = 'later';
      if (kind === 'machine') isPrefixOver = true;
    }
    return lost;
  }

  /** Failures that were planned and have not struck never will. */
  forgetFailures(): void {
    this.#failWriteIn = 0;
    this.#failSyncIn = 0;
    this.#failReadIn = 0;
    this.#delayWriteIn = 0;
  }

  /** The view of the files that the code under test syncs through. */
  readonly disk: WriteAheadDisk = {
    list: () => this.#later(() => [...this.#files.map((file) => file.name), 'CURRENT', 'LOG', 'MANIFEST-000002']),
    syncFile: (path) =>
      this.#later(() => {
        if (this.#failSyncIn > 0 && --this.#failSyncIn === 0) {
          this.failureCount++;
          throw new Error('EIO: fsync failed');
        }
        const file = this.#files.find(({ name }) => path.endsWith(`/${name}`));
        if (file !== undefined) file.durableCount = file.batches.length;
      }),
    syncDirectory: () => this.#later(() => undefined),
  };

  /** Lets the n-th write from now (1: the next) fail. */
  failWrite(n: number): void {
    this.#failWriteIn = n;
  }

  /** Lets the n-th sync of a file from now fail. */
  failSync(n: number): void {
    this.#failSyncIn = n;
  }

  /** Lets the n-th read from now fail. */
  failRead(n: number): void {
    this.#failReadIn = n;
  }

  /** Whoever meets the key cannot read it, until the returned function is called. */
  makeUnreadable(key: Uint8Array): () => void {
    this.#unreadable.add(nameOf(key));
    return () => {
      this.#unreadable.delete(nameOf(key));
    };
  }

  isUnreadable(name: string): boolean {
    return this.#unreadable.size > 0 && this.#unreadable.has(name);
  }

  /** Lets the n-th write from now complete only after so many turns of the scheduler. */
  delayWrite(n: number, turns: number): void {
    this.#delayWriteIn = n;
    this.#delayTurns = turns;
  }

  /** Replaces the write-ahead file now. */
  rotate(): void {
    this.#addFile();
    while (this.#files.length > 2) this.#makeTable();
  }

  /** The keys that are there, sorted. */
  keys(): Buffer[] {
    const map = this.#store === null ? this.#whole() : this.#store.map;
    const entries = map.view().range('', '\u0100');
    const keys: Buffer[] = [];
    for (let next = entries.next(); next.done !== true; next = entries.next()) {
      keys.push(Buffer.from(next.value[0], 'latin1'));
    }
    return keys;
  }

  /** What would be found at the next opening. */
  #whole(): SortedMap {
    const map = this.#tables.copy();
    for (const file of this.#files) for (const batch of file.batches) applyTo(map, batch.operations);
    return map;
  }

  /** Changes one bit of a stored value, as a disk would, unnoticed by the store. */
  flipBit(key: Uint8Array, bit: number): void {
    this.#replace(key, (value) => {
      const flipped = Uint8Array.from(value);
      const at = (bit >>> 3) % flipped.length;
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
      return flipped;
    });
  }

  /** Puts other bytes in the place of a stored value, unnoticed by the store. */
  overwrite(key: Uint8Array, value: Uint8Array): void {
    this.#replace(key, () => Uint8Array.from(value));
  }

  /** Adds a key as if it had always been there, durably. */
  add(key: Uint8Array, value: Uint8Array): void {
    for (const map of [this.#tables, ...(this.#store === null ? [] : [this.#store.map])]) {
      map.set(nameOf(key), Uint8Array.from(value));
    }
  }

  has(key: Uint8Array): boolean {
    const map = this.#store === null ? this.#whole() : this.#store.map;
    return map.get(nameOf(key)) !== undefined;
  }

  /**
   * Takes away the last batches, synced or not, of those that lie in no table: a write-ahead file that cannot be read on. Returns
   * how many are gone; the device is not open.
   */
  loseTail(): number {
    assert.equal(this.#store, null, 'the device is open');
    const total = this.#files.reduce((sum, file) => sum + file.batches.length, 0);
    let keep = total === 0 ? 0 : this.#random.u32() % total;
    for (const file of this.#files) {
      file.batches.length = Math.min(file.batches.length, keep);
      file.durableCount = Math.min(file.durableCount, file.batches.length);
      keep -= file.batches.length;
    }
    return total - this.#files.reduce((sum, file) => sum + file.batches.length, 0);
  }

  /** Takes a key away, unnoticed by the store. */
  loseKey(key: Uint8Array): void {
    this.#replace(key, () => null);
  }

  /** The open store is about to read; whether the disk fails. */
  failsToRead(): boolean {
    if (this.#failReadIn === 0 || --this.#failReadIn > 0) return false;
    this.failureCount++;
    return true;
  }

  /** A batch arrives from the open store. */
  receive(store: MemoryStore, operations: readonly Operation[], done: (error: Error | null) => void): void {
    let bytes = 0;
    for (const { key, value } of operations) bytes += key.length + (value?.length ?? 0);
    const isFailing = store.hasFailed || this.isFull || (this.#failWriteIn > 0 && --this.#failWriteIn === 0);
    if (isFailing) {
      store.hasFailed = true;
      this.failureCount++;
      if (this.#random.u32() % 2 === 0) this.#append({ operations, bytes });
      store.later(() => done(new Error('EIO: the write failed')));
      return;
    }
    this.#append({ operations, bytes });
    const complete = (): void => {
      store.absorb(operations);
      done(null);
    };
    const isDelayed = this.#delayWriteIn > 0 && --this.#delayWriteIn === 0;
    store.later(complete, isDelayed ? this.#delayTurns : 0);
  }

  /** What was begun, and perhaps has failed, is not told yet. */
  get isStalled(): boolean {
    return this.#stalled !== null;
  }

  /** Nothing completes until the returned function is called. */
  stall(): () => void {
    const stalled: (() => void)[] = [];
    this.#stalled = stalled;
    return () => {
      if (this.#stalled === stalled) this.#stalled = null;
      for (const callback of stalled.splice(0)) this.#schedule(callback);
    };
  }

  schedule(callback: () => void, turns: number): void {
    if (this.#stalled !== null) this.#stalled.push(callback);
    else if (turns === 0) this.#schedule(callback);
    else this.#schedule(() => this.schedule(callback, turns - 1));
  }

  closed(): void {
    this.#store = null;
  }

  #append(batch: Batch): void {
    this.writeCount++;
    const current = this.#files.at(-1);
    assert.ok(current !== undefined);
    current.batches.push(batch);
    current.bytes += batch.bytes;
    if (current.bytes > this.#rotationBytes) this.rotate();
    else if (this.#isTableEarly && this.#files.length > 1 && this.#random.u32() % 16 === 0) this.#makeTable();
  }

  #addFile(): void {
    const name = `${String(++this.#fileNumber).padStart(6, '0')}.log`;
    this.#files.push({ name, batches: [], bytes: 0, durableCount: 0 });
  }

  #makeTable(): void {
    const oldest = this.#files.shift();
    for (const batch of oldest?.batches ?? []) applyTo(this.#tables, batch.operations);
  }

  #replace(key: Uint8Array, change: (value: Uint8Array) => Uint8Array | null): void {
    const name = nameOf(key);
    for (const map of [this.#tables, ...(this.#store === null ? [] : [this.#store.map])]) {
      const value = map.get(name);
      if (value === undefined) continue;
      const changed = change(value);
      if (changed === null) map.delete(name);
      else map.set(name, changed);
    }
    for (const file of this.#files) {
      for (const [i, batch] of file.batches.entries()) {
        file.batches[i] = { bytes: batch.bytes, operations: batch.operations.map((operation) => damaged(operation)) };
      }
    }
    function damaged(operation: Operation): Operation {
      return operation.key === name && operation.value !== null
        ? { key: name, value: change(operation.value) }
        : operation;
    }
  }

  #later<T>(compute: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#schedule(() => {
        try {
          resolve(compute());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }
}

class MemoryStore implements KeyValueStore {
  readonly map: SortedMap;
  readonly #device: MemoryDevice;
  hasFailed = false;
  #isDead = false;
  #isClosed = false;
  #underWayCount = 0;
  #onIdle: (() => void) | null = null;

  constructor(device: MemoryDevice, map: SortedMap) {
    this.#device = device;
    this.map = map;
  }

  getSync(key: Uint8Array, snapshot?: StoreSnapshot): Uint8Array | undefined {
    const view = snapshot === undefined ? this.#liveMap() : viewOf(snapshot);
    const name = nameOf(key);
    if (this.#device.failsToRead() || this.#device.isUnreadable(name)) throw unreadableKey(key, new Error('EIO'));
    const value = view.get(name);
    return value === undefined ? undefined : Buffer.from(value);
  }

  batch(): StoreBatch {
    this.#liveMap();
    return new MemoryBatch((operations, done) => {
      this.#liveMap();
      this.#device.receive(this, operations, done);
    });
  }

  snapshot(): StoreSnapshot {
    return new MemorySnapshot(this.#liveMap().view());
  }

  iterator(options: StoreIteratorOptions): StoreIterator {
    const view = options.snapshot === undefined ? this.#liveMap().view() : viewOf(options.snapshot);
    return new MemoryIterator(this, this.#device, view, options);
  }

  /** In batches of its own, as LevelDB's: a crash may leave a part. */
  async clear(range: StoreRange): Promise<void> {
    const iterator = this.iterator({ ...range, keysOnly: true });
    for (let keys = await iterator.nextv(100); keys.length > 0; keys = await iterator.nextv(100)) {
      const batch = this.batch();
      for (const [key] of keys) batch.delete(key);
      await new Promise<void>((resolve, reject) => {
        batch.write((error) => (error === null ? resolve() : reject(error)));
      });
    }
  }

  async compactRange(): Promise<void> {
    await this.laterValue(() => undefined);
  }

  async close(): Promise<void> {
    this.#liveMap();
    if (this.#underWayCount > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#isClosed = true;
    this.#device.closed();
  }

  die(): void {
    this.#isDead = true;
  }

  /** The batch has completed: readers see it. */
  absorb(operations: readonly Operation[]): void {
    applyTo(this.map, operations);
  }

  /** Runs the callback later, unless this process has died by then. */
  later(callback: () => void, turns = 0): void {
    this.#underWayCount++;
    this.#device.schedule(() => {
      if (this.#isDead) return;
      this.#underWayCount--;
      callback();
      if (this.#underWayCount === 0) this.#onIdle?.();
    }, turns);
  }

  laterValue<T>(compute: () => T): Promise<T> {
    return new Promise((resolve, reject) =>
      this.later(() => {
        try {
          resolve(compute());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      }),
    );
  }

  #liveMap(): SortedMap {
    assert.ok(!this.#isDead, 'a dead process uses its store');
    assert.ok(!this.#isClosed, 'the store is closed');
    return this.map;
  }
}

class MemoryBatch implements StoreBatch {
  readonly #operations: Operation[] = [];
  readonly #write: (operations: readonly Operation[], done: (error: Error | null) => void) => void;
  #isWritten = false;

  constructor(write: (operations: readonly Operation[], done: (error: Error | null) => void) => void) {
    this.#write = write;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    assert.ok(!this.#isWritten, 'the batch was written');
    this.#operations.push({ key: nameOf(key), value: Uint8Array.from(value) });
  }

  delete(key: Uint8Array): void {
    assert.ok(!this.#isWritten, 'the batch was written');
    this.#operations.push({ key: nameOf(key), value: null });
  }

  write(done: (error: Error | null) => void): void {
    assert.ok(!this.#isWritten, 'the batch was written');
    this.#isWritten = true;
    this.#write(this.#operations, done);
  }
}

class MemorySnapshot implements StoreSnapshot {
  readonly view: SortedView;
  isClosed = false;

  constructor(view: SortedView) {
    this.view = view;
  }

  close(): void {
    this.isClosed = true;
  }
}

class MemoryIterator implements StoreIterator {
  readonly #store: MemoryStore;
  readonly #device: MemoryDevice;
  readonly #entries: Iterator<readonly [string, Uint8Array]>;
  readonly #options: StoreIteratorOptions;

  constructor(store: MemoryStore, device: MemoryDevice, view: SortedView, options: StoreIteratorOptions) {
    this.#store = store;
    this.#device = device;
    this.#entries = view.range(nameOf(options.start), nameOf(options.end));
    this.#options = options;
  }

  nextv(countMax: number): Promise<readonly StoreEntry[]> {
    return this.#store.laterValue(() => {
      if (this.#device.failsToRead()) throw unreadableRange(this.#options, new Error('EIO'));
      const entries: StoreEntry[] = [];
      let bytes = 0;
      while (entries.length < countMax && bytes <= READ_BYTES_MAX) {
        const next = this.#entries.next();
        if (next.done === true) break;
        const [name, value] = next.value;
        if (this.#device.isUnreadable(name)) throw unreadableRange(this.#options, new Error('EIO'));
        const entry: StoreEntry = [
          Buffer.from(name, 'latin1'),
          this.#options.keysOnly === true ? new Uint8Array(0) : Buffer.from(value),
        ];
        entries.push(entry);
        bytes += entry[0].length + entry[1].length;
      }
      return entries;
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function viewOf(snapshot: StoreSnapshot): SortedView {
  assert.ok(snapshot instanceof MemorySnapshot && !snapshot.isClosed, 'not an open snapshot of this store');
  return snapshot.view;
}

function applyTo(map: SortedMap, operations: readonly Operation[]): void {
  for (const { key, value } of operations) {
    if (value === null) map.delete(key);
    else map.set(key, value);
  }
}

/** One character a byte: compared by JavaScript in the order of the bytes. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
