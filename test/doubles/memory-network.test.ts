import assert from 'node:assert/strict';
import type { Connection, ConnectionHandler } from '../../src/base/platform.ts';
import { networkContract } from '../contracts/network.ts';
import { MemoryNetwork, type MemoryNetworkOptions } from './memory-network.ts';
import { SeededRandom } from './seeded-random.ts';
import { VirtualTime } from './virtual-time.ts';

interface End {
  readonly connection: Connection;
  received: string;
  chunks: number;
  drains: number;
  closed: string | null;
}

interface Pair {
  readonly time: VirtualTime;
  readonly network: MemoryNetwork;
  readonly client: End;
  readonly server: End;
}

function attach(connection: Connection, handler: Partial<ConnectionHandler> = {}): End {
  const end: End = { connection, received: '', chunks: 0, drains: 0, closed: null };
  connection.attach({
    onData: (chunk) => {
      end.received += chunk.toString('latin1');
      end.chunks++;
    },
    onDrain: () => {
      end.drains++;
    },
    onClose: (error) => {
      end.closed = error?.message ?? '';
    },
    ...handler,
  });
  return end;
}

async function connect(
  options: Partial<MemoryNetworkOptions> = {},
  handler: Partial<ConnectionHandler> = {},
): Promise<Pair> {
  const time = new VirtualTime();
  const network = new MemoryNetwork({ timers: time, random: new SeededRandom(1), ...options });
  let server: End | undefined;
  await network.host('b').listen({ host: 'b', port: 1 }, (connection) => {
    server = attach(connection, handler);
  });
  const connecting = network.host('a').connect({ host: 'b', port: 1, timeoutMs: 100 });
  await time.pass(1000);
  const client = attach(await connecting);
  if (server === undefined) throw new Error('nobody was accepted');
  return { time, network, client, server };
}

networkContract('the double', () => {
  const time = new VirtualTime();
  const network = new MemoryNetwork({ timers: time, random: new SeededRandom(3), latencyMs: () => 1 });
  return {
    server: network.host('b'),
    client: network.host('a'),
    host: 'b',
    freePort: 9,
    until: (condition) => time.until(condition),
    settled: async (promise) => {
      let isSettled = false;
      const settle = (): void => {
        isSettled = true;
      };
      promise.then(settle, settle);
      await time.until(() => isSettled);
      return promise;
    },
    quiet: () => time.pass(100),
  };
});

describe('the network in memory', () => {
  it('delivers bytes in order, cut anywhere, whatever the latencies', async () => {
    const random = new SeededRandom(7);
    const pair = await connect({ pieceBytesMax: 5, latencyMs: () => random.below(50) });
    let sent = '';
    for (let i = 0; i < 200; i++) {
      const text = `${i},`;
      sent += text;
      pair.client.connection.write(Buffer.from(text));
    }
    await pair.time.pass(1000);
    assert.equal(pair.server.received, sent);
    assert.ok(pair.server.chunks > 100);
  });

  it('nothing arrives before its time', async () => {
    const pair = await connect({ latencyMs: () => 10 });
    pair.client.connection.write(Buffer.from('x'));
    await pair.time.pass(9);
    assert.equal(pair.server.received, '');
    await pair.time.pass(1);
    assert.equal(pair.server.received, 'x');
  });

  it('a paused receiver holds the sender back, who hears of it when all is taken', async () => {
    const pair = await connect({ windowBytes: 1000 });
    pair.server.connection.pause();
    pair.client.connection.write(Buffer.alloc(5000, 'x'));
    await pair.time.settle();
    assert.equal(pair.client.connection.bufferedBytes, 5000);
    assert.equal(pair.client.drains, 0);
    pair.server.connection.resume();
    await pair.time.settle();
    assert.equal(pair.server.received.length, 5000);
    assert.equal(pair.client.connection.bufferedBytes, 0);
    assert.equal(pair.client.drains, 1);
  });

  it('writes between cork and uncork leave together', async () => {
    const pair = await connect();
    pair.client.connection.cork();
    pair.client.connection.write(Buffer.from('a'));
    await pair.time.settle();
    assert.equal(pair.server.received, '');
    pair.client.connection.uncork();
    await pair.time.settle();
    assert.equal(pair.server.received, 'a');
  });

  it('end sends what was written, then both sides are closed', async () => {
    const pair = await connect();
    pair.client.connection.write(Buffer.from('bye'));
    pair.client.connection.end();
    await pair.time.settle();
    assert.equal(pair.server.received, 'bye');
    assert.deepEqual([pair.client.closed, pair.server.closed], ['', '']);
    assert.equal(pair.network.size, 0);
  });

  it('a handler of the end may answer before it ends its own side', async () => {
    const pair = await connect({}, { onEnd: () => undefined });
    pair.client.connection.end();
    await pair.time.settle();
    assert.equal(pair.client.closed, null);
    pair.server.connection.write(Buffer.from('late'));
    pair.server.connection.end();
    await pair.time.settle();
    assert.equal(pair.client.received, 'late');
    assert.deepEqual([pair.client.closed, pair.server.closed], ['', '']);
  });

  it('destroy and reset are seen by the other side as an error, once', async () => {
    const destroyed = await connect();
    destroyed.client.connection.destroy();
    await destroyed.time.settle();
    assert.deepEqual([destroyed.client.closed, destroyed.server.closed], ['', 'ECONNRESET']);
    const broken = await connect();
    broken.network.reset('a', 'b');
    await broken.time.settle();
    assert.deepEqual([broken.client.closed, broken.server.closed], ['ECONNRESET', 'ECONNRESET']);
  });

  it('a cut path carries nothing, in one direction, until it heals', async () => {
    const pair = await connect();
    pair.network.cut('a', 'b');
    pair.client.connection.write(Buffer.from('there'));
    pair.server.connection.write(Buffer.from('back'));
    await pair.time.pass(1000);
    assert.deepEqual([pair.server.received, pair.client.received], ['', 'back']);
    pair.network.heal('a', 'b');
    await pair.time.settle();
    assert.equal(pair.server.received, 'there');
  });

  it('connecting fails where nobody listens, over a cut path, and to a host that went down', async () => {
    const { time, network } = await connect();
    const refused = assert.rejects(network.host('a').connect({ host: 'b', port: 2, timeoutMs: 10 }), /ECONNREFUSED/);
    await time.settle();
    await refused;
    network.cut('b', 'a');
    const late = assert.rejects(network.host('a').connect({ host: 'b', port: 1, timeoutMs: 10 }), /ETIMEDOUT/);
    await time.pass(20);
    await late;
    network.healAll();
    network.resetHost('b');
    const gone = assert.rejects(network.host('a').connect({ host: 'b', port: 1, timeoutMs: 10 }), /ECONNREFUSED/);
    await time.settle();
    await gone;
  });

  it('a host that loses its power hears nothing any more; its peers see a reset', async () => {
    const pair = await connect();
    pair.client.connection.write(Buffer.from('x'));
    pair.network.resetHost('b');
    await pair.time.settle();
    assert.deepEqual([pair.client.closed, pair.server.closed, pair.server.received], ['ECONNRESET', null, '']);
  });

  it('overwrites a chunk after it was handed over', async () => {
    const kept: Buffer[] = [];
    const pair = await connect({}, { onData: (chunk) => kept.push(chunk) });
    pair.client.connection.write(Buffer.from('x'));
    await pair.time.settle();
    assert.deepEqual(
      kept.map((chunk) => chunk[0]),
      [0xdd],
    );
  });
});
