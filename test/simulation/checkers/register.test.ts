/** Histories of one key: right ones pass, planted violations do not, and a slow and obvious twin agrees. */
import { strict as assert } from 'node:assert';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { checkRegister, type RegisterAction, type RegisterOperation } from './register.ts';

type Answer = string | null | boolean;

function at(startMs: number, endMs: number, action: RegisterAction, answer?: Answer): RegisterOperation {
  const base = { client: 'c', startMs, endMs, action };
  return answer === undefined ? { ...base, outcome: 'unknown' } : { ...base, outcome: 'ok', answer };
}
const read = { kind: 'read' } as const;
const write = (value: string | null) => ({ kind: 'write', value }) as const;
const create = (value: string) => ({ kind: 'create', value }) as const;
const swap = (expected: string | null, value: string | null) => ({ kind: 'swap', expected, value }) as const;
const exchange = (value: string | null) => ({ kind: 'exchange', value }) as const;

function isLinearizable(...operations: readonly RegisterOperation[]): boolean {
  const { verdict } = checkRegister('k', operations);
  assert.notEqual(verdict, 'undecided');
  return verdict === 'linearizable';
}

describe('the checker of registers', () => {
  it('accepts any order within the overlap', () => {
    assert.ok(isLinearizable(at(0, 9, write('1'), true), at(1, 8, read, null), at(2, 7, read, '1')));
    assert.ok(isLinearizable(at(0, 9, write('1'), true), at(0, 9, write('2'), true), at(10, 11, read, '1')));
  });

  it('refuses a stale read', () => {
    assert.ok(!isLinearizable(at(0, 1, write('1'), true), at(2, 3, read, null)));
    assert.ok(!isLinearizable(at(0, 1, write('1'), true), at(2, 3, write('2'), true), at(4, 5, read, '1')));
  });

  it('refuses two reads that go back in time', () => {
    assert.ok(!isLinearizable(at(0, 9, write('1'), true), at(1, 2, read, '1'), at(3, 4, read, null)));
  });

  it('refuses a lost update', () => {
    assert.ok(
      !isLinearizable(at(0, 1, write('0'), true), at(2, 5, swap('0', '1'), true), at(2, 5, swap('0', '2'), true)),
    );
    assert.ok(!isLinearizable(at(0, 5, create('1'), true), at(0, 5, create('2'), true)));
    assert.ok(!isLinearizable(at(0, 5, exchange('1'), null), at(0, 5, exchange('2'), null)));
  });

  it('refuses a value that nobody wrote, or a refused request wrote, and says so', () => {
    assert.ok(!isLinearizable(at(0, 1, read, '7')));
    const refused: RegisterOperation = { ...at(0, 1, write('7')), outcome: 'failed' };
    const { verdict, text } = checkRegister('k', [refused, at(2, 3, read, '7')]);
    assert.equal(verdict, 'not linearizable');
    assert.match(text, /a refused request/);
  });

  it('refuses a compare-and-set that refused what it should have done', () => {
    assert.ok(!isLinearizable(at(0, 1, create('1'), false)));
    assert.ok(!isLinearizable(at(0, 1, write('1'), true), at(2, 3, swap('1', '2'), false)));
    assert.ok(!isLinearizable(at(0, 1, write('1'), true), at(2, 3, { kind: 'delete' }, false)));
  });

  it('knows absent values', () => {
    assert.ok(isLinearizable(at(0, 1, swap(null, '1'), true), at(2, 3, swap('1', null), true), at(4, 5, read, null)));
    assert.ok(isLinearizable(at(0, 1, write('1'), true), at(2, 3, exchange(null), '1'), at(4, 5, read, null)));
    assert.ok(!isLinearizable(at(0, 1, write('1'), true), at(2, 3, write(null), true), at(4, 5, read, '1')));
  });

  it('lets an unknown operation take effect late, or never, but once', () => {
    assert.ok(isLinearizable(at(0, 1, write('1')), at(2, 3, read, null), at(4, 5, read, '1')));
    assert.ok(isLinearizable(at(0, 1, write('1')), at(2, 3, read, null)));
    assert.ok(!isLinearizable(at(5, 6, write('1')), at(2, 3, read, '1')));
    assert.ok(
      !isLinearizable(
        at(0, 1, write('1')),
        at(2, 3, read, '1'),
        at(4, 5, write('2'), true),
        at(6, 7, read, '2'),
        at(8, 9, read, '1'),
      ),
    );
  });

  it('lets unknown writes that nobody saw hide a value, each once', () => {
    const hidden = [at(0, 1, write('0'), true), at(2, 3, write('1')), at(2, 3, write('2'))];
    assert.ok(isLinearizable(...hidden, at(4, 5, swap('0', 'a'), false)));
    assert.ok(isLinearizable(...hidden, at(4, 5, write('a'), true), at(6, 7, swap('a', 'b'), false)));
    const turns = [4, 8, 12].flatMap((ms) => [
      at(ms, ms + 1, write(`a${ms}`), true),
      at(ms + 2, ms + 3, swap(`a${ms}`, 'b'), false),
    ]);
    assert.ok(!isLinearizable(...hidden, ...turns));
    assert.ok(isLinearizable(...hidden, ...turns.slice(0, 4)));
  });

  it('decides thousands of operations with some unknown ones in good time', () => {
    const random = new SeededRandom(3);
    const history = atomicHistory(random, { count: 3_000, clients: 4, unknownChance: 0.003, values: 1_000_000 });
    const startedMs = performance.now();
    assert.equal(checkRegister('k', history).verdict, 'linearizable');
    const last = history.findLastIndex(({ action, outcome }) => action.kind === 'read' && outcome === 'ok');
    const stale = history.map((operation, i) => (i === last ? { ...operation, answer: 'v1' } : operation));
    assert.equal(checkRegister('k', stale).verdict, 'not linearizable');
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 3_000, `it took ${tookMs.toFixed(0)} ms`);
  });

  for (let seed = 1; seed <= 20; seed++) {
    it(`agrees with a search through all orders (seed ${seed})`, () => {
      const random = new SeededRandom(seed);
      let violations = 0;
      for (let round = 0; round < 40; round++) {
        const right = atomicHistory(random, { count: 6, clients: 3, unknownChance: 0.2, values: 3 });
        assert.equal(checkRegister('k', right).verdict, 'linearizable', JSON.stringify(right));
        // One answer is changed to another that might be right.
        const i = random.below(right.length);
        const wrong = right.map((operation, at) => (at === i ? changed(operation, random) : operation));
        const expected = isExplained(wrong, null) ? 'linearizable' : 'not linearizable';
        if (expected === 'not linearizable') violations++;
        assert.equal(checkRegister('k', wrong).verdict, expected, JSON.stringify(wrong));
      }
      assert.ok(violations > 0);
    });
  }
});

