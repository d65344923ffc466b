/** What COMMAND INFO and COMMAND DOCS tell about a row (server.c addReplyCommandInfo, addReplyCommandDocs). */
import type { ArgSpec, CommandSpec } from '../commands/define.ts';
import type { KeyUse } from '../commands/key-uses.ts';
import { MapReply, SetReply, Status } from '../resp/reply.ts';
import type { Reply } from '../resp/reply.ts';
import { ACL_CATEGORIES } from './acl-categories.ts';
import type { CommandEntry } from './command-table.ts';

/** The order in which Redis lists flags (server.c addReplyFlagsForCommand). */
const FLAG_ORDER = [
  'write',
  'readonly',
  'denyoom',
  'admin',
  'pubsub',
  'noscript',
  'blocking',
  'loading',
  'stale',
  'skip_monitor',
  'skip_slowlog',
  'asking',
  'fast',
  'no_auth',
  'no_mandatory_keys',
  'no_multi',
  'movablekeys',
  'allow_busy',
] as const;

export function keyUseReply(use: KeyUse): Reply {
  return new SetReply(use.map((flag) => new Status(flag)));
}

export function commandInfo(entry: CommandEntry): Reply {
  const { spec } = entry;
  return [
    entry.fullName,
    spec.arity,
    new SetReply(FLAG_ORDER.filter((flag) => spec.flags.includes(flag)).map((flag) => new Status(flag))),
    spec.keys.first,
    spec.keys.last,
    spec.keys.step,
    new SetReply(
      ACL_CATEGORIES.filter((category) => spec.categories.includes(category)).map(
        (category) => new Status(`@${category}`),
      ),
    ),
    // No tips: Redis's tell cluster clients to ask every shard and add the answers up, and here any node answers for all.
    new SetReply([]),
    new SetReply(keySpecs(spec)),
    entry.subcommands === null ? new SetReply([]) : [...entry.subcommands.values()].map(commandInfo),
  ];
}

/**
 * Where the keys are and what happens to them: a specification for each use. None for keys that only the whole request
 * tells (clients then ask COMMAND GETKEYS).
 */
function keySpecs(spec: CommandSpec): readonly Reply[] {
  const [firstUse, othersUse = null] = spec.keyUses;
  if (spec.keyCount !== null) {
    const { at, step } = spec.keyCount;
    return [keySpec(spec, firstUse, at, keySearch('keynum', { keynumidx: 0, firstkey: 1, keystep: step }))];
  }
  const { first, last, step } = spec.keys;
  if (first === 0) return [];
  const range = (from: number, to: number): Reply =>
    // In a key specification the last key counts from the first.
    keySearch('range', { lastkey: to < 0 ? to : to - from, keystep: step, limit: 0 });
  if (othersUse === null) return [keySpec(spec, firstUse, first, range(first, last))];
  return [
    keySpec(spec, firstUse, first, range(first, first)),
    keySpec(spec, othersUse, first + step, range(first + step, last)),
  ];
}

function keySpec(spec: CommandSpec, use: KeyUse, index: number, findKeys: Reply): Reply {
  return new MapReply([
    ...(spec.keyNotes === null ? [] : [['notes', spec.keyNotes] as const]),
    ['flags', keyUseReply(use)],
    ['begin_search', keySearch('index', { index })],
    ['find_keys', findKeys],
  ]);
}

function keySearch(type: string, numbers: Readonly<Record<string, number>>): Reply {
  return new MapReply([
    ['type', type],
    ['spec', new MapReply(Object.entries(numbers))],
  ]);
}

export function commandDocs(entry: CommandEntry): Reply {
  const { spec, subcommands } = entry;
  const fields: (readonly [Reply, Reply])[] = [
    ['summary', spec.summary],
    ['since', spec.since],
    ['group', spec.group],
    ['complexity', spec.complexity],
  ];
  if (spec.args.length > 0) {
    const keySpecOf = keySpecNumbers(spec);
    fields.push(['arguments', spec.args.map((argument) => argumentDocs(argument, keySpecOf))]);
  }
  if (subcommands !== null && subcommands.size > 0) {
    fields.push([
      'subcommands',
      new MapReply([...subcommands.values()].map((subcommand) => [subcommand.fullName, commandDocs(subcommand)])),
    ]);
  }
  return new MapReply(fields);
}

/** Called for one key argument after the other: which key specification is about it; null if there are none. */
function keySpecNumbers(spec: CommandSpec): () => number | null {
  const isKnown = spec.keys.first !== 0 || spec.keyCount !== null;
  let argumentCount = 0;
  return () => (isKnown ? Math.min(argumentCount++, spec.keyUses.length - 1) : null);
}

function argumentDocs(argument: ArgSpec, keySpecOf: () => number | null): Reply {
  const fields: (readonly [Reply, Reply])[] = [
    ['name', argument.name],
    ['type', argument.type],
  ];
  // Since 7.2: what to show for the argument.
  if (argument.type !== 'oneof' && argument.type !== 'block') fields.push(['display_text', argument.name]);
  const keySpec = argument.type === 'key' ? keySpecOf() : null;
  if (keySpec !== null) fields.push(['key_spec_index', keySpec]);
  if (argument.token !== undefined) fields.push(['token', argument.token]);
  const flags = [
    ...(argument.optional === true ? ['optional'] : []),
    ...(argument.multiple === true ? ['multiple'] : []),
  ];
  if (flags.length > 0) fields.push(['flags', new SetReply(flags.map((flag) => new Status(flag)))]);
  if (argument.args !== undefined) {
    fields.push(['arguments', argument.args.map((inner) => argumentDocs(inner, keySpecOf))]);
  }
  return new MapReply(fields);
}
