/**
 * Sessions whose work crosses partitions: in which order it is done, what is cancelled, and what becomes of answers that make no
 * sense. A router and real leaders of two partitions on one node; the test may hold back what goes to one of them.
 */
import { strict as assert } from 'node:assert';
import { slotOfKey } from '../../src/base/slots.ts';
import type { GroupId } from '../../src/base/ids.ts';
import type { LogFields } from '../../src/base/log.ts';
import { silentLogger } from '../../src/base/log.ts';
import { type Work, WriteMark } from '../../src/cluster/api.ts';
import { Router } from '../../src/cluster/router.ts';
import { buildTopology, partitionOfSlot } from '../../src/cluster/topology.ts';
import { Transactions } from '../../src/cluster/transactions.ts';
import type { View } from '../../src/commands/view.ts';
import type { Job, JobCall } from '../../src/partition/job.ts';
import { KeyElsewhere } from '../../src/partition/evaluation-ends.ts';
import { KeyspaceStats } from '../../src/partition/keyspace-stats.ts';
import { encodeIds, encodeLock } from '../../src/partition/transaction-codec.ts';
import { EncodedReply, type Reply } from '../../src/resp/reply.ts';
import { TransactionView } from '../../src/txn/transaction-view.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { drainPromises } from '../doubles/stepping.ts';
import { TestLeader } from '../partition/leader.ts';
import { callOf, shown } from '../txn/partitions.ts';

const TOPOLOGY = buildTopology({
  members: [{ name: 'n1', host: 'n1', port: 1 }],
  selfName: 'n1',
  partitions: 2,
  replicationFactor: 1,
});

function groupOf(key: string): GroupId {
  return partitionOfSlot(TOPOLOGY.partitions, slotOfKey(key)).id;
}

/** Keys of the first and of the second partition. */
const [A, C, B, D] = [keyOf(1, 'a'), keyOf(1, 'c'), keyOf(2, 'b'), keyOf(2, 'd')];

function keyOf(group: GroupId, prefix: string): string {
  for (let i = 0; ; i++) if (groupOf(`${prefix}${i}`) === group) return `${prefix}${i}`;
}

/** A strand that the router gives to nobody here. */
const STRANGER = 1_000;

class World {
  readonly leaders: ReadonlyMap<GroupId, TestLeader>;
  readonly router: Router;
  readonly transactions: Transactions;
  /** In the order in which they left: `name: reply`. */
  readonly replies: string[] = [];
  readonly failures: string[] = [];
  /** Jobs for these partitions are held back. */
  readonly held = new Map<GroupId, Job[]>();
  /** Answers a job itself if it returns one. */
  answer: (job: Job) => Reply | undefined = () => undefined;
  readonly mark = new WriteMark();

  static async create(): Promise<World> {
    return new World(
      new Map([
        [1, await TestLeader.create(1)],
        [2, await TestLeader.create(2)],
      ]),
    );
  }

  private constructor(leaders: ReadonlyMap<GroupId, TestLeader>) {
    this.leaders = leaders;
    const clock = { monotonicMs: () => this.leader(1).nowMs, wallMs: () => 1_700_000_000_000 };
    this.router = new Router(TOPOLOGY, {
      clock,
      node: 1,
      bootEpoch: 1,
      commandTimeoutMs: 5_000,
      submitHere: (group, job) => {
        const held = this.held.get(group);
        const answer = this.answer(job);
        if (held !== undefined) held.push(job);
        else if (answer === undefined) this.leader(group).tenure.submit(job);
        else job.owner.complete(job, answer, 0);
      },
      cancelHere: (group, job) => {
        this.leader(group).tenure.cancel(job);
      },
      unblockHere: () => false,
      sendRequest: () => assert.fail('there is one node'),
      sendCancel: () => undefined,
      sendUnblock: () => undefined,
      isServingHere: () => true,
      submitAcross: (work) => {
        this.transactions.submit(work);
      },
      sessionIsIdle: (mark) => {
        this.transactions.mayBegin(mark);
      },
      endOfTurn: (callback) => void setImmediate(callback),
      lookAt: () => undefined,
    });
    this.transactions = new Transactions({
      node: 1,
      bootEpoch: 1,
      clock,
      timers: { after: () => ({ cancel: () => undefined }), endOfTurn: (callback) => void setImmediate(callback) },
      random: new SeededRandom(1),
      log: {
        ...silentLogger,
        error: (event: string, fields?: LogFields) => this.failures.push(`${event} ${String(fields?.['error'])}`),
      },
      groupOfCursor: () => 1,
      keyspaceStats: new KeyspaceStats(),
      commandTimeoutMs: 5_000,
      tags: [],
      groupOf,
      replicas: () => [],
      isConnected: () => true,
      silenceMs: () => 0,
      submit: (work) => {
        this.submit(work);
      },
      submitTo: (group, work) => {
        this.router.submitTo(this.router.route(group), work);
      },
    });
    for (const { id } of TOPOLOGY.partitions) this.router.leaderServes(id, 1, 1);
  }

