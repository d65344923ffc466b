/**
 * The durable log, damaged in many places at once, and with content that no version of it writes. The answer is a named end of the
 * process, or a state that the log once had; and who refuses to start has changed nothing.
 */
import assert from 'node:assert/strict';
import { crc32 } from '../../../src/base/checksum.ts';
import {
  putRecordHeader,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  type RecordHeader,
} from '../../../src/storage/log/records.ts';
import type { RaftLog } from '../../../src/storage/log/types.ts';
import { MemoryDisk } from '../../doubles/memory-disk.ts';
import { ProcessEnded } from '../../doubles/memory-process.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { checkpoint, entries, flush, openLog } from '../../storage/log/environment.ts';
import { textOf } from '../../storage/log/model.ts';
import type { FuzzTarget } from '../target.ts';

const SEGMENT_BYTES = 4096;
const SECTOR = 512;
const NAMES = ['identity', 'segment-000000000001.log', 'segment-000000000002.log', 'segment-000000000003.log'] as const;

interface Sample {
  readonly disk: MemoryDisk;
  /** The text of every state that the log had after a flush. */
  readonly states: ReadonlySet<string>;
}

async function sample(): Promise<Sample> {
  const disk = new MemoryDisk({ random: new SeededRandom(1) });
  const states = new Set<string>();
  const { log } = await openLog(disk, { segmentBytes: SEGMENT_BYTES });
  const note = async (): Promise<void> => {
    await flush(log);
    states.add(textOf((await openLog(disk.clone(new SeededRandom(1)), { segmentBytes: SEGMENT_BYTES })).log.recovered));
  };
  states.add(textOf((await openLog(disk.clone(new SeededRandom(1)), { segmentBytes: SEGMENT_BYTES })).log.recovered));
  log.stageHardState(1, { term: 1, vote: 2, commit: 0 });
  log.stageEntries(1, entries(1, 3));
  log.stageEntries(2, entries(1, 2, { bytes: 900 }));
  await note();
  log.stageEntries(1, entries(3, 5, { term: 2 }));
  log.stageCheckpoint(1, checkpoint(2));
  await note();
  log.stageCompaction(1, { index: 1, term: 1 });
  log.stageHardState(1, { term: 3, vote: 1, commit: 4 });
  await note();
  log.stageEntries(1, [{ term: 3, index: 6, type: 0, data: new Uint8Array(1000) }]);
  log.stageEntries(2, entries(3, 3));
  await note();
  return { disk, states };
}

function contents(disk: MemoryDisk): ReadonlyMap<string, string> {
  return new Map(disk.names('log').map((name) => [name, disk.content(`log/${name}`).toString('latin1')]));
}

/** Six bytes a step: what, file, sector (2 bytes), position in the sector, value. */
function damage(disk: MemoryDisk, input: Buffer): void {
  for (let at = 0; at + 6 <= input.length; at += 6) {
    const [what = 0, file = 0, low = 0, high = 0, position = 0, value = 0] = input.subarray(at, at + 6);
    const name = NAMES[file % NAMES.length] ?? NAMES[0];
    const path = `log/${name}`;
    if (!disk.names('log').includes(name)) continue;
    const content = Buffer.from(disk.content(path));
    const sectors = Math.max(1, Math.ceil(content.length / SECTOR));
    const start = (low % sectors) * SECTOR;
    const other = (high % sectors) * SECTOR;
    switch (what % 8) {
      case 0:
      case 1:
        content[Math.min(content.length - 1, start + position * 2)] = value;
        break;
      case 2:
        content.fill(0, Math.min(start, content.length), Math.min(content.length, start + SECTOR * (1 + (value % 4))));
        break;
      case 3:
        content.copy(content, start, other, other + SECTOR);
        break;
      case 4: {
        const kept = Buffer.from(content.subarray(start, start + SECTOR));
        content.copy(content, start, other, other + SECTOR);
        kept.copy(content, other);
        break;
      }
      case 5:
        disk.put(path, content.subarray(0, start + position * 2));
        continue;
      case 6:
        if (value % 4 === 0) disk.lose(path);
        continue;
      default: {
        const from = `log/${NAMES[value % NAMES.length] ?? ''}`;
        if (disk.names('log').includes(from.slice(4))) disk.put(path, disk.content(from));
        continue;
      }
    }
    disk.put(path, content);
  }
}

async function opened(disk: MemoryDisk): Promise<string | ProcessEnded> {
  try {
    return textOf((await openLog(disk, { segmentBytes: SEGMENT_BYTES })).log.recovered);
  } catch (error) {
    if (error instanceof ProcessEnded) return error;
    throw error;
  }
}

