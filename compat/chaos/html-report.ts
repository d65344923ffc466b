/** The same as the text report, as one HTML page without scripts and without anything from elsewhere: drawings are SVG. */
import { seconds } from '../harness/report.ts';
import type { RunResult } from './scenario-run.ts';
import { dataLeaders } from './scenario-run.ts';
import { summaryLine } from './text-report.ts';
import type { Timeline } from './timeline.ts';

const WIDTH = 1000;
const LEFT = 80;
const PLOT_HEIGHT = 90;
const LANE_HEIGHT = 18;
const GAP = 14;
const AXIS_HEIGHT = 22;

const STYLE = `
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; background: #fff }
h2 { margin: 2.5rem 0 .2rem; font-size: 1.15rem } .passed { color: #1a7f37 } .failed { color: #b42318 } .skipped { color: #8a6d00 }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif } table { border-collapse: collapse; font-size: 13px }
td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; border-bottom: 1px solid #eee }
.rule { color: #b42318; font-family: ui-monospace, monospace; white-space: pre-wrap } .small { color: #666; font-size: 12px }
`;

export function htmlReport(results: readonly RunResult[], seed: number): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Kahuna: chaos ${seed}</title><style>${STYLE}</style></head><body>
<h1>Chaos on real processes</h1>
<p>Seed ${seed}; ${results.length} scenarios.</p>
<ul>${results.map((result, index) => `<li><a href="#s${index}" class="${result.verdict}">${escaped(summaryLine(result))}</a></li>`).join('\n')}</ul>
${results.map(section).join('\n')}
</body></html>
`;
}

function section(result: RunResult, index: number): string {
  const { scenario, verdict, timeline, args, violations, missing } = result;
  const title = `<h2 id="s${index}">${escaped(scenario.name)} <span class="${verdict}">${verdict}</span></h2>`;
  if (verdict === 'skipped') return `${title}<p>${escaped(missing.join('; '))}</p>`;
  const rules = [...violations, ...missing.map((text) => `no evidence: ${text}`)];
  return `${title}
<p class="small">${escaped(summaryLine(result))}<br>${escaped(args.join(' '))}</p>
${rules.map((text) => `<p class="rule">${escaped(text)}</p>`).join('\n')}
${drawing(result)}
<table><tr><th>from</th><th>to</th><th>fault</th><th>what was done</th><th>what it did</th><th>all well after</th></tr>
${timeline.faults
  .map(
    ({ name, plan, effect, startMs, healedMs, endMs }) =>
      `<tr><td>${at(startMs)}</td><td>${at(healedMs)}</td><td>${escaped(name)}</td><td>${escaped(plan)}</td>` +
      `<td>${escaped(effect ?? 'no effect')}</td><td>${Number.isFinite(endMs) ? seconds(endMs - healedMs) : 'never'}</td></tr>`,
  )
  .join('\n')}</table>`;
}

interface Scales {
  readonly x: (ms: number) => number;
  readonly endMs: number;
}

function drawing({ timeline, nodeNames }: RunResult): string {
  const endMs = Math.max(1, timeline.seconds.length) * 1000;
  const scales: Scales = { endMs, x: (ms) => LEFT + (Math.min(ms, endMs) / endMs) * (WIDTH - LEFT - 10) };
  const lanesTop = 2 * (PLOT_HEIGHT + GAP);
  const height = lanesTop + nodeNames.length * LANE_HEIGHT + AXIS_HEIGHT;
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="timeline">
${shades(timeline, scales, lanesTop + nodeNames.length * LANE_HEIGHT)}
${throughput(timeline, scales)}
${latency(timeline, scales)}
${nodeNames.map((name, index) => laneOf(timeline, name, scales, lanesTop + index * LANE_HEIGHT)).join('\n')}
${axis(scales, height - AXIS_HEIGHT)}
</svg>`;
}

