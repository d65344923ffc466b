/**
 * cjson.encode: Lua values as JSON, read in Lua's memory. Edge rules are those of lua-cjson 2.1.0: an empty table is an
 * object; keys 1 to n make an array, with null for holes; a very sparse array is an error unless settings convert it;
 * numbers have 14 digits; bytes above 0x7f pass as they are.
 */
import type { Budget } from '../budget.ts';
import { type Lua, TYPE } from '../lua.ts';
import { formatG } from '../numbers.ts';
import type { LuaState } from '../wasm.ts';
import { type CjsonSettings, INVALID_NUMBERS } from './cjson-settings.ts';

/** Nesting that our own recursion stands, whatever the settings allow. */
const DEPTH_MAX = 1_500;
const INT_MAX = 2 ** 31 - 1;
const INT_MIN = -(2 ** 31);

/** Share of the memory limit that the text may take: it is in memory twice when it is handed to Lua. */
const OUTPUT_SHARE = 3;

const NEEDS_ESCAPE = /[\0-\x1f"\\/\x7f]/;
/** By character code; undefined for characters that stand for themselves. */
const ESCAPES: (string | undefined)[] = [];
for (let code = 0; code < 0x20; code++) ESCAPES[code] = `\\u${code.toString(16).padStart(4, '0')}`;
ESCAPES[0x7f] = '\\u007f';
for (const pair of ['\bb', '\tt', '\nn', '\ff', '\rr', '""', '\\\\', '//']) {
  ESCAPES[pair.charCodeAt(0)] = `\\${pair.charAt(1)}`;
}

export function encodeJson(lua: Lua, budget: Budget, L: LuaState, settings: CjsonSettings): number {
  const encoder = new Encoder(lua, budget, L, settings);
  lua.pushLatin1(L, encoder.value(lua.slot(L, 1), 0));
  return 1;
}

class Encoder {
  readonly #lua: Lua;
  readonly #budget: Budget;
  readonly #L: LuaState;
  readonly #settings: CjsonSettings;
  #bytes = 0;

  constructor(lua: Lua, budget: Budget, L: LuaState, settings: CjsonSettings) {
    this.#lua = lua;
    this.#budget = budget;
    this.#L = L;
    this.#settings = settings;
  }

  value(address: number, depth: number): string {
    const lua = this.#lua;
    const type = lua.typeAt(address);
    switch (type) {
      case TYPE.string:
        return this.#string(lua.pointerAt(address));
      case TYPE.number:
        return this.#number(lua.numberAt(address));
      case TYPE.boolean:
        return lua.booleanAt(address) ? 'true' : 'false';
      case TYPE.nil:
        return 'null';
      case TYPE.table:
        return this.#table(lua.tableBehind(lua.pointerAt(address)), depth + 1);
      case TYPE.lightUserdata:
        if (lua.pointerAt(address) === 0) return 'null';
        return this.#refuse(type, 'type not supported');
      default:
        return this.#refuse(type, 'type not supported');
    }
  }

  #string(string: number): string {
    const text = this.#lua.latin1(string);
    if (!NEEDS_ESCAPE.test(text)) {
      this.#count(text.length);
      return `"${text}"`;
    }
    let escaped = '"';
    let copied = 0;
    for (let i = 0; i < text.length; i++) {
      const escape = ESCAPES[text.charCodeAt(i)];
      if (escape === undefined) continue;
      escaped += text.slice(copied, i) + escape;
      copied = i + 1;
      this.#count(escape.length);
    }
    this.#count(text.length);
    return `${escaped}${text.slice(copied)}"`;
  }

  #number(value: number): string {
    if (!Number.isFinite(value)) {
      if (this.#settings.encodeInvalidNumbers === INVALID_NUMBERS.asNull) return 'null';
      if (this.#settings.encodeInvalidNumbers === INVALID_NUMBERS.refuse) {
        return this.#refuse(TYPE.number, 'must not be NaN or Inf');
      }
    }
    return formatG(value, this.#settings.numberPrecision);
  }

  #table(table: number, depth: number): string {
    if (depth > this.#settings.encodeDepthMax || depth > DEPTH_MAX) {
      return this.#lua.raiseAt(this.#L, `Cannot serialise, excessive nesting (${depth})`);
    }
    const length = this.#arrayLength(table);
    return length > 0 ? this.#array(table, length, depth) : this.#object(table, depth);
  }

  /** The greatest key if all keys are positive integers; 0 for an empty table, -1 for an object. */
  #arrayLength(table: number): number {
    const lua = this.#lua;
    let greatest = 0;
    let count = 0;
    for (let at = lua.entryFrom(table, 0); at !== -1; at = lua.entryFrom(table, at + 1)) {
      const address = lua.entryKey(table, at);
      if (address !== 0 && lua.typeAt(address) !== TYPE.number) return -1;
      const key = address === 0 ? at + 1 : lua.numberAt(address);
      if (!(key >= 1 && Math.floor(key) === key)) return -1;
      // C keeps the greatest key in an int, and what does not fit becomes the smallest.
      if (key > greatest) greatest = key > INT_MAX ? INT_MIN : key;
      count++;
    }
    const { sparseRatio, sparseSafe } = this.#settings;
    if (sparseRatio > 0 && greatest > count * sparseRatio && greatest > sparseSafe) {
      if (!this.#settings.convertsSparse) return this.#refuse(TYPE.table, 'excessively sparse array');
      return -1;
    }
    return greatest;
  }

  #array(table: number, length: number, depth: number): string {
    const lua = this.#lua;
    let text = '[';
    for (let index = 1; index <= length; index++) {
      if (index > 1) text += ',';
      this.#count(1);
      const item = lua.itemOf(table, index);
      text += item === 0 ? 'null' : this.value(item, depth);
    }
    return `${text}]`;
  }

  #object(table: number, depth: number): string {
    const lua = this.#lua;
    let text = '{';
    for (let at = lua.entryFrom(table, 0); at !== -1; at = lua.entryFrom(table, at + 1)) {
      if (text.length > 1) text += ',';
      this.#count(1);
      const key = lua.entryKey(table, at);
      const type = key === 0 ? TYPE.number : lua.typeAt(key);
      if (type === TYPE.string) text += this.#string(lua.pointerAt(key));
      else if (type === TYPE.number) text += `"${this.#number(key === 0 ? at + 1 : lua.numberAt(key))}"`;
      else return this.#refuse(type, 'table key must be a number or string');
      text += `:${this.value(lua.entryValue(table, at), depth)}`;
    }
    return `${text}}`;
  }

  /** A table that is reached by many ways can be written many times: what is written is counted. */
  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.charge(this.#L, bytes);
    if (this.#bytes > this.#budget.memoryBytesMax / OUTPUT_SHARE) this.#budget.abortForMemory(this.#L);
  }

  #refuse(type: number, reason: string): never {
    return this.#lua.raiseAt(this.#L, `Cannot serialise ${this.#lua.typeName(type)}: ${reason}`);
  }
}
