/**
 * Loads Lua 5.1 as WebAssembly: the binary of the package wasmoon-lua5.1, without that package's JavaScript.
 *
 * Why not its JavaScript: it checks every call (an assertions build), hides the function table, and loses bytes of
 * strings. With the bare exports a call costs a few nanoseconds; a JavaScript guard can run the native function that it
 * replaces within the same Lua frame, so error texts stay Lua's own; and the heap is capped by us.
 *
 * Errors of Lua are C's longjmp, which this build implements with a JavaScript exception that is a number: `invoke_vii`
 * (the only protected call in Lua's C code) catches it. Any other exception passes through all frames; after that the
 * instance is good for nothing and must be dropped.
 *
 * The heap grows only through `emscripten_resize_heap`, so the typed arrays over it are replaced there and nowhere else.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { assert } from '../base/assert.ts';

/** Address of a lua_State. */
export type LuaState = number;
/** A function that Lua can call: takes arguments from the stack, leaves results on it, returns their number. */
export type CFunction = (L: LuaState) => number;
export type HookFunction = (L: LuaState, activation: number) => void;

const PAGE_BYTES = 65_536;
/** What the heap grows by at least, as a share of its size. */
const GROWTH_SHARE = 4;

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface WasmTable {
  readonly length: number;
  get(index: number): (...parameters: number[]) => number;
  set(index: number, value: unknown): void;
  grow(count: number): number;
}

interface WasmModule {
  readonly opaque: 'module';
}

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => WasmModule;
  Instance: new (module: WasmModule, imports: object) => { readonly exports: unknown };
};

/** The exports that are used; all pointers are addresses in `memory`, strings end with a NUL. */
export interface LuaExports {
  readonly memory: WasmMemory;
  readonly __indirect_function_table: WasmTable;
  __wasm_call_ctors(): void;
  emscripten_stack_init(): void;
  stackSave(): number;
  stackRestore(pointer: number): void;
  setThrew(threw: number, value: number): void;
  malloc(bytes: number): number;
  free(address: number): void;
  luaL_newstate(): LuaState;
  luaopen_base(L: LuaState): number;
  luaopen_table(L: LuaState): number;
  luaopen_string(L: LuaState): number;
  luaopen_math(L: LuaState): number;
  lua_gettop(L: LuaState): number;
  lua_settop(L: LuaState, index: number): void;
  lua_pushvalue(L: LuaState, index: number): void;
  lua_remove(L: LuaState, index: number): void;
  lua_insert(L: LuaState, index: number): void;
  lua_replace(L: LuaState, index: number): void;
  lua_checkstack(L: LuaState, slots: number): number;
  lua_type(L: LuaState, index: number): number;
  lua_tonumber(L: LuaState, index: number): number;
  lua_toboolean(L: LuaState, index: number): number;
  lua_tolstring(L: LuaState, index: number, length: number): number;
  lua_tocfunction(L: LuaState, index: number): number;
  lua_pushnil(L: LuaState): void;
  lua_pushnumber(L: LuaState, value: number): void;
  lua_pushboolean(L: LuaState, value: number): void;
  lua_pushlstring(L: LuaState, bytes: number, length: number): void;
  lua_pushlightuserdata(L: LuaState, pointer: number): void;
  lua_pushcclosure(L: LuaState, index: number, upvalues: number): void;
  lua_createtable(L: LuaState, arrayItems: number, hashItems: number): void;
  lua_newuserdata(L: LuaState, bytes: number): number;
  lua_gettable(L: LuaState, index: number): void;
  lua_settable(L: LuaState, index: number): void;
  lua_rawget(L: LuaState, index: number): void;
  lua_rawset(L: LuaState, index: number): void;
  lua_rawgeti(L: LuaState, index: number, item: number): void;
  lua_rawseti(L: LuaState, index: number, item: number): void;
  lua_setmetatable(L: LuaState, index: number): number;
  lua_getmetatable(L: LuaState, index: number): number;
  lua_next(L: LuaState, index: number): number;
  lua_concat(L: LuaState, count: number): void;
  lua_call(L: LuaState, parameters: number, results: number): void;
  lua_pcall(L: LuaState, parameters: number, results: number, handler: number): number;
  lua_error(L: LuaState): number;
  lua_gc(L: LuaState, what: number, data: number): number;
  lua_sethook(L: LuaState, index: number, mask: number, count: number): number;
  lua_getstack(L: LuaState, level: number, activation: number): number;
  lua_getinfo(L: LuaState, what: number, activation: number): number;
  luaL_loadbuffer(L: LuaState, bytes: number, length: number, name: number): number;
  luaL_where(L: LuaState, level: number): void;
  luaL_argerror(L: LuaState, argument: number, text: number): number;
  luaL_checknumber(L: LuaState, argument: number): number;
  luaL_checklstring(L: LuaState, argument: number, length: number): number;
  luaL_checktype(L: LuaState, argument: number, type: number): void;
  luaL_checkany(L: LuaState, argument: number): void;
  luaL_checkstack(L: LuaState, slots: number, text: number): void;
  luaL_ref(L: LuaState, table: number): number;
  luaL_unref(L: LuaState, table: number, reference: number): void;
}

