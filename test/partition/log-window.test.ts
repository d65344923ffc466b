/** The log's length: what is tested through whole nodes elsewhere is left out; here is what only an order of events shows. */
import { strict as assert } from 'node:assert';

import type { LogWindowHost } from '../../src/partition/log-window.ts';
import { LogWindow } from '../../src/partition/log-window.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

describe('window of the log', () => {
  it('is at the checkpoint of a snapshot from the moment at which the log is told, not only when that is durable', () => {
    const staged: number[] = [];
    const host = {
      group: 1,
      core: { firstIndex: 1, lastIndex: 0, logBytes: 0 },
      raftLog: {
        stageReset: (_: number, { index }: { readonly index: number }) => staged.push(index),
      },
      clock: new VirtualTime(),
      keepBytes: 0,
    } as unknown as LogWindowHost;
    const window = new LogWindow(host, { index: 454, term: 2 });
    window.resets({ index: 481, term: 3, state: new Uint8Array(0) });
    assert.deepEqual(staged, [481]);
    // A checkpoint of 454 that was begun before the snapshot came is recognised as too old now.
    assert.equal(window.checkpointIndex, 481);
    window.installed();
    assert.equal(window.checkpointIndex, 481);
  });
});
