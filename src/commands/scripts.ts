/**
 * EVAL and its kin: scripts evaluated at the leader, over the same view as any command. Hot path: EVALSHA (benchmark:
 * compat/bench).
 *
 * A script runs its commands through a view of its own, in which nothing waits and replies take the protocol that the
 * script chose. A command that fails is undone by itself and the script goes on; a key that is not resident ends the
 * whole run, which is evaluated again from the start. A script that passes a limit is undone as a whole.
 *
 * Scripts may touch keys that they did not declare. They run with the rights that were checked for EVAL itself.
 */
import type { Clock } from '../base/platform.ts';
import {
  DB_OUT_OF_RANGE,
  fail,
  KEY_COUNT_NEGATIVE,
  KEY_COUNT_TOO_BIG,
  NO_SCRIPT,
  NOT_AN_INTEGER,
  SCRIPT_NOT_ALLOWED,
  SCRIPT_READ_ONLY,
  SCRIPT_UNKNOWN_COMMAND,
  SCRIPT_WRONG_ARITY,
  scriptsTooLong,
  wrongArity,
} from '../resp/errors.ts';
import { ErrorReply, OK, PONG, type Reply, ReplyError } from '../resp/reply.ts';
import type { ScriptHost } from '../scripting/host.ts';
import type { CallMode, ScriptLogLevel, ScriptRun } from '../scripting/script-run.ts';
import { sha1Hex } from '../scripting/sha1.ts';
import { parseInt64 } from '../values/integer.ts';
import { DATABASE_COUNT, type Space } from '../values/value.ts';
import { Args } from './args.ts';
import { type DataCommand, defineCommand } from './define.ts';
import { integer, key, many, optional, text } from './grammar.ts';
import { READS_AND_UPDATES } from './key-uses.ts';
import { CommandLookup } from './script-lookup.ts';
import { ScriptView } from './script-view.ts';
import { NotResident, type View } from './view.ts';

export interface ScriptCommandOptions {
  readonly host: ScriptHost;
  /** Time in ms after which an EXEC runs no further script, besides the host's limit for each; absent = no such limit. */
  readonly execLimit?: { readonly clock: Clock; readonly timeLimitMs: number };
  /** The body that SCRIPT LOAD or EVAL has stored under a SHA1 in lower-case hexadecimal. */
  readonly bodyOf: (sha: string) => Buffer | undefined;
  /** A data command by upper-case name; subcommands as 'OBJECT|ENCODING', containers too. */
  readonly commandOf: (name: string) => DataCommand | undefined;
  /** True once SCRIPT KILL was asked for; nobody can ask while a script holds the thread, so mostly absent. */
  readonly isKilled?: () => boolean;
  /** Where redis.log writes to. */
  readonly log?: (level: ScriptLogLevel, message: string) => void;
}

const WORST_WRITE = 'We cannot tell how the keys will be used so we assume the worst, RW and UPDATE';
const WORST_READ = 'We cannot tell how the keys will be used so we assume the worst, RO and ACCESS';

/** Rows of EVAL, EVALSHA, EVAL_RO and EVALSHA_RO. */
export function createScriptCommands(options: ScriptCommandOptions): readonly DataCommand[] {
  const runner = new ScriptRunner(options);
  const group = 'scripting';
  const complexity = 'Depends on the script that is executed.';
  const flags = ['noscript', 'stale', 'skip_monitor', 'no_mandatory_keys'] as const;
  const rest = [integer('numkeys'), optional(many(key())), optional(many(text('arg')))];
  return [
    defineCommand({
      name: 'EVAL',
      group,
      since: '2.6.0',
      summary: 'Executes a server-side Lua script.',
      complexity,
      flags,
      args: [text('script'), ...rest],
      keyUses: [READS_AND_UPDATES],
      keyNotes: WORST_WRITE,
      run: (view, args) => runner.runBody(view, args, false),
    }),
    defineCommand({
      name: 'EVALSHA',
      group,
      since: '2.6.0',
      summary: 'Executes a server-side Lua script by SHA1 digest.',
      complexity,
      flags,
      args: [text('sha1'), ...rest],
      keyUses: [READS_AND_UPDATES],
      run: (view, args) => runner.runDigest(view, args, false),
    }),
    defineCommand({
      name: 'EVAL_RO',
      group,
      since: '7.0.0',
      summary: 'Executes a read-only server-side Lua script.',
      complexity,
      flags: [...flags, 'readonly'],
      args: [text('script'), ...rest],
      keyNotes: WORST_READ,
      run: (view, args) => runner.runBody(view, args, true),
    }),
    defineCommand({
      name: 'EVALSHA_RO',
      group,
      since: '7.0.0',
      summary: 'Executes a read-only server-side Lua script by SHA1 digest.',
      complexity,
      flags: [...flags, 'readonly'],
      args: [text('sha1'), ...rest],
      run: (view, args) => runner.runDigest(view, args, true),
    }),
  ];
}

