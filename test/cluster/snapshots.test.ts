/**
 * Receiving snapshots over real channels in a network in memory, with a disk that goes step by step: a connection may break
 * at any moment, and what comes over it may be anything. The Raft core is a double that remembers what it was offered.
 */
import { strict as assert } from 'node:assert';
import { ByteWriter } from '../../src/base/bytes.ts';
import { silentLogger } from '../../src/base/log.ts';
import { MESSAGE_KINDS } from '../../src/cluster/message-kinds.ts';
import {
  decodeRecords,
  encodeEnd,
  encodeHeader,
  SNAPSHOT_PURPOSES,
  type SnapshotPurpose,
  writeRecords,
} from '../../src/cluster/snapshot-format.ts';
import { SnapshotStage } from '../../src/cluster/snapshot-stage.ts';
import { Snapshots } from '../../src/cluster/snapshots.ts';
import { encodeCarriedAnswers } from '../../src/partition/carried-answers.ts';
import type { Engine } from '../../src/partition/engine.ts';
import type { Replica } from '../../src/partition/replica.ts';
import { emptyPartitionState, encodePartitionState } from '../../src/partition/partition-state.ts';
import { encodeMessage } from '../../src/raft/codec.ts';
import { draftMessage } from '../../src/raft/messages.ts';
import { MESSAGE_TYPES, type Message } from '../../src/raft/types.ts';
import { WireWriter } from '../../src/raft/wire.ts';
import { encodeRecordKey } from '../../src/storage/data/keys.ts';
import { sealRecord } from '../../src/storage/data/records.ts';
import type { DataStore, RawRecord } from '../../src/storage/data/types.ts';
import type { RaftLog } from '../../src/storage/log/types.ts';
import type { Channel } from '../../src/transport/channel.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { MemoryDisk } from '../doubles/memory-disk.ts';
import { MemoryProcess } from '../doubles/memory-process.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { StepScheduler } from '../doubles/stepping.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';
import { TwoNodes } from './two-nodes.ts';

const GROUP = 1;
/** In front of each staged file. */
const CHECKSUM_BYTES = 4;
const SLOTS = { first: 0, last: 99 };
const CONF = { voters: [1, 2], votersOutgoing: [], learners: [], learnersNext: [] };

/** Node 1 opens connections, node 2 receives; `disk` moves when the test says so. */
class Bench {
  readonly time = new VirtualTime();
  readonly disk = new StepScheduler();
  readonly memory = new MemoryDisk({ random: new SeededRandom(1), schedule: this.disk.schedule });
  readonly offered: Message[] = [];
  /** What lay on the disk when each snapshot was offered. */
  readonly atOffer: (readonly string[])[] = [];
  readonly warnings: string[] = [];
  readonly #nodes = new TwoNodes(this.time);
  readonly snapshots: Snapshots;
  /** The data store, as far as an installation uses it: each operation ends when the test says so. */
  readonly store = new StepScheduler();
  readonly storeLog: string[] = [];
  isStoreClosed = false;
  readonly #sender: Transport;
  readonly #receiver: Transport;

