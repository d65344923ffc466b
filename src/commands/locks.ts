/**
 * Fenced locks: KAHUNA.LOCK and KAHUNA.FENCE.
 *
 * A lock is a record under its resource's name. It holds the highest token ever granted and, while held, the owner and
 * the partition time at which the grant lapses; it is never deleted, so tokens never fall (of names that only SET NX has
 * granted, see lock-tokens.ts). A grant is live while its time has not come; whoever asks afterwards finds the lock free,
 * whether or not anything was written meanwhile.
 *
 * Waiting (WAIT ms): the view parks the request on the resource and runs it again when the record changes or a time
 * comes: the end of its wait, or the lapse of the grant in its way. Fairness has two halves. The view wakes those who
 * wait first come, first served; and here a request that has not waited yet does not overtake those who have: it finds
 * the lock taken while anyone waits for it. MACQUIRE holds nothing while it waits, so it cannot take part in a deadlock.
 */
import { msOfTimestamp } from '../base/hlc.ts';
import {
  BAD_RESOURCE_COUNT,
  BAD_TOKEN,
  BAD_WAIT,
  EMPTY_OWNER,
  EMPTY_RESOURCE,
  FENCED,
  NOT_AN_INTEGER,
  SYNTAX_ERROR,
  fail,
  invalidExpireTime,
} from '../resp/errors.ts';
import { MapReply, NULL_ARRAY, OK, type Reply } from '../resp/reply.ts';
import { clampToSafe, parseInt64 } from '../values/integer.ts';
import { Lock } from '../values/lock.ts';
import { LOCK_SPACE } from '../values/value.ts';
import type { Args } from './args.ts';
import { defineCommand, defineContainer } from './define.ts';
import { after, integer, key, many, optional, pattern, text } from './grammar.ts';
import { findLock } from './lock-tokens.ts';
import { readScanOptions } from './scans.ts';
import { defineHelp } from './syntax.ts';
import type { View } from './view.ts';

const QUEUE_RECHECK_MS = 50;

interface Claim {
  readonly owner: string;
  readonly expiresAtMs: number;
  /** How long the request may wait, from its first run; 0 = not at all. */
  readonly waitMs: number;
}

const acquire = defineCommand({
  name: 'KAHUNA.LOCK|ACQUIRE',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Takes or renews a lock; returns its fencing token, or nil while another owner holds it.',
  complexity: 'O(1)',
  flags: ['write', 'denyoom', 'blocking'],
  args: [key('resource'), text('owner'), after('PX', integer('ttl')), optional(after('WAIT', integer('milliseconds')))],
  run: (view, args): Reply => {
    const resource = readResource(args);
    const claim = readClaim(view, args, 'KAHUNA.LOCK|ACQUIRE');
    const obstacleUntilMs = obstacle(view, resource, claim.owner);
    if (obstacleUntilMs === null) return grant(view, resource, claim);
    if (mayStillWait(view, claim)) view.waitFor(LOCK_SPACE, resource, wakeTime(view, claim, obstacleUntilMs));
    return null;
  },
});

const macquire = defineCommand({
  name: 'KAHUNA.LOCK|MACQUIRE',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Takes or renews several locks, all or none; returns their fencing tokens.',
  complexity: 'O(N) where N is the number of resources.',
  flags: ['write', 'denyoom', 'blocking'],
  args: [
    integer('numkeys'),
    many(key('resource')),
    text('owner'),
    after('PX', integer('ttl')),
    optional(after('WAIT', integer('milliseconds'))),
  ],
  run: (view, args): Reply => {
    const count = parseInt64(args.bytes());
    if (typeof count !== 'number' || count < 1) fail(BAD_RESOURCE_COUNT);
    if (count > args.remaining) fail(SYNTAX_ERROR);
    const resources: string[] = [];
    for (let i = 0; i < count; i++) resources.push(readResource(args));
    const claim = readClaim(view, args, 'KAHUNA.LOCK|MACQUIRE');
    for (const resource of resources) {
      const obstacleUntilMs = obstacle(view, resource, claim.owner);
      if (obstacleUntilMs === null) continue;
      if (mayStillWait(view, claim)) view.waitFor(LOCK_SPACE, resource, wakeTime(view, claim, obstacleUntilMs));
      return NULL_ARRAY;
    }
    return resources.map((resource) => grant(view, resource, claim));
  },
});

