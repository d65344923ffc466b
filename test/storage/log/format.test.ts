/**
 * The bytes on disk, pinned: a fixed history must give the files of golden.txt, and those files must open. A change there
 * is a change of format. Rewrite after reading the difference: REWRITE=1 npx mocha -g "log: format"
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { FORMAT_VERSION, putSegmentHeader, readSegmentHeader } from '../../../src/storage/log/format.ts';
import { sectorSeed, sectorSum } from '../../../src/storage/log/sector-sum.ts';
import { MemoryDisk } from '../../doubles/memory-disk.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { checkpoint, entries, flush, openLog } from './environment.ts';
import { textOf } from './model.ts';

const GOLDEN = new URL('./golden.txt', import.meta.url);

/** Every kind of record, a flush of one sector, one of several, one with two table sectors, and a second segment. */
async function history(): Promise<MemoryDisk> {
  const disk = new MemoryDisk({ random: new SeededRandom(1) });
  const { log } = await openLog(disk, { segmentBytes: 96 * 1024 });
  log.stageHardState(1, { term: 2, vote: 3, commit: 0 });
  log.stageEntries(1, [{ term: 2, index: 1, type: 1, data: Buffer.from('first') }]);
  await flush(log);
  log.stageEntries(1, entries(2, 3, { term: 2, bytes: 600 }));
  log.stageCheckpoint(1, checkpoint(2, 2));
  log.stageCompaction(1, { index: 1, term: 2 });
  log.stageEntries(2, entries(1, 1));
  log.stageRemoval(2);
  log.stageReset(300, checkpoint(2 ** 40, 2 ** 33));
  await flush(log);
  log.stageEntries(1, [{ term: 2, index: 4, type: 0, data: Buffer.alloc(150 * 512, 0xab) }]);
  await flush(log);
  log.stageEntries(1, [{ term: 2, index: 5, type: 0, data: Buffer.alloc(20 * 512, 0xcd) }]);
  await flush(log);
  log.stageHardState(1, { term: 3, vote: 1, commit: 5 });
  await flush(log);
  return disk;
}

/** Lines of 32 bytes in hex with their offset; equal lines in a row are counted, not repeated. */
function dump(content: Uint8Array): string[] {
  const lines: string[] = [];
  let previous = '';
  let repeated = 0;
  for (let at = 0; at < content.length; at += 32) {
    const hex = Buffer.from(content.subarray(at, at + 32)).toString('hex');
    if (hex === previous) {
      repeated++;
      continue;
    }
    if (repeated > 0) lines.push(`  same ${repeated} more`);
    lines.push(`${at.toString(16).padStart(6, '0')} ${hex}`);
    previous = hex;
    repeated = 0;
  }
  if (repeated > 0) lines.push(`  same ${repeated} more`);
  return lines;
}

function restore(text: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const part of text.split('== ').slice(1)) {
    const [name = '', ...lines] = part.trimEnd().split('\n');
    const pieces: Buffer[] = [];
    for (const line of lines) {
      const repeated = /^ {2}same (\d+) more$/.exec(line)?.[1];
      if (repeated === undefined) pieces.push(Buffer.from(line.slice(7), 'hex'));
      else for (let i = 0; i < Number(repeated); i++) pieces.push(pieces.at(-1) ?? Buffer.alloc(0));
    }
    files.set(name, Buffer.concat(pieces));
  }
  return files;
}

describe('log: format', () => {
  it('a fixed history gives the bytes of the golden file', async () => {
    const disk = await history();
    const text = disk
      .names('log')
      .map((name) => [`== ${name}`, ...dump(disk.content(`log/${name}`)), ''].join('\n'))
      .join('');
    if (process.env['REWRITE'] !== undefined) writeFileSync(GOLDEN, text);
    assert.equal(text, readFileSync(GOLDEN, 'utf8'));
  });

  it('the golden files open, and hold what was written then', async () => {
    const disk = new MemoryDisk({ random: new SeededRandom(1) });
    for (const [name, content] of restore(readFileSync(GOLDEN, 'utf8'))) disk.put(`log/${name}`, content);
    const { log } = await openLog(disk, { segmentBytes: 96 * 1024 });
    assert.equal(
      textOf(log.recovered),
      [
        'group 1: term 3 vote 1 commit 5',
        '  checkpoint 2/2 10:4314040c compacted 2/1',
        '  2/2 type 0 600:f73f31a5',
        '  2/3 type 0 600:951e71c6',
        '  2/4 type 0 76800:b8ad7967',
        '  2/5 type 0 10240:e4050f32',
        'group 300: term 0 vote 0 commit 0',
        '  checkpoint 8589934592/1099511627776 22:500c11f3 compacted 8589934592/1099511627776',
      ].join('\n'),
    );
  });

  it('a newer version is told from damage, an older checksum rule is not', () => {
    const sector = new Uint8Array(512);
    const header = {
      clusterId: 'ü',
      nodeId: 7,
      salt: new Uint8Array(8),
      segment: 1,
      firstFlush: 1,
      previousHash: new Uint8Array(16),
    };
    putSegmentHeader(sector, 0, header);
    assert.deepEqual(readSegmentHeader(sector), { kind: 'header', header });
    assert.equal(readSegmentHeader(new Uint8Array(512)).kind, 'empty');
    assert.equal(readSegmentHeader(new Uint8Array(0)).kind, 'empty');
    assert.equal(readSegmentHeader(sector.subarray(0, 511)).kind, 'damaged');
    sector[12] = FORMAT_VERSION + 1;
    assert.equal(readSegmentHeader(sector).kind, 'damaged');
  });

  it('a sector sum changes with every bit, and with the place', () => {
    const words = new Uint32Array(256);
    const random = new SeededRandom(3);
    for (let i = 0; i < words.length; i++) words[i] = random.u32();
    const sum = sectorSum(words, 128, sectorSeed(5, 1));
    const seen = new Set([sum]);
    for (let bit = 0; bit < 4096; bit++) {
      const word = 128 + (bit >>> 5);
      words[word] = (words[word] ?? 0) ^ (1 << (bit & 31));
      const changed = sectorSum(words, 128, sectorSeed(5, 1));
      words[word] = (words[word] ?? 0) ^ (1 << (bit & 31));
      assert.notEqual(changed, sum);
      seen.add(changed);
    }
    assert.ok(seen.size > 4090, 'sums are spread');
    assert.equal(sectorSum(words, 128, sectorSeed(5, 1)), sum);
    assert.notEqual(sectorSum(words, 128, sectorSeed(5, 2)), sum);
    assert.notEqual(sectorSum(words, 128, sectorSeed(6, 1)), sum);
    assert.notEqual(sectorSum(words, 0, sectorSeed(5, 1)), sum);
  });
});
