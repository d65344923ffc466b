/** Histories of fenced writes: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { checkFence, checkFenceRefusals, type FencedWrite, type FenceHistory } from './fence.ts';

const write = (
  id: string,
  token: number,
  [startMs, endMs]: readonly [number, number],
  outcome: FencedWrite['outcome'] = 'ok',
): FencedWrite => ({
  client: 'c',
  startMs,
  endMs,
  id,
  token,
  outcome,
});
const grant = (token: number, endMs: number) => ({ client: 'c', startMs: endMs - 1, endMs, token });

function check(history: Partial<FenceHistory>): string {
  return checkFence('r', { writes: [], grants: [], ids: [], ...history }).join('\n');
}

describe('the checker of fences', () => {
  it('accepts writes of rising tokens, and unknown ones that are there or not', () => {
    const writes = [
      write('a', 1, [1, 2]),
      write('b', 2, [5, 6]),
      write('c', 1, [5, 6], 'failed'),
      write('d', 2, [7, 8], 'unknown'),
    ];
    const grants = [grant(1, 1), grant(2, 4)];
    assert.equal(check({ writes, grants, ids: ['a', 'b'] }), '');
    assert.equal(check({ writes, grants, ids: ['a', 'b', 'd'] }), '');
  });

  it('finds an old holder behind a new one', () => {
    assert.match(
      check({ writes: [write('a', 1, [1, 9]), write('b', 2, [1, 9])], ids: ['b', 'a'] }),
      /a .* stands behind b/,
    );
  });

  it('finds a write that was let in after a newer grant', () => {
    assert.match(
      check({ writes: [write('a', 1, [5, 6])], grants: [grant(2, 4)], ids: ['a'] }),
      /was let in after token 2/,
    );
  });

  it('finds what is lost, doubled, refused or strange', () => {
    assert.match(check({ writes: [write('a', 1, [1, 2])] }), /is not in the list/);
    assert.match(check({ writes: [write('a', 1, [1, 2])], ids: ['a', 'a'] }), /twice/);
    assert.match(check({ writes: [write('a', 1, [1, 2], 'failed')], ids: ['a'] }), /was refused, and is in/);
    assert.match(check({ ids: ['x'] }), /nobody wrote/);
  });

  it('finds a refusal without a newer grant', () => {
    const refused = [write('a', 1, [5, 6], 'failed')];
    const acquired = (token: number | null, startMs: number, outcome: FencedWrite['outcome'] = 'ok') => [
      { client: 'c', startMs, endMs: startMs + 1, outcome, token },
    ];
    assert.deepEqual(checkFenceRefusals('r', refused, acquired(2, 3)), []);
    assert.deepEqual(checkFenceRefusals('r', refused, acquired(null, 3, 'unknown')), []);
    for (const acquisitions of [[], acquired(1, 3), acquired(2, 7), acquired(null, 3, 'failed')]) {
      assert.equal(checkFenceRefusals('r', refused, acquisitions).length, 1);
    }
  });
});
