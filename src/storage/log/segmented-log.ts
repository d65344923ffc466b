/**
 * Hot path: staging and flushing (compat/powercut/flush-cost.ts measures them).
 *
 * What is staged goes into one buffer in the order of the calls, whatever the group; `flush` seals that buffer and writes
 * it while the other one takes what comes next. The state of the groups in memory is always that after everything
 * staged; so at the moment when the buffers change places it is exactly the state before the first record of the new one,
 * and if the next flush is to begin a segment, that state becomes the head of the new buffer without a copy of any kind.
 *
 * Segments. When a flush ends in the last eighth of its segment and the next segment is prepared, it carries the flag "the
 * next flush begins the next segment". A segment is needed while it holds an entry that is neither compacted nor
 * overwritten; the state of all groups at its head makes it independent of older ones in every other respect.
 */
import { assert } from '../../base/assert.ts';
import { copyBytes } from '../../base/bytes.ts';
import type { GroupId, LogIndex, Term } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { Disk, ProcessControl } from '../../base/platform.ts';
import { segmentName } from './damage.ts';
import { CLUSTER_ID_BYTES_MAX, FLUSH_FLAGS, SECTOR_BYTES, type SegmentHeader } from './format.ts';
import { GroupState, type Refusal } from './group-state.ts';
import { SegmentFiles, type SegmentFilesState } from './segments.ts';
import { StagingBuffer } from './staging.ts';
import type { LogCheckpoint, LogEntry, LogHardState, LogIdentity, RaftLog, RecoveredGroup } from './types.ts';

export interface SegmentedLogOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly identity: LogIdentity;
  readonly process: ProcessControl;
  readonly log: Logger;
  readonly segmentBytes: number;
}

/** Where a log goes on: after creation, or after recovery. */
export interface LogPosition {
  readonly files: SegmentFilesState;
  readonly salt: Uint8Array;
  readonly nextFlush: number;
  readonly hash: Uint8Array;
  /** Where the next flush goes in the current segment. */
  readonly position: number;
  /** The next flush begins a new segment. */
  readonly segmentIsFull: boolean;
  readonly states: Map<GroupId, GroupState>;
  readonly recovered: Map<GroupId, RecoveredGroup>;
}

export class SegmentedLog implements RaftLog {
  readonly #identity: LogIdentity;
  readonly #process: ProcessControl;
  readonly #segments: SegmentFiles;
  readonly #segmentBytes: number;
  readonly #salt: Uint8Array;
  readonly #recovered: Map<GroupId, RecoveredGroup>;
  /** State of each group after everything staged. */
  readonly #groups: Map<GroupId, GroupState>;

  /** Takes what is staged; never the one that is being written. */
  #staging = new StagingBuffer();
  #spare = new StagingBuffer();
  /** Segment in which what is staged now will lie. */
  #stagingSegment: number;
  #hasStaged = false;
  /** Something happened that may have taken the last live entry out of the oldest segment. */
  #mayFree = false;

  /** Where the next flush goes in the current segment. */
  #position: number;
  #nextFlush: number;
  #hash: Uint8Array;
  /** A flush that ends at or behind this fills the segment. */
  #fullAt: number;
  /** The next flush begins a segment; the state of the groups is at the head of its staging buffer already. */
  #beginsSegment: boolean;

  #isFlushing = false;
  #done: (() => void) | null = null;
  #closed: Promise<void> | null = null;
  #isFailed = false;

  constructor(options: SegmentedLogOptions, at: LogPosition) {
    assert(Buffer.byteLength(options.identity.clusterId) <= CLUSTER_ID_BYTES_MAX, 'the cluster id is too long');
    this.#identity = options.identity;
    this.#process = options.process;
    const fail = (what: string, cause: unknown): never => this.#fail(what, cause);
    this.#segments = new SegmentFiles({ ...options, fail }, at.files);
    this.#segmentBytes = options.segmentBytes;
    this.#salt = at.salt;
    this.#recovered = at.recovered;
    this.#groups = at.states;
    this.#position = at.position;
    this.#nextFlush = at.nextFlush;
    this.#hash = at.hash;
    this.#beginsSegment = at.segmentIsFull;
    this.#fullAt = options.segmentBytes - (options.segmentBytes >>> 3);
    this.#stagingSegment = this.#segments.newest + (at.segmentIsFull ? 1 : 0);
    if (at.segmentIsFull) this.#stageGroups();
    else this.#maybePrepare();
  }

