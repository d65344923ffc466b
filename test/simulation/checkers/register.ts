/**
 * Is what clients saw of one key linearizable? The search of Wing and Gong, with Lowe's memory of configurations that led
 * nowhere: a configuration is the set of operations that have taken effect and the value that they left.
 *
 * An operation takes effect at one moment between its start and its end; an unknown one at any moment after its start, or
 * never. Histories must be short (dozens of operations, few at a time): the search is exponential in the worst case, so it
 * gives up after STEPS_MAX and says so.
 */

export type RegisterAction =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: string }
  /** Sets if there is no value. */
  | { readonly kind: 'create'; readonly value: string }
  /** Sets if the value is `expected`. */
  | { readonly kind: 'swap'; readonly expected: string; readonly value: string }
  | { readonly kind: 'delete' }
  /** Sets, and answers what was there. */
  | { readonly kind: 'exchange'; readonly value: string };

export interface RegisterOperation {
  readonly action: RegisterAction;
  readonly startMs: number;
  /** Infinity if the outcome is unknown. */
  readonly endMs: number;
  /** What was answered; undefined if the outcome is unknown. Writes answer true; conditional ones whether they took effect. */
  readonly answer: string | null | boolean | undefined;
}

export type Verdict = 'linearizable' | 'not linearizable' | 'undecided';

const STEPS_MAX = 300_000;

export function checkRegister(operations: readonly RegisterOperation[]): Verdict {
  // An unknown read says nothing.
  const relevant = operations.filter(({ action, answer }) => !(action.kind === 'read' && answer === undefined));
  const sorted = [...relevant].sort((a, b) => a.startMs - b.startMs);
  return new Search(sorted).run();
}

class Search {
  readonly #operations: readonly RegisterOperation[];
  readonly #known = new Set<string>();
  readonly #isDone: boolean[];
  #steps = 0;

  constructor(operations: readonly RegisterOperation[]) {
    this.#operations = operations;
    this.#isDone = operations.map(() => false);
  }

  run(): Verdict {
    const found = this.#from(0, null);
    if (found) return 'linearizable';
    return this.#steps > STEPS_MAX ? 'undecided' : 'not linearizable';
  }

  /** True if everything that is answered from `first` on can take effect, starting with `value`. */
  #from(first: number, value: string | null): boolean {
    const operations = this.#operations;
    let start = first;
    while (this.#isDone[start] === true) start++;
    const earliestEnd = this.#earliestEnd(start);
    if (earliestEnd === Number.POSITIVE_INFINITY) return true;
    if (++this.#steps > STEPS_MAX) return false;
    const configuration = `${start} ${this.#doneAfter(start)} ${value ?? '\0'}`;
    if (this.#known.has(configuration)) return false;
    this.#known.add(configuration);
    for (let i = start; i < operations.length; i++) {
      const operation = operations[i] as RegisterOperation;
      // Whatever begins after another has ended comes after it.
      if (operation.startMs > earliestEnd) break;
      if (this.#isDone[i] === true) continue;
      const after = apply(operation, value);
      if (after === undefined) continue;
      this.#isDone[i] = true;
      if (this.#from(start, after.value)) return true;
      this.#isDone[i] = false;
    }
    return false;
  }

  #earliestEnd(start: number): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = start; i < this.#operations.length; i++) {
      if (this.#isDone[i] !== true) earliest = Math.min(earliest, (this.#operations[i] as RegisterOperation).endMs);
    }
    return earliest;
  }

  #doneAfter(start: number): string {
    let text = '';
    for (let i = start; i < this.#isDone.length; i++) if (this.#isDone[i] === true) text += `${i},`;
    return text;
  }
}

/** The value after the operation; undefined if it could not have answered what it did. */
function apply(operation: RegisterOperation, value: string | null): { readonly value: string | null } | undefined {
  const { action, answer } = operation;
  const isUnknown = answer === undefined;
  switch (action.kind) {
    case 'read':
      return answer === value ? { value } : undefined;
    case 'write':
      return { value: action.value };
    case 'exchange':
      return isUnknown || answer === value ? { value: action.value } : undefined;
    case 'delete': {
      const wasThere = value !== null;
      return isUnknown || answer === wasThere ? { value: null } : undefined;
    }
    case 'create':
    case 'swap': {
      const takesEffect = action.kind === 'create' ? value === null : value === action.expected;
      if (!isUnknown && answer !== takesEffect) return undefined;
      return { value: takesEffect ? action.value : value };
    }
  }
}
