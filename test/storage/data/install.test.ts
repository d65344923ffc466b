/** Installing a snapshot and removing a group: a crash at every step, of every kind. */
import { strict as assert } from 'node:assert';
import { encodeRecordKey, slotRange } from '../../../src/storage/data/keys.ts';
import { sealRecord } from '../../../src/storage/data/records.ts';
import type { DataStore, RawRecord } from '../../../src/storage/data/types.ts';
import type { CrashKind } from '../../doubles/memory-store.ts';
import { StepScheduler } from '../../doubles/stepping.ts';
import { applied, apply, contents, Node } from './support.ts';

const CRASHES = ['process', 'machine', 'machine-rotation'] satisfies CrashKind[];
const OLD_RANGE = slotRange(1, 1);
const OTHER_RANGE = slotRange(2, 2);

function raw(slot: number, name: string, value: string): RawRecord {
  const key = encodeRecordKey(slot, 0, name);
  return { key, sealed: sealRecord(key, 10, Buffer.from(value)) };
}

function shown(records: readonly RawRecord[]): { key: string; sealed: string }[] {
  return records.map(({ key, sealed }) => ({
    key: Buffer.from(key).toString('hex'),
    sealed: Buffer.from(sealed).toString('hex'),
  }));
}

const OLD = Array.from({ length: 150 }, (_, i) => raw(1, `old${String(i).padStart(3, '0')}`, 'old'));
const NEW = Array.from({ length: 30 }, (_, i) => raw(1, `new${String(i).padStart(3, '0')}`, 'new'));
const OTHER = [raw(2, 'other', 'other')];

/** A node on which the group has its old records, synced, and a neighbour has its own. */
async function prepared(seed: number): Promise<{ node: Node; scheduler: StepScheduler; data: DataStore }> {
  const scheduler = new StepScheduler();
  const node = new Node(seed, { schedule: scheduler.schedule, rotationBytes: 700 });
  const data = await scheduler.until(node.open());
  const changes = (records: readonly RawRecord[]) =>
    records.map((record) => ({ ...record, timestamp: 10, replaces: 0 }));
  await scheduler.until(apply(data, 1, changes(OLD), 5));
  await scheduler.until(apply(data, 2, changes(OTHER), 3));
  await scheduler.until(data.sync());
  return { node, scheduler, data };
}

/** Runs `work` for so many completions, crashes, and hands the reopened store to `check`. True if the work was done. */
async function crashAfter(
  steps: number,
  kind: CrashKind,
  work: (data: DataStore) => Promise<void>,
  check: (data: DataStore, scheduler: StepScheduler) => Promise<void>,
): Promise<boolean> {
  const { node, scheduler, data } = await prepared(steps);
  let isDone = false;
  work(data).then(
    () => {
      isDone = true;
    },
    () => undefined,
  );
  for (let left = steps; left > 0; left--) await scheduler.step();
  scheduler.clear();
  const wasDone = isDone;
  if (kind === 'process') node.device.crash(kind);
  else node.crashMachine(kind);
  for (let reopens = 0; reopens < 2; reopens++) {
    const reopened = await scheduler.until(node.open());
    await check(reopened, scheduler);
    const snapshot = reopened.snapshot();
    assert.deepEqual(
      await scheduler.until(contents(snapshot, OTHER_RANGE)),
      shown(OTHER),
      'the neighbour is untouched',
    );
    assert.equal(reopened.recovered.get(2)?.index, 3);
    snapshot.release();
    scheduler.clear();
    node.device.crash('process');
  }
  return wasDone;
}

