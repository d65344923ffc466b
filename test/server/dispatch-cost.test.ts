/**
 * What a command costs between the socket and the cluster, as processor time (so that a busy machine changes little).
 * The bound is an alarm: a promise, a closure or a map per command shows up as a multiple. Measured: 0.7 to 1.2 µs.
 */
import assert from 'node:assert/strict';
import type { Connection, ConnectionHandler, Platform, Timers } from '../../src/base/platform.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { Work } from '../../src/cluster/api.ts';
import { Settings } from '../../src/config/live.ts';
import { createServer } from '../../src/server/server.ts';
import { MemoryCluster } from '../doubles/memory-cluster.ts';
import { encode, memoryCommands } from './harness.ts';

const USEC_MAX = 8;
const PIPELINE = 16;
const CLIENTS = 50;
const ROUNDS = 100;
const VALUE = 'v'.repeat(64);

/** Answers everything with one value, at the end of the round. */
class LateCluster extends MemoryCluster {
  #works: Work[] = [];

  override submit(work: Work): void {
    this.#works.push(work);
  }

  answerAll(): void {
    const works = this.#works;
    this.#works = [];
    for (const work of works) work.complete(VALUE);
  }
}

describe('the cost of a pipelined command', () => {
  for (const request of [['PING'], ['GET', 'key:000000012345'], ['SET', 'key:000000012345', VALUE]]) {
    it(`${request[0] ?? ''} stays below ${USEC_MAX} µs of processor time`, async () => {
      const cluster = new LateCluster();
      let due: (() => void)[] = [];
      const timers: Timers = {
        after: () => ({ cancel: () => undefined }),
        endOfTurn: (callback) => due.push(callback),
      };
      const handlers = await startServer(cluster, timers);
      const chunk = Buffer.from(encode(request).repeat(PIPELINE));
      const runRounds = (): void => {
        for (let round = 0; round < ROUNDS; round++) {
          for (const handler of handlers) handler.onData(chunk);
          cluster.answerAll();
          const callbacks = due;
          due = [];
          for (const callback of callbacks) callback();
        }
      };
      runRounds();
      const before = process.cpuUsage();
      runRounds();
      const { user, system } = process.cpuUsage(before);
      const usec = (user + system) / (ROUNDS * CLIENTS * PIPELINE);
      assert.ok(usec < USEC_MAX, `${usec.toFixed(2)} µs a command`);
    });
  }
});

/** Returns the sessions of CLIENTS connections that take everything at once. */
async function startServer(cluster: MemoryCluster, timers: Timers): Promise<readonly ConnectionHandler[]> {
  const handlers: ConnectionHandler[] = [];
  const nothing = (): void => undefined;
  const connection: Connection = {
    remoteAddress: '127.0.0.1:1',
    localAddress: '127.0.0.1:2',
    bufferedBytes: 0,
    write: nothing,
    cork: nothing,
    uncork: nothing,
    pause: nothing,
    resume: nothing,
    end: nothing,
    destroy: nothing,
    attach: (handler) => handlers.push(handler),
  };
  const platform: Pick<Platform, 'clock' | 'timers' | 'network'> = {
    clock: { monotonicMs: () => performance.now(), wallMs: () => 0 },
    timers,
    network: {
      listen: (_, onConnection) => {
        for (let i = 0; i < CLIENTS; i++) onConnection(connection);
        return Promise.resolve({ port: 1, close: () => Promise.resolve() });
      },
      connect: () => Promise.reject(new Error('nothing is connected to')),
    },
  };
  const server = createServer({
    platform: platform as Platform,
    settings: new Settings({ ...new Settings().values, bind: ['127.0.0.1'] }),
    cluster,
    dataCommands: memoryCommands,
    log: silentLogger,
    version: '0.1.0',
    onShutdown: nothing,
  });
  await server.start();
  return handlers;
}
