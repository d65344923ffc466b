/** Histories of banks: right ones pass, planted violations are found. */
import { strict as assert } from 'node:assert';
import { type BankHistory, checkBank } from './bank.ts';
import type { OutcomeKind } from './history.ts';

const read = (balances: readonly number[], moves: number | null = null, startMs = 50) => ({
  client: 'c',
  startMs,
  endMs: startMs + 1,
  balances,
  moves,
});
const move = (startMs: number, outcome: OutcomeKind = 'ok') => ({ client: 'c', startMs, endMs: startMs + 1, outcome });

function check(history: Partial<BankHistory>): string {
  return checkBank({ total: 0, reads: [], moves: [], ...history }).join('\n');
}

describe('the checker of banks', () => {
  it('accepts sums that stay, and as many moves as there may have been', () => {
    const moves = [move(0), move(2, 'unknown'), move(4, 'failed'), move(90)];
    assert.equal(check({ moves, reads: [read([5, -5], 1), read([5, -2, -3], 2)] }), '');
  });

  it('finds a sum that has changed', () => {
    assert.match(check({ reads: [read([5, -4])] }), /add up to 1/);
    assert.match(check({ total: 10, reads: [read([5, -5])] }), /add up to 0/);
  });

  it('finds a move that is lost, doubled, or was refused', () => {
    assert.match(check({ moves: [move(0)], reads: [read([0], 0)] }), /0 moves had been made .* 1 to 1/);
    assert.match(check({ moves: [move(0)], reads: [read([0], 2)] }), /2 moves had been made/);
    assert.match(check({ moves: [move(0, 'failed')], reads: [read([0], 1)] }), /1 moves had been made/);
  });
});