function shades(timeline: Timeline, { x }: Scales, height: number): string {
  return timeline.faults
    .map(({ name, plan, effect, startMs, healedMs }) => {
      const tip = `<title>${escaped(`${name}: ${plan}\n${effect ?? 'no effect'}`)}</title>`;
      return `<rect x="${x(startMs).toFixed(1)}" y="0" width="${Math.max(1.5, x(healedMs) - x(startMs)).toFixed(1)}" height="${height}" fill="#f4b400" opacity=".18">${tip}</rect>`;
    })
    .join('\n');
}

/** Answers a second: bars of what went well, with failed and unknown ones on top. */
function throughput({ seconds: perSecond }: Timeline, { x }: Scales): string {
  const most = Math.max(1, ...perSecond.map(({ ok, failed, unknown }) => ok + failed + unknown));
  const bars = perSecond.map(({ ok, failed, unknown }, index) => {
    const left = x(index * 1000) + 0.5;
    const width = Math.max(1, x((index + 1) * 1000) - left - 0.5);
    let bottom = PLOT_HEIGHT;
    const piece = (count: number, color: string): string => {
      const size = (count / most) * (PLOT_HEIGHT - 12);
      bottom -= size;
      return count === 0
        ? ''
        : `<rect x="${left.toFixed(1)}" y="${bottom.toFixed(1)}" width="${width.toFixed(1)}" height="${Math.max(size, 1).toFixed(1)}" fill="${color}"/>`;
    };
    const tip = `<title>second ${index}: ${ok} ok, ${failed} failed, ${unknown} unknown</title>`;
    return `<g>${piece(ok, '#4c8bf5')}${piece(failed, '#e8833a')}${piece(unknown, '#b42318')}${tip}</g>`;
  });
  return `<text x="0" y="20">answers/s</text><text x="0" y="36" fill="#666">up to ${most}</text>${bars.join('')}`;
}

function latency({ seconds: perSecond }: Timeline, { x }: Scales): string {
  const top = PLOT_HEIGHT + GAP;
  const most = Math.max(1, ...perSecond.map(({ slowestMs }) => slowestMs));
  const points = perSecond.map(({ slowestMs }, index) => {
    const y = top + PLOT_HEIGHT - (slowestMs / most) * (PLOT_HEIGHT - 12);
    return `${x((index + 0.5) * 1000).toFixed(1)},${y.toFixed(1)}`;
  });
  return `<text x="0" y="${top + 20}">slowest</text><text x="0" y="${top + 36}" fill="#666">up to ${seconds(most)}</text>
<polyline points="${points.join(' ')}" fill="none" stroke="#555" stroke-width="1.5"/>`;
}

/** Green where it leads, red where it was at fault. */
function laneOf(timeline: Timeline, node: string, { x, endMs }: Scales, top: number): string {
  const rect = (fromMs: number, toMs: number, color: string, tip: string): string =>
    `<rect x="${x(fromMs).toFixed(1)}" y="${top + 3}" width="${Math.max(1, x(toMs) - x(fromMs)).toFixed(1)}" height="${LANE_HEIGHT - 6}" fill="${color}"><title>${escaped(tip)}</title></rect>`;
  const leaders = dataLeaders(timeline);
  const leading = leaders.map(({ atMs, node: leader, term }, index) =>
    leader === node ? rect(atMs, leaders[index + 1]?.atMs ?? endMs, '#1a7f37', `${node} leads term ${term}`) : '',
  );
  const faults = timeline.faults
    .filter((fault) => fault.nodes.includes(node))
    .map(({ startMs, healedMs, plan }) => rect(startMs, healedMs, '#b4231899', plan));
  return `<text x="0" y="${top + 13}">${node}</text>${rect(0, endMs, '#eee', node)}${leading.join('')}${faults.join('')}`;
}

function axis({ x, endMs }: Scales, top: number): string {
  const step = endMs > 30_000 ? 10_000 : 5_000;
  const marks: string[] = [];
  for (let ms = 0; ms <= endMs; ms += step) {
    marks.push(`<text x="${x(ms).toFixed(1)}" y="${top + 16}" text-anchor="middle">${ms / 1000} s</text>`);
  }
  return marks.join('');
}

function at(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(1)} s` : 'end';
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
