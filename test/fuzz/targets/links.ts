/**
 * The cluster port. Before a connection has proved that it knows the secret, nothing that it says has an effect. Behind the
 * handshake, whatever a member sends costs its own link at most: the other nodes go on, and no data changes.
 */
import assert from 'node:assert/strict';
import { buildTopology } from '../../../src/cluster/topology.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { MESSAGE_KINDS } from '../../../src/cluster/message-kinds.ts';
import { encodeEnd, encodeHeader, SNAPSHOT_PURPOSES } from '../../../src/cluster/snapshot-format.ts';
import { encodeCarriedAnswers } from '../../../src/partition/carried-answers.ts';
import { emptyPartitionState, encodePartitionState } from '../../../src/partition/partition-state.ts';
import { decodeMessage } from '../../../src/raft/codec.ts';
import { draftMessage, isFromLeader } from '../../../src/raft/messages.ts';
import { MESSAGE_TYPES } from '../../../src/raft/types.ts';
import { Channel } from '../../../src/transport/channel.ts';
import { encodeHello, PURPOSES } from '../../../src/transport/handshake.ts';
import { Transport } from '../../../src/transport/transport.ts';
import { MemoryNetwork } from '../../doubles/memory-network.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { VirtualTime } from '../../doubles/virtual-time.ts';
import { CLUSTER_PORT, SECRET, SmallCluster } from '../../node/small-cluster.ts';
import type { FuzzTarget } from '../target.ts';
import { raftBytes, raftMessages, requestBytes } from './peers.ts';
import { refusedOr } from './round-trip.ts';
import { framed } from './streams.ts';

interface Part {
  readonly kind: number;
  readonly payload: Buffer;
}

/** Parts of an input: u8 kind | u16 length | payload, as far as they go. */
function partsOf(input: Buffer): readonly Part[] {
  const parts: Part[] = [];
  for (let at = 0; at + 3 <= input.length; ) {
    const end = Math.min(input.length, at + 3 + input.readUInt16LE(at + 1));
    parts.push({ kind: input[at] ?? 0, payload: input.subarray(at + 3, end) });
    at = end;
  }
  return parts;
}

