/**
 * Reading and writing whole strings. A hot path: GET, SET without options (benchmark: compat/bench). Semantics and order of
 * errors are those of t_string.c, Redis 7.2; the conditions of SET are Redis 8.4's.
 */
import { SYNTAX_ERROR, fail } from '../resp/errors.ts';
import { OK, type Reply } from '../resp/reply.ts';
import { toReply } from '../values/string.ts';
import type { StringValue } from '../values/value.ts';
import { type Args, isToken } from './args.ts';
import { defineCommand } from './define.ts';
import { type ExpiryOption, type ExpiryUnit, expiryOf, maybeExpiryOption } from './expiry-time.ts';
import { after, expiration, integer, key, oneOf, optional, text, token } from './grammar.ts';
import { CREATES, READS_AND_UPDATES, REPLACES, TAKES } from './key-uses.ts';
import { grantByKey } from './lock-tokens.ts';
import { asString, findString } from './lookup.ts';
import { type Condition, checkCondition, holds, maybeCondition } from './string-conditions.ts';
import type { View } from './view.ts';

const get = defineCommand({
  name: 'GET',
  group: 'string',
  since: '1.0.0',
  summary: 'Returns the string value of a key.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [key()],
  run: (view, args): Reply => {
    const value = findString(view, args.database, args.key());
    return value === undefined ? null : toReply(value);
  },
});

const set = defineCommand({
  name: 'SET',
  group: 'string',
  since: '1.0.0',
  summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
  complexity: 'O(1); with IFDEQ or IFDNE O(N) where N is the length of the present value.',
  flags: ['write', 'denyoom'],
  keyUses: [['RW', 'access', 'update', 'variable_flags']],
  keyUseOf: (argv) => (argv.slice(3).some((word) => isToken(word, 'GET')) ? READS_AND_UPDATES : REPLACES),
  keyNotes: 'RW and ACCESS due to the optional `GET` argument',
  args: [
    key(),
    text('value'),
    optional(
      oneOf(
        'condition',
        token('NX'),
        token('XX'),
        after('IFEQ', text('ifeq-value')),
        after('IFNE', text('ifne-value')),
        after('IFDEQ', text('ifdeq-digest')),
        after('IFDNE', text('ifdne-digest')),
      ),
    ),
    optional(token('GET')),
    expiration(token('KEEPTTL')),
  ],
  run: (view, args): Reply => {
    const name = args.key();
    const value = args.value();
    if (args.remaining > 0) return setWithOptions(view, args, { name, value });
    view.put(args.database, name, value, 0);
    return OK;
  },
});

interface SetOptions {
  presence: 'NX' | 'XX' | null;
  condition: Condition | null;
  wantsOld: boolean;
  keepsTtl: boolean;
  expiry: ExpiryOption | null;
}

/** A word may come twice, and then counts once; words that exclude each other are a syntax error. */
function readSetOptions(args: Args): SetOptions {
  const options: SetOptions = { presence: null, condition: null, wantsOld: false, keepsTtl: false, expiry: null };
  while (args.remaining > 0) if (!readSetOption(args, options)) fail(SYNTAX_ERROR);
  return options;
}

function readSetOption(args: Args, options: SetOptions): boolean {
  if (options.presence !== 'XX' && options.condition === null && args.maybeToken('NX')) {
    options.presence = 'NX';
  } else if (options.presence !== 'NX' && options.condition === null && args.maybeToken('XX')) {
    options.presence = 'XX';
  } else if (args.maybeToken('GET')) {
    options.wantsOld = true;
  } else if (options.expiry === null && args.maybeToken('KEEPTTL')) {
    options.keepsTtl = true;
  } else {
    return readExpiry(args, options) || readCondition(args, options);
  }
  return true;
}

function readExpiry(args: Args, options: { keepsTtl: boolean; expiry: ExpiryOption | null }): boolean {
  const expiry = maybeExpiryOption(args);
  if (expiry === null || options.keepsTtl || (options.expiry !== null && options.expiry.unit !== expiry.unit))
    return false;
  options.expiry = expiry;
  return true;
}

function readCondition(args: Args, options: SetOptions): boolean {
  const condition = maybeCondition(args);
  if (condition === null || options.presence !== null) return false;
  if (options.condition !== null && options.condition.kind !== condition.kind) return false;
  options.condition = condition;
  return true;
}

