/**
 * The contract of View, done the plain way: maps, copies of maps as savepoints, nothing ever missing from memory.
 *
 * It is stricter than any real view where command code could go wrong unseen: an object that was handed out turns to
 * garbage as soon as its key changes, changes are counted so that a read-only row can be caught writing, and a value that
 * is not in canonical form is refused.
 */
import { assert } from '../../src/base/assert.ts';
import { msOfTimestamp, nextTimestamp } from '../../src/base/hlc.ts';
import type { Timestamp } from '../../src/base/ids.ts';
import type { Random } from '../../src/base/platform.ts';
import type { KeyObject, PastKey, PastView, Savepoint, ScanPage, ScanRequest, View } from '../../src/commands/view.ts';
import { fail, futureMoment, historyGone } from '../../src/resp/errors.ts';
import type { ErrorReply, Protocol } from '../../src/resp/reply.ts';
import { typeOf } from '../../src/values/codec.ts';
import { residentBytes } from '../../src/values/memory.ts';
import { STRING_INLINE_BYTES_MAX } from '../../src/values/string.ts';
import { DATABASE_COUNT, SPACE_COUNT, type Space, VALUE_TYPES, type Value } from '../../src/values/value.ts';
import { SeededRandom } from './seeded-random.ts';

const START_MS = 1_700_000_000_000;

/** Thrown by `waitFor`. */
export class Parked {
  readonly space: Space;
  readonly key: string;
  readonly deadlineMs: number;
  constructor(space: Space, key: string, deadlineMs: number) {
    this.space = space;
    this.key = key;
    this.deadlineMs = deadlineMs;
  }
}

/** Thrown by `abort`. */
export class Aborted {
  readonly reply: ErrorReply;
  constructor(reply: ErrorReply) {
    this.reply = reply;
  }
}

class StoredKey implements KeyObject {
  value: Value;
  expiresAtMs: number;
  version: Timestamp;
  memoryBytes: number;
  accessedAtSeconds: number;

  constructor(fields: KeyObject) {
    this.value = fields.value;
    this.expiresAtMs = fields.expiresAtMs;
    this.version = fields.version;
    this.memoryBytes = fields.memoryBytes;
    this.accessedAtSeconds = fields.accessedAtSeconds;
  }

  /** Whoever still looks at it gets what no command can have meant. */
  spoil(): void {
    this.value = 'an object that was used after its key had changed';
    this.expiresAtMs = Number.NaN;
    this.version = Number.NaN;
    this.memoryBytes = Number.NaN;
  }
}

type Spaces = readonly Map<string, StoredKey>[];

/** Every version of every key that there ever was, in order of commit. */
class Log implements PastView {
  floor: Timestamp = 0;
  readonly #view: { readonly nowMs: number };
  entries: (PastKey & { readonly space: Space; readonly key: string })[] = [];

  constructor(view: { readonly nowMs: number }) {
    this.#view = view;
  }

  keyAt(space: Space, key: string, at: Timestamp): PastKey | undefined {
    this.#checkMoment(at);
    const found = this.#of(space, key).findLast(({ version }) => version <= at);
    if (found?.value === undefined) return undefined;
    return found.expiresAtMs !== 0 && found.expiresAtMs <= msOfTimestamp(at) ? undefined : found;
  }

  revision(space: Space, key: string, revision: Timestamp): PastKey | undefined {
    const found = this.#of(space, key).findLast(({ version }) => version === revision);
    if (found === undefined && revision < this.floor) fail(historyGone(revision, this.floor));
    return found?.value === undefined ? undefined : found;
  }

  history(space: Space, key: string, count: number): readonly PastKey[] {
    const versions = this.#of(space, key).reverse();
    const last = versions.findIndex(({ version }) => version <= this.floor);
    return (last === -1 ? versions : versions.slice(0, last + 1)).slice(0, count);
  }

  scanAt(request: ScanRequest, at: Timestamp): ScanPage {
    this.#checkMoment(at);
    const names = [
      ...new Set(this.entries.filter(({ space }) => space === request.space).map(({ key }) => key)),
    ].sort();
    const keys = names.slice(Number(request.cursor), Number(request.cursor) + request.count);
    const end = Number(request.cursor) + keys.length;
    return {
      keys: keys.filter((key) => request.matches(key) && this.keyAt(request.space, key, at) !== undefined),
      next: end >= names.length ? 0n : BigInt(end),
    };
  }

