/** COMMAND: the table, as clients and redis-cli read it. */
import { after, many, oneOf, optional, pattern, text } from '../../commands/grammar.ts';
import {
  COMMAND_ARGUMENTS_INVALID,
  COMMAND_ARITY_INVALID,
  COMMAND_INVALID,
  COMMAND_NO_KEYS,
  SYNTAX_ERROR,
  fail,
} from '../../resp/errors.ts';
import { MapReply } from '../../resp/reply.ts';
import type { Reply } from '../../resp/reply.ts';
import { matchesGlob } from '../../resp/glob.ts';
import { textAt, upperAt } from '../arguments.ts';
import { commandDocs, commandInfo, keyUseReply } from '../command-docs.ts';
import type { CommandEntry } from '../command-table.ts';
import type { ServerContext } from '../context.ts';
import { keyIndices } from '../../commands/key-indices.ts';
import { sessionCommand } from '../session-command.ts';
import { helpReply } from './help.ts';

const count = sessionCommand({
  name: 'COMMAND|COUNT',
  group: 'server',
  since: '2.8.13',
  summary: 'Get total number of Redis commands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  categories: ['connection'],
  args: [],
  run: ({ context }) => context.table.size,
});

const list = sessionCommand({
  name: 'COMMAND|LIST',
  group: 'server',
  since: '7.0.0',
  summary: 'Get an array of Redis command names',
  complexity: 'O(N) where N is the total number of Redis commands',
  flags: ['loading', 'stale'],
  arity: -2,
  categories: ['connection'],
  args: [
    optional(
      after(
        'FILTERBY',
        oneOf(
          'filterby',
          after('MODULE', text('module-name')),
          after('ACLCAT', text('category')),
          after('PATTERN', pattern()),
        ),
      ),
    ),
  ],
  run: ({ context }, argv) => {
    const all = [...context.table.all()];
    if (argv.length === 2) return all.map((entry) => entry.fullName);
    if (argv.length !== 5 || upperAt(argv, 2) !== 'FILTERBY') return fail(SYNTAX_ERROR);
    const wanted = textAt(argv, 4);
    const filter = LIST_FILTERS[upperAt(argv, 3)] ?? fail(SYNTAX_ERROR);
    return all.filter((entry) => filter(entry, wanted)).map((entry) => entry.fullName);
  },
});

const LIST_FILTERS: Readonly<Record<string, (entry: CommandEntry, wanted: string) => boolean>> = {
  MODULE: () => false,
  ACLCAT: (entry, wanted) => entry.spec.categories.includes(wanted.toLowerCase()),
  PATTERN: (entry, wanted) => wanted === '*' || matchesGlob(wanted, entry.fullName, { ignoreCase: true }),
};

const info = sessionCommand({
  name: 'COMMAND|INFO',
  group: 'server',
  since: '2.8.13',
  summary: 'Get array of specific Redis command details, or all when no argument is given.',
  complexity: 'O(N) where N is the number of commands to look up',
  flags: ['loading', 'stale'],
  arity: -2,
  categories: ['connection'],
  args: [optional(many(text('command-name')))],
  run: ({ context }, argv) => infoReply(context, argv),
});

function infoReply(context: ServerContext, argv: readonly Buffer[]): Reply {
  if (argv.length <= 2) return [...context.table.entries()].map(commandInfo);
  return argv.slice(2).map((name) => {
    const entry = context.table.findByFullName(name.toString('latin1'));
    return entry === undefined ? null : commandInfo(entry);
  });
}

const docs = sessionCommand({
  name: 'COMMAND|DOCS',
  group: 'server',
  since: '7.0.0',
  summary: 'Get array of specific Redis command documentation',
  complexity: 'O(N) where N is the number of commands to look up',
  flags: ['loading', 'stale'],
  arity: -2,
  categories: ['connection'],
  args: [optional(many(text('command-name')))],
  run: ({ context }, argv) => {
    const entries =
      argv.length === 2
        ? [...context.table.entries()]
        : argv.slice(2).flatMap((name) => context.table.findByFullName(name.toString('latin1')) ?? []);
    return new MapReply(entries.map((entry) => [entry.fullName, commandDocs(entry)]));
  },
});

const getKeys = sessionCommand({
  name: 'COMMAND|GETKEYS',
  group: 'server',
  since: '2.8.13',
  summary: 'Extract keys given a full Redis command',
  complexity: 'O(N) where N is the number of arguments to the command',
  flags: ['loading', 'stale'],
  arity: -4,
  categories: ['connection'],
  args: [],
  run: ({ context }, argv) => keysIn(context, argv).keys,
});

const getKeysAndFlags = sessionCommand({
  name: 'COMMAND|GETKEYSANDFLAGS',
  group: 'server',
  since: '7.0.0',
  summary: 'Extract keys and access flags given a full Redis command',
  complexity: 'O(N) where N is the number of arguments to the command',
  flags: ['loading', 'stale'],
  arity: -4,
  categories: ['connection'],
  args: [],
  run: ({ context }, argv) => {
    const { entry, keys } = keysIn(context, argv);
    const [firstUse, othersUse] = entry.spec.keyUses;
    const use = entry.spec.keyUseOf?.(argv.slice(2)) ?? firstUse;
    return keys.map((key, i) => [key, keyUseReply(i === 0 ? use : (othersUse ?? use))]);
  },
});

/** The request begins at argv[2]. */
function keysIn(context: ServerContext, argv: readonly Buffer[]): { entry: CommandEntry; keys: Buffer[] } {
  const request = argv.slice(2);
  const entry = context.table.resolveWhole(request) ?? fail(COMMAND_INVALID);
  if (entry.spec.keys.first === 0 && entry.spec.keysOf === null) return fail(COMMAND_NO_KEYS);
  if (!entry.acceptsArgumentCount(request.length)) return fail(COMMAND_ARITY_INVALID);
  const keys = keyIndices(entry.spec, request).flatMap((i) => request[i] ?? []);
  if (keys.length === 0 && !entry.spec.flags.includes('no_mandatory_keys')) return fail(COMMAND_ARGUMENTS_INVALID);
  return { entry, keys };
}

const help = sessionCommand({
  name: 'COMMAND|HELP',
  group: 'server',
  since: '5.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
  flags: ['loading', 'stale'],
  arity: 2,
  categories: ['connection'],
  args: [],
  run: () =>
    helpReply('COMMAND', [
      '(no subcommand)',
      '    Return details about all Redis commands.',
      'COUNT',
      '    Return the total number of commands in this Redis server.',
      'LIST',
      '    Return a list of all commands in this Redis server.',
      'INFO [<command-name> ...]',
      '    Return details about multiple Redis commands.',
      '    If no command names are given, documentation details for all',
      '    commands are returned.',
      'DOCS [<command-name> ...]',
      '    Return documentation details about multiple Redis commands.',
      '    If no command names are given, documentation details for all',
      '    commands are returned.',
      'GETKEYS <full-command>',
      '    Return the keys from a full Redis command.',
      'GETKEYSANDFLAGS <full-command>',
      '    Return the keys and the access flags from a full Redis command.',
    ]),
});

const command = sessionCommand({
  name: 'COMMAND',
  group: 'server',
  since: '2.8.13',
  summary: 'Get array of Redis command details',
  complexity: 'O(N) where N is the total number of Redis commands',
  flags: ['loading', 'stale'],
  arity: -1,
  categories: ['connection'],
  args: [],
  run: ({ context }) => infoReply(context, []),
});

export const introspectionCommands = [
  { ...command, subcommands: [count, docs, getKeys, getKeysAndFlags, help, info, list] },
] as const;