  leader(group: GroupId): TestLeader {
    return this.leaders.get(group) ?? assert.fail(`no partition ${group}`);
  }

  /** As the cluster node does. */
  submit(work: Work): void {
    if (work.mark.crossing === null) this.router.submit(work);
    else work.mark.crossing.waiting.push({ work, run: null, isElder: false });
  }

  /** Sends a request of the session; several commands are a transaction. */
  send(name: string, ...calls: readonly (readonly string[] | JobCall)[]): Work {
    return this.sendFor(this.mark, name, ...calls);
  }

  sendFor(mark: WriteMark, name: string, ...argvs: readonly (readonly string[] | JobCall)[]): Work {
    const calls = argvs.map((one) => ('command' in one ? one : callOf(one)));
    const work: Work = {
      call: calls.length === 1 ? (calls[0] ?? null) : null,
      transaction: calls.length === 1 ? null : { calls, watched: [] },
      protocol: 2,
      isNoTouch: false,
      deadlineMs: this.leader(1).nowMs + 5_000,
      mark,
      complete: (reply) => this.replies.push(`${name}: ${shown(reply)}`),
    };
    this.submit(work);
    return work;
  }

  hold(group: GroupId): void {
    this.held.set(group, []);
  }

  async letGo(group: GroupId): Promise<void> {
    const jobs = this.held.get(group) ?? [];
    this.held.delete(group);
    for (const job of jobs) this.leader(group).tenure.submit(job);
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let rounds = 0; rounds < 60; rounds++) {
      for (const leader of this.leaders.values()) {
        leader.endTurn();
        leader.commit();
      }
      await drainPromises();
    }
  }
}

/** A script that writes keys that it does not name: it begins anywhere, and finds that they lie in another partition. */
function scriptOf(value: string, ...keys: readonly string[]): JobCall {
  const call = callOf(['DBSIZE']);
  const run = (view: View): Reply => {
    if (!(view instanceof TransactionView)) throw new KeyElsewhere();
    for (const key of keys) {
      view.find(0, key);
      view.put(0, key, value, 0);
    }
    return value;
  };
  return { ...call, command: { ...call.command, flags: ['write'], run } };
}