describe('data store: installs', () => {
  for (const kind of CRASHES) {
    it(`a crash (${kind}) at any step leaves the old state, the new one, or nothing and says which`, async () => {
      const seen = new Set<number>();
      for (let steps = 0; ; steps++) {
        const install = async (data: DataStore): Promise<void> => {
          const target = await data.beginInstall(1, [OLD_RANGE], { historyFloor: 0 });
          for (let at = 0; at < NEW.length; at += 10) await target.write(NEW.slice(at, at + 10));
          await target.finish(applied(9));
        };
        const isDone = await crashAfter(steps, kind, install, async (data, scheduler) => {
          const snapshot = data.snapshot();
          const found = await scheduler.until(contents(snapshot, OLD_RANGE));
          snapshot.release();
          const state = data.recovered.get(1);
          assert.ok(state !== undefined, `step ${steps}`);
          seen.add(state.index);
          const wanted =
            state.index === 5 ? OLD : state.index === 9 ? NEW.toSorted((a, b) => Buffer.compare(a.key, b.key)) : [];
          assert.deepEqual(found, shown(wanted), `step ${steps}, index ${state.index}`);
          assert.equal(state.installedIndex, state.index === 9 ? 9 : 0);
        });
        if (isDone) break;
        assert.ok(steps < 500, 'the install ends');
      }
      assert.deepEqual([...seen].sort(), [0, 5, 9]);
    });

    it(`a crash (${kind}) at any step of a removal leaves the group whole or gone`, async () => {
      const seen = new Set<boolean>();
      for (let steps = 0; ; steps++) {
        const remove = (data: DataStore): Promise<void> => data.removeGroup(1, [OLD_RANGE]);
        const isDone = await crashAfter(steps, kind, remove, async (data, scheduler) => {
          const snapshot = data.snapshot();
          const found = await scheduler.until(contents(snapshot, OLD_RANGE));
          snapshot.release();
          const isThere = data.recovered.has(1);
          seen.add(isThere);
          assert.deepEqual(found, isThere ? shown(OLD) : [], `step ${steps}`);
        });
        if (isDone) break;
        assert.ok(steps < 500, 'the removal ends');
      }
      assert.equal(seen.size, 2);
    });
  }

  it('an interrupted install is followed by another one, also of other ranges', async () => {
    const node = new Node(1);
    let data = await node.open();
    const first = await data.beginInstall(1, [slotRange(1, 2)], { historyFloor: 0 });
    await first.write([raw(1, 'half', 'x'), raw(2, 'half', 'x')]);
    node.device.crash('process');
    data = await node.open();
    const second = await data.beginInstall(1, [slotRange(1, 1)], { historyFloor: 0 });
    await second.write([raw(1, 'whole', 'x')]);
    await second.finish(applied(3));
    node.device.crash('process');
    data = await node.open();
    const snapshot = data.snapshot();
    assert.deepEqual(await contents(snapshot, slotRange(0, 10)), shown([raw(1, 'whole', 'x')]));
    snapshot.release();
    assert.equal(data.recovered.get(1)?.index, 3);
  });

  it('an interrupted install of a group whose log is whole may be replayed instead, from the first entry on', async () => {
    const node = new Node(1);
    let data = await node.open();
    await (await data.beginInstall(1, [OLD_RANGE], { historyFloor: 0 })).write([raw(1, 'half', 'x')]);
    node.device.crash('process');
    data = await node.open();
    assert.equal(data.recovered.get(1)?.index, 0);
    await apply(data, 1, [{ ...raw(1, 'entry', '1'), timestamp: 10, replaces: 0 }], 1);
    node.device.crash('process');
    data = await node.open();
    const snapshot = data.snapshot();
    assert.deepEqual(await contents(snapshot, OLD_RANGE), shown([raw(1, 'entry', '1')]));
    snapshot.release();
  });

  it('refuses ranges that another group has left marked, and work on a group under install', async () => {
    const node = new Node(1);
    const data = await node.open();
    const install = await data.beginInstall(1, [OLD_RANGE], { historyFloor: 0 });
    assert.throws(() => data.apply(1, [], applied(1), () => undefined), /under way/);
    await assert.rejects(data.beginInstall(1, [OLD_RANGE], { historyFloor: 0 }), /under way/);
    await assert.rejects(data.beginInstall(3, [slotRange(0, 5)], { historyFloor: 0 }), /overlap/);
    const writing = install.write([raw(1, 'a', '1')]);
    await assert.rejects(install.write([]), /busy/);
    await writing;
    await install.abort();
    await assert.rejects(install.write([]), /ended/);
  });
});
