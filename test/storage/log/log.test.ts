/** Rules of the log that need a disk that fails, waits or holds something unexpected. */
import assert from 'node:assert/strict';
import { crc32 } from '../../../src/base/checksum.ts';
import { MemoryDisk } from '../../doubles/memory-disk.ts';
import { ProcessEnded } from '../../doubles/memory-process.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { StepScheduler } from '../../doubles/stepping.ts';
import { checkpoint, entries, flush, MemoryLogger, openLog } from './environment.ts';

const FIRST = 'log/segment-000000000001.log';

function memoryDisk(): MemoryDisk {
  return new MemoryDisk({ random: new SeededRandom(5) });
}

async function reasonOf(opening: Promise<unknown>): Promise<{ reason: string; message: string }> {
  try {
    await opening;
  } catch (error) {
    if (error instanceof ProcessEnded) return { reason: error.reason, message: error.message };
    throw error;
  }
  return { reason: 'opened', message: '' };
}

describe('log: failures', () => {
  for (const code of ['EIO', 'ENOSPC'] as const) {
    it(`a flush that fails with ${code} ends the process and is never acknowledged`, async () => {
      const scheduler = new StepScheduler();
      const disk = new MemoryDisk({ random: new SeededRandom(5), schedule: scheduler.schedule });
      const { log, process } = await scheduler.until(openLog(disk));
      log.stageEntries(1, entries(1, 1));
      let acknowledged = false;
      disk.failNext({ kind: 'writeAndSync', code });
      log.flush(() => {
        acknowledged = true;
      });
      // The real process is gone here; the simulated one throws through the disk's callback.
      await assert.rejects(scheduler.step(), ProcessEnded);
      assert.equal(process.ended?.reason, 'logWrite');
      assert.match(process.ended.message, /^flush 2 failed at segment-000000000001\.log:1024; its outcome is unknown/);
      assert.equal(acknowledged, false);
      assert.throws(() => log.stageEntries(1, entries(2, 2)), { name: 'AssertionFailure' });
      assert.throws(() => log.flush(() => undefined), { name: 'AssertionFailure' });
      await scheduler.until(log.close());
      assert.equal(acknowledged, false);
    });
  }

  it('what a failed sync left in the page cache is made durable before it counts', async () => {
    const scheduler = new StepScheduler();
    const disk = new MemoryDisk({ random: new SeededRandom(5), schedule: scheduler.schedule });
    const { log } = await scheduler.until(openLog(disk));
    log.stageHardState(1, { term: 5, vote: 2, commit: 0 });
    disk.failNext({ kind: 'writeAndSync', code: 'EIO' });
    log.flush(() => assert.fail('acknowledged'));
    await assert.rejects(scheduler.step(), ProcessEnded);
    disk.kill();

    // The next process sees the flush in the cache, which believes it to be clean.
    const second = await scheduler.until(openLog(disk));
    assert.equal(second.log.recovered.get(1)?.hardState.vote, 2);
    disk.crash('none');
    const third = await scheduler.until(openLog(disk));
    assert.equal(third.log.recovered.get(1)?.hardState.vote, 2);
  });

  it('a disk that is full when the next segment is prepared ends the process', async () => {
    const scheduler = new StepScheduler();
    const disk = new MemoryDisk({ random: new SeededRandom(5), schedule: scheduler.schedule });
    const { log, process } = await scheduler.until(openLog(disk));
    disk.failNext({ kind: 'openForWriting', code: 'ENOSPC' });
    log.stageEntries(1, entries(1, 1, { bytes: 2000 }));
    await scheduler.until(flush(log));
    await scheduler.drain();
    assert.equal(process.ended?.reason, 'logWrite');
    assert.match(process.ended.message, /cannot prepare segment-000000000002\.log/);
  });

  it('a failure while a log is created or repaired ends the process, and the next start goes on', async () => {
    for (const kind of [
      'openForWriting',
      'writeAndSync',
      'syncDirectory',
      'writeFileAtomically',
      'makeDirectory',
    ] as const) {
      const disk = memoryDisk();
      disk.failNext({ kind, code: 'ENOSPC' });
      const { reason, message } = await reasonOf(openLog(disk));
      assert.equal(reason, 'logWrite', kind);
      assert.match(message, /cannot write the log in log: ENOSPC/);
      disk.kill();
      const { log } = await openLog(disk);
      log.stageEntries(1, entries(1, 1));
      await flush(log);
      disk.failNext({ kind: 'writeAndSync', code: 'EIO' });
      assert.equal((await reasonOf(openLog(disk))).reason, 'logWrite');
      disk.kill();
      assert.equal((await openLog(disk)).log.recovered.get(1)?.entries.length, 1);
    }
  });

  it('a segment that cannot be read is damage; a directory that may not be read is not', async () => {
    const disk = memoryDisk();
    await (await openLog(disk)).log.close();
    disk.failNext({ kind: 'readFile', code: 'EIO', after: 1 });
    const { reason, message } = await reasonOf(openLog(disk));
    assert.equal(reason, 'logDamaged');
    assert.match(message, /segment-000000000001\.log:0: the file cannot be read \(EIO\)/);
    disk.failNext({ kind: 'list', code: 'EIO' });
    await assert.rejects(openLog(disk), { code: 'LOG_OPEN' });
  });

  it('segments that cannot be removed are tried again later', async () => {
    const disk = memoryDisk();
    const logger = new MemoryLogger();
    const { log } = await openLog(disk, { log: logger });
    disk.failNext({ kind: 'remove', code: 'EIO' });
    for (let index = 1; index <= 60; index++) {
      log.stageEntries(1, entries(index, index, { bytes: 800 }));
      log.stageCheckpoint(1, checkpoint(index));
      log.stageCompaction(1, { index, term: 1 });
      await flush(log);
    }
    assert.deepEqual(
      logger.warnings.map((warning) => warning.event),
      ['a file of the log could not be removed'],
    );
    assert.ok(disk.names('log').length <= 4, disk.names('log').join());
  });
});

