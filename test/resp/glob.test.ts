/** Proves the glob matcher by golden cases (probed on Redis), and against a recursive twin written after the C source. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileGlob, matchesGlob } from '../../src/resp/glob.ts';

describe('resp/glob', () => {
  const golden: readonly (readonly [string, string, boolean])[] = [
    ['', '', true],
    ['', 'a', false],
    ['a', '', false],
    ['*', '', false],
    ['*', 'a', true],
    ['**', 'ab', true],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h*llo', 'hllo', true],
    ['h*llo', 'heeeello', true],
    ['h[ae]llo', 'hallo', true],
    ['h[ae]llo', 'hillo', false],
    ['h[^e]llo', 'hallo', true],
    ['h[^e]llo', 'hello', false],
    ['h[a-b]llo', 'hbllo', true],
    ['h[b-a]llo', 'hallo', true],
    ['h[a-b]llo', 'hcllo', false],
    ['a\\*c', 'a*c', true],
    ['a\\*c', 'abc', false],
    ['[\\]]', ']', true],
    ['[a', 'a', true],
    ['[', 'a', false],
    ['[]', 'a', false],
    ['[^]', 'a', true],
    ['a\\', 'a\\', true],
    ['\\', '\\', true],
    ['[a-]', '-', false],
    ['[a-]', 'a', true],
    ['a*b*c', 'aXbYc', true],
    ['a*b*c', 'aXbY', false],
    ['*a', 'ba', true],
    ['*a', 'b', false],
    ['a*', 'a', true],
    ['a**', 'a', true],
    ['\xe0*', '\xe0\xff', true],
    ['[\x80-\xff]', '\xc3', true],
    ['[a-\xff]', 'b', false],
    ['[a-\xff]', 'A', true],
    ['?', '\xff', true],
  ];
  for (const [pattern, text, isMatch] of golden) {
    it(`${JSON.stringify(pattern)} ${isMatch ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
      assert.equal(matchesGlob(pattern, text), isMatch);
      assert.equal(compileGlob(pattern)(text), isMatch);
      assert.equal(twin(pattern, text, false), isMatch);
    });
  }

  it('case is ignored on request, for ASCII letters', () => {
    const options = { ignoreCase: true };
    assert.ok(matchesGlob('MAX*', 'maxmemory', options));
    assert.ok(compileGlob('maxMemory', options)('MAXmemory'));
    assert.ok(matchesGlob('[A-C]x', 'bX', options));
    assert.equal(matchesGlob('\xc0', '\xe0', options), false);
  });

  it('agrees with the recursive twin', () => {
    const pattern = fc.array(fc.constantFrom(...'*?[]^-\\abAB\xe9'), { maxLength: 8 }).map((chars) => chars.join(''));
    const text = fc.array(fc.constantFrom(...'abAB]-\xe9\\'), { maxLength: 8 }).map((chars) => chars.join(''));
    fc.assert(
      fc.property(pattern, text, fc.boolean(), (p, t, ignoreCase) => {
        assert.equal(matchesGlob(p, t, { ignoreCase }), twin(p, t, ignoreCase));
        assert.equal(compileGlob(p, { ignoreCase })(t), twin(p, t, ignoreCase));
      }),
      { numRuns: 20_000 },
    );
  });

  it('a bomb ends in "no match" after bounded work', () => {
    const text = 'a'.repeat(100_000);
    assert.equal(matchesGlob(`${'a*'.repeat(900)}b`, text), false);
    assert.equal(matchesGlob(`*${'a'.repeat(50_000)}b`, text), false);
    assert.equal(matchesGlob('a*'.repeat(2000), text), false);
    assert.equal(matchesGlob('*a'.repeat(500), text), true);
  });
});

/** Redis 7.2 src/util.c stringmatchlen_impl, retold with slices; exponential, for short inputs. */
function twin(pattern: string, text: string, fold: boolean): boolean {
  const low = (char: string): string => (fold ? char.replace(/[A-Z]/, (letter) => letter.toLowerCase()) : char);
  const signed = (char: string): number => {
    const code = low(char).charCodeAt(0);
    return code > 127 ? code - 256 : code;
  };
  const raw = (char: string): number => (char.charCodeAt(0) > 127 ? char.charCodeAt(0) - 256 : char.charCodeAt(0));
  let p = pattern;
  let t = text;
  while (p !== '' && t !== '') {
    if (p.startsWith('*')) {
      while (p[1] === '*') p = p.slice(1);
      if (p.length === 1) return true;
      for (; t !== ''; t = t.slice(1)) if (twin(p.slice(1), t, fold)) return true;
      return false;
    }
    if (p.startsWith('?')) {
      p = p.slice(1);
    } else if (p.startsWith('[')) {
      p = p.slice(1);
      const isNegated = p.startsWith('^');
      if (isNegated) p = p.slice(1);
      let isMatch = false;
      for (; p !== '' && !p.startsWith(']'); p = p.slice(1)) {
        if (p.length >= 2 && p.startsWith('\\')) {
          p = p.slice(1);
          isMatch ||= p[0] === t[0];
        } else if (p.length >= 3 && p[1] === '-') {
          const swap = raw(p[0] ?? '') > raw(p[2] ?? '');
          const [from, to] = swap ? [p[2] ?? '', p[0] ?? ''] : [p[0] ?? '', p[2] ?? ''];
          isMatch ||= signed(t[0] ?? '') >= signed(from) && signed(t[0] ?? '') <= signed(to);
          p = p.slice(2);
        } else {
          isMatch ||= low(p[0] ?? '') === low(t[0] ?? '');
        }
      }
      p = p.slice(1);
      if (isMatch === isNegated) return false;
    } else {
      if (p.length >= 2 && p.startsWith('\\')) p = p.slice(1);
      if (low(p[0] ?? '') !== low(t[0] ?? '')) return false;
      p = p.slice(1);
    }
    t = t.slice(1);
    if (t === '') p = p.replace(/^\*+/, '');
  }
  return p === '' && t === '';
}
