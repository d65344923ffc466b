/** The disk double: the contract of Disk, and that it loses what a real disk may lose, and nothing else. */
import assert from 'node:assert/strict';
import type { WritableFile } from '../../src/base/platform.ts';
import { diskContract } from '../contracts/disk.ts';
import { MemoryDisk } from './memory-disk.ts';
import { SeededRandom } from './seeded-random.ts';
import { StepScheduler } from './stepping.ts';

diskContract('in memory', () =>
  Promise.resolve({ disk: createDisk(1), directory: 'directory', cleanUp: () => Promise.resolve() }),
);

function createDisk(seed: number, scheduler?: StepScheduler): MemoryDisk {
  const random = new SeededRandom(seed);
  return scheduler === undefined
    ? new MemoryDisk({ random })
    : new MemoryDisk({ random, schedule: scheduler.schedule });
}

function write(file: WritableFile, chunk: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    file.writeAndSync(chunk, position, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function fileWithContent(disk: MemoryDisk, sectors: number): Promise<WritableFile> {
  const file = await disk.openForWriting('d/f', sectors * 512);
  await disk.syncDirectory('d');
  await write(file, Buffer.alloc(sectors * 512, 1), 0);
  return file;
}

describe('memory-disk', () => {
  it('a crash keeps everything that was synced', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const disk = createDisk(seed);
      await fileWithContent(disk, 4);
      disk.crash();
      assert.ok(disk.content('d/f').equals(Buffer.alloc(4 * 512, 1)));
    }
  });

  it('a write under way is torn at any subset of its sectors, each old or new', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const disk = createDisk(seed);
      const file = await fileWithContent(disk, 3);
      file.writeAndSync(Buffer.alloc(3 * 512, 2), 0, () => assert.fail('reported after the crash'));
      disk.crash('some');
      const content = disk.content('d/f');
      const sectors = [0, 1, 2].map((sector) => content.subarray(sector * 512, sector * 512 + 512));
      for (const sector of sectors) assert.ok(sector.every((byte) => byte === sector[0]));
      seen.add(sectors.map((sector) => sector[0]).join(''));
      await Promise.resolve();
    }
    assert.deepEqual([...seen].sort(), ['111', '112', '121', '122', '211', '212', '221', '222']);
  });

  it('a name that was not synced may be gone or back after a crash', async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const disk = createDisk(seed);
      await disk.writeFileAtomically('d/old', Buffer.from('old'));
      await disk.openForWriting('d/new', 512);
      await disk.remove('d/old');
      disk.crash('some');
      outcomes.add(disk.names('d').join());
    }
    assert.deepEqual([...outcomes].sort(), ['', 'new', 'new,old', 'old']);
  });

  it('a killed process loses nothing that it had handed over, and may cut the write under way', async () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 100; seed++) {
      const disk = createDisk(seed);
      const file = await fileWithContent(disk, 3);
      file.writeAndSync(Buffer.alloc(3 * 512, 2), 0, () => assert.fail('reported after the kill'));
      disk.kill();
      const content = disk.content('d/f');
      const cut = content.findIndex((byte) => byte === 1);
      lengths.add(cut < 0 ? content.length : cut);
      assert.ok(content.subarray(cut < 0 ? content.length : cut).every((byte) => byte === 1));
      await Promise.resolve();
    }
    assert.deepEqual(
      [...lengths].sort((a, b) => a - b),
      [0, 512, 1024, 1536],
    );
  });

  it('bytes of a failed write stay in the cache, and only writing them again makes them durable', async () => {
    const disk = createDisk(1);
    const file = await fileWithContent(disk, 1);
    disk.failNext({ kind: 'writeAndSync', code: 'EIO' });
    await assert.rejects(write(file, Buffer.alloc(512, 2), 0), { code: 'EIO' });
    assert.equal(disk.content('d/f')[0], 2);
    await disk.syncFile('d/f');
    const lost = disk.clone(new SeededRandom(2));
    lost.crash('none');
    assert.equal(lost.content('d/f')[0], 1);
    await write(file, Buffer.alloc(512, 2), 0);
    disk.crash('none');
    assert.equal(disk.content('d/f')[0], 2);
  });

  it('plans hit the n-th operation of their kind, once', async () => {
    const disk = createDisk(1);
    disk.failNext({ kind: 'writeFileAtomically', after: 1, code: 'ENOSPC' });
    await disk.writeFileAtomically('d/a', Buffer.from('a'));
    await assert.rejects(disk.writeFileAtomically('d/b', Buffer.from('b')), { code: 'ENOSPC' });
    await disk.writeFileAtomically('d/c', Buffer.from('c'));
    assert.deepEqual(await disk.list('d'), ['a', 'c']);
    assert.equal(disk.counts.get('writeFileAtomically'), 3);
  });

  it('an operation that is held completes when it is released, and never after a crash', async () => {
    const scheduler = new StepScheduler();
    const disk = createDisk(1, scheduler);
    const release = disk.holdNext({ kind: 'list' });
    let isListed = false;
    const listed = disk.list('d').then(() => {
      isListed = true;
    });
    await scheduler.drain();
    assert.equal(isListed, false);
    release();
    await listed;
    const releaseNever = disk.holdNext({ kind: 'list' });
    void disk.list('d').then(() => assert.fail('reported after the crash'));
    disk.crash();
    releaseNever();
    await scheduler.drain();
  });

  it('locks are free after a crash', async () => {
    const disk = createDisk(1);
    await disk.lock('d/LOCK');
    disk.kill();
    await disk.lock('d/LOCK');
  });

  it('the same seed gives the same fate', async () => {
    const fates = [1, 2].map(async () => {
      const disk = createDisk(77);
      const file = await fileWithContent(disk, 64);
      file.writeAndSync(Buffer.alloc(64 * 512, 9), 0, () => undefined);
      disk.crash('some');
      return disk.content('d/f').toString('hex');
    });
    assert.equal(await fates[0], await fates[1]);
  });

  it('damage hits what is stored', async () => {
    const disk = createDisk(1);
    await fileWithContent(disk, 2);
    disk.flip('d/f', 3, 0x80);
    disk.zero('d/f', 512, 4096);
    const content = disk.content('d/f');
    assert.equal(content[3], 0x81);
    assert.equal(content.length, 1024);
    assert.ok(content.subarray(512).every((byte) => byte === 0));
    disk.lose('d/f');
    assert.deepEqual(disk.names('d'), []);
  });
});
