/**
 * Whose code runs. Between `enter` and `leave` that is certain. Promises are settled after that, when the event is over; they are
 * taken for those of the first process that the event entered: others that it enters (their connections have drained) settle
 * hardly any.
 */
import type { SimMachine } from '../doubles/sim-platform.ts';

export class Turn {
  #now: SimMachine | null = null;
  #first: SimMachine | null = null;
  #event = -1;

  /** `event`: number of the scheduler's event. */
  enter(machine: SimMachine, event: number): void {
    this.#now = machine;
    if (event === this.#event) return;
    this.#event = event;
    this.#first = machine;
  }

  leave(): void {
    this.#now = null;
  }

  /** Null before the first process. */
  get machine(): SimMachine | null {
    return this.#now ?? this.#first;
  }

  /** It is taken for its. */
  get isPromise(): boolean {
    return this.#now === null;
  }
}
