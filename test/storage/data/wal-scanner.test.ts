/** The check of LevelDB's write-ahead files: on files that LevelDB wrote, and on such as only a crash or damage leaves. */
import { strict as assert } from 'node:assert';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/base/log.ts';
import { nodeDisk } from '../../../src/node/platform-disk.ts';
import { openPlatformStore } from '../../../src/node/platform-store.ts';
import { crc32c, unmaskCrc } from '../../../src/storage/data/crc32c.ts';
import { writeBatch } from '../../../src/storage/data/key-value-store.ts';
import { checkWriteAhead, scanWriteAheadFile } from '../../../src/storage/data/wal-scanner.ts';
import { MemoryProcess, ProcessEnded } from '../../doubles/memory-process.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';

const BLOCK_BYTES = 32_768;

describe('write-ahead files of LevelDB', () => {
  let file: Buffer;
  let batches: { start: number; end: number }[];

  before(async () => {
    file = await fileOfLevelDb();
    batches = batchesOf(file);
  });

  it('what LevelDB wrote is clean, and every batch is counted', () => {
    const scan = scanWriteAheadFile(file);
    assert.deepEqual(
      { ...scan, firstSequence: 0, nextSequence: 0 },
      { state: 'clean', validBytes: file.length, batchCount: batches.length, firstSequence: 0, nextSequence: 0 },
    );
    assert.ok(file.length > 5 * BLOCK_BYTES);
    assert.deepEqual(scanWriteAheadFile(new Uint8Array(0)).state, 'clean');
  });

  it('a flipped bit anywhere before the last batch is damage, at the batch that it hit', () => {
    const random = new SeededRandom(1);
    const last = batches.at(-1);
    assert.ok(last !== undefined);
    const positions = [...batches.slice(0, 12), ...batches.slice(-6, -1)].flatMap(({ start }) =>
      Array.from({ length: 8 }, (_, i) => start + i),
    );
    while (positions.length < 300) positions.push(random.below(last.start));
    for (const position of positions) {
      const hit = batches.find(({ start, end }) => position >= start && position < end);
      const flipped = Buffer.from(file);
      flipped[position] = (flipped[position] ?? 0) ^ (1 << random.below(8));
      const scan = scanWriteAheadFile(flipped);
      // What lies between two batches fills a block up, and nobody reads it.
      if (hit === undefined) assert.equal(scan.state, 'clean', `${position}`);
      else
        assert.deepEqual(
          [scan.state, scan.validBytes],
          ['damaged', hit.start],
          `${position} in ${hit.start} to ${hit.end}`,
        );
    }
  });

  it('a flipped bit in the last batch looks torn', () => {
    const last = batches.at(-1);
    assert.ok(last !== undefined);
    for (let position = last.start; position < last.end; position++) {
      const flipped = Buffer.from(file);
      flipped[position] = (flipped[position] ?? 0) ^ 0x10;
      assert.deepEqual(
        [scanWriteAheadFile(flipped).state, scanWriteAheadFile(flipped).validBytes],
        ['torn', last.start],
      );
    }
  });

  it('a file that was cut anywhere is torn or clean, never damaged', () => {
    const random = new SeededRandom(2);
    const cuts = Array.from({ length: 150 }, () => random.below(file.length));
    for (const { start, end } of batches.slice(0, 10)) cuts.push(start, start + 1, start + 7, start + 8, end - 1);
    for (const cut of cuts) {
      const scan = scanWriteAheadFile(file.subarray(0, cut));
      const isWhole =
        batches.some(({ end }) => end === cut) ||
        cut === 0 ||
        !batches.some(({ start, end }) => start < cut && cut < end);
      assert.equal(scan.state, isWhole ? 'clean' : 'torn', `${cut}`);
    }
  });

  it('zeros behind the end, or in the place of the end, are torn', () => {
    const withZeros = Buffer.concat([file, Buffer.alloc(10_000)]);
    assert.deepEqual(
      [scanWriteAheadFile(withZeros).state, scanWriteAheadFile(withZeros).validBytes],
      ['torn', file.length],
    );
    const zeroed = Buffer.from(file);
    const middle = batches[batches.length >>> 1];
    assert.ok(middle !== undefined);
    zeroed.fill(0, middle.start);
    assert.deepEqual([scanWriteAheadFile(zeroed).state, scanWriteAheadFile(zeroed).validBytes], ['torn', middle.start]);
  });

  it('zeros in the middle are damage', () => {
    for (let at = 0; at + 3 * 4_096 < file.length; at += 4_096) {
      const zeroed = Buffer.from(file);
      zeroed.fill(0, at, at + 4_096);
      assert.equal(scanWriteAheadFile(zeroed).state, 'damaged', `page at ${at}`);
    }
  });

  it('a batch that is missing as a whole is damage', () => {
    const whole = writeAhead([batch(10, 3), batch(13, 1), batch(14, 2)]);
    assert.deepEqual(scanWriteAheadFile(whole), {
      state: 'clean',
      validBytes: whole.length,
      batchCount: 3,
      firstSequence: 10,
      nextSequence: 16,
    });
    const gap = writeAhead([batch(10, 3), batch(14, 2)]);
    assert.equal(scanWriteAheadFile(gap).state, 'damaged');
    assert.equal(scanWriteAheadFile(writeAhead([batch(10, 3), batch(9, 2)])).state, 'damaged');
  });

  it('a torn batch whose value is a piece of such a file is torn all the same', () => {
    const value = writeAhead(Array.from({ length: 60 }, (_, i) => batch(1_000_000 + i, 1)));
    const start = writeAhead([batch(10, 1), batch(11, 1)]).length;
    const whole = writeAhead([batch(10, 1), batch(11, 1), batch(12, 1, value)]);
    for (let cut = start + 1; cut < whole.length; cut++) {
      const scan = scanWriteAheadFile(whole.subarray(0, cut));
      assert.deepEqual([scan.state, scan.validBytes], ['torn', start], `${cut}`);
    }
    const hole = Buffer.from(whole);
    hole.fill(0, start + 20, start + 100);
    assert.equal(scanWriteAheadFile(hole).state, 'torn');
  });

  it('any bytes at all give an answer', () => {
    const random = new SeededRandom(3);
    for (let i = 0; i < 100; i++) scanWriteAheadFile(random.bytes(random.below(3_000)));
  });
});

