/** The fuzzer itself: it finds what is hidden behind conditions, tells every kind of broken rule, and shrinks what it found. */
import assert from 'node:assert/strict';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { Coverage } from './coverage.ts';
import { fuzz, type FuzzReport } from './fuzzer.ts';
import { Mutator } from './mutator.ts';
import type { FuzzTarget } from './target.ts';

/** Four conditions, one inside the other: found step by step if each step is kept, and hardly ever otherwise. */
function maze(input: Buffer): void {
  if (input.length < 8) return;
  if (input[1] !== 0x4b) return;
  if (input[3] !== 0x61) return;
  if (input[5] !== 0x68) return;
  if (input[7] === 0x75) throw new Error('the middle of the maze');
}

function target(run: (input: Buffer) => void | Promise<void>, limits: Partial<FuzzTarget> = {}): FuzzTarget {
  return { name: 'toy', about: '', seeds: () => [Buffer.alloc(8)], open: () => ({ run }), ...limits };
}

async function look(
  subject: FuzzTarget,
  options: { runs: number; isGuided: boolean; seed?: number },
): Promise<FuzzReport> {
  const coverage = options.isGuided ? new Coverage((url) => url === import.meta.url) : null;
  try {
    return await fuzz(subject, {
      random: new SeededRandom(options.seed ?? 5),
      corpus: [],
      coverage,
      isOver: (runs) => runs > options.runs,
    });
  } finally {
    coverage?.close();
  }
}

describe('the fuzzer', () => {
  it('finds its way through conditions with the help of coverage, and not without it', async () => {
    const guided = await look(target(maze, { words: ['K', 'a', 'h', 'u'] }), { runs: 100_000, isGuided: true });
    assert.match(String(guided.failure?.error), /the middle of the maze/);
    const blind = await look(target(maze, { words: ['K', 'a', 'h', 'u'] }), { runs: 100_000, isGuided: false });
    assert.equal(blind.failure, null);
  });

  it('leaves of an input only what breaks the rule', async () => {
    const { failure } = await look(
      target(
        (input) => {
          if (input.includes('!')) throw new Error('an exclamation mark');
        },
        { words: ['surely!', 'well'] },
      ),
      { runs: 10_000, isGuided: false },
    );
    assert.equal(Buffer.from(failure?.input ?? []).toString(), '!');
  });

  it('tells a rejection that nobody handles, what takes too long, and what takes too much memory', async () => {
    const kept: unknown[] = [];
    const cases: readonly (readonly [FuzzTarget, RegExp])[] = [
      [target(async () => void Promise.reject(new Error('lost'))), /was not handled/],
      [
        target(
          () => {
            const end = performance.now() + 20;
            while (performance.now() < end);
          },
          { msMax: 10 },
        ),
        /it took \d+ ms, at most 10 ms/,
      ],
      [target(() => void kept.push(Buffer.alloc(30_000_000)), { memoryBytesMax: 20_000_000 }), /bytes of memory/],
    ];
    for (const [subject, text] of cases) {
      const { failure } = await look({ ...subject, seeds: () => [Buffer.from('x')] }, { runs: 1, isGuided: false });
      assert.match(String(failure?.error), text);
    }
  });

  it('makes the same inputs from the same seed, none longer than allowed', () => {
    const make = (seed: number): string[] => {
      const mutator = new Mutator({ random: new SeededRandom(seed), words: [Buffer.from('word')], bytesMax: 20 });
      return Array.from({ length: 500 }, () =>
        mutator.mutate(Buffer.from('some input'), Buffer.from('other')).toString('hex'),
      );
    };
    assert.deepEqual(make(1), make(1));
    assert.notDeepEqual(make(1), make(2));
    assert.ok(make(1).every((hex) => hex.length <= 40));
    assert.ok(new Set(make(1)).size > 400);
  });
});
