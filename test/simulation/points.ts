/**
 * Named points in the code, at which a run can strike: rare moments between two steps of something that must hold together. A
 * point is a method that the real code calls then; it is watched from outside, as planted bugs are planted, so nothing in the
 * code knows of it. A new point is a row more; points.test.ts shows of each that runs pass it, and what a strike there does.
 *
 * A strike falls before the method has done anything, or right after its promise was fulfilled: at a point of the program, not
 * of the event loop. Who dies there does nothing more, and what it had sent and handed to its disk by then is on its way.
 */
import { Quarantine } from '../../src/cluster/quarantine.ts';
import { ReplicatedScripts } from '../../src/cluster/script-catalog.ts';
import { ScrubParticipant } from '../../src/cluster/scrub-participant.ts';
import { SnapshotStage } from '../../src/cluster/snapshot-stage.ts';
import { Snapshots } from '../../src/cluster/snapshots.ts';
import { Transactions } from '../../src/cluster/transactions.ts';
import { Forwarder } from '../../src/cluster/forwarder.ts';
import { Applier } from '../../src/partition/applier.ts';
import { Engine } from '../../src/partition/engine.ts';
import { EvaluationView } from '../../src/partition/evaluation-view.ts';
import { HistoryKeeper } from '../../src/partition/history-keeper.ts';
import { Replica } from '../../src/partition/replica.ts';
import { Tenure } from '../../src/partition/tenure.ts';
import { RaftCore } from '../../src/raft/core.ts';
import { BatchWriter } from '../../src/storage/data/batch-writer.ts';
import { RangeInstall } from '../../src/storage/data/install.ts';
import { Sweep } from '../../src/storage/data/sweep.ts';
import { SegmentFiles } from '../../src/storage/log/segments.ts';
import { SegmentedLog } from '../../src/storage/log/segmented-log.ts';
import { InteractiveTransaction } from '../../src/txn/interactive.ts';
import { Steps } from '../../src/txn/steps.ts';
import type { SimMachine } from '../doubles/sim-platform.ts';
import { all, type Undo, watched } from './planted/patch.ts';

/** Has the point watched: `pass` is called whenever the code is there. */
type Point = (pass: () => void) => Undo;

function before<T extends object>(prototype: T, name: keyof T & string): Point {
  return (pass) => watched(prototype, name, { before: pass });
}

function after<T extends object>(prototype: T, name: keyof T & string): Point {
  return (pass) => watched(prototype, name, { fulfilled: pass });
}

/** Before a coordinator asks a partition for this. */
function step(row: string): Point {
  return (pass) =>
    watched(Transactions.prototype, 'step', {
      before: (_group, command) => {
        if (isNamed(command) && command.name === row) pass();
      },
    });
}

function isNamed(value: unknown): value is { readonly name: unknown } {
  return typeof value === 'object' && value !== null && 'name' in value;
}

