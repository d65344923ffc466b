/**
 * What a leader does for transactions across partitions, step by step, on one real leader: what it hands out, who waits for
 * whom, what is refused, what a decision changes. Decisions themselves are in participant-anchor.test.ts.
 */
import { strict as assert } from 'node:assert';
import { timestampFromMs } from '../../src/base/hlc.ts';
import { LOCK_LEASE_MAX_MS } from '../../src/partition/limits.ts';
import { flushKey } from '../../src/partition/open-transactions.ts';
import {
  decodeFetched,
  encodeChecks,
  encodeIntent,
  encodeKeys,
  encodeIds,
  encodeLock,
  encodeResolve,
} from '../../src/partition/transaction-codec.ts';
import { stringFromBytes } from '../../src/values/string.ts';
import { TRANSACTION_SPACE } from '../../src/values/value.ts';
import {
  A,
  B,
  C,
  del,
  fetchedOf,
  lockPayload,
  outcomeOf,
  put,
  shown,
  valuesOf,
  WAITING,
  World,
} from './transaction-world.ts';

describe('a part that was resolved', () => {
  it('is said to be so only when that has committed: then its decision may be forgotten', async () => {
    const world = await World.create();
    const { leader } = world;
    const { timestamp } = await world.prepare(A, { writes: [put('k', 'v')] });
    const payload = encodeResolve(A, timestamp).toString('latin1');
    leader.submit('first', ['%TXRESOLVE', payload]);
    leader.submit('again', ['%TXRESOLVE', payload]);
    leader.endTurn();
    leader.submit('later', ['%TXRESOLVE', payload]);
    leader.endTurn();
    assert.deepEqual(
      [...leader.replies.keys()].filter((name) => !name.startsWith('%')),
      [],
    );
    await leader.settle();
    for (const name of ['first', 'again', 'later']) assert.ok(leader.replies.has(name), name);
  });
});

