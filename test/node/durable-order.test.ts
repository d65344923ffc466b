/**
 * The order of what a node makes durable, as one list: what a client is told comes after the log holds it, and the log is cut
 * only after the data is synced and a checkpoint in the log says so. The disk, the ordered store and the client's connection
 * write into the list as things complete.
 */
import assert from 'node:assert/strict';
import type { Disk } from '../../src/base/platform.ts';
import { joined, SmallCluster } from './small-cluster.ts';

const DATA = '/data/data';

/** The disk, with a line for each operation that has completed. */
function listed(disk: Disk, lines: string[]): Disk {
  const note = (what: string, path: string): void => {
    lines.push(`${what} ${path.startsWith(DATA) ? 'data' : path.includes('/log/segment') ? 'log' : path}`);
  };
  return {
    ...disk,
    remove: async (path) => {
      await disk.remove(path);
      note('removed', path);
    },
    syncFile: async (path) => {
      await disk.syncFile(path);
      note('synced', path);
    },
    syncDirectory: async (path) => {
      await disk.syncDirectory(path);
      note('synced directory', path);
    },
    openForWriting: async (path, sizeBytes) => {
      const file = await disk.openForWriting(path, sizeBytes);
      return {
        writeAndSync: (chunk, position, done) => {
          file.writeAndSync(chunk, position, (error) => {
            note('wrote', path);
            done(error);
          });
        },
        close: () => file.close(),
      };
    },
  };
}

describe('what a node makes durable', () => {
  it('is in the log before the client hears of it', async () => {
    const world = new SmallCluster();
    const lines: string[] = [];
    const node = await world.start('n1', { disk: listed(joined(world.machine('n1')), lines) });
    await world.ready(node);
    const client = await world.client('n1');
    await client.call('SET', 'k', '0');
    for (const command of [
      ['SET', 'k', '1'],
      ['INCR', 'k'],
      ['DEL', 'k'],
    ]) {
      lines.length = 0;
      await client.call(...command);
      lines.push('replied');
      assert.deepEqual(lines, ['wrote log', 'replied'], command.join(' '));
    }
    lines.length = 0;
    await client.call('GET', 'k');
    assert.deepEqual(lines, [], 'a read writes nothing');
    await world.finished(node.close(0));
  });

  it('is synced in the data before the log says so, and the log is cut after that', async () => {
    const world = new SmallCluster({ values: { 'checkpoint-interval': 2_000, 'log-segment-size': 16 * 1024 } });
    const lines: string[] = [];
    const node = await world.start('n1', { disk: listed(joined(world.machine('n1')), lines) });
    await world.ready(node);
    const client = await world.client('n1');
    for (let i = 0; i < 20; i++) await client.call('SET', `k${i}`, 'x'.repeat(4_000));
    lines.length = 0;
    const checkpoint = node.cluster.engine.checkpoint().then(() => lines.push('checkpoint'));
    await world.finished(checkpoint);
    await world.time.pass(5_000);
    const order = lines.filter((line, i) => line !== lines[i - 1]);
    const synced = order.indexOf('synced data');
    const written = order.indexOf('wrote log');
    const removed = order.indexOf('removed log');
    assert.ok(synced >= 0 && written >= 0, order.join(', '));
    assert.ok(
      order.lastIndexOf('synced data', written) >= 0,
      `the data is synced before the log says so: ${order.join(', ')}`,
    );
    if (removed >= 0) assert.ok(written < removed, `the log is cut last: ${order.join(', ')}`);
    await world.finished(node.close(0));
    assert.deepEqual(world.failures, []);
  });
});