const POINTS = {
  'a leader proposes a batch': before(Replica.prototype, 'propose'),
  'a leadership is handed over': before(RaftCore.prototype, 'transferLeadership'),
  'a leadership ends': before(Tenure.prototype, 'end'),
  'a flush of the log begins': before(SegmentedLog.prototype, 'flush'),
  'a flush of the log is durable': before(Replica.prototype, 'persisted'),
  'the log goes on in its next file': before(SegmentFiles.prototype, 'advance'),
  'a file of the log is no longer needed': before(SegmentFiles.prototype, 'free'),
  'a log is compacted': before(RaftCore.prototype, 'compact'),
  'a log begins anew behind a snapshot': before(SegmentedLog.prototype, 'stageReset'),
  'a batch goes to the store': before(BatchWriter.prototype, 'write'),
  'an entry was applied': before(Replica.prototype, 'applied'),
  'a checkpoint begins': before(Engine.prototype, 'checkpoint'),
  'the data of a checkpoint is durable': before(Replica.prototype, 'checkpointed'),
  'old versions are looked for': before(Sweep.prototype, 'next'),
  'what is kept of the past changes': before(HistoryKeeper.prototype, 'holds'),
  'a snapshot is sent': before(Snapshots.prototype, 'send'),
  'a snapshot begins to arrive': after(SnapshotStage.prototype, 'begin'),
  'a part of a snapshot has arrived': after(SnapshotStage.prototype, 'addPart'),
  'a snapshot has arrived': after(SnapshotStage.prototype, 'complete'),
  'a snapshot is installed': before(Snapshots.prototype, 'install'),
  'records of a snapshot go to the store': before(RangeInstall.prototype, 'write'),
  'the records of a snapshot are in the store': before(RangeInstall.prototype, 'finish'),
  'a snapshot has been installed': after(RangeInstall.prototype, 'finish'),
  'an applier begins anew': before(Applier.prototype, 'resume'),
  'replicas are compared': before(ScrubParticipant.prototype, 'look'),
  'a replica goes into quarantine': before(Quarantine.prototype, 'begin'),
  'a replica gets a copy': before(Replica.prototype, 'rebuildFrom'),
  'a quarantine ends': before(Quarantine.prototype, 'end'),
  'a request of another node arrives': before(Forwarder.prototype, 'received'),
  'a database is flushed': before(EvaluationView.prototype, 'flush'),
  'a script is remembered': before(ReplicatedScripts.prototype, 'load'),
  'keys are locked': after(Steps.prototype, 'lockAtOnce'),
  'keys are let go': before(Steps.prototype, 'release'),
  'reads of a transaction are confirmed': after(Steps.prototype, 'confirm'),
  'a preparation is sent': step('%TXPREPARE'),
  'a part is prepared': before(EvaluationView.prototype, 'prepare'),
  'a commit is sent': step('%TXCOMMIT'),
  'a transaction is decided': before(EvaluationView.prototype, 'decided'),
  'the others are told of a decision': step('%TXRESOLVE'),
  'a part is closed': before(EvaluationView.prototype, 'close'),
  'a settled transaction is forgotten': step('%TXFORGET'),
  'an interactive transaction commits': before(InteractiveTransaction.prototype, 'commit'),
} as const satisfies Readonly<Record<string, Point>>;

export type PointName = keyof typeof POINTS;

function isPointName(name: string): name is PointName {
  return name in POINTS;
}

export const POINT_NAMES: readonly PointName[] = Object.keys(POINTS).filter(isPointName);

/** Watches the points until the result is called. `pass` is told of each pass before the code goes on. */
export function watchPoints(names: readonly PointName[], pass: (point: PointName) => void): Undo {
  return all(
    ...names.map((name) =>
      POINTS[name](() => {
        pass(name);
      }),
    ),
  );
}

/** Those who wait for points to be passed. */
export class PointWaits {
  readonly passes = new Map<PointName, number>();
  readonly #waits = new Map<PointName, Wait[]>();

  /** Calls back when some node passes the point, after `skipped` passes. */
  once(point: PointName, skipped: number, reached: Reached): void {
    const waits = this.#waits.get(point) ?? [];
    waits.push({ left: skipped, reached });
    this.#waits.set(point, waits);
  }

  passed(point: PointName, machine: SimMachine): void {
    this.passes.set(point, (this.passes.get(point) ?? 0) + 1);
    const waits = this.#waits.get(point);
    if (waits === undefined) return;
    const due = waits.filter((wait) => wait.left-- === 0);
    if (due.length === 0) return;
    const left = waits.filter((wait) => !due.includes(wait));
    this.#waits.set(point, left);
    for (const { reached } of due) reached(machine);
  }

  /** Nobody waits any more. */
  end(): void {
    this.#waits.clear();
  }
}

type Reached = (machine: SimMachine) => void;

interface Wait {
  /** Passes that go by before. */
  left: number;
  readonly reached: Reached;
}
