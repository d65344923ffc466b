/** The log's length: what is tested through whole nodes elsewhere is left out; here is what only an order of events shows. */
import { strict as assert } from 'node:assert';

import type { LogWindowHost } from '../../src/partition/log-window.ts';
import { LogWindow } from '../../src/partition/log-window.ts';
import { RequestLedger } from '../../src/partition/request-ledger.ts';
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

  describe('answers that a snapshot carried', () => {
    const WINDOW_MS = 1_000;
    const carried = { node: 2, epoch: 7, counter: 5, reply: Buffer.from('+OK\r\n') };

    function opened(): { readonly time: VirtualTime; readonly window: LogWindow } {
      const time = new VirtualTime();
      const host = {
        group: 1,
        core: { firstIndex: 10, lastIndex: 9, logBytes: 0 },
        raftLog: { stageReset: () => undefined },
        reader: { carriedAnswers: () => [carried] },
        clock: time,
        keepBytes: 0,
        requestWindowMs: WINDOW_MS,
        appliedIndex: 9,
      } as unknown as LogWindowHost;
      return { time, window: new LogWindow(host, { index: 9, term: 2 }) };
    }

    function knows(window: LogWindow): boolean {
      const ledger = new RequestLedger();
      window.fillLedger(ledger);
      const isInLedger = ledger.find(carried) !== undefined;
      assert.equal(window.answersUpTo(9).length > 0, isInLedger, 'what is answered is passed on, and nothing else');
      return isInLedger;
    }

    it('are known for as long as the request may be repeated, counted from the start, and are not passed on for ever', async () => {
      const { time, window } = opened();
      assert.ok(knows(window));
      await time.pass(WINDOW_MS);
      assert.ok(knows(window));
      await time.pass(1);
      assert.ok(!knows(window));
    });

    for (const [what, comes] of [
      ['a snapshot is installed', (window: LogWindow) => window.installed()],
      ['a copy of the data is taken over', (window: LogWindow) => window.carried()],
    ] as const) {
      it(`are new again when ${what}`, async () => {
        const { time, window } = opened();
        await time.pass(WINDOW_MS + 1);
        assert.ok(!knows(window));
        comes(window);
        assert.ok(knows(window));
        await time.pass(WINDOW_MS + 1);
        assert.ok(!knows(window));
      });
    }
  });
});
