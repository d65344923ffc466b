/**
 * Requests on their way to a leader elsewhere: a router on node 1, a forwarder before a leader's tenure on node 2, and real
 * links between them in a network in memory.
 */
import { strict as assert } from 'node:assert';
import { ByteReader } from '../../src/base/bytes.ts';
import { type Work, WriteMark } from '../../src/cluster/api.ts';
import { Forwarder } from '../../src/cluster/forwarder.ts';
import { MESSAGE_KINDS } from '../../src/cluster/message-kinds.ts';
import {
  readAnswer,
  readUnblock,
  readUnblockAnswer,
  writeRequest,
  writeUnblock,
} from '../../src/cluster/request-codec.ts';
import { Router } from '../../src/cluster/router.ts';
import { buildTopology } from '../../src/cluster/topology.ts';
import type { DataCommand } from '../../src/commands/define.ts';
import { dataCommands } from '../../src/commands/index.ts';
import type { Replica } from '../../src/partition/replica.ts';
import { encodeReply } from '../../src/resp/encode.ts';
import { EncodedReply } from '../../src/resp/reply.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';
import { TestLeader } from '../partition/leader.ts';
import { TwoNodes } from './two-nodes.ts';

const GROUP = 1;
const TERM = 1;

const rows = new Map<string, DataCommand>();
for (const row of dataCommands) for (const one of [row, ...row.subcommands]) rows.set(one.name, one);

class Bench {
  readonly time = new VirtualTime();
  readonly answers: string[] = [];
  readonly router: Router;
  readonly leader: TestLeader;
  readonly nodes = new TwoNodes(this.time);
  /** What the leader on node 2 is asked, and what becomes of it, may be changed by the test. */
  readonly replica: { isServing: boolean; term: number };
  readonly cancelled: number[] = [];
  readonly #entry: Transport;
  readonly #remote: Transport;

  static async create(): Promise<Bench> {
    const bench = new Bench(await TestLeader.create());
    await bench.#remote.start();
    await bench.#entry.start();
    await bench.time.pass(100);
    bench.router.leaderServes(GROUP, 2, TERM);
    return bench;
  }

