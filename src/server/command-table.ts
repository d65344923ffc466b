/**
 * All commands of the node, data and session, by name. (Hot path: `find` runs once a command; it costs one latin1
 * slice and one map lookup, as any spelling that was seen before is a key of the map.)
 *
 * Rows come from both sides and may meet in one container: MEMORY USAGE is evaluated at a partition, MEMORY DOCTOR here.
 * A row named 'MEMORY|USAGE' therefore joins the container 'MEMORY' wherever it was declared.
 */
import { assert } from '../base/assert.ts';
import type { CommandFlag, CommandSpec, DataCommand } from '../commands/define.ts';
import { mayWait } from './blocking.ts';
import { SPELLINGS_MAX } from './limits.ts';
import { sessionContainer } from './session-command.ts';
import type { SessionCommand } from './session-command.ts';
import { CommandStats } from './stats.ts';

/** What the hot path asks of a row, as bits. */
export const ENTRY = {
  write: 1,
  noAuth: 2,
  noMulti: 4,
  loading: 8,
  /** Not shown by MONITOR: flagged skip_monitor or admin (server.c call()). */
  unmonitored: 16,
  unlogged: 32,
  blocking: 64,
  /** May write without being flagged so: scripts. What CLIENT PAUSE WRITE stops besides writes. */
  mayWrite: 128,
  immediateInMulti: 256,
  scriptBody: 512,
  scriptDigest: 1024,
  afterEarlier: 2048,
} as const;

/** One command or subcommand as it is dispatched. */
export class CommandEntry {
  readonly spec: CommandSpec;
  /** As Redis shows it: 'get', 'client|list'. */
  readonly fullName: string;
  /** Set if a partition's leader evaluates it. */
  readonly data: DataCommand | null;
  /** Set if this node runs it. Both are null in a pure container. */
  readonly session: SessionCommand | null;
  readonly bits: number;
  readonly arity: number;
  readonly stats = new CommandStats();
  /** By upper-case name of the subcommand; null if there are none. */
  readonly subcommands: Map<string, CommandEntry> | null;

  constructor(
    spec: CommandSpec,
    runner: { data: DataCommand | null; session: SessionCommand | null },
    hasSubcommands: boolean,
  ) {
    this.spec = spec;
    this.fullName = spec.name.toLowerCase();
    this.data = runner.data;
    this.session = runner.session;
    this.bits = bitsOf(spec, runner.session);
    this.arity = spec.arity;
    this.subcommands = hasSubcommands ? new Map() : null;
  }

  acceptsArgumentCount(count: number): boolean {
    return this.arity >= 0 ? count === this.arity : count >= -this.arity;
  }

  /** Whether it writes, or a script in it might. */
  get mayWrite(): boolean {
    return (this.bits & (ENTRY.write | ENTRY.mayWrite)) !== 0;
  }
}

const FLAG_BITS: Partial<Record<CommandFlag, number>> = {
  write: ENTRY.write,
  no_auth: ENTRY.noAuth,
  no_multi: ENTRY.noMulti,
  loading: ENTRY.loading,
  skip_monitor: ENTRY.unmonitored,
  admin: ENTRY.unmonitored,
  skip_slowlog: ENTRY.unlogged,
};

/** Commands whose body the script catalogue must hold before they are sent to a leader. */
const SCRIPT_BITS: Readonly<Record<string, number>> = {
  EVAL: ENTRY.scriptBody | ENTRY.mayWrite,
  EVAL_RO: ENTRY.scriptBody,
  EVALSHA: ENTRY.scriptDigest | ENTRY.mayWrite,
  EVALSHA_RO: ENTRY.scriptDigest,
  FCALL: ENTRY.mayWrite,
};

function bitsOf(spec: CommandSpec, session: SessionCommand | null): number {
  let bits = SCRIPT_BITS[spec.name] ?? 0;
  for (const flag of spec.flags) bits |= FLAG_BITS[flag] ?? 0;
  // Flagged skip_monitor in Redis, because it shows them by itself, before what they call (eval.c evalCommand).
  if (spec.name in SCRIPT_BITS) bits &= ~ENTRY.unmonitored;
  if (mayWait(spec.name)) bits |= ENTRY.blocking;
  if (session?.isImmediateInMulti === true) bits |= ENTRY.immediateInMulti;
  if (session?.isAfterEarlier === true) bits |= ENTRY.afterEarlier;
  return bits;
}

export class CommandTable {
  /** By canonical upper-case name, in order of declaration; containers hold their subcommands. */
  readonly #byName = new Map<string, CommandEntry>();
  /** By name as clients spelled it. Bounded by SPELLINGS_MAX beyond the canonical names. */
  readonly #bySpelling = new Map<string, CommandEntry>();

  constructor(dataCommands: readonly DataCommand[], sessionCommands: readonly (SessionCommand | CommandSpec)[]) {
    for (const row of sessionCommands) this.#addRow(row, { data: null, session: runnerOf(row) });
    for (const row of dataCommands) if (isPublic(row)) this.#addRow(row, { data: row, session: null });
    for (const [name, entry] of this.#byName) {
      this.#bySpelling.set(name, entry);
      this.#bySpelling.set(name.toLowerCase(), entry);
    }
  }