/** Clients that do one thing at a time on a real register; unknown ones take effect at once, later or never. */
function atomicHistory(
  random: SeededRandom,
  size: { readonly count: number; readonly clients: number; readonly unknownChance: number; readonly values: number },
): RegisterOperation[] {
  const freeMs = Array.from({ length: size.clients }, () => 0);
  const plans = Array.from({ length: size.count }, (_, i) => {
    const client = random.below(size.clients);
    const startMs = (freeMs[client] ?? 0) + random.float();
    const endMs = startMs + random.float() * 5;
    freeMs[client] = endMs;
    const isUnknown = random.chance(size.unknownChance);
    const atMs = isUnknown ? startMs + random.float() * 100 : startMs + random.float() * (endMs - startMs);
    return { i, client: `c${client}`, startMs, endMs, isUnknown, atMs };
  });
  let value: string | null = null;
  return plans
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ i, client, startMs, endMs, isUnknown }): RegisterOperation => {
      const action = drawAction(random, {
        value: `v${size.values > size.count ? i : random.below(size.values)}`,
        present: value,
      });
      const before = value;
      const [answer, after]: [Answer, string | null] = perform(action, before);
      if (!isUnknown) {
        value = after;
        return { client, startMs, endMs, action, outcome: 'ok', answer };
      }
      if (random.chance(0.5)) value = after;
      return { client, startMs, endMs, action, outcome: 'unknown' };
    })
    .sort((a, b) => a.startMs - b.startMs);
}

function drawAction(
  random: SeededRandom,
  { value, present }: { readonly value: string; readonly present: string | null },
): RegisterAction {
  const expected = random.chance(0.7) ? present : 'other';
  return random.pick<RegisterAction>([
    read,
    read,
    write(value),
    create(value),
    swap(expected, value),
    { kind: 'delete' },
    exchange(value),
  ]);
}

function perform(action: RegisterAction, value: string | null): [Answer, string | null] {
  switch (action.kind) {
    case 'read':
      return [value, value];
    case 'write':
      return [true, action.value];
    case 'create':
      return value === null ? [true, action.value] : [false, value];
    case 'swap':
      return value === action.expected ? [true, action.value] : [false, value];
    case 'delete':
      return [value !== null, null];
    case 'exchange':
      return [value, action.value];
  }
}

function changed(operation: RegisterOperation, random: SeededRandom): RegisterOperation {
  if (operation.outcome !== 'ok') return operation;
  if (typeof operation.answer === 'boolean') return { ...operation, answer: !operation.answer };
  return { ...operation, answer: random.pick([null, 'v0', 'v1', 'v2']) };
}

/** The twin: every order that real time allows. */
function isExplained(left: readonly RegisterOperation[], value: string | null): boolean {
  if (left.every(({ outcome }) => outcome === 'unknown')) return true;
  return left.some((operation, i) => {
    const { startMs, action, outcome } = operation;
    if (left.some((other) => other.outcome === 'ok' && other !== operation && other.endMs < startMs)) return false;
    const [answer, after] = perform(action, value);
    if (outcome === 'ok' && action.kind !== 'write' && answer !== operation.answer) return false;
    return isExplained(left.toSpliced(i, 1), after);
  });
}
