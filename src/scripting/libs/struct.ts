/**
 * Library `struct` 0.2 with Redis's patches (deps/lua/src/lua_struct.c): packs numbers and strings by a format. Sizes
 * are those of 64-bit Redis: short 2, int 4, long and size_t 8; little-endian unless the format says otherwise.
 */
import type { Budget } from '../budget.ts';
import { type Lua, TYPE } from '../lua.ts';
import { toInteger64 } from '../numbers.ts';
import type { LibraryEntries } from '../sandbox.ts';
import type { LuaState } from '../wasm.ts';

const INTEGER_BYTES_MAX = 32;
const ALIGNMENT_DEFAULT = 8;
const INT_MAX = 2 ** 31 - 1;
const TWO_64 = 2 ** 64;
const INTEGERS = 'bBhHlLTiI';
const SIZES: Readonly<Record<string, number>> = { b: 1, B: 1, h: 2, H: 2, l: 8, L: 8, T: 8, f: 4, d: 8, x: 1 };
const NUMBER = Buffer.alloc(8);

/** Walks over a format string and keeps what it sets. */
class Format {
  readonly #lua: Lua;
  readonly #L: LuaState;
  readonly #text: string;
  #at = 0;
  #alignment = 1;
  isLittle = true;

  constructor(lua: Lua, L: LuaState) {
    this.#lua = lua;
    this.#L = L;
    const text = lua.latin1(lua.checkString(L, 1));
    const end = text.indexOf('\0');
    this.#text = end === -1 ? text : text.slice(0, end);
  }

  /** The next option, or '' at the end. */
  next(): string {
    return this.#text.charAt(this.#at++);
  }

  sizeOf(option: string): number {
    if (option === 'c') return this.#number(1);
    if (option !== 'i' && option !== 'I') return SIZES[option] ?? 0;
    const size = this.#number(4);
    if (size > INTEGER_BYTES_MAX) {
      return this.#lua.raiseAt(this.#L, `integral size ${size} is larger than limit of ${INTEGER_BYTES_MAX}`);
    }
    return size;
  }

  /** Bytes to skip so that an item of `size` at `position` is aligned. */
  paddingAt(position: number, option: string, size: number): number {
    if (size === 0 || option === 'c') return 0;
    const alignment = Math.min(size, this.#alignment);
    return (alignment - (position & (alignment - 1))) & (alignment - 1);
  }

  /** An option that packs nothing. */
  control(option: string): void {
    if (option === ' ') return;
    if (option === '>' || option === '<') this.isLittle = option === '<';
    else if (option === '!') {
      const alignment = this.#number(ALIGNMENT_DEFAULT);
      if (alignment === 0 || (alignment & (alignment - 1)) !== 0) {
        this.#lua.raiseAt(this.#L, `alignment ${alignment} is not a power of 2`);
      }
      this.#alignment = alignment;
    } else this.#lua.raiseArgument(this.#L, 1, `invalid format option '${option}'`);
  }

  #number(fallback: number): number {
    let digit = this.#text.charCodeAt(this.#at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return fallback;
    let value = 0;
    while (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      if (value > INT_MAX) this.#lua.raiseAt(this.#L, 'integral size overflow');
      this.#at++;
      digit = this.#text.charCodeAt(this.#at) - 0x30;
    }
    return value;
  }
}

export function structLibrary(lua: Lua, budget: Budget): LibraryEntries {
  return {
    pack: { index: lua.addFunction((L) => pack(lua, budget, L)) },
    unpack: { index: lua.addFunction((L) => unpack(lua, budget, L)) },
    size: { index: lua.addFunction((L) => sizeOf(lua, L)) },
  };
}

function pack(lua: Lua, budget: Budget, L: LuaState): number {
  const format = new Format(lua, L);
  // An argument that is missing reads as nil, not as no value.
  lua.api.lua_pushnil(L);
  const parts: Buffer[] = [];
  let argument = 2;
  let position = 0;
  const add = (part: Buffer): void => {
    parts.push(part);
    budget.charge(L, part.length);
  };
  for (let option = format.next(); option !== ''; option = format.next()) {
    let size = format.sizeOf(option);
    const padding = format.paddingAt(position, option, size);
    if (padding > 0) add(Buffer.alloc(padding));
    position += padding;
    if (INTEGERS.includes(option)) add(integerBytes(lua.checkNumber(L, argument++), size, format.isLittle));
    else if (option === 'x') add(Buffer.alloc(1));
    else if (option === 'f' || option === 'd') add(floatBytes(lua.checkNumber(L, argument++), size, format.isLittle));
    else if (option === 'c' || option === 's') {
      const text = lua.copy(lua.checkString(L, argument++));
      if (size === 0) size = text.length;
      if (text.length < size) return lua.raiseArgument(L, argument, 'string too short');
      add(text.subarray(0, size));
      if (option === 's') {
        add(Buffer.alloc(1));
        size++;
      }
    } else format.control(option);
    position += size;
  }
  lua.pushBytes(L, Buffer.concat(parts));
  return 1;
}

