/**
 * The stage of a snapshot over a disk in memory that loses its power, or its process, before every single operation: what is
 * found afterwards is the whole snapshot or none, never a part.
 */
import { strict as assert } from 'node:assert';
import { ByteWriter } from '../../src/base/bytes.ts';
import {
  decodeEnd,
  decodeHeader,
  decodeRecords,
  encodeEnd,
  encodeHeader,
  SNAPSHOT_PURPOSES,
  writeRecords,
} from '../../src/cluster/snapshot-format.ts';
import { SnapshotStage } from '../../src/cluster/snapshot-stage.ts';
import { KahunaError } from '../../src/base/errors.ts';
import type { RawRecord } from '../../src/storage/data/types.ts';
import { MemoryDisk } from '../doubles/memory-disk.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { StepScheduler } from '../doubles/stepping.ts';

const PARTS = 3;
const HEADER = encodeHeader({
  purpose: SNAPSHOT_PURPOSES.catchUp,
  historyFloor: 77,
  group: 4,
  message: Buffer.from('message'),
  state: Buffer.from('state'),
  answers: Buffer.from('answers'),
});

function part(number: number): Uint8Array {
  const writer = new ByteWriter(64);
  writeRecords(writer, [{ key: Uint8Array.of(number), sealed: Uint8Array.of(number, number) }]);
  return writer.finishCopy();
}

async function write(stage: SnapshotStage): Promise<void> {
  await stage.begin();
  for (let number = 0; number < PARTS; number++) await stage.addPart(number, part(number));
  await stage.complete(HEADER, { recordCount: PARTS, partCount: PARTS });
}

async function isWhole(stage: SnapshotStage): Promise<boolean> {
  const staged = await stage.open();
  if (staged === undefined) return false;
  assert.deepEqual(staged.end, { recordCount: PARTS, partCount: PARTS });
  assert.equal(Buffer.from(staged.header.answers).toString(), 'answers');
  for (let number = 0; number < PARTS; number++) {
    const records: readonly RawRecord[] = await staged.read(number);
    assert.deepEqual([...(records[0]?.sealed ?? [])], [number, number]);
  }
  return true;
}

/** Runs `work` and stops it after so many steps of the disk; true if it had ended before. */
async function runUntil(scheduler: StepScheduler, work: Promise<void>, steps: number): Promise<boolean> {
  const ended: string[] = [];
  work.then(
    () => ended.push('well'),
    () => undefined,
  );
  for (let step = 0; step < steps && ended.length === 0; step++) await scheduler.step();
  return ended.length > 0;
}

describe('snapshot stage', () => {
  for (const how of ['power', 'process'] as const) {
    it(`holds the whole snapshot or none, wherever the ${how} ends while it is written`, async () => {
      let wholes = 0;
      for (let steps = 0; ; steps++) {
        const scheduler = new StepScheduler();
        const disk = new MemoryDisk({ random: new SeededRandom(steps), schedule: scheduler.schedule });
        const isDone = await runUntil(scheduler, write(new SnapshotStage(disk, '/data', 4)), steps);
        scheduler.clear();
        if (how === 'power') disk.crash();
        else disk.kill();
        const found = await scheduler.until(isWhole(new SnapshotStage(disk, '/data', 4)));
        if (isDone) assert.ok(found, 'what was completed is there');
        if (found) wholes++;
        if (isDone) break;
      }
      assert.ok(wholes >= 1);
    });

    it(`is never half a snapshot, wherever the ${how} ends while it is cleared for the next one`, async () => {
      for (let steps = 0; ; steps++) {
        const scheduler = new StepScheduler();
        const disk = new MemoryDisk({ random: new SeededRandom(steps), schedule: scheduler.schedule });
        const stage = new SnapshotStage(disk, '/data', 4);
        await scheduler.until(write(stage));
        const isDone = await runUntil(scheduler, stage.begin(), steps);
        scheduler.clear();
        if (how === 'power') disk.crash();
        else disk.kill();
        // `open` throws if a part is missing.
        const found = await scheduler.until(isWhole(new SnapshotStage(disk, '/data', 4)));
        if (!isDone) continue;
        assert.equal(found, false);
        break;
      }
    });
  }

  it('does not mix the groups of a node', async () => {
    const scheduler = new StepScheduler();
    const disk = new MemoryDisk({ random: new SeededRandom(1), schedule: scheduler.schedule });
    await scheduler.until(write(new SnapshotStage(disk, '/data', 4)));
    assert.equal(await scheduler.until(isWhole(new SnapshotStage(disk, '/data', 5))), false);
    await scheduler.until(new SnapshotStage(disk, '/data', 5).clear());
    assert.equal(await scheduler.until(isWhole(new SnapshotStage(disk, '/data', 4))), true);
  });

  it('says what is missing if somebody took a part away', async () => {
    const scheduler = new StepScheduler();
    const disk = new MemoryDisk({ random: new SeededRandom(1), schedule: scheduler.schedule });
    await scheduler.until(write(new SnapshotStage(disk, '/data', 4)));
    disk.lose('/data/snapshots/4/part-1');
    await assert.rejects(scheduler.until(new SnapshotStage(disk, '/data', 4).open()), { code: 'SNAPSHOT_DAMAGED' });
  });

  it('is refused whichever bit of it the disk has changed', async () => {
    const scheduler = new StepScheduler();
    const disk = new MemoryDisk({ random: new SeededRandom(1), schedule: scheduler.schedule });
    const stage = new SnapshotStage(disk, '/data', 4);
    await scheduler.until(write(stage));
    for (const path of disk.paths()) {
      for (let at = 0; at < disk.content(path).length; at++) {
        disk.flip(path, at, 1 << (at % 8));
        await assert.rejects(scheduler.until(stage.open()), { code: 'SNAPSHOT_DAMAGED' }, `${path}:${at}`);
        disk.flip(path, at, 1 << (at % 8));
      }
    }
    assert.equal(await scheduler.until(isWhole(stage)), true);
  });
});

describe('messages of a snapshot', () => {
  it('are refused by name wherever they are cut', () => {
    const end = encodeEnd({ recordCount: 5, partCount: 2 });
    assert.deepEqual(decodeEnd(end), { recordCount: 5, partCount: 2 });
    const records = part(7);
    assert.equal(decodeRecords(records).length, 1);
    for (const [bytes, decode] of [
      [HEADER, decodeHeader],
      [end, decodeEnd],
      [records, decodeRecords],
    ] as const) {
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => decode(bytes.slice(0, length)), KahunaError);
      }
    }
  });
});
