/**
 * Locks that transactions across partitions hold on the keys of one partition, at its leader.
 *
 * A part is what one transaction has to do with this partition. It takes keys for itself ('write') or shares them with others
 * that only read ('read'). As long as it is not prepared its locks live in this memory only: other requests may read, because
 * the transaction cannot have been decided yet, and who wants to change a key waits. Once it is prepared (a replicated record, see
 * participant.ts) the decision may have been made and acknowledged elsewhere, so reading a key that it writes waits too.
 *
 * A part may also take the partition as a whole (for a flush): nobody else can have a prepared part then, and once it is prepared,
 * everything else waits.
 *
 * Nothing depends on an unprepared lock being there: prepare compares versions. So they are dropped without ado when this
 * leader goes, when the coordinator's node is lost, and when their time is over.
 */
import { assert } from '../base/assert.ts';
import type { NodeId, Timestamp } from '../base/ids.ts';
import { type Space, TRANSACTION_SPACE } from '../values/value.ts';
import type { Intent } from './transaction-codec.ts';

/** Names one attempt of one transaction for ever: the coordinator's node, that node's boot, and a count. */
export interface TransactionId {
  readonly node: NodeId;
  readonly epoch: number;
  readonly counter: number;
}

export function transactionName({ node, epoch, counter }: TransactionId): string {
  return `${node}.${epoch}.${counter}`;
}

export type LockMode = 'read' | 'write';

export interface KeyName {
  readonly space: Space;
  readonly key: string;
}

/** Under this name waits what concerns all keys, and what waits for that: first come first served. */
export const ALL_PARTS: KeyName = { space: TRANSACTION_SPACE, key: '*' };

/** What one transaction has to do with this partition. */
export class TransactionPart {
  readonly id: TransactionId;
  readonly name: string;
  /** Keys that it holds, by their lock. */
  readonly held = new Map<KeyLock, LockMode>();
  /** What it asks for, once that is a record here; null before. */
  intent: Intent | null = null;
  /** Partition time in ms at which this leader learned of that. */
  preparedMs = 0;
  /** A decision to commit it has a later timestamp; 0 if that is all that this leader knows. */
  preparedAt: Timestamp = 0;
  /** Partition time in ms: an unprepared part is dropped then. */
  untilMs: number;

  constructor(id: TransactionId, untilMs: number) {
    this.id = id;
    this.name = transactionName(id);
    this.untilMs = untilMs;
  }

  get isPrepared(): boolean {
    return this.intent !== null;
  }
}

/** Who holds one key. Exists only while somebody does. */
export class KeyLock implements KeyName {
  readonly space: Space;
  readonly key: string;
  writer: TransactionPart | null = null;
  readonly readers = new Set<TransactionPart>();

  constructor(space: Space, key: string) {
    this.space = space;
    this.key = key;
  }

  get isHeld(): boolean {
    return this.writer !== null || this.readers.size > 0;
  }

  /** Whether an evaluation on behalf of `part` (null: of none) may read or change the key now. */
  admits(part: TransactionPart | null, isWrite: boolean): boolean {
    const { writer } = this;
    if (writer !== null && writer !== part) return !isWrite && !writer.isPrepared;
    return !isWrite || this.#isSharedWithNoneBut(part);
  }

  /** Whether `part` may take the key. */
  isFree(part: TransactionPart | null, mode: LockMode): boolean {
    if (this.writer !== null && this.writer !== part) return false;
    return mode === 'read' || this.#isSharedWithNoneBut(part);
  }

  #isSharedWithNoneBut(part: TransactionPart | null): boolean {
    return this.readers.size === 0 || (part !== null && this.readers.size === 1 && this.readers.has(part));
  }
}

/** Names the partition as a whole: no key of a user lies in this space. */
export function isWhole({ space }: KeyName): boolean {
  return space === TRANSACTION_SPACE;
}

export class KeyLocks {
  /** Who has taken the partition as a whole. */
  #whole: TransactionPart | null = null;
  readonly #byKey = new Map<string, KeyLock>();
  readonly #parts = new Map<string, TransactionPart>();
  #preparedCount = 0;

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  get parts(): IterableIterator<TransactionPart> {
    return this.#parts.values();
  }

  get partCount(): number {
    return this.#parts.size;
  }

  get preparedCount(): number {
    return this.#preparedCount;
  }

  /** Nothing that is prepared will commit at or below this timestamp; Infinity if nothing is. */
  get preparedFloor(): Timestamp {
    let floor = Number.POSITIVE_INFINITY;
    if (this.#preparedCount === 0) return floor;
    for (const part of this.#parts.values()) if (part.isPrepared && part.preparedAt < floor) floor = part.preparedAt;
    return floor;
  }

  /** From now on who reads what the part writes waits. */
  prepare(
    part: TransactionPart,
    intent: Intent,
    when: { readonly nowMs: number; readonly timestamp: Timestamp },
  ): void {
    assert(part.intent === null, 'a part is prepared once');
    part.intent = intent;
    part.preparedMs = when.nowMs;
    part.preparedAt = when.timestamp;
    this.#preparedCount++;
  }

  find(space: Space, key: string): KeyLock | undefined {
    return this.#byKey.get(nameOf(space, key));
  }

  part(id: TransactionId): TransactionPart | undefined {
    return this.#parts.get(transactionName(id));
  }

  open(id: TransactionId, untilMs: number): TransactionPart {
    const part = new TransactionPart(id, untilMs);
    assert(!this.#parts.has(part.name), `transaction ${part.name} has one part here`);
    this.#parts.set(part.name, part);
    return part;
  }

  /** The part for which everything else waits; null if there is none. */
  get stopper(): TransactionPart | null {
    return this.#whole?.isPrepared === true ? this.#whole : null;
  }

  isFree(part: TransactionPart | null, name: KeyName, mode: LockMode): boolean {
    if (this.#whole !== null && this.#whole !== part) return false;
    if (isWhole(name) && this.#preparedCount > (part?.isPrepared === true ? 1 : 0)) return false;
    return this.find(name.space, name.key)?.isFree(part, mode) ?? true;
  }

  /** The key must be free for it. Who holds a key for itself keeps it so. */
  take(part: TransactionPart, { space, key }: KeyName, mode: LockMode): KeyLock {
    let lock = this.find(space, key);
    if (lock === undefined) {
      lock = new KeyLock(space, key);
      this.#byKey.set(nameOf(space, key), lock);
    }
    assert(lock.isFree(part, mode), 'a key that another transaction holds is not taken');
    if (lock.writer === part) return lock;
    if (mode === 'write') {
      lock.readers.delete(part);
      lock.writer = part;
    } else {
      lock.readers.add(part);
    }
    part.held.set(lock, mode);
    if (isWhole(lock)) this.#whole = part;
    return lock;
  }

  /** Lets everything go that the part holds. Returns the keys concerned: others may wait for them. */
  close(part: TransactionPart): readonly KeyLock[] {
    if (this.#whole === part) this.#whole = null;
    if (this.#parts.delete(part.name) && part.isPrepared) this.#preparedCount--;
    const released = [...part.held.keys()];
    part.held.clear();
    for (const lock of released) {
      if (lock.writer === part) lock.writer = null;
      lock.readers.delete(part);
      if (lock.isHeld) continue;
      this.#byKey.delete(nameOf(lock.space, lock.key));
    }
    return released;
  }
}

function nameOf(space: Space, key: string): string {
  return `${space}:${key}`;
}
