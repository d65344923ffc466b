/** Random with a seed: xoshiro128** (Blackman and Vigna), seeded through splitmix32. The same seed gives the same stream. */
import type { Random } from '../../src/base/platform.ts';

export class SeededRandom implements Random {
  readonly #seed: number;
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    this.#seed = seed >>> 0;
    let mix = this.#seed;
    for (let i = 0; i < 4; i++) {
      mix = (mix + 0x9e37_79b9) >>> 0;
      let word = Math.imul(mix ^ (mix >>> 16), 0x21f0_aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a_2d97);
      this.#state[i] = word ^ (word >>> 15);
    }
  }

  u32(): number {
    const state = this.#state;
    const a = state[0] ?? 0;
    const b = state[1] ?? 0;
    const c = state[2] ?? 0;
    const d = state[3] ?? 0;
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const c2 = c ^ a;
    const d2 = d ^ b;
    state[1] = b ^ c2;
    state[0] = a ^ d2;
    state[2] = c2 ^ (b << 9);
    state[3] = (d2 << 11) | (d2 >>> 21);
    return result;
  }

  float(): number {
    return this.u32() / 0x1_0000_0000;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = this.u32() >>> 24;
    return bytes;
  }

  fork(name: string): SeededRandom {
    let seed = this.#seed ^ 0x811c_9dc5;
    for (let i = 0; i < name.length; i++) seed = Math.imul(seed ^ name.charCodeAt(i), 0x0100_0193);
    return new SeededRandom(seed);
  }

  /** Uniform in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new Error('nothing to pick from');
    return choice;
  }
}
