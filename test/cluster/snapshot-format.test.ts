import { strict as assert } from 'node:assert';
import { silentLogger } from '../../src/base/log.ts';
import {
  decodeHeader,
  encodeHeader,
  SNAPSHOT_PURPOSES,
  type SnapshotHeader,
} from '../../src/cluster/snapshot-format.ts';
import { Snapshots, type SnapshotsOptions } from '../../src/cluster/snapshots.ts';
import { encodeCarriedAnswers } from '../../src/partition/carried-answers.ts';
import { emptyPartitionState, encodePartitionState } from '../../src/partition/partition-state.ts';
import { encodeMessage } from '../../src/raft/codec.ts';
import { draftMessage } from '../../src/raft/messages.ts';
import { MESSAGE_TYPES } from '../../src/raft/types.ts';
import { WireWriter } from '../../src/raft/wire.ts';
import type { DataStore, InstallSource } from '../../src/storage/data/types.ts';

const CONF = { voters: [1, 2], votersOutgoing: [], learners: [], learnersNext: [] };

function header(change: Partial<SnapshotHeader> = {}): SnapshotHeader {
  return {
    purpose: SNAPSHOT_PURPOSES.rebuild,
    group: 3,
    historyFloor: 0x0102_0304,
    message: Buffer.from('m'),
    state: Buffer.from('st'),
    answers: Buffer.from('ans'),
    ...change,
  };
}

describe('snapshot header', () => {
  it('has these bytes', () => {
    const hex = Buffer.from(encodeHeader(header())).toString('hex');
    assert.equal(hex, '0201030000000403020100000000010000006d02000000737403000000616e73');
    assert.deepEqual(decodeHeader(Buffer.from(hex, 'hex')), header());
  });

  it('of another format, of an unknown purpose or cut anywhere is refused', () => {
    const bytes = encodeHeader(header());
    for (const [place, value] of [
      [0, 1],
      [0, 3],
      [1, 2],
    ] as const) {
      const wrong = Uint8Array.from(bytes);
      wrong[place] = value;
      assert.throws(() => decodeHeader(wrong), { code: 'SNAPSHOT_FORMAT' });
    }
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeHeader(bytes.slice(0, length)), { code: 'BYTES_MALFORMED' });
    }
  });

  it('tells the receiver from when on history is complete', async () => {
    const sources: (InstallSource | undefined)[] = [];
    const data = {
      beginInstall: (_group: number, _ranges: unknown, source?: InstallSource) => {
        sources.push(source);
        return Promise.resolve({ write: () => Promise.resolve(), finish: () => Promise.resolve() });
      },
      apply: (_group: number, _changes: unknown, _applied: unknown, done: () => void) => done(),
      sync: () => Promise.resolve(),
    } as unknown as DataStore;
    const hold = (group: number, floor: number): Promise<void> => {
      assert.deepEqual([group, floor, sources.length], [3, 8, 0], 'what is held is held before anything is installed');
      return Promise.resolve();
    };
    const snapshots = new Snapshots({ data, hold, log: silentLogger } as unknown as SnapshotsOptions);
    const writer = new WireWriter();
    encodeMessage(
      { ...draftMessage(MESSAGE_TYPES.snapshot, 1, 2, 4), snapshot: { index: 9, term: 4, confState: CONF } },
      writer,
    );
    const staged = header({
      message: writer.take(),
      state: encodePartitionState({ ...emptyPartitionState(CONF), holds: { floor: 8, passed: 0, revision: 9 } }),
      answers: encodeCarriedAnswers([]),
    });
    const installed = await snapshots.installStaged(
      3,
      { first: 0, last: 9 },
      { header: staged, end: { partCount: 0, recordCount: 0 }, read: () => Promise.resolve([]) },
    );
    assert.equal(installed.index, 9);
    assert.deepEqual(sources, [{ historyFloor: 0x0102_0304 }]);
  });
});
