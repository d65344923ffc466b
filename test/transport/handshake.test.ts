/**
 * The handshake, message by message: an impostor sits at one end of a connection and says what it likes. Whoever does not
 * know the secret, or is not who was expected, gets no link.
 */
import { strict as assert } from 'node:assert';
import { ByteWriter } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/checksum.ts';
import type { Connection } from '../../src/base/platform.ts';
import { Channel } from '../../src/transport/channel.ts';
import { FrameReader, LINK_KINDS } from '../../src/transport/frames.ts';
import {
  decodeChallenge,
  encodeChallenge,
  encodeHello,
  type Hello,
  type Identity,
  proofOf,
  PURPOSES,
} from '../../src/transport/handshake.ts';
import { HANDSHAKE_TIMEOUT_MS } from '../../src/transport/limits.ts';
import { MemoryNetwork } from '../doubles/memory-network.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

const SECRET = 'secret';
const A: Identity = { clusterId: 'c', node: 1, bootEpoch: 11 };
const B: Identity = { clusterId: 'c', node: 2, bootEpoch: 22 };

interface Received {
  readonly kind: number;
  readonly payload: Buffer;
}

/** One end of a connection, without any manners. */
class Impostor {
  readonly received: Received[] = [];
  isClosed = false;
  readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
    const reader = new FrameReader(100_000);
    connection.attach({
      onData: (chunk) => {
        reader.push(chunk, (kind, payload) => this.received.push({ kind, payload: Buffer.from(payload) }));
      },
      onDrain: () => undefined,
      onClose: () => {
        this.isClosed = true;
      },
    });
  }

  say(kind: number, payload: Uint8Array): void {
    const body = new ByteWriter(64);
    body.u8(kind);
    body.u32(payload.length);
    body.bytes(payload);
    const frame = new ByteWriter(64);
    frame.u32(body.length);
    frame.u32(crc32(body.finish()));
    frame.bytes(body.finish());
    this.connection.write(frame.finishCopy());
  }
}

class World {
  readonly time = new VirtualTime();
  readonly random = new SeededRandom(7);
  readonly network = new MemoryNetwork({ timers: this.time, random: this.random });

  async connect(): Promise<readonly [Connection, Connection]> {
    const accepted: Connection[] = [];
    const listener = await this.network.host('b').listen({ host: 'b', port: 1 }, (connection) => {
      accepted.push(connection);
    });
    const connecting = this.network.host('a').connect({ host: 'b', port: 1, timeoutMs: 100 });
    await this.time.settle();
    const near = await connecting;
    await listener.close();
    const [far] = accepted;
    if (far === undefined) throw new Error('nobody was connected to');
    return [near, far];
  }

  channel(connection: Connection, identity: Identity, secret = SECRET): Channel {
    return new Channel({ connection, identity, secret, timers: this.time, random: this.random });
  }
}

/** The code of the error that a promise rejects with, or 'resolved'. */
async function outcome(world: World, promise: Promise<unknown>): Promise<string> {
  let told = 'pending';
  promise.then(
    () => {
      told = 'resolved';
    },
    (error: unknown) => {
      told = error instanceof Error ? `${'code' in error ? String(error.code) : ''}: ${error.message}` : String(error);
    },
  );
  await world.time.settle();
  return told;
}

async function meet(
  dialler: Identity,
  acceptor: Identity,
  secrets: readonly [string, string],
): Promise<readonly [string, string]> {
  const world = new World();
  const [near, far] = await world.connect();
  const accepting = world.channel(far, acceptor, secrets[1]).accept();
  const dialling = world.channel(near, dialler, secrets[0]).dial(PURPOSES.link, { node: 2 });
  const [a, b] = [outcome(world, dialling), outcome(world, accepting)];
  return [await a, await b];
}

