/**
 * A whole cluster in one thread and one virtual time: the real node (startNode) on simulated machines, clients that speak
 * bytes, faults by seed. One number decides everything.
 *
 * A run: start, faults under load, heal, load without faults, silence; then the workloads check what their clients saw,
 * and all replicas must hold the same state.
 */
import type { Logger } from '../../src/base/log.ts';
import { Settings } from '../../src/config/live.ts';
import { defaultValues } from '../../src/config/live.ts';
import { type NodeOptions, type RunningNode, startNode } from '../../src/node/compose.ts';
import type { Replica } from '../../src/partition/replica.ts';
import type { ScriptHost } from '../../src/scripting/host.ts';
import { unknownProcess } from '../../src/server/facts.ts';
import { ProcessEnded } from '../doubles/memory-process.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { tellingLogger } from '../doubles/telling-logger.ts';
import { SIM_EVENTS, type SimBoot, SimMachine } from '../doubles/sim-platform.ts';
import { SimScheduler } from '../doubles/sim-scheduler.ts';
import { CLIENT_PORT } from './client.ts';
import { type Expectation, Expectations } from './expectations.ts';
import { Ghost } from './ghost.ts';
import { Links } from './links.ts';
import { PointWaits } from './points.ts';
import type { Profile } from './profile.ts';
import { rebuild } from './rebuild.ts';
import { SimNetwork } from './sim-network.ts';
import { Strays } from './strays.ts';
import { Turn } from './turn.ts';

const CLUSTER_PORT = 7101;
const DIRECTORY = '/data';
const SEGMENT_BYTES = 256 * 1024;
/** What is told about a run that went wrong: of all, and of each node. */
const LINES_KEPT = 50_000;
const NODE_LINES_KEPT = 50;
/** Chance that a process finds the end of its store's write-ahead file torn. */
const TORN_CHANCE = 0.1;
const SUPERVISOR_MS = 200;
/** What failed before all was healed may end its process for so long after. */
const AFTERMATH_MS = 300;
const VIOLATIONS_MAX = 20;
/** Comparing replicas costs no time here: bytes a second. */
const SCRUB_RATE = 2 ** 30;
/** What a node says of itself only if it is wrong. */
const FAILURES = new Set(['evaluation failed', 'a session failed and was closed', 'a look at the data failed']);
/** What a leader says if replicas of its partition differ, which they do only if a fault has seen to it. */
const DIFFERENCE = 'replicas hold different data; they are compared once more';

export interface WorldOptions {
  /** Lua for all nodes: it loads in real time, so it is made before the run. */
  readonly scriptHost: ScriptHost;
  /** Every line as it happens. */
  readonly onTrace?: (line: string) => void;
  /** Planted faults. */
  readonly isDiskLying?: boolean;
  readonly isStoreLying?: boolean;
  readonly hasOnlyWallClock?: boolean;
  readonly hasOneBootId?: boolean;
  readonly hasOneBootRandom?: boolean;
  readonly onBoot?: (node: RunningNode) => void;
}

export class World {
  readonly profile: Profile;
  readonly options: WorldOptions;
  readonly scheduler = new SimScheduler();
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly strays = new Strays(this);
  readonly machines: readonly SimMachine[];
  readonly ghost: Ghost;
  readonly links: Links;
  readonly violations: string[] = [];
  /** How often something worth counting happened: evidence that the run did its work. */
  readonly marks = new Map<string, number>();
  readonly lines: string[] = [];
  /** Factor on all latencies. */
  slowness = 1;
  /** False while faults may strike. */
  isHealed = false;
  /** Clients start nothing new. */
  isStopping = false;
  /** Where clients sit, each on a host of its own. */
  readonly clientHosts = new Set<string>();
  /** Nodes that stay away even when the others are healed. */
  readonly absent = new Set<SimMachine>();
  readonly points = new PointWaits();
  readonly turn = new Turn();
  readonly #expectations = new Expectations();
  #rebuilding: Promise<void> | null = null;
  #onSnapshotSent: ((from: SimMachine, to: SimMachine) => void)[] = [];
  #onStaged: ((machine: SimMachine, directory: string) => void)[] = [];
  readonly #nodeLines = new Map<string, string[]>();
  readonly #tearing: SeededRandom;
  readonly #running = new Map<SimMachine, RunningNode>();
  readonly #closing = new WeakSet<object>();
  readonly #clientRandom: SeededRandom;
  #hash = 0x811c_9dc5;

