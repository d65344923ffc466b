/**
 * One long run, in a process of its own: prints as JSON what it saw, and which objects it left in the heap that have no reason to be
 * there. In a process where other tests have run, theirs would be counted too, and counting takes the longer the more there is.
 */
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

export interface Residue {
  readonly violations: readonly string[];
  /** Kinds of which more is left than has a reason. */
  readonly left: readonly string[];
  readonly groups: number;
  readonly leaderships: number;
  /** Requests that went well. */
  readonly ok: number;
}

type Kind = abstract new (...parameters: never[]) => object;

const LINKS = NODES * (NODES - 1);

/** How many may be left, by kind, while so many clients are connected. */
function bounds(clients: number): readonly (readonly [kind: Kind, most: number])[] {
  return [
    [ClusterNode, NODES],
    [Replica, NODES * GROUPS],
    // Of those that lead now.
    [Tenure, GROUPS],
    [RequestLedger, GROUPS],
    [Alarm, NODES * 2],
    [Channel, LINKS],
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

// Prototypes of subclasses count as objects of the class.
const before = new Map(bounds(0).map(([kind]) => [kind, queryObjects(kind, { format: 'count' })]));
const left: string[] = [];
const { violations, marks } = await runSeed(SEED, {
  adjust: (profile) => ({ ...profile, ...LONG }),
  onEnd: ({ network }) => {
    // A connection has two ends.
    const clients = (network.size - LINKS) / 2;
    for (const [kind, most] of bounds(clients)) {
      const count = queryObjects(kind, { format: 'count' }) - (before.get(kind) ?? 0);
      if (count > most) left.push(`${count} of ${kind.name}, at most ${most} have a reason`);
    }
  },
});
const seen: Residue = {
  violations,
  left,
  groups: GROUPS,
  leaderships: marks.get('leaderships') ?? 0,
  ok: marks.get('ok') ?? 0,
};
console.log(JSON.stringify(seen));
