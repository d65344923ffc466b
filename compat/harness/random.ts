/** Seeded randomness, so that a printed number repeats the choices of a run. */

export interface SeededRandom {
  /** In [0, 1). */
  float(): number;
  /** In [min, max], both included. */
  integer(min: number, max: number): number;
  pick<T>(items: readonly T[]): T;
  /** An independent stream: drawing from it does not move this one. */
  fork(name: string): SeededRandom;
}

/** mulberry32: 32 bits of state are plenty for choosing faults. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const float = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const integer = (min: number, max: number): number => min + Math.floor(float() * (max - min + 1));
  return {
    float,
    integer,
    pick<T>(items: readonly T[]): T {
      const item = items[integer(0, items.length - 1)];
      if (item === undefined) throw new Error('pick from an empty list');
      return item;
    },
    fork(name: string): SeededRandom {
      let hash = seed >>> 0;
      for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
      return seededRandom(hash);
    },
  };
}

export function freshSeed(): number {
  return Math.floor(Math.random() * 0x7fffffff);
}