const FIRST_KEY = 3;
const SHA_LENGTH = 40;
/** Lines that one run may log; more are dropped. */
const LOG_LINES_MAX = 100;
const NO_VALUES: readonly Buffer[] = [];
const NO_BYTES = Buffer.alloc(0);

class ScriptRunner implements ScriptRun {
  readonly #options: ScriptCommandOptions;
  readonly #shas = new ShaCache();
  readonly #view = new ScriptView();
  readonly #args = new Args();
  readonly #entries: CommandLookup;
  #database: Space = 0;
  /** What the run has logged so far. */
  #lines: { readonly level: ScriptLogLevel; readonly message: string }[] = [];
  sha = '';
  body: Uint8Array = Buffer.alloc(0);
  keys: readonly Buffer[] = NO_VALUES;
  args: readonly Buffer[] = NO_VALUES;
  readOnly = false;
  readonly isKilled: (() => boolean) | null;

  constructor(options: ScriptCommandOptions) {
    this.#options = options;
    this.#entries = new CommandLookup(options.commandOf);
    this.isKilled = options.isKilled ?? null;
  }

  runBody(view: View, args: Args, readOnly: boolean): Reply {
    const { argv } = args;
    const keyCount = scriptKeyCount(argv);
    const body = argv[1] as Buffer;
    return this.#run(view, args.database, { sha: this.#shas.of(body), body, argv, keyCount, readOnly });
  }

  runDigest(view: View, args: Args, readOnly: boolean): Reply {
    const { argv } = args;
    const digest = argv[1] as Buffer;
    if (digest.length !== SHA_LENGTH) return NO_SCRIPT;
    const keyCount = scriptKeyCount(argv);
    const sha = digest.toString('latin1').toLowerCase();
    const body = this.#options.bodyOf(sha);
    if (body === undefined) return NO_SCRIPT;
    return this.#run(view, args.database, { sha, body, argv, keyCount, readOnly });
  }

