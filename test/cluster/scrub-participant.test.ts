/**
 * A replica's part in the scrub, on a real store, with a leader that the test plays: what it says, when it says nothing, and whose
 * verdict it believes.
 */
import { strict as assert } from 'node:assert';
import { silentLogger } from '../../src/base/log.ts';
import type { ScrubFinding, ScrubLook, ScrubVerdict } from '../../src/cluster/scrub-codec.ts';
import { LOOK_MAX_MS, ScrubParticipant } from '../../src/cluster/scrub-participant.ts';
import { ApplyPace } from '../../src/partition/apply-pace.ts';
import { Applier } from '../../src/partition/applier.ts';
import { Batch } from '../../src/partition/batch.ts';
import { emptyPartitionState } from '../../src/partition/partition-state.ts';
import { partitionRange } from '../../src/partition/ranges.ts';
import type { Replica } from '../../src/partition/replica.ts';
import { ENTRY_TYPES } from '../../src/raft/types.ts';
import { encodeRecordKey, slotRange } from '../../src/storage/data/keys.ts';
import { sealRecord } from '../../src/storage/data/records.ts';
import type { DataStore } from '../../src/storage/data/types.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';
import { Node } from '../storage/data/support.ts';

const GROUP = 1;
const LEADER = 2;
const TERM = 5;
const SLOTS = { first: 0, last: 99 };
const SLOT = 7;
const STATE = emptyPartitionState({ voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [] });

class Bench {
  readonly time = new VirtualTime();
  readonly node: Node;
  readonly applier: Applier;
  readonly participant: ScrubParticipant;
  readonly told: ScrubFinding['found'][] = [];
  readonly quarantines: string[] = [];
  readonly failures: unknown[] = [];
  /** What the participant sees of the replica; tests change it. */
  readonly replica = {
    leader: LEADER,
    term: TERM,
    core: { role: 'follower' },
    isSoleVoter: false,
    isQuarantined: false,
  };
  isGone = false;

  private constructor(node: Node, data: DataStore) {
    this.node = node;
    this.applier = new Applier({
      pace: new ApplyPace(this.time, this.time),
      group: GROUP,
      data,
      index: 0,
      term: 0,
      state: STATE,
      events: {
        applied: () => undefined,
        damaged: (error) => {
          throw error;
        },
        holdsChanged: () => Promise.resolve(),
        confStateAfter: () => STATE.confState,
      },
    });
    const replica = Object.assign(this.replica, {
      group: GROUP,
      applier: this.applier,
      data,
      range: partitionRange(SLOTS),
      reader: {
        fail: (error: unknown) => {
          this.failures.push(error);
          this.replica.isQuarantined = true;
        },
      },
      quarantine: (reason: string) => {
        this.quarantines.push(reason);
      },
    }) as unknown as Replica;
    this.participant = new ScrubParticipant({
      timers: this.time,
      log: silentLogger,
      replicaOf: (group) => (group === GROUP && !this.isGone ? replica : undefined),
    });
  }

  static async open(entries: number): Promise<Bench> {
    const node = new Node(1);
    const bench = new Bench(node, await node.open());
    bench.apply(1, entries);
    await bench.time.until(() => bench.applier.index === entries);
    return bench;
  }

  apply(from: number, to: number): void {
    for (let index = from; index <= to; index++) {
      const key = encodeRecordKey(SLOT, 0, `k${index}`);
      const sealed = sealRecord(key, index, Buffer.from(`value ${index}`));
      const batch = new Batch();
      const { buffer, offset } = batch.put(key.length, sealed.length, index, 0);
      buffer.set(key, offset);
      buffer.set(sealed, offset + key.length);
      this.applier.enqueue({ term: 1, index, type: ENTRY_TYPES.normal, data: batch.encode() });
    }
  }

  look(change: Partial<ScrubLook> = {}): void {
    const range = partitionRange(SLOTS);
    const wanted = { group: GROUP, look: 1, term: TERM, index: 3, bytesMax: 1_000_000, ...range, ...change };
    this.participant.look(wanted, (found) => this.told.push(found));
  }

  async answer(change: Partial<ScrubLook> = {}): Promise<ScrubFinding['found']> {
    const before = this.told.length;
    this.look(change);
    await this.time.until(() => this.told.length > before);
    const found = this.told.at(-1);
    assert.ok(found !== undefined);
    return found;
  }

  judged(change: Partial<ScrubVerdict> = {}, from = LEADER): number {
    const before = this.quarantines.length;
    const range = partitionRange(SLOTS);
    this.participant.condemned(from, { group: GROUP, look: 1, term: TERM, index: 3, ...range, ...change });
    return this.quarantines.length - before;
  }
}

