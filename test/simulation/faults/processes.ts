/** Processes that die, sleep, close, hand over; machines that lose their power; clocks. */
import type { SimMachine } from '../../doubles/sim-platform.ts';
import type { Fault, Strike } from './fault.ts';

const HOUR_MS = 3_600_000;
const OPERATIONS_MAX = 40;

/** SIGSTOP, and SIGCONT after a while. */
export function pause(strike: Strike, machine: SimMachine): void {
  const { boot } = machine;
  if (boot === null || boot.isPaused) return;
  boot.pause();
  strike.later(50, strike.random.pick([500, 8_000]), () => {
    if (boot.waitingCount > 0) strike.did();
    boot.resume();
  });
}

export const PROCESS_FAULTS = [
  { name: 'kill', endsProcesses: true, strike: (strike) => strike.kill(strike.any()) },
  { name: 'killLeader', endsProcesses: true, strike: (strike) => strike.kill(strike.leader()) },
  {
    name: 'killAll',
    endsProcesses: true,
    strike: (strike) => {
      for (const machine of strike.world.machines) strike.kill(machine);
    },
  },
  {
    // Instead of the completion of some operation of the disk or the store: at any await, so to say.
    name: 'killAtOperation',
    endsProcesses: true,
    strike: (strike) => {
      const machine = strike.random.chance(0.5) ? strike.leader() : strike.any();
      const isPower = strike.random.chance(0.5);
      machine.atOperation(strike.random.below(OPERATIONS_MAX), () => {
        if (strike.world.isHealed) return;
        if (isPower) strike.powerOff(machine);
        else strike.kill(machine);
      });
    },
  },
  {
    // Dies again and again while it starts.
    name: 'crashLoop',
    endsProcesses: true,
    strike: (strike) => {
      const machine = strike.any();
      if (machine.boot === null) return;
      strike.world.kill(machine);
      const again = (left: number): void => {
        strike.later(10, 300, () => {
          if (machine.boot !== null) return;
          strike.world.start(machine);
          if (left === 0) return;
          machine.atOperation(strike.random.below(OPERATIONS_MAX), () => {
            if (strike.world.isHealed) return;
            strike.did();
            if (strike.random.chance(0.5)) strike.world.kill(machine);
            else strike.world.powerOff(machine);
            again(left - 1);
          });
        });
      };
      again(3);
    },
  },
  { name: 'powerOff', endsProcesses: true, strike: (strike) => strike.powerOff(strike.any()) },
  {
    name: 'powerOffAll',
    endsProcesses: true,
    strike: (strike) => {
      for (const machine of strike.world.machines) strike.powerOff(machine);
    },
  },
  { name: 'pause', strike: (strike) => pause(strike, strike.any()) },
  { name: 'pauseLeader', strike: (strike) => pause(strike, strike.leader()) },
  {
    name: 'transfer',
    strike: (strike) => {
      const found = strike.world.leaderOf(strike.group());
      if (found === undefined) return;
      const { machine, replica } = found;
      const to = strike.random.pick(replica.core.confState.voters);
      machine.boot?.enter(() => {
        if (to !== replica.node && replica.isServing && replica.transferLeadership(to)) strike.did();
      });
    },
  },
  {
    name: 'shutdown',
    endsProcesses: true,
    strike: (strike) => {
      const machine = strike.any();
      if (!strike.world.shutDown(machine, strike.random.pick([0, 300, 2_000]))) return;
      strike.did();
      strike.later(2_500, 5_000, () => {
        if (machine.boot === null) strike.world.start(machine);
      });
    },
  },
  {
    // Away for so long that the others forget what it misses: it needs a snapshot.
    name: 'absent',
    endsProcesses: true,
    strike: (strike) => {
      const machine = strike.any();
      if (machine.boot === null) return;
      strike.world.kill(machine);
      strike.did();
      strike.later(6_500, 10_000, () => {
        if (machine.boot === null) strike.world.start(machine);
      });
    },
  },
  {
    // While a snapshot is on its way, or being installed.
    name: 'killInstalling',
    endsProcesses: true,
    strike: (strike) => {
      const { world } = strike;
      world.onceSnapshotSent((from, to) => {
        const victim = strike.random.chance(0.8) ? to : from;
        strike.later(0, strike.random.pick([20, 200]), () => {
          if (strike.random.chance(0.5)) strike.kill(victim);
          else strike.powerOff(victim);
        });
      });
    },
  },
  {
    name: 'checkpoint',
    strike: (strike) => {
      const machine = strike.any();
      const running = strike.world.running(machine);
      machine.boot?.enter(() => {
        running?.cluster.engine.checkpoint().then(strike.did, () => undefined);
      });
    },
  },
  {
    name: 'stepClock',
    strike: (strike) => {
      strike.any().wallOffsetMs += strike.random.pick([-HOUR_MS, -700, 700, HOUR_MS]);
      strike.did();
    },
  },
  {
    // The monotonic clock runs at another pace, within what is promised to be borne.
    name: 'driftClock',
    strike: (strike) => {
      const { drift } = strike.world.profile;
      if (drift === 0) return;
      strike.any().setClockRate(1 + strike.random.pick([-drift, 0, drift]));
      strike.did();
    },
  },
] as const satisfies readonly Fault[];
