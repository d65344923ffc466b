/** The anchor of transactions across partitions, what concerns all keys of a partition meanwhile, and what the next leader takes up. */
import { strict as assert } from 'node:assert';
import { timestampFromMs } from '../../src/base/hlc.ts';
import type { TransactionId } from '../../src/partition/key-locks.ts';
import { ABORT_KEPT_MS } from '../../src/partition/limits.ts';
import { encodeCommit, encodeIds, encodeIntent } from '../../src/partition/transaction-codec.ts';
import { A, B, C, outcomeOf, put, shown, valuesOf, WAITING, World } from './transaction-world.ts';

describe('an anchor', () => {
  it('commits its own part and the decision in one entry', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    const checks = await world.checksOf('k');
    const entries = world.leader.entries.length;
    const { isDone, timestamp } = await world.commit(A, { checks, writes: [put('k', 'w'), put('j', 'x')] });
    assert.ok(isDone && timestamp > 0);
    assert.equal(world.leader.entries.length, entries + 1);
    assert.equal(await world.ask('MGET', 'k', 'j'), 'w,x');
    assert.equal((await world.checksOf('j'))[0]?.version, timestamp);
    assert.equal(world.recordCount, 1);
    assert.deepEqual(await world.status(A), { isDone, timestamp });
  });

  it('leaves no record of what concerns nobody else', async () => {
    const world = await World.create();
    assert.ok((await world.commit(A, { writes: [put('k', 'v')] }, { participants: [] })).isDone);
    assert.deepEqual([world.recordCount, world.leader.tenure.decisions.size], [0, 0]);
  });

  it('decides later than every preparation, and than every change of its own', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    const timestampMin = world.laterTimestamp + timestampFromMs(1_000);
    const { timestamp } = await world.commit(A, { writes: [put('k', 'w')] }, { timestampMin });
    assert.ok(timestamp > timestampMin);
    const next = await world.commit(B, { writes: [put('k', 'x')] }, { timestampMin: 1 });
    assert.ok(next.timestamp > timestamp);
  });

  it('refuses a preparation that is so far ahead that a clock must be wrong, and holds nothing then', async () => {
    const world = await World.create();
    await world.lock(A, ['k'], { leaseMs: 1_000 })();
    const far = timestampFromMs(world.nowMs + 61_000);
    const payload = encodeCommit({
      participants: [2],
      timestampMin: far,
      settled: [],
      intent: world.intent(A, { writes: [put('k', 'v')] }),
    });
    assert.match(
      shown(await world.send('%TXCOMMIT', payload)()),
      /^MISCONF the clocks of two partitions are 61000 ms apart/,
    );
    world.leader.pass(1_100);
    assert.equal(await world.ask('SET', 'k', 'w'), 'OK');
    assert.equal(world.leader.tenure.locks.partCount, 0);
  });

  it('refuses what has changed or is held, and then holds nothing for it', async () => {
    const world = await World.create();
    const checks = await world.checksOf('k');
    await world.lock(A, ['a'])();
    await world.ask('SET', 'k', 'v');
    assert.equal((await world.commit(A, { checks, writes: [put('a', '1')] })).isDone, false);
    assert.equal(await world.ask('SET', 'a', '2'), 'OK');
    await world.lock(B, ['a'])();
    assert.equal((await world.commit(A, { writes: [put('a', '1')] })).isDone, false);
    assert.equal(world.recordCount, 0);
  });

  it('commits once, however often it is asked', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', '0');
    const checks = await world.checksOf('k');
    const intent = { checks, writes: [put('k', '1')] };
    const first = await world.commit(A, intent);
    await world.ask('SET', 'k', '2');
    assert.deepEqual(await world.commit(A, intent), first);
    assert.equal(await world.ask('GET', 'k'), '2');
  });

  it('decides for abort if it is asked for a transaction that it does not know, and keeps to that', async () => {
    const world = await World.create();
    assert.deepEqual(await world.status(A), { isDone: false, timestamp: 0 });
    assert.equal((await world.commit(A, { writes: [put('k', 'v')] })).isDone, false);
    assert.equal((await world.status(A)).isDone, false);
    assert.equal(await world.ask('EXISTS', 'k'), '0');
    assert.equal(world.recordCount, 1);
  });

  it('forgets such an abort when the transaction cannot commit any more', async () => {
    const world = await World.create();
    const decideByMs = world.nowMs + 5_000;
    await world.status(A, decideByMs);
    world.leader.pass(ABORT_KEPT_MS + 4_900);
    await world.leader.settle();
    assert.equal(world.recordCount, 1);
    world.leader.pass(400);
    await world.leader.settle();
    assert.equal(world.recordCount, 0);
    assert.equal((await world.commit(A, { decideByMs, writes: [put('k', 'v')] })).isDone, false, 'it is too late now');
  });

  it('refuses to commit after the time that the transaction has given itself', async () => {
    const world = await World.create();
    const decideByMs = world.nowMs + 100;
    await world.lock(A, ['k'])();
    world.leader.pass(101);
    assert.equal((await world.commit(A, { decideByMs, writes: [put('k', 'v')] })).isDone, false);
    assert.equal(await world.ask('SET', 'k', 'w'), 'OK', 'and lets its keys go');
  });

  it('keeps a decision until it is told that everybody knows', async () => {
    const world = await World.create();
    const a = await world.commit(A, { writes: [put('k', '1')] }, { participants: [2, 3] });
    const b = await world.commit(B, { writes: [put('k', '2')] }, { participants: [4] });
    assert.deepEqual(
      [...world.leader.tenure.decisions.values()].map(({ id, participants, timestamp }) => ({
        id,
        participants,
        timestamp,
      })),
      [
        { id: A, participants: [2, 3], timestamp: a.timestamp },
        { id: B, participants: [4], timestamp: b.timestamp },
      ],
    );
    assert.ok((await world.commit(C, { writes: [put('k', '3')] }, { participants: [], settled: [A] })).isDone);
    assert.equal(world.recordCount, 1);
    assert.equal(await world.send('%TXFORGET', encodeIds([B, C]))(), 1);
    assert.deepEqual([world.recordCount, world.leader.tenure.decisions.size], [0, 0]);
  });

  it('has others wait for keys that the transaction holds until it has decided', async () => {
    const world = await World.create();
    await world.lock(A, ['k'])();
    const set = world.plain('SET', 'k', 'w');
    await world.commit(A, { writes: [put('k', 'v')] });
    assert.equal(await set(), 'OK');
    assert.equal(await world.ask('GET', 'k'), 'w');
  });
});

