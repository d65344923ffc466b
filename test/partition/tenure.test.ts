/** A leader's tenure: what is answered when, who is served first, what a repetition gets, and what is left at the end. */
import { strict as assert } from 'node:assert';
import { slotOfKey } from '../../src/base/slots.ts';
import { ReplicaDamaged } from '../../src/partition/damage.ts';
import type { ScannedRecord } from '../../src/partition/record-reader.ts';
import { encodeRecordKey } from '../../src/storage/data/keys.ts';
import { TestLeader } from './leader.ts';

const HOLD = ['KAHUNA.LOCK', 'ACQUIRE', 'r', 'holder', 'PX', '60000'];
const wait = (owner: string, ms = 50_000, ttl = 60_000): string[] => [
  'KAHUNA.LOCK',
  'ACQUIRE',
  'r',
  owner,
  'PX',
  String(ttl),
  'WAIT',
  String(ms),
];
const release = (owner: string): string[] => ['KAHUNA.LOCK', 'RELEASE', 'r', owner];

describe('tenure', () => {
  it('answers a write when its entry has committed, not before', async () => {
    const leader = await TestLeader.create();
    leader.submit('set', ['SET', 'k', 'v']);
    leader.endTurn();
    assert.deepEqual(leader.answers, []);
    leader.commit();
    assert.deepEqual(leader.answers, ['set: +OK']);
  });

  it('answers a read when leadership is confirmed and what it saw has committed', async () => {
    const leader = await TestLeader.create();
    leader.submit('set', ['SET', 'k', 'v']);
    leader.submit('get', ['GET', 'k']);
    leader.endTurn();
    assert.deepEqual(leader.answers, [], 'the write that it saw is not committed');
    leader.commit();
    assert.deepEqual(leader.answers, ['set: +OK', 'get: $1 v']);
  });

  it('answers a read of an absent key only when its deletion has committed', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'v');
    leader.submit('del', ['DEL', 'k']);
    leader.submit('get', ['GET', 'k']);
    leader.endTurn();
    assert.deepEqual(leader.answers, []);
    leader.commit();
    assert.deepEqual(leader.answers, ['del: :1', 'get: $-1']);
  });

  it('answers at once under a lease, unless what was seen is not committed', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'v');
    leader.isLeaseValid = true;
    leader.submit('get', ['GET', 'k']);
    assert.deepEqual(leader.answers, ['get: $1 v']);
    leader.submit('set', ['SET', 'k', 'w']);
    leader.submit('get', ['GET', 'k']);
    assert.equal(leader.answers.length, 1);
    await leader.settle();
    assert.deepEqual(leader.answers.slice(1), ['set: +OK', 'get: $1 w']);
  });

  it('puts all writes of a turn into one entry', async () => {
    const leader = await TestLeader.create();
    for (let i = 0; i < 5; i++) leader.submit(`${i}`, ['INCR', 'k']);
    leader.endTurn();
    assert.equal(leader.entries.length, 1);
    leader.commit();
    assert.deepEqual(leader.answers, ['0: :1', '1: :2', '2: :3', '3: :4', '4: :5']);
  });

  it('leaves nothing of a request that failed in the entry', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'text');
    leader.submit('incr', ['INCR', 'k']);
    await leader.settle();
    assert.deepEqual(leader.answers, ['incr: -ERR value is not an integer or out of range']);
    assert.equal(leader.entries.length, 1);
  });

  it('reads keys again that have left memory, long ones aside', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SETRANGE', 'long', '399999', 'x');
    await leader.ask('SET', 'short', 's');
    leader.evictAll();
    assert.equal(leader.tenure.residentKeys, 0);
    assert.equal(await leader.ask('GET', 'short'), '$1 s');
    assert.equal(await leader.ask('STRLEN', 'long'), ':400000');
    leader.evictAll();
    leader.submit('append', ['APPEND', 'long', 'y'], { strand: 7 });
    leader.submit('behind', ['STRLEN', 'long'], { strand: 7 });
    leader.submit('other', ['GET', 'short'], { strand: 8 });
    await leader.settle();
    assert.deepEqual(leader.answers, ['other: $1 s', 'append: :400001', 'behind: :400001']);
  });

  it('reads several long keys that do not fit into memory together', async () => {
    const leader = await TestLeader.create();
    for (const key of ['a', 'b', 'c']) await leader.ask('SETRANGE', key, '399999', 'x');
    leader.evictAll();
    leader.budget.limitBytes = 500_000;
    const loadKey = leader.reader.readLongKey.bind(leader.reader);
    let loads = 0;
    leader.reader.readLongKey = async (space, key) => {
      loads++;
      const loaded = await loadKey(space, key);
      // Memory is looked after while another key is on its way.
      leader.tenure.look();
      leader.tenure.look();
      return loaded;
    };
    leader.submit('one', ['DEL', 'a', 'b', 'c']);
    leader.submit('two', ['BITOP', 'AND', 'd', 'c', 'b', 'a']);
    await leader.settle();
    await leader.settle();
    assert.deepEqual([...leader.answers].sort(), ['one: :3', 'two: :0']);
    assert.ok(loads < 20, `${loads} loads`);
    leader.tenure.look();
    leader.tenure.look();
    assert.ok(leader.tenure.residentBytes <= 500_000, 'nothing stays pinned');
  });

  it('does not load for a request beyond its deadline', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SETRANGE', 'long', '399999', 'x');
    leader.evictAll();
    leader.submit('strlen', ['STRLEN', 'long'], { deadlineMs: leader.nowMs, strand: 7 });
    leader.submit('behind', ['GET', 'k'], { strand: 7 });
    await leader.settle();
    assert.deepEqual(leader.answers, ['strlen: -TRYAGAIN its keys could not be loaded in time', 'behind: $-1']);
  });

  it('runs nothing for a client that went while its key was loaded', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SETRANGE', 'long', '399999', 'x');
    leader.evictAll();
    const job = leader.submit('append', ['APPEND', 'long', 'y'], { strand: 7 });
    leader.submit('behind', ['STRLEN', 'long'], { strand: 7 });
    leader.tenure.cancel(job);
    await leader.settle();
    assert.deepEqual(leader.answers, ['behind: :400000']);
  });

  describe('waiting', () => {
    it('serves those who wait first come first served', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      for (const owner of ['a', 'b', 'c']) leader.submit(owner, wait(owner));
      await leader.settle();
      for (const owner of ['holder', 'a', 'b']) {
        leader.submit(`${owner} releases`, release(owner));
        await leader.settle();
      }
      assert.deepEqual(leader.answers, [
        'holder: :1',
        'holder releases: :1',
        'a: :2',
        'a releases: :1',
        'b: :3',
        'b releases: :1',
        'c: :4',
      ]);
    });

    it('lets nobody overtake who waits', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      leader.submit('a', wait('a'));
      leader.submit('release', release('holder'));
      leader.submit('late', wait('late', 0));
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'release: :1', 'a: :2', 'late: $-1']);
    });

    it('takes a client that is gone out of the queue', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      const gone = leader.submit('gone', wait('gone'));
      leader.submit('next', wait('next'));
      leader.tenure.cancel(gone);
      leader.submit('release', release('holder'));
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'release: :1', 'next: :2']);
    });

    it('lets go on what was held behind a client that is gone', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      const gone = leader.submit('gone', wait('gone'), { strand: 5 });
      leader.submit('behind', ['SET', 'k', 'v'], { strand: 5 });
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1']);
      leader.tenure.cancel(gone);
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'behind: +OK']);
    });

    it('answers nil when the time to wait is over', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      leader.submit('a', wait('a', 100));
      await leader.settle();
      leader.pass(99);
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1']);
      leader.pass(1);
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'a: $-1']);
    });

    it('goes on for the rest of its time, at the place that its time gives it, after it has waited elsewhere', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      leader.submit('new', wait('new'));
      leader.submit('old', wait('old', 1_000), { isRetry: true, waitedMs: 900 });
      leader.submit('older', wait('older'), { isRetry: true, waitedMs: 950 });
      await leader.settle();
      leader.submit('release', release('holder'));
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'release: :1', 'older: :2']);
      leader.pass(99);
      await leader.settle();
      assert.equal(leader.answers.length, 3);
      leader.pass(1);
      await leader.settle();
      assert.deepEqual(leader.answers.slice(3), ['old: $-1']);
      leader.submit('release', release('older'));
      await leader.settle();
      assert.deepEqual(leader.answers.slice(4), ['release: :1', 'new: :3']);
    });

    it('ends from outside as if its time were over, and lets go on what was held behind', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      const a = leader.submit('a', wait('a'), { strand: 5 });
      leader.submit('behind', ['SET', 'k', 'v'], { strand: 5 });
      await leader.settle();
      assert.equal(leader.tenure.unblock(a, 'timeout'), true);
      await leader.settle();
      assert.equal(leader.tenure.unblock(a, 'timeout'), false, 'it waits no more');
      leader.submit('release', release('holder'));
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'a: $-1', 'behind: +OK', 'release: :1']);
    });

    it('ends from outside with an error', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      const a = leader.submit('a', wait('a'), { strand: 5 });
      leader.submit('behind', ['SET', 'k', 'v'], { strand: 5 });
      await leader.settle();
      assert.equal(leader.tenure.unblock(a, 'error'), true);
      leader.submit('release', release('holder'));
      await leader.settle();
      assert.deepEqual(leader.answers, [
        'holder: :1',
        'a: -UNBLOCKED client unblocked via CLIENT UNBLOCK',
        'behind: +OK',
        'release: :1',
      ]);
    });

    it('waits no more after a repetition that says so', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      await leader.settle();
      leader.submit('a', wait('a'), { isRetry: true, isUnblocked: true });
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'a: $-1']);
    });

    it('is refused once if writes are refused when it is woken, and holds nobody up', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      leader.submit('a', wait('a', 100), { strand: 5 });
      leader.submit('behind', ['GET', 'k'], { strand: 5 });
      await leader.settle();
      leader.isBackedUp = true;
      leader.pass(100);
      leader.pass(100);
      await leader.settle();
      assert.deepEqual(
        leader.answers.map((answer) => answer.split(' ').slice(0, 2).join(' ')),
        ['holder: :1', 'a: -TRYAGAIN', 'behind: $-1'],
      );
    });

    it('serves a waiter when the lease of the holder ends, once', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', wait('holder', 0, 100));
      leader.submit('a', wait('a'));
      leader.submit('b', wait('b'));
      await leader.settle();
      leader.pass(100);
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'a: :2']);
      assert.equal(leader.entries.length, 2);
    });
  });

  describe('accesses', () => {
    /** Minutes for which the key is idle, a minute later. */
    const idle = async (leader: TestLeader): Promise<number> => {
      leader.nowMs += 60_000;
      leader.tenure.closeBatch();
      const seconds = await leader.ask('OBJECT', 'IDLETIME', 'k');
      return Math.round(Number(seconds.slice(1)) / 60);
    };

    it('are not counted for clients that asked for that, except by TOUCH', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'k', 'v');
      assert.equal(await idle(leader), 1);
      leader.submit('get', ['GET', 'k'], { isNoTouch: true });
      await leader.settle();
      assert.equal(await idle(leader), 2);
      leader.submit('get', ['GET', 'k']);
      await leader.settle();
      assert.equal(await idle(leader), 1);
      leader.submit('touch', ['TOUCH', 'k', 'absent'], { isNoTouch: true });
      await leader.settle();
      assert.equal(leader.answers.at(-1), 'touch: :1');
      assert.equal(await idle(leader), 1);
    });
  });

  describe('a turn that has taken long enough', () => {
    /** From here on each reading of the clock takes a step. */
    const slow = async (stepMs: number): Promise<TestLeader> => {
      const leader = await TestLeader.create();
      leader.clock.monotonicMs = () => {
        leader.nowMs += stepMs;
        return leader.nowMs;
      };
      return leader;
    };

    it('evaluates what comes later in the next turns, in order, and wakes for them', async () => {
      const leader = await slow(20);
      leader.submit('a', ['MSET', 'k', '1']);
      leader.submit('b', ['MSET', 'k', '2']);
      leader.submit('c', ['GET', 'k']);
      leader.submit('d', ['SET', 'k', '3']);
      leader.wakes = 0;
      leader.endTurn();
      leader.commit();
      assert.deepEqual(leader.answers, ['a: +OK', 'b: +OK']);
      leader.submit('e', ['GET', 'k']);
      assert.ok(leader.wakes > 0);
      for (let turn = 0; turn < 6; turn++) {
        leader.tenure.nextSlice();
        leader.endTurn();
        leader.commit();
      }
      assert.deepEqual(leader.answers.slice(2), ['c: $1 2', 'd: +OK', 'e: $1 3']);
    });

    it('refuses what waits beyond its deadline, runs nothing for clients that are gone, and returns the rest', async () => {
      const leader = await slow(60);
      leader.submit('a', ['MSET', 'k', '1']);
      leader.submit('late', ['SET', 'k', '2'], { deadlineMs: leader.nowMs + 1 });
      const gone = leader.submit('gone', ['SET', 'k', '3']);
      const rest = leader.submit('rest', ['GET', 'k']);
      leader.tenure.cancel(gone);
      leader.tenure.look();
      assert.match(leader.answers[0] ?? '', /^late: -TRYAGAIN/);
      const [a, ...returned] = leader.begin();
      assert.ok(a !== undefined);
      assert.deepEqual(returned, [rest]);
    });

    it('lets what was held behind a waiting request go before it', async () => {
      const leader = await slow(60);
      leader.submit('holder', HOLD);
      leader.submit('a', wait('a'), { strand: 5 });
      leader.submit('first', ['SET', 'k', '1'], { strand: 5 });
      leader.submit('release', release('holder'));
      leader.submit('long', ['MSET', 'x', '1']);
      leader.submit('second', ['GET', 'k'], { strand: 5 });
      for (let turn = 0; turn < 6; turn++) {
        leader.tenure.nextSlice();
        leader.endTurn();
        leader.commit();
      }
      assert.equal(leader.answers.at(-1), 'second: $1 1');
    });
  });

  describe('statistics', () => {
    const lookups = ({ keyspaceStats }: TestLeader): readonly number[] => {
      const { hits, misses } = keyspaceStats;
      keyspaceStats.reset();
      return [hits, misses];
    };

    it('count what commands that read have found, also inside transactions, and no other look-ups', async () => {
      const leader = await TestLeader.create();
      await leader.ask('MSET', 'a', '1', 'b', '2');
      await leader.ask('SET', 'a', '1', 'XX');
      await leader.ask('INCR', 'absent');
      await leader.ask('DEL', 'absent');
      await leader.ask(...HOLD);
      await leader.ask('KAHUNA.LOCK', 'INFO', 'r');
      await leader.ask('SCAN', '0');
      assert.deepEqual(lookups(leader), [0, 0]);
      await leader.ask('MGET', 'a', 'b', 'absent');
      assert.deepEqual(lookups(leader), [2, 1]);
      await leader.ask('SET', 'a', '2', 'GET');
      assert.deepEqual(lookups(leader), [1, 0]);
      leader.submitTransaction('exec', [
        ['INCR', 'a'],
        ['GET', 'a'],
        ['TTL', 'absent'],
        ['SET', 'b', '1', 'NX'],
      ]);
      await leader.settle();
      assert.deepEqual(lookups(leader), [1, 1]);
    });

    it('count a look-up once, however often its keys had to be loaded, and also if the command failed', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SETRANGE', 'long', '399999', 'x');
      leader.evictAll();
      await leader.ask('MGET', 'absent', 'long');
      assert.deepEqual(lookups(leader), [1, 1]);
      await leader.ask('BITCOUNT', 'long', '0', 'x');
      await leader.ask('GETDEL', 'absent');
      await leader.ask(...HOLD);
      leader.submitTransaction('exec', [
        ['GET', 'long'],
        ['KAHUNA.FENCE', 'r', '1'],
        ['GET', 'absent'],
      ]);
      await leader.settle();
      assert.deepEqual(lookups(leader), [1, 2]);
    });

    it('count keys that expired once each, and values that left memory', async () => {
      const leader = await TestLeader.create();
      for (const key of ['a', 'b', 'c', 'd']) await leader.ask('SET', key, 'v', 'PX', '100');
      leader.nowMs += 100;
      leader.tenure.closeBatch();
      leader.submitTransaction('exec', [
        ['RENAME', 'a', 'x'],
        ['GET', 'a'],
        ['GET', 'b'],
      ]);
      leader.submit('rename', ['RENAME', 'c', 'x']);
      await leader.settle();
      leader.pass(10);
      await leader.settle();
      assert.equal(leader.keyspaceStats.expiredKeys, 4);
      await leader.ask('SET', 'k', 'v');
      leader.evictAll();
      assert.ok(leader.keyspaceStats.residentEvictions > 0);
    });
  });

  describe('repetition', () => {
    it('gets the recorded answer, also before the entry has committed, and changes nothing', async () => {
      const leader = await TestLeader.create();
      leader.submit('first', ['INCR', 'k'], { counter: 50 });
      leader.submit('again', ['INCR', 'k'], { counter: 50, isRetry: true });
      leader.submit('new', ['INCR', 'k'], { counter: 51, isRetry: true });
      await leader.settle();
      leader.submit('late', ['INCR', 'k'], { counter: 50, isRetry: true });
      await leader.settle();
      assert.deepEqual([...leader.answers].sort(), ['again: :1', 'first: :1', 'late: :1', 'new: :2']);
      assert.equal(await leader.ask('GET', 'k'), '$1 2');
    });

    it('is neither answered nor applied while what a snapshot brought cannot be read', async () => {
      const leader = await TestLeader.create();
      const fill = leader.fillLedger.bind(leader);
      leader.submit('first', ['INCR', 'k'], { counter: 50 });
      leader.fillLedger = () => {
        throw new ReplicaDamaged();
      };
      leader.submit('again', ['INCR', 'k'], { counter: 50, isRetry: true });
      await leader.settle();
      assert.deepEqual(leader.answers, ['first: :1']);
      leader.fillLedger = fill;
      leader.tenure.nextSlice();
      await leader.settle();
      assert.deepEqual(leader.answers, ['first: :1', 'again: :1']);
    });

    it('is found by the next leader', async () => {
      const leader = await TestLeader.create();
      leader.submit('first', ['INCR', 'k'], { counter: 50 });
      await leader.settle();
      leader.begin();
      leader.submit('again', ['INCR', 'k'], { counter: 50, isRetry: true });
      await leader.settle();
      assert.deepEqual(leader.answers, ['first: :1', 'again: :1']);
      // WAIT counts who holds the entry in which it was applied.
      const [first, again] = leader.indices;
      assert.ok(first !== undefined && first > 0);
      assert.equal(again, first);
    });
  });

  it('returns everything that waits when it ends, and forgets what was not committed', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'old');
    await leader.ask('SETRANGE', 'long', '399999', 'x');
    leader.evictAll();
    const jobs = [leader.submit('in flight', ['SET', 'k', 'new']), leader.submit('holder', HOLD)];
    leader.tenure.closeBatch();
    jobs.push(
      leader.submit('in the batch', ['INCR', 'n']),
      leader.submit('read', ['GET', 'k']),
      leader.submit('waiting', wait('a'), { strand: 9 }),
      leader.submit('behind', ['GET', 'k'], { strand: 9 }),
      leader.submit('loading', ['STRLEN', 'long']),
    );
    leader.entries.length = leader.commitIndex;
    const returned = leader.begin();
    assert.deepEqual(new Set(returned), new Set(jobs));
    assert.equal(returned.length, jobs.length, 'each once');
    await leader.settle();
    assert.deepEqual(leader.answers, []);
    assert.equal(await leader.ask('GET', 'k'), '$3 old');
    assert.equal(await leader.ask('GET', 'n'), '$-1');
  });

  it('says of a write past its deadline that its outcome is unknown, of a read that it was not answered', async () => {
    const leader = await TestLeader.create();
    leader.submit('write', ['SET', 'k', 'v']);
    leader.submit('read', ['GET', 'k']);
    leader.tenure.closeBatch();
    leader.pass(leader.commandTimeoutMs);
    assert.deepEqual(
      leader.answers.map((answer) => answer.split(' ').slice(0, 2).join(' ')),
      ['write: -UNCERTAIN', 'read: -TRYAGAIN'],
    );
    leader.commit();
    assert.equal(leader.answers.length, 2);
  });

  it('refuses writes while the log or the data store lag, and still reads', async () => {
    const leader = await TestLeader.create();
    await leader.ask('SET', 'k', 'v');
    leader.isBackedUp = true;
    assert.match(await leader.ask('SET', 'k', 'w'), /^-TRYAGAIN /);
    assert.equal(await leader.ask('GET', 'k'), '$1 v');
  });

  describe('the ledger of repetitions', () => {
    const again = async (leader: TestLeader, counter: number): Promise<void> => {
      leader.submit('incr', ['INCR', 'k'], { counter });
      leader.submit('again', ['INCR', 'k'], { counter, isRetry: true });
      await leader.settle();
      assert.equal(leader.answers.pop(), leader.answers.pop()?.replace('incr', 'again'));
    };

    it('is made for a repetition, used for those that follow, and let go when none does', async () => {
      const leader = await TestLeader.create();
      for (let counter = 100; counter < 103; counter++) {
        await again(leader, counter);
        leader.pass(20_000);
      }
      assert.equal(leader.ledgers, 1);
      leader.pass(11_000);
      await again(leader, 103);
      assert.equal(leader.ledgers, 2);
    });

    it('is made anew when it is old, since it grows with every write, however often it is used', async () => {
      const leader = await TestLeader.create();
      for (let counter = 100; counter < 150; counter++) {
        await again(leader, counter);
        leader.pass(5_000);
      }
      assert.ok(leader.ledgers >= 4, `${leader.ledgers} in 250 s`);
    });
  });

  describe('the time that evaluations see', () => {
    /** In ms; the clock is drawn towards the wall clock by a thousandth, so it is compared in hundreds. */
    const left = (leader: TestLeader): number => {
      leader.submit('left', ['PTTL', 'k']);
      return Math.round(Number(leader.answers.pop()?.slice('left: :'.length)) / 100);
    };

    for (const field of ['isSoleVoter', 'isLeaseValid'] as const) {
      it(`goes on where answers leave without a turn (${field})`, async () => {
        const leader = await TestLeader.create();
        await leader.ask('SET', 'k', 'v', 'PX', '10000');
        leader[field] = true;
        assert.equal(left(leader), 100);
        leader.pass(5_000);
        assert.equal(left(leader), 50);
        leader.pass(100);
        assert.equal(left(leader), 49);
      });
    }

    it('holds for one turn elsewhere, which is asked for', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'k', 'v', 'PX', '10000');
      await leader.ask(...HOLD);
      const { wakes } = leader;
      leader.submit('waits', wait('waiter', 50_000));
      assert.ok(leader.wakes > wakes);
      leader.pass(5_000);
      leader.tenure.nextSlice();
      assert.match(await leader.ask('PTTL', 'k'), /^:50..$/);
    });
  });

  describe('expiry', () => {
    it('shows no key whose time has come, and logs its deletion before the answer leaves', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'k', 'v', 'PX', '100');
      leader.nowMs += 100;
      const before = leader.entries.length;
      leader.tenure.closeBatch();
      leader.submit('get', ['GET', 'k']);
      leader.endTurn();
      assert.deepEqual(leader.answers, []);
      assert.equal(leader.entries.length, before + 1);
      leader.commit();
      assert.deepEqual(leader.answers, ['get: $-1']);
    });

    it('logs the deletion that a failing command has seen', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'gone', 'v', 'PX', '100');
      await leader.ask('SET', 'there', 'text');
      leader.nowMs += 100;
      leader.tenure.closeBatch();
      leader.submitTransaction('exec', [
        ['GET', 'gone'],
        ['INCR', 'there'],
      ]);
      leader.submit('rename', ['RENAME', 'gone', 'x']);
      await leader.settle();
      assert.deepEqual(leader.answers, [
        'exec: *2 $-1 -ERR value is not an integer or out of range',
        'rename: -ERR no such key',
      ]);
      leader.begin();
      leader.nowMs -= 100;
      assert.equal(await leader.ask('GET', 'gone'), '$-1');
    });

    it('logs the deletion that a failing command within a transaction has seen', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'gone', 'v', 'PX', '100');
      leader.nowMs += 100;
      leader.tenure.closeBatch();
      leader.submitTransaction('exec', [['RENAME', 'gone', 'x']]);
      await leader.settle();
      assert.deepEqual(leader.answers, ['exec: *1 -ERR no such key']);
      leader.begin();
      leader.nowMs -= 100;
      assert.equal(await leader.ask('GET', 'gone'), '$-1');
    });

    it('logs the deletion that a failing command has seen before anything that was held behind it is evaluated', async () => {
      const leader = await TestLeader.create();
      const long = 'x'.repeat(300_000);
      await leader.ask('SET', 'gone', long, 'PX', '100');
      leader.evictAll();
      leader.nowMs += 100;
      leader.tenure.closeBatch();
      leader.submit('rename', ['RENAME', 'gone', 'x'], { strand: 7 });
      leader.submit('behind', ['GET', 'other'], { strand: 7 });
      await leader.settle();
      assert.deepEqual(leader.answers, ['behind: $-1', 'rename: -ERR no such key']);
      leader.begin();
      leader.nowMs -= 100;
      assert.equal(await leader.ask('GET', 'gone'), '$-1');
    });

    it('reads nothing for keys that a command has seen expired, and a flush after it took', async () => {
      const leader = await TestLeader.create();
      await leader.ask('MSET', ...Array.from({ length: 10_001 }, (_, i) => [`k${i}`, 'v']).flat());
      await leader.ask('SET', 'gone', 'v', 'PX', '100');
      leader.nowMs += 100;
      leader.tenure.closeBatch();
      leader.reader.readKey = () => {
        throw new ReplicaDamaged();
      };
      leader.submitTransaction('exec', [['GET', 'gone'], ['FLUSHALL']]);
      await leader.settle();
      assert.deepEqual(leader.answers, ['exec: *2 $-1 +OK']);
    });

    it('leaves a key alone that was set again after a flush, whatever its first time was', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'k', 'v', 'PX', '100');
      await leader.ask('FLUSHALL');
      await leader.ask('SET', 'k', 'x'.repeat(300_000));
      leader.evictAll();
      leader.pass(200);
      assert.equal(await leader.ask('STRLEN', 'k'), ':300000');
    });

    it('counts nothing that a flush took', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'k', 'v', 'PX', '1000');
      await leader.ask('FLUSHALL');
      await leader.ask('SET', 'j', 'v', 'PX', '3000');
      assert.equal(leader.tenure.averageTtlMs(0) - leader.time.now(), 3_000);
    });

    it('deletes keys that nobody asks for', async () => {
      const leader = await TestLeader.create();
      for (let i = 0; i < 10; i++) await leader.ask('SET', `k${i}`, 'v', 'PX', String(100 + i * 10));
      leader.pass(145);
      await leader.settle();
      assert.equal(await leader.ask('DBSIZE'), ':5');
    });
  });

  describe('transactions', () => {
    it('are one entry, in which a failing command undoes only itself', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'text', 'x');
      const before = leader.entries.length;
      leader.submitTransaction('exec', [
        ['INCR', 'a'],
        ['MSET', 'b', '1', 'c', '2'],
        ['INCR', 'text'],
        ['INCR', 'a'],
      ]);
      await leader.settle();
      assert.deepEqual(leader.answers, ['exec: *4 :1 +OK -ERR value is not an integer or out of range :2']);
      assert.equal(leader.entries.length, before + 1);
    });

    it('do nothing if a watched key moved, from absent over present to absent too', async () => {
      const leader = await TestLeader.create();
      await leader.ask('SET', 'k', 'v');
      const version = 0;
      leader.submitTransaction('exec', [['SET', 'done', '1']], [{ key: 'k', version }]);
      await leader.settle();
      assert.deepEqual(leader.answers, ['exec: *-1']);
      assert.equal(await leader.ask('EXISTS', 'done'), ':0');
    });

    it('do nothing if a flush took a watched key that was not in memory', async () => {
      const leader = await TestLeader.create();
      await leader.ask('MSET', 'k', '1', 'gone', '1');
      leader.submitTransaction('both', [
        ['SET', 'k', '2'],
        ['DEL', 'gone'],
      ]);
      await leader.settle();
      // The same moment for a key that is there and for one that is not; memory forgets both.
      const version = leader.applier.state.lastTimestamp;
      leader.evictAll();
      await leader.ask('FLUSHDB');
      leader.submitTransaction('exec', [['SET', 'done', '1']], [{ key: 'k', version }]);
      await leader.settle();
      assert.equal(leader.answers.at(-1), 'exec: *-1');
    });

    it('of which nothing may happen leave nothing behind', async () => {
      const leader = await TestLeader.create();
      leader.submit('a', ['KAHUNA.LOCK', 'ACQUIRE', 'r', 'a', 'PX', '10']);
      await leader.settle();
      leader.pass(20);
      leader.submit('b', ['KAHUNA.LOCK', 'ACQUIRE', 'r', 'b', 'PX', '10']);
      await leader.settle();
      leader.submitTransaction('exec', [
        ['SET', 'k', 'v'],
        ['KAHUNA.FENCE', 'r', '1'],
      ]);
      await leader.settle();
      assert.match(leader.answers[2] ?? '', /^exec: -FENCED/);
      assert.equal(await leader.ask('EXISTS', 'k'), ':0');
    });

    it('never wait', async () => {
      const leader = await TestLeader.create();
      leader.submit('holder', HOLD);
      leader.submitTransaction('exec', [wait('a'), ['SET', 'k', 'v']]);
      await leader.settle();
      assert.deepEqual(leader.answers, ['holder: :1', 'exec: *2 $-1 +OK']);
    });
  });

  it('whose answer is due when an answer to another has ended the tenure is repeated', async () => {
    const leader = await TestLeader.create();
    leader.isLeaseValid = true;
    await leader.ask(...HOLD);
    const waiter = leader.submit('waits', wait('waiter', 50_000), { strand: 7 });
    leader.submit('behind', ['GET', 'k'], { strand: 7 });
    leader.onAnswer = (name) => {
      if (name !== 'behind') return;
      leader.isLeaseValid = false;
      leader.tenure.end();
    };
    leader.tenure.unblock(waiter, 'timeout');
    assert.deepEqual(leader.retried, [waiter]);
  });

  it('a sweep takes what a flush left behind, and nothing that was set while it read', async () => {
    const leader = await TestLeader.create();
    for (const key of ['stays dead', 'comes back']) await leader.ask('SET', key, 'old');
    const page = ['stays dead', 'comes back'].map((key): ScannedRecord => {
      const recordKey = encodeRecordKey(slotOfKey(key), 0, key);
      const timestamp = leader.reader.storedTimestamp(recordKey) ?? assert.fail('it is stored');
      return { recordKey, isKeyRecord: true, slot: slotOfKey(key), space: 0, key, type: 1, expiresAtMs: 0, timestamp };
    });
    await leader.ask('FLUSHDB');
    // Meanwhile one is set again, reaches the data store and leaves memory.
    await leader.ask('SET', 'comes back', 'new');
    leader.evictAll();
    leader.tenure.swept.sweep(page);
    await leader.settle();
    leader.evictAll();
    assert.equal(await leader.ask('GET', 'comes back'), '$3 new');
    assert.deepEqual(
      page.map(({ recordKey }) => leader.reader.storedTimestamp(recordKey) !== undefined),
      [false, true],
    );
  });
});
