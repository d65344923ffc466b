/** KAHUNA.FENCE in transactions of clients: at the commit the fence must hold, and who lost the lock hears FENCED. */
import { strict as assert } from 'node:assert';
import { ErrorReply, type Reply } from '../../src/resp/reply.ts';
import { SmallCluster, type TestClient } from './small-cluster.ts';

const LEASE_MS = '1000';

function textOf(reply: Reply): string {
  return reply instanceof ErrorReply ? reply.text : JSON.stringify(reply);
}

interface Stage {
  readonly world: SmallCluster;
  /** Conducts the transaction, and held the lock first. */
  readonly holder: TestClient;
  readonly other: TestClient;
  /** Of the holder. */
  readonly token: string;
}

async function open(): Promise<Stage> {
  const world = new SmallCluster({ values: { partitions: 4, 'version-retention': 3_600_000 } });
  await world.ready(await world.start('n1'));
  const holder = await world.client('n1');
  const other = await world.client('n1');
  const token = textOf(await holder.call('KAHUNA.LOCK', 'ACQUIRE', 'printer', 'holder', 'PX', LEASE_MS));
  await holder.call('MSET', 'a', '0', 'b', '0');
  return { world, holder, other, token };
}

/** The lease is over, and somebody else gets the lock. */
async function lose({ world, other }: Stage): Promise<void> {
  await world.time.pass(2 * Number(LEASE_MS));
  assert.match(textOf(await other.call('KAHUNA.LOCK', 'ACQUIRE', 'printer', 'other', 'PX', LEASE_MS)), /^\d+$/);
}

async function untouched({ other }: Stage): Promise<void> {
  assert.deepEqual(await other.call('MGET', 'a', 'b'), ['0', '0']);
}

/** A pessimistic transaction takes the lock's record itself, so nobody can get the lock before its end: see below. */
const MODES = [
  ['OPTIMISTIC', 'SERIALIZABLE'],
  ['OPTIMISTIC', 'SNAPSHOT'],
] as const;

describe('a fence in a transaction', () => {
  for (const mode of MODES) {
    const begin = ['KAHUNA.TX', 'BEGIN', ...mode] as const;

    it(`that does not hold at the commit any more is answered with FENCED (${mode.join(' ')})`, async () => {
      const stage = await open();
      const { holder, token } = stage;
      await holder.call(...begin);
      assert.equal(textOf(await holder.call('KAHUNA.FENCE', 'printer', token)), '{"text":"OK"}');
      await holder.call('SET', 'a', '1');
      await holder.call('SET', 'b', '1');
      await lose(stage);
      assert.match(textOf(await holder.call('KAHUNA.TX', 'COMMIT')), /^FENCED /);
      await untouched(stage);
    });

    it(`that holds lets the commit pass (${mode.join(' ')})`, async () => {
      const stage = await open();
      const { holder, token } = stage;
      await holder.call(...begin);
      await holder.call('KAHUNA.FENCE', 'printer', token);
      await holder.call('SET', 'a', '1');
      await holder.call('SET', 'b', '1');
      await stage.world.time.pass(2 * Number(LEASE_MS));
      assert.equal(typeof (await holder.call('KAHUNA.TX', 'COMMIT')), 'number', 'nobody else had the lock');
      assert.deepEqual(await stage.other.call('MGET', 'a', 'b'), ['1', '1']);
    });

    it(`that does not hold from the start ends the transaction with FENCED (${mode.join(' ')})`, async () => {
      const stage = await open();
      const { holder, token } = stage;
      await lose(stage);
      await holder.call(...begin);
      assert.match(textOf(await holder.call('KAHUNA.FENCE', 'printer', token)), /^FENCED /);
      assert.match(textOf(await holder.call('SET', 'a', '1')), /^FENCED /);
      assert.match(textOf(await holder.call('KAHUNA.TX', 'COMMIT')), /^FENCED /);
      await untouched(stage);
    });
  }

  it('is told as soon as something else is read after it was lost', async () => {
    const stage = await open();
    const { holder, token } = stage;
    await holder.call('KAHUNA.TX', 'BEGIN');
    await holder.call('KAHUNA.FENCE', 'printer', token);
    await lose(stage);
    assert.match(textOf(await holder.call('GET', 'a')), /^FENCED /);
    assert.match(textOf(await holder.call('KAHUNA.TX', 'COMMIT')), /^FENCED /);
  });

  it('leaves a conflict about something else what it is', async () => {
    const stage = await open();
    const { holder, other, token } = stage;
    for (const mode of MODES) {
      await holder.call('KAHUNA.TX', 'BEGIN', ...mode);
      await holder.call('KAHUNA.FENCE', 'printer', token);
      await holder.call('INCR', 'b');
      await other.call('SET', 'b', '7');
      assert.match(textOf(await holder.call('KAHUNA.TX', 'COMMIT')), /^CONFLICT /);
    }
    assert.equal(await other.call('GET', 'b'), '7');
  });

  for (const isolation of ['SERIALIZABLE', 'SNAPSHOT']) {
    it(`keeps the lock in its place to the end of a pessimistic transaction (${isolation})`, async () => {
      const stage = await open();
      const { holder, token, world } = stage;
      await holder.call('KAHUNA.TX', 'BEGIN', 'PESSIMISTIC', isolation);
      await holder.call('KAHUNA.FENCE', 'printer', token);
      await holder.call('SET', 'a', '1');
      await world.time.pass(2 * Number(LEASE_MS));
      const waiting = stage.other.call('KAHUNA.LOCK', 'ACQUIRE', 'printer', 'other', 'PX', LEASE_MS);
      assert.match(textOf(await holder.call('KAHUNA.TX', 'COMMIT')), /^\d+$/);
      assert.match(textOf(await waiting), /^\d+$/);
    });
  }

  it('holds with a token that was granted by SET NX', async () => {
    const stage = await open();
    const { world, holder, other } = stage;
    await holder.call('SET', 'job', 'holder', 'NX', 'PX', LEASE_MS);
    const token = textOf(await holder.call('KAHUNA.LOCK', 'TOKEN', 'job'));
    for (const [isLost, answer] of [
      [false, /^\d+$/],
      [true, /^FENCED /],
    ] as const) {
      await holder.call('KAHUNA.TX', 'BEGIN');
      await holder.call('KAHUNA.FENCE', 'job', token);
      await holder.call('SET', 'a', '1');
      if (isLost) {
        await world.time.pass(2 * Number(LEASE_MS));
        await other.call('SET', 'job', 'other', 'NX', 'PX', LEASE_MS);
      }
      assert.match(textOf(await holder.call('KAHUNA.TX', 'COMMIT')), answer);
    }
  });
});

describe('locks in a snapshot transaction', () => {
  it('must not have changed since it began if something is written, also where a script has looked at them', async () => {
    const stage = await open();
    const { holder, token } = stage;
    const script = `redis.call('KAHUNA.FENCE', KEYS[1], ARGV[1]) return 1`;
    for (const isLost of [false, true]) {
      await holder.call('KAHUNA.TX', 'BEGIN', 'SNAPSHOT');
      assert.equal(await holder.call('EVAL', script, '1', 'printer', token), 1);
      await holder.call('SET', 'a', '1');
      if (isLost) await lose(stage);
      assert.match(textOf(await holder.call('KAHUNA.TX', 'COMMIT')), isLost ? /^CONFLICT / : /^\d+$/);
    }
  });
});
