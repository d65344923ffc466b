/**
 * Guards before functions of the string library, for two reasons.
 *
 * Bounds: `rep` could ask for any amount of memory, and searches and patterns for any amount of time, within one native
 * call that nothing interrupts. Cheap cases go to the native function; what might be dear is done here, step by step.
 *
 * Width: the engine's C has 32-bit `long`, where Redis has 64. `sub` and the integers of `format` are put right.
 */
import type { Budget } from './budget.ts';
import { NATIVE_PATTERN_STEPS_MAX, NATIVE_SEARCH_STEPS_MAX } from './limits.ts';
import { type Lua, TYPE, upvalue } from './lua.ts';
import { toInteger64 } from './numbers.ts';
import { CAPTURE_MARKS, estimateSteps, isPlain, Matcher, PatternError } from './pattern.ts';
import type { GuardMaker } from './sandbox.ts';
import { widenIntegers } from './string-format.ts';
import type { CFunction, LuaState } from './wasm.ts';

const INT32_MAX = 2 ** 31 - 1;
/** Bytes that a unit of work copies. */
const BYTES_PER_UNIT = 16;
/** A single result may take this share of the memory limit; building it takes as much again. */
const RESULT_SHARE = 3;

export function stringGuards(lua: Lua, budget: Budget): Readonly<Record<string, GuardMaker>> {
  const strings = new GuardedStrings(lua, budget);
  const gmatch: GuardMaker = (native) => (L) => strings.gmatch(L, native);
  const charged: GuardMaker = (native) => (L) => strings.charged(L, native);
  return {
    lower: charged,
    upper: charged,
    reverse: charged,
    rep: (native) => (L) => strings.rep(L, native),
    sub: (native) => (L) => strings.sub(L, native),
    format: (native) => (L) => {
      widenIntegers(lua, L);
      return native(L);
    },
    find: (native) => (L) => strings.find(L, native, true),
    match: (native) => (L) => strings.find(L, native, false),
    gsub: (native) => (L) => strings.gsub(L, native),
    gmatch,
    gfind: gmatch,
  };
}

class GuardedStrings {
  readonly #lua: Lua;
  readonly #budget: Budget;
  readonly #resultBytesMax: number;
  readonly #gmatchNext: number;

  constructor(lua: Lua, budget: Budget) {
    this.#lua = lua;
    this.#budget = budget;
    this.#resultBytesMax = Math.floor(budget.memoryBytesMax / RESULT_SHARE);
    this.#gmatchNext = lua.addFunction((L) => this.#nextMatch(L));
  }

