/**
 * Transactions that append to lists and read them: strictly serializable or not, and if not, why.
 *
 * The idea of Elle (Kingsbury and Alvaro, VLDB 2020): if each element is appended once, a list *is* the history of its key.
 * Every read is a prefix of the longest one, so the order of all writes is known, and with it who must come before whom
 * (dependency-graph.ts). Here an append may also answer its position, which says the same of elements that nobody read.
 *
 * What is looked for, before cycles:
 * - an element that nobody appended, or that is there twice, or in two orders, or gone again;
 * - G1a: an element of a transaction that failed was read; G1b: a state from the middle of a transaction was read;
 * - a transaction that does not see its own writes, or sees two states;
 * - two appends that were told the same position, or another one than where they stand.
 *
 * An append that was acknowledged and is in no read comes after all that was read: a read that began after its end is
 * found as a cycle through real time.
 */
import { addTimeEdges, type Cycle, DependencyGraph, type EdgeKind } from './dependency-graph.ts';
import { latestMs, type OutcomeKind, type Span, when } from './history.ts';

export type AppendStep =
  /** `position` counts from 1; null if it is not known. */
  | { readonly kind: 'append'; readonly key: string; readonly id: string; readonly position: number | null }
  /** `ids` is null if it was not answered. */
  | { readonly kind: 'read'; readonly key: string; readonly ids: readonly string[] | null };

export interface AppendTransaction extends Span {
  readonly outcome: OutcomeKind;
  readonly steps: readonly AppendStep[];
}

const TOLD_MAX = 10;

export function checkAppends(transactions: readonly AppendTransaction[]): readonly string[] {
  return new Analysis(transactions).run();
}

interface Writer {
  readonly transaction: number;
  /** Whether the transaction appends more to this key afterwards. */
  readonly isLast: boolean;
}

/** What one transaction saw of a key that was there before it: how many elements, and the last of them. */
interface Sight {
  readonly transaction: number;
  readonly count: number;
}

class Key {
  readonly name: string;
  /** By position, from 0. There are holes where only later positions are known. */
  readonly order: (string | undefined)[] = [];
  readonly sights: Sight[] = [];
  readCount = 0;

  constructor(name: string) {
    this.name = name;
  }
}

class Analysis {
  readonly #transactions: readonly AppendTransaction[];
  readonly #keys = new Map<string, Key>();
  /** By key and element. */
  readonly #writers = new Map<string, Map<string, Writer>>();
  /** Transactions that certainly took effect. */
  readonly #isCommitted: boolean[];
  readonly #broken: string[] = [];

  constructor(transactions: readonly AppendTransaction[]) {
    this.#transactions = transactions;
    this.#isCommitted = transactions.map(({ outcome }) => outcome === 'ok');
  }

