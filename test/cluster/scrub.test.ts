/**
 * Replicas are compared: whole nodes on memory devices, whose records are changed behind their backs, with seals that fit. What
 * differs is found without anybody reading it, whoever is in the minority is rebuilt, and nobody is judged without proof.
 */
import { strict as assert } from 'node:assert';
import { slotOfKey } from '../../src/base/slots.ts';
import type { ScrubReport } from '../../src/cluster/api.ts';
import type { SettingValues } from '../../src/config/settings.ts';
import type { RunningNode } from '../../src/node/compose.ts';
import type { Replica } from '../../src/partition/replica.ts';
import type { Reply } from '../../src/resp/reply.ts';
import { encodeRecordKey } from '../../src/storage/data/keys.ts';
import { sealRecord } from '../../src/storage/data/records.ts';
import { SmallCluster, type TestClient } from '../node/small-cluster.ts';

const GROUP = 1;
const KEYS = 60;
const QUICK: Partial<SettingValues> = { 'scrub-rate': 1024 ** 3, 'scrub-interval': 200, 'checkpoint-interval': 1_000 };

class Bench {
  readonly world: SmallCluster;
  readonly nodes = new Map<string, RunningNode>();
  client: TestClient | null = null;

  constructor(world: SmallCluster) {
    this.world = world;
  }

  static async start(members: readonly string[], values: Partial<SettingValues> = {}): Promise<Bench> {
    const bench = new Bench(new SmallCluster({ members, values: { ...QUICK, ...values } }));
    for (const name of members) await bench.run(name);
    await bench.world.ready(...bench.nodes.values());
    for (let i = 0; i < KEYS; i++) await bench.call('SET', `k${i}`, `v${i}`);
    await bench.world.time.pass(500);
    return bench;
  }

  async run(name: string): Promise<void> {
    this.nodes.set(name, await this.world.start(name));
  }

  async stop(name: string): Promise<void> {
    await this.world.finished(this.node(name).close(0));
    this.nodes.delete(name);
  }

  async end(): Promise<void> {
    for (const name of [...this.nodes.keys()]) await this.stop(name);
  }

  node(name: string): RunningNode {
    const node = this.nodes.get(name);
    assert.ok(node !== undefined, `${name} runs`);
    return node;
  }

  replica(name: string): Replica {
    const replica = this.node(name).cluster.engine.replicas.get(GROUP);
    assert.ok(replica !== undefined);
    return replica;
  }

  get leader(): string {
    const found = [...this.nodes.keys()].find((name) => this.replica(name).isServing);
    assert.ok(found !== undefined, 'somebody leads');
    return found;
  }

  get followers(): readonly string[] {
    return [...this.nodes.keys()].filter((name) => name !== this.leader);
  }

  /** Of all nodes together. */
  count(name: Exclude<keyof ScrubReport, 'lastRoundAtMs'>): number {
    return [...this.nodes.values()].reduce((sum, { cluster }) => sum + cluster.scrub.report[name], 0);
  }

  async call(...argv: readonly string[]): Promise<Reply> {
    if (this.client === null || this.client.isClosed) {
      this.client = await this.world.client([...this.nodes.keys()].at(-1) ?? '');
    }
    return this.client.call(...argv);
  }

  /** Two more rounds, so that the last one began after this call. */
  async rounds(): Promise<void> {
    const before = this.count('rounds');
    await this.world.time.until(() => this.count('rounds') >= before + this.groups * 2);
  }

  get groups(): number {
    return [...this.nodes.values()][0]?.cluster.engine.replicas.size ?? 0;
  }

  /** What a device holds under a key that clients call `name`. */
  stored(node: string, name: string): string | undefined {
    const found = this.replica(node).data.get(recordKey(name));
    return found === undefined ? undefined : Buffer.from(found.payload).toString('latin1');
  }

  /** The record of one key takes the place of that of another, sealed as it should be. */
  forge(node: string, name: string, like: string): void {
    const found = this.replica(node).data.get(recordKey(like));
    assert.ok(found !== undefined);
    const sealed = sealRecord(recordKey(name), found.timestamp, found.payload);
    this.world.machine(node).device.overwrite(recordKey(name), sealed);
  }

  lose(node: string, name: string): void {
    this.world.machine(node).device.loseKey(recordKey(name));
  }

  said(text: string): readonly string[] {
    return this.world.events.filter((event) => event.includes(text));
  }
}

