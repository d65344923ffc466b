/** When keys expire (expire.c, Redis 7.2). */
import {
  EXPIRE_GT_LT_CONFLICT,
  EXPIRE_NX_CONFLICT,
  NOT_AN_INTEGER,
  fail,
  invalidExpireTime,
  unsupportedOption,
} from '../resp/errors.ts';
import type { Reply } from '../resp/reply.ts';
import { parseInt64 } from '../values/integer.ts';
import type { Args } from './args.ts';
import { type DataCommand, defineCommand } from './define.ts';
import { absoluteMs } from './expiry-time.ts';
import { integer, key, oneOf, optional, token, unixTime } from './grammar.ts';
import { UPDATES } from './key-uses.ts';
import type { View } from './view.ts';

const condition = optional(oneOf('condition', token('NX'), token('XX'), token('GT'), token('LT')));

interface ExpireForm {
  readonly name: string;
  readonly since: string;
  readonly summary: string;
  readonly inSeconds: boolean;
  readonly isRelative: boolean;
}

function defineExpire(form: ExpireForm): DataCommand {
  const argument = form.inSeconds ? 'seconds' : 'milliseconds';
  return defineCommand({
    name: form.name,
    group: 'generic',
    since: form.since,
    summary: form.summary,
    complexity: 'O(1)',
    flags: ['write', 'fast'],
    keyUses: [UPDATES],
    args: [key(), form.isRelative ? integer(argument) : unixTime(`unix-time-${argument}`), condition],
    run: (view, args) => expire(view, args, form),
  });
}

function expire(view: View, args: Args, form: ExpireForm): Reply {
  const name = args.key();
  const argument = args.bytes();
  const conditions = readConditions(args);
  const amount = parseInt64(argument) ?? fail(NOT_AN_INTEGER);
  const expiresAtMs =
    absoluteMs(amount, { inSeconds: form.inSeconds, fromMs: form.isRelative ? view.nowMs : 0 }) ??
    fail(invalidExpireTime(form.name));
  const object = view.find(args.database, name);
  if (object === undefined || !passes(conditions, expiresAtMs, object.expiresAtMs)) return 0;
  if (expiresAtMs <= view.nowMs) view.remove(args.database, name);
  else view.put(args.database, name, object.value, expiresAtMs);
  return 1;
}

interface Conditions {
  nx: boolean;
  xx: boolean;
  gt: boolean;
  lt: boolean;
}

function readConditions(args: Args): Conditions {
  const conditions: Conditions = { nx: false, xx: false, gt: false, lt: false };
  while (args.remaining > 0) {
    if (args.maybeToken('NX')) conditions.nx = true;
    else if (args.maybeToken('XX')) conditions.xx = true;
    else if (args.maybeToken('GT')) conditions.gt = true;
    else if (args.maybeToken('LT')) conditions.lt = true;
    else fail(unsupportedOption(args.text()));
  }
  if (conditions.nx && (conditions.xx || conditions.gt || conditions.lt)) fail(EXPIRE_NX_CONFLICT);
  if (conditions.gt && conditions.lt) fail(EXPIRE_GT_LT_CONFLICT);
  return conditions;
}

/** A key that never expires counts as expiring after every time, so GT never and LT always passes. */
function passes(conditions: Conditions, expiresAtMs: number, present: number): boolean {
  if (conditions.nx && present !== 0) return false;
  if (conditions.xx && present === 0) return false;
  if (conditions.gt && (present === 0 || expiresAtMs <= present)) return false;
  return !(conditions.lt && present !== 0 && expiresAtMs >= present);
}

const expireCommands = [
  defineExpire({
    name: 'EXPIRE',
    since: '1.0.0',
    summary: 'Sets the expiration time of a key in seconds.',
    inSeconds: true,
    isRelative: true,
  }),
  defineExpire({
    name: 'PEXPIRE',
    since: '2.6.0',
    summary: 'Sets the expiration time of a key in milliseconds.',
    inSeconds: false,
    isRelative: true,
  }),
  defineExpire({
    name: 'EXPIREAT',
    since: '1.2.0',
    summary: 'Sets the expiration time of a key to a Unix timestamp.',
    inSeconds: true,
    isRelative: false,
  }),
  defineExpire({
    name: 'PEXPIREAT',
    since: '2.6.0',
    summary: 'Sets the expiration time of a key to a Unix milliseconds timestamp.',
    inSeconds: false,
    isRelative: false,
  }),
];

interface TtlForm {
  readonly name: string;
  readonly since: string;
  readonly summary: string;
  readonly inSeconds: boolean;
  readonly isRelative: boolean;
}

function defineTtl(form: TtlForm): DataCommand {
  return defineCommand({
    name: form.name,
    group: 'generic',
    since: form.since,
    summary: form.summary,
    complexity: 'O(1)',
    flags: ['readonly', 'fast'],
    args: [key()],
    run: (view, args): Reply => {
      const object = view.peek(args.database, args.key());
      if (object === undefined) return -2;
      if (object.expiresAtMs === 0) return -1;
      const ms = form.isRelative ? Math.max(0, object.expiresAtMs - view.nowMs) : object.expiresAtMs;
      return form.inSeconds ? Math.floor((ms + 500) / 1000) : ms;
    },
  });
}

const ttlCommands = [
  defineTtl({
    name: 'TTL',
    since: '1.0.0',
    summary: 'Returns the expiration time in seconds of a key.',
    inSeconds: true,
    isRelative: true,
  }),
  defineTtl({
    name: 'PTTL',
    since: '2.6.0',
    summary: 'Returns the expiration time in milliseconds of a key.',
    inSeconds: false,
    isRelative: true,
  }),
  defineTtl({
    name: 'EXPIRETIME',
    since: '7.0.0',
    summary: 'Returns the expiration time of a key as a Unix timestamp.',
    inSeconds: true,
    isRelative: false,
  }),
  defineTtl({
    name: 'PEXPIRETIME',
    since: '7.0.0',
    summary: 'Returns the expiration time of a key as a Unix milliseconds timestamp.',
    inSeconds: false,
    isRelative: false,
  }),
];

const persist = defineCommand({
  name: 'PERSIST',
  group: 'generic',
  since: '2.2.0',
  summary: 'Removes the expiration time of a key.',
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  keyUses: [UPDATES],
  args: [key()],
  run: (view, args): Reply => {
    const name = args.key();
    const object = view.find(args.database, name);
    if (object === undefined || object.expiresAtMs === 0) return 0;
    view.put(args.database, name, object.value, 0);
    return 1;
  },
});

export const expiryCommands = [...expireCommands, ...ttlCommands, persist];