  run(): readonly string[] {
    this.#collectWriters();
    this.#transactions.forEach((transaction, number) => {
      if (transaction.outcome === 'ok') this.#look(transaction, number);
    });
    // Orders that contradict each other make cycles of no meaning.
    if (this.#broken.length > 0) return this.#broken;
    return this.#graph()
      .cycles()
      .slice(0, TOLD_MAX)
      .map((cycle) => this.#told(cycle));
  }

  #tell(text: string): void {
    if (this.#broken.length < TOLD_MAX) this.#broken.push(text);
  }

  #key(name: string): Key {
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = new Key(name);
      this.#keys.set(name, key);
    }
    return key;
  }

  #collectWriters(): void {
    this.#transactions.forEach(({ steps }, transaction) => {
      const seen = new Set<string>();
      for (const step of [...steps].reverse()) {
        if (step.kind !== 'append') continue;
        let writers = this.#writers.get(step.key);
        if (writers === undefined) {
          writers = new Map();
          this.#writers.set(step.key, writers);
        }
        if (writers.has(step.id)) this.#tell(`the history is of no use: ${step.id} is appended twice to ${step.key}`);
        writers.set(step.id, { transaction, isLast: !seen.has(step.key) });
        seen.add(step.key);
      }
    });
  }

  /** What one transaction saw, key by key: in itself right, and right as a state of the key. */
  #look(transaction: AppendTransaction, number: number): void {
    /** By key: elements that were there before the transaction (null until it is known), and its own since. */
    const seen = new Map<string, { before: number | null; readonly own: string[] }>();
    for (const step of transaction.steps) {
      let state = seen.get(step.key);
      if (state === undefined) {
        state = { before: null, own: [] };
        seen.set(step.key, state);
      }
      let before: number | null;
      if (step.kind === 'append') {
        before = step.position === null ? null : step.position - 1 - state.own.length;
        state.own.push(step.id);
        if (step.position !== null) this.#place(this.#key(step.key), step.position - 1, { id: step.id, number });
      } else {
        before = step.ids === null ? null : this.#read({ key: step.key, ids: step.ids, own: state.own, number });
      }
      if (before === null) continue;
      if (state.before !== null && state.before !== before) {
        this.#tell(
          `internal: ${this.#name(number)} saw ${step.key} with ${state.before} elements before it, and then ${before}`,
        );
      }
      state.before = before;
    }
    for (const [name, { before }] of seen) {
      if (before !== null) this.#key(name).sights.push({ transaction: number, count: before });
    }
  }

  /** Returns how many elements were there before the reader's own. */
  #read({
    key: name,
    ids,
    own,
    number,
  }: {
    readonly key: string;
    readonly ids: readonly string[];
    readonly own: readonly string[];
    readonly number: number;
  }): number {
    const key = this.#key(name);
    const writers = this.#writers.get(name);
    const before = ids.length - own.length;
    key.readCount++;
    if (own.some((id, i) => ids[before + i] !== id)) {
      this.#tell(`internal: ${this.#name(number)} does not see its own ${own.join()} in ${name}: ${tail(ids)}`);
    }
    if (new Set(ids).size < ids.length) this.#tell(`duplicate: ${this.#name(number)} read ${name} as ${tail(ids)}`);
    ids.forEach((id, position) => {
      const writer = writers?.get(id);
      if (writer === undefined) {
        this.#tell(`garbage: ${this.#name(number)} read ${id} in ${name}, which nobody appended`);
        return;
      }
      const { outcome } = this.#transactions[writer.transaction] as AppendTransaction;
      if (outcome === 'failed') {
        this.#tell(
          `G1a: ${this.#name(number)} read ${id} in ${name}, of ${this.#name(writer.transaction)}, which failed`,
        );
      }
      this.#isCommitted[writer.transaction] = true;
      this.#place(key, position, { id, number });
    });
    const last = ids[before - 1];
    const writer = last === undefined ? undefined : writers?.get(last);
    if (writer !== undefined && !writer.isLast && writer.transaction !== number) {
      this.#tell(
        `G1b: ${this.#name(number)} read ${name} up to ${last ?? ''}, from the middle of ${this.#name(writer.transaction)}`,
      );
    }
    return before;
  }

  #place(key: Key, position: number, { id, number }: { readonly id: string; readonly number: number }): void {
    const known = key.order[position];
    if (known === undefined) key.order[position] = id;
    else if (known !== id) {
      this.#tell(
        `incompatible orders: ${key.name} has ${known} at position ${position + 1}, ${this.#name(number)} saw ${id} there`,
      );
    }
  }

  #graph(): DependencyGraph {
    const graph = new DependencyGraph(this.#transactions.length);
    for (const key of this.#keys.values()) this.#addKey(graph, key);
    addTimeEdges(
      graph,
      this.#transactions.map((transaction) => ({ ...transaction, endMs: latestMs(transaction) })),
    );
    return graph;
  }

  #addKey(graph: DependencyGraph, key: Key): void {
    const writers = this.#writers.get(key.name);
    const { order, name } = key;
    /** Writer of the first known position at or after each one. */
    const next: (number | undefined)[] = [];
    let following: number | undefined;
    for (let position = order.length - 1; position >= 0; position--) {
      const id = order[position];
      const writer = id === undefined ? undefined : writers?.get(id)?.transaction;
      if (writer !== undefined) {
        if (following !== undefined) graph.add(writer, following, 'ww', `appended ${id ?? ''} to ${name} before it`);
        following = writer;
      }
      next[position] = following;
    }
    const unseen = this.#unseen(graph, key);
    const last = order[unseen.after - 1];
    const lastWriter = last === undefined ? undefined : writers?.get(last)?.transaction;
    if (lastWriter !== undefined)
      unseen.follow(lastWriter, 'ww', `appended ${last ?? ''} to ${name}, before what nobody saw`);
    for (const { transaction, count } of key.sights) {
      const seen = count === 0 ? undefined : order[count - 1];
      const writer = seen === undefined ? undefined : writers?.get(seen)?.transaction;
      if (writer !== undefined) graph.add(writer, transaction, 'wr', `appended ${seen ?? ''} to ${name}, which it saw`);
      const why = `saw ${name} with ${count} elements, without those of`;
      // The reader comes before whoever appended what it did not see; its own appends do not count.
      let at = count;
      while (next[at] === transaction) at++;
      const other = next[at];
      if (other !== undefined) graph.add(transaction, other, 'rw', why);
      if (at >= unseen.after && count <= unseen.after) unseen.follow(transaction, 'rw', why);
    }
  }

  /**
   * What was acknowledged and is nowhere to be seen stands somewhere after the elements that are known without a gap. Drawn
   * through a stand-in, since many may have to come before many.
   */
  #unseen(
    graph: DependencyGraph,
    key: Key,
  ): { readonly after: number; readonly follow: (transaction: number, kind: EdgeKind, why: string) => void } {
    const placed = new Set(key.order);
    const writers = new Set<number>();
    for (const [id, { transaction }] of this.#writers.get(key.name) ?? []) {
      if (this.#isCommitted[transaction] === true && !placed.has(id)) writers.add(transaction);
    }
    const rest = graph.addStandIn();
    for (const writer of writers) graph.add(rest, writer, 'ww');
    const hole = key.order.findIndex((id) => id === undefined);
    return {
      after: hole < 0 ? key.order.length : hole,
      follow: (transaction, kind, why) => {
        // Through the stand-in it would come before itself.
        if (!writers.has(transaction)) graph.add(transaction, rest, kind, why);
        else for (const writer of writers) graph.add(transaction, writer, kind, why);
      },
    };
  }

  #name(number: number): string {
    const transaction = this.#transactions[number];
    return transaction === undefined ? `T${number}` : `T${number} (${transaction.client}, ${when(transaction)})`;
  }

  #told({ anomaly, steps }: Cycle): string {
    const lines = steps.map(({ from, to, kind, why }) => {
      const reason = kind === 'time' ? 'had ended before the start of' : `${why}:`;
      return `    ${this.#name(from)} ${reason} ${this.#name(to)} [${kind}]`;
    });
    const parts = [...new Set(steps.map(({ from }) => from))].map((i) => {
      const { steps: does = [], outcome = '' } = this.#transactions[i] ?? {};
      return `    ${this.#name(i)} ${outcome}: ${does.map(told).join('; ')}`;
    });
    return `${anomaly}: each of these comes before the next, and the last before the first\n${lines.join('\n')}\n${parts.join('\n')}`;
  }
}

function told(step: AppendStep): string {
  if (step.kind === 'append') return `append ${step.id} to ${step.key} (at ${step.position ?? '?'})`;
  return `read ${step.key}: ${step.ids === null ? '?' : tail(step.ids)}`;
}

function tail(ids: readonly string[]): string {
  return ids.length > 8 ? `${ids.length} elements, … ${ids.slice(-6).join(' ')}` : `[${ids.join(' ')}]`;
}
