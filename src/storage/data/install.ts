/**
 * Replacing the ranges of a group by what a peer streams, and emptying them when a group leaves. Either takes many batches, so
 * a mark (metadata.ts, "replacement") says for as long as it lasts that the ranges hold nothing valid:
 *
 *     install: mark + group at index 0, fsync | clear | records … | fsync | group state, mark gone, in one batch | fsync
 *     removal: mark, group forgotten,   fsync | clear                | fsync | mark gone                        | fsync
 *
 * The mark is durable before the first record goes, and it goes only when everything is durable. So a crash anywhere leaves
 * either the whole old state, or the mark. The ranges that a mark names are emptied at open: the group of an install
 * then reports index 0 and keeps its mark until the next install, removal, or replay from the first entry on; a removal is
 * completed. A half is never served.
 */
import { assert } from '../../base/assert.ts';
import { KahunaError } from '../../base/errors.ts';
import type { GroupId, Timestamp } from '../../base/ids.ts';
import { encodeVersionKey, isWithin, recordKeyLength } from './keys.ts';
import type { KeyValueStore, StoreBatch } from './key-value-store.ts';
import { decodeReplacement, groupOfKey, REPLACEMENT_RANGE, type StoredReplacement } from './metadata.ts';
import type { AppliedState, RawRecord, RecordRange, SnapshotInstall } from './types.ts';
import { checkRawRecord } from './versions.ts';

/** What an install asks of the store that it belongs to. */
export interface InstallHost {
  readonly store: KeyValueStore;
  /** Writes a batch; a failure ends the process. */
  write(batch: StoreBatch): Promise<void>;
  /** True if each newest version also needs its copy for readers of the past, and older versions are wanted. */
  readonly keepsVersions: boolean;
  /** Makes the records durable and then the group valid. */
  finish(applied: AppliedState, timestampMax: Timestamp): Promise<void>;
  /** Empties the ranges: the install is over without a result. */
  abandon(): Promise<void>;
}

export class RangeInstall implements SnapshotInstall {
  readonly #host: InstallHost;
  readonly #ranges: readonly RecordRange[];
  #timestampMax: Timestamp = 0;
  #state: 'open' | 'busy' | 'ended' = 'open';

  constructor(host: InstallHost, ranges: readonly RecordRange[]) {
    this.#host = host;
    this.#ranges = ranges;
  }

  async write(records: readonly RawRecord[]): Promise<void> {
    this.#begin();
    const batch = this.#host.store.batch();
    let count = 0;
    try {
      for (const record of records) if (this.#add(batch, record)) count++;
    } catch (error) {
      this.#state = 'open';
      throw error;
    }
    if (count > 0) await this.#host.write(batch);
    this.#state = 'open';
  }

  async finish(applied: AppliedState): Promise<void> {
    this.#begin();
    assert(applied.index > 0, 'a snapshot covers at least one entry');
    await this.#host.finish(applied, this.#timestampMax);
    this.#state = 'ended';
  }

  async abort(): Promise<void> {
    this.#begin();
    await this.#host.abandon();
    this.#state = 'ended';
  }

  #begin(): void {
    assert(this.#state === 'open', `the install is ${this.#state}`);
    this.#state = 'busy';
  }

  #add(batch: StoreBatch, record: RawRecord): boolean {
    const recordLength = recordKeyLength(record.key);
    const timestamp = checkRawRecord(record, recordLength);
    if (!this.#ranges.some((range) => isWithin(record.key, range))) {
      const shown = Buffer.from(record.key.subarray(0, 64)).toString('hex');
      throw new KahunaError('DATA_DAMAGED', `the snapshot holds a record outside of its ranges: ${shown}`);
    }
    if (timestamp > this.#timestampMax) this.#timestampMax = timestamp;
    if (record.key.length > recordLength && !this.#host.keepsVersions) return false;
    batch.put(record.key, record.sealed);
    if (record.key.length === recordLength && this.#host.keepsVersions) {
      batch.put(encodeVersionKey(record.key, timestamp), record.sealed);
    }
    return true;
  }
}

/** Reads the marks that the store holds, by group. */
export async function readReplacements(store: KeyValueStore): Promise<Map<GroupId, StoredReplacement>> {
  const marks = new Map<GroupId, StoredReplacement>();
  const iterator = store.iterator(REPLACEMENT_RANGE);
  for (let entries = await iterator.nextv(64); entries.length > 0; entries = await iterator.nextv(64)) {
    for (const [key, value] of entries) marks.set(groupOfKey(key), decodeReplacement(key, value));
  }
  await iterator.close();
  return marks;
}

/** True if the two ranges share a key. */
export function overlaps(a: RecordRange, b: RecordRange): boolean {
  return Buffer.compare(a.start, b.end) < 0 && Buffer.compare(b.start, a.end) < 0;
}
