/**
 * Hot path (bench: compat/bench, EVALSHA). Reads and writes the values of Lua 5.1 in WebAssembly memory.
 *
 * Reading goes straight to memory, because each call through the C API costs as much as reading ten words, and because
 * a reader that calls nothing cannot be surprised by Lua's collector. Writing goes through the C API, which keeps the
 * collector's books. The layout (lobject.h, lstate.h of Lua 5.1 for 32-bit pointers) is fixed by the pinned binary and
 * checked once by `verifyLayout`:
 *
 *   lua_State   8 top, 12 base, 32 stack, 116 errfunc (offset of the error handler on the stack)
 *   TValue      0 value (double, pointer or int), 8 type; 16 bytes
 *   TString     8 hash, 12 length, 16 bytes…
 *   Table       7 log2 of the number of nodes, 12 array, 16 nodes, 28 size of the array
 *   Node        0 value (TValue), 16 key value, 24 key type, 28 next; 32 bytes
 *
 * Lua never moves an object, so an address is good as long as something keeps the object alive.
 */
import { assert } from '../base/assert.ts';
import { SCRATCH_BYTES } from './limits.ts';
import { LuaInstance, type LuaModule, type LuaState } from './wasm.ts';

export const TYPE = {
  none: -1,
  nil: 0,
  boolean: 1,
  lightUserdata: 2,
  number: 3,
  string: 4,
  table: 5,
  function: 6,
  userdata: 7,
  thread: 8,
} as const;

const TYPE_NAMES = ['nil', 'boolean', 'userdata', 'number', 'string', 'table', 'function', 'userdata', 'thread'];

export const REGISTRY = -10_000;
export const GLOBALS = -10_002;
/** Pseudo-index of the n-th upvalue (from 1) of the running C function. */
export const upvalue = (n: number): number => GLOBALS - n;

export const STATUS = { ok: 0, runtime: 2, syntax: 3, memory: 4, handler: 5 } as const;

const STATE_TOP = 8;
const STATE_BASE = 12;
const STATE_STACK = 32;
const STATE_HANDLER = 116;
const VALUE_BYTES = 16;
const VALUE_TYPE = 8;
const STRING_HASH = 8;
const STRING_LENGTH = 12;
const STRING_BYTES = 16;
const TABLE_LOG2_NODES = 7;
const TABLE_ARRAY = 12;
const TABLE_NODES = 16;
const TABLE_ARRAY_SIZE = 28;
const NODE_BYTES = 32;
const NODE_KEY = 16;
const NODE_KEY_TYPE = 24;
const NODE_NEXT = 28;

/** Below this length a loop over characters is faster than a call into the engine. */
const SHORT_TEXT_MAX = 24;

export class Lua extends LuaInstance {
  readonly main: LuaState;
  /** Read-only tables by the address of the empty table that scripts see; see sandbox.ts. */
  readonly proxies = new Map<number, number>();
  readonly #scratch: number;
  /** Room for one length that the C API writes. */
  readonly #length: number;

  constructor(module: LuaModule, bytesMax: number) {
    super(module, bytesMax);
    this.#scratch = this.api.malloc(SCRATCH_BYTES);
    this.#length = this.api.malloc(8);
    this.main = this.api.luaL_newstate();
    assert(
      this.#scratch !== 0 && this.#length !== 0 && this.main !== 0,
      'the memory limit is too small for a Lua state',
    );
  }

  // -------------------------------------------------------------------------------------------------------------
  // Stack

