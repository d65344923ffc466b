/**
 * Is what clients saw of one key linearizable? The search of Wing and Gong (1993), with Lowe's memory of configurations that
 * led nowhere (2017): a configuration is the set of operations that have taken effect and the value that they left.
 *
 * An operation takes effect at one moment between its start and its end. One with an unknown outcome may, at any moment after
 * its start; with many of them the plain search is hopeless. So:
 * - what is unknown, but wrote a value that nobody else wrote and somebody saw, has taken effect before that was seen: it is an
 *   operation like the others, with that for its end;
 * - the rest is kept apart, as a choice at each step, so that it does not keep the window of what is under way open for ever;
 * - values of the rest that nobody saw are one and the same value, and operations that do the same differ only in when they
 *   began: the earliest of them is tried alone;
 * - who led nowhere with some of the choices still open leads nowhere with fewer of them: a configuration is skipped if one
 *   with the same operations and value, and no other choices spent, was tried before.
 *
 * The cost is linear in the length and exponential in how many are under way at a time; after STEPS_MAX the search gives up
 * and says so.
 */
import { type OutcomeKind, type Span, when } from './history.ts';

export type RegisterAction =
  | { readonly kind: 'read' }
  /** Sets it, or clears it (null), whatever was there. */
  | { readonly kind: 'write'; readonly value: string | null }
  /** Sets if there is no value. */
  | { readonly kind: 'create'; readonly value: string }
  /** Sets if the value is `expected`. */
  | { readonly kind: 'swap'; readonly expected: string | null; readonly value: string | null }
  /** Clears, and answers whether something was there. */
  | { readonly kind: 'delete' }
  /** Sets or clears, and answers what was there. */
  | { readonly kind: 'exchange'; readonly value: string | null };

export interface RegisterOperation extends Span {
  readonly action: RegisterAction;
  readonly outcome: OutcomeKind;
  /** What was answered, if ok: reads the value, writes anything, conditional ones whether they took effect. */
  readonly answer?: string | null | boolean;
}

export interface RegisterVerdict {
  readonly verdict: 'linearizable' | 'not linearizable' | 'undecided';
  /** Where it fails, with the history around it. */
  readonly text: string;
}

const STEPS_MAX = 1_000_000;
/** Operations that are shown around the place where it fails. */
const SHOWN_BEFORE = 25;
const SHOWN_AFTER = 5;

export function checkRegister(key: string, operations: readonly RegisterOperation[]): RegisterVerdict {
  const { known, open } = sorted(operations);
  const search = new Search(known, open);
  const verdict = search.run();
  if (verdict !== 'not linearizable') return { verdict, text: '' };
  return { verdict, text: explain(key, operations, (known[search.deepest] as Item).operation) };
}

/** An operation as the search sees it. */
interface Item {
  readonly operation: RegisterOperation;
  readonly startMs: number;
  readonly endMs: number;
  /** Whether any answer would be right. */
  readonly isFree: boolean;
  /** A free one that surely did what it should. */
  readonly isEffective: boolean;
}

/** Stands for all values that nobody saw. */
const UNSEEN = '\u0000unseen';

/** Refused operations took no effect, unknown reads say nothing: they are left out. */
function sorted(operations: readonly RegisterOperation[]): {
  readonly known: readonly Item[];
  readonly open: readonly Item[];
} {
  const writers = new Map<string, number>();
  /** When a value had surely been written. */
  const seenMs = new Map<string, number>();
  for (const { action, outcome, answer, endMs } of operations) {
    const written = valueOf(action);
    if (written !== null && outcome !== 'failed') writers.set(written, (writers.get(written) ?? 0) + 1);
    if (outcome !== 'ok') continue;
    const seen =
      typeof answer === 'string' ? answer : action.kind === 'swap' && answer === true ? action.expected : null;
    if (seen !== null) seenMs.set(seen, Math.min(seenMs.get(seen) ?? Number.POSITIVE_INFINITY, endMs));
  }
  const expected = new Set(operations.map(({ action }) => (action.kind === 'swap' ? action.expected : null)));
  const known: Item[] = [];
  const open: Item[] = [];
  for (const operation of operations) {
    const { action, outcome, startMs, endMs } = operation;
    if (outcome === 'ok') known.push({ operation, startMs, endMs, isFree: false, isEffective: false });
    if (outcome !== 'unknown' || action.kind === 'read') continue;
    const value = valueOf(action);
    const seen = value === null ? undefined : seenMs.get(value);
    if (value !== null && seen !== undefined && writers.get(value) === 1) {
      known.push({ operation, startMs, endMs: seen, isFree: true, isEffective: true });
      continue;
    }
    const isHidden = value !== null && seen === undefined && !expected.has(value);
    const hidden = isHidden ? ({ ...operation, action: { ...action, value: UNSEEN } } as RegisterOperation) : operation;
    open.push({ operation: hidden, startMs, endMs: Number.POSITIVE_INFINITY, isFree: true, isEffective: false });
  }
  const byStart = (a: Item, b: Item): number => a.startMs - b.startMs;
  return { known: known.sort(byStart), open: open.sort(byStart) };
}

