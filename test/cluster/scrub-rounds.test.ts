/** Where the scrub goes: rounds over made-up partitions, whose looks end where the test says. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { compareBytes, equalBytes } from '../../src/base/bytes.ts';
import { silentLogger } from '../../src/base/log.ts';
import { type ScrubRound, ScrubRounds, rangeLeft } from '../../src/cluster/scrub-rounds.ts';
import { partitionRange } from '../../src/partition/ranges.ts';
import type { Replica } from '../../src/partition/replica.ts';
import { slotRange } from '../../src/storage/data/keys.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

interface FakeReplica {
  readonly group: number;
  readonly slots: { readonly first: number; readonly last: number };
  readonly range: ReturnType<typeof partitionRange>;
  isServing: boolean;
  isQuarantined: boolean;
  term: number;
}

class Bench {
  readonly time = new VirtualTime();
  readonly replicas: readonly FakeReplica[];
  readonly rounds: ScrubRounds;
  intervalMs = DAY;

  constructor(seed: number, ...partitions: readonly (readonly [first: number, last: number])[]) {
    this.replicas = partitions.map(([first, last], i) => {
      const slots = { first, last };
      return { group: i + 1, slots, range: partitionRange(slots), isServing: true, isQuarantined: false, term: 1 };
    });
    const byGroup = new Map(this.replicas.map((replica) => [replica.group, replica as unknown as Replica]));
    this.rounds = new ScrubRounds({
      platform: {
        clock: { monotonicMs: () => this.time.monotonicMs(), wallMs: () => this.time.wallMs() },
        random: new SeededRandom(seed),
      },
      log: silentLogger,
      settings: { bytesPerSecond: () => 1, intervalMs: () => this.intervalMs },
      replicas: () => byGroup,
    });
  }

  next(): ScrubRound {
    const next = this.rounds.next();
    assert.ok('round' in next, 'something is due');
    return next.round;
  }

  waitMs(): number {
    const next = this.rounds.next();
    assert.ok('inMs' in next, 'nothing is due');
    return next.inMs;
  }

  /** The present range is looked at as far as `end`. */
  advance(round: ScrubRound, end: Uint8Array, count = 1): void {
    this.rounds.advance(round, { hash: '', count, stateFormat: 0, stateChecksum: 0, end });
  }
}

describe('rounds of the scrub', () => {
  it('go over a partition exactly once, wherever they begin and wherever looks end', async () => {
    const slots = fc
      .tuple(fc.nat(16_383), fc.nat(16_383))
      .map(([a, b]) => (a < b ? ([a, b] as const) : ([b, a] as const)));
    await fc.assert(
      fc.asyncProperty(fc.nat(1_000), slots, fc.integer({ min: 1, max: 5_000 }), async (seed, [first, last], step) => {
        const bench = new Bench(seed, [first, last]);
        assert.equal(bench.waitMs(), MINUTE);
        await bench.time.pass(MINUTE);
        const looked: { readonly start: Uint8Array; readonly end: Uint8Array }[] = [];
        while (bench.rounds.report.rounds === 0) {
          const round = bench.next();
          const { start, end } = rangeLeft(round);
          const far = ((start[0] ?? 0) << 8) + (start[1] ?? 0) + step;
          const reached = far > last ? end : slotRange(far, far).start;
          const stop = compareBytes(reached, end) < 0 ? reached : end;
          looked.push({ start, end: stop });
          bench.advance(round, stop);
        }
        looked.sort((a, b) => compareBytes(a.start, b.start));
        const range = partitionRange({ first, last });
        assert.ok(equalBytes(looked[0]?.start ?? new Uint8Array(0), range.start));
        assert.ok(equalBytes(looked.at(-1)?.end ?? new Uint8Array(0), range.end));
        for (const [i, { end }] of looked.entries()) {
          const next = looked[i + 1];
          if (next !== undefined) assert.ok(equalBytes(end, next.start), 'no gap, nothing twice');
        }
        assert.equal(bench.rounds.report.ranges, looked.length);
      }),
      { numRuns: 60 },
    );
  });

  it('partitions have their turns one after the other, and each pauses after its own round', async () => {
    const bench = new Bench(1, [0, 0], [1, 1], [2, 2]);
    bench.waitMs();
    await bench.time.pass(MINUTE);
    const order: number[] = [];
    for (let i = 0; i < 3; i++) {
      const round = bench.next();
      order.push(round.replica.group);
      if (i !== 1) bench.advance(round, rangeLeft(round).end);
      else bench.rounds.pause(round);
    }
    assert.deepEqual(order, [1, 2, 3]);
    assert.equal(bench.waitMs(), 500);
    await bench.time.pass(500);
    const round = bench.next();
    assert.equal(round.replica.group, 2);
    bench.advance(round, rangeLeft(round).end);
    assert.equal(bench.waitMs(), DAY - 500);
    assert.equal(bench.rounds.report.rounds, 3);
  });

  it('the round after one in which replicas differed begins soon', async () => {
    const bench = new Bench(1, [5, 5]);
    bench.waitMs();
    await bench.time.pass(MINUTE);
    const round = bench.next();
    bench.rounds.differs(round, { nodes: [2], end: rangeLeft(round).end });
    assert.equal(bench.waitMs(), 500);
    await bench.time.pass(500);
    bench.advance(bench.next(), rangeLeft(round).end);
    assert.equal(bench.waitMs(), 10 * MINUTE);
    assert.equal(round.suspicion, null);
  });

  it('a short interval shortens every pause', async () => {
    const bench = new Bench(1, [5, 5]);
    bench.intervalMs = 2_000;
    assert.equal(bench.waitMs(), 2_000);
    await bench.time.pass(2_000);
    bench.rounds.abandon(bench.next());
    assert.equal(bench.waitMs(), 2_000);
    assert.equal(bench.rounds.report.rounds, 0, 'what was given up is no round');
  });

  it('a range is looked at in vain twice, not a third time', async () => {
    const bench = new Bench(1, [5, 5]);
    bench.waitMs();
    await bench.time.pass(MINUTE);
    const round = bench.next();
    assert.deepEqual([bench.rounds.mayTryAgain(round), bench.rounds.mayTryAgain(round)], [true, true]);
    assert.equal(bench.rounds.mayTryAgain(round), false);
    bench.rounds.differs(round, { nodes: [2], end: rangeLeft(round).end });
    assert.equal(bench.rounds.mayTryAgain(round), true, 'a difference is worth as much again');
  });

  it('who leads no more, leads in another term, or is damaged, begins anew', async () => {
    for (const change of [{ isServing: false }, { term: 2 }, { isQuarantined: true }]) {
      const bench = new Bench(1, [0, 9]);
      const [replica] = bench.replicas;
      assert.ok(replica !== undefined);
      bench.waitMs();
      await bench.time.pass(MINUTE);
      const round = bench.next();
      bench.advance(round, slotRange(9, 9).end);
      Object.assign(replica, change);
      bench.rounds.next();
      Object.assign(replica, { isServing: true, isQuarantined: false });
      assert.equal(bench.waitMs(), MINUTE);
    }
  });
});
