/** Keys of any type: deleting, renaming, copying, looking at them (db.c, object.c, Redis 7.2). */
import {
  DB_OUT_OF_RANGE,
  LFU_NOT_SELECTED,
  NO_SUCH_KEY,
  NOT_AN_INTEGER,
  SAME_OBJECT,
  SYNTAX_ERROR,
  fail,
  rangeError,
} from '../resp/errors.ts';
import { OK, type Reply, Status } from '../resp/reply.ts';
import { parseInt64, parseInt64Text } from '../values/integer.ts';
import { typeOf } from '../values/codec.ts';
import { DATABASE_COUNT, type Space } from '../values/value.ts';
import type { Args } from './args.ts';
import { type DataCommand, defineCommand, defineContainer } from './define.ts';
import { after, integer, key, many, oneOf, optional, token } from './grammar.ts';
import { CREATES, INSPECTS, READS, REMOVES, REPLACES, TAKES } from './key-uses.ts';
import { isString } from './lookup.ts';
import type { KeyObject, View } from './view.ts';

const INT32_MAX = 2_147_483_647;

function defineDelete(row: {
  readonly name: string;
  readonly since: string;
  readonly summary: string;
  readonly isFast: boolean;
}): DataCommand {
  return defineCommand({
    name: row.name,
    group: 'generic',
    since: row.since,
    summary: row.summary,
    complexity: 'O(N) where N is the number of keys that will be removed.',
    flags: row.isFast ? ['write', 'fast'] : ['write'],
    keyUses: [REMOVES],
    args: [many(key())],
    run: (view, args): Reply => {
      let count = 0;
      while (args.remaining > 0) if (view.remove(args.database, args.key())) count += 1;
      return count;
    },
  });
}

const del = defineDelete({ name: 'DEL', since: '1.0.0', summary: 'Deletes one or more keys.', isFast: false });
const unlink = defineDelete({ name: 'UNLINK', since: '4.0.0', summary: 'Deletes one or more keys.', isFast: true });

const exists = defineCommand({
  name: 'EXISTS',
  group: 'generic',
  since: '1.0.0',
  summary: 'Determines whether one or more keys exist.',
  complexity: 'O(N) where N is the number of keys to check.',
  flags: ['readonly', 'fast'],
  keyUses: [INSPECTS],
  args: [many(key())],
  run: (view, args): Reply => {
    let count = 0;
    while (args.remaining > 0) if (view.peek(args.database, args.key()) !== undefined) count += 1;
    return count;
  },
});

const touch = defineCommand({
  name: 'TOUCH',
  group: 'generic',
  since: '3.2.1',
  summary:
    'Returns the number of existing keys out of those specified after updating the time they were last accessed.',
  complexity: 'O(N) where N is the number of keys that will be touched.',
  flags: ['readonly', 'fast'],
  keyUses: [INSPECTS],
  args: [many(key())],
  run: (view, args): Reply => {
    let count = 0;
    while (args.remaining > 0) if (view.touch(args.database, args.key())) count += 1;
    return count;
  },
});

const NONE = new Status('none');

const type = defineCommand({
  name: 'TYPE',
  group: 'generic',
  since: '1.0.0',
  summary: 'Determines the type of value stored at a key.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  keyUses: [INSPECTS],
  args: [key()],
  run: (view, args): Reply => {
    const object = view.peek(args.database, args.key());
    return object === undefined ? NONE : new Status(typeOf(object.value));
  },
});

const rename = defineCommand({
  name: 'RENAME',
  group: 'generic',
  since: '1.0.0',
  summary: 'Renames a key and overwrites the destination.',
  complexity: 'O(1)',
  flags: ['write'],
  keyUses: [TAKES, REPLACES],
  args: [key(), key('newkey')],
  run: (view, args): Reply => {
    move(view, args, { onlyIfAbsent: false });
    return OK;
  },
});

const renamenx = defineCommand({
  name: 'RENAMENX',
  group: 'generic',
  since: '1.0.0',
  summary: "Renames a key only when the target key name doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  keyUses: [TAKES, CREATES],
  args: [key(), key('newkey')],
  run: (view, args): Reply => (move(view, args, { onlyIfAbsent: true }) ? 1 : 0),
});

