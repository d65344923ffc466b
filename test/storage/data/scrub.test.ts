/** Comparing replicas: what the hash of a range notices, and what it must not. */
import { strict as assert } from 'node:assert';
import { equalBytes } from '../../../src/base/bytes.ts';
import { KahunaError } from '../../../src/base/errors.ts';
import { encodeVersionKey, slotRange } from '../../../src/storage/data/keys.ts';
import { sealRecord } from '../../../src/storage/data/records.ts';
import { RecordHashes } from '../../../src/storage/data/scrub.ts';
import type { DataStore, ScrubbedRange } from '../../../src/storage/data/types.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { apply, del, key, Node, put, SLOT } from './support.ts';

const RANGE = slotRange(SLOT, SLOT);
const NAMES = Array.from({ length: 400 }, (_, i) => `key ${i}`);

async function filled(order: readonly string[], history = false): Promise<{ node: Node; data: DataStore }> {
  const node = new Node(1);
  const data = await node.open(history ? { history: { retentionMs: 1, heldFloor: 0 } } : {});
  for (const [i, name] of order.entries()) await apply(data, 1, [put(name, `value of ${name}`, 10)], i + 1);
  return { node, data };
}

async function hashOf(data: DataStore): Promise<{ hash: string; count: number }> {
  const snapshot = data.snapshot();
  try {
    return await data.hashRange(snapshot, slotRange(SLOT, SLOT));
  } finally {
    snapshot.release();
  }
}

describe('data store: scrub', () => {
  it('replicas with the same newest records have the same hash, whatever their order, history and collection', async () => {
    const first = await filled(NAMES);
    const second = await filled(NAMES.toReversed(), true);
    await apply(second.data, 1, [put('key 1', 'other', 20, 10), put('gone', 'x', 20)], 900);
    await apply(second.data, 1, [del('gone', 30, 20)], 901);
    assert.notEqual((await hashOf(second.data)).hash, (await hashOf(first.data)).hash);
    await apply(first.data, 1, [put('key 1', 'other', 20, 10)], 900);
    assert.deepEqual(await hashOf(second.data), await hashOf(first.data));
    assert.equal((await hashOf(first.data)).count, NAMES.length);
  });

  it('a missing key, a lost change and an older value are noticed', async () => {
    const { node, data } = await filled(NAMES);
    const whole = await hashOf(data);
    node.device.overwrite(key('key 7'), sealRecord(key('key 7'), 9, Buffer.from('older')));
    const older = await hashOf(data);
    node.device.loseKey(key('key 7'));
    const lost = await hashOf(data);
    assert.equal(new Set([whole.hash, older.hash, lost.hash]).size, 3);
    assert.equal(lost.count, whole.count - 1);
  });

  it('a damaged record stops the scrub with its name', async () => {
    const { node, data } = await filled(NAMES.slice(0, 20));
    node.device.flipBit(key('key 7'), 99);
    await assert.rejects(hashOf(data), (error) => error instanceof KahunaError && error.code === 'DATA_DAMAGED');
    assert.throws(
      () => data.get(key('key 7')),
      (error) => error instanceof KahunaError && error.code === 'DATA_DAMAGED',
    );
    assert.equal(data.get(key('key 8'))?.timestamp, 10);
  });

  it('a limited look ends where the newest records say, and the looks of a round are the whole', async () => {
    const plain = await filled(NAMES);
    const kept = await filled(NAMES, true);
    await apply(kept.data, 1, [put('gone', 'x'.repeat(5_000), 20)], 900);
    await apply(kept.data, 1, [del('gone', 30, 20)], 901);
    const looks = async (data: DataStore): Promise<ScrubbedRange[]> => {
      const snapshot = data.snapshot();
      const found: ScrubbedRange[] = [];
      const { end } = RANGE;
      for (let { start } = RANGE; !equalBytes(start, end); start = found.at(-1)?.end ?? end) {
        found.push(await data.scrubRange(snapshot, { start, end }, { bytesMax: 3_000, isStopped: () => false }));
      }
      snapshot.release();
      return found;
    };
    const [first, second] = [await looks(plain.data), await looks(kept.data)];
    const told = (found: readonly ScrubbedRange[]) => found.map(({ hash, count, end }) => ({ hash, count, end }));
    assert.ok(first.length > 5);
    assert.deepEqual(told(second), told(first));
    assert.equal(
      first.reduce((sum, { count }) => sum + count, 0),
      NAMES.length,
    );
    const read = (found: readonly ScrubbedRange[]) => found.reduce((sum, { readBytes }) => sum + readBytes, 0);
    assert.ok(read(second) > read(first) + 5_000, 'older versions are part of what it cost');
  });

  it('a look goes on behind damage, says the first, and finds it in older versions too', async () => {
    const { node, data } = await filled(NAMES.slice(0, 20), true);
    await apply(data, 1, [put('key 7', 'other', 20, 10)], 900);
    const version = encodeVersionKey(key('key 7'), 10);
    node.device.flipBit(version, 99);
    const snapshot = data.snapshot();
    const found = await data.scrubRange(snapshot, RANGE, { bytesMax: 1e6, isStopped: () => false });
    snapshot.release();
    assert.equal(found.damage?.code, 'DATA_DAMAGED');
    assert.equal(found.count, 20);
    assert.ok(equalBytes(found.end, RANGE.end));
  });

  it('a look that is given up ends at the next read', async () => {
    const { data } = await filled(NAMES);
    const snapshot = data.snapshot();
    let asked = 0;
    const found = await data.scrubRange(snapshot, RANGE, { bytesMax: 1e6, isStopped: () => ++asked > 1 });
    snapshot.release();
    assert.ok(found.readCount > 0 && found.readCount < NAMES.length);
  });

  it('what is found is not exact until a replay after a crash of the machine has caught up', async () => {
    const { node, data } = await filled(NAMES.slice(0, 3));
    assert.ok(data.isExact(1));
    await data.sync();
    node.crashMachine('machine');
    const again = await node.open();
    assert.equal(again.isExact(1), false);
    await apply(again, 1, [], 2);
    assert.equal(again.isExact(1), false);
    await apply(again, 1, [], 3);
    assert.ok(again.isExact(1));
  });

  it('hashes spread: single bits, swapped pairs and moved borders between key and value all change the sum', () => {
    const random = new SeededRandom(1);
    const seen = new Set<string>();
    const hash = (...records: readonly (readonly [Uint8Array, Uint8Array])[]): string => {
      const sums = new RecordHashes();
      for (const [k, v] of records) sums.add(k, v);
      return sums.toString();
    };
    const bytes = random.bytes(40);
    for (let bit = 0; bit < 320; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      seen.add(hash([flipped.subarray(0, 13), flipped.subarray(13)]));
    }
    for (let border = 0; border <= 40; border++) seen.add(hash([bytes.subarray(0, border), bytes.subarray(border)]));
    assert.equal(seen.size, 320 + 41);
    const [a, b] = [Buffer.from('a'), Buffer.from('b')];
    assert.notEqual(hash([a, a], [b, b]), hash([a, b], [b, a]));
    assert.equal(hash([a, a], [b, b]), hash([b, b], [a, a]));
    assert.notEqual(hash([a, a], [a, a]), hash());
  });
});