describe('work of a session across partitions', () => {
  it('begins when everything before it is done, and what comes later waits for it', async () => {
    const world = await World.create();
    world.hold(1);
    world.send('set', ['SET', A, '1']);
    world.send('mset', ['MSET', A, '2', B, '2']);
    world.send('append', ['APPEND', B, 'x']);
    world.send('get', ['GET', D]);
    await world.settle();
    assert.deepEqual(world.replies, [], 'other partitions would have been free');
    await world.letGo(1);
    assert.deepEqual(world.replies, ['set: +OK', 'mset: +OK', 'get: $-1', 'append: :2'].sort(byName(['set', 'mset'])));
    assert.equal(world.mark.crossing, null);
    assert.equal(world.mark.underWay, 0);
  });

  it('is done one after the other, each with what lies between', async () => {
    const world = await World.create();
    const names: string[] = [];
    for (let i = 0; i < 5; i++) {
      for (const [name, call] of [
        [`across ${i}`, ['MSET', A, `${i}`, B, `${i}`]],
        [`one ${i}`, ['APPEND', A, 'x']],
        [`other ${i}`, ['APPEND', B, 'y']],
        [`both ${i}`, ['MGET', A, B]],
      ] as const) {
        world.send(name, call);
        names.push(name);
      }
    }
    await world.settle();
    const both = world.replies.filter((reply) => reply.startsWith('both'));
    assert.deepEqual(
      both,
      [0, 1, 2, 3, 4].map((i) => `both ${i}: *2 $2 ${i}x $2 ${i}y`),
    );
    assert.equal(world.replies.length, names.length);
  });

  it('does not concern other sessions', async () => {
    const world = await World.create();
    world.hold(1);
    world.send('set', ['SET', A, '1']);
    world.send('mset', ['MSET', A, '2', B, '2']);
    world.sendFor(new WriteMark(), 'other', ['SET', D, '1']);
    await world.settle();
    assert.deepEqual(world.replies, ['other: +OK']);
    await world.letGo(1);
    assert.equal(world.replies.length, 3);
  });

  it('that turns out late to be such comes before what was sent after it', async () => {
    const world = await World.create();
    world.send('first', scriptOf('1', A, B));
    world.send('second', ['MSET', A, '2', B, '2']);
    world.send('third', scriptOf('3', C, D));
    world.send('fourth', ['MSET', C, '4', D, '4']);
    world.send('all', ['MGET', A, B, C, D]);
    await world.settle();
    assert.deepEqual(world.replies, [
      'first: $1 1',
      'second: +OK',
      'third: $1 3',
      'fourth: +OK',
      'all: *4 $1 2 $1 2 $1 4 $1 4',
    ]);
  });

  it('cannot be in a ring with whoever its earlier requests wait for', async () => {
    // It locked D while its lock of C stood behind APPEND, which waited for A, whose holder waited for D.
    const world = await World.create();
    const second = world.leader(2);
    const id = { node: 9, epoch: 1, counter: 1 };
    const keys = [{ space: 0, key: B, mode: 'write' as const }];
    const lock = encodeLock({ id, waits: false, isConfirmed: false, leaseMs: 60_000, keys });
    second.submit('lock', ['%TXLOCK', lock.toString('latin1')], { strand: STRANGER });
    world.sendFor(new WriteMark(), 'other', ['INCR', A], ['INCR', B], ['INCR', D]);
    await world.settle();
    assert.equal(world.leader(1).tenure.locks.partCount, 1, 'it has A and waits for B');
    world.send('append', ['APPEND', A, '0']);
    world.send('exec', ['INCR', C], ['INCR', D]);
    await world.settle();
    second.submit('release', ['%TXRELEASE', encodeIds([id]).toString('latin1')], { strand: STRANGER });
    await world.settle();
    assert.deepEqual([...world.replies].sort(), ['append: :2', 'exec: *2 :1 :2', 'other: *3 :1 :1 :1']);
  });

  it('that waits is taken out when its client is gone, and so is what waits behind it', async () => {
    const world = await World.create();
    world.hold(1);
    world.send('set', ['SET', A, '1']);
    const works = [
      world.send('mset', ['MSET', A, '2', B, '2']),
      world.send('get', ['GET', B]),
      world.send('incr', ['INCR', A], ['INCR', B]),
    ];
    for (const work of works) assert.ok(world.transactions.cancel(work));
    assert.equal(world.transactions.cancel(works[0] as Work), false, 'it is out already');
    await world.letGo(1);
    assert.deepEqual(world.replies, ['set: +OK']);
    world.send('mget', ['MGET', A, B]);
    await world.settle();
    assert.deepEqual(world.replies.slice(1), ['mget: *2 $1 1 $-1']);
  });

  it('that has begun goes on without its client', async () => {
    const world = await World.create();
    world.hold(1);
    const work = world.send('mset', ['MSET', A, '2', B, '2']);
    assert.equal(world.transactions.cancel(work), false);
    await world.letGo(1);
    assert.deepEqual(world.replies, ['mset: +OK']);
  });
});

describe('the answer to a step', () => {
  for (const text of [
    '',
    '$',
    '$5',
    '$5\r\nab',
    '$1\r\nab\r\n',
    '$x\r\nab\r\n',
    '*2\r\n:1\r\n',
    '?',
    ':',
    '$2\r\nok\r\n',
  ]) {
    it(`that makes no sense is an error for the client, and for nobody else: ${JSON.stringify(text)}`, async () => {
      const world = await World.create();
      world.answer = ({ call }) => (call?.command.name === '%TXLOCK' ? new EncodedReply(Buffer.from(text)) : undefined);
      world.send('exec', ['INCR', A], ['INCR', B]);
      await world.settle();
      assert.match(
        world.replies[0] ?? '(no reply)',
        /^exec: -(TRYAGAIN|UNCERTAIN) what (a partition|another node) answered cannot be read/,
      );
      assert.deepEqual(world.failures, []);
      world.answer = () => undefined;
      world.send('next', ['INCR', A], ['INCR', B]);
      await world.settle();
      assert.equal(world.replies[1], 'next: *2 :1 :1');
    });
  }
});

/** Replies of single partitions may leave in any order: only these come first. */
function byName(first: readonly string[]): (a: string, b: string) => number {
  const rank = (reply: string): number => {
    const at = first.findIndex((name) => reply.startsWith(`${name}:`));
    return at === -1 ? first.length : at;
  };
  return (a, b) => rank(a) - rank(b);
}