  #run(
    view: View,
    database: Space,
    script: { sha: string; body: Buffer; argv: readonly Buffer[]; keyCount: number; readOnly: boolean },
  ): Reply {
    const { argv, keyCount } = script;
    this.sha = script.sha;
    this.body = script.body;
    this.keys = keyCount === 0 ? NO_VALUES : argv.slice(FIRST_KEY, FIRST_KEY + keyCount);
    this.args = argv.slice(FIRST_KEY + keyCount);
    this.readOnly = script.readOnly;
    this.#database = database;
    this.#view.attach(view);
    try {
      const reply = view.mayWait ? this.#options.host.run(this) : this.#runWithinExec(view);
      this.#handOnLines();
      return reply;
    } catch (thrown) {
      // What is evaluated again will say the same again.
      if (!(thrown instanceof NotResident)) this.#handOnLines();
      throw thrown;
    } finally {
      if (this.#lines.length > 0) this.#lines = [];
      this.#view.detach();
      this.keys = NO_VALUES;
      this.args = NO_VALUES;
    }
  }

  /** Scripts of one EXEC hold the thread one after the other: together they may take about as long as one alone. */
  #runWithinExec(view: View): Reply {
    const { execLimit, host } = this.#options;
    if (execLimit === undefined) return host.run(this);
    const { clock, timeLimitMs } = execLimit;
    if (view.scriptMs > timeLimitMs) view.abort(scriptsTooLong(timeLimitMs));
    const startedMs = clock.monotonicMs();
    try {
      return host.run(this);
    } finally {
      view.scriptMs += clock.monotonicMs() - startedMs;
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // What the script asks for

  /** As scriptCall in script.c of Redis 7.2: unknown, arity, allowed at all, allowed to write; then the command. */
  call(argv: Buffer[], mode: CallMode): Reply {
    const entry = this.#entries.find(argv);
    if (entry === undefined) return SCRIPT_UNKNOWN_COMMAND;
    if (!acceptsCount(entry.arity, argv.length)) return SCRIPT_WRONG_ARITY;
    if (entry.isForbidden) return SCRIPT_NOT_ALLOWED;
    if (entry.isWrite && mode.readOnly) return SCRIPT_READ_ONLY;
    if (entry.row === null) return this.#callOwn(entry.name, argv);
    this.#view.protocol = mode.protocol;
    this.#view.countsLookups = entry.row.countsLookups;
    if (!entry.isWrite) return entry.row.run(this.#view, this.#args.reset(argv, this.#database));
    return this.#callWrite(entry.row, argv);
  }

  checkCommand(argv: Buffer[]): boolean | undefined {
    return this.#entries.find(argv) === undefined ? undefined : true;
  }

  log(level: ScriptLogLevel, message: string): void {
    if (this.#lines.length < LOG_LINES_MAX) this.#lines.push({ level, message });
  }

  #handOnLines(): void {
    for (const { level, message } of this.#lines) this.#options.log?.(level, message);
  }

  randomSeed(): number {
    return this.#view.random.u32();
  }

  /** A command that answers an error has changed nothing. */
  #callWrite(row: DataCommand, argv: Buffer[]): Reply {
    const savepoint = this.#view.savepoint();
    try {
      const reply = row.run(this.#view, this.#args.reset(argv, this.#database));
      if (reply instanceof ErrorReply) this.#view.rollback(savepoint);
      return reply;
    } catch (error) {
      if (error instanceof ReplyError) this.#view.rollback(savepoint);
      throw error;
    }
  }

  /** Commands of the session that make sense within a script. */
  #callOwn(name: string, argv: Buffer[]): Reply {
    switch (name) {
      case 'PING':
        return argv.length > 2 ? wrongArity(name) : (argv[1] ?? PONG);
      case 'ECHO':
        return argv[1] as Buffer;
      case 'TIME': {
        const { nowMs } = this.#view;
        return [`${Math.floor(nowMs / 1_000)}`, `${(nowMs % 1_000) * 1_000}`];
      }
      case 'SELECT': {
        const database = parseInt64(argv[1] as Buffer);
        if (database === undefined) return NOT_AN_INTEGER;
        if (typeof database !== 'number' || database < 0 || database >= DATABASE_COUNT) return DB_OUT_OF_RANGE;
        this.#database = database;
        return OK;
      }
      default:
        return PUBLISH_REFUSED;
    }
  }
}

const PUBLISH_REFUSED = new ErrorReply('ERR PUBLISH is not supported within scripts');

/** `numkeys` of EVAL and its kin; what Redis checks before it looks for the script. Throws ReplyError. */
export function scriptKeyCount(argv: readonly Buffer[]): number {
  const count = parseInt64(argv[2] ?? NO_BYTES);
  if (count === undefined) return fail(NOT_AN_INTEGER);
  if (count > argv.length - FIRST_KEY) return fail(KEY_COUNT_TOO_BIG);
  if (count < 0) return fail(KEY_COUNT_NEGATIVE);
  return Number(count);
}

function acceptsCount(arity: number, count: number): boolean {
  return arity >= 0 ? count === arity : count >= -arity;
}

const CACHED_BODY_BYTES_MAX = 4_096;
const CACHED_BODIES_MAX = 512;

/** Digests of the bodies that EVAL is sent again and again: a look-up is much cheaper than SHA1. */
class ShaCache {
  readonly #byBody = new Map<string, string>();

  of(body: Buffer): string {
    if (body.length > CACHED_BODY_BYTES_MAX) return sha1Hex(body);
    const content = body.toString('latin1');
    let sha = this.#byBody.get(content);
    if (sha === undefined) {
      sha = sha1Hex(body);
      if (this.#byBody.size >= CACHED_BODIES_MAX) this.#byBody.clear();
      this.#byBody.set(content, sha);
    }
    return sha;
  }
}
