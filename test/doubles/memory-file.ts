/**
 * One file of the memory disk: what a reader sees, and for each sector that differs from the disk, what the disk has.
 *
 * Sectors (512 bytes) are the unit that a crash keeps or loses. Memory is taken only for sectors that were ever written:
 * a preallocated segment costs nothing.
 */
import type { SeededRandom } from './seeded-random.ts';

export const SECTOR_BYTES = 512;
const ZERO_SECTOR = new Uint8Array(SECTOR_BYTES);

interface DirtySector {
  /** What the disk has: undefined = zeros. */
  readonly durable: Uint8Array | undefined;
  /** A sync of it has failed: the kernel believes that it is clean, so only writing it again makes it durable. */
  isAbandoned: boolean;
}

export class MemoryFile {
  #size = 0;
  #durableSize = 0;
  readonly #sectors = new Map<number, Uint8Array>();
  readonly #dirty = new Map<number, DirtySector>();

  get size(): number {
    return this.#size;
  }

  /** Sets the size as seen by readers; not durable yet. */
  resize(size: number): void {
    this.#size = size;
  }

  read(): Buffer {
    const content = Buffer.alloc(this.#size);
    for (const [sector, bytes] of this.#sectors) {
      const start = sector * SECTOR_BYTES;
      if (start < this.#size) content.set(bytes.subarray(0, Math.min(SECTOR_BYTES, this.#size - start)), start);
    }
    return content;
  }

  /** Into the page cache: seen at once, durable after a sync. */
  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    for (let at = position; at < end; ) {
      const sector = Math.floor(at / SECTOR_BYTES);
      const from = at - sector * SECTOR_BYTES;
      const count = Math.min(SECTOR_BYTES - from, end - at);
      this.#touch(sector).set(bytes.subarray(at - position, at - position + count), from);
      at += count;
    }
    this.#size = Math.max(this.#size, end);
  }

  /** Makes what a write covered durable. */
  syncRange(position: number, length: number): void {
    const last = Math.floor((position + length - 1) / SECTOR_BYTES);
    for (let sector = Math.floor(position / SECTOR_BYTES); sector <= last; sector++) this.#dirty.delete(sector);
    this.#durableSize = Math.max(this.#durableSize, Math.min(this.#size, position + length));
  }

  /** What fsync does: everything, except sectors whose sync has failed before. */
  syncAll(): void {
    for (const [sector, { isAbandoned }] of this.#dirty) if (!isAbandoned) this.#dirty.delete(sector);
    this.#durableSize = this.#size;
  }

  /** A sync of this range has failed: see `isAbandoned`. */
  abandonRange(position: number, length: number): void {
    const last = Math.floor((position + length - 1) / SECTOR_BYTES);
    for (let sector = Math.floor(position / SECTOR_BYTES); sector <= last; sector++) {
      const dirty = this.#dirty.get(sector);
      if (dirty !== undefined) dirty.isAbandoned = true;
    }
  }

  /** Power fails: each sector that was not synced is as `keeps` says, new or old; growth survives as far as data does. */
  crash(random: SeededRandom, keeps: () => boolean): void {
    let size = this.#durableSize;
    if (this.#size > size) size += random.below(this.#size - size + 1);
    for (const [sector, { durable }] of this.#dirty) {
      if (keeps()) size = Math.max(size, Math.min(this.#size, (sector + 1) * SECTOR_BYTES));
      else if (durable === undefined) this.#sectors.delete(sector);
      else this.#sectors.set(sector, durable);
    }
    this.#dirty.clear();
    this.#size = size;
    this.#durableSize = size;
  }

  /** Takes back the part of a write from `position` on, as if the process had died before handing it over. */
  undo(position: number, previous: Uint8Array, previousSize: number): void {
    this.write(previous, position);
    this.#size = previousSize;
  }

  /** Damage: changes what is there, in the cache and on the disk alike. */
  damage(position: number, bytes: Uint8Array): void {
    this.write(bytes, position);
    this.syncRange(position, bytes.length);
  }

  /** [start, end) as a reader sees it, zeros beyond the end. */
  slice(start: number, end: number): Uint8Array {
    const bytes = new Uint8Array(end - start);
    for (let at = start; at < end; ) {
      const sector = Math.floor(at / SECTOR_BYTES);
      const from = at - sector * SECTOR_BYTES;
      const count = Math.min(SECTOR_BYTES - from, end - at);
      bytes.set((this.#sectors.get(sector) ?? ZERO_SECTOR).subarray(from, from + count), at - start);
      at += count;
    }
    return bytes;
  }

  clone(): MemoryFile {
    const copy = new MemoryFile();
    copy.#size = this.#size;
    copy.#durableSize = this.#durableSize;
    for (const [sector, bytes] of this.#sectors) copy.#sectors.set(sector, bytes.slice());
    for (const [sector, { durable, isAbandoned }] of this.#dirty) copy.#dirty.set(sector, { durable, isAbandoned });
    return copy;
  }

  /** The bytes of a sector, ready to be changed; remembers what the disk has. */
  #touch(sector: number): Uint8Array {
    const present = this.#sectors.get(sector);
    const dirty = this.#dirty.get(sector);
    if (dirty === undefined) this.#dirty.set(sector, { durable: present?.slice(), isAbandoned: false });
    else dirty.isAbandoned = false;
    if (present !== undefined) return present;
    const fresh = new Uint8Array(SECTOR_BYTES);
    this.#sectors.set(sector, fresh);
    return fresh;
  }
}
