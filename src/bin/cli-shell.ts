/**
 * What kahuna-cli does with its connection. Commands of a pipe or a prompt run one after the other; a connection that
 * was lost is made again for the next command of the prompt, and never is a command repeated by itself.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { KahunaError } from '../base/errors.ts';
import { splitQuotedWords } from '../base/quoted-words.ts';
import { CommandClient } from '../node/command-client.ts';
import { isFailure, renderReply, type RenderStyle } from '../resp/render.ts';
import { ErrorReply, type Reply, Status } from '../resp/reply.ts';
import type { CliOptions } from './cli-arguments.ts';

const EXIT_OK = 0;
const EXIT_ERROR = 1;
const EXIT_CONNECTION = 2;
const CONNECT_TIMEOUT_MS = 5_000;
const HISTORY_LINES_MAX = 1_000;
/** Lines that hold a password stay out of the history. */
const SECRET = /\b(?:auth|hello|acl|config\s+set|migrate)\b/i;

export async function runCli(options: CliOptions): Promise<number> {
  const shell = new Shell(options);
  try {
    await shell.connect();
  } catch (error) {
    if (!shell.isInteractive) return shell.complain(error);
    shell.complain(error);
  }
  if (options.command.length > 0) return shell.once(options.command);
  return shell.isInteractive ? shell.prompt() : shell.lines();
}

class Shell {
  readonly isInteractive: boolean;
  readonly #options: CliOptions;
  readonly #style: RenderStyle;
  #client: CommandClient | null = null;
  #database: number;
  #isInTransaction = false;
  #commandNames: readonly string[] = [];
  #isMonitoring = false;

  constructor(options: CliOptions) {
    this.#options = options;
    this.isInteractive = options.command.length === 0 && process.stdin.isTTY;
    this.#style = options.style ?? (process.stdout.isTTY ? 'terminal' : 'raw');
    this.#database = options.database;
  }