/** Takes value and expiry along; false if the new name is taken and must not be. */
function move(view: View, args: Args, options: { readonly onlyIfAbsent: boolean }): boolean {
  const from = args.key();
  const to = args.key();
  const source = view.find(args.database, from) ?? fail(NO_SUCH_KEY);
  if (from === to) return !options.onlyIfAbsent;
  if (options.onlyIfAbsent && view.find(args.database, to) !== undefined) return false;
  view.put(args.database, to, source.value, source.expiresAtMs);
  view.remove(args.database, from);
  return true;
}

const copy = defineCommand({
  name: 'COPY',
  group: 'generic',
  since: '6.2.0',
  summary: 'Copies the value of a key to a new key.',
  complexity: 'O(N) worst case for collections, where N is the number of nested items. O(1) for string values.',
  flags: ['write', 'denyoom'],
  keyUses: [READS, REPLACES],
  args: [
    key('source'),
    key('destination'),
    optional(after('DB', integer('destination-db'))),
    optional(token('REPLACE')),
  ],
  run: (view, args): Reply => {
    const from = args.key();
    const to = args.key();
    const options = readCopyOptions(args);
    if (options.database === args.database && from === to) fail(SAME_OBJECT);
    view.countsLookups = true;
    const source = view.find(args.database, from);
    view.countsLookups = false;
    if (source === undefined) return 0;
    if (!options.replaces && view.find(options.database, to) !== undefined) return 0;
    view.put(options.database, to, source.value, source.expiresAtMs);
    return 1;
  },
});

function readCopyOptions(args: Args): { readonly database: Space; readonly replaces: boolean } {
  let database = args.database;
  let replaces = false;
  while (args.remaining > 0) {
    if (args.maybeToken('REPLACE')) replaces = true;
    else if (args.remaining >= 2 && args.maybeToken('DB')) database = readDatabase(args);
    else fail(SYNTAX_ERROR);
  }
  return { database, replaces };
}

function readDatabase(args: Args): Space {
  const number = parseInt64(args.bytes()) ?? fail(NOT_AN_INTEGER);
  if (number > INT32_MAX || number < -INT32_MAX - 1) fail(rangeError(-INT32_MAX - 1, INT32_MAX));
  if (typeof number !== 'number' || number < 0 || number >= DATABASE_COUNT) fail(DB_OUT_OF_RANGE);
  return number;
}

const moveCommand = defineCommand({
  name: 'MOVE',
  group: 'generic',
  since: '1.0.0',
  summary: 'Moves a key to another database.',
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  args: [key(), integer('db')],
  run: (view, args): Reply => {
    const name = args.key();
    const database = readDatabase(args);
    if (database === args.database) fail(SAME_OBJECT);
    const object = view.find(args.database, name);
    if (object === undefined || view.find(database, name) !== undefined) return 0;
    view.put(database, name, object.value, object.expiresAtMs);
    view.remove(args.database, name);
    return 1;
  },
});

// ---------------------------------------------------------------------------------------------------------------
// Databases

const dbsize = defineCommand({
  name: 'DBSIZE',
  group: 'server',
  groupCategory: 'keyspace',
  since: '1.0.0',
  summary: 'Returns the number of keys in the database.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [],
  run: (view, args): Reply => view.keyCount(args.database),
});

const flushType = optional(oneOf('flush-type', token('ASYNC'), token('SYNC')));

const flushdb = defineCommand({
  name: 'FLUSHDB',
  group: 'server',
  groupCategory: 'keyspace',
  categories: ['dangerous'],
  since: '1.0.0',
  summary: 'Removes all keys from the current database.',
  complexity: 'O(1); the space is reclaimed in the background.',
  flags: ['write'],
  args: [flushType],
  run: (view, args): Reply => flush(view, args, args.database),
});

const flushall = defineCommand({
  name: 'FLUSHALL',
  group: 'server',
  groupCategory: 'keyspace',
  categories: ['dangerous'],
  since: '1.0.0',
  summary: 'Removes all keys from all databases.',
  complexity: 'O(1); the space is reclaimed in the background.',
  flags: ['write'],
  args: [flushType],
  run: (view, args): Reply => flush(view, args, 'all'),
});

function flush(view: View, args: Args, target: Space | 'all'): Reply {
  if (args.remaining > 1) fail(SYNTAX_ERROR);
  if (args.remaining === 1 && !args.maybeToken('ASYNC') && !args.maybeToken('SYNC')) fail(SYNTAX_ERROR);
  view.flush(target);
  return OK;
}

// ---------------------------------------------------------------------------------------------------------------
// OBJECT, MEMORY USAGE

