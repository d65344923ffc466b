/** Mistakes between memory and disk. */
import { RaftState } from '../../../src/raft/state.ts';
import { SegmentedLog } from '../../../src/storage/log/segmented-log.ts';
import type { RunningNode } from '../../../src/node/compose.ts';
import { Replica } from '../../../src/partition/replica.ts';
import { aimed, counting, type PlantedBug } from './bug.ts';
import { method } from './patch.ts';

/** So that what a node has only in memory is often more than what it has on its disk. */
const slowDisks = { ...counting, diskMs: { min: 0.1, max: 20 }, electionTimeoutMs: 400, heartbeatMs: 40 };

/** Changes what one node's store is told to apply. */
function atOneNode(change: (data: RunningNode['cluster']['data']) => void): (node: RunningNode) => void {
  return (node) => {
    if (node.cluster.node === 2) change(node.cluster.data);
  };
}

const SELDOM = 20;

export const STORAGE_BUGS: readonly PlantedBug[] = [
  {
    name: 'the disk acknowledges before it has written',
    options: { ...aimed({ ...counting, faults: ['powerOffAll'] }), isDiskLying: true },
    firstSeed: 1,
  },
  {
    name: 'a checkpoint does not wait for the data',
    options: {
      ...aimed({ ...counting, faults: ['powerOff', 'powerOffAll', 'checkpoint'], checkpointIntervalMs: 200 }),
      isStoreLying: true,
    },
    firstSeed: 1,
  },
  {
    name: 'terms and votes are not written',
    plant: () => method(SegmentedLog.prototype, 'stageHardState', () => () => undefined),
    options: aimed({ ...counting, faults: ['kill', 'killAll'], faultGapMs: 500 }),
    firstSeed: 1,
  },
  {
    name: 'a follower acknowledges what it has not written',
    plant: () =>
      method(RaftState.prototype, 'sendDurable', () => {
        return function (this: RaftState, message) {
          this.send(message);
        };
      }),
    options: aimed({ ...slowDisks, faults: ['powerOffAll'], faultGapMs: 300, faultTimeMs: 20_000, thinkMs: 5 }),
    firstSeed: 8,
  },
  {
    name: 'a loss of power is taken for a kill',
    options: { ...aimed({ ...counting, faults: ['powerOff', 'powerOffAll'], faultGapMs: 700 }), hasOneBootId: true },
    firstSeed: 14,
  },
  {
    name: 'a checkpoint says more than the store holds',
    plant: () =>
      method(Replica.prototype, 'checkpointCandidate', (candidate) => {
        return function (this: Replica) {
          return { ...candidate.call(this), index: this.commitIndex, term: this.core.termAt(this.commitIndex) };
        };
      }),
    options: aimed({
      ...counting,
      faults: ['powerOff', 'powerOffAll', 'checkpoint'],
      checkpointIntervalMs: 200,
      faultGapMs: 700,
      storeMs: { min: 0, max: 40 },
    }),
    firstSeed: 1,
  },
  {
    name: 'a record is lost on its way into the store',
    options: {
      ...aimed({ ...counting, faults: ['transfer'] }),
      onBoot: atOneNode((data) => {
        const apply = data.apply.bind(data);
        let count = 0;
        data.apply = (group, changes, applied, done) => {
          const isHit = ++count % SELDOM === 0 && changes.length > 0;
          apply(group, isHit ? changes.slice(1) : changes, applied, done);
        };
      }),
    },
    firstSeed: 5,
  },
  {
    name: 'the changes of an entry are applied in another order',
    options: {
      ...aimed({ ...counting, faults: ['killLeader'], residentBytes: 1 }),
      onBoot: ({ cluster: { data } }) => {
        const apply = data.apply.bind(data);
        data.apply = (group, changes, applied, done) => {
          apply(group, changes.toReversed(), applied, done);
        };
      },
    },
    firstSeed: 1,
  },
  {
    name: 'entries are applied in pieces: the records, and later how far they go',
    options: {
      ...aimed({ ...counting, faults: ['kill', 'killAll'], faultGapMs: 500, storeMs: { min: 0, max: 40 } }),
      onBoot: ({ cluster: { data } }) => {
        const apply = data.apply.bind(data);
        data.apply = (group, changes, applied, done) => {
          apply(group, [], applied, () => {
            apply(group, changes, applied, done);
          });
        };
      },
    },
    firstSeed: 1,
  },
  {
    name: 'a snapshot leaves out its last record',
    options: {
      ...aimed({
        ...counting,
        faults: ['absent'],
        faultGapMs: 4_000,
        faultTimeMs: 25_000,
        commandTimeoutMs: 500,
        logMemoryBytes: 500,
        checkpointIntervalMs: 200,
      }),
      onBoot: ({ cluster: { data } }) => {
        const snapshot = data.snapshot.bind(data);
        data.snapshot = () => {
          const view = snapshot();
          const iterate = view.iterate.bind(view);
          view.iterate = (range, options) => {
            const iterator = iterate(range, options);
            if (options?.withVersions !== true) return iterator;
            const next = iterator.next.bind(iterator);
            iterator.next = async (countMax, bytesMax) => {
              const records = await next(countMax, bytesMax);
              return records.length > 1 ? records.slice(0, -1) : records;
            };
            return iterator;
          };
          return view;
        };
      },
    },
    firstSeed: 1,
  },
];
