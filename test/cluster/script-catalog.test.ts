/** The catalogue of scripts over a metadata group whose answers the test gives. */
import { strict as assert } from 'node:assert';
import { type MetadataGroup, ReplicatedScripts } from '../../src/cluster/script-catalog.ts';
import type { RecordReader } from '../../src/partition/record-reader.ts';
import { ErrorReply, OK, type Reply, ReplyError } from '../../src/resp/reply.ts';

/** Of a node whose own store holds no script. */
const emptyReader = { readKey: () => undefined } as unknown as RecordReader;
const BODY = Buffer.from('return 1');

class Group implements MetadataGroup {
  flushed = 0;
  readonly barriers: number[] = [];
  release: () => void = () => undefined;
  onCall: () => void = () => undefined;
  reply: Reply = OK;

  call(): Promise<{ readonly reply: Reply; readonly index: number }> {
    this.onCall();
    return Promise.resolve({ reply: this.reply, index: 7 });
  }

  appliedEverywhere(index: number): Promise<void> {
    this.barriers.push(index);
    return new Promise((resolve) => {
      this.release = resolve;
    });
  }

  flushedAt(): number {
    return this.flushed;
  }
}

/** Lets all promises that can settle do so. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the catalogue of scripts', () => {
  it('loads everywhere: it is not answered before every connected node has applied it', async () => {
    const group = new Group();
    let isLoaded = false;
    void new ReplicatedScripts(emptyReader, group).loadEverywhere(BODY).then(() => {
      isLoaded = true;
    });
    await settled();
    assert.deepEqual([group.barriers, isLoaded], [[7], false]);
    group.release();
    await settled();
    assert.equal(isLoaded, true);
  });

  it('remembers what it loaded, unless a flush came meanwhile', async () => {
    const group = new Group();
    const scripts = new ReplicatedScripts(emptyReader, group);
    const sha = await scripts.load(BODY);
    assert.deepEqual(scripts.get(sha), BODY);
    group.onCall = () => {
      group.flushed = 1;
      scripts.applied();
    };
    await scripts.load(BODY);
    assert.equal(scripts.get(sha), undefined);
  });

  it('finds at the leader what its own store lacks: evaluated here, or decoded from the answer of another node', async () => {
    const group = new Group();
    const body = Buffer.from('return "\xe9\xff\0"', 'latin1');
    for (const [sha, reply] of [
      ['a', [body]],
      ['b', [body.toString('latin1')]],
    ] as const) {
      const scripts = new ReplicatedScripts(emptyReader, group);
      group.reply = reply;
      assert.deepEqual(await scripts.find(sha), body);
      group.reply = [null];
      assert.deepEqual(await scripts.find(sha), body, 'it is remembered');
      assert.equal(await scripts.find('c'), undefined);
    }
  });

  it('does not remember what it found if a flush came meanwhile', async () => {
    const group = new Group();
    const scripts = new ReplicatedScripts(emptyReader, group);
    group.reply = [BODY];
    group.onCall = () => {
      group.flushed = 9;
      scripts.applied();
    };
    assert.deepEqual(await scripts.find('a'), BODY);
    assert.equal(scripts.get('a'), undefined);
  });

  it('forgets with a flush here, and is answered when every connected node has forgotten', async () => {
    const group = new Group();
    const scripts = new ReplicatedScripts(emptyReader, group);
    const sha = await scripts.load(BODY);
    let isAnswered = false;
    const flushed = scripts.flush().then(() => (isAnswered = true));
    await settled();
    assert.deepEqual([group.barriers, isAnswered, scripts.get(sha)], [[7], false, undefined]);
    group.release();
    await flushed;
  });

  it('passes on the error that the group answers', async () => {
    const group = new Group();
    group.reply = new ErrorReply('CLUSTERDOWN no leader');
    const scripts = new ReplicatedScripts(emptyReader, group);
    for (const asked of [scripts.find('a'), scripts.load(BODY), scripts.exists(['a']), scripts.flush()]) {
      await assert.rejects(asked, (error) => error instanceof ReplyError && error.reply === group.reply);
    }
  });

  it('says which scripts exist, in any letter case', async () => {
    const group = new Group();
    group.reply = ['return 1', null];
    assert.deepEqual(await new ReplicatedScripts(emptyReader, group).exists(['AB', 'CD']), [true, false]);
  });
});
