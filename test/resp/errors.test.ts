/** Proves the built texts against what redis-server 7.0.15 answered to the same requests. */
import assert from 'node:assert/strict';
import {
  configSetFailed,
  execAbortBecause,
  fail,
  invalidExpireTime,
  OOM,
  SYNTAX_ERROR,
  unknownCommand,
  unknownSubcommand,
  unsupportedOption,
  wrongArity,
} from '../../src/resp/errors.ts';
import { ReplyError } from '../../src/resp/reply.ts';

const argv = (...words: string[]): Buffer[] => words.map((word) => Buffer.from(word, 'latin1'));

describe('resp/errors', () => {
  it('an unknown command shows its name and the beginning of its arguments', () => {
    const cases: readonly (readonly [string[], string])[] = [
      [['foo'], "ERR unknown command 'foo', with args beginning with: "],
      [['foo', 'a', 'b', 'c'], "ERR unknown command 'foo', with args beginning with: 'a' 'b' 'c' "],
      [['foo', 'x\0y'], "ERR unknown command 'foo', with args beginning with: 'x' "],
      [['F\0oo'], "ERR unknown command 'F', with args beginning with: "],
    ];
    for (const [words, text] of cases) assert.equal(unknownCommand(argv(...words)).text, text);
  });

  it('names and previews are cut at 128 bytes as Redis cuts them', () => {
    const long = 'x'.repeat(200);
    const cut = 'x'.repeat(128);
    assert.equal(unknownCommand(argv(long)).text, `ERR unknown command '${cut}', with args beginning with: `);
    assert.equal(
      unknownCommand(argv('f', long, 'y')).text,
      `ERR unknown command 'f', with args beginning with: '${cut}' `,
    );
    const ten = Array.from({ length: 40 }, () => 'abcdefg');
    const shown = `${"'abcdefg' ".repeat(12)}'abcdefg' `;
    assert.equal(unknownCommand(argv('f', ...ten)).text, `ERR unknown command 'f', with args beginning with: ${shown}`);
    assert.equal(
      unknownSubcommand('config', Buffer.from(long)).text,
      `ERR unknown subcommand '${cut}'. Try CONFIG HELP.`,
    );
  });

  it('names are shown in the letter case of Redis', () => {
    assert.equal(wrongArity('CLIENT|KILL').text, "ERR wrong number of arguments for 'client|kill' command");
    assert.equal(invalidExpireTime('SETEX').text, "ERR invalid expire time in 'setex' command");
    assert.equal(unsupportedOption('foo').text, 'ERR Unsupported option foo');
    assert.equal(
      configSetFailed('timeout', 'duplicate parameter').text,
      "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
    );
    assert.equal(
      execAbortBecause(OOM).text,
      "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
    );
  });

  it('fail throws the reply itself', () => {
    assert.throws(
      () => fail(SYNTAX_ERROR),
      (error) => error instanceof ReplyError && error.reply === SYNTAX_ERROR,
    );
  });
});
