/** The alarm under virtual time: when it rings, and how many timers that takes. */
import { strict as assert } from 'node:assert';
import { Alarm } from '../../src/base/alarm.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

class Bench {
  readonly time = new VirtualTime();
  readonly rings: number[] = [];
  /** What is asked for in each ring. */
  next: () => number = () => Number.POSITIVE_INFINITY;
  readonly alarm = new Alarm(
    { clock: this.time, timers: this.time },
    {
      gapMs: 20,
      ring: () => {
        this.rings.push(this.time.monotonicMs());
        this.alarm.at(this.next());
      },
    },
  );
}

describe('alarm', () => {
  it('rings at the earliest moment that was asked for, once', async () => {
    const { time, alarm, rings } = new Bench();
    for (const atMs of [500, 300, 400]) alarm.at(atMs);
    await time.pass(1_000);
    assert.deepEqual(rings, [300]);
  });

  it('needs one timer for any number of deadlines', async () => {
    const { time, alarm } = new Bench();
    for (let atMs = 100; atMs < 200; atMs++) alarm.at(atMs);
    assert.equal(time.size, 1);
    await time.pass(100);
    assert.equal(time.size, 0);
  });

  it('rings soon for what has passed, and never from within the question', async () => {
    const { time, alarm, rings } = new Bench();
    await time.pass(100);
    alarm.at(50);
    assert.deepEqual(rings, []);
    await time.pass(0);
    assert.deepEqual(rings, [100]);
  });

  it('leaves a gap between two rings, however often it is asked', async () => {
    const bench = new Bench();
    bench.next = () => bench.time.monotonicMs();
    bench.alarm.at(0);
    await bench.time.pass(90);
    assert.deepEqual(bench.rings, [0, 20, 40, 60, 80]);
  });

  it('is not held up by a later moment that was asked for within the gap', async () => {
    const bench = new Bench();
    bench.alarm.at(0);
    await bench.time.pass(5);
    bench.alarm.at(1_000);
    bench.alarm.at(6);
    await bench.time.pass(100);
    assert.deepEqual(bench.rings, [0, 20]);
  });

  it('is silent once closed', async () => {
    const { time, alarm, rings } = new Bench();
    alarm.at(10);
    alarm.close();
    alarm.at(20);
    await time.pass(100);
    assert.deepEqual(rings, []);
  });
});
