/** The pulse of a connection: both ends speak now and then, and whoever hears nothing for too long closes it. */
import { strict as assert } from 'node:assert';
import { Pulse } from '../../src/cluster/pulse.ts';
import type { Channel } from '../../src/transport/channel.ts';
import { KEEP_ALIVE_KIND } from '../../src/transport/frames.ts';
import { KEEP_ALIVE_MS, SILENCE_MAX_MS } from '../../src/transport/limits.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

function bench(): { time: VirtualTime; beats: number[]; channel: Channel; pulse: Pulse } {
  const time = new VirtualTime();
  const beats: number[] = [];
  const state = {
    isClosed: false,
    begin: (kind: number) => beats.push(kind),
    end: () => undefined,
    flush: () => undefined,
    close: () => {
      state.isClosed = true;
    },
  };
  const channel = state as unknown as Channel;
  return { time, beats, channel, pulse: new Pulse(channel, { clock: time, timers: time }) };
}

describe('pulse', () => {
  it('says something at each interval, and closes what stays silent', async () => {
    const { time, beats, channel } = bench();
    await time.pass(SILENCE_MAX_MS);
    assert.equal(beats.length, Math.floor(SILENCE_MAX_MS / KEEP_ALIVE_MS));
    assert.ok(beats.every((kind) => kind === KEEP_ALIVE_KIND));
    assert.equal(channel.isClosed, false);
    await time.pass(KEEP_ALIVE_MS);
    assert.equal(channel.isClosed, true);
    assert.equal(time.size, 0, 'it beats no more');
  });

  it('leaves alone what is heard of, and what is not listened to on purpose', async () => {
    const { time, channel, pulse } = bench();
    for (let i = 0; i < 5; i++) {
      await time.pass(SILENCE_MAX_MS - 1);
      pulse.heard();
    }
    pulse.isDeaf = true;
    await time.pass(SILENCE_MAX_MS * 3);
    assert.equal(channel.isClosed, false);
    pulse.isDeaf = false;
    await time.pass(SILENCE_MAX_MS);
    assert.equal(channel.isClosed, false, 'silence counts from the moment at which it is listened to again');
    await time.pass(KEEP_ALIVE_MS);
    assert.equal(channel.isClosed, true);
  });

  it('ends when it is stopped', async () => {
    const { time, beats, channel, pulse } = bench();
    pulse.stop();
    await time.pass(SILENCE_MAX_MS * 2);
    assert.deepEqual([beats, channel.isClosed, time.size], [[], false, 0]);
  });
});
