/** Commands without keys over several partitions: asked of all, or of the one at which a cursor stands, or refused. */
import { strict as assert } from 'node:assert';
import { type Work, WriteMark } from '../../src/cluster/api.ts';
import { fanOut, type FanOutHost } from '../../src/cluster/fan-out.ts';
import { Route } from '../../src/cluster/route.ts';
import { dataCommands } from '../../src/commands/index.ts';
import type { DataCommand } from '../../src/commands/define.ts';
import { encodeReply } from '../../src/resp/encode.ts';
import { EncodedReply, ErrorReply, type Reply } from '../../src/resp/reply.ts';

function row(name: string): DataCommand {
  for (const one of dataCommands) for (const found of [one, ...one.subcommands]) if (found.name === name) return found;
  throw new Error(`no command ${name}`);
}

interface Asked {
  readonly group: number;
  readonly work: Work;
}

/** Four partitions of 4096 slots. */
function bench(
  argv: readonly string[],
  name = argv[0] ?? '',
): { asked: Asked[]; replies: Reply[]; isHandled: boolean } {
  const asked: Asked[] = [];
  const replies: Reply[] = [];
  const routes = [1, 2, 3, 4].map((id) => new Route(id));
  const host: FanOutHost = {
    routes,
    routeOfSlot: (slot) => routes[Math.floor(slot / 4096)] ?? assert.fail('no such slot'),
    submitTo: (route, work) => asked.push({ group: route.group, work }),
    flush: () => replies.push('flushed'),
  };
  const work = workOf([{ name, argv }], (reply) => replies.push(reply));
  const isHandled = fanOut({ ...work, call: work.transaction?.calls[0] ?? null, transaction: null }, host);
  return { asked, replies, isHandled };
}

function workOf(calls: readonly { name: string; argv: readonly string[] }[], complete: (reply: Reply) => void): Work {
  return {
    call: null,
    transaction: {
      calls: calls.map(({ name, argv }) => ({
        command: row(name),
        argv: argv.map((word) => Buffer.from(word)),
        database: 0,
      })),
      watched: [],
    },
    protocol: 2,
    deadlineMs: 9,
    isNoTouch: false,
    mark: new WriteMark(),
    complete,
  };
}

function textOf(reply: Reply): string {
  return reply instanceof ErrorReply ? reply.text : 'no error';
}

describe('fan-out', () => {
  it('adds up, joins, and picks, whoever answers first and in whatever form', () => {
    const size = bench(['DBSIZE']);
    for (const i of [2, 0, 3, 1]) size.asked[i]?.work.complete(i % 2 === 0 ? i : new EncodedReply(encodeReply(i, 2)));
    assert.deepEqual([size.asked.map(({ group }) => group), size.replies], [[1, 2, 3, 4], [6]]);
    const keys = bench(['KEYS', '*']);
    keys.asked.forEach(({ work }, i) => {
      work.complete(new EncodedReply(encodeReply(i === 1 ? [] : [`k${i}`], 2)));
    });
    assert.deepEqual(keys.replies, [['k0', 'k2', 'k3']]);
    const some = bench(['RANDOMKEY']);
    some.asked.forEach(({ work }, i) => {
      work.complete(i === 2 ? 'k' : null);
    });
    assert.deepEqual(some.replies, ['k']);
  });

  it('answers with the error if one partition fails, and only once all have answered', () => {
    const { asked, replies } = bench(['DBSIZE']);
    const error = new ErrorReply('TRYAGAIN');
    asked[1]?.work.complete(new EncodedReply(encodeReply(error, 2)));
    assert.deepEqual(replies, []);
    for (const i of [0, 2, 3]) asked[i]?.work.complete(1);
    assert.deepEqual(replies.map(textOf), ['TRYAGAIN']);
  });

  it('asks the partition at which the cursor stands', () => {
    const at = (slot: number): string => ((BigInt(slot) << 50n) | 5n).toString();
    const groupOf = (argv: readonly string[], name?: string): number | undefined => bench(argv, name).asked[0]?.group;
    assert.equal(groupOf(['SCAN', '0']), 1);
    assert.equal(groupOf(['SCAN', at(4096)]), 2);
    assert.equal(groupOf(['KAHUNA.LOCK', 'LIST', at(16_383)], 'KAHUNA.LOCK|LIST'), 4);
    assert.equal(groupOf(['SCAN', '18446744073709551615']), 4);
    assert.equal(groupOf(['SCAN', 'no cursor']), 1);
  });

  it('has flushes done at one moment, and refuses what concerns all partitions inside a transaction', () => {
    for (const name of ['FLUSHALL', 'FLUSHDB']) {
      const { asked, replies } = bench([name]);
      assert.deepEqual([asked, replies], [[], ['flushed']]);
    }
    const replies: Reply[] = [];
    const work = workOf(
      [
        { name: 'SET', argv: ['SET', 'k', 'v'] },
        { name: 'DBSIZE', argv: ['DBSIZE'] },
      ],
      (reply) => replies.push(reply),
    );
    assert.ok(
      fanOut(work, {
        routes: [],
        routeOfSlot: () => assert.fail(),
        submitTo: () => assert.fail(),
        flush: () => assert.fail(),
      }),
    );
    assert.ok(replies[0] instanceof ErrorReply);
  });

  it('leaves everything else alone', () => {
    assert.equal(bench(['GET', 'k']).isHandled, false);
    const work = workOf([{ name: 'SET', argv: ['SET', 'k', 'v'] }], () => assert.fail());
    assert.equal(
      fanOut(work, {
        routes: [],
        routeOfSlot: () => assert.fail(),
        submitTo: () => assert.fail(),
        flush: () => assert.fail(),
      }),
      false,
    );
  });
});
