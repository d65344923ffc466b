/**
 * Hot path (bench: compat/bench, EVALSHA). Conversions between Redis replies and Lua values, as in script_lua.c of
 * Redis 7.2 (redisProtocolToLuaType_*, luaReplyToRedisReply).
 *
 * A reply becomes Lua by the protocol that the script chose with redis.setresp (2 at first): maps, sets, doubles and
 * the like have tables of their own only in 3. A Lua value becomes a reply whose form the session's protocol decides
 * later; only booleans depend on the script's protocol.
 */
import { unreachable } from '../base/assert.ts';
import { formatDouble } from '../resp/double.ts';
import {
  BigNumberReply,
  DoubleReply,
  EncodedReply,
  ErrorReply,
  MapReply,
  NullArray,
  type Protocol,
  PushReply,
  type Reply,
  ReplyError,
  SetReply,
  Status,
  VerbatimReply,
} from '../resp/reply.ts';
import type { Budget } from './budget.ts';
import { REPLY_DEPTH_MAX, REPLY_ELEMENTS_MAX } from './limits.ts';
import { type Lua, REGISTRY, TYPE } from './lua.ts';
import { formatG, LUA_DIGITS, toInteger64 } from './numbers.ts';
import type { LuaState } from './wasm.ts';

/** Stack slots that pushing one level of a reply takes. */
const SLOTS_PER_LEVEL = 6;
const ELEMENTS_PER_CHECK = 50_000;
const TOO_MANY_ELEMENTS = new ErrorReply('ERR script returned too many elements and was aborted, nothing was applied');

export class Converter {
  readonly #lua: Lua;
  readonly #budget: Budget;
  /** Addresses of interned strings, which the registry keeps alive. */
  readonly #err: number;
  readonly #ok: number;
  readonly #double: number;
  readonly #bigNumber: number;
  readonly #verbatim: number;
  readonly #format: number;
  readonly #string: number;
  readonly #map: number;
  readonly #set: number;
  #elements = 0;

  constructor(lua: Lua, budget: Budget) {
    this.#lua = lua;
    this.#budget = budget;
    const intern = (text: string): number => {
      lua.pushLatin1(lua.main, text);
      const address = lua.pointerAt(lua.topSlot(lua.main));
      lua.api.luaL_ref(lua.main, REGISTRY);
      return address;
    };
    this.#err = intern('err');
    this.#ok = intern('ok');
    this.#double = intern('double');
    this.#bigNumber = intern('big_number');
    this.#verbatim = intern('verbatim_string');
    this.#format = intern('format');
    this.#string = intern('string');
    this.#map = intern('map');
    this.#set = intern('set');
  }

  // -------------------------------------------------------------------------------------------------------------
  // Redis to Lua

  /** Pushes one value. Errors become tables with `err`. */
  push(L: LuaState, reply: Reply, protocol: Protocol): void {
    const lua = this.#lua;
    const { api } = lua;
    if (typeof reply === 'string') lua.pushLatin1(L, reply);
    else if (typeof reply === 'number') api.lua_pushnumber(L, reply);
    else if (reply === null || reply instanceof NullArray) this.#pushNull(L, protocol);
    else if (reply instanceof Uint8Array) lua.pushBytes(L, reply);
    else if (reply instanceof Status) this.#pushField(L, 'ok', reply.text);
    else if (typeof reply === 'bigint') api.lua_pushnumber(L, Number(reply));
    else if (typeof reply === 'boolean') {
      if (protocol === 3) api.lua_pushboolean(L, reply ? 1 : 0);
      else api.lua_pushnumber(L, reply ? 1 : 0);
    } else if (Array.isArray(reply)) this.#pushArray(L, reply, protocol);
    else if (reply instanceof ErrorReply) this.pushError(L, reply.text);
    else if (reply instanceof MapReply) this.#pushMap(L, reply, protocol);
    else if (reply instanceof SetReply) this.#pushSet(L, reply, protocol);
    else if (reply instanceof DoubleReply) this.#pushDouble(L, reply.value, protocol);
    else if (reply instanceof BigNumberReply) this.#pushText(L, 'big_number', reply.digits, protocol);
    else if (reply instanceof VerbatimReply) this.#pushVerbatim(L, reply, protocol);
    else if (reply instanceof PushReply) this.#pushArray(L, reply.items, protocol);
    else if (reply instanceof EncodedReply) throw new Error('a script cannot read a reply that is already encoded');
    else unreachable(reply as never);
  }

