/** Mistakes of a leader, of those who ask it, and of those who keep its time. */
import { Job } from '../../../src/partition/job.ts';
import { Forwarder } from '../../../src/cluster/forwarder.ts';
import { Route } from '../../../src/cluster/route.ts';
import { Router } from '../../../src/cluster/router.ts';
import { Applier } from '../../../src/partition/applier.ts';
import { EvaluationView } from '../../../src/partition/evaluation-view.ts';
import { PartitionTime } from '../../../src/partition/partition-time.ts';
import { ReadRounds } from '../../../src/partition/read-rounds.ts';
import { Replica } from '../../../src/partition/replica.ts';
import { RequestLedger } from '../../../src/partition/request-ledger.ts';
import { type ResidentKey, ResidentTable } from '../../../src/partition/resident.ts';
import { Tenure } from '../../../src/partition/tenure.ts';
import { SPACE_COUNT } from '../../../src/values/value.ts';
import { aimed, counting, type PlantedBug, stale } from './bug.ts';
import { all, getter, method, type Undo } from './patch.ts';

/** Inside a method of a replica: which one. */
function withinReplica(enter: (replica: Replica) => void, leave: () => void, names: readonly (keyof Replica)[]): Undo {
  const undos = names.map((name) =>
    method(Replica.prototype, name, (original) => {
      const call = original as unknown as (this: Replica, ...parameters: unknown[]) => unknown;
      const wrapped = function (this: Replica, ...parameters: unknown[]): unknown {
        enter(this);
        try {
          return call.apply(this, parameters);
        } finally {
          leave();
        }
      };
      return wrapped;
    }),
  );
  return all(...undos);
}

function keepsResidents(): Undo {
  const kept = new WeakMap<Replica, ResidentKey[]>();
  let replica: Replica | null = null;
  let isEnding = false;
  return all(
    withinReplica((entered) => {
      replica = entered;
    }, () => {
      replica = null;
    }, ['turn', 'applied', 'submit', 'cancel', 'look']),
    method(Tenure.prototype, 'end', (end) => {
      return function (this: Tenure) {
        isEnding = true;
        const jobs = end.call(this);
        isEnding = false;
        return jobs;
      };
    }),
    method(ResidentTable.prototype, 'clear', (clear) => {
      return function (this: ResidentTable) {
        const keys: ResidentKey[] = [];
        for (let space = 0; space < SPACE_COUNT; space++) keys.push(...this.keysOf(space));
        if (isEnding && replica !== null) kept.set(replica, keys);
        clear.call(this);
      };
    }),
    method(EvaluationView.prototype, 'reset', (reset) => {
      return function (this: EvaluationView, state) {
        reset.call(this, state);
        for (const old of (replica === null ? undefined : kept.get(replica)) ?? []) {
          const { value, expiresAtMs, version } = old;
          Object.assign(this.residents.add(old.space, old.key), { value, expiresAtMs, version });
        }
      };
    }),
  );
}

function servesTooEarly(): Undo {
  let isInTurn = false;
  return all(
    withinReplica(() => {
      isInTurn = true;
    }, () => {
      isInTurn = false;
    }, ['turn']),
    getter(Applier.prototype, 'index', (index) => {
      return function (this: object) {
        return isInTurn ? Number.MAX_SAFE_INTEGER : index.call(this);
      };
    }),
  );
}

