/**
 * Makes new inputs from old ones: the usual changes of byte fuzzers (flips, interesting numbers, cuts, copies, words of a
 * dictionary, parts of another input), several at once. The same random stream makes the same inputs.
 */
import type { SeededRandom } from '../doubles/seeded-random.ts';

/** Values at which formats break: bounds of integers, of lengths, and what parsers single out. */
const NUMBERS = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 511, 512, 1023, 4096, 16_383, 16_384, 32_767, 32_768,
  65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
] as const;
const DIGITS = ['0', '1', '-1', '16', '-0', '2147483648', '4294967296', '9007199254740993', '99999999999999999999'];
const CHANGES_MAX = 6;

export interface MutatorOptions {
  readonly random: SeededRandom;
  readonly words: readonly Uint8Array[];
  readonly bytesMax: number;
}

export class Mutator {
  readonly #random: SeededRandom;
  readonly #words: readonly Uint8Array[];
  readonly #bytesMax: number;

  constructor(options: MutatorOptions) {
    this.#random = options.random;
    this.#words = options.words;
    this.#bytesMax = options.bytesMax;
  }

  /** A changed copy of `input`; `other` lends its parts. */
  mutate(input: Uint8Array, other: Uint8Array): Buffer {
    let bytes = Buffer.from(input);
    const count = 1 + this.#random.below(this.#random.chance(0.5) ? 2 : CHANGES_MAX);
    for (let i = 0; i < count; i++) bytes = this.#change(bytes, other);
    return bytes.subarray(0, this.#bytesMax);
  }

  #change(bytes: Buffer, other: Uint8Array): Buffer<ArrayBuffer> {
    const random = this.#random;
    const at = random.below(bytes.length + 1);
    switch (random.below(12)) {
      case 0:
        return this.#with(bytes, at, (byte) => byte ^ (1 << random.below(8)));
      case 1:
        return this.#with(bytes, at, () => random.below(256));
      case 2:
        return this.#with(bytes, at, (byte) => byte + random.pick([1, -1, 16, -16]));
      case 3:
        return splice(bytes, at, this.#length(4), this.#number());
      case 4:
        return splice(bytes, at, 0, random.bytes(1 + random.below(4)));
      case 5:
        return splice(bytes, at, this.#length(bytes.length), NOTHING);
      case 6:
        return splice(bytes, at, 0, this.#part(bytes));
      case 7:
        return splice(bytes, at, this.#length(16), this.#part(other));
      case 8:
      case 9:
        return splice(bytes, at, random.chance(0.5) ? 0 : this.#length(8), this.#word());
      case 10:
        return Buffer.from(bytes.subarray(0, at));
      default:
        return splice(bytes, at, this.#length(4), Buffer.alloc(1 + random.below(32), random.pick([0, 0xff, 0x41])));
    }
  }

  #with(bytes: Buffer, at: number, change: (byte: number) => number): Buffer<ArrayBuffer> {
    const changed = Buffer.from(bytes);
    if (at < bytes.length) changed[at] = change(bytes[at] ?? 0);
    return changed;
  }

  #length(bound: number): number {
    return this.#random.below(Math.max(1, bound) + 1);
  }

  #part(bytes: Uint8Array): Uint8Array {
    const start = this.#random.below(bytes.length + 1);
    return Buffer.from(bytes.subarray(start, start + this.#random.below(64)));
  }

  #number(): Uint8Array {
    const random = this.#random;
    const value = random.pick(NUMBERS);
    const bytes = Buffer.alloc(random.pick([1, 2, 4, 8]));
    if (bytes.length === 8)
      return random.chance(0.2) ? bytes.fill(0xff) : littleOrBig(bytes, value, random.chance(0.5));
    if (bytes.length === 1) bytes[0] = value;
    else if (bytes.length === 2) bytes.writeUInt16LE(value & 0xffff);
    else if (random.chance(0.5)) bytes.writeUInt32LE(value);
    else bytes.writeUInt32BE(value);
    return bytes;
  }

  #word(): Uint8Array {
    const random = this.#random;
    if (this.#words.length === 0 || random.chance(0.15)) return Buffer.from(random.pick(DIGITS));
    return random.pick(this.#words);
  }
}

const NOTHING = new Uint8Array(0);

function littleOrBig(bytes: Buffer, value: number, isLittle: boolean): Uint8Array {
  if (isLittle) bytes.writeBigUInt64LE(BigInt(value));
  else bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function splice(bytes: Buffer, at: number, removed: number, inserted: Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(Math.min(bytes.length, at + removed))]);
}
