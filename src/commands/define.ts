/**
 * What a command is: one row from which dispatch, arity, key positions, ACL, COMMAND * and the documentation follow.
 */
import { assert } from '../base/assert.ts';
import { fail, unknownSubcommand } from '../resp/errors.ts';
import type { Reply } from '../resp/reply.ts';
import { parseInt64 } from '../values/integer.ts';
import type { Args } from './args.ts';
import { type KeyUse, type KeyUses, usualKeyUses } from './key-uses.ts';
import type { View } from './view.ts';

export type CommandGroup =
  | 'string'
  | 'bitmap'
  | 'generic'
  | 'transactions'
  | 'connection'
  | 'server'
  | 'scripting'
  | 'cluster'
  | 'list'
  | 'set'
  | 'sorted-set'
  | 'hash'
  | 'stream'
  | 'hyperloglog'
  | 'geo'
  | 'pubsub'
  | 'kahuna';

/** Redis's command flags, by their names in COMMAND INFO. */
export type CommandFlag =
  | 'write'
  | 'readonly'
  | 'denyoom'
  | 'admin'
  | 'pubsub'
  | 'noscript'
  | 'blocking'
  | 'loading'
  | 'stale'
  | 'skip_monitor'
  | 'skip_slowlog'
  | 'asking'
  | 'fast'
  | 'no_auth'
  | 'no_mandatory_keys'
  | 'no_multi'
  | 'movablekeys'
  | 'allow_busy';

/** The argument grammar, as COMMAND DOCS reports it. */
export interface ArgSpec {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'double' | 'key' | 'pattern' | 'unix-time' | 'pure-token' | 'oneof' | 'block';
  readonly token?: string;
  readonly optional?: boolean;
  readonly multiple?: boolean;
  /** Arguments of a `oneof` or `block`. */
  readonly args?: readonly ArgSpec[];
}