  /** Rejects with KahunaError 'CONNECTION', also if the server refuses the password or the database. */
  async connect(): Promise<void> {
    const { host, port, user, password, protocol } = this.#options;
    const client = await CommandClient.connect({
      host,
      port,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      onUnsolicited: (reply) => this.#print(reply),
    });
    if (protocol === 3) {
      const auth = password === '' ? [] : ['AUTH', user === '' ? 'default' : user, password];
      await mustSucceed(client, ['HELLO', '3', ...auth]);
    } else if (password !== '') {
      await mustSucceed(client, user === '' ? ['AUTH', password] : ['AUTH', user, password]);
    }
    if (this.#database !== 0) await mustSucceed(client, ['SELECT', String(this.#database)]);
    this.#client = client;
    this.#isInTransaction = false;
  }

  complain(error: unknown): number {
    if (!(error instanceof KahunaError)) throw error;
    process.stderr.write(`kahuna-cli: ${error.message}\n`);
    return EXIT_CONNECTION;
  }

  async once(words: readonly string[]): Promise<number> {
    try {
      return await this.#run(words);
    } catch (error) {
      return this.complain(error);
    } finally {
      this.#client?.close();
    }
  }

  /** Commands from a pipe, one a line; all are run, and one error makes the exit code. */
  async lines(): Promise<number> {
    let code = EXIT_OK;
    try {
      for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
        const words = wordsOf(line);
        if (words === null) {
          process.stderr.write(`kahuna-cli: unbalanced quotes: ${line}\n`);
          code = EXIT_ERROR;
        } else if (words.length > 0 && (await this.#run(words)) !== EXIT_OK) {
          code = EXIT_ERROR;
        }
      }
    } catch (error) {
      return this.complain(error);
    } finally {
      this.#client?.close();
    }
    return code;
  }

  /** Runs until `quit`, Ctrl-D, or Ctrl-C on an empty line. */
  async prompt(): Promise<number> {
    await this.#learnCommandNames();
    const terminal = createInterface({
      input: process.stdin,
      output: process.stdout,
      history: readHistory(),
      historySize: HISTORY_LINES_MAX,
      removeHistoryDuplicates: true,
      completer: (line: string) => this.#complete(line),
    });
    terminal.on('SIGINT', () => {
      if (terminal.line === '' || this.#isMonitoring) terminal.close();
      else {
        process.stdout.write('\n');
        terminal.write(null, { ctrl: true, name: 'u' });
        terminal.prompt();
      }
    });
    this.#ask(terminal);
    for await (const line of terminal) {
      if (!(await this.#entered(line, terminal))) break;
      if (!this.#isMonitoring) this.#ask(terminal);
    }
    terminal.close();
    this.#client?.close();
    return EXIT_OK;
  }

  #ask(terminal: Interface): void {
    const { host, port } = this.#options;
    const place = this.#client === null || this.#client.isClosed ? 'not connected' : `${host}:${port}`;
    const database = this.#database === 0 ? '' : `[${this.#database}]`;
    terminal.setPrompt(`${place}${database}${this.#isInTransaction ? '(TX)' : ''}> `);
    terminal.prompt();
  }

  /** False if the shell is to end. */
  async #entered(line: string, terminal: Interface): Promise<boolean> {
    const words = wordsOf(line);
    if (words === null) {
      process.stdout.write('Invalid argument(s)\n');
      return true;
    }
    const name = words[0]?.toLowerCase();
    if (name === undefined) return true;
    if (!SECRET.test(line)) keepInHistory(line);
    if (name === 'quit' || name === 'exit') return false;
    if (name === 'clear') {
      process.stdout.write('\u001b[H\u001b[2J');
      return true;
    }
    terminal.pause();
    try {
      if (this.#client === null || this.#client.isClosed) await this.connect();
      await this.#run(words);
    } catch (error) {
      this.complain(error);
    } finally {
      terminal.resume();
    }
    return true;
  }

  async #run(words: readonly string[]): Promise<number> {
    if (this.#client === null) throw new KahunaError('CONNECTION', 'not connected');
    const reply = await this.#client.call(words);
    this.#print(reply);
    this.#follow(words, reply);
    if (this.#isMonitoring && !this.isInteractive) await new Promise<never>(() => undefined);
    return isFailure(reply) ? EXIT_ERROR : EXIT_OK;
  }

  #print(reply: Reply): void {
    process.stdout.write(`${renderReply(reply, this.#style)}\n`);
  }

  /** Keeps what the prompt shows in step with the connection. */
  #follow(words: readonly string[], reply: Reply): void {
    if (reply instanceof ErrorReply) {
      if (/^EXECABORT\b/.test(reply.text)) this.#isInTransaction = false;
      return;
    }
    const isOk = reply instanceof Status && reply.text === 'OK';
    switch (words[0]?.toLowerCase()) {
      case 'select':
        if (isOk) this.#database = Number(words[1]);
        break;
      case 'multi':
        if (isOk) this.#isInTransaction = true;
        break;
      case 'exec':
      case 'discard':
        this.#isInTransaction = false;
        break;
      case 'reset':
        this.#isInTransaction = false;
        this.#database = 0;
        break;
      case 'monitor':
        if (isOk) this.#isMonitoring = true;
        break;
      default:
    }
  }

  /** Names for completion; without them the shell works as well. */
  async #learnCommandNames(): Promise<void> {
    try {
      const reply = await this.#client?.call(['COMMAND', 'LIST']);
      const names = Array.isArray(reply) ? reply.filter((name) => typeof name === 'string') : [];
      this.#commandNames = names.map((name) => name.toUpperCase()).sort();
    } catch (error) {
      this.complain(error);
    }
  }

  #complete(line: string): [string[], string] {
    const start = line.toUpperCase();
    return [this.#commandNames.filter((name) => name.startsWith(start)), line];
  }
}

async function mustSucceed(client: CommandClient, words: readonly string[]): Promise<Reply> {
  const reply = await client.call(words);
  if (!(reply instanceof ErrorReply)) return reply;
  client.close();
  throw new KahunaError('CONNECTION', `the server refuses ${words[0] ?? ''}: ${reply.text}`);
}

/** One character a byte; null if quotes are unbalanced. */
function wordsOf(line: string): string[] | null {
  return splitQuotedWords(Buffer.from(line, 'utf8').toString('latin1'));
}

const historyPath = (): string => process.env['KAHUNACLI_HISTFILE'] ?? join(homedir(), '.kahunacli_history');

/** The newest first, as readline wants them. */
function readHistory(): string[] {
  try {
    return readFileSync(historyPath(), 'utf8').split('\n').filter(Boolean).slice(-HISTORY_LINES_MAX).reverse();
  } catch {
    // There is none yet, or it cannot be read: the shell works without.
    return [];
  }
}

function keepInHistory(line: string): void {
  try {
    appendFileSync(historyPath(), `${line}\n`, { mode: 0o600 });
  } catch {
    // A home that cannot be written to costs the history, nothing else.
  }
}
