/**
 * The open batch of a partition's leader: what the commands of this turn changed, in the order of evaluation, growing
 * until it becomes one Raft entry.
 *
 * Hot path (bench: compat/bench, SET): changes are written once, in their stored form, into memory that is used again
 * for the next batch; closing copies them into the entry that lives on. A failed evaluation takes its changes back by
 * truncation.
 */
import { putU32, putU64 } from '../base/bytes.ts';
import type { LogIndex, Timestamp } from '../base/ids.ts';
import { DATABASE_COUNT, SPACE_COUNT, type Space } from '../values/value.ts';
import { CHANGE_OPS, ENTRY_FORMAT, EXPIRING_COUNTER, type RequestId } from './entry-format.ts';
import type { Job } from './job.ts';
import type { Holds } from './partition-state.ts';

/** Scratch memory beyond this is given back after a batch. */
const SCRATCH_BYTES_KEPT = 8 * 1024 * 1024;

/** Bytes that can be written at any offset; grows by doubling. */
class Scratch {
  buffer = Buffer.allocUnsafeSlow(64 * 1024);
  length = 0;

  /** Makes room for `count` bytes and returns where they start; `length` moves past them. */
  reserve(count: number): number {
    const start = this.length;
    const needed = start + count;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, start);
      this.buffer = grown;
    }
    this.length = needed;
    return start;
  }

  reset(): void {
    this.length = 0;
    if (this.buffer.length > SCRATCH_BYTES_KEPT) this.buffer = Buffer.allocUnsafeSlow(64 * 1024);
  }
}

export class Batch {
  /** Log index that this batch will have: nothing else is proposed while it is open. */
  index: LogIndex = 0;
  timeMs = 0;
  lastTimestamp: Timestamp = 0;
  /** Requests that are answered when the entry commits, in order of evaluation. */
  jobs: Job[] = [];
  readonly #changes = new Scratch();
  readonly #answers = new Scratch();
  #answerCount = 0;
  /** It becomes an entry although nothing was changed: its timestamp is a promise. */
  #isPromise = false;
  readonly #countChanges = new Int32Array(SPACE_COUNT);
  readonly #expiringChanges = new Int32Array(DATABASE_COUNT);

  /** Where the next change will be written: `truncate` goes back to it. */
  get position(): number {
    return this.#changes.length;
  }

  get isEmpty(): boolean {
    return this.#changes.length === 0 && this.jobs.length === 0 && !this.#isPromise;
  }

  get sizeBytes(): number {
    return this.#changes.length + this.#answers.length;
  }

  /**
   * Starts a put of `keyBytes` and `sealedBytes` and returns the memory to write both into, key first; it is valid
   * until the next call. `op`: one of the puts of CHANGE_OPS.
   */
  put(
    keyBytes: number,
    sealedBytes: number,
    timestamp: Timestamp,
    replaces: Timestamp,
    op: number = CHANGE_OPS.put,
  ): Slice {
    const at = this.#changes.reserve(25 + keyBytes + sealedBytes);
    const buffer = this.#changes.buffer;
    buffer[at] = op;
    putU32(buffer, at + 1, keyBytes);
    putU32(buffer, at + 5, sealedBytes);
    putU64(buffer, at + 9, timestamp);
    putU64(buffer, at + 17, replaces);
    this.#slice.buffer = buffer;
    this.#slice.offset = at + 25;
    return this.#slice;
  }

  /** Starts a delete; the key is written into the memory returned. */
  delete(keyBytes: number, timestamp: Timestamp, replaces: Timestamp): Slice {
    const at = this.#changes.reserve(21 + keyBytes);
    const buffer = this.#changes.buffer;
    buffer[at] = CHANGE_OPS.delete;
    putU32(buffer, at + 1, keyBytes);
    putU64(buffer, at + 5, timestamp);
    putU64(buffer, at + 13, replaces);
    this.#slice.buffer = buffer;
    this.#slice.offset = at + 21;
    return this.#slice;
  }

