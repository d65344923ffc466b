/**
 * The procedure of docs/operations.md for a damaged or lost replica, step by step, as a careful person follows it: all other
 * nodes run and agree, the writers hold still for that moment, the node starts with an empty directory, the others are
 * restarted one after the other, and it is over when the node has what the leaders have. Nothing else strikes meanwhile.
 */
import type { SimMachine } from '../doubles/sim-platform.ts';
import type { World } from './world.ts';

const POLL_MS = 5;
const STEP_MS = 60_000;
const HAND_OVER_MS = 2_000;

export class Rebuilding {
  readonly #world: World;
  readonly #machine: SimMachine;

  constructor(world: World, machine: SimMachine) {
    this.#world = world;
    this.#machine = machine;
  }

  async run(): Promise<void> {
    const world = this.#world;
    const machine = this.#machine;
    const others = world.machines.filter((other) => other !== machine);
    world.trace(`${machine.name} is to be rebuilt`);
    world.calm();
    if (machine.boot !== null) world.kill(machine);
    world.isHolding = true;
    await this.#until('the other nodes agree', () => {
      for (const other of others) if (other.boot === null) world.start(other);
      return this.#agree(others);
    });
    machine.wipe();
    world.start(machine);
    world.isHolding = false;
    for (const other of others) {
      world.shutDown(other, HAND_OVER_MS);
      await this.#until(`${other.name} closes`, () => other.boot === null);
      world.start(other);
      await this.#until(`${other.name} is ready`, () => world.running(other)?.cluster.isReady === true);
    }
    await this.#until(`${machine.name} has what the leaders have`, () => this.#hasAll());
    world.trace(`${machine.name} is rebuilt`);
    world.mark('rebuilt');
  }

  /** Every group has a leader, and its log ends alike on all these nodes, committed and applied. */
  #agree(others: readonly SimMachine[]): boolean {
    const { groups } = this.#world;
    return groups.every((group) => {
      const replicas = others.flatMap((other) => this.#world.replicaOn(other, group) ?? []);
      const holders = this.#world.holdersOf(group).filter((id) => id !== this.#world.idOf(this.#machine));
      const [first] = replicas;
      return (
        first !== undefined &&
        replicas.length === holders.length &&
        replicas.some(({ isServing }) => isServing) &&
        replicas.every(
          ({ term, lastIndex, commitIndex, appliedIndex, leader }) =>
            leader !== 0 &&
            term === first.term &&
            lastIndex === first.lastIndex &&
            commitIndex === lastIndex &&
            appliedIndex === lastIndex,
        )
      );
    });
  }

  #hasAll(): boolean {
    return this.#world.groups.every((group) => {
      if (!this.#world.holdersOf(group).includes(this.#world.idOf(this.#machine))) return true;
      const replica = this.#world.replicaOn(this.#machine, group);
      const leader = this.#world.leaderOf(group)?.replica;
      return replica !== undefined && leader !== undefined && replica.appliedIndex >= leader.commitIndex;
    });
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    const { scheduler } = this.#world;
    const untilMs = scheduler.nowMs + STEP_MS;
    while (!holds()) {
      if (scheduler.nowMs > untilMs) {
        this.#world.violation(`no progress: ${this.#machine.name} is rebuilt: ${what} - not within ${STEP_MS} ms`);
        throw new Error(`the rebuilding stands still: ${what}`);
      }
      await scheduler.sleep(POLL_MS);
    }
  }
}
