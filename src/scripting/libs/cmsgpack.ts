/**
 * Library `cmsgpack` 0.4.0 (deps/lua/src/lua_cmsgpack.c): MessagePack of the old specification, without binary and
 * extension types. Packing reads tables in Lua's memory; nesting beyond NESTING_MAX packs nil, so cycles end. Unpacking
 * bounds nesting by UNPACK_DEPTH_MAX (Redis by the slots of Lua's stack, 4,000 levels).
 */
import { ByteWriter } from '../../base/bytes.ts';
import type { Budget } from '../budget.ts';
import { type Lua, TYPE } from '../lua.ts';
import { toInteger64 } from '../numbers.ts';
import type { LibraryEntries } from '../sandbox.ts';
import type { LuaState } from '../wasm.ts';

const NESTING_MAX = 16;
/** Nesting that our own recursion stands. */
const UNPACK_DEPTH_MAX = 1_000;
const INT32_MAX = 2 ** 31 - 1;
const TWO_32 = 2 ** 32;
const TWO_63 = 2 ** 63;
const KEEP_BYTES_MAX = 64 * 1024;
const NUMBER = Buffer.alloc(8);

export function cmsgpackLibrary(lua: Lua, budget: Budget): LibraryEntries {
  const packer = new Packer(lua, budget);
  const unpackFrom = (L: LuaState, limit: number, offset: number): number => unpack(lua, budget, L, { limit, offset });
  const integer = (value: number): number => Number(toInteger64(value));
  const functions: Record<string, (L: LuaState) => number> = {
    pack: (L) => packer.packArguments(L),
    unpack: (L) => unpackFrom(L, 0, 0),
    unpack_one: (L) => unpackFrom(L, 1, integer(lua.optionalNumber(L, 2, 0))),
    unpack_limit: (L) => unpackFrom(L, integer(lua.checkNumber(L, 2)), integer(lua.optionalNumber(L, 3, 0))),
  };
  const entries: Record<string, { index: number } | string> = {
    _NAME: 'cmsgpack',
    _VERSION: 'lua-cmsgpack 0.4.0',
    _COPYRIGHT: 'Copyright (C) 2012, Salvatore Sanfilippo',
    _DESCRIPTION: 'MessagePack C implementation for Lua',
  };
  for (const [name, body] of Object.entries(functions)) entries[name] = { index: lua.addFunction(body) };
  return entries;
}

class Packer {
  readonly #lua: Lua;
  readonly #budget: Budget;
  readonly #out = new ByteWriter();

  constructor(lua: Lua, budget: Budget) {
    this.#lua = lua;
    this.#budget = budget;
  }

  packArguments(L: LuaState): number {
    const count = this.#lua.top(L);
    if (count === 0) return this.#lua.raiseArgument(L, 0, 'MessagePack pack needs input.');
    this.#out.reset(KEEP_BYTES_MAX);
    for (let index = 1; index <= count; index++) this.#pack(L, this.#lua.slot(L, index), 0);
    this.#lua.pushBytes(L, this.#out.finish());
    return 1;
  }

