/** LevelDB as the store: what opening it finds, beside the contract (test/storage/data/contracts.test.ts). */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../src/base/log.ts';
import { nodeDisk } from '../../src/node/platform-disk.ts';
import { openPlatformStore } from '../../src/node/platform-store.ts';
import { StoredDamage } from '../../src/storage/data/damage.ts';
import type { KeyValueStore } from '../../src/storage/data/key-value-store.ts';
import { MemoryProcess, ProcessEnded } from '../doubles/memory-process.ts';

describe('platform-store', () => {
  let directory: string;
  const stores: KeyValueStore[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kahuna-store-'));
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function open(path = directory): Promise<KeyValueStore> {
    const process = new MemoryProcess();
    const { store } = await openPlatformStore({
      directory: path,
      disk: nodeDisk,
      process,
      log: silentLogger,
      cacheBytes: 1024 * 1024,
      writeBufferBytes: 64 * 1024,
    });
    stores.push(store);
    return store;
  }

  async function close(store: KeyValueStore): Promise<void> {
    stores.splice(stores.indexOf(store), 1);
    await store.close();
  }

  function put(store: KeyValueStore, from: number, to: number): Promise<void> {
    const batch = store.batch();
    for (let i = from; i < to; i++) batch.put(Buffer.from(`key ${String(i).padStart(6, '0')}`), Buffer.alloc(100, i));
    return new Promise((resolve, reject) => {
      batch.write((error) => (error === null ? resolve() : reject(error)));
    });
  }

  it('is made where nothing is, also some directories further down', async () => {
    const store = await open(join(directory, 'a', 'b'));
    await put(store, 0, 10);
    assert.equal(store.getSync(Buffer.from('key 000003'))?.length, 100);
  });

  it('refuses by name what another one holds open', async () => {
    await open();
    await assert.rejects(open(), { code: 'DATA_OPEN_FAILED', message: /cannot be opened/ });
  });

  it('refuses by name a path that is no directory', async () => {
    const path = join(directory, 'file');
    await writeFile(path, 'x');
    await assert.rejects(open(path));
  });

  it('ends the process for a list of tables that is damaged, and says what to do', async () => {
    const store = await open();
    await put(store, 0, 2_000);
    await close(store);
    const manifest = (await readdir(directory)).find((name) => name.startsWith('MANIFEST'));
    assert.ok(manifest !== undefined);
    const path = join(directory, manifest);
    const content = await readFile(path);
    await writeFile(
      path,
      content.map((byte) => byte ^ 0x55),
    );
    await assert.rejects(open(), (error: unknown) => {
      assert.ok(error instanceof ProcessEnded, String(error));
      assert.equal(error.reason, 'dataDamaged');
      assert.match(error.message, /rebuild this replica from its peers/);
      return true;
    });
  });

  it('tells damage in a table when somebody reads it', async () => {
    const store = await open();
    for (let i = 0; i < 20; i++) await put(store, i * 200, (i + 1) * 200);
    await store.compactRange({ start: Buffer.from('key'), end: Buffer.from('kez') });
    await close(store);
    const tables = (await readdir(directory)).filter((name) => name.endsWith('.ldb'));
    assert.ok(tables.length > 0);
    for (const name of tables) {
      const content = await readFile(join(directory, name));
      // Its blocks, not its index and footer at the end.
      for (let at = 0; at < content.length / 2; at += 64) content[at] = (content[at] ?? 0) ^ 0xff;
      await writeFile(join(directory, name), content);
    }
    const damaged = await open();
    const everything = async (): Promise<number> => {
      const iterator = damaged.iterator({ start: Buffer.from('key'), end: Buffer.from('kez') });
      try {
        let count = 0;
        for (let next = await iterator.nextv(100); next.length > 0; next = await iterator.nextv(100))
          count += next.length;
        return count;
      } finally {
        await iterator.close();
      }
    };
    // LevelDB may leave out what it cannot read: then records are missing, which is what seals, hashes and scrubs are for.
    await everything().then(
      (count) => assert.ok(count < 4_000, `${count} records`),
      (error: unknown) => assert.equal((error as { code?: string }).code, 'DATA_DAMAGED'),
    );
    // Who asks for a key is told whose that is.
    let refused = 0;
    for (let i = 0; i < 4_000; i++) {
      try {
        damaged.getSync(Buffer.from(`key ${String(i).padStart(6, '0')}`));
      } catch (error) {
        assert.ok(error instanceof StoredDamage, String(error));
        assert.equal(error.slot, 0x6b65);
        refused++;
      }
    }
    assert.ok(refused > 0);
  });
});
