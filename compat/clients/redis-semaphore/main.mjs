/** redis-semaphore's Mutex and RedlockMutex. Its semaphores need sorted sets. */
import { Redis } from 'ioredis';
import { Mutex, RedlockMutex, TimeoutError } from 'redis-semaphore';

import { assert, Exclusion, noErrors, pause, run, throughLeaderDeath } from '../programs/setup.mjs';

const open = (ports) => ports.map((port) => noErrors(new Redis({ host: '127.0.0.1', port }), `node ${port}`));

/** A lock that the library believes lost must fail the run. */
const lost = [];
const onLockLost = (error) => lost.push(error.message);

await run({
  async basic(ports) {
    const clients = open(ports);
    await clients[0].flushall();
    const [first, second] = [clients[0], clients[1 % clients.length]];
    const options = { lockTimeout: 600, refreshInterval: 150, acquireTimeout: 300, retryInterval: 10, onLockLost };
    const [mine, yours] = [new Mutex(first, 'a', options), new Mutex(second, 'a', options)];
    await mine.acquire();
    await assert.rejects(yours.acquire(), TimeoutError);
    await pause(900); // longer than the timeout: only its refresh keeps it
    assert.equal(mine.isAcquired, true);
    assert.equal(await yours.tryAcquire(), false);
    await mine.release();
    await yours.acquire();
    await yours.release();
    const redlock = new RedlockMutex([second], 'b', options);
    await redlock.acquire();
    assert.equal(await new RedlockMutex([first], 'b', options).tryAcquire(), false);
    await redlock.release();
    assert.deepEqual(lost, []);
    await Promise.all(clients.map((client) => client.quit()));
    return `acquire, refresh, release over ${ports.length} nodes`;
  },
  async failover(ports) {
    const clients = open(ports);
    const exclusion = new Exclusion();
    const options = { lockTimeout: 20_000, refreshInterval: 100, acquireTimeout: 30_000, retryInterval: 15, onLockLost };
    const workers = [...clients, ...clients].map((client, index) => ({ name: `worker ${index}`, client }));
    const summary = await throughLeaderDeath(workers, async ({ name, client }) => {
      const mutex = new Mutex(client, 'failover', options);
      await mutex.acquire();
      await exclusion.hold(name, async () => {
        await pause(30);
        assert.equal(mutex.isAcquired, true);
      });
      await mutex.release();
    });
    assert.deepEqual(lost, []);
    await Promise.all(clients.map((client) => client.quit()));
    return summary;
  },
});