function part(kind: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(3);
  head[0] = kind;
  head.writeUInt16LE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

function message({ kind, payload }: Part): Buffer {
  const head = Buffer.alloc(5);
  head[0] = kind;
  head.writeUInt32LE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

const RAW = 255;

/** The bytes of a part on the wire: in a right frame, or as they are. */
function wire(one: Part): Buffer {
  return one.kind === RAW ? Buffer.from(one.payload) : framed(message(one));
}

const hello = { clusterId: 'c', node: 2, bootEpoch: 5, purpose: PURPOSES.link, nonce: new Uint8Array(32).fill(3) };

const handshake: FuzzTarget = {
  name: 'handshake',
  about: 'connections without the secret, both ways: never a link, never a message, and closed in time',
  seeds: () => [
    Buffer.concat([part(1, encodeHello(hello)), part(3, Buffer.alloc(32, 1))]),
    Buffer.concat([
      part(1, encodeHello({ ...hello, purpose: PURPOSES.snapshot })),
      part(3, Buffer.alloc(32)),
      part(16, Buffer.alloc(5)),
    ]),
    Buffer.concat([part(2, Buffer.alloc(90, 1)), part(4, Buffer.alloc(0)), part(17, Buffer.alloc(9))]),
    part(RAW, Buffer.from('GET / HTTP/1.1\r\n\r\n')),
  ],
  words: [encodeHello(hello), Buffer.from([1, 0, 1, 0x63]), Buffer.alloc(32)],
  msMax: 3_000,
  open: () => ({
    run: async (input) => {
      const time = new VirtualTime();
      const network = new MemoryNetwork({ timers: time, random: new SeededRandom(1), pieceBytesMax: 40 });
      const heard: string[] = [];
      const transport = new Transport({
        platform: { clock: time, timers: time, random: new SeededRandom(2), network: network.host('h1') },
        identity: { clusterId: 'c', node: 1, bootEpoch: 1 },
        secret: 'a secret that nobody here knows',
        listen: { host: 'h1', port: 1 },
        peers: [
          { node: 1, host: 'h1', port: 1 },
          { node: 2, host: 'h2', port: 1 },
        ],
        log: silentLogger,
        events: {
          message: (from, kind) => heard.push(`${kind} from ${from}`),
          linkUp: (node) => heard.push(`up ${node}`),
          linkDown: (node) => heard.push(`down ${node}`),
          snapshotConnection: (from) => heard.push(`snapshot from ${from}`),
        },
      });
      const bytes = partsOf(input).map(wire);
      let open = 0;
      const say = (connection: Awaited<ReturnType<ReturnType<typeof network.host>['connect']>>): void => {
        open++;
        connection.attach({ onData: () => undefined, onDrain: () => undefined, onClose: () => open-- });
        for (const chunk of bytes) connection.write(chunk);
      };
      const listener = await network.host('h2').listen({ host: 'h2', port: 1 }, say);
      await transport.start();
      say(await settled(time, network.host('h2').connect({ host: 'h1', port: 1, timeoutMs: 100 })));
      await time.pass(100);
      // Nobody listens any more: what was dialled is not dialled again.
      await settled(time, listener.close());
      await time.pass(10_000);
      assert.deepEqual(heard, []);
      assert.equal(open, 0, 'a connection without a handshake is closed in time');
      await settled(time, transport.close());
    },
  }),
};

async function settled<T>(time: VirtualTime, promise: Promise<T>): Promise<T> {
  let isOver = false;
  promise.then(
    () => (isOver = true),
    () => (isOver = true),
  );
  await time.until(() => isOver);
  return promise;
}

const MEMBERS = ['n1', 'n2', 'n3'];
/** Sends what follows over a connection for a snapshot instead of the link. */
const TO_SNAPSHOT = 254;
const LIAR = 3;
const SERVING_BYTES = 12;

/** A member that is played by the input: node 3, which dials nobody's link but is dialled, as the one with the greatest number. */
class Liar {
  readonly #world: SmallCluster;
  readonly #clusterId = buildTopology({
    members: MEMBERS.map((name) => ({ name, host: name, port: CLUSTER_PORT })),
    selfName: 'n3',
    partitions: 1,
    replicationFactor: 3,
  }).clusterId;
  readonly links: Channel[] = [];

  constructor(world: SmallCluster) {
    this.#world = world;
  }

  async listen(): Promise<void> {
    await this.#world.network.host('n3').listen({ host: 'n3', port: CLUSTER_PORT }, (connection) => {
      const channel = this.#channel(connection);
      channel.accept().then(
        () => {
          channel.attach({ message: () => undefined, closed: () => undefined, drained: () => undefined });
          this.links.push(channel);
        },
        () => undefined,
      );
    });
  }

  #channel(connection: ConstructorParameters<typeof Channel>[0]['connection']): Channel {
    const { time } = this.#world;
    return new Channel({
      connection,
      identity: { clusterId: this.#clusterId, node: LIAR, bootEpoch: 7 },
      secret: SECRET,
      timers: time,
      random: new SeededRandom(9),
    });
  }

  /** A connection for a snapshot to the node. */
  async snapshotTo(node: string, id: number): Promise<Channel> {
    const { network, time } = this.#world;
    const connection = await settled(
      time,
      network.host('n3').connect({ host: node, port: CLUSTER_PORT, timeoutMs: 100 }),
    );
    const channel = this.#channel(connection);
    await settled(time, channel.dial(PURPOSES.snapshot, { node: id }));
    channel.attach({ message: () => undefined, closed: () => undefined, drained: () => undefined });
    return channel;
  }
}

/**
 * Who says that he leads, or that he holds entries, is believed: a member that lies in these breaks what Raft stands on, and
 * nodes that notice it stop. That such messages are read rightly is the matter of the target raft-message.
 */
function isBeyondDefence({ kind, payload }: Part): boolean {
  if (kind === MESSAGE_KINDS.serving) return payload.length >= SERVING_BYTES;
  if (kind !== MESSAGE_KINDS.raft) return false;
  const raft = refusedOr(() => decodeMessage(payload.subarray(4)));
  if (raft === null) return false;
  return (
    isFromLeader(raft.type) ||
    [MESSAGE_TYPES.appendResponse, MESSAGE_TYPES.heartbeatResponse].some((type) => type === raft.type)
  );
}

function raftPart(index: number): Buffer {
  const group = Buffer.alloc(4);
  group.writeUInt32LE(1);
  const given = raftMessages()[index];
  return part(
    MESSAGE_KINDS.raft,
    Buffer.concat([group, given === undefined ? Buffer.alloc(0) : raftBytes({ ...given, from: LIAR })]),
  );
}

function snapshotParts(): Buffer {
  const conf = { voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [] };
  const raft = draftMessage(MESSAGE_TYPES.snapshot, LIAR, 1, 1);
  raft.snapshot = { index: 2, term: 1, confState: conf };
  const header = encodeHeader({
    purpose: SNAPSHOT_PURPOSES.catchUp,
    group: 1,
    historyFloor: 0,
    message: raftBytes(raft),
    state: encodePartitionState(emptyPartitionState(conf)),
    answers: encodeCarriedAnswers([]),
  });
  return Buffer.concat([
    part(TO_SNAPSHOT, Buffer.alloc(0)),
    part(MESSAGE_KINDS.snapshotHeader, header),
    part(MESSAGE_KINDS.snapshotRecords, Buffer.from([1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 1, 2, 3, 4, 5])),
    part(MESSAGE_KINDS.snapshotEnd, encodeEnd({ recordCount: 1, partCount: 1 })),
  ]);
}

