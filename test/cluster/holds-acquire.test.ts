/** What KAHUNA.HOLD ACQUIRE asks of the metadata group and of the partitions, in which order, and what becomes of it if one refuses. */
import { strict as assert } from 'node:assert';
import { silentLogger } from '../../src/base/log.ts';
import { Holds } from '../../src/cluster/holds.ts';
import { type Reply, ReplyError } from '../../src/resp/reply.ts';
import { VirtualTime } from '../doubles/virtual-time.ts';

/** The metadata group answers with `row` (id, moment, revision, floor, end of the lease, passed), partition 1 with the moment from which on it keeps all. */
class Cluster {
  readonly asked: string[] = [];
  row: readonly number[] = [];
  keptFrom = 0;
  latest = 0;
  retentionMs = 1_000;
  readonly holds = new Holds({
    clock: new VirtualTime(),
    log: silentLogger,
    groups: [1],
    retentionMs: () => this.retentionMs,
    call: (group, { name }, args): Promise<Reply> => {
      this.asked.push(`${group} ${name} ${args.map(String).join(' ')}`);
      return Promise.resolve(group === 0 ? this.row : this.keptFrom);
    },
    latest: () => {
      this.asked.push('latest');
      return Promise.resolve(this.latest);
    },
    pass: (at) => {
      this.asked.push(`pass ${at}`);
      return Promise.resolve();
    },
    metadata: () => undefined,
    stored: () => [],
  });
}

const refusal = (text: RegExp) => (error: unknown) => error instanceof ReplyError && text.test(error.reply.text);

describe('acquiring a hold', () => {
  it('of the present holds a moment that is not before what any partition has acknowledged', async () => {
    const cluster = new Cluster();
    cluster.latest = 70;
    cluster.row = [55, 70, 55, 70];
    cluster.keptFrom = 70;
    assert.deepEqual(await cluster.holds.acquire('me', { at: 0, leaseMs: 1_000 }, 9), { id: 55, at: 70 });
    assert.deepEqual(cluster.asked, ['latest', '0 %HOLD-ACQUIRE me 70 1000', '1 %HOLD 55 70 1000', 'pass 70']);
  });

  it('moves the present to where history begins', async () => {
    const cluster = new Cluster();
    cluster.latest = 70;
    cluster.row = [55, 70, 55, 70];
    cluster.keptFrom = 90;
    assert.deepEqual(await cluster.holds.acquire('me', { at: 0, leaseMs: 1_000 }, 9), { id: 55, at: 90 });
    assert.deepEqual(cluster.asked.slice(-2), ['0 %HOLD-MOVE 55 90', 'pass 90']);
  });

  it('of the past is given up if some partition keeps only what is later', async () => {
    const cluster = new Cluster();
    cluster.row = [55, 40, 55, 40, 900];
    cluster.keptFrom = 41;
    await assert.rejects(cluster.holds.acquire('me', { at: 40, leaseMs: 1_000 }, 9), refusal(/HISTORYGONE 40 /));
    assert.equal(cluster.asked.at(-1), '0 %HOLD-RELEASE 55 900', 'unless somebody has acquired it too since');
  });

  it('of the past is given up if only holds keep history, and it began later in the metadata group', async () => {
    const cluster = new Cluster();
    // An earlier hold began it: the partition, whose time was behind, says that it keeps what it was asked for.
    cluster.row = [55, 40, 55, 40, 900, 41];
    cluster.keptFrom = 40;
    assert.deepEqual(await cluster.holds.acquire('me', { at: 40, leaseMs: 1_000 }, 9), { id: 55, at: 40 });
    cluster.retentionMs = 0;
    await assert.rejects(cluster.holds.acquire('me', { at: 40, leaseMs: 1_000 }, 9), refusal(/HISTORYGONE 40 .* 41;/));
  });

  it('does not take away a hold that was there before', async () => {
    const cluster = new Cluster();
    // Its id is the revision of the list in which it first stood.
    cluster.row = [31, 40, 55, 40];
    cluster.keptFrom = 41;
    await assert.rejects(cluster.holds.acquire('me', { at: 40, leaseMs: 1_000 }, 9), refusal(/HISTORYGONE/));
    assert.ok(!cluster.asked.some((one) => one.includes('RELEASE')));
  });
});
