/**
 * The globals that scripts see: sealed, shared by all scripts, changed by none.
 *
 * Problem: Redis patched its Lua core to mark tables read-only; the stock core has no such thing, and a real table can
 * always be assigned to.
 *
 * Idea: what scripts see under `_G`, `redis`, `string` … are empty tables ("proxies") whose metatable sends reads to a
 * hidden table and writes to an error. Functions of the base library that look behind metatables (rawget, rawset, next,
 * pairs, table.insert, setmetatable) are replaced by guards, which know the proxies by address and leave every other
 * table to the native function, within the same Lua frame, so that its error texts stay Lua's. A guard never hands out
 * a hidden table: `pairs` of a proxy iterates over a copy.
 *
 * Invariants: nothing that outlives a run can be written by a script. Hidden tables are reachable only through
 * `__index` of protected metatables; the metatable of strings shows a read-only stand-in of itself; there is no
 * environment (getfenv, setfenv), no userdata (newproxy), no debug library, no bytecode loader.
 *
 * Rejected: a fresh environment for each run (too slow), checking tables after each run (cannot give the error text).
 */
import { mustExist } from '../base/assert.ts';
import { GLOBALS, type Lua, REGISTRY, TYPE } from './lua.ts';
import type { CFunction, LuaState } from './wasm.ts';

const READ_ONLY = 'Attempt to modify a readonly table';

/** What scripts may have of the base library (script_lua.c, allow lists of 7.2, without what its patches removed). */
const BASE_GLOBALS = [
  '_VERSION',
  'assert',
  'collectgarbage',
  'error',
  'gcinfo',
  'getmetatable',
  'ipairs',
  'load',
  'loadstring',
  'next',
  'pairs',
  'pcall',
  'rawequal',
  'rawget',
  'rawset',
  'select',
  'setmetatable',
  'tonumber',
  'tostring',
  'type',
  'unpack',
  'xpcall',
  'coroutine',
  'string',
  'table',
  'math',
];

/** Makes a guard from the native function that it stands before. */
export type GuardMaker = (native: CFunction) => CFunction;
/** Contents of a library: functions by index of the function table, and constants (null is a null pointer). */
export type LibraryEntries = Readonly<Record<string, { readonly index: number } | string | number | null>>;

export class Sandbox {
  readonly #lua: Lua;
  /** Index of the function that refuses writes. */
  readonly #refuseWrite: number;
  /** Registry reference of the hidden table of globals. */
  readonly #globals: number;
  /** Registry references of hidden tables by address of their proxies. */
  readonly #hidden = new Map<number, number>();

  constructor(lua: Lua) {
    this.#lua = lua;
    this.#refuseWrite = lua.addFunction((L) => lua.raiseAt(L, READ_ONLY));
    const { api, main: L } = lua;
    api.luaopen_base(L);
    api.luaopen_table(L);
    api.luaopen_string(L);
    api.luaopen_math(L);
    api.lua_settop(L, 0);
    api.lua_createtable(L, 0, 64);
    this.#globals = api.luaL_ref(L, REGISTRY);
    for (const name of BASE_GLOBALS) {
      lua.pushLatin1(L, name);
      api.lua_gettable(L, GLOBALS);
      this.#setGlobal(name);
    }
  }

