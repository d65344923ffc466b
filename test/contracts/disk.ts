/** What every disk promises. Run it with `diskContract` from a test file. */
import assert from 'node:assert/strict';
import type { Disk, WritableFile } from '../../src/base/platform.ts';

export interface DiskEnvironment {
  readonly disk: Disk;
  /** Exists and is empty. */
  readonly directory: string;
  cleanUp(): Promise<void>;
}

export function diskContract(name: string, createEnvironment: () => Promise<DiskEnvironment>): void {
  describe(`Disk: ${name}`, () => {
    let environment: DiskEnvironment;
    let disk: Disk;
    let directory: string;

    beforeEach(async () => {
      environment = await createEnvironment();
      ({ disk, directory } = environment);
    });
    afterEach(() => environment.cleanUp());

    function write(file: WritableFile, chunk: Uint8Array, position: number): Promise<void> {
      return new Promise((resolve, reject) => {
        file.writeAndSync(chunk, position, (error) => (error === null ? resolve() : reject(error)));
      });
    }

    it('a directory that is absent lists nothing, and one may be made twice', async () => {
      const path = `${directory}/a/b/c`;
      assert.deepEqual(await disk.list(path), []);
      await disk.makeDirectory(path);
      await disk.makeDirectory(path);
      assert.deepEqual(await disk.list(path), []);
      await disk.syncDirectory(path);
    });

    it('lists names in order, without the directory', async () => {
      for (const file of ['b', 'c', 'a']) await disk.writeFileAtomically(`${directory}/${file}`, Buffer.from(file));
      assert.deepEqual(await disk.list(directory), ['a', 'b', 'c']);
    });

    it('a file that is written atomically replaces the one before', async () => {
      const path = `${directory}/file`;
      await disk.writeFileAtomically(path, Buffer.from('a long first content'));
      await disk.writeFileAtomically(path, Buffer.from('second'));
      assert.equal((await disk.readFile(path)).toString(), 'second');
      assert.deepEqual(await disk.list(directory), ['file']);
    });

    it('reading what is not there fails with ENOENT', async () => {
      await assert.rejects(disk.readFile(`${directory}/none`), { code: 'ENOENT' });
    });

    it('removing takes a file away, and one that is not there is no error', async () => {
      const path = `${directory}/file`;
      await disk.writeFileAtomically(path, Buffer.from('x'));
      await disk.remove(path);
      await disk.remove(path);
      assert.deepEqual(await disk.list(directory), []);
      await disk.syncFile(path);
    });

    it('a file that is opened for writing has its size and zeros', async () => {
      const file = await disk.openForWriting(`${directory}/file`, 3_000_001);
      const content = await disk.readFile(`${directory}/file`);
      assert.equal(content.length, 3_000_001);
      assert.ok(content.every((byte) => byte === 0));
      await file.close();
    });

    it('writes land where they belong, inside and beyond the size, and nothing else changes', async () => {
      const path = `${directory}/file`;
      const file = await disk.openForWriting(path, 2000);
      await write(file, Buffer.from('abc'), 510);
      await write(file, Buffer.alloc(3000, 7), 1500);
      await write(file, Buffer.from('Z'), 0);
      await file.close();
      const expected = Buffer.alloc(4500);
      expected.write('abc', 510);
      expected.fill(7, 1500);
      expected.write('Z', 0);
      assert.ok((await disk.readFile(path)).equals(expected));
    });

    it('opening again keeps what is there, whatever size is asked for', async () => {
      const path = `${directory}/file`;
      const first = await disk.openForWriting(path, 1024);
      await write(first, Buffer.from('kept'), 100);
      await first.close();
      const second = await disk.openForWriting(path, 9999);
      await write(second, Buffer.from('more'), 200);
      await second.close();
      const content = await disk.readFile(path);
      assert.equal(content.length, 1024);
      assert.equal(content.toString('latin1', 100, 104), 'kept');
      assert.equal(content.toString('latin1', 200, 204), 'more');
    });

    it('a write reports later, never within the call', async () => {
      const file = await disk.openForWriting(`${directory}/file`, 512);
      let isReturned = false;
      await new Promise<void>((resolve) => {
        file.writeAndSync(Buffer.from('x'), 0, () => {
          assert.equal(isReturned, true);
          resolve();
        });
        isReturned = true;
      });
      await file.close();
    });

    it('a lock has one holder at a time', async () => {
      const path = `${directory}/LOCK`;
      const lock = await disk.lock(path);
      await assert.rejects(disk.lock(path));
      await lock.release();
      const again = await disk.lock(path);
      await again.release();
    });
  });
}