  constructor() {
    this.#sender = this.#nodes.transport(1, {
      snapshotConnection: () => assert.fail('nobody sends to the sender'),
    });
    this.#receiver = this.#nodes.transport(2, {
      snapshotConnection: (from, channel) => {
        this.snapshots.receive(from, channel);
      },
    });
    this.snapshots = new Snapshots({
      platform: {
        clock: this.time,
        timers: this.time,
        random: new SeededRandom(3),
        process: new MemoryProcess(),
        network: this.#nodes.network.host('h2'),
        disk: this.memory,
      },
      data: this.#data(),
      hold: () => Promise.resolve(),
      raftLog: {} as RaftLog,
      dataDirectory: '/d',
      log: {
        ...silentLogger,
        warn: (event, fields) => this.warnings.push(`${event}: ${String(fields?.['error'])}`),
      },
      engine: () => ({ replicas: new Map([[GROUP, this.replica]]) }) as unknown as Engine,
      transport: () => this.#receiver,
    });
  }

  readonly replica = {
    group: GROUP,
    slots: SLOTS,
    isQuarantined: true,
    canRebuildFrom: () => 'later',
    step: (message: Message): void => {
      this.#offer(message);
    },
    applier: { suspend: () => Promise.resolve() },
    installed: (_: unknown, __: unknown, done: () => void): void => {
      done();
    },
  } as unknown as Replica;

  #data(): DataStore {
    const operation = (name: string): Promise<void> => {
      assert.ok(!this.isStoreClosed, `${name} on a closed store`);
      return new Promise((resolve) => {
        this.store.schedule(() => {
          assert.ok(!this.isStoreClosed, `${name} ended on a closed store`);
          this.storeLog.push(name);
          resolve();
        });
      });
    };
    const install = { write: () => operation('write'), finish: () => operation('finish') };
    return {
      beginInstall: () => operation('begin').then(() => install),
      apply: (_: unknown, __: unknown, ___: unknown, done: () => void) => void operation('apply').then(done),
      sync: () => operation('sync'),
    } as unknown as DataStore;
  }

  #offer(message: Message): void {
    this.offered.push(message);
    const directory = `/d/snapshots/${GROUP}`;
    const parts = this.memory.names(directory).filter((name) => name.startsWith('part-'));
    this.atOffer.push(
      parts.flatMap((name) =>
        decodeRecords(this.memory.content(`${directory}/${name}`).subarray(CHECKSUM_BYTES)).map(({ sealed }) =>
          valueOf(sealed),
        ),
      ),
    );
  }

  async start(): Promise<this> {
    await this.#receiver.start();
    await this.#sender.start();
    await this.time.pass(100);
    return this;
  }

  async connect(): Promise<Sender> {
    const opening = this.#sender.openSnapshotConnection(2);
    opening.catch(() => undefined);
    await this.time.pass(10);
    return new Sender(this, await opening);
  }

  /** Everything that is under way ends, on the disk too. */
  async settle(): Promise<void> {
    for (let rounds = 0; rounds < 5; rounds++) {
      await this.time.pass(1);
      await this.disk.drain();
    }
  }

  stage(): SnapshotStage {
    return new SnapshotStage(this.memory, '/d', GROUP);
  }

  async staged(): Promise<readonly string[] | undefined> {
    const staged = await this.disk.until(this.stage().open());
    if (staged === undefined) return undefined;
    const keys: string[] = [];
    for (let part = 0; part < staged.end.partCount; part++) {
      for (const { sealed } of await this.disk.until(staged.read(part))) keys.push(valueOf(sealed));
    }
    return keys;
  }
}

class Sender {
  readonly #bench: Bench;
  readonly #channel: Channel;
  result: boolean | null = null;
  isClosed = false;

  constructor(bench: Bench, channel: Channel) {
    this.#bench = bench;
    this.#channel = channel;
    channel.attach({
      message: (kind, payload) => {
        if (kind === MESSAGE_KINDS.snapshotResult) this.result = payload[0] === 1;
      },
      closed: () => {
        this.isClosed = true;
      },
      drained: () => undefined,
    });
  }

  send(kind: number, payload: Uint8Array): void {
    this.#channel.begin(kind).bytes(payload);
    this.#channel.end();
    this.#channel.flush();
  }

  header(payload = header()): void {
    this.send(MESSAGE_KINDS.snapshotHeader, payload);
  }

  records(...records: readonly RawRecord[]): void {
    const writer = new ByteWriter(64);
    writeRecords(writer, records);
    this.send(MESSAGE_KINDS.snapshotRecords, writer.finishCopy());
  }

  end(recordCount: number, partCount = recordCount): void {
    this.send(MESSAGE_KINDS.snapshotEnd, encodeEnd({ recordCount, partCount }));
  }

  async close(): Promise<void> {
    this.#channel.close();
    await this.#bench.time.pass(1);
  }
}

function header(
  change: {
    readonly from?: number;
    readonly type?: Message['type'];
    readonly state?: Uint8Array;
    readonly purpose?: SnapshotPurpose;
  } = {},
): Uint8Array {
  const type = change.type ?? MESSAGE_TYPES.snapshot;
  const message = draftMessage(type, change.from ?? 1, 2, 7);
  if (type === MESSAGE_TYPES.snapshot) message.snapshot = { index: 50, term: 6, confState: CONF };
  const writer = new WireWriter();
  encodeMessage(message, writer);
  return encodeHeader({
    purpose: change.purpose ?? SNAPSHOT_PURPOSES.catchUp,
    historyFloor: 0,
    group: GROUP,
    message: writer.take(),
    state: change.state ?? encodePartitionState(emptyPartitionState(CONF)),
    answers: encodeCarriedAnswers([]),
  });
}

function record(value: string, slot = 5): RawRecord {
  const key = encodeRecordKey(slot, 0, `key of ${value}`);
  return { key, sealed: sealRecord(key, 3, Buffer.from(value)) };
}