describe('a lock of a transaction', () => {
  it('is granted with what the keys hold, at once, although that is not committed yet', async () => {
    const world = await World.create();
    world.leader.submit('set', ['SET', 'k', 'v', 'PX', '5000']);
    world.leader.submit('lock', ['%TXLOCK', lockPayload(A, ['k', 'absent'])]);
    const answer = world.leader.replies.get('lock');
    assert.ok(answer instanceof Uint8Array && !world.leader.replies.has('set'), 'before the batch is closed');
    const { isGranted, term, nowMs, objects } = decodeFetched(answer);
    assert.deepEqual({ isGranted, term, nowMs }, { isGranted: true, term: 1, nowMs: world.nowMs });
    assert.deepEqual(
      objects.map(({ object }) => object),
      [{ value: 'v', expiresAtMs: world.nowMs + 5_000 }, null],
    );
  });

  it('that is asked to be sure is answered when what it hands out has committed and leadership is confirmed', async () => {
    const world = await World.create();
    const { leader } = world;
    leader.submit('set', ['SET', 'k', 'v']);
    leader.submit('lock', ['%TXLOCK', lockPayload(A, ['k'], { isConfirmed: true })]);
    leader.submit('get', ['%TXGET', encodeKeys([{ space: 0, key: 'k' }]).toString('latin1')]);
    leader.endTurn();
    assert.deepEqual([...leader.replies.keys()], []);
    leader.commit();
    assert.deepEqual([...leader.replies.keys()], ['set', 'lock', 'get']);
  });

  it('lets others read, and has others wait who would change the key, or take it', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    assert.deepEqual(valuesOf(await world.lock(A, ['k', 'absent'])()), ['v', null]);
    assert.equal(await world.ask('GET', 'k'), 'v');
    assert.equal(await world.ask('EXISTS', 'absent'), '0');
    assert.deepEqual(valuesOf(await world.lock(B, ['k'])()), '(taken)');
    const waiting = [
      world.plain('SET', 'k', 'w'),
      world.plain('SETNX', 'absent', 'x'),
      world.exec(['APPEND', 'k', 'y'], ['GET', 'k']),
      world.plain('RENAME', 'k', 'elsewhere'),
    ];
    for (const answer of waiting) assert.equal(await answer(), WAITING);
    assert.equal(await world.ask('SET', 'free', '1'), 'OK', 'other keys are not concerned');
    assert.equal(await world.release(A), 1);
    assert.deepEqual(await Promise.all(waiting.map((answer) => answer())), ['OK', '1', '2,wy', 'OK']);
    assert.equal(await world.ask('GET', 'elsewhere'), 'wy');
  });

  it('has whoever waited for it, and then for something to be loaded, asked again once if the leader goes', async () => {
    const world = await World.create();
    const { leader } = world;
    await world.ask('SETRANGE', 'long', String(300 * 1024), 'x');
    await leader.settle();
    leader.begin();
    await world.lock(A, ['k'])();
    assert.equal(await world.exec(['SET', 'k', 'v'], ['GET', 'long'])(), WAITING);
    void world.release(A);
    assert.equal(leader.tenure.end().filter(({ transaction }) => transaction !== null).length, 1);
  });

  it('that is shared has others wait who would change the key, not others who share it', async () => {
    const world = await World.create();
    for (const id of [A, B]) assert.deepEqual(valuesOf(await world.lock(id, ['k'], { mode: 'read' })()), [null]);
    assert.deepEqual(valuesOf(await world.lock(C, ['k'])()), '(taken)');
    const set = world.plain('SET', 'k', 'v');
    await world.release(A);
    assert.equal(await set(), WAITING);
    await world.release(B);
    assert.equal(await set(), 'OK');
  });

  it('of several keys is granted for all or none of them', async () => {
    const world = await World.create();
    await world.lock(A, ['b'])();
    assert.equal(valuesOf(await world.lock(B, ['a', 'b', 'c'])()), '(taken)');
    assert.equal(await world.ask('SET', 'a', '1'), 'OK');
    assert.equal(await world.ask('SET', 'c', '1'), 'OK');
    assert.equal(world.leader.tenure.locks.partCount, 1);
  });

  it('may be added to, and what was held is let go if another key is taken', async () => {
    const world = await World.create();
    await world.lock(A, ['a'])();
    assert.deepEqual(valuesOf(await world.lock(A, ['a', 'b'])()), [null, null]);
    await world.lock(B, ['c'])();
    assert.equal(valuesOf(await world.lock(A, ['c'])()), '(taken)');
    assert.deepEqual(valuesOf(await world.lock(C, ['a', 'b'])()), [null, null]);
  });

  it('that waits is granted first come first served, among requests that change the key too', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', '0');
    await world.lock(A, ['k'])();
    const first = world.lock(B, ['k'], { waits: true });
    const between = world.plain('APPEND', 'k', 'x');
    const last = world.lock(C, ['k'], { waits: true });
    await world.release(A);
    assert.deepEqual(valuesOf(await first()), ['0']);
    assert.deepEqual([await between(), await last()], [WAITING, WAITING]);
    // Who comes now without waiting gets nothing, and nothing of anybody's place.
    assert.equal(valuesOf(await world.lock(A, ['k'])()), '(taken)');
    await world.release(B);
    assert.equal(await between(), '2');
    assert.deepEqual(valuesOf(await last()), ['0x']);
  });

  it('that waits for one key of several keeps those that it has', async () => {
    const world = await World.create();
    await world.lock(A, ['b'])();
    const waiting = world.lock(B, ['a', 'b', 'c'], { waits: true });
    assert.equal(await waiting(), WAITING);
    assert.equal(valuesOf(await world.lock(C, ['a'])()), '(taken)');
    assert.deepEqual(valuesOf(await world.lock(C, ['c'])()), [null]);
    await world.release(A);
    assert.equal(await waiting(), WAITING, 'the last key was taken meanwhile');
    await world.release(C);
    assert.deepEqual(valuesOf(await waiting()), [null, null, null]);
  });

  it('that waits ends at its deadline, keeps nothing then but what it had, and lets others go on', async () => {
    const world = await World.create();
    await world.lock(A, ['k'], { leaseMs: 60_000 })();
    const payload = encodeLock({
      id: B,
      waits: true,
      isConfirmed: false,
      leaseMs: 500,
      keys: [{ space: 0, key: 'k', mode: 'write' }],
    });
    const lock = world.send('%TXLOCK', payload, { deadlineMs: world.leader.nowMs + 300 });
    const set = world.plain('SET', 'k', 'v');
    world.leader.pass(320);
    assert.match(shown(await lock()), /^TRYAGAIN a transaction holds its keys/);
    world.leader.pass(600);
    assert.equal(await set(), WAITING);
    assert.equal(world.leader.tenure.locks.partCount, 1, 'the lease of the other is over');
    await world.release(A);
    assert.equal(await set(), 'OK');
  });

  it('ends with its lease if nobody renews it', async () => {
    const world = await World.create();
    await world.lock(A, ['k'], { leaseMs: 1_000 })();
    const set = world.plain('SET', 'k', 'v');
    world.leader.pass(600);
    await world.lock(A, [], { leaseMs: 1_000 })();
    world.leader.pass(900);
    assert.equal(await set(), WAITING, 'it was renewed');
    world.leader.pass(200);
    assert.equal(await set(), 'OK');
    assert.equal(world.leader.tenure.locks.partCount, 0);
    assert.equal(await world.release(A), 1, 'what is gone may be released');
  });

  it('has a lease of bounded length, whatever was asked for', async () => {
    const world = await World.create();
    await world.lock(A, ['k'], { leaseMs: 2 ** 32 - 1 })();
    world.leader.pass(LOCK_LEASE_MAX_MS * 1.01);
    assert.equal(await world.ask('SET', 'k', 'v'), 'OK');
  });

  it('of a lost coordinator is dropped, unless it is prepared', async () => {
    const world = await World.create();
    await world.lock(A, ['a'])();
    await world.lock(B, ['b'])();
    await world.lock(C, ['c'])();
    assert.ok((await world.prepare(B, { writes: [put('b', '1')] })).isDone);
    const waiting = ['a', 'b', 'c'].map((key) => world.plain('SET', key, 'v'));
    world.leader.tenure.dropParts(({ id }) => id.node === 5);
    assert.deepEqual(await Promise.all(waiting.map((answer) => answer())), ['OK', WAITING, WAITING]);
  });

  it('ends with the tenure, in which nothing was promised', async () => {
    const world = await World.create();
    await world.lock(A, ['k'])();
    await world.leader.settle();
    await world.leader.takeOver();
    assert.equal(await world.ask('SET', 'k', 'v'), 'OK');
  });
});

