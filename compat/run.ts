/**
 * `npm run compat`: everything that needs more than Node.js. Each step is a program of its own; this runs them one
 * after the other, shows what they print, and ends with one line each.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { kahunaServer, PROJECT_FOLDER } from './harness/kahuna.ts';
import { readOptions } from './harness/options.ts';
import { type StepResult, stepLine, type Verdict } from './harness/report.ts';
import { findTool, type ToolName } from './harness/tools.ts';

const OPTIONS = {
  only: { default: '', doc: 'steps to run, separated by commas: oracle, clients, chaos, powercut' },
} as const;

interface Step {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

const STEPS: readonly Step[] = [
  { name: 'oracle', program: 'oracle/run.ts', args: [] },
  { name: 'clients', program: 'clients/run.ts', args: [] },
  { name: 'chaos', program: 'chaos/run.ts', args: ['--minutes', '3'] },
  { name: 'powercut', program: 'powercut/run.ts', args: [] },
];

/** By which a step says that it could not run at all. */
const SKIPPED_CODE = 3;
const TOOLS: readonly ToolName[] = [
  'redis-server',
  'redis-cli',
  'redis-benchmark',
  'python3-redis',
  'etcd',
  'etcdctl',
  'libfaketime',
];

async function main(): Promise<void> {
  const options = readOptions('npm run compat --', OPTIONS, process.argv.slice(2));
  const chosen = options.only === '' ? [] : options.only.split(',');
  for (const tool of TOOLS)
    console.log(`${tool.padEnd(16)} ${findTool(tool) ?? 'NOT FOUND: what needs it is skipped'}`);
  console.log(`kahuna-server    ${kahunaServer()}`);
  const results: StepResult[] = [];
  for (const step of STEPS) {
    if (chosen.length > 0 && !chosen.includes(step.name)) continue;
    const program = join(PROJECT_FOLDER, 'compat', step.program);
    if (!existsSync(program)) {
      results.push({ name: step.name, verdict: 'skipped', tookMs: 0, summary: `${step.program} does not exist` });
      continue;
    }
    console.log(`\n== ${step.name}`);
    results.push(await runStep(step, program));
  }
  console.log('\n== compat');
  for (const result of results) console.log(stepLine(result));
  process.exit(results.some((result) => result.verdict === 'failed') ? 1 : 0);
}

function runStep(step: Step, program: string): Promise<StepResult> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', program, ...step.args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: PROJECT_FOLDER,
    });
    let lines: string[] = [];
    child.stdout.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk);
      lines = `${lines.join('\n')}${chunk.toString('utf8')}`.split('\n').slice(-80);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      const verdict: Verdict = code === 0 ? 'passed' : code === SKIPPED_CODE ? 'skipped' : 'failed';
      resolve({ name: step.name, verdict, tookMs: performance.now() - startMs, summary: summaryOf(lines, code) });
    });
  });
}

/** How many of the step's own result lines passed. */
function summaryOf(lines: readonly string[], code: number | null): string {
  const after = lines.slice(lines.findLastIndex((line, index) => line === '' && index < lines.length - 1) + 1);
  const passed = after.filter((line) => line.startsWith('PASSED')).length;
  const failed = after.filter((line) => line.startsWith('FAILED')).length;
  return passed + failed > 0 ? `${passed} passed, ${failed} failed` : `exit code ${String(code)}`;
}

await main();
