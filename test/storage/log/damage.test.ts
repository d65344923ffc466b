/**
 * A small log over two segments is damaged in every way at every place, then opened. The result may be: refused, or the
 * full state, or (only where whole sectors of the very last flush vanish) the state before that flush. Never anything else.
 */
import assert from 'node:assert/strict';
import { MemoryDisk } from '../../doubles/memory-disk.ts';
import { ProcessEnded } from '../../doubles/memory-process.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';
import { checkpoint, entries, flush, openLog } from './environment.ts';
import { textOf } from './model.ts';

const FIRST = 'log/segment-000000000001.log';
const SECOND = 'log/segment-000000000002.log';
const IDENTITY = 'log/identity';
const SEGMENT_BYTES = 4096;

interface Sample {
  readonly disk: MemoryDisk;
  readonly full: string;
  readonly beforeLast: string;
  /** Where the last flush lies in the second segment. */
  readonly last: { readonly start: number; readonly end: number };
}

/** Two segments; the last flush takes several sectors, and sectors full of zeros are among them. */
async function sample(): Promise<Sample> {
  const disk = new MemoryDisk({ random: new SeededRandom(1) });
  const { log } = await openLog(disk, { segmentBytes: SEGMENT_BYTES });
  log.stageHardState(1, { term: 1, vote: 2, commit: 0 });
  log.stageEntries(1, entries(1, 3));
  log.stageEntries(2, entries(1, 2, { bytes: 900 }));
  await flush(log);
  log.stageEntries(1, entries(3, 5, { term: 2 }));
  log.stageCheckpoint(1, checkpoint(2));
  await flush(log);
  log.stageCompaction(1, { index: 1, term: 1 });
  log.stageHardState(1, { term: 3, vote: 1, commit: 4 });
  await flush(log);
  const beforeLast = await stateOf(disk);
  const start = endOf(disk.content(SECOND));
  log.stageEntries(1, [
    { term: 3, index: 6, type: 0, data: new Uint8Array(1000) },
    ...entries(7, 7, { term: 3, bytes: 300 }),
  ]);
  log.stageEntries(2, entries(3, 3));
  await flush(log);
  return { disk, full: await stateOf(disk), beforeLast, last: { start, end: endOf(disk.content(SECOND)) } };
}

async function stateOf(disk: MemoryDisk): Promise<string> {
  const { log } = await openLog(disk.clone(new SeededRandom(1)), { segmentBytes: SEGMENT_BYTES });
  return textOf(log.recovered);
}

function endOf(content: Uint8Array): number {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  return Math.ceil(end / 512) * 512;
}

/** What opening gives: the name of a reason, or the state. */
async function outcome(disk: MemoryDisk): Promise<string> {
  try {
    return await stateOf(disk);
  } catch (error) {
    if (!(error instanceof ProcessEnded)) throw error;
    assert.match(error.message, /^log damaged at [a-z0-9.-]+:\d+: .*; rebuild this replica from its peers$/);
    return error.reason;
  }
}

