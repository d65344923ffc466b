/** The router against a host that only notes what it is asked: order, repetition and honest errors. */
import { strict as assert } from 'node:assert';
import type { NodeId } from '../../src/base/ids.ts';
import { type Work, WriteMark } from '../../src/cluster/api.ts';
import type { EntryJob } from '../../src/cluster/route.ts';
import { Router } from '../../src/cluster/router.ts';
import { buildTopology } from '../../src/cluster/topology.ts';
import type { DataCommand } from '../../src/commands/define.ts';
import { dataCommands } from '../../src/commands/index.ts';
import { EncodedReply, ErrorReply, type Reply } from '../../src/resp/reply.ts';

const SELF = 1;
const GROUP = 1;
const TIMEOUT_MS = 1_000;

function row(name: string): DataCommand {
  for (const command of dataCommands) {
    for (const one of [command, ...command.subcommands]) if (one.name === name) return one;
  }
  throw new Error(`no command ${name}`);
}

const CALLS: Readonly<Record<string, readonly string[]>> = {
  INCR: ['INCR', 'k'],
  GET: ['GET', 'k'],
  'KAHUNA.LOCK|ACQUIRE': ['KAHUNA.LOCK', 'ACQUIRE', 'r', 'o', 'PX', '1000', 'WAIT', '500'],
};

interface Sent {
  readonly to: NodeId;
  readonly job: EntryJob;
  readonly isRetry: boolean;
}

class World {
  nowMs = 0;
  readonly sent: Sent[] = [];
  readonly here: EntryJob[] = [];
  readonly cancelled: string[] = [];
  readonly unblocked: string[] = [];
  readonly replies: string[] = [];
  readonly reachable = new Set<NodeId>([2, 3]);
  isServingHere = false;
  #due: (() => void)[] = [];
  #lookAtMs = Number.POSITIVE_INFINITY;
  readonly mark = new WriteMark();
  readonly router: Router;

  constructor() {
    const members = ['a', 'b', 'c'].map((name) => ({ name, host: name, port: 1 }));
    const topology = buildTopology({ members, selfName: 'a', partitions: 1, replicationFactor: 3 });
    this.router = new Router(topology, {
      clock: { monotonicMs: () => this.nowMs, wallMs: () => 0 },
      node: SELF,
      bootEpoch: 5,
      commandTimeoutMs: TIMEOUT_MS,
      submitHere: (_, job) => this.here.push(job as EntryJob),
      cancelHere: (_, job) => this.cancelled.push(`here ${job.counter}`),
      sendRequest: (to, _, job) => {
        if (!this.reachable.has(to)) return false;
        this.sent.push({ to, job, isRetry: job.isRetry });
        return true;
      },
      sendCancel: (to, counter) => this.cancelled.push(`${to} ${counter}`),
      unblockHere: (_, job, how) => {
        this.unblocked.push(`here ${job.counter} ${how}`);
        return true;
      },
      sendUnblock: (to, { counter, how }) => this.unblocked.push(`${to} ${counter} ${how}`),
      isServingHere: () => this.isServingHere,
      submitAcross: () => assert.fail('there is one partition'),
      sessionIsIdle: () => assert.fail('there is one partition'),
      endOfTurn: (callback) => this.#due.push(callback),
      lookAt: (atMs) => {
        this.#lookAtMs = Math.min(this.#lookAtMs, atMs);
      },
    });
  }

  submit(name: string, text = name): Work {
    const work: Work = {
      call: { command: row(name), argv: (CALLS[name] ?? []).map((word) => Buffer.from(word)), database: 0 },
      transaction: null,
      protocol: 2,
      isNoTouch: false,
      deadlineMs: this.nowMs + TIMEOUT_MS,
      mark: this.mark,
      complete: (reply) => this.replies.push(`${text}: ${told(reply)}`),
    };
    this.router.submit(work);
    return work;
  }

  endTurn(): void {
    const due = this.#due;
    this.#due = [];
    for (const callback of due) callback();
  }

  answer(
    sent: Sent | undefined,
    fields: { readonly text?: string; readonly isRepeat?: boolean; readonly term: number },
  ): void {
    if (sent === undefined) throw new Error('nothing was sent');
    const { text = '', isRepeat = false, term } = fields;
    const reply = Buffer.from(text);
    this.router.answered(sent.to, { counter: sent.job.counter, group: GROUP, term, index: 7, isRepeat, reply });
    this.endTurn();
  }

  /** Looks happen when the router asked for them, and at no other time. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.#lookAtMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.#lookAtMs);
      this.#lookAtMs = Number.POSITIVE_INFINITY;
      this.#lookAtMs = Math.min(this.#lookAtMs, Math.max(this.router.look(), this.nowMs + 1));
    }
    this.nowMs = untilMs;
  }

  /** Counters of what was sent since the last call. */
  taken(): readonly string[] {
    return this.sent.splice(0).map(({ to, job, isRetry }) => `${job.counter}→${to}${isRetry ? ' again' : ''}`);
  }
}

