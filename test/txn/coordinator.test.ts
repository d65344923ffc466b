/**
 * Requests over several partitions, against real leaders without a network: which steps are taken, what happens if another transaction
 * or an error comes between, and that nothing is left behind. A key's first character is its partition.
 */
import { strict as assert } from 'node:assert';
import { lockRow, releaseRow } from '../../src/partition/participant.ts';
import { encodeIds, encodeLock } from '../../src/partition/transaction-codec.ts';
import type { View } from '../../src/commands/view.ts';
import type { JobWatch } from '../../src/partition/job.ts';
import { clusterDown, tryAgain, uncertain } from '../../src/resp/errors.ts';
import type { Reply } from '../../src/resp/reply.ts';
import { READ_ROUNDS_MAX } from '../../src/txn/limits.ts';
import { callOf, Partitions, type SentStep } from './partitions.ts';

const OTHER = { node: 9, epoch: 1, counter: 1 };

/** Another transaction takes keys. */
function otherLocks(world: Partitions, ...keys: readonly string[]): Promise<string> {
  const named = keys.map((key) => ({ space: 0, key, mode: 'write' as const }));
  const payload = encodeLock({ id: OTHER, waits: false, isConfirmed: false, leaseMs: 60_000, keys: named });
  return world.settled(world.submit(world.groupOf(keys[0] ?? ''), [lockRow.name, payload.toString('latin1')]));
}

function otherReleases(world: Partitions, group: number): Promise<string> {
  return world.settled(world.submit(group, [releaseRow.name, encodeIds([OTHER]).toString('latin1')]));
}

/** Lets the first steps whose line matches be answered by the test. */
function answerFirst(
  world: Partitions,
  pattern: RegExp,
  ...answers: readonly ((step: SentStep) => Promise<Reply> | Reply)[]
): void {
  const left = [...answers];
  world.interfere = (step) => (pattern.test(step.line) ? left.shift()?.(step) : undefined);
}

