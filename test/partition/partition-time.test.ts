/** Partition time: what a leader reads, and what the next one may not undercut. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { PartitionTime } from '../../src/partition/partition-time.ts';

const START_MS = 1_700_000_000_000;

/** A node's clocks: monotonic from anywhere, at some rate; wall with an offset that may step. */
class Clocks {
  readonly rate: number;
  wallOffsetMs: number;
  readonly #world: World;
  readonly #originMs: number;

  constructor(world: World, rate = 1, wallOffsetMs = 0, originMs = 1_000) {
    this.#world = world;
    this.rate = rate;
    this.wallOffsetMs = wallOffsetMs;
    this.#originMs = originMs;
  }

  monotonicMs(): number {
    return this.#originMs + this.#world.nowMs * this.rate;
  }

  wallMs(): number {
    return START_MS + this.#world.nowMs + this.wallOffsetMs;
  }
}

class World {
  nowMs = 0;
}

describe('partition time', () => {
  it('starts at the wall clock where nobody led before, and advances with the monotonic clock', () => {
    const world = new World();
    const time = new PartitionTime(new Clocks(world));
    time.anchor();
    assert.equal(time.now(), START_MS);
    world.nowMs = 500;
    assert.equal(time.now(), START_MS + 500);
  });

  it('neither falls nor leaps when the wall clock steps', () => {
    for (const stepMs of [-3_600_000, 3_600_000]) {
      const world = new World();
      const clocks = new Clocks(world);
      const time = new PartitionTime(clocks);
      time.anchor();
      time.now();
      clocks.wallOffsetMs += stepMs;
      for (let seconds = 1; seconds <= 60; seconds++) {
        world.nowMs = seconds * 1_000;
        const elapsed = time.now() - START_MS;
        assert.ok(Math.abs(elapsed - world.nowMs) <= world.nowMs / 1_000 + 1, `${elapsed} ms in ${world.nowMs} ms`);
      }
    }
  });

  it('draws near a wall clock that is right, slowly', () => {
    const world = new World();
    const time = new PartitionTime(new Clocks(world, 0.999_5));
    time.anchor();
    for (let seconds = 1; seconds <= 3_600; seconds++) {
      world.nowMs = seconds * 1_000;
      time.now();
    }
    assert.ok(Math.abs(time.now() - (START_MS + world.nowMs)) < 5);
  });

  it('is never behind what the log holds', () => {
    const world = new World();
    const time = new PartitionTime(new Clocks(world, 1, -10_000));
    time.logged(START_MS + 5_000);
    time.logged(START_MS + 4_000);
    time.anchor();
    assert.equal(time.now(), START_MS + 5_000);
  });

  it('goes on from what the former leader said last, not from the own wall clock', () => {
    const world = new World();
    const time = new PartitionTime(new Clocks(world, 1, 3_600_000));
    time.heard(START_MS);
    world.nowMs = 300;
    time.anchor();
    assert.equal(time.now(), START_MS + 300);
  });

  it('does not go back to an older word of a leader', () => {
    const world = new World();
    const time = new PartitionTime(new Clocks(world));
    time.heard(START_MS + 1_000);
    time.heard(0);
    time.heard(START_MS);
    time.anchor();
    assert.equal(time.now(), START_MS + 1_000);
  });

  it('never falls, and does not run ahead of the former leader, over any chain of leaders that hear each other', () => {
    const step = fc.record({
      passMs: fc.integer({ min: 0, max: 5_000 }),
      what: fc.constantFrom('read', 'hear', 'lead', 'stepWall'),
      node: fc.integer({ min: 0, max: 2 }),
      byMs: fc.integer({ min: -100_000, max: 100_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World();
        const clocks = [0, 1, 2].map((i) => new Clocks(world, 1, [0, 40_000, -40_000][i], i * 777));
        const times = clocks.map((clock) => new PartitionTime(clock));
        let leader = 0;
        times[0]?.anchor();
        const begin = times[0]?.now() ?? 0;
        let highest = begin;
        for (const { passMs, what, node, byMs } of steps) {
          // A leader speaks before it can be replaced, and writes what it shows.
          for (const time of times) time.heard(times[leader]?.now() ?? 0);
          for (const time of times) time.logged(highest);
          world.nowMs += passMs;
          const clock = clocks[node];
          if (what === 'stepWall' && clock !== undefined) clock.wallOffsetMs += byMs;
          if (what === 'lead') {
            leader = node;
            times[node]?.anchor();
          }
          const now = times[leader]?.now() ?? 0;
          assert.ok(now >= highest, `fell from ${highest} to ${now}`);
          assert.ok(now - begin <= world.nowMs * 1.001 + 2, `${now - begin} ms passed in ${world.nowMs} ms`);
          highest = now;
        }
      }),
    );
  });
});
