/**
 * What the evaluation of a command may see and change: one replica's keys, at the leader, synchronously.
 *
 * Any method may throw `NotResident`: the evaluation is then undone, what is missing is loaded, and the command runs
 * again from the start. So command code holds no state of its own and never catches `NotResident`.
 */
import type { Timestamp } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import type { ErrorReply, Protocol } from '../resp/reply.ts';
import type { Space, Value } from '../values/value.ts';

/** A live key as the view hands it out. Valid until the evaluation changes the key. */
export interface KeyObject {
  readonly value: Value;
  /** Partition time in ms at which the key expires; 0 = never. */
  readonly expiresAtMs: number;
  /** Commit timestamp of the last change; what WATCH remembers. */
  readonly version: Timestamp;
  /** Bytes that the resident key is charged for. */
  readonly memoryBytes: number;
  /** Partition time of the last access before this evaluation, in whole seconds (OBJECT IDLETIME). */
  readonly accessedAtSeconds: number;
}

export interface View {
  /** Partition time: milliseconds since 1970, decided by the leader, never falls. */
  readonly nowMs: number;
  /** Commit timestamp that a change made now will carry; in a transaction across partitions only nearly. */
  readonly timestamp: Timestamp;
  /** The same, exactly; 0 if it is not known before the commit. */
  readonly revision: Timestamp;
  /** What keys were. */
  readonly past: PastView;
  readonly random: Random;
  /** Protocol of the session that will read the reply. */
  readonly protocol: Protocol;
  /** True while `find` and `peek` count as hits and misses (INFO); set for each command from its row. */
  countsLookups: boolean;

  /**
   * The live key, or undefined if absent or expired (an expired one is deleted by this call). Counts as an access, unless
   * the client asked for CLIENT NO-TOUCH.
   */
  find(space: Space, key: string): KeyObject | undefined;
  /** Like `find`, without counting as an access (TTL, OBJECT, TYPE …: Redis's LOOKUP_NOTOUCH). */
  peek(space: Space, key: string): KeyObject | undefined;
  /** Counts as an access to the key whatever CLIENT NO-TOUCH says; false if there is no live key. */
  touch(space: Space, key: string): boolean;
  /** What WATCH remembers: changes whenever the key does, also from absent over present to absent. 0 is possible. */
  version(space: Space, key: string): Timestamp;
  /**
   * Creates or replaces the key. `expiresAtMs` 0 = no expiry; a time not after `nowMs` deletes the key at once. `forgetsPast`: what
   * the key was before is not kept for readers of the past, unless history is held.
   */
  put(space: Space, key: string, value: Value, expiresAtMs: number, forgetsPast?: boolean): void;
  /** Deletes the key; false if there was none. */
  remove(space: Space, key: string): boolean;
  /**
   * To be called before what concerns all keys is asked of the view, or done, within a script: it ends the evaluation if the view
   * is one partition of several, of which such a command must be asked by itself.
   */
  beforeAllKeys(): void;
  /** Some live key of the space, each about as likely as any other; undefined if there is none. */
  randomKey(space: Space): string | undefined;

  /** Live and not yet collected keys in the database, as DBSIZE counts. */
  keyCount(space: Space): number;
  /** Those of `keyCount` that have an expiry, and how long they have left on average, by a sample (ms). */
  expiring(database: Space): { readonly count: number; readonly averageTtlMs: number };
  /** Keys of a space in scan order; see ScanRequest. */
  scan(request: ScanRequest): ScanPage;
  /** Deletes all keys of one database, or of all sixteen. O(1). Locks and sequences stay. */
  flush(space: Space | 'all'): void;

  /** Time that scripts of this evaluation have taken, in ms; counted where there may be several (EXEC). */
  scriptMs: number;

  /** Marks the present state; `rollback` returns to it. Used around the commands inside EXEC and scripts. */
  savepoint(): Savepoint;
  rollback(savepoint: Savepoint): void;
  /** Ends the whole request with this error, EXEC and scripts included: nothing of it is applied. */
  abort(reply: ErrorReply): never;

  /** Parks the command until `key` changes or `deadlineMs` (partition time) passes, then evaluates it again. */
  waitFor(space: Space, key: string, deadlineMs: number): never;
  /** False inside EXEC and scripts: a command that would wait answers there as if its time were over. */
  readonly mayWait: boolean;
  /** Evaluations of this request that ended in `waitFor` before this one; 0 on the first run. */
  readonly waits: number;
  /** `nowMs` of the first evaluation of this request; relative waits count from it. Equals `nowMs` while `waits` is 0. */
  readonly firstRunMs: number;
  /** Number of requests that wait for the key; of those that came before this one, if it has waited for it itself. */
  waiterCount(space: Space, key: string): number;
}

/** A version of a key. */
export interface PastKey {
  /** Undefined: the key was deleted. */
  readonly value: Value | undefined;
  /** Partition time in ms at which the key expires; 0 = never. */
  readonly expiresAtMs: number;
  /** Commit timestamp of the version: its revision. */
  readonly version: Timestamp;
}

/**
 * Keys as they were. Changes of the present evaluation are not among it, nor is what expired but was not deleted yet told from
 * what is there, except by `keyAt` and `scanAt`. All throw ReplyError HISTORYGONE for what is not kept any more.
 */
export interface PastView {
  /** The key as it was at a moment: undefined if it was absent, or had expired by then. */
  keyAt(space: Space, key: string, at: Timestamp): PastKey | undefined;
  /** The version that was committed at exactly this timestamp; undefined if none was. */
  revision(space: Space, key: string, revision: Timestamp): PastKey | undefined;
  /** Versions of the key that are kept, the newest first, deletions among them; at most `count`. */
  history(space: Space, key: string, count: number): readonly PastKey[];
  /** As `View.scan`, of the keys that were there at a moment. */
  scanAt(request: ScanRequest, at: Timestamp): ScanPage;
  /** Oldest moment that can be read of every key. */
  readonly floor: Timestamp;
}

export type Savepoint = { readonly opaque: 'savepoint' };

export interface ScanRequest {
  readonly space: Space;
  /** 0n starts; otherwise what an earlier page returned as `next`. */
  readonly cursor: bigint;
  /** Keys to look at, at least 1; Infinity for all. */
  readonly count: number;
  /** Is asked for each key before it is loaded; one character a byte. */
  readonly matches: (key: string) => boolean;
  /** If set, only keys of this stored type (see VALUE_TYPES). */
  readonly type?: number;
}

export interface ScanPage {
  readonly keys: readonly string[];
  /** 0n when the scan is complete. */
  readonly next: bigint;
}

/** Thrown through command code by the view; carries what must be loaded. Only the evaluator may catch it. */
export abstract class NotResident {
  abstract readonly kind: string;
}
