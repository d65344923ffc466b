/**
 * math.random and math.randomseed with Redis's generator (src/rand.c: the 48-bit linear congruential generator of
 * lrand48), so that the same seed gives the same numbers as in Redis. The state belongs to one run: nothing leaks from
 * script to script. A script that never seeds it starts from a number of the replica's own random source, as scripts of
 * Redis 7 see ever different numbers; effects are replicated, so replicas agree all the same.
 */
import type { Lua } from '../lua.ts';
import { toInteger32 } from '../numbers.ts';
import type { LibraryEntries } from '../sandbox.ts';
import type { LuaState } from '../wasm.ts';

const MULTIPLIER = 0x5deece66dn;
const INCREMENT = 0xbn;
const MASK = (1n << 48n) - 1n;
const SEED_LOW = 0x330en;
/** REDIS_LRAND48_MAX. */
const RESULT_MAX = 2 ** 31 - 1;

/** Where a run that does not seed the generator itself gets its start from. */
export interface RandomSource {
  randomSeed(): number;
}

export class RandomLibrary {
  readonly #lua: Lua;
  #state = 0n;
  #isSeeded = false;
  #source: RandomSource | null = null;

  constructor(lua: Lua) {
    this.#lua = lua;
  }

  begin(source: RandomSource): void {
    this.#isSeeded = false;
    this.#source = source;
  }

  entries(): LibraryEntries {
    const { api } = this.#lua;
    const random = (L: LuaState): number => {
      const lua = this.#lua;
      const fraction = (this.#next() % RESULT_MAX) / RESULT_MAX;
      switch (lua.top(L)) {
        case 0:
          api.lua_pushnumber(L, fraction);
          return 1;
        case 1: {
          const upper = toInteger32(lua.checkNumber(L, 1));
          if (upper < 1) return lua.raiseArgument(L, 1, 'interval is empty');
          api.lua_pushnumber(L, Math.floor(fraction * upper) + 1);
          return 1;
        }
        case 2: {
          const lower = toInteger32(lua.checkNumber(L, 1));
          const upper = toInteger32(lua.checkNumber(L, 2));
          if (lower > upper) return lua.raiseArgument(L, 2, 'interval is empty');
          api.lua_pushnumber(L, Math.floor(fraction * ((upper - lower + 1) | 0)) + lower);
          return 1;
        }
        default:
          return lua.raiseAt(L, 'wrong number of arguments');
      }
    };
    const randomseed = (L: LuaState): number => {
      this.#seed(toInteger32(this.#lua.checkNumber(L, 1)));
      return 0;
    };
    return {
      random: { index: this.#lua.addFunction(random) },
      randomseed: { index: this.#lua.addFunction(randomseed) },
    };
  }

  #seed(seed: number): void {
    this.#state = (BigInt(seed >>> 0) << 16n) | SEED_LOW;
    this.#isSeeded = true;
  }

  #next(): number {
    if (!this.#isSeeded) this.#seed((this.#source?.randomSeed() ?? 0) | 0);
    this.#state = (this.#state * MULTIPLIER + INCREMENT) & MASK;
    return Number(this.#state >> 17n);
  }
}
