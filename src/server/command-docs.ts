/** What COMMAND INFO and COMMAND DOCS tell about a row (server.c addReplyCommandInfo, addReplyCommandDocs). */
import type { ArgSpec, CommandSpec } from '../commands/define.ts';
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

type KeyAccess = 'RO' | 'RW' | 'OW' | 'RM';

/** What each access means besides its two letters. */
const ACCESS_FLAGS: Readonly<Record<KeyAccess, readonly string[]>> = {
  RO: ['RO', 'access'],
  RW: ['RW', 'access', 'update'],
  OW: ['OW', 'update'],
  RM: ['RM', 'delete'],
};

function keyAccessOf(spec: CommandSpec): KeyAccess {
  return spec.keyAccess ?? (spec.flags.includes('write') ? 'RW' : 'RO');
}

export function accessFlags(spec: CommandSpec): Reply {
  return new SetReply(ACCESS_FLAGS[keyAccessOf(spec)].map((flag) => new Status(flag)));
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
    [],
    keySpecs(spec),
    [...(entry.subcommands?.values() ?? [])].map(commandInfo),
  ];
}

/** One key specification where positions tell; none for movable keys (clients then ask COMMAND GETKEYS). */
function keySpecs(spec: CommandSpec): Reply {
  const { first, last, step } = spec.keys;
  if (first === 0) return [];
  // In a key specification the last key counts from the first.
  const lastKey = last < 0 ? last : last - first;
  return [
    new MapReply([
      ['flags', accessFlags(spec)],
      [
        'begin_search',
        new MapReply([
          ['type', 'index'],
          ['spec', new MapReply([['index', first]])],
        ]),
      ],
      [
        'find_keys',
        new MapReply([
          ['type', 'range'],
          [
            'spec',
            new MapReply([
              ['lastkey', lastKey],
              ['keystep', step],
              ['limit', 0],
            ]),
          ],
        ]),
      ],
    ]),
  ];
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
    const isKeySpecKnown = spec.keys.first !== 0;
    fields.push(['arguments', spec.args.map((argument) => argumentDocs(argument, isKeySpecKnown))]);
  }
  if (subcommands !== null && subcommands.size > 0) {
    fields.push([
      'subcommands',
      new MapReply([...subcommands.values()].map((subcommand) => [subcommand.fullName, commandDocs(subcommand)])),
    ]);
  }
  return new MapReply(fields);
}

function argumentDocs(argument: ArgSpec, isKeySpecKnown: boolean): Reply {
  const fields: (readonly [Reply, Reply])[] = [
    ['name', argument.name],
    ['type', argument.type],
  ];
  // Since 7.2: what to show for the argument.
  if (argument.type !== 'oneof' && argument.type !== 'block') fields.push(['display_text', argument.name]);
  if (argument.type === 'key' && isKeySpecKnown) fields.push(['key_spec_index', 0]);
  if (argument.token !== undefined) fields.push(['token', argument.token]);
  const flags = [
    ...(argument.optional === true ? ['optional'] : []),
    ...(argument.multiple === true ? ['multiple'] : []),
  ];
  if (flags.length > 0) fields.push(['flags', new SetReply(flags.map((flag) => new Status(flag)))]);
  if (argument.args !== undefined) {
    fields.push(['arguments', argument.args.map((inner) => argumentDocs(inner, isKeySpecKnown))]);
  }
  return new MapReply(fields);
}