/** Key positions as in COMMAND INFO: `first` 0 means none, `last` may count from the end (-1), `step` ≥ 1. */
export interface KeyPositions {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

export interface CommandSpec {
  /** Upper case; a subcommand is 'CLIENT|LIST'. */
  readonly name: string;
  readonly group: CommandGroup;
  readonly since: string;
  readonly summary: string;
  readonly complexity: string;
  readonly flags: readonly CommandFlag[];
  /** Number of arguments with the name; negative = at least. */
  readonly arity: number;
  readonly keys: KeyPositions;
  /** Where positions do not tell (numkeys …): indices of keys in argv; throws ReplyError if argv is malformed. */
  readonly keysOf: ((argv: readonly Uint8Array[]) => readonly number[]) | null;
  /** Where `numkeys` stands in argv, and the words that each key behind it takes; null if there is no such argument. */
  readonly keyCount: { readonly at: number; readonly step: number } | null;
  readonly keyUses: KeyUses;
  /** For `variable_flags`: how this request uses its keys; null if the uses do not vary. */
  readonly keyUseOf: ((argv: readonly Uint8Array[]) => KeyUse) | null;
  /** A remark of Redis's COMMAND INFO on `keyUses`. */
  readonly keyNotes: string | null;
  /** ACL categories without '@', derived from flags and group, plus extras. */
  readonly categories: readonly string[];
  readonly args: readonly ArgSpec[];
  readonly subcommands: readonly CommandSpec[];
}

/** A command that is evaluated at the leader of a partition, over a view. `run` is synchronous. */
export interface DataCommand extends CommandSpec {
  readonly run: (view: View, args: Args) => Reply;
  /** Its look-ups are the hits and misses of INFO. */
  readonly countsLookups: boolean;
  /** Its time depends on its arguments or on what keys hold: a leader looks at the clock after it. */
  readonly mayRunLong: boolean;
  readonly subcommands: readonly DataCommand[];
}

/** What a row says; the rest of CommandSpec follows from it. */
export interface CommandDefinition {
  readonly name: string;
  readonly group: CommandGroup;
  readonly since: string;
  readonly summary: string;
  readonly complexity: string;
  readonly flags: readonly CommandFlag[];
  readonly args: readonly ArgSpec[];
  /** Only where the grammar does not tell. */
  readonly arity?: number;
  /** Only where the grammar does not tell. */
  readonly keys?: KeyPositions;
  readonly keysOf?: (argv: readonly Uint8Array[]) => readonly number[];
  /** Only where they are not what a read or a write usually does. */
  readonly keyUses?: KeyUses;
  readonly keyUseOf?: (argv: readonly Uint8Array[]) => KeyUse;
  readonly keyNotes?: string;
  /** Categories besides those of flags and group. */
  readonly categories?: readonly string[];
  /** Instead of the group's own category; Redis leaves some commands without one. */
  readonly groupCategory?: string | null;
}

const NO_KEYS: KeyPositions = { first: 0, last: 0, step: 0 };

/** The ACL category of a group (server.c, ACLCommandCategories); null = none. */
const GROUP_CATEGORIES: Readonly<Record<CommandGroup, string | null>> = {
  string: 'string',
  bitmap: 'bitmap',
  generic: 'keyspace',
  transactions: 'transaction',
  connection: 'connection',
  server: null,
  scripting: 'scripting',
  cluster: null,
  list: 'list',
  set: 'set',
  'sorted-set': 'sortedset',
  hash: 'hash',
  stream: 'stream',
  hyperloglog: 'hyperloglog',
  geo: 'geo',
  pubsub: 'pubsub',
  kahuna: 'kahuna',
};

/**
 * A data command's row with everything that follows from it. The arguments that `run` reads start behind the command's
 * name, and behind the subcommand's for `A|B`. A row that contradicts itself throws when the module is loaded.
 */
export function defineCommand(
  definition: CommandDefinition & {
    readonly run: (view: View, args: Args) => Reply;
    /** Only where it does not follow: commands that read keys count, those that change them do not. */
    readonly countsLookups?: boolean;
  },
): DataCommand {
  const { run, complexity, countsLookups, flags, group, name } = definition;
  const isSubcommand = name.includes('|');
  return {
    ...deriveSpec(definition),
    mayRunLong: complexity !== 'O(1)',
    countsLookups: countsLookups ?? (flags.includes('readonly') && group !== 'kahuna' && group !== 'server'),
    subcommands: [],
    run: isSubcommand
      ? (view, args) => {
          args.skip(1);
          return run(view, args);
        }
      : run,
  };
}

/** A container of subcommands: `OBJECT`. Evaluated only if the subcommand is not known. */
export function defineContainer(
  definition: Omit<CommandDefinition, 'args' | 'flags'>,
  subcommands: readonly DataCommand[],
): DataCommand {
  for (const { name } of subcommands) {
    assert(name.startsWith(`${definition.name}|`), `${name} is not a subcommand of ${definition.name}`);
  }
  return {
    ...deriveSpec({ ...definition, args: [], flags: [], arity: -2, groupCategory: definition.groupCategory ?? null }),
    countsLookups: false,
    mayRunLong: false,
    subcommands,
    run: (_view, args) => fail(unknownSubcommand(definition.name, args.bytes())),
  };
}

/** The row of any command, also one without `run`: checks it, and fills in what follows. */
export function deriveSpec(definition: CommandDefinition): CommandSpec {
  const { name, group, since, summary, complexity, args } = definition;
  const start = name.includes('|') ? 2 : 1;
  const keyCount = numkeysPlace(args, start);
  const keysOf = definition.keysOf ?? (keyCount === null ? null : countedKeys(keyCount));
  const keys = definition.keys ?? (keysOf === null ? fixedKeys(definition, start) : NO_KEYS);
  const flags = keysOf === null ? definition.flags : withFlag(definition.flags, 'movablekeys');
  const spec: CommandSpec = {
    name,
    group,
    since,
    summary,
    complexity,
    flags,
    arity: definition.arity ?? deriveArity(args, start),
    keys,
    keysOf,
    keyCount,
    keyUses: definition.keyUses ?? usualKeyUses(flags.includes('write')),
    keyUseOf: definition.keyUseOf ?? null,
    keyNotes: definition.keyNotes ?? null,
    categories: deriveCategories(definition),
    args,
    subcommands: [],
  };
  checkSpec(spec);
  return spec;
}

// ---------------------------------------------------------------------------------------------------------------
// What follows from the grammar

/** Fewest and most words that an argument can take. */
function wordCount(arg: ArgSpec): { readonly least: number; readonly most: number } {
  let { least, most } = contentCount(arg);
  if (arg.token !== undefined && arg.type !== 'pure-token') {
    least += 1;
    most += 1;
  }
  return { least: arg.optional === true ? 0 : least, most: arg.multiple === true ? Infinity : most };
}

function contentCount(arg: ArgSpec): { least: number; most: number } {
  const parts = (arg.args ?? []).map(wordCount);
  if (arg.type === 'oneof') {
    return { least: Math.min(...parts.map((part) => part.least)), most: Math.max(...parts.map((part) => part.most)) };
  }
  if (arg.type === 'block')
    return parts.reduce((a, b) => ({ least: a.least + b.least, most: a.most + b.most }), { least: 0, most: 0 });
  return { least: 1, most: 1 };
}

function deriveArity(args: readonly ArgSpec[], start: number): number {
  let least = start;
  let isFixed = true;
  for (const arg of args) {
    const count = wordCount(arg);
    least += count.least;
    isFixed &&= count.least === count.most;
  }
  return isFixed ? least : -least;
}

/** Positions of keys that do not depend on the arguments; a key that this cannot see must be declared in the row. */
function fixedKeys(definition: CommandDefinition, start: number): KeyPositions {
  const positions: number[] = [];
  let at = start;
  let isKnown = true;
  for (const [index, arg] of definition.args.entries()) {
    const isLast = index === definition.args.length - 1;
    if (holdsKey(arg)) {
      const offset = keyOffset(arg);
      assert(isKnown && offset !== null, `${definition.name}: key positions must be declared`);
      positions.push(at + offset);
      if (arg.multiple === true) {
        const step = wordCount({ ...arg, multiple: false }).least;
        assert(
          isLast && positions.every((position, i) => position === (positions[0] ?? 0) + i * step),
          `${definition.name}: key positions must be declared`,
        );
        return { first: positions[0] ?? 0, last: -1, step };
      }
    }
    const count = wordCount(arg);
    isKnown &&= count.least === count.most;
    at += count.least;
  }
  const [first, second] = positions;
  if (first === undefined) return NO_KEYS;
  const step = second === undefined ? 1 : second - first;
  assert(
    positions.every((position, i) => position === first + i * step),
    `${definition.name}: key positions must be declared`,
  );
  return { first, last: positions.at(-1) ?? first, step };
}

function holdsKey(arg: ArgSpec): boolean {
  return arg.type === 'key' || (arg.args ?? []).some(holdsKey);
}

/** Words before the only key of a mandatory argument without a word of its own; null if there is no such place. */
function keyOffset(arg: ArgSpec): number | null {
  if (arg.optional === true || arg.token !== undefined) return null;
  if (arg.type === 'key') return 0;
  if (arg.type !== 'block') return null;
  const parts = arg.args ?? [];
  const index = parts.findIndex(holdsKey);
  const isOnly =
    parts.filter(holdsKey).length === 1 && parts.every((part) => wordCount(part).least === wordCount(part).most);
  return isOnly && parts[index]?.type === 'key' ? index : null;
}

/** Of `numkeys key [key …]` and `numkeys key value [key value …]`. */
function numkeysPlace(args: readonly ArgSpec[], start: number): CommandSpec['keyCount'] {
  const index = args.findIndex((arg) => arg.name === 'numkeys');
  const keysArg = args[index + 1];
  if (index === -1 || keysArg === undefined) return null;
  // Optional keys (EVAL) take as many words each as mandatory ones.
  const step = wordCount({ ...keysArg, multiple: false, optional: false }).least;
  return { at: start + index, step };
}

function countedKeys({ at, step }: NonNullable<CommandSpec['keyCount']>): NonNullable<CommandSpec['keysOf']> {
  return (argv) => {
    const count = parseInt64(argv[at] ?? NO_BYTES);
    // None rather than some: what runs the command refuses such a count.
    if (typeof count !== 'number' || count < 1 || count * step > argv.length - at - 1) return [];
    const end = at + 1 + count * step;
    const positions: number[] = [];
    for (let position = at + 1; position < end; position += step) positions.push(position);
    return positions;
  };
}

const NO_BYTES = new Uint8Array(0);

/** As setImplicitACLCategories in server.c. */
function deriveCategories(definition: CommandDefinition): readonly string[] {
  const { flags } = definition;
  const categories = new Set<string>();
  const group = definition.groupCategory === undefined ? GROUP_CATEGORIES[definition.group] : definition.groupCategory;
  if (group !== null) categories.add(group);
  if (flags.includes('write')) categories.add('write');
  if (flags.includes('readonly') && definition.group !== 'scripting') categories.add('read');
  if (flags.includes('admin')) categories.add('admin').add('dangerous');
  if (flags.includes('pubsub')) categories.add('pubsub');
  if (flags.includes('blocking')) categories.add('blocking');
  categories.add(flags.includes('fast') ? 'fast' : 'slow');
  for (const category of definition.categories ?? []) categories.add(category);
  return [...categories];
}

function withFlag(flags: readonly CommandFlag[], flag: CommandFlag): readonly CommandFlag[] {
  return flags.includes(flag) ? flags : [...flags, flag];
}

// ---------------------------------------------------------------------------------------------------------------
// Checks

const NAME = /^[A-Z%][A-Z0-9_.-]*(\|[A-Z][A-Z0-9-]*)?$/;
const VERSION = /^\d+\.\d+\.\d+$/;

function checkSpec(spec: CommandSpec): void {
  const { name, flags, keys } = spec;
  const has = (flag: CommandFlag): boolean => flags.includes(flag);
  const hasKeys = keys.first !== 0 || spec.keysOf !== null;
  assert(NAME.test(name), `'${name}' is not a command name`);
  assert(VERSION.test(spec.since), `${name}: '${spec.since}' is not a version`);
  assert(spec.summary !== '' && spec.complexity !== '', `${name}: summary or complexity is missing`);
  assert(new Set(flags).size === flags.length, `${name}: a flag occurs twice`);
  assert(!(has('write') && has('readonly')), `${name}: write and readonly contradict each other`);
  assert(!(has('denyoom') && !has('write')), `${name}: denyoom is for writes`);
  assert(!(has('fast') && has('blocking')), `${name}: a blocking command is not fast`);
  assert(
    !hasKeys || has('write') || has('readonly') || has('noscript'),
    `${name}: has keys, but neither reads nor writes`,
  );
  assert(spec.arity !== 0 && Math.abs(spec.arity) >= (name.includes('|') ? 2 : 1), `${name}: arity ${spec.arity}`);
  assert(!(has('movablekeys') && spec.keysOf === null), `${name}: movable keys need keysOf`);
  assert(
    keys.first === 0 || (keys.step >= 1 && keys.first < Math.abs(spec.arity)),
    `${name}: its first key may be missing`,
  );
  assert(keys.last < 0 || keys.last >= keys.first, `${name}: key positions run backwards`);
  checkNames(name, spec.args);
}

function checkNames(command: string, args: readonly ArgSpec[]): void {
  // Redis itself gives two arguments one name where their words tell them apart.
  const names = args.map((arg) => `${arg.token ?? ''} ${arg.name}`);
  assert(new Set(names).size === names.length, `${command}: two arguments have one name`);
  for (const arg of args) {
    assert(
      (arg.type === 'oneof' || arg.type === 'block') === (arg.args !== undefined),
      `${command}: ${arg.name} has the wrong type`,
    );
    assert(arg.type !== 'pure-token' || arg.token !== undefined, `${command}: ${arg.name} has no token`);
    checkNames(command, arg.args ?? []);
  }
}

/** Rows by name, containers and subcommands (`OBJECT|ENCODING`) alike. Throws if a name occurs twice. */
export function commandsByName(commands: readonly DataCommand[]): ReadonlyMap<string, DataCommand> {
  const byName = new Map<string, DataCommand>();
  for (const command of commands) {
    for (const row of [command, ...command.subcommands]) {
      assert(!byName.has(row.name), `two commands are named ${row.name}`);
      byName.set(row.name, row);
    }
  }
  return byName;
}
