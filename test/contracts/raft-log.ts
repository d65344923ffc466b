/** What every log promises its callers, on whatever disk. Run it with `raftLogContract` from a test file. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../src/base/log.ts';
import type { Disk } from '../../src/base/platform.ts';
import { openRaftLog } from '../../src/storage/log/open.ts';
import type { LogEntry, RaftLog, RecoveredGroup } from '../../src/storage/log/types.ts';
import { MemoryProcess } from '../doubles/memory-process.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';

export interface RaftLogEnvironment {
  readonly disk: Disk;
  /** Empty at first; used by one log at a time. */
  readonly directory: string;
  cleanUp(): Promise<void>;
}

const SEGMENT_BYTES = 16 * 1024;

export function raftLogContract(name: string, createEnvironment: () => Promise<RaftLogEnvironment>): void {
  describe(`RaftLog on ${name}`, () => {
    let environment: RaftLogEnvironment;
    let log: RaftLog;

    beforeEach(async () => {
      environment = await createEnvironment();
      log = await open();
    });

    afterEach(async () => {
      await log.close();
      await environment.cleanUp();
    });

    function open(): Promise<RaftLog> {
      return openRaftLog({
        disk: environment.disk,
        directory: environment.directory,
        identity: { clusterId: 'contract', nodeId: 3 },
        process: new MemoryProcess(),
        log: silentLogger,
        random: new SeededRandom(11),
        segmentBytes: SEGMENT_BYTES,
      });
    }

    async function reopen(): Promise<void> {
      await log.close();
      log = await open();
    }

    function flush(): Promise<void> {
      return new Promise((resolve) => log.flush(resolve));
    }

    function group(id: number): RecoveredGroup {
      const found = log.recovered.get(id);
      assert.ok(found, `group ${id} was not recovered`);
      return found;
    }

    function dataOf(id: number): string[] {
      return group(id).entries.map((entry) => `${entry.term}/${entry.index} ${Buffer.from(entry.data).toString()}`);
    }

    it('a new log holds no group', () => {
      assert.equal(log.recovered.size, 0);
      assert.equal(log.hasStaged, false);
      assert.equal(log.isFlushing, false);
    });

    it('what was flushed is found again, group by group', async () => {
      log.stageEntries(1, [entry(1, 1, 'a'), entry(1, 2, 'b')]);
      log.stageHardState(2, { term: 9, vote: 3, commit: 0 });
      log.stageEntries(2, [entry(9, 1, 'c')]);
      await flush();
      await reopen();
      assert.deepEqual([...log.recovered.keys()].sort(), [1, 2]);
      assert.deepEqual(dataOf(1), ['1/1 a', '1/2 b']);
      assert.deepEqual(dataOf(2), ['9/1 c']);
      assert.deepEqual(group(2).hardState, { term: 9, vote: 3, commit: 0 });
      assert.deepEqual(group(1).hardState, { term: 0, vote: 0, commit: 0 });
      assert.deepEqual(group(1).compacted, { index: 0, term: 0 });
      assert.equal(group(1).checkpoint.index, 0);
    });

    it('type and any data of an entry come back: empty, zeros, larger than a segment', async () => {
      const large = Buffer.alloc(3 * SEGMENT_BYTES, 7);
      const staged = [
        { term: 1, index: 1, type: 1, data: new Uint8Array(0) },
        { term: 1, index: 2, type: 0, data: new Uint8Array(5000) },
        { term: 1, index: 3, type: 255, data: large },
      ];
      log.stageEntries(1, staged);
      await flush();
      log.stageEntries(1, [entry(2, 4, 'after')]);
      await flush();
      await reopen();
      const found = group(1).entries;
      assert.equal(found.length, 4);
      for (const [i, { type, data }] of staged.entries()) {
        assert.equal(found[i]?.type, type);
        assert.deepEqual(Buffer.from(found[i].data), Buffer.from(data));
      }
    });

    it('entries replace everything from the first of them on', async () => {
      log.stageEntries(1, [entry(1, 1, 'a'), entry(1, 2, 'b'), entry(1, 3, 'c')]);
      await flush();
      log.stageEntries(1, [entry(2, 2, 'B')]);
      await flush();
      await reopen();
      assert.deepEqual(dataOf(1), ['1/1 a', '2/2 B']);
    });

    it('compaction drops what it names, and the checkpoint stays', async () => {
      log.stageEntries(1, [entry(1, 1, 'a'), entry(1, 2, 'b'), entry(2, 3, 'c')]);
      log.stageCheckpoint(1, { index: 2, term: 1, state: Buffer.from('state') });
      log.stageCompaction(1, { index: 2, term: 1 });
      await flush();
      await reopen();
      assert.deepEqual(dataOf(1), ['2/3 c']);
      assert.deepEqual(group(1).compacted, { index: 2, term: 1 });
      const { index, term, state } = group(1).checkpoint;
      assert.deepEqual([index, term, Buffer.from(state).toString()], [2, 1, 'state']);
    });

    it('a reset leaves the checkpoint and no entry; entries go on after it', async () => {
      log.stageEntries(1, [entry(1, 1, 'a')]);
      log.stageHardState(1, { term: 4, vote: 0, commit: 1 });
      log.stageReset(1, { index: 50, term: 4, state: Buffer.from('snapshot') });
      log.stageEntries(1, [entry(4, 51, 'z')]);
      await flush();
      await reopen();
      assert.deepEqual(dataOf(1), ['4/51 z']);
      assert.deepEqual(group(1).compacted, { index: 50, term: 4 });
      assert.equal(group(1).checkpoint.index, 50);
      assert.deepEqual(group(1).hardState, { term: 4, vote: 0, commit: 1 });
    });

    it('a removed group is gone, and may begin anew', async () => {
      log.stageEntries(1, [entry(1, 1, 'a')]);
      log.stageEntries(2, [entry(1, 1, 'b')]);
      await flush();
      log.stageRemoval(1);
      log.stageRemoval(77);
      await flush();
      await reopen();
      assert.deepEqual([...log.recovered.keys()], [2]);
      log.stageEntries(1, [entry(3, 1, 'new')]);
      await flush();
      await reopen();
      assert.deepEqual(dataOf(1), ['3/1 new']);
    });

    it('knows what is staged and whether a flush is under way', async () => {
      log.stageEntries(1, []);
      assert.equal(log.hasStaged, false);
      log.stageEntries(1, [entry(1, 1, 'a')]);
      assert.equal(log.hasStaged, true);
      const first = flush();
      assert.equal(log.hasStaged, false);
      assert.equal(log.isFlushing, true);
      log.stageEntries(1, [entry(1, 2, 'b')]);
      assert.equal(log.hasStaged, true);
      await first;
      assert.equal(log.isFlushing, false);
      assert.equal(log.hasStaged, true);
      await flush();
      assert.equal(log.hasStaged, false);
    });

    it('done may stage and flush again at once', async () => {
      log.stageEntries(1, [entry(1, 1, 'a')]);
      await new Promise<void>((resolve) => {
        log.flush(() => {
          log.stageEntries(1, [entry(1, 2, 'b')]);
          log.flush(resolve);
        });
      });
      await reopen();
      assert.deepEqual(dataOf(1), ['1/1 a', '1/2 b']);
    });

    it('the data of an entry may be reused as soon as it was flushed', async () => {
      const data = Buffer.from('first');
      log.stageEntries(1, [{ term: 1, index: 1, type: 0, data }]);
      await flush();
      data.fill('x');
      await reopen();
      assert.deepEqual(dataOf(1), ['1/1 first']);
    });

    it('goes on over many segments, frees the old ones, and finds its state after any number of starts', async () => {
      let last = 0;
      log.stageEntries(2, [entry(1, 1, 'stays')]);
      log.stageCheckpoint(2, { index: 1, term: 1, state: Buffer.from('c') });
      log.stageCompaction(2, { index: 1, term: 1 });
      log.stageHardState(2, { term: 1, vote: 2, commit: 1 });
      let sizeMax = 0;
      for (let round = 0; round < 60; round++) {
        const staged: LogEntry[] = [];
        for (let i = 0; i < 3; i++) staged.push(entry(1, ++last, `entry ${last} `.padEnd(700, '.')));
        log.stageEntries(1, staged);
        if (round % 5 === 4) {
          log.stageCheckpoint(1, { index: last - 2, term: 1, state: Buffer.from(`at ${last - 2}`) });
          log.stageCompaction(1, { index: last - 2, term: 1 });
        }
        await flush();
        sizeMax = Math.max(sizeMax, log.sizeBytes);
        if (round % 17 === 16) await reopen();
      }
      assert.ok(sizeMax < 6 * SEGMENT_BYTES, `${sizeMax} bytes`);
      await reopen();
      assert.equal(group(1).compacted.index, last - 2);
      assert.deepEqual(
        group(1).entries.map((found) => found.index),
        [last - 1, last],
      );
      assert.deepEqual(group(2).hardState, { term: 1, vote: 2, commit: 1 });
      assert.equal(Buffer.from(group(2).checkpoint.state).toString(), 'c');
      assert.ok((await environment.disk.list(environment.directory)).length <= 7);
    });

    it('lets go of what it recovered when asked', async () => {
      log.stageEntries(1, [entry(1, 1, 'a')]);
      await flush();
      await reopen();
      assert.equal(log.recovered.size, 1);
      log.releaseRecovered();
      assert.equal(log.recovered.size, 0);
    });

    it('refuses what would contradict itself', async () => {
      log.stageEntries(1, [entry(1, 1, 'a'), entry(1, 2, 'b'), entry(1, 3, 'c')]);
      log.stageHardState(1, { term: 2, vote: 1, commit: 0 });
      log.stageCheckpoint(1, { index: 2, term: 1, state: Buffer.alloc(0) });
      log.stageCompaction(1, { index: 1, term: 1 });
      const refused: (() => void)[] = [
        () => log.stageEntries(1, [entry(2, 5, 'gap')]),
        () => log.stageEntries(1, [entry(2, 4, 'd'), entry(2, 6, 'f')]),
        () => log.stageEntries(1, [entry(2, 1, 'compacted')]),
        () => log.stageEntries(1, [entry(2, 2, 'under the checkpoint')]),
        () => log.stageEntries(9, [entry(1, 2, 'gap in a new group')]),
        () => log.stageHardState(1, { term: 1, vote: 0, commit: 0 }),
        () => log.stageHardState(1, { term: 2, vote: 3, commit: 0 }),
        () => log.stageHardState(1, { term: 2, vote: 0, commit: 0 }),
        () => log.stageCompaction(1, { index: 0, term: 0 }),
        () => log.stageCompaction(1, { index: 3, term: 1 }),
        () => log.stageCheckpoint(1, { index: 1, term: 1, state: Buffer.alloc(0) }),
        () => log.stageCheckpoint(1, { index: 9, term: 1, state: Buffer.alloc(0) }),
      ];
      for (const stage of refused) assert.throws(stage, { name: 'AssertionFailure' }, String(stage));
      const pending = flush();
      assert.throws(() => log.flush(() => undefined), { name: 'AssertionFailure' });
      await pending;
    });
  });
}

function entry(term: number, index: number, data: string): LogEntry {
  return { term, index, type: 0, data: Buffer.from(data) };
}
