/** What a partition's leader says is kept when moments are held: rules of the row, one by one. */
import { strict as assert } from 'node:assert';
import { timestampFromMs } from '../../src/base/hlc.ts';
import type { Timestamp } from '../../src/base/ids.ts';
import { decodeHeader } from '../../src/partition/entry-format.ts';
import { TestLeader } from './leader.ts';

/** Tells the leader what is held; returns from when on it says that all is kept. */
async function tell(
  leader: TestLeader,
  what: { readonly revision: number; readonly floor: Timestamp; readonly retentionMs?: number },
): Promise<Timestamp> {
  const { revision, floor, retentionMs = 0 } = what;
  const answer = await leader.ask('%HOLD', String(revision), String(floor), String(retentionMs));
  assert.match(answer, /^:\d+$/);
  return Number(answer.slice(1));
}

/** The answer that was made; it leaves when the entry has committed. */
function numberOf(leader: TestLeader, name: string): number {
  leader.endTurn();
  leader.commit();
  return Number(leader.replies.get(name));
}

const held = (leader: TestLeader) => leader.appliedState.holds;
const timestamp = (leader: TestLeader): Timestamp =>
  decodeHeader(leader.entries.at(-1) ?? new Uint8Array(0)).lastTimestamp;

describe('a hold of a partition', () => {
  it('begins with the entry that says so where nothing was kept before', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'v');
    const before = timestamp(leader);
    const from = await tell(leader, { revision: 5, floor: 3 });
    assert.ok(from > before);
    assert.deepEqual(held(leader), { floor: from, passed: from, revision: 5 });
    assert.ok(timestamp(leader) >= from, 'nothing is committed at or below it any more');
  });

  it('begins there too if the node keeps history for another partition alone: other nodes may not have come that far', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 0, heldFloor: 1 });
    await leader.ask('SET', 'k', 'v');
    const before = timestamp(leader);
    assert.ok((await tell(leader, { revision: 5, floor: before })) > before);
    // From now on all of them keep it.
    const from = await tell(leader, { revision: 6, floor: before });
    assert.equal(from, held(leader).passed);
    assert.ok(from > before);
    const now = timestamp(leader) + 1;
    assert.equal(await tell(leader, { revision: 7, floor: now }), now);
  });

  it('does not begin anew while the entry that began it has not been applied', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'v');
    leader.submit('first', ['%HOLD', '5', '3', '0']);
    const from = numberOf(leader, 'first');
    leader.submit('second', ['%HOLD', '6', String(from), '0']);
    assert.equal(leader.data.keepsHistory, false);
    assert.equal(numberOf(leader, 'second'), from, 'what is held already can be held by others');
    await leader.settle();
    const { floor, passed } = held(leader);
    assert.deepEqual([floor, passed], [from, from]);
  });

  it('reaches as far back as the retention, by the time of the log, and no further', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 10_000, heldFloor: 0 });
    await leader.ask('SET', 'k', 'v');
    leader.pass(60_000);
    await leader.ask('SET', 'k', 'w');
    const oldest = timestampFromMs(leader.time.now() - 10_000);
    assert.equal(await tell(leader, { revision: 5, floor: oldest + 7, retentionMs: 10_000 }), oldest + 7);
    assert.equal(held(leader).floor, oldest + 7);
    assert.equal(await tell(leader, { revision: 6, floor: oldest - 1, retentionMs: 10_000 }), oldest);
  });

  it('reaches back to what is held already, however old that is, but not to what was only asked for', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 10_000, heldFloor: 0 });
    await leader.ask('SET', 'k', 'v');
    const first = await tell(leader, { revision: 5, floor: timestamp(leader), retentionMs: 10_000 });
    leader.pass(60_000);
    await leader.ask('SET', 'k', 'w');
    assert.equal(await tell(leader, { revision: 6, floor: first, retentionMs: 10_000 }), first);
    assert.equal(await tell(leader, { revision: 7, floor: first + 9, retentionMs: 10_000 }), first + 9);
    const gone = await tell(leader, { revision: 8, floor: first, retentionMs: 10_000 });
    assert.equal(gone, first + 9);
    assert.equal(
      await tell(leader, { revision: 9, floor: first, retentionMs: 10_000 }),
      gone,
      'asked for in vain, it is not held',
    );
  });

  it('is not before what this node has let go of', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 10_000, heldFloor: 0 });
    for (const value of ['v', 'w']) await leader.ask('SET', 'k', value);
    const floor = timestamp(leader) + 9;
    await leader.data.collect(floor, 100);
    assert.equal(leader.data.historyFloor, floor);
    assert.equal(await tell(leader, { revision: 5, floor: 1, retentionMs: 10_000 }), floor);
  });

  it('is not before what was let go of by an earlier entry, on whatever replica', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 0, heldFloor: 1 });
    const begin = await tell(leader, { revision: 5, floor: 3 });
    await leader.ask('SET', 'k', 'v');
    const later = timestamp(leader) + 1;
    assert.equal(await tell(leader, { revision: 6, floor: later }), later);
    assert.deepEqual(held(leader), { floor: later, passed: later, revision: 6 });
    assert.equal(await tell(leader, { revision: 7, floor: begin }), later);
    assert.deepEqual(held(leader), { floor: later, passed: later, revision: 7 });
    // Once nothing is held, everything up to then may go.
    await tell(leader, { revision: 8, floor: 0 });
    const { passed } = held(leader);
    assert.ok(passed >= later);
    assert.ok((await tell(leader, { revision: 9, floor: later })) > passed);
  });

  it('does not listen to an older list, and writes nothing for the one that it knows', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 10_000, heldFloor: 0 });
    await leader.ask('SET', 'k', 'v');
    const floor = timestamp(leader);
    await tell(leader, { revision: 5, floor, retentionMs: 10_000 });
    const { length } = leader.entries;
    await tell(leader, { revision: 4, floor: 0, retentionMs: 10_000 });
    assert.equal(await tell(leader, { revision: 5, floor, retentionMs: 10_000 }), floor);
    assert.equal(held(leader).floor, floor);
    assert.equal(leader.entries.length, length);
  });

  it('outlives its leader', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 0, heldFloor: 1 });
    const from = await tell(leader, { revision: 5, floor: 3 });
    leader.begin();
    assert.equal(await tell(leader, { revision: 5, floor: 3 }), from);
    await tell(leader, { revision: 4, floor: 0 });
    assert.equal(held(leader).floor, from);
  });

  it('keeps what NOHISTORY would give up', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 1, heldFloor: 0 });
    await leader.ask('SET', 'k', 'v');
    const at = timestamp(leader);
    await tell(leader, { revision: 5, floor: at, retentionMs: 1 });
    await leader.ask('KAHUNA.SET', 'k', 'w', 'NOHISTORY');
    assert.match(await leader.ask('KAHUNA.GET', 'k', 'ASOF', String(at)), /value \$1 v/);
    await tell(leader, { revision: 6, floor: 0, retentionMs: 1 });
    await leader.ask('KAHUNA.SET', 'k', 'x', 'NOHISTORY');
    assert.match(await leader.ask('KAHUNA.GET', 'k', 'ASOF', String(at)), /^-HISTORYGONE /);
  });

  it('is answered with the floor that its leader has', async () => {
    const leader = await TestLeader.create();
    leader.data.setHistory({ retentionMs: 1, heldFloor: 0 });
    await leader.ask('SET', 'k', 'v');
    assert.equal(await leader.ask('%PASTFLOOR'), `:${leader.data.historyFloor}`);
  });
});