describe('a replica that is compared', () => {
  it('says what it holds at the index, and the same where others hold the same', async () => {
    const first = await Bench.open(3);
    const second = await Bench.open(0);
    second.look();
    second.apply(1, 9);
    await second.time.until(() => second.told.length > 0);
    const found = await first.answer();
    assert.deepEqual(second.told, [found]);
    assert.ok(typeof found === 'object' && found.count === 3);
    assert.notDeepEqual(await second.answer({ index: 9 }), found);
  });

  it('says that it missed an index that it has passed, and what is not its own to compare', async () => {
    const bench = await Bench.open(5);
    assert.equal(await bench.answer(), 'missed');
    assert.equal(await bench.answer({ index: 5, ...slotRange(50, 150) }), 'missed');
    assert.equal(await bench.answer({ index: 5, group: 9 }), 'missed');
    bench.isGone = true;
    assert.equal(await bench.answer({ index: 5 }), 'missed');
  });

  it('gives up an index that does not come, and ends no batch there any more', async () => {
    const bench = await Bench.open(1);
    bench.look({ index: 3 });
    await bench.time.pass(LOOK_MAX_MS - 1);
    assert.deepEqual(bench.told, []);
    await bench.time.pass(1);
    assert.deepEqual(bench.told, ['missed']);
    assert.equal(bench.time.size, 0);
  });

  it('looks once at a time: a later look takes the place of an earlier one, which says nothing', async () => {
    const bench = await Bench.open(3);
    bench.look({ look: 1 });
    bench.look({ look: 2, ...slotRange(SLOT + 1, 99) });
    await bench.time.pass(LOOK_MAX_MS * 2);
    assert.equal(bench.told.length, 1);
    assert.ok(typeof bench.told[0] === 'object' && bench.told[0].count === 0);
  });

  it('knows itself damaged when a seal does not fit, and says so', async () => {
    const bench = await Bench.open(3);
    bench.node.device.flipBit(encodeRecordKey(SLOT, 0, 'k2'), 99);
    assert.equal(await bench.answer(), 'damaged');
    assert.equal(bench.failures.length, 1);
  });

  it('without others it says what it found beside the damage: nobody could give it back', async () => {
    const bench = await Bench.open(3);
    bench.replica.isSoleVoter = true;
    bench.node.device.flipBit(encodeRecordKey(SLOT, 0, 'k2'), 99);
    const found = await bench.answer();
    assert.ok(typeof found === 'object' && found.count === 3);
    assert.equal(bench.failures.length, 0);
  });

  it('closes when nothing is read any more, and looks at nothing afterwards', async () => {
    const bench = await Bench.open(3);
    bench.look();
    await bench.participant.close();
    assert.equal(await bench.answer(), 'missed');
    assert.deepEqual(bench.told, ['missed']);
    await bench.time.pass(100);
    assert.equal(bench.time.size, 0);
  });

  describe('believes a verdict', () => {
    it('of the leader of its present term, about the look that it answered last', async () => {
      const bench = await Bench.open(3);
      await bench.answer();
      assert.equal(bench.judged({}, 3), 0, 'of somebody else');
      assert.equal(bench.judged({ term: TERM - 1 }), 0, 'of an earlier term');
      assert.equal(bench.judged({ look: 2 }), 0, 'about another look');
      assert.equal(bench.judged({ group: 9 }), 0, 'about another partition');
      assert.equal(bench.judged(), 1);
      assert.match(bench.quarantines[0] ?? '', /as of entry 3, between the keys 0000 and 0064/);
    });

    it('not after the term has changed, nor when it leads, nor when it is alone', async () => {
      const bench = await Bench.open(3);
      await bench.answer();
      bench.replica.term = TERM + 1;
      assert.equal(bench.judged(), 0);
      assert.equal(bench.judged({ term: TERM + 1 }), 0);
      bench.replica.term = TERM;
      bench.replica.core.role = 'leader';
      assert.equal(bench.judged(), 0);
      bench.replica.core.role = 'follower';
      bench.replica.isSoleVoter = true;
      assert.equal(bench.judged(), 0);
    });

    it('not before it has answered, nor after its data was replaced', async () => {
      const bench = await Bench.open(3);
      assert.equal(bench.judged(), 0);
      await bench.answer();
      await bench.applier.suspend();
      bench.applier.resume(8, 1, STATE);
      assert.equal(bench.judged(), 0);
    });
  });
});