/** Redis shares the objects of these integers, and reports so. */
const SHARED_INTEGERS = 10_000;
const EMBEDDED_BYTES_MAX = 44;

const OBJECT_HELP = [
  'OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'ENCODING <key>',
  '    Return the kind of internal representation used in order to store the value',
  '    associated with a <key>.',
  'FREQ <key>',
  '    Return the access frequency index of the <key>. The returned integer is',
  '    proportional to the logarithm of the recent access frequency of the key.',
  'IDLETIME <key>',
  '    Return the idle time of the <key>, that is the approximated number of',
  '    seconds elapsed since the last access to the key.',
  'REFCOUNT <key>',
  '    Return the number of references of the value associated with the specified',
  '    <key>.',
  'HELP',
  '    Prints this help.',
].map((line) => new Status(line));

interface ObjectForm {
  readonly name: string;
  readonly since: string;
  readonly summary: string;
  readonly of: (object: KeyObject, view: View) => Reply;
}

function defineObject(form: ObjectForm): DataCommand {
  return defineCommand({
    name: form.name,
    group: 'generic',
    since: form.since,
    summary: form.summary,
    complexity: 'O(1)',
    flags: ['readonly'],
    keyUses: [INSPECTS],
    args: [key()],
    run: (view, args): Reply => {
      const object = view.peek(args.database, args.key());
      return object === undefined ? null : form.of(object, view);
    },
  });
}

/** What Redis would use for a fresh string; one that was changed in place stays "raw" there. */
function encodingOf(object: KeyObject): string {
  const { value } = object;
  if (!isString(value)) return typeOf(value);
  if (typeof value !== 'string') return 'raw';
  if (parseInt64Text(value) !== undefined) return 'int';
  return value.length <= EMBEDDED_BYTES_MAX ? 'embstr' : 'raw';
}

function referencesTo(object: KeyObject): number {
  const number = typeof object.value === 'string' ? parseInt64Text(object.value) : undefined;
  return typeof number === 'number' && number >= 0 && number < SHARED_INTEGERS ? INT32_MAX : 1;
}

const objectCommand = defineContainer(
  {
    name: 'OBJECT',
    group: 'generic',
    since: '2.2.3',
    summary: 'A container for object introspection commands.',
    complexity: 'Depends on subcommand.',
  },
  [
    defineObject({
      name: 'OBJECT|ENCODING',
      since: '2.2.3',
      summary: 'Returns the internal encoding of an object.',
      of: encodingOf,
    }),
    defineObject({
      name: 'OBJECT|FREQ',
      since: '4.0.0',
      summary: 'Returns the logarithmic access frequency counter of an object.',
      of: () => fail(LFU_NOT_SELECTED),
    }),
    defineObject({
      name: 'OBJECT|IDLETIME',
      since: '2.2.3',
      summary: 'Returns the time since the last access to an object.',
      of: (object, view) => Math.max(0, Math.floor(view.nowMs / 1000) - object.accessedAtSeconds),
    }),
    defineObject({
      name: 'OBJECT|REFCOUNT',
      since: '2.2.3',
      summary: 'Returns the reference count of a value of a key.',
      of: referencesTo,
    }),
    defineCommand({
      name: 'OBJECT|HELP',
      group: 'generic',
      since: '6.2.0',
      summary: 'Returns helpful text about the different subcommands.',
      complexity: 'O(1)',
      flags: ['loading', 'stale'],
      args: [],
      run: (): Reply => OBJECT_HELP,
    }),
  ],
);

const memoryUsage = defineCommand({
  name: 'MEMORY|USAGE',
  group: 'server',
  since: '4.0.0',
  summary: 'Estimates the memory usage of a key.',
  complexity: 'O(1)',
  flags: ['readonly'],
  keyUses: [INSPECTS],
  args: [key(), optional(after('SAMPLES', integer('count')))],
  run: (view, args): Reply => {
    const name = args.key();
    while (args.remaining > 0) {
      if (args.remaining < 2 || !args.maybeToken('SAMPLES')) fail(SYNTAX_ERROR);
      if (args.integer() < 0) fail(SYNTAX_ERROR);
    }
    const object = view.peek(args.database, name);
    return object === undefined ? null : object.memoryBytes;
  },
});

export const genericCommands: readonly DataCommand[] = [
  del,
  unlink,
  exists,
  touch,
  type,
  rename,
  renamenx,
  copy,
  moveCommand,
  dbsize,
  flushdb,
  flushall,
  objectCommand,
  memoryUsage,
];
