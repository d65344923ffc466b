/**
 * Ends that a fault asks for: a node whose disk fails must stop, one whose data is damaged must not start. What ends a node
 * without having been expected is a violation; what was expected is what the fault was for.
 */
import type { FatalReason } from '../../src/base/platform.ts';
import type { SimMachine } from '../doubles/sim-platform.ts';

export interface Expectation {
  readonly reasons: readonly FatalReason[];
  /** A start may also be refused by an error that names no reason. */
  readonly mayRefuse?: true;
  /** Holds over several ends and starts, until it is taken back; otherwise the first of either is the last. */
  readonly isLasting?: true;
  /** Damage that nobody may have looked at: it has to be looked for in the end. */
  readonly isLatent?: true;
  /** What this replica holds is damaged: no other one may be. */
  readonly isDamage?: true;
  /** After the process is gone. */
  readonly onEnd: () => void;
}

export class Expectations {
  readonly #byMachine = new Map<SimMachine, Expectation>();

  set(machine: SimMachine, expectation: Expectation): void {
    this.#byMachine.set(machine, expectation);
  }

  has(machine: SimMachine): boolean {
    return this.#byMachine.has(machine);
  }

  /** A process ended itself, or did not start (null). What was expected, if it was this. */
  take(machine: SimMachine, reason: FatalReason | null): Expectation | undefined {
    const expected = this.#byMachine.get(machine);
    if (expected === undefined) return undefined;
    if (reason === null ? expected.mayRefuse !== true : !expected.reasons.includes(reason)) return undefined;
    if (expected.isLasting !== true) this.#byMachine.delete(machine);
    return expected;
  }

  /** It runs: what was expected of its start has not come. */
  started(machine: SimMachine): void {
    if (this.#byMachine.get(machine)?.isLasting !== true) this.#byMachine.delete(machine);
  }

  forget(machine: SimMachine): void {
    this.#byMachine.delete(machine);
  }

  /** What is expected now, except where damage may lie hidden; the result takes it back. */
  visible(): () => void {
    const old = [...this.#byMachine].filter(([, { isLatent }]) => isLatent !== true);
    return () => {
      for (const [machine, expectation] of old) {
        if (this.#byMachine.get(machine) === expectation) this.#byMachine.delete(machine);
      }
    };
  }

  get hasDamage(): boolean {
    return [...this.#byMachine.values()].some(({ isDamage }) => isDamage === true);
  }

  get latent(): readonly SimMachine[] {
    return [...this.#byMachine].filter(([, { isLatent }]) => isLatent === true).map(([machine]) => machine);
  }
}
