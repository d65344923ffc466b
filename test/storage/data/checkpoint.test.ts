/** Making the store durable: which files are synced, in which order, and what may happen meanwhile. */
import { strict as assert } from 'node:assert';
import { syncWriteAhead } from '../../../src/storage/data/checkpoint.ts';
import { StepScheduler } from '../../doubles/stepping.ts';
import { apply, Node, put } from './support.ts';

describe('data store: sync', () => {
  it('syncs every write-ahead file, none else, and then the directory', async () => {
    const calls: string[] = [];
    const note = (call: string): Promise<void> => {
      calls.push(call);
      return Promise.resolve();
    };
    const names = [
      '000004.log',
      '000007.log',
      '000005.ldb',
      'CURRENT',
      'LOCK',
      'LOG',
      'LOG.old',
      'MANIFEST-000002',
      'x.log',
    ];
    await syncWriteAhead(
      {
        list: (path) => note(`list ${path}`).then(() => names),
        syncFile: (path) => note(`file ${path}`),
        syncDirectory: (path) => note(`directory ${path}`),
      },
      '/data',
    );
    assert.deepEqual(calls, ['list /data', 'file /data/000004.log', 'file /data/000007.log', 'directory /data']);
  });

  it('what was applied when it was called survives a power cut, also if files are replaced meanwhile', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const scheduler = new StepScheduler();
      const node = new Node(seed, { schedule: scheduler.schedule, rotationBytes: 200 });
      let data = await scheduler.until(node.open());
      for (let index = 1; index <= 10; index++)
        await scheduler.until(apply(data, 1, [put('a', `${index}`, index)], index));
      const synced = data.sync();
      void apply(data, 1, [put('a', '11', 11)], 11);
      if (seed % 2 === 0) node.device.rotate();
      await scheduler.until(synced);
      scheduler.clear();
      node.crashMachine('machine-rotation');
      data = await scheduler.until(node.open());
      assert.ok((data.recovered.get(1)?.index ?? 0) >= 10, `seed ${seed}`);
    }
  });

  it('callers during a sync share the next one', async () => {
    const scheduler = new StepScheduler();
    const node = new Node(1, { schedule: scheduler.schedule });
    const data = await scheduler.until(node.open());
    let lists = 0;
    const { list } = node.device.disk;
    Object.assign(node.device.disk, {
      list: (path: string) => {
        lists++;
        return list(path);
      },
    });
    const first = data.sync();
    await scheduler.step();
    const others = [data.sync(), data.sync(), data.sync()];
    await scheduler.until(Promise.all([first, ...others]));
    assert.equal(lists, 2);
  });
});
