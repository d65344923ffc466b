/** The simulated world as workloads see it. */
import { SimClient } from './client.ts';
import { surelyUntil } from './profile.ts';
import type { Replica } from '../../src/partition/replica.ts';
import type { World } from './world.ts';
import { plain, type Stage } from './workloads/stage.ts';

/** `home`: the node that all clients go to, if they shall not choose. */
export function createSimStage(world: World, home: string | null = null): Stage {
  const { profile, scheduler, machines } = world;
  const pins = world.random.fork('pins');
  return {
    load: profile,
    hasFaults: profile.faults.length > 0,
    nodeCount: machines.length,
    replicaCount: Math.min(profile.replicationFactor, machines.length),
    history: profile,
    random: world.random,
    get nowMs() {
      return scheduler.nowMs;
    },
    get isStopping() {
      return world.isStopping;
    },
    sleep: (ms) => scheduler.sleep(ms),
    after: (ms, callback) => {
      scheduler.after(ms, callback);
    },
    createClient: (name) => new SimClient(world, name, home ?? (profile.isPinned ? pins.pick(machines).name : null)),
    surelyUntil: (startMs, ttlMs) => surelyUntil(profile, startMs, ttlMs),
    holdersOf: (text) => holdersOf(world, text),
    get lastApartMs() {
      return world.links.lastApartMs;
    },
    mark: (name, times) => {
      world.mark(name, times);
    },
    ended: ({ client, request, startMs }, outcome) => {
      world.mark(outcome.kind);
      const said = outcome.kind === 'ok' ? JSON.stringify(plain(outcome.reply)) : outcome.error;
      world.noteClient(said.length);
      world.trace(`${client} ${request.join(' ')} (since ${startMs.toFixed(2)}) -> ${outcome.kind} ${said}`);
      if (outcome.kind === 'unknown') world.mark(`unknown: ${outcome.error.slice(0, 40)}`);
    },
    violation: (text) => {
      world.violation(text);
    },
  };
}

/** Nodes that are down, or still start, may hold anything; those that lost a disk may have held it. */
function holdersOf(world: World, text: string): number {
  for (const group of world.groups.slice(1)) {
    const replicas = world.machines.map((machine) => world.running(machine)?.cluster.engine.replicas.get(group));
    // A former leader may hold an attempt of its own that was never committed: the write is where most hold it.
    const indices = new Set(replicas.map((replica) => indexOf(replica, text)).filter((found) => found > 0));
    if (indices.size === 0) continue;
    const unseen = world.machines.filter(
      (machine) => machine.hasBeenWiped || world.running(machine) === undefined,
    ).length;
    const holding = [...indices].map(
      (index) => replicas.filter((replica) => replica !== undefined && holds(replica.core, { index, text })).length,
    );
    return unseen + Math.max(...holding) - 1;
  }
  return Number.POSITIVE_INFINITY;
}

/** Entries that are looked through, from the newest on. */
const ENTRIES_MAX = 300;

function indexOf(replica: Replica | undefined, text: string): number {
  if (replica === undefined) return 0;
  const { core } = replica;
  const first = Math.max(core.firstIndex, core.lastIndex - ENTRIES_MAX);
  for (let index = core.lastIndex; index >= first; index--) {
    if (Buffer.from(core.entry(index)?.data ?? []).includes(text)) return index;
  }
  return 0;
}

function holds(core: Replica['core'], { index, text }: { readonly index: number; readonly text: string }): boolean {
  if (core.firstIndex > index) return true;
  return core.durableIndex >= index && Buffer.from(core.entry(index)?.data ?? []).includes(text);
}