function valueOf(action: RegisterAction): string | null {
  return 'value' in action ? action.value : null;
}

/** Equal for actions that do the same, whatever they answer. */
function effectOf(action: RegisterAction): string {
  const value = valueOf(action);
  const sets = value === null ? 'clears' : `sets ${value}`;
  if (action.kind === 'create') return `creates ${action.value}`;
  return action.kind === 'swap' ? `if ${JSON.stringify(action.expected)} ${sets}` : sets;
}

/** The value after an operation that answered so; undefined if it could not have. */
function valueAfter({ operation, isFree, isEffective }: Item, value: string | null): string | null | undefined {
  const { action, answer } = operation;
  switch (action.kind) {
    case 'read':
      return answer === value ? value : undefined;
    case 'write':
      return action.value;
    case 'exchange':
      return isFree || answer === value ? action.value : undefined;
    case 'delete':
      return isFree || answer === (value !== null) ? null : undefined;
    case 'create':
    case 'swap': {
      const takesEffect = value === (action.kind === 'create' ? null : action.expected);
      if (isFree ? isEffective && !takesEffect : answer !== takesEffect) return undefined;
      return takesEffect ? action.value : value;
    }
  }
}

interface Frame {
  /** The first known operation that has not taken effect. */
  readonly start: number;
  /** The last one that has; -1 if none. */
  readonly end: number;
  readonly value: string | null;
  readonly earliestEnd: number;
  /** The next candidate: known ones from `start` on, and then the open ones. */
  next: number;
  /** The candidate that led to the frame above this one. */
  taken: number;
}

class Search {
  readonly #known: readonly Item[];
  readonly #open: readonly Item[];
  readonly #isDone: Uint8Array;
  readonly #isSpent: Uint8Array;
  /** By kind of open ones: those that do the same, by their start, and how many are spent (always the first ones). */
  readonly #kindOf: Uint16Array;
  readonly #spentCounts: Uint16Array;
  /** By configuration: how many of each kind of open ones were spent when it was tried. */
  readonly #tried = new Map<string, Uint16Array[]>();
  readonly #frames: Frame[] = [];
  #steps = 0;
  /** The furthest that any order came: this known one could not take effect. */
  deepest = 0;

