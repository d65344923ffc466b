/**
 * What the server promises to clients of nodes that live on while a majority does: latency, and no error. All clients stay at
 * one node; whoever else leads is struck again and again.
 */
import { strict as assert } from 'node:assert';
import { createScriptHost } from '../../src/scripting/host.ts';
import type { SimMachine } from '../doubles/sim-platform.ts';
import { drawProfile } from './draw-profile.ts';
import type { Profile } from './profile.ts';
import { createSimStage } from './sim-stage.ts';
import type { WorkloadName } from './workloads/names.ts';
import { createWorkload } from './workloads/index.ts';
import { World } from './world.ts';

const STRIKES = 2;
/** Between a strike and its end, and until the next one. */
const LASTS_MS = 1_500;
const PAUSE_MS = 2_500;
const WORKLOADS: readonly WorkloadName[] = ['counter', 'append', 'watch', 'sequence', 'script'];

const profile: Profile = {
  ...drawProfile(1),
  nodeCount: 3,
  partitions: 1,
  replicationFactor: 3,
  readConsistency: 'quorum',
  electionTimeoutMs: 400,
  heartbeatMs: 50,
  commandTimeoutMs: 5_000,
  checkpointIntervalMs: 1_000,
  residentBytes: 0,
  latencyMs: { min: 0.5, max: 3 },
  lateChance: 0,
  cutChance: 0.02,
  diskMs: { min: 0.1, max: 2 },
  storeMs: { min: 0, max: 2 },
  drift: 0.001,
  wallOffsetMs: 5,
  faults: ['kill'],
  workloads: WORKLOADS,
  clientCount: 2,
  thinkMs: 100,
  isPinned: true,
};

/** Each strikes a machine, and returns what ends it. */
const STRIKE: Readonly<Record<string, (world: World, machine: SimMachine) => () => void>> = {
  'is killed': (world, machine) => {
    world.kill(machine);
    return () => world.start(machine);
  },
  'loses its power': (world, machine) => {
    world.powerOff(machine);
    return () => world.start(machine);
  },
  'is shut down': (world, machine) => {
    world.shutDown(machine, 500);
    return () => {
      if (machine.boot !== null) world.kill(machine);
      world.start(machine);
    };
  },
  'stands still': (_world, machine) => {
    const { boot } = machine;
    boot?.pause();
    return () => boot?.resume();
  },
  'is cut off': ({ network, machines }, machine) => {
    const others = machines.filter((other) => other !== machine);
    for (const { name } of others) {
      network.cut(name, machine.name);
      network.cut(machine.name, name);
    }
    return () => network.healAll();
  },
};

describe('clients of a node that lives on', function () {
  this.timeout(600_000);

  for (const [what, strike] of Object.entries(STRIKE)) {
    it(`see no error when another node that leads ${what}`, () => play(strike));
  }
});

async function play(strike: (world: World, machine: SimMachine) => () => void): Promise<void> {
  const scriptHost = await createScriptHost({
    clock: { monotonicMs: () => 0, wallMs: () => 0 },
    redisVersion: '7.2.5',
  });
  const world = new World(profile, { scriptHost });
  const { scheduler, machines } = world;
  const [home] = machines as readonly [SimMachine];
  for (const machine of machines) world.start(machine);
  const isLed = (): boolean => world.groups.every((group) => world.leaderOf(group) !== undefined);
  assert.ok(await scheduler.run(10_000, isLed));
  // Clients are told that a node that has just started is loading; this one has heard of its leaders by then.
  await scheduler.run(1_000);
  const stage = createSimStage(world, home.name);
  const workloads = WORKLOADS.map((name) => createWorkload(name, stage));
  const clients = Promise.all(workloads.flatMap((workload) => workload.start()));
  for (let strikes = 0; strikes < STRIKES; strikes++) {
    await scheduler.run(PAUSE_MS);
    const victim = await leaderElsewhere(world, home);
    const end = strike(world, victim);
    await scheduler.run(LASTS_MS);
    end();
  }
  await scheduler.run(PAUSE_MS);
  world.isStopping = true;
  let isSilent = false;
  void clients.then(() => {
    isSilent = true;
  });
  assert.ok(await scheduler.run(20_000, () => isSilent));
  const finished = Promise.all(workloads.map((workload) => workload.finish()));
  let isFinished = false;
  void finished.then(() => {
    isFinished = true;
  });
  assert.ok(await scheduler.run(20_000, () => isFinished));
  for (const workload of workloads) assert.deepEqual(workload.check(), []);
  assert.deepEqual(world.violations, []);
  assert.ok((world.marks.get('ok') ?? 0) > 300, `${world.marks.get('ok') ?? 0} operations`);
  // NOSCRIPT is said once, before anybody has loaded the script; and interactive transactions may come into each other's way.
  const isExpected = (line: string): boolean => line.includes('NOSCRIPT') || line.includes('CONFLICT something that');
  const errors = world.lines.filter((line) => /-> (failed|unknown)/.test(line) && !isExpected(line));
  assert.deepEqual(errors.slice(0, 5), []);
  assert.equal(world.marks.get('unknown') ?? 0, 0);
}

const TRANSFERS_MAX = 20;
const TRANSFER_MS = 500;

/** If the clients' own node leads the partition, it hands over first; a node that has just come back may not be able to lead. */
async function leaderElsewhere(world: World, home: SimMachine): Promise<SimMachine> {
  for (let tries = 0; tries < TRANSFERS_MAX; tries++) {
    const found = world.leaderOf(1);
    if (found !== undefined && found.machine !== home) return found.machine;
    if (found !== undefined) {
      const others = found.replica.core.confState.voters.filter((node) => node !== found.replica.node);
      home.boot?.enter(() => found.replica.transferLeadership(others[tries % others.length] ?? 0));
    }
    await world.scheduler.run(TRANSFER_MS);
  }
  throw new Error('no other node takes the leadership');
}
