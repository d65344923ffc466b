/** How a replica is put together from its log and its data: where replay begins, and what must not be started at all. */
import { strict as assert } from 'node:assert';
import { FORGOTTEN, type LogIndex } from '../../src/base/ids.ts';
import { openGroup, type StoredGroup } from '../../src/cluster/open-replica.ts';
import { emptyPartitionState, encodePartitionState } from '../../src/partition/partition-state.ts';
import { encodeConfChange } from '../../src/raft/conf-codec.ts';
import { ENTRY_TYPES } from '../../src/raft/types.ts';
import type { DataStore, RecoveredState } from '../../src/storage/data/types.ts';
import type { LogCheckpoint, LogEntry, RaftLog, RecoveredGroup } from '../../src/storage/log/types.ts';
import { MemoryProcess, ProcessEnded } from '../doubles/memory-process.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';

const GROUP = 3;
const VOTERS = [1, 2, 3];
const MEMBERS = { voters: VOTERS, votersOutgoing: [], learners: [], learnersNext: [] };

function state(timeMs: number): Uint8Array {
  return encodePartitionState({ ...emptyPartitionState(MEMBERS), timeMs });
}

const ADDS_A_LEARNER = encodeConfChange({
  changes: [{ kind: 'addLearner', node: 4 }],
  joint: false,
  context: new Uint8Array(0),
});

const checkpoint = (index: LogIndex): LogCheckpoint => ({ index, term: index === 0 ? 0 : 1, state: state(index) });

function entries(first: number, last: number, type: number = ENTRY_TYPES.normal): LogEntry[] {
  return Array.from({ length: last - first + 1 }, (_, i) => ({
    term: 1,
    index: first + i,
    type,
    data: type === ENTRY_TYPES.confChange ? ADDS_A_LEARNER : new Uint8Array(0),
  }));
}

interface Given {
  readonly log?: Partial<RecoveredGroup>;
  readonly data?: LogIndex;
  readonly isSameBoot?: boolean;
  readonly installed?: LogCheckpoint;
  readonly quarantine?: string | null;
  readonly voters?: readonly number[];
}

function open({ log, data, isSameBoot = true, installed, quarantine = null, voters = VOTERS }: Given): StoredGroup {
  const group: RecoveredGroup = {
    hardState: { term: 1, vote: 2, commit: 0 },
    checkpoint: checkpoint(0),
    entries: [],
    compacted: { index: 0, term: 0 },
    ...log,
  };
  const recovered: RecoveredState | undefined =
    data === undefined ? undefined : { index: data, term: 1, state: state(data), installedIndex: 0 };
  return openGroup({
    group: GROUP,
    node: 1,
    voters,
    raftLog: { recovered: new Map(log === undefined ? [] : [[GROUP, group]]) } as unknown as RaftLog,
    data: {
      recovered: new Map(recovered === undefined ? [] : [[GROUP, recovered]]),
      isSameBoot,
    } as unknown as DataStore,
    process: new MemoryProcess(),
    random: new SeededRandom(1),
    electionTicks: 10,
    installed,
    quarantine,
    usesLeases: false,
  });
}

/** What is applied already, the log's base, its end, and the commit index. */
function told({ applied, core }: StoredGroup): readonly number[] {
  return [applied.index, core.firstIndex - 1, core.lastIndex, core.commitIndex];
}

function refuses(given: Given, message: RegExp): void {
  assert.throws(
    () => open(given),
    (error) => error instanceof ProcessEnded && error.reason === 'dataDamaged' && message.test(error.message),
  );
}

