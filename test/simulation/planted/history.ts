/** Mistakes in what is kept of the past, and in looks at it. */
import { EvaluationView } from '../../../src/partition/evaluation-view.ts';
import { HistoryKeeper } from '../../../src/partition/history-keeper.ts';
import { aimed, type PlantedBug } from './bug.ts';
import { method } from './patch.ts';

/** Of three seconds. */
const EARLY_MS = 2_000;
/** Changes and looks over four partitions whose clocks differ, by clients that hardly pause. */
const looking = {
  workloads: ['past'] as const,
  partitions: 4,
  clientCount: 4,
  thinkMs: 10,
  retentionMs: 500,
  retentionCount: 0,
  wallOffsetMs: 250,
};

export const HISTORY_BUGS: readonly PlantedBug[] = [
  {
    name: 'versions are collected although they are held',
    plant: () => method(HistoryKeeper.prototype, 'holds', () => () => Promise.resolve()),
    options: aimed({ ...looking, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'versions are collected before their time',
    plant: () =>
      method(HistoryKeeper.prototype, 'collectFloor', (collectFloor) => {
        return function (this: HistoryKeeper, timesMs) {
          return collectFloor.call(
            this,
            timesMs.map((timeMs) => timeMs + EARLY_MS),
          );
        };
      }),
    options: aimed({ ...looking, wallOffsetMs: 0, drift: 0, retentionMs: 3_000, faults: ['transfer'] }),
    firstSeed: 1,
  },
  {
    name: 'a look at a moment lets changes at or before it happen',
    plant: () => method(EvaluationView.prototype, 'promise', () => () => undefined),
    options: aimed({ ...looking, faults: ['transfer'] }),
    firstSeed: 1,
  },
];
