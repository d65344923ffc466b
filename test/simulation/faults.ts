/**
 * What goes wrong, when the seed says so. Each fault undoes itself after a while; `heal` undoes all of them at once.
 */
import type { SimMachine } from '../doubles/sim-platform.ts';
import type { SeededRandom } from '../doubles/seeded-random.ts';
import type { Fault } from './profile.ts';
import type { World } from './world.ts';

const HOUR_MS = 3_600_000;
const SUPERVISOR_MS = 200;

export class Faults {
  readonly #world: World;
  readonly #random: SeededRandom;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random.fork('faults');
  }

  /** Strikes at random moments until the world is healed. */
  async run(): Promise<void> {
    const { profile, scheduler } = this.#world;
    if (profile.faults.length === 0) return;
    for (;;) {
      await scheduler.sleep(-Math.log(1 - this.#random.float()) * profile.faultGapMs);
      if (this.#world.isHealed) return;
      const fault = this.#random.pick(profile.faults);
      this.#world.mark(`fault: ${fault}`);
      this.#world.trace(`fault: ${fault}`);
      this.#strike(fault);
    }
  }

  #strike(fault: Fault): void {
    const any = this.#random.pick(this.#world.machines);
    switch (fault) {
      case 'kill':
        return this.#kill(any);
      case 'killLeader':
        return this.#kill(this.#leader());
      case 'killAll':
        for (const machine of this.#world.machines) this.#kill(machine);
        return;
      case 'powerOff':
        return this.#powerOff(any);
      case 'powerOffAll':
        for (const machine of this.#world.machines) this.#powerOff(machine);
        return;
      case 'isolate':
        return this.#split([any]);
      case 'isolateLeader':
        return this.#split([this.#leader()]);
      case 'halves':
        return this.#split(this.#world.machines.filter(() => this.#random.chance(0.5)));
      case 'oneWay':
        return this.#oneWay(any);
      case 'pause':
        return this.#pause(any);
      case 'pauseLeader':
        return this.#pause(this.#leader());
      case 'freezeAlone':
        return this.#freezeAlone(this.#leader());
      case 'reset':
        return this.#world.network.reset(any.name, this.#random.pick(this.#world.machines).name);
      case 'slow':
        return this.#slow();
      case 'transfer':
        return this.#transfer();
      case 'shutdown':
        return this.#shutDown(any);
      case 'absent':
      case 'killInstalling':
        return this.#absent(any);
      case 'stallDisk':
        return this.#stallDisk(any);
      case 'stepClock':
        any.wallOffsetMs += this.#random.pick([-HOUR_MS, -700, 700, HOUR_MS]);
        return;
      case 'checkpoint':
        return this.#checkpoint(any);
    }
  }

  /** Seldom that of the metadata: clients notice little of it. */
  #group(): number {
    const { groups } = this.#world;
    return this.#random.chance(0.15) ? 0 : this.#random.pick(groups.slice(1));
  }

  /** A node says something of itself: some faults wait for that. */
  heard(machine: SimMachine, event: string, to: unknown): void {
    const { profile, machines } = this.#world;
    if (event !== 'sending a snapshot' || !profile.faults.includes('killInstalling') || this.#world.isHealed) return;
    const victim = this.#random.chance(0.8) && typeof to === 'number' ? (machines[to - 1] ?? machine) : machine;
    this.#later(0, this.#random.pick([20, 200]), () => {
      this.#world.mark('killed around a snapshot');
      if (this.#random.chance(0.5)) this.#kill(victim);
      else this.#powerOff(victim);
    });
  }

  #leader(): SimMachine {
    return this.#world.leaderOf(this.#group())?.machine ?? this.#random.pick(this.#world.machines);
  }

  #later(minMs: number, maxMs: number, work: () => void): void {
    this.#world.scheduler.after(minMs + this.#random.float() * (maxMs - minMs), () => {
      if (!this.#world.isHealed) work();
    });
  }

  #startLater(machine: SimMachine): void {
    const longMs = this.#random.chance(0.3) ? 12_000 : 1_500;
    this.#later(0, longMs, () => {
      if (machine.boot === null) this.#world.start(machine);
    });
  }

  #kill(machine: SimMachine): void {
    if (machine.boot === null) return;
    this.#world.kill(machine);
    this.#startLater(machine);
  }

  #powerOff(machine: SimMachine): void {
    if (machine.boot === null) return;
    this.#world.powerOff(machine);
    this.#startLater(machine);
  }

  /** Nothing passes between `side` and the others; clients reach everybody. */
  #split(side: readonly SimMachine[]): void {
    this.#later(200, 6_000, this.#cut(side));
  }

  /** Returns how to heal it. */
  #cut(side: readonly SimMachine[]): () => void {
    const { network, machines } = this.#world;
    const paths = side.flatMap((a) => machines.filter((b) => !side.includes(b)).map((b) => [a.name, b.name] as const));
    for (const [a, b] of paths) {
      network.cut(a, b);
      network.cut(b, a);
    }
    return () => {
      for (const [a, b] of paths) {
        network.heal(a, b);
        network.heal(b, a);
      }
    };
  }

  #oneWay(machine: SimMachine): void {
    const { network, machines } = this.#world;
    const others = machines.filter((other) => other !== machine);
    const isDeaf = this.#random.chance(0.5);
    const paths = others.map((other) =>
      isDeaf ? ([other.name, machine.name] as const) : ([machine.name, other.name] as const),
    );
    for (const [from, to] of paths) network.cut(from, to);
    this.#later(200, 6_000, () => {
      for (const [from, to] of paths) network.heal(from, to);
    });
  }

  #pause(machine: SimMachine): void {
    const { boot } = machine;
    if (boot === null || boot.isPaused) return;
    boot.pause();
    this.#later(50, this.#random.pick([500, 8_000]), () => {
      boot.resume();
    });
  }

  /** A leader that sleeps while the others go on, and wakes before it can hear them. */
  #freezeAlone(machine: SimMachine): void {
    const { boot } = machine;
    if (boot === null || boot.isPaused) return;
    const heal = this.#cut([machine]);
    boot.pause();
    this.#later(400, 3_000, () => {
      boot.resume();
      this.#later(50, 1_500, heal);
    });
  }

  #slow(): void {
    this.#world.slowness = this.#random.pick([3, 20]);
    this.#later(200, 3_000, () => {
      this.#world.slowness = 1;
    });
  }

  #transfer(): void {
    const found = this.#world.leaderOf(this.#group());
    if (found === undefined) return;
    const { machine, replica } = found;
    const to = this.#random.pick(replica.core.confState.voters);
    machine.boot?.enter(() => {
      if (to !== replica.node && replica.isServing) replica.transferLeadership(to);
    });
  }

  #shutDown(machine: SimMachine): void {
    this.#world.shutDown(machine, this.#random.pick([0, 300, 2_000]));
    this.#later(2_500, 5_000, () => {
      if (machine.boot === null) this.#world.start(machine);
    });
  }

  /** Away for so long that the others forget what it misses: it needs a snapshot. */
  #absent(machine: SimMachine): void {
    if (machine.boot === null) return;
    this.#world.kill(machine);
    this.#later(6_500, 10_000, () => {
      if (machine.boot === null) this.#world.start(machine);
    });
  }

  #stallDisk(machine: SimMachine): void {
    const release = machine.disk.holdNext({ kind: 'writeAndSync' });
    this.#world.scheduler.after(100 + this.#random.float() * 3_000, release);
  }

  #checkpoint(machine: SimMachine): void {
    const running = this.#world.running(machine);
    machine.boot?.enter(() => {
      running?.cluster.engine.checkpoint().catch(() => undefined);
    });
  }

  heal(): void {
    const { network, machines } = this.#world;
    this.#world.isHealed = true;
    this.#world.slowness = 1;
    network.healAll();
    for (const machine of machines) if (machine.boot?.isPaused === true) machine.boot.resume();
    this.#keepUp();
  }

  /** A supervisor: starts what is down, also a node that was told to shut down before all was healed. */
  #keepUp(): void {
    for (const machine of this.#world.machines) if (machine.boot === null) this.#world.start(machine);
    this.#world.scheduler.after(SUPERVISOR_MS, () => {
      this.#keepUp();
    });
  }
}
