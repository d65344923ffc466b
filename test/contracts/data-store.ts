/** What the data store does on every KeyValueStore: run on LevelDB and on its double. */
import { strict as assert } from 'node:assert';
import { KahunaError } from '../../src/base/errors.ts';
import { allRecords, encodePageKey, slotRange } from '../../src/storage/data/keys.ts';
import type { DataStoreOptions } from '../../src/storage/data/options.ts';
import { sealRecord } from '../../src/storage/data/records.ts';
import type { DataStore } from '../../src/storage/data/types.ts';
import { apply, applied, contents, del, key, put, SLOT, text } from '../storage/data/support.ts';

export interface DataStoreHarness {
  open(options?: Partial<DataStoreOptions>): Promise<DataStore>;
  /** Closes what is still open and frees everything. */
  dispose(): Promise<void>;
}

const HISTORY = { retentionMs: 1, heldFloor: 0 };
const RANGE = slotRange(0, SLOT);

export function describeDataStore(name: string, createHarness: () => DataStoreHarness): void {
  describe(`the data store on ${name}`, () => {
    let harness: DataStoreHarness;
    let data: DataStore;

    beforeEach(async () => {
      harness = createHarness();
      data = await harness.open();
    });
    afterEach(() => harness.dispose());

    it('reads the newest version of what was applied', async () => {
      await apply(data, 1, [put('a', 'one', 10), put('b', 'two', 10)], 1);
      await apply(data, 1, [put('a', 'three', 11, 10), del('b', 11, 10)], 2);
      assert.equal(text(data.get(key('a'))), 'three');
      assert.equal(data.get(key('a'))?.timestamp, 11);
      assert.equal(data.get(key('b')), undefined);
      assert.equal(data.get(key('c')), undefined);
    });

    it('recovers the applied state of every group', async () => {
      await apply(data, 1, [put('a', 'one', 10)], 1);
      await apply(data, 2, [], 7);
      await apply(data, 1, [], 2);
      await data.close();
      data = await harness.open();
      assert.equal(data.isSameBoot, true);
      const found = [...data.recovered].map(([group, { index, term, state }]) => [
        group,
        index,
        term,
        text({ payload: state }),
      ]);
      assert.deepEqual(found, [
        [1, 2, 1, 'state 2'],
        [2, 7, 1, 'state 7'],
      ]);
      assert.equal(text(data.get(key('a'))), 'one');
    });

    it('iterates the newest records of a range at a snapshot, in key order', async () => {
      data.setHistory(HISTORY);
      await apply(data, 1, [put('b', '1', 10), put('a', '1', 10), put('c', '1', 10)], 1);
      await apply(data, 1, [put('a', '2', 11, 10), del('c', 11, 10)], 2);
      const snapshot = data.snapshot();
      await apply(data, 1, [put('a', '3', 12, 11), put('d', '1', 12)], 3);
      const seen = await contents(snapshot, RANGE);
      assert.deepEqual(
        seen.map((record) => record.key),
        [hex(key('a')), hex(key('b'))],
      );
      assert.equal(seen[0]?.sealed, hex(sealRecord(key('a'), 11, Buffer.from('2'))));
      assert.deepEqual(await contents(snapshot, slotRange(SLOT + 1, SLOT + 1)), []);
      snapshot.release();
    });

    it('iterates versions too where they are wanted, youngest first under their record', async () => {
      data.setHistory(HISTORY);
      await apply(data, 1, [put('a', '1', 10)], 1);
      await apply(data, 1, [put('a', '2', 11, 10)], 2);
      const snapshot = data.snapshot();
      const lengths = (await contents(snapshot, RANGE, { withVersions: true })).map((record) => record.key.length / 2);
      const recordLength = key('a').length;
      assert.deepEqual(lengths, [recordLength, recordLength + 8, recordLength + 8]);
      snapshot.release();
    });

    it('stops a chunk beyond its bytes and goes on with the next one', async () => {
      await apply(
        data,
        1,
        Array.from({ length: 50 }, (_, i) => put(`k${i}`, 'x'.repeat(100), 10)),
        1,
      );
      const snapshot = data.snapshot();
      const iterator = snapshot.iterate(RANGE);
      const first = await iterator.next(1_000, 500);
      assert.ok(first.length >= 1 && first.length < 10, `${first.length}`);
      let count = first.length;
      for (let chunk = await iterator.next(7, 1e6); chunk.length > 0; chunk = await iterator.next(7, 1e6)) {
        assert.ok(chunk.length <= 7);
        count += chunk.length;
      }
      await iterator.close();
      assert.equal(count, 50);
      snapshot.release();
    });

    it('reads any moment since history was switched on', async () => {
      await apply(data, 1, [put('old', 'before', 5), put('gone', 'before', 6)], 1);
      data.setHistory(HISTORY);
      assert.equal(data.historyFloor, 6);
      await apply(data, 1, [put('new', '1', 10), put('old', '1', 11, 5)], 2);
      await apply(data, 1, [del('gone', 12, 6), put('new', '2', 13, 10)], 3);
      await apply(data, 1, [put('gone', 'again', 15)], 4);
      const snapshot = data.snapshot();
      const at = async (name: string, moment: number) => text(await data.getAt(snapshot, key(name), moment));
      assert.deepEqual([await at('old', 6), await at('old', 10), await at('old', 11)], ['before', 'before', '1']);
      assert.deepEqual(
        [await at('gone', 11), await at('gone', 12), await at('gone', 14)],
        ['before', undefined, undefined],
      );
      assert.equal(await at('gone', 15), 'again');
      assert.deepEqual([await at('new', 9), await at('new', 10), await at('new', 13)], [undefined, '1', '2']);
      await assert.rejects(at('new', 5), isKahunaError('HISTORY_GONE'));
      snapshot.release();
    });

    it('keeps history over a restart that goes on with it, and begins anew after one without', async () => {
      data.setHistory(HISTORY);
      await apply(data, 1, [put('a', '1', 10)], 1);
      await apply(data, 1, [put('a', '2', 11, 10)], 2);
      await data.close();
      data = await harness.open({ history: HISTORY });
      let snapshot = data.snapshot();
      assert.equal(text(await data.getAt(snapshot, key('a'), 10)), '1');
      snapshot.release();
      await data.close();
      data = await harness.open();
      data.setHistory(HISTORY);
      snapshot = data.snapshot();
      await assert.rejects(data.getAt(snapshot, key('a'), 10), isKahunaError('HISTORY_GONE'));
      assert.equal(text(await data.getAt(snapshot, key('a'), 11)), '2');
      snapshot.release();
    });

    it('collects what nobody can see, and nothing else', async () => {
      data.setHistory(HISTORY);
      await apply(data, 1, [put('a', '1', 10), put('b', '1', 10)], 1);
      await apply(data, 1, [put('a', '2', 20, 10), del('b', 20, 10)], 2);
      await apply(data, 1, [put('a', '3', 30, 20)], 3);
      await collectAll(data, 25);
      const snapshot = data.snapshot();
      assert.equal(text(await data.getAt(snapshot, key('a'), 25)), '2');
      assert.equal(await data.getAt(snapshot, key('b'), 25), undefined);
      await assert.rejects(data.getAt(snapshot, key('a'), 24), isKahunaError('HISTORY_GONE'));
      assert.equal(
        (await contents(snapshot, RANGE, { withVersions: true })).length,
        3,
        'a, and its versions of 20 and 30',
      );
      snapshot.release();
    });

    it('finds after a restart what was to be collected before', async () => {
      data.setHistory(HISTORY);
      for (let i = 1; i <= 20; i++)
        await apply(data, 1, [put('a', `${i}`, i * 10, i * 10 - 10), put(`k${i}`, '1', i * 10)], i);
      await apply(data, 1, [del('k3', 210, 30)], 21);
      await data.close();
      data = await harness.open({ history: HISTORY });
      await collectAll(data, 1_000, 7);
      const snapshot = data.snapshot();
      const left = await contents(snapshot, RANGE, { withVersions: true });
      assert.equal(left.length, 2 * 20, 'each living record and its own copy');
      snapshot.release();
    });

    it('drains all versions when history is switched off', async () => {
      data.setHistory(HISTORY);
      await apply(data, 1, [put('a', '1', 10), put('b', '1', 10)], 1);
      await apply(data, 1, [put('a', '2', 20, 10), del('b', 20, 10)], 2);
      data.setHistory({ retentionMs: 0, heldFloor: 0 });
      await apply(data, 1, [put('c', '1', 30), put('a', '3', 30, 20)], 3);
      await collectAll(data, 0);
      const snapshot = data.snapshot();
      const left = await contents(snapshot, RANGE, { withVersions: true });
      assert.deepEqual(
        left.map((record) => record.key),
        [hex(key('a')), hex(key('c'))],
      );
      snapshot.release();
    });

    it('collects versions of pages of which only a bound is known', async () => {
      data.setHistory(HISTORY);
      const page = encodePageKey(key('long'), 0);
      const pagePut = (value: string, timestamp: number, replaces: number) => ({
        key: page,
        sealed: sealRecord(page, timestamp, Buffer.from(value)),
        timestamp,
        replaces,
      });
      await apply(data, 1, [pagePut('p1', 10, 0)], 1);
      await apply(data, 1, [put('long', 'other page changed', 20, 10)], 2);
      await apply(data, 1, [pagePut('p2', 30, 20)], 3);
      let snapshot = data.snapshot();
      assert.equal(text(await data.getAt(snapshot, page, 25)), 'p1');
      snapshot.release();
      await collectAll(data, 40);
      snapshot = data.snapshot();
      const left = await contents(snapshot, RANGE, { withVersions: true });
      assert.equal(left.length, 4, 'two records with their copies');
      snapshot.release();
    });

    it('replaces a range by a snapshot, and only that range', async () => {
      data.setHistory(HISTORY);
      await apply(data, 1, [put('a', 'old', 10)], 1);
      const other = key('x', SLOT + 1);
      await apply(
        data,
        2,
        [{ key: other, sealed: sealRecord(other, 10, Buffer.from('kept')), timestamp: 10, replaces: 0 }],
        1,
      );
      const install = await data.beginInstall(1, [RANGE], { historyFloor: 50 });
      await install.write([{ key: key('b'), sealed: sealRecord(key('b'), 60, Buffer.from('new')) }]);
      await assert.rejects(
        install.write([{ key: key('c'), sealed: sealRecord(key('b'), 60, Buffer.from('new')) }]),
        isKahunaError('DATA_DAMAGED'),
      );
      await assert.rejects(
        install.write([{ key: other, sealed: sealRecord(other, 60, Buffer.from('new')) }]),
        isKahunaError('DATA_DAMAGED'),
      );
      await install.write([]);
      await install.finish(applied(99));
      assert.equal(data.get(key('a')), undefined);
      assert.equal(text(data.get(key('b'))), 'new');
      assert.equal(text(data.get(other)), 'kept');
      assert.equal(data.historyFloor, 50);
      await apply(data, 1, [put('b', 'newer', 70, 60)], 100);
      const snapshot = data.snapshot();
      assert.equal(text(await data.getAt(snapshot, key('b'), 65)), 'new');
      snapshot.release();
      await data.close();
      data = await harness.open();
      assert.equal(data.recovered.get(1)?.index, 100);
      assert.equal(data.recovered.get(1)?.installedIndex, 99);
    });

    it('serves nothing of an install that was given up', async () => {
      await apply(data, 1, [put('a', 'old', 10)], 1);
      const install = await data.beginInstall(1, [RANGE]);
      await install.write([{ key: key('b'), sealed: sealRecord(key('b'), 60, Buffer.from('new')) }]);
      await install.abort();
      assert.equal(data.get(key('a')), undefined);
      assert.equal(data.get(key('b')), undefined);
      await data.close();
      data = await harness.open();
      assert.equal(data.recovered.get(1)?.index, 0);
      await apply(data, 1, [put('a', 'first entry', 70)], 1);
      await data.close();
      data = await harness.open();
      assert.equal(data.recovered.get(1)?.index, 1);
      assert.equal(text(data.get(key('a'))), 'first entry');
    });

    it('forgets a group with its range', async () => {
      await apply(data, 1, [put('a', 'old', 10)], 1);
      await apply(data, 2, [], 5);
      await data.removeGroup(1, [RANGE]);
      assert.equal(data.get(key('a')), undefined);
      await data.close();
      data = await harness.open();
      assert.deepEqual([...data.recovered.keys()], [2]);
    });

    it('hashes a range independently of the order in which it was written', async () => {
      await apply(data, 1, [put('a', '1', 10), put('b', '1', 11)], 1);
      const hashAll = async () => {
        const snapshot = data.snapshot();
        const result = await data.hashRange(snapshot, allRecords());
        snapshot.release();
        return result;
      };
      const first = await hashAll();
      await data.removeGroup(1, [RANGE]);
      await apply(data, 1, [put('b', '1', 11)], 1);
      await apply(data, 1, [put('a', 'x', 9)], 2);
      assert.notEqual((await hashAll()).hash, first.hash);
      await apply(data, 1, [put('a', '1', 10, 9)], 3);
      assert.deepEqual(await hashAll(), first);
      assert.equal(first.count, 2);
    });

    it('syncs while batches are under way', async () => {
      const writes = Array.from({ length: 50 }, (_, i) => apply(data, i + 1, [put(`k${i}`, 'v', 10)], 1));
      await Promise.all([...writes, data.sync(), data.sync()]);
      await data.sync();
    });
  });
}

async function collectAll(data: DataStore, floor: number, stepsMax = 1_000): Promise<void> {
  for (let round = 0; round < 4; round++) {
    for (let calls = 0; !(await data.collect(floor, stepsMax)); calls++) assert.ok(calls < 10_000, 'collection ends');
    await data.sync();
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function isKahunaError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof KahunaError && error.code === code;
}
