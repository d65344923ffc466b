/** Walking over the keys of a database: SCAN, KEYS, RANDOMKEY (db.c, Redis 7.2), and what other LIST commands share. */
import { INVALID_CURSOR, NOT_AN_INTEGER, SYNTAX_ERROR, fail } from '../resp/errors.ts';
import { compileGlob } from '../resp/glob.ts';
import type { Reply } from '../resp/reply.ts';
import { clampToSafe, parseInt64 } from '../values/integer.ts';
import { VALUE_TYPES, type ValueType } from '../values/value.ts';
import type { Args } from './args.ts';
import { defineCommand } from './define.ts';
import { after, integer, optional, pattern, text } from './grammar.ts';

const COUNT_DEFAULT = 10;
const CURSOR = /^(?:[+-]?\d+)?$/;
const CURSOR_MAX = 18_446_744_073_709_551_615n;
/** A type that nothing has: a scan for it walks on and finds nothing, as in Redis. */
const NO_TYPE = 0;

export interface ScanOptions {
  readonly cursor: bigint;
  readonly count: number;
  readonly matches: (key: string) => boolean;
  /** As in ScanRequest; undefined = any. */
  readonly type: number | undefined;
}

/** Reads `cursor [MATCH pattern] [COUNT count] [TYPE type]`, the last one only if `takesType`. */
export function readScanOptions(args: Args, takesType: boolean): ScanOptions {
  const cursor = readCursor(args.bytes());
  let count = COUNT_DEFAULT;
  let matches = matchesAll;
  let type: number | undefined;
  while (args.remaining > 0) {
    if (args.remaining < 2) fail(SYNTAX_ERROR);
    if (args.maybeToken('COUNT')) count = readCount(args.bytes());
    else if (args.maybeToken('MATCH')) matches = globOf(args.text());
    else if (takesType && args.maybeToken('TYPE')) type = typeNumber(args.text());
    else fail(SYNTAX_ERROR);
  }
  return { cursor, count, matches, type };
}

export function readScanCursor(args: Args): bigint {
  return readCursor(args.bytes());
}

export function readScanCount(args: Args): number {
  return readCount(args.bytes());
}

function matchesAll(_key: string): boolean {
  return true;
}

/** The pattern `*` by itself matches the empty key too, unlike any other star. */
function globOf(glob: string): (key: string) => boolean {
  return glob === '*' ? matchesAll : compileGlob(glob);
}

/** What strtoul takes, without blanks; a negative cursor wraps around as in C. */
function readCursor(bytes: Buffer): bigint {
  const digits = bytes.toString('latin1');
  if (!CURSOR.test(digits)) fail(INVALID_CURSOR);
  const cursor = BigInt(digits.startsWith('+') ? digits.slice(1) : digits); // no digits at all are 0
  const magnitude = cursor < 0n ? -cursor : cursor;
  return magnitude > CURSOR_MAX ? fail(INVALID_CURSOR) : BigInt.asUintN(64, cursor);
}

function readCount(bytes: Buffer): number {
  const count = clampToSafe(parseInt64(bytes) ?? fail(NOT_AN_INTEGER));
  return count < 1 ? fail(SYNTAX_ERROR) : count;
}

function typeNumber(name: string): number {
  const known = (Object.keys(VALUE_TYPES) as ValueType[]).find((type) => type === name.toLowerCase());
  return known === undefined ? NO_TYPE : VALUE_TYPES[known];
}

const scan = defineCommand({
  name: 'SCAN',
  group: 'generic',
  since: '2.8.0',
  summary: 'Iterates over the key names in the database.',
  complexity: 'O(1) for every call. O(N) for a complete iteration, where N is the number of keys in the database.',
  flags: ['readonly'],
  args: [
    integer('cursor'),
    optional(after('MATCH', pattern())),
    optional(after('COUNT', integer('count'))),
    optional(after('TYPE', text('type'))),
  ],
  run: (view, args): Reply => {
    const { type, ...options } = readScanOptions(args, true);
    const page = view.scan({ space: args.database, ...options, ...(type === undefined ? {} : { type }) });
    return [String(page.next), page.keys];
  },
});

const keys = defineCommand({
  name: 'KEYS',
  group: 'generic',
  since: '1.0.0',
  summary: 'Returns all key names that match a pattern.',
  complexity: 'O(N) with N being the number of keys in the database.',
  flags: ['readonly'],
  categories: ['dangerous'],
  args: [pattern()],
  run: (view, args): Reply =>
    view.scan({ space: args.database, cursor: 0n, count: Infinity, matches: globOf(args.text()) }).keys,
});

const randomkey = defineCommand({
  name: 'RANDOMKEY',
  group: 'generic',
  since: '1.0.0',
  summary: 'Returns a random key name from the database.',
  complexity: 'O(1)',
  flags: ['readonly'],
  args: [],
  run: (view, args): Reply => view.randomKey(args.database) ?? null,
});

export const scanCommands = [scan, keys, randomkey];
