/**
 * The past of some keys, as clients saw it at moments that they named. Every acknowledged write tells when it was committed, or a
 * later look at its value does; so what was there at each moment is known, but for writes of which nobody has heard.
 *
 * Rules: a look at a moment shows of each key the last write at or before it, whatever has happened since; the same moment always
 * looks the same; what was acknowledged before a moment was told lies at or before it, what began after that lies behind it; a
 * key's commit timestamps follow real time; the past is not refused while it is held, or younger than the retention.
 */
import { afterWhatEnded, type OutcomeKind, type Span, when } from './history.ts';

/** Its values are unique: no other write has the same. */
export interface PastWrite extends Span {
  readonly outcome: OutcomeKind;
  /** Commit timestamp; null if its client was not told. */
  readonly at: number | null;
  /** By key; null deletes. */
  readonly puts: ReadonlyMap<string, string | null>;
}

/** What there was of a key: a value, nothing (null), or something, nobody asked what (undefined). */
export interface Seen {
  readonly key: string;
  readonly value: string | null | undefined;
  /** Commit timestamp of the value, if it came with it. */
  readonly revision: number | null;
}

export interface PastLook extends Span {
  /** The moment; null is the present, of which only revisions count here. */
  readonly at: number | null;
  readonly seen: readonly Seen[];
}

/** What is kept of a key, the newest first; without value: it was deleted. */
export interface PastHistory extends Span {
  readonly key: string;
  readonly versions: readonly { readonly revision: number; readonly value: string | null }[];
}

/** The cluster's time, as a client was told. */
export interface ToldMoment extends Span {
  readonly at: number;
}

/** A look was refused: HISTORYGONE. */
export interface RefusedLook extends Span {
  readonly at: number;
}

/** Moments from `at` on can be read between these two times. */
export interface KeptMoment {
  readonly at: number;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Why: for messages. */
  readonly reason: string;
}

export interface PastRecord {
  readonly writes: readonly PastWrite[];
  readonly looks: readonly PastLook[];
  readonly histories: readonly PastHistory[];
  readonly moments: readonly ToldMoment[];
  readonly refused: readonly RefusedLook[];
  readonly kept: readonly KeptMoment[];
}

interface Change {
  readonly at: number;
  readonly value: string | null;
  readonly write: PastWrite;
}

interface KeyPast {
  /** By commit timestamp. */
  readonly changes: Change[];
  /** May have been committed, nobody knows when. */
  readonly maybes: { readonly value: string | null; readonly write: PastWrite }[];
}

const TOLD_MAX = 5;

export function checkPast(record: PastRecord): readonly string[] {
  const checker = new PastChecker(record);
  checker.check();
  return checker.broken.slice(0, TOLD_MAX);
}

class PastChecker {
  readonly broken: string[] = [];
  readonly #record: PastRecord;
  readonly #byValue = new Map<string, PastWrite>();
  /** Commit timestamps, as far as they are known. */
  readonly #at = new Map<PastWrite, number>();
  readonly #keys = new Map<string, KeyPast>();

  constructor(record: PastRecord) {
    this.#record = record;
    for (const write of record.writes) {
      if (write.at !== null) this.#at.set(write, write.at);
      for (const value of write.puts.values()) if (value !== null) this.#byValue.set(value, write);
    }
  }

  check(): void {
    for (const look of this.#record.looks) for (const seen of look.seen) this.#learn(look, seen);
    for (const history of this.#record.histories) {
      for (const { value, revision } of history.versions) {
        if (value !== null) this.#learn(history, { key: history.key, value, revision });
      }
    }
    this.#arrange();
    for (const look of this.#record.looks) for (const seen of look.seen) this.#checkSeen(look, seen);
    for (const history of this.#record.histories) this.#checkHistory(history);
    this.#checkRepetition();
    this.#checkMoments();
    this.#checkOrder();
    this.#checkRefusals();
  }

  /** A value is what some write put there, and has one revision. */
  #learn(span: Span, { key, value, revision }: Seen): void {
    if (value === null || value === undefined) return;
    const write = this.#byValue.get(value);
    if (write?.puts.get(key) !== value) {
      this.#tell(`${key} showed ${value}, which nobody wrote there (${when(span)})`);
      return;
    }
    if (write.outcome === 'failed') this.#tell(`${key} showed ${value}, whose write had failed (${when(span)})`);
    if (revision === null) return;
    const known = this.#at.get(write);
    if (known === undefined) this.#at.set(write, revision);
    else if (known !== revision) {
      this.#tell(`${key}: the revision of ${value} was ${revision} (${when(span)}), and is ${known}`);
    }
  }

  #arrange(): void {
    for (const write of this.#record.writes) {
      if (write.outcome === 'failed') continue;
      const at = this.#at.get(write);
      for (const [key, value] of write.puts) {
        const { changes, maybes } = this.#past(key);
        if (at === undefined) maybes.push({ value, write });
        else changes.push({ at, value, write });
      }
    }
    for (const [key, { changes }] of this.#keys) {
      changes.sort((a, b) => a.at - b.at);
      changes.forEach((change, i) => {
        if (change.at === changes[i + 1]?.at) this.#tell(`${key} was changed twice at ${change.at}`);
      });
    }
  }

  #past(key: string): KeyPast {
    let past = this.#keys.get(key);
    if (past === undefined) {
      past = { changes: [], maybes: [] };
      this.#keys.set(key, past);
    }
    return past;
  }

