/**
 * Takes committed entries to LevelDB, behind everybody's back: no answer waits for it.
 *
 * One atomic batch at a time, of as many whole entries as are there (up to APPLY_BATCH_BYTES_MAX): their record changes,
 * the applied index and the partition's state. While a batch is under way, and in the pause after it (apply-pace.ts), the next one
 * collects: many small entries cost one batch, and an entry that comes alone is applied at once.
 *
 * Whoever wants to see the data as of one index, and not of some index, names a stop (scrub-point.ts): a batch ends there.
 */
import { assert } from '../base/assert.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { type ConfState, ENTRY_TYPES, type Entry } from '../raft/types.ts';
import type { DataStore, RecordChange } from '../storage/data/types.ts';
import type { ApplyPace } from './apply-pace.ts';
import { isDamage } from './damage.ts';
import { decodeEntry } from './entry-format.ts';
import { APPLY_BATCH_BYTES_MAX, APPLY_EARLY_BYTES } from './limits.ts';
import { afterEntry, encodePartitionState, type Holds, type PartitionState } from './partition-state.ts';

export interface ApplierEvents {
  /** LevelDB now holds everything up to `index`. */
  applied(index: LogIndex): void;
  /**
   * An entry that is to be applied says which moments are held. It is applied when this has resolved: what was evaluated after the hold may
   * lie in the same entry. Never rejects.
   */
  holdsChanged(holds: Holds): Promise<void>;
  /** What is to be replaced cannot be read, and nothing was applied: the replica leaves service, or the process ends. */
  damaged(error: unknown): void;
  /** Membership after a configuration entry that is being applied. */
  confStateAfter(entry: Entry): ConfState;
}

/** Where a batch shall end; `reached` is told whether one did. */
interface Stop {
  readonly index: LogIndex;
  readonly reached: (isReached: boolean) => void;
}