describe('what concerns all keys', () => {
  for (const argv of [['DBSIZE'], ['KEYS', '*'], ['SCAN', '0'], ['RANDOMKEY'], ['FLUSHALL'], ['FLUSHDB']]) {
    it(`waits for prepared parts, and for no others: ${argv.join(' ')}`, async () => {
      const world = await World.create();
      await world.lock(A, ['a'])();
      await world.prepare(B, { writes: [put('b', '1')] });
      const all = world.plain(...argv);
      assert.equal(await all(), WAITING);
      const lock = world.lock(C, ['c'], { waits: true });
      assert.equal(await lock(), WAITING, 'a new transaction does not come in front of it');
      assert.equal(valuesOf(await world.lock({ ...C, counter: 9 }, ['d'])()), '(taken)');
      assert.equal((await world.prepare({ ...C, counter: 8 }, { writes: [put('e', '1')] })).isDone, false);
      assert.ok((await world.prepare(A, { writes: [put('a', '1')] })).isDone, 'one that was there before may go on');
      await world.resolve(A, world.laterTimestamp);
      await world.resolve(B, world.laterTimestamp);
      assert.notEqual(await all(), WAITING);
      assert.deepEqual(valuesOf(await lock()), [null]);
    });
  }

  it('is served in turn with new transactions, so that neither waits for ever', async () => {
    // New transactions used to look again now and then, and got nothing while anything of the other kind was waiting.
    const world = await World.create();
    const id = (counter: number): TransactionId => ({ ...C, counter });
    await world.prepare(A, { writes: [put('a', '1')] });
    const order: string[] = [];
    const expected: string[] = [];
    const answers: (() => Promise<void>)[] = [];
    for (let i = 0; i < 5; i++) {
      const all = world.plain('DBSIZE');
      const lock = world.lock(id(i), [`k${i}`], { waits: true });
      answers.push(
        async () => {
          await all();
        },
        async () => {
          await lock();
        },
      );
      expected.push('DBSIZE', '%TXLOCK');
    }
    world.leader.onAnswer = (name) => order.push(name.split(' ')[0] ?? '');
    await world.resolve(A, 0);
    for (const answer of answers) await answer();
    assert.deepEqual(order.filter((name) => name !== '%TXRESOLVE').sort(), [...expected].sort());
  });

  it('lets a new transaction go on if it goes itself, unserved', async () => {
    for (const how of ['cancelled', 'late'] as const) {
      const world = await World.create();
      await world.prepare(A, { writes: [put('a', '1')] });
      const job = world.leader.submit('size', ['DBSIZE'], { deadlineMs: world.leader.nowMs + 300 });
      const lock = world.lock(B, ['b'], { waits: true });
      assert.equal(await lock(), WAITING);
      if (how === 'cancelled') world.leader.tenure.cancel(job);
      else world.leader.pass(310);
      world.leader.tenure.nextSlice();
      assert.deepEqual(valuesOf(await lock()), [null], how);
    }
  });

  it('is not held up by transactions that came later, however many they are', async () => {
    const world = await World.create();
    await world.prepare(A, { writes: [put('a', '1')] });
    const size = world.plain('DBSIZE');
    const locks = Array.from({ length: 5 }, (_, i) => world.lock({ ...C, counter: i }, ['same'], { waits: true }));
    for (const lock of locks) assert.equal(await lock(), WAITING);
    await world.resolve(A, world.laterTimestamp);
    assert.equal(await size(), '1');
    for (const [i, lock] of locks.entries()) {
      assert.deepEqual(valuesOf(await lock()), [null], 'in the order in which they came');
      await world.release({ ...C, counter: i });
    }
  });

  it('a flush takes the keys of parts that are not prepared, which then are refused', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    await world.lock(A, ['k'])();
    const checks = await world.checksOf('k');
    assert.equal(await world.ask('FLUSHALL'), 'OK');
    assert.equal(world.leader.tenure.locks.partCount, 0);
    assert.equal((await world.prepare(A, { checks, writes: [put('k', 'w')] })).isDone, false);
    assert.equal(await world.ask('DBSIZE'), '0');
  });

  it('a flush leaves the records of transactions alone', async () => {
    const world = await World.create();
    await world.commit(A, { writes: [put('k', 'v')] });
    await world.status(B);
    assert.equal(await world.ask('FLUSHALL'), 'OK');
    assert.equal((await world.status(A)).isDone, true);
    assert.equal((await world.commit(B, { writes: [put('k', 'v')] })).isDone, false);
  });
});

