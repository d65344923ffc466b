/** The command line of kahuna-cli: the options of redis-cli that people use every day. */

export interface CliOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: number;
  readonly protocol: 2 | 3;
  /** 'auto' is for people on a terminal and raw in a pipe; 'json' is one line a reply. */
  readonly output: 'auto' | 'raw' | 'people' | 'json';
  readonly repeat: number;
  readonly intervalMs: number;
  /** Commands to send, or nothing: then they are read from standard input. */
  readonly command: readonly string[];
}

export const CLI_HELP = `kahuna-cli [options] [command [argument…]]

  -h host      host (127.0.0.1)           -p port   port (6379)
  -a password  password (or KAHUNA_CLI_PASSWORD in the environment)
  --user name  user (default)             -n db     database (0)
  -2, -3       protocol (3)               -r count  send the command so often
  -i seconds   pause between them         --raw, --no-raw   output for programs, for people
  --json       one line of JSON a reply   --help, --version

Without a command, commands are read from standard input, one a line, quoted as in redis-cli.
Besides the server's commands:  status   nodes and partitions of the cluster     help [command]     exit
Exit code: 0; 1 if a command was answered with an error; 2 without a connection; 64 for wrong options.
`;

export type CliRequest = { readonly kind: 'run'; readonly options: CliOptions } | { readonly kind: 'help' | 'version' };

/** Throws an Error that says what is wrong. */
export function readCliOptions(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CliRequest {
  const options = {
    host: '127.0.0.1',
    port: 6379,
    user: 'default',
    password: environment['KAHUNA_CLI_PASSWORD'] ?? environment['REDISCLI_AUTH'] ?? '',
    database: 0,
    protocol: 3 as 2 | 3,
    output: 'auto' as CliOptions['output'],
    repeat: 1,
    intervalMs: 0,
  };
  let i = 0;
  const value = (): string => {
    const text = argv[++i];
    if (text === undefined) throw new Error(`${argv[i - 1] ?? ''} needs a value`);
    return text;
  };
  const number = (max: number, pattern = /^\d+$/): number => {
    const option = argv[i];
    const text = value();
    const read = Number(text);
    if (!pattern.test(text) || read > max) throw new Error(`${option ?? ''} needs a number of at most ${max}`);
    return read;
  };
  for (; i < argv.length; i++) {
    switch (argv[i]) {
      case '-h':
        options.host = value();
        break;
      case '-p':
        options.port = number(65_535);
        break;
      case '-a':
      case '--pass':
        options.password = value();
        break;
      case '--user':
        options.user = value();
        break;
      case '-n':
        options.database = number(15);
        break;
      case '-2':
        options.protocol = 2;
        break;
      case '-3':
        options.protocol = 3;
        break;
      case '-r':
        options.repeat = number(1e9);
        break;
      case '-i':
        options.intervalMs = number(1e6, /^\d+(\.\d+)?$/) * 1000;
        break;
      case '--raw':
        options.output = 'raw';
        break;
      case '--json':
        options.output = 'json';
        break;
      case '--no-raw':
        options.output = 'people';
        break;
      case '--help':
        return { kind: 'help' };
      case '--version':
        return { kind: 'version' };
      default:
        if (argv[i]?.startsWith('-') === true) throw new Error(`unknown option ${argv[i] ?? ''}`);
        return { kind: 'run', options: { ...options, command: argv.slice(i) } };
    }
  }
  return { kind: 'run', options: { ...options, command: [] } };
}
