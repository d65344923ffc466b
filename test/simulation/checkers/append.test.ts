/** Histories of appends: right ones pass, each planted anomaly is called by its name. */
import { strict as assert } from 'node:assert';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { type AppendStep, type AppendTransaction, checkAppends } from './append.ts';
import { serialAppends } from './serial-appends.ts';

let clock = 0;

/** A transaction of its own client that begins after all those before have ended. */
function later(...steps: readonly AppendStep[]): AppendTransaction {
  clock += 10;
  return { client: `c${clock}`, startMs: clock, endMs: clock + 5, outcome: 'ok', steps };
}

/** One that overlaps all others. */
function meanwhile(...steps: readonly AppendStep[]): AppendTransaction {
  clock += 10;
  return { client: `c${clock}`, startMs: 0, endMs: 1e9, outcome: 'ok', steps };
}

const append = (key: string, id: string, position: number | null = null): AppendStep => ({
  kind: 'append',
  key,
  id,
  position,
});
const read = (key: string, ...ids: readonly string[]): AppendStep => ({ kind: 'read', key, ids });

/** What is found begins with the anomaly's name; nothing else is found. */
function finds(anomaly: string, ...transactions: readonly AppendTransaction[]): void {
  const found = checkAppends(transactions);
  assert.deepEqual(
    found.map((text) => text.split(':', 1)[0]),
    [anomaly],
    found.join('\n'),
  );
}

function passes(...transactions: readonly AppendTransaction[]): void {
  assert.deepEqual(checkAppends(transactions), []);
}