  /** Values on the stack of the running function. */
  top(L: LuaState): number {
    return (this.#word(L + STATE_TOP) - this.#word(L + STATE_BASE)) >> 4;
  }

  /** Address of the value at an absolute index from 1; only below or at `top`. */
  slot(L: LuaState, index: number): number {
    return this.#word(L + STATE_BASE) + (index - 1) * VALUE_BYTES;
  }

  /** Address of the topmost value. */
  topSlot(L: LuaState): number {
    return this.#word(L + STATE_TOP) - VALUE_BYTES;
  }

  /** Type of the argument at `index` from 1; `TYPE.none` beyond the top. */
  type(L: LuaState, index: number): number {
    const address = this.slot(L, index);
    return address < this.#word(L + STATE_TOP) ? this.#word(address + VALUE_TYPE) : TYPE.none;
  }

  typeName(type: number): string {
    return TYPE_NAMES[type] ?? 'no value';
  }

  // -------------------------------------------------------------------------------------------------------------
  // Values by address

  typeAt(address: number): number {
    return this.#word(address + VALUE_TYPE);
  }

  numberAt(address: number): number {
    return this.f64[address >> 3] as number;
  }

  booleanAt(address: number): boolean {
    return this.#word(address) !== 0;
  }

  /** Address of the string, table … that the value refers to. */
  pointerAt(address: number): number {
    return this.#word(address);
  }

  stringLength(string: number): number {
    return this.#word(string + STRING_LENGTH) >>> 0;
  }

  /** Address of the first byte. */
  stringStart(string: number): number {
    return string + STRING_BYTES;
  }

  /** One character a byte. */
  latin1(string: number): string {
    const length = this.stringLength(string);
    const start = string + STRING_BYTES;
    if (length > SHORT_TEXT_MAX) return this.bytes.toString('latin1', start, start + length);
    let text = '';
    for (let i = 0; i < length; i++) text += String.fromCharCode(this.u8[start + i] as number);
    return text;
  }

  /** A copy that the caller owns. */
  copy(string: number): Buffer {
    const length = this.stringLength(string);
    const start = string + STRING_BYTES;
    const target = Buffer.allocUnsafe(length);
    if (length > SHORT_TEXT_MAX) target.set(this.u8.subarray(start, start + length));
    else for (let i = 0; i < length; i++) target[i] = this.u8[start + i] as number;
    return target;
  }

  /** The text of a C string. */
  cString(address: number): string {
    const end = this.u8.indexOf(0, address);
    return this.bytes.toString('latin1', address, end);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Tables by address, raw, without metamethods

  /** What a table really holds: the read-only tables of the sandbox are empty in themselves. */
  tableBehind(table: number): number {
    return this.proxies.size === 0 ? table : (this.proxies.get(table) ?? table);
  }

  /** Items that the array part of a table has room for. */
  arraySize(table: number): number {
    return this.#word(table + TABLE_ARRAY_SIZE);
  }

  /** Address of the value under a string key (address of the interned string); 0 if there is none. */
  fieldOf(table: number, key: number): number {
    const nodes = this.#word(table + TABLE_NODES);
    const mask = (1 << (this.u8[table + TABLE_LOG2_NODES] as number)) - 1;
    let node = nodes + (this.#word(key + STRING_HASH) & mask) * NODE_BYTES;
    while (node !== 0) {
      if (this.#word(node + NODE_KEY_TYPE) === TYPE.string && this.#word(node + NODE_KEY) === key) return node;
      node = this.#word(node + NODE_NEXT);
    }
    return 0;
  }

  /** Address of the value under a positive integer; 0 if there is none. The value may be nil. */
  itemOf(table: number, index: number): number {
    if (index <= this.#word(table + TABLE_ARRAY_SIZE))
      return this.#word(table + TABLE_ARRAY) + (index - 1) * VALUE_BYTES;
    const size = 1 << (this.u8[table + TABLE_LOG2_NODES] as number);
    KEY_NUMBER[0] = index;
    const hash = ((KEY_WORDS[0] as number) + (KEY_WORDS[1] as number)) >>> 0;
    let node = this.#word(table + TABLE_NODES) + (hash % ((size - 1) | 1)) * NODE_BYTES;
    while (node !== 0) {
      if (this.#word(node + NODE_KEY_TYPE) === TYPE.number && this.numberAt(node + NODE_KEY) === index) return node;
      node = this.#word(node + NODE_NEXT);
    }
    return 0;
  }

  /** Position of the first entry at or after `from` (0 at first) in the order of `next`; -1 after the last. */
  entryFrom(table: number, from: number): number {
    const arraySize = this.#word(table + TABLE_ARRAY_SIZE);
    const array = this.#word(table + TABLE_ARRAY);
    let position = from;
    for (; position < arraySize; position++) {
      if (this.#word(array + position * VALUE_BYTES + VALUE_TYPE) !== TYPE.nil) return position;
    }
    const nodes = this.#word(table + TABLE_NODES);
    const end = arraySize + (1 << (this.u8[table + TABLE_LOG2_NODES] as number));
    for (; position < end; position++) {
      if (this.#word(nodes + (position - arraySize) * NODE_BYTES + VALUE_TYPE) !== TYPE.nil) return position;
    }
    return -1;
  }

  entryValue(table: number, position: number): number {
    const arraySize = this.#word(table + TABLE_ARRAY_SIZE);
    if (position < arraySize) return this.#word(table + TABLE_ARRAY) + position * VALUE_BYTES;
    return this.#word(table + TABLE_NODES) + (position - arraySize) * NODE_BYTES;
  }

  /** Address of the key as a value; 0 for an item of the array part, whose key is `position + 1`. */
  entryKey(table: number, position: number): number {
    const arraySize = this.#word(table + TABLE_ARRAY_SIZE);
    if (position < arraySize) return 0;
    return this.#word(table + TABLE_NODES) + (position - arraySize) * NODE_BYTES + NODE_KEY;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Pushing

  pushLatin1(L: LuaState, text: string): void {
    const { length } = text;
    if (length > SCRATCH_BYTES) {
      this.#pushLong(L, length, (start) => this.bytes.write(text, start, length, 'latin1'));
      return;
    }
    const start = this.#scratch;
    if (length > SHORT_TEXT_MAX) this.bytes.write(text, start, length, 'latin1');
    else for (let i = 0; i < length; i++) this.u8[start + i] = text.charCodeAt(i);
    this.api.lua_pushlstring(L, start, length);
  }

  pushBytes(L: LuaState, value: Uint8Array): void {
    const { length } = value;
    if (length > SCRATCH_BYTES) {
      this.#pushLong(L, length, (start) => this.u8.set(value, start));
      return;
    }
    const start = this.#scratch;
    if (length > SHORT_TEXT_MAX) this.u8.set(value, start);
    else for (let i = 0; i < length; i++) this.u8[start + i] = value[i] as number;
    this.api.lua_pushlstring(L, start, length);
  }

  #pushLong(L: LuaState, length: number, write: (start: number) => void): void {
    const block = this.allocate(L, length);
    write(block);
    this.api.lua_pushlstring(L, block, length);
    this.api.free(block);
  }

  /** Memory for `free`; raises Lua's own error where there is none (the engine is dropped after that). */
  allocate(L: LuaState, length: number): number {
    const block = this.api.malloc(length);
    if (block === 0) this.raise(L, 'not enough memory');
    return block;
  }

  /** A NUL-terminated text in scratch memory, valid until the next push; at most SCRATCH_BYTES. */
  cText(text: string): number {
    const length = Math.min(text.length, SCRATCH_BYTES - 1);
    this.bytes.write(text, this.#scratch, length, 'latin1');
    this.u8[this.#scratch + length] = 0;
    return this.#scratch;
  }

  /** Compiles text; leaves the function, or an error message, on the stack. Returns a STATUS. */
  load(L: LuaState, source: Uint8Array, chunkName: string): number {
    const name = Buffer.from(`${chunkName}\0`, 'latin1');
    const block = this.allocate(L, source.length + name.length);
    this.u8.set(source, block);
    this.u8.set(name, block + source.length);
    const status = this.api.luaL_loadbuffer(L, block, source.length, block + source.length);
    this.api.free(block);
    return status;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Arguments; each raises Lua's own error text if it is missing or of a wrong type

  /** Address of the string that argument `index` is, or was turned into. */
  checkString(L: LuaState, index: number): number {
    if (this.type(L, index) !== TYPE.string) this.api.luaL_checklstring(L, index, this.#length);
    return this.pointerAt(this.slot(L, index));
  }

  checkNumber(L: LuaState, index: number): number {
    if (this.type(L, index) === TYPE.number) return this.numberAt(this.slot(L, index));
    return this.api.luaL_checknumber(L, index);
  }

  /** As luaL_optinteger: absent or nil gives `fallback`. Exact where a double is. */
  optionalNumber(L: LuaState, index: number, fallback: number): number {
    return this.type(L, index) <= TYPE.nil ? fallback : this.checkNumber(L, index);
  }

  /** Any value as `tostring` shows strings, numbers, booleans and nil; others by type and address. */
  describe(L: LuaState, index: number): string {
    const type = this.type(L, index);
    switch (type) {
      case TYPE.string:
        return this.latin1(this.pointerAt(this.slot(L, index)));
      case TYPE.number:
        this.api.lua_pushvalue(L, index);
        this.api.lua_tolstring(L, -1, 0);
        return this.popText(L);
      case TYPE.boolean:
        return this.booleanAt(this.slot(L, index)) ? 'true' : 'false';
      case TYPE.nil:
        return 'nil';
      default:
        return `${this.typeName(type)}: 0x${this.pointerAt(this.slot(L, index)).toString(16)}`;
    }
  }

  /** Takes a string off the top. */
  popText(L: LuaState): string {
    const text = this.latin1(this.pointerAt(this.topSlot(L)));
    this.api.lua_settop(L, -2);
    return text;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Errors. Callers write `return lua.raise(…)`; nothing after it runs.

  /** Raises the text as it is. */
  raise(L: LuaState, text: string): never {
    this.pushLatin1(L, text);
    return this.raiseTop(L);
  }

  /** Raises the text after the position of the caller, as luaL_error. */
  raiseAt(L: LuaState, text: string): never {
    this.api.luaL_where(L, 1);
    this.pushLatin1(L, text);
    this.api.lua_concat(L, 2);
    return this.raiseTop(L);
  }

  raiseArgument(L: LuaState, index: number, text: string): never {
    this.api.luaL_argerror(L, index, this.cText(text));
    throw new Error('luaL_argerror returned');
  }

  /** Raises the topmost value. */
  raiseTop(L: LuaState): never {
    this.api.lua_error(L);
    throw new Error('lua_error returned');
  }

  /**
   * Raises the text to the innermost protected call without asking its error handler. From within a hook, a handler
   * would run without hooks, and nothing could end it.
   */
  raiseUnhandled(L: LuaState, text: string): never {
    this.i32[(L + STATE_HANDLER) >> 2] = 0;
    return this.raise(L, text);
  }

  /** Stops at start if the binary is not laid out as this file believes. */
  verifyLayout(): void {
    const L = this.main;
    const { api } = this;
    assert(this.top(L) === 0, 'the stack is empty at first');
    api.lua_pushnumber(L, 1.5);
    assert(this.typeAt(this.topSlot(L)) === TYPE.number && this.numberAt(this.topSlot(L)) === 1.5, 'numbers');
    api.lua_createtable(L, 2, 0);
    this.pushLatin1(L, 'key');
    const key = this.pointerAt(this.topSlot(L));
    assert(this.latin1(key) === 'key', 'strings');
    api.lua_pushnumber(L, 7);
    api.lua_rawset(L, -3);
    for (let index = 1; index <= 40; index++) {
      api.lua_pushnumber(L, index * 10);
      api.lua_rawseti(L, -2, index * index);
    }
    const table = this.pointerAt(this.topSlot(L));
    assert(this.numberAt(this.fieldOf(table, key)) === 7, 'fields');
    let count = 0;
    for (let at = this.entryFrom(table, 0); at !== -1; at = this.entryFrom(table, at + 1)) count++;
    assert(count === 41, 'entries');
    for (let index = 1; index <= 40; index++) {
      assert(this.numberAt(this.itemOf(table, index * index)) === index * 10, 'items');
    }
    assert(this.top(L) === 2 && this.top(L) === api.lua_gettop(L), 'stack');
    api.lua_settop(L, 0);
    let handler = 0;
    const probe = this.addFunction((state) => {
      handler = this.#word(state + STATE_HANDLER);
      return 0;
    });
    this.commitFunctions();
    api.lua_pushcclosure(L, probe, 0);
    api.lua_pushvalue(L, 1);
    api.lua_pushvalue(L, 1);
    api.lua_pcall(L, 0, 0, 2);
    assert(handler !== 0 && handler === this.slot(L, 2) - this.#word(L + STATE_STACK), 'error handlers');
    api.lua_settop(L, 0);
  }

  #word(address: number): number {
    return this.i32[address >> 2] as number;
  }
}

const KEY_NUMBER = new Float64Array(1);
const KEY_WORDS = new Uint32Array(KEY_NUMBER.buffer);
