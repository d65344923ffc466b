/**
 * What a fault is: a row with a name and a deed. A strike is one blow of it, at a moment of the run's plan, with chance of
 * its own: strikes can be left out of a plan without changing what the others do, which is what shrinking needs.
 *
 * A fault that hit nothing proves nothing: `did` is called only when there is evidence of an effect, and only that counts.
 */
import type { SimMachine } from '../../doubles/sim-platform.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import type { PlannedStrike } from '../profile.ts';
import type { World } from '../world.ts';

export interface Fault<Name extends string = string> {
  readonly name: Name;
  /** Processes end by it. */
  readonly endsProcesses?: true;
  /** What a replica holds is lost or damaged: one at a time, and only where others can give it back. */
  readonly damages?: true;
  readonly strike: (strike: Strike) => void;
}

export class Strike {
  readonly world: World;
  readonly random: SeededRandom;
  readonly #planned: PlannedStrike;
  readonly #isOver: () => boolean;
  readonly #whole: Strike | null;
  #hasDone = false;

  /** `isOver`: everything is healed, and what was planned for later does not happen. */
  constructor(world: World, planned: PlannedStrike, isOver: () => boolean, whole: Strike | null = null) {
    this.world = world;
    this.random = new SeededRandom(planned.seed);
    this.#planned = planned;
    this.#isOver = isOver;
    this.#whole = whole;
  }

  /** A part of it, which is counted by a name of its own as well. */
  part(name: string): Strike {
    const { atMs, fault } = this.#planned;
    return new Strike(this.world, { atMs, fault: `${fault}: ${name}`, seed: this.random.u32() }, this.#isOver, this);
  }

  /** It had an effect. */
  readonly did = (): void => {
    if (this.#hasDone) return;
    this.#hasDone = true;
    const { fault } = this.#planned;
    this.world.mark(`fault: ${fault}`);
    this.world.trace(`fault: ${fault} did something`);
    this.#whole?.did();
  };

  /** Later, unless all is healed by then. */
  later(minMs: number, maxMs: number, work: () => void): void {
    this.world.scheduler.after(minMs + this.random.float() * (maxMs - minMs), () => {
      if (!this.#isOver()) work();
    });
  }

  any(): SimMachine {
    return this.random.pick(this.world.machines);
  }

  /** A node that leads something, or any. */
  leader(): SimMachine {
    return this.world.leaderOf(this.group())?.machine ?? this.any();
  }

  /** Seldom that of the metadata: clients notice little of it. */
  group(): number {
    const { groups } = this.world;
    return this.random.chance(0.15) ? 0 : this.random.pick(groups.slice(1));
  }

  kill(machine: SimMachine): void {
    if (machine.boot === null) return;
    this.world.kill(machine);
    this.did();
    this.startLater(machine);
  }

  powerOff(machine: SimMachine): void {
    if (machine.boot === null) return;
    this.world.powerOff(machine);
    this.did();
    this.startLater(machine);
  }

  startLater(machine: SimMachine): void {
    const longMs = this.random.chance(0.3) ? 12_000 : 1_500;
    this.later(0, longMs, () => {
      if (machine.boot === null) this.world.start(machine);
    });
  }

  /** Nothing passes along these directed paths for a while. Counts if something wanted to. */
  cutFor(minMs: number, maxMs: number, paths: readonly Path[]): void {
    const { network } = this.world;
    const before = network.blockedCount;
    for (const [from, to] of paths) network.cut(from, to);
    this.later(minMs, maxMs, () => {
      if (network.blockedCount > before) this.did();
      for (const [from, to] of paths) network.heal(from, to);
    });
  }

  /** Both ways between each of `side` and each of the others. */
  around(side: readonly SimMachine[]): readonly Path[] {
    return between(
      side,
      this.world.machines.filter((other) => !side.includes(other)),
    );
  }
}

export type Path = readonly [from: string, to: string];

/** Both ways between each of the one and each of the other. */
export function between(some: readonly SimMachine[], others: readonly SimMachine[]): readonly Path[] {
  return some.flatMap((a) =>
    others.flatMap((b): Path[] => [
      [a.name, b.name],
      [b.name, a.name],
    ]),
  );
}
