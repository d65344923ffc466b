/** Read rounds: which reads a confirmation frees, and what they still wait for. */
import { strict as assert } from 'node:assert';
import type { Job } from '../../src/partition/job.ts';
import { ReadRounds } from '../../src/partition/read-rounds.ts';

function job(name: string, observedIndex = 0): Job {
  return { name, observedIndex } as unknown as Job;
}

function released(rounds: ReadRounds, commitIndex = 0): string[] {
  const names: string[] = [];
  rounds.release(commitIndex, (one) => names.push((one as unknown as { name: string }).name));
  return names;
}

describe('read rounds', () => {
  it('are shared by all reads that wait when they start', () => {
    const rounds = new ReadRounds();
    rounds.add(job('a'));
    rounds.add(job('b'));
    const first = rounds.startRound(10, false);
    rounds.add(job('c'));
    assert.equal(rounds.confirm(first), 10);
    assert.deepEqual(released(rounds), ['a', 'b']);
    assert.ok(rounds.hasWaiting);
  });

  it('follow one another: what comes meanwhile shares the next one', () => {
    const rounds = new ReadRounds();
    rounds.add(job('a'));
    const first = rounds.startRound(10, false);
    rounds.add(job('b'));
    rounds.add(job('c'));
    assert.equal(rounds.startRound(11, false), 0);
    rounds.confirm(first);
    const second = rounds.startRound(12, false);
    assert.notEqual(second, 0);
    assert.deepEqual(released(rounds), ['a']);
    rounds.confirm(second);
    assert.deepEqual(released(rounds), ['b', 'c']);
  });

  it('do not start without a reader, unless a lease is to be renewed', () => {
    const rounds = new ReadRounds();
    assert.equal(rounds.startRound(0, false), 0);
    assert.notEqual(rounds.startRound(0, true), 0);
  });

  it('tell once when they started, and nothing of a confirmation that is not theirs', () => {
    const rounds = new ReadRounds();
    rounds.add(job('a'));
    const context = rounds.startRound(10, false);
    assert.equal(rounds.confirm(context - 1), -1);
    assert.equal(rounds.confirm(context), 10);
    assert.equal(rounds.confirm(context), -1);
  });

  it('keep a read back until what it saw has committed', () => {
    const rounds = new ReadRounds();
    rounds.add(job('early', 3));
    rounds.add(job('late', 5));
    rounds.confirm(rounds.startRound(0, false));
    rounds.addConfirmed(job('leased', 4));
    assert.deepEqual(released(rounds, 4), ['early', 'leased']);
    assert.deepEqual(released(rounds, 5), ['late']);
    assert.ok(rounds.isEmpty);
  });

  it('give up single reads in every state, and all of them at the end', () => {
    const rounds = new ReadRounds();
    rounds.add(job('in a round'));
    rounds.startRound(0, false);
    rounds.add(job('waiting'));
    rounds.addConfirmed(job('observing', 9));
    const nameOf = (one: Job): string => (one as unknown as { name: string }).name;
    assert.deepEqual(rounds.remove((one) => nameOf(one) === 'in a round').map(nameOf), ['in a round']);
    assert.deepEqual(rounds.clear().map(nameOf), ['observing', 'waiting']);
    assert.ok(rounds.isEmpty);
  });
});
