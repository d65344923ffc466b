/** What every KeyValueStore does: run on LevelDB and on its double. */
import { strict as assert } from 'node:assert';
import {
  isEndOfRange,
  type KeyValueStore,
  READ_BYTES_MAX,
  type StoreEntry,
  type StoreIterator,
  writeBatch,
} from '../../src/storage/data/key-value-store.ts';

export interface StoreHarness {
  open(): Promise<KeyValueStore>;
  /** Closes what `open` gave, if it is still open, and frees what belongs to it. */
  dispose(): Promise<void>;
}

const EVERYTHING = { start: Buffer.of(0), end: Buffer.of(0xff, 0xff) };

export function describeKeyValueStore(name: string, createHarness: () => StoreHarness): void {
  describe(`${name} as a KeyValueStore`, () => {
    let harness: StoreHarness;
    let store: KeyValueStore;

    beforeEach(async () => {
      harness = createHarness();
      store = await harness.open();
    });
    afterEach(() => harness.dispose());

    it('gives back what was put, byte for byte, and nothing for what was not', async () => {
      const key = Buffer.from([0, 255, 1, 0]);
      const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      await put(store, [key, value]);
      assert.deepEqual(Buffer.from(store.getSync(key) ?? []), value);
      assert.equal(store.getSync(Buffer.from([0, 255, 1])), undefined);
      assert.equal(store.getSync(Buffer.from([0, 255, 1, 0, 0])), undefined);
    });

    it('keeps empty values apart from absent ones', async () => {
      await put(store, [Buffer.of(1), new Uint8Array(0)]);
      assert.equal(store.getSync(Buffer.of(1))?.length, 0);
      assert.equal(store.getSync(Buffer.of(2)), undefined);
    });

    it('takes the last operation of a batch for a key', async () => {
      const batch = store.batch();
      batch.put(Buffer.of(1), Buffer.from('a'));
      batch.delete(Buffer.of(1));
      batch.put(Buffer.of(2), Buffer.from('b'));
      batch.put(Buffer.of(2), Buffer.from('c'));
      batch.delete(Buffer.of(3));
      await writeBatch(batch);
      assert.deepEqual(await entries(store.iterator(EVERYTHING)), [['02', 'c']]);
    });

    it('copies operations as they are added', async () => {
      const key = Buffer.of(1);
      const value = Buffer.from('before');
      const batch = store.batch();
      batch.put(key, value);
      key[0] = 9;
      value.fill(0);
      await writeBatch(batch);
      assert.deepEqual(await entries(store.iterator(EVERYTHING)), [['01', 'before']]);
    });

    it('takes keys and values that are slices of something larger', async () => {
      const entry = new Uint8Array(Buffer.from('..keyvalue..'));
      await put(store, [entry.subarray(2, 5), entry.subarray(5, 10)]);
      assert.equal(Buffer.from(store.getSync(Buffer.from('key')) ?? []).toString(), 'value');
    });

    it('calls back from a write after the call, exactly once', async () => {
      const batch = store.batch();
      batch.put(Buffer.of(1), Buffer.of(1));
      let count = 0;
      const done = new Promise<void>((resolve) => {
        batch.write((error) => {
          assert.equal(error, null);
          count++;
          resolve();
        });
      });
      assert.equal(count, 0);
      await done;
      assert.equal(count, 1);
    });

    it('iterates a half-open range in the order of unsigned bytes', async () => {
      const keys = [[0], [0, 0], [0, 255], [1], [1, 0], [127], [128], [255, 1]].map((bytes) => Buffer.from(bytes));
      for (const key of keys) await put(store, [key, key]);
      const all = await entries(store.iterator(EVERYTHING));
      assert.deepEqual(
        all.map(([key]) => key),
        keys.map((key) => key.toString('hex')),
      );
      const some = await entries(store.iterator({ start: Buffer.of(0, 255), end: Buffer.of(128) }));
      assert.deepEqual(
        some.map(([key]) => key),
        ['00ff', '01', '0100', '7f'],
      );
    });

    it('hands out an iterator in chunks of at most the wished size, then nothing', async () => {
      for (let i = 0; i < 25; i++) await put(store, [Buffer.of(i), Buffer.of(i)]);
      const iterator = store.iterator(EVERYTHING);
      const sizes: number[] = [];
      for (;;) {
        const chunk = await iterator.nextv(10);
        sizes.push(chunk.length);
        if (chunk.length === 0) break;
      }
      await iterator.close();
      assert.ok(sizes.every((size) => size <= 10));
      assert.equal(
        sizes.reduce((sum, size) => sum + size, 0),
        25,
      );
    });

    for (const keysOnly of [false, true]) {
      it(`hands out fewer than the wished entries only at the end, or if they are large (${keysOnly ? 'keys' : 'all'})`, async () => {
        const size = READ_BYTES_MAX / 16;
        for (let i = 0; i < 40; i++) {
          const key = Buffer.alloc(keysOnly ? size : 10, i);
          await put(store, [key, Buffer.alloc(keysOnly ? size : size - 10, i)]);
        }
        const iterator = store.iterator({ ...EVERYTHING, keysOnly });
        const chunks: (readonly StoreEntry[])[] = [];
        do chunks.push(await iterator.nextv(30));
        while (chunks.at(-1)?.length !== 0);
        await iterator.close();
        assert.deepEqual(
          chunks.map((chunk) => chunk.length),
          [17, 17, 6, 0],
        );
        assert.deepEqual(
          chunks.map((chunk) => isEndOfRange(chunk, 30)),
          [false, false, true, true],
        );
      });
    }

    it('leaves values out of an iterator of keys', async () => {
      await put(store, [Buffer.of(1), Buffer.from('value')]);
      const iterator = store.iterator({ ...EVERYTHING, keysOnly: true });
      const [first] = await iterator.nextv(1);
      await iterator.close();
      assert.equal(first?.[1].length, 0);
    });

    it('shows a snapshot what was there when it was taken, by get and by iterator', async () => {
      await put(store, [Buffer.of(1), Buffer.from('old')], [Buffer.of(2), Buffer.from('kept')]);
      const snapshot = store.snapshot();
      await put(store, [Buffer.of(1), Buffer.from('new')], [Buffer.of(3), Buffer.from('late')]);
      await store.clear({ start: Buffer.of(2), end: Buffer.of(3) });
      assert.equal(Buffer.from(store.getSync(Buffer.of(1), snapshot) ?? []).toString(), 'old');
      assert.equal(store.getSync(Buffer.of(3), snapshot), undefined);
      assert.deepEqual(await entries(store.iterator({ ...EVERYTHING, snapshot })), [
        ['01', 'old'],
        ['02', 'kept'],
      ]);
      assert.deepEqual(await entries(store.iterator(EVERYTHING)), [
        ['01', 'new'],
        ['03', 'late'],
      ]);
      snapshot.close();
    });

    it('iterates without a snapshot over what was there when the iterator was made', async () => {
      await put(store, [Buffer.of(1), Buffer.from('a')], [Buffer.of(2), Buffer.from('b')]);
      const iterator = store.iterator(EVERYTHING);
      await put(store, [Buffer.of(3), Buffer.from('late')]);
      assert.deepEqual(await entries(iterator), [
        ['01', 'a'],
        ['02', 'b'],
      ]);
    });

    it('clears exactly a range', async () => {
      for (let i = 0; i < 300; i++) await put(store, [Buffer.of(i >> 8, i & 255), Buffer.of(1)]);
      await store.clear({ start: Buffer.of(0, 10), end: Buffer.of(1, 20) });
      const left = await entries(store.iterator(EVERYTHING));
      assert.equal(left.length, 10 + 24);
      assert.equal(left[10]?.[0], '0114');
      await store.compactRange(EVERYTHING);
      assert.equal((await entries(store.iterator(EVERYTHING))).length, 34);
    });

    it('keeps everything over close and open', async () => {
      await put(store, [Buffer.of(1), Buffer.from('a')]);
      const batch = store.batch();
      batch.put(Buffer.of(2), Buffer.from('b'));
      const written = writeBatch(batch);
      await store.close();
      await written;
      store = await harness.open();
      assert.deepEqual(await entries(store.iterator(EVERYTHING)), [
        ['01', 'a'],
        ['02', 'b'],
      ]);
    });
  });
}

async function put(store: KeyValueStore, ...pairs: (readonly [Uint8Array, Uint8Array])[]): Promise<void> {
  const batch = store.batch();
  for (const [key, value] of pairs) batch.put(key, value);
  await writeBatch(batch);
}

async function entries(iterator: StoreIterator): Promise<[key: string, value: string][]> {
  const all: StoreEntry[] = [];
  for (let chunk = await iterator.nextv(7); chunk.length > 0; chunk = await iterator.nextv(7)) all.push(...chunk);
  await iterator.close();
  return all.map(([key, value]) => [Buffer.from(key).toString('hex'), Buffer.from(value).toString()]);
}
