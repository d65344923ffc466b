/**
 * One Lua engine: state, sandbox, limits and compiled scripts. (Hot path: `run`.)
 *
 * The main stack holds four values for the life of the engine, so that a run need not push them by name:
 * 1 the error handler, 2 the hidden globals, 3 'KEYS', 4 'ARGV'. Between runs there is nothing above them.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/platform.ts';
import { ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';
import { baseGuards, osLibrary, tableGuards } from './base-guards.ts';
import { Budget } from './budget.ts';
import { Converter } from './convert.ts';
import { bitLibrary } from './libs/bit.ts';
import { CjsonLibrary } from './libs/cjson.ts';
import { cmsgpackLibrary } from './libs/cmsgpack.ts';
import { RandomLibrary } from './libs/random.ts';
import { structLibrary } from './libs/struct.ts';
import {
  BALLAST_BYTES,
  COMPILED_BYTES_MAX,
  COMPILED_SCRIPTS_MAX,
  ENGINE_BYTES,
  RETAINED_BYTES_MAX,
  SCRIPT_BYTES_MAX,
} from './limits.ts';
import { Lua, REGISTRY, STATUS, TYPE } from './lua.ts';
import { RedisApi } from './redis-api.ts';
import { Sandbox } from './sandbox.ts';
import type { ScriptRun } from './script-run.ts';
import { parseShebang } from './shebang.ts';
import { stringGuards } from './string-guards.ts';
import type { LuaModule, LuaState } from './wasm.ts';

const CHUNK_NAME = '@user_script';
const GC_SET_STEP_MULTIPLIER = 7;
const HANDLER = 1;
const GLOBALS = 2;
const KEYS = 3;
const ARGV = 4;
const FIXED_SLOTS = 4;

/** lua_Debug: 8 what a `what` of getinfo points to. */
const ACTIVATION_BYTES = 100;
const ACTIVATION_WHAT = 12;
const ACTIVATION_SOURCE = 16;
const ACTIVATION_LINE = 20;

export interface EngineOptions {
  readonly clock: Clock;
  readonly memoryBytesMax: number;
  readonly timeLimitMs: number;
  readonly instructionsMax: number;
  readonly redisVersion: string;
}

interface CompiledScript {
  /** Reference of the function in the registry. */
  readonly reference: number;
  /** Flags of the shebang; null without one. */
  readonly flags: readonly string[] | null;
  readonly sourceBytes: number;
}

export class LuaEngine {
  readonly #lua: Lua;
  readonly #budget: Budget;
  readonly #converter: Converter;
  readonly #api: RedisApi;
  readonly #cjson: CjsonLibrary;
  readonly #random: RandomLibrary;
  /** Oldest use first. */
  readonly #compiled = new Map<string, CompiledScript>();
  #compiledBytes = 0;
  /** True while Lua runs. If an exception leaves it true, it went through Lua's frames, and the engine is broken. */
  #isInLua = false;
  /** Room for a lua_Debug and for the text "Sl". */
  readonly #activation: number;
  readonly #wanted: number;
  /** Where the error of the run in progress was raised; null before. */
  #errorSource: string | null = null;
  #errorLine = 0;

