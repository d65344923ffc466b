/** Answers of WAIT: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { checkWait, type Waited } from './wait.ts';

function check(change: Partial<Waited>, mayEndEarly = false): string {
  const wait = { client: 'c', startMs: 0, endMs: 50, wanted: 2, timeoutMs: 100, answered: 2, holders: 2, ...change };
  return checkWait([wait], { replicaCount: 3, clockMargin: 0.1, mayEndEarly }).join();
}

describe('the checker of WAIT', () => {
  it('accepts as many as hold the write, and fewer when time is over', () => {
    assert.equal(check({}), '');
    assert.equal(check({ answered: 1, endMs: 95 }), '');
    assert.equal(check({ answered: 0, endMs: 95, holders: Number.POSITIVE_INFINITY }), '');
    assert.equal(check({ answered: 2, wanted: 0 }), '');
  });

  it('finds more than hold the write, or than there are', () => {
    assert.match(check({ holders: 1 }), /no more than 1 others hold/);
    assert.match(check({ answered: 3, holders: Number.POSITIVE_INFINITY }), /3 replicas in all/);
    assert.match(check({ answered: Number.NaN }), /no count/);
  });

  it('finds an answer before its time, unless nodes were shut down', () => {
    assert.match(check({ answered: 1 }), /before its time was over/);
    assert.equal(check({ answered: 1 }, true), '');
  });
});
