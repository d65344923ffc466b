/**
 * Strikes by a plan: which fault, when, with which chance of its own. The plan is data, drawn from the seed before the run, so
 * that a failing run can be repeated with parts of it.
 */
import { Strike } from './faults/fault.ts';
import { faultNamed } from './faults/index.ts';
import type { Plan } from './profile.ts';
import type { World } from './world.ts';

/** Everything of the plan that lies before the healing will strike. */
export function startNemesis(world: World, plan: Plan): void {
  for (const planned of plan) {
    const fault = faultNamed(planned.fault);
    world.scheduler.after(planned.atMs, () => {
      if (world.isHealed) return;
      world.trace(`strike: ${planned.fault}`);
      fault.strike(new Strike(world, planned, () => world.isHealed));
    });
  }
}
