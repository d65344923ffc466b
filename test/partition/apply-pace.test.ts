/** The common pause of appliers. */
import { strict as assert } from 'node:assert';
import { ApplyPace } from '../../src/partition/apply-pace.ts';
import { APPLY_PAUSE_MS } from '../../src/partition/limits.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

describe('the pace of appliers', () => {
  const setup = () => {
    const time = new VirtualTime();
    const pace = new ApplyPace(time, time);
    const told: string[] = [];
    const a = (): void => {
      told.push(`a ${time.monotonicMs()}`);
    };
    const b = (): void => {
      told.push(`b ${time.monotonicMs()}`);
    };
    return { time, pace, told, a, b };
  };

  it('nobody waits before the first batch, nor after the pause', async () => {
    const { time, pace, told, a } = setup();
    const startMs = time.monotonicMs();
    pace.soon(a);
    pace.pause();
    await time.pass(APPLY_PAUSE_MS);
    pace.soon(a);
    assert.deepEqual(told, [`a ${startMs}`, `a ${startMs + APPLY_PAUSE_MS}`]);
  });

  it('those who come within a pause go together at its end, each once', async () => {
    const { time, pace, told, a, b } = setup();
    const endMs = time.monotonicMs() + APPLY_PAUSE_MS;
    pace.pause();
    pace.soon(a);
    await time.pass(3);
    pace.soon(b);
    pace.soon(a);
    await time.pass(APPLY_PAUSE_MS);
    assert.deepEqual(told, [`a ${endMs}`, `b ${endMs}`]);
  });

  it('who waits is not put off by the next pause', async () => {
    const { time, pace, told, a } = setup();
    const endMs = time.monotonicMs() + APPLY_PAUSE_MS;
    pace.pause();
    pace.soon(a);
    await time.pass(APPLY_PAUSE_MS - 1);
    pace.pause();
    await time.pass(1);
    assert.deepEqual(told, [`a ${endMs}`]);
  });

  it('who leaves is not called, and nothing is left to be done if nobody waits', async () => {
    const { time, pace, told, a, b } = setup();
    pace.pause();
    pace.soon(a);
    pace.soon(b);
    pace.leave(a);
    pace.leave(a);
    pace.leave(b);
    await time.pass(APPLY_PAUSE_MS * 2);
    assert.deepEqual(told, []);
  });
});