describe('a read of a transaction', () => {
  it('tells versions that rise with each change, of absent keys too', async () => {
    const world = await World.create();
    const versions: number[] = [];
    for (const argv of [
      ['SET', 'k', '1'],
      ['SET', 'k', '1'],
      ['DEL', 'k'],
      ['SET', 'k', '1'],
      ['PEXPIRE', 'k', '1'],
    ]) {
      versions.push((await world.checksOf('k'))[0]?.version ?? 0);
      await world.ask(...argv);
    }
    world.leader.pass(2);
    versions.push((await world.checksOf('k'))[0]?.version ?? 0);
    assert.deepEqual(
      [...versions].sort((a, b) => a - b),
      versions,
    );
    assert.equal(new Set(versions).size, versions.length);
  });

  it('is confirmed while nothing has changed, once it is committed', async () => {
    const world = await World.create();
    world.leader.submit('set', ['SET', 'k', 'v']);
    const keys = [{ space: 0, key: 'k', mode: 'write' as const }];
    const lock = encodeLock({ id: A, waits: false, isConfirmed: false, leaseMs: 10_000, keys });
    world.leader.submit('lock', ['%TXLOCK', lock.toString('latin1')]);
    const read = world.leader.replies.get('lock');
    assert.ok(read instanceof Uint8Array, 'it is answered ahead of the commit');
    const { objects } = decodeFetched(read);
    const checks = [{ space: 0, key: 'k', version: objects[0]?.version ?? 0 }];
    world.leader.submit('check', ['%TXCHECK', encodeChecks(1, checks).toString('latin1')]);
    world.leader.endTurn();
    assert.ok(!world.leader.replies.has('check'));
    world.leader.commit();
    assert.equal(world.leader.replies.get('check'), 1);
    await world.send('%TXRELEASE', encodeIds([A]))();
    await world.ask('SET', 'other', 'v');
    assert.equal(await world.check(1, checks)(), 1);
    await world.ask('SET', 'k', 'v');
    assert.equal(await world.check(1, checks)(), 0);
  });

  it('is not confirmed by a leader of another term, unless it had committed', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    const checks = await world.checksOf('k');
    await world.leader.takeOver();
    assert.equal(await world.check(1, checks)(), 0);
    assert.equal(await world.check(2, checks)(), 1);
    assert.equal(await world.check(0, checks)(), 1);
  });

  it('waits for keys that are prepared, and is then found changed', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    const checks = await world.checksOf('k');
    await world.prepare(A, { writes: [put('k', 'w')] });
    const check = world.check(1, checks);
    const read = world.send('%TXGET', encodeKeys([{ space: 0, key: 'k' }]));
    assert.deepEqual([await check(), await read()], [WAITING, WAITING]);
    await world.resolve(A, world.laterTimestamp);
    assert.equal(await check(), 0);
    assert.deepEqual(valuesOf(fetchedOf(await read())), ['w']);
  });

  it('waits for a flush that is prepared, which locks no key of its own, and is then found changed', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    const checks = await world.checksOf('k');
    const flush = { space: TRANSACTION_SPACE, key: flushKey(world.leader.transactionTag, 0), object: null };
    assert.ok((await world.prepare(A, { writes: [flush] })).isDone);
    const keys = encodeKeys([{ space: 0, key: 'k' }]);
    const waiting = [world.check(1, checks), world.send('%TXGET', keys)] as const;
    for (const answer of waiting) assert.equal(await answer(), WAITING);
    await world.resolve(A, world.laterTimestamp);
    const [check, read] = waiting;
    assert.equal(await check(), 0);
    assert.deepEqual(valuesOf(fetchedOf(await read())), [null]);
  });

  it('is confirmed if the transaction for which it waited was aborted', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    const checks = await world.checksOf('k', 'absent');
    await world.prepare(A, { writes: [put('k', 'w'), put('absent', 'x')] });
    const check = world.check(1, checks);
    assert.equal(await check(), WAITING);
    await world.resolve(A, 0);
    assert.equal(await check(), 1);
  });

  it('of a key that has expired since, and that a transaction holds, is answered that it has changed', async () => {
    // It used to wait for the key until its deadline; if the lock was the transaction's own, for itself.
    const world = await World.create();
    await world.ask('SET', 'k', 'v', 'PX', '1000');
    const checks = await world.checksOf('k');
    await world.lock(A, ['k'])();
    world.leader.pass(1_001);
    assert.equal(await world.check(1, checks)(), 0);
    assert.deepEqual(valuesOf(await world.lock(A, ['k'])()), [null], 'for its own transaction it is gone');
    assert.equal(await world.ask('PTTL', 'k'), '-2');
  });
});

