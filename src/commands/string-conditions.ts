/**
 * Strings changed or deleted only if they hold what the caller expects, in one step: DIGEST, DELEX and the conditions of
 * SET (Redis 8.4, t_string.c), DELIFEQ (Valkey 9). Digests are XXH3-64 as sixteen hexadecimal digits, in any case.
 */
import { BAD_CONDITION, BAD_DIGEST, CONDITION_NEEDS_STRING, fail, wrongArity } from '../resp/errors.ts';
import type { Reply } from '../resp/reply.ts';
import { equalsBytes, toBytes } from '../values/string.ts';
import type { StringValue } from '../values/value.ts';
import { xxh3Hex } from '../values/xxh3.ts';
import type { Args } from './args.ts';
import { defineCommand } from './define.ts';
import { after, key, oneOf, optional, text } from './grammar.ts';
import { findString, isString } from './lookup.ts';
import type { View } from './view.ts';

export type ConditionKind = 'IFEQ' | 'IFNE' | 'IFDEQ' | 'IFDNE';

export interface Condition {
  readonly kind: ConditionKind;
  readonly operand: Buffer;
}

const KINDS: readonly ConditionKind[] = ['IFEQ', 'IFNE', 'IFDEQ', 'IFDNE'];
const DIGEST = /^[\da-f]{16}$/i;

/** Takes `IFEQ value` and the like if they come next; a word without its operand is left for the caller to refuse. */
export function maybeCondition(args: Args): Condition | null {
  if (args.remaining < 2) return null;
  for (const kind of KINDS) if (args.maybeToken(kind)) return { kind, operand: args.bytes() };
  return null;
}

/** A digest that is none is an error, whatever the key holds. */
export function checkCondition(condition: Condition): void {
  const comparesDigest = condition.kind === 'IFDEQ' || condition.kind === 'IFDNE';
  if (comparesDigest && !DIGEST.test(condition.operand.toString('latin1'))) fail(BAD_DIGEST);
}

/** An absent key equals nothing, so it fails IFEQ and IFDEQ and passes IFNE and IFDNE. */
export function holds(condition: Condition, value: StringValue | undefined): boolean {
  const { kind, operand } = condition;
  const isEqual =
    value !== undefined &&
    (kind === 'IFEQ' || kind === 'IFNE'
      ? equalsBytes(value, operand)
      : xxh3Hex(toBytes(value)) === operand.toString('latin1').toLowerCase());
  return kind === 'IFEQ' || kind === 'IFDEQ' ? isEqual : !isEqual;
}

const condition = optional(
  oneOf(
    'condition',
    after('IFEQ', text('ifeq-value')),
    after('IFNE', text('ifne-value')),
    after('IFDEQ', text('ifdeq-digest')),
    after('IFDNE', text('ifdne-digest')),
  ),
);

const digest = defineCommand({
  name: 'DIGEST',
  group: 'string',
  since: '8.4.0',
  summary: 'Returns the XXH3 hash of a string value as hexadecimal digits.',
  complexity: 'O(N) where N is the length of the string value.',
  flags: ['readonly', 'fast'],
  args: [key()],
  run: (view, args): Reply => {
    const value = findString(view, args.database, args.key());
    return value === undefined ? null : xxh3Hex(toBytes(value));
  },
});

const delex = defineCommand({
  name: 'DELEX',
  group: 'string',
  since: '8.4.0',
  summary: 'Deletes a key, with a condition only if its string value compares as wanted.',
  complexity: 'O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.',
  flags: ['write', 'fast'],
  args: [key(), condition],
  run: (view, args): Reply => {
    const count = args.remaining;
    if (count !== 1 && count !== 3) fail(wrongArity('DELEX'));
    const name = args.key();
    if (count === 1) return view.remove(args.database, name) ? 1 : 0;
    return deleteIf(view, args, name);
  },
});

/** The condition is looked at only if there is a string to compare, as in Redis. */
function deleteIf(view: View, args: Args, name: string): Reply {
  const object = view.find(args.database, name);
  if (object === undefined) return 0;
  if (!isString(object.value)) fail(CONDITION_NEEDS_STRING);
  const wanted = maybeCondition(args) ?? fail(BAD_CONDITION);
  checkCondition(wanted);
  if (!holds(wanted, object.value)) return 0;
  view.remove(args.database, name);
  return 1;
}

const delifeq = defineCommand({
  name: 'DELIFEQ',
  group: 'string',
  since: '9.0.0',
  summary: 'Deletes a key if its string value equals the given one.',
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  args: [key(), text('value')],
  run: (view, args): Reply => {
    const name = args.key();
    const value = findString(view, args.database, name);
    if (value === undefined || !equalsBytes(value, args.bytes())) return 0;
    view.remove(args.database, name);
    return 1;
  },
});

export const stringConditionCommands = [digest, delex, delifeq];