  private constructor(leader: TestLeader) {
    this.leader = leader;
    const replica = {
      isServing: true as boolean,
      term: TERM,
      submit: (job: Parameters<Replica['submit']>[0]) => {
        leader.tenure.submit(job);
      },
      cancel: (job: Parameters<Replica['cancel']>[0]) => {
        this.cancelled.push(job.counter);
        leader.tenure.cancel(job);
      },
      unblock: (...asked: Parameters<Replica['unblock']>) => leader.tenure.unblock(...asked),
    };
    this.replica = replica;
    this.#remote = this.nodes.transport(2, {
      message: (from, kind, payload) => {
        if (kind === MESSAGE_KINDS.request) forwarder.received(from, payload);
        if (kind === MESSAGE_KINDS.cancel) forwarder.cancelled(from, new ByteReader(payload).u64());
        if (kind === MESSAGE_KINDS.unblock) forwarder.unblock(from, readUnblock(payload));
      },
      linkDown: (node) => {
        forwarder.nodeLost(node);
      },
    });
    const forwarder = new Forwarder({
      transport: this.#remote,
      bootEpochOf: () => 7,
      replicaOf: () => replica as unknown as Replica,
      commandOf: (name) => rows.get(name),
      nowMs: () => this.time.monotonicMs(),
      wake: () => {
        this.#remote.flush();
      },
      mustFetchScript: () => false,
    });
    this.#entry = this.nodes.transport(1, {
      message: (from, kind, payload) => {
        if (kind === MESSAGE_KINDS.answer) this.router.answered(from, readAnswer(payload));
        if (kind === MESSAGE_KINDS.unblockAnswer) this.router.unblockAnswered(from, readUnblockAnswer(payload));
      },
      linkDown: (node) => {
        this.router.nodeLost(node);
      },
    });
    this.router = this.#createRouter();
  }

  #createRouter(): Router {
    const members = ['a', 'b', 'c'].map((name) => ({ name, host: name, port: 1 }));
    const topology = buildTopology({ members, selfName: 'a', partitions: 1, replicationFactor: 3 });
    return new Router(topology, {
      clock: this.time,
      node: 1,
      bootEpoch: 7,
      commandTimeoutMs: 1_000,
      submitHere: () => assert.fail('nothing is led here'),
      cancelHere: () => assert.fail('nothing is led here'),
      unblockHere: () => assert.fail('nothing is led here'),
      isServingHere: () => false,
      submitAcross: () => assert.fail('there is one partition'),
      sessionIsIdle: () => assert.fail('there is one partition'),
      sendRequest: (to, route, job) =>
        this.#send(to, MESSAGE_KINDS.request, (writer) => {
          writeRequest(writer, job, { group: route.group, term: route.term, nowMs: this.time.monotonicMs() });
        }),
      sendCancel: (to, counter) => {
        this.#send(to, MESSAGE_KINDS.cancel, (writer) => {
          writer.u64(counter);
        });
      },
      sendUnblock: (to, what) => {
        this.#send(to, MESSAGE_KINDS.unblock, (writer) => {
          writeUnblock(writer, what);
        });
      },
      endOfTurn: (callback) => {
        this.time.endOfTurn(callback);
      },
      lookAt: () => undefined,
    });
  }

  #send(to: number, kind: number, write: (writer: NonNullable<ReturnType<Transport['begin']>>) => void): boolean {
    const writer = this.#entry.begin(to, kind, false);
    if (writer === null) return false;
    write(writer);
    this.#entry.end(to);
    this.#entry.flush();
    return true;
  }

  submit(name: string, argv: readonly string[], isNoTouch = false): Work {
    const words = argv.map((word) => word.toUpperCase());
    const command = rows.get(`${words[0] ?? ''}|${words[1] ?? ''}`) ?? rows.get(words[0] ?? '');
    if (command === undefined) throw new Error(`no command ${argv.join(' ')}`);
    const work: Work = {
      call: { command, argv: argv.map((word) => Buffer.from(word)), database: 0 },
      transaction: null,
      protocol: 2,
      isNoTouch,
      deadlineMs: this.time.monotonicMs() + 60_000,
      mark: new WriteMark(),
      complete: (reply) => {
        const bytes = reply instanceof EncodedReply ? reply.bytes : encodeReply(reply, 2);
        this.answers.push(`${name}: ${Buffer.from(bytes).toString('latin1').replaceAll('\r\n', ' ').trim()}`);
      },
    };
    this.router.submit(work);
    return work;
  }

  async settle(): Promise<void> {
    await this.time.pass(5);
    await this.leader.settle();
    await this.time.pass(5);
  }
}

const HOLD = ['KAHUNA.LOCK', 'ACQUIRE', 'r', 'holder', 'PX', '60000'];
const WAIT = ['KAHUNA.LOCK', 'ACQUIRE', 'r', 'waiter', 'PX', '60000', 'WAIT', '50000'];

