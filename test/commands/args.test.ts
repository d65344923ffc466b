/** The reader of arguments: each kind taken, each misfit refused with Redis's text. */
import assert from 'node:assert/strict';
import { Args, isToken } from '../../src/commands/args.ts';
import { ReplyError } from '../../src/resp/reply.ts';

function reader(...words: string[]): Args {
  return new Args().reset(
    ['NAME', ...words].map((word) => Buffer.from(word, 'latin1')),
    3,
  );
}

function textOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ReplyError) return error.reply.text;
    throw error;
  }
  return 'no error';
}

describe('arguments', () => {
  it('are read from left to right, one character a byte', () => {
    const args = reader('k\xff', 'v', '12', '9223372036854775807', 'x');
    assert.equal(args.database, 3);
    assert.equal(args.remaining, 5);
    assert.equal(args.key(), 'k\xff');
    assert.equal(args.value(), 'v');
    assert.equal(args.integer(), 12);
    assert.equal(args.integer(), 9223372036854775807n);
    args.skip(1);
    assert.equal(args.remaining, 0);
    args.end();
  });

  it('are read anew after a reset', () => {
    const args = reader('a');
    args.key();
    assert.equal(args.reset([Buffer.from('NAME'), Buffer.from('b')], 0).key(), 'b');
  });

  it('that do not fit are refused', () => {
    assert.equal(
      textOf(() => reader().key()),
      'ERR syntax error',
    );
    assert.equal(
      textOf(() => reader('x').end()),
      'ERR syntax error',
    );
    assert.equal(
      textOf(() => reader('1.5').integer()),
      'ERR value is not an integer or out of range',
    );
    assert.equal(
      textOf(() => reader('x').longDouble()),
      'ERR value is not a valid float',
    );
  });

  it('are taken as words in any case, or left', () => {
    const args = reader('nX', 'EXTRA');
    assert.equal(args.maybeToken('XX'), false);
    assert.equal(args.maybeToken('NX'), true);
    assert.equal(args.maybeToken('EX'), false);
    assert.equal(args.key(), 'EXTRA');
    assert.equal(args.maybeToken('EX'), false);
  });

  it('are words only letter by letter', () => {
    assert.equal(isToken(Buffer.from('with_1'), 'WITH_1'), true);
    assert.equal(isToken(Buffer.from('with\x7f1'), 'WITH_1'), false);
    assert.equal(isToken(Buffer.from('WITH_Q'), 'WITH_1'), false);
    assert.equal(isToken(Buffer.from('\xae\xb8', 'latin1'), 'NX'), false);
  });
});
