/**
 * A disk in memory that behaves as badly as real ones may.
 *
 * What is written lies in a page cache until it is synced. `crash` is a power failure: of everything unsynced, each
 * sector and each directory entry survives or not, so a write under way is torn at any subset of its sectors. `kill` is
 * the end of the process only: the cache survives, a write under way may be cut. After either, nothing that was under way
 * reports, handles that were open do nothing, locks are free, and the same object is the disk of the next start.
 *
 * Faults: `failNext` and `holdNext` hit the n-th operation of a kind; `isFull` refuses what takes new space; `flip`, `zero`
 * and `lose` damage what is stored.
 * Everything is decided by the seed and by the order of the calls; `schedule` decides when an operation completes.
 */
import type { Disk, WritableFile } from '../../src/base/platform.ts';
import { MemoryFile, SECTOR_BYTES } from './memory-file.ts';
import type { SeededRandom } from './seeded-random.ts';

export type DiskOperation =
  | 'makeDirectory'
  | 'list'
  | 'readFile'
  | 'writeFileAtomically'
  | 'remove'
  | 'openForWriting'
  | 'syncFile'
  | 'syncDirectory'
  | 'lock'
  | 'writeAndSync'
  | 'close';

const TAKES_SPACE: ReadonlySet<DiskOperation> = new Set(['writeFileAtomically', 'openForWriting', 'makeDirectory']);

export interface MemoryDiskOptions {
  readonly random: SeededRandom;
  /** Runs `complete` later, never within the call. By default as a microtask. */
  readonly schedule?: (
    complete: () => void,
    operation: { readonly kind: DiskOperation; readonly path: string },
  ) => void;
}

/** How much of what is unsynced a power failure leaves; drawn from the seed if not given. */
export type CrashMode = 'none' | 'all' | 'some';

export interface PlannedFault {
  readonly kind: DiskOperation;
  /** Operations of that kind that still go well; 0 hits the next one. */
  readonly after?: number;
}

interface Plan {
  readonly kind: DiskOperation;
  after: number;
  readonly code: 'EIO' | 'ENOSPC' | null;
  readonly held: (() => void)[];
  isReleased: boolean;
}

/** An operation that has begun and not reported: how a power failure or a kill leaves it. */
interface Pending {
  readonly onCrash?: () => void;
  readonly onKill?: () => void;
}

export class MemoryDisk implements Disk {
  readonly #random: SeededRandom;
  readonly #schedule: NonNullable<MemoryDiskOptions['schedule']>;
  readonly #files = new Map<string, MemoryFile>();
  /** Directory entries that were changed and not synced: what the disk has under that name. */
  readonly #unsyncedNames = new Map<string, MemoryFile | null>();
  readonly #locks = new Set<string>();
  #plans: Plan[] = [];
  #pending = new Set<Pending>();
  /** Counts crashes and kills; what began before the last one is dead. */
  #life = 0;
  /** Operations begun, by kind: evidence for tests. */
  readonly counts = new Map<DiskOperation, number>();
  /** Nothing is free: files cannot be made. What is preallocated can be written. */
  isFull = false;
  /** Planned failures, and refusals for want of space, that struck. */
  failureCount = 0;
  /** Operations that `holdNext` has held. */
  heldCount = 0;
  #heldNow = 0;

  constructor(options: MemoryDiskOptions) {
    this.#random = options.random;
    this.#schedule = options.schedule ?? ((complete) => queueMicrotask(complete));
  }

  // -------------------------------------------------------------------------------------------------------------
  // Disk

  makeDirectory(path: string): Promise<void> {
    return this.#operate('makeDirectory', path, {}, () => undefined);
  }

  list(path: string): Promise<string[]> {
    return this.#operate('list', path, {}, () => this.names(path));
  }

  readFile(path: string): Promise<Buffer> {
    return this.#operate('readFile', path, {}, () => this.content(path));
  }

