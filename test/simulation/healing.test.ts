/** Whole nodes whose data or whose directory is damaged: nothing wrong is served, and they are rebuilt without help. */
import { strict as assert } from 'node:assert';
import { createScriptHost } from '../../src/scripting/host.ts';
import type { Replica } from '../../src/partition/replica.ts';
import { encodeRecordKey } from '../../src/storage/data/keys.ts';
import { replacementKey } from '../../src/storage/data/metadata.ts';
import { slotOfKey } from '../../src/base/slots.ts';
import type { SimMachine } from '../doubles/sim-platform.ts';
import { SimClient } from './client.ts';
import { drawProfile } from './draw-profile.ts';
import type { Profile } from './profile.ts';
import { World } from './world.ts';

const GROUP = 1;
const KEYS = 40;
const LIMIT_MS = 60_000;

/** Three quiet nodes with some keys in their data stores. */
class Cluster {
  readonly world: World;
  readonly client: SimClient;

  constructor(world: World) {
    this.world = world;
    this.client = new SimClient(world, 'client', null);
  }

  static async start(changes: Partial<Profile> = {}): Promise<Cluster> {
    const profile = {
      ...drawProfile(1),
      nodeCount: 3,
      partitions: 1,
      replicationFactor: 3,
      faults: [],
      plan: [],
      workloads: [],
      checkpointIntervalMs: 1_000,
      ...changes,
    };
    const scriptHost = await createScriptHost({
      clock: { monotonicMs: () => 0, wallMs: () => 0 },
      redisVersion: '7.2.5',
    });
    const cluster = new Cluster(new World(profile, { scriptHost }));
    for (const machine of cluster.world.machines) cluster.world.start(machine);
    await cluster.until('all lead', () => cluster.world.groups.every((group) => cluster.world.leaderOf(group)));
    for (let i = 0; i < KEYS; i++) await cluster.call('SET', `k${i}`, `v${i}`);
    await cluster.until('applied everywhere', () => cluster.isApplied);
    return cluster;
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const { world } = this;
    const endMs = world.scheduler.nowMs + LIMIT_MS;
    while (!holds()) {
      assert.ok(world.scheduler.nowMs < endMs, `${what}: ${world.lines.slice(-30).join('\n')}`);
      await world.scheduler.run(50, () => false);
      assert.deepEqual(world.violations, []);
    }
  }

  async call(...request: string[]): Promise<unknown> {
    for (;;) {
      let reply: unknown;
      let isDone = false;
      void this.client.pipeline([request]).then(([outcome]) => {
        isDone = true;
        reply = outcome?.kind === 'ok' ? outcome.reply : undefined;
      });
      await this.until(request.join(' '), () => isDone);
      if (reply !== undefined) return reply;
    }
  }

  replica(machine: SimMachine): Replica {
    const replica = this.world.running(machine)?.cluster.engine.replicas.get(GROUP);
    assert.ok(replica !== undefined);
    return replica;
  }

  get isApplied(): boolean {
    const indexes = this.world.machines.map((machine) => this.replica(machine).applier.index);
    return indexes.every((index) => index === this.replica(this.leader).commitIndex);
  }

  get leader(): SimMachine {
    const found = this.world.leaderOf(GROUP);
    assert.ok(found !== undefined);
    return found.machine;
  }

  get follower(): SimMachine {
    const found = this.world.machines.find((machine) => machine !== this.leader);
    assert.ok(found !== undefined);
    return found;
  }

  async expectEverything(): Promise<void> {
    for (let i = 0; i < KEYS; i++) assert.equal(text(await this.call('GET', `k${i}`)), `v${i}`);
  }

  isHealed(machine: SimMachine): boolean {
    return !this.replica(machine).isQuarantined && this.isApplied;
  }
}

function text(reply: unknown): unknown {
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : reply;
}