describe('log: whose it is', () => {
  it('a directory of another node or cluster is refused, and left as it was', async () => {
    const disk = memoryDisk();
    const { log } = await openLog(disk);
    log.stageEntries(1, entries(1, 1));
    await flush(log);
    const before = disk.content(FIRST);
    for (const identity of [
      { clusterId: 'cluster-a', nodeId: 2 },
      { clusterId: 'cluster-b', nodeId: 1 },
    ]) {
      const { reason, message } = await reasonOf(openLog(disk, { identity }));
      assert.equal(reason, 'wrongDirectory');
      assert.match(message, /^log belongs to node 1 of cluster cluster-a, not to node/);
    }
    assert.ok(disk.content(FIRST).equals(before));
  });

  it('a segment of another log of the same node is refused', async () => {
    const disk = memoryDisk();
    await openLog(disk);
    const other = memoryDisk();
    await openLog(other, { random: new SeededRandom(99) });
    disk.put(FIRST, other.content(FIRST));
    const { reason, message } = await reasonOf(openLog(disk));
    assert.equal(reason, 'wrongDirectory');
    assert.match(message, /segment-000000000001\.log belongs to another log of this node/);
  });

  it('a newer format is refused by name, in the identity and in a segment', async () => {
    for (const path of ['log/identity', FIRST]) {
      const disk = memoryDisk();
      await openLog(disk);
      const content = disk.content(path);
      content.writeUInt32LE(2, 12);
      content.writeUInt32LE(crc32(content.subarray(12, 512)), 8);
      disk.put(path, content);
      const { reason, message } = await reasonOf(openLog(disk));
      assert.equal(reason, 'wrongDirectory');
      assert.match(message, /^log has log format 2; this program reads up to 1: start a newer one$/);
    }
  });

  it('files that are not ours are left alone and named in a warning', async () => {
    const disk = memoryDisk();
    const names = ['notes.txt', 'segment-1.log', 'segment-000000000000.log', 'identity.tmp'];
    for (const name of names) disk.put(`log/${name}`, Buffer.from('x'));
    const logger = new MemoryLogger();
    const { log } = await openLog(disk, { log: logger });
    await log.close();
    assert.deepEqual(logger.warnings[0]?.event, 'the directory of the log holds files of something else');
    for (const name of names) assert.equal(disk.content(`log/${name}`).toString(), 'x');
  });

  it('a log whose identity file is gone is refused as soon as it held anything', async () => {
    const disk = memoryDisk();
    const { log } = await openLog(disk);
    const identity = disk.content('log/identity');
    disk.lose('log/identity');
    assert.equal((await reasonOf(openLog(disk.clone(new SeededRandom(1))))).reason, 'opened');
    disk.put('log/identity', identity);
    log.stageEntries(1, entries(1, 1));
    await flush(log);
    disk.lose('log/identity');
    assert.equal((await reasonOf(openLog(disk))).reason, 'logDamaged');
    disk.zero(FIRST, 0, 512);
    assert.equal((await reasonOf(openLog(disk))).reason, 'logDamaged');
  });
});