  writeFileAtomically(path: string, content: Uint8Array): Promise<void> {
    const copy = content.slice();
    const take = (): void => this.put(path, copy);
    const maybeTake = (): void => {
      if (this.#random.chance(0.5)) take();
    };
    return this.#operate('writeFileAtomically', path, { onCrash: maybeTake, onKill: maybeTake }, take);
  }

  remove(path: string): Promise<void> {
    return this.#operate('remove', path, {}, () => {
      this.#rename(path);
      this.#files.delete(path);
    });
  }

  openForWriting(path: string, sizeBytes: number): Promise<WritableFile> {
    let file = this.#files.get(path);
    const isNew = file === undefined;
    if (file === undefined) {
      this.#rename(path);
      file = new MemoryFile();
      file.resize(sizeBytes);
      this.#files.set(path, file);
    }
    const opened = file;
    const cut = (): void => {
      if (isNew) opened.resize(this.#random.below(sizeBytes + 1));
    };
    return this.#operate('openForWriting', path, { onCrash: cut, onKill: cut }, () => {
      if (isNew) opened.syncAll();
      return this.#handle(path, opened);
    });
  }

  syncFile(path: string): Promise<void> {
    return this.#operate('syncFile', path, {}, () => this.#files.get(path)?.syncAll());
  }

  syncDirectory(path: string): Promise<void> {
    return this.#operate('syncDirectory', path, {}, () => {
      for (const name of this.#unsyncedNames.keys()) if (directoryOf(name) === path) this.#unsyncedNames.delete(name);
    });
  }

  lock(path: string): Promise<{ release(): Promise<void> }> {
    return this.#operate('lock', path, {}, () => {
      if (this.#locks.has(path)) throw systemError('EEXIST', 'lock', path);
      this.#locks.add(path);
      return {
        release: () => {
          this.#locks.delete(path);
          return Promise.resolve();
        },
      };
    });
  }

  // -------------------------------------------------------------------------------------------------------------
  // Faults

  /** Power fails. */
  crash(mode: CrashMode = this.#random.pick(['none', 'all', 'some', 'some'])): void {
    const odds = mode === 'none' ? 0 : mode === 'all' ? 1 : this.#random.pick([0.1, 0.5, 0.9]);
    const keeps = (): boolean => this.#random.chance(odds);
    this.#end((pending) => pending.onCrash?.());
    const files = new Set([...this.#files.values(), ...this.#unsyncedNames.values()]);
    for (const [path, durable] of this.#unsyncedNames) {
      if (keeps()) continue;
      if (durable === null) this.#files.delete(path);
      else this.#files.set(path, durable);
    }
    this.#unsyncedNames.clear();
    for (const file of files) file?.crash(this.#random, keeps);
  }

  /** The process ends; the machine and its page cache live on. */
  kill(): void {
    this.#end((pending) => pending.onKill?.());
  }

  /** The operation that the plan hits fails. A failed write leaves its bytes in the cache, and no later sync brings them out. */
  failNext(fault: PlannedFault & { readonly code: 'EIO' | 'ENOSPC' }): void {
    this.#plans.push({ kind: fault.kind, after: fault.after ?? 0, code: fault.code, held: [], isReleased: false });
  }

  /** Failures that were planned and have not struck never will. */
  forgetFailures(): void {
    this.#plans = this.#plans.filter(({ code }) => code === null);
  }

  /** The operation that the plan hits, and no other, does not complete until the returned function is called. */
  holdNext(fault: PlannedFault): () => void {
    const plan: Plan = { kind: fault.kind, after: fault.after ?? 0, code: null, held: [], isReleased: false };
    this.#plans.push(plan);
    return () => {
      plan.isReleased = true;
      this.#heldNow -= plan.held.length;
      for (const complete of plan.held.splice(0)) complete();
    };
  }

  /** What was begun, and perhaps has failed, is not told yet. */
  get isHolding(): boolean {
    return this.#heldNow > 0;
  }

  flip(path: string, position: number, mask = 1): void {
    const file = this.#must(path);
    const byte = file.slice(position, position + 1)[0] ?? 0;
    file.damage(position, Uint8Array.of(byte ^ mask));
  }

  zero(path: string, position: number, length = 4096): void {
    const file = this.#must(path);
    file.damage(position, new Uint8Array(Math.max(0, Math.min(length, file.size - position))));
  }

  lose(path: string): void {
    this.#files.delete(path);
    this.#unsyncedNames.delete(path);
  }

  // -------------------------------------------------------------------------------------------------------------
  // What tests look at

  names(directory: string): string[] {
    const names = [...this.#files.keys()].filter((path) => directoryOf(path) === directory);
    return names.map((path) => path.slice(directory.length + 1)).sort();
  }

  content(path: string): Buffer {
    return this.#must(path).read();
  }

  /** All files, sorted. */
  paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** Sets a whole file, durably. */
  put(path: string, content: Uint8Array): void {
    const file = new MemoryFile();
    file.write(content, 0);
    file.syncAll();
    this.#files.set(path, file);
    this.#unsyncedNames.delete(path);
  }

  /** A disk with the same content and its own fate, as after a shutdown. */
  clone(random: SeededRandom): MemoryDisk {
    const copy = new MemoryDisk({ random, schedule: this.#schedule });
    const copies = new Map<MemoryFile, MemoryFile>();
    const copyOf = (file: MemoryFile): MemoryFile => {
      const known = copies.get(file) ?? file.clone();
      copies.set(file, known);
      return known;
    };
    for (const [path, file] of this.#files) copy.#files.set(path, copyOf(file));
    for (const [path, file] of this.#unsyncedNames) copy.#unsyncedNames.set(path, file === null ? null : copyOf(file));
    return copy;
  }

  // -------------------------------------------------------------------------------------------------------------

  #handle(path: string, file: MemoryFile): WritableFile {
    let isWriting = false;
    let isClosed = false;
    return {
      writeAndSync: (chunk, position, done) => {
        if (isClosed) throw new Error(`write to ${path}, which is closed`);
        if (isWriting) throw new Error(`two writes at once to ${path}`);
        isWriting = true;
        const previous = file.slice(position, position + chunk.length);
        const previousSize = file.size;
        file.write(chunk, position);
        const pending: Pending = {
          onKill: () => {
            const kept = this.#random.below(Math.ceil(chunk.length / SECTOR_BYTES) + 1) * SECTOR_BYTES;
            if (kept < chunk.length)
              file.undo(position + kept, previous.subarray(kept), Math.max(previousSize, position + kept));
          },
        };
        this.#begin('writeAndSync', path, pending, (error) => {
          isWriting = false;
          if (error === null) file.syncRange(position, chunk.length);
          else file.abandonRange(position, chunk.length);
          done(error);
        });
      },
      close: () => {
        isClosed = true;
        return this.#operate('close', path, {}, () => undefined);
      },
    };
  }

  #operate<T>(kind: DiskOperation, path: string, pending: Pending, complete: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#begin(kind, path, pending, (error) => {
        if (error !== null) {
          reject(error);
          return;
        }
        try {
          resolve(complete());
        } catch (failure) {
          reject(failure);
        }
      });
    });
  }

  #begin(kind: DiskOperation, path: string, pending: Pending, report: (error: Error | null) => void): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    const plan = this.#planFor(kind);
    const isRefused = this.isFull && TAKES_SPACE.has(kind);
    const life = this.#life;
    this.#pending.add(pending);
    const complete = (): void => {
      if (life !== this.#life) return;
      if (plan !== null && plan.code === null && !plan.isReleased) {
        plan.held.push(complete);
        this.heldCount++;
        this.#heldNow++;
        return;
      }
      this.#pending.delete(pending);
      const code = plan?.code ?? (isRefused ? 'ENOSPC' : null);
      if (code !== null) this.failureCount++;
      report(code === null ? null : systemError(code, kind, path));
    };
    this.#schedule(complete, { kind, path });
  }

  #planFor(kind: DiskOperation): Plan | null {
    for (const plan of this.#plans) {
      if (plan.kind !== kind) continue;
      if (plan.after > 0) {
        plan.after--;
        continue;
      }
      this.#plans = this.#plans.filter((other) => other !== plan);
      return plan;
    }
    return null;
  }

  #end(settle: (pending: Pending) => void): void {
    this.#life++;
    for (const pending of this.#pending) settle(pending);
    this.#pending.clear();
    this.#plans = [];
    this.#locks.clear();
  }

  /** Remembers what the disk has under a name that is about to change. */
  #rename(path: string): void {
    if (!this.#unsyncedNames.has(path)) this.#unsyncedNames.set(path, this.#files.get(path) ?? null);
  }

  #must(path: string): MemoryFile {
    const file = this.#files.get(path);
    if (file === undefined) throw systemError('ENOENT', 'open', path);
    return file;
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function systemError(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${operation} '${path}'`), { code, path });
}
