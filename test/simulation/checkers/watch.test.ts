/** Histories of WATCH: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import type { OutcomeKind } from './history.ts';
import { checkWatch, type Touch, type Watched } from './watch.ts';

const span = (client: string, startMs: number, endMs: number) => ({ client, startMs, endMs });

/** WATCH at 10 to 12 ms, EXEC at 20 to 22 ms. */
function watched(hasTakenEffect: boolean, wasAbsent = false): Watched {
  return { watch: span('w', 10, 12), exec: span('w', 20, 22), hasTakenEffect, wasAbsent };
}

function check(one: Watched, ...touches: readonly Touch[]): string {
  return checkWatch('k', [one], touches).join();
}

const touch = (startMs: number, endMs: number, outcome: OutcomeKind = 'ok'): Touch => ({
  ...span('t', startMs, endMs),
  outcome,
});

describe('the checker of WATCH', () => {
  it('accepts an EXEC without anybody between, and a refusal with somebody', () => {
    assert.equal(check(watched(true)), '');
    assert.equal(check(watched(true), touch(0, 9), touch(23, 24), touch(11, 21)), '');
    assert.equal(check(watched(false), touch(13, 15)), '');
    assert.equal(check(watched(false), touch(0, 11)), '');
    assert.equal(check(watched(false), touch(0, 5, 'unknown')), '');
  });

  it('finds an EXEC that overlooked a write in between', () => {
    assert.match(check(watched(true), touch(13, 15)), /took effect, though t had touched it/);
  });

  it('finds a refusal without a reason', () => {
    assert.match(check(watched(false)), /was refused, though nobody/);
    assert.match(
      check(watched(false), touch(0, 9), touch(23, 24), touch(13, 15, 'failed')),
      /was refused, though nobody/,
    );
    assert.equal(check(watched(false, true)), '');
  });

  it('does not take an EXEC for its own reason', () => {
    assert.match(check(watched(false), { ...span('w', 20, 22), outcome: 'ok' }), /was refused/);
  });
});
