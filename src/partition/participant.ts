/**
 * What the leader of a partition does for transactions that span partitions: commands that only coordinators send
 * (txn/coordinator.ts has the whole protocol). Being commands, they are routed, repeated exactly once at the next leader,
 * replicated and recovered like all others.
 *
 * Prepared parts and decisions are records of TRANSACTION_SPACE, put and removed like any key. They lie at the beginning of the
 * partition's range, so that a new leader finds them with one short scan (open-transactions.ts).
 *
 * Invariants:
 * - A part is prepared only if nothing that it read has changed, by this leader's own knowledge, and all of its keys are free.
 * - From then until it is resolved nobody else changes its keys, and nobody reads those that it writes.
 * - A transaction is decided once: the first of commit, and abort in `%TXSTATUS`, leaves a record at the anchor, and no commit
 *   comes after the time up to which that record is kept.
 * - The commit timestamp is greater than those of all preparations, and than every earlier one of each key concerned.
 */
import { assert, mustExist } from '../base/assert.ts';
import { KahunaError } from '../base/errors.ts';
import { type DataCommand, defineCommand } from '../commands/define.ts';
import type { View } from '../commands/view.ts';
import { stepMalformed } from '../resp/errors.ts';
import { type Reply, ReplyError } from '../resp/reply.ts';
import { isStringValue, stringFromBytes, toBytes } from '../values/string.ts';
import { TRANSACTION_SPACE } from '../values/value.ts';
import { EvaluationView } from './evaluation-view.ts';
import { type KeyName, type TransactionId, type TransactionPart, transactionName } from './key-locks.ts';
import { ABORT_KEPT_MS, LOCK_LEASE_MAX_MS } from './limits.ts';
import { decisionKey, flushedBy, preparedKey } from './open-transactions.ts';
import {
  decodeChecks,
  decodeCommit,
  decodeDecision,
  decodeIds,
  decodeIntent,
  decodeKeys,
  decodeLock,
  decodeResolve,
  decodeStatus,
  encodeDecision,
  beginFetched,
  encodeIntent,
  encodeOutcome,
  endFetched,
  type Intent,
  type KeyWrite,
  writeFetched,
} from './transaction-codec.ts';

const REFUSED = encodeOutcome({ isDone: false, timestamp: 0 });

/** Takes keys for a transaction and answers with what they hold, unconfirmed unless it asks for more. */
export const lockRow = row('%TXLOCK', 'readonly', decodeLock, (view, request) => {
  const { locks } = view;
  let part = locks.part(request.id);
  if (part === undefined) {
    const obstacle = view.obstacleOfNewPart();
    if (obstacle !== null) {
      if (request.waits) throw obstacle;
      return notGranted(view);
    }
    part = locks.open(request.id, 0);
  }
  view.lease(part, Math.min(request.leaseMs, LOCK_LEASE_MAX_MS));
  view.part = part;
  for (const key of request.keys) {
    if (locks.isFree(part, key, key.mode)) view.lock(part, key, key.mode);
    else if (request.waits) throw view.obstacleOf(key);
    else {
      view.close(part);
      return notGranted(view);
    }
  }
  return fetch(view, request.keys, request.isConfirmed);
});

/** Reads keys without locks: what they hold has committed. */
export const readRow = row('%TXGET', 'readonly', decodeKeys, (view, keys) => {
  view.passStopper();
  return fetch(view, keys, true);
});

/** Answers 1 if what was read is still so, and committed; else 0. */
export const checkRow = row('%TXCHECK', 'readonly', decodeChecks, (view, { term, checks }) => {
  // A prepared flush may have been acknowledged, and no key of its own is locked by it.
  view.passStopper();
  const isUnchanged =
    (term === 0 || term === view.term) &&
    checks.every(({ space, key, version }) => view.isUnchanged(space, key, version));
  return isUnchanged ? 1 : 0;
});

/** Lets go what an unprepared part holds. */
export const releaseRow = row('%TXRELEASE', 'readonly', decodeIds, (view, ids) => {
  for (const id of ids) {
    const part = view.locks.part(id);
    if (part !== undefined && !part.isPrepared) view.close(part);
  }
  view.isUnconfirmed = true;
  return 1;
});