describe('healing', function () {
  this.timeout(600_000);

  it('a leader that meets a damaged record hands over and is rebuilt; the read gets its answer', async () => {
    const cluster = await Cluster.start();
    const { world, follower } = cluster;
    follower.device.flipBit(encodeRecordKey(slotOfKey('k7'), 0, 'k7'), 70);
    const { leader } = cluster;
    const boot = leader.boot;
    boot?.enter(() => cluster.replica(leader).transferLeadership(cluster.replica(follower).node));
    await cluster.until('the damaged one leads', () => world.leaderOf(GROUP)?.machine === follower);
    await cluster.expectEverything();
    assert.ok(
      (world.marks.get(
        'log: the data of this replica is damaged: it serves nothing until it was rebuilt from another',
      ) ?? 0) > 0,
    );
    await cluster.until('rebuilt', () => cluster.isHealed(follower));
    await cluster.call('SET', 'after', 'x');
    await cluster.until('applied everywhere', () => cluster.isApplied);
    const healed = cluster.replica(follower);
    assert.equal(
      text(healed.data.get(encodeRecordKey(slotOfKey('k7'), 0, 'k7'))?.payload)
        ?.toString()
        .includes('v7'),
      true,
    );
    await cluster.expectEverything();
    assert.deepEqual(world.violations, []);
  });

  it('the quarantine outlives the process, and what is committed meanwhile is applied after the rebuild', async () => {
    const cluster = await Cluster.start();
    const { world, follower } = cluster;
    const others = world.machines.filter((machine) => machine !== follower);
    for (const other of others) world.network.cut(follower.name, other.name);
    follower.boot?.enter(() => {
      cluster.replica(follower).quarantine('a test');
    });
    await world.scheduler.run(500, () => false);
    world.kill(follower);
    for (const other of others) world.network.heal(follower.name, other.name);
    for (let i = 0; i < KEYS; i++) await cluster.call('SET', `k${i}`, `v${i}`);
    world.start(follower);
    await cluster.until('it runs', () => world.running(follower) !== undefined);
    assert.ok(cluster.replica(follower).isQuarantined);
    await cluster.until('rebuilt', () => cluster.isHealed(follower));
    const states = world.machines.map((machine) => cluster.replica(machine).applier.state.rollingHash);
    assert.equal(new Set(states).size, 1);
    // Else the log could not be cut where the data stands: the copy may reach beyond what was ever applied here.
    const rebuilt = cluster.replica(follower);
    assert.equal(rebuilt.core.appliedIndex, rebuilt.applier.index);
    await cluster.expectEverything();
  });

  it('the quarantine ends with an installation that a crash cut off, and that the next start finishes', async () => {
    const cluster = await Cluster.start({ logMemoryBytes: 500, checkpointIntervalMs: 200, commandTimeoutMs: 500 });
    const { world, follower } = cluster;
    world.kill(follower);
    // Until the others' logs have let go of what it lacks.
    for (let i = 0; i < KEYS; i++) await cluster.call('SET', `k${i}`, `v${i}`);
    await world.scheduler.run(20_000, () => false);
    world.start(follower);
    // As if its data had been damaged before.
    const mark = `/data/quarantine/${GROUP}`;
    const isMarked = (): boolean => follower.disk.paths().includes(mark);
    for (let ms = 0; ms < 1_000 && world.running(follower) === undefined; ms++)
      await world.scheduler.run(1, () => false);
    void follower.disk
      .makeDirectory('/data/quarantine')
      .then(() => follower.disk.writeFileAtomically(mark, Buffer.from('a test')));
    const isReplacing = (): boolean => follower.device.has(replacementKey(GROUP));
    for (let ms = 0; ms < 5_000 && !(isReplacing() && isMarked()); ms++) await world.scheduler.run(1, () => false);
    assert.ok(isReplacing() && isMarked());
    world.kill(follower);
    world.start(follower);
    await cluster.until('it runs', () => world.running(follower) !== undefined);
    assert.ok((world.marks.get('log: finished the installation of a snapshot') ?? 0) > 0);
    await cluster.until('healed', () => cluster.isHealed(follower));
    assert.ok(!isMarked());
    await cluster.expectEverything();
  });

  it('a damaged old version that is to be collected takes its replica out of service, and not the node', async () => {
    const cluster = await Cluster.start({ retentionMs: 500, scrubIntervalMs: 0 });
    const { world, follower } = cluster;
    const boot = follower.boot;
    await cluster.call('DEL', 'k7');
    await cluster.until('applied everywhere', () => cluster.isApplied);
    const recordKey = Buffer.from(encodeRecordKey(slotOfKey('k7'), 0, 'k7'));
    const versions = follower.device.keys().filter((key) => recordKey.equals(key.subarray(0, recordKey.length)));
    const tombstone = versions.sort(Buffer.compare)[0];
    assert.ok(tombstone !== undefined && tombstone.length > recordKey.length, 'the newest version: deleted');
    follower.device.flipBit(tombstone, 5);
    await cluster.until('it is known', () => cluster.replica(follower).isQuarantined);
    await cluster.until('rebuilt', () => cluster.isHealed(follower));
    assert.equal(follower.boot, boot);
    assert.equal(await cluster.call('EXISTS', 'k7'), 0);
    assert.deepEqual(world.violations, []);
  });

  it('old versions that the store cannot read take the replica whose they are out of service, and not the node', async () => {
    const cluster = await Cluster.start({ retentionMs: 500, scrubIntervalMs: 0 });
    const { world, follower } = cluster;
    world.kill(follower);
    const recordKey = encodeRecordKey(slotOfKey('k7'), 0, 'k7');
    const version = follower.device.keys().find((key) => key.length > recordKey.length && key.includes('k7'));
    assert.ok(version !== undefined);
    const repair = follower.device.makeUnreadable(version);
    // It has forgotten what is to be collected, and walks over everything.
    world.start(follower);
    await cluster.until('it runs', () => world.running(follower) !== undefined);
    const boot = follower.boot;
    await cluster.until('it is known', () => cluster.replica(follower).isQuarantined);
    repair();
    assert.equal(world.running(follower)?.cluster.engine.replicas.get(0)?.isQuarantined, false);
    await cluster.until('rebuilt', () => cluster.isHealed(follower));
    assert.equal(follower.boot, boot);
    await cluster.expectEverything();
  });

  it('a moment that is held outlives a loss of power, although the log is applied again from before it was', async () => {
    const cluster = await Cluster.start({ retentionMs: 0, retentionCount: 0, checkpointIntervalMs: 600_000 });
    const { world, follower } = cluster;
    const hold = async (holder: string): Promise<readonly unknown[]> => {
      const reply = await cluster.call('KAHUNA.HOLD', 'ACQUIRE', holder, '0', 'PX', '100000');
      assert.ok(Array.isArray(reply), String(reply));
      return reply as unknown[];
    };
    const [, first] = await hold('first');
    await cluster.call('KAHUNA.HOLD', 'RELEASE', String(first));
    // The partitions are told of a release later.
    await world.scheduler.run(5_000, () => false);
    const [, , , moment] = await hold('second');
    for (let i = 0; i < KEYS; i++) await cluster.call('SET', `k${i}`, `v${i}`);
    await cluster.until('applied everywhere', () => cluster.isApplied);
    await world.scheduler.run(1_000, () => false);
    world.powerOff(follower);
    world.start(follower);
    await cluster.until('it runs', () => world.running(follower) !== undefined);
    await cluster.until('applied everywhere', () => cluster.isApplied);
    const { data } = cluster.replica(follower);
    assert.ok(data.keepsHistory);
    assert.ok(data.historyFloor <= Number(moment), `${data.historyFloor} is gone, ${String(moment)} is held`);
  });

  it('a node that lost its data directory, but not its log, is rebuilt', async () => {
    const cluster = await Cluster.start();
    const { world, follower } = cluster;
    await world.scheduler.run(3_000, () => false);
    world.kill(follower);
    const { disk } = follower;
    follower.wipe();
    follower.disk = disk;
    world.start(follower);
    await cluster.until('it runs', () => world.running(follower) !== undefined);
    await cluster.until('rebuilt', () => cluster.isHealed(follower));
    await cluster.expectEverything();
  });
});
