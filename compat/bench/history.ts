/**
 * What it costs to keep the past, and whether collecting it keeps up: a real LevelDB takes overwrites of random keys as a partition
 * would apply them, and collects as the engine does (at most COLLECT_STEPS_MAX records a look, a look each LOOK_GAP_MS), in time that is
 * counted, not waited for. So a minute of writes is over as soon as the machine has done its work. Processor time is the whole
 * process's, LevelDB's threads included.
 *
 *     npx tsx compat/bench/history.ts [--seconds 60] [--rate 10000] [--keys 100000]
 *
 * Columns: how long versions are kept; processor time of one second of such writes, without keeping the past, with, and of collecting;
 * looks that were used up to the end; versions that are there in the end, against those that must be; bytes on disk.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { timestampFromMs } from '../../src/base/hlc.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { ProcessControl } from '../../src/base/platform.ts';
import { nodeDisk } from '../../src/node/platform-disk.ts';
import { openPlatformStore } from '../../src/node/platform-store.ts';
import { encodeRecordKey, recordKeyLength, slotRange } from '../../src/storage/data/keys.ts';
import type { KeyValueStore } from '../../src/storage/data/key-value-store.ts';
import { sealRecord } from '../../src/storage/data/records.ts';
import { openDataStore } from '../../src/storage/data/state.ts';
import type { DataStore, RecordChange } from '../../src/storage/data/types.ts';

const MIB = 1024 * 1024;
/** As in src/partition/engine.ts. */
const COLLECT_STEPS_MAX = 1_000;
const LOOK_GAP_MS = 20;
/** As `checkpoint-interval` is. */
const SYNC_MS = 60_000;
const VALUE_BYTES = 64;
const START_MS = 1_700_000_000_000;

const processControl: ProcessControl = {
  machineBootId: 'bench',
  fatal: (reason, message): never => {
    throw new Error(`${reason}: ${message}`);
  },
};

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '10000' },
    keys: { type: 'string', default: '100000' },
  },
});
const seconds = Number(values.seconds);
const rate = Number(values.rate);
const keyCount = Number(values.keys);