describe('a coordinator of reads', () => {
  it('reads every key where it lives, then asks whether all is as it was, and takes no locks', async () => {
    const world = await Partitions.create();
    await world.ask('SET', '1a', 'x');
    await world.ask('SET', '2b', 'y');
    assert.equal(await world.run(['MGET', '1a', '2b', '3c', '1d']), '*4 $1 x $1 y $-1 $-1');
    assert.deepEqual(world.lines, ['1 GET a d', '2 GET b', '3 GET c', '1 CHECK a d', '2 CHECK b', '3 CHECK c']);
    assert.deepEqual(world.leftovers, []);
    assert.deepEqual([world.keyspaceStats.hits, world.keyspaceStats.misses], [2, 2]);
  });

  it('asks only once for keys that have not changed since their leaders were last heard of', async () => {
    const world = await Partitions.create();
    await world.run(['MGET', '1a', '2b']);
    await world.ask('SET', '1a', 'x');
    world.lines.length = 0;
    assert.equal(await world.run(['MGET', '1c', '2b']), '*2 $-1 $-1');
    assert.deepEqual(world.lines, ['1 GET c', '2 GET b'], 'others may change');
    await world.ask('SET', '1c', 'y');
    world.lines.length = 0;
    assert.equal(await world.run(['MGET', '1c', '2b']), '*2 $1 y $-1');
    assert.deepEqual(world.lines, ['1 GET c', '2 GET b', '1 CHECK c', '2 CHECK b'], 'one has changed since');
    world.lines.length = 0;
    assert.equal(await world.run(['MGET', '1c', '2b']), '*2 $1 y $-1');
    assert.deepEqual(world.lines, ['1 GET c', '2 GET b'], 'it has not since then');
  });

  it('asks again what a leader of another term hands out', async () => {
    const world = await Partitions.create();
    await world.run(['MGET', '1a', '2b']);
    await world.leader(2).takeOver();
    world.lines.length = 0;
    assert.equal(await world.run(['MGET', '1a', '2b']), '*2 $-1 $-1');
    assert.deepEqual(world.lines, ['1 GET a', '2 GET b', '1 CHECK a', '2 CHECK b']);
  });

  it('sees all or nothing of what was prepared before it began and is resolved while it reads', async () => {
    const world = await Partitions.create();
    await world.run(['MGET', '1a', '2b']);
    // Prepared in 2, and not decided yet.
    const going: (() => void)[] = [];
    const hold =
      (pattern: RegExp): typeof world.interfere =>
      (step) =>
        pattern.test(step.line)
          ? new Promise<Reply>((resolve) => going.push(() => void step.run().then(resolve)))
          : undefined;
    world.interfere = hold(/^1 COMMIT/);
    const write = world.start(['MSET', '1a', 'x', '2b', 'x']);
    await world.settle();
    // Time goes on there, and what was heard last is heard of both.
    await world.ask('SET', '2z', 'later');
    await world.run(['MGET', '1y', '2z']);
    // The first is read before the decision, the second after its resolution.
    world.interfere = hold(/^2 GET/);
    const read = world.start(['MGET', '1a', '2b']);
    await world.settle();
    world.interfere = () => undefined;
    for (const goOn of going.splice(0, 1)) goOn();
    assert.equal(await world.settled(write), '+OK');
    await world.settle();
    for (const goOn of going) goOn();
    assert.equal(await world.settled(read), '*2 $1 x $1 x');
  });

  it('reads again if something has changed in between, and answers with what was true at one moment', async () => {
    const world = await Partitions.create();
    await world.ask('MSET', '1a', '0');
    await world.ask('MSET', '2b', '0');
    answerFirst(world, /^2 CHECK/, async ({ run }) => {
      await world.submit(1, ['SET', '1a', '1']);
      await world.submit(2, ['SET', '2b', '1']);
      return run();
    });
    assert.equal(await world.run(['MGET', '1a', '2b']), '*2 $1 1 $1 1');
    assert.equal(world.lines.filter((line) => line.includes('GET')).length, 4);
  });

  it('locks what keeps changing, and lets it go again', async () => {
    const world = await Partitions.create();
    world.interfere = (step) => {
      if (!step.line.startsWith('1 GET')) return undefined;
      return step.run().then(async (reply) => {
        await world.submit(1, ['INCR', '1a']);
        return reply;
      });
    };
    assert.equal(await world.run(['MGET', '1a', '2b']), `*2 $1 ${READ_ROUNDS_MAX} $-1`);
    assert.deepEqual(world.lines.slice(-6), [
      '1 LOCK-WAIT a',
      '2 LOCK-WAIT b',
      '1 CHECK a',
      '2 CHECK b',
      '1 RELEASE 1',
      '2 RELEASE 1',
    ]);
    assert.deepEqual(world.leftovers, []);
  });

  it('waits for what is prepared, and sees it all or none of it', async () => {
    const world = await Partitions.create();
    const held: (() => void)[] = [];
    world.interfere = (step) =>
      step.line.includes('RESOLVE')
        ? new Promise<Reply>((resolve) => held.push(() => void step.run().then(resolve)))
        : undefined;
    assert.equal(await world.run(['MSET', '1a', 'x', '2b', 'x']), '+OK');
    const read = world.start(['MGET', '1a', '2b']);
    let isAnswered = false;
    void read.then(() => (isAnswered = true));
    await world.settle();
    assert.equal(isAnswered, false, 'the second is prepared');
    for (const goOn of held) goOn();
    assert.equal(await world.settled(read), '*2 $1 x $1 x');
  });

  it('is answered with the error of a partition that does not answer', async () => {
    const world = await Partitions.create();
    for (const pattern of [/^2 GET/, /^2 CHECK/]) {
      answerFirst(world, pattern, () => clusterDown('partition 2 has no leader; nothing was applied'));
      assert.equal(
        await world.run(['MGET', '1a', '2b']),
        '-CLUSTERDOWN partition 2 has no leader; nothing was applied',
      );
    }
  });
});