function setWithOptions(view: View, args: Args, target: { readonly name: string; readonly value: StringValue }): Reply {
  const options = readSetOptions(args);
  const { presence, condition } = options;
  let expiresAtMs = options.expiry === null ? 0 : expiryOf(options.expiry, view.nowMs, 'SET');
  if (condition !== null) checkCondition(condition);

  view.countsLookups = options.wantsOld;
  const old = view.find(args.database, target.name);
  const oldString = old !== undefined && (options.wantsOld || condition !== null) ? asString(old.value) : undefined;
  const oldReply = oldString === undefined || !options.wantsOld ? null : toReply(oldString);
  const isWanted =
    presence === 'NX'
      ? old === undefined
      : presence === 'XX'
        ? old !== undefined
        : condition === null || holds(condition, oldString);
  if (!isWanted) return oldReply;

  if (options.keepsTtl && old !== undefined) expiresAtMs = old.expiresAtMs;
  view.put(args.database, target.name, target.value, expiresAtMs);
  if (presence === 'NX' && options.expiry !== null) grantByKey(view, target.name, expiresAtMs);
  return options.wantsOld ? oldReply : OK;
}

const setnx = defineCommand({
  name: 'SETNX',
  group: 'string',
  since: '1.0.0',
  summary: "Sets the string value of a key only when the key doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  keyUses: [CREATES],
  args: [key(), text('value')],
  run: (view, args): Reply => {
    const name = args.key();
    if (view.find(args.database, name) !== undefined) return 0;
    view.put(args.database, name, args.value(), 0);
    return 1;
  },
});

const setex = defineCommand({
  name: 'SETEX',
  group: 'string',
  since: '2.0.0',
  summary: "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom'],
  keyUses: [REPLACES],
  args: [key(), integer('seconds'), text('value')],
  run: (view, args): Reply => setExpiring(view, args, 'EX'),
});

const psetex = defineCommand({
  name: 'PSETEX',
  group: 'string',
  since: '2.6.0',
  summary:
    "Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist.",
  complexity: 'O(1)',
  flags: ['write', 'denyoom'],
  keyUses: [REPLACES],
  args: [key(), integer('milliseconds'), text('value')],
  run: (view, args): Reply => setExpiring(view, args, 'PX'),
});

function setExpiring(view: View, args: Args, unit: ExpiryUnit): Reply {
  const name = args.key();
  const expiresAtMs = expiryOf({ unit, argument: args.bytes() }, view.nowMs, unit === 'EX' ? 'SETEX' : 'PSETEX');
  view.put(args.database, name, args.value(), expiresAtMs);
  return OK;
}

const getset = defineCommand({
  name: 'GETSET',
  group: 'string',
  since: '1.0.0',
  summary: 'Returns the previous string value of a key after setting it to a new value.',
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'fast'],
  countsLookups: true,
  args: [key(), text('value')],
  run: (view, args): Reply => {
    const name = args.key();
    const old = findString(view, args.database, name);
    view.put(args.database, name, args.value(), 0);
    return old === undefined ? null : toReply(old);
  },
});

const getdel = defineCommand({
  name: 'GETDEL',
  group: 'string',
  since: '6.2.0',
  summary: 'Returns the string value of a key after deleting the key.',
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  keyUses: [TAKES],
  countsLookups: true,
  args: [key()],
  run: (view, args): Reply => {
    const name = args.key();
    const old = findString(view, args.database, name);
    if (old === undefined) return null;
    view.remove(args.database, name);
    return toReply(old);
  },
});

const getex = defineCommand({
  name: 'GETEX',
  group: 'string',
  since: '6.2.0',
  summary: 'Returns the string value of a key after setting its expiration time.',
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  keyNotes: 'RW and UPDATE because it changes the TTL',
  countsLookups: true,
  args: [key(), expiration(token('PERSIST'))],
  run: (view, args): Reply => {
    const name = args.key();
    const options = readGetexOptions(args);
    // Redis looks at the number only if there is a string: GETEX of an absent key is null, whatever the number.
    const object = view.find(args.database, name);
    if (object === undefined) return null;
    const value = asString(object.value);
    if (options.expiry !== null) {
      view.put(args.database, name, value, expiryOf(options.expiry, view.nowMs, 'GETEX'));
    } else if (options.persists && object.expiresAtMs !== 0) {
      view.put(args.database, name, value, 0);
    }
    return toReply(value);
  },
});

function readGetexOptions(args: Args): { readonly persists: boolean; readonly expiry: ExpiryOption | null } {
  let persists = false;
  let expiry: ExpiryOption | null = null;
  while (args.remaining > 0) {
    if (expiry === null && args.maybeToken('PERSIST')) {
      persists = true;
      continue;
    }
    const next: ExpiryOption | null = maybeExpiryOption(args);
    if (next === null || persists || (expiry !== null && expiry.unit !== next.unit)) fail(SYNTAX_ERROR);
    expiry = next;
  }
  return { persists, expiry };
}

export const stringCommands = [get, set, setnx, setex, psetex, getset, getdel, getex];
