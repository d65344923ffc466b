/** The contract of Disk on the real one, and its lock against processes that really die. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { nodeDisk } from '../../src/node/platform-disk.ts';
import { diskContract } from '../contracts/disk.ts';

async function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'kahuna-disk-'));
}

diskContract('the real one', async () => {
  const directory = await temporaryDirectory();
  return { disk: nodeDisk, directory, cleanUp: () => rm(directory, { recursive: true, force: true }) };
});

/** Process ids that are used again are told apart only where the system says when a process started. */
const knowsStartTimes = existsSync('/proc/self/stat');

describe('platform-disk', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await temporaryDirectory();
    path = join(directory, 'LOCK');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('directories are private', async () => {
    await nodeDisk.makeDirectory(join(directory, 'a', 'b'));
    for (const made of ['a', 'a/b']) assert.equal((await stat(join(directory, made))).mode & 0o777, 0o700);
  });

  it('a lock of a live process is refused by name, and free once that process is killed', async () => {
    const module = new URL('../../src/node/platform-disk.ts', import.meta.url).href;
    const script = `
      const { nodeDisk } = await import(${JSON.stringify(module)});
      await nodeDisk.lock(${JSON.stringify(path)});
      console.log('locked');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      await assert.rejects(nodeDisk.lock(path), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'LOCKED');
        assert.match(error.message, new RegExp(`is held by process ${String(child.pid)} on `));
        return true;
      });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const lock = await nodeDisk.lock(path);
    assert.deepEqual(await readdir(directory), ['LOCK']);
    await lock.release();
    assert.deepEqual(await readdir(directory), []);
  });

  it('a lock of another boot, of a process that reused the id, or with a broken file is free', async function () {
    if (!knowsStartTimes) return this.skip();
    const own = await nodeDisk.lock(path);
    const holder: unknown = JSON.parse(await readFile(path, 'utf8'));
    assert.ok(typeof holder === 'object' && holder !== null);
    await own.release();
    const stale = [
      { ...holder, bootId: 'another boot' },
      { ...holder, startTime: '1' },
      { ...holder, pid: 4_000_000 },
      {},
      null,
    ];
    for (const content of [...stale.map((value) => JSON.stringify(value)), '', '{"pid":']) {
      await writeFile(path, content);
      const lock = await nodeDisk.lock(path);
      await lock.release();
    }
  });

  it('of many that want a dead holder’s lock at once, exactly one gets it', async () => {
    await writeFile(path, '');
    const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => nodeDisk.lock(path)));
    assert.equal(attempts.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.deepEqual(await readdir(directory), ['LOCK']);
  });

  it('a takeover that was cut off is refused with advice', async () => {
    await writeFile(path, '');
    await writeFile(`${path}.takeover`, '');
    await assert.rejects(nodeDisk.lock(path), { code: 'LOCKED', message: /remove .*LOCK\.takeover/ });
  });

  it('releasing a lock that another took over leaves it alone', async () => {
    const lock = await nodeDisk.lock(path);
    await writeFile(path, 'of another');
    await lock.release();
    assert.equal(await readFile(path, 'utf8'), 'of another');
  });

  it('an error of the disk comes back through the callback', async function () {
    if (!existsSync('/dev/full')) return this.skip();
    const file = await nodeDisk.openForWriting('/dev/full', 0);
    const error = await new Promise<Error | null>((resolve) => file.writeAndSync(Buffer.from('x'), 0, resolve));
    await file.close();
    assert.ok(error !== null && 'code' in error);
    assert.equal(error.code, 'ENOSPC');
  });
});