describe('the checker of appends', () => {
  it('accepts what one after the other could have done', () => {
    passes(later(append('a', '1')), later(read('a', '1'), append('a', '2'), read('a', '1', '2')), later(read('b')));
    passes(meanwhile(read('a', '1')), meanwhile(append('a', '1'), append('b', '2')), meanwhile(read('b', '2')));
  });

  it('G0: writes of two transactions interleave', () => {
    finds(
      'G0',
      meanwhile(append('a', '1'), append('b', '1')),
      meanwhile(append('a', '2'), append('b', '2')),
      meanwhile(read('a', '1', '2')),
      meanwhile(read('b', '2', '1')),
    );
  });

  it('G0: positions alone tell it', () => {
    finds(
      'G0',
      meanwhile(append('a', '1', 1), append('b', '1', 2)),
      meanwhile(append('a', '2', 2), append('b', '2', 1)),
    );
  });

  it('G1a: what failed is read', () => {
    finds('G1a', { ...later(append('a', '1')), outcome: 'failed' }, later(read('a', '1')));
  });

  it('G1b: the middle of a transaction is read', () => {
    finds(
      'G1b',
      meanwhile(append('a', '1'), append('a', '2')),
      meanwhile(read('a', '1')),
      meanwhile(read('a', '1', '2')),
    );
  });

  it('G1c: two transactions read each other', () => {
    finds('G1c', meanwhile(append('a', '1'), read('b', '2')), meanwhile(append('b', '2'), read('a', '1')));
  });

  it('G-single: a read sees one write of a transaction and misses the other', () => {
    finds('G-single', meanwhile(append('a', '1'), append('b', '1')), meanwhile(read('a', '1'), read('b')));
  });

  it('G-single: an update is lost', () => {
    finds(
      'G-single',
      meanwhile(read('a', '0'), append('a', '1')),
      meanwhile(read('a', '0'), append('a', '2')),
      meanwhile(append('a', '0')),
      meanwhile(read('a', '0', '1', '2')),
    );
  });

  it('G2: two transactions miss each other (write skew)', () => {
    finds('G2', meanwhile(read('a'), append('b', '1')), meanwhile(read('b'), append('a', '1')));
  });

  it('real time: a read misses what was acknowledged before, in a read or in none', () => {
    finds('G-single-realtime', later(append('a', '1')), later(read('a')), later(read('a', '1')));
    finds('G-single-realtime', later(append('a', '1')), later(read('a')));
  });

  it('real time: appends stand in the wrong order', () => {
    finds('G0-realtime', later(append('a', '1')), later(append('a', '2')), later(read('a', '2', '1')));
    finds('G0-realtime', later(append('a', '1', 2)), later(append('a', '2', 1)));
  });

  it('real time: a reader goes back in time over two keys', () => {
    finds(
      'G2-realtime',
      meanwhile(append('a', '1')),
      meanwhile(append('b', '1')),
      later(read('a', '1')),
      later(read('b')),
      meanwhile(read('b', '1'), read('a')),
    );
  });

  it('an unknown transaction has taken effect as a whole, at any later time, or not at all', () => {
    const unknown = { ...later(append('a', '1'), append('b', '1')), outcome: 'unknown' } as const;
    passes(unknown, later(read('a'), read('b')));
    passes(unknown, later(read('a'), read('b')), later(read('a', '1'), read('b', '1')));
    finds('G-single', unknown, later(read('a', '1'), read('b')));
    finds('G-single-realtime', unknown, later(read('a', '1')), later(read('b')));
  });

  it('lists never shrink, change their order, or hold what nobody appended', () => {
    const turned = checkAppends([
      later(append('a', '1')),
      later(append('a', '2')),
      later(read('a', '1', '2')),
      later(read('a', '2', '1')),
    ]);
    assert.match(turned.join(), /incompatible orders: a has 1 at position 1, T3 .* saw 2 there/);
    finds('garbage', later(read('a', '7')));
    const twice = checkAppends([later(append('a', '1')), later(read('a', '1', '1'))]);
    assert.match(twice.join(), /duplicate/);
    finds('incompatible orders', later(append('a', '1', 1)), later(append('a', '2', 1)));
  });

  it('a transaction sees its own writes, and one state', () => {
    finds('internal', later(append('a', '1'), read('a')));
    finds('internal', later(append('b', '1')), later(read('b'), read('b', '1')));
    finds('internal', later(append('b', '1')), later(read('b'), append('b', '2', 2)), later(read('b', '1', '2')));
  });

  it('explains a cycle by its transactions and reasons', () => {
    const [text = ''] = checkAppends([meanwhile(read('a'), append('b', '1')), meanwhile(read('b'), append('a', '1'))]);
    assert.match(text, /T0 \(c\d+, 0\.0-.* ms\) saw a with 0 elements, without those of: T1 .* \[rw\]/);
  });

  it('accepts 20,000 transactions in good time, and finds the one stale read in them', () => {
    const random = new SeededRandom(11);
    const history = serialAppends(random, { count: 20_000, keys: 50, clients: 20 });
    const startedMs = performance.now();
    assert.deepEqual(checkAppends(history), []);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 3_000, `it took ${tookMs.toFixed(0)} ms`);
    const at = history.findLastIndex(({ steps }) =>
      steps.some((step) => step.kind === 'read' && (step.ids?.length ?? 0) > 2),
    );
    const stale = history.map((transaction, i) =>
      i === at
        ? { ...transaction, steps: transaction.steps.map(shortened).filter((step) => step.kind === 'read') }
        : transaction,
    );
    assert.notDeepEqual(checkAppends(stale), []);
  });

  for (let seed = 1; seed <= 30; seed++) {
    it(`accepts what a serial store does, and finds a lost append (seed ${seed})`, () => {
      const random = new SeededRandom(seed);
      const history = serialAppends(random, { count: 200, keys: 1 + random.below(5), clients: 1 + random.below(6) });
      assert.deepEqual(checkAppends(history), []);
      const key = 'lost';
      const lost = [
        ...history,
        { client: 'x', startMs: 1e6, endMs: 1e6 + 1, outcome: 'ok' as const, steps: [append(key, 'one')] },
        { client: 'y', startMs: 1e6 + 2, endMs: 1e6 + 3, outcome: 'ok' as const, steps: [read(key)] },
      ];
      assert.equal(checkAppends(lost).length, 1);
    });
  }
});

function shortened(step: AppendStep): AppendStep {
  return step.kind === 'read' && step.ids !== null ? { ...step, ids: step.ids.slice(0, -2) } : step;
}
