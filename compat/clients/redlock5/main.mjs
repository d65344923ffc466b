/** redlock 5 over one ioredis connection: a cluster of Kahuna nodes is one Redis, not a majority of independent ones. */
import { Redis } from 'ioredis';
import Redlock from 'redlock';

import { assert, Exclusion, noErrors, pause, run, throughLeaderDeath } from '../programs/setup.mjs';

const open = (ports) => ports.map((port) => noErrors(new Redis({ host: '127.0.0.1', port }), `node ${port}`));

await run({
  async basic(ports) {
    const clients = open(ports);
    await clients[0].flushall();
    const [first, second] = [clients[0], clients[1 % clients.length]].map((client) => new Redlock([client], { retryCount: 0 }));
    const lock = await first.acquire(['locks:a'], 30_000);
    await assert.rejects(second.acquire(['locks:a'], 30_000), /quorum/);
    const extended = await lock.extend(60_000);
    const ttl = await clients.at(-1).pttl('locks:a');
    assert.ok(ttl > 30_000 && ttl <= 60_000, `PTTL ${ttl}`);
    await extended.release();
    assert.equal(await clients.at(-1).exists('locks:a'), 0);
    const both = await second.acquire(['locks:a', 'locks:b'], 30_000);
    await assert.rejects(first.acquire(['locks:b'], 30_000), /quorum/);
    await both.release();
    await first.acquire(['locks:c'], 50);
    await pause(120);
    await (await second.acquire(['locks:c'], 30_000)).release();
    const used = await first.using(['locks:d'], 1_000, { automaticExtensionThreshold: 700 }, async (signal) => {
      await pause(1_500);
      return signal.aborted ? 'aborted' : 'kept';
    });
    assert.equal(used, 'kept');
    await Promise.all(clients.map((client) => client.quit()));
    return `acquire, extend, release, using, several resources, expiry over ${ports.length} nodes`;
  },
  async failover(ports) {
    const clients = open(ports);
    const exclusion = new Exclusion();
    const workers = [...clients, ...clients].map((client, index) => ({
      name: `worker ${index}`,
      redlock: new Redlock([client], { retryCount: 400, retryDelay: 25, retryJitter: 25 }),
    }));
    const summary = await throughLeaderDeath(workers, async ({ name, redlock }) => {
      const lock = await redlock.acquire(['redlock5:failover'], 20_000);
      // Released outside: another may get it before the answer to this release is back.
      const extended = await exclusion.hold(name, () => lock.extend(20_000));
      await extended.release();
    });
    await Promise.all(clients.map((client) => client.quit()));
    return summary;
  },
});
