/** The first line `#!lua flags=…` of a script, its words split as sdssplitargs does (eval.c evalExtractShebangFlags). */
import { splitQuotedWords } from '../base/quoted-words.ts';
import { ErrorReply } from '../resp/reply.ts';

const FLAGS = ['no-writes', 'allow-oom', 'allow-stale', 'no-cluster', 'allow-cross-slot-keys'];
const NEWLINE = 0x0a;
const NUL = 0;

export interface Shebang {
  /** Bytes of the line, without its end; 0 if there is none. The rest is the program, so lines keep their numbers. */
  readonly length: number;
  /** Null without a line: then the script may write, and is checked command by command. */
  readonly flags: readonly string[] | null;
}

const NONE: Shebang = { length: 0, flags: null };

export function parseShebang(body: Uint8Array): Shebang | ErrorReply {
  if (body[0] !== 0x23 || body[1] !== 0x21) return NONE;
  const end = body.indexOf(NEWLINE);
  const nul = body.indexOf(NUL);
  // C's strchr sees nothing behind a NUL.
  if (end === -1 || (nul !== -1 && nul < end)) return new ErrorReply('ERR Invalid script shebang');
  const words = splitQuotedWords(Buffer.from(body.subarray(0, end)).toString('latin1'));
  if (words === null) return new ErrorReply('ERR Invalid engine in script shebang');
  const [engine = '', ...options] = words;
  if (engine !== '#!lua') return new ErrorReply(`ERR Unexpected engine in script shebang: ${engine}`);
  const flags: string[] = [];
  for (const option of options) {
    if (!option.startsWith('flags=')) {
      return new ErrorReply(`ERR Unknown lua shebang option: ${option}`);
    }
    const list = option.slice('flags='.length);
    for (const flag of list === '' ? [] : list.split(',')) {
      if (!FLAGS.includes(flag)) return new ErrorReply(`ERR Unexpected flag in script shebang: ${flag}`);
      flags.push(flag);
    }
  }
  return { length: end, flags };
}
