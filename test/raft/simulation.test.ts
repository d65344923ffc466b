/**
 * Whole groups under faults, one run a seed; see simulation/world.ts. RAFT_SEEDS sets how many, RAFT_FIRST_SEED where to
 * start. A failure prints the command that replays it.
 */
import assert from 'node:assert/strict';
import { leased, PLANTED_BUGS } from './simulation/planted-bugs.ts';
import { wiping } from './simulation/profile.ts';
import { World } from './simulation/world.ts';
import type { WorldOptions } from './simulation/world.ts';

const SEEDS = Number(process.env['RAFT_SEEDS'] ?? 2000);
const WIPING_SEEDS = Math.ceil(SEEDS / 10);
const FIRST_SEED = Number(process.env['RAFT_FIRST_SEED'] ?? 1);

/** What must have happened in a run over all seeds, or it proves nothing. */
const EVIDENCE = [
  'leader elected',
  'log truncated',
  'log compacted',
  'snapshot installed',
  'configuration changed',
  'joint configuration entered',
  'configuration rolled back',
  'transfer started',
  'read confirmed',
  'read dropped',
  'crash',
  'recovery without a voter',
];

/** The first seed that ends in an error, and that error. */
function firstFailure(options: WorldOptions, seedsMax: number, first = 1): { seed: number; error: unknown } | null {
  for (let seed = first; seed < first + seedsMax; seed++) {
    try {
      new World(seed, options).run();
    } catch (error) {
      return { seed, error };
    }
  }
  return null;
}

describe('raft simulation', function () {
  this.timeout(300_000);

  it(`keeps every rule under faults and agrees when healed (${SEEDS} seeds)`, () => {
    const marks = new Map<string, number>();
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const world = new World(seed);
      try {
        world.run();
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}\nreplay: npm run raft:simulate -- --seed ${seed} --trace`, {
          cause: error,
        });
      }
      for (const [mark, times] of world.marks) marks.set(mark, (marks.get(mark) ?? 0) + times);
    }
    if (SEEDS < 300) return;
    for (const mark of EVIDENCE) assert.ok((marks.get(mark) ?? 0) > 0, `never happened: ${mark}`);
  });

  it('lets nobody else lead while a lease is held', () => {
    const failure = firstFailure({ adjust: leased }, 300);
    assert.equal(failure, null);
  });

  it(`survives the loss of disks of a minority, again and again (${WIPING_SEEDS} seeds)`, () => {
    const marks = new Map<string, number>();
    for (let seed = FIRST_SEED; seed < FIRST_SEED + WIPING_SEEDS; seed++) {
      const world = new World(seed, { adjust: wiping });
      try {
        world.run();
      } catch (error) {
        const replay = `npm run raft:simulate -- --seed ${seed} --wipe --trace`;
        throw new Error(`seed ${seed}: ${String(error)}\nreplay: ${replay}`, { cause: error });
      }
      for (const [mark, times] of world.marks) marks.set(mark, (marks.get(mark) ?? 0) + times);
    }
    if (WIPING_SEEDS < 100) return;
    for (const mark of ['disk lost', 'founded', 'snapshot installed']) assert.ok((marks.get(mark) ?? 0) > 0, mark);
  });

  it('makes the same run of the same seed', () => {
    const runs = [1, 2].map(() => {
      const lines: string[] = [];
      new World(7, { onTrace: (line) => lines.push(line) }).run();
      return lines;
    });
    assert.ok((runs[0]?.length ?? 0) > 100);
    assert.deepEqual(runs[0], runs[1]);
  });

  describe('finds what is broken on purpose', () => {
    for (const bug of PLANTED_BUGS) {
      it(bug.name, () => {
        const failure = firstFailure(bug.options, bug.seedsMax, bug.firstSeed);
        assert.ok(failure !== null, `not found in ${bug.seedsMax} seeds`);
        if (process.env['RAFT_VERBOSE'] !== undefined)
          console.log(`      seed ${failure.seed}: ${String(failure.error).slice(0, 150)}`);
      });
    }
  });
});