function unpack(lua: Lua, budget: Budget, L: LuaState): number {
  const format = new Format(lua, L);
  const data = lua.copy(lua.checkString(L, 2));
  budget.charge(L, data.length);
  const first = Number(toInteger64(lua.optionalNumber(L, 3, 1)));
  if (first === 0) return lua.raiseArgument(L, 3, 'offset must be 1 or greater');
  // C takes a negative offset for a very large one.
  if (first < 0) return lua.raiseArgument(L, 2, 'data string too short');
  let position = first - 1;
  let count = 0;
  lua.api.lua_settop(L, 2);
  const need = (size: number): void => {
    if (size > data.length || position > data.length - size) lua.raiseArgument(L, 2, 'data string too short');
  };
  for (let option = format.next(); option !== ''; option = format.next()) {
    let size = format.sizeOf(option);
    position += format.paddingAt(position, option, size);
    need(size);
    lua.api.luaL_checkstack(L, 2, lua.cText('too many results'));
    budget.charge(L, 1);
    if (INTEGERS.includes(option)) {
      const bytes = data.subarray(position, position + size);
      lua.api.lua_pushnumber(L, integerFrom(bytes, format.isLittle, option >= 'a'));
      count++;
    } else if (option === 'f' || option === 'd') {
      lua.api.lua_pushnumber(L, floatFrom(data.subarray(position, position + size), format.isLittle));
      count++;
    } else if (option === 'c') {
      if (size === 0) {
        if (count === 0 || lua.typeAt(lua.topSlot(L)) !== TYPE.number) {
          return lua.raiseAt(L, "format 'c0' needs a previous size");
        }
        size = Number(toInteger64(lua.numberAt(lua.topSlot(L))));
        if (size < 0) return lua.raiseArgument(L, 2, 'data string too short');
        lua.api.lua_settop(L, -2);
        count--;
        need(size);
      }
      lua.pushBytes(L, data.subarray(position, position + size));
      count++;
    } else if (option === 's') {
      const end = data.indexOf(0, position);
      if (end === -1) return lua.raiseAt(L, 'unfinished string in data');
      lua.pushBytes(L, data.subarray(position, end));
      count++;
      size = end - position + 1;
    } else if (option !== 'x') format.control(option);
    position += size;
  }
  lua.api.lua_pushnumber(L, position + 1);
  return count + 1;
}

function sizeOf(lua: Lua, L: LuaState): number {
  const format = new Format(lua, L);
  let position = 0;
  for (let option = format.next(); option !== ''; option = format.next()) {
    const size = format.sizeOf(option);
    position += format.paddingAt(position, option, size);
    if (option === 's') return lua.raiseArgument(L, 1, "option 's' has no fixed size");
    if (option === 'c' && size === 0) return lua.raiseArgument(L, 1, "option 'c0' has no fixed size");
    if (!/[0-9A-Za-z]/.test(option)) format.control(option);
    position += size;
  }
  lua.api.lua_pushnumber(L, position);
  return 1;
}

/** C's conversion to 64 bits, then `size` bytes of it; bytes beyond the eighth are zero. */
function integerBytes(value: number, size: number, isLittle: boolean): Buffer {
  const bytes = Buffer.alloc(size);
  NUMBER.writeBigUInt64LE(value < 0 ? BigInt.asUintN(64, BigInt(toInteger64(value))) : unsigned64(value));
  NUMBER.copy(bytes, 0, 0, Math.min(size, NUMBER.length));
  return isLittle ? bytes : bytes.reverse();
}

/** As x86 converts a double that is not negative to an unsigned 64-bit integer. */
function unsigned64(value: number): bigint {
  if (Number.isNaN(value)) return 2n ** 63n;
  return value < TWO_64 ? BigInt(Math.trunc(value)) : 0n;
}

/** Only the last eight of the more significant bytes count, as in C where they are shifted out. */
function integerFrom(bytes: Buffer, isLittle: boolean, isSigned: boolean): number {
  let value = 0n;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[isLittle ? bytes.length - 1 - i : i] as number;
    value = ((value << 8n) | BigInt(byte)) & 0xffff_ffff_ffff_ffffn;
  }
  if (!isSigned) return Number(value);
  const bits = Math.min(bytes.length * 8, 64);
  return Number(BigInt.asIntN(64, BigInt.asIntN(bits, value)));
}

function floatBytes(value: number, size: number, isLittle: boolean): Buffer {
  const bytes = Buffer.alloc(size);
  if (size === 4) bytes.writeFloatLE(value);
  else bytes.writeDoubleLE(value);
  return isLittle ? bytes : bytes.reverse();
}

function floatFrom(bytes: Buffer, isLittle: boolean): number {
  if (bytes.length === 4) return isLittle ? bytes.readFloatLE() : bytes.readFloatBE();
  return isLittle ? bytes.readDoubleLE() : bytes.readDoubleBE();
}