describe('a request to a leader elsewhere', () => {
  it('is answered over the link', async () => {
    const bench = await Bench.create();
    bench.submit('set', ['SET', 'k', 'v']);
    bench.submit('get', ['GET', 'k']);
    await bench.settle();
    assert.deepEqual(bench.answers, ['set: +OK', 'get: $1 v']);
  });

  for (const [how, answer] of [
    ['timeout', 'waiter: $-1'],
    ['error', 'waiter: -UNBLOCKED client unblocked via CLIENT UNBLOCK'],
  ] as const) {
    it(`stops waiting when it is asked to (${how}), and answers before that is confirmed`, async () => {
      const bench = await Bench.create();
      bench.submit('holder', HOLD);
      const waiter = bench.submit('waiter', WAIT);
      await bench.settle();
      const asked = bench.router.unblock(waiter, how);
      await bench.settle();
      assert.equal(await asked, true);
      assert.deepEqual(bench.answers, ['holder: :1', answer]);
      assert.equal(await bench.router.unblock(waiter, how), false);
    });
  }

  it('is left alone if it was served meanwhile', async () => {
    const bench = await Bench.create();
    bench.submit('holder', HOLD);
    const waiter = bench.submit('waiter', WAIT);
    await bench.settle();
    bench.submit('release', ['KAHUNA.LOCK', 'RELEASE', 'r', 'holder']);
    const asked = bench.router.unblock(waiter, 'error');
    await bench.settle();
    assert.equal(await asked, false);
    assert.deepEqual([...bench.answers].sort(), ['holder: :1', 'release: :1', 'waiter: :2']);
  });

  it('comes back untouched from a node that does not lead in the term that it names, and is sent again', async () => {
    const bench = await Bench.create();
    bench.replica.term = TERM + 1;
    bench.submit('set', ['SET', 'k', 'v']);
    await bench.settle();
    assert.deepEqual([bench.answers, bench.leader.entries.length], [[], 0]);
    bench.router.leaderServes(GROUP, 2, TERM + 1);
    await bench.settle();
    assert.deepEqual(bench.answers, ['set: +OK']);
  });

  it('comes back untouched from a node that does not serve, and waits for one that does', async () => {
    const bench = await Bench.create();
    bench.replica.isServing = false;
    bench.submit('set', ['SET', 'k', 'v']);
    await bench.settle();
    assert.deepEqual([bench.answers, bench.leader.entries.length], [[], 0]);
    bench.replica.isServing = true;
    bench.replica.term = TERM + 1;
    bench.router.leaderServes(GROUP, 2, TERM + 1);
    await bench.settle();
    assert.deepEqual(bench.answers, ['set: +OK']);
  });

  it('leaves the queue of its leader when its client is gone', async () => {
    const bench = await Bench.create();
    bench.submit('holder', HOLD);
    const waiter = bench.submit('waiter', WAIT);
    await bench.settle();
    bench.router.cancel(waiter);
    await bench.settle();
    assert.deepEqual(bench.cancelled, [2]);
    bench.submit('release', ['KAHUNA.LOCK', 'RELEASE', 'r', 'holder']);
    bench.submit('taken', ['KAHUNA.LOCK', 'ACQUIRE', 'r', 'other', 'PX', '1000']);
    await bench.settle();
    assert.deepEqual(bench.answers, ['holder: :1', 'release: :1', 'taken: :2']);
  });

  it('leaves the queue when the link to its entry node is lost, and is applied once when it comes again', async () => {
    const bench = await Bench.create();
    bench.submit('holder', HOLD);
    bench.submit('waiter', WAIT);
    await bench.settle();
    assert.equal(bench.nodes.network.reset('h1', 'h2'), 2);
    await bench.settle();
    assert.deepEqual(bench.cancelled, [2]);
    await bench.time.pass(1_000);
    bench.router.leaderServes(GROUP, 2, TERM + 1);
    bench.replica.term = TERM + 1;
    bench.router.look();
    await bench.settle();
    bench.submit('release', ['KAHUNA.LOCK', 'RELEASE', 'r', 'holder']);
    await bench.settle();
    assert.deepEqual([...bench.answers].sort(), ['holder: :1', 'release: :1', 'waiter: :2']);
  });

  it('gets the answer of its first attempt if that was applied before the link was lost', async () => {
    const bench = await Bench.create();
    bench.submit('incr', ['INCR', 'n']);
    await bench.time.pass(5);
    bench.leader.endTurn();
    bench.leader.commit();
    // The answer is on its way when the link breaks.
    assert.equal(bench.nodes.network.reset('h1', 'h2'), 2);
    await bench.settle();
    assert.deepEqual(bench.answers, []);
    await bench.time.pass(1_000);
    bench.replica.term = TERM + 1;
    bench.router.leaderServes(GROUP, 2, TERM + 1);
    await bench.settle();
    assert.deepEqual(bench.answers, ['incr: :1']);
    bench.submit('get', ['GET', 'n']);
    await bench.settle();
    assert.deepEqual(bench.answers, ['incr: :1', 'get: $1 1']);
  });

  it('takes NO-TOUCH along', async () => {
    const bench = await Bench.create();
    bench.submit('set', ['SET', 'k', 'v']);
    await bench.settle();
    bench.leader.nowMs += 60_000;
    bench.submit('get', ['GET', 'k'], true);
    bench.submit('idle', ['OBJECT', 'IDLETIME', 'k']);
    bench.submit('get', ['GET', 'k']);
    bench.submit('idle', ['OBJECT', 'IDLETIME', 'k']);
    await bench.settle();
    assert.deepEqual(bench.answers.slice(-1), ['idle: :0']);
    assert.match(bench.answers[2] ?? '', /^idle: :(59|60)$/);
  });
});