  #checkMoment(at: Timestamp): void {
    const aheadMs = msOfTimestamp(at) - this.#view.nowMs;
    if (aheadMs > 60_000) fail(futureMoment(aheadMs));
    if (at < this.floor) fail(historyGone(at, this.floor));
  }

  /** Of several changes at one moment only the last counts. */
  #of(space: Space, key: string): PastKey[] {
    const all = this.entries.filter((entry) => entry.space === space && entry.key === key);
    return all.filter(({ version }, i) => all[i + 1]?.version !== version);
  }
}

export class MemoryView implements View {
  readonly #absentVersions = new Map<string, Timestamp>();
  nowMs = START_MS;
  firstRunMs = START_MS;
  protocol: Protocol = 2;
  mayWait = true;
  countsLookups = false;
  scriptMs = 0;
  waits = 0;
  readonly random: Random = new SeededRandom(1);
  /** Calls of `put`, `remove` that found something, and `flush`. */
  changeCount = 0;
  /** Waiting requests by resource name. */
  readonly waiters = new Map<string, number>();
  #spaces: Spaces = emptySpaces();
  #lastTimestamp: Timestamp = 0;
  readonly past = new Log(this);
  /** Last key of each page that was handed out; the cursor is the index plus one. */
  readonly #pages: string[] = [];

