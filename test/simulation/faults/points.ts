/**
 * Strikes at named points of the code (points.ts): whoever passes one dies there, stands still, loses its office or its links, waits
 * for its disk; or another node does. So what random moments meet seldom, because it is over within microseconds, is met often.
 */
import type { SimMachine } from '../../doubles/sim-platform.ts';
import { stallDisk, stallStore } from './disks.ts';
import type { Fault, Strike } from './fault.ts';
import { pause } from './processes.ts';

/** So many passes go by before the strike: some points are passed all the time, others once in a run. */
const SKIPPED = [0, 0, 1, 3, 10, 30];
const CUT_MIN_MS = 50;
const CUT_MAX_MS = 3_000;

type Deed = (strike: Strike, machine: SimMachine) => void;

/** Whatever it leads goes to others. The process cannot be asked while it stands at the point: as soon as it has gone on. */
function loseOffice(strike: Strike, machine: SimMachine): void {
  strike.later(0, 0, () => {
    machine.boot?.enter(() => {
      for (const replica of strike.world.running(machine)?.cluster.engine.replicas.values() ?? []) {
        const to = strike.random.pick(replica.core.confState.voters);
        if (to !== replica.node && replica.isServing && replica.transferLeadership(to)) strike.did();
      }
    });
  });
}

/** By name, as the run's report counts them. */
const DEEDS: Readonly<Record<string, Deed>> = {
  kill: (strike, machine) => strike.kill(machine),
  'power off': (strike, machine) => strike.powerOff(machine),
  pause: (strike, machine) => pause(strike, machine),
  isolate: (strike, machine) => strike.cutFor(CUT_MIN_MS, CUT_MAX_MS, strike.around([machine])),
  'lose office': loseOffice,
  'stall disk': (strike, machine) => stallDisk(strike, machine),
  'stall store': (strike, machine) => stallStore(strike, machine),
};
const DEED_NAMES = Object.keys(DEEDS);

export const POINT_FAULTS = [
  {
    name: 'atPoint',
    endsProcesses: true,
    strike: (strike) => {
      const { world, random } = strike;
      const point = random.pick(world.profile.points);
      const name = random.pick(DEED_NAMES);
      // At the point itself, or while what follows from it is on its way.
      const delayMs = random.pick([0, 0, 0, 0.2, 2]);
      const hitsAnother = random.chance(0.25);
      world.points.once(point, random.pick(SKIPPED), (passer) => {
        const machine = hitsAnother ? random.pick(world.machines) : passer;
        const deed = (): void => {
          if (machine.boot === null || machine.boot.isPaused) return;
          world.trace(`${name} ${machine.name}, as ${passer.name} was where ${point}`);
          world.mark(`at a point: ${name}`);
          DEEDS[name]?.(strike.part(point), machine);
        };
        if (delayMs === 0) deed();
        else strike.later(delayMs, delayMs, deed);
      });
    },
  },
] as const satisfies readonly Fault[];
