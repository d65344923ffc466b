/** Optimistic transactions, command by command: which steps their reads take, and what each of them may see. */
import { strict as assert } from 'node:assert';
import type { Reply } from '../../src/resp/reply.ts';
import { InteractiveTransaction } from '../../src/txn/interactive.ts';
import { MomentReads } from '../../src/txn/moment-reads.ts';
import { callOf, Partitions } from './partitions.ts';

const OPTIONS = {
  mode: 'optimistic',
  isolation: 'serializable',
  isReadOnly: false,
  moment: 0,
  timeoutMs: 10_000,
} as const;

/** Begins one; the result runs its commands, `COMMIT` too. */
function begin(world: Partitions): (...words: readonly string[]) => Promise<string> {
  const tools = { participants: world, steps: world.steps, moments: new MomentReads(world, () => 1) };
  const transaction = new InteractiveTransaction(tools, { options: OPTIONS, mark: world.newMark() });
  const run = (words: readonly string[]): Promise<Reply> =>
    words[0] === 'COMMIT' ? transaction.commit() : transaction.run(callOf(words), 2);
  return (...words) => world.settled(run(words));
}

/** A world in which something was heard of every partition. */
async function heardOf(): Promise<Partitions> {
  const world = await Partitions.create();
  await world.run(['MGET', '1x', '2x', '3x']);
  world.lines.length = 0;
  return world;
}

describe('an optimistic transaction', () => {
  it('reads what has not changed since it began to read without another look at what it has read', async () => {
    const world = await heardOf();
    const run = begin(world);
    assert.equal(await run('GET', '1a'), '$-1');
    assert.equal(await run('GET', '2b'), '$-1');
    assert.equal(await run('GET', '1c'), '$-1');
    assert.deepEqual(world.lines, ['1 GET a', '2 GET b', '1 GET c']);
    await run('SET', '2b', 'x');
    assert.match(await run('COMMIT'), /^:\d+$/);
    assert.equal(await world.ask('GET', '2b'), '$1 x');
  });

  it('looks again at everything when it reads what has changed since', async () => {
    const world = await heardOf();
    const run = begin(world);
    await run('GET', '1a');
    await world.ask('SET', '2b', 'x');
    world.lines.length = 0;
    assert.equal(await run('GET', '2b'), '$1 x');
    assert.deepEqual(world.lines, ['2 GET b', '1 CHECK a']);
    await world.ask('SET', '1a', 'y');
    await world.ask('SET', '2c', 'y');
    assert.match(await run('GET', '2c'), /^-CONFLICT/);
  });

  it('commits nothing if something has changed since it was read, whether or not it was looked at again', async () => {
    const world = await heardOf();
    const run = begin(world);
    assert.equal(await run('GET', '1a'), '$-1');
    await world.run(['MSET', '1a', 'x', '3d', 'x']);
    assert.equal(await run('GET', '2b'), '$-1', 'both were absent when the first was read');
    await run('SET', '2b', 'y');
    assert.match(await run('COMMIT'), /^-CONFLICT/);
    assert.equal(await world.ask('GET', '2b'), '$-1');
  });

  it('does not see a later part of what had not happened when it read an earlier one', async () => {
    const world = await heardOf();
    const run = begin(world);
    assert.equal(await run('GET', '1a'), '$-1');
    await world.run(['MSET', '1a', 'x', '2b', 'x']);
    assert.match(await run('GET', '2b'), /^-CONFLICT/);
  });
});