describe('log: segments', () => {
  it('a flush waits for its segment, and what is staged meanwhile still asks for a flush of its own', async () => {
    const disk = memoryDisk();
    const release = disk.holdNext({ kind: 'openForWriting', after: 1 });
    const { log } = await openLog(disk);
    log.stageEntries(1, entries(1, 1, { bytes: 6000 }));
    await flush(log);
    log.stageEntries(1, entries(2, 2, { bytes: 6000 }));
    let isDone = false;
    const second = flush(log).then(() => {
      isDone = true;
    });
    log.stageEntries(1, entries(3, 3));
    assert.equal(log.hasStaged, true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isDone, false);
    assert.equal(log.isFlushing, true);
    release();
    await second;
    assert.equal(log.hasStaged, true);
    await flush(log);
    assert.equal(log.hasStaged, false);
    const reopened = await openLog(disk);
    assert.equal(reopened.log.recovered.get(1)?.entries.length, 3);
  });

  it('one flush is one write, whatever the number of groups', async () => {
    const disk = memoryDisk();
    const { log } = await openLog(disk, { segmentBytes: 1024 * 1024 });
    const before = disk.counts.get('writeAndSync') ?? 0;
    for (let group = 0; group < 200; group++) log.stageEntries(group, entries(1, 3));
    await flush(log);
    assert.equal(disk.counts.get('writeAndSync'), before + 1);
  });

  it('a group that lags behind keeps its segments, and only as long as it needs them', async () => {
    const disk = memoryDisk();
    const { log } = await openLog(disk);
    log.stageEntries(1, entries(1, 2, { bytes: 100 }));
    for (let index = 1; index <= 40; index++) {
      log.stageEntries(2, entries(index, index, { bytes: 900 }));
      log.stageCheckpoint(2, checkpoint(index));
      log.stageCompaction(2, { index, term: 1 });
      await flush(log);
    }
    const { length } = disk.names('log');
    assert.ok(length > 4);
    assert.ok(disk.names('log').includes('segment-000000000001.log'));
    log.stageEntries(1, entries(1, 2, { term: 2 }));
    await flush(log);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(!disk.names('log').includes('segment-000000000001.log'), 'overwritten entries need no segment');
    assert.ok(disk.names('log').length <= 4);
    const reopened = await openLog(disk);
    assert.deepEqual(
      reopened.log.recovered.get(1)?.entries.map((entry) => entry.term),
      [2, 2],
    );
    assert.equal(reopened.log.recovered.get(2)?.compacted.index, 40);
  });

  it('states of groups that are larger than a segment do not begin a new one with every flush', async () => {
    const disk = memoryDisk();
    const { log } = await openLog(disk, { segmentBytes: 16 * 1024 });
    log.stageEntries(1, entries(1, 1));
    log.stageCheckpoint(1, { index: 1, term: 1, state: Buffer.alloc(100_000, 1) });
    for (let index = 2; index <= 81; index++) {
      log.stageEntries(1, entries(index, index, { bytes: 100 }));
      await flush(log);
    }
    assert.ok(disk.names('log').length < 30, `${disk.names('log').length} files`);
    const reopened = await openLog(disk, { segmentBytes: 16 * 1024 });
    assert.equal(reopened.log.recovered.get(1)?.checkpoint.state.length, 100_000);
    assert.equal(reopened.log.recovered.get(1)?.entries.length, 81);
  });

  it('the size of segments may change from start to start', async () => {
    const disk = memoryDisk();
    let index = 0;
    for (const segmentBytes of [4096, 64 * 1024, 8192, 4096]) {
      const { log } = await openLog(disk, { segmentBytes });
      assert.equal(log.recovered.get(1)?.entries.length ?? 0, index);
      for (let i = 0; i < 8; i++) {
        index++;
        log.stageEntries(1, entries(index, index, { bytes: 700 }));
        await flush(log);
      }
      await log.close();
    }
    const { log } = await openLog(disk);
    assert.equal(log.recovered.get(1)?.entries.length, index);
  });

  it('closing while a flush is under way waits for it, and leaves nothing open', async () => {
    const disk = memoryDisk();
    const { log } = await openLog(disk);
    log.stageEntries(1, entries(1, 1));
    let isDone = false;
    log.flush(() => {
      isDone = true;
    });
    await Promise.all([log.close(), log.close()]);
    assert.equal(isDone, true);
    assert.equal(disk.counts.get('close'), 1);
    assert.throws(() => log.stageEntries(1, entries(2, 2)), { name: 'AssertionFailure' });
  });
});