const extend = defineCommand({
  name: 'KAHUNA.LOCK|EXTEND',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Renews a held lock; returns its fencing token, or nil if the owner does not hold it.',
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  args: [key('resource'), text('owner'), after('PX', integer('ttl'))],
  run: (view, args): Reply => {
    const resource = readResource(args);
    const owner = readOwner(args);
    const expiresAtMs = readExpiry(view, args, 'KAHUNA.LOCK|EXTEND');
    args.end();
    const lock = findLock(view, resource);
    if (lock === undefined || !isHeldBy(view, lock, owner)) return null;
    return renew(view, resource, { lock, expiresAtMs });
  },
});

const release = defineCommand({
  name: 'KAHUNA.LOCK|RELEASE',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Gives a held lock back; returns 1, or 0 if the owner does not hold it.',
  complexity: 'O(1)',
  flags: ['write', 'fast'],
  args: [key('resource'), text('owner')],
  run: (view, args): Reply => {
    const resource = readResource(args);
    const owner = readOwner(args);
    const lock = findLock(view, resource);
    if (lock === undefined || !isHeldBy(view, lock, owner)) return 0;
    view.put(
      LOCK_SPACE,
      resource,
      new Lock({ token: lock.highestToken, owner: null, expiresAtMs: 0, acquiredAt: 0 }),
      0,
    );
    return 1;
  },
});

const info = defineCommand({
  name: 'KAHUNA.LOCK|INFO',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Returns who holds a lock, with which token and until when, and how many wait; nil if it is free.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [key('resource')],
  run: (view, args): Reply => {
    const resource = readResource(args);
    const lock = findLock(view, resource);
    if (lock === undefined || !isHeld(view, lock)) return NULL_ARRAY;
    return new MapReply([
      ['owner', lock.owner],
      ['token', lock.token],
      ['ttl', lock.expiresAtMs - view.nowMs],
      ['acquired-at', msOfTimestamp(lock.acquiredAt)],
      ['waiters', view.waiterCount(LOCK_SPACE, resource)],
    ]);
  },
});

const tokenCommand = defineCommand({
  name: 'KAHUNA.LOCK|TOKEN',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Returns the highest fencing token ever granted for a resource, by SET NX with an expiry too; 0 if none.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [key('resource')],
  run: (view, args): Reply => findLock(view, readResource(args))?.highestToken ?? 0,
});

const list = defineCommand({
  name: 'KAHUNA.LOCK|LIST',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'Iterates over the resources whose locks are held.',
  complexity: 'O(1) for every call. O(N) for a complete iteration, where N is the number of locks ever taken.',
  flags: ['readonly'],
  args: [integer('cursor'), optional(after('MATCH', pattern())), optional(after('COUNT', integer('count')))],
  run: (view, args): Reply => {
    const { cursor, count, matches } = readScanOptions(args, false);
    const page = view.scan({ space: LOCK_SPACE, cursor, count, matches });
    const held = page.keys.filter((resource) => {
      const lock = findLock(view, resource);
      return lock !== undefined && isHeld(view, lock);
    });
    return [String(page.next), held];
  },
});

const fence = defineCommand({
  name: 'KAHUNA.FENCE',
  group: 'kahuna',
  since: '1.0.0',
  summary: 'In a transaction: lets nothing of it happen if a newer token was granted for the resource.',
  complexity: 'O(1)',
  flags: ['readonly', 'fast'],
  args: [key('resource'), integer('token')],
  run: (view, args): Reply => {
    const resource = readResource(args);
    const token = parseInt64(args.bytes()) ?? fail(BAD_TOKEN);
    if (token < 1) fail(BAD_TOKEN);
    const granted = findLock(view, resource)?.highestToken ?? 0;
    return granted > token ? view.abort(FENCED) : OK;
  },
});

// ---------------------------------------------------------------------------------------------------------------
// Arguments