describe('a new leader', () => {
  it('holds the keys of prepared parts, and carries their decisions out', async () => {
    const world = await World.create();
    await world.ask('SET', 'read', '1');
    const checks = await world.checksOf('read');
    await world.prepare(A, { checks, writes: [put('k', 'v')] });
    await world.prepare(B, { writes: [put('j', 'v')] });
    await world.leader.takeOver();
    assert.equal(world.leader.tenure.locks.preparedCount, 2);
    const waiting = [world.plain('GET', 'k'), world.plain('SET', 'read', '2'), world.plain('GET', 'j')];
    for (const answer of waiting) assert.equal(await answer(), WAITING);
    assert.equal(await world.ask('GET', 'read'), '1');
    await world.resolve(A, world.laterTimestamp);
    await world.resolve(B, 0);
    assert.deepEqual(await Promise.all(waiting.map((answer) => answer())), ['v', 'OK', 'null']);
    assert.equal(world.recordCount, 0);
  });

  it('knows decisions that not everybody knows, and aborts', async () => {
    const world = await World.create();
    const { timestamp } = await world.commit(A, { writes: [put('k', 'v')] }, { participants: [2, 3] });
    await world.status(B);
    const opened = world.leader.transactionsOpened;
    await world.leader.takeOver();
    assert.equal(world.leader.transactionsOpened, opened + 1, 'whoever settles is told');
    const [decision] = world.leader.tenure.decisions.values();
    assert.deepEqual([decision?.id, decision?.participants, decision?.timestamp], [A, [2, 3], timestamp]);
    assert.equal(world.leader.tenure.decisions.size, 1);
    assert.deepEqual(await world.status(A), { isDone: true, timestamp });
    assert.equal((await world.commit(B, { writes: [put('k', 'w')] })).isDone, false);
  });

  it('refuses what an earlier one has handed out', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    await world.lock(A, ['k'])();
    const checks = await world.checksOf('k');
    const intent = world.intent(A, { checks, writes: [put('k', 'w')] });
    await world.leader.takeOver();
    assert.equal(outcomeOf(await world.send('%TXPREPARE', encodeIntent(intent))()).isDone, false);
    const commit = encodeCommit({ participants: [], timestampMin: 0, settled: [], intent });
    assert.equal(outcomeOf(await world.send('%TXCOMMIT', commit)()).isDone, false);
    assert.equal(await world.ask('GET', 'k'), 'v');
  });

  it('answers a repeated preparation and a repeated commit as they were answered', async () => {
    const world = await World.create();
    const prepare = encodeIntent(world.intent(A, { writes: [put('k', 'v')] }));
    const commit = encodeCommit({
      participants: [2],
      timestampMin: 0,
      settled: [],
      intent: world.intent(B, { writes: [put('j', 'v')] }),
    });
    const first = [
      await world.send('%TXPREPARE', prepare, { counter: 1_001 })(),
      await world.send('%TXCOMMIT', commit, { counter: 1_002 })(),
    ].map(outcomeOf);
    await world.leader.takeOver();
    const again = [
      await world.send('%TXPREPARE', prepare, { counter: 1_001, isRetry: true })(),
      await world.send('%TXCOMMIT', commit, { counter: 1_002, isRetry: true })(),
    ].map(outcomeOf);
    assert.deepEqual(again, first);
    assert.ok(first.every(({ isDone }) => isDone));
  });

  it('takes up a thousand prepared parts', async () => {
    const world = await World.create();
    for (let i = 0; i < 1_001; i++) {
      world.send('%TXPREPARE', encodeIntent(world.intent({ ...A, counter: i }, { writes: [put(`k${i}`, 'v')] })));
    }
    await world.leader.settle();
    assert.equal(world.recordCount, 1_001);
    await world.leader.takeOver();
    assert.equal(world.leader.tenure.locks.preparedCount, 1_001);
  });
});
