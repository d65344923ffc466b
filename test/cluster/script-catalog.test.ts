/** The catalogue of scripts over a metadata group whose answers the test gives. */
import { strict as assert } from 'node:assert';
import { type MetadataGroup, ReplicatedScripts } from '../../src/cluster/script-catalog.ts';
import type { RecordReader } from '../../src/partition/record-reader.ts';
import { OK, type Reply } from '../../src/resp/reply.ts';

/** Of a node whose own store holds no script. */
const emptyReader = { readKey: () => undefined } as unknown as RecordReader;
const BODY = Buffer.from('return 1');

class Group implements MetadataGroup {
  flushed = 0;
  readonly barriers: number[] = [];
  release: () => void = () => undefined;
  onCall: () => void = () => undefined;

  call(): Promise<{ readonly reply: Reply; readonly index: number }> {
    this.onCall();
    return Promise.resolve({ reply: OK, index: 7 });
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
});
