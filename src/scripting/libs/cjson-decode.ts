/**
 * cjson.decode: JSON to Lua values, as lua-cjson 2.1.0 reads it. Where C finds the NUL that ends its strings, the text
 * ends for this parser too, so what follows a NUL is never looked at. Errors name the token and its place.
 */
import type { Budget } from '../budget.ts';
import type { Lua } from '../lua.ts';
import type { LuaState } from '../wasm.ts';
import type { CjsonSettings } from './cjson-settings.ts';

const SLOTS_FOR_OBJECT = 3;
const SLOTS_FOR_ARRAY = 2;
/** Nesting that our own recursion stands, whatever the settings allow; in C the slots of Lua's stack are the bound. */
const DEPTH_MAX = 1_500;

type Token =
  | 'T_OBJ_BEGIN'
  | 'T_OBJ_END'
  | 'T_ARR_BEGIN'
  | 'T_ARR_END'
  | 'T_STRING'
  | 'T_NUMBER'
  | 'T_BOOLEAN'
  | 'T_NULL'
  | 'T_COLON'
  | 'T_COMMA'
  | 'T_END'
  | 'T_ERROR';

const PUNCTUATION: Readonly<Record<string, Token>> = {
  '{': 'T_OBJ_BEGIN',
  '}': 'T_OBJ_END',
  '[': 'T_ARR_BEGIN',
  ']': 'T_ARR_END',
  ':': 'T_COLON',
  ',': 'T_COMMA',
};
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
};

const HEX4 = /[0-9a-fA-F]{4}/y;
const PLAIN_CHARACTERS = /[^"\\\0]*/y;
/** What strtod reads, sign included. */
const NUMBER =
  /[-+]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][-+]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN](?:\([0-9A-Za-z_]*\))?)/y;

export function decodeJson(lua: Lua, budget: Budget, L: LuaState, settings: CjsonSettings): number {
  const text = lua.latin1(lua.checkString(L, 1));
  budget.charge(L, text.length);
  if (text.length >= 2 && (text.charCodeAt(0) === 0 || text.charCodeAt(1) === 0)) {
    return lua.raiseAt(L, 'JSON parser does not support UTF-16 or UTF-32');
  }
  new Decoder(lua, L, text, settings).document();
  return 1;
}

class Decoder {
  readonly #lua: Lua;
  readonly #L: LuaState;
  readonly #text: string;
  readonly #settings: CjsonSettings;
  #at = 0;
  #depth = 0;
  /** The last token, where it began, and its value or, for T_ERROR, what is wrong. */
  #token: Token = 'T_END';
  #tokenAt = 0;
  #string = '';
  #number = 0;

  constructor(lua: Lua, L: LuaState, text: string, settings: CjsonSettings) {
    this.#lua = lua;
    this.#L = L;
    this.#text = text;
    this.#settings = settings;
  }

