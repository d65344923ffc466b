/**
 * Which moments this node keeps: the time that the setting asks for, and what is held (cluster/holds.ts).
 *
 * The store knows one floor for all partitions of the node. It never passes
 * - the time of the partition that lags most, less the retention. That is log time, never the time of a clock: so what a replica
 *   collects follows from entries that it has applied, and whoever accepts a hold can tell what no replica has collected
 *   before it applies the entry that says so. The leader of a partition that stands idle writes its time into the log now
 *   and then, else nothing would ever be old.
 * - the oldest moment that any of its partitions holds, by the entries that it has applied.
 *
 * History is kept while there is a retention, or a hold. What an entry holds is in effect before its own changes are
 * applied, of which some may have been evaluated after the hold.
 *
 * Switching history off gives up every moment before the present of all partitions, so it takes certainty that nothing is held. After a
 * crash of the machine a partition begins where its checkpoint was, or lost batches left it, and a copy of another replica's data
 * may be older than what it replaces: holds that had been in effect here come back only when their entries are applied again. Until
 * each partition has got as far as it may have been before, history that is kept is not switched off, and nothing of it goes.
 */
import { timestampFromMs } from '../base/hlc.ts';
import type { GroupId, LogIndex, Term, Timestamp } from '../base/ids.ts';
import type { DataStore } from '../storage/data/types.ts';
import { decodePartitionState } from './partition-state.ts';

export interface HistorySettings {
  /** How long older versions are kept, in ms; asked again and again. 0 = none are. */
  readonly retentionMs: () => number;
  /** Older versions that are kept of each key, in number; 0 = no bound. */
  readonly versionsMax: () => number;
}

/** An entry of a group's log. */
export interface Extent {
  readonly index: LogIndex;
  readonly term: Term;
}

/** Share of the retention by which what is kept may be older than it says, and the bounds of that, in ms. */
const LAG_DIVISOR = 8;
const LAG_MIN_MS = 1_000;
const LAG_MAX_MS = 600_000;

export class HistoryKeeper {
  readonly #data: DataStore;
  readonly #settings: HistorySettings;
  /** Oldest moment that each group holds; absent if none. */
  readonly #floors = new Map<GroupId, Timestamp>();
  /** Partitions that may hold more than they know, and how far they must have been applied to know. */
  readonly #behind = new Map<GroupId, Extent>();
  /** Which these are is not known yet. */
  #isOpening: boolean;

  /** Begins with what the store holds of each group. */
  constructor(data: DataStore, settings: HistorySettings) {
    this.#data = data;
    this.#settings = settings;
    this.#isOpening = !data.isSameBoot;
    for (const [group, { state }] of data.recovered) {
      if (state.length > 0) this.#note(group, decodePartitionState(state).holds.floor);
    }
    this.settingsChanged();
  }

  /** Oldest moment that is held; 0 if none is. */
  get heldFloor(): Timestamp {
    return this.#floors.size === 0 ? 0 : Math.min(...this.#floors.values());
  }

  /** How long a partition may stand idle before its leader writes the time, in ms; Infinity if nothing waits for that. */
  get lagMs(): number {
    const retentionMs = this.#settings.retentionMs();
    if (retentionMs === 0) return Number.POSITIVE_INFINITY;
    return Math.min(LAG_MAX_MS, Math.max(LAG_MIN_MS, retentionMs / LAG_DIVISOR));
  }

  settingsChanged(): void {
    this.#data.setHistory({
      retentionMs: this.#settings.retentionMs(),
      // 0 would be nothing.
      heldFloor: this.#mayKnowTooLittle ? Math.max(1, this.#data.historyFloor) : this.heldFloor,
      versionsMax: this.#settings.versionsMax(),
    });
  }

  get #mayKnowTooLittle(): boolean {
    return (this.#isOpening || this.#behind.size > 0) && this.#data.keepsHistory;
  }

  /** What was said of the groups by `mustReach` is all. */
  opened(): void {
    if (!this.#isOpening) return;
    this.#isOpening = false;
    this.settingsChanged();
  }

  /** What a group holds is known only when it has been applied to this index, or to an entry of a later term. */
  mustReach(group: GroupId, extent: Extent): void {
    this.#behind.set(group, extent);
  }

  applied(group: GroupId, index: LogIndex, term: Term): void {
    const behind = this.#behind.get(group);
    if (behind === undefined || (index < behind.index && term <= behind.term)) return;
    this.#behind.delete(group);
    if (this.#behind.size === 0) this.settingsChanged();
  }

  /** A group holds moments from `floor` on, 0 = none. Resolves when that is in effect. */
  holds(group: GroupId, floor: Timestamp): Promise<void> {
    this.#note(group, floor);
    this.settingsChanged();
    return this.#data.historySettled();
  }

  /** What may be collected, if the partitions have applied entries of these times; null if nothing is kept that could be. */
  collectFloor(timesMs: readonly number[]): Timestamp | null {
    if (!this.#data.hasHistory) return null;
    const retentionMs = this.#settings.retentionMs();
    const oldMs =
      retentionMs === 0 || timesMs.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...timesMs) - retentionMs;
    const old = oldMs === Number.POSITIVE_INFINITY ? oldMs : timestampFromMs(Math.max(0, oldMs));
    const held = this.#floors.size === 0 ? Number.POSITIVE_INFINITY : this.heldFloor;
    const floor = Math.min(old, held);
    // Nothing asks for any moment: what is left of earlier times goes.
    return floor === Number.POSITIVE_INFINITY ? 0 : floor;
  }

  #note(group: GroupId, floor: Timestamp): void {
    if (floor === 0) this.#floors.delete(group);
    else this.#floors.set(group, floor);
  }
}
