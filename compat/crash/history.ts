/**
 * What clients did and saw. Times are milliseconds of one monotonic clock, because all clients live in one process.
 *
 * An operation that ended `unknown` may take effect at any later moment, whatever its `endMs` (when the client gave up);
 * so whoever issued it never touches the same single-writer key again, and no check takes its end for a bound.
 */

export type OutcomeClass = 'ok' | 'failed' | 'unknown';

interface Common {
  readonly worker: number;
  /** The node whose connection was used. */
  readonly node: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: OutcomeClass;
  /** Why it was not ok; else empty. */
  readonly reason: string;
}

/** Each key has one writer, which writes 1, 2, 3 … */
export interface RegisterWrite extends Common {
  readonly kind: 'register-write';
  readonly key: string;
  readonly value: number;
}

/** `value` 0 stands for an absent key. */
export interface RegisterRead extends Common {
  readonly kind: 'register-read';
  readonly key: string;
  readonly value: number;
}

export interface Increment extends Common {
  readonly kind: 'increment';
  readonly key: string;
  /** The reply; 0 unless ok. */
  readonly value: number;
}

/** SET key token NX. */
export interface Claim extends Common {
  readonly kind: 'claim';
  readonly key: string;
  readonly token: string;
  readonly hasWon: boolean;
}

/** MULTI, INCR of two keys, EXEC. */
export interface PairIncrement extends Common {
  readonly kind: 'pair-increment';
  readonly values: readonly [number, number];
}

/** MGET of the two keys. */
export interface PairRead extends Common {
  readonly kind: 'pair-read';
  readonly values: readonly [number, number];
}

export interface LockAcquire extends Common {
  readonly kind: 'lock-acquire';
  readonly resource: string;
  readonly owner: string;
  readonly ttlMs: number;
  /** Null if it was refused. */
  readonly token: number | null;
}

export interface LockExtend extends Common {
  readonly kind: 'lock-extend';
  readonly resource: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly token: number | null;
}

export interface LockRelease extends Common {
  readonly kind: 'lock-release';
  readonly resource: string;
  readonly owner: string;
  readonly isReleased: boolean;
}

/** NEXT or RESERVE; the same `id` may come again, through any node. */
export interface SequenceTake extends Common {
  readonly kind: 'sequence-take';
  readonly name: string;
  readonly id: string;
  readonly first: number;
  readonly last: number;
}

export type Operation =
  | RegisterWrite
  | RegisterRead
  | Increment
  | Claim
  | PairIncrement
  | PairRead
  | LockAcquire
  | LockExtend
  | LockRelease
  | SequenceTake;

export type OperationKind = Operation['kind'];

/** What is there after everything has healed, as each node answers. */
export interface FinalState {
  readonly node: string;
  readonly registers: ReadonlyMap<string, number>;
  readonly counters: ReadonlyMap<string, number>;
  /** Null if absent. */
  readonly claims: ReadonlyMap<string, string | null>;
  readonly pair: readonly [number, number];
  /** Highest token ever granted, by resource. */
  readonly lockTokens: ReadonlyMap<string, number>;
}

export interface Fault {
  readonly kind: string;
  /** Nodes whose own clients may see errors. */
  readonly nodes: readonly string[];
  readonly startMs: number;
  /** When the last of these nodes served again. */
  endMs: number;
  /** The killed or stopped node was the leader. */
  readonly hitLeader: boolean;
  /** A majority lived on: clients of the other nodes must see no error. */
  readonly keepsQuorum: boolean;
}

export interface History {
  readonly operations: readonly Operation[];
  readonly finals: readonly FinalState[];
  readonly faults: readonly Fault[];
}
