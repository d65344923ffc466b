/**
 * What every client program shares: its arguments, its assertions, and the talk with the runner that kills a leader
 * while the program works. Plain JavaScript, so that no type of one client version leaks into another.
 *
 * Arguments: `basic|failover port[,port…]`. A program reports in JSON lines; `failover` programs wait for the word
 * "killed" on standard input.
 */
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';

export { assert };

/** Failures that a client reported by event, not by a rejected call. */
const reported = [];

export function setup() {
  const [mode, ports] = process.argv.slice(2);
  if (mode === undefined || ports === undefined) throw new Error('usage: main.mjs basic|failover port[,port…]');
  return { mode, ports: ports.split(',').map(Number) };
}

/** Every event of this kind fails the run. */
export function noErrors(emitter, what) {
  emitter.on('error', (error) => reported.push(`${what}: ${error.message}`));
  return emitter;
}

export function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Runs the program for its mode and ends the process with the result. */
export async function run({ basic, failover }) {
  const { mode, ports } = setup();
  try {
    const summary = mode === 'failover' ? await failover(ports) : await basic(ports);
    assert.deepEqual(reported, [], 'the client reported errors');
    say({ event: 'done', summary });
    process.exit(0);
  } catch (error) {
    say({ event: 'failed', error: error.stack ?? String(error), reported });
    process.exit(1);
  }
}

const CYCLES_BEFORE = 15;
const CYCLES_AFTER = 15;
/** Work goes on at least this long after the kill, so that the election falls into it. */
const AFTER_MS = 4_000;

/**
 * Runs `cycle(worker)` in a loop, by several workers at once, before, while and after the leader dies. A cycle that
 * throws fails the run. Returns what it did.
 */
export async function throughLeaderDeath(workers, cycle) {
  const killed = new Promise((resolve) => {
    createInterface({ input: process.stdin }).on('line', (line) => {
      if (line.trim() === 'killed') resolve(performance.now());
    });
  });
  let killedAt = Number.POSITIVE_INFINITY;
  void killed.then((at) => (killedAt = at));
  let [before, after, slowestMs] = [0, 0, 0];
  let isReadySaid = false;
  const isOver = () => after >= CYCLES_AFTER && performance.now() - killedAt >= AFTER_MS;
  const work = async (worker) => {
    while (!isOver()) {
      const startMs = performance.now();
      await cycle(worker);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      if (startMs > killedAt) after += 1;
      else before += 1;
      if (before >= CYCLES_BEFORE && !isReadySaid) {
        isReadySaid = true;
        say({ event: 'ready' });
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await Promise.all(workers.map(work));
  return `${before} cycles before and ${after} after the kill, slowest ${Math.round(slowestMs)} ms`;
}

/** Watches that never two are inside at once. */
export class Exclusion {
  #holder = null;

  async hold(name, work) {
    assert.equal(this.#holder, null, `${name} holds the lock together with ${this.#holder}`);
    this.#holder = name;
    try {
      return await work();
    } finally {
      this.#holder = null;
    }
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
