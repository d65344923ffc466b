/** Resident keys: what may leave memory, in which order, and what it counts. */
import { KeyLocks } from '../../src/partition/key-locks.ts';
import { strict as assert } from 'node:assert';
import { MemoryBudget, type ResidentKey, ResidentTable } from '../../src/partition/resident.ts';

function add(table: ResidentTable, key: string, fields: Partial<ResidentKey> = {}): ResidentKey {
  const resident = table.add(0, key);
  Object.assign(resident, { value: 'v'.repeat(100), ...fields });
  table.charge(resident);
  return resident;
}

function names(table: ResidentTable): string[] {
  return [...table.keysOf(0)].map(({ key }) => key);
}

describe('resident keys', () => {
  it('leave memory until the budget is met, those that were not used first', () => {
    const budget = new MemoryBudget(0);
    const table = new ResidentTable(budget, new KeyLocks());
    for (let i = 0; i < 10; i++) add(table, `k${i}`, { isReferenced: i % 2 === 0 });
    budget.limitBytes = budget.usedBytes / 2;
    assert.equal(table.evict(0, 1_000), 5);
    assert.deepEqual(names(table), ['k0', 'k2', 'k4', 'k6', 'k8']);
    assert.ok(!budget.isExceeded);
  });

  it('stay while their last change is not in LevelDB, absent ones too', () => {
    const budget = new MemoryBudget(0);
    const table = new ResidentTable(budget, new KeyLocks());
    add(table, 'applied', { changedIndex: 5 });
    add(table, 'pending', { changedIndex: 6 });
    add(table, 'deleted', { changedIndex: 6, value: undefined });
    budget.limitBytes = 1;
    assert.equal(table.evict(5, 1_000), 1);
    assert.deepEqual(names(table), ['pending', 'deleted']);
    assert.equal(table.evict(6, 1_000), 2);
  });

  it('are looked at no more than twice, however much too much there is', () => {
    const budget = new MemoryBudget(1);
    const table = new ResidentTable(budget, new KeyLocks());
    let looks = 0;
    for (let i = 0; i < 10; i++) {
      const resident = add(table, `k${i}`);
      Object.defineProperty(resident, 'changedIndex', {
        get: () => {
          looks++;
          return 9;
        },
      });
    }
    table.evict(1, 20_000);
    assert.equal(looks, 20);
  });

  it('count what they hold, whatever comes and goes', () => {
    const budget = new MemoryBudget(0);
    const table = new ResidentTable(budget, new KeyLocks());
    const other = new ResidentTable(budget, new KeyLocks());
    add(other, 'other');
    const rest = budget.usedBytes;
    const one = add(table, 'one');
    add(table, 'two');
    assert.equal(budget.usedBytes, rest + table.usedBytes);
    Object.assign(one, { value: 'longer'.repeat(100) });
    table.charge(one);
    assert.equal(budget.usedBytes, rest + table.usedBytes);
    const taken = table.takeOut(0);
    assert.deepEqual([table.usedBytes, table.keyCount, budget.usedBytes], [0, 0, rest]);
    add(table, 'three');
    table.restore(0, taken);
    assert.deepEqual([names(table), budget.usedBytes], [['one', 'two'], rest + table.usedBytes]);
    table.drop(one);
    table.drop(one);
    assert.equal(budget.usedBytes, rest + table.usedBytes);
    table.clear();
    assert.deepEqual([table.keyCount, budget.usedBytes, one.isDropped], [0, rest, true]);
  });

  it('tell how new an absence may be that was forgotten', () => {
    const table = new ResidentTable(new MemoryBudget(0), new KeyLocks());
    assert.equal(table.forgottenVersion, 0);
    table.drop(add(table, 'present', { version: 9 }));
    assert.equal(table.forgottenVersion, 0);
    table.drop(add(table, 'absent', { version: 7, value: undefined }));
    assert.equal(table.forgottenVersion, 7);
    table.forgetUpTo(3);
    assert.equal(table.forgottenVersion, 7);
  });
});
