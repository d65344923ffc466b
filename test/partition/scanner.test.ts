/** SCAN, KEYS and RANDOMKEY while the keyspace changes: exact at one moment, nothing that stays is missed, cursors survive. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { drainPromises } from '../doubles/stepping.ts';
import { TestLeader } from './leader.ts';

/** Elements of `*2 $cursor <cursor> *n …`. */
function page(answer: string): { readonly cursor: string; readonly keys: readonly string[] } {
  const words = answer.split(' ');
  const keys = words.slice(4).filter((word) => !word.startsWith('$'));
  return { cursor: words[2] ?? '', keys };
}

function list(answer: string): string[] {
  return answer
    .split(' ')
    .slice(1)
    .filter((word) => !word.startsWith('$'))
    .sort();
}

async function scanAll(leader: TestLeader, count: number, between: () => Promise<void>): Promise<Set<string>> {
  const found = new Set<string>();
  let cursor = '0';
  for (let pages = 0; pages < 1_000; pages++) {
    const { cursor: next, keys } = page(await leader.ask('SCAN', cursor, 'COUNT', String(count)));
    for (const key of keys) found.add(key);
    cursor = next;
    if (cursor === '0') return found;
    await between();
  }
  throw new Error('the scan does not end');
}

describe('scanner', () => {
  it('finds every key once nothing changes, whatever the page size', async () => {
    const leader = await TestLeader.create();
    const keys = Array.from({ length: 25 }, (_, i) => `k${i}`);
    for (const key of keys) await leader.ask('SET', key, 'v');
    for (const count of [1, 2, 7, 100]) {
      assert.deepEqual([...(await scanAll(leader, count, () => Promise.resolve()))].sort(), [...keys].sort());
    }
  });

  it('misses no key that stays, while others come and go, the one at the cursor too', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.tuple(fc.boolean(), fc.nat(9)), { maxLength: 20 }),
        fc.boolean(),
        async (count, changes, areEvicted) => {
          const leader = await TestLeader.create();
          const stable = Array.from({ length: 8 }, (_, i) => `{x}s${i}`);
          for (const key of stable) await leader.ask('SET', key, 'v');
          for (let i = 0; i < 10; i += 2) await leader.ask('SET', `{x}v${i}`, 'v');
          const left = [...changes];
          const found = await scanAll(leader, count, async () => {
            const change = left.shift();
            if (change === undefined) return;
            const [isSet, i] = change;
            await (isSet ? leader.ask('SET', `{x}v${i}`, 'v') : leader.ask('DEL', `{x}v${i}`));
            if (areEvicted) leader.evictAll();
          });
          for (const key of stable) assert.ok(found.has(key), `${key} was missed`);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is right at the moment of its answer, though the data store lags and is read aside', async () => {
    const leader = await TestLeader.create();
    for (const key of ['a', 'b', 'c']) await leader.ask('SET', key, 'v');
    leader.submit('keys', ['KEYS', '*'], { strand: 1 });
    // While the range is read: committed and applied, committed only, and only evaluated.
    leader.submit('set d', ['SET', 'd', 'v'], { strand: 2 });
    leader.submit('del a', ['DEL', 'a'], { strand: 2 });
    leader.endTurn();
    leader.commit();
    leader.submit('set e', ['SET', 'e', 'v'], { strand: 2 });
    leader.submit('rename', ['RENAME', 'b', 'f'], { strand: 2 });
    leader.endTurn();
    leader.submit('set g', ['SET', 'g', 'v'], { strand: 2 });
    for (let i = 0; i < 20; i++) await drainPromises();
    leader.submit('size', ['DBSIZE'], { strand: 3 });
    await leader.settle();
    const answers = new Map(leader.answers.map((answer) => answer.split(': ', 2) as [string, string]));
    assert.deepEqual(list(answers.get('keys') ?? ''), ['c', 'd', 'e', 'f', 'g']);
    assert.equal(answers.get('size'), ':5');
  });

  it('shows no key whose time has come and none from before a flush', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'before', 'v');
    await leader.ask('FLUSHDB');
    await leader.ask('SET', 'after', 'v');
    await leader.ask('SET', 'soon', 'v', 'PX', '50');
    leader.evictAll();
    leader.nowMs += 50;
    leader.tenure.closeBatch();
    assert.deepEqual(list(await leader.ask('KEYS', '*')), ['after']);
    assert.equal(await leader.ask('RANDOMKEY'), '$5 after');
  });

  it('keeps to types and databases', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'v');
    await leader.ask('KAHUNA.LOCK', 'ACQUIRE', 'r', 'o', 'PX', '1000');
    await leader.ask('KAHUNA.SEQ', 'CREATE', 's');
    assert.deepEqual(list(await leader.ask('KEYS', '*')), ['k']);
    assert.deepEqual(page(await leader.ask('SCAN', '0', 'TYPE', 'string', 'COUNT', '10')).keys, ['k']);
    assert.deepEqual(page(await leader.ask('SCAN', '0', 'TYPE', 'hash', 'COUNT', '10')).keys, []);
    assert.deepEqual(page(await leader.ask('KAHUNA.LOCK', 'LIST', '0')).keys, ['r']);
    assert.deepEqual(page(await leader.ask('KAHUNA.SEQ', 'LIST', '0')).keys, ['s']);
  });

  it('ends, and finds the rest, from a cursor that nobody remembers', async () => {
    const leader = await TestLeader.create();
    for (let i = 0; i < 10; i++) await leader.ask('SET', `{x}${i}`, 'v');
    const { cursor, keys } = page(await leader.ask('SCAN', '0', 'COUNT', '4'));
    // Another leader has no table of cursors; here the key at the cursor is gone as well.
    leader.begin();
    for (const key of keys) await leader.ask('DEL', key);
    const rest = page(await leader.ask('SCAN', cursor, 'COUNT', '100'));
    assert.equal(rest.cursor, '0');
    assert.deepEqual([...rest.keys].sort().length, 10 - keys.length);
  });

  it('answers a forged cursor', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'v');
    for (const cursor of ['1', '18446744073709551615', '9999999999999999999', '123456789012345678']) {
      assert.match(await leader.ask('SCAN', cursor), /^\*2 /);
    }
  });
});
