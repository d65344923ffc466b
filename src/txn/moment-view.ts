/**
 * What an evaluation sees that reads a moment (KAHUNA.ASOF): keys of any partitions as they were then, fetched from their leaders.
 * What was not fetched yet ends the evaluation with NotFetched or PageNotFetched; it is fetched, and it runs again. Nothing can
 * be changed. The time is that of the moment, so what had expired by then is absent.
 */
import { mustExist } from '../base/assert.ts';
import { msOfTimestamp } from '../base/hlc.ts';
import type { Timestamp } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import {
  type KeyObject,
  NotResident,
  type PastView,
  type Savepoint,
  type ScanPage,
  type ScanRequest,
  type View,
} from '../commands/view.ts';
import { RequestAborted, WaitForKey } from '../partition/evaluation-ends.ts';
import type { KeyName } from '../partition/key-locks.ts';
import type { ObjectAt } from '../partition/moment-codec.ts';
import { cursorAtSlot } from '../partition/scanner.ts';
import { MOMENT_NAMED, MOMENT_READ_ONLY } from '../resp/errors.ts';
import { type ErrorReply, type Protocol, ReplyError } from '../resp/reply.ts';
import { SLOT_COUNT } from '../base/ids.ts';
import { residentBytes } from '../values/memory.ts';
import type { Space, Value } from '../values/value.ts';
import { NotFetched } from './transaction-view.ts';

/** Which keys of a space there were, from a cursor on. */
export type PageRequest = Pick<ScanRequest, 'space' | 'cursor' | 'count' | 'type'>;

export class PageNotFetched extends NotResident {
  override readonly kind = 'page';
  readonly request: PageRequest;
  constructor(request: PageRequest) {
    super();
    this.request = request;
  }
}

/** Keys that RANDOMKEY chooses from, from a random place on. */
const RANDOM_PAGE_KEYS = 64;
const NOTHING: Savepoint = { opaque: 'savepoint' };

export class MomentView implements View {
  readonly nowMs: number;
  readonly random: Random;
  protocol: Protocol = 2;
  countsLookups = false;
  hits = 0;
  misses = 0;
  scriptMs = 0;
  readonly revision = 0;
  readonly mayWait = false;
  readonly waits = 0;
  readonly timestamp: Timestamp;
  readonly past = ITS_OWN_MOMENT;
  readonly #objects = new Map<string, ObjectAt>();
  readonly #pages: { readonly request: PageRequest; readonly page: ScanPage }[] = [];
  /** The same in every evaluation of a request. */
  readonly #randomCursor: bigint;

  constructor(at: Timestamp, random: Random) {
    this.timestamp = at;
    this.nowMs = msOfTimestamp(at);
    this.random = random;
    this.#randomCursor = cursorAtSlot(random.u32() % SLOT_COUNT);
  }

  // -------------------------------------------------------------------------------------------------------------
  // For whoever reads

  fetched({ space, key }: KeyName, object: ObjectAt): void {
    this.#objects.set(nameOf(space, key), object);
  }

  fetchedPage(request: PageRequest, page: ScanPage): void {
    this.#pages.push({ request, page });
  }

  /** A new evaluation, from the beginning. */
  begin(protocol: Protocol): void {
    this.protocol = protocol;
    this.countsLookups = false;
    this.hits = 0;
    this.misses = 0;
    this.scriptMs = 0;
  }

  // -------------------------------------------------------------------------------------------------------------
  // View

  get firstRunMs(): number {
    return this.nowMs;
  }

  find(space: Space, key: string): KeyObject | undefined {
    const name = nameOf(space, key);
    if (!this.#objects.has(name)) throw new NotFetched(space, key);
    const found = this.#objects.get(name) ?? null;
    if (this.countsLookups) {
      if (found === null) this.misses++;
      else this.hits++;
    }
    if (found === null) return undefined;
    const { value, expiresAtMs, version } = found;
    const memoryBytes = residentBytes(key, value);
    return { value, expiresAtMs, version, memoryBytes, accessedAtSeconds: Math.floor(this.nowMs / 1_000) };
  }

  peek(space: Space, key: string): KeyObject | undefined {
    return this.find(space, key);
  }

  touch(space: Space, key: string): boolean {
    return this.find(space, key) !== undefined;
  }

  version(space: Space, key: string): Timestamp {
    return this.find(space, key)?.version ?? 0;
  }

  put(_space: Space, _key: string, _value: Value, _expiresAtMs: number): never {
    return refuse();
  }

  remove(space: Space, key: string): false {
    return this.find(space, key) === undefined ? false : refuse();
  }

  flush(): never {
    return refuse();
  }

  beforeAllKeys(): void {
    // It sees all partitions.
  }

  randomKey(space: Space): string | undefined {
    let cursor = this.#randomCursor;
    for (let hasWrapped = false; ; ) {
      const { keys, next } = this.#page({ space, cursor, count: RANDOM_PAGE_KEYS });
      if (keys.length > 0) return keys[this.random.u32() % keys.length];
      cursor = next;
      if (cursor !== 0n) continue;
      if (hasWrapped) return undefined;
      hasWrapped = true;
    }
  }

  keyCount(space: Space): number {
    return this.#page({ space, cursor: 0n, count: Number.POSITIVE_INFINITY }).keys.length;
  }

  expiring(): { readonly count: number; readonly averageTtlMs: number } {
    return { count: 0, averageTtlMs: 0 };
  }

  scan(request: ScanRequest): ScanPage {
    const { keys, next } = this.#page(request);
    return { keys: keys.filter((key) => request.matches(key)), next };
  }

  savepoint(): Savepoint {
    return NOTHING;
  }

  rollback(_savepoint: Savepoint): void {
    // Nothing was changed.
  }

  abort(reply: ErrorReply): never {
    throw new RequestAborted(reply);
  }

  waitFor(space: Space, key: string, deadlineMs: number): never {
    throw new WaitForKey(space, key, deadlineMs);
  }

  waiterCount(): number {
    return 0;
  }

  // -------------------------------------------------------------------------------------------------------------

  /** All pages show the same moment, so one that was asked for twice is the same. */
  #page({ space, cursor, count, type }: PageRequest): ScanPage {
    const request = { space, cursor, count, ...(type === undefined ? {} : { type }) };
    const found = this.#pages.find(({ request: other }) => isSame(other, request));
    if (found === undefined) throw new PageNotFetched(request);
    return mustExist(found.page, 'a fetched page is kept');
  }
}

/** What names a moment of its own is not for a connection that reads another one. */
const ITS_OWN_MOMENT: PastView = {
  keyAt: refuseNamed,
  revision: refuseNamed,
  history: refuseNamed,
  scanAt: refuseNamed,
  get floor(): never {
    return refuseNamed();
  },
};

function isSame(a: PageRequest, b: PageRequest): boolean {
  return a.space === b.space && a.cursor === b.cursor && a.count === b.count && a.type === b.type;
}

function refuse(): never {
  throw new ReplyError(MOMENT_READ_ONLY);
}

function refuseNamed(): never {
  throw new ReplyError(MOMENT_NAMED);
}

function nameOf(space: Space, key: string): string {
  return `${space}:${key}`;
}