  get recovered(): ReadonlyMap<GroupId, RecoveredGroup> {
    return this.#recovered;
  }

  releaseRecovered(): void {
    this.#recovered.clear();
  }

  get hasStaged(): boolean {
    return this.#hasStaged;
  }

  get isFlushing(): boolean {
    return this.#isFlushing;
  }

  get sizeBytes(): number {
    return this.#segments.sizeBytes;
  }

  stageEntries(group: GroupId, entries: readonly LogEntry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    this.#mustTakeChanges();
    assert(entries.at(-1)?.index === first.index + entries.length - 1, 'entries are not consecutive');
    const state = this.#group(group);
    if (first.index <= state.lastIndex) this.#mayFree = true;
    mustAccept(group, state.append(first.index, entries.length, this.#stagingSegment));
    let expected = first.index;
    for (const entry of entries) {
      assert(entry.index === expected, 'entries are not consecutive');
      expected++;
      this.#staging.putEntry(group, entry);
    }
    this.#hasStaged = true;
  }

  stageHardState(group: GroupId, hardState: LogHardState): void {
    this.#mustTakeChanges();
    const { term, vote, commit } = hardState;
    mustAccept(group, this.#group(group).setHardState({ term, vote, commit }));
    this.#staging.putHardState(group, hardState);
    this.#hasStaged = true;
  }

  stageCompaction(group: GroupId, upTo: { readonly index: LogIndex; readonly term: Term }): void {
    this.#mustTakeChanges();
    const { index, term } = upTo;
    mustAccept(group, this.#group(group).compact({ index, term }));
    this.#staging.putCompaction(group, upTo);
    this.#mayFree = true;
    this.#hasStaged = true;
  }

  stageCheckpoint(group: GroupId, checkpoint: LogCheckpoint): void {
    this.#mustTakeChanges();
    const own = { ...checkpoint, state: copyBytes(checkpoint.state) };
    mustAccept(group, this.#group(group).setCheckpoint(own));
    this.#staging.putCheckpoint('checkpoint', group, checkpoint);
    this.#hasStaged = true;
  }

  stageReset(group: GroupId, checkpoint: LogCheckpoint): void {
    this.#mustTakeChanges();
    const own = { ...checkpoint, state: copyBytes(checkpoint.state) };
    mustAccept(group, this.#group(group).reset(own));
    this.#staging.putCheckpoint('reset', group, checkpoint);
    this.#mayFree = true;
    this.#hasStaged = true;
  }

  stageRemoval(group: GroupId): void {
    this.#mustTakeChanges();
    if (!this.#groups.delete(group)) return;
    this.#staging.putRemoval(group);
    this.#mayFree = true;
    this.#hasStaged = true;
  }

  flush(done: () => void): void {
    this.#mustTakeChanges();
    assert(!this.#isFlushing, 'a flush is under way');
    assert(this.#hasStaged, 'nothing is staged');
    this.#begin(done);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (!this.#isFailed) {
      if (this.#isFlushing) await this.#whenDone();
      await this.#sealEnd();
    }
    await this.#segments.close();
  }

  /**
   * One more flush, after which the last one that was acknowledged is no longer the last in the file: so damage to it is
   * recognised. Records that were staged and never flushed are not part of what anyone relies on; they may ride along.
   */
  async #sealEnd(): Promise<void> {
    await new Promise<void>((resolve) => this.#begin(resolve));
  }

  #whenDone(): Promise<void> {
    const done = this.#done;
    return new Promise((resolve) => {
      this.#done = () => {
        done?.();
        resolve();
      };
    });
  }

  #begin(done: () => void): void {
    this.#isFlushing = true;
    this.#hasStaged = false;
    this.#done = done;
    if (this.#mustWaitForSegment()) {
      // What is staged until then rides along; it counts as staged until the flush that its owner asks for.
      this.#segments.prepare(() => this.#write());
      return;
    }
    this.#write();
  }

  /** A segment grows beyond its allocation by at most one flush, and only once the next segment is there. */
  #mustWaitForSegment(): boolean {
    if (this.#segments.isNextPrepared) return false;
    return this.#beginsSegment || this.#position + this.#staging.flushBytes > this.#segmentBytes;
  }

  #write(): void {
    const { header, start } = this.#place();
    const flags = header === null ? 0 : FLUSH_FLAGS.startsWithGroups;
    const end = this.#position + this.#staging.flushBytes;
    const isFull = end >= this.#fullAt && this.#segments.isNextPrepared;
    const number = this.#nextFlush;
    const { image, hash } = this.#staging.seal(
      {
        number,
        previousHash: this.#hash,
        salt: this.#salt,
        flags: isFull ? flags | FLUSH_FLAGS.nextBeginsSegment : flags,
      },
      header,
    );
    this.#nextFlush = number + 1;
    this.#hash = hash;
    this.#swap(isFull);
    const freeBelow = this.#mayFree ? this.#oldestNeeded() : 0;
    this.#mayFree = false;
    this.#segments.current().writeAndSync(image, start, (error) => {
      if (error !== null) this.#fail(`flush ${number} failed at ${segmentName(this.#segments.newest)}:${start}`, error);
      this.#finish(end, freeBelow);
    });
  }

  /** Decides where the flush goes: behind the last one, or with a header at the start of the prepared segment. */
  #place(): { readonly header: SegmentHeader | null; readonly start: number } {
    if (!this.#beginsSegment) return { header: null, start: this.#position };
    this.#segments.advance();
    this.#position = SECTOR_BYTES;
    this.#mayFree = true;
    const header = {
      ...this.#identity,
      salt: this.#salt,
      segment: this.#segments.newest,
      firstFlush: this.#nextFlush,
      previousHash: this.#hash,
    };
    return { header, start: 0 };
  }

  /** The sealed buffer goes to the disk, the other one takes what is staged from now on. */
  #swap(nextBeginsSegment: boolean): void {
    const sealed = this.#staging;
    this.#staging = this.#spare;
    this.#spare = sealed;
    this.#staging.reset();
    this.#beginsSegment = nextBeginsSegment;
    this.#stagingSegment = this.#segments.newest + (nextBeginsSegment ? 1 : 0);
    if (nextBeginsSegment) this.#stageGroups();
  }

  /**
   * The state of all groups becomes the head of the staging buffer. Should it fill a segment by itself, the segment grows:
   * an eighth of its size is always there for what follows, so the head is not written again with every flush.
   */
  #stageGroups(): void {
    for (const [group, state] of this.#groups) this.#staging.putGroup(group, state);
    const eighth = this.#segmentBytes >>> 3;
    this.#fullAt = Math.max(this.#segmentBytes - eighth, SECTOR_BYTES + this.#staging.flushBytes + eighth);
  }

  #finish(end: number, freeBelow: number): void {
    assert(this.#isFlushing, 'the disk reports a write that was not under way');
    this.#position = end;
    this.#segments.setUsed(end);
    this.#maybePrepare();
    if (freeBelow > this.#segments.oldest) this.#segments.free(freeBelow);
    const done = this.#done;
    this.#done = null;
    this.#isFlushing = false;
    done?.();
  }

  #maybePrepare(): void {
    if (this.#position >= this.#segmentBytes >>> 2 && this.#closed === null) this.#segments.prepare(null);
  }

  /** The oldest segment that anything depends on after everything staged: the segments before it may go after this flush. */
  #oldestNeeded(): number {
    let oldest = this.#segments.newest;
    for (const state of this.#groups.values()) oldest = Math.min(oldest, state.oldestSegment);
    return oldest;
  }

  #group(id: GroupId): GroupState {
    let state = this.#groups.get(id);
    if (state === undefined) {
      state = new GroupState();
      this.#groups.set(id, state);
    }
    return state;
  }

  #mustTakeChanges(): void {
    assert(!this.#isFailed, 'the log has failed');
    assert(this.#closed === null, 'the log is closed');
  }

  #fail(what: string, cause: unknown): never {
    this.#isFailed = true;
    return this.#process.fatal('logWrite', `${what}; its outcome is unknown, so this node stops`, cause);
  }
}

function mustAccept(group: GroupId, refused: Refusal): void {
  if (refused !== null) assert(false, `group ${group}: ${refused}`);
}
