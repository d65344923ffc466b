/**
 * The differential test: the same generated commands to a real Redis and to Kahuna, one node, three, and three with eight
 * partitions, RESP2 and RESP3, every reply compared. A failure prints the shrunk commands, both replies and the line that repeats it.
 */
import fc from 'fast-check';

import { RespClient } from '../harness/client.ts';
import { attach, type Deployment } from '../harness/deployment.ts';
import { startKahuna } from '../harness/kahuna.ts';
import { type OptionValues, readOptions } from '../harness/options.ts';
import { freshSeed } from '../harness/random.ts';
import { startRedis } from '../harness/redis.ts';
import { type StepResult, stepLine } from '../harness/report.ts';
import { findToolOrSay } from '../harness/tools.ts';
import { Difference, type Pair, runStream } from './differential.ts';
import { runFrames } from './frames.ts';
import { ALL_KEYS_COMMANDS, concernsAllKeys, LIBRARY_SCRIPTS, SCRIPTS } from './generators/scripts.ts';
import { dataStreams, sessionStreams, type StreamOptions } from './generators/streams.ts';
import { REGRESSIONS } from './regressions.ts';
import { formatStream, type Stream } from './steps.ts';

const OPTIONS = {
  runs: { default: 0, doc: 'streams per seed, kind, protocol and deployment; 0 = 30 for one node, 20 for three' },
  length: { default: 50, doc: 'longest stream, in steps' },
  seed: { default: -1, doc: 'only this seed instead of the fixed ones and a fresh one' },
  path: { default: '', doc: 'the shrink path that a failure printed; needs --seed, --kind, --protocol, --target' },
  kind: { default: 'all', doc: 'data, session, frames, regressions or all' },
  protocol: { default: 0, doc: '2, 3, or 0 for both' },
  target: {
    default: 'all',
    doc: 'kahuna-1, kahuna-3, kahuna-3x8 (eight partitions), all, or host:port,host:port of a server that runs',
  },
  only: { default: '', doc: 'commands to draw, separated by commas' },
  except: { default: '', doc: 'commands not to draw, separated by commas' },
  seconds: { default: 0, doc: 'limit for each property, 0 for none' },
} as const;

type Options = OptionValues<typeof OPTIONS>;
const FIXED_SEEDS: readonly number[] = [1, 20_260];
const SEVERAL_PARTITIONS = 'kahuna-3x8';
const RUNS_OF_ONE_NODE = 30;
const RUNS_OF_THREE = 20;

type Kind = 'data' | 'session';

async function main(): Promise<void> {
  const options = readOptions('npx tsx compat/oracle/run.ts', OPTIONS, process.argv.slice(2));
  const binary = findToolOrSay('redis-server', 'the differential test');
  if (binary === null) process.exit(3);
  const oracle = await startRedis({ binary, durable: false, args: ['--hz', '500', '--enable-debug-command', 'yes'] });
  const results: StepResult[] = [];
  for (const name of options.target === 'all' ? ['kahuna-1', 'kahuna-3', SEVERAL_PARTITIONS] : [options.target]) {
    const target = await openTarget(name);
    try {
      results.push(...(await compareWith(oracle, target, options)));
    } finally {
      await target.stop();
    }
  }
  console.log();
  for (const result of results) console.log(stepLine(result));
  await oracle.stop();
  process.exit(results.every((result) => result.verdict === 'passed') ? 0 : 1);
}

function openTarget(name: string): Promise<Deployment> {
  if (name === 'kahuna-1') return startKahuna({ nodes: 1 });
  if (name === 'kahuna-3') return startKahuna({ nodes: 3 });
  if (name === SEVERAL_PARTITIONS) return startKahuna({ nodes: 3, partitions: 8 });
  return Promise.resolve(attach('server', name));
}

async function compareWith(oracle: Deployment, target: Deployment, options: Options): Promise<StepResult[]> {
  const results: StepResult[] = [];
  const wanted = (kind: string): boolean => options.kind === 'all' || options.kind === kind;
  const streamOptions = await streamOptionsFor(target, options);
  const seeds = options.seed >= 0 ? [options.seed] : [...FIXED_SEEDS, freshSeed()];
  for (const protocol of [2, 3] as const) {
    if (options.protocol !== 0 && options.protocol !== protocol) continue;
    const hasSeveralPartitions = target.name === SEVERAL_PARTITIONS;
    const pair: Pair = { oracle, target, protocol, firstNode: 0, hasSeveralPartitions };
    if (wanted('regressions')) results.push(await regressions(pair));
    for (const kind of ['data', 'session'] as const) {
      for (const seed of wanted(kind) ? seeds : []) {
        const result = await property({ pair, kind, seed, options, streamOptions });
        console.log(stepLine(result));
        results.push(result);
      }
    }
  }
  if (wanted('frames')) results.push(await runFrames(oracle, target));
  return results;
}