  rep(L: LuaState, native: CFunction): number {
    const lua = this.#lua;
    const length = lua.stringLength(lua.checkString(L, 1));
    const count = lua.checkNumber(L, 2);
    const bytes = count > 0 ? length * count : 0;
    if (bytes > this.#resultBytesMax) return this.#budget.abortForMemory(L);
    // An empty string may be repeated for ever; native code would really do so.
    if (count > INT32_MAX || (length === 0 && count > 0)) {
      lua.pushLatin1(L, '');
      return 1;
    }
    this.#budget.charge(L, bytes / BYTES_PER_UNIT);
    return native(L);
  }

  /** A function that goes over its argument byte by byte. */
  charged(L: LuaState, native: CFunction): number {
    if (this.#lua.type(L, 1) === TYPE.string) {
      this.#budget.charge(L, this.#lua.stringLength(this.#lua.pointerAt(this.#lua.slot(L, 1))) / 2);
    }
    return native(L);
  }

  sub(L: LuaState, native: CFunction): number {
    this.#clamp(L, 2);
    this.#clamp(L, 3);
    return native(L);
  }

  /** Brings a position that 32 bits cannot hold into their range; what 64 bits cannot hold is the smallest integer. */
  #clamp(L: LuaState, index: number): void {
    const lua = this.#lua;
    if (lua.type(L, index) !== TYPE.number) return;
    const value = lua.numberAt(lua.slot(L, index));
    if (Math.abs(value) <= INT32_MAX) return;
    const whole = Number(toInteger64(value));
    lua.api.lua_pushnumber(L, whole > 0 ? INT32_MAX : -INT32_MAX);
    lua.api.lua_replace(L, index);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Searching

  find(L: LuaState, native: CFunction, isFind: boolean): number {
    const lua = this.#lua;
    if (lua.type(L, 1) !== TYPE.string || lua.type(L, 2) !== TYPE.string) return native(L);
    const subject = lua.pointerAt(lua.slot(L, 1));
    const pattern = lua.pointerAt(lua.slot(L, 2));
    const subjectLength = lua.stringLength(subject);
    const patternLength = lua.stringLength(pattern);
    this.#budget.charge(L, subjectLength / BYTES_PER_UNIT);
    const patternStart = lua.stringStart(pattern);
    if (isFind && (lua.api.lua_toboolean(L, 4) !== 0 || isPlain(lua.u8, patternStart, patternLength))) {
      if (subjectLength * patternLength <= NATIVE_SEARCH_STEPS_MAX) return native(L);
      return this.#findText(L, subject, pattern);
    }
    if (estimateSteps(lua.u8, patternStart, patternLength, subjectLength) <= NATIVE_PATTERN_STEPS_MAX) return native(L);
    return this.#counted(L, () => this.#findPattern(L, subject, pattern, isFind));
  }

  /** As str_find_aux: 0-based offset at which the search begins. */
  #initialOffset(L: LuaState, subjectLength: number): number {
    const given = Number(toInteger64(this.#lua.optionalNumber(L, 3, 1)));
    const offset = (given < 0 ? given + subjectLength + 1 : given) - 1;
    return Math.min(Math.max(offset, 0), subjectLength);
  }

  #findPattern(L: LuaState, subject: number, pattern: number, isFind: boolean): number {
    const lua = this.#lua;
    const matcher = this.#matcher(L, subject, pattern);
    let items = lua.stringStart(pattern);
    const isAnchored = lua.u8[items] === 0x5e;
    if (isAnchored) items++;
    for (
      let at = matcher.subjectStart + this.#initialOffset(L, lua.stringLength(subject));
      at <= matcher.subjectEnd;
      at++
    ) {
      const end = matcher.matchAt(at, items);
      if (end !== -1) {
        if (!isFind) return this.#pushCaptures(L, matcher, at, end);
        lua.api.lua_pushnumber(L, at - matcher.subjectStart + 1);
        lua.api.lua_pushnumber(L, end - matcher.subjectStart);
        return this.#pushCaptures(L, matcher, null, 0) + 2;
      }
      if (isAnchored) break;
    }
    lua.api.lua_pushnil(L);
    return 1;
  }

  /** Knuth, Morris and Pratt: linear where the native search is not. */
  #findText(L: LuaState, subject: number, pattern: number): number {
    const lua = this.#lua;
    const length = lua.stringLength(pattern);
    const offset = this.#initialOffset(L, lua.stringLength(subject));
    const text = lua.copy(pattern);
    this.#budget.charge(L, length + lua.stringLength(subject));
    const borders = new Int32Array(length);
    for (let i = 1, k = 0; i < length; i++) {
      while (k > 0 && text[i] !== text[k]) k = borders[k - 1] as number;
      if (text[i] === text[k]) k++;
      borders[i] = k;
    }
    const start = lua.stringStart(subject);
    const end = start + lua.stringLength(subject);
    for (let at = start + offset, k = 0; at < end; at++) {
      const code = lua.u8[at];
      while (k > 0 && code !== text[k]) k = borders[k - 1] as number;
      if (code === text[k]) k++;
      if (k === length) {
        lua.api.lua_pushnumber(L, at - start - length + 2);
        lua.api.lua_pushnumber(L, at - start + 1);
        return 2;
      }
    }
    lua.api.lua_pushnil(L);
    return 1;
  }