describe('handshake', () => {
  it('tells each side who the other is', async () => {
    const world = new World();
    const [near, far] = await world.connect();
    const acceptor = world.channel(far, B);
    const accepting = acceptor.accept();
    const dialler = world.channel(near, A);
    const dialling = dialler.dial(PURPOSES.snapshot, { node: 2 });
    await world.time.settle();
    assert.equal((await dialling).bootEpoch, 22);
    const hello = await accepting;
    assert.deepEqual([hello.node, hello.bootEpoch, hello.purpose], [1, 11, PURPOSES.snapshot]);
    assert.deepEqual([dialler.peer?.node, acceptor.peer?.node, acceptor.purpose], [2, 1, PURPOSES.snapshot]);
  });

  it('hands over what comes right behind it', async () => {
    const world = new World();
    const [near, far] = await world.connect();
    const acceptor = world.channel(far, B);
    const accepting = acceptor.accept();
    const dialler = world.channel(near, A);
    await Promise.all([
      dialler.dial(PURPOSES.link, { node: 2 }).then(() => {
        dialler.begin(20).u8(7);
        dialler.end();
        dialler.flush();
      }),
      world.time.settle(),
    ]);
    await world.time.settle();
    await accepting;
    const received: number[] = [];
    acceptor.attach({
      message: (kind, payload) => received.push(kind, ...payload),
      closed: () => undefined,
      drained: () => undefined,
    });
    assert.deepEqual(received, [20, 7]);
  });

  it('fails on both sides if the secrets differ', async () => {
    const [dialler, acceptor] = await meet(A, B, ['one', 'other']);
    assert.match(dialler, /HANDSHAKE_REFUSED: node 2 does not know the cluster secret/);
    assert.match(acceptor, /HANDSHAKE_REFUSED|ECONNRESET/);
  });

  it('fails between clusters, with oneself, and with another node than was expected', async () => {
    const [, other] = await meet({ ...A, clusterId: 'x' }, B, [SECRET, SECRET]);
    assert.match(other, /HANDSHAKE_REFUSED: node 1 belongs to cluster x, this one to c/);
    const [, self] = await meet({ ...A, node: 2 }, B, [SECRET, SECRET]);
    assert.match(self, /HANDSHAKE_REFUSED: both ends call themselves node 2/);
    const [wrong] = await meet(A, { ...B, node: 3 }, [SECRET, SECRET]);
    assert.match(wrong, /HANDSHAKE_REFUSED: node 2 was expected, node 3 answered/);
  });

  it('refuses another protocol version and an unknown purpose by name', async () => {
    for (const [at, byte] of [
      [0, 9],
      [2 + 1 + 1 + 4 + 8, 77],
    ] as const) {
      const world = new World();
      const [near, far] = await world.connect();
      const accepting = outcome(world, world.channel(far, B).accept());
      const hello = Buffer.from(encodeHello({ ...A, purpose: PURPOSES.link, nonce: new Uint8Array(32) }));
      hello[at] = byte;
      new Impostor(near).say(LINK_KINDS.hello, hello);
      assert.match(await accepting, /HANDSHAKE_REFUSED: (the other node speaks protocol version 9|unknown purpose 77)/);
    }
  });

  it('does not take a proof from another handshake', async () => {
    const first = new World();
    const recorded = await record(first);
    const world = new World();
    world.random.u32();
    const [near, far] = await world.connect();
    const accepting = outcome(world, world.channel(far, B).accept());
    const impostor = new Impostor(near);
    impostor.say(LINK_KINDS.hello, recorded.hello);
    await world.time.settle();
    impostor.say(LINK_KINDS.proof, recorded.proof);
    assert.match(await accepting, /HANDSHAKE_REFUSED: node 1 does not know/);
  });

  it('does not take its own proof, reflected', async () => {
    const world = new World();
    const [near, far] = await world.connect();
    const dialling = outcome(world, world.channel(near, A).dial(PURPOSES.link, { node: 2 }));
    const impostor = new Impostor(far);
    await world.time.settle();
    // It knows nothing: it lets the dialler prove itself to another dialler's acceptor and hands that back.
    const [near2, far2] = await world.connect();
    const helper = new Impostor(near2);
    void outcome(world, world.channel(far2, A).accept());
    const nonce = impostor.received[0]?.payload.subarray(-32) ?? Buffer.alloc(32);
    helper.say(LINK_KINDS.hello, encodeHello({ ...B, purpose: PURPOSES.link, nonce }));
    await world.time.settle();
    const challenge = decodeChallenge(helper.received[0]?.payload ?? Buffer.alloc(0));
    impostor.say(LINK_KINDS.challenge, encodeChallenge({ ...B, nonce: challenge.nonce, proof: challenge.proof }));
    assert.match(await dialling, /HANDSHAKE_REFUSED: node 2 does not know/);
  });

  it('does not take the proof of the other side for its own', () => {
    const hello: Hello = { ...A, purpose: PURPOSES.link, nonce: new Uint8Array(32) };
    const parts = { hello, acceptor: B, nonce: new Uint8Array(32) };
    const proof = (side: 'acceptor' | 'dialler', changed: Partial<typeof parts> = {}): string =>
      Buffer.from(proofOf(SECRET, side, { ...parts, ...changed })).toString('hex');
    const proofs = [
      proof('acceptor'),
      proof('dialler'),
      proof('dialler', { nonce: new Uint8Array(32).fill(1) }),
      proof('dialler', { hello: { ...hello, nonce: new Uint8Array(32).fill(1) } }),
      proof('dialler', { hello: { ...hello, purpose: PURPOSES.snapshot } }),
      proof('dialler', { hello: { ...hello, bootEpoch: 12 } }),
      proof('dialler', { acceptor: { ...B, bootEpoch: 23 } }),
    ];
    assert.equal(new Set(proofs).size, proofs.length);
  });

  it('gives up when nothing is said', async () => {
    for (const side of ['dial', 'accept'] as const) {
      const world = new World();
      const [near, far] = await world.connect();
      const impostor = new Impostor(far);
      const channel = world.channel(near, A);
      let told = '';
      const handshake = side === 'dial' ? channel.dial(PURPOSES.link, { node: 2 }) : channel.accept();
      handshake.catch((error: unknown) => {
        told = String(error);
      });
      await world.time.pass(HANDSHAKE_TIMEOUT_MS + 10);
      assert.match(told, /no answer within/);
      assert.ok(impostor.isClosed);
    }
  });

  it('ends on anything out of turn, too long, or malformed, with a coded error and a closed connection', async () => {
    const said: readonly (readonly [number, Uint8Array])[] = [
      [LINK_KINDS.welcome, new Uint8Array(0)],
      [LINK_KINDS.proof, new Uint8Array(32)],
      [LINK_KINDS.challenge, new Uint8Array(5)],
      [LINK_KINDS.hello, new Uint8Array(0)],
      [
        LINK_KINDS.hello,
        Buffer.from(encodeHello({ ...A, purpose: PURPOSES.link, nonce: new Uint8Array(32) })).subarray(0, 30),
      ],
      [
        LINK_KINDS.hello,
        encodeHello({ ...A, clusterId: 'x'.repeat(300), purpose: PURPOSES.link, nonce: new Uint8Array(32) }),
      ],
      [LINK_KINDS.hello, new Uint8Array(5_000)],
      [20, new Uint8Array(10)],
    ];
    for (const [kind, payload] of said) {
      const world = new World();
      const [near, far] = await world.connect();
      const accepting = outcome(world, world.channel(far, B).accept());
      const impostor = new Impostor(near);
      impostor.say(kind, payload);
      assert.match(
        await accepting,
        /^(HANDSHAKE_REFUSED|FRAME_MALFORMED|BYTES_MALFORMED|BYTES_TRUNCATED): /,
        `kind ${kind}`,
      );
      await world.time.settle();
      assert.ok(impostor.isClosed);
    }
  });
});

/** What a dialler says in a handshake that goes well. */
async function record(world: World): Promise<{ readonly hello: Buffer; readonly proof: Buffer }> {
  const [near, far] = await world.connect();
  void outcome(world, world.channel(near, A).dial(PURPOSES.link, { node: 2 }));
  const impostor = new Impostor(far);
  await world.time.settle();
  const hello = impostor.received[0]?.payload ?? Buffer.alloc(0);
  const nonce = new Uint8Array(32).fill(3);
  const decoded: Hello = { ...A, purpose: PURPOSES.link, nonce: hello.subarray(-32) };
  const proof = proofOf(SECRET, 'acceptor', { hello: decoded, acceptor: B, nonce });
  impostor.say(LINK_KINDS.challenge, encodeChallenge({ ...B, nonce, proof }));
  await world.time.settle();
  return { hello, proof: impostor.received[1]?.payload ?? Buffer.alloc(0) };
}