  #checkSeen(look: PastLook, { key, value }: Seen): void {
    if (look.at === null) return;
    const { changes, maybes } = this.#past(key);
    const last = changes.findLast(({ at }) => at <= (look.at ?? 0));
    const expected = last?.value ?? null;
    if (value === expected || (value === undefined && expected !== null)) return;
    const isPossible = maybes.some(
      (maybe) =>
        (value === undefined ? maybe.value !== null : maybe.value === value) && !this.#isLater(maybe.write, look),
    );
    if (isPossible) return;
    const shown = value === undefined ? 'something' : (value ?? 'nothing');
    const right = last === undefined ? 'nothing' : `${last.value ?? 'nothing'} since ${last.at}`;
    this.#tell(`${key} at ${look.at} showed ${shown} (${when(look)}), there was ${right}`);
  }

  /** It began when a moment not before that of the look had been told. */
  #isLater(write: PastWrite, look: PastLook): boolean {
    return this.#record.moments.some(({ at, endMs }) => at >= (look.at ?? 0) && endMs < write.startMs);
  }

  /** Whether a deletion found something to delete is not asked. */
  #checkHistory(history: PastHistory): void {
    const { key, versions } = history;
    const values = this.#past(key).changes.filter(({ value }) => value !== null);
    versions.forEach(({ revision }, i) => {
      const older = versions[i + 1];
      if (older === undefined) return;
      if (older.revision >= revision) {
        this.#tell(`${key}: revision ${older.revision} follows ${revision} (${when(history)})`);
      }
      const hole = values.find(({ at }) => at > older.revision && at < revision);
      if (hole !== undefined) {
        this.#tell(`${key}: ${hole.at} is missing between ${older.revision} and ${revision} (${when(history)})`);
      }
    });
    const newest = versions[0]?.revision ?? 0;
    const { changes, maybes } = this.#past(key);
    const last = changes.findLast(({ write }) => write.outcome === 'ok' && write.endMs < history.startMs);
    // A deletion of which its client had not heard yet may be in effect, and forgotten.
    const isGone = changes.some(
      ({ at, value, write }) => value === null && at > (last?.at ?? 0) && write.startMs < history.endMs,
    );
    const isPerhapsGone = newest === 0 && (isGone || maybes.some(({ value }) => value === null));
    if (last !== undefined && last.value !== null && last.at > newest && !isPerhapsGone) {
      this.#tell(`${key}: ${last.at} is missing, the newest is ${newest} (${when(history)})`);
    }
  }

  /** The same moment always looks the same. */
  #checkRepetition(): void {
    const before = new Map<string, { readonly value: string | null | undefined; readonly look: PastLook }>();
    for (const look of this.#record.looks) {
      if (look.at === null) continue;
      for (const { key, value } of look.seen) {
        const name = `${look.at} ${key}`;
        const first = before.get(name);
        if (first === undefined || first.value === undefined) before.set(name, { value, look });
        else if (value === undefined ? first.value === null : first.value !== value) {
          const was = first.value ?? 'nothing';
          const is = value ?? (value === null ? 'nothing' : 'something');
          this.#tell(`${key} at ${look.at} was ${was} (${when(first.look)}), then ${is} (${when(look)})`);
        }
      }
    }
  }

  #checkMoments(): void {
    const { moments, writes } = this.#record;
    for (const write of writes) {
      const at = this.#at.get(write);
      if (at === undefined || write.outcome === 'failed') continue;
      for (const moment of moments) {
        if (write.outcome === 'ok' && write.endMs < moment.startMs && at > moment.at) {
          this.#tell(`${moment.at} was told (${when(moment)}) after ${at} was acknowledged (${when(write)})`);
        } else if (moment.endMs < write.startMs && at <= moment.at) {
          this.#tell(`${at} was committed (${when(write)}) after ${moment.at} was told (${when(moment)})`);
        }
      }
    }
  }

  /** What began after another write of its key was acknowledged is younger. */
  #checkOrder(): void {
    for (const [key, { changes }] of this.#keys) {
      const spans = changes.map(({ at, write }) => ({ ...write, at }));
      afterWhatEnded(
        spans.map((span) => (span.outcome === 'ok' ? span : { ...span, endMs: Number.POSITIVE_INFINITY })),
        (one, other) => one.at > other.at,
        (later, best) => {
          if (later.at <= best.at)
            this.#tell(`${key}: ${later.at} (${when(later)}) came after ${best.at} (${when(best)})`);
        },
      );
    }
  }

  #checkRefusals(): void {
    const { refused, kept } = this.#record;
    for (const look of refused) {
      const keeper = kept.find(
        ({ at, fromMs, untilMs }) => at <= look.at && fromMs <= look.startMs && look.endMs <= untilMs,
      );
      if (keeper === undefined) continue;
      this.#tell(`${look.at} was gone (${when(look)}), but ${keeper.at} and later is kept: ${keeper.reason}`);
    }
  }

  #tell(text: string): void {
    this.broken.push(`past: ${text}`);
  }
}
