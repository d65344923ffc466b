import type { Timestamp } from '../base/ids.ts';

/**
 * A fenced lock (KAHUNA.LOCK). The record outlives release and expiry, because the token counter must never fall.
 */
export class Lock {
  /** Highest fencing token ever granted, from 1; never falls, whatever happens to the lock. */
  readonly token: number;
  /** Owner of the present grant, one character a byte; null while free. */
  readonly owner: string | null;
  /** Partition time (ms) at which the grant lapses; 0 while free. */
  readonly expiresAtMs: number;
  /** Commit timestamp of the present grant; 0 while free. */
  readonly acquiredAt: Timestamp;

  constructor(fields: {
    readonly token: number;
    readonly owner: string | null;
    readonly expiresAtMs: number;
    readonly acquiredAt: Timestamp;
  }) {
    this.token = fields.token;
    this.owner = fields.owner;
    this.expiresAtMs = fields.expiresAtMs;
    this.acquiredAt = fields.acquiredAt;
  }
}
