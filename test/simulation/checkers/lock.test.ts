/** Histories of locks: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { type Attempt, checkFairness, checkLock, type Grant } from './lock.ts';

interface Times {
  readonly startMs: number;
  readonly endMs: number;
  readonly leaseEndMs?: number;
  readonly releaseMs?: number;
}

function grant(owner: string, token: number, times: Times): Grant {
  return { owner, token, leaseEndMs: 1_000, releaseMs: Number.POSITIVE_INFINITY, ...times };
}

describe('the checker of locks', () => {
  it('accepts holders one after the other', () => {
    const grants = [
      grant('a', 1, { startMs: 0, endMs: 1, releaseMs: 5 }),
      grant('b', 2, { startMs: 2, endMs: 7, leaseEndMs: 20 }),
      grant('c', 3, { startMs: 8, endMs: 21 }),
    ];
    assert.deepEqual(checkLock('r', grants), []);
  });

  it('accepts a lease that was over before its holder heard of it', () => {
    const grants = [
      grant('a', 1, { startMs: 0, endMs: 30, leaseEndMs: 20 }),
      grant('b', 2, { startMs: 25, endMs: 26 }),
    ];
    assert.deepEqual(checkLock('r', grants), []);
  });

  it('finds two holders at a time', () => {
    const grants = [grant('a', 1, { startMs: 0, endMs: 1 }), grant('b', 2, { startMs: 2, endMs: 3 })];
    assert.match(checkLock('r', grants).join(), /b got token 2 .* while a got token 1/);
  });

  it('finds two holders though one between them was short', () => {
    const grants = [
      grant('a', 1, { startMs: 0, endMs: 1 }),
      grant('b', 2, { startMs: 2, endMs: 500, leaseEndMs: 501 }),
      grant('c', 3, { startMs: 502, endMs: 600 }),
    ];
    assert.equal(checkLock('r', grants).length, 2);
  });

  it('finds a token that was given to two owners', () => {
    const grants = [
      grant('a', 1, { startMs: 0, endMs: 1, releaseMs: 2 }),
      grant('b', 1, { startMs: 3, endMs: 4, releaseMs: 5 }),
    ];
    assert.match(checkLock('r', grants).join(), /token 1 was given to a and to b/);
  });

  it('finds a token that falls', () => {
    const grants = [
      grant('a', 2, { startMs: 0, endMs: 1, releaseMs: 2 }),
      grant('b', 1, { startMs: 3, endMs: 4, releaseMs: 5 }),
    ];
    assert.match(checkLock('r', grants).join(), /b got token 1 .* after a got token 2/);
  });

  it('finds who was overtaken in the queue', () => {
    const attempt = (owner: string, startMs: number, endMs: number, isGranted = true): Attempt => ({
      owner,
      startMs,
      endMs,
      isGranted,
    });
    assert.deepEqual(checkFairness('r', [attempt('a', 0, 50), attempt('b', 20, 90)], 10), []);
    assert.deepEqual(checkFairness('r', [attempt('a', 0, 90), attempt('b', 5, 50)], 10), [], 'too close to tell');
    assert.equal(checkFairness('r', [attempt('a', 0, 90), attempt('b', 20, 50)], 10).length, 1);
    assert.deepEqual(checkFairness('r', [attempt('a', 0, 90), attempt('b', 20, 50, false)], 10), []);
  });

  it('checks 20,000 grants in good time', () => {
    const grants = Array.from({ length: 20_000 }, (_, i) =>
      grant(`o${i}`, i + 1, { startMs: i * 2, endMs: i * 2 + 0.5, releaseMs: i * 2 + 1, leaseEndMs: i * 2 + 100 }),
    );
    const startedMs = performance.now();
    assert.deepEqual(checkLock('r', grants), []);
    assert.ok(performance.now() - startedMs < 2_000);
  });
});