  /**
   * The table that redis.pcall returns and redis.call raises. As luaPushErrorBuff: a text without a space is not a code
   * with a message, so it gets the code ERR.
   */
  pushError(L: LuaState, text: string): void {
    const space = text.indexOf(' ');
    const code = space === -1 ? 'ERR' : text.slice(0, space);
    const message = (space === -1 ? text : text.slice(space + 1)).replace(/^[\r\n]+|[\r\n]+$/g, '');
    this.#pushField(L, 'err', `${code} ${message}`);
  }

  #pushNull(L: LuaState, protocol: Protocol): void {
    if (protocol === 3) this.#lua.api.lua_pushnil(L);
    else this.#lua.api.lua_pushboolean(L, 0);
  }

  /** A table with one text field. */
  #pushField(L: LuaState, name: string, text: string): void {
    const { api } = this.#lua;
    api.luaL_checkstack(L, SLOTS_PER_LEVEL, 0);
    api.lua_createtable(L, 0, 1);
    this.#lua.pushLatin1(L, name);
    this.#lua.pushLatin1(L, text);
    api.lua_rawset(L, -3);
  }

  #pushText(L: LuaState, name: string, text: string, protocol: Protocol): void {
    if (protocol === 3) this.#pushField(L, name, text);
    else this.#lua.pushLatin1(L, text);
  }

  #pushArray(L: LuaState, items: readonly Reply[], protocol: Protocol): void {
    const { api } = this.#lua;
    api.luaL_checkstack(L, SLOTS_PER_LEVEL, 0);
    api.lua_createtable(L, items.length, 0);
    let index = 1;
    for (const item of items) {
      this.push(L, item, protocol);
      api.lua_rawseti(L, -2, index++);
    }
  }

  #pushMap(L: LuaState, reply: MapReply, protocol: Protocol): void {
    if (protocol === 2) {
      this.#pushArray(L, reply.entries.flat(), protocol);
      return;
    }
    const { api } = this.#lua;
    this.#openWrapped(L, 'map', reply.entries.length);
    for (const [key, value] of reply.entries) {
      this.push(L, key, protocol);
      this.push(L, value, protocol);
      api.lua_rawset(L, -3);
    }
    api.lua_rawset(L, -3);
  }

  #pushSet(L: LuaState, reply: SetReply, protocol: Protocol): void {
    if (protocol === 2) {
      this.#pushArray(L, reply.items, protocol);
      return;
    }
    const { api } = this.#lua;
    this.#openWrapped(L, 'set', reply.items.length);
    for (const item of reply.items) {
      this.push(L, item, protocol);
      api.lua_pushboolean(L, 1);
      api.lua_rawset(L, -3);
    }
    api.lua_rawset(L, -3);
  }

  /** Leaves an outer table, the name, and an inner table on the stack; `rawset` closes it. */
  #openWrapped(L: LuaState, name: string, entries: number): void {
    const { api } = this.#lua;
    api.luaL_checkstack(L, SLOTS_PER_LEVEL, 0);
    api.lua_createtable(L, 0, 1);
    this.#lua.pushLatin1(L, name);
    api.lua_createtable(L, 0, entries);
  }

  #pushDouble(L: LuaState, value: number, protocol: Protocol): void {
    const { api } = this.#lua;
    if (protocol === 2) {
      this.#lua.pushLatin1(L, formatDouble(value));
      return;
    }
    api.luaL_checkstack(L, SLOTS_PER_LEVEL, 0);
    api.lua_createtable(L, 0, 1);
    this.#lua.pushLatin1(L, 'double');
    api.lua_pushnumber(L, value);
    api.lua_rawset(L, -3);
  }

  #pushVerbatim(L: LuaState, reply: VerbatimReply, protocol: Protocol): void {
    if (protocol === 2) {
      this.#lua.pushLatin1(L, reply.text);
      return;
    }
    const { api } = this.#lua;
    this.#openWrapped(L, 'verbatim_string', 2);
    this.#lua.pushLatin1(L, 'string');
    this.#lua.pushLatin1(L, reply.text);
    api.lua_rawset(L, -3);
    this.#lua.pushLatin1(L, 'format');
    this.#lua.pushLatin1(L, reply.format);
    api.lua_rawset(L, -3);
    api.lua_rawset(L, -3);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Lua to Redis

  /** The value at `address` as a reply; nothing of it refers to Lua's memory. */
  read(address: number, protocol: Protocol): Reply {
    this.#elements = 0;
    return this.#read(address, protocol, 0);
  }

  /** The text that an error value carries, if it is a table with a string or number under `err`. */
  errorText(address: number): string | null {
    const lua = this.#lua;
    if (lua.typeAt(address) !== TYPE.table) return null;
    const field = lua.fieldOf(lua.pointerAt(address), this.#err);
    if (field === 0) return null;
    if (lua.typeAt(field) === TYPE.string) return cutAtNul(lua.latin1(lua.pointerAt(field)));
    return lua.typeAt(field) === TYPE.number ? formatG(lua.numberAt(field), LUA_DIGITS) : null;
  }

  #read(address: number, protocol: Protocol, depth: number): Reply {
    const lua = this.#lua;
    switch (lua.typeAt(address)) {
      case TYPE.string:
        return lua.copy(lua.pointerAt(address));
      case TYPE.number:
        return toInteger64(lua.numberAt(address));
      case TYPE.boolean: {
        const isTrue = lua.booleanAt(address);
        if (protocol === 3) return isTrue;
        return isTrue ? 1 : null;
      }
      case TYPE.table:
        if (depth >= REPLY_DEPTH_MAX) return new ErrorReply('ERR reached lua stack limit');
        return this.#readTable(lua.tableBehind(lua.pointerAt(address)), protocol, depth + 1);
      default:
        return null;
    }
  }

  #readTable(table: number, protocol: Protocol, depth: number): Reply {
    const lua = this.#lua;
    let field = this.#typedField(table, this.#err, TYPE.string);
    if (field !== 0) return new ErrorReply(cutAtNul(lua.latin1(lua.pointerAt(field))));
    field = this.#typedField(table, this.#ok, TYPE.string);
    if (field !== 0) return new Status(cutAtNul(lua.latin1(lua.pointerAt(field))));
    field = this.#typedField(table, this.#double, TYPE.number);
    if (field !== 0) return new DoubleReply(lua.numberAt(field));
    field = this.#typedField(table, this.#bigNumber, TYPE.string);
    if (field !== 0) return new BigNumberReply(lua.latin1(lua.pointerAt(field)).replace(/[\r\n]/g, ' '));
    field = this.#typedField(table, this.#verbatim, TYPE.table);
    if (field !== 0) {
      const verbatim = this.#readVerbatim(lua.pointerAt(field));
      if (verbatim !== null) return verbatim;
    }
    field = this.#typedField(table, this.#map, TYPE.table);
    if (field !== 0) return this.#readMap(lua.tableBehind(lua.pointerAt(field)), protocol, depth);
    field = this.#typedField(table, this.#set, TYPE.table);
    if (field !== 0) return this.#readSet(lua.tableBehind(lua.pointerAt(field)), protocol, depth);
    const items: Reply[] = [];
    for (let index = 1; ; index++) {
      const item = lua.itemOf(table, index);
      if (item === 0 || lua.typeAt(item) === TYPE.nil) return items;
      this.#count();
      items.push(this.#read(item, protocol, depth));
    }
  }

  #readMap(table: number, protocol: Protocol, depth: number): MapReply {
    const lua = this.#lua;
    const entries: [Reply, Reply][] = [];
    for (let at = lua.entryFrom(table, 0); at !== -1; at = lua.entryFrom(table, at + 1)) {
      this.#count();
      const key = this.#readKey(table, at, protocol, depth);
      entries.push([key, this.#read(lua.entryValue(table, at), protocol, depth)]);
    }
    return new MapReply(entries);
  }

  #readSet(table: number, protocol: Protocol, depth: number): SetReply {
    const lua = this.#lua;
    const items: Reply[] = [];
    for (let at = lua.entryFrom(table, 0); at !== -1; at = lua.entryFrom(table, at + 1)) {
      this.#count();
      items.push(this.#readKey(table, at, protocol, depth));
    }
    return new SetReply(items);
  }

  #readKey(table: number, position: number, protocol: Protocol, depth: number): Reply {
    const key = this.#lua.entryKey(table, position);
    return key === 0 ? position + 1 : this.#read(key, protocol, depth);
  }

  #readVerbatim(table: number): VerbatimReply | null {
    const lua = this.#lua;
    const format = this.#typedField(table, this.#format, TYPE.string);
    const text = this.#typedField(table, this.#string, TYPE.string);
    if (format === 0 || text === 0) return null;
    const name = lua.latin1(lua.pointerAt(format));
    return new VerbatimReply(name === 'mkd' ? 'mkd' : 'txt', lua.latin1(lua.pointerAt(text)));
  }

  /** Address of the value under the key if it is of that type, else 0. */
  #typedField(table: number, key: number, type: number): number {
    const field = this.#lua.fieldOf(table, key);
    return field !== 0 && this.#lua.typeAt(field) === type ? field : 0;
  }

  #count(): void {
    this.#elements++;
    if (this.#elements % ELEMENTS_PER_CHECK !== 0) return;
    this.#budget.mustHaveTime();
    if (this.#elements > REPLY_ELEMENTS_MAX) throw new ReplyError(TOO_MANY_ELEMENTS);
  }
}

/** Lines of the protocol are C strings in Redis. */
function cutAtNul(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}
