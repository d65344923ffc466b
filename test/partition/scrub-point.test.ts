/** A view of a replica's data at one index: against a real store, while entries go on. */
import { strict as assert } from 'node:assert';
import { ApplyPace } from '../../src/partition/apply-pace.ts';
import { Applier } from '../../src/partition/applier.ts';
import { Batch } from '../../src/partition/batch.ts';
import { decodePartitionState, emptyPartitionState } from '../../src/partition/partition-state.ts';
import { type DataAtIndex, whenAppliedExactly } from '../../src/partition/scrub-point.ts';
import { ENTRY_TYPES, type Entry } from '../../src/raft/types.ts';
import { encodeRecordKey, slotRange } from '../../src/storage/data/keys.ts';
import { sealRecord } from '../../src/storage/data/records.ts';
import type { DataStore } from '../../src/storage/data/types.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';
import { Node } from '../storage/data/support.ts';

const SLOT = 7;
const EMPTY = emptyPartitionState({ voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [] });

/** Sets key `k<index>`. */
function entry(index: number): Entry {
  const key = encodeRecordKey(SLOT, 0, `k${index}`);
  const sealed = sealRecord(key, index, Buffer.from('value'));
  const batch = new Batch();
  batch.timeMs = index;
  const { buffer, offset } = batch.put(key.length, sealed.length, index, 0);
  buffer.set(key, offset);
  buffer.set(sealed, offset + key.length);
  return { term: 1, index, type: ENTRY_TYPES.normal, data: batch.encode() };
}

function replicaOn(data: DataStore, time: VirtualTime) {
  const applier = new Applier({
    pace: new ApplyPace(time, time),
    group: 1,
    data,
    index: 0,
    term: 0,
    state: EMPTY,
    events: {
      applied: () => undefined,
      damaged: () => undefined,
      holdsChanged: () => Promise.resolve(),
      confStateAfter: () => EMPTY.confState,
    },
  });
  return { group: 1, applier, data, isQuarantined: false };
}

describe('the data at an index', () => {
  it('holds every entry up to it and none after, however the entries are batched', async () => {
    const time = new VirtualTime();
    for (const wanted of [1, 5, 17, 30]) {
      const data = await new Node(wanted).open();
      const replica = replicaOn(data, time);
      const counts: number[] = [];
      whenAppliedExactly(replica, wanted, (view) => {
        assert.ok(view);
        assert.equal(decodePartitionState(view.state).timeMs, wanted);
        void data.hashRange(view.snapshot, slotRange(SLOT, SLOT)).then(({ count }) => {
          view.snapshot.release();
          counts.push(count);
        });
      });
      for (let index = 1; index <= 30; index++) {
        replica.applier.enqueue(entry(index));
        if (index % 7 === 0) await time.pass(3);
      }
      await time.until(() => counts.length > 0 && replica.applier.index === 30);
      assert.deepEqual(counts, [wanted]);
      await data.close();
    }
  });

  it('is refused where the data is damaged, or is replayed after a crash of the machine', async () => {
    const time = new VirtualTime();
    const node = new Node(1);
    const before = replicaOn(await node.open(), time);
    for (let index = 1; index <= 3; index++) before.applier.enqueue(entry(index));
    await time.until(() => before.applier.index === 3);
    const taken: (DataAtIndex | null)[] = [];
    whenAppliedExactly({ ...before, isQuarantined: true }, 3, (view) => taken.push(view));
    const shown = (): readonly string[] => taken.map((view) => (view === null ? 'none' : 'view'));
    assert.deepEqual(shown(), ['none']);
    await before.data.sync();
    node.crashMachine('machine');
    const after = replicaOn(await node.open(), time);
    after.applier.enqueue(entry(1));
    after.applier.enqueue(entry(2));
    await time.until(() => after.applier.index === 2);
    whenAppliedExactly(after, 2, (view) => taken.push(view));
    assert.deepEqual(shown(), ['none', 'none']);
    whenAppliedExactly(after, 3, (view) => {
      taken.push(view);
      view?.snapshot.release();
    });
    after.applier.enqueue(entry(3));
    await time.until(() => taken.length === 3);
    assert.deepEqual(shown(), ['none', 'none', 'view']);
  });
});
