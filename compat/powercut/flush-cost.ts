/**
 * What a flush costs, on the double (processor time of the log alone) and on the real disk: npx tsx compat/powercut/flush-cost.ts
 * Each line: a flush of one entry of that size, medians over repeats; also restart time for a log of 64 MiB.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { silentLogger } from '../../src/base/log.ts';
import type { Disk, WritableFile } from '../../src/base/platform.ts';
import { nodeDisk } from '../../src/node/platform-disk.ts';
import { openRaftLog } from '../../src/storage/log/open.ts';
import type { LogEntry, RaftLog } from '../../src/storage/log/types.ts';
import { MemoryProcess } from '../../test/doubles/memory-process.ts';
import { SeededRandom } from '../../test/doubles/seeded-random.ts';

/** A disk whose writes of the log cost nothing: what is left is the log's own time. */
function weightlessDisk(): Disk {
  const file: WritableFile = { writeAndSync: (_chunk, _position, done) => done(null), close: () => Promise.resolve() };
  return {
    ...nodeDisk,
    openForWriting: () => Promise.resolve(file),
    remove: () => Promise.resolve(),
    syncDirectory: () => Promise.resolve(),
  };
}

async function open(disk: Disk, directory: string, segmentBytes = 64 * 1024 * 1024): Promise<RaftLog> {
  return openRaftLog({
    disk,
    directory,
    identity: { clusterId: 'bench', nodeId: 1 },
    process: new MemoryProcess(),
    log: silentLogger,
    random: new SeededRandom(1),
    segmentBytes,
  });
}

function entryOf(index: number, data: Uint8Array): LogEntry[] {
  return [{ term: 1, index, type: 0, data }];
}

async function processorTime(bytes: number, groups: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'kahuna-flush-'));
  const log = await open(weightlessDisk(), directory, 1024 * 1024 * 1024);
  const data = new SeededRandom(2).bytes(bytes);
  const samples: number[] = [];
  let index = 0;
  const perSample = bytes > 10_000 ? 100 : 2000;
  for (let sample = 0; sample < 30; sample++) {
    const start = performance.now();
    for (let i = 0; i < perSample; i++) {
      index++;
      for (let group = 1; group <= groups; group++) log.stageEntries(group, entryOf(index, data));
      log.flush(() => undefined);
    }
    samples.push(((performance.now() - start) * 1000) / perSample);
  }
  rmSync(directory, { recursive: true });
  return median(samples);
}

async function realLatency(bytes: number): Promise<{ latencyMs: number; p99Ms: number; cpuUs: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'kahuna-flush-'));
  const log = await open(nodeDisk, directory);
  const data = new SeededRandom(2).bytes(bytes);
  const samples: number[] = [];
  const count = 2000;
  const cpuStart = process.cpuUsage();
  for (let index = 1; index <= count; index++) {
    const start = performance.now();
    log.stageEntries(1, entryOf(index, data));
    await new Promise<void>((resolve) => log.flush(resolve));
    samples.push(performance.now() - start);
  }
  const cpu = process.cpuUsage(cpuStart);
  await log.close();
  samples.sort((a, b) => a - b);
  rmSync(directory, { recursive: true });
  return {
    latencyMs: median(samples),
    p99Ms: samples[Math.floor(count * 0.99)] ?? 0,
    cpuUs: (cpu.user + cpu.system) / count,
  };
}

async function restartTime(bytes: number, totalBytes: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'kahuna-flush-'));
  const log = await open(nodeDisk, directory);
  const data = new SeededRandom(2).bytes(bytes);
  let index = 0;
  while (log.sizeBytes < totalBytes) {
    for (let i = 0; i < 20; i++) log.stageEntries(1, entryOf(++index, data));
    await new Promise<void>((resolve) => log.flush(resolve));
  }
  await log.close();
  const start = performance.now();
  const again = await open(nodeDisk, directory);
  const took = performance.now() - start;
  if (again.recovered.get(1)?.entries.length !== index) throw new Error('entries are missing');
  await again.close();
  rmSync(directory, { recursive: true });
  return took;
}

function median(samples: number[]): number {
  return samples.sort((a, b) => a - b)[samples.length >> 1] ?? 0;
}

for (const [bytes, groups] of [
  [200, 1],
  [200, 50],
  [4096, 1],
  [65_536, 1],
] as const) {
  const cpu = await processorTime(bytes, groups);
  console.log(
    `${String(groups).padStart(3)} group(s), an entry of ${bytes} bytes each: ${cpu.toFixed(2)} µs a flush, without the disk`,
  );
}
for (const bytes of [200, 4096, 65_536]) {
  const { latencyMs, p99Ms, cpuUs } = await realLatency(bytes);
  console.log(
    `real disk, ${bytes} bytes: ${latencyMs.toFixed(3)} ms median, ${p99Ms.toFixed(3)} ms p99, ${cpuUs.toFixed(0)} µs processor (all threads)`,
  );
}
console.log(
  `restart with 56 MiB of 200-byte entries, 20 a flush: ${(await restartTime(200, 56 * 1024 * 1024)).toFixed(0)} ms`,
);
