/**
 * The proxies of the chaos run do what they say. Real sockets on loopback: "n1" dials "n2", which sends back what it gets.
 * Nothing is shown by waiting alone: what is held back is shown by what another connection delivers meanwhile.
 */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { FaultNetwork, pairsOf } from '../../compat/harness/fault-network.ts';
import { freePorts } from '../../compat/harness/ports.ts';
import { seededRandom } from '../../compat/harness/random.ts';
import { waitFor } from '../../compat/harness/wait.ts';

const NODES = ['n1', 'n2', 'n3'];
const TIMEOUT_MS = 3_000;

describe('faults between nodes', () => {
  let servers: Server[];
  let network: FaultNetwork;
  let ends: Dialled[];
  /** What nodes got, by name. */
  let received: Map<string, string>;

  beforeEach(async () => {
    received = new Map(NODES.map((name) => [name, '']));
    ends = [];
    const ports = await freePorts(NODES.length);
    const nodes = NODES.map((name, index) => ({ name, port: ports[index] as number }));
    servers = nodes.map(({ name }) => createServer((socket) => echo(socket, name)));
    await Promise.all(servers.map((server, index) => once(server.listen(ports[index], '127.0.0.1'), 'listening')));
    network = await FaultNetwork.open(nodes, await freePorts(pairsOf(nodes).length), seededRandom(1));
  });

  afterEach(async () => {
    for (const { socket } of ends) socket.destroy();
    await network.close();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  });

  function echo(socket: Socket, name: string): void {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      received.set(name, `${received.get(name) ?? ''}${bytes.toString('latin1')}`);
      socket.write(bytes);
    });
  }

  function dial(from: string, to: string): Dialled {
    const end = new Dialled(connect({ host: '127.0.0.1', port: network.port(from, to) }));
    ends.push(end);
    return end;
  }

  const until = (what: string, look: () => boolean): Promise<unknown> =>
    waitFor({ what, timeoutMs: TIMEOUT_MS, everyMs: 2 }, look);

  it('passes bytes on in both directions while nothing is set', async () => {
    const end = dial('n1', 'n2');
    end.socket.write('hello');
    await until('the echo', () => end.text === 'hello');
    assert.deepEqual(network.takeEffects(), { heldBytes: 0, refused: 0, ended: 0, latePieces: 0, latestMs: 0 });
  });

  it('holds a silent direction back without an error, and delivers it when it works again', async () => {
    const end = dial('n1', 'n2');
    const witness = dial('n1', 'n3');
    end.socket.write('before ');
    await until('the echo', () => end.text === 'before ');
    network.set('n1', 'n2', { isSilent: true });
    end.socket.write('while');
    witness.socket.write('elsewhere');
    await until('the echo from n3', () => witness.text === 'elsewhere');
    await until('bytes held back', () => network.takeEffects().heldBytes === 5);
    assert.equal(received.get('n2'), 'before ');
    assert.equal(end.hasEnded, false);
    network.heal();
    await until('what was held back', () => end.text === 'before while');
  });

  it('cuts one way alone', async () => {
    const end = dial('n1', 'n2');
    network.set('n2', 'n1', { isSilent: true });
    end.socket.write('heard');
    await until('n2 to hear n1', () => received.get('n2') === 'heard');
    await until('its answer held back', () => network.takeEffects().heldBytes === 5);
    assert.equal(end.text, '');
  });

  it('gives a direction to whoever sends, not to whoever dialled', async () => {
    const end = dial('n2', 'n1');
    network.set('n2', 'n1', { isSilent: true });
    end.socket.write('lost in thought');
    await until('bytes held back', () => network.takeEffects().heldBytes === 15);
    assert.equal(received.get('n1'), '');
  });

  it('ends connections that are cut, and refuses new ones', async () => {
    const old = dial('n1', 'n2');
    old.socket.write('x');
    await until('the echo', () => old.text === 'x');
    network.setBoth('n1', 'n2', { isCut: true });
    await until('the end of the old one', () => old.hasEnded);
    const fresh = dial('n1', 'n2');
    await until('the end of the new one', () => fresh.hasEnded);
    const { ended, refused } = network.takeEffects();
    assert.equal(ended, 1);
    assert.equal(refused, 1);
  });

  it('delays pieces without changing their order', async () => {
    network.set('n1', 'n2', { delayMs: 30, jitterMs: 60 });
    const end = dial('n1', 'n2');
    await once(end.socket, 'connect');
    const startMs = performance.now();
    let sent = '';
    for (let index = 0; index < 20; index += 1) {
      end.socket.write(`${index} `);
      sent += `${index} `;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('all pieces', () => end.text === sent);
    assert.ok(performance.now() - startMs >= 30);
    const { latePieces, latestMs } = network.takeEffects();
    assert.ok(latePieces > 0);
    assert.ok(latestMs >= 29);
  });

  it('lets through so many bytes a second', async () => {
    network.set('n1', 'n2', { bytesPerSecond: 1024 * 1024 });
    const end = dial('n1', 'n2');
    await once(end.socket, 'connect');
    const startMs = performance.now();
    end.socket.write(Buffer.alloc(256 * 1024, 'b'));
    await until('all bytes', () => received.get('n2')?.length === 256 * 1024);
    // A quarter of a second, less the first piece, which leaves at once.
    assert.ok(performance.now() - startMs >= 200);
    assert.ok(network.takeEffects().latePieces > 0);
  });

  it('breaks a connection within the piece that it carries next', async () => {
    const end = dial('n1', 'n2');
    end.socket.write('whole');
    await until('the echo', () => end.text === 'whole');
    assert.equal(network.resetSoon('n1', 'n2'), 1);
    assert.equal(end.hasEnded, false);
    end.socket.write('0123456789');
    await until('the end', () => end.hasEnded);
    const got = (received.get('n2') ?? '').slice('whole'.length);
    assert.ok(got.length < 10, got);
    assert.ok('0123456789'.startsWith(got));
  });

  it('ends a connection when the other side has ended it', async () => {
    const end = dial('n1', 'n2');
    servers[1]?.once('connection', (socket: Socket) => socket.end('bye'));
    await until('the end', () => end.hasEnded);
    assert.equal(end.text, 'bye');
  });
});

/** A connection that somebody made, and what came over it. */
class Dialled {
  readonly socket: Socket;
  text = '';
  hasEnded = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.text += bytes.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.hasEnded = true;
    });
  }
}
