/**
 * Versions of keys: what WATCH remembers, and what users read of the past (docs/history.md).
 *
 * A *revision* is the commit timestamp of a change. It rises with each change of a key, goes on over deletion and re-creation, and
 * needs no counter; changes of one key within one transaction share it. So REVISION and ASOF take the same kind of number:
 * `ASOF t` reads what was there at t, `REVISION r` the very version that was committed at r.
 *
 * Sessions ask for versions through a row of their own, which no client can call (rows whose names start with '%' are hidden).
 */
import { msOfTimestamp } from '../base/hlc.ts';
import type { Timestamp } from '../base/ids.ts';
import { BAD_MOMENT, BAD_REVISION, SYNTAX_ERROR, badHistoryCount, fail } from '../resp/errors.ts';
import { MapReply, NULL_ARRAY, type Reply } from '../resp/reply.ts';
import { parseInt64 } from '../values/integer.ts';
import { equalsBytes, toReply } from '../values/string.ts';
import type { Args } from './args.ts';
import { defineCommand } from './define.ts';
import { expiryOf } from './expiry-time.ts';
import { after, integer, key, many, oneOf, optional, text, token } from './grammar.ts';
import { grantByKey } from './lock-tokens.ts';
import { asString } from './lookup.ts';
import { readScanCount, readScanCursor } from './scans.ts';
import type { PastKey, View } from './view.ts';

/** Versions that HISTORY answers with if it is not told how many, and at most. */
const HISTORY_COUNT_DEFAULT = 10;
const HISTORY_COUNT_MAX = 1_000;

/** Answers with the version of each key, absent ones too. */
export const watchVersions = defineCommand({
  name: '%WATCH',
  group: 'transactions',
  since: '1.0.0',
  summary: 'Returns the versions of keys.',
  complexity: 'O(N) where N is the number of keys.',
  flags: ['readonly', 'fast'],
  args: [many(key())],
  run: (view, args): Reply => {
    const versions: number[] = [];
    while (args.remaining > 0) versions.push(view.version(args.database, args.key()));
    return versions;
  },
});

const get = defineCommand({
  name: 'KAHUNA.GET',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Returns the string value of a key with its revision, as it is, was at a moment, or as one change left it.',
  complexity: 'O(1)',
  flags: ['readonly'],
  args: [
    key(),
    optional(oneOf('version', after('REVISION', integer('revision')), after('ASOF', integer('timestamp')))),
  ],
  run: (view, args): Reply => {
    const name = args.key();
    if (args.remaining === 0) {
      const found = view.find(args.database, name);
      return found === undefined ? NULL_ARRAY : shown(found, view.nowMs);
    }
    const isRevision = args.maybeToken('REVISION');
    if (!isRevision && !args.maybeToken('ASOF')) fail(SYNTAX_ERROR);
    const moment = readMoment(args);
    args.end();
    const found = isRevision
      ? view.past.revision(args.database, name, moment)
      : view.past.keyAt(args.database, name, moment);
    return found === undefined ? NULL_ARRAY : shown(found, msOfTimestamp(moment));
  },
});

interface SetOptions {
  presence: 'NX' | 'XX' | null;
  equals: Buffer | null;
  revision: number | null;
  ttl: Buffer | null;
  forgetsPast: boolean;
}

const set = defineCommand({
  name: 'KAHUNA.SET',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Sets the string value of a key, if it is as expected; returns the new revision, or nil.',
  complexity: 'O(1)',
  flags: ['write', 'denyoom'],
  args: [
    key(),
    text('value'),
    optional(
      oneOf(
        'condition',
        token('NX'),
        token('XX'),
        after('IFEQ', text('ifeq-value')),
        after('IFREV', integer('ifrev-revision')),
      ),
    ),
    optional(after('PX', integer('milliseconds'))),
    optional(token('NOHISTORY')),
  ],
  run: (view, args): Reply => {
    const name = args.key();
    const value = args.value();
    const options = readSetOptions(args);
    const expiresAtMs =
      options.ttl === null ? 0 : expiryOf({ unit: 'PX', argument: options.ttl }, view.nowMs, 'KAHUNA.SET');
    if (!isAsExpected(view, args, { name, options })) return null;
    const { revision } = view;
    view.put(args.database, name, value, expiresAtMs, options.forgetsPast);
    if (options.presence === 'NX' && options.ttl !== null) grantByKey(view, name, expiresAtMs);
    return revision;
  },
});

