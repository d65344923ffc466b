/**
 * The table `redis` (script_lua.c luaRegisterRedisAPI, eval.c). Hot path: `call` and `pcall`.
 */
import { SCRIPT_ARGUMENT_TYPE, SCRIPT_NO_ARGUMENTS } from '../resp/errors.ts';
import { ErrorReply, type Protocol, type Reply, ReplyError } from '../resp/reply.ts';
import type { Budget } from './budget.ts';
import type { Converter } from './convert.ts';
import { type Lua, TYPE } from './lua.ts';
import { formatArgument } from './numbers.ts';
import type { LibraryEntries } from './sandbox.ts';
import { LOG_LEVELS, type ScriptRun } from './script-run.ts';
import { sha1Hex } from './sha1.ts';
import type { LuaState } from './wasm.ts';

const REPL_ALL = 3;
/** Units that one command is charged with. */
const COMMAND_UNITS = 100;

export class RedisApi {
  readonly #lua: Lua;
  readonly #budget: Budget;
  readonly #converter: Converter;
  #run: ScriptRun | null = null;
  readonly mode: { protocol: Protocol; readOnly: boolean } = { protocol: 2, readOnly: false };

  constructor(lua: Lua, budget: Budget, converter: Converter) {
    this.#lua = lua;
    this.#budget = budget;
    this.#converter = converter;
  }

  begin(run: ScriptRun, readOnly: boolean): void {
    this.#run = run;
    this.mode.protocol = 2;
    this.mode.readOnly = readOnly;
  }

  end(): void {
    this.#run = null;
  }

  /** `version` is what redis.REDIS_VERSION says, for example 7.2.5. */
  entries(version: string): LibraryEntries {
    const lua = this.#lua;
    const { api } = lua;
    const functions: Record<string, (L: LuaState) => number> = {
      call: (L) => this.#call(L, true),
      pcall: (L) => this.#call(L, false),
      error_reply: (L) => this.#errorReply(L),
      status_reply: (L) => this.#statusReply(L),
      sha1hex: (L) => this.#sha1hex(L),
      log: (L) => this.#log(L),
      setresp: (L) => this.#setresp(L),
      set_repl: (L) => this.#setRepl(L),
      acl_check_cmd: (L) => this.#aclCheckCommand(L),
      replicate_commands: (L) => {
        api.lua_pushboolean(L, 1);
        return 1;
      },
      breakpoint: (L) => {
        api.lua_pushboolean(L, 0);
        return 1;
      },
      debug: () => 0,
    };
    const entries: Record<string, { index: number } | string | number> = {
      REDIS_VERSION: version,
      REDIS_VERSION_NUM: versionNumber(version),
      LOG_DEBUG: LOG_LEVELS.debug,
      LOG_VERBOSE: LOG_LEVELS.verbose,
      LOG_NOTICE: LOG_LEVELS.notice,
      LOG_WARNING: LOG_LEVELS.warning,
      REPL_NONE: 0,
      REPL_AOF: 1,
      REPL_SLAVE: 2,
      REPL_REPLICA: 2,
      REPL_ALL,
    };
    for (const [name, body] of Object.entries(functions)) entries[name] = { index: lua.addFunction(body) };
    return entries;
  }

  #call(L: LuaState, raises: boolean): number {
    if (this.#budget.isAborted) return this.#budget.continueAbort(L);
    const argv = this.#arguments(L);
    if (argv instanceof ErrorReply) return this.#answerError(L, argv.text, raises);
    this.#budget.charge(L, COMMAND_UNITS);
    let reply: Reply;
    try {
      reply = this.#mustRun().call(argv, this.mode);
    } catch (error) {
      // A command's error belongs to the script; everything else to whoever runs the script.
      if (!(error instanceof ReplyError)) return this.#budget.abort(L, error);
      reply = error.reply;
    }
    if (reply instanceof ErrorReply) {
      this.#converter.pushError(L, reply.text);
      this.#lua.pushLatin1(L, 'ignore_error_stats_update');
      this.#lua.api.lua_pushboolean(L, 1);
      this.#lua.api.lua_rawset(L, -3);
      return raises ? this.#lua.raiseTop(L) : 1;
    }
    this.#converter.push(L, reply, this.mode.protocol);
    return 1;
  }