interface PropertyRun {
  readonly pair: Pair;
  readonly kind: Kind;
  readonly seed: number;
  readonly options: Options;
  readonly streamOptions: StreamOptions;
}

async function property({ pair, kind, seed, options, streamOptions }: PropertyRun): Promise<StepResult> {
  const startMs = performance.now();
  let [streams, commands, errors] = [0, 0, 0];
  const runs = options.runs > 0 ? options.runs : pair.target.endpoints.length === 1 ? RUNS_OF_ONE_NODE : RUNS_OF_THREE;
  const streamsOfKind = kind === 'data' ? dataStreams(streamOptions) : sessionStreams(streamOptions);
  const details = await fc.check(
    fc.asyncProperty(streamsOfKind, async (stream) => {
      const counts = await runStream({ ...pair, firstNode: streams }, stream);
      streams += 1;
      commands += counts.commands;
      errors += counts.errors;
    }),
    {
      seed,
      numRuns: runs,
      ...(options.path === '' ? {} : { path: options.path, endOnFailure: true }),
      ...(options.seconds === 0 ? {} : { interruptAfterTimeLimit: options.seconds * 1000 }),
    },
  );
  const name = `${pair.target.name} RESP${pair.protocol} ${kind} seed ${seed}`;
  const tookMs = performance.now() - startMs;
  if (!details.failed || details.counterexample === null) {
    return {
      name,
      verdict: 'passed',
      tookMs,
      summary: `${streams} streams, ${commands} commands (${errors} errors) agree`,
    };
  }
  const [stream] = details.counterexample;
  const replay = `npx tsx compat/oracle/run.ts --target ${pair.target.name} --protocol ${pair.protocol} --kind ${kind} --seed ${seed} --path ${details.counterexamplePath} --runs ${runs} --length ${options.length}`;
  reportDifference(name, stream, details.errorInstance, replay);
  return { name, verdict: 'failed', tookMs, summary: `after ${streams} streams, ${commands} commands` };
}

async function regressions(pair: Pair): Promise<StepResult> {
  const startMs = performance.now();
  let [failures, commands] = [0, 0];
  for (const [name, stream] of Object.entries(REGRESSIONS)) {
    try {
      commands += (await runStream(pair, stream)).commands;
    } catch (error) {
      if (!(error instanceof Difference)) throw error;
      failures += 1;
      reportDifference(`${pair.target.name} RESP${pair.protocol} regression "${name}"`, stream, error, '');
    }
  }
  const result: StepResult = {
    name: `${pair.target.name} RESP${pair.protocol} regressions`,
    verdict: failures === 0 ? 'passed' : 'failed',
    tookMs: performance.now() - startMs,
    summary: `${Object.keys(REGRESSIONS).length - failures} of ${Object.keys(REGRESSIONS).length} streams, ${commands} commands agree`,
  };
  console.log(stepLine(result));
  return result;
}

function reportDifference(name: string, stream: Stream, error: unknown, replay: string): void {
  console.log(`\nDIFFERENCE  ${name}\n${formatStream(stream)}`);
  console.log(
    `  at: ${error instanceof Error ? (error instanceof Difference ? error.message : (error.stack ?? error.message)) : String(error)}`,
  );
  if (replay !== '') console.log(`  again: ${replay}`);
  console.log();
}

/** Leaves out what the target refuses by design: SWAPDB, and Lua libraries that it does not have. */
async function streamOptionsFor(target: Deployment, options: Options): Promise<StreamOptions> {
  const [endpoint] = target.endpoints;
  if (endpoint === undefined) throw new Error(`${target.name} has no nodes`);
  const client = await RespClient.connect(endpoint);
  const except = new Set(options.except.toUpperCase().split(',').filter(Boolean));
  const swap = await client.call('SWAPDB', '0', '1');
  if (swap.type === 'error') {
    console.log(`note: ${target.name} refuses SWAPDB (${swap.text}); it is not drawn`);
    except.add('SWAPDB');
  }
  const scripts = [...SCRIPTS];
  for (const [library, texts] of Object.entries(LIBRARY_SCRIPTS)) {
    const probe = await client.call('EVAL', `return type(rawget(_G, '${library}'))`, '0');
    const isThere = probe.type === 'bulk' && probe.bytes.toString() === 'table';
    if (isThere) scripts.push(...texts);
    else console.log(`note: ${target.name} has no ${library} in Lua; scripts with it are not drawn`);
  }
  client.close();
  const only = new Set(options.only.toUpperCase().split(',').filter(Boolean));
  if (target.name !== SEVERAL_PARTITIONS) return { except, only, scripts, lengthMax: options.length };
  // Refused there: drawn now and then all the same, outside of what is made to be a transaction.
  const fitting = scripts.filter((script) => !concernsAllKeys(script));
  return { except, only, scripts: fitting, lengthMax: options.length, exceptInExec: ALL_KEYS_COMMANDS };
}

await main();