/** Compiled once a process; instances are made from it synchronously. */
export interface LuaModule {
  readonly module: WasmModule;
}

export async function loadLuaModule(): Promise<LuaModule> {
  const require = createRequire(import.meta.url);
  const path = require.resolve('wasmoon-lua5.1/dist/liblua5.1.wasm');
  return { module: new WebAssembly.Module(await readFile(path)) };
}

/** One instance: its exports, its memory as typed arrays, and room for JavaScript functions in its table. */
export class LuaInstance {
  readonly api: LuaExports;
  /** Views of the whole memory; replaced when it grows, so never keep them over a call into Lua. */
  u8: Uint8Array = new Uint8Array(0);
  bytes: Buffer = Buffer.alloc(0);
  i32: Int32Array = new Int32Array(0);
  f64: Float64Array = new Float64Array(0);
  /** Called when Lua wanted more than `bytesMax`: its allocation fails after the call. */
  onMemoryRefused: () => void = () => {};
  readonly #bytesMax: number;
  #pending: CFunction[] = [];
  /** Mirror of the table entries that protected calls have used. */
  readonly #protectedBodies = new Map<number, (...parameters: number[]) => number>();

  constructor(lua: LuaModule, bytesMax: number) {
    this.#bytesMax = bytesMax;
    // The package fixes the binary's interface; nothing in it can be checked beyond the self-test in lua.ts.
    this.api = new WebAssembly.Instance(lua.module, this.#imports()).exports as LuaExports;
    this.#viewMemory();
    this.api.emscripten_stack_init();
    this.api.__wasm_call_ctors();
  }

  /** The function at `index` of the table, callable from here. Its Lua errors pass through the caller. */
  native(index: number): CFunction {
    return this.#pending[index - this.#table.length] ?? this.#table.get(index);
  }

  /** Gives the function an index of the table. It can be called once `commitFunctions` has run. */
  addFunction(entry: CFunction): number {
    return this.#table.length + this.#pending.push(entry) - 1;
  }

  /** Puts the functions added since the last time into the table. */
  commitFunctions(): void {
    this.#addToTable(this.#pending, FUNCTION_TYPE);
    this.#pending = [];
  }

  /** Not between `addFunction` and `commitFunctions`. */
  addHook(hook: HookFunction): number {
    assert(this.#pending.length === 0, 'functions are waiting for their places in the table');
    return this.#addToTable([hook], HOOK_TYPE);
  }

  get #table(): WasmTable {
    return this.api.__indirect_function_table;
  }

  #addToTable(functions: readonly unknown[], type: number): number {
    const imported: Record<string, unknown> = {};
    functions.forEach((entry, index) => {
      imported[`${index}`] = entry;
    });
    const bytes = trampolineModule(functions.length, type);
    const trampolines = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: imported });
    const exported = trampolines.exports as Record<string, unknown>;
    const first = this.#table.grow(functions.length);
    functions.forEach((_, index) => {
      this.#table.set(first + index, exported[`${index}`]);
    });
    return first;
  }

  #viewMemory(): void {
    const { buffer } = this.api.memory;
    this.u8 = new Uint8Array(buffer);
    this.bytes = Buffer.from(buffer);
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }

  #resize(bytes: number): boolean {
    const present = this.u8.length;
    if (bytes > this.#bytesMax) {
      this.onMemoryRefused();
      return false;
    }
    const wanted = Math.min(this.#bytesMax, Math.max(bytes, present + Math.floor(present / GROWTH_SHARE)));
    try {
      this.api.memory.grow(Math.ceil((wanted - present) / PAGE_BYTES));
    } catch {
      // The machine itself is short of memory (RangeError): for Lua the same as our own limit.
      this.onMemoryRefused();
      return false;
    }
    this.#viewMemory();
    return true;
  }

  #invoke(index: number, first: number, second: number): void {
    const stack = this.api.stackSave();
    let body = this.#protectedBodies.get(index);
    if (body === undefined) {
      body = this.api.__indirect_function_table.get(index);
      this.#protectedBodies.set(index, body);
    }
    try {
      body(first, second);
    } catch (error) {
      if (typeof error !== 'number') throw error;
      this.api.stackRestore(stack);
      this.api.setThrew(1, 0);
    }
  }

  /** What the binary asks for. Files, processes and calendars belong to libraries that are never opened. */
  #imports(): object {
    const absent = (name: string) => (): never => {
      throw new Error(`Lua called ${name}, which is not provided`);
    };
    const environment: Record<string, unknown> = {
      invoke_vii: (index: number, first: number, second: number) => this.#invoke(index, first, second),
      _emscripten_throw_longjmp: (): never => {
        throw Number.POSITIVE_INFINITY;
      },
      emscripten_memcpy_js: (target: number, source: number, count: number) => {
        this.u8.copyWithin(target, source, source + count);
      },
      emscripten_resize_heap: (bytes: number) => (this.#resize(bytes >>> 0) ? 1 : 0),
    };
    for (const name of ABSENT_ENVIRONMENT) environment[name] = absent(name);
    const system: Record<string, unknown> = {
      environ_sizes_get: (count: number, bytes: number) => {
        this.i32[count >> 2] = 0;
        this.i32[bytes >> 2] = 0;
        return 0;
      },
      environ_get: () => 0,
    };
    for (const name of ABSENT_SYSTEM) system[name] = absent(name);
    return { env: environment, wasi_snapshot_preview1: system };
  }
}

