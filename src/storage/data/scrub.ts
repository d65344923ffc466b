/**
 * A hash of what a range holds, for comparing replicas at an equal applied index: the only way to notice a record that
 * vanished, or an old value that came back with a seal that fits.
 *
 * Only the newest versions are hashed, because they alone follow from the log: older versions and the marks of deleted records
 * go at each replica's own pace, and a deleted record has no newest version. Each record (key and sealed bytes) is
 * hashed to 64 bits, and the hashes are added up and XORed. So the result does not depend on the order, and the
 * hashes of adjacent ranges could be combined. The hash is not cryptographic: it finds damage, not an adversary.
 *
 * Two lanes of MurmurHash3 (x86, 32 bits, Appleby) with different seeds and multipliers, mixed at the end.
 *
 * On the way every seal is checked, those of older versions too. A look may be limited in bytes; where it ends follows from the
 * newest records alone, so that replicas with equal records end at the same key.
 */
import type { KahunaError } from '../../base/errors.ts';
import { isDataDamage } from './damage.ts';
import { recordKeyLength } from './keys.ts';
import type { DataSnapshot, RawRecord, RecordRange, ScrubbedRange, ScrubLimits } from './types.ts';
import { checkRawRecord } from './versions.ts';

const CHUNK_COUNT_MAX = 256;
const CHUNK_BYTES_MAX = 64 * 1024;
const SEED_A = 0x9747b28c;
const SEED_B = 0x3c6ef372;

/** Of a whole range. Rejects with KahunaError 'DATA_DAMAGED'. */
export async function hashRange(view: DataSnapshot, range: RecordRange): Promise<{ hash: string; count: number }> {
  const found = await scrubRange(view, range, { bytesMax: Number.POSITIVE_INFINITY, isStopped: () => false });
  if (found.damage !== null) throw found.damage;
  return { hash: found.hash, count: found.count };
}

/** See DataStore.scrubRange. */
export async function scrubRange(view: DataSnapshot, range: RecordRange, limits: ScrubLimits): Promise<ScrubbedRange> {
  const look = new Look(limits.bytesMax);
  const iterator = view.iterate(range, { withVersions: true });
  try {
    while (!limits.isStopped()) {
      const records = await iterator.next(CHUNK_COUNT_MAX, CHUNK_BYTES_MAX);
      if (records.length === 0) return look.found(range.end);
      for (const record of records) {
        if (!look.take(record)) return look.found(record.key);
      }
    }
    return look.found(range.start);
  } finally {
    await iterator.close();
  }
}

class Look {
  readonly #sums = new RecordHashes();
  readonly #bytesMax: number;
  #bytes = 0;
  #readBytes = 0;
  #readCount = 0;
  #damage: KahunaError<'DATA_DAMAGED'> | null = null;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** False for the first newest record beyond the limit: it is not part of the look. */
  take(record: RawRecord): boolean {
    const { key, sealed } = record;
    const size = key.length + sealed.length;
    let isNewest = true;
    try {
      const recordLength = recordKeyLength(key);
      isNewest = recordLength === key.length;
      if (isNewest && this.#bytes >= this.#bytesMax) return false;
      checkRawRecord(record, recordLength);
    } catch (error) {
      if (!isDataDamage(error)) throw error;
      this.#damage ??= error;
    }
    this.#readBytes += size;
    this.#readCount++;
    if (!isNewest) return true;
    this.#bytes += size;
    this.#sums.add(key, sealed);
    return true;
  }

  found(end: Uint8Array): ScrubbedRange {
    return {
      hash: this.#sums.toString(),
      count: this.#sums.count,
      end,
      readBytes: this.#readBytes,
      readCount: this.#readCount,
      damage: this.#damage,
    };
  }
}
/** The sums over records that were added, in any order. */
export class RecordHashes {
  count = 0;
  readonly #sums = new Uint32Array(4);

  add(key: Uint8Array, sealed: Uint8Array): void {
    const a = finish(lane(lane(SEED_A, key, 0xcc9e2d51), sealed, 0xcc9e2d51), key.length + sealed.length);
    const b = finish(lane(lane(SEED_B ^ a, key, 0x85ebca6b), sealed, 0x85ebca6b), key.length ^ a);
    this.#sums[0] = (this.#sums[0] ?? 0) + a;
    this.#sums[1] = (this.#sums[1] ?? 0) + b;
    this.#sums[2] = (this.#sums[2] ?? 0) ^ a;
    this.#sums[3] = (this.#sums[3] ?? 0) ^ b;
    this.count++;
  }

  toString(): string {
    return Array.from(this.#sums, (sum) => sum.toString(16).padStart(8, '0')).join('');
  }
}

function lane(seed: number, bytes: Uint8Array, multiplier: number): number {
  let hash = seed ^ Math.imul(bytes.length, 0x27d4eb2f);
  let at = 0;
  for (const whole = bytes.length - 3; at < whole; at += 4) {
    const word =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
    hash = mix(hash, word, multiplier);
  }
  let rest = 0;
  for (let i = bytes.length - 1; i >= at; i--) rest = (rest << 8) | (bytes[i] ?? 0);
  return mix(hash, rest, multiplier);
}

function mix(hash: number, word: number, multiplier: number): number {
  let mixed = Math.imul(word, multiplier);
  mixed = (mixed << 15) | (mixed >>> 17);
  let result = hash ^ Math.imul(mixed, 0x1b873593);
  result = (result << 13) | (result >>> 19);
  return (Math.imul(result, 5) + 0xe6546b64) | 0;
}

function finish(hash: number, length: number): number {
  let result = hash ^ length;
  result = Math.imul(result ^ (result >>> 16), 0x85ebca6b);
  result = Math.imul(result ^ (result >>> 13), 0xc2b2ae35);
  return (result ^ (result >>> 16)) >>> 0;
}