function valueOf(sealed: Uint8Array): string {
  return Buffer.from(sealed).toString('latin1', 12);
}

describe('installing a snapshot', () => {
  /** A staged snapshot of two parts, which the core has just taken. */
  async function taken(): Promise<Bench> {
    const bench = await new Bench().start();
    const sender = await bench.connect();
    sender.header();
    sender.records(record('a'));
    sender.records(record('b'));
    sender.end(2);
    await bench.settle();
    bench.snapshots.install(bench.replica);
    return bench;
  }

  it('is broken off when the node closes, and nothing of it is left when that is done', async () => {
    const whole = await taken();
    for (let i = 0; i < 20; i++) {
      await whole.settle();
      await whole.store.drain();
    }
    assert.deepEqual(whole.storeLog, ['begin', 'write', 'write', 'finish', 'apply', 'sync']);
    assert.equal(await whole.staged(), undefined);
    for (let steps = 0; steps <= whole.storeLog.length; steps++) {
      const bench = await taken();
      while (bench.storeLog.length < steps) {
        await bench.settle();
        await bench.store.step();
      }
      await bench.settle();
      const closing = bench.snapshots.close().then(() => {
        bench.isStoreClosed = true;
      });
      for (let i = 0; i < 20; i++) {
        await bench.settle();
        await bench.store.drain();
      }
      await closing;
      await bench.settle();
    }
  });

  it('does not begin another part once the node closes', async () => {
    const bench = await taken();
    await bench.settle();
    const closing = bench.snapshots.close();
    for (let i = 0; i < 20; i++) {
      await bench.settle();
      await bench.store.drain();
    }
    await closing;
    assert.deepEqual(bench.storeLog, ['begin']);
  });
});

describe('sending a snapshot', () => {
  it('that finds another stream on its way to the same node tells the core, which would wait for its end', async () => {
    const bench = await new Bench().start();
    const reports: string[] = [];
    const replica = {
      group: GROUP,
      node: 2,
      isQuarantined: true,
      core: { term: 7, reportSnapshot: (to: number, isDelivered: boolean) => reports.push(`${to} ${isDelivered}`) },
      wake: () => undefined,
    } as unknown as Replica;
    const message = draftMessage(MESSAGE_TYPES.snapshot, 2, 1, 7);
    // It fails, but not in this turn.
    bench.snapshots.sendCopy(replica, 1);
    bench.snapshots.send(replica, message);
    assert.deepEqual(reports, ['1 false']);
    await bench.settle();
    assert.deepEqual(reports, ['1 false'], 'nobody asked for the end of the copy');
    bench.snapshots.send(replica, message);
    await bench.settle();
    assert.deepEqual(reports, ['1 false', '1 false'], 'the next one was tried, and failed');
  });
});

describe('receiving a copy for damaged data', () => {
  it('offers it to a core whose log does not reach it: what is missing may be gone from all logs', async () => {
    const bench = await new Bench().start();
    const sender = await bench.connect();
    sender.header(header({ purpose: SNAPSHOT_PURPOSES.rebuild }));
    sender.records(record('a'));
    sender.end(1);
    await bench.settle();
    assert.equal(bench.offered.length, 1);
    bench.snapshots.install(bench.replica);
    for (let i = 0; i < 20; i++) {
      await bench.settle();
      await bench.store.drain();
    }
    assert.equal(sender.result, true);
    assert.deepEqual(bench.storeLog, ['begin', 'write', 'finish', 'apply', 'sync']);
  });
});

