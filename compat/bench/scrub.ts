/**
 * What it costs to compare replicas: how fast one core of this machine reads, checks and hashes records in a real LevelDB, by size. The
 * processor time is the whole process's, LevelDB's threads included. From the rows follow RECORD_COST_BYTES of
 * src/cluster/scrub.ts (a record is charged so that small ones cost no more processor time a charged byte than large ones) and the
 * default of `scrub-rate`: the last column is the share of a core that a node spends at it with three replicas and leaders spread evenly.
 *
 *     npx tsx compat/bench/scrub.ts [--mib 64]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { silentLogger } from '../../src/base/log.ts';
import { defaultValues } from '../../src/config/live.ts';
import { nodeDisk } from '../../src/node/platform-disk.ts';
import { openPlatformStore } from '../../src/node/platform-store.ts';
import { encodeRecordKey, slotRange } from '../../src/storage/data/keys.ts';
import { sealRecord } from '../../src/storage/data/records.ts';
import { openDataStore } from '../../src/storage/data/state.ts';
import type { DataStore, RecordChange } from '../../src/storage/data/types.ts';

const MIB = 1024 * 1024;
/** As in src/cluster/scrub.ts. */
const LOOK_BYTES = MIB;
const RECORD_COST_BYTES = 512;
const REPLICAS = 3;
const BATCH = 1_000;

const process_ = {
  machineBootId: 'bench',
  fatal: (reason: string, message: string): never => {
    throw new Error(`${reason}: ${message}`);
  },
};

async function open(directory: string): Promise<DataStore> {
  const options = { directory, disk: nodeDisk, process: process_, log: silentLogger };
  const { store, isTailTorn } = await openPlatformStore(options);
  return openDataStore({
    ...options,
    store,
    isTailTorn,
    machineBootId: 'bench',
    identity: { clusterId: 'c', nodeId: 1 },
  });
}

async function fill(data: DataStore, valueBytes: number, bytes: number): Promise<void> {
  let index = 0;
  for (let left = bytes; left > 0; ) {
    const changes: RecordChange[] = [];
    for (let i = 0; i < BATCH && left > 0; i++) {
      const number = index * BATCH + i;
      const key = encodeRecordKey((number * 7919) % 16_384, 0, `key:${String(number).padStart(12, '0')}`);
      const sealed = sealRecord(key, index + 1, Buffer.from(`${number}`.repeat(valueBytes)).subarray(0, valueBytes));
      changes.push({ key, sealed, timestamp: index + 1, replaces: 0 });
      left -= key.length + sealed.length;
    }
    index++;
    const applied = { index, term: 1, state: new Uint8Array(0) };
    await new Promise<void>((resolve) => data.apply(1, changes, applied, resolve));
  }
  await data.sync();
}

async function measure(valueBytes: number, mib: number): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'kahuna-scrub-'));
  try {
    const data = await open(directory);
    await fill(data, valueBytes, mib * MIB);
    let best = Number.POSITIVE_INFINITY;
    let charged = 0;
    let bytes = 0;
    let longestMs = 0;
    for (let round = 0; round < 3; round++) {
      charged = 0;
      bytes = 0;
      const before = process.cpuUsage();
      const range = slotRange(0, 16_383);
      for (let { start } = range; Buffer.compare(start, range.end) < 0; ) {
        const snapshot = data.snapshot();
        const startedMs = performance.now();
        const look = { start, end: range.end };
        const found = await data.scrubRange(snapshot, look, { bytesMax: LOOK_BYTES, isStopped: () => false });
        longestMs = Math.max(longestMs, performance.now() - startedMs);
        snapshot.release();
        start = found.end;
        bytes += found.readBytes;
        charged += found.readBytes + found.readCount * RECORD_COST_BYTES;
      }
      const { user, system } = process.cpuUsage(before);
      best = Math.min(best, (user + system) / 1e6);
    }
    await data.close();
    const rate = defaultValues()['scrub-rate'];
    const share = ((rate * best) / charged) * REPLICAS;
    const shown = [
      `${valueBytes}`.padStart(6),
      (bytes / MIB / best).toFixed(0).padStart(8),
      (charged / MIB / best).toFixed(0).padStart(8),
      longestMs.toFixed(1).padStart(9),
      `${((rate / 1024) * (bytes / charged)) | 0}`.padStart(8),
      `${(share * 100).toFixed(2)} %`.padStart(8),
    ];
    return shown.join(' ');
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const { values } = parseArgs({ options: { mib: { type: 'string', default: '64' } } });
console.log(' value   MiB/s  charged  longest    KiB/s    share');
console.log(' bytes  a core    MiB/s  look ms  compared  of a core');
for (const valueBytes of [16, 64, 256, 1_024, 16_384]) console.log(await measure(valueBytes, Number(values.mib)));
