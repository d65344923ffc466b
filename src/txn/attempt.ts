/** What a coordinator knows of one attempt of a transaction. */
import { assert, mustExist } from '../base/assert.ts';
import type { GroupId, Term, Timestamp } from '../base/ids.ts';
import { type KeyName, type TransactionId, transactionName } from '../partition/key-locks.ts';
import type { Fetched } from '../partition/transaction-codec.ts';
import { KeyMap } from './key-map.ts';
import type { Mark } from './participants.ts';
import type { TransactionView } from './transaction-view.ts';

/** What is known of one partition. */
export interface Part {
  /** Of the leader that handed out what had not committed; 0 if none did. */
  term: Term;
  /** Partition time when it last answered, ms; 0 = it has not. */
  nowMs: number;
  isLocked: boolean;
  /** What its leader, in this term, had closed before the attempt read anything; 0 if nothing is known. */
  closedTerm: Term;
  closed: Timestamp;
}

export class Attempt {
  readonly id: TransactionId;
  readonly view: TransactionView;
  /** Of the session: its last write is noted there. */
  readonly sessionMark: Mark;
  /** The steps that take keys, prepare and let go are done in order. */
  readonly mark: Mark;
  readonly parts: Map<GroupId, Part>;
  /** Monotonic ms. */
  deadlineMs: number;
  /** What leaders hand out has committed: a client may see it before the end. */
  readonly isConfirmed: boolean;
  /** Monotonic ms up to which leaders keep its locks. */
  readonly leaseUntilMs: number;
  /** All that it has read was so when it began to read (closed-timestamps.ts). */
  isOfOneMoment = true;

  constructor(fields: {
    readonly id: TransactionId;
    readonly view: TransactionView;
    readonly sessionMark: Mark;
    readonly mark: Mark;
    readonly deadlineMs: number;
    readonly isConfirmed: boolean;
    readonly leaseUntilMs: number;
    readonly parts?: Map<GroupId, Part>;
  }) {
    this.id = fields.id;
    this.view = fields.view;
    this.sessionMark = fields.sessionMark;
    this.mark = fields.mark;
    this.deadlineMs = fields.deadlineMs;
    this.isConfirmed = fields.isConfirmed;
    this.leaseUntilMs = fields.leaseUntilMs;
    this.parts = fields.parts ?? new Map<GroupId, Part>();
  }

  get name(): string {
    return transactionName(this.id);
  }

  /** The same attempt with another view: what leaders hand out goes there. */
  over(view: TransactionView): Attempt {
    const { id, sessionMark, mark, parts, deadlineMs, isConfirmed, leaseUntilMs } = this;
    return new Attempt({ id, view, sessionMark, mark, parts, deadlineMs, isConfirmed, leaseUntilMs });
  }

  part(group: GroupId): Part {
    const present = this.parts.get(group);
    if (present !== undefined) return present;
    const part = { term: 0, nowMs: 0, isLocked: false, closedTerm: 0, closed: 0 };
    this.parts.set(group, part);
    return part;
  }

  /** Notes what a leader handed out. False if what it handed out before came from another leader. */
  take(group: GroupId, names: readonly KeyName[], fetched: Fetched): boolean {
    const part = this.part(group);
    if (!this.isConfirmed) {
      if (part.term !== 0 && part.term !== fetched.term) return false;
      part.term = fetched.term;
    }
    part.nowMs = fetched.nowMs;
    if (fetched.term !== part.closedTerm) this.isOfOneMoment = false;
    this.view.heard(fetched.nowMs);
    assert(fetched.objects.length === names.length, 'a leader answers for each key');
    for (let i = 0; i < names.length; i++) {
      const object = mustExist(fetched.objects[i], 'a leader answers for each key');
      if (object.version > part.closed) this.isOfOneMoment = false;
      this.view.fetched(mustExist(names[i], 'a key was asked for'), object);
    }
    return true;
  }
}

/** Keys without repetition, in order of mention. */
export class KeySet {
  readonly names: KeyName[] = [];
  readonly #known = new KeyMap<true>();

  constructor(names: readonly KeyName[]) {
    for (const name of names) this.add(name);
  }

  add({ space, key }: KeyName): void {
    if (this.#known.get(space, key) === true) return;
    this.#known.set(space, key, true);
    this.names.push({ space, key });
  }
}

/** The order in which everybody locks the keys of a partition. */
export function byKey(a: KeyName, b: KeyName): number {
  if (a.space !== b.space) return a.space - b.space;
  return a.key < b.key ? -1 : Number(a.key > b.key);
}
