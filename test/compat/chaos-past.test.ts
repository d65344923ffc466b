/** The checker of what the past shows: each rule broken by hand, and a history that breaks none. */
import { strict as assert } from 'node:assert';
import { checkBank } from '../simulation/checkers/bank.ts';
import { bankReads, checkPast, type Moment, type PastRead } from '../../compat/chaos/workloads/past-check.ts';

const SPAN = { client: 'c', startMs: 100, endMs: 110 };
const KEYS = { accounts: ['a', 'b'], counters: ['n'] };

function moment(at: number, given: Partial<Moment> = {}): Moment {
  return { at, present: null, known: new Map(), ...given };
}

function read(of: Moment, [a, b, n]: readonly [number, number, number], by = 'KAHUNA.ASOF'): PastRead {
  return {
    ...SPAN,
    moment: of,
    by,
    values: new Map([
      ['a', a],
      ['b', b],
      ['n', n],
    ]),
  };
}

describe('chaos: reads of the past', () => {
  it('are right if each moment is always the same, and holds what was committed then', () => {
    const before = moment(6, { known: new Map([['a', 0]]) });
    const after = moment(7, { known: new Map([['a', -5]]) });
    const reads = [read(before, [0, 0, 0]), read(after, [-5, 5, 1]), read(after, [-5, 5, 1], 'KAHUNA.TX')];
    assert.deepEqual(checkPast(reads), []);
  });

  it('are wrong if a moment changes', () => {
    const [text, ...others] = checkPast([read(moment(7), [0, 0, 0]), read(moment(7), [-5, 5, 1], 'KAHUNA.GET')]);
    assert.match(text ?? '', /^moment 7 was a=0 b=0 n=0 \(KAHUNA.ASOF, .*\), and then a=-5 b=5 n=1 \(KAHUNA.GET, /);
    assert.deepEqual(others, []);
  });

  it('are wrong if the moment of a commit does not show it, or the one before does', () => {
    const at = moment(7, { known: new Map([['b', 5]]) });
    const [text] = checkPast([read(at, [0, 0, 0])]);
    assert.match(text ?? '', /^b was 0 at moment 7 .*; who committed then knows of 5$/);
    assert.equal(checkPast([read(moment(6, { known: new Map([['b', 0]]) }), [-5, 5, 1])]).length, 1);
    assert.equal(checkPast([read(moment(6, { known: new Map([['c', 0]]) }), [-5, 5, 1])]).length, 1);
  });

  it('are wrong if the sum is another one', () => {
    const reads = bankReads([read(moment(7), [-5, 4, 1])], KEYS);
    assert.match(checkBank({ total: 0, reads, moves: [] })[0] ?? '', /add up to -1/);
  });

  it('are wrong if a moment that was the present lacks what had been acknowledged, or shows what came later', () => {
    const present = { client: 'c', startMs: 50, endMs: 60 };
    const reads = bankReads([read(moment(7, { present }), [0, 0, 1])], KEYS);
    const move = (startMs: number, endMs: number) => ({ client: 'd', startMs, endMs, outcome: 'ok' as const });
    assert.deepEqual(checkBank({ total: 0, reads, moves: [move(10, 20)] }), []);
    assert.match(checkBank({ total: 0, reads, moves: [move(10, 20), move(20, 30)] })[0] ?? '', /there were 2 to 2/);
    assert.match(checkBank({ total: 0, reads, moves: [move(70, 80)] })[0] ?? '', /there were 0 to 0/);
  });
});
