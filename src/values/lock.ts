import type { Timestamp } from '../base/ids.ts';

/**
 * A fenced lock (KAHUNA.LOCK), or the count of those who won the key of this name by SET NX with an expiry
 * (commands/lock-tokens.ts). The record outlives release and expiry, because the tokens of a name must never fall.
 */
export class Lock {
  /** Fencing token of the present grant, from 1; while free, the highest ever granted. */
  readonly token: number;
  /** Highest fencing token ever granted; never falls. Above `token` if the key of this name was won while the lock is held. */
  readonly highestToken: number;
  /** Owner of the present grant, one character a byte; null while free. */
  readonly owner: string | null;
  /** Partition time (ms) at which the grant lapses; 0 while free. */
  readonly expiresAtMs: number;
  /** Commit timestamp of the present grant; 0 while free. */
  readonly acquiredAt: Timestamp;

  constructor(fields: {
    readonly token: number;
    /** Absent: `token` is the highest. */
    readonly highestToken?: number;
    readonly owner: string | null;
    readonly expiresAtMs: number;
    readonly acquiredAt: Timestamp;
  }) {
    this.token = fields.token;
    this.highestToken = fields.highestToken ?? fields.token;
    this.owner = fields.owner;
    this.expiresAtMs = fields.expiresAtMs;
    this.acquiredAt = fields.acquiredAt;
  }
}
