/** Several strings in one step (t_string.c, Redis 7.2; MSETEX of Redis 8.4). */
import { BAD_KEY_COUNT, BAD_PAIR_COUNT, SYNTAX_ERROR, fail, wrongArity } from '../resp/errors.ts';
import { OK, type Reply } from '../resp/reply.ts';
import { parseInt64 } from '../values/integer.ts';
import { toReply } from '../values/string.ts';
import type { Args } from './args.ts';
import { defineCommand } from './define.ts';
import { type ExpiryOption, expiryOf, maybeExpiryOption } from './expiry-time.ts';
import { block, expiration, integer, key, many, oneOf, optional, text, token } from './grammar.ts';
import { CREATES, REPLACES } from './key-uses.ts';
import { isString } from './lookup.ts';
import type { View } from './view.ts';

const KEY_COUNT_MAX = 2_147_483_647;

const mget = defineCommand({
  name: 'MGET',
  group: 'string',
  since: '1.0.0',
  summary: 'Atomically returns the string values of one or more keys.',
  complexity: 'O(N) where N is the number of keys to retrieve.',
  flags: ['readonly', 'fast'],
  args: [many(key())],
  run: (view, args): Reply => {
    const values: Reply[] = [];
    while (args.remaining > 0) {
      const object = view.find(args.database, args.key());
      values.push(object !== undefined && isString(object.value) ? toReply(object.value) : null);
    }
    return values;
  },
});

const mset = defineCommand({
  name: 'MSET',
  group: 'string',
  since: '1.0.1',
  summary: 'Atomically creates or modifies the string values of one or more keys.',
  complexity: 'O(N) where N is the number of keys to set.',
  flags: ['write', 'denyoom'],
  keyUses: [REPLACES],
  args: [many(block('data', key(), text('value')))],
  run: (view, args): Reply => {
    if (args.remaining % 2 !== 0) fail(wrongArity('MSET'));
    putPairs(view, args, 0);
    return OK;
  },
});

const msetnx = defineCommand({
  name: 'MSETNX',
  group: 'string',
  since: '1.0.1',
  summary: "Atomically modifies the string values of one or more keys only when all keys don't exist.",
  complexity: 'O(N) where N is the number of keys to set.',
  flags: ['write', 'denyoom'],
  keyUses: [CREATES],
  args: [many(block('data', key(), text('value')))],
  run: (view, args): Reply => {
    if (args.remaining % 2 !== 0) fail(wrongArity('MSETNX'));
    for (let at = 1; at < args.argv.length; at += 2) if (exists(view, args, at)) return 0;
    putPairs(view, args, 0);
    return 1;
  },
});

/** The rest of the arguments, as keys and values. */
function putPairs(view: View, args: Args, expiresAtMs: number): void {
  while (args.remaining > 0) {
    const name = args.key();
    view.put(args.database, name, args.value(), expiresAtMs);
  }
}

function exists(view: View, args: Args, at: number): boolean {
  const name = args.argv[at];
  return name !== undefined && view.find(args.database, name.toString('latin1')) !== undefined;
}

const msetex = defineCommand({
  name: 'MSETEX',
  group: 'string',
  since: '8.4.0',
  summary: 'Atomically sets the string values of one or more keys, with a condition and an expiration time.',
  complexity: 'O(N) where N is the number of keys to set.',
  flags: ['write', 'denyoom'],
  keyUses: [REPLACES],
  args: [
    integer('numkeys'),
    many(block('data', key(), text('value'))),
    optional(oneOf('condition', token('NX'), token('XX'))),
    expiration(token('KEEPTTL')),
  ],
  run: (view, args): Reply => {
    const count = parseInt64(args.bytes());
    if (typeof count !== 'number' || count < 1 || count > KEY_COUNT_MAX) fail(BAD_KEY_COUNT);
    if (count * 2 > args.remaining) fail(BAD_PAIR_COUNT);
    const pairs = { from: 2, end: 2 + count * 2 };
    args.skip(count * 2);
    const options = readMsetexOptions(args);
    const expiresAtMs = options.expiry === null ? 0 : expiryOf(options.expiry, view.nowMs, 'MSETEX');
    return setPairs(view, args, { ...pairs, presence: options.presence, keepsTtl: options.keepsTtl, expiresAtMs });
  },
});

interface PairsToSet {
  readonly from: number;
  readonly end: number;
  readonly presence: 'NX' | 'XX' | null;
  readonly keepsTtl: boolean;
  readonly expiresAtMs: number;
}

function setPairs(view: View, args: Args, set: PairsToSet): Reply {
  for (let at = set.from; set.presence !== null && at < set.end; at += 2) {
    if (exists(view, args, at) === (set.presence === 'NX')) return 0;
  }
  args.reset(args.argv, args.database).skip(set.from - 1);
  for (let at = set.from; at < set.end; at += 2) {
    const name = args.key();
    const oldExpiresAtMs = set.keepsTtl ? (view.find(args.database, name)?.expiresAtMs ?? 0) : 0;
    view.put(args.database, name, args.value(), set.keepsTtl ? oldExpiresAtMs : set.expiresAtMs);
  }
  return 1;
}

function readMsetexOptions(
  args: Args,
): Pick<PairsToSet, 'presence' | 'keepsTtl'> & { readonly expiry: ExpiryOption | null } {
  let presence: 'NX' | 'XX' | null = null;
  let keepsTtl = false;
  let expiry: ExpiryOption | null = null;
  while (args.remaining > 0) {
    if (presence !== 'XX' && args.maybeToken('NX')) presence = 'NX';
    else if (presence !== 'NX' && args.maybeToken('XX')) presence = 'XX';
    else if (expiry === null && args.maybeToken('KEEPTTL')) keepsTtl = true;
    else {
      const next: ExpiryOption | null = maybeExpiryOption(args);
      if (next === null || keepsTtl || (expiry !== null && expiry.unit !== next.unit)) fail(SYNTAX_ERROR);
      expiry = next;
    }
  }
  return { presence, keepsTtl, expiry };
}

export const stringListCommands = [mget, mset, msetnx, msetex];
