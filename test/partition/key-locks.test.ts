/**
 * Locks of transactions, against a twin that keeps a plain list of who holds what: who may take, read and change a key after
 * any sequence of taking, preparing and letting go.
 */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { AssertionFailure } from '../../src/base/assert.ts';
import {
  type KeyLock,
  KeyLocks,
  type LockMode,
  type TransactionId,
  type TransactionPart,
  transactionName,
} from '../../src/partition/key-locks.ts';
import type { Intent } from '../../src/partition/transaction-codec.ts';

const KEYS = [
  { space: 0, key: 'a' },
  { space: 0, key: 'b' },
  { space: 1, key: 'a' },
] as const;
const PART_COUNT = 3;

function idOf(counter: number): TransactionId {
  return { node: 1, epoch: 2, counter };
}

function intentOf(id: TransactionId): Intent {
  return { id, anchor: 1, term: 0, decideByMs: 0, checks: [], writes: [] };
}

/** Who holds what, as triples. */
class Twin {
  readonly open = new Set<number>();
  readonly prepared = new Set<number>();
  held: { part: number; key: number; mode: LockMode }[] = [];

  isFree(part: number, key: number, mode: LockMode): boolean {
    const others = this.held.filter((one) => one.key === key && one.part !== part);
    return mode === 'write' ? others.length === 0 : others.every((one) => one.mode === 'read');
  }

  take(part: number, key: number, mode: LockMode): void {
    const own = this.held.find((one) => one.part === part && one.key === key);
    if (own === undefined) this.held.push({ part, key, mode });
    else if (mode === 'write') own.mode = 'write';
  }

  /** By part; undefined: by a request that belongs to no transaction. */
  mayRead(part: number | undefined, key: number): boolean {
    return !this.held.some(
      (one) => one.key === key && one.part !== part && one.mode === 'write' && this.prepared.has(one.part),
    );
  }

  mayChange(part: number | undefined, key: number): boolean {
    return !this.held.some((one) => one.key === key && one.part !== part);
  }
}

type Step =
  | { readonly kind: 'take'; readonly part: number; readonly key: number; readonly mode: LockMode }
  | { readonly kind: 'prepare' | 'close'; readonly part: number };

const part = fc.nat(PART_COUNT - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), part, key: fc.nat(2), mode: modes() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('prepare' as const, 'close' as const), part }) },
);

function modes(): fc.Arbitrary<LockMode> {
  return fc.constantFrom('read' as const, 'write' as const);
}

function partOf(locks: KeyLocks, number: number): TransactionPart {
  return locks.part(idOf(number)) ?? locks.open(idOf(number), 100);
}

function nameOf({ space, key }: KeyLock): string {
  return `${space}:${key}`;
}

function agree(locks: KeyLocks, twin: Twin): void {
  assert.equal(locks.isEmpty, twin.held.length === 0);
  assert.equal(locks.partCount, twin.open.size);
  assert.equal(locks.preparedCount, twin.prepared.size);
  assert.deepEqual(
    [...locks.parts].map(({ name }) => name).sort(),
    [...twin.open].map((n) => transactionName(idOf(n))).sort(),
  );
  KEYS.forEach((name, key) => {
    const lock = locks.find(name.space, name.key);
    assert.equal(
      lock !== undefined,
      twin.held.some((one) => one.key === key),
    );
    for (let number = 0; number < PART_COUNT; number++) {
      const one = locks.part(idOf(number)) ?? null;
      if (one === null && twin.open.has(number)) assert.fail('an open part is known');
      for (const mode of ['read', 'write'] as const) {
        assert.equal(locks.isFree(one, name, mode), twin.isFree(one === null ? -1 : number, key, mode));
      }
      assert.equal(lock?.admits(one, false) ?? true, twin.mayRead(one === null ? undefined : number, key));
      assert.equal(lock?.admits(one, true) ?? true, twin.mayChange(one === null ? undefined : number, key));
    }
    assert.equal(lock?.admits(null, false) ?? true, twin.mayRead(undefined, key));
    assert.equal(lock?.admits(null, true) ?? true, twin.mayChange(undefined, key));
  });
}

