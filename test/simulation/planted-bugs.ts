/**
 * Broken on purpose: each of these is a mistake that somebody has made in some database. A run with one of them must end in a
 * violation within a number of seeds; if it does not, the simulation has gone blind. They change prototypes, for one run at
 * a time, and put them back.
 */
import { Route } from '../../src/cluster/route.ts';
import { Applier } from '../../src/partition/applier.ts';
import { EvaluationView } from '../../src/partition/evaluation-view.ts';
import { Job } from '../../src/partition/job.ts';
import { ReadRounds } from '../../src/partition/read-rounds.ts';
import { Replica } from '../../src/partition/replica.ts';
import { type ResidentKey, ResidentTable } from '../../src/partition/resident.ts';
import { Tenure } from '../../src/partition/tenure.ts';
import { SPACE_COUNT } from '../../src/values/value.ts';
import type { FaultName } from './faults/index.ts';
import type { Profile } from './profile.ts';
import type { RunOptions } from './run.ts';

export interface PlantedBug {
  readonly name: string;
  /** Breaks it; the result mends it. */
  readonly plant?: () => () => void;
  readonly options?: RunOptions;
  /** Where to start looking, and how many seeds it may take. */
  readonly firstSeed: number;
  readonly seedsMax: number;
}

type Undo = () => void;

function method<T extends object, K extends keyof T>(prototype: T, name: K, make: (original: T[K]) => T[K]): Undo {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => {
    prototype[name] = original;
  };
}

function getter(
  prototype: object,
  name: string,
  make: (original: (this: object) => unknown) => (this: object) => unknown,
): Undo {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  if (descriptor?.get === undefined) throw new Error(`${name} is no getter`);
  Object.defineProperty(prototype, name, { ...descriptor, get: make(descriptor.get as (this: object) => unknown) });
  return () => {
    Object.defineProperty(prototype, name, descriptor);
  };
}

function all(...undos: readonly Undo[]): Undo {
  return () => {
    for (const undo of undos) undo();
  };
}

/** Runs that aim at one thing. */
function aimed(change: Partial<Profile> & { readonly faults: readonly FaultName[] }): RunOptions {
  return { adjust: (profile) => ({ ...profile, nodeCount: 3, replicationFactor: 3, faultTimeMs: 12_000, ...change }) };
}

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
    }, ['turn', 'applied', 'submit', 'cancel', 'tick']),
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

const counting = { workloads: ['counter', 'register'] as const, clientCount: 4, thinkMs: 20, partitions: 1 };

/** Leaders that stand still while others go on, and clients that come to them afresh. */
const stale = {
  ...counting,
  faults: ['freezeAlone'] as const,
  clientCount: 8,
  readChance: 0.7,
  commandTimeoutMs: 500,
  electionTimeoutMs: 200,
  heartbeatMs: 20,
  isPinned: false,
};

export const plantedBugs: readonly PlantedBug[] = [
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
    firstSeed: 2,
    seedsMax: 25,
  },
  {
    name: 'a repeated request is not looked for in the log',
    plant: () => method(Replica.prototype, 'fillLedger', () => () => undefined),
    options: aimed({ ...counting, faults: ['killLeader', 'transfer', 'isolateLeader', 'reset'], faultGapMs: 500 }),
    firstSeed: 1,
    seedsMax: 25,
  },
  {
    name: 'a leader keeps its resident objects when it steps down',
    plant: keepsResidents,
    options: aimed({ ...counting, faults: ['transfer', 'isolateLeader'], residentBytes: 0 }),
    firstSeed: 1,
    seedsMax: 25,
  },
  {
    name: 'a leader serves before an entry of its own term is applied',
    plant: servesTooEarly,
    options: aimed({ ...counting, faults: ['killLeader', 'transfer'], storeMs: { min: 0, max: 40 } }),
    firstSeed: 1,
    seedsMax: 25,
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
    firstSeed: 1,
    seedsMax: 25,
  },
  {
    name: 'reads are answered without a confirmation of leadership',
    plant: () => method(ReadRounds.prototype, 'add', () => ReadRounds.prototype.addConfirmed),
    options: aimed({ ...stale, readConsistency: 'quorum' }),
    firstSeed: 1,
    seedsMax: 25,
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
    seedsMax: 25,
  },
  {
    name: 'the disk acknowledges before it has written',
    options: { ...aimed({ ...counting, faults: ['powerOffAll'] }), isDiskLying: true },
    firstSeed: 1,
    seedsMax: 25,
  },
  {
    name: 'a checkpoint does not wait for the data',
    options: {
      ...aimed({ ...counting, faults: ['powerOff', 'powerOffAll', 'checkpoint'], checkpointIntervalMs: 200 }),
      isStoreLying: true,
    },
    firstSeed: 1,
    seedsMax: 25,
  },
  {
    name: 'a write whose outcome is unknown is said to have failed',
    plant: () => getter(Job.prototype, 'mayWrite', () => () => false),
    options: aimed({ ...counting, faults: ['isolateLeader', 'killLeader', 'pauseLeader'], commandTimeoutMs: 500 }),
    firstSeed: 1,
    seedsMax: 25,
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
    seedsMax: 25,
  },
  {
    name: 'time is taken from the wall clock',
    options: {
      ...aimed({ workloads: ['lock', 'expiry'], faults: ['stepClock'], clientCount: 4, thinkMs: 20, wallOffsetMs: 0 }),
      hasOnlyWallClock: true,
    },
    firstSeed: 1,
    seedsMax: 25,
  },
];
