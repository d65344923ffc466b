/** Links between nodes over a network in memory: made, replaced, kept alive, taken down, and never mixed up. */
import { strict as assert } from 'node:assert';
import { silentLogger } from '../../src/base/log.ts';
import type { Channel } from '../../src/transport/channel.ts';
import { SILENCE_MAX_MS } from '../../src/transport/limits.ts';
import { Transport } from '../../src/transport/transport.ts';
import { MemoryNetwork } from '../doubles/memory-network.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

const KIND = 20;

class World {
  readonly time = new VirtualTime();
  readonly random = new SeededRandom(3);
  readonly network = new MemoryNetwork({ timers: this.time, random: this.random, latencyMs: () => 1 });
  readonly nodes = new Map<number, Node>();

  async start(id: number, members: readonly number[] = [1, 2], secret = 's'): Promise<Node> {
    const node = new Node(this, id, members, secret);
    this.nodes.set(id, node);
    await node.transport.start();
    return node;
  }
}

class Node {
  readonly id: number;
  readonly events: string[] = [];
  readonly channels: Channel[] = [];
  readonly transport: Transport;
  /** Sent as soon as a link is up. */
  greeting = '';

  constructor(world: World, id: number, members: readonly number[], secret: string) {
    this.id = id;
    const { time, network } = world;
    this.transport = new Transport({
      platform: { clock: time, timers: time, random: world.random.fork(`${id}`), network: network.host(`h${id}`) },
      identity: { clusterId: 'c', node: id, bootEpoch: world.random.u32() },
      secret,
      listen: { host: `h${id}`, port: 1 },
      peers: members.map((node) => ({ node, host: `h${node}`, port: 1 })),
      log: silentLogger,
      events: {
        message: (from, kind, payload) => {
          if (kind === KIND) this.events.push(`${from}: ${payload.toString()}`);
        },
        linkUp: (node) => {
          this.events.push(`up ${node}`);
          if (this.greeting !== '' && this.send(node, this.greeting)) this.transport.flush();
        },
        linkDown: (node) => this.events.push(`down ${node}`),
        snapshotConnection: (from, channel) => {
          this.events.push(`snapshot from ${from}`);
          this.channels.push(channel);
        },
      },
    });
  }

  send(to: number, text: string): boolean {
    const writer = this.transport.begin(to, KIND, false);
    if (writer === null) return false;
    writer.bytes(Buffer.from(text));
    this.transport.end(to);
    return true;
  }

  taken(): readonly string[] {
    return this.events.splice(0);
  }
}

async function pair(): Promise<readonly [World, Node, Node]> {
  const world = new World();
  const [a, b] = [await world.start(1), await world.start(2)];
  await world.time.pass(1_000);
  assert.deepEqual([a.taken(), b.taken()], [['up 2'], ['up 1']]);
  return [world, a, b];
}