  constructor(known: readonly Item[], open: readonly Item[]) {
    this.#known = known;
    this.#open = open;
    this.#isDone = new Uint8Array(known.length);
    this.#isSpent = new Uint8Array(open.length);
    const kinds = new Map<string, number>();
    this.#kindOf = Uint16Array.from(open, (item) => {
      const effect = effectOf(item.operation.action);
      const kind = kinds.get(effect) ?? kinds.size;
      kinds.set(effect, kind);
      return kind;
    });
    this.#spentCounts = new Uint16Array(kinds.size);
  }

  run(): RegisterVerdict['verdict'] {
    if (this.#enter(0, -1, null)) return 'linearizable';
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
      const after = this.#tryNext(frame);
      if (after === 'none') {
        this.#frames.pop();
        this.#undo();
        continue;
      }
      if (++this.#steps > STEPS_MAX) return 'undecided';
      const end = frame.taken < this.#known.length ? Math.max(frame.end, frame.taken) : frame.end;
      if (this.#enter(frame.start, end, after.value)) return 'linearizable';
    }
    return 'not linearizable';
  }

  /** True if nothing is left. What is no better than a configuration tried before is not entered. */
  #enter(from: number, end: number, value: string | null): boolean {
    let start = from;
    while (this.#isDone[start] === 1) start++;
    if (start >= this.#known.length) return true;
    if (start > this.deepest) this.deepest = start;
    if (this.#isTried(this.#configuration(start, end, value))) this.#undo();
    else this.#frames.push({ start, end, value, earliestEnd: this.#earliestEnd(start), next: start, taken: -1 });
    return false;
  }

  #isTried(configuration: string): boolean {
    const spent = this.#spentCounts;
    const tried = this.#tried.get(configuration);
    if (tried?.some((before) => before.every((count, i) => count <= (spent[i] ?? 0))) === true) return true;
    if (tried === undefined) this.#tried.set(configuration, [spent.slice()]);
    else tried.push(spent.slice());
    return false;
  }

  /** Whatever begins after another has ended comes after it. */
  #earliestEnd(start: number): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = start; i < this.#known.length; i++) {
      const { startMs, endMs } = this.#known[i] as Item;
      if (startMs > earliest) break;
      if (this.#isDone[i] === 0) earliest = Math.min(earliest, endMs);
    }
    return earliest;
  }

  #configuration(start: number, end: number, value: string | null): string {
    let text = `${start}`;
    for (let i = start; i <= end; i++) if (this.#isDone[i] === 1) text += `,${i}`;
    return value === null ? text : `${text}=${value}`;
  }

  /** Lets the next candidate take effect that can. */
  #tryNext(frame: Frame): { readonly value: string | null } | 'none' {
    const { earliestEnd, value } = frame;
    const knownCount = this.#known.length;
    while (frame.next < knownCount) {
      const i = frame.next++;
      const item = this.#known[i] as Item;
      if (item.startMs > earliestEnd) {
        frame.next = knownCount;
        break;
      }
      if (this.#isDone[i] === 1) continue;
      const after = valueAfter(item, value);
      if (after === undefined) continue;
      this.#isDone[i] = 1;
      frame.taken = i;
      return { value: after };
    }
    while (frame.next < knownCount + this.#open.length) {
      const i = frame.next++ - knownCount;
      const item = this.#open[i] as Item;
      if (item.startMs > earliestEnd) break;
      if (this.#isSpent[i] === 1 || this.#hasEarlierTwin(i)) continue;
      const after = valueAfter(item, value);
      if (after === undefined || after === value) continue;
      this.#isSpent[i] = 1;
      this.#count(i, 1);
      frame.taken = i + knownCount;
      return { value: after };
    }
    return 'none';
  }

  /** What led to the frame above the last one has not happened. */
  #undo(): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) return;
    const knownCount = this.#known.length;
    if (frame.taken < knownCount) {
      this.#isDone[frame.taken] = 0;
      return;
    }
    this.#isSpent[frame.taken - knownCount] = 0;
    this.#count(frame.taken - knownCount, -1);
  }

  #count(open: number, change: number): void {
    const kind = this.#kindOf[open] ?? 0;
    this.#spentCounts[kind] = (this.#spentCounts[kind] ?? 0) + change;
  }

  #hasEarlierTwin(open: number): boolean {
    for (let earlier = open - 1; earlier >= 0; earlier--) {
      if (this.#kindOf[earlier] === this.#kindOf[open]) return this.#isSpent[earlier] === 0;
    }
    return false;
  }
}

function explain(key: string, operations: readonly RegisterOperation[], stuck: RegisterOperation): string {
  const refused = operations.find(
    ({ action, outcome }) => outcome === 'failed' && 'value' in action && action.value === stuck.answer,
  );
  const reason =
    refused === undefined || typeof stuck.answer !== 'string'
      ? 'no order explains'
      : `a refused request (${when(refused)}) wrote the value of`;
  const byStart = [...operations].sort((a, b) => a.startMs - b.startMs);
  const place = byStart.indexOf(stuck);
  const around = byStart.slice(Math.max(0, place - SHOWN_BEFORE), place + SHOWN_AFTER + 1);
  const lines = around.map((operation) => `  ${operation === stuck ? '>' : ' '} ${told(operation)}`);
  return `register ${key} is not linearizable: ${reason} ${told(stuck)}; around it:\n${lines.join('\n')}`;
}

function told(operation: RegisterOperation): string {
  const { client, action, outcome, answer } = operation;
  const said = outcome === 'ok' ? JSON.stringify(answer) : outcome;
  return `${when(operation)} ${client} ${JSON.stringify(action)} -> ${said}`;
}