  /** Top-level commands, containers included. */
  get size(): number {
    return this.#byName.size;
  }

  /** Top-level entries. */
  entries(): IterableIterator<CommandEntry> {
    return this.#byName.values();
  }

  /** Every entry that can be called, subcommands included. */
  *all(): Generator<CommandEntry> {
    for (const entry of this.#byName.values()) {
      yield entry;
      if (entry.subcommands !== null) yield* entry.subcommands.values();
    }
  }

  /** The top-level command of this name in any case. */
  find(name: Buffer): CommandEntry | undefined {
    const spelling = name.toString('latin1');
    return this.#bySpelling.get(spelling) ?? this.#findSlowly(spelling);
  }

  /** The command or subcommand of a whole request; a container if the subcommand is missing or not known. */
  resolve(argv: readonly Buffer[]): CommandEntry | undefined {
    const [name, second] = argv;
    const entry = name === undefined ? undefined : this.find(name);
    if (entry === undefined || second === undefined) return entry;
    return entry.subcommands?.get(second.toString('latin1').toUpperCase()) ?? entry;
  }

  /** Like `resolve`, but undefined if a container is asked for a subcommand that it does not have. */
  resolveWhole(argv: readonly Buffer[]): CommandEntry | undefined {
    const entry = this.resolve(argv);
    return entry !== undefined && entry.subcommands !== null && argv.length > 1 ? undefined : entry;
  }

  /** `fullName` as in COMMAND INFO: 'get', 'CLIENT|LIST', any case. */
  findByFullName(fullName: string): CommandEntry | undefined {
    const upper = fullName.toUpperCase();
    const bar = upper.indexOf('|');
    if (bar === -1) return this.#byName.get(upper);
    return this.#byName.get(upper.slice(0, bar))?.subcommands?.get(upper.slice(bar + 1));
  }

  #findSlowly(spelling: string): CommandEntry | undefined {
    const entry = this.#byName.get(spelling.toUpperCase());
    if (entry !== undefined && this.#bySpelling.size < SPELLINGS_MAX + 2 * this.#byName.size) {
      this.#bySpelling.set(spelling, entry);
    }
    return entry;
  }

  #addRow(row: CommandSpec, runner: { data: DataCommand | null; session: SessionCommand | null }): void {
    const bar = row.name.indexOf('|');
    if (bar !== -1) {
      this.#addSubcommand(this.#container(row, row.name.slice(0, bar)), row, runner);
      return;
    }
    const known = this.#byName.get(row.name);
    if (known !== undefined) {
      // The container exists from the other side: only what it lacks is added.
      assert(known.subcommands !== null && row.subcommands.length > 0, `the command ${row.name} is declared twice`);
      for (const subcommand of row.subcommands) this.#addSubcommand(known, subcommand, subRunner(subcommand, runner));
      return;
    }
    const entry = new CommandEntry(row, runner, row.subcommands.length > 0);
    this.#byName.set(row.name, entry);
    for (const subcommand of row.subcommands) this.#addSubcommand(entry, subcommand, subRunner(subcommand, runner));
  }

  #container(row: CommandSpec, name: string): CommandEntry {
    const known = this.#byName.get(name);
    if (known !== undefined) {
      assert(known.subcommands !== null, `${row.name} needs ${name} to be a container`);
      return known;
    }
    const { group, since } = row;
    const spec = sessionContainer({ name, group, since, summary: `A container for ${name} commands.` }, []);
    const entry = new CommandEntry(spec, { data: null, session: null }, true);
    this.#byName.set(name, entry);
    return entry;
  }

  #addSubcommand(
    container: CommandEntry,
    row: CommandSpec,
    runner: { data: DataCommand | null; session: SessionCommand | null },
  ): void {
    const name = row.name.slice(row.name.indexOf('|') + 1);
    assert(row.name.includes('|') && name === name.toUpperCase(), `${row.name} is no name of a subcommand`);
    const subcommands = container.subcommands;
    assert(subcommands !== null && !subcommands.has(name), `the command ${row.name} is declared twice`);
    subcommands.set(name, new CommandEntry(row, runner, false));
  }
}

/** Rows whose names start with % are for the nodes among themselves: no client can call or see them. */
function isPublic(row: CommandSpec): boolean {
  return !row.name.startsWith('%');
}

/** A subcommand runs by its own function, or by that of its container (which then looks at argv[1] itself). */
function subRunner(
  row: CommandSpec,
  container: { data: DataCommand | null; session: SessionCommand | null },
): { data: DataCommand | null; session: SessionCommand | null } {
  const own: unknown = 'run' in row ? row.run : undefined;
  if (typeof own !== 'function') return container;
  return container.data === null ? { data: null, session: runnerOf(row) } : { data: asDataCommand(row), session: null };
}

function runnerOf(row: SessionCommand | CommandSpec): SessionCommand | null {
  return 'run' in row ? row : null;
}

function asDataCommand(row: CommandSpec | DataCommand): DataCommand {
  assert('run' in row, `${row.name} has no function`);
  return row;
}