describe('a part that is prepared', () => {
  it('has others wait who would read or change what it writes, or change what it has read', async () => {
    const world = await World.create();
    for (const key of ['read', 'written']) await world.ask('SET', key, '1');
    const checks = await world.checksOf('read');
    assert.ok((await world.prepare(A, { checks, writes: [put('written', '2'), put('new', '3')] })).isDone);
    assert.equal(await world.ask('GET', 'read'), '1', 'what it has read may be read');
    const waiting = [
      world.plain('GET', 'written'),
      world.plain('EXISTS', 'new'),
      world.plain('SET', 'read', '9'),
      world.plain('TTL', 'written'),
    ];
    for (const answer of waiting) assert.equal(await answer(), WAITING);
    assert.equal(await world.resolve(A, world.laterTimestamp), 1);
    assert.deepEqual(await Promise.all(waiting.map((answer) => answer())), ['2', '1', 'OK', '-1']);
  });

  it('is refused if what it read has changed, is prepared or held by others, or came from another leader', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    const checks = await world.checksOf('k');
    const writes = [put('w', '1')];
    await world.ask('SET', 'k', 'v');
    assert.equal((await world.prepare(A, { checks, writes })).isDone, false, 'the version has moved');
    const present = await world.checksOf('k');
    assert.equal((await world.prepare(A, { checks: present, writes, term: 7 })).isDone, false, 'another term');
    await world.lock(B, ['k'])();
    assert.equal((await world.prepare(A, { checks: present, writes })).isDone, false, 'somebody holds what it read');
    await world.release(B);
    await world.lock(B, ['w'], { mode: 'read' })();
    assert.equal((await world.prepare(A, { checks: present, writes })).isDone, false, 'somebody reads what it writes');
    await world.release(B);
    assert.deepEqual([world.leader.tenure.locks.partCount, world.recordCount], [0, 0]);
    assert.ok((await world.prepare(A, { checks: present, writes })).isDone);
  });

  it('that was refused holds nothing of what it held', async () => {
    const world = await World.create();
    const checks = await world.checksOf('k');
    await world.lock(A, ['a', 'b'])();
    await world.ask('SET', 'k', 'v');
    assert.equal((await world.prepare(A, { checks, writes: [put('a', '1')] })).isDone, false);
    assert.equal(await world.ask('SET', 'b', 'v'), 'OK');
  });

  it('has its record looked for in LevelDB neither then nor when it commits, and what it finds absent looked for once', async () => {
    const world = await World.create();
    const looked: string[] = [];
    const { reader } = world.leader;
    const readKey = reader.readKey.bind(reader);
    reader.readKey = (space, key) => {
      looked.push(space === TRANSACTION_SPACE ? 'record' : key);
      return readKey(space, key);
    };
    assert.ok((await world.prepare(A, { writes: [put('k', 'w')] })).isDone);
    await world.resolve(A, world.laterTimestamp);
    assert.deepEqual(looked, ['k']);
    await world.ask('INCR', 'counter');
    assert.deepEqual(looked, ['k', 'counter']);
  });

  it('is prepared once: a second request is refused, and changes nothing', async () => {
    const world = await World.create();
    assert.ok((await world.prepare(A, { writes: [put('k', '1')] })).isDone);
    assert.equal((await world.prepare(A, { writes: [put('k', '2'), put('j', '2')] })).isDone, false);
    await world.resolve(A, world.laterTimestamp);
    assert.equal(await world.ask('MGET', 'k', 'j'), '1,null');
  });

  it('is a record from the moment on that its answer leaves, and none when it is resolved', async () => {
    const world = await World.create();
    const prepared = world.send('%TXPREPARE', encodeIntent(world.intent(A, { writes: [put('k', 'v')] })));
    world.leader.endTurn();
    assert.equal(world.leader.replies.size, 0, 'not before it is committed');
    assert.ok(outcomeOf(await prepared()).isDone);
    assert.equal(world.recordCount, 1);
    assert.equal(await world.ask('DBSIZE'), WAITING, 'whoever counts waits');
    await world.resolve(A, 0);
    assert.equal(world.recordCount, 0);
    assert.equal(await world.ask('EXISTS', 'k'), '0');
  });

  it('is told by its timestamp that no earlier change of the partition is later', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v');
    const { timestamp } = await world.prepare(A, { writes: [put('j', 'v')] });
    assert.ok(timestamp > ((await world.checksOf('k'))[0]?.version ?? 0));
  });

  it('gives its keys the timestamp of the decision, which later changes exceed', async () => {
    const world = await World.create();
    await world.prepare(A, { writes: [put('k', 'v'), del('absent')] });
    const timestamp = world.laterTimestamp;
    await world.resolve(A, timestamp);
    assert.equal((await world.checksOf('k'))[0]?.version, timestamp);
    await world.ask('SET', 'k', 'w');
    assert.ok(((await world.checksOf('k'))[0]?.version ?? 0) > timestamp);
    assert.ok(world.leader.applier.state.lastTimestamp > timestamp);
  });

  it('is resolved once, whatever it is told later', async () => {
    const world = await World.create();
    await world.prepare(A, { writes: [put('k', 'v')] });
    assert.equal(await world.resolve(A, world.laterTimestamp), 1);
    await world.ask('SET', 'k', 'w');
    assert.equal(await world.resolve(A, world.laterTimestamp), 1);
    assert.equal(await world.resolve(A, 0), 1);
    assert.equal(await world.ask('GET', 'k'), 'w');
    assert.equal(await world.resolve(B, world.laterTimestamp), 1, 'one that was never here is none of its concern');
  });

  it('that is resolved before it was prepared lets its keys go, and changes nothing', async () => {
    const world = await World.create();
    await world.lock(A, ['k'])();
    assert.equal(await world.resolve(A, 0), 1);
    assert.equal(await world.ask('SET', 'k', 'v'), 'OK');
  });

  it('is not let go by %TXRELEASE, a lease or a lost coordinator', async () => {
    const world = await World.create();
    await world.lock(A, ['k'], { leaseMs: 100 })();
    await world.prepare(A, { writes: [put('k', 'v')] });
    await world.release(A);
    world.leader.pass(LOCK_LEASE_MAX_MS * 2);
    world.leader.tenure.dropParts(() => true);
    assert.equal(world.leader.tenure.locks.preparedCount, 1);
  });

  it('does not keep the time out of the log', async () => {
    const world = await World.create();
    await world.prepare(A, { writes: [put('k', 'v')] });
    const { leader } = world;
    leader.pass(60_000);
    leader.tenure.writeTime(1_000);
    await leader.settle();
    assert.equal(leader.appliedState.timeMs, world.nowMs);
    const { length } = leader.entries;
    leader.tenure.writeTime(1_000);
    await leader.settle();
    assert.equal(leader.entries.length, length, 'it is told already');
    assert.equal(leader.tenure.locks.preparedCount, 1);
    assert.equal(await world.resolve(A, world.laterTimestamp), 1);
  });

  it('holds long values as well, old and new', async () => {
    const world = await World.create();
    await world.ask('SETRANGE', 'long', '399999', 'x');
    world.leader.evictAll();
    const value = stringFromBytes(Buffer.alloc(500_000, 0x61));
    assert.ok(
      (await world.prepare(A, { writes: [{ space: 0, key: 'long', object: { value, expiresAtMs: 0 } }] })).isDone,
    );
    await world.leader.takeOver();
    await world.resolve(A, world.laterTimestamp);
    assert.equal(await world.ask('STRLEN', 'long'), '500000');
    assert.equal(await world.ask('GETRANGE', 'long', '499998', '-1'), 'aa');
  });

  it('that writes an expiry which has passed by the time of the decision leaves no key', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'old');
    await world.prepare(A, { writes: [put('k', 'v', world.nowMs + 500), put('j', 'v', world.nowMs + 500)] });
    world.leader.pass(1_000);
    await world.resolve(A, world.laterTimestamp + timestampFromMs(1_000));
    assert.equal(await world.ask('EXISTS', 'k', 'j'), '0');
    assert.equal(await world.ask('DBSIZE'), '0');
  });
});

