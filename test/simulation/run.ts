/** One run by its seed, from start to verdict. */
import type { SimMachine } from '../doubles/sim-platform.ts';
import { ProcessEnded } from '../doubles/memory-process.ts';
import { createScriptHost, type ScriptHost } from '../../src/scripting/host.ts';
import { partitionRange } from '../../src/partition/ranges.ts';
import { drawProfile, planOf } from './draw-profile.ts';
import { startNemesis } from './nemesis.ts';
import { watchPoints } from './points.ts';
import type { Plan, Profile } from './profile.ts';
import type { Workload } from './workload.ts';
import { createSimStage } from './sim-stage.ts';
import { createWorkload } from './workloads/index.ts';
import { World, type WorldOptions } from './world.ts';

export interface Report {
  readonly seed: number;
  readonly profile: Profile;
  readonly violations: readonly string[];
  readonly marks: ReadonlyMap<string, number>;
  readonly traceHash: string;
  readonly events: number;
  readonly simulatedMs: number;
  readonly plan: Plan;
  /** What happened, up to the end. */
  readonly lines: readonly string[];
  /** The last of it, by node. */
  readonly nodeLines: ReadonlyMap<string, readonly string[]>;
}

export interface RunOptions extends Omit<Partial<WorldOptions>, 'scriptHost'> {
  readonly adjust?: (profile: Profile) => Profile;
  /** The verdict is in; the nodes still run, and nobody asks them for anything. */
  readonly onEnd?: (world: World) => void;
}

/** How long anything may take once all is healed, beyond a few election time-outs and command time-outs, ms. */
const RECOVERY_MS = 8_000;
const CALM_MS = 1_500;
/** How long a leader may take to restore a node that lost its disks, ms. */
const REBUILDING_MS = 60_000;
/** Some workloads read a hundred keys, one after the other. */
const FINAL_READS_MS = 60_000;
const COMPARISONS_MAX = 50;

export async function runSeed(seed: number, options: RunOptions = {}): Promise<Report> {
  const drawn = drawProfile(seed);
  const profile = options.adjust?.(drawn) ?? drawn;
  const world = new World(profile, { ...options, scriptHost: await sharedScriptHost() });
  const onRejection = (reason: unknown): void => {
    if (reason instanceof Error && reason.name === 'ProcessEnded') return;
    world.violation(`a rejection was not handled: ${reason instanceof Error ? (reason.stack ?? '') : String(reason)}`);
  };
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', onRejection);
  const unwatch = watchPoints(profile.points, (point) => {
    const { machine, isPromise } = world.turn;
    const boot = machine?.boot ?? null;
    if (machine === null || boot === null) return;
    world.points.passed(point, machine);
    // Struck dead: nothing of it goes on. What its promises still do has no effect, as with every other death.
    if (!boot.isAlive && !isPromise) throw new ProcessEnded('invariant', `the process died when ${point}`, undefined);
  });
  try {
    await new Run(world).play();
    options.onEnd?.(world);
  } finally {
    unwatch();
    process.off('unhandledRejection', onRejection);
    for (const other of others) process.on('unhandledRejection', other);
  }
  return {
    seed,
    profile,
    violations: world.violations,
    marks: world.marks,
    traceHash: world.traceHash,
    events: world.scheduler.count,
    simulatedMs: world.scheduler.nowMs,
    plan: planOf(profile),
    lines: world.lines,
    nodeLines: world.nodeLines,
  };
}

let scriptHost: Promise<ScriptHost> | undefined;

/** One Lua engine for all nodes of all runs: it keeps nothing between two scripts. */
function sharedScriptHost(): Promise<ScriptHost> {
  scriptHost ??= createScriptHost({ clock: { monotonicMs: () => 0, wallMs: () => 0 }, redisVersion: '7.2.5' });
  return scriptHost;
}

class Run {
  readonly #world: World;
  readonly #workloads: readonly Workload[];

  constructor(world: World) {
    this.#world = world;
    const stage = createSimStage(world);
    this.#workloads = world.profile.workloads.map((name) => createWorkload(name, stage));
  }

