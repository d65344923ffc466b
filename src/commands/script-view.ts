/**
 * What the commands of a script see: the view of the request, in which nothing waits, and the protocol is the one that
 * the script chose. One instance serves all scripts of a partition, one after the other.
 */
import type { Timestamp } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import type { ErrorReply, Protocol } from '../resp/reply.ts';
import type { Space, Value } from '../values/value.ts';
import type { KeyObject, PastView, Savepoint, ScanPage, ScanRequest, View } from './view.ts';

const DETACHED = new Error('a script uses its view after its end');

export class ScriptView implements View {
  /** As the script chose it with redis.setresp. */
  protocol: Protocol = 2;
  /** A command that would wait answers as if its time were over. */
  readonly mayWait = false;
  #inner: View | null = null;

  attach(view: View): void {
    this.#inner = view;
    this.protocol = 2;
  }

  detach(): void {
    this.#inner = null;
  }

  get #view(): View {
    if (this.#inner === null) throw DETACHED;
    return this.#inner;
  }

  get nowMs(): number {
    return this.#view.nowMs;
  }

  get timestamp(): Timestamp {
    return this.#view.timestamp;
  }

  get revision(): Timestamp {
    return this.#view.revision;
  }

  get past(): PastView {
    return this.#view.past;
  }

  version(space: Space, key: string): Timestamp {
    return this.#view.version(space, key);
  }

  get random(): Random {
    return this.#view.random;
  }

  get countsLookups(): boolean {
    return this.#view.countsLookups;
  }

  set countsLookups(counts: boolean) {
    this.#view.countsLookups = counts;
  }

  get scriptMs(): number {
    return this.#view.scriptMs;
  }

  get waits(): number {
    return this.#view.waits;
  }

  get firstRunMs(): number {
    return this.#view.firstRunMs;
  }

  find(space: Space, name: string): KeyObject | undefined {
    return this.#view.find(space, name);
  }

  touch(space: Space, name: string): boolean {
    return this.#view.touch(space, name);
  }

  peek(space: Space, name: string): KeyObject | undefined {
    return this.#view.peek(space, name);
  }

  put(space: Space, name: string, value: Value, expiresAtMs: number, forgetsPast?: boolean): void {
    this.#view.put(space, name, value, expiresAtMs, forgetsPast);
  }

  remove(space: Space, name: string): boolean {
    return this.#view.remove(space, name);
  }

  beforeAllKeys(): void {
    this.#view.beforeAllKeys();
  }

  randomKey(space: Space): string | undefined {
    this.beforeAllKeys();
    return this.#view.randomKey(space);
  }

  keyCount(space: Space): number {
    this.beforeAllKeys();
    return this.#view.keyCount(space);
  }

  expiring(database: Space): { readonly count: number; readonly averageTtlMs: number } {
    this.beforeAllKeys();
    return this.#view.expiring(database);
  }

  scan(request: ScanRequest): ScanPage {
    this.beforeAllKeys();
    return this.#view.scan(request);
  }

  flush(space: Space | 'all'): void {
    this.beforeAllKeys();
    this.#view.flush(space);
  }

  savepoint(): Savepoint {
    return this.#view.savepoint();
  }

  rollback(savepoint: Savepoint): void {
    this.#view.rollback(savepoint);
  }

  abort(reply: ErrorReply): never {
    return this.#view.abort(reply);
  }

  waitFor(space: Space, name: string, deadlineMs: number): never {
    return this.#view.waitFor(space, name, deadlineMs);
  }

  waiterCount(space: Space, name: string): number {
    return this.#view.waiterCount(space, name);
  }
}
