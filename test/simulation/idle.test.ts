/**
 * What a cluster does when nobody asks it for anything: events of the simulation, which are timers, turns, pieces on the network,
 * and operations of disk and store.
 */
import { strict as assert } from 'node:assert';
import { runSeed } from './run.ts';
import { SIZES } from './sizes.ts';

const NODES = 3;
const SECONDS = 60;
/** A tick of Raft, and what looks at the links, the clients and the care of the cluster, a second and node. */
const OWN_TIMERS = 10 + 2 + 1 + 2;
/** Heartbeats and their answers, a second and group, each with a piece on the network and the turn that it makes; many leave together. */
const HEARTBEATS = 3 * 2 * (NODES - 1);
const EVENTS_PER_HEARTBEAT = 2;
/** The start, the end, and what happens seldom. */
const OTHERS = 2_500;

async function idleEvents(partitions: number): Promise<number> {
  const report = await runSeed(1, {
    adjust: (profile) => ({ ...profile, ...SIZES['quiet'], partitions, workloads: [], faultTimeMs: SECONDS * 1_000 }),
  });
  assert.deepEqual(report.violations, []);
  return report.events;
}

describe('an idle cluster', () => {
  it('does little, and little more with more partitions', async () => {
    for (const partitions of [1, 20]) {
      const groups = partitions + 1;
      const bound = SECONDS * (NODES * OWN_TIMERS + groups * HEARTBEATS * EVENTS_PER_HEARTBEAT) + OTHERS;
      const events = await idleEvents(partitions);
      assert.ok(events < bound, `${events} events with ${partitions} partitions, ${bound} have a reason`);
    }
  });
});
