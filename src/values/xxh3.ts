/**
 * XXH3, 64 bits, seed 0, default secret (Yann Collet; "xxHash fast digest algorithm", XXH3 specification in
 * doc/xxhash_spec.md of xxHash 0.8.2): what DIGEST answers and IFDEQ/IFDNE compare.
 *
 * JavaScript has no 64-bit integers that are fast. Inputs up to 240 bytes take a handful of steps, so they are written
 * as the specification has them, with bigints. Longer inputs run the stripe loop, which is all that costs, over pairs
 * of 32-bit halves: an accumulator is `low[i]`, `high[i]`. Its arithmetic is modulo 2^64 throughout.
 */
import { asBuffer } from './string.ts';

const PRIME32_1 = 0x9e3779b1n;
const PRIME32_2 = 0x85ebca77n;
const PRIME32_3 = 0xc2b2ae3dn;
const PRIME64_1 = 0x9e3779b185ebca87n;
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME64_3 = 0x165667b19e3779f9n;
const PRIME64_4 = 0x85ebca77c2b2ae63n;
const PRIME64_5 = 0x27d4eb2f165667c5n;
const PRIME_MX1 = 0x165667919e3779f9n;
const PRIME_MX2 = 0x9fb21c651e98df25n;
/** Low half of PRIME32_1 for the scramble step, as a number. */
const SCRAMBLE_PRIME = 0x9e3779b1;

const SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb' +
    '170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
);

const STRIPE_BYTES = 64;
const LANES = 8;
/** Bytes by which the secret advances from stripe to stripe. */
const SECRET_STEP = 8;
const STRIPES_PER_BLOCK = (SECRET.length - STRIPE_BYTES) / SECRET_STEP;
const BLOCK_BYTES = STRIPES_PER_BLOCK * STRIPE_BYTES;
const LAST_STRIPE_SECRET = SECRET.length - STRIPE_BYTES - 7;
const MERGE_SECRET = 11;

/** The hash of `bytes`. */
export function xxh3(bytes: Uint8Array): bigint {
  const input = asBuffer(bytes);
  const length = input.length;
  if (length <= 16) return length > 8 ? hash9To16(input) : length >= 4 ? hash4To8(input) : hashUpTo3(input);
  if (length <= 128) return hash17To128(input);
  return length <= 240 ? hash129To240(input) : hashLong(input);
}

/** Sixteen lower-case hexadecimal digits, as DIGEST answers. */
export function xxh3Hex(bytes: Uint8Array): string {
  return xxh3(bytes).toString(16).padStart(16, '0');
}

// ---------------------------------------------------------------------------------------------------------------
// Short inputs

function hashUpTo3(input: Buffer): bigint {
  const length = input.length;
  if (length === 0) return avalanche64(secret64(56) ^ secret64(64));
  const first = BigInt(input[0] ?? 0);
  const middle = BigInt(input[length >> 1] ?? 0);
  const last = BigInt(input[length - 1] ?? 0);
  const combined = (first << 16n) | (middle << 24n) | last | (BigInt(length) << 8n);
  return avalanche64(combined ^ secret32(0) ^ secret32(4));
}

function hash4To8(input: Buffer): bigint {
  const length = input.length;
  const first = BigInt(input.readUInt32LE(0));
  const last = BigInt(input.readUInt32LE(length - 4));
  let h = (last | (first << 32n)) ^ secret64(8) ^ secret64(16);
  h ^= rotate(h, 49n) ^ rotate(h, 24n);
  h = u64(h * PRIME_MX2);
  h ^= (h >> 35n) + BigInt(length);
  h = u64(h * PRIME_MX2);
  return h ^ (h >> 28n);
}

function hash9To16(input: Buffer): bigint {
  const length = input.length;
  const low = input.readBigUInt64LE(0) ^ secret64(24) ^ secret64(32);
  const high = input.readBigUInt64LE(length - 8) ^ secret64(40) ^ secret64(48);
  return avalancheXxh3(u64(BigInt(length) + swapBytes(low) + high + mulFold(low, high)));
}

function hash17To128(input: Buffer): bigint {
  const length = input.length;
  let h = BigInt(length) * PRIME64_1;
  for (let i = Math.floor((length - 1) / 32); i >= 0; i--) {
    h += mix16(input, 16 * i, 32 * i);
    h += mix16(input, length - 16 * (i + 1), 32 * i + 16);
  }
  return avalancheXxh3(u64(h));
}

function hash129To240(input: Buffer): bigint {
  const length = input.length;
  let h = BigInt(length) * PRIME64_1;
  for (let i = 0; i < 8; i++) h += mix16(input, 16 * i, 16 * i);
  h = avalancheXxh3(u64(h));
  for (let i = 8; i < Math.floor(length / 16); i++) h += mix16(input, 16 * i, 16 * (i - 8) + 3);
  // 136: the smallest permitted secret, less the 17 bytes that the specification subtracts for the last step.
  h += mix16(input, length - 16, 136 - 17);
  return avalancheXxh3(u64(h));
}

function mix16(input: Buffer, at: number, secretAt: number): bigint {
  return mulFold(
    input.readBigUInt64LE(at) ^ secret64(secretAt),
    input.readBigUInt64LE(at + 8) ^ secret64(secretAt + 8),
  );
}

// ---------------------------------------------------------------------------------------------------------------
// Long inputs