  async play(): Promise<void> {
    const world = this.#world;
    const { profile, scheduler } = world;
    for (const machine of world.machines) world.start(machine);
    if (!(await this.#allLed('the cluster starts'))) return;
    const clients = Promise.all(this.#workloads.flatMap((workload) => workload.start()));
    startNemesis(world, planOf(profile));
    await scheduler.run(profile.faultTimeMs, () => this.#isBroken);
    if (!(await this.#heal())) return;
    await scheduler.run(CALM_MS, () => this.#isBroken);
    world.isStopping = true;
    let isSilent = false;
    void clients.then(() => {
      isSilent = true;
    });
    if (!(await this.#within('every request ends', () => isSilent, profile.commandTimeoutMs * 3 + 12_000))) return;
    if (!(await this.#within('the replicas hold the same', () => this.#areEqual()))) this.#tellDifferences();
    let isFinished = false;
    const finished = Promise.all(this.#workloads.map((workload) => workload.finish())).then(
      () => {
        isFinished = true;
      },
      (error: unknown) => world.violation(`after the run: ${String(error)}`),
    );
    if (!(await this.#within('the final reads are answered', () => isFinished, FINAL_READS_MS))) return;
    await finished;
    for (const workload of this.#workloads) {
      for (const text of workload.check()) world.violation(text);
      world.mark(`acknowledged by ${workload.name}`, workload.okCount);
    }
    world.mark('leaderships', world.ghost.leaderCount);
    await this.#compareRecords();
  }

  /**
   * Faults end. If the profile says so, only a core of the nodes comes back at first, as few as every partition needs: it must
   * go on without the others. What is damaged is found and rebuilt.
   */
  async #heal(): Promise<boolean> {
    const world = this.#world;
    const { scheduler } = world;
    world.heal();
    world.trace('healed');
    if (!(await this.#mended())) return false;
    const absent = this.#outsideCore();
    if (absent.length > 0) {
      world.trace(`only a core goes on, without ${absent.map(({ name }) => name).join(' ')}`);
      for (const machine of absent) {
        world.absent.add(machine);
        world.powerOff(machine);
      }
      if (!(await this.#allLed('every group of the core has a leader'))) return false;
      await scheduler.run(CALM_MS, () => this.#isBroken);
      world.mark('cores that went on alone');
      world.absent.clear();
    }
    return this.#allLed('every group has a leader again');
  }

  #outsideCore(): readonly SimMachine[] {
    const { profile, machines, random } = this.#world;
    const dispensable = Math.floor((Math.min(profile.replicationFactor, machines.length) - 1) / 2);
    if (!profile.isCoreFirst || dispensable === 0 || machines.some(({ boot }) => boot === null)) return [];
    const draw = random.fork('core');
    const left = [...machines];
    return Array.from({ length: dispensable }, () => left.splice(draw.below(left.length), 1)).flat();
  }

  #allLed(what: string): Promise<boolean> {
    const { world } = { world: this.#world };
    return this.#within(what, () => world.groups.every((group) => world.leaderOf(group)));
  }

  /** Damage that nobody has met is looked for; whatever is damaged is rebuilt. */
  async #mended(): Promise<boolean> {
    const world = this.#world;
    // Whoever has not started yet has not said what it finds damaged.
    const areUp = (): boolean =>
      world.machines.every((machine) => world.running(machine) !== undefined || world.suspects.includes(machine));
    const areWhole = (): boolean => areUp() && !world.isRebuilding && !world.hasQuarantine;
    const isBuilt = (): Promise<boolean> => this.#within('a lost replica is restored', areWhole, REBUILDING_MS);
    const isFound = (): boolean => !world.strays.areLeft;
    if (!(await this.#within('a difference between replicas is found', isFound, REBUILDING_MS))) return false;
    if (!(await isBuilt())) return false;
    for (const machine of world.suspects) {
      const isBack = (): boolean => world.running(machine) !== undefined || !world.suspects.includes(machine);
      if (!(await this.#within(`${machine.name} starts`, isBack))) return false;
      if (world.suspects.includes(machine) && (await this.#isDamaged(machine))) {
        world.mark('damage found by a scrub');
        world.expectNothing(machine);
        world.rebuild(machine);
      } else if (world.suspects.includes(machine)) {
        // What the store keeps for itself is checked when it is opened.
        world.kill(machine);
        if (!(await this.#within(`${machine.name} starts again`, isBack))) return false;
        world.expectNothing(machine);
      }
      if (!(await isBuilt())) return false;
    }
    return true;
  }

  async #isDamaged(machine: SimMachine): Promise<boolean> {
    const world = this.#world;
    for (const group of world.groups) {
      const replica = world.replicaOn(machine, group);
      const data = world.running(machine)?.cluster.data;
      if (replica === undefined || data === undefined) continue;
      let found: 'sound' | 'damaged' | undefined;
      machine.boot?.enter(() => {
        const snapshot = data.snapshot();
        data.hashRange(snapshot, partitionRange(replica.slots)).then(
          () => {
            found = 'sound';
          },
          () => {
            found = 'damaged';
          },
        );
      });
      const isOver = (): boolean => found !== undefined || world.running(machine) === undefined;
      await this.#within('a scrub ends', isOver);
      if (found === 'damaged') return true;
    }
    return false;
  }

  get #isBroken(): boolean {
    return this.#world.violations.length > 0;
  }

  async #within(what: string, holds: () => boolean, limitMs = this.#recoveryMs): Promise<boolean> {
    const { scheduler } = this.#world;
    let isTrue = false;
    await scheduler.run(limitMs, () => {
      // Not at each event: conditions look at all replicas.
      if (scheduler.count % 64 === 0) isTrue = holds();
      return isTrue || this.#isBroken;
    });
    isTrue ||= holds();
    if (!isTrue && !this.#isBroken) this.#world.violation(`no progress: ${what} - not within ${limitMs} ms`);
    return isTrue && !this.#isBroken;
  }

  get #recoveryMs(): number {
    const { electionTimeoutMs } = this.#world.profile;
    return RECOVERY_MS + electionTimeoutMs * 10;
  }

  /** All replicas of a group have applied the same entries. */
  #areEqual(): boolean {
    const { world } = { world: this.#world };
    return world.groups.every((group) => {
      const replicas = this.#replicasOf(group);
      const indices = replicas.map(({ replica }) => replica.applier.index);
      return (
        indices.every((index) => index === indices[0]) &&
        replicas.every(({ replica }) => replica.lastIndex === indices[0])
      );
    });
  }

  #replicasOf(group: number) {
    return this.#world.machines.flatMap((machine) => {
      const running = this.#world.running(machine);
      const replica = running?.cluster.engine.replicas.get(group);
      return running === undefined || replica === undefined ? [] : [{ machine, running, replica }];
    });
  }

  #tellDifferences(): void {
    for (const group of this.#world.groups) {
      for (const { machine, replica } of this.#replicasOf(group)) {
        const { index } = replica.applier;
        const { commitIndex, lastIndex, role, term } = replica;
        this.#world.trace(
          `${machine.name} group ${group}: ${JSON.stringify({ index, commitIndex, lastIndex, role, term })} ${JSON.stringify(replica.core.followers())}`,
        );
      }
    }
  }

  /** The ordered stores agree, record by record, if they were looked at between the same two entries. */
  async #compareRecords(): Promise<void> {
    for (const group of this.#world.groups) {
      for (let tries = 0; !(await this.#haveEqualRecords(group)); tries++) {
        if (this.#isBroken) return;
        if (tries > COMPARISONS_MAX) this.#world.violation(`group ${group}: the replicas do not come to rest`);
      }
    }
  }

  /** False if something was applied in between. */
  async #haveEqualRecords(group: number): Promise<boolean> {
    const world = this.#world;
    const hashes = new Map<string, string>();
    const indices = new Set<number>();
    const replicas = this.#replicasOf(group);
    // All at one moment: leaders write the time into their logs now and then.
    for (const { machine, running, replica } of replicas) {
      machine.boot?.enter(() => {
        const { data } = running.cluster;
        const snapshot = data.snapshot();
        indices.add(replica.applier.index);
        data.hashRange(snapshot, partitionRange(replica.slots)).then(
          ({ hash, count }) => {
            snapshot.release();
            hashes.set(machine.name, `${hash} (${count})`);
          },
          (error: unknown) => world.violation(`${machine.name}: group ${group} cannot be hashed: ${String(error)}`),
        );
      });
    }
    if (!(await this.#within('hashes are made', () => hashes.size === replicas.length))) return true;
    if (indices.size > 1) return false;
    if (new Set(hashes.values()).size > 1)
      world.violation(`group ${group}: records differ: ${JSON.stringify([...hashes])}`);
    return true;
  }
}
