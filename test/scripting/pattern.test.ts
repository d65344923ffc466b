/**
 * Our own pattern matcher agrees with Lua's: random subjects and patterns over a small alphabet go to both, errors
 * included. Lua's matcher is the native `string.find` of a bare state, without the guards that choose between the two.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Lua, STATUS, TYPE } from '../../src/scripting/lua.ts';
import { CAPTURE_MARKS, estimateSteps, Matcher, PatternError } from '../../src/scripting/pattern.ts';
import { loadLuaModule } from '../../src/scripting/wasm.ts';

const MEMORY_BYTES = 32 * 1024 * 1024;

describe('pattern matcher', () => {
  let lua: Lua;

  before(async () => {
    lua = new Lua(await loadLuaModule(), MEMORY_BYTES);
    lua.verifyLayout();
    lua.api.luaopen_base(lua.main);
    lua.api.luaopen_string(lua.main);
    lua.api.lua_settop(lua.main, 0);
  });

  /** Start and end of the first match and the captures, or the error. */
  function byLua(subject: string, pattern: string): unknown {
    const { api, main: L } = lua;
    lua.load(L, Buffer.from('return string.find(...)'), '=x');
    lua.pushLatin1(L, subject);
    lua.pushLatin1(L, pattern);
    const status = api.lua_pcall(L, 2, -1, 0);
    const results: unknown[] = [];
    for (let index = 1; index <= lua.top(L); index++) {
      const address = lua.slot(L, index);
      results.push(lua.typeAt(address) === TYPE.number ? lua.numberAt(address) : lua.describe(L, index));
    }
    api.lua_settop(L, 0);
    return status === STATUS.ok ? results : `error: ${String(results[0]).replace(/^x:1: /, '')}`;
  }

  function byMatcher(subject: string, pattern: string): unknown {
    const { api, main: L } = lua;
    lua.pushLatin1(L, subject);
    lua.pushLatin1(L, pattern);
    const string = lua.pointerAt(lua.slot(L, 2));
    const matcher = new Matcher(lua, lua.pointerAt(lua.slot(L, 1)), string, () => {});
    try {
      return search(matcher, lua.stringStart(string));
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      return `error: ${error.message}`;
    } finally {
      api.lua_settop(L, 0);
    }
  }

  function search(matcher: Matcher, pattern: number): unknown {
    const isAnchored = lua.u8[pattern] === 0x5e;
    for (let at = matcher.subjectStart; at <= matcher.subjectEnd; at++) {
      const end = matcher.matchAt(at, isAnchored ? pattern + 1 : pattern);
      if (end !== -1) {
        const results: unknown[] = [at - matcher.subjectStart + 1, end - matcher.subjectStart];
        for (let index = 0; index < matcher.level; index++) {
          const length = matcher.lengths[index] as number;
          const start = matcher.starts[index] as number;
          if (length === CAPTURE_MARKS.unfinished) throw new PatternError('unfinished capture');
          if (length === CAPTURE_MARKS.position) results.push(start - matcher.subjectStart + 1);
          else results.push(lua.bytes.toString('latin1', start, start + length));
        }
        return results;
      }
      if (isAnchored) break;
    }
    return ['nil'];
  }

  it('agrees with Lua on any pattern', () => {
    const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
    const item = fc.constantFrom(
      'a',
      'b',
      'c',
      '.',
      '%a',
      '%d',
      '%s',
      '%w',
      '%A',
      '%p',
      '%x',
      '%l',
      '%u',
      '%c',
      '%z',
      '[ab]',
      '[^a]',
      '[a-c]',
      '[%a-]',
      '[]]',
      '[^]]',
      '[%d%s]',
      '%%',
      '%.',
      '(',
      ')',
      '()',
      '(a)',
      '(.)',
      '%1',
      '%2',
      '%b()',
      '%bab',
      '%f[a]',
      '%f[%W]',
      '$',
      '^',
      '[',
      ']',
      '%',
      '-',
      '1',
      ' ',
      '(',
      ')',
      '\xe9',
      '%\xe9',
      '[\x80-\xff]',
    );
    const suffixed = fc
      .tuple(item, fc.constantFrom('', '', '', '*', '+', '-', '?'))
      .map(([what, suffix]) => what + suffix);
    const pattern = fc.array(suffixed, { maxLength: 7 }).map((items) => items.join(''));
    const subject = fc
      .array(fc.constantFrom('a', 'b', 'c', 'A', '1', ' ', '(', ')', '.', '-', '\xe9', '\0'), { maxLength: 12 })
      .map((letters) => letters.join(''));
    fc.assert(
      fc.property(subject, pattern, (text, items) => {
        // Without special characters `find` does not look at the pattern as one.
        if (!/[\^$*+?.([%-]/.test(items)) return;
        assert.deepEqual(byMatcher(text, items), byLua(text, items));
      }),
      { seed, numRuns: 15_000 },
    );
  });

  it('the estimate is never below the steps that were taken', () => {
    const steps = (subject: string, pattern: string): { taken: number; estimated: number } => {
      const { api, main: L } = lua;
      lua.pushLatin1(L, subject);
      lua.pushLatin1(L, pattern);
      const string = lua.pointerAt(lua.slot(L, 2));
      let taken = 0;
      const matcher = new Matcher(lua, lua.pointerAt(lua.slot(L, 1)), string, (count) => {
        taken += count;
      });
      search(matcher, lua.stringStart(string));
      const estimated = estimateSteps(
        lua.u8,
        lua.stringStart(string),
        lua.stringLength(string),
        lua.stringLength(pointer(L)),
      );
      api.lua_settop(L, 0);
      return { taken, estimated };
    };
    const pointer = (L: number): number => lua.pointerAt(lua.slot(L, 1));
    for (const pattern of [
      'a*a*a*b',
      'a-a-b',
      '(a?)a?a?a?b',
      '^a*a*b',
      '.*.*x',
      '%b()%b()x',
      '[ab]*[ab]*c',
      'a+a+a+$b',
    ]) {
      for (const subject of ['a'.repeat(60), '('.repeat(60), 'ab'.repeat(40)]) {
        const { taken, estimated } = steps(subject, pattern);
        assert.ok(taken <= estimated, `${pattern} on ${subject.length}: ${taken} > ${estimated}`);
      }
    }
  });
});
