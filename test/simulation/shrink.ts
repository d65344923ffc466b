/**
 * Makes a failing run small: strikes are left out (ddmin, Zeller and Hildebrandt 2002), then workloads, clients, time and
 * whatever makes the run less plain, as long as the same kind of rule is broken. Every decision of a run has its own
 * stream of chance, so what is left does what it did before, as far as the parts that went had no hand in it.
 */
import { planOf } from './draw-profile.ts';
import type { Plan, Profile } from './profile.ts';
import { type Report, runSeed, type RunOptions } from './run.ts';

export interface Shrunk {
  readonly report: Report;
  /** What differs from the profile that the seed draws: `--with` takes it. */
  readonly changes: Partial<Profile>;
  readonly runs: number;
}

export interface ShrinkOptions {
  /** Asked before each run: false ends it, with the smallest failure so far. */
  readonly goesOn: () => boolean;
  readonly run?: RunOptions;
}

/** What is left of a rule's text when its particulars are gone. */
export function kindOf(violation: string): string {
  return violation
    .replace(/^at [\d.]+ ms: /, '')
    .replace(/[\d.]+/g, '#')
    .slice(0, 32);
}

export async function shrink(failed: Report, options: ShrinkOptions): Promise<Shrunk> {
  const shrinking = new Shrinking(failed, options);
  await shrinking.shrink();
  return { report: shrinking.best, changes: shrinking.changes, runs: shrinking.runs };
}

/** Tried one after the other, each on top of those that kept the failure. */
const PLAINER: readonly Partial<Profile>[] = [
  { isCoreFirst: false },
  { lateChance: 0 },
  { cutChance: 0 },
  { drift: 0 },
  { wallOffsetMs: 0 },
  { residentBytes: 0 },
  { storeMs: { min: 0, max: 0.2 } },
  { diskMs: { min: 0.1, max: 0.5 } },
  { partitions: 1 },
  { isPinned: true },
];

class Shrinking {
  best: Report;
  changes: Partial<Profile> = {};
  runs = 0;
  readonly #kind: string;
  readonly #options: ShrinkOptions;

  constructor(failed: Report, options: ShrinkOptions) {
    this.best = failed;
    this.#kind = kindOf(failed.violations[0] ?? '');
    this.#options = options;
  }

  async shrink(): Promise<void> {
    await this.#shrinkPlan();
    for (const workload of this.best.profile.workloads) {
      const workloads = this.best.profile.workloads.filter((other) => other !== workload);
      if (workloads.length > 0) await this.#try({ workloads });
    }
    await this.#shrinkNumber(this.best.profile.clientCount, (clientCount) => ({ clientCount }));
    const last = Math.max(0, ...planOf(this.best.profile).map(({ atMs }) => atMs));
    await this.#shrinkNumber(this.best.profile.faultTimeMs, (faultTimeMs) => ({
      plan: planOf(this.best.profile),
      faultTimeMs: Math.max(faultTimeMs, last + 1),
    }));
    for (const plainer of PLAINER) await this.#try(plainer);
    await this.#shrinkPlan();
  }

  /** ddmin: without ever smaller parts of the plan. */
  async #shrinkPlan(): Promise<void> {
    let parts = 2;
    for (;;) {
      const plan = planOf(this.best.profile);
      if (plan.length === 0 || parts > plan.length * 2) return;
      const size = Math.max(1, Math.ceil(plan.length / parts));
      let isSmaller = false;
      for (let from = 0; from < plan.length && !isSmaller; from += size) {
        const rest: Plan = [...plan.slice(0, from), ...plan.slice(from + size)];
        isSmaller = await this.#try({ plan: rest });
      }
      if (isSmaller) parts = Math.max(2, parts - 1);
      else if (size === 1) return;
      else parts *= 2;
    }
  }

  /** The smallest of 1, 2, 4 … that fails. */
  async #shrinkNumber(present: number, change: (value: number) => Partial<Profile>): Promise<void> {
    for (let value = 1; value < present; value *= 2) if (await this.#try(change(value))) return;
  }

  async #try(change: Partial<Profile>): Promise<boolean> {
    if (!this.#options.goesOn()) return false;
    this.runs++;
    const changes = { ...this.changes, ...change };
    const { run } = this.#options;
    const report = await runSeed(this.best.seed, {
      ...run,
      adjust: (drawn) => ({ ...(run?.adjust?.(drawn) ?? drawn), ...changes }),
    });
    if (!report.violations.some((violation) => kindOf(violation) === this.#kind)) return false;
    this.best = report;
    this.changes = changes;
    return true;
  }
}
