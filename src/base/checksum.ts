/**
 * CRC-32 (IEEE 802.3, the one of zlib and gzip): finds every error burst of up to 32 bits and all but one in 2^32 of the
 * others. A guard against damage and mix-ups, not against an adversary.
 */
import { crc32 as zlibCrc32 } from 'node:zlib';

/** Unsigned 32 bits. `seed` is the checksum of what comes before `bytes`, so that pieces can be chained. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  // An empty array may have no memory at all; zlib takes that for the question of what to begin with, and answers 0.
  return bytes.length === 0 ? seed : zlibCrc32(bytes, seed);
}
