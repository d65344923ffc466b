/** The open client connections of this node, by id, and what concerns several of them. */
import { mustExist } from '../base/assert.ts';
import type { Connection } from '../base/platform.ts';
import type { ServerContext } from './context.ts';
import { LINGER_MS } from './limits.ts';
import { GATE, STALL, Session } from './session.ts';

export class Clients {
  readonly #sessions = new Map<number, Session>();
  #context: ServerContext | null = null;
  /** Sessions whose connection still exists, those that are closing too. */
  readonly #open = new Set<Session>();
  #onAllGone: (() => void) | null = null;
  /** Rises by one a connection, never reused (CLIENT ID). */
  #lastId = 0;

  /** Called once, when the context that holds this object is complete. */
  attach(context: ServerContext): void {
    this.#context = context;
  }

  get count(): number {
    return this.#sessions.size;
  }

  get lastId(): number {
    return this.#lastId;
  }

  open(connection: Connection): Session {
    const context = mustExist(this.#context, 'clients are opened before the server is built');
    const session = new Session(context, connection, ++this.#lastId);
    this.#sessions.set(session.id, session);
    this.#open.add(session);
    context.stats.clientsPeak = Math.max(context.stats.clientsPeak, this.#sessions.size);
    connection.attach(session);
    return session;
  }

  remove(session: Session): void {
    this.#sessions.delete(session.id);
    if (session.isMonitor) this.#context?.monitors.remove(session);
  }

  get(id: number): Session | undefined {
    return this.#sessions.get(id);
  }

  all(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  blockedCount(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.blockedWork !== null) count++;
    return count;
  }

  /** Sessions that stopped at a pause go on. */
  endPause(): void {
    for (const session of this.#sessions.values()) session.unstall(STALL.paused);
  }

  /**
   * After `requirepass` changed: who is connected stays authenticated, as in Redis; with no password left, everybody is.
   */
  passwordChanged(isRequired: boolean): void {
    if (isRequired) return;
    for (const session of this.#sessions.values()) {
      if ((session.gate & GATE.unauthenticated) !== 0) session.setAuthenticated(true);
    }
  }

  /** Closes clients that were idle for longer than `timeout`, and those that do not take their replies. */
  sweep(nowMs: number): void {
    const context = mustExist(this.#context, 'clients are swept before the server is built');
    const idleMsMax = context.live.idleTimeoutMs;
    for (const session of this.#sessions.values()) {
      if (idleMsMax > 0 && session.isQuiet && !session.isMonitor && nowMs - session.lastActiveMs > idleMsMax) {
        context.stats.idleDisconnects++;
        context.log.debug('a client was closed: idle', { client: session.id });
        session.kill();
        continue;
      }
      session.checkOutput(nowMs);
    }
  }

  /** Ends all connections: each client may take the replies that are ready, for at most LINGER_MS. */
  closeAll(): Promise<void> {
    const { timers } = mustExist(this.#context, 'clients are closed before the server is built').platform;
    for (const session of [...this.#sessions.values()]) session.shut();
    return new Promise((resolve) => {
      const timer = timers.after(LINGER_MS, () => {
        for (const session of [...this.#open]) session.connection.destroy();
        resolve();
      });
      this.#onAllGone = () => {
        timer.cancel();
        resolve();
      };
      this.#checkAllGone();
    });
  }

  /** The connection of a session is gone; nothing of it is left. */
  gone(session: Session): void {
    this.#open.delete(session);
    this.#checkAllGone();
  }

  #checkAllGone(): void {
    if (this.#open.size > 0 || this.#onAllGone === null) return;
    this.#onAllGone();
    this.#onAllGone = null;
  }
}