function readResource(args: Args): string {
  const resource = args.key();
  return resource === '' ? fail(EMPTY_RESOURCE) : resource;
}

function readOwner(args: Args): string {
  const owner = args.text();
  return owner === '' ? fail(EMPTY_OWNER) : owner;
}

/** `owner PX ttl [WAIT ms]` to the end. */
function readClaim(view: View, args: Args, command: string): Claim {
  const owner = readOwner(args);
  const expiresAtMs = readExpiry(view, args, command);
  const waitMs = args.maybeToken('WAIT') ? readWait(args) : 0;
  args.end();
  return { owner, expiresAtMs, waitMs };
}

function readExpiry(view: View, args: Args, command: string): number {
  if (!args.maybeToken('PX')) fail(SYNTAX_ERROR);
  const ttlMs = parseInt64(args.bytes()) ?? fail(NOT_AN_INTEGER);
  const expiresAtMs = clampToSafe(ttlMs) + view.nowMs;
  if (ttlMs < 1 || !Number.isSafeInteger(expiresAtMs)) fail(invalidExpireTime(command));
  return expiresAtMs;
}

function readWait(args: Args): number {
  const waitMs = parseInt64(args.bytes());
  return typeof waitMs !== 'number' || waitMs < 0 ? fail(BAD_WAIT) : waitMs;
}

// ---------------------------------------------------------------------------------------------------------------
// Rules

function isHeld(view: View, lock: Lock): boolean {
  return lock.owner !== null && lock.expiresAtMs > view.nowMs;
}

function isHeldBy(view: View, lock: Lock, owner: string): boolean {
  return lock.owner === owner && isHeld(view, lock);
}

/**
 * Null if the owner may have the lock now; else the time until which asking again is of no use. Behind others who wait for
 * a free lock that is soon: should all of them go away, nothing would change and nobody be woken.
 */
function obstacle(view: View, resource: string, owner: string): number | null {
  const lock = findLock(view, resource);
  if (lock !== undefined && isHeld(view, lock)) return lock.owner === owner ? null : lock.expiresAtMs;
  const wouldOvertake = view.waits === 0 && view.waiterCount(LOCK_SPACE, resource) > 0;
  return wouldOvertake ? view.nowMs + QUEUE_RECHECK_MS : null;
}

function mayStillWait(view: View, claim: Claim): boolean {
  return view.mayWait && view.nowMs < view.firstRunMs + claim.waitMs;
}

function wakeTime(view: View, claim: Claim, obstacleUntilMs: number): number {
  return Math.min(view.firstRunMs + claim.waitMs, obstacleUntilMs);
}

/** A new grant, or the renewal of the owner's present one. Returns the token. */
function grant(view: View, resource: string, claim: Claim): number {
  const lock = findLock(view, resource);
  if (lock !== undefined && isHeldBy(view, lock, claim.owner)) {
    return renew(view, resource, { lock, expiresAtMs: claim.expiresAtMs });
  }
  const token = (lock?.highestToken ?? 0) + 1;
  const { owner, expiresAtMs } = claim;
  view.put(LOCK_SPACE, resource, new Lock({ token, owner, expiresAtMs, acquiredAt: view.timestamp }), 0);
  return token;
}

/** Sets the lapse anew, which may also shorten it. */
function renew(view: View, resource: string, renewal: { readonly lock: Lock; readonly expiresAtMs: number }): number {
  const { token, highestToken, owner, acquiredAt } = renewal.lock;
  const { expiresAtMs } = renewal;
  view.put(LOCK_SPACE, resource, new Lock({ token, highestToken, owner, expiresAtMs, acquiredAt }), 0);
  return token;
}

const lockSubcommands = [acquire, macquire, extend, release, info, tokenCommand, list];

const lockCommand = defineContainer(
  {
    name: 'KAHUNA.LOCK',
    group: 'kahuna',
    since: '1.0.0',
    summary: 'A container for commands on fenced locks.',
    complexity: 'Depends on subcommand.',
    groupCategory: 'kahuna',
  },
  [...lockSubcommands, defineHelp('KAHUNA.LOCK', '1.0.0', lockSubcommands)],
);

export const lockCommands = [lockCommand, fence];
