/**
 * A hash of what a range holds, for comparing replicas at an equal applied index: the only way to notice a record that
 * vanished, or an old value that came back with a seal that fits.
 *
 * Each record (key and sealed bytes; newest versions only, because every replica collects older ones at its own pace) is
 * hashed to 64 bits, and the hashes are added up and XORed. So the result does not depend on the order, and the
 * hashes of adjacent ranges could be combined. The hash is not cryptographic: it finds damage, not an adversary.
 *
 * Two lanes of MurmurHash3 (x86, 32 bits, Appleby) with different seeds and multipliers, mixed at the end.
 */
import type { StoreView } from './snapshot.ts';
import { openRecord } from './records.ts';
import type { RecordRange } from './types.ts';

const CHUNK_COUNT_MAX = 256;
const CHUNK_BYTES_MAX = 256 * 1024;
const SEED_A = 0x9747b28c;
const SEED_B = 0x3c6ef372;

/** Checks every seal on the way: rejects with KahunaError 'DATA_DAMAGED'. */
export async function hashRange(view: StoreView, range: RecordRange): Promise<{ hash: string; count: number }> {
  const sums = new RecordHashes();
  const iterator = view.iterate(range);
  try {
    for (;;) {
      const records = await iterator.next(CHUNK_COUNT_MAX, CHUNK_BYTES_MAX);
      if (records.length === 0) break;
      for (const record of records) {
        openRecord(record.key, record.sealed);
        sums.add(record.key, record.sealed);
      }
    }
  } finally {
    await iterator.close();
  }
  return { hash: sums.toString(), count: sums.count };
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