const ABSENT_ENVIRONMENT = [
  'exit',
  'strftime',
  'emscripten_date_now',
  '_emscripten_get_now_is_monotonic',
  '__syscall_openat',
  '__syscall_fcntl64',
  '__syscall_ioctl',
  '__syscall_dup3',
  '__syscall_unlinkat',
  '__syscall_rmdir',
  '__syscall_renameat',
  '_emscripten_system',
  '__syscall_readlinkat',
  '_tzset_js',
  '_mktime_js',
  '_localtime_js',
  '_gmtime_js',
];
const ABSENT_SYSTEM = ['fd_write', 'fd_read', 'fd_close', 'fd_seek'];

const FUNCTION_TYPE = 0;
const HOOK_TYPE = 1;

/**
 * A module that imports `count` functions of one type as "m" "0", "1" … and exports them again, because a table takes
 * only functions that came out of WebAssembly. Types: 0 is (i32) -> i32, 1 is (i32, i32) -> ().
 */
function trampolineModule(count: number, type: number): Uint8Array {
  const I32 = 0x7f;
  const FUNC = 0x60;
  const imports: number[] = [...unsigned(count)];
  const exports: number[] = [...unsigned(count)];
  for (let index = 0; index < count; index++) {
    const name = [...Buffer.from(`${index}`, 'latin1')];
    imports.push(1, 0x6d, name.length, ...name, 0, type);
    exports.push(name.length, ...name, 0, ...unsigned(index));
  }
  const types = [2, FUNC, 1, I32, 1, I32, FUNC, 2, I32, I32, 0];
  return Uint8Array.from([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, types),
    ...section(2, imports),
    ...section(7, exports),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}