describe('receiving a snapshot', () => {
  it('stages it whole, offers it to the core, and takes the next one after the decision', async () => {
    const bench = await new Bench().start();
    for (const round of [1, 2]) {
      const sender = await bench.connect();
      sender.header();
      sender.records(record(`a${round}`));
      sender.records(record(`b${round}`));
      sender.end(2);
      await bench.settle();
      assert.equal(bench.offered.length, round);
      assert.deepEqual(await bench.staged(), [`a${round}`, `b${round}`]);
      assert.equal(sender.result, null);
      await bench.time.pass(2_000);
      assert.equal(sender.result, false, 'the double never takes one');
      await sender.close();
    }
    assert.deepEqual(bench.warnings, []);
  });

  it('takes the next one whenever the connection of the one before broke', async () => {
    for (let steps = 0; steps < 14; steps++) {
      const bench = await new Bench().start();
      const first = await bench.connect();
      first.header();
      first.records(record('old'));
      await bench.time.pass(1);
      for (let step = 0; step < steps; step++) {
        await bench.disk.step();
        await bench.time.pass(0);
      }
      await first.close();
      await bench.settle();
      const second = await bench.connect();
      second.header();
      second.records(record('new'));
      second.end(1);
      await bench.settle();
      assert.deepEqual(await bench.staged(), ['new'], `broken after ${steps} steps of the disk`);
      assert.equal(bench.offered.length, 1);
    }
  });

  it('never mixes two streams: what a broken connection left waiting is not staged beside its successor', async () => {
    for (let steps = 0; steps < 14; steps++) {
      const bench = await new Bench().start();
      const first = await bench.connect();
      first.header();
      for (const name of ['old 1', 'old 2', 'old 3']) first.records(record(name));
      first.end(3);
      await bench.time.pass(1);
      for (let step = 0; step < steps; step++) {
        await bench.disk.step();
        await bench.time.pass(0);
      }
      await first.close();
      const second = await bench.connect();
      second.header();
      for (const name of ['new 1', 'new 2', 'new 3']) second.records(record(name));
      second.end(3);
      await bench.settle();
      for (const staged of bench.atOffer) {
        assert.equal(
          new Set(staged.map((name) => name.slice(0, 3))).size,
          1,
          `after ${steps} steps: ${String(staged)}`,
        );
        assert.equal(staged.length, 3);
      }
    }
  });

  it('leaves a whole one alone until the core has decided, although its connection is gone', async () => {
    const bench = await new Bench().start();
    const first = await bench.connect();
    first.header();
    first.records(record('old'));
    first.end(1);
    await bench.settle();
    await first.close();
    const second = await bench.connect();
    second.header();
    await bench.settle();
    assert.equal(second.result, false);
    assert.deepEqual(await bench.staged(), ['old']);
    await bench.time.pass(2_000);
    const third = await bench.connect();
    third.header();
    third.end(0);
    await bench.settle();
    assert.deepEqual(await bench.staged(), []);
  });

  it('lets nothing become whole that could not be installed', async () => {
    const damaged = record('x');
    const flipped = Uint8Array.from(damaged.sealed, (byte, i) => (i === 12 ? byte ^ 1 : byte));
    const streams: readonly (readonly [what: string, send: (sender: Sender) => void])[] = [
      ['a header cut short', (sender) => sender.header(header().slice(0, -1))],
      ['a header of another message', (sender) => sender.header(header({ type: MESSAGE_TYPES.heartbeat }))],
      ['a header of another node', (sender) => sender.header(header({ from: 9 }))],
      ['a state that cannot be read', (sender) => sender.header(header({ state: Buffer.from([9, 9]) }))],
      ['a damaged record', (sender) => sender.records({ key: damaged.key, sealed: flipped })],
      ['a record under another key', (sender) => sender.records({ key: record('y').key, sealed: damaged.sealed })],
      ['a record of another partition', (sender) => sender.records(record('x', 100))],
      ['no records', (sender) => sender.send(MESSAGE_KINDS.snapshotRecords, Buffer.from([1, 0]))],
      ['a second header', (sender) => sender.header()],
      ['fewer records than announced', (sender) => sender.end(3, 1)],
      ['fewer parts than announced', (sender) => sender.end(1, 2)],
      ['something else', (sender) => sender.send(MESSAGE_KINDS.raft, Buffer.from('x'))],
    ];
    for (const [what, send] of streams) {
      const bench = await new Bench().start();
      const sender = await bench.connect();
      if (!what.includes('header') && !what.includes('state')) {
        sender.header();
        sender.records(record('good'));
      } else if (what === 'a second header') sender.header();
      send(sender);
      sender.end(2);
      await bench.settle();
      assert.deepEqual([bench.offered.length, await bench.staged(), sender.isClosed], [0, undefined, true], what);
      assert.equal(bench.warnings.length, 1, what);
      const next = await bench.connect();
      next.header();
      next.end(0);
      await bench.settle();
      assert.deepEqual(await bench.staged(), [], `${what}: the next one is taken`);
    }
  });

  it('refuses a second one while one comes in', async () => {
    const bench = await new Bench().start();
    const first = await bench.connect();
    first.header();
    const second = await bench.connect();
    second.header();
    await bench.settle();
    assert.equal(second.result, false);
    first.records(record('one'));
    first.end(1);
    await bench.settle();
    assert.deepEqual(await bench.staged(), ['one']);
  });
});