/** Makes a part durable: what it locks, and what it will change. */
export const prepareRow = row('%TXPREPARE', 'write', decodeIntent, (view, intent) => {
  // Its coordinator asks once, and a repetition gets the answer that is in the log: this is neither.
  if (view.locks.part(intent.id)?.isPrepared === true) return REFUSED;
  const part = admit(view, intent);
  if (part === null) return REFUSED;
  const record = stringFromBytes(encodeIntent(intent));
  view.part = part;
  const name = preparedKey(view, intent.id);
  // Nobody but its coordinator gives a record this name, and does so once.
  view.knownAbsent(TRANSACTION_SPACE, name);
  view.put(TRANSACTION_SPACE, name, record, 0);
  takeAll(view, part, intent);
  view.prepare(part, intent);
  return encodeOutcome({ isDone: true, timestamp: view.timestamp });
});

/** At the anchor: decides, and makes the anchor's own changes in the same entry. */
export const commitRow = row('%TXCOMMIT', 'write', decodeCommit, (view, request) => {
  const { intent, participants } = request;
  const known = decisionOf(view, intent.id);
  if (known !== null) return encodeOutcome({ isDone: known.timestamp !== 0, timestamp: known.timestamp });
  const part = view.nowMs > intent.decideByMs ? refuse(view, intent.id) : admit(view, intent);
  if (part === null) return REFUSED;
  view.advance(request.timestampMin);
  view.part = part;
  const { timestamp } = view;
  apply(view, intent.writes);
  if (participants.length > 0) {
    const bytes = stringFromBytes(encodeDecision({ timestamp, participants }));
    view.put(TRANSACTION_SPACE, decisionKey(view, intent.id), bytes, 0);
    view.decided({ id: intent.id, participants, timestamp, sinceMs: view.nowMs });
  }
  for (const id of request.settled) forget(view, id);
  view.close(part);
  return encodeOutcome({ isDone: true, timestamp });
});

/** Carries a decision out. Says nothing new if that has happened already. */
export const resolveRow = row('%TXRESOLVE', 'write', decodeResolve, (view, { id, timestamp }) => {
  const part = view.locks.part(id);
  if (part === undefined) {
    // Who hears that it has happened lets the anchor forget the decision: it must have committed.
    view.observeEvaluated();
    return 1;
  }
  if (part.intent !== null) {
    if (timestamp !== 0) view.commitAt(timestamp);
    view.part = part;
    if (timestamp !== 0) apply(view, part.intent.writes);
    view.remove(TRANSACTION_SPACE, preparedKey(view, id));
  }
  view.close(part);
  return 1;
});

/** At the anchor: how the transaction was decided. One that was not is aborted now, for good. */
export const statusRow = row('%TXSTATUS', 'write', decodeStatus, (view, { id, decideByMs }) => {
  const known = decisionOf(view, id);
  if (known !== null) return encodeOutcome({ isDone: known.timestamp !== 0, timestamp: known.timestamp });
  const abort = stringFromBytes(encodeDecision({ timestamp: 0, participants: [] }));
  const keptUntilMs = Math.max(view.nowMs, decideByMs) + ABORT_KEPT_MS;
  view.put(TRANSACTION_SPACE, decisionKey(view, id), abort, keptUntilMs);
  return REFUSED;
});

/** At the anchor: every participant has carried these decisions out. */
export const forgetRow = row('%TXFORGET', 'write', decodeIds, (view, ids) => {
  for (const id of ids) forget(view, id);
  return 1;
});

export const participantRows: readonly DataCommand[] = [
  lockRow,
  readRow,
  checkRow,
  releaseRow,
  prepareRow,
  commitRow,
  resolveRow,
  statusRow,
  forgetRow,
];

// ---------------------------------------------------------------------------------------------------------------