function recordKey(name: string): Uint8Array {
  return encodeRecordKey(slotOfKey(name), 0, name);
}

const THREE = ['n1', 'n2', 'n3'];
const DIFFERS = 'replicas hold different data; they are compared once more';
const REBUILT = 'this replica was rebuilt';

describe('the scrub', () => {
  it('compares every range of every partition again and again, while clients write, delete and flush', async () => {
    const bench = await Bench.start(THREE, { partitions: 3 });
    let isOver = false;
    const working = (async () => {
      for (let i = 0; !isOver; i++) {
        await bench.call('SET', `k${i % KEYS}`, 'x'.repeat(i % 3_000));
        await bench.call('DEL', `k${(i * 7) % KEYS}`);
        if (i % 100 === 99) await bench.call('FLUSHDB');
      }
    })();
    await bench.rounds();
    await bench.rounds();
    isOver = true;
    await bench.world.finished(working);
    assert.equal(bench.count('incompleteRanges'), 0);
    assert.equal(bench.count('mismatches'), 0);
    assert.deepEqual(bench.world.failures, []);
    await bench.end();
  });

  it('does not mind that older versions are collected at each replica’s own pace', async () => {
    const bench = await Bench.start(THREE, { 'version-retention': 300 });
    for (let i = 0; i < 200; i++) {
      await bench.call('SET', `k${i % 7}`, `later ${i}`);
      if (i % 5 === 0) await bench.call('DEL', `k${i % 7}`);
      await bench.world.time.pass(10);
    }
    await bench.rounds();
    assert.equal(bench.count('mismatches'), 0);
    await bench.end();
  });

  const damages: readonly (readonly [string, (bench: Bench, node: string) => void])[] = [
    ['lost a record', (bench, node) => bench.lose(node, 'k7')],
    ['holds another value under a seal that fits', (bench, node) => bench.forge(node, 'k7', 'k8')],
    [
      'lost many records',
      (bench, node) => {
        for (let i = 0; i < KEYS; i += 2) bench.lose(node, `k${i}`);
      },
    ],
  ];
  for (const [what, damage] of damages) {
    it(`finds a follower that ${what}, and has it rebuilt`, async () => {
      const bench = await Bench.start(THREE);
      const [follower = ''] = bench.followers;
      damage(bench, follower);
      await bench.world.time.until(() => bench.said(REBUILT).length > 0);
      assert.deepEqual(bench.said(REBUILT), [`${follower} info ${REBUILT}`]);
      assert.equal(bench.count('condemned'), 1);
      for (let i = 0; i < KEYS; i++) {
        assert.equal(bench.stored(follower, `k${i}`), bench.stored(bench.leader, `k${i}`), `k${i}`);
      }
      const { mismatches } = bench.node(bench.leader).cluster.scrub.report;
      await bench.rounds();
      assert.equal(bench.count('mismatches'), mismatches, 'they are equal again');
      await bench.end();
    });
  }

  it('a leader that is in the minority hands over and is rebuilt', async () => {
    const bench = await Bench.start(THREE);
    const { leader } = bench;
    bench.forge(leader, 'k7', 'k8');
    await bench.world.time.until(() => bench.said(REBUILT).length > 0);
    assert.deepEqual(bench.said(REBUILT), [`${leader} info ${REBUILT}`]);
    assert.match(bench.stored(leader, 'k7') ?? '', /v7/);
    assert.equal(await bench.call('GET', 'k7'), 'v7');
    await bench.end();
  });

  it('finds a seal that does not fit before anybody reads it', async () => {
    const bench = await Bench.start(THREE);
    const [follower = ''] = bench.followers;
    bench.world.machine(follower).device.flipBit(recordKey('k7'), 99);
    await bench.world.time.until(() => bench.said(REBUILT).length > 0);
    assert.deepEqual(bench.said(REBUILT), [`${follower} info ${REBUILT}`]);
    assert.equal(bench.count('condemned'), 0, 'nobody had to be told');
    assert.match(bench.stored(follower, 'k7') ?? '', /v7/);
    await bench.end();
  });

  it('condemns nobody for a difference that is seen only once', async () => {
    const bench = await Bench.start(THREE);
    const [follower = ''] = bench.followers;
    const before = bench.replica(follower).data.get(recordKey('k7'));
    assert.ok(before !== undefined);
    bench.forge(follower, 'k7', 'k8');
    await bench.world.time.until(() => bench.said(DIFFERS).length > 0);
    const sealed = sealRecord(recordKey('k7'), before.timestamp, before.payload);
    bench.world.machine(follower).device.overwrite(recordKey('k7'), sealed);
    await bench.rounds();
    assert.deepEqual([bench.count('mismatches'), bench.count('condemned')], [1, 0]);
    assert.equal(bench.said('replicas held different data, and hold the same now').length, 1);
    assert.equal(bench.said(REBUILT).length, 0);
    await bench.end();
  });

  it('one against one is nobody’s fault: an error is logged, and both go on', async () => {
    const bench = await Bench.start(['n1', 'n2'], { 'replication-factor': 2 });
    const [follower = ''] = bench.followers;
    bench.lose(follower, 'k7');
    await bench.world.time.until(() => bench.count('undecided') > 0);
    assert.ok(bench.said('no majority of them says which is right').length > 0);
    assert.equal(bench.count('condemned'), 0);
    assert.ok(['n1', 'n2'].every((name) => !bench.replica(name).isQuarantined));
    assert.equal(await bench.call('GET', 'k8'), 'v8');
    await bench.end();
  });

  it('while the third is away nobody is condemned; when it is back, the majority decides', async () => {
    const bench = await Bench.start(THREE);
    const [damaged = '', away = ''] = bench.followers;
    await bench.stop(away);
    bench.lose(damaged, 'k7');
    await bench.world.time.until(() => bench.count('undecided') > 0);
    assert.equal(bench.count('condemned'), 0);
    await bench.run(away);
    await bench.world.time.until(() => bench.said(REBUILT).length > 0);
    assert.deepEqual(bench.said(REBUILT), [`${damaged} info ${REBUILT}`]);
    assert.ok(bench.count('incompleteRanges') > 0);
    await bench.end();
  });

  it('a node alone tells of a damaged record, and goes on', async () => {
    const bench = await Bench.start(['n1']);
    bench.world.machine('n1').device.flipBit(recordKey('k7'), 99);
    await bench.rounds();
    assert.ok(bench.said('a record is damaged, and no other replica has it').length > 0);
    assert.equal(await bench.call('GET', 'k8'), 'v8');
    await bench.end();
  });

  it('nothing is compared at rate 0, and the settings change while it runs', async () => {
    const bench = await Bench.start(THREE, { 'scrub-rate': 0 });
    await bench.world.time.pass(30_000);
    assert.equal(bench.count('ranges'), 0);
    for (const name of THREE) {
      const client = await bench.world.client(name, `admin of ${name}`);
      await client.call('CONFIG', 'SET', 'scrub-rate', '100mb', 'scrub-interval', '100000');
    }
    await bench.world.time.until(() => bench.count('rounds') === bench.groups, 90_000);
    await bench.world.time.pass(80_000);
    assert.equal(bench.count('rounds'), bench.groups, 'the interval is kept');
    await bench.end();
  });

  it('takes its time: small records cost more than their bytes', async () => {
    const rate = 8_192;
    const seconds = 120;
    const bench = await Bench.start(THREE, { 'scrub-rate': rate });
    await bench.world.time.pass(seconds * 1_000);
    const records = bench.count('records');
    assert.ok(records >= KEYS, 'it gets along');
    // A look counts for 16 KiB, a record of these for more than half a KiB; nodes that lead nothing look at nothing.
    const spent = bench.count('ranges') * 16_384 + records * 512;
    assert.ok(spent < THREE.length * (seconds * rate + 65_536), `${spent} in ${seconds} s`);
    await bench.end();
  });

  it('INFO and the metrics say what was found', async () => {
    const bench = await Bench.start(THREE);
    const { leader } = bench;
    const [follower = ''] = bench.followers;
    bench.lose(follower, 'k7');
    await bench.world.time.until(() => bench.said(REBUILT).length > 0);
    await bench.rounds();
    const info = await (await bench.world.client(leader, 'admin')).call('INFO', 'kahuna');
    assert.ok(typeof info === 'string');
    assert.match(info, /\r\nscrub_mismatches:1\r\n/);
    assert.match(info, /\r\nscrub_condemned:1\r\n/);
    assert.match(info, /\r\nscrub_last_round_time:17\d{8}\r\n/);
    assert.match(info, /\r\nreplicas_quarantined:0\r\n/);
    await bench.end();
  });
});
