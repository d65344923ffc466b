/** Strikes with one fault after the other, and writes down what each did. Every fault ends with all nodes serving again. */
import { tagOfSlot } from '../../src/base/slots.ts';
import type { KahunaCluster, KahunaNode } from '../harness/kahuna.ts';
import { seconds } from '../harness/report.ts';
import type { FaultContext, FaultPlan } from './faults/fault.ts';
import { faultNamed } from './faults/index.ts';
import type { FaultRecord, Timeline } from './timeline.ts';

/** A key of the partition whose leader is aimed at: the first, of however many there are. */
const AIM_KEY = `{${tagOfSlot(0)}}chaos:aim`;
const RECOVERY_TIMEOUT_MS = 30_000;

export class Nemesis {
  readonly #cluster: KahunaCluster;
  readonly #timeline: Timeline;
  readonly #context: Omit<FaultContext, 'leader'>;
  readonly #say: (line: string) => void;

  constructor(context: Omit<FaultContext, 'leader'>, timeline: Timeline, say: (line: string) => void) {
    this.#cluster = context.cluster;
    this.#context = context;
    this.#timeline = timeline;
    this.#say = say;
  }

  /** @throws if the fault was met in a way that breaks a promise, or the nodes do not come back */
  async strike(name: string): Promise<void> {
    const drawn = faultNamed(name).draw({ ...this.#context, leader: await this.#leader() });
    const plans: readonly FaultPlan[] = 'act' in drawn ? [drawn] : drawn;
    for (const plan of plans) await this.#carryOut(name, plan);
  }

  async #carryOut(name: string, plan: FaultPlan): Promise<void> {
    const before = await this.#leader();
    const record: FaultRecord = {
      name,
      nodes: plan.nodes.map((node) => node.name),
      keepsQuorum: plan.keepsQuorum,
      plan: plan.text,
      startMs: this.#timeline.nowMs(),
      healedMs: Number.POSITIVE_INFINITY,
      endMs: Number.POSITIVE_INFINITY,
      effect: null,
    };
    this.#timeline.faults.push(record);
    const effect = await plan.act();
    record.healedMs = this.#timeline.nowMs();
    await this.#cluster.untilAllReady(RECOVERY_TIMEOUT_MS);
    const after = await this.#leader();
    record.endMs = this.#timeline.nowMs();
    const moved = before === after ? '' : `, leader ${before.name} → ${after.name}`;
    record.effect = effect === null ? null : `${effect}${moved}`;
    const recovered = seconds(record.endMs - record.healedMs);
    const at = (record.startMs / 1000).toFixed(1).padStart(6);
    this.#say(
      `  ${at} s  ${name.padEnd(18)} ${plan.text}: ${record.effect ?? 'NO EFFECT'}; all well after ${recovered}`,
    );
  }

  #leader(): Promise<KahunaNode> {
    return this.#cluster.untilLeader(AIM_KEY, RECOVERY_TIMEOUT_MS);
  }
}