  /** The arguments of the running function as a request. Empties the stack. */
  #arguments(L: LuaState): Buffer[] | ErrorReply {
    const lua = this.#lua;
    const count = lua.top(L);
    if (count === 0) return SCRIPT_NO_ARGUMENTS;
    const argv: Buffer[] = [];
    for (let index = 1; index <= count; index++) {
      const address = lua.slot(L, index);
      const type = lua.typeAt(address);
      if (type === TYPE.string) argv.push(lua.copy(lua.pointerAt(address)));
      else if (type === TYPE.number) argv.push(Buffer.from(formatArgument(lua.numberAt(address)), 'latin1'));
      else {
        lua.api.lua_settop(L, 0);
        return SCRIPT_ARGUMENT_TYPE;
      }
    }
    lua.api.lua_settop(L, 0);
    return argv;
  }

  /** Pushes an error of the API itself, whose text has no code. */
  #fail(L: LuaState, text: string, raises: boolean): number {
    return this.#answerError(L, `ERR ${text}`, raises);
  }

  #answerError(L: LuaState, text: string, raises: boolean): number {
    this.#converter.pushError(L, text);
    return raises ? this.#lua.raiseTop(L) : 1;
  }

  #errorReply(L: LuaState): number {
    const lua = this.#lua;
    if (lua.top(L) !== 1 || lua.type(L, 1) !== TYPE.string)
      return this.#fail(L, 'wrong number or type of arguments', false);
    const given = lua.latin1(lua.pointerAt(lua.slot(L, 1)));
    const end = given.indexOf('\0');
    const text = end === -1 ? given : given.slice(0, end);
    this.#converter.pushError(L, text.startsWith('-') ? text.slice(1) : text);
    return 1;
  }

  #statusReply(L: LuaState): number {
    const lua = this.#lua;
    if (lua.top(L) !== 1 || lua.type(L, 1) !== TYPE.string)
      return this.#fail(L, 'wrong number or type of arguments', false);
    lua.api.lua_createtable(L, 0, 1);
    lua.pushLatin1(L, 'ok');
    lua.api.lua_pushvalue(L, 1);
    lua.api.lua_rawset(L, -3);
    return 1;
  }

  #sha1hex(L: LuaState): number {
    const lua = this.#lua;
    if (lua.top(L) !== 1) return this.#fail(L, 'wrong number of arguments', true);
    const type = lua.type(L, 1);
    const isText = type === TYPE.string || type === TYPE.number;
    const text = isText ? lua.copy(lua.checkString(L, 1)) : Buffer.alloc(0);
    this.#budget.charge(L, text.length);
    lua.pushLatin1(L, sha1Hex(text));
    return 1;
  }

  #log(L: LuaState): number {
    const lua = this.#lua;
    const count = lua.top(L);
    if (count < 2) return this.#fail(L, 'redis.log() requires two arguments or more.', true);
    const level = lua.api.lua_tonumber(L, 1);
    if (lua.type(L, 1) !== TYPE.number && !isNumeric(lua, L)) {
      return this.#fail(L, 'First argument must be a number (log level).', true);
    }
    const known = Object.values(LOG_LEVELS).find((value) => value === Math.trunc(level));
    if (known === undefined) return this.#fail(L, 'Invalid debug level.', true);
    const parts: string[] = [];
    for (let index = 2; index <= count; index++) {
      const type = lua.type(L, index);
      if (type === TYPE.string || type === TYPE.number) parts.push(lua.describe(L, index));
    }
    const message = parts.join(' ');
    this.#budget.charge(L, message.length);
    this.#mustRun().log(known, message);
    return 0;
  }

  #setresp(L: LuaState): number {
    if (this.#lua.top(L) !== 1) return this.#fail(L, 'redis.setresp() requires one argument.', true);
    const version = Math.trunc(this.#lua.api.lua_tonumber(L, 1));
    if (version !== 2 && version !== 3) return this.#fail(L, 'RESP version must be 2 or 3.', true);
    this.mode.protocol = version;
    return 0;
  }

  /** Effects are replicated whatever the script wishes; the argument is only checked. */
  #setRepl(L: LuaState): number {
    if (this.#lua.top(L) !== 1) return this.#fail(L, 'redis.set_repl() requires two arguments.', true);
    const flags = Math.trunc(this.#lua.api.lua_tonumber(L, 1));
    if (!(flags >= 0 && flags <= REPL_ALL)) {
      return this.#fail(L, 'Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.', true);
    }
    return 0;
  }

  #aclCheckCommand(L: LuaState): number {
    const argv = this.#arguments(L);
    if (argv instanceof ErrorReply) return this.#answerError(L, argv.text, true);
    const isAllowed = this.#mustRun().checkCommand(argv);
    if (isAllowed === undefined) return this.#fail(L, 'Invalid command passed to redis.acl_check_cmd()', true);
    this.#lua.api.lua_pushboolean(L, isAllowed ? 1 : 0);
    return 1;
  }

  #mustRun(): ScriptRun {
    if (this.#run === null) throw new Error('a script runs outside of a run');
    return this.#run;
  }
}

/** Whether argument 1, which is not a number, is a string that Lua reads as one. */
function isNumeric(lua: Lua, L: LuaState): boolean {
  if (lua.type(L, 1) !== TYPE.string) return false;
  const text = lua.latin1(lua.pointerAt(lua.slot(L, 1))).trim();
  return text !== '' && !Number.isNaN(Number(text));
}

function versionNumber(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  return major * 65_536 + minor * 256 + patch;
}
