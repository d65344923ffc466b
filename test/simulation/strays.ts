/**
 * Records that no log entry has written, in the data of one replica of a partition: as if LevelDB had lost their deletion. Their seals
 * fit and no client asks for them, so nothing but the comparison of replicas (src/cluster/scrub.ts) can find them, and no
 * workload sees them if it takes a while.
 */
import { encodeKeyRecord } from '../../src/values/codec.ts';
import { encodeRecordKey } from '../../src/storage/data/keys.ts';
import { sealRecord } from '../../src/storage/data/records.ts';
import type { SimMachine } from '../doubles/sim-platform.ts';
import type { World } from './world.ts';

/** A database that no workload uses. */
const DATABASE = 15;

interface Stray {
  readonly key: Uint8Array;
  /** The machines that hold the partition. */
  readonly members: readonly SimMachine[];
}

export class Strays {
  readonly #world: World;
  readonly #strays: Stray[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** False if the machine has no live replica of the group. */
  plant(machine: SimMachine, group: number): boolean {
    const cluster = this.#world.running(machine)?.cluster;
    const replica = cluster?.engine.replicas.get(group);
    const partition = cluster?.partitions().find(({ id }) => id === group);
    if (replica === undefined || partition === undefined) return false;
    const { lastTimestamp } = replica.applier.state;
    const slot = partition.firstSlot + (this.#strays.length % (partition.lastSlot - partition.firstSlot + 1));
    const key = encodeRecordKey(slot, DATABASE, `stray ${this.#strays.length}`);
    machine.device.add(key, sealRecord(key, Math.max(1, lastTimestamp), encodeKeyRecord('back again', 0)));
    const members = partition.replicas.flatMap((node) => this.#world.machines[node - 1] ?? []);
    this.#strays.push({ key, members });
    this.#world.trace(`${machine.name}: a deleted record of group ${group} comes back`);
    return true;
  }

  get count(): number {
    return this.#strays.length;
  }

  /** Some replica holds what another one lacks. (A leader that brings others up to date gives them what it has.) */
  get areLeft(): boolean {
    return this.#strays.some(({ key, members }) => {
      const holders = members.filter(({ device }) => device.has(key)).length;
      return holders > 0 && holders < members.length;
    });
  }
}
