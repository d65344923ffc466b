/**
 * Integers of string.format that the engine's 32-bit C cannot print: they are printed here as 64-bit Redis prints them,
 * and the native function gets them as text.
 */
import { type Lua, TYPE } from './lua.ts';
import { toInteger64 } from './numbers.ts';
import type { LuaState } from './wasm.ts';

const INT32_MAX = 2 ** 31 - 1;
/** Texts that are shorter hold no integer beyond 32 bits. */
const WIDE_TEXT_MIN = 10;
const INTEGER_KINDS = 'dioux';
const SPEC = /%(?:%|([-+ #0]{0,5})(\d{0,2})(\.\d{0,2})?(.))/gs;
const INTEGER_TEXT = /^\s*[-+]?\d+\s*$/;

/** Rewrites the arguments of the running string.format where that is needed. */
export function widenIntegers(lua: Lua, L: LuaState): void {
  const count = lua.top(L);
  if (lua.type(L, 1) !== TYPE.string || !holdsWideNumber(lua, L, count)) return;
  const format = lua.latin1(lua.pointerAt(lua.slot(L, 1)));
  let rewritten = '';
  let copied = 0;
  let argument = 1;
  for (const match of format.matchAll(SPEC)) {
    const [text, flags = '', width = '', precision, kind] = match;
    if (kind === undefined) continue;
    argument++;
    const wide = wideInteger(lua, L, kind, argument <= count ? argument : 0);
    if (wide === null) continue;
    lua.pushLatin1(L, formatInteger(wide, { flags, width, precision, kind }));
    lua.api.lua_replace(L, argument);
    rewritten += `${format.slice(copied, match.index)}%s`;
    copied = match.index + text.length;
  }
  lua.pushLatin1(L, rewritten + format.slice(copied));
  lua.api.lua_replace(L, 1);
}

function holdsWideNumber(lua: Lua, L: LuaState, count: number): boolean {
  for (let index = 2; index <= count; index++) {
    const type = lua.type(L, index);
    if (type === TYPE.number && !isNarrow(lua.numberAt(lua.slot(L, index)))) return true;
    if (type === TYPE.string && lua.stringLength(lua.pointerAt(lua.slot(L, index))) >= WIDE_TEXT_MIN) return true;
  }
  return false;
}

/** The integer to print here; null if the native function prints, or refuses, the argument as it should. */
function wideInteger(lua: Lua, L: LuaState, kind: string, argument: number): bigint | null {
  if (argument === 0 || !INTEGER_KINDS.includes(kind.toLowerCase()) || 'DIOU'.includes(kind)) return null;
  const type = lua.type(L, argument);
  const isText = type === TYPE.string && INTEGER_TEXT.test(lua.describe(L, argument));
  if (type !== TYPE.number && !isText) return null;
  const value = lua.checkNumber(L, argument);
  if (isNarrow(value) || (isSigned(kind) && Math.abs(value) <= INT32_MAX)) return null;
  return BigInt(toInteger64(value));
}

/** Whether 32 bits hold the integer whatever the conversion: negative ones become large when they are unsigned. */
function isNarrow(value: number): boolean {
  return value >= 0 && value <= INT32_MAX;
}

function isSigned(kind: string): boolean {
  return kind === 'd' || kind === 'i';
}

interface IntegerSpec {
  readonly flags: string;
  readonly width: string;
  readonly precision: string | undefined;
  readonly kind: string;
}

/** C's printf for one 64-bit integer. */
function formatInteger(value: bigint, spec: IntegerSpec): string {
  const { flags, kind } = spec;
  const magnitude = isSigned(kind) ? (value < 0n ? -value : value) : BigInt.asUintN(64, value);
  const radix = kind === 'o' ? 8 : kind === 'x' || kind === 'X' ? 16 : 10;
  let digits = magnitude.toString(radix);
  if (spec.precision !== undefined) digits = digits.padStart(Number(spec.precision.slice(1)), '0');
  const prefix = prefixOf(value, spec, digits);
  const width = spec.width === '' ? 0 : Number(spec.width);
  if (flags.includes('0') && !flags.includes('-') && spec.precision === undefined) {
    digits = digits.padStart(width - prefix.length, '0');
  }
  const text = kind === 'X' ? (prefix + digits).toUpperCase() : prefix + digits;
  return flags.includes('-') ? text.padEnd(width) : text.padStart(width);
}

function prefixOf(value: bigint, { flags, kind }: IntegerSpec, digits: string): string {
  if (isSigned(kind)) {
    if (value < 0n) return '-';
    if (flags.includes('+')) return '+';
    return flags.includes(' ') ? ' ' : '';
  }
  if (!flags.includes('#')) return '';
  if (kind === 'o') return digits.startsWith('0') ? '' : '0';
  return kind === 'u' ? '' : '0x';
}