  get timestamp(): Timestamp {
    return nextTimestamp(this.#lastTimestamp, this.nowMs);
  }

  get revision(): Timestamp {
    return this.timestamp;
  }

  /** Lets partition time pass, as between two requests. */
  advance(ms: number): void {
    this.nowMs += ms;
    if (this.waits === 0) this.firstRunMs = this.nowMs;
  }

  find(space: Space, key: string): KeyObject | undefined {
    const stored = this.#live(space, key);
    if (stored === undefined) return undefined;
    const handedOut = new StoredKey(stored);
    stored.accessedAtSeconds = Math.floor(this.nowMs / 1000);
    return this.#track(space, key, handedOut);
  }

  touch(space: Space, key: string): boolean {
    return this.find(space, key) !== undefined;
  }

  peek(space: Space, key: string): KeyObject | undefined {
    const stored = this.#live(space, key);
    return stored === undefined ? undefined : this.#track(space, key, new StoredKey(stored));
  }

  version(space: Space, key: string): Timestamp {
    return this.#live(space, key)?.version ?? this.#absentVersions.get(`${space}:${key}`) ?? 0;
  }

  put(space: Space, key: string, value: Value, expiresAtMs: number, forgetsPast = false): void {
    assert(Number.isSafeInteger(expiresAtMs), `${expiresAtMs} is no time of expiry`);
    assert(typeof value !== 'string' || value.length <= STRING_INLINE_BYTES_MAX, 'a long string must be paged');
    // biome-ignore lint: the whole range of a byte
    assert(typeof value !== 'string' || /^[\x00-\xff]*$/.test(value), 'a string holds one byte a character');
    this.changeCount += 1;
    this.#spoil(space, key);
    this.#lastTimestamp = this.timestamp;
    const keys = this.#space(space);
    if (expiresAtMs !== 0 && expiresAtMs <= this.nowMs) {
      this.#absentVersions.set(`${space}:${key}`, this.#lastTimestamp);
      keys.delete(key);
      this.past.entries.push({ space, key, version: this.#lastTimestamp, value: undefined, expiresAtMs: 0 });
      return;
    }
    if (forgetsPast)
      this.past.entries = this.past.entries.filter((entry) => entry.space !== space || entry.key !== key);
    this.past.entries.push({ space, key, version: this.#lastTimestamp, value, expiresAtMs });
    const memoryBytes = residentBytes(key, value);
    keys.set(
      key,
      new StoredKey({
        value,
        expiresAtMs,
        version: this.#lastTimestamp,
        memoryBytes,
        accessedAtSeconds: Math.floor(this.nowMs / 1000),
      }),
    );
  }

  remove(space: Space, key: string): boolean {
    const isLive = this.#live(space, key) !== undefined;
    if (isLive) this.changeCount += 1;
    this.#spoil(space, key);
    this.#space(space).delete(key);
    if (isLive) {
      this.#lastTimestamp = this.timestamp;
      this.#absentVersions.set(`${space}:${key}`, this.#lastTimestamp);
      this.past.entries.push({ space, key, version: this.#lastTimestamp, value: undefined, expiresAtMs: 0 });
    }
    return isLive;
  }

  beforeAllKeys(): void {
    // All keys are here.
  }

  randomKey(space: Space): string | undefined {
    const keys = this.keysOf(space);
    return keys[this.random.u32() % Math.max(1, keys.length)];
  }

  keyCount(space: Space): number {
    return this.#space(space).size;
  }

  expiring(database: Space): { readonly count: number; readonly averageTtlMs: number } {
    const left = [...this.#space(database).values()].flatMap(({ expiresAtMs }) =>
      expiresAtMs === 0 ? [] : [expiresAtMs - this.nowMs],
    );
    const sum = left.reduce((a, b) => a + b, 0);
    return { count: left.length, averageTtlMs: left.length === 0 ? 0 : Math.round(sum / left.length) };
  }

  scan(request: ScanRequest): ScanPage {
    const all = this.keysOf(request.space);
    const after = request.cursor === 0n ? undefined : this.#pages[Number(request.cursor) - 1];
    const start = after === undefined ? 0 : all.findIndex((key) => key > after);
    const looked = start === -1 ? [] : all.slice(start, start + request.count);
    const last = looked.at(-1);
    const isEnd = last === undefined || last === all.at(-1);
    return {
      keys: looked.filter((key) => request.matches(key) && this.#hasType(request.space, key, request.type)),
      next: isEnd ? 0n : BigInt(this.#pages.push(last)),
    };
  }

  flush(space: Space | 'all'): void {
    this.changeCount += 1;
    for (let database = 0; database < DATABASE_COUNT; database++) {
      if (space === 'all' || space === database) this.#space(database).clear();
    }
  }

  savepoint(): Savepoint {
    return new Copy(
      this.#spaces.map((keys) => new Map([...keys].map(([key, stored]) => [key, new StoredKey(stored)]))),
      this.past.entries.slice(),
    );
  }

  rollback(savepoint: Savepoint): void {
    assert(savepoint instanceof Copy, 'a savepoint of another view');
    this.#spaces = savepoint.spaces;
    this.past.entries = [...savepoint.entries];
  }

  abort(reply: ErrorReply): never {
    throw new Aborted(reply);
  }

  waitFor(space: Space, key: string, deadlineMs: number): never {
    assert(this.mayWait, 'nothing may wait here');
    throw new Parked(space, key, deadlineMs);
  }

  waiterCount(_space: Space, key: string): number {
    return this.waiters.get(key) ?? 0;
  }

  /** Live keys in order. */
  keysOf(space: Space): string[] {
    return [...this.#space(space).keys()].filter((key) => this.#live(space, key) !== undefined).sort();
  }

  readonly #handedOut = new Map<string, StoredKey[]>();

  #track(space: Space, key: string, handedOut: StoredKey): StoredKey {
    const name = `${space} ${key}`;
    const known = this.#handedOut.get(name);
    if (known === undefined) this.#handedOut.set(name, [handedOut]);
    else known.push(handedOut);
    return handedOut;
  }

  #spoil(space: Space, key: string): void {
    const name = `${space} ${key}`;
    for (const object of this.#handedOut.get(name) ?? []) object.spoil();
    this.#handedOut.delete(name);
  }

  #live(space: Space, key: string): StoredKey | undefined {
    const stored = this.#space(space).get(key);
    if (stored === undefined || stored.expiresAtMs === 0 || stored.expiresAtMs > this.nowMs) return stored;
    this.#space(space).delete(key);
    return undefined;
  }

  #hasType(space: Space, key: string, type: number | undefined): boolean {
    if (type === undefined) return true;
    const stored = this.#live(space, key);
    return stored !== undefined && VALUE_TYPES[typeOf(stored.value)] === type;
  }

  #space(space: Space): Map<string, StoredKey> {
    const keys = this.#spaces[space];
    assert(keys !== undefined, `there is no space ${space}`);
    return keys;
  }
}

class Copy {
  readonly opaque = 'savepoint' as const;
  readonly spaces: Spaces;
  readonly entries: Log['entries'];
  constructor(spaces: Spaces, entries: Log['entries']) {
    this.spaces = spaces;
    this.entries = entries;
  }
}

function emptySpaces(): Spaces {
  return Array.from({ length: SPACE_COUNT }, () => new Map<string, StoredKey>());
}