  #pack(L: LuaState, address: number, level: number): void {
    const lua = this.#lua;
    const out = this.#out;
    this.#budget.charge(L, 1);
    switch (lua.typeAt(address)) {
      case TYPE.string:
        this.#packString(L, lua.pointerAt(address));
        return;
      case TYPE.boolean:
        out.u8(lua.booleanAt(address) ? 0xc3 : 0xc2);
        return;
      case TYPE.number:
        this.#packNumber(lua.numberAt(address));
        return;
      case TYPE.table:
        if (level === NESTING_MAX) out.u8(0xc0);
        else this.#packTable(L, lua.tableBehind(lua.pointerAt(address)), level);
        return;
      default:
        out.u8(0xc0);
    }
  }

  #packString(L: LuaState, string: number): void {
    const out = this.#out;
    const length = this.#lua.stringLength(string);
    if (length < 32) out.u8(0xa0 | length);
    else if (length <= 0xff) {
      out.u8(0xd9);
      out.u8(length);
    } else this.#sized(length, 0xda, 0xdb);
    const start = this.#lua.stringStart(string);
    out.bytes(this.#lua.u8.subarray(start, start + length));
    this.#budget.charge(L, length);
  }

  /** Opens with a 16-bit or 32-bit big-endian length. */
  #sized(length: number, code16: number, code32: number): void {
    const out = this.#out;
    if (length <= 0xffff) {
      out.u8(code16);
      this.#bigEndian(length, 2);
    } else {
      out.u8(code32);
      this.#bigEndian(length, 4);
    }
  }

  /** The low `size` bytes of a whole number within ± 2^53 … 2^63. */
  #bigEndian(value: number, size: number): void {
    NUMBER.writeBigInt64BE(BigInt(value));
    this.#out.bytes(NUMBER.subarray(8 - size));
  }

  #packNumber(value: number): void {
    const out = this.#out;
    // C converts with a range in which 2^63 itself is not.
    const isInteger = Number.isInteger(value) && value >= -TWO_63 && value < TWO_63;
    if (!isInteger) {
      const single = Math.fround(value);
      if (single === value) {
        out.u8(0xca);
        NUMBER.writeFloatBE(value);
        out.bytes(NUMBER.subarray(0, 4));
      } else {
        out.u8(0xcb);
        NUMBER.writeDoubleBE(value);
        out.bytes(NUMBER);
      }
    } else if (value >= 0) {
      if (value <= 0x7f) out.u8(value);
      else if (value <= 0xff) this.#coded(0xcc, value, 1);
      else if (value <= 0xffff) this.#coded(0xcd, value, 2);
      else if (value < TWO_32) this.#coded(0xce, value, 4);
      else this.#coded(0xcf, value, 8);
    } else if (value >= -32) out.u8(value & 0xff);
    else if (value >= -128) this.#coded(0xd0, value, 1);
    else if (value >= -32_768) this.#coded(0xd1, value, 2);
    else if (value >= -(2 ** 31)) this.#coded(0xd2, value, 4);
    else this.#coded(0xd3, value, 8);
  }

  #coded(code: number, value: number, size: number): void {
    this.#out.u8(code);
    this.#bigEndian(value, size);
  }

  #packTable(L: LuaState, table: number, level: number): void {
    const lua = this.#lua;
    const out = this.#out;
    const { length, isArray } = this.#measure(L, table);
    if (isArray) {
      if (length <= 15) out.u8(0x90 | length);
      else this.#sized(length, 0xdc, 0xdd);
      for (let index = 1; index <= length; index++) this.#pack(L, lua.itemOf(table, index), level + 1);
      return;
    }
    if (length <= 15) out.u8(0x80 | length);
    else this.#sized(length, 0xde, 0xdf);
    for (let at = lua.entryFrom(table, 0); at !== -1; at = lua.entryFrom(table, at + 1)) {
      const key = lua.entryKey(table, at);
      if (key === 0) this.#packNumber(at + 1);
      else this.#pack(L, key, level + 1);
      this.#pack(L, lua.entryValue(table, at), level + 1);
    }
  }

  /** Number of entries, and whether their keys are exactly 1 to that number. */
  #measure(L: LuaState, table: number): { length: number; isArray: boolean } {
    const lua = this.#lua;
    let length = 0;
    let greatest = 0;
    let isArray = true;
    for (let at = lua.entryFrom(table, 0); at !== -1; at = lua.entryFrom(table, at + 1)) {
      length++;
      const address = lua.entryKey(table, at);
      if (!isArray) continue;
      if (address !== 0 && lua.typeAt(address) !== TYPE.number) isArray = false;
      else {
        const key = address === 0 ? at + 1 : lua.numberAt(address);
        if (!(Number.isInteger(key) && key > 0 && key <= INT32_MAX)) isArray = false;
        else if (key > greatest) greatest = key;
      }
    }
    this.#budget.charge(L, length);
    return { length, isArray: isArray && greatest === length };
  }
}

const MISSING = 'Missing bytes in input.';
const BAD_FORMAT = 'Bad data format in input.';
const TOO_MANY = 'too many return values at once; use unpack_one or unpack_limit instead.';

function unpack(lua: Lua, budget: Budget, L: LuaState, range: { limit: number; offset: number }): number {
  const data = lua.copy(lua.checkString(L, 1));
  lua.api.lua_settop(L, 1);
  budget.charge(L, data.length);
  const { offset } = range;
  if (offset < 0 || range.limit < 0) {
    return lua.raiseAt(L, `Invalid request to unpack with offset of ${offset | 0} and limit of ${data.length}.`);
  }
  if (offset > data.length) {
    return lua.raiseAt(L, `Start offset ${offset | 0} greater than input length ${data.length}.`);
  }
  const isAll = range.limit === 0 && offset === 0;
  const limit = isAll ? INT32_MAX : range.limit;
  const unpacker = new Unpacker(lua, budget, data, offset);
  let count = 0;
  for (; unpacker.position < data.length && count < limit; count++) unpacker.next(L);
  if (!isAll) {
    lua.api.luaL_checkstack(L, 1, lua.cText('in function mp_unpack_full'));
    lua.api.lua_pushnumber(L, unpacker.position === data.length ? -1 : unpacker.position);
    lua.api.lua_insert(L, 2);
    count++;
  }
  return count;
}

