/**
 * Library `cjson` 2.1.0 (deps/lua/src/lua_cjson.c): settings and module tables; see cjson-encode.ts, cjson-decode.ts.
 *
 * Each module table has settings of its own, found by the number in the first upvalue of its functions: 0 is the global
 * `cjson`, others come from cjson.new. In Redis settings live until the server ends; here a run starts with the
 * defaults and without other modules, so that no script can change what the next one sees.
 */
import type { Budget } from '../budget.ts';
import { CJSON_MODULES_MAX } from '../limits.ts';
import { type Lua, TYPE, upvalue } from '../lua.ts';
import { toInteger32 } from '../numbers.ts';
import { fillTable } from '../sandbox.ts';
import type { LibraryEntries } from '../sandbox.ts';
import type { CFunction, LuaState } from '../wasm.ts';
import { decodeJson } from './cjson-decode.ts';
import { encodeJson } from './cjson-encode.ts';
import { CjsonSettings, PRECISION_MAX } from './cjson-settings.ts';

const INT_MAX = 2 ** 31 - 1;

type Option = (L: LuaState, settings: CjsonSettings) => number;

export class CjsonLibrary {
  readonly #lua: Lua;
  readonly #budget: Budget;
  #modules: CjsonSettings[] = [new CjsonSettings()];
  #isPristine = true;
  readonly #indices: Record<string, number> = {};

  constructor(lua: Lua, budget: Budget) {
    this.#lua = lua;
    this.#budget = budget;
  }

  begin(): void {
    if (this.#isPristine) return;
    this.#modules = [new CjsonSettings()];
    this.#isPristine = true;
  }

  /** The global module. Its functions have no upvalue, which reads as module 0. */
  entries(): LibraryEntries {
    const bound =
      (option: Option, argumentsMax: number): CFunction =>
      (L) => {
        if (this.#lua.top(L) > argumentsMax) {
          return this.#lua.raiseArgument(L, argumentsMax + 1, 'found too many arguments');
        }
        if (this.#lua.top(L) > 0) this.#isPristine = false;
        // Absent arguments read as nil, and results follow them.
        this.#lua.api.lua_settop(L, argumentsMax);
        return option(L, this.#settings(L));
      };
    const functions: Record<string, CFunction> = {
      encode: (L) => {
        if (this.#lua.top(L) !== 1) return this.#lua.raiseArgument(L, 1, 'expected 1 argument');
        return encodeJson(this.#lua, this.#budget, L, this.#settings(L));
      },
      decode: (L) => {
        if (this.#lua.top(L) !== 1) return this.#lua.raiseArgument(L, 1, 'expected 1 argument');
        return decodeJson(this.#lua, this.#budget, L, this.#settings(L));
      },
      encode_sparse_array: bound((L, settings) => this.#sparseOption(L, settings), 3),
      encode_max_depth: bound((L, settings) => {
        settings.encodeDepthMax = this.#integerOption(L, 1, settings.encodeDepthMax, { least: 1, greatest: INT_MAX });
        return 1;
      }, 1),
      decode_max_depth: bound((L, settings) => {
        settings.decodeDepthMax = this.#integerOption(L, 1, settings.decodeDepthMax, { least: 1, greatest: INT_MAX });
        return 1;
      }, 1),
      encode_number_precision: bound((L, settings) => {
        const range = { least: 1, greatest: PRECISION_MAX };
        settings.numberPrecision = this.#integerOption(L, 1, settings.numberPrecision, range);
        return 1;
      }, 1),
      encode_keep_buffer: bound((L, settings) => {
        settings.keepsBuffer = this.#choiceOption(L, Number(settings.keepsBuffer), ['off', 'on']) === 1;
        return 1;
      }, 1),
      encode_invalid_numbers: bound((L, settings) => {
        settings.encodeInvalidNumbers = this.#choiceOption(L, settings.encodeInvalidNumbers, ['off', 'on', 'null']);
        return 1;
      }, 1),
      decode_invalid_numbers: bound((L, settings) => {
        settings.decodeInvalidNumbers =
          this.#choiceOption(L, Number(settings.decodeInvalidNumbers), ['off', 'on']) === 1;
        return 1;
      }, 1),
      new: (L) => this.#newModule(L),
    };
    const entries: Record<string, { index: number } | string | null> = {
      _NAME: 'cjson',
      _VERSION: '2.1.0',
      null: null,
    };
    for (const [name, body] of Object.entries(functions)) {
      const index = this.#lua.addFunction(body);
      this.#indices[name] = index;
      entries[name] = { index };
    }
    return entries;
  }

  #settings(L: LuaState): CjsonSettings {
    const module = this.#isPristine ? 0 : this.#lua.api.lua_tonumber(L, upvalue(1));
    return this.#modules[module] ?? (this.#modules[0] as CjsonSettings);
  }

  #newModule(L: LuaState): number {
    const lua = this.#lua;
    if (this.#modules.length > CJSON_MODULES_MAX) return this.#budget.abortForMemory(L);
    this.#isPristine = false;
    const module = this.#modules.push(new CjsonSettings()) - 1;
    lua.api.lua_createtable(L, 0, 16);
    fillTable(lua, L, { _NAME: 'cjson', _VERSION: '2.1.0', null: null });
    for (const [name, index] of Object.entries(this.#indices)) {
      lua.pushLatin1(L, name);
      lua.api.lua_pushnumber(L, module);
      lua.api.lua_pushcclosure(L, index, 1);
      lua.api.lua_rawset(L, -3);
    }
    return 1;
  }

  #sparseOption(L: LuaState, settings: CjsonSettings): number {
    const range = { least: 0, greatest: INT_MAX };
    settings.convertsSparse = this.#choiceOption(L, Number(settings.convertsSparse), ['off', 'on']) === 1;
    settings.sparseRatio = this.#integerOption(L, 2, settings.sparseRatio, range);
    settings.sparseSafe = this.#integerOption(L, 3, settings.sparseSafe, range);
    return 3;
  }

  /** Reads the argument if there is one, pushes and returns the value in force. */
  #integerOption(L: LuaState, index: number, present: number, range: { least: number; greatest: number }): number {
    const lua = this.#lua;
    let value = present;
    if (this.#isGiven(L, index)) {
      value = toInteger32(lua.checkNumber(L, index));
      if (value < range.least || value > range.greatest) {
        lua.raiseArgument(L, 1, `expected integer between ${range.least} and ${range.greatest}`);
      }
    }
    lua.api.lua_pushnumber(L, value);
    return value;
  }

  /** As #integerOption for argument 1 and a choice by name; `off` and `on` are also booleans, and are pushed as such. */
  #choiceOption(L: LuaState, present: number, names: readonly string[]): number {
    const lua = this.#lua;
    let value = present;
    if (this.#isGiven(L, 1)) {
      if (lua.type(L, 1) === TYPE.boolean) value = lua.booleanAt(lua.slot(L, 1)) ? 1 : 0;
      else {
        const name = lua.latin1(lua.checkString(L, 1));
        value = names.indexOf(name);
        if (value === -1) lua.raiseArgument(L, 1, `invalid option '${name}'`);
      }
    }
    if (value <= 1) lua.api.lua_pushboolean(L, value);
    else lua.pushLatin1(L, names[value] as string);
    return value;
  }

  #isGiven(L: LuaState, index: number): boolean {
    return this.#lua.type(L, index) > TYPE.nil;
  }
}
