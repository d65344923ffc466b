/** Mistakes in transactions across partitions, at each step of the protocol. */
import { timestampFromMs } from '../../../src/base/hlc.ts';
import { EvaluationView } from '../../../src/partition/evaluation-view.ts';
import { KeyLock, KeyLocks, TransactionPart } from '../../../src/partition/key-locks.ts';
import { checkRow, prepareRow, resolveRow, statusRow } from '../../../src/partition/participant.ts';
import { Tenure } from '../../../src/partition/tenure.ts';
import { decodeResolve, encodeOutcome, encodeResolve } from '../../../src/partition/transaction-codec.ts';
import { Args } from '../../../src/commands/args.ts';
import { ClosedTimestamps } from '../../../src/txn/closed-timestamps.ts';
import { TransactionView } from '../../../src/txn/transaction-view.ts';
import { TRANSACTION_SPACE } from '../../../src/values/value.ts';
import { aimed, type PlantedBug } from './bug.ts';
import { all, getter, method } from './patch.ts';

/** Transfers and appends over four partitions, by clients that hardly pause. */
const across = {
  workloads: ['append', 'transaction'] as const,
  partitions: 4,
  clientCount: 5,
  thinkMs: 10,
};
const losses = ['killLeader', 'transfer', 'isolateLeader', 'kill', 'reset'] as const;

export const TRANSACTION_BUGS: readonly PlantedBug[] = [
  {
    name: 'who reads does not wait for what is prepared',
    plant: () =>
      method(KeyLock.prototype, 'admits', (admits) => {
        return function (this: KeyLock, part, isWrite) {
          return !isWrite || admits.call(this, part, isWrite);
        };
      }),
    options: aimed({ ...across, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'who writes takes no notice of locks',
    plant: () => method(KeyLock.prototype, 'admits', () => () => true),
    options: aimed({ ...across, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'a key can be taken by two transactions',
    plant: () => method(KeyLock.prototype, 'isFree', () => () => true),
    options: aimed({ ...across, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'what a transaction read is not compared',
    plant: () => method(TransactionView.prototype, 'reads', () => () => []),
    options: aimed({ ...across, faults: losses, faultGapMs: 700 }),
    firstSeed: 1,
  },
  {
    name: 'reads of several partitions are not confirmed',
    plant: () => method(checkRow, 'run', () => () => 1),
    options: aimed({ ...across, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'a partition promises that nothing changes, whatever is prepared',
    plant: () => getter(KeyLocks.prototype, 'preparedFloor', () => () => Number.POSITIVE_INFINITY),
    // Partitions' times differ, so that what is decided later may have an earlier timestamp.
    options: aimed({ ...across, workloads: ['pair'], clientCount: 6, wallOffsetMs: 5_000, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'what leaders promised is taken from what they answer now',
    plant: () =>
      method(ClosedTimestamps.prototype, 'heard', (heard) => {
        return function (this: ClosedTimestamps, group, fetched) {
          heard.call(this, group, { ...fetched, closed: Number.MAX_SAFE_INTEGER });
        };
      }),
    options: aimed({ ...across, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'a read of several partitions does not wait for a prepared flush',
    plant: () => method(EvaluationView.prototype, 'passStopper', () => () => undefined),
    options: aimed({ ...across, workloads: ['flush'], faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'a participant that refuses to prepare says yes',
    plant: () =>
      method(prepareRow, 'run', (run) => {
        return (view, args) => {
          run(view, args);
          return encodeOutcome({ isDone: true, timestamp: 1 });
        };
      }),
    options: aimed({ ...across, faults: losses, faultGapMs: 700 }),
    firstSeed: 1,
  },
  {
    name: 'a new leader forgets what was prepared',
    plant: () =>
      method(KeyLocks.prototype, 'prepare', (prepare) => {
        return function (this: KeyLocks, part, intent, nowMs) {
          // What earlier leaders prepared never had a lease.
          if (part.untilMs === 0) this.close(part);
          else prepare.call(this, part, intent, nowMs);
        };
      }),
    options: aimed({ ...across, faults: ['killLeader', 'transfer'], faultGapMs: 400 }),
    firstSeed: 1,
  },
  {
    name: 'a part that is prepared is dropped with its coordinator',
    plant: () => {
      let isDropping = false;
      return all(
        method(Tenure.prototype, 'dropParts', (dropParts) => {
          return function (this: Tenure, isLost) {
            isDropping = true;
            const areLeft = dropParts.call(this, isLost);
            isDropping = false;
            return areLeft;
          };
        }),
        getter(TransactionPart.prototype, 'isPrepared', (isPrepared) => {
          return function (this: object) {
            return !isDropping && isPrepared.call(this);
          };
        }),
      );
    },
    options: aimed({ ...across, faults: ['kill', 'reset', 'isolate'], faultGapMs: 500 }),
    firstSeed: 1,
  },
  {
    name: 'an anchor does not look for what it has decided',
    plant: () =>
      method(EvaluationView.prototype, 'peek', (peek) => {
        return function (this: EvaluationView, space, key) {
          return space === TRANSACTION_SPACE ? undefined : peek.call(this, space, key);
        };
      }),
    options: aimed({ ...across, faults: losses, faultGapMs: 400 }),
    firstSeed: 11,
  },
  {
    name: 'a transaction that nobody decided is taken for committed',
    plant: () => method(statusRow, 'run', () => (view) => encodeOutcome({ isDone: true, timestamp: view.timestamp })),
    options: aimed({ ...across, faults: losses, faultGapMs: 400 }),
    firstSeed: 1,
  },
  {
    name: 'what was aborted is carried out',
    plant: () =>
      method(resolveRow, 'run', (run) => {
        return (view, args) => {
          const { id, timestamp } = decodeResolve(args.bytes());
          const payload = encodeResolve(id, timestamp === 0 ? timestampFromMs(view.nowMs) : timestamp);
          return run(view, new Args().reset([payload, payload], 0));
        };
      }),
    options: aimed({ ...across, faults: losses, faultGapMs: 400 }),
    firstSeed: 1,
  },
  {
    name: 'a decision is not carried out',
    plant: () =>
      method(resolveRow, 'run', (run) => {
        return (view, args) => {
          const { id } = decodeResolve(args.bytes());
          const payload = encodeResolve(id, 0);
          return run(view, new Args().reset([payload, payload], 0));
        };
      }),
    options: aimed({ ...across, faults: ['transfer'] }),
    firstSeed: 1,
  },
];