class Unpacker {
  readonly #lua: Lua;
  readonly #budget: Budget;
  readonly #data: Buffer;
  position: number;
  #depth = 0;

  constructor(lua: Lua, budget: Budget, data: Buffer, position: number) {
    this.#lua = lua;
    this.#budget = budget;
    this.#data = data;
    this.position = position;
  }

  /** Pushes the next value. */
  next(L: LuaState): void {
    const { api } = this.#lua;
    const code = this.#data[this.#take(L, 1)] as number;
    api.luaL_checkstack(L, 1, this.#lua.cText(TOO_MANY));
    this.#budget.charge(L, 1);
    if (code < 0x80) api.lua_pushnumber(L, code);
    else if (code >= 0xe0) api.lua_pushnumber(L, code - 256);
    else if (code < 0x90) this.#map(L, code & 0x0f);
    else if (code < 0xa0) this.#array(L, code & 0x0f);
    else if (code < 0xc0) this.#string(L, code & 0x1f);
    else this.#coded(L, code);
  }

  #coded(L: LuaState, code: number): void {
    const { api } = this.#lua;
    const data = this.#data;
    switch (code) {
      case 0xc0:
        return api.lua_pushnil(L);
      case 0xc2:
      case 0xc3:
        return api.lua_pushboolean(L, code & 1);
      case 0xca:
        return api.lua_pushnumber(L, data.readFloatBE(this.#take(L, 4)));
      case 0xcb:
        return api.lua_pushnumber(L, data.readDoubleBE(this.#take(L, 8)));
      case 0xcc:
        return api.lua_pushnumber(L, data.readUInt8(this.#take(L, 1)));
      case 0xcd:
        return api.lua_pushnumber(L, this.#length(L, 2));
      case 0xce:
        return api.lua_pushnumber(L, this.#length(L, 4));
      case 0xd0:
        return api.lua_pushnumber(L, data.readInt8(this.#take(L, 1)));
      case 0xd1:
        return api.lua_pushnumber(L, data.readInt16BE(this.#take(L, 2)));
      case 0xd2:
        return api.lua_pushnumber(L, data.readInt32BE(this.#take(L, 4)));
      case 0xcf:
      case 0xd3:
        // Both are pushed as signed integers.
        return api.lua_pushnumber(L, Number(data.readBigInt64BE(this.#take(L, 8))));
      case 0xd9:
        return this.#string(L, this.#length(L, 1));
      case 0xda:
        return this.#string(L, this.#length(L, 2));
      case 0xdb:
        return this.#string(L, this.#length(L, 4));
      case 0xdc:
        return this.#array(L, this.#length(L, 2));
      case 0xdd:
        return this.#array(L, this.#length(L, 4));
      case 0xde:
        return this.#map(L, this.#length(L, 2));
      case 0xdf:
        return this.#map(L, this.#length(L, 4));
      default:
        this.#lua.raiseAt(L, BAD_FORMAT);
    }
  }

  #string(L: LuaState, length: number): void {
    const start = this.#take(L, length);
    this.#lua.pushBytes(L, this.#data.subarray(start, start + length));
  }

  #array(L: LuaState, length: number): void {
    const { api } = this.#lua;
    this.#descend(L, 'in function mp_decode_to_lua_array');
    api.lua_createtable(L, 0, 0);
    for (let index = 1; index <= length; index++) {
      this.next(L);
      api.lua_rawseti(L, -2, index);
    }
    this.#depth--;
  }

  #map(L: LuaState, length: number): void {
    const { api } = this.#lua;
    this.#descend(L, TOO_MANY);
    api.lua_createtable(L, 0, 0);
    for (let count = 0; count < length; count++) {
      this.next(L);
      this.next(L);
      api.lua_rawset(L, -3);
    }
    this.#depth--;
  }

  #descend(L: LuaState, where: string): void {
    this.#depth++;
    if (this.#depth > UNPACK_DEPTH_MAX) this.#lua.raiseAt(L, `stack overflow (${where})`);
  }

  /** An unsigned big-endian number. */
  #length(L: LuaState, size: number): number {
    return this.#data.readUIntBE(this.#take(L, size), size);
  }

  /** Position of the next `count` bytes, which are then behind us. */
  #take(L: LuaState, count: number): number {
    const start = this.position;
    if (this.#data.length - start < count) this.#lua.raiseAt(L, MISSING);
    this.position = start + count;
    return start;
  }
}
