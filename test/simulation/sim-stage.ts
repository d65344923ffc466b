/** The simulated world as workloads see it. */
import { SimClient } from './client.ts';
import { surelyUntil } from './profile.ts';
import type { World } from './world.ts';
import { plain, type Stage } from './workloads/stage.ts';

export function createSimStage(world: World): Stage {
  const { profile, scheduler, machines } = world;
  const pins = world.random.fork('pins');
  return {
    load: profile,
    hasFaults: profile.faults.length > 0,
    nodeCount: machines.length,
    replicaCount: Math.min(profile.replicationFactor, machines.length),
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
    createClient: (name) => new SimClient(world, name, profile.isPinned ? pins.pick(machines).name : null),
    surelyUntil: (startMs, ttlMs) => surelyUntil(profile, startMs, ttlMs),
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
