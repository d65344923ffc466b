/** Finds the command that a script names, and what scripts may do with it. Hot path: `find`. */
import type { DataCommand } from './define.ts';

export interface ScriptEntry {
  readonly name: string;
  readonly arity: number;
  /** Null for what scripts.ts answers itself, and for what is forbidden. */
  readonly row: DataCommand | null;
  readonly isWrite: boolean;
  readonly isForbidden: boolean;
}

/** Commands of the session that scripts may use, with their arity. */
const OWN_COMMANDS: Readonly<Record<string, number>> = {
  PING: -1,
  ECHO: 2,
  TIME: 1,
  SELECT: 2,
  PUBLISH: 3,
  SPUBLISH: 3,
};

/** Commands that belong to a connection or to the server; Redis flags them noscript. */
const FORBIDDEN_COMMANDS = [
  'ACL',
  'ASKING',
  'AUTH',
  'BGREWRITEAOF',
  'BGSAVE',
  'CLIENT',
  'CLUSTER',
  'CONFIG',
  'DEBUG',
  'DISCARD',
  'EVAL',
  'EVALSHA',
  'EVALSHA_RO',
  'EVAL_RO',
  'EXEC',
  'FAILOVER',
  'FCALL',
  'FCALL_RO',
  'FUNCTION',
  'HELLO',
  'LATENCY',
  'MODULE',
  'MONITOR',
  'MULTI',
  'PSUBSCRIBE',
  'PSYNC',
  'PUNSUBSCRIBE',
  'QUIT',
  'READONLY',
  'READWRITE',
  'REPLCONF',
  'REPLICAOF',
  'RESET',
  'ROLE',
  'SAVE',
  'SCRIPT',
  'SHUTDOWN',
  'SLAVEOF',
  'SLOWLOG',
  'SSUBSCRIBE',
  'SUBSCRIBE',
  'SUNSUBSCRIBE',
  'SYNC',
  'UNSUBSCRIBE',
  'UNWATCH',
  'WAIT',
  'WAITAOF',
  'WATCH',
];
/** Those of them that are nothing without a subcommand. */
const FORBIDDEN_CONTAINERS = new Set([
  'ACL',
  'CLIENT',
  'CLUSTER',
  'CONFIG',
  'FUNCTION',
  'LATENCY',
  'MODULE',
  'SCRIPT',
  'SLOWLOG',
]);

/** Spellings of names that are remembered; scripts write theirs in few ways. */
const SPELLINGS_MAX = 2_000;

export class CommandLookup {
  readonly #commandOf: (name: string) => DataCommand | undefined;
  readonly #bySpelling = new Map<string, ScriptEntry>();
  /** By full upper-case name. */
  readonly #byName = new Map<string, ScriptEntry>();

  constructor(commandOf: (name: string) => DataCommand | undefined) {
    this.#commandOf = commandOf;
  }

  find(argv: readonly Buffer[]): ScriptEntry | undefined {
    const spelling = (argv[0] as Buffer).toString('latin1');
    const entry = this.#bySpelling.get(spelling) ?? this.#findByName(spelling);
    const subcommands = entry?.row?.subcommands;
    if (entry === undefined || subcommands === undefined || subcommands.length === 0 || argv.length < 2) return entry;
    return this.#named(`${entry.name}|${(argv[1] as Buffer).toString('latin1').toUpperCase()}`);
  }

  #findByName(spelling: string): ScriptEntry | undefined {
    const entry = this.#named(spelling.toUpperCase());
    if (entry !== undefined && this.#bySpelling.size < SPELLINGS_MAX) this.#bySpelling.set(spelling, entry);
    return entry;
  }

  #named(name: string): ScriptEntry | undefined {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const entry = this.#entryOf(name);
    if (entry !== undefined) this.#byName.set(name, entry);
    return entry;
  }

  #entryOf(name: string): ScriptEntry | undefined {
    const row = this.#commandOf(name);
    if (row !== undefined) {
      const isForbidden = row.flags.includes('noscript');
      return { name, arity: row.arity, row, isWrite: row.flags.includes('write'), isForbidden };
    }
    const arity = Object.hasOwn(OWN_COMMANDS, name) ? OWN_COMMANDS[name] : undefined;
    if (arity !== undefined) return { name, arity, row: null, isWrite: false, isForbidden: false };
    if (!FORBIDDEN_COMMANDS.includes(name)) return undefined;
    return { name, arity: FORBIDDEN_CONTAINERS.has(name) ? -2 : -1, row: null, isWrite: false, isForbidden: true };
  }
}
