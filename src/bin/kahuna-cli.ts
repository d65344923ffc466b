#!/usr/bin/env node
/** The command-line client: one command, or a session on standard input. */
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { splitQuotedWords } from '../base/quoted-words.ts';
import { readVersion } from '../node/version.ts';
import { ErrorReply, type Reply } from '../resp/reply.ts';
import { CliConnection } from './cli-connection.ts';
import { formatForPeople, formatRaw } from './cli-format.ts';
import { CLI_HELP, type CliOptions, readCliOptions } from './cli-options.ts';
import { clusterStatus } from './cli-status.ts';

const USAGE_EXIT_CODE = 64;
/** Commands that go on answering until the connection ends. */
const ENDLESS: ReadonlySet<string> = new Set(['MONITOR', 'SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE']);

async function main(): Promise<number> {
  const request = readRequest();
  if (request === null) return USAGE_EXIT_CODE;
  if (request.kind === 'help') process.stdout.write(CLI_HELP);
  if (request.kind === 'version') process.stdout.write(`kahuna-cli ${readVersion()}\n`);
  if (request.kind !== 'run') return 0;
  const client = new Client(request.options);
  return request.options.command.length === 0 ? client.converse() : client.runOnce();
}

function readRequest(): ReturnType<typeof readCliOptions> | null {
  try {
    return readCliOptions(process.argv.slice(2), process.env);
  } catch (error) {
    process.stderr.write(`kahuna-cli: ${messageOf(error)}\n${CLI_HELP}`);
    return null;
  }
}

class Client {
  readonly #options: CliOptions;
  readonly #show: (reply: Reply) => string;
  #connection: CliConnection | null = null;

  constructor(options: CliOptions) {
    this.#options = options;
    const isRaw = options.output === 'raw' || (options.output === 'auto' && !process.stdout.isTTY);
    this.#show = isRaw ? formatRaw : formatForPeople;
  }

  /** The command of the command line, as often as asked; 1 if the last answer was an error. */
  async runOnce(): Promise<number> {
    const { command, repeat, intervalMs } = this.#options;
    const argv = command.map((argument) => Buffer.from(argument, 'utf8').toString('latin1'));
    let isFailed = false;
    for (let i = 0; i < repeat; i++) {
      if (i > 0 && intervalMs > 0) await pause(intervalMs);
      isFailed = !(await this.#run(argv));
    }
    if (ENDLESS.has((argv[0] ?? '').toUpperCase()) && !isFailed) await new Promise(() => undefined);
    this.#connection?.close();
    return isFailed ? 1 : 0;
  }

  /** Lines of standard input until it ends. */
  async converse(): Promise<number> {
    const { host, port } = this.#options;
    const isTerminal = process.stdin.isTTY;
    const lines = createInterface({
      input: process.stdin,
      ...(isTerminal ? { output: process.stdout, prompt: `${host}:${port}> `, historySize: 1000 } : {}),
    });
    if (isTerminal) lines.prompt();
    for await (const line of lines) {
      const words = splitQuotedWords(Buffer.from(line, 'utf8').toString('latin1'));
      if (words === null) this.#print('Invalid argument(s)\n');
      else if (/^(exit|quit)$/i.test(words[0] ?? '')) break;
      else if (words.length > 0) await this.#run(words);
      if (isTerminal) lines.prompt();
    }
    lines.close();
    this.#connection?.close();
    return 0;
  }

  /** False if the answer was an error. */
  async #run(argv: readonly string[]): Promise<boolean> {
    try {
      const connection = await this.#connect();
      const name = (argv[0] ?? '').toUpperCase();
      if (name === 'STATUS' && argv.length === 1) {
        this.#print(await clusterStatus(connection));
        return true;
      }
      if (name === 'HELP') {
        this.#print(
          argv.length === 1
            ? CLI_HELP
            : formatForPeople(await connection.send(['COMMAND', 'DOCS', argv.slice(1).join('|')])),
        );
        return true;
      }
      const reply = await connection.send(argv);
      this.#print(this.#show(reply));
      return !(reply instanceof ErrorReply);
    } catch (error) {
      process.stderr.write(`kahuna-cli: ${messageOf(error)}\n`);
      return false;
    }
  }

  /** The open connection, or a new one that is greeted and authenticated. */
  async #connect(): Promise<CliConnection> {
    if (this.#connection?.isOpen === true) return this.#connection;
    const { host, port, user, password, database, protocol } = this.#options;
    const connection = await CliConnection.open(host, port, (reply) => {
      this.#print(this.#show(reply));
    });
    const login =
      password === '' ? [] : ['AUTH', user, password].map((word) => Buffer.from(word, 'utf8').toString('latin1'));
    await mustSucceed(connection.send(['HELLO', String(protocol), ...login]));
    if (database !== 0) await mustSucceed(connection.send(['SELECT', String(database)]));
    this.#connection = connection;
    return connection;
  }

  /** Texts hold one byte a character. */
  #print(text: string): void {
    process.stdout.write(Buffer.from(text, 'latin1'));
  }
}

async function mustSucceed(answer: Promise<Reply>): Promise<void> {
  const reply = await answer;
  if (reply instanceof ErrorReply && !reply.text.startsWith('NOAUTH')) throw new Error(reply.text);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

process.exitCode = await main();