  /** Pushes the value of the whole text. */
  document(): void {
    this.#next();
    this.#value();
    if (this.#next() !== 'T_END') this.#expected('the end');
  }

  #value(): void {
    const { api } = this.#lua;
    switch (this.#token) {
      case 'T_STRING':
        return this.#lua.pushLatin1(this.#L, this.#string);
      case 'T_NUMBER':
        return api.lua_pushnumber(this.#L, this.#number);
      case 'T_BOOLEAN':
        return api.lua_pushboolean(this.#L, this.#number);
      case 'T_NULL':
        return api.lua_pushlightuserdata(this.#L, 0);
      case 'T_OBJ_BEGIN':
        return this.#object();
      case 'T_ARR_BEGIN':
        return this.#array();
      default:
        return this.#expected('value');
    }
  }

  #object(): void {
    const { api } = this.#lua;
    this.#descend(SLOTS_FOR_OBJECT);
    api.lua_createtable(this.#L, 0, 0);
    let token = this.#next();
    while (token !== 'T_OBJ_END') {
      if (token !== 'T_STRING') this.#expected('object key string');
      this.#lua.pushLatin1(this.#L, this.#string);
      if (this.#next() !== 'T_COLON') this.#expected('colon');
      this.#next();
      this.#value();
      api.lua_rawset(this.#L, -3);
      token = this.#next();
      if (token === 'T_OBJ_END') break;
      if (token !== 'T_COMMA') this.#expected('comma or object end');
      token = this.#next();
      // After a comma an object does not end.
      if (token === 'T_OBJ_END') this.#expected('object key string');
    }
    this.#depth--;
  }

  #array(): void {
    const { api } = this.#lua;
    this.#descend(SLOTS_FOR_ARRAY);
    api.lua_createtable(this.#L, 0, 0);
    let token = this.#next();
    for (let index = 1; token !== 'T_ARR_END'; index++) {
      this.#value();
      api.lua_rawseti(this.#L, -2, index);
      token = this.#next();
      if (token === 'T_ARR_END') break;
      if (token !== 'T_COMMA') this.#expected('comma or array end');
      // A value must follow; that it does not is for #value to say.
      this.#next();
    }
    this.#depth--;
  }

  #descend(slots: number): void {
    this.#depth++;
    const fits = this.#depth <= DEPTH_MAX && this.#lua.api.lua_checkstack(this.#L, slots) !== 0;
    if (this.#depth > this.#settings.decodeDepthMax || !fits) {
      this.#lua.raiseAt(this.#L, `Found too many nested data structures (${this.#depth}) at character ${this.#at}`);
    }
  }

  /** Reads the next token. */
  #next(): Token {
    this.#readToken();
    return this.#token;
  }

  #readToken(): void {
    const text = this.#text;
    let code = text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = text.charCodeAt(++this.#at);
    this.#tokenAt = this.#at;
    const character = text.charAt(this.#at);
    if (character === '' || character === '\0') {
      this.#token = 'T_END';
      return;
    }
    const punctuation = PUNCTUATION[character];
    if (punctuation !== undefined) {
      this.#token = punctuation;
      this.#at++;
    } else if (character === '"') this.#readString();
    else if (character === '-' || (character >= '0' && character <= '9')) {
      if (!this.#settings.decodeInvalidNumbers && this.#isOddNumber()) this.#fail('invalid number');
      else this.#readNumber();
    } else if (text.startsWith('true', this.#at)) this.#word('T_BOOLEAN', 'true');
    else if (text.startsWith('false', this.#at)) this.#word('T_BOOLEAN', 'false');
    else if (text.startsWith('null', this.#at)) this.#word('T_NULL', 'null');
    else if ('+iInN'.includes(character) && this.#settings.decodeInvalidNumbers && this.#isOddNumber())
      this.#readNumber();
    else this.#fail('invalid token');
  }

  #word(token: Token, word: string): void {
    this.#token = token;
    this.#number = word === 'true' ? 1 : 0;
    this.#at += word.length;
  }

  /** A number that strtod may read though JSON has none such: with plus, leading zero, hexadecimal, inf, nan. */
  #isOddNumber(): boolean {
    const text = this.#text;
    let at = this.#at;
    if (text.charAt(at) === '+') return true;
    if (text.charAt(at) === '-') at++;
    const first = text.charAt(at);
    if (first === '0') return /[xX0-9]/.test(text.charAt(at + 1));
    if (first <= '9') return false;
    return /^(?:inf|nan)/i.test(text.slice(at, at + 3));
  }

  #readNumber(): void {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) {
      this.#fail('invalid number');
      return;
    }
    this.#token = 'T_NUMBER';
    this.#number = parseNumber(match[0]);
    this.#at += match[0].length;
  }

  #readString(): void {
    const text = this.#text;
    this.#at++;
    this.#string = '';
    for (;;) {
      PLAIN_CHARACTERS.lastIndex = this.#at;
      const plain = PLAIN_CHARACTERS.exec(text)?.[0] ?? '';
      this.#string += plain;
      this.#at += plain.length;
      const character = text.charAt(this.#at);
      if (character === '"') break;
      if (character !== '\\') {
        this.#fail('unexpected end of string');
        return;
      }
      const escape = text.charAt(this.#at + 1);
      if (escape === 'u') {
        if (!this.#readUnicode()) {
          this.#fail('invalid unicode escape code');
          return;
        }
        continue;
      }
      const unescaped = ESCAPES[escape];
      if (unescaped === undefined) {
        this.#fail('invalid escape code');
        return;
      }
      this.#string += unescaped;
      this.#at += 2;
    }
    this.#at++;
    this.#token = 'T_STRING';
  }

  /** `\uXXXX`, or two of them for a surrogate pair, as UTF-8. False if they are malformed; then nothing moved. */
  #readUnicode(): boolean {
    let point = this.#hex4(this.#at + 2);
    if (point === -1) return false;
    let length = 6;
    if ((point & 0xf800) === 0xd800) {
      if ((point & 0x400) !== 0 || !this.#text.startsWith('\\u', this.#at + 6)) return false;
      const low = this.#hex4(this.#at + 8);
      if (low === -1 || (low & 0xfc00) !== 0xdc00) return false;
      point = (((point & 0x3ff) << 10) | (low & 0x3ff)) + 0x1_0000;
      length = 12;
    }
    this.#string += Buffer.from(String.fromCodePoint(point), 'utf8').toString('latin1');
    this.#at += length;
    return true;
  }

  #hex4(at: number): number {
    HEX4.lastIndex = at;
    const digits = HEX4.exec(this.#text)?.[0];
    return digits === undefined ? -1 : Number.parseInt(digits, 16);
  }

  /** Makes the token an error at the present place. */
  #fail(what: string): void {
    this.#token = 'T_ERROR';
    this.#tokenAt = this.#at;
    this.#string = what;
  }

  #expected(what: string): never {
    const found = this.#token === 'T_ERROR' ? this.#string : this.#token;
    return this.#lua.raiseAt(this.#L, `Expected ${what} but found ${found} at character ${this.#tokenAt + 1}`);
  }
}

/** As strtod; the text is one that NUMBER matches. */
function parseNumber(text: string): number {
  const isNegative = text.startsWith('-');
  const magnitude = /^[-+]/.test(text) ? text.slice(1) : text;
  let value: number;
  if (/^i/i.test(magnitude)) value = Number.POSITIVE_INFINITY;
  else if (/^n/i.test(magnitude)) value = Number.NaN;
  else if (/^0x/i.test(magnitude)) value = parseHexadecimal(magnitude.slice(2));
  else value = Number(magnitude);
  return isNegative ? -value : value;
}

function parseHexadecimal(text: string): number {
  const [mantissa = '', power = '0'] = text.toLowerCase().split('p');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const scaled = Number(BigInt(`0x0${whole}${fraction}`));
  return scaled * 2 ** (Number(power) - 4 * fraction.length);
}
