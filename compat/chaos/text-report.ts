/**
 * What a scenario did, for the terminal: one column a second, one line for each thing that changes over time.
 *
 *     time      0    5    10
 *     ok/s      ▆▇▇▂▁▅▇▇▇▇▇▇
 *     n2        ···LL✗✗✗····      L leads, ✗ at fault, · follows
 */
import { seconds } from '../harness/report.ts';
import { CROSSED_DURING_FAULTS, dataLeaders, type RunResult } from './scenario-run.ts';
import type { FaultRecord, Timeline } from './timeline.ts';

const BARS = ' ▁▂▃▄▅▆▇█';
const LABEL_WIDTH = 9;
/** Columns of a chart; longer scenarios go on below. */
const WIDTH_MAX = 100;

export function chart(result: RunResult): string {
  const { timeline } = result;
  const count = timeline.seconds.length;
  const lines: string[] = [`  ${result.args.join(' ')}`];
  for (let from = 0; from < count; from += WIDTH_MAX)
    lines.push(...block(result, from, Math.min(count, from + WIDTH_MAX)));
  return lines.join('\n');
}

function block({ timeline, nodeNames }: RunResult, from: number, to: number): readonly string[] {
  const part = timeline.seconds.slice(from, to);
  const most = Math.max(1, ...timeline.seconds.map(({ ok }) => ok));
  const slowest = Math.max(1, ...timeline.seconds.map(({ slowestMs }) => slowestMs));
  const line = (label: string, cells: string, note = ''): string =>
    `  ${label.padEnd(LABEL_WIDTH)} ${cells}  ${note}`.trimEnd();
  return [
    line('time s', scale(from, to)),
    line('ok/s', part.map(({ ok }) => bar(ok, most)).join(''), `█ = ${most}`),
    line('failed/s', part.map(({ failed }) => digit(failed)).join('')),
    line('unknown/s', part.map(({ unknown }) => digit(unknown)).join('')),
    line('slowest', part.map(({ slowestMs }) => bar(slowestMs, slowest)).join(''), `█ = ${seconds(slowest)}`),
    ...nodeNames.map((name) => line(name, lane(timeline, name, from, to), name === nodeNames[0] ? LEGEND : '')),
  ];
}

const LEGEND = 'L leads, x its fault, o a fault of all, l x and leads, · well';

function scale(from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at += 1) if (text.length <= at - from) text += at % 5 === 0 ? String(at).padEnd(5) : ' ';
  return text.slice(0, to - from);
}

function bar(value: number, most: number): string {
  if (value === 0) return BARS[0] ?? '';
  return BARS[Math.max(1, Math.round((value / most) * (BARS.length - 1)))] ?? '';
}

/** Powers of ten: what matters is whether there were any. */
function digit(value: number): string {
  if (value === 0) return '·';
  return value < 10 ? String(value) : value < 100 ? 'X' : '#';
}

function lane(timeline: Timeline, node: string, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at += 1) {
    const leads = leaderAt(timeline, (at + 1) * 1000) === node;
    const faults = timeline.faults.filter((fault) => isUnderWay(fault, at * 1000, (at + 1) * 1000));
    const isOwn = faults.some((fault) => fault.nodes.includes(node) && fault.keepsQuorum);
    if (isOwn) text += leads ? 'l' : 'x';
    else if (leads) text += 'L';
    else text += faults.some((fault) => !fault.keepsQuorum) ? 'o' : '·';
  }
  return text;
}

function isUnderWay(fault: FaultRecord, startMs: number, endMs: number): boolean {
  return fault.startMs < endMs && fault.healedMs >= startMs;
}

export function leaderAt(timeline: Timeline, atMs: number): string | null {
  return dataLeaders(timeline).findLast((change) => change.atMs <= atMs)?.node ?? null;
}

export function summaryLine(result: RunResult): string {
  const { verdict, scenario, tookMs, timeline, violations, missing, seed, longestSilenceMs } = result;
  const head = `${verdict.toUpperCase().padEnd(7)} ${scenario.name.padEnd(12)} ${seconds(tookMs).padStart(7)}`;
  if (verdict === 'skipped') return `${head}  ${missing.join('; ')}`;
  const effects = timeline.faults.filter(({ effect }) => effect !== null).length;
  const told = [
    `${timeline.count('ok')} ok, ${timeline.count('failed')} failed, ${timeline.count('unknown')} unknown`,
    `${effects} faults${effects < timeline.faults.length ? ` (${timeline.faults.length - effects} without effect)` : ''}`,
    `${Math.max(0, dataLeaders(timeline).length - 1)} leader changes`,
    `longest silence ${seconds(longestSilenceMs)}`,
  ];
  const crossed = result.marks.get(CROSSED_DURING_FAULTS);
  if (crossed !== undefined) told.push(`${crossed} transactions across partitions during faults`);
  if (violations.length > 0) told.push(`${violations.length} VIOLATIONS`);
  if (missing.length > 0) told.push('NO EVIDENCE');
  return `${head}  ${told.join('; ')}; seed ${seed}`;
}