  constructor(profile: Profile, options: WorldOptions) {
    this.profile = profile;
    this.options = options;
    this.random = new SeededRandom(profile.seed);
    this.#clientRandom = this.random.fork('clients');
    this.#tearing = this.random.fork('tearing');
    this.ghost = new Ghost((text) => this.violation(text));
    this.links = new Links(profile.nodeCount, () => this.scheduler.nowMs);
    const latency = this.random.fork('latency');
    const { min, max } = profile.latencyMs;
    this.network = new SimNetwork({
      timers: this.scheduler,
      random: this.random.fork('network'),
      cutChance: profile.cutChance,
      latencyMs: () => {
        const ms = (min + latency.float() * (max - min)) * this.slowness;
        return profile.lateChance > 0 && latency.chance(profile.lateChance) ? ms * 10 : ms;
      },
    });
    this.machines = Array.from({ length: profile.nodeCount }, (_, i) => this.#machine(i));
  }

  #machine(i: number): SimMachine {
    const { profile, scheduler } = this;
    const name = `n${i + 1}`;
    const random = this.random.fork(`machine ${name}`);
    const turn = random.fork('turn');
    const within = ({ min, max }: { readonly min: number; readonly max: number }): (() => number) => {
      const draw = random.fork(`delay ${max}`);
      return () => min + draw.float() * (max - min);
    };
    return new SimMachine({
      name,
      scheduler,
      network: this.network,
      random,
      storeDirectory: `${DIRECTORY}/data`,
      diskMs: within(profile.diskMs),
      storeMs: within(profile.storeMs),
      turnMs: () => turn.float() * 0.1,
      clockRate: 1 + (random.float() * 2 - 1) * profile.drift,
      wallOffsetMs: Math.round((random.float() * 2 - 1) * profile.wallOffsetMs),
      isDiskLying: this.options.isDiskLying === true,
      isStoreLying: this.options.isStoreLying === true,
      hasOnlyWallClock: this.options.hasOnlyWallClock === true,
      hasOneBootId: this.options.hasOneBootId === true,
      hasOneBootRandom: this.options.hasOneBootRandom === true,
      onFile: (machine, path) => {
        const staged = /^(.*\/snapshots\/\d+\/)whole$/.exec(path);
        if (staged !== null) for (const told of this.#onStaged.splice(0)) told(machine, staged[1] ?? '');
      },
      onEvent: (machine, kind, payload) => {
        this.#note(kind, machine.name.charCodeAt(1), payload);
      },
      onEnter: (machine) => {
        this.turn.enter(machine, scheduler.count);
      },
      onLeave: () => {
        this.turn.leave();
      },
      onStep: (machine) => {
        const running = this.#running.get(machine);
        if (running !== undefined) this.ghost.look(machine.name, running.cluster);
      },
      onEnded: (machine, end) => {
        const expected = this.#expectations.take(machine, end.reason);
        if (expected === undefined) {
          this.violation(`${machine.name} ended itself: ${end.reason}: ${end.message}${causeOf(end)}`);
        }
        this.trace(`${machine.name} ends itself: ${end.reason}: ${end.message}`);
        this.mark(`ended: ${end.reason}`);
        this.#running.delete(machine);
        scheduler.after(0, () => {
          if (machine.boot !== null) machine.kill();
          expected?.onEnd();
        });
      },
      onThrown: (machine, error) => {
        this.violation(
          `${machine.name} threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
        this.kill(machine);
      },
    });
  }

  // -------------------------------------------------------------------------------------------------------------
  // Nodes

  start(machine: SimMachine): void {
    const boot = machine.start();
    this.trace(`${machine.name} starts`);
    this.links.started(machine);
    const isTailTorn = this.#tearing.chance(TORN_CHANCE);
    if (isTailTorn && machine.bootCount > 1) this.mark('a torn end of a write-ahead file');
    const options: NodeOptions = {
      platform: boot,
      settings: new Settings(this.#settings(machine)),
      log: this.#logger(machine, boot),
      version: '0.0.0',
      facts: unknownProcess,
      configPath: '',
      openStore: async () => ({ store: boot.openStore(), isTailTorn }),
      createScriptHost: () => Promise.resolve(this.options.scriptHost),
      onShutdown: () => undefined,
    };
    boot.enter(() => {
      startNode(options).then(
        (running) => {
          if (!boot.isAlive) return;
          running.cluster.budget.limitBytes = this.profile.residentBytes;
          this.options.onBoot?.(running);
          this.#running.set(machine, running);
          this.#expectations.started(machine);
          if (!this.#expectations.has(machine)) forgetFailures(machine);
        },
        (error: unknown) => {
          if (error instanceof ProcessEnded) return;
          const expected = this.#expectations.take(machine, null);
          const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
          if (expected === undefined) this.violation(`${machine.name} does not start: ${told}`);
          else this.mark('refused to start');
          this.kill(machine);
          expected?.onEnd();
        },
      );
    });
  }

  running(machine: SimMachine): RunningNode | undefined {
    return this.#running.get(machine);
  }

  kill(machine: SimMachine): void {
    this.#running.delete(machine);
    if (machine.boot !== null) machine.kill();
    this.trace(`${machine.name} is killed`);
  }

  powerOff(machine: SimMachine): void {
    this.#running.delete(machine);
    const lost = machine.powerOff();
    this.trace(`${machine.name} loses its power`);
    if (lost !== 'nothing') this.mark('a store lost its last writes');
    if (lost === 'earlier') this.mark('a store lost a write, and kept a later one');
  }

  /** SIGTERM: the process closes by itself. False if there is nothing to close, or it is closing already. */
  shutDown(machine: SimMachine, handOverMs: number): boolean {
    const { boot } = machine;
    const running = this.#running.get(machine);
    if (boot === null || running === undefined || this.#closing.has(boot)) return false;
    this.#closing.add(boot);
    this.trace(`${machine.name} is shut down`);
    boot.enter(() => {
      running.close(handOverMs).then(
        () => {
          if (machine.boot === boot) this.kill(machine);
        },
        (error: unknown) => {
          if (error instanceof ProcessEnded) return;
          const told = error instanceof Error ? (error.stack ?? '') : String(error);
          if (this.#expectations.take(machine, null) === undefined) {
            this.violation(`${machine.name}: the shutdown failed: ${told}`);
          }
          if (machine.boot === boot) this.kill(machine);
        },
      );
    });
    return true;
  }

  // -------------------------------------------------------------------------------------------------------------
  // What faults ask for

  /** An end of this node's process is expected: a fault asks for it. */
  expectEnd(machine: SimMachine, expectation: Expectation): void {
    this.#expectations.set(machine, expectation);
  }

  expectNothing(machine: SimMachine): void {
    this.#expectations.forget(machine);
  }

  /** Some fault of its disks is under way there. */
  isInTrouble(machine: SimMachine): boolean {
    return this.#expectations.has(machine);
  }

  /** The others can give back what this replica loses, and no other one is damaged. */
  mayBeDamaged(machine: SimMachine): boolean {
    if (this.isHealed || this.isRebuilding || this.isInTrouble(machine)) return false;
    return !this.#expectations.hasDamage && !this.hasQuarantine && !this.strays.areLeft;
  }

  /** Some replica knows that its data is damaged, and waits for a copy; marked on its disk, or about to be. */
  get hasQuarantine(): boolean {
    return this.machines.some((machine) => {
      const replicas = [...(this.running(machine)?.cluster.engine.replicas.values() ?? [])];
      const isMarked = machine.disk.paths().some((path) => path.includes('/quarantine/'));
      return isMarked || replicas.some((replica) => replica.isQuarantined);
    });
  }

  onceSnapshotSent(told: (from: SimMachine, to: SimMachine) => void): void {
    this.#onSnapshotSent.push(told);
  }

  /** Told when a snapshot lies whole in a directory of a node. */
  onceStaged(told: (machine: SimMachine, directory: string) => void): void {
    this.#onStaged.push(told);
  }

  get isRebuilding(): boolean {
    return this.#rebuilding !== null;
  }

  /** What the node has cannot be trusted, or is lost: it starts with empty disks. One node at a time. */
  rebuild(machine: SimMachine): void {
    this.#rebuilding = rebuild(this, machine).then(() => {
      this.#rebuilding = null;
    });
  }

  /** After so long, ms, and not before the disks have told what became of all that was begun. */
  whenTold(ms: number, work: () => void): void {
    this.scheduler.after(ms, () => {
      const areSilent = this.machines.some(({ disk, device }) => disk.isHolding || device.isStalled);
      if (areSilent) this.whenTold(ms, work);
      else work();
    });
  }

  /** From now on nothing goes wrong any more, and a supervisor starts what is down. Damage that nobody met stays. */
  heal(): void {
    this.isHealed = true;
    this.slowness = 1;
    this.network.healAll();
    for (const machine of this.machines) {
      if (machine.boot?.isPaused === true) machine.boot.resume();
      forgetFailures(machine);
      machine.atOperation(0, null);
      machine.disk.isFull = false;
      machine.device.isFull = false;
    }
    this.#onSnapshotSent = [];
    this.#onStaged = [];
    this.points.end();
    this.whenTold(AFTERMATH_MS, this.#expectations.visible());
    this.#keepUp();
  }

  #keepUp(): void {
    for (const machine of this.machines) {
      if (machine.boot === null && !this.absent.has(machine)) this.start(machine);
    }
    this.scheduler.after(SUPERVISOR_MS, () => {
      this.#keepUp();
    });
  }

  /** Nodes that may hold damage that nobody has met. */
  get suspects(): readonly SimMachine[] {
    return this.#expectations.latent;
  }

  /** The replica that leads a group, if a live node has one that serves. */
  leaderOf(group: number): { readonly machine: SimMachine; readonly replica: Replica } | undefined {
    for (const machine of this.machines) {
      if (machine.boot?.isPaused === true) continue;
      const replica = this.running(machine)?.cluster.engine.replicas.get(group);
      if (replica?.isServing === true) return { machine, replica };
    }
    return undefined;
  }

  replicaOn(machine: SimMachine, group: number): Replica | undefined {
    return this.running(machine)?.cluster.engine.replicas.get(group);
  }

  get groups(): readonly number[] {
    return Array.from({ length: this.profile.partitions + 1 }, (_, i) => i);
  }

  pickNode(): string {
    return this.#clientRandom.pick(this.machines).name;
  }

  #settings(machine: SimMachine): Settings['values'] {
    const { profile } = this;
    return {
      ...defaultValues(),
      'node-id': machine.name,
      port: CLIENT_PORT,
      bind: [machine.name],
      dir: DIRECTORY,
      'protected-mode': false,
      'initial-cluster': this.machines.map(({ name }) => ({ name, host: name, port: CLUSTER_PORT })),
      'cluster-secret': 'simulated',
      partitions: profile.partitions,
      'replication-factor': profile.replicationFactor,
      'read-consistency': profile.readConsistency,
      'command-timeout': profile.commandTimeoutMs,
      'election-timeout': profile.electionTimeoutMs,
      'heartbeat-interval': profile.heartbeatMs,
      'log-segment-size': SEGMENT_BYTES,
      'log-memory-size': profile.logMemoryBytes,
      'checkpoint-interval': profile.checkpointIntervalMs,
      'version-retention': profile.retentionMs,
      'version-retention-count': profile.retentionCount,
      'scrub-rate': profile.scrubIntervalMs === 0 ? 0 : SCRUB_RATE,
      'scrub-interval': profile.scrubIntervalMs,
    };
  }

  // -------------------------------------------------------------------------------------------------------------
  // What is told

  violation(text: string): void {
    this.trace(`VIOLATION ${text}`);
    if (this.violations.length < VIOLATIONS_MAX)
      this.violations.push(`at ${this.scheduler.nowMs.toFixed(1)} ms: ${text}`);
  }

  mark(name: string, times = 1): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + times);
  }

  trace(line: string): void {
    const timed = `${this.scheduler.nowMs.toFixed(2).padStart(10)} ${line}`;
    this.options.onTrace?.(timed);
    this.lines.push(timed);
    if (this.lines.length > LINES_KEPT * 2) this.lines.splice(0, LINES_KEPT);
    if (/^n\d /.test(line)) this.#keepNodeLine(line.slice(0, 2), timed);
  }

  #keepNodeLine(node: string, line: string): void {
    const lines = this.#nodeLines.get(node) ?? [];
    lines.push(line);
    if (lines.length > NODE_LINES_KEPT * 2) lines.splice(0, NODE_LINES_KEPT);
    this.#nodeLines.set(node, lines);
  }

  /** The last that each node said of itself, or had done to it. */
  get nodeLines(): ReadonlyMap<string, readonly string[]> {
    return new Map([...this.#nodeLines].map(([node, lines]) => [node, lines.slice(-NODE_LINES_KEPT)]));
  }

  /** What is said after the death of a process was never said. */
  #logger(machine: SimMachine, boot: SimBoot): Logger {
    return tellingLogger((level, event, fields) => {
      if (!boot.isAlive) return;
      this.mark(`log: ${event}`);
      this.links.told(machine, event, fields?.['node']);
      if (event === 'sending a snapshot') this.#snapshotSent(machine, fields?.['to']);
      const error = fields?.['error'];
      const cause = error instanceof Error ? ` ${error.stack ?? error.message}` : '';
      this.trace(`${machine.name} ${level} ${event} ${fields === undefined ? '' : JSON.stringify(fields)}${cause}`);
      const told = `${machine.name}: ${event}: ${JSON.stringify(fields)}${cause}`;
      // Where a process would have ended, the double throws: whoever catches that tells of it.
      if (event === DIFFERENCE && this.strays.count === 0) this.violation(told);
      if (FAILURES.has(event) && !told.includes('ProcessEnded')) this.violation(told);
    });
  }

  #snapshotSent(machine: SimMachine, to: unknown): void {
    const receiver = typeof to === 'number' ? this.machines[to - 1] : undefined;
    if (receiver !== undefined) for (const told of this.#onSnapshotSent.splice(0)) told(machine, receiver);
  }

  /** Goes into the hash of the run, with the time: equal hashes are equal runs. */
  #note(kind: number, where: number, payload: number): void {
    let hash = Math.imul(this.#hash ^ kind, 0x0100_0193);
    hash = Math.imul(hash ^ where, 0x0100_0193);
    hash = Math.imul(hash ^ payload, 0x0100_0193);
    this.#hash = Math.imul(hash ^ Math.floor(this.scheduler.nowMs * 1_000), 0x0100_0193);
  }

  noteClient(payload: number): void {
    this.#note(SIM_EVENTS.client, 0, payload);
  }

  get traceHash(): string {
    return [this.#hash, this.scheduler.timeHash].map((hash) => (hash >>> 0).toString(16).padStart(8, '0')).join('');
  }
}

function forgetFailures({ disk, device }: SimMachine): void {
  disk.forgetFailures();
  device.forgetFailures();
}

function causeOf(end: ProcessEnded): string {
  const { cause } = end;
  return cause instanceof Error ? `\n${cause.stack ?? cause.message}` : '';
}
