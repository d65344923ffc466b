/** Parked requests: order, places, and what is held behind them. */
import { strict as assert } from 'node:assert';
import type { Job } from '../../src/partition/job.ts';
import { Parked } from '../../src/partition/parked.ts';

const names = new Map<Job, string>();

function job(name: string, strand = 0): Job {
  const one = { strand } as unknown as Job;
  names.set(one, name);
  return one;
}

const told = (jobs: readonly Job[]): string[] => jobs.map((one) => names.get(one) ?? '');

describe('parked requests', () => {
  it('stand in the order in which they came, and keep their place if they wait again', () => {
    const parked = new Parked();
    const [a, b, c] = [job('a'), job('b'), job('c')] as [Job, Job, Job];
    for (const one of [a, b, c]) parked.park(one, 1, 'k', 10);
    parked.park(a, 1, 'k', 99);
    assert.deepEqual(told(parked.jobsOf(1, 'k')), ['a', 'b', 'c']);
    assert.deepEqual(told(parked.due(10)), ['b', 'c']);
    assert.deepEqual(told(parked.due(99)), ['a', 'b', 'c']);
  });

  it('go to the end of another queue when they wait for another key', () => {
    const parked = new Parked();
    const [a, b] = [job('a'), job('b')] as [Job, Job];
    parked.park(a, 1, 'k', 10);
    parked.park(b, 1, 'other', 10);
    parked.park(a, 1, 'other', 10);
    assert.deepEqual([told(parked.jobsOf(1, 'k')), told(parked.jobsOf(1, 'other'))], [[], ['b', 'a']]);
    assert.equal(parked.hasWaiters(1, 'k'), false);
  });

  it('do not mix spaces', () => {
    const parked = new Parked();
    parked.park(job('a'), 1, '2:k', 10);
    parked.park(job('b'), 12, ':k', 10);
    assert.deepEqual(
      [parked.waitersBefore(null, 1, '2:k'), parked.waitersBefore(null, 12, ':k'), parked.waitersBefore(null, 1, 'k')],
      [1, 1, 0],
    );
  });

  it('are counted as far as they came before who asks', () => {
    const parked = new Parked();
    const [a, b, c] = [job('a'), job('b'), job('c')] as [Job, Job, Job];
    for (const one of [a, b]) parked.park(one, 1, 'k', 10);
    assert.deepEqual(
      [a, b, c, null].map((one) => parked.waitersBefore(one, 1, 'k')),
      [0, 1, 2, 2],
    );
  });

  it('leave their queue once', () => {
    const parked = new Parked();
    const a = job('a');
    parked.park(a, 1, 'k', 10);
    assert.deepEqual([parked.unpark(a), parked.unpark(a), parked.waiterCount], [true, false, 0]);
  });

  it('hold what follows in their strand, in order, until it is released', () => {
    const parked = new Parked();
    parked.hold(5);
    for (const name of ['x', 'y']) parked.enqueueBehind(job(name, 5));
    assert.deepEqual([parked.isHeld(5), parked.isHeld(6), parked.count], [true, false, 2]);
    assert.deepEqual(told(parked.releaseStrand(5)), ['x', 'y']);
    assert.deepEqual([parked.isHeld(5), parked.count, told(parked.releaseStrand(5))], [false, 0, []]);
  });

  it('are all returned at the end', () => {
    const parked = new Parked();
    parked.park(job('a', 5), 1, 'k', 10);
    parked.hold(5);
    parked.enqueueBehind(job('x', 5));
    assert.deepEqual(told(parked.clear()), ['a', 'x']);
    assert.deepEqual([parked.count, parked.isHeld(5)], [0, false]);
  });
});