describe('a coordinator of writes', () => {
  it('locks, prepares at all partitions but the first that is written, commits there, tells the others, and has it forgotten', async () => {
    const world = await Partitions.create();
    await world.ask('SET', '1a', '5');
    assert.equal(await world.run(['GET', '3c'], ['INCR', '1a'], ['INCR', '2b']), '*3 $-1 :6 :1');
    assert.deepEqual(world.lines, [
      '3 LOCK c',
      '1 LOCK a',
      '2 LOCK b',
      '3 PREPARE read c',
      '2 PREPARE read b write b',
      '1 COMMIT read a write a with 3 2',
      '3 RESOLVE commit',
      '2 RESOLVE commit',
    ]);
    assert.deepEqual([world.forgetsAsked, world.leftovers], [1, ['1: 1 records']]);
    world.steps.forgetSettled();
    await world.settle();
    assert.deepEqual(world.leftovers, []);
    assert.equal(await world.run(['MGET', '1a', '2b', '3c']), '*3 $1 6 $1 1 $-1');
  });

  it('needs no locks for what only sets keys', async () => {
    const world = await Partitions.create();
    assert.equal(await world.run(['MSET', '1a', 'x', '2b', 'y', '2c', 'z']), '+OK');
    assert.deepEqual(world.lines.slice(0, 2), ['2 PREPARE write b c', '1 COMMIT write a with 2']);
    assert.equal(await world.run(['MGET', '1a', '2b', '2c']), '*3 $1 x $1 y $1 z');
  });

  it('commits in one step if all that it comes to lies in one partition', async () => {
    const world = await Partitions.create();
    await world.ask('SET', '1a', 'x');
    assert.equal(await world.run(['DEL', '1a', '2b']), ':1');
    assert.deepEqual(world.lines.slice(-3), ['2 PREPARE read b', '1 COMMIT read a write a with 2', '2 RESOLVE commit']);
    world.lines.length = 0;
    assert.equal(await world.run(['SET', '1a', 'y'], ['SET', '1a', 'z']), '*2 +OK +OK');
    assert.deepEqual(world.lines, ['1 COMMIT write a forgets 1']);
  });

  it('writes nothing if nothing comes of it, and is still sure of what it has read', async () => {
    const world = await Partitions.create();
    await world.ask('SET', '2b', 'y');
    assert.equal(await world.run(['MSETNX', '1a', 'x', '2b', 'x']), ':0');
    assert.deepEqual(world.lines, ['1 LOCK a', '2 LOCK b', '1 CHECK a', '2 CHECK b', '1 RELEASE 1', '2 RELEASE 1']);
    assert.deepEqual(world.leftovers, []);
  });

  it('queues up for the keys in their order after a conflict, and is served in turn', async () => {
    const world = await Partitions.create();
    await otherLocks(world, '2b');
    const exec = world.start(['INCR', '3c'], ['INCR', '2b'], ['INCR', '1a']);
    await world.settle();
    assert.deepEqual(world.lines.slice(0, 6), [
      '3 LOCK c',
      '2 LOCK b',
      '1 LOCK a',
      '3 RELEASE 1',
      '1 RELEASE 1',
      '1 LOCK-WAIT a',
    ]);
    assert.equal(world.lines.at(-1), '2 LOCK-WAIT b', 'the third is locked when the second is had');
    const later = world.submit(2, ['APPEND', '2b', '0']);
    await otherReleases(world, 2);
    assert.equal(await world.settled(exec), '*3 :1 :1 :1');
    assert.equal(await world.settled(later), ':2');
  });

  it('lets everything go if a partition fails, also what was granted after that', async () => {
    // The failure was reported while another lock was still on its way, and its release overtook it.
    const world = await Partitions.create();
    let grant: () => void = () => undefined;
    world.interfere = (step) => {
      if (step.line.startsWith('1 LOCK')) return tryAgain('the log is full of writes that wait; nothing was applied');
      if (!step.line.startsWith('2 LOCK')) return undefined;
      return new Promise<Reply>((resolve) => {
        grant = () => void step.run().then(resolve);
      });
    };
    const exec = world.start(['INCR', '1a'], ['INCR', '2b']);
    await world.settle();
    grant();
    assert.equal(await world.settled(exec), '-TRYAGAIN the log is full of writes that wait; nothing was applied');
    await world.settle();
    assert.deepEqual(world.leftovers, []);
    assert.equal(await world.ask('INCR', '2b'), ':1');
  });

  it('is made again if a partition refuses to prepare, and nothing of the first attempt is left', async () => {
    const world = await Partitions.create();
    answerFirst(world, /^2 PREPARE/, async ({ run }) => {
      // Its locks are lost with their leader, and somebody uses that.
      world.leader(2).tenure.dropParts(() => true);
      await world.submit(2, ['SET', '2b', '7']);
      return run();
    });
    assert.equal(await world.run(['INCR', '1a'], ['INCR', '2b'], ['INCR', '3c']), '*3 :1 :8 :1');
    const aborts = world.lines.filter((line) => line.includes('abort'));
    assert.deepEqual(aborts, ['2 RESOLVE abort', '3 RESOLVE abort']);
    assert.equal(await world.run(['MGET', '1a', '2b', '3c']), '*3 $1 1 $1 8 $1 1');
    world.steps.forgetSettled();
    await world.settle();
    assert.deepEqual(world.leftovers, []);
  });

  it('is made again if the anchor refuses, or if a step may be tried again', async () => {
    for (const [pattern, answer] of [
      [/^1 COMMIT/, (): Reply => clusterDown('x')],
      [/^2 PREPARE/, (): Reply => tryAgain('x')],
      [/^2 PREPARE/, (): Reply => uncertain('x')],
    ] as const) {
      const world = await Partitions.create();
      answerFirst(world, pattern, answer);
      assert.equal(await world.run(['INCR', '1a'], ['INCR', '2b']), '*2 :1 :1');
      assert.ok(world.lines.includes('2 RESOLVE abort'));
      world.steps.forgetSettled();
      await world.settle();
      assert.deepEqual(world.leftovers, []);
    }
  });

  it('that was prepared although nobody said so is aborted', async () => {
    const world = await Partitions.create();
    answerFirst(world, /^2 PREPARE/, async ({ run }) => {
      await run();
      return uncertain('the leader was lost before the outcome was known; the command may have been applied');
    });
    assert.equal(await world.run(['INCR', '1a'], ['INCR', '2b']), '*2 :1 :1');
    assert.equal(await world.run(['MGET', '1a', '2b']), '*2 $1 1 $1 1');
  });

  const NO_ANSWER = 'the leader did not answer in time; the command may have been applied, or may still be';

  it('says so if it is not known whether the anchor has committed, and carries out what it has decided', async () => {
    const world = await Partitions.create();
    answerFirst(world, /^1 COMMIT/, async ({ run }: SentStep): Promise<Reply> => {
      await run();
      return uncertain(NO_ANSWER);
    });
    assert.match(await world.run(['INCR', '1a'], ['INCR', '2b']), /^-UNCERTAIN the leader did not answer in time/);
    await world.settle();
    assert.equal(await world.run(['MGET', '1a', '2b']), '*2 $1 1 $1 1');
    assert.ok(!world.leftovers.some((line) => line.includes('prepared')));
  });

  it('has the anchor decide for abort if it has not decided, and lets all keys go', async () => {
    const world = await Partitions.create();
    let late = (): Promise<Reply> => Promise.resolve(null);
    answerFirst(world, /^1 COMMIT/, ({ run }: SentStep): Reply => {
      late = run;
      return uncertain(NO_ANSWER);
    });
    assert.match(await world.run(['INCR', '1a'], ['INCR', '2b']), /^-UNCERTAIN/);
    await world.settle();
    assert.equal(await world.run(['MGET', '1a', '2b']), '*2 $-1 $-1');
    assert.equal(await world.run(['MSET', '1a', '7', '2b', '7']), '+OK');
    // The commit arrives at last.
    const answer = late();
    await world.settle();
    await answer;
    assert.equal(await world.run(['MGET', '1a', '2b']), '*2 $1 7 $1 7');
  });

  it('leaves it to whoever is prepared if the anchor cannot be reached', async () => {
    const world = await Partitions.create();
    world.interfere = ({ line }) => {
      if (line.startsWith('1 COMMIT')) return uncertain(NO_ANSWER);
      return line.startsWith('1 STATUS') ? clusterDown('partition 1 has no leader') : undefined;
    };
    assert.match(await world.run(['INCR', '1a'], ['INCR', '2b']), /^-UNCERTAIN/);
    await world.settle();
    assert.ok(!world.lines.some((line) => line.includes('RESOLVE')));
    assert.deepEqual(world.leftovers, ['2: 7.3.1 prepared', '2: 1 records']);
  });

  it('ends with TRYAGAIN at its deadline, having applied nothing, whatever of its steps is unknown', async () => {
    const world = await Partitions.create();
    world.interfere = ({ line, deadlineMs }) => {
      if (!line.startsWith('2 PREPARE')) return undefined;
      world.nowMs = deadlineMs;
      return uncertain('the leader did not answer in time; the command may have been applied, or may still be');
    };
    assert.equal(
      await world.run(['INCR', '1a'], ['INCR', '2b']),
      '-TRYAGAIN a partition did not answer in time; nothing was applied',
    );
    await world.settle();
    assert.deepEqual(world.leftovers, []);
    assert.equal(await world.ask('EXISTS', '1a'), ':0');
  });

  it('waits for a key no longer than its deadline', async () => {
    const world = await Partitions.create();
    await otherLocks(world, '2b');
    const exec = world.start(['INCR', '1a'], ['INCR', '2b']);
    assert.match(await world.settled(exec), /^-TRYAGAIN a transaction holds its keys/);
    assert.ok(world.nowMs >= world.commandTimeoutMs && world.nowMs < world.commandTimeoutMs * 1.1);
    await otherReleases(world, 2);
    await world.pass(100);
    assert.equal(await world.ask('INCR', '1a'), ':1');
    assert.deepEqual(world.leftovers, []);
  });

  it('is refused what is too large, before anything is prepared', async () => {
    const world = await Partitions.create();
    const long = 'x'.repeat(33 * 1024 * 1024);
    assert.match(
      await world.run(['MSET', '1a', long, '2b', long]),
      /^-ERR a transaction over several partitions may write at most/,
    );
    assert.deepEqual([world.lines, world.leftovers], [[], []]);
  });

  it('that expires while it waits for another key ends with what is there, and does not wait for itself', async () => {
    const world = await Partitions.create();
    await world.ask('SET', '1a', 'x', 'PX', '100');
    await otherLocks(world, '2b');
    const exec = world.start(['MSETNX', '1a', 'y', '2b', 'y']);
    await world.settle();
    await world.pass(300);
    await otherReleases(world, 2);
    assert.equal(await world.settled(exec), ':1');
    assert.ok(world.nowMs < 1_000, `after ${world.nowMs} ms`);
  });
});