describe('the directory of the data store before it is opened', () => {
  const files = new Map<string, Buffer>();
  const disk = {
    list: () => Promise.resolve([...files.keys()].sort()),
    readFile: (path: string) => Promise.resolve(files.get(path.slice('/data/'.length)) ?? Buffer.alloc(0)),
  };
  const check = () => checkWriteAhead({ disk, directory: '/data', process: new MemoryProcess(), log: silentLogger });

  beforeEach(() => files.clear());

  it('is whole when the files are clean and follow each other, by number', async () => {
    files.set('000009.log', writeAhead([batch(1, 2), batch(3, 1)]));
    files.set('000010.log', writeAhead([]));
    files.set('000100.log', writeAhead([batch(4, 1)]));
    files.set('LOG', Buffer.from('not a write-ahead file'));
    files.set('000011.ldb', Buffer.from('nor this'));
    assert.deepEqual(await check(), { isTailTorn: false });
  });

  it('is not to be trusted when the end of a file is lost, also that of an older file', async () => {
    files.set('000009.log', writeAhead([batch(1, 2), batch(3, 1)]));
    files.set('000011.log', writeAhead([batch(4, 1), batch(5, 1)]).subarray(0, -1));
    assert.deepEqual(await check(), { isTailTorn: true });
    files.set('000009.log', writeAhead([batch(1, 2)]));
    files.set('000011.log', writeAhead([batch(4, 1)]));
    assert.deepEqual(await check(), { isTailTorn: true }, 'batch 3 is missing at the end of the first file');
  });

  it('ends the process when a file is damaged, and says where', async () => {
    const damaged = writeAhead([batch(1, 2), batch(3, 1)]);
    damaged[20] = (damaged[20] ?? 0) ^ 1;
    files.set('000009.log', damaged);
    await assert.rejects(check(), (error) => {
      assert.ok(error instanceof ProcessEnded);
      assert.equal(error.reason, 'dataDamaged');
      assert.equal(error.message, 'data damaged in /data/000009.log at 0; rebuild this replica from its peers');
      return true;
    });
  });
});