const keys = Array.from({ length: keyCount }, (_, i) =>
  encodeRecordKey((i * 7919) % 16_384, 0, `key:${String(i).padStart(12, '0')}`),
);

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function bytesIn(directory: string): number {
  return readdirSync(directory, { withFileTypes: true })
    .map((entry) =>
      entry.isDirectory() ? bytesIn(join(directory, entry.name)) : statSync(join(directory, entry.name)).size,
    )
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** Takes changes at a rate, in counted time. */
class Writer {
  readonly #data: DataStore;
  readonly #last = new Float64Array(keyCount);
  #timestamp = 0;
  #index = 0;
  #seed = 1;
  nowMs = START_MS;

  constructor(data: DataStore) {
    this.#data = data;
  }

  /** Xorshift. */
  #random(below: number): number {
    this.#seed ^= this.#seed << 13;
    this.#seed ^= this.#seed >>> 17;
    this.#seed ^= this.#seed << 5;
    return (this.#seed >>> 0) % below;
  }

  async write(numbers: readonly number[]): Promise<void> {
    const changes: RecordChange[] = [];
    const seen = new Set<number>();
    for (const number of numbers) {
      // An entry changes a record once.
      if (seen.has(number)) continue;
      seen.add(number);
      this.#timestamp = Math.max(this.#timestamp + 1, timestampFromMs(this.nowMs));
      const key = keys[number] ?? new Uint8Array(0);
      const sealed = sealRecord(key, this.#timestamp, Buffer.alloc(VALUE_BYTES, this.#index));
      changes.push({ key, sealed, timestamp: this.#timestamp, replaces: this.#last[number] ?? 0 });
      this.#last[number] = this.#timestamp;
    }
    const applied = { index: ++this.#index, term: 1, state: new Uint8Array(0) };
    await new Promise<void>((resolve) => {
      this.#data.apply(1, changes, applied, resolve);
    });
  }

  async fill(): Promise<void> {
    for (let from = 0; from < keyCount; from += 1_000) {
      await this.write(Array.from({ length: Math.min(1_000, keyCount - from) }, (_, i) => from + i));
    }
    await this.#data.sync();
  }

  async writeLook(): Promise<void> {
    this.nowMs += LOOK_GAP_MS;
    const count = Math.round((rate * LOOK_GAP_MS) / 1_000);
    await this.write(Array.from({ length: count }, () => this.#random(keyCount)));
  }
}

async function countVersions(store: KeyValueStore): Promise<number> {
  let count = 0;
  const range = slotRange(0, 16_383);
  const iterator = store.iterator({ ...range, keysOnly: true });
  for (;;) {
    const entries = await iterator.nextv(1_000);
    if (entries.length === 0) break;
    for (const [key] of entries) if (key.length > recordKeyLength(key)) count++;
  }
  await iterator.close();
  return count;
}

interface Run {
  readonly writeCpu: number;
  readonly collectCpu: number;
  readonly fullLooks: number;
  readonly versions: number;
  readonly bytes: number;
}

async function run(retentionMs: number, versionsMax: number): Promise<Run> {
  const directory = mkdtempSync(join(tmpdir(), 'kahuna-history-'));
  try {
    const options = { directory, disk: nodeDisk, process: processControl, log: silentLogger };
    const { store, isTailTorn } = await openPlatformStore(options);
    const whose = { identity: { clusterId: 'c', nodeId: 1 }, machineBootId: 'bench' };
    const data = await openDataStore({ ...options, ...whose, store, isTailTorn });
    data.setHistory({ retentionMs, heldFloor: 0, versionsMax });
    const writer = new Writer(data);
    await writer.fill();
    let [writeCpu, collectCpu, fullLooks] = [0, 0, 0];
    for (let atMs = 0; atMs < seconds * 1_000; atMs += LOOK_GAP_MS) {
      const before = cpuSeconds();
      await writer.writeLook();
      if (atMs % SYNC_MS === SYNC_MS - LOOK_GAP_MS) await data.sync();
      const between = cpuSeconds();
      writeCpu += between - before;
      if (retentionMs === 0) continue;
      if (!(await data.collect(timestampFromMs(writer.nowMs - retentionMs), COLLECT_STEPS_MAX))) fullLooks++;
      collectCpu += cpuSeconds() - between;
    }
    await data.sync();
    const versions = await countVersions(store);
    await data.close();
    return { writeCpu, collectCpu, fullLooks, versions, bytes: bytesIn(directory) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const perSecond = (cpu: number): string => `${((cpu / seconds) * 1_000).toFixed(0)} ms`.padStart(9);
const looks = (seconds * 1_000) / LOOK_GAP_MS;

console.log(`${rate} overwrites a second of ${keyCount} keys for ${seconds} s`);
console.log('    kept      writes   collect   full looks   versions     needed     MiB');
for (const [retentionMs, versionsMax] of [
  [0, 0],
  [1_000, 0],
  [5_000, 0],
  [20_000, 0],
  [3_600_000, 3],
] as const) {
  const found = await run(retentionMs, versionsMax);
  const kept = retentionMs === 0 ? 'nothing' : versionsMax === 0 ? `${retentionMs / 1_000} s` : `${versionsMax} each`;
  const times = Math.min(seconds, retentionMs / 1_000) * rate;
  const needed = retentionMs === 0 ? 0 : versionsMax === 0 ? times + keyCount : keyCount * (versionsMax + 1);
  const shown = [
    kept.padStart(8),
    ' ',
    perSecond(found.writeCpu),
    perSecond(found.collectCpu),
    `${((found.fullLooks / looks) * 100).toFixed(0)} %`.padStart(12),
    String(found.versions).padStart(10),
    String(needed).padStart(10),
    (found.bytes / MIB).toFixed(0).padStart(7),
  ];
  console.log(shown.join(' '));
}
