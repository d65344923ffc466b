/**
 * The real disk, for the Raft log.
 *
 * `writeAndSync` is one asynchronous `pwrite` on a descriptor opened with O_DSYNC: the kernel returns when data and the metadata
 * needed to read it back are on the disk, as after fdatasync. Measured (ext4, 1 KiB at a time, median; what blocks the event
 * loop in brackets): O_DSYNC write 0.15 ms [20 µs], write then fdatasync through the pool 0.18 ms [18 µs], write on the main
 * thread then fdatasync through the pool 0.17 ms [25 µs], both on the main thread 0.11 ms [115 µs]. For 64 KiB: 0.17 [23],
 * 0.22 [21], 0.18 [31], 0.12 [130].
 *
 * Files are preallocated by writing zeros, so that a later write changes neither size nor block map; in small synced steps, so
 * that the flushes of the segment in use do not queue behind 64 MiB of someone else's dirty pages.
 */
import { constants } from 'node:fs';
import * as fs from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { assert } from '../base/assert.ts';
import type { Disk, WritableFile } from '../base/platform.ts';
import { lockFile } from './file-lock.ts';

const PREALLOCATION_STEP_BYTES = 1024 * 1024;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

export const nodeDisk: Disk = {
  makeDirectory,
  list,
  readFile: (path) => readFile(path),
  writeFileAtomically,
  remove: (path) => rm(path, { force: true }),
  openForWriting,
  syncFile: (path) => syncPath(path, true),
  syncDirectory: (path) => syncPath(path, false),
  lock: (path) => lockFile(path),
};

/** Creates what is missing from the top down; each new directory is durable in its parent before the next. */
async function makeDirectory(path: string): Promise<void> {
  const missing: string[] = [];
  for (let at = resolve(path); !fs.existsSync(at); at = dirname(at)) missing.push(at);
  for (const directory of missing.toReversed()) {
    try {
      await fs.promises.mkdir(directory, { mode: DIRECTORY_MODE });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    await syncPath(dirname(directory), false);
  }
}

async function list(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function writeFileAtomically(path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', FILE_MODE);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncPath(dirname(path), false);
}

async function syncPath(path: string, mayBeAbsent: boolean): Promise<void> {
  let file: fs.promises.FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (mayBeAbsent && codeOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function openForWriting(path: string, sizeBytes: number): Promise<WritableFile> {
  if (!fs.existsSync(path)) await preallocate(path, sizeBytes);
  const handle = await new Promise<number>((resolveOpen, reject) => {
    fs.open(path, constants.O_RDWR | constants.O_DSYNC, (error, fd) =>
      error === null ? resolveOpen(fd) : reject(error),
    );
  });
  return new NodeWritableFile(handle);
}

async function preallocate(path: string, sizeBytes: number): Promise<void> {
  const zeros = new Uint8Array(Math.min(PREALLOCATION_STEP_BYTES, sizeBytes));
  const file = await open(path, 'wx', FILE_MODE);
  try {
    for (let at = 0; at < sizeBytes; at += zeros.length) {
      const step = Math.min(zeros.length, sizeBytes - at);
      await writeWhole(file, zeros.subarray(0, step), at);
      await file.datasync();
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeWhole(file: fs.promises.FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    assert(bytesWritten > 0, 'the disk takes no bytes and reports no error');
    written += bytesWritten;
  }
}

class NodeWritableFile implements WritableFile {
  readonly #fd: number;
  #isWriting = false;
  #isClosed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  writeAndSync(chunk: Uint8Array, position: number, done: (error: Error | null) => void): void {
    assert(!this.#isClosed, 'the file is closed');
    assert(!this.#isWriting, 'a write is under way');
    assert(chunk.length > 0, 'nothing to write');
    this.#isWriting = true;
    this.#write({ chunk, written: 0, position }, done);
  }

  /** A short write is legal; the rest follows with a call of its own. */
  #write(rest: { chunk: Uint8Array; written: number; position: number }, done: (error: Error | null) => void): void {
    const { chunk, written, position } = rest;
    fs.write(this.#fd, chunk, written, chunk.length - written, position + written, (error, count) => {
      if (error === null && count > 0 && written + count < chunk.length) {
        this.#write({ chunk, written: written + count, position }, done);
        return;
      }
      this.#isWriting = false;
      if (error === null && count === 0) done(new Error('the disk takes no bytes and reports no error'));
      else done(error);
    });
  }

  close(): Promise<void> {
    assert(!this.#isWriting, 'a write is under way');
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    return new Promise((resolveClose, reject) => {
      fs.close(this.#fd, (error) => (error ? reject(error) : resolveClose()));
    });
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