  constructor(module: LuaModule, options: EngineOptions) {
    const lua = new Lua(module, options.memoryBytesMax + ENGINE_BYTES + BALLAST_BYTES);
    lua.verifyLayout();
    this.#lua = lua;
    this.#budget = new Budget(lua, options, options.clock);
    this.#converter = new Converter(lua, this.#budget);
    this.#api = new RedisApi(lua, this.#budget, this.#converter);
    this.#cjson = new CjsonLibrary(lua, this.#budget);
    this.#random = new RandomLibrary(lua);
    this.#activation = lua.api.malloc(ACTIVATION_BYTES);
    this.#wanted = lua.api.malloc(4);
    lua.bytes.write('Sl\0', this.#wanted, 'latin1');
    this.#furnish(options);
  }

  /** True if this engine must not be used again. */
  get isSpoiled(): boolean {
    return this.#isInLua || this.#budget.isSpoiled || this.#lua.u8.length > RETAINED_BYTES_MAX;
  }

  run(run: ScriptRun): Reply {
    try {
      return this.#run(run);
    } catch (error) {
      throw this.#causeOf(error);
    } finally {
      this.#api.end();
      if (!this.#isInLua) this.#lua.api.lua_settop(this.#lua.main, FIXED_SLOTS);
    }
  }

  /** Null if the script compiles; then it is kept. */
  check(sha: string, body: Uint8Array): ErrorReply | null {
    try {
      const compiled = this.#compile(sha, body);
      return compiled instanceof ErrorReply ? compiled : null;
    } catch (error) {
      throw this.#causeOf(error);
    }
  }

  /** The compiled script, from the cache or new; an error reply if the text is not a program. */
  #compile(sha: string, body: Uint8Array): CompiledScript | ErrorReply {
    const known = this.#compiled.get(sha);
    if (known !== undefined) return known;
    if (body.length > SCRIPT_BYTES_MAX) return new ErrorReply(`ERR script is longer than ${SCRIPT_BYTES_MAX} bytes`);
    const shebang = parseShebang(body);
    if (shebang instanceof ErrorReply) return shebang;
    const { api, main: L } = this.#lua;
    // A mark of bytecode after an empty line would not be one; before it nothing can stand.
    const text = body.subarray(shebang.length);
    const source = text[0] === 0x1b ? Buffer.concat([Buffer.from(' '), text]) : text;
    this.#isInLua = true;
    const status = this.#lua.load(L, source, CHUNK_NAME);
    this.#isInLua = false;
    if (status !== STATUS.ok) {
      const message = this.#lua.popText(L);
      return new ErrorReply(`ERR Error compiling script (new function): ${cutAtNul(message)}`);
    }
    const compiled = { reference: api.luaL_ref(L, REGISTRY), flags: shebang.flags, sourceBytes: body.length };
    this.#compiled.set(sha, compiled);
    this.#compiledBytes += body.length;
    this.#evict();
    return compiled;
  }

  #run(run: ScriptRun): Reply {
    const lua = this.#lua;
    const { api, main: L } = lua;
    const script = this.#compile(run.sha, run.body);
    if (script instanceof ErrorReply) return script;
    this.#touch(run.sha, script);
    const { flags } = script;
    const mayWrite = flags === null || !flags.includes('no-writes');
    if (run.readOnly && flags !== null && mayWrite) {
      return new ErrorReply('ERR Can not execute a script with write flag using *_ro command.');
    }
    this.#budget.begin(run.isKilled);
    this.#api.begin(run, run.readOnly || !mayWrite);
    this.#cjson.begin();
    this.#random.begin(run);
    this.#errorSource = null;
    this.#isInLua = true;
    this.#setArray(L, KEYS, run.keys);
    this.#setArray(L, ARGV, run.args);
    api.lua_rawgeti(L, REGISTRY, script.reference);
    const status = api.lua_pcall(L, 0, 1, HANDLER);
    this.#isInLua = false;
    this.#budget.finish();
    return status === STATUS.ok
      ? this.#converter.read(lua.topSlot(L), this.#api.mode.protocol)
      : this.#failure(run.sha);
  }

