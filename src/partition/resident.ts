/**
 * The keys of one partition that are in memory, at its leader.
 *
 * Hot path (bench: compat/bench, SET and GET): one Map per space from the key (a string of one character a byte) to an
 * object of one shape. Eviction is CLOCK (second chance) over the Map's own insertion order, so that an access costs
 * one assignment and no list surgery.
 *
 * Invariants:
 * - A key whose last change is not yet in LevelDB is here, also when it is deleted (`value` undefined): LevelDB still
 *   shows the state before.
 * - Only clean keys (changedIndex ≤ the index applied to LevelDB) are evicted; eviction never loses data.
 */
import type { LogIndex, Timestamp } from '../base/ids.ts';
import type { KeyObject } from '../commands/view.ts';
import { residentBytes } from '../values/memory.ts';
import { SPACE_COUNT, type Space, type Value } from '../values/value.ts';
import type { KeyLock, KeyLocks } from './key-locks.ts';

export class ResidentKey {
  readonly space: Space;
  readonly key: string;
  /** Undefined: the key is known to be absent. */
  value: Value | undefined = undefined;
  /** Partition time in ms at which the key expires; 0 = never. */
  expiresAtMs = 0;
  /** Commit timestamp of the last change; 0 while absent and never changed in this tenure. */
  version: Timestamp = 0;
  /** Log index of the entry that carries the last change; 0 if it was loaded and not changed since. */
  changedIndex: LogIndex = 0;
  memoryBytes = 0;
  /** Partition time in whole seconds: fits where milliseconds would need a boxed number. */
  accessedAtSeconds = 0;
  /** Used since the clock hand last passed. */
  isReferenced = false;
  /** Time under which the expiry heap holds this key; 0 = not in the heap. */
  scheduledAtMs = 0;
  /** Requests that wait for other keys and will need this one: it stays in memory (pins.ts). */
  pinCount = 0;
  /** Who holds the key, as in KeyLocks; null if nobody does. */
  lock: KeyLock | null = null;
  /** True once dropped from the table: whoever still holds a reference must look the key up again. */
  isDropped = false;

  constructor(space: Space, key: string) {
    this.space = space;
    this.key = key;
  }
}

/** Narrows a resident key to one that is there. */
export function isPresent(resident: ResidentKey): resident is ResidentKey & KeyObject {
  return resident.value !== undefined;
}

/** Memory of resident keys over all partitions of a node, against `maxmemory`. */
export class MemoryBudget {
  usedBytes = 0;
  /** 0 = unlimited. */
  limitBytes: number;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get isExceeded(): boolean {
    return this.limitBytes !== 0 && this.usedBytes > this.limitBytes;
  }
}

/** The keys of one space, replaced as a whole by a flush. */
class SpaceTable {
  readonly keys = new Map<string, ResidentKey>();
  usedBytes = 0;
}

export class ResidentTable {
  readonly #spaces: SpaceTable[] = [];
  readonly #budget: MemoryBudget;
  readonly #locks: KeyLocks;
  /** Greatest version of an absent key that was forgotten: what an absent key that is not here may have had. */
  #forgottenVersion: Timestamp = 0;
  #handSpace = 0;
  #hand: IterableIterator<ResidentKey> | null = null;

  constructor(budget: MemoryBudget, locks: KeyLocks) {
    this.#budget = budget;
    this.#locks = locks;
    for (let space = 0; space < SPACE_COUNT; space++) this.#spaces.push(new SpaceTable());
  }

  get usedBytes(): number {
    return this.#spaces.reduce((sum, space) => sum + space.usedBytes, 0);
  }

  get keyCount(): number {
    return this.#spaces.reduce((sum, space) => sum + space.keys.size, 0);
  }

  get(space: Space, key: string): ResidentKey | undefined {
    return this.#spaceOf(space).keys.get(key);
  }

  /** Adds an absent, uncharged key. The caller sets its fields, then calls `charge`. */
  add(space: Space, key: string): ResidentKey {
    const resident = new ResidentKey(space, key);
    if (!this.#locks.isEmpty) resident.lock = this.#locks.find(space, key) ?? null;
    this.#spaceOf(space).keys.set(key, resident);
    return resident;
  }

  /** Brings the charge of a key up to date with its value. */
  charge(resident: ResidentKey): void {
    const value = resident.value;
    const bytes = residentBytes(resident.key, value ?? '');
    this.#account(this.#spaceOf(resident.space), bytes - resident.memoryBytes);
    resident.memoryBytes = bytes;
  }

  get forgottenVersion(): Timestamp {
    return this.#forgottenVersion;
  }

  /** From now on nothing is known of absent keys up to this version: a new leader saw none of them go. */
  forgetUpTo(version: Timestamp): void {
    this.#forgottenVersion = Math.max(this.#forgottenVersion, version);
  }

  drop(resident: ResidentKey): void {
    if (resident.isDropped) return;
    resident.isDropped = true;
    if (resident.value === undefined) this.forgetUpTo(resident.version);
    const space = this.#spaceOf(resident.space);
    space.keys.delete(resident.key);
    this.#account(space, -resident.memoryBytes);
    resident.memoryBytes = 0;
  }

  keysOf(space: Space): IterableIterator<ResidentKey> {
    return this.#spaceOf(space).keys.values();
  }

  /** Takes a whole space out (a flush); `restore` undoes it. O(1). */
  takeOut(space: Space): SpaceTable {
    const taken = this.#spaceOf(space);
    this.#budget.usedBytes -= taken.usedBytes;
    this.#spaces[space] = new SpaceTable();
    this.#hand = null;
    return taken;
  }

  restore(space: Space, taken: SpaceTable): void {
    const present = this.#spaceOf(space);
    this.#budget.usedBytes += taken.usedBytes - present.usedBytes;
    this.#spaces[space] = taken;
    this.#hand = null;
  }

  /** Forgets everything: the speculation of a leader that is one no more. */
  clear(): void {
    for (let space = 0; space < SPACE_COUNT; space++) {
      for (const resident of this.takeOut(space).keys.values()) resident.isDropped = true;
    }
  }

  /**
   * Moves the clock hand until the budget is met, every key had its second chance, or `stepsMax` keys were looked at: a
   * used key is spared once, a clean unused one is dropped. Returns how many were dropped.
   */
  evict(appliedIndex: LogIndex, stepsMax: number): number {
    let dropped = 0;
    // Twice round: what is left then is dirty, or what exceeds the budget lies in other partitions.
    const steps = Math.min(stepsMax, this.keyCount * 2);
    for (let step = 0; step < steps && this.#budget.isExceeded; step++) {
      const resident = this.#advanceHand();
      if (resident === null) break;
      if (resident.changedIndex > appliedIndex || resident.pinCount > 0) continue;
      if (resident.isReferenced) {
        resident.isReferenced = false;
        continue;
      }
      this.drop(resident);
      dropped++;
    }
    return dropped;
  }

  #advanceHand(): ResidentKey | null {
    for (let tries = 0; tries <= SPACE_COUNT; tries++) {
      this.#hand ??= this.keysOf(this.#handSpace);
      const next = this.#hand.next();
      if (next.done !== true) return next.value;
      this.#hand = null;
      this.#handSpace = (this.#handSpace + 1) % SPACE_COUNT;
    }
    return null;
  }

  #account(space: SpaceTable, bytes: number): void {
    space.usedBytes += bytes;
    this.#budget.usedBytes += bytes;
  }

  #spaceOf(space: Space): SpaceTable {
    return this.#spaces[space] as SpaceTable;
  }
}

export type { SpaceTable };
