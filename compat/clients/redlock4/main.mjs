/** redlock 4 over one ioredis connection: a cluster of Kahuna nodes is one Redis, not a majority of independent ones. */
import { Redis } from 'ioredis';
import Redlock from 'redlock';

import { assert, Exclusion, noErrors, pause, run, throughLeaderDeath } from '../programs/setup.mjs';

const open = (ports) => ports.map((port) => noErrors(new Redis({ host: '127.0.0.1', port }), `node ${port}`));
const redlockOn = (client, settings) => noErrors(new Redlock([client], settings), 'redlock');

await run({
  async basic(ports) {
    const clients = open(ports);
    await clients[0].flushall();
    const [first, second] = [clients[0], clients[1 % clients.length]].map((client) => new Redlock([client], { retryCount: 0 }));
    const lock = await first.lock('locks:a', 30_000);
    await assert.rejects(second.lock('locks:a', 30_000), /LockError|Exceeded 0 attempts/);
    const extended = await lock.extend(60_000);
    const ttl = await clients.at(-1).pttl('locks:a');
    assert.ok(ttl > 30_000 && ttl <= 60_000, `PTTL ${ttl}`);
    await extended.unlock();
    assert.equal(await clients.at(-1).exists('locks:a'), 0);
    await assert.rejects(extended.unlock());
    const both = await second.lock(['locks:a', 'locks:b'], 30_000);
    await assert.rejects(first.lock('locks:b', 30_000));
    await both.unlock();
    const short = await first.lock('locks:c', 50);
    await pause(120);
    await (await second.lock('locks:c', 30_000)).unlock();
    await assert.rejects(short.unlock());
    await Promise.all(clients.map((client) => client.quit()));
    return `lock, extend, unlock, several resources, expiry over ${ports.length} nodes`;
  },
  async failover(ports) {
    const clients = open(ports);
    const exclusion = new Exclusion();
    const workers = [...clients, ...clients].map((client, index) => ({
      name: `worker ${index}`,
      redlock: redlockOn(client, { retryCount: 400, retryDelay: 25, retryJitter: 25 }),
    }));
    const summary = await throughLeaderDeath(workers, async ({ name, redlock }) => {
      const lock = await redlock.lock('redlock4:failover', 20_000);
      // Released outside: another may get it before the answer to this release is back.
      const extended = await exclusion.hold(name, () => lock.extend(20_000));
      await extended.unlock();
    });
    await Promise.all(clients.map((client) => client.quit()));
    return summary;
  },
});
