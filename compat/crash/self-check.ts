/** Planted violations: before a run may call anything valid, every check must find what was planted for it. */
import { CHECKS } from './checks.ts';
import type { FinalState, History, Operation } from './history.ts';

const base = { worker: 1, node: 'n1', outcome: 'ok' as const, reason: '' };
const at = (startMs: number, endMs: number): { startMs: number; endMs: number } => ({ startMs, endMs });

const emptyFinal: FinalState = {
  node: 'n1',
  registers: new Map(),
  counters: new Map(),
  claims: new Map(),
  pair: [0, 0],
  lockTokens: new Map(),
};

function historyOf(operations: readonly Operation[], final: Partial<FinalState> = {}): History {
  return { operations, finals: [{ ...emptyFinal, ...final }], faults: [] };
}

const acquire = (owner: string, token: number, times: { startMs: number; endMs: number }): Operation => ({
  ...base,
  ...times,
  kind: 'lock-acquire',
  resource: 'l',
  owner,
  ttlMs: 1_000,
  token,
});

const PLANTED: readonly { readonly what: string; readonly check: string; readonly history: History }[] = [
  {
    what: 'an acknowledged write is gone',
    check: 'no acknowledged write is lost, no failed one appears',
    history: historyOf([{ ...base, ...at(0, 1), kind: 'register-write', key: 'k', value: 1 }]),
  },
  {
    what: 'a failed write is there',
    check: 'no acknowledged write is lost, no failed one appears',
    history: historyOf([{ ...base, ...at(0, 1), kind: 'register-write', key: 'k', value: 1, outcome: 'failed' }], {
      registers: new Map([['k', 1]]),
    }),
  },
  {
    what: 'a stale read',
    check: 'no acknowledged write is lost, no failed one appears',
    history: historyOf(
      [
        { ...base, ...at(0, 1), kind: 'register-write', key: 'k', value: 1 },
        { ...base, ...at(2, 3), kind: 'register-write', key: 'k', value: 2 },
        { ...base, ...at(4, 5), kind: 'register-read', key: 'k', value: 1 },
      ],
      { registers: new Map([['k', 2]]) },
    ),
  },
  {
    what: 'two reads that go back',
    check: 'no acknowledged write is lost, no failed one appears',
    history: historyOf(
      [
        { ...base, ...at(0, 1), kind: 'register-write', key: 'k', value: 1 },
        { ...base, ...at(2, 9), kind: 'register-write', key: 'k', value: 2 },
        { ...base, ...at(3, 4), kind: 'register-read', key: 'k', value: 2 },
        { ...base, ...at(5, 6), kind: 'register-read', key: 'k', value: 1 },
      ],
      { registers: new Map([['k', 2]]) },
    ),
  },
  {
    what: 'an increment applied twice',
    check: 'no increment is lost or applied twice',
    history: historyOf([{ ...base, ...at(0, 1), kind: 'increment', key: 'c', value: 1 }], {
      counters: new Map([['c', 2]]),
    }),
  },
  {
    what: 'an increment lost',
    check: 'no increment is lost or applied twice',
    history: historyOf(
      [
        { ...base, ...at(0, 1), kind: 'increment', key: 'c', value: 1 },
        { ...base, ...at(2, 3), kind: 'increment', key: 'c', value: 2 },
      ],
      { counters: new Map([['c', 1]]) },
    ),
  },
  {
    what: 'one value for two increments',
    check: 'no increment is lost or applied twice',
    history: historyOf(
      [
        { ...base, ...at(0, 5), kind: 'increment', key: 'c', value: 1 },
        { ...base, ...at(0, 5), kind: 'increment', key: 'c', value: 1 },
      ],
      { counters: new Map([['c', 2]]) },
    ),
  },
  {
    what: 'two winners',
    check: 'a claim has one winner',
    history: historyOf(
      [
        { ...base, ...at(0, 1), kind: 'claim', key: 'x', token: 'a', hasWon: true },
        { ...base, ...at(2, 3), kind: 'claim', key: 'x', token: 'b', hasWon: true },
      ],
      { claims: new Map([['x', 'a']]) },
    ),
  },
  {
    what: 'a winner who does not hold it',
    check: 'a claim has one winner',
    history: historyOf([{ ...base, ...at(0, 1), kind: 'claim', key: 'x', token: 'a', hasWon: true }]),
  },
  {
    what: 'half a transaction',
    check: 'a transaction is whole',
    history: historyOf([{ ...base, ...at(0, 1), kind: 'pair-read', values: [2, 1] }]),
  },
  {
    what: 'a token that falls',
    check: 'fencing tokens rise, a lock has one holder',
    history: historyOf([acquire('a', 7, at(0, 1)), acquire('b', 6, at(5_000, 5_001))], {
      lockTokens: new Map([['l', 7]]),
    }),
  },
  {
    what: 'a token given to two owners',
    check: 'fencing tokens rise, a lock has one holder',
    history: historyOf([acquire('a', 7, at(0, 1)), acquire('b', 7, at(0, 5_001))], { lockTokens: new Map([['l', 7]]) }),
  },
  {
    what: 'two holders',
    check: 'fencing tokens rise, a lock has one holder',
    history: historyOf([acquire('a', 1, at(0, 1)), acquire('b', 2, at(10, 11))], { lockTokens: new Map([['l', 2]]) }),
  },
  {
    what: 'a sequence value given twice',
    check: 'no sequence value is given twice',
    history: historyOf([
      { ...base, ...at(0, 9), kind: 'sequence-take', name: 's', id: 'a', first: 1, last: 3 },
      { ...base, ...at(0, 9), kind: 'sequence-take', name: 's', id: 'b', first: 3, last: 3 },
    ]),
  },
  {
    what: 'a replay with another answer',
    check: 'no sequence value is given twice',
    history: historyOf([
      { ...base, ...at(0, 1), kind: 'sequence-take', name: 's', id: 'a', first: 1, last: 1 },
      { ...base, ...at(2, 3), kind: 'sequence-take', name: 's', id: 'a', first: 2, last: 2 },
    ]),
  },
  {
    what: 'an error through a living node',
    check: 'clients of living nodes see no error',
    history: {
      ...historyOf([
        { ...base, ...at(5, 6), kind: 'increment', key: 'c', value: 0, outcome: 'failed', reason: 'CLUSTERDOWN' },
      ]),
      faults: [{ kind: 'kill', nodes: ['n2'], startMs: 0, endMs: 10, hitLeader: true, keepsQuorum: true }],
    },
  },
  {
    what: 'nodes that end apart',
    check: 'all nodes agree in the end',
    history: {
      operations: [],
      faults: [],
      finals: [emptyFinal, { ...emptyFinal, node: 'n2', counters: new Map([['c', 1]]) }],
    },
  },
];

/** @throws if a check misses a planted violation, or complains about an empty history. */
export function mustFindPlanted(): number {
  for (const { what, check, history } of PLANTED) {
    const found = CHECKS.find(({ name }) => name === check)?.run(history) ?? [];
    if (found.length === 0) throw new Error(`the check "${check}" does not find: ${what}`);
  }
  for (const { name, run } of CHECKS) {
    const found = run(historyOf([]));
    if (found.length > 0) throw new Error(`the check "${name}" complains about nothing: ${found[0] ?? ''}`);
  }
  return PLANTED.length;
}
