/**
 * The segment files of an open log: which one is written, the one prepared ahead, and those that can go.
 *
 * A segment is full of zeros, synced and in its synced directory before the flush that announces it, so a flush never
 * waits for the allocation of space unless preparation could not keep up. Segments go oldest first, one by one, the directory
 * synced after each: a crash leaves a row without a gap.
 */
import { assert } from '../../base/assert.ts';
import type { Logger } from '../../base/log.ts';
import type { Disk, WritableFile } from '../../base/platform.ts';
import { segmentName } from './damage.ts';

export interface SegmentFile {
  readonly number: number;
  readonly file: WritableFile;
}

export interface SegmentFilesState {
  /** Segments that hold flushes, oldest first. */
  readonly used: readonly { readonly number: number; readonly usedBytes: number }[];
  /** The last of them, open; null if the next flush begins a segment, then `next` is there. */
  readonly current: SegmentFile | null;
  readonly next: SegmentFile | null;
}

export interface SegmentFilesOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes: number;
  readonly log: Logger;
  /** Preparing failed, which is as bad as a failed write. Does not return. */
  readonly fail: (what: string, cause: unknown) => never;
}

export class SegmentFiles {
  readonly #options: SegmentFilesOptions;
  /** Retained segments with the bytes used in them, oldest first. */
  readonly #used: { readonly number: number; usedBytes: number }[];
  #current: SegmentFile | null;
  #next: SegmentFile | null;
  #preparing = false;
  #whenPrepared: (() => void) | null = null;
  /** Segments below this may go. */
  #freeBelow = 0;
  #isRemoving = false;
  /** Work that no caller waits for; each settles without an error. */
  readonly #background = new Set<Promise<void>>();

  constructor(options: SegmentFilesOptions, state: SegmentFilesState) {
    this.#options = options;
    this.#used = state.used.map(({ number, usedBytes }) => ({ number, usedBytes }));
    this.#current = state.current;
    this.#next = state.next;
  }

  /** Number of the newest segment that holds a flush. */
  get newest(): number {
    return this.#used.at(-1)?.number ?? 0;
  }

  get oldest(): number {
    return this.#used[0]?.number ?? 0;
  }

  get isNextPrepared(): boolean {
    return this.#next !== null;
  }

  get sizeBytes(): number {
    let size = 0;
    for (const { usedBytes } of this.#used) size += usedBytes;
    return size;
  }

  /** The file to append to. */
  current(): WritableFile {
    assert(this.#current !== null, 'no segment is current');
    return this.#current.file;
  }

  /** Makes the prepared segment the current one; the one before is closed behind the caller's back. */
  advance(): void {
    const next = this.#next;
    assert(next !== null, 'no segment is prepared');
    const old = this.#current;
    this.#current = next;
    this.#next = null;
    this.#used.push({ number: next.number, usedBytes: 0 });
    if (old !== null)
      this.#own(old.file.close(), (error) => this.#warn('a file of the log could not be closed', old.number, error));
  }

  /** The current segment is used up to `position`. */
  setUsed(position: number): void {
    const last = this.#used.at(-1);
    assert(last !== undefined, 'no segment is current');
    last.usedBytes = position;
  }

  /** Prepares the next segment, unless that is done or under way. `then` is called once it is there, if given. */
  prepare(then: (() => void) | null): void {
    assert(this.#next === null || then === null, 'the next segment is prepared already');
    if (then !== null) this.#whenPrepared = then;
    if (this.#preparing || this.#next !== null) return;
    this.#preparing = true;
    this.#own(this.#create(this.newest + 1), (error) => {
      this.#options.fail(`cannot prepare ${segmentName(this.newest + 1)}`, error);
    });
  }

  /** Removes the segments below `number` in the background. What they held must be durable elsewhere or unneeded by now. */
  free(number: number): void {
    assert(number <= this.newest, `segment ${number} is not there`);
    this.#freeBelow = Math.max(this.#freeBelow, number);
    if (this.#isRemoving || this.oldest >= this.#freeBelow) return;
    this.#isRemoving = true;
    // A segment that could not be removed costs space, nothing else: the next call tries again.
    this.#own(this.#removeFreed(), (error) => this.#warn('a file of the log could not be removed', this.oldest, error));
  }

  /** Resolves when nothing is under way and no file is open. No flush may be under way. */
  async close(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
    const open = [this.#current, this.#next];
    this.#current = null;
    this.#next = null;
    for (const segment of open) await segment?.file.close();
  }

  async #create(number: number): Promise<void> {
    const { disk, directory, segmentBytes } = this.#options;
    const file = await disk.openForWriting(`${directory}/${segmentName(number)}`, segmentBytes);
    await disk.syncDirectory(directory);
    this.#preparing = false;
    this.#next = { number, file };
    const then = this.#whenPrepared;
    this.#whenPrepared = null;
    then?.();
  }

  async #removeFreed(): Promise<void> {
    const { disk, directory } = this.#options;
    try {
      while (this.oldest < this.#freeBelow) {
        await disk.remove(`${directory}/${segmentName(this.oldest)}`);
        await disk.syncDirectory(directory);
        this.#used.shift();
      }
    } finally {
      this.#isRemoving = false;
    }
  }

  #warn(event: string, segment: number, error: unknown): void {
    this.#options.log.warn(event, { segment, error });
  }

  /** Keeps `work` until it has settled; a failure goes to `onError`. */
  #own(work: Promise<void>, onError: (error: unknown) => void): void {
    const owned: Promise<void> = work
      .catch(onError)
      // Ending the process throws where the process is a simulated one; nothing of this node runs on.
      .catch(() => undefined)
      .finally(() => this.#background.delete(owned));
    this.#background.add(owned);
  }
}
