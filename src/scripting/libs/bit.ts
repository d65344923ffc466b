/** Library `bit`: Lua BitOp 1.0.2 with Redis's patches (deps/lua/src/lua_bit.c): signed 32-bit results, modulo 2^32. */
import type { Lua } from '../lua.ts';
import { TYPE } from '../lua.ts';
import type { LibraryEntries } from '../sandbox.ts';
import type { LuaState } from '../wasm.ts';

/** 2^52 + 2^51: adding it leaves the number, rounded to even, in the low bits of the double. */
const ROUNDING = 6_755_399_441_055_744;
const HEX_DIGITS = 8;
const INT32_MIN = -(2 ** 31);

const DOUBLE = new Float64Array(1);
const WORDS = new Int32Array(DOUBLE.buffer);

export function bitLibrary(lua: Lua): LibraryEntries {
  const argument = (L: LuaState, index: number): number => {
    DOUBLE[0] = lua.checkNumber(L, index) + ROUNDING;
    return WORDS[0] as number;
  };
  const unary = (operation: (value: number) => number) => (L: LuaState) => {
    lua.api.lua_pushnumber(L, operation(argument(L, 1)) | 0);
    return 1;
  };
  const folding = (operation: (left: number, right: number) => number) => (L: LuaState) => {
    let value = argument(L, 1);
    for (let index = lua.top(L); index > 1; index--) value = operation(value, argument(L, index));
    lua.api.lua_pushnumber(L, value | 0);
    return 1;
  };
  const shift = (operation: (value: number, count: number) => number) => (L: LuaState) => {
    const value = argument(L, 1);
    lua.api.lua_pushnumber(L, operation(value, argument(L, 2) & 31) | 0);
    return 1;
  };
  const tohex = (L: LuaState): number => {
    const value = argument(L, 1) >>> 0;
    let count = lua.type(L, 2) === TYPE.none ? HEX_DIGITS : argument(L, 2);
    const isUpper = count < 0;
    if (count === INT32_MIN) count++;
    const digits = Math.min(Math.abs(count), HEX_DIGITS);
    const text = value
      .toString(16)
      .padStart(HEX_DIGITS, '0')
      .slice(HEX_DIGITS - digits);
    lua.pushLatin1(L, isUpper ? text.toUpperCase() : text);
    return 1;
  };
  const swap = (value: number): number =>
    (value >>> 24) | ((value >>> 8) & 0xff00) | ((value & 0xff00) << 8) | (value << 24);
  const functions: Record<string, (L: LuaState) => number> = {
    tobit: unary((value) => value),
    bnot: unary((value) => ~value),
    bswap: unary(swap),
    band: folding((left, right) => left & right),
    bor: folding((left, right) => left | right),
    bxor: folding((left, right) => left ^ right),
    lshift: shift((value, count) => value << count),
    rshift: shift((value, count) => value >>> count),
    arshift: shift((value, count) => value >> count),
    rol: shift((value, count) => (value << count) | (value >>> ((32 - count) & 31))),
    ror: shift((value, count) => (value >>> count) | (value << ((32 - count) & 31))),
    tohex,
  };
  const entries: Record<string, { index: number }> = {};
  for (const [name, body] of Object.entries(functions)) entries[name] = { index: lua.addFunction(body) };
  return entries;
}