export class Applier {
  readonly #group: GroupId;
  readonly #data: DataStore;
  readonly #events: ApplierEvents;
  #queue: Entry[] = [];
  #queuedBytes = 0;
  #isApplying = false;
  #isSuspended = false;
  #index: LogIndex;
  #term: Term;
  #state: PartitionState;
  #whenIdle: (() => void)[] = [];
  /** Ahead of `#index`, and of the end of the batch under way or equal to it. */
  #stop: Stop | null = null;
  /** End of the batch under way; of the last one if none is. */
  #handedIndex: LogIndex;
  #resumeCount = 0;
  readonly #pace: ApplyPace;
  readonly #pumpNow = (): void => {
    this.#pump();
  };

  constructor(fields: {
    readonly pace: ApplyPace;
    readonly group: GroupId;
    readonly data: DataStore;
    readonly events: ApplierEvents;
    readonly index: LogIndex;
    readonly term: Term;
    readonly state: PartitionState;
  }) {
    this.#pace = fields.pace;
    this.#group = fields.group;
    this.#data = fields.data;
    this.#events = fields.events;
    this.#index = fields.index;
    this.#handedIndex = fields.index;
    this.#term = fields.term;
    this.#state = fields.state;
  }

  /** What LevelDB holds: every change of entries up to `index`, none after. */
  get index(): LogIndex {
    return this.#index;
  }

  get term(): Term {
    return this.#term;
  }

  get state(): PartitionState {
    return this.#state;
  }

  /** Bytes of entries that are committed and not in LevelDB. */
  get pendingBytes(): number {
    return this.#queuedBytes;
  }

  /** How often the data was replaced by other means. */
  get resumeCount(): number {
    return this.#resumeCount;
  }

  /**
   * Calls `reached(true)` in the moment at which LevelDB holds exactly the entries up to `index`: within this call if that is now,
   * else when a batch that ends there is done. A snapshot that is taken within the callback sees that state and no other.
   * `reached(false)`: that moment is over, the data was replaced, or another stop has taken the place of this one.
   */
  stopAt(index: LogIndex, reached: (isReached: boolean) => void): void {
    this.endStop();
    if (this.#isSuspended || this.#handedIndex > index) reached(false);
    else if (this.#index === index) reached(true);
    else this.#stop = { index, reached };
  }

  /** Whoever waits for a stop is told that it will not come. */
  endStop(): void {
    const stop = this.#stop;
    this.#stop = null;
    stop?.reached(false);
  }

  /** While it is suspended entries are forgotten: whoever resumes it hands them in again. */
  enqueue(entry: Entry): void {
    if (this.#isSuspended) return;
    this.#queue.push(entry);
    this.#queuedBytes += entry.data.length;
    if (!this.#isApplying) this.#pumpSoon();
  }

  /** Stops after the batch under way; resolves when LevelDB is left alone. What is queued is forgotten. May be repeated. */
  async suspend(): Promise<void> {
    this.#isSuspended = true;
    this.endStop();
    this.#pace.leave(this.#pumpNow);
    this.#queue = [];
    this.#queuedBytes = 0;
    if (this.#isApplying) {
      await new Promise<void>((resolve) => {
        this.#whenIdle.push(resolve);
      });
    }
  }

  /** Goes on from a state that was installed by other means. */
  resume(index: LogIndex, term: Term, state: PartitionState): void {
    assert(this.#isSuspended, 'only a suspended applier is moved');
    this.#isSuspended = false;
    this.#resumeCount++;
    this.#index = index;
    this.#handedIndex = index;
    this.#term = term;
    this.#state = state;
    this.#pump();
  }

  #pump(): void {
    if (this.#isApplying || this.#isSuspended || this.#queue.length === 0) return;
    this.#pace.leave(this.#pumpNow);
    const records: RecordChange[] = [];
    let state = this.#state;
    let bytes = 0;
    let count = 0;
    let last: Entry | undefined;
    let holds: Holds | null = null;
    for (const entry of this.#queue) {
      // What comes after it is kept, or not, as it says.
      if (holds !== null) break;
      if (count > 0 && (bytes + entry.data.length > APPLY_BATCH_BYTES_MAX || last?.index === this.#stop?.index)) break;
      assert(entry.index === (last?.index ?? this.#index) + 1, `entry ${entry.index} is applied out of order`);
      if (entry.type === ENTRY_TYPES.confChange) {
        state = { ...state, confState: this.#events.confStateAfter(entry) };
      } else if (entry.data.length > 0) {
        const decoded = decodeEntry(entry.data);
        for (const record of decoded.records) records.push(record);
        state = afterEntry(state, entry.data, decoded);
        ({ holds } = decoded);
      }
      bytes += entry.data.length;
      count++;
      last = entry;
    }
    if (last === undefined) return;
    this.#queue.splice(0, count);
    this.#isApplying = true;
    const { index, term } = last;
    this.#handedIndex = index;
    const applied = (): void => {
      this.#isApplying = false;
      this.#queuedBytes = Math.max(0, this.#queuedBytes - bytes);
      this.#index = index;
      this.#term = term;
      this.#state = state;
      if (this.#isSuspended) {
        for (const resolve of this.#whenIdle.splice(0)) resolve();
        return;
      }
      if (this.#stop?.index === index) this.#reachStop();
      this.#pace.pause();
      this.#events.applied(index);
      if (this.#queue.length > 0) this.#pumpSoon();
    };
    const apply = (): void => {
      try {
        this.#data.apply(this.#group, records, { index, term, state: encodePartitionState(state) }, applied);
      } catch (error) {
        if (!isDamage(error)) throw error;
        this.#isApplying = false;
        this.#events.damaged(error);
        for (const resolve of this.#whenIdle.splice(0)) resolve();
      }
    };
    if (holds === null) apply();
    else void this.#events.holdsChanged(holds).then(apply);
  }

  #reachStop(): void {
    const stop = this.#stop;
    this.#stop = null;
    stop?.reached(true);
  }

  /** Now, if the pause is over or much waits; else when it is over. */
  #pumpSoon(): void {
    if (this.#queuedBytes >= APPLY_EARLY_BYTES) this.#pump();
    else this.#pace.soon(this.#pumpNow);
  }
}