  /** `space` is a space or ALL_DATABASES. */
  flush(space: number, timestamp: Timestamp): void {
    const at = this.#changes.reserve(10);
    const buffer = this.#changes.buffer;
    buffer[at] = CHANGE_OPS.flush;
    buffer[at + 1] = space;
    putU64(buffer, at + 2, timestamp);
  }

  /** Moments that are held from this entry on. */
  hold({ floor, passed, revision }: Holds): void {
    const at = this.#changes.reserve(25);
    const buffer = this.#changes.buffer;
    buffer[at] = CHANGE_OPS.hold;
    putU64(buffer, at + 1, floor);
    putU64(buffer, at + 9, passed);
    putU64(buffer, at + 17, revision);
  }

  /** No entry after this one commits at or below `timestamp`. */
  promise(timestamp: Timestamp, timeMs: number): void {
    this.lastTimestamp = timestamp;
    this.timeMs = timeMs;
    this.#isPromise = true;
  }

  countChange(space: Space, change: number): void {
    this.#countChanges[space] = (this.#countChanges[space] ?? 0) + change;
  }

  /** Of the keys of a database that have an expiry. */
  expiringChange(database: Space, change: number): void {
    this.#expiringChanges[database] = (this.#expiringChanges[database] ?? 0) + change;
  }

  truncate(position: number): void {
    this.#changes.length = position;
  }

  /** Records the answer to a request, so that a repetition of it is answered and not applied again. */
  answer(id: RequestId, reply: Uint8Array): void {
    const at = this.#answers.reserve(24 + reply.length);
    const buffer = this.#answers.buffer;
    putU32(buffer, at, id.node);
    putU64(buffer, at + 4, id.epoch);
    putU64(buffer, at + 12, id.counter);
    putU32(buffer, at + 20, reply.length);
    buffer.set(reply, at + 24);
    this.#answerCount++;
  }

  /** The entry's bytes, which belong to the caller; short ones share memory with others, which go when they go. */
  encode(): Uint8Array {
    let countChanges = 0;
    for (const change of this.#countChanges) if (change !== 0) countChanges++;
    for (const change of this.#expiringChanges) if (change !== 0) countChanges++;
    const size = 1 + 8 + 8 + 1 + countChanges * 5 + 4 + this.#changes.length + 4 + this.#answers.length;
    const entry = Buffer.allocUnsafe(size);
    entry[0] = ENTRY_FORMAT;
    putU64(entry, 1, this.timeMs);
    putU64(entry, 9, this.lastTimestamp);
    entry[17] = countChanges;
    let at = putCounts(entry, 18, { changes: this.#countChanges, first: 0 });
    at = putCounts(entry, at, { changes: this.#expiringChanges, first: EXPIRING_COUNTER });
    putU32(entry, at, this.#changes.length);
    this.#changes.buffer.copy(entry, at + 4, 0, this.#changes.length);
    at += 4 + this.#changes.length;
    putU32(entry, at, this.#answerCount);
    this.#answers.buffer.copy(entry, at + 4, 0, this.#answers.length);
    return entry;
  }

  /** Empty again, for the next turn; the jobs of the batch that was closed belong to whoever took them. */
  reset(): void {
    this.index = 0;
    this.jobs = [];
    this.#changes.reset();
    this.#answers.reset();
    this.#answerCount = 0;
    this.#isPromise = false;
    this.#countChanges.fill(0);
    this.#expiringChanges.fill(0);
  }

  readonly #slice: Slice = { buffer: this.#changes.buffer, offset: 0 };
}

/** Writes the changes that are not 0 and returns where they end. */
function putCounts(
  entry: Buffer,
  start: number,
  { changes, first }: { readonly changes: Int32Array; readonly first: number },
): number {
  let at = start;
  for (let i = 0; i < changes.length; i++) {
    const change = changes[i] ?? 0;
    if (change === 0) continue;
    entry[at] = first + i;
    putU32(entry, at + 1, change >>> 0);
    at += 5;
  }
  return at;
}

/** Memory lent for writing: a place in a larger buffer. */
export interface Slice {
  buffer: Buffer;
  offset: number;
}
