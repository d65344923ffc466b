/** Faults of clocks. They need libfaketime; `fake-clocks.ts` says what it does. */
import { seconds } from '../../harness/report.ts';
import { pause, waitFor } from '../../harness/wait.ts';
import { wallOffsetMs } from '../fake-clocks.ts';
import type { FaultContext, FaultPlan, FaultRow } from './fault.ts';

const HOUR_MS = 3_600_000;
const STEPS_MS = [-HOUR_MS, -5_000, -400, 400, 5_000, HOUR_MS];
const SEEN_TIMEOUT_MS = 10_000;

export const CLOCK_FAULTS: readonly FaultRow[] = [
  {
    name: 'step-clock-leader',
    doc: 'the wall clock of the leader is set by up to an hour, and back after some seconds',
    draw: (context) => step(context, [context.leader]),
  },
  {
    name: 'step-clock-all',
    doc: 'the wall clock of each node is set by another amount',
    draw: (context) => step(context, context.cluster.nodes),
  },
];

function step({ clocks, random }: FaultContext, nodes: FaultPlan['nodes']): FaultPlan {
  if (clocks === null) throw new Error('a scenario with clock faults needs fake clocks');
  const steps = nodes.map((node) => ({ node, offsetMs: random.pick(STEPS_MS) }));
  const wrongMs = random.integer(1_000, 4_000);
  return {
    text: `wall clocks: ${steps.map(({ node, offsetMs }) => `${node.name} ${offsetMs > 0 ? '+' : '-'}${seconds(Math.abs(offsetMs))}`).join(', ')}`,
    nodes: [],
    keepsQuorum: true,
    async act() {
      for (const { node, offsetMs } of steps) clocks.step(node, offsetMs);
      const seen: string[] = [];
      for (const { node, offsetMs } of steps) {
        const seenMs = await waitFor(
          { what: `${node.name} to see its clock`, timeoutMs: SEEN_TIMEOUT_MS },
          async () => {
            const ms = await wallOffsetMs(node);
            return Math.abs(ms - offsetMs) < 300 ? ms : null;
          },
        );
        seen.push(`${node.name} is off by ${Math.round(seenMs)} ms`);
      }
      await pause(wrongMs);
      for (const { node } of steps) clocks.step(node, 0);
      return seen.join(', ');
    },
  };
}
