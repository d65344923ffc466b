/** Pasts of keys: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import type { OutcomeKind, Span } from './history.ts';
import { checkPast, type PastLook, type PastRecord, type PastWrite, type Seen } from './past.ts';

const span = (startMs: number, endMs = startMs + 1): Span => ({ client: 'c', startMs, endMs });
const seen = (key: string, value: Seen['value'], revision: number | null = null): Seen => ({ key, value, revision });
const look = (startMs: number, at: number | null, ...all: readonly Seen[]): PastLook => ({
  ...span(startMs),
  at,
  seen: all,
});
function write(
  startMs: number,
  at: number | null,
  puts: Readonly<Record<string, string | null>>,
  outcome: OutcomeKind = 'ok',
): PastWrite {
  return { ...span(startMs), at, outcome, puts: new Map(Object.entries(puts)) };
}

function check(record: Partial<PastRecord>): string {
  const nothing = { writes: [], looks: [], histories: [], moments: [], refused: [], kept: [] };
  return checkPast({ ...nothing, ...record }).join('\n');
}

/** Key a: v1 at 10, v2 at 20 (with b: w2), deleted at 30. */
const WRITES = [write(1, 10, { a: 'v1' }), write(3, 20, { a: 'v2', b: 'w2' }), write(5, 30, { a: null })];

describe('the checker of the past', () => {
  it('accepts at each moment what had been written by then', () => {
    const looks = [
      look(9, 9, seen('a', null), seen('b', null)),
      look(9, 10, seen('a', 'v1', 10), seen('b', null)),
      look(9, 19, seen('a', 'v1'), seen('b', null)),
      look(9, 20, seen('a', undefined), seen('b', 'w2')),
      look(9, 29, seen('a', 'v2', 20)),
      look(9, 31, seen('a', null), seen('b', undefined)),
    ];
    assert.equal(check({ writes: WRITES, looks }), '');
  });

  it('finds a look that shows the future, less than there was, or half of a transaction', () => {
    for (const [at, what] of [
      [9, seen('a', 'v1')],
      [19, seen('a', 'v2')],
      [20, seen('a', 'v1')],
      [20, seen('b', null)],
      [30, seen('a', 'v2')],
      [30, seen('a', undefined)],
      [25, seen('a', null)],
    ] as const) {
      assert.match(check({ writes: WRITES, looks: [look(9, at, what)] }), /there was/, `${at} ${String(what.value)}`);
    }
  });

  it('finds values that nobody wrote there, and those of failed writes', () => {
    assert.match(check({ writes: WRITES, looks: [look(9, 40, seen('c', 'v1'))] }), /nobody wrote/);
    const writes = [write(1, null, { a: 'v1' }, 'failed')];
    assert.match(check({ writes, looks: [look(9, 40, seen('a', 'v1'))] }), /had failed/);
  });

  it('lets a write of which nobody has heard be seen or not, but not at a moment that was told before it', () => {
    const writes = [...WRITES, write(8, null, { a: 'v4' }, 'unknown')];
    assert.equal(check({ writes, looks: [look(9, 40, seen('a', 'v4'))] }), '');
    assert.equal(check({ writes, looks: [look(9, 40, seen('a', null))] }), '');
    const moments = [{ ...span(6), at: 40 }];
    assert.match(check({ writes, moments, looks: [look(9, 40, seen('a', 'v4'))] }), /there was nothing/);
  });

  it('learns when an unheard write was committed from whoever saw its revision', () => {
    const writes = [write(1, null, { a: 'v1' }), write(3, 20, { a: 'v2' })];
    const found = look(2, null, seen('a', 'v1', 10));
    assert.match(check({ writes, looks: [found, look(9, 9, seen('a', 'v1'))] }), /there was nothing/);
    assert.match(check({ writes, looks: [found, look(9, 15, seen('a', null))] }), /there was v1/);
    assert.match(check({ writes, looks: [found, look(9, 15, seen('a', 'v1', 11))] }), /was 11 .* is 10/);
  });

  it('finds a moment that looks otherwise later', () => {
    const writes = [write(1, null, { a: 'v1' }, 'unknown')];
    const looks = [look(3, 40, seen('a', null)), look(5, 40, seen('a', 'v1'))];
    assert.match(check({ writes, looks }), /at 40 was nothing .* then v1/);
    assert.match(check({ writes, looks: [...looks].reverse() }), /at 40 was v1 .* then nothing/);
    assert.match(
      check({ writes, looks: [looks[0] ?? assert.fail(), look(5, 40, seen('a', undefined))] }),
      /then something/,
    );
  });

  it('finds told moments on the wrong side of a write', () => {
    assert.equal(check({ writes: WRITES, moments: [{ ...span(2.5, 2.6), at: 15 }] }), '');
    assert.match(check({ writes: WRITES, moments: [{ ...span(4.5, 4.6), at: 15 }] }), /15 was told .* after 20/);
    assert.match(
      check({ writes: WRITES, moments: [{ ...span(2.5, 2.6), at: 20 }] }),
      /20 was committed .* after 20 was told/,
    );
  });

  it('finds timestamps that go against real time, and equal ones', () => {
    assert.match(check({ writes: [write(1, 10, { a: 'v1' }), write(3, 9, { a: 'v2' })] }), /9 .* came after 10/);
    assert.equal(check({ writes: [write(1, 10, { a: 'v1' }), write(1.5, 9, { a: 'v2' })] }), '');
    assert.match(check({ writes: [write(1, 10, { a: 'v1' }), write(3, 10, { a: 'v2' })] }), /changed twice/);
  });

  it('finds histories with holes, out of order, or without what is new', () => {
    const of = (...versions: readonly (readonly [number, string | null])[]) => [
      { ...span(9), key: 'a', versions: versions.map(([revision, value]) => ({ revision, value })) },
    ];
    assert.equal(check({ writes: WRITES, histories: of([30, null], [20, 'v2'], [10, 'v1']) }), '');
    assert.equal(check({ writes: WRITES, histories: of([30, null]) }), '');
    assert.equal(check({ writes: WRITES, histories: of() }), '', 'a deletion may be forgotten');
    const underWay = [...WRITES.slice(0, 2), { ...write(9, 30, { a: null }), startMs: 8, endMs: 20 }];
    assert.equal(check({ writes: underWay, histories: of() }), '', 'one of which its client has not heard too');
    const later = [...WRITES.slice(0, 2), write(30, 30, { a: null })];
    assert.match(check({ writes: later, histories: of() }), /20 is missing, the newest is 0/);
    assert.match(check({ writes: WRITES, histories: of([30, null], [10, 'v1']) }), /20 is missing/);
    assert.match(check({ writes: WRITES.slice(0, 2), histories: of([10, 'v1']) }), /20 is missing, the newest is 10/);
    assert.match(check({ writes: WRITES, histories: of([10, 'v1'], [20, 'v2'], [30, null]) }), /follows/);
  });

  it('finds what is refused though it is kept, and nothing else', () => {
    const kept = [{ at: 20, fromMs: 5, untilMs: 9, reason: 'a hold' }];
    assert.match(check({ refused: [{ ...span(6), at: 20 }], kept }), /20 was gone .* a hold/);
    assert.match(check({ refused: [{ ...span(6), at: 25 }], kept }), /25 was gone/);
    assert.equal(check({ refused: [{ ...span(6), at: 19 }], kept }), '');
    assert.equal(check({ refused: [{ ...span(8.5), at: 20 }], kept }), '');
    assert.equal(check({ refused: [{ ...span(4), at: 20 }], kept }), '');
  });
});
