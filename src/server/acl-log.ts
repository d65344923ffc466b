/** ACL LOG: failed authentications, newest first, in memory (acl.c addACLLogEntry). */
import { DoubleReply, MapReply, type Reply } from '../resp/reply.ts';
import { ACL_LOG_ENTRIES_MAX, ACL_LOG_MERGE_MS } from './limits.ts';

interface Entry {
  readonly id: number;
  count: number;
  readonly object: string;
  readonly user: string;
  readonly clientInfo: string;
  readonly createdWallMs: number;
  updatedWallMs: number;
}

export interface FailedAuthentication {
  /** The command: AUTH or hello, as Redis writes them. */
  readonly object: string;
  readonly user: string;
  /** The client as CLIENT INFO shows it. */
  readonly clientInfo: string;
  readonly wallMs: number;
}

export class AclLog {
  /** Newest first. */
  #entries: Entry[] = [];
  #nextId = 0;

  /** Failures of one user by one command within a minute are one entry with a count. */
  record({ object, user, clientInfo, wallMs }: FailedAuthentication): void {
    const same = this.#entries.find(
      (entry) => entry.object === object && entry.user === user && wallMs - entry.updatedWallMs <= ACL_LOG_MERGE_MS,
    );
    if (same !== undefined) {
      same.count++;
      same.updatedWallMs = wallMs;
      this.#entries = [same, ...this.#entries.filter((entry) => entry !== same)];
      return;
    }
    this.#entries.unshift({
      id: this.#nextId++,
      count: 1,
      object,
      user,
      clientInfo,
      createdWallMs: wallMs,
      updatedWallMs: wallMs,
    });
    if (this.#entries.length > ACL_LOG_ENTRIES_MAX) this.#entries.length = ACL_LOG_ENTRIES_MAX;
  }

  reset(): void {
    this.#entries = [];
  }

  /** The newest `count` entries. */
  reply(count: number, wallMs: number): Reply {
    return this.#entries.slice(0, count).map(
      (entry) =>
        new MapReply([
          ['count', entry.count],
          ['reason', 'auth'],
          ['context', 'toplevel'],
          ['object', entry.object],
          ['username', entry.user],
          ['age-seconds', new DoubleReply(Math.max(0, wallMs - entry.updatedWallMs) / 1000)],
          ['client-info', entry.clientInfo],
          ['entry-id', entry.id],
          ['timestamp-created', entry.createdWallMs],
          ['timestamp-last-updated', entry.updatedWallMs],
        ]),
    );
  }
}
