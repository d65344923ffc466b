/**
 * The real store under the data store: LevelDB through `level`. A thin adapter; what must be known about LevelDB's files is
 * in storage/data (checkpoint.ts, wal-scanner.ts).
 */
import { Level } from 'level';
import { assert } from '../base/assert.ts';
import { KahunaError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Disk, ProcessControl } from '../base/platform.ts';
import {
  type KeyValueStore,
  READ_BYTES_MAX,
  type StoreBatch,
  type StoreEntry,
  type StoreIterator,
  type StoreIteratorOptions,
  type StoreRange,
  type StoreSnapshot,
} from '../storage/data/key-value-store.ts';
import { unreadableKey, unreadableRange } from '../storage/data/damage.ts';
import { checkWriteAhead } from '../storage/data/wal-scanner.ts';

export interface PlatformStoreOptions {
  readonly directory: string;
  readonly disk: Disk;
  readonly process: ProcessControl;
  readonly log: Logger;
  /** Uncompressed blocks of tables that are kept in memory. */
  readonly cacheBytes?: number;
  /** Size at which a write-ahead file and its table in memory are replaced; up to twice that is in memory. */
  readonly writeBufferBytes?: number;
}

const CACHE_BYTES = 64 * 1024 * 1024;
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024;
const EMPTY = new Uint8Array(0);
const ENCODING = { keyEncoding: 'view', valueEncoding: 'view' } as const;

/** `level` declares what browsers have too; under Node its class is that of classic-level, which can compact. */
type Database = Level<Uint8Array, Uint8Array> & {
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
};
type Snapshot = ReturnType<Database['snapshot']>;
type ChainedBatch = ReturnType<typeof chainedBatch>;
type Iterator = ReturnType<typeof byteIterator>;

/**
 * Checks the write-ahead files, then opens the database, creating it if absent. Ends the process with `dataDamaged` if either
 * finds damage; rejects with KahunaError 'DATA_OPEN_FAILED' otherwise (in use by another process, no space, no rights).
 * Both results go to `openDataStore`.
 */
export async function openPlatformStore(
  options: PlatformStoreOptions,
): Promise<{ readonly store: KeyValueStore; readonly isTailTorn: boolean }> {
  const { directory, disk, process } = options;
  await disk.makeDirectory(directory);
  const { isTailTorn } = await checkWriteAhead(options);
  const database = createDatabase(options);
  try {
    await database.open();
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    const said = `the data store in ${directory} cannot be opened: ${describe(cause ?? error)}`;
    if (codeOf(cause) === 'LEVEL_CORRUPTION') {
      process.fatal('dataDamaged', `${said}; rebuild this replica from its peers`, error);
    }
    throw new KahunaError('DATA_OPEN_FAILED', said, error);
  }
  return { store: new LevelStore(database), isTailTorn };
}

class LevelStore implements KeyValueStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  getSync(key: Uint8Array, snapshot?: StoreSnapshot): Uint8Array | undefined {
    try {
      if (snapshot === undefined) return this.#database.getSync(key);
      return this.#database.getSync(key, { ...ENCODING, snapshot: inner(snapshot) });
    } catch (error) {
      throw unreadableKey(key, error);
    }
  }

  batch(): StoreBatch {
    return new LevelBatch(chainedBatch(this.#database));
  }

  snapshot(): StoreSnapshot {
    return new LevelSnapshot(this.#database.snapshot());
  }

  iterator(options: StoreIteratorOptions): StoreIterator {
    return new LevelIterator(byteIterator(this.#database, options), options);
  }

  async clear(range: StoreRange): Promise<void> {
    try {
      await this.#database.clear({ gte: range.start, lt: range.end });
    } catch (error) {
      throw codeOf(error) === 'LEVEL_CORRUPTION' ? unreadableRange(range, error) : error;
    }
  }

  async compactRange(range: StoreRange): Promise<void> {
    await this.#database.compactRange(range.start, range.end);
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}

class LevelBatch implements StoreBatch {
  readonly #batch: ChainedBatch;

  constructor(batch: ChainedBatch) {
    this.#batch = batch;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#batch.put(key, value);
  }

  delete(key: Uint8Array): void {
    this.#batch.del(key);
  }

  write(done: (error: Error | null) => void): void {
    this.#batch.write().then(
      () => done(null),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  }
}

class LevelSnapshot implements StoreSnapshot {
  readonly inner: Snapshot;

  constructor(snapshot: Snapshot) {
    this.inner = snapshot;
  }

  close(): void {
    // Closing is synchronous underneath; the promise has nothing left to report.
    void this.inner.close();
  }
}

class LevelIterator implements StoreIterator {
  readonly #iterator: Iterator;
  readonly #options: StoreIteratorOptions;

  constructor(iterator: Iterator, options: StoreIteratorOptions) {
    this.#iterator = iterator;
    this.#options = options;
  }

  async nextv(countMax: number): Promise<readonly StoreEntry[]> {
    try {
      const entries = await this.#iterator.nextv(countMax);
      return this.#options.keysOnly === true ? entries.map(([key]): StoreEntry => [key, EMPTY]) : entries;
    } catch (error) {
      throw unreadableRange(this.#options, error);
    }
  }

  async close(): Promise<void> {
    await this.#iterator.close();
  }
}

function createDatabase(options: PlatformStoreOptions): Database {
  const database = new Level<Uint8Array, Uint8Array>(options.directory, {
    ...ENCODING,
    compression: true,
    cacheSize: options.cacheBytes ?? CACHE_BYTES,
    writeBufferSize: options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
  });
  assert(canCompact(database), 'level is not classic-level');
  return database;
}

function chainedBatch(database: Database) {
  return database.batch();
}

function byteIterator(database: Database, options: StoreIteratorOptions) {
  const { start, end, snapshot, keysOnly } = options;
  return database.iterator<Uint8Array, Uint8Array>({
    ...ENCODING,
    gte: start,
    lt: end,
    values: keysOnly !== true,
    highWaterMarkBytes: READ_BYTES_MAX,
    ...(snapshot === undefined ? {} : { snapshot: inner(snapshot) }),
  });
}

function canCompact(database: Level<Uint8Array, Uint8Array>): database is Database {
  return 'compactRange' in database;
}

function inner(snapshot: StoreSnapshot): Snapshot {
  assert(snapshot instanceof LevelSnapshot, 'a snapshot of another store');
  return snapshot.inner;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