/** A payload that cannot be read is answered with an error: what a node of another mind sends must not stop this one. */
function row<T>(
  name: string,
  flag: 'readonly' | 'write',
  decode: (payload: Uint8Array) => T,
  run: (view: EvaluationView, request: T) => Reply,
): DataCommand {
  return defineCommand({
    name,
    group: 'kahuna',
    since: '0.2.0',
    summary: 'A step of a transaction across partitions; internal',
    complexity: 'O(N)',
    flags: [flag],
    args: [{ name: 'payload', type: 'string' }],
    run: (view: View, args): Reply => {
      assert(view instanceof EvaluationView, 'steps of transactions are evaluated at the leader of a partition');
      return run(view, decoded(decode, args.bytes()));
    },
  });
}

function decoded<T>(decode: (payload: Uint8Array) => T, payload: Uint8Array): T {
  try {
    return decode(payload);
  } catch (error) {
    if (error instanceof KahunaError) throw new ReplyError(stepMalformed(error.message));
    throw error;
  }
}

function fetch(view: EvaluationView, keys: readonly KeyName[], isConfirmed: boolean): Buffer {
  const writer = beginFetched({ isGranted: true, term: view.term, nowMs: view.nowMs }, keys.length);
  for (const { space, key } of keys) {
    const found = view.find(space, key);
    if (found === undefined) writeFetched(writer, view.version(space, key), null);
    else writeFetched(writer, found.version, found);
  }
  view.isUnconfirmed = !isConfirmed;
  return endFetched(writer, view.closedTimestamp);
}

function notGranted(view: EvaluationView): Buffer {
  view.isUnconfirmed = true;
  return endFetched(beginFetched({ isGranted: false, term: view.term, nowMs: view.nowMs }, 0), view.closedTimestamp);
}

/** Where records of transactions lie, nobody writes but to flush. */
function mustBeWritable({ writes }: Intent): void {
  for (const { space, key, object } of writes) {
    if (space === TRANSACTION_SPACE && (object !== null || flushedBy(key) === null))
      throw new ReplyError(stepMalformed('it writes what is no key'));
  }
}

/** The part, if all that it read is unchanged and all of its keys are, or can be, its own; else null, and it holds nothing. */
function admit(view: EvaluationView, intent: Intent): TransactionPart | null {
  mustBeWritable(intent);
  const part = view.locks.part(intent.id);
  const { checks, writes, term } = intent;
  view.part = part ?? null;
  const isRight =
    (term === 0 || term === view.term) &&
    (part !== undefined || view.obstacleOfNewPart() === null) &&
    checks.every((name) => view.locks.isFree(part ?? null, name, 'read')) &&
    writes.every((name) => view.locks.isFree(part ?? null, name, 'write')) &&
    checks.every(({ space, key, version }) => view.isUnchanged(space, key, version));
  if (!isRight) return refuse(view, intent.id);
  return part ?? view.locks.open(intent.id, view.nowMs);
}

function refuse(view: EvaluationView, id: TransactionId): null {
  const part = view.locks.part(id);
  if (part !== undefined) view.close(part);
  return null;
}

function takeAll(view: EvaluationView, part: TransactionPart, { checks, writes }: Intent): void {
  for (const write of writes) view.lock(part, write, 'write');
  for (const check of checks) view.lock(part, check, 'read');
}

function apply(view: EvaluationView, writes: readonly KeyWrite[]): void {
  for (const { space, key, object } of writes) {
    if (space === TRANSACTION_SPACE) view.flush(mustExist(flushedBy(key), 'what is written there was looked at'));
    else if (object === null) view.erase(space, key);
    else view.put(space, key, object.value, object.expiresAtMs);
  }
}

function decisionOf(view: EvaluationView, id: TransactionId): { readonly timestamp: number } | null {
  const record = view.peek(TRANSACTION_SPACE, decisionKey(view, id))?.value;
  if (record === undefined) return null;
  assert(isStringValue(record), 'a decision is kept as bytes');
  return decodeDecision(toBytes(record));
}

function forget(view: EvaluationView, id: TransactionId): void {
  view.remove(TRANSACTION_SPACE, decisionKey(view, id));
  view.decisions.delete(transactionName(id));
}