class Accumulators {
  readonly low = new Uint32Array(LANES);
  readonly high = new Uint32Array(LANES);

  constructor() {
    const initial = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1];
    for (const [lane, prime] of initial.entries()) {
      this.low[lane] = Number(prime & 0xffff_ffffn);
      this.high[lane] = Number(prime >> 32n);
    }
  }

  at(lane: number): bigint {
    return (BigInt(this.high[lane] ?? 0) << 32n) | BigInt(this.low[lane] ?? 0);
  }
}

function hashLong(input: Buffer): bigint {
  const acc = new Accumulators();
  const blocks = Math.floor((input.length - 1) / BLOCK_BYTES);
  for (let block = 0; block < blocks; block++) {
    for (let stripe = 0; stripe < STRIPES_PER_BLOCK; stripe++) {
      accumulate(acc, input, { at: block * BLOCK_BYTES + stripe * STRIPE_BYTES, secretAt: stripe * SECRET_STEP });
    }
    scramble(acc);
  }
  const rest = blocks * BLOCK_BYTES;
  const stripes = Math.floor((input.length - 1 - rest) / STRIPE_BYTES);
  for (let stripe = 0; stripe < stripes; stripe++) {
    accumulate(acc, input, { at: rest + stripe * STRIPE_BYTES, secretAt: stripe * SECRET_STEP });
  }
  accumulate(acc, input, { at: input.length - STRIPE_BYTES, secretAt: LAST_STRIPE_SECRET });

  let h = BigInt(input.length) * PRIME64_1;
  for (let pair = 0; pair < LANES / 2; pair++) {
    const secretAt = MERGE_SECRET + 16 * pair;
    h += mulFold(acc.at(2 * pair) ^ secret64(secretAt), acc.at(2 * pair + 1) ^ secret64(secretAt + 8));
  }
  return avalancheXxh3(u64(h));
}

/** One stripe: each lane adds the product of the keyed halves, and the plain word to its neighbour. */
function accumulate(acc: Accumulators, input: Buffer, from: { readonly at: number; readonly secretAt: number }): void {
  const { low, high } = acc;
  for (let lane = 0; lane < LANES; lane++) {
    const at = from.at + lane * 8;
    const wordLow = input.readUInt32LE(at);
    const wordHigh = input.readUInt32LE(at + 4);
    const keyLow = (wordLow ^ SECRET.readUInt32LE(from.secretAt + lane * 8)) >>> 0;
    const keyHigh = (wordHigh ^ SECRET.readUInt32LE(from.secretAt + lane * 8 + 4)) >>> 0;

    const neighbour = lane ^ 1;
    const neighbourLow = (low[neighbour] ?? 0) + wordLow;
    low[neighbour] = neighbourLow;
    high[neighbour] = (high[neighbour] ?? 0) + wordHigh + (neighbourLow > 0xffff_ffff ? 1 : 0);

    const productHigh = multiplyHigh(keyLow, keyHigh);
    const sumLow = (low[lane] ?? 0) + (Math.imul(keyLow, keyHigh) >>> 0);
    low[lane] = sumLow;
    high[lane] = (high[lane] ?? 0) + productHigh + (sumLow > 0xffff_ffff ? 1 : 0);
  }
}

function scramble(acc: Accumulators): void {
  const { low, high } = acc;
  const secretAt = SECRET.length - STRIPE_BYTES;
  for (let lane = 0; lane < LANES; lane++) {
    const oldHigh = high[lane] ?? 0;
    // acc ^ (acc >> 47): only the low half receives bits.
    const mixedLow = ((low[lane] ?? 0) ^ (oldHigh >>> 15) ^ SECRET.readUInt32LE(secretAt + lane * 8)) >>> 0;
    const mixedHigh = (oldHigh ^ SECRET.readUInt32LE(secretAt + lane * 8 + 4)) >>> 0;
    low[lane] = Math.imul(mixedLow, SCRAMBLE_PRIME);
    high[lane] = multiplyHigh(mixedLow, SCRAMBLE_PRIME) + (Math.imul(mixedHigh, SCRAMBLE_PRIME) >>> 0);
  }
}

/** Upper 32 bits of the product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carried = aLow * bHigh + (cross % 0x1_0000);
  return aHigh * bHigh + Math.floor(cross / 0x1_0000) + Math.floor(carried / 0x1_0000);
}

// ---------------------------------------------------------------------------------------------------------------
// Steps of the specification

function avalanche64(value: bigint): bigint {
  let h = value ^ (value >> 33n);
  h = u64(h * PRIME64_2);
  h ^= h >> 29n;
  h = u64(h * PRIME64_3);
  return h ^ (h >> 32n);
}

function avalancheXxh3(value: bigint): bigint {
  let h = value ^ (value >> 37n);
  h = u64(h * PRIME_MX1);
  return h ^ (h >> 32n);
}

/** The 128-bit product, its halves xored. */
function mulFold(a: bigint, b: bigint): bigint {
  const product = a * b;
  return u64(product) ^ (product >> 64n);
}

function rotate(value: bigint, by: bigint): bigint {
  return u64(value << by) | (value >> (64n - by));
}

function swapBytes(value: bigint): bigint {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.readBigUInt64BE();
}

function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function secret64(at: number): bigint {
  return SECRET.readBigUInt64LE(at);
}

function secret32(at: number): bigint {
  return BigInt(SECRET.readUInt32LE(at));
}
