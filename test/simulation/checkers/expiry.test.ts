/** Histories of keys that expire: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { checkExpiry, type ExpiringKey, type KeyRead } from './expiry.ts';

const present = (startMs: number, endMs: number): KeyRead => ({ startMs, endMs, isPresent: true });
const gone = (startMs: number, endMs: number): KeyRead => ({ startMs, endMs, isPresent: false });

/** Set at 10 to 20 ms, for 100 ms. */
function check(reads: readonly KeyRead[], change: Partial<ExpiringKey> = {}): string {
  return checkExpiry({
    key: 'k',
    startMs: 10,
    endMs: 20,
    earliestEndMs: 105,
    isFailed: false,
    reads,
    ...change,
  }).join();
}

describe('the checker of expiry', () => {
  it('accepts a key that is there until its time, and gone after it', () => {
    assert.equal(check([gone(0, 15), present(15, 30), present(80, 90), gone(100, 106), gone(200, 201)]), '');
  });

  it('finds a key that went too early', () => {
    assert.match(check([gone(30, 40)]), /gone at 40.0 ms, before 105.0 ms/);
    assert.match(check([present(12, 14), gone(15, 40)], { endMs: Number.POSITIVE_INFINITY }), /gone at 40/);
  });

  it('finds a key that came back', () => {
    assert.match(check([gone(110, 120), present(130, 140)]), /gone at 120.0 ms, and back at 140.0 ms/);
  });

  it('says nothing of a key that may never have been set', () => {
    assert.equal(check([gone(30, 40)], { endMs: Number.POSITIVE_INFINITY }), '');
  });

  it('finds a key whose SET was refused', () => {
    assert.equal(check([gone(30, 40)], { isFailed: true }), '');
    assert.match(check([present(30, 40)], { isFailed: true }), /was refused/);
  });
});