function told(reply: Reply): string {
  if (reply instanceof EncodedReply) return Buffer.from(reply.bytes).toString('latin1');
  return reply instanceof ErrorReply ? reply.text.split(' ', 1).join() : JSON.stringify(reply);
}

describe('router', () => {
  it('holds requests until a leader is known, then sends them in order of submission', () => {
    const world = new World();
    for (let i = 0; i < 3; i++) world.submit('INCR');
    assert.deepEqual(world.taken(), []);
    world.router.leaderServes(GROUP, 2, 1);
    assert.deepEqual(world.taken(), ['1→2', '2→2', '3→2']);
  });

  it('sends what was not answered to the next leader, marked as a repetition, before anything newer', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    world.submit('INCR');
    world.submit('GET');
    world.router.nodeLost(2);
    world.submit('INCR');
    world.taken();
    world.router.leaderServes(GROUP, 3, 2);
    assert.deepEqual(world.taken(), ['1→3 again', '2→3 again', '3→3']);
  });

  it('puts refused requests back into their order', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    for (let i = 0; i < 3; i++) world.submit('INCR');
    const [first, second, third] = world.sent.splice(0);
    for (const sent of [second, third, first]) world.answer(sent, { isRepeat: true, term: 1 });
    world.router.leaderServes(GROUP, 3, 2);
    assert.deepEqual(world.taken(), ['1→3 again', '2→3 again', '3→3 again']);
  });

  it('takes no word from a former leader about a request that the next one has', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    world.submit('KAHUNA.LOCK|ACQUIRE');
    const [old] = world.sent.splice(0);
    world.router.leaderServes(GROUP, 3, 2);
    const [present] = world.sent.splice(0);
    // The former leader notices only now. Were it believed, the request would wait twice in the queue of the new one.
    world.answer(old, { isRepeat: true, term: 1 });
    world.answer(old, { text: '$-1\r\n', term: 1 });
    assert.deepEqual(world.taken(), []);
    assert.deepEqual(world.replies, []);
    world.answer(present, { text: ':4\r\n', term: 2 });
    assert.deepEqual(world.replies, ['KAHUNA.LOCK|ACQUIRE: :4\r\n']);
  });

  it('tells the next leader how long a request has waited, if it may wait', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    world.submit('KAHUNA.LOCK|ACQUIRE');
    world.submit('INCR');
    assert.deepEqual(
      world.sent.splice(0).map(({ job }) => job.waitedMs),
      [0, 0],
    );
    world.pass(700);
    world.router.nodeLost(2);
    world.router.leaderServes(GROUP, 3, 2);
    assert.deepEqual(
      world.sent.splice(0).map(({ job }) => job.waitedMs),
      [700, 0],
    );
  });

  it('recalls what was sent over a link that is lost, also when the leader is no longer believed', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    world.submit('INCR');
    world.submit('INCR');
    const [first] = world.sent.splice(0);
    world.answer(first, { isRepeat: true, term: 1 });
    world.router.nodeLost(2);
    // The same node serves on in the same term: a transfer that came to nothing.
    world.router.leaderServes(GROUP, 2, 1);
    assert.deepEqual(world.taken(), ['1→2 again', '2→2 again']);
  });

  it('answers once, whatever comes twice', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    world.submit('INCR');
    const [sent] = world.sent.splice(0);
    world.answer(sent, { text: ':1\r\n', term: 1 });
    world.answer(sent, { text: ':1\r\n', term: 1 });
    world.pass(TIMEOUT_MS + 1);
    assert.deepEqual(world.replies, ['INCR: :1\r\n']);
  });

  it('notes the place of the last write in the mark of the session', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    world.submit('INCR');
    world.answer(world.sent[0], { text: ':1\r\n', term: 1 });
    assert.deepEqual([world.mark.group, world.mark.index], [GROUP, 7]);
  });

  it('says of a write that nobody ever had that nothing was applied', () => {
    const world = new World();
    world.submit('INCR');
    world.submit('GET');
    world.pass(TIMEOUT_MS + 1);
    assert.deepEqual(world.replies, ['INCR: CLUSTERDOWN', 'GET: CLUSTERDOWN']);
  });

  it('says of a write that somebody may have applied that this is not known', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    world.submit('INCR', 'lost');
    world.submit('GET', 'lost read');
    world.router.nodeLost(2);
    world.pass(TIMEOUT_MS / 2);
    world.router.leaderServes(GROUP, 3, 2);
    world.submit('INCR', 'silent');
    world.pass(TIMEOUT_MS / 2);
    assert.deepEqual(world.replies, ['lost: UNCERTAIN', 'lost read: TRYAGAIN']);
    world.pass(TIMEOUT_MS / 2);
    assert.deepEqual(world.replies.slice(2), ['silent: UNCERTAIN']);
  });

  it('sends on when a node that could not be reached can be', () => {
    const world = new World();
    world.reachable.clear();
    world.router.leaderServes(GROUP, 2, 1);
    world.submit('INCR');
    world.reachable.add(2);
    world.pass(20);
    assert.deepEqual(world.taken(), ['1→2']);
  });

  it('gives requests to the replica on this node when it serves', () => {
    const world = new World();
    world.isServingHere = true;
    world.router.leaderServes(GROUP, SELF, 1);
    world.submit('INCR');
    assert.deepEqual([world.here.map(({ counter }) => counter), world.taken()], [[1], []]);
  });

  it('lets a waiting request of a client that is gone leave its queue, wherever that is', () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    const remote = world.submit('KAHUNA.LOCK|ACQUIRE');
    world.router.cancel(remote);
    world.router.nodeLost(2);
    const held = world.submit('KAHUNA.LOCK|ACQUIRE');
    world.router.cancel(held);
    world.isServingHere = true;
    world.taken();
    world.router.leaderServes(GROUP, SELF, 2);
    const local = world.submit('KAHUNA.LOCK|ACQUIRE');
    world.router.cancel(local);
    assert.deepEqual(
      world.here.map(({ counter }) => counter),
      [3],
    );
    assert.ok(world.cancelled.includes('2 1') && world.cancelled.includes('here 3'));
    world.pass(TIMEOUT_MS * 2);
    assert.deepEqual(world.replies, []);
  });

  it('ends the wait of a command on this node at once', async () => {
    const world = new World();
    world.isServingHere = true;
    world.router.leaderServes(GROUP, SELF, 1);
    const work = world.submit('KAHUNA.LOCK|ACQUIRE');
    assert.equal(await world.router.unblock(work, 'error'), true);
    assert.deepEqual(world.unblocked, ['here 1 error']);
    assert.equal(await world.router.unblock(world.submit('GET'), 'error'), false, 'what cannot wait is left alone');
  });

  it('asks the node that a waiting command was sent to, and believes that node alone', async () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    const work = world.submit('KAHUNA.LOCK|ACQUIRE');
    const asked = world.router.unblock(work, 'timeout');
    assert.equal(await world.router.unblock(work, 'timeout'), false, 'it was asked for already');
    assert.deepEqual(world.unblocked, ['2 1 timeout']);
    world.router.unblockAnswered(3, { counter: 1, wasWaiting: true });
    world.router.unblockAnswered(2, { counter: 1, wasWaiting: true });
    assert.equal(await asked, true);
  });

  it('tells the next leader that a command waits no more', async () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    const asked = world.router.unblock(world.submit('KAHUNA.LOCK|ACQUIRE'), 'timeout');
    world.router.unblockAnswered(2, { counter: 1, wasWaiting: true });
    assert.equal(await asked, true);
    world.sent.length = 0;
    world.router.leaderServes(GROUP, 3, 2);
    assert.deepEqual(
      world.sent.map(({ to, job }) => [to, job.isUnblocked]),
      [[3, true]],
    );
  });

  it('does not claim to have ended a wait that went on at the next leader', async () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    const asked = world.router.unblock(world.submit('KAHUNA.LOCK|ACQUIRE'), 'error');
    world.router.leaderServes(GROUP, 3, 2);
    world.router.unblockAnswered(2, { counter: 1, wasWaiting: true });
    assert.equal(await asked, false);
    assert.equal(world.sent.at(-1)?.job.isUnblocked, false);
  });

  it('gives up when nothing is heard of a wait that was to end', async () => {
    const world = new World();
    world.router.leaderServes(GROUP, 2, 1);
    const asked = world.router.unblock(world.submit('KAHUNA.LOCK|ACQUIRE'), 'error');
    world.pass(TIMEOUT_MS);
    assert.equal(await asked, false);
  });

  it('has keys of several partitions coordinated', () => {
    const members = [{ name: 'a', host: 'a', port: 1 }];
    const topology = buildTopology({ members, selfName: 'a', partitions: 4, replicationFactor: 1 });
    const across: Work[] = [];
    const router = new Router(topology, {
      clock: { monotonicMs: () => 0, wallMs: () => 0 },
      node: SELF,
      bootEpoch: 1,
      commandTimeoutMs: TIMEOUT_MS,
      submitHere: () => assert.fail('it is sent nowhere'),
      cancelHere: () => undefined,
      sendRequest: () => assert.fail('it is sent nowhere'),
      sendCancel: () => undefined,
      unblockHere: () => false,
      sendUnblock: () => undefined,
      isServingHere: () => true,
      submitAcross: (work) => across.push(work),
      sessionIsIdle: () => assert.fail('there is one partition'),
      endOfTurn: () => undefined,
      lookAt: () => undefined,
    });
    const argv = ['MGET', 'a', 'b', 'c'].map((word) => Buffer.from(word));
    const work: Work = {
      call: { command: row('MGET'), argv, database: 0 },
      transaction: null,
      protocol: 2,
      isNoTouch: false,
      deadlineMs: 100,
      mark: new WriteMark(),
      complete: () => assert.fail('it is not answered yet'),
    };
    router.submit(work);
    assert.deepEqual(across, [work]);
  });
});