describe('opening a replica', () => {
  it('begins with nothing, and the voters of the topology', () => {
    const group = open({});
    assert.deepEqual(told(group), [0, 0, 0, 0]);
    assert.deepEqual(group.core.confState.voters, VOTERS);
  });

  it('has no memory if the log knows nothing of the group: it may have been lost', () => {
    assert.ok(open({}).core.isAmnesiac);
    assert.ok(!open({ log: {} }).core.isAmnesiac);
    assert.ok(open({ log: { hardState: { term: 4, vote: FORGOTTEN, commit: 0 } } }).core.isAmnesiac);
  });

  it('replays from what the data holds, if the machine did not crash', () => {
    const group = open({ log: { entries: entries(1, 9), checkpoint: checkpoint(4) }, data: 7 });
    assert.deepEqual(told(group), [7, 0, 9, 7]);
    assert.equal(group.applied.state.timeMs, 7);
    assert.equal(group.checkpoint.index, 4);
  });

  it('replays from the checkpoint after a crash of the machine, whatever the data says it holds', () => {
    const group = open({ log: { entries: entries(1, 9), checkpoint: checkpoint(4) }, data: 7, isSameBoot: false });
    assert.deepEqual(told(group), [4, 0, 9, 4]);
    assert.equal(group.applied.state.timeMs, 4);
  });

  it('replays everything after a crash of the machine before the first checkpoint', () => {
    assert.deepEqual(told(open({ log: { entries: entries(1, 9) }, data: 7, isSameBoot: false })), [0, 0, 9, 0]);
    assert.deepEqual(told(open({ log: { entries: entries(1, 9) }, isSameBoot: false })), [0, 0, 9, 0]);
  });

  it('keeps the log that was not compacted, for peers that lag', () => {
    const log = { entries: entries(4, 9), compacted: { index: 3, term: 1 }, checkpoint: checkpoint(5) };
    assert.deepEqual(told(open({ log, data: 7 })), [7, 3, 9, 7]);
  });

  it('knows the members as of what is applied: a log with earlier changes of them begins there', () => {
    const log = { entries: [...entries(1, 3), ...entries(4, 4, ENTRY_TYPES.confChange), ...entries(5, 9)] };
    assert.deepEqual(told(open({ log, data: 6 })), [6, 6, 9, 6]);
    assert.deepEqual(told(open({ log, data: 3 })), [3, 0, 9, 3]);
  });

  it('takes term, vote and commit from the log', () => {
    const { core } = open({ log: { entries: entries(1, 9), hardState: { term: 5, vote: 3, commit: 8 } }, data: 2 });
    assert.deepEqual([core.term, core.commitIndex], [5, 8]);
  });

  it('begins behind a snapshot whose installation was finished at this start', () => {
    const group = open({ log: { entries: entries(1, 9) }, data: 20, installed: checkpoint(20) });
    assert.deepEqual(told(group), [20, 20, 20, 20]);
    assert.equal(group.checkpoint.index, 20);
  });

  describe('ends the process if', () => {
    it('there is data, and no log', () => {
      refuses({ data: 7 }, /its log is gone/);
      assert.deepEqual(told(open({ data: 0 })), [0, 0, 0, 0]);
    });

    it('the data is ahead of the log', () => {
      refuses({ log: { entries: entries(1, 9) }, data: 10 }, /LevelDB is at entry 10, its log ends at 9/);
    });

    it('the log begins behind its own checkpoint', () => {
      const log = { entries: entries(6, 9), compacted: { index: 5, term: 1 } };
      refuses({ log, isSameBoot: false }, /as of entry 0, but the log starts after 5/);
      refuses({ log, data: 3 }, /as of entry 0, but the log starts after 5/);
    });
  });

  describe('waits to be rebuilt, with what its log vouches for, if', () => {
    const CASES: Record<string, { readonly given: Given; readonly why: RegExp; readonly at: LogIndex }> = {
      'the data is gone, and the log has a checkpoint': {
        given: { log: { entries: entries(5, 9), checkpoint: checkpoint(4), compacted: { index: 4, term: 1 } } },
        why: /LevelDB is empty/,
        at: 4,
      },
      'an install was cut off, and the log has a checkpoint': {
        given: { log: { entries: entries(1, 9), checkpoint: checkpoint(4) }, data: 0 },
        why: /LevelDB is empty/,
        at: 4,
      },
      'the data ends before the log begins': {
        given: {
          log: { entries: entries(6, 9), checkpoint: checkpoint(7), compacted: { index: 5, term: 1 } },
          data: 3,
        },
        why: /LevelDB ends at entry 3, but the log starts after 5/,
        at: 7,
      },
      'what was synced is lost': {
        given: { log: { entries: entries(1, 9), checkpoint: checkpoint(5) }, data: 4, isSameBoot: false },
        why: /has lost what was synced up to entry 5/,
        at: 5,
      },
      'it was in quarantine, whatever the data says': {
        given: { log: { entries: entries(1, 9), checkpoint: checkpoint(5) }, data: 8, quarantine: 'a bad record' },
        why: /^a bad record$/,
        at: 5,
      },
    };
    for (const [name, { given, why, at }] of Object.entries(CASES)) {
      it(name, () => {
        const { damage, applied, core } = open(given);
        assert.match(damage ?? '', why);
        assert.deepEqual([applied.index, core.appliedIndex, core.lastIndex], [at, at, 9]);
        // Alone there is nothing to rebuild it from.
        if (given.quarantine === undefined) refuses({ ...given, voters: [1] }, why);
      });
    }
  });
});