describe('key locks', () => {
  it('say of every key what a plain list of holders says, whatever was taken and let go', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const locks = new KeyLocks();
        const twin = new Twin();
        for (const one of steps) {
          const own = partOf(locks, one.part);
          twin.open.add(one.part);
          if (one.kind === 'take') {
            const name = KEYS[one.key] ?? KEYS[0];
            if (!twin.isFree(one.part, one.key, one.mode)) {
              assert.throws(() => locks.take(own, name, one.mode), AssertionFailure);
              // An attempt that failed leaves no lock behind.
              agree(locks, twin);
              continue;
            }
            twin.take(one.part, one.key, one.mode);
            const lock = locks.take(own, name, one.mode);
            assert.equal(lock, locks.find(name.space, name.key));
            assert.ok(own.held.has(lock));
          } else if (one.kind === 'prepare') {
            if (own.isPrepared) continue;
            twin.prepared.add(one.part);
            locks.prepare(own, intentOf(own.id), { nowMs: 5, timestamp: 6 });
          } else {
            const held = twin.held
              .filter(({ part: holder }) => holder === one.part)
              .map(({ key }) => KEYS[key] ?? KEYS[0]);
            const released = locks.close(own).map(nameOf).sort();
            assert.deepEqual(released, held.map(({ space, key }) => `${space}:${key}`).sort());
            twin.held = twin.held.filter(({ part: holder }) => holder !== one.part);
            twin.open.delete(one.part);
            twin.prepared.delete(one.part);
            assert.equal(locks.close(own).length, 0, 'it is closed once');
          }
          agree(locks, twin);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('a key that was read by its transaction alone may become its own, one that others share may not', () => {
    const locks = new KeyLocks();
    const [first, second] = [partOf(locks, 0), partOf(locks, 1)];
    const [name] = KEYS;
    locks.take(first, name, 'read');
    const lock = locks.take(first, name, 'write');
    assert.deepEqual([lock.writer, lock.readers.size, [...first.held]], [first, 0, [[lock, 'write']]]);
    locks.take(first, name, 'read');
    assert.equal(lock.writer, first, 'who holds a key for itself keeps it so');
    locks.close(first);
    locks.take(first, name, 'read');
    locks.take(second, name, 'read');
    assert.equal(locks.isFree(first, name, 'write'), false);
  });

  it('a transaction has one part here, which is prepared once, and its name tells node, boot and count', () => {
    const locks = new KeyLocks();
    const own = locks.open(idOf(7), 55);
    assert.deepEqual([own.name, own.untilMs, own.isPrepared], ['1.2.7', 55, false]);
    assert.throws(() => locks.open(idOf(7), 55), AssertionFailure);
    locks.prepare(own, intentOf(own.id), { nowMs: 66, timestamp: 7 });
    assert.deepEqual([own.isPrepared, own.preparedMs, own.preparedAt], [true, 66, 7]);
    assert.throws(() => locks.prepare(own, intentOf(own.id), { nowMs: 67, timestamp: 8 }), AssertionFailure);
  });

  it('what is prepared first and not resolved yet is the floor of what may commit', () => {
    const locks = new KeyLocks();
    const [first, second] = [locks.open(idOf(1), 0), locks.open(idOf(2), 0)];
    assert.equal(locks.preparedFloor, Infinity);
    locks.prepare(second, intentOf(second.id), { nowMs: 5, timestamp: 8 });
    assert.equal(locks.preparedFloor, 8);
    locks.prepare(first, intentOf(first.id), { nowMs: 5, timestamp: 9 });
    assert.equal(locks.preparedFloor, 8);
    locks.close(second);
    assert.equal(locks.preparedFloor, 9);
    locks.close(first);
    assert.equal(locks.preparedFloor, Infinity);
  });
});
