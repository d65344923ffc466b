/**
 * What an evaluation over several partitions sees and changes: objects that were fetched from their leaders, and on top of
 * them what the transaction has changed so far. The second implementation of View; commands cannot tell.
 *
 * A key that was not fetched ends the evaluation with NotFetched; the coordinator fetches it and evaluates again. Changes are
 * final objects, so that participants only store them.
 *
 * Time. Each partition has its own; `nowMs` is the latest of those concerned, so that nothing expires earlier than was promised.
 * Whether a key has expired is for its own partition to say, which it did when it handed the object out: otherwise a transaction
 * could miss a key that the next read shows.
 */
import { assert, mustExist } from '../base/assert.ts';
import { nextTimestamp } from '../base/hlc.ts';
import type { Timestamp } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import {
  type KeyObject,
  NotResident,
  type PastView,
  type Savepoint,
  type ScanPage,
  type ScanRequest,
  type View,
} from '../commands/view.ts';
import { RequestAborted, WaitForKey } from '../partition/evaluation-ends.ts';
import type { KeyName } from '../partition/key-locks.ts';
import type { FetchedObject, KeyWrite } from '../partition/transaction-codec.ts';
import { notAcrossPartitions, PAST_ACROSS_PARTITIONS } from '../resp/errors.ts';
import { type ErrorReply, type Protocol, ReplyError } from '../resp/reply.ts';
import { residentBytes } from '../values/memory.ts';
import type { Space, Value } from '../values/value.ts';
import { type WholeObject, wholeSize } from '../values/whole.ts';
import { KeyMap } from './key-map.ts';

/** The evaluation needs a key that was not fetched. */
export class NotFetched extends NotResident {
  override readonly kind = 'fetch';
  readonly space: Space;
  readonly key: string;
  constructor(space: Space, key: string) {
    super();
    this.space = space;
    this.key = key;
  }
}

/** What is known of a key. */
interface KeyState extends KeyName {
  /** As its leader holds it; null before it was fetched. */
  fetched: FetchedObject | null;
  /** This evaluation has looked at what was fetched. */
  isRead: boolean;
  /** What the transaction has made of it; null if nothing. */
  written: Written | null;
}

interface Written {
  readonly object: WholeObject | null;
}

interface Change {
  readonly state: KeyState;
  /** What the transaction had made of the key before. */
  readonly before: Written | null;
}

class Mark {
  readonly opaque = 'savepoint' as const;
  readonly changeCount: number;
  constructor(changeCount: number) {
    this.changeCount = changeCount;
  }
}

export class TransactionView implements View {
  readonly random: Random;
  protocol: Protocol = 2;
  countsLookups = false;
  hits = 0;
  misses = 0;
  scriptMs = 0;
  /** The evaluation is of a single command that flushes; `flushed` tells what. */
  mayFlush = false;
  flushed: Space | 'all' | null = null;
  /** The commit timestamp is chosen at the commit. */
  readonly revision = 0;
  readonly past = NO_PAST;
  /** A command that would wait says so (WaitForKey); inside EXEC it answers as if its time were over. */
  mayWait = false;
  readonly waits = 0;
  /** Of the first attempt of the request; 0 = this is the first. */
  firstAttemptMs = 0;
  readonly #states = new KeyMap<KeyState>();
  readonly #fetched: KeyState[] = [];
  /** In order. */
  readonly #changes: Change[] = [];
  #writtenCount = 0;
  /** Keys whose fetched object this evaluation has looked at. */
  readonly #read: KeyState[] = [];
  /** One of the keys concerned: whoever asks for the time before anything was fetched gets that of its partition. */
  readonly #clockKey: KeyName;
  #nowMs = 0;
  /** Monotonic ms of the last `goOn`; 0 if time was heard since. */
  #heardAtMs = 0;
  #writtenBytes = 0;
  #timestamp: Timestamp = 0;

