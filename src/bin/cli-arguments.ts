/** The command line of kahuna-cli: options in front, as redis-cli names them, then a command. */
import { KahunaError } from '../base/errors.ts';
import type { RenderStyle } from '../resp/render.ts';

export interface CliOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Empty = no AUTH. */
  readonly password: string;
  readonly database: number;
  readonly protocol: 2 | 3;
  /** Null = for a terminal if standard output is one, else raw. */
  readonly style: RenderStyle | null;
  /** One character a byte; empty = commands are read from standard input. */
  readonly command: readonly string[];
}

export type CliRequest =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'run'; readonly options: CliOptions };

export const CLI_USAGE = `Usage: kahuna-cli [options] [command [argument…]]

  -h, --host HOST      server (127.0.0.1)
  -p, --port PORT      port (6379)
  -a, --pass PASSWORD  password; better in the environment: KAHUNACLI_AUTH or REDISCLI_AUTH
      --user NAME      user of the password (default)
  -n DATABASE          database to select (0)
  -2, -3               RESP2, RESP3 (RESP3)
      --json           each reply as one line of JSON
      --raw, --no-raw  replies without, with quotes and types (raw unless standard output is a terminal)
      --help, --version

Without a command, commands are read from standard input: with a prompt, history and completion on a terminal, one a
line otherwise. Exit code: 0, 1 if a command was answered with an error, 2 without a connection, 64 for wrong options.
`;

/** Throws KahunaError 'USAGE'. */
export function readCliArguments(words: readonly string[], environment: NodeJS.ProcessEnv): CliRequest {
  let host = '127.0.0.1';
  let port = 6379;
  let user = '';
  let password = environment['KAHUNACLI_AUTH'] ?? environment['REDISCLI_AUTH'] ?? '';
  let database = 0;
  let protocol: 2 | 3 = 3;
  let style: RenderStyle | null = null;
  let at = 0;
  const value = (option: string): string => {
    const word = words[++at];
    if (word === undefined) throw new KahunaError('USAGE', `${option}: a value is missing`);
    return word;
  };
  const integer = (option: string, max: number): number => {
    const text = value(option);
    const number = Number(text);
    if (!/^[0-9]+$/.test(text) || number > max) {
      throw new KahunaError('USAGE', `${option}: ${text} is not an integer from 0 to ${max}`);
    }
    return number;
  };
  for (; at < words.length; at++) {
    const word = words[at] ?? '';
    if (!word.startsWith('-') || word === '-') break;
    switch (word) {
      case '-h':
      case '--host':
        // `-h` alone asks for help, as with redis-cli.
        if (words.length === 1) return { kind: 'help' };
        host = value(word);
        break;
      case '-p':
      case '--port':
        port = integer(word, 65_535);
        break;
      case '-a':
      case '--pass':
        password = value(word);
        break;
      case '--user':
        user = value(word);
        break;
      case '-n':
        database = integer(word, 15);
        break;
      case '-2':
        protocol = 2;
        break;
      case '-3':
        protocol = 3;
        break;
      case '--json':
        style = 'json';
        break;
      case '--raw':
        style = 'raw';
        break;
      case '--no-raw':
        style = 'terminal';
        break;
      case '--help':
        return { kind: 'help' };
      case '--version':
      case '-v':
        return { kind: 'version' };
      default:
        throw new KahunaError('USAGE', `${word}: no such option (see --help)`);
    }
  }
  const command = words.slice(at).map((word) => Buffer.from(word, 'utf8').toString('latin1'));
  return { kind: 'run', options: { host, port, user, password, database, protocol, style, command } };
}