describe('a key with an expiry that a transaction holds', () => {
  it('expires when it is let go, not before', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v', 'PX', '1000');
    const checks = await world.checksOf('k');
    await world.prepare(A, { checks, writes: [put('j', '1')] });
    world.leader.pass(3_000);
    await world.leader.settle();
    const get = world.plain('GET', 'k');
    assert.equal(await get(), WAITING, 'the transaction that has read it may have been decided before it expired');
    assert.equal(world.leader.applier.state.keyCounts[0], 1);
    await world.resolve(A, world.laterTimestamp);
    assert.equal(await get(), 'null');
    assert.equal(world.leader.applier.state.keyCounts[0], 1, 'what it wrote');
  });

  it('expires by itself soon after it was let go, although nobody asks for it', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v', 'PX', '1000');
    await world.lock(A, ['k'], { leaseMs: 30_000 })();
    world.leader.pass(3_000);
    await world.leader.settle();
    assert.equal(world.leader.applier.state.keyCounts[0], 1);
    await world.release(A);
    world.leader.pass(100);
    await world.leader.settle();
    assert.equal(world.leader.applier.state.keyCounts[0], 0);
  });

  it('is left alone when the time comes that it had before a flush', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v', 'PX', '1000');
    await world.ask('FLUSHALL');
    await world.prepare(A, { writes: [put('k', '1')] });
    world.leader.pass(3_000);
    await world.resolve(A, world.laterTimestamp);
    assert.equal(await world.ask('GET', 'k'), '1');
  });

  it('that expired before it is prepared refuses the preparation', async () => {
    const world = await World.create();
    await world.ask('SET', 'k', 'v', 'PX', '1000');
    await world.lock(A, ['k'], { leaseMs: 30_000 })();
    const checks = await world.checksOf('k');
    world.leader.pass(1_001);
    assert.equal((await world.prepare(A, { checks, writes: [put('j', '1')] })).isDone, false);
    assert.equal(await world.ask('EXISTS', 'k', 'j'), '0');
  });
});
