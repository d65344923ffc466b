/** The thread that fuzzes one target for fuzz.ts, which watches it from outside: an input that never ends cannot be stopped from within. */
import { parentPort, workerData } from 'node:worker_threads';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { keep, readCorpus } from './corpus.ts';
import { Coverage } from './coverage.ts';
import { fuzz } from './fuzzer.ts';
import { targets } from './targets.ts';

export interface WorkOrder {
  readonly target: string;
  readonly seed: number;
  readonly ms: number;
  readonly keepsFound: boolean;
  /** u32 number of the run, u32 bytes of its input, the input. */
  readonly shared: SharedArrayBuffer;
}

export interface WorkResult {
  readonly runs: number;
  readonly found: number;
  readonly functions: number;
  readonly failure: { readonly input: Uint8Array; readonly stack: string } | null;
}

export const SHARED_INPUT_BYTES = 1024 * 1024;

function isOurs(url: string): boolean {
  return url.includes('/src/') && !url.includes('/node_modules/');
}

async function work(order: WorkOrder): Promise<WorkResult> {
  const target = targets.find(({ name }) => name === order.target);
  if (target === undefined) throw new Error(`there is no target ${order.target}`);
  const coverage = new Coverage(isOurs);
  const numbers = new Uint32Array(order.shared, 0, 2);
  const current = new Uint8Array(order.shared, 8);
  const end = performance.now() + order.ms;
  const { runs, found, failure } = await fuzz(target, {
    random: new SeededRandom(order.seed),
    corpus: readCorpus(target.name),
    coverage,
    isOver: () => performance.now() > end,
    onInput: (input) => {
      numbers[0] = (numbers[0] ?? 0) + 1;
      numbers[1] = Math.min(input.length, current.length);
      current.set(input.subarray(0, current.length));
    },
  });
  if (order.keepsFound) for (const input of found) keep(target.name, input);
  const shown = failure === null ? null : { input: failure.input, stack: describe(failure.error) };
  return { runs, found: found.length, functions: coverage.functionCount, failure: shown };
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack ?? error.cause.message}` : '';
  return `${error.stack ?? error.message}${cause}`;
}

parentPort?.postMessage(await work(workerData as WorkOrder));
