/** Proves word splitting by golden cases (probed on redis-server as inline requests), and that quoting reads back. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { quoteWord, splitQuotedWords } from '../../src/base/quoted-words.ts';

describe('base/quoted-words', () => {
  const golden: readonly (readonly [string, string[] | null])[] = [
    ['', []],
    [' \t\v\f', []],
    ['a b', ['a', 'b']],
    ['a\vb', ['a\vb']],
    ['"a b" c', ['a b', 'c']],
    ["'a b' c", ['a b', 'c']],
    ['""', ['']],
    ['a"b c"', ['ab c']],
    [String.raw`"\n\r\t\b\a\\\"\x41\xg"`, ['\n\r\t\b\x07\\"Axg']],
    [String.raw`'\n\''`, [String.raw`\n'`]],
    [String.raw`a\nb`, [String.raw`a\nb`]],
    ['"a', null],
    ["'a", null],
    ['"a"b', null],
    ["'a'b", null],
    ['"a\\"', null],
    ['a\0', null],
  ];
  for (const [line, words] of golden) {
    it(`${JSON.stringify(line)} gives ${JSON.stringify(words)}`, () => {
      assert.deepEqual(splitQuotedWords(line), words);
    });
  }

  it('any words, quoted, are one line that reads back as the same words', () => {
    const word = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), (words) => {
        const line = words.map(quoteWord).join(' ');
        assert.match(line, /^[ -~]*$/);
        assert.deepEqual(splitQuotedWords(line), words);
      }),
      { numRuns: 1000 },
    );
  });

  it('plain words are not quoted', () => {
    for (const word of ['yes', '127.0.0.1', '/var/lib', 'n1=h:1,n2=h:2', '100mb']) assert.equal(quoteWord(word), word);
    assert.equal(quoteWord('a#b'), 'a#b');
    assert.equal(quoteWord(''), '""');
    assert.equal(quoteWord('a b'), '"a b"');
  });
});
