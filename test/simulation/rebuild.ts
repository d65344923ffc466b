/**
 * The procedure of docs/operations.md for a damaged or lost replica: the node starts with an empty directory, and nothing else
 * is done. Its leaders restore it, whatever strikes meanwhile; only that no other node loses its disk before this one votes again.
 */
import type { SimMachine } from '../doubles/sim-platform.ts';
import type { World } from './world.ts';

const POLL_MS = 20;

export async function rebuild(world: World, machine: SimMachine): Promise<void> {
  if (machine.boot !== null) world.kill(machine);
  machine.wipe();
  world.ghost.forget(machine.name);
  world.trace(`${machine.name} gets empty disks`);
  world.start(machine);
  while (!votesAgain(world, machine)) await world.scheduler.sleep(POLL_MS);
  world.trace(`${machine.name} votes again`);
  world.mark('rebuilt');
}

function votesAgain(world: World, machine: SimMachine): boolean {
  const running = world.running(machine);
  if (running === undefined) return false;
  return [...running.cluster.engine.replicas.values()].every(({ role }) => role !== 'learner');
}
