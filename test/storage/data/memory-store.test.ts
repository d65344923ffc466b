/** The double itself: what it keeps and loses in a crash, and that it is a function of its seed. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { type KeyValueStore, writeBatch } from '../../../src/storage/data/key-value-store.ts';
import { syncWriteAhead } from '../../../src/storage/data/checkpoint.ts';
import { type CrashKind, MemoryDevice } from '../../doubles/memory-store.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { SortedMap } from '../../doubles/sorted-map.ts';

const ALL = { start: Buffer.of(0), end: Buffer.of(0xff) };

async function write(store: KeyValueStore, number: number): Promise<void> {
  const batch = store.batch();
  const key = Buffer.alloc(4);
  key.writeUInt32BE(number + 1);
  batch.put(key, Buffer.from('value'));
  await writeBatch(batch);
}

async function found(store: KeyValueStore): Promise<number[]> {
  const iterator = store.iterator(ALL);
  const numbers = (await iterator.nextv(1_000)).map(([key]) => Buffer.from(key).readUInt32BE() - 1);
  await iterator.close();
  return numbers;
}

/** Writes 60 batches, the first 20 synced, and crashes. */
async function crashed(seed: number, kind: CrashKind): Promise<number[]> {
  const device = new MemoryDevice({ random: new SeededRandom(seed), schedule: queueMicrotask, rotationBytes: 120 });
  const store = device.open();
  for (let i = 0; i < 60; i++) {
    await write(store, i);
    if (i === 19) await syncWriteAhead(device.disk, '/data');
  }
  device.crash(kind);
  return found(device.open());
}

describe('the double of LevelDB', () => {
  it('a crash of the process loses nothing, also of what was not acknowledged', async () => {
    assert.equal((await crashed(1, 'process')).length, 60);
    const device = new MemoryDevice({ random: new SeededRandom(1), schedule: queueMicrotask });
    const pending = write(device.open(), 5);
    device.crash('process');
    assert.deepEqual(await found(device.open()), [5]);
    void pending;
  });

  it('a power cut keeps what was synced and a prefix of the rest, of a length by chance', async () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const numbers = await crashed(seed, 'machine');
      assert.deepEqual(
        numbers,
        Array.from({ length: numbers.length }, (_, i) => i),
      );
      assert.ok(numbers.length >= 20);
      lengths.add(numbers.length);
    }
    assert.ok(lengths.size > 3);
  });

  it('in the pattern of rotation an earlier batch may be lost while a later one is there, but none that was synced', async () => {
    let holes = 0;
    for (let seed = 0; seed < 40; seed++) {
      const numbers = await crashed(seed, 'machine-rotation');
      assert.deepEqual(
        numbers.slice(0, 20),
        Array.from({ length: 20 }, (_, i) => i),
      );
      if (numbers.some((number, i) => number !== i)) holes++;
    }
    assert.ok(holes > 5, `${holes}`);
  });

  it('the same seed gives the same crash', async () => {
    for (let seed = 0; seed < 5; seed++) {
      assert.deepEqual(await crashed(seed, 'machine-rotation'), await crashed(seed, 'machine-rotation'));
    }
  });

  it('after a failed write everything fails until it is opened again, and the batch is there by a coin', async () => {
    const outcomes = new Set<boolean>();
    for (let seed = 0; seed < 20; seed++) {
      const device = new MemoryDevice({ random: new SeededRandom(seed), schedule: queueMicrotask });
      const store = device.open();
      await write(store, 0);
      device.failWrite(2);
      await write(store, 1);
      await assert.rejects(write(store, 2));
      assert.deepEqual(await found(store), [0, 1]);
      await assert.rejects(write(store, 3));
      device.crash('process');
      outcomes.add((await found(device.open())).includes(2));
    }
    assert.equal(outcomes.size, 2);
  });

  it('a dead process is called back no more, and may not use its store', async () => {
    const device = new MemoryDevice({ random: new SeededRandom(1), schedule: queueMicrotask });
    const store = device.open();
    const batch = store.batch();
    batch.put(Buffer.of(1), Buffer.of(1));
    batch.write(() => assert.fail('called back after its death'));
    device.crash('machine');
    await Promise.resolve();
    assert.throws(() => store.getSync(Buffer.of(1)), /dead/);
    assert.throws(() => store.batch(), /dead/);
  });

  it('holds many keys', async () => {
    const device = new MemoryDevice({ random: new SeededRandom(1), schedule: queueMicrotask });
    const store = device.open();
    for (let at = 0; at < 30_000; at += 1_000) {
      const batch = store.batch();
      for (let i = 0; i < 1_000; i++)
        batch.put(Buffer.from(`key ${(Math.imul(at + i, 7_919) >>> 0) % 100_003}`), Buffer.of(1));
      await writeBatch(batch);
    }
    const snapshot = store.snapshot();
    assert.equal(store.getSync(Buffer.from('key 0'), snapshot)?.length, 1);
    snapshot.close();
  });
});

describe('the sorted map of the doubles', () => {
  it('behaves as a sorted array does, and its views do not change', () => {
    const key = fc.integer({ min: 0, max: 300 }).map((n) => String.fromCharCode(n & 255, n >> 8));
    const step = fc.oneof(
      fc.record({ do: fc.constant('set' as const), key }),
      fc.record({ do: fc.constant('delete' as const), key }),
      fc.record({ do: fc.constantFrom('view' as const, 'copy' as const), key }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        let map = new SortedMap();
        const twin = new Map<string, Uint8Array>();
        const views: [ReturnType<SortedMap['view']>, [string, Uint8Array][]][] = [];
        const sorted = (): [string, Uint8Array][] => [...twin].sort(([a], [b]) => (a < b ? -1 : 1));
        for (const [i, { do: what, key: name }] of steps.entries()) {
          if (what === 'set') {
            map.set(name, Buffer.of(i & 255));
            twin.set(name, Buffer.of(i & 255));
          } else if (what === 'delete') {
            map.delete(name);
            twin.delete(name);
          } else if (what === 'view') views.push([map.view(), sorted()]);
          else map = map.copy();
          assert.deepEqual(map.get(name), twin.get(name));
        }
        views.push([map.view(), sorted()]);
        for (const [view, wanted] of views) {
          const iterator = view.range('', '\uffff');
          const got: (readonly [string, Uint8Array])[] = [];
          for (let next = iterator.next(); next.done !== true; next = iterator.next()) got.push(next.value);
          assert.deepEqual(got, wanted);
        }
      }),
      { numRuns: 60 },
    );
  });
});
