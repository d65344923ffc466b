/**
 * A long run leaves nothing behind. After minutes of work under faults, when everything was answered and nobody asks for
 * anything, the live objects of each kind are counted in the heap of the whole cluster: what belongs to a request, a
 * connection, a leadership or a process that has ended must be gone.
 */
import { strict as assert } from 'node:assert';
import { queryObjects } from 'node:v8';
import { Alarm } from '../../src/base/alarm.ts';
import { WriteMark } from '../../src/cluster/api.ts';
import { ClusterNode } from '../../src/cluster/cluster-node.ts';
import { Pulse } from '../../src/cluster/pulse.ts';
import { SnapshotReception } from '../../src/cluster/snapshot-reception.ts';
import { Job } from '../../src/partition/job.ts';
import { KeyLock, TransactionPart } from '../../src/partition/key-locks.ts';
import { Replica } from '../../src/partition/replica.ts';
import { RequestLedger } from '../../src/partition/request-ledger.ts';
import { Tenure } from '../../src/partition/tenure.ts';
import { Slot } from '../../src/server/pending.ts';
import { Session } from '../../src/server/session.ts';
import { Channel } from '../../src/transport/channel.ts';
import { Attempt } from '../../src/txn/attempt.ts';
import { TransactionView } from '../../src/txn/transaction-view.ts';
import type { Profile } from './profile.ts';
import { runSeed } from './run.ts';
import { SIZES } from './sizes.ts';
import type { World } from './world.ts';

const NODES = 3;
const GROUPS = 5;
const SEED = 3;

const LONG: Partial<Profile> = {
  ...SIZES['dense'],
  nodeCount: NODES,
  partitions: GROUPS - 1,
  faultTimeMs: 12_000,
  faults: ['killLeader', 'transfer', 'isolateLeader', 'reset', 'resetClients', 'cutClients', 'pauseLeader', 'absent'],
  workloads: ['counter', 'lock', 'append', 'watch', 'script', 'wait'],
  faultGapMs: 700,
  commandTimeoutMs: 500,
  logMemoryBytes: 20_000,
  checkpointIntervalMs: 1_000,
  clientCount: 3,
  isPinned: false,
};

/** How many may be left, by kind. */
function bounds(
  world: World,
): readonly (readonly [kind: abstract new (...parameters: never[]) => object, most: number])[] {
  const links = NODES * (NODES - 1);
  // A connection has two ends.
  const clients = world.network.size / 2 - links / 2;
  return [
    [ClusterNode, NODES],
    [Replica, NODES * GROUPS],
    // Of those that lead now.
    [Tenure, GROUPS],
    [RequestLedger, GROUPS],
    [Alarm, NODES * 2],
    [Channel, links],
    [Pulse, 0],
    [SnapshotReception, 0],
    [Session, clients],
    // A session has one for its next request; a tenure may hold the last job that it looked at.
    [WriteMark, clients + GROUPS],
    [Job, GROUPS],
    [Slot, clients],
    [KeyLock, 0],
    [TransactionPart, 0],
    [Attempt, 0],
    [TransactionView, NODES],
  ];
}

describe('a long simulated run', function () {
  this.timeout(120_000);

  it('leaves nothing behind of what has ended', async () => {
    const left: string[] = [];
    const report = await runSeed(SEED, {
      adjust: (profile) => ({ ...profile, ...LONG }),
      onEnd: (world) => {
        for (const [kind, most] of bounds(world)) {
          const count = queryObjects(kind, { format: 'count' });
          if (count > most) left.push(`${count} of ${kind.name}, at most ${most} have a reason`);
        }
      },
    });
    assert.deepEqual(report.violations, []);
    assert.ok((report.marks.get('leaderships') ?? 0) > GROUPS * 2, 'leaders change');
    assert.ok((report.marks.get('ok') ?? 0) > 1_000);
    assert.deepEqual(left, []);
  });
});