export const PARTITION_BUGS: readonly PlantedBug[] = [
  {
    name: 'a write is answered before it has committed',
    plant: () =>
      method(Tenure.prototype, 'closeBatch', (closeBatch) => {
        return function (this: Tenure) {
          const { index } = this.batch;
          closeBatch.call(this);
          if (index > 0) this.committed(index);
        };
      }),
    options: aimed({ ...counting, faults: ['killLeader', 'isolateLeader'] }),
    firstSeed: 4,
  },
  {
    name: 'a repeated request is not looked for in the log',
    plant: () => method(Replica.prototype, 'fillLedger', () => () => undefined),
    options: aimed({ ...counting, faults: ['killLeader', 'transfer', 'isolateLeader', 'reset'], faultGapMs: 500 }),
    firstSeed: 1,
  },
  {
    name: 'a leader keeps its resident objects when it steps down',
    plant: keepsResidents,
    options: aimed({ ...counting, faults: ['transfer', 'isolateLeader'], residentBytes: 0 }),
    firstSeed: 1,
  },
  {
    name: 'a leader serves before an entry of its own term is applied',
    plant: servesTooEarly,
    options: aimed({ ...counting, faults: ['killLeader', 'transfer'], storeMs: { min: 0, max: 40 } }),
    firstSeed: 1,
  },
  {
    name: 'a lease never ends',
    plant: () =>
      getter(Replica.prototype, 'isLeaseValid', () => {
        return function (this: object) {
          return this instanceof Replica && this.core.role === 'leader';
        };
      }),
    options: aimed({ ...stale, readConsistency: 'lease' }),
    firstSeed: 5,
  },
  {
    name: 'reads are answered without a confirmation of leadership',
    plant: () => method(ReadRounds.prototype, 'add', () => ReadRounds.prototype.addConfirmed),
    options: aimed({ ...stale, readConsistency: 'quorum' }),
    firstSeed: 4,
  },
  {
    name: 'reads are answered before what they saw has committed',
    plant: () =>
      method(ReadRounds.prototype, 'release', (release) => {
        return function (this: ReadRounds, _commitIndex, complete) {
          release.call(this, Number.MAX_SAFE_INTEGER, complete);
        };
      }),
    options: aimed({
      ...counting,
      readConsistency: 'lease',
      faults: ['isolateLeader'],
      faultGapMs: 3_000,
      faultTimeMs: 12_000,
      electionTimeoutMs: 1_000,
      heartbeatMs: 100,
      commandTimeoutMs: 5_000,
      latencyMs: { min: 0.5, max: 3 },
      lateChance: 0,
      diskMs: { min: 0.1, max: 2 },
      workloads: ['counter'],
      isPinned: true,
      clientCount: 8,
      thinkMs: 5,
      readChance: 0.8,
    }),
    firstSeed: 9,
  },
  {
    name: 'a write whose outcome is unknown is said to have failed',
    plant: () => getter(Job.prototype, 'mayWrite', () => () => false),
    options: aimed({ ...counting, faults: ['isolateLeader', 'killLeader', 'pauseLeader'], commandTimeoutMs: 500 }),
    firstSeed: 1,
  },
  {
    name: 'requests that are sent again lose their order',
    plant: () =>
      method(Route.prototype, 'hold', () => {
        return function (this: Route, job, nowMs) {
          job.heldSinceMs = nowMs;
          this.held.unshift(job);
        };
      }),
    options: aimed({ ...counting, workloads: ['counter'], faults: ['killLeader', 'transfer'], faultGapMs: 500 }),
    firstSeed: 1,
  },
  {
    name: 'time is taken from the wall clock',
    options: {
      ...aimed({ workloads: ['lock', 'expiry'], faults: ['stepClock'], clientCount: 4, thinkMs: 20, wallOffsetMs: 0 }),
      hasOnlyWallClock: true,
    },
    firstSeed: 1,
  },
  {
    name: 'a clock runs too fast for those who wait for its end',
    plant: () => {
      const starts = new WeakMap<PartitionTime, number>();
      return method(PartitionTime.prototype, 'now', (now) => {
        return function (this: PartitionTime) {
          const reading = now.call(this);
          const start = starts.get(this) ?? reading;
          starts.set(this, start);
          return start + Math.floor((reading - start) * 1.4);
        };
      });
    },
    options: aimed({ workloads: ['expiry', 'lock'], faults: ['transfer'], clientCount: 4, thinkMs: 20, drift: 0 }),
    firstSeed: 1,
  },
  {
    name: "a new leader does not take over its predecessor's time",
    plant: () =>
      all(
        method(PartitionTime.prototype, 'heard', () => () => undefined),
        method(PartitionTime.prototype, 'logged', () => () => undefined),
      ),
    options: aimed({
      workloads: ['expiry', 'lock'],
      faults: ['transfer', 'isolateLeader'],
      faultGapMs: 700,
      clientCount: 4,
      thinkMs: 20,
      drift: 0,
      wallOffsetMs: 4_000,
    }),
    firstSeed: 1,
  },
  {
    name: 'memory lets go what the store does not hold yet',
    plant: () =>
      method(ResidentTable.prototype, 'evict', (evict) => {
        return function (this: ResidentTable, _appliedIndex, stepsMax) {
          return evict.call(this, Number.MAX_SAFE_INTEGER, stepsMax);
        };
      }),
    options: aimed({ ...counting, faults: ['transfer'], residentBytes: 1, storeMs: { min: 0, max: 40 } }),
    firstSeed: 1,
  },
  {
    name: 'a watched key is taken for unchanged',
    plant: () => method(EvaluationView.prototype, 'version', () => () => 0),
    options: aimed({ workloads: ['transaction'], faults: ['transfer'], clientCount: 4, thinkMs: 20 }),
    firstSeed: 1,
  },
  {
    name: 'request ids are used again after a restart',
    options: {
      ...aimed({ ...counting, faults: ['kill', 'killLeader'], faultGapMs: 500 }),
      hasOneBootRandom: true,
    },
    firstSeed: 1,
  },
  {
    name: 'a repeated request gets the answer of another',
    plant: () =>
      method(RequestLedger.prototype, 'find', (find) => {
        return function (this: RequestLedger, id) {
          return find.call(this, id) ?? find.call(this, { ...id, counter: id.counter - 1 });
        };
      }),
    options: aimed({ ...counting, faults: ['killLeader', 'transfer', 'isolateLeader', 'reset'], faultGapMs: 500 }),
    firstSeed: 1,
  },
  {
    name: 'a forwarded request is taken twice',
    plant: () =>
      method(Forwarder.prototype, 'received', (received) => {
        return function (this: Forwarder, from, payload) {
          const copy = Buffer.from(payload);
          received.call(this, from, payload);
          received.call(this, from, copy);
        };
      }),
    options: aimed({ ...counting, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'nobody is told who leads',
    plant: () => method(Router.prototype, 'leaderServes', () => () => undefined),
    options: aimed({ ...counting, faults: ['transfer'] }),
    firstSeed: 1,
  },
];