  // -------------------------------------------------------------------------------------------------------------
  // gmatch and gsub

  gmatch(L: LuaState, native: CFunction): number {
    const lua = this.#lua;
    const subject = lua.checkString(L, 1);
    const pattern = lua.checkString(L, 2);
    this.#budget.charge(L, lua.stringLength(subject) / BYTES_PER_UNIT);
    const steps = estimateSteps(lua.u8, lua.stringStart(pattern), lua.stringLength(pattern), lua.stringLength(subject));
    if (steps <= NATIVE_PATTERN_STEPS_MAX) return native(L);
    lua.api.lua_settop(L, 2);
    lua.api.lua_pushnumber(L, 0);
    lua.api.lua_pushcclosure(L, this.#gmatchNext, 3);
    return 1;
  }

  /** The iterator: upvalues are subject, pattern, and the offset at which to go on. */
  #nextMatch(L: LuaState): number {
    const lua = this.#lua;
    lua.api.lua_settop(L, 0);
    lua.api.lua_pushvalue(L, upvalue(1));
    lua.api.lua_pushvalue(L, upvalue(2));
    const subject = lua.pointerAt(lua.slot(L, 1));
    const pattern = lua.pointerAt(lua.slot(L, 2));
    return this.#counted(L, () => {
      const matcher = this.#matcher(L, subject, pattern);
      for (let at = matcher.subjectStart + lua.api.lua_tonumber(L, upvalue(3)); at <= matcher.subjectEnd; at++) {
        const end = matcher.matchAt(at, lua.stringStart(pattern));
        if (end === -1) continue;
        lua.api.lua_pushnumber(L, end - matcher.subjectStart + (end === at ? 1 : 0));
        lua.api.lua_replace(L, upvalue(3));
        return this.#pushCaptures(L, matcher, at, end);
      }
      return 0;
    });
  }

  gsub(L: LuaState, native: CFunction): number {
    const lua = this.#lua;
    const replacement = lua.type(L, 3);
    if (lua.type(L, 1) !== TYPE.string || lua.type(L, 2) !== TYPE.string) return native(L);
    if (replacement < TYPE.number || replacement > TYPE.function) return native(L);
    const subject = lua.pointerAt(lua.slot(L, 1));
    const pattern = lua.pointerAt(lua.slot(L, 2));
    const subjectLength = lua.stringLength(subject);
    this.#budget.charge(L, subjectLength / BYTES_PER_UNIT);
    const textBytes = replacement === TYPE.string ? lua.stringLength(lua.pointerAt(lua.slot(L, 3))) : 0;
    const steps = estimateSteps(lua.u8, lua.stringStart(pattern), lua.stringLength(pattern), subjectLength);
    if (steps <= NATIVE_PATTERN_STEPS_MAX && (subjectLength + 1) * (textBytes + 1) <= this.#resultBytesMax)
      return native(L);
    return this.#counted(L, () => this.#replaceAll(L, subject, pattern));
  }

  #replaceAll(L: LuaState, subject: number, pattern: number): number {
    const lua = this.#lua;
    const countMax = Number(toInteger64(lua.optionalNumber(L, 4, lua.stringLength(subject) + 1)));
    const matcher = this.#matcher(L, subject, pattern);
    let items = lua.stringStart(pattern);
    const isAnchored = lua.u8[items] === 0x5e;
    if (isAnchored) items++;
    let result = '';
    let count = 0;
    let at = matcher.subjectStart;
    while (count < countMax) {
      const end = matcher.matchAt(at, items);
      if (end !== -1) {
        count++;
        result += this.#replacementOf(L, matcher, at, end);
        if (result.length > this.#resultBytesMax) this.#budget.abortForMemory(L);
      }
      if (end !== -1 && end > at) at = end;
      else if (at < matcher.subjectEnd) {
        result += String.fromCharCode(lua.u8[at] as number);
        at++;
      } else break;
      if (isAnchored) break;
    }
    result += lua.bytes.toString('latin1', at, matcher.subjectEnd);
    lua.pushLatin1(L, result);
    lua.api.lua_pushnumber(L, count);
    return 2;
  }

  #replacementOf(L: LuaState, matcher: Matcher, start: number, end: number): string {
    const lua = this.#lua;
    const { api } = lua;
    const type = lua.type(L, 3);
    if (type === TYPE.string || type === TYPE.number) return this.#expandText(L, matcher, start, end);
    if (type === TYPE.function) {
      api.lua_pushvalue(L, 3);
      api.lua_call(L, this.#pushCaptures(L, matcher, start, end), 1);
      if (this.#budget.isAborted) this.#budget.continueAbort(L);
    } else {
      this.#pushCapture(L, matcher, 0, start, end);
      api.lua_gettable(L, 3);
    }
    const result = lua.typeAt(lua.topSlot(L));
    if (api.lua_toboolean(L, -1) === 0) {
      api.lua_settop(L, -2);
      return lua.bytes.toString('latin1', start, end);
    }
    if (result !== TYPE.string && result !== TYPE.number) {
      return lua.raiseAt(L, `invalid replacement value (a ${lua.typeName(result)})`);
    }
    api.lua_tolstring(L, -1, 0);
    return lua.popText(L);
  }

  /** The replacement text with its `%1` and so on filled in. */
  #expandText(L: LuaState, matcher: Matcher, start: number, end: number): string {
    const lua = this.#lua;
    const text = lua.latin1(lua.checkString(L, 3));
    if (!text.includes('%')) return text;
    let result = '';
    for (let i = 0; i < text.length; i++) {
      const character = text.charAt(i);
      if (character !== '%') {
        result += character;
        continue;
      }
      i++;
      const escaped = text.charAt(i);
      if (!/[0-9]/.test(escaped)) result += escaped === '' ? '\0' : escaped;
      else if (escaped === '0') result += lua.bytes.toString('latin1', start, end);
      else {
        this.#pushCapture(L, matcher, Number(escaped) - 1, start, end);
        lua.api.lua_tolstring(L, -1, 0);
        result += lua.popText(L);
      }
    }
    return result;
  }

  /** Pushes all captures, or the whole match if there are none and `start` is given. Returns their number. */
  #pushCaptures(L: LuaState, matcher: Matcher, start: number | null, end: number): number {
    const count = matcher.level === 0 && start !== null ? 1 : matcher.level;
    this.#lua.api.luaL_checkstack(L, count, this.#lua.cText('too many captures'));
    for (let index = 0; index < count; index++) this.#pushCapture(L, matcher, index, start ?? 0, end);
    return count;
  }

  #pushCapture(L: LuaState, matcher: Matcher, index: number, start: number, end: number): void {
    const lua = this.#lua;
    if (index >= matcher.level) {
      if (index !== 0) throw new PatternError('invalid capture index');
      lua.pushBytes(L, lua.u8.slice(start, end));
      return;
    }
    const length = matcher.lengths[index] as number;
    const from = matcher.starts[index] as number;
    if (length === CAPTURE_MARKS.unfinished) throw new PatternError('unfinished capture');
    if (length === CAPTURE_MARKS.position) lua.api.lua_pushnumber(L, from - matcher.subjectStart + 1);
    else lua.pushBytes(L, lua.u8.slice(from, from + length));
  }

  #matcher(L: LuaState, subject: number, pattern: number): Matcher {
    return new Matcher(this.#lua, subject, pattern, (steps) => this.#budget.charge(L, steps));
  }

  /** Turns the matcher's errors into Lua's. Errors of Lua itself are numbers, and pass. */
  #counted(L: LuaState, body: () => number): number {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      return this.#lua.raiseAt(L, error.message);
    }
  }
}