const recovery: FuzzTarget = {
  name: 'log-damage',
  about: 'a log damaged in many places: refused and left alone, or a state that it once had',
  seeds: () => [
    Buffer.from([2, 2, 3, 0, 0, 0]),
    Buffer.from([0, 1, 1, 0, 20, 9, 2, 2, 5, 0, 0, 3]),
    Buffer.from([3, 1, 2, 1, 0, 0]),
    Buffer.from([5, 2, 3, 0, 7, 0]),
    Buffer.from([7, 2, 0, 0, 0, 1]),
    Buffer.from([6, 0, 0, 0, 0, 0]),
  ],
  bytesMax: 60,
  msMax: 3_000,
  open: async () => {
    const { disk: intact, states } = await sample();
    return {
      run: async (input) => {
        const disk = intact.clone(new SeededRandom(2));
        damage(disk, input);
        const before = contents(disk);
        const result = await opened(disk);
        if (result instanceof ProcessEnded) {
          assert.match(result.reason, /^logDamaged$|^wrongDirectory$/);
          assert.deepEqual(contents(disk), before, 'who refuses to start changes nothing');
          return;
        }
        const isNew = before.size === 0 || !before.has('identity');
        assert.ok(states.has(result) || (isNew && result === ''), `it never had this state: ${result}`);
        assert.equal(await opened(disk), result, 'what was opened once is opened again');
      },
    };
  },
};

const FLUSH_AT = SECTOR;
const PAYLOAD_AT = 64;
const PAYLOAD_BYTES_MAX = SECTOR - PAYLOAD_AT;

/** A fresh log whose first flush carries the payload, under a right checksum. */
function carry(disk: MemoryDisk, payload: Buffer): void {
  const path = 'log/segment-000000000001.log';
  const content = Buffer.from(disk.content(path));
  const sector = content.subarray(FLUSH_AT, FLUSH_AT + SECTOR);
  const carried = payload.subarray(0, PAYLOAD_BYTES_MAX);
  sector.writeUInt32LE(carried.length, 40);
  sector.fill(0, PAYLOAD_AT);
  sector.set(carried, PAYLOAD_AT);
  sector.writeUInt32LE(crc32(sector.subarray(8)), 4);
  disk.put(path, content);
}

/** The payload of a flush with these changes. */
async function payloadOf(stage: (log: RaftLog) => void): Promise<Buffer> {
  const disk = new MemoryDisk({ random: new SeededRandom(1) });
  const { log } = await openLog(disk, { segmentBytes: SEGMENT_BYTES });
  stage(log);
  await flush(log);
  const sector = disk.content('log/segment-000000000001.log').subarray(FLUSH_AT + SECTOR);
  return Buffer.from(sector.subarray(PAYLOAD_AT, PAYLOAD_AT + sector.readUInt32LE(40)));
}

interface Forged {
  readonly kind: number;
  readonly term?: number;
  readonly index?: number;
  readonly data?: Uint8Array;
}

function records(...list: readonly Forged[]): Buffer {
  const parts = list.map(({ kind, term = 0, index = 0, data = new Uint8Array(0) }) => {
    const header = Buffer.alloc(RECORD_HEADER_BYTES);
    putRecordHeader(header, 0, { kind, entryType: 0, group: 1, term, index } as RecordHeader, data.length);
    return Buffer.concat([header, data]);
  });
  return Buffer.concat(parts);
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => bytes.writeBigUInt64LE(BigInt(value), i * 8));
  return bytes;
}

const { entry, hardState, checkpoint: mark, reset, removal, group } = RECORD_KINDS;
const [one, two] = entries(1, 2);
const ORDINARY = records(
  { kind: hardState, term: 1, index: 0, data: numbers(2) },
  { kind: entry, term: 1, index: 1, data: one?.data ?? numbers() },
  { kind: entry, term: 1, index: 2, data: two?.data ?? numbers() },
  { kind: mark, term: 1, index: 1, data: checkpoint(1).state },
);
/** Last index, hard state, checkpoint: all that a segment may begin with. */
const GROUP = records(
  { kind: group, term: 1, index: 2, data: Buffer.concat([numbers(2, 3, 1, 2, 1, 2), Buffer.from('state')]) },
  { kind: entry, term: 3, index: 3, data: Buffer.from('entry') },
);
const RESET_AND_REMOVAL = records(
  { kind: reset, term: 4, index: 9, data: Buffer.from('state') },
  { kind: entry, term: 4, index: 10, data: Buffer.from('entry') },
  { kind: removal },
);

const content: FuzzTarget = {
  name: 'log-content',
  about: 'a flush with a right checksum and any content: refused as damage, or a state that is recovered again alike',
  seeds: () => [ORDINARY, GROUP, RESET_AND_REMOVAL],
  bytesMax: PAYLOAD_BYTES_MAX,
  msMax: 2_000,
  open: async () => {
    const empty = new MemoryDisk({ random: new SeededRandom(1) });
    const { log } = await openLog(empty, { segmentBytes: SEGMENT_BYTES });
    await log.close();
    const payload = await payloadOf((one) => {
      one.stageHardState(1, { term: 1, vote: 2, commit: 0 });
      one.stageEntries(1, entries(1, 2));
      one.stageCheckpoint(1, checkpoint(1));
    });
    assert.equal(payload.toString('hex'), ORDINARY.toString('hex'), 'the seeds follow the format');
    return {
      run: async (input) => {
        const disk = empty.clone(new SeededRandom(2));
        // The flush that closed the empty log would follow the forged one: it goes.
        disk.zero('log/segment-000000000001.log', FLUSH_AT + SECTOR, SECTOR);
        carry(disk, input);
        const before = contents(disk);
        const result = await opened(disk);
        if (result instanceof ProcessEnded) {
          assert.equal(result.reason, 'logDamaged');
          assert.deepEqual(contents(disk), before);
        } else assert.equal(await opened(disk), result);
      },
    };
  },
};

export const logTargets: readonly FuzzTarget[] = [recovery, content];