describe('a coordinator', () => {
  it('compares what was watched, of all partitions, with what is there', async () => {
    const world = await Partitions.create();
    await world.ask('SET', '1a', 'x');
    const watch = async (key: string): Promise<JobWatch> => {
      const version = Number(/:(\d+)/.exec(await world.ask('%WATCH', key))?.[1]);
      return { database: 0, key: Buffer.from(key), version };
    };
    const exec = async (watched: readonly JobWatch[]): Promise<string> => {
      const request = world.request({
        calls: [
          ['SET', '2b', 'y'],
          ['INCR', '3c'],
        ],
        watched,
      });
      return world.settled(world.coordinator.run(request));
    };
    const watched = [await watch('1a'), await watch('3absent')];
    assert.equal(await exec(watched), '*2 +OK :1');
    assert.equal(await exec(watched), '*2 +OK :2', 'what was watched and not written is as it was');
    await world.ask('SET', '3absent', 'z');
    await world.ask('DEL', '3absent');
    assert.equal(await exec(watched), '*-1', 'absent, and was there in between');
    assert.equal(await exec([await watch('1a'), await watch('2b')]), '*2 +OK :3');
    assert.equal(await exec([watched[0] as JobWatch]), '*2 +OK :4');
    assert.equal(await world.run(['SET', '1a', 'x'], ['SET', '2d', 'x']), '*2 +OK +OK');
    assert.equal(await exec(watched.slice(0, 1)), '*-1', 'another transaction has written it');
    assert.equal(await world.ask('GET', '3c'), '$1 4');
  });

  it('has a key that came and went within the transaction noticed by whoever watches it', async () => {
    // It was no write at all, and an assertion failed if there was no other.
    const world = await Partitions.create();
    const version = (): Promise<string> => world.ask('%WATCH', '1a');
    const before = await version();
    assert.equal(await world.run(['SET', '1a', 'x', 'PXAT', '1'], ['GET', '2b']), '*2 +OK $-1');
    const between = await version();
    assert.notEqual(between, before);
    assert.equal(await world.run(['GET', '2b'], ['SET', '1a', 'x'], ['DEL', '1a']), '*3 $-1 +OK :1');
    assert.notEqual(await version(), between);
    assert.equal(await world.ask('EXISTS', '1a'), ':0');
  });

  it('runs what names its keys only while it runs, and locks them as it comes to them', async () => {
    const world = await Partitions.create();
    await world.ask('SET', '1a', '2b');
    await world.ask('SET', '2b', '3c');
    const calls = ['GET', '1a'];
    // As a script would: each key is the value of the one before.
    const follow = {
      ...callOf(calls).command,
      flags: ['write'] as const,
      run: (view: View): Reply => {
        let key = '1a';
        for (;;) {
          const next = view.find(0, key)?.value;
          if (typeof next !== 'string') {
            view.put(0, key, 'end', 0);
            return key;
          }
          key = next;
        }
      },
    };
    const request = { ...world.request({ calls: [calls] }), call: { ...callOf(calls), command: follow } };
    assert.equal(await world.settled(world.coordinator.run(request)), '$2 3c');
    assert.deepEqual(world.lines.slice(0, 4), ['1 LOCK a', '2 LOCK b', '3 LOCK c', '1 PREPARE read a']);
    assert.equal(await world.ask('GET', '3c'), '$3 end');
  });

  it('has everything forgotten that is settled, with the next commit of the same anchor, or by itself', async () => {
    const world = await Partitions.create();
    await world.run(['INCR', '1a'], ['INCR', '2b']);
    await world.run(['INCR', '1a'], ['INCR', '2b']);
    assert.equal(
      world.lines.find((line) => line.includes('forgets')),
      '1 COMMIT read a write a with 2 forgets 1',
    );
    await world.run(['INCR', '2b'], ['INCR', '1a']);
    world.steps.forgetSettled();
    await world.settle();
    assert.deepEqual(world.lines.slice(-2), ['1 FORGET 1', '2 FORGET 1']);
    assert.deepEqual(world.leftovers, []);
    world.steps.forgetSettled();
    assert.equal(world.lines.at(-1), '2 FORGET 1', 'nothing is left to forget');
  });

  it('keeps a decision that some participant does not know of', async () => {
    const world = await Partitions.create();
    world.interfere = ({ line }) => (line === '2 RESOLVE commit' ? clusterDown('x') : undefined);
    assert.equal(await world.run(['INCR', '1a'], ['INCR', '2b']), '*2 :1 :1');
    assert.equal(world.lines.filter((line) => line === '2 RESOLVE commit').length, 3);
    assert.deepEqual([world.forgetsAsked, world.leftovers], [0, ['1: 1 records', '2: 7.3.1 prepared', '2: 1 records']]);
  });

  it('notes the entry of the decision as the last write of the session', async () => {
    const world = await Partitions.create();
    const mark = world.newMark();
    const request = world.request({
      calls: [
        ['INCR', '2b'],
        ['INCR', '1a'],
      ],
      mark,
    });
    assert.equal(await world.settled(world.coordinator.run(request)), '*2 :1 :1');
    assert.equal(mark.group, 2);
    assert.ok(mark.index > 0);
  });

  it('tells of an answer that makes no sense as of one that is not known', async () => {
    for (const pattern of [/LOCK/, /COMMIT/, /GET/]) {
      const world = await Partitions.create();
      answerFirst(world, pattern, () => Buffer.from('nonsense'));
      const calls =
        pattern.source === 'GET'
          ? [['MGET', '1a', '2b']]
          : [
              ['INCR', '1a'],
              ['INCR', '2b'],
            ];
      assert.match(await world.run(...calls), /^-(UNCERTAIN|TRYAGAIN)/, pattern.source);
      assert.deepEqual(world.failures, []);
    }
  });

  it('empties all partitions at one moment', async () => {
    const world = await Partitions.create();
    for (const key of ['1a', '2b', '3c']) await world.ask('SET', key, 'x');
    const reply = await world.settled(world.coordinator.flush(world.request({ calls: [['FLUSHALL']], isExec: false })));
    assert.equal(reply, '+OK');
    assert.equal(await world.run(['MGET', '1a', '2b', '3c']), '*3 $-1 $-1 $-1');
    world.steps.forgetSettled();
    await world.settle();
    assert.deepEqual(world.leftovers, []);
  });
});