  #setArray(L: LuaState, name: number, items: readonly Uint8Array[]): void {
    const { api } = this.#lua;
    api.lua_pushvalue(L, name);
    api.lua_createtable(L, items.length, 0);
    for (let index = 0; index < items.length; index++) {
      this.#lua.pushBytes(L, items[index] as Uint8Array);
      api.lua_rawseti(L, -2, index + 1);
    }
    api.lua_rawset(L, GLOBALS);
  }

  /** The reply for the error on the top of the stack (script_lua.c luaCallFunction). */
  #failure(sha: string): ErrorReply {
    const lua = this.#lua;
    const address = lua.topSlot(lua.main);
    const type = lua.typeAt(address);
    let text: string;
    if (type === TYPE.table)
      text = this.#converter.errorText(address) ?? 'ERR error object is neither a text nor a table with a text';
    else text = `ERR ${cutAtNul(lua.describe(lua.main, lua.top(lua.main)))}`;
    if (this.#errorSource === null) return new ErrorReply(text);
    return new ErrorReply(`${text} script: ${sha}, on ${this.#errorSource}:${this.#errorLine}.`);
  }

  /** Called by Lua where an error is raised outside of any pcall: notes the place, leaves the error as it is. */
  #handleError(L: LuaState): number {
    if (this.#budget.isAborted) return 1;
    const { api } = this.#lua;
    let isKnown = this.#readActivation(L, 1);
    if (isKnown && this.#lua.cString(this.#lua.i32[(this.#activation + ACTIVATION_WHAT) >> 2] as number) === 'C') {
      isKnown = this.#readActivation(L, 2);
    }
    if (isKnown) {
      this.#errorSource = this.#lua.cString(this.#lua.i32[(this.#activation + ACTIVATION_SOURCE) >> 2] as number);
      this.#errorLine = this.#lua.i32[(this.#activation + ACTIVATION_LINE) >> 2] as number;
    } else {
      this.#errorSource = null;
    }
    api.lua_settop(L, 1);
    return 1;
  }

  #readActivation(L: LuaState, level: number): boolean {
    const { api } = this.#lua;
    return (
      api.lua_getstack(L, level, this.#activation) !== 0 && api.lua_getinfo(L, this.#wanted, this.#activation) !== 0
    );
  }

  #furnish(options: EngineOptions): void {
    const lua = this.#lua;
    const { api, main: L } = lua;
    const sandbox = new Sandbox(lua);
    sandbox.guard('', baseGuards(lua, this.#budget));
    sandbox.guard('string', stringGuards(lua, this.#budget));
    sandbox.guard('table', tableGuards(lua, this.#budget));
    sandbox.define('redis', this.#api.entries(options.redisVersion));
    sandbox.define('os', osLibrary(lua, this.#budget));
    sandbox.define('math', this.#random.entries());
    sandbox.define('bit', bitLibrary(lua));
    sandbox.define('struct', structLibrary(lua, this.#budget));
    sandbox.define('cmsgpack', cmsgpackLibrary(lua, this.#budget));
    sandbox.define('cjson', this.#cjson.entries());
    const handler = lua.addFunction((state) => this.#handleError(state));
    sandbox.seal();
    api.lua_pushcclosure(L, handler, 0);
    sandbox.pushGlobals(L);
    lua.pushLatin1(L, 'KEYS');
    lua.pushLatin1(L, 'ARGV');
    assert(lua.top(L) === FIXED_SLOTS, 'the main stack does not hold what it should');
    api.lua_newuserdata(L, BALLAST_BYTES);
    api.luaL_ref(L, REGISTRY);
    // Collect all at once when it is time: with large strings the incremental collector falls far behind.
    api.lua_gc(L, GC_SET_STEP_MULTIPLIER, 0);
  }

  #touch(sha: string, script: CompiledScript): void {
    if (this.#compiled.size <= COMPILED_SCRIPTS_MAX / 2) return;
    this.#compiled.delete(sha);
    this.#compiled.set(sha, script);
  }

  #evict(): void {
    while (this.#compiled.size > COMPILED_SCRIPTS_MAX || this.#compiledBytes > COMPILED_BYTES_MAX) {
      const oldest = this.#compiled.entries().next();
      if (oldest.done === true || this.#compiled.size === 1) return;
      const [sha, script] = oldest.value;
      this.#compiled.delete(sha);
      this.#compiledBytes -= script.sourceBytes;
      this.#lua.api.luaL_unref(this.#lua.main, REGISTRY, script.reference);
    }
  }

  /** What to throw for an exception that ended a run. */
  #causeOf(error: unknown): unknown {
    if (!this.#isInLua) return error;
    // Out of memory outside of a protected call ends in C's exit; the stack of the machine in a RangeError.
    if (this.#budget.isAborted) return this.#budget.outcome;
    if (error instanceof RangeError)
      return new ReplyError('ERR script exceeded the stack and was aborted, nothing was applied');
    return error;
  }
}

function cutAtNul(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}