describe('transport', () => {
  it('makes one link a pair, and delivers messages in order', async () => {
    const [world, a, b] = await pair();
    for (const text of ['one', '', 'two']) assert.ok(a.send(2, text));
    a.transport.flush();
    b.send(1, 'three');
    b.transport.flush();
    await world.time.pass(10);
    assert.deepEqual([a.taken(), b.taken()], [['2: three'], ['1: one', '1: ', '1: two']]);
    assert.equal(world.network.size, 2, 'two ends of one connection');
  });

  it('tells of a link before it hands over what came with the welcome', async () => {
    const world = new World();
    const b = await world.start(2);
    b.greeting = 'at once';
    const a = await world.start(1);
    await world.time.pass(1_000);
    assert.deepEqual(a.taken(), ['up 2', '2: at once']);
  });

  it('keeps trying until the other node is there', async () => {
    const world = new World();
    const a = await world.start(1);
    await world.time.pass(5_000);
    assert.equal(a.send(2, 'x'), false);
    await world.start(2);
    await world.time.pass(2_000);
    assert.deepEqual(a.taken(), ['up 2']);
    assert.ok(a.transport.isUp(2));
    assert.equal(a.transport.upCount, 1);
  });

  it('tells both sides of a broken link once, and makes a new one', async () => {
    const [world, a, b] = await pair();
    world.network.reset('h1', 'h2');
    await world.time.pass(2_000);
    assert.deepEqual(
      [a.taken(), b.taken()],
      [
        ['down 2', 'up 2'],
        ['down 1', 'up 1'],
      ],
    );
  });

  it('puts the link of a peer that starts again in the place of the old one, and hears nothing of that any more', async () => {
    const [world, , b] = await pair();
    // The peer loses its power: the old connection stays open here.
    world.network.resetHost('h1', true);
    const again = await world.start(1);
    await world.time.pass(1_000);
    assert.deepEqual(b.taken(), ['down 1', 'up 1']);
    again.send(2, 'new');
    again.transport.flush();
    await world.time.pass(10);
    assert.deepEqual(b.taken(), ['1: new']);
  });

  it('takes down a link on which nothing is heard, in either direction, and keeps a quiet one', async () => {
    const [world, a, b] = await pair();
    await world.time.pass(SILENCE_MAX_MS * 3);
    assert.deepEqual([a.taken(), b.taken()], [[], []]);
    world.network.cut('h1', 'h2');
    await world.time.pass(SILENCE_MAX_MS * 2);
    assert.ok(b.taken().includes('down 1'));
    assert.ok(a.taken().includes('down 2'));
    world.network.healAll();
    await world.time.pass(SILENCE_MAX_MS * 2);
    assert.ok(a.transport.isUp(2) && b.transport.isUp(1));
  });

  it('closes a link on damage, and only that link', async () => {
    const world = new World();
    const [a, b, c] = [
      await world.start(1, [1, 2, 3]),
      await world.start(2, [1, 2, 3]),
      await world.start(3, [1, 2, 3]),
    ];
    await world.time.pass(1_000);
    for (const node of [a, b, c]) node.taken();
    const writer = a.transport.begin(2, KIND, false);
    writer?.bytes(Buffer.from('x'));
    // The length is not patched: the frame's checksum fits, its message does not.
    a.transport.flush();
    await world.time.pass(2_000);
    assert.ok(b.taken().length <= 3);
    assert.deepEqual(c.taken(), []);
    assert.ok(a.transport.isUp(2));
  });

  it('accepts no node that is no member, and none with another secret', async () => {
    const world = new World();
    const b = await world.start(2);
    const stranger = await world.start(1, [1, 2], 'other');
    await world.time.pass(3_000);
    assert.deepEqual([b.taken(), stranger.taken()], [[], []]);
    const noMember = new World();
    const lonely = await noMember.start(2, [2]);
    await noMember.start(1, [1, 2]);
    await noMember.time.pass(3_000);
    assert.deepEqual(lonely.taken(), []);
  });

  it('gives snapshots connections of their own', async () => {
    const [world, a, b] = await pair();
    const opening = b.transport.openSnapshotConnection(1);
    await world.time.pass(100);
    const channel = await opening;
    const received: string[] = [];
    a.channels[0]?.attach({
      message: (_, payload) => received.push(payload.toString()),
      closed: () => received.push('closed'),
      drained: () => undefined,
    });
    channel.begin(KIND).bytes(Buffer.from('part'));
    channel.end();
    channel.flush();
    await world.time.pass(10);
    channel.close();
    await world.time.pass(10);
    assert.deepEqual(received, ['part', 'closed']);
    assert.deepEqual([a.taken(), b.taken()], [['snapshot from 2'], []]);
  });

  it('leaves nothing behind when it is closed', async () => {
    const [world, a, b] = await pair();
    await a.transport.close();
    await world.time.pass(100);
    assert.deepEqual(b.taken(), ['down 1']);
    await b.transport.close();
    await world.time.pass(SILENCE_MAX_MS);
    assert.equal(world.network.size, 0);
    assert.equal(world.time.size, 0);
  });
});