function readSetOptions(args: Args): SetOptions {
  const options: SetOptions = { presence: null, equals: null, revision: null, ttl: null, forgetsPast: false };
  while (args.remaining > 0) {
    const isFree = options.presence === null && options.equals === null && options.revision === null;
    if (isFree && args.maybeToken('NX')) options.presence = 'NX';
    else if (isFree && args.maybeToken('XX')) options.presence = 'XX';
    else if (isFree && args.maybeToken('IFEQ')) options.equals = args.bytes();
    else if (isFree && args.maybeToken('IFREV')) options.revision = readRevision(args);
    else if (options.ttl === null && args.maybeToken('PX')) options.ttl = args.bytes();
    else if (!options.forgetsPast && args.maybeToken('NOHISTORY')) options.forgetsPast = true;
    else fail(SYNTAX_ERROR);
  }
  return options;
}

function isAsExpected(
  view: View,
  args: Args,
  { name, options }: { readonly name: string; readonly options: SetOptions },
): boolean {
  const { presence, equals, revision } = options;
  if (presence === null && equals === null && revision === null) return true;
  const present = view.find(args.database, name);
  if (presence !== null) return (present === undefined) === (presence === 'NX');
  if (equals !== null) return present !== undefined && equalsBytes(asString(present.value), equals);
  return (present?.version ?? 0) === revision;
}

const history = defineCommand({
  name: 'KAHUNA.HISTORY',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Returns the revisions of a key that are still kept, the newest first.',
  complexity: 'O(N) where N is the number of revisions returned.',
  flags: ['readonly'],
  args: [key(), optional(after('COUNT', integer('count')))],
  run: (view, args): Reply => {
    const name = args.key();
    let count = HISTORY_COUNT_DEFAULT;
    if (args.remaining > 0) {
      if (!args.maybeToken('COUNT')) fail(SYNTAX_ERROR);
      count = readCount(args);
      args.end();
    }
    return view.past.history(args.database, name, count).map(
      ({ value, version, expiresAtMs }) =>
        new MapReply([
          ['revision', version],
          ['timestamp', version],
          ['kind', value === undefined ? 'deleted' : 'value'],
          ['value', value === undefined ? null : toReply(asString(value))],
          ['expires-at', expiresAtMs === 0 ? -1 : expiresAtMs],
        ]),
    );
  },
});

const scan = defineCommand({
  name: 'KAHUNA.SCAN',
  group: 'kahuna',
  since: '0.2.0',
  summary: 'Iterates over the keys of the database that begin with a prefix, as they are or were at a moment.',
  complexity: 'O(1) for every call. O(N) for a complete iteration, where N is the number of keys in the database.',
  flags: ['readonly'],
  args: [
    integer('cursor'),
    after('PREFIX', text('prefix')),
    optional(after('COUNT', integer('count'))),
    optional(after('ASOF', integer('timestamp'))),
  ],
  run: (view, args): Reply => {
    const cursor = readScanCursor(args);
    let prefix: string | null = null;
    let count: number | null = null;
    let at: Timestamp | null = null;
    while (args.remaining > 0) {
      if (prefix === null && args.maybeToken('PREFIX')) prefix = args.text();
      else if (count === null && args.maybeToken('COUNT')) count = readScanCount(args);
      else if (at === null && args.maybeToken('ASOF')) at = readMoment(args);
      else fail(SYNTAX_ERROR);
    }
    if (prefix === null) fail(SYNTAX_ERROR);
    const start: string = prefix;
    const matches = (name: string): boolean => name.startsWith(start);
    const request = { space: args.database, cursor, count: count ?? HISTORY_COUNT_DEFAULT, matches };
    const page = at === null ? view.scan(request) : view.past.scanAt(request, at);
    return [String(page.next), page.keys];
  },
});

// ---------------------------------------------------------------------------------------------------------------

function shown({ value, version, expiresAtMs }: PastKey, nowMs: number): Reply {
  if (value === undefined) return NULL_ARRAY;
  return new MapReply([
    ['value', toReply(asString(value))],
    ['revision', version],
    ['timestamp', version],
    ['ttl', expiresAtMs === 0 ? -1 : expiresAtMs - nowMs],
  ]);
}

/** A timestamp as KAHUNA.TIME answers it. */
function readMoment(args: Args): Timestamp {
  const moment = parseInt64(args.bytes());
  return typeof moment === 'number' && moment >= 1 ? moment : fail(BAD_MOMENT);
}

function readRevision(args: Args): number {
  const revision = parseInt64(args.bytes());
  return typeof revision === 'number' && revision >= 0 ? revision : fail(BAD_REVISION);
}

function readCount(args: Args): number {
  const count = parseInt64(args.bytes());
  const isRight = typeof count === 'number' && count >= 1 && count <= HISTORY_COUNT_MAX;
  return isRight ? count : fail(badHistoryCount(HISTORY_COUNT_MAX));
}

export const versionCommands = [watchVersions, get, set, history, scan];