  /** Puts guards before functions of a library, or of the global scope (''). */
  guard(library: string, guards: Readonly<Record<string, GuardMaker>>): void {
    const { api, main: L } = this.#lua;
    if (library === '') this.pushGlobals(L);
    else this.#pushGlobal(library);
    for (const [name, make] of Object.entries(guards)) {
      this.#lua.pushLatin1(L, name);
      this.#lua.pushLatin1(L, name);
      api.lua_rawget(L, -3);
      const native = this.#lua.native(api.lua_tocfunction(L, -1));
      api.lua_settop(L, -2);
      // The native `pairs` finds the native `next` in its first upvalue, so its guard has it there too.
      if (name === 'pairs') this.#pushGlobal('next');
      api.lua_pushcclosure(L, this.#lua.addFunction(make(native)), name === 'pairs' ? 1 : 0);
      api.lua_rawset(L, -3);
    }
    api.lua_settop(L, 0);
  }

  /** Adds functions and constants to a library, which is made if it is not there. */
  define(library: string, entries: LibraryEntries): void {
    const { api, main: L } = this.#lua;
    this.#pushGlobal(library);
    if (api.lua_type(L, -1) !== TYPE.table) {
      api.lua_settop(L, 0);
      api.lua_createtable(L, 0, 16);
    }
    fillTable(this.#lua, L, entries);
    this.#setGlobal(library);
  }

  /** Makes everything read-only and puts it in force. Nothing can be added afterwards. */
  seal(): void {
    const lua = this.#lua;
    const { api, main: L } = lua;
    this.#guardBase();
    // Methods of strings go to the hidden table; scripts see its proxy.
    lua.pushLatin1(L, '');
    api.lua_getmetatable(L, -1);
    lua.pushLatin1(L, '__index');
    this.#pushGlobal('string');
    api.lua_rawset(L, 2);
    for (const name of this.#tableNames()) {
      this.#pushGlobal(name);
      this.#wrap();
      this.#setGlobal(name);
    }
    // `getmetatable('')` gives a read-only stand-in.
    lua.pushLatin1(L, '__metatable');
    api.lua_createtable(L, 0, 1);
    lua.pushLatin1(L, '__index');
    this.#pushGlobal('string');
    api.lua_rawset(L, -3);
    this.#wrap();
    api.lua_rawset(L, 2);
    // Reading what is not there is an error in the global scope only.
    this.pushGlobals(L);
    api.lua_createtable(L, 0, 1);
    lua.pushLatin1(L, '__index');
    api.lua_pushcclosure(
      L,
      lua.addFunction((state) => this.#refuseAbsent(state)),
      0,
    );
    api.lua_rawset(L, -3);
    api.lua_setmetatable(L, -2);
    this.#wrap();
    api.lua_pushvalue(L, -1);
    this.#setGlobal('_G');
    api.lua_replace(L, GLOBALS);
    api.lua_settop(L, 0);
    lua.commitFunctions();
  }

  /** Pushes the hidden table of globals, into which the host writes KEYS and ARGV. */
  pushGlobals(L: LuaState): void {
    this.#lua.api.lua_rawgeti(L, REGISTRY, this.#globals);
  }

  /** Replaces the table on the top of the main stack by a read-only proxy of it. */
  #wrap(): void {
    const lua = this.#lua;
    const { api, main: L } = lua;
    const hidden = lua.pointerAt(lua.topSlot(L));
    api.lua_createtable(L, 0, 0);
    const proxy = lua.pointerAt(lua.topSlot(L));
    api.lua_createtable(L, 0, 3);
    lua.pushLatin1(L, '__index');
    api.lua_pushvalue(L, -4);
    api.lua_rawset(L, -3);
    lua.pushLatin1(L, '__newindex');
    api.lua_pushcclosure(L, this.#refuseWrite, 0);
    api.lua_rawset(L, -3);
    lua.pushLatin1(L, '__metatable');
    api.lua_pushboolean(L, 0);
    api.lua_rawset(L, -3);
    api.lua_setmetatable(L, -2);
    // The registry keeps both alive for ever, so that their addresses are never used again.
    api.lua_pushvalue(L, -1);
    api.luaL_ref(L, REGISTRY);
    api.lua_pushvalue(L, -2);
    this.#hidden.set(proxy, api.luaL_ref(L, REGISTRY));
    api.lua_remove(L, -2);
    lua.proxies.set(proxy, hidden);
  }

  #guardBase(): void {
    const lua = this.#lua;
    const { api } = lua;
    const isProxy = (L: LuaState): boolean =>
      lua.type(L, 1) === TYPE.table && lua.proxies.has(lua.pointerAt(lua.slot(L, 1)));
    const refuseProxy: GuardMaker = (native) => (L) => (isProxy(L) ? lua.raise(L, READ_ONLY) : native(L));
    this.guard('', {
      rawset: refuseProxy,
      setmetatable: refuseProxy,
      rawget: (native) => (L) => {
        if (!isProxy(L)) return native(L);
        api.luaL_checkany(L, 2);
        api.lua_settop(L, 2);
        this.#insertHidden(L);
        api.lua_rawget(L, 2);
        return 1;
      },
      pairs: (native) => (L) => {
        if (!isProxy(L)) return native(L);
        api.lua_settop(L, 1);
        this.#insertHidden(L);
        this.#pushCopy(L);
        api.lua_replace(L, 1);
        api.lua_settop(L, 1);
        return native(L);
      },
      next: (native) => (L) => {
        if (!isProxy(L)) return native(L);
        api.lua_settop(L, 2);
        this.#insertHidden(L);
        if (api.lua_next(L, 2) !== 0) return 2;
        api.lua_pushnil(L);
        return 1;
      },
    });
    this.guard('table', { insert: refuseProxy });
  }

  /** Puts the hidden table of the proxy in slot 1 into slot 2. Only guards may hold it. */
  #insertHidden(L: LuaState): void {
    const { api } = this.#lua;
    const proxy = this.#lua.pointerAt(this.#lua.slot(L, 1));
    api.lua_rawgeti(L, REGISTRY, mustExist(this.#hidden.get(proxy), 'a proxy without a hidden table'));
    api.lua_insert(L, 2);
  }

  /** Pushes a shallow copy of the table on the top. */
  #pushCopy(L: LuaState): void {
    const { api } = this.#lua;
    api.lua_createtable(L, 0, 0);
    api.lua_pushnil(L);
    while (api.lua_next(L, -3) !== 0) {
      api.lua_pushvalue(L, -2);
      api.lua_insert(L, -2);
      api.lua_rawset(L, -4);
    }
  }

  #refuseAbsent(L: LuaState): number {
    const lua = this.#lua;
    const type = lua.type(L, 2);
    if (type !== TYPE.string && type !== TYPE.number) {
      return lua.raiseAt(L, 'Second argument to luaProtectedTableError must be a string or number');
    }
    const name = lua.describe(L, 2);
    const end = name.indexOf('\0');
    const shown = end === -1 ? name : name.slice(0, end);
    return lua.raiseAt(L, `Script attempted to access nonexistent global variable '${shown}'`);
  }

  /** Names of the globals that are tables. */
  #tableNames(): string[] {
    const lua = this.#lua;
    const { api, main: L } = lua;
    const names: string[] = [];
    const top = lua.top(L);
    this.pushGlobals(L);
    const globals = lua.pointerAt(lua.topSlot(L));
    for (let at = lua.entryFrom(globals, 0); at !== -1; at = lua.entryFrom(globals, at + 1)) {
      if (lua.typeAt(lua.entryValue(globals, at)) !== TYPE.table) continue;
      names.push(lua.latin1(lua.pointerAt(lua.entryKey(globals, at))));
    }
    api.lua_settop(L, top);
    return names;
  }

  #pushGlobal(name: string): void {
    const { api, main: L } = this.#lua;
    this.pushGlobals(L);
    this.#lua.pushLatin1(L, name);
    api.lua_rawget(L, -2);
    api.lua_remove(L, -2);
  }

  /** Takes the value off the top of the main stack and keeps it under the name. */
  #setGlobal(name: string): void {
    const { api, main: L } = this.#lua;
    this.pushGlobals(L);
    api.lua_insert(L, -2);
    this.#lua.pushLatin1(L, name);
    api.lua_insert(L, -2);
    api.lua_rawset(L, -3);
    api.lua_settop(L, -2);
  }
}

/** Puts the entries into the table on the top. */
export function fillTable(lua: Lua, L: LuaState, entries: LibraryEntries): void {
  const { api } = lua;
  for (const [name, entry] of Object.entries(entries)) {
    lua.pushLatin1(L, name);
    if (entry === null) api.lua_pushlightuserdata(L, 0);
    else if (typeof entry === 'string') lua.pushLatin1(L, entry);
    else if (typeof entry === 'number') api.lua_pushnumber(L, entry);
    else api.lua_pushcclosure(L, entry.index, 0);
    api.lua_rawset(L, -3);
  }
}