describe('log: damage', () => {
  it('a flipped byte is refused wherever a flush, a header or the identity lies, and harmless elsewhere', async () => {
    const { disk, full, last } = await sample();
    const refusals = new Map<string, number>();
    for (const [path, used] of [
      [IDENTITY, 512],
      [FIRST, endOf(disk.content(FIRST))],
      [SECOND, last.end],
    ] as const) {
      const size = disk.content(path).length;
      for (let at = 0; at < size; at += at < used + 512 ? 1 : 97) {
        for (const mask of at % 16 === 0 ? [0x01, 0x80, 0xff] : [0x10]) {
          disk.flip(path, at, mask);
          const result = await outcome(disk);
          disk.flip(path, at, mask);
          if (at < used) assert.equal(result, 'logDamaged', `flip ${mask} at ${path}:${at}`);
          else if (result !== 'logDamaged') assert.equal(result, full, `flip ${mask} at ${path}:${at}`);
          refusals.set(path, (refusals.get(path) ?? 0) + (result === 'logDamaged' ? 1 : 0));
        }
      }
    }
    assert.equal(refusals.size, 3);
    assert.equal(await outcome(disk), full);
  });

  it('sectors that vanish are refused everywhere but in the very last flush', async () => {
    const { disk, full, beforeLast, last } = await sample();
    let cuts = 0;
    for (const path of [FIRST, SECOND, IDENTITY]) {
      const content = disk.content(path);
      for (let at = 0; at < content.length; at += 512) {
        for (const length of [512, 1024, 2048]) {
          if (at + length > last.start + 512 && at < last.start && path === SECOND) continue;
          if (content.subarray(at, at + length).every((byte) => byte === 0)) continue;
          disk.zero(path, at, length);
          const result = await outcome(disk);
          disk.put(path, content);
          const isInLast = path === SECOND && at >= last.start;
          if (isInLast) assert.ok([full, beforeLast].includes(result), `zeros at ${path}:${at}`);
          else assert.equal(result, 'logDamaged', `${length} zeros at ${path}:${at}`);
          if (result === beforeLast) cuts++;
        }
      }
    }
    assert.ok(cuts > 2);
    // The first sector of the last flush vanishes together with the flush before it: its table is still there and tells.
    disk.zero(SECOND, 0, last.start + 512);
    assert.equal(await outcome(disk), 'logDamaged');
  });

  it('after a clean shutdown, vanished sectors of the last acknowledged flush are refused too', async () => {
    const disk = new MemoryDisk({ random: new SeededRandom(1) });
    const { log } = await openLog(disk);
    log.stageEntries(1, entries(1, 3, { bytes: 700 }));
    await flush(log);
    const end = endOf(disk.content(FIRST));
    await log.close();
    const content = disk.content(FIRST);
    for (let at = 0; at < end; at += 512) {
      disk.zero(FIRST, at, 512);
      assert.equal(await outcome(disk), 'logDamaged', `sector at ${at}`);
      disk.put(FIRST, content);
    }
  });

  it('sectors that change places, or that show what was there before, are refused', async () => {
    const { disk, full } = await sample();
    const content = disk.content(SECOND);
    const used = endOf(content);
    for (let a = 0; a < used; a += 512) {
      for (let b = 0; b < used; b += 512) {
        const source = content.subarray(b, b + 512);
        if (content.subarray(a, a + 512).equals(source) || source.every((byte) => byte === 0)) continue;
        const copy = Buffer.from(content);
        content.copy(copy, a, b, b + 512);
        disk.put(SECOND, copy);
        assert.equal(await outcome(disk), 'logDamaged', `sector ${b} over ${a}`);
      }
    }
    disk.put(SECOND, content);
    assert.equal(await outcome(disk), full);
  });

  it('a segment that is missing, foreign or in the wrong place is refused', async () => {
    const { disk, full } = await sample();
    for (const lost of [FIRST, SECOND, IDENTITY]) {
      const content = disk.content(lost);
      disk.lose(lost);
      assert.equal(await outcome(disk), 'logDamaged', `without ${lost}`);
      disk.put(lost, content);
    }
    const second = disk.content(SECOND);
    disk.put(SECOND, disk.content(FIRST));
    assert.equal(await outcome(disk), 'logDamaged', 'the first segment under the name of the second');
    disk.put(SECOND, second);
    disk.put('log/segment-000000000003.log', second);
    assert.equal(await outcome(disk), 'logDamaged', 'the second segment under the name of the third too');
    disk.lose('log/segment-000000000003.log');
    disk.put('log/segment-000000000005.log', new Uint8Array(SEGMENT_BYTES));
    assert.equal(await outcome(disk), 'logDamaged', 'a gap before an empty segment');
    disk.lose('log/segment-000000000005.log');
    assert.equal(await outcome(disk), full);
  });

  it('a lost overwrite is refused: the flush that was there before breaks the chain', async () => {
    const disk = new MemoryDisk({ random: new SeededRandom(1) });
    const { log } = await openLog(disk);
    log.stageHardState(1, { term: 1, vote: 1, commit: 0 });
    await flush(log);
    // The same disk goes two ways from here: the same flush number with other content.
    const other = disk.clone(new SeededRandom(2));
    const twin = await openLog(other);
    twin.log.stageHardState(1, { term: 2, vote: 3, commit: 0 });
    await flush(twin.log);
    log.stageHardState(1, { term: 2, vote: 2, commit: 0 });
    await flush(log);
    log.stageEntries(1, entries(1, 1));
    await flush(log);
    const content = disk.content(FIRST);
    const start = 512 * 3;
    other.content(FIRST).copy(content, start, start, start + 512);
    disk.put(FIRST, content);
    assert.equal(await outcome(disk), 'logDamaged');
  });

  it('a copy of an old piece of the log in the data of an entry is taken for data', async () => {
    const disk = new MemoryDisk({ random: new SeededRandom(1) });
    const { log } = await openLog(disk, { segmentBytes: 64 * 1024 });
    log.stageEntries(1, entries(1, 5, { bytes: 400 }));
    await flush(log);
    const old = disk.content(FIRST).subarray(0, 4096);
    // Every alignment to a sector is among these.
    for (let shift = 0; shift < 512; shift += 8) {
      const index = 6 + shift / 8;
      log.stageEntries(1, [{ term: 1, index, type: 0, data: Buffer.concat([Buffer.alloc(shift), old]) }]);
    }
    await flush(log);
    const torn = disk.content(FIRST).subarray(0);
    const whole = await stateOf(disk);
    assert.match(whole, / 1\/69 /);
    // Torn: its first sector is missing, all the others are there.
    const start = 512 * (2 + 6);
    disk.put(FIRST, torn.fill(0, start, start + 512));
    const { log: again } = await openLog(disk, { segmentBytes: 64 * 1024 });
    assert.equal(again.recovered.get(1)?.entries.length, 5);
  });
});