const member: FuzzTarget = {
  name: 'member',
  about: 'messages of a member that lies: its link at most is closed; the others serve, and hold what they held',
  // A run takes long: several messages each.
  seeds: () => [
    Buffer.concat([
      part(MESSAGE_KINDS.request, requestBytes({ argvs: [['GET', 'k']], term: 2 })),
      part(MESSAGE_KINDS.request, requestBytes({ argvs: [['EVALSHA', 'f'.repeat(40), '0']], term: 2 })),
      part(
        MESSAGE_KINDS.request,
        requestBytes({
          argvs: [
            ['GET', 'a'],
            ['GET', 'b'],
          ],
          isTransaction: true,
          term: 1,
        }),
      ),
    ]),
    Buffer.concat([
      part(MESSAGE_KINDS.answer, Buffer.alloc(33)),
      part(MESSAGE_KINDS.cancel, Buffer.alloc(8)),
      part(MESSAGE_KINDS.serving, Buffer.from([1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0])),
      part(MESSAGE_KINDS.waitQuery, Buffer.alloc(24)),
      part(MESSAGE_KINDS.waitAnswer, Buffer.alloc(8)),
      part(MESSAGE_KINDS.address, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x68])),
      part(MESSAGE_KINDS.appliedQuery, Buffer.alloc(16)),
      part(MESSAGE_KINDS.appliedAnswer, Buffer.alloc(4)),
    ]),
    Buffer.concat(raftMessages().map((_, i) => raftPart(i))),
    snapshotParts(),
    part(RAW, Buffer.from('no frame')),
  ],
  words: Object.values(MESSAGE_KINDS).map((kind) => part(kind, Buffer.alloc(0))),
  bytesMax: 1_024,
  msMax: 20_000,
  memoryBytesMax: 512 * 1024 * 1024,
  open: () => ({
    run: async (input) => {
      const world = new SmallCluster({ members: MEMBERS, values: { 'replication-factor': 3 } });
      // A first start needs every member once; then the third leaves, and the liar takes its place.
      const nodes = [await world.start('n1'), await world.start('n2')];
      const third = await world.start('n3');
      await world.ready(...nodes, third);
      await world.finished(third.close(1_000));
      const liar = new Liar(world);
      await liar.listen();
      await world.time.pass(1_000);
      await world.ready(...nodes);
      const client = await world.client('n1');
      await client.call('SET', 'k', 'v');
      await world.time.until(() => liar.links.length >= 2);
      await speak(liar, partsOf(input));
      await world.time.pass(3_000);
      assert.deepEqual(world.failures, []);
      for (const node of ['n1', 'n2']) {
        const other = await world.client(node, `client of ${node}`);
        assert.equal(await other.call('GET', 'k'), 'v', `${node} serves, and holds what it held`);
        assert.equal(await other.call('DBSIZE'), 1);
      }
      for (const node of nodes) await world.finished(node.close(0));
      assert.deepEqual(world.failures, []);
    },
  }),
};

/** To both nodes, until they close the connection. */
async function speak(liar: Liar, parts: readonly Part[]): Promise<void> {
  let channels: readonly Channel[] = [...liar.links];
  for (const one of parts) {
    if (isBeyondDefence(one) || mayWrite(one)) continue;
    if (one.kind === TO_SNAPSHOT) {
      channels = [await liar.snapshotTo('n1', 1), await liar.snapshotTo('n2', 2)];
      continue;
    }
    for (const channel of channels) {
      if (channel.isClosed) continue;
      channel.begin(one.kind).bytes(one.payload);
      channel.end();
      channel.flush();
    }
  }
}

/** Requests that write are allowed to change data; here only those that read are sent. */
function mayWrite({ kind, payload }: Part): boolean {
  return (
    kind === MESSAGE_KINDS.request &&
    /SET|INCR|DEL|FLUSH|APPEND|EXPIRE|PERSIST|COPY|RENAME|LOCK|SEQ|BITOP|BITFIELD|MOVE|LOAD|UNLINK|RESTORE|EVAL/i.test(
      payload.toString('latin1'),
    ) &&
    !payload.includes('EVALSHA')
  );
}

export const linkTargets: readonly FuzzTarget[] = [handshake, member];
