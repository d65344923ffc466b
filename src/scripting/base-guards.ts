/**
 * Functions of the base library that must not do what the stock ones do: `load` and `loadstring` refuse bytecode,
 * `collectgarbage` cannot switch the collector off, `pcall` hands errors of commands on as text (script_lua.c
 * luaRedisPcall), and `os` is nothing but a clock.
 */
import { BALLAST_BYTES } from './limits.ts';
import type { Budget } from './budget.ts';
import { type Lua, STATUS, TYPE } from './lua.ts';
import type { GuardMaker, LibraryEntries } from './sandbox.ts';
import type { LuaState } from './wasm.ts';

const BYTECODE_MARK = 0x1b;
const SPACE = 0x20;
const MULTIPLE_RESULTS = -1;
const GC_COLLECT = 2;
const GC_COUNT = 3;
const GC_COUNT_BYTES = 4;
/** A full collection is charged by the kibibyte in use. */
const COLLECTION_UNITS_PER_KIB = 10;
const KIB = 1024;
/** Items of an array that a unit of work moves. */
const ITEMS_PER_UNIT = 4;

export function baseGuards(lua: Lua, budget: Budget): Readonly<Record<string, GuardMaker>> {
  const { api } = lua;
  return {
    pcall: () => (L) => {
      api.luaL_checkany(L, 1);
      const status = api.lua_pcall(L, lua.top(L) - 1, MULTIPLE_RESULTS, 0);
      if (budget.isAborted) return budget.continueAbort(L);
      if (status === STATUS.ok) {
        api.lua_pushboolean(L, 1);
        api.lua_insert(L, 1);
        return lua.top(L);
      }
      replaceByErrorText(lua, L);
      api.lua_pushboolean(L, 0);
      api.lua_insert(L, 1);
      return 2;
    },
    xpcall: (native) => (L) => {
      const results = native(L);
      return budget.isAborted ? budget.continueAbort(L) : results;
    },
    // Scripts compare this text to find out cjson.null; the engine's own C library prints null otherwise.
    tostring: (native) => (L) => {
      if (lua.type(L, 1) !== TYPE.lightUserdata) return native(L);
      lua.pushLatin1(L, 'userdata: (nil)');
      return 1;
    },
    loadstring: (native) => (L) => {
      if (lua.type(L, 1) === TYPE.string) {
        const source = lua.pointerAt(lua.slot(L, 1));
        budget.charge(L, lua.stringLength(source));
        if (lua.stringLength(source) > 0 && lua.u8[lua.stringStart(source)] === BYTECODE_MARK) {
          const given = lua.type(L, 2) === TYPE.string ? lua.pointerAt(lua.slot(L, 2)) : source;
          return loadText(lua, L, lua.copy(source), lua.latin1(given));
        }
      }
      return native(L);
    },
    load: () => (L) => {
      api.luaL_checktype(L, 1, TYPE.function);
      const name = lua.type(L, 2) <= TYPE.nil ? '=(load)' : lua.latin1(lua.checkString(L, 2));
      api.lua_settop(L, 2);
      const pieces: Buffer[] = [];
      for (;;) {
        api.lua_pushvalue(L, 1);
        const status = api.lua_pcall(L, 0, 1, 0);
        if (budget.isAborted) return budget.continueAbort(L);
        if (status !== STATUS.ok) return failedLoad(lua, L);
        const type = lua.typeAt(lua.topSlot(L));
        if (type === TYPE.nil) break;
        if (type !== TYPE.string && type !== TYPE.number) {
          lua.pushLatin1(L, 'reader function must return a string');
          return failedLoad(lua, L);
        }
        api.lua_tolstring(L, -1, 0);
        const piece = lua.copy(lua.pointerAt(lua.topSlot(L)));
        api.lua_settop(L, 2);
        if (piece.length === 0) break;
        pieces.push(piece);
        budget.charge(L, piece.length);
      }
      return loadText(lua, L, Buffer.concat(pieces), name);
    },
    collectgarbage: (native) => (L) => {
      const option = lua.type(L, 1) <= TYPE.nil ? 'collect' : lua.latin1(lua.checkString(L, 1));
      switch (option) {
        case 'collect':
        case 'step':
          budget.charge(L, api.lua_gc(L, GC_COUNT, 0) * COLLECTION_UNITS_PER_KIB);
          api.lua_gc(L, GC_COLLECT, 0);
          if (option === 'step') api.lua_pushboolean(L, 1);
          else api.lua_pushnumber(L, 0);
          return 1;
        case 'count':
          api.lua_pushnumber(
            L,
            api.lua_gc(L, GC_COUNT, 0) - BALLAST_BYTES / KIB + api.lua_gc(L, GC_COUNT_BYTES, 0) / KIB,
          );
          return 1;
        case 'stop':
        case 'restart':
        case 'setpause':
        case 'setstepmul':
          api.lua_pushnumber(L, 0);
          return 1;
        default:
          return native(L);
      }
    },
  };
}

/** Functions that may move or compare a whole array are charged for it. */
export function tableGuards(lua: Lua, budget: Budget): Readonly<Record<string, GuardMaker>> {
  const charged: GuardMaker = (native) => (L) => {
    if (lua.type(L, 1) === TYPE.table) budget.charge(L, lua.arraySize(lua.pointerAt(lua.slot(L, 1))) / ITEMS_PER_UNIT);
    return native(L);
  };
  // Adding or removing at the end moves nothing.
  const chargedWithin =
    (argumentsWithin: number): GuardMaker =>
    (native) => {
      const whole = charged(native);
      return (L) => (lua.top(L) < argumentsWithin ? native(L) : whole(L));
    };
  return { insert: chargedWithin(3), remove: chargedWithin(2), sort: charged, concat: charged };
}

/** `os` as Redis has it since 7.4, which the TCL suite uses: processor time in seconds, from an arbitrary origin. */
export function osLibrary(lua: Lua, budget: Budget): LibraryEntries {
  const clock = (L: LuaState): number => {
    lua.api.lua_pushnumber(L, budget.nowMs() / 1_000);
    return 1;
  };
  return { clock: { index: lua.addFunction(clock) } };
}

/** An error table of a command is replaced by its text; read raw, so that pcall itself never raises. */
function replaceByErrorText(lua: Lua, L: LuaState): void {
  if (lua.typeAt(lua.topSlot(L)) !== TYPE.table) return;
  lua.pushLatin1(L, 'err');
  lua.api.lua_rawget(L, -2);
  const type = lua.typeAt(lua.topSlot(L));
  if (type === TYPE.string || type === TYPE.number) lua.api.lua_replace(L, -2);
  else lua.api.lua_settop(L, -2);
}

/** Compiles text and never bytecode: a space before the mark makes it the syntax error that it is for Redis. */
function loadText(lua: Lua, L: LuaState, source: Buffer, name: string): number {
  const isBytecode = source[0] === BYTECODE_MARK;
  const text = isBytecode ? Buffer.concat([Buffer.of(SPACE), source]) : source;
  return lua.load(L, text, name) === STATUS.ok ? 1 : failedLoad(lua, L);
}

function failedLoad(lua: Lua, L: LuaState): number {
  lua.api.lua_pushnil(L);
  lua.api.lua_insert(L, -2);
  return 2;
}