describe('CRC-32C', () => {
  it('agrees with the published check value and with a bitwise twin', () => {
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    const random = new SeededRandom(4);
    for (let i = 0; i < 200; i++) {
      const bytes = random.bytes(random.below(70));
      const start = random.below(bytes.length + 1);
      const end = start + random.below(bytes.length - start + 1);
      let slow = ~0;
      for (const byte of bytes.subarray(start, end)) {
        slow ^= byte;
        for (let bit = 0; bit < 8; bit++) slow = (slow & 1) === 1 ? (slow >>> 1) ^ 0x82f63b78 : slow >>> 1;
      }
      assert.equal(crc32c(bytes, start, end), ~slow >>> 0);
    }
  });
});

/** A write-ahead file as LevelDB leaves it behind: small batches, batches of several blocks, every distance to a block's end. */
async function fileOfLevelDb(): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'kahuna-wal-'));
  try {
    const random = new SeededRandom(5);
    const { store } = await openPlatformStore({
      directory,
      disk: nodeDisk,
      process: new MemoryProcess(),
      log: silentLogger,
    });
    for (let i = 0; i < 200; i++) {
      const written = store.batch();
      const size = i > 190 ? 20 : i % 50 === 7 ? 50_000 : i % 3 === 0 ? random.below(3_000) : random.below(100);
      written.put(Buffer.from(`key ${i}`), Buffer.from(random.bytes(size)));
      if (i % 2 === 0) written.delete(Buffer.from(`key ${i - 1}`));
      await writeBatch(written);
    }
    await store.close();
    const names = (await readdir(directory)).filter((name) => name.endsWith('.log'));
    assert.equal(names.length, 1);
    return await readFile(join(directory, names[0] ?? ''));
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Where each batch begins and ends, told by the lengths and types alone. */
function batchesOf(file: Buffer): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  let start = -1;
  for (let at = 0; at < file.length; ) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (left < 7) {
      at += left;
      continue;
    }
    const type = file[at + 6];
    if (type === 1 || type === 2) start = at;
    at += 7 + file.readUInt16LE(at + 4);
    if (type === 1 || type === 4) found.push({ start, end: at });
  }
  return found;
}

function batch(sequence: number, count: number, value: Uint8Array = Buffer.from('some value')): Buffer {
  const header = Buffer.alloc(12);
  header.writeBigUInt64LE(BigInt(sequence));
  header.writeUInt32LE(count, 8);
  return Buffer.concat([header, value]);
}

/** The writer of db/log_writer.cc. */
function writeAhead(payloads: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  let size = 0;
  const push = (part: Buffer): void => {
    parts.push(part);
    size += part.length;
  };
  for (const payload of payloads) {
    let left = payload;
    let isFirst = true;
    do {
      let room = BLOCK_BYTES - (size % BLOCK_BYTES);
      if (room < 7) {
        push(Buffer.alloc(room));
        room = BLOCK_BYTES;
      }
      const piece = left.subarray(0, room - 7);
      left = left.subarray(piece.length);
      const isLast = left.length === 0;
      const type = isFirst ? (isLast ? 1 : 2) : isLast ? 4 : 3;
      const fragment = Buffer.concat([Buffer.alloc(7), piece]);
      fragment.writeUInt16LE(piece.length, 4);
      fragment[6] = type;
      fragment.writeUInt32LE(maskCrc(crc32c(fragment, 6)), 0);
      push(fragment);
      isFirst = false;
    } while (left.length > 0);
  }
  return Buffer.concat(parts);
}

function maskCrc(crc: number): number {
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  assert.equal(unmaskCrc(masked), crc);
  return masked;
}
