#!/usr/bin/env node
/** The command-line client: one command, or a session on standard input. */
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { KahunaError } from '../base/errors.ts';
import { splitQuotedWords } from '../base/quoted-words.ts';
import { CommandClient } from '../node/command-client.ts';
import { readVersion } from '../node/version.ts';
import { ErrorReply, type Reply } from '../resp/reply.ts';
import { formatForPeople, formatJson, formatRaw } from './cli-format.ts';
import { keepInHistory, readHistory } from './cli-history.ts';
import { CLI_HELP, type CliOptions, readCliOptions } from './cli-options.ts';
import { clusterStatus } from './cli-status.ts';

const ERROR_EXIT_CODE = 1;
const CONNECTION_EXIT_CODE = 2;
const USAGE_EXIT_CODE = 64;
const CONNECT_TIMEOUT_MS = 5_000;
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
  #connection: CommandClient | null = null;
  #onConnectionEnd: () => void = () => undefined;

  constructor(options: CliOptions) {
    this.#options = options;
    const isRaw = options.output === 'raw' || (options.output === 'auto' && !process.stdout.isTTY);
    if (options.output === 'json') this.#show = formatJson;
    else this.#show = isRaw ? formatRaw : formatForPeople;
  }

  /** The command of the command line, as often as asked; resolves with the exit code of the last time. */
  async runOnce(): Promise<number> {
    const { command, repeat, intervalMs } = this.#options;
    const argv = command.map((argument) => Buffer.from(argument, 'utf8').toString('latin1'));
    let code = 0;
    for (let i = 0; i < repeat; i++) {
      if (i > 0 && intervalMs > 0) await pause(intervalMs);
      code = await this.#run(argv);
    }
    if (ENDLESS.has((argv[0] ?? '').toUpperCase()) && code === 0) code = await this.#connectionEnd();
    this.#connection?.close();
    return code;
  }

  /** Lines of standard input until it ends; in a pipe, resolves with the worst exit code of all. */
  async converse(): Promise<number> {
    const { host, port } = this.#options;
    const isTerminal = process.stdin.isTTY;
    const lines = createInterface({
      input: process.stdin,
      crlfDelay: Number.POSITIVE_INFINITY,
      ...(isTerminal ? { output: process.stdout, prompt: `${host}:${port}> `, ...readHistory() } : {}),
    });
    let worst = 0;
    if (isTerminal) lines.prompt();
    for await (const line of lines) {
      const words = splitQuotedWords(Buffer.from(line, 'utf8').toString('latin1'));
      if (isTerminal) keepInHistory(line);
      if (/^(exit|quit)$/i.test(words?.[0] ?? '')) break;
      if (words === null) {
        process.stderr.write('kahuna-cli: unbalanced quotes\n');
        worst = Math.max(worst, ERROR_EXIT_CODE);
      } else if (words.length > 0) {
        worst = Math.max(worst, await this.#run(words));
      }
      // What follows in a pipe was meant for a connection that is gone.
      if (!isTerminal && worst === CONNECTION_EXIT_CODE) break;
      if (isTerminal) lines.prompt();
    }
    lines.close();
    this.#connection?.close();
    return isTerminal ? 0 : worst;
  }

  /** Resolves with the exit code. */
  async #run(argv: readonly string[]): Promise<number> {
    try {
      const connection = await this.#connect();
      const name = (argv[0] ?? '').toUpperCase();
      if (name === 'STATUS' && argv.length === 1) {
        this.#print(await clusterStatus(connection));
        return 0;
      }
      if (name === 'HELP') {
        this.#print(
          argv.length === 1
            ? CLI_HELP
            : formatForPeople(await connection.call(['COMMAND', 'DOCS', argv.slice(1).join('|')])),
        );
        return 0;
      }
      const reply = await connection.call(argv);
      this.#print(this.#show(reply));
      return reply instanceof ErrorReply ? ERROR_EXIT_CODE : 0;
    } catch (error) {
      process.stderr.write(`kahuna-cli: ${messageOf(error)}\n`);
      return error instanceof KahunaError ? CONNECTION_EXIT_CODE : ERROR_EXIT_CODE;
    }
  }

  /** MONITOR and its like end with the connection. */
  #connectionEnd(): Promise<number> {
    return new Promise((resolve) => {
      this.#onConnectionEnd = () => {
        process.stderr.write('kahuna-cli: the server closed the connection\n');
        resolve(CONNECTION_EXIT_CODE);
      };
    });
  }

  /** The open connection, or a new one that is greeted and authenticated. */
  async #connect(): Promise<CommandClient> {
    if (this.#connection?.isClosed === false) return this.#connection;
    const { host, port, user, password, database, protocol } = this.#options;
    const connection = await CommandClient.connect({
      host,
      port,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      onUnsolicited: (reply) => {
        this.#print(this.#show(reply));
      },
      onClose: () => {
        this.#onConnectionEnd();
      },
    });
    const login =
      password === '' ? [] : ['AUTH', user, password].map((word) => Buffer.from(word, 'utf8').toString('latin1'));
    await mustSucceed(connection.call(['HELLO', String(protocol), ...login]));
    if (database !== 0) await mustSucceed(connection.call(['SELECT', String(database)]));
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

// A reader that has seen enough (kahuna-cli keys '*' | head) is no error.
process.stdout.on('error', () => process.exit(0));
process.exitCode = await main();
