/** What a person wants to know of a run that broke a rule. */
import type { Plan } from './profile.ts';
import type { Report } from './run.ts';
import type { Shrunk } from './shrink.ts';

const NODE_LINES = 25;
const HISTORY_LINES = 60;

function replayCommand({ seed }: Report, changes: object = {}): string {
  const given = Object.keys(changes).length === 0 ? '' : ` --with '${JSON.stringify(changes)}'`;
  return `npm run simulate -- --seed ${seed}${given} --trace`;
}

export function describeFailure(failed: Report, shrunk?: Shrunk): string {
  const { report, changes } = shrunk ?? { report: failed, changes: {} };
  const parts = [
    `seed ${failed.seed} broke ${failed.violations.length} rules:`,
    ...failed.violations.map((text) => `  ${text}`),
    ...(shrunk === undefined ? [] : [`made smaller in ${shrunk.runs} runs: ${report.violations[0] ?? ''}`]),
    '',
    'the run:',
    `  ${JSON.stringify({ ...report.profile, plan: undefined })}`,
    `what struck (${report.plan.length}):`,
    ...describePlan(report.plan),
    '',
    'the last of each node:',
    ...[...report.nodeLines].flatMap(([node, lines]) => [`  -- ${node}`, ...lines.slice(-NODE_LINES)]),
    '',
    'the history around it:',
    ...historyAround(report),
    '',
    `replay: ${replayCommand(failed)}`,
    ...(shrunk === undefined ? [] : [`smaller: ${replayCommand(report, changes)}`]),
  ];
  return parts.join('\n');
}

function describePlan(plan: Plan): string[] {
  return plan.map(({ atMs, fault, seed }) => `  ${String(atMs).padStart(8)} ms  ${fault} (${seed})`);
}

/** What clients did with the keys that the violation names; if it names none, what they did last. */
function historyAround({ violations, lines }: Report): readonly string[] {
  const operations = lines.filter((line) => line.includes(' -> '));
  const keys = (violations[0] ?? '').match(/[a-z]+:[\w-]+/g) ?? [];
  const ofKeys = operations.filter((line) => keys.some((key) => line.includes(key)));
  const shown = (ofKeys.length > 0 ? ofKeys : operations).slice(-HISTORY_LINES);
  return shown.length > 0 ? shown : ['  (nobody did anything)'];
}
