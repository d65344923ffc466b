/**
 * A disk of some megabytes for one node: a memory file system, because that can be made without a device. Making one needs
 * root.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, cpSync, ftruncateSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import type { KahunaNode } from '../harness/kahuna.ts';

const PIECE_BYTES = 256 * 1024;

export class SmallDisk {
  readonly nodeName: string;
  readonly #mount: string;
  #isRemoved = false;

  private constructor(nodeName: string, mount: string) {
    this.nodeName = nodeName;
    this.#mount = mount;
  }

  /** Null if this machine does not let us; `why` is told. */
  static make(folder: string, nodeName: string, size: string, why: (text: string) => void): SmallDisk | null {
    const mount = join(folder, `${nodeName}.disk`);
    mkdirSync(mount);
    const made = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'kahuna-chaos', mount], {
      encoding: 'utf8',
    });
    if (made.status !== 0) {
      why(made.error?.message ?? made.stderr.trim());
      return null;
    }
    const disk = new SmallDisk(nodeName, mount);
    // Before the folder around it is removed, however the test ends.
    process.prependOnceListener('exit', () => disk.remove());
    return disk;
  }

  get dataFolder(): string {
    return join(this.#mount, 'data');
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#mount);
    return bavail * bsize;
  }

  isOf(node: KahunaNode): boolean {
    return node.name === this.nodeName;
  }

  /** Takes every free byte. @returns how many */
  fill(): number {
    const before = this.freeBytes;
    const file = openSync(this.#ballast, 'a');
    try {
      for (let size = PIECE_BYTES; size >= 512; ) {
        const written = tryWrite(file, size);
        if (written < size) size >>= 1;
      }
    } finally {
      closeSync(file);
    }
    return before - this.freeBytes;
  }

  free(): void {
    const file = openSync(this.#ballast, 'a');
    ftruncateSync(file, 0);
    closeSync(file);
    rmSync(this.#ballast);
  }

  /** Copies what it holds to a folder that stays. */
  keep(folder: string): void {
    cpSync(this.dataFolder, folder, { recursive: true });
  }

  /** The files are gone with it. */
  remove(): void {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    spawnSync('umount', ['-l', this.#mount]);
  }

  get #ballast(): string {
    return join(this.#mount, 'ballast');
  }
}

function tryWrite(file: number, size: number): number {
  try {
    return writeSync(file, Buffer.alloc(size));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return 0;
    throw error;
  }
}