  constructor(random: Random, clockKey: KeyName) {
    this.random = random;
    this.#clockKey = clockKey;
  }

  // -------------------------------------------------------------------------------------------------------------
  // For the coordinator

  /** An object as its leader holds it. */
  fetched({ space, key }: KeyName, object: FetchedObject): void {
    const state = this.#state(space, key);
    if (state.fetched === null) this.#fetched.push(state);
    state.fetched = object;
  }

  has({ space, key }: KeyName): boolean {
    return (this.#states.get(space, key)?.fetched ?? null) !== null;
  }

  /** Keys that were fetched, with what they were. */
  checksOf(names: readonly KeyName[]): readonly (KeyName & { readonly version: Timestamp })[] {
    return names.map(({ space, key }) => checkOf(mustExist(this.#states.get(space, key), 'the key was fetched')));
  }

  /** Keys that were fetched or written, about. */
  get touchedCount(): number {
    return Math.max(this.#fetched.length, this.#writtenCount);
  }

  /** Of everything that was written, also what was replaced since. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** The time of the partitions that objects come from, ms. */
  heard(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs;
    this.#heardAtMs = 0;
  }

  /** The next command of the same transaction, at this monotonic moment (ms): time has gone on, changes stay. */
  goOn(protocol: Protocol, monotonicMs: number): void {
    this.protocol = protocol;
    this.#timestamp = 0;
    if (this.#heardAtMs !== 0 && this.#nowMs !== 0)
      this.#nowMs += Math.max(0, Math.floor(monotonicMs - this.#heardAtMs));
    this.#heardAtMs = monotonicMs;
  }

  /** A new evaluation, from the beginning: nothing is changed. */
  begin(protocol: Protocol): void {
    this.protocol = protocol;
    this.countsLookups = false;
    this.hits = 0;
    this.misses = 0;
    this.scriptMs = 0;
    for (const { state } of this.#changes) state.written = null;
    this.#changes.length = 0;
    this.#writtenCount = 0;
    for (const state of this.#read) state.isRead = false;
    this.#read.length = 0;
    this.#timestamp = 0;
  }

  get hasChanged(): boolean {
    return this.#writtenCount > 0;
  }

  /** What the keys shall hold, in the order in which they were first changed. */
  writes(): readonly KeyWrite[] {
    const writes: KeyWrite[] = [];
    for (const { state, before } of this.#changes) {
      const { space, key, written } = state;
      if (before === null)
        writes.push({ space, key, object: mustExist(written, 'what was changed is written').object });
    }
    return writes;
  }

  /** Keys that the evaluation has looked at, with what they were. */
  reads(): readonly (KeyName & { readonly version: Timestamp })[] {
    return this.#read.map(checkOf);
  }

  // -------------------------------------------------------------------------------------------------------------
  // View

  get timestamp(): Timestamp {
    if (this.#timestamp === 0) {
      let last = 0;
      for (const { fetched } of this.#fetched) if (fetched !== null && fetched.version > last) last = fetched.version;
      this.#timestamp = nextTimestamp(last, this.nowMs);
    }
    return this.#timestamp;
  }

  get nowMs(): number {
    if (this.#nowMs === 0) throw new NotFetched(this.#clockKey.space, this.#clockKey.key);
    return this.#nowMs;
  }

  get firstRunMs(): number {
    return this.firstAttemptMs === 0 ? this.nowMs : this.firstAttemptMs;
  }

  find(space: Space, key: string): KeyObject | undefined {
    const found = this.#live(space, key);
    if (this.countsLookups) {
      if (found === undefined) this.misses++;
      else this.hits++;
    }
    return found;
  }

  peek(space: Space, key: string): KeyObject | undefined {
    return this.find(space, key);
  }

  touch(space: Space, key: string): boolean {
    return this.find(space, key) !== undefined;
  }

  version(space: Space, key: string): Timestamp {
    const state = this.#states.get(space, key);
    return state !== undefined && state.written !== null ? this.timestamp : this.#look(state, space, key).version;
  }

  put(space: Space, key: string, value: Value, expiresAtMs: number): void {
    const isOver = expiresAtMs !== 0 && expiresAtMs <= this.nowMs;
    this.#change(space, key, isOver ? null : { value, expiresAtMs });
  }

  remove(space: Space, key: string): boolean {
    if (this.#live(space, key) === undefined) return false;
    this.#change(space, key, null);
    return true;
  }

  beforeAllKeys(): void {
    // Each of them is refused by itself.
  }

  randomKey(): never {
    return refuse();
  }

  keyCount(): never {
    return refuse();
  }

  expiring(): never {
    return refuse();
  }

  scan(_request: ScanRequest): ScanPage {
    return refuse();
  }

  /** Only by itself: see Coordinator.flush. */
  flush(what: Space | 'all'): void {
    if (!this.mayFlush) refuse();
    this.flushed = what;
  }

  savepoint(): Savepoint {
    return new Mark(this.#changes.length);
  }

  rollback(savepoint: Savepoint): void {
    assert(savepoint instanceof Mark, 'a savepoint comes from the view that made it');
    while (this.#changes.length > savepoint.changeCount) {
      const { state, before } = mustExist(this.#changes.pop(), 'a change is left');
      state.written = before;
      if (before === null) this.#writtenCount--;
    }
  }

  abort(reply: ErrorReply): never {
    throw new RequestAborted(reply);
  }

  waitFor(space: Space, key: string, deadlineMs: number): never {
    throw new WaitForKey(space, key, deadlineMs);
  }

  waiterCount(): number {
    return 0;
  }

  // -------------------------------------------------------------------------------------------------------------

  #live(space: Space, key: string): KeyObject | undefined {
    const state = this.#states.get(space, key);
    if (state !== undefined && state.written !== null) return this.#shown(key, state.written.object, this.timestamp);
    const { object, version } = this.#look(state, space, key);
    return this.#shown(key, object, version);
  }

  #look(state: KeyState | undefined, space: Space, key: string): FetchedObject {
    if (state === undefined || state.fetched === null) throw new NotFetched(space, key);
    if (!state.isRead) {
      state.isRead = true;
      this.#read.push(state);
    }
    return state.fetched;
  }

  #state(space: Space, key: string): KeyState {
    const present = this.#states.get(space, key);
    if (present !== undefined) return present;
    const state: KeyState = { space, key, fetched: null, isRead: false, written: null };
    this.#states.set(space, key, state);
    return state;
  }

  #shown(key: string, object: WholeObject | null, version: Timestamp): KeyObject | undefined {
    if (object === null) return undefined;
    const { value, expiresAtMs } = object;
    return {
      value,
      expiresAtMs,
      version,
      memoryBytes: residentBytes(key, value),
      accessedAtSeconds: Math.floor(this.nowMs / 1_000),
    };
  }

  #change(space: Space, key: string, object: WholeObject | null): void {
    const state = this.#state(space, key);
    this.#changes.push({ state, before: state.written });
    if (state.written === null) this.#writtenCount++;
    state.written = { object };
    this.#writtenBytes += object === null ? 0 : wholeSize(object);
  }
}

function checkOf({ space, key, fetched }: KeyState): KeyName & { readonly version: Timestamp } {
  return { space, key, version: mustExist(fetched, 'the key was fetched').version };
}

/** A moment of several partitions is read by KAHUNA.ASOF (moment-view.ts). */
const NO_PAST: PastView = {
  keyAt: refusePast,
  revision: refusePast,
  history: refusePast,
  scanAt: refusePast,
  get floor(): never {
    return refusePast();
  },
};

function refusePast(): never {
  throw new ReplyError(PAST_ACROSS_PARTITIONS);
}

function refuse(): never {
  throw new ReplyError(notAcrossPartitions());
}
