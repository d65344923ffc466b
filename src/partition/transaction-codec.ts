/**
 * What a coordinator and the partitions of a transaction tell each other, and what of it lies in records.
 *
 *   id        u32 node | u64 boot epoch | u64 counter
 *   key       u8 space | varint bytes, key
 *   lock      id | u8 flags (1 = wait for keys that others hold, 2 = answer when what they hold is committed) | u32 lease ms | varint n, each: key | u8 mode (0 read, 1 write)
 *   objects   u8 granted | u64 term | u64 partition time, ms | varint n, each: u64 version | u8 present, 1: object (values/whole.ts) |
 *             u64 closed timestamp
 *   check     u64 term, 0 if what was read had committed | varint n, each: key | u64 version
 *   intent    id | u32 anchor group | u64 term, 0 if nothing was read that had not committed | u64 time after which it is not decided any more, ms of the
 *             anchor | varint n checks, each: key | u64 version | varint n writes, each: key | u8 present, 1: object
 *   commit    u64 least timestamp | varint n, each u32 group | varint n, each id of a decision that all know | intent
 *   outcome   u8 (0 = refused, 1 = done) | u64 timestamp
 *   resolve   id | u64 commit timestamp, 0 if aborted
 *   status    id | u64 time after which it is not decided any more, ms
 *   decision  u64 commit timestamp, 0 if aborted | varint n, each u32 group        (a record)
 *
 * The record of a prepared part is its intent. Little-endian; on disk and on the wire: append-only.
 */
import { ByteReader, type ByteWriter } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import type { GroupId, Term, Timestamp } from '../base/ids.ts';
import { SPACE_COUNT } from '../values/value.ts';
import { readWhole, type WholeObject, writeWhole } from '../values/whole.ts';
import { beginMessage, endMessage } from './message-writer.ts';
import type { KeyName, LockMode, TransactionId } from './key-locks.ts';

/** A key as the transaction read it: absent ones have a version too. */
export interface KeyCheck extends KeyName {
  readonly version: Timestamp;
}

/** What a key shall hold; null = nothing. */
export interface KeyWrite extends KeyName {
  readonly object: WholeObject | null;
}

export interface LockRequest {
  readonly id: TransactionId;
  /** False: answer at once that a key is taken, and hold none. */
  readonly waits: boolean;
  /** True: a client will see what the keys hold before the transaction ends. */
  readonly isConfirmed: boolean;
  readonly leaseMs: number;
  readonly keys: readonly (KeyName & { readonly mode: LockMode })[];
}

export interface FetchedObject {
  readonly version: Timestamp;
  readonly object: WholeObject | null;
}

export interface Fetched {
  /** False: a key was taken; there are no objects then. */
  readonly isGranted: boolean;
  readonly term: Term;
  /** What the leader of this term evaluates after it has answered has versions above this one. */
  readonly closed: Timestamp;
  readonly nowMs: number;
  readonly objects: readonly FetchedObject[];
}

/** What a transaction asks of one partition: that keys are still as they were read, and shall become what it writes. */
export interface Intent {
  readonly id: TransactionId;
  readonly anchor: GroupId;
  /** Of the leader that handed out what was read before it had committed; 0 if nothing was: versions of commits are unique. */
  readonly term: Term;
  /** Time of the anchor after which it decides for no commit any more. */
  readonly decideByMs: number;
  readonly checks: readonly KeyCheck[];
  readonly writes: readonly KeyWrite[];
}

export interface CommitRequest {
  readonly timestampMin: Timestamp;
  readonly participants: readonly GroupId[];
  /** Earlier decisions of the same coordinator that every participant has carried out. */
  readonly settled: readonly TransactionId[];
  readonly intent: Intent;
}

export interface Outcome {
  readonly isDone: boolean;
  readonly timestamp: Timestamp;
}

export interface Decision {
  /** 0 = aborted. */
  readonly timestamp: Timestamp;
  readonly participants: readonly GroupId[];
}

const FLAG_WAITS = 1;
const FLAG_CONFIRMED = 2;

// ---------------------------------------------------------------------------------------------------------------
// Requests

export function encodeLock(request: LockRequest): Buffer {
  const writer = beginMessage();
  writeId(writer, request.id);
  writer.u8((request.waits ? FLAG_WAITS : 0) | (request.isConfirmed ? FLAG_CONFIRMED : 0));
  writer.u32(request.leaseMs);
  writer.varint(request.keys.length);
  for (const key of request.keys) {
    writeKey(writer, key);
    writer.u8(key.mode === 'write' ? 1 : 0);
  }
  return endMessage(writer);
}

export function decodeLock(bytes: Uint8Array): LockRequest {
  const reader = new ByteReader(bytes);
  const id = readId(reader);
  const flags = oneOf(reader.u8(), FLAG_WAITS | FLAG_CONFIRMED, 'flags');
  const leaseMs = reader.u32();
  const keys = list(reader, () => {
    const name = readKey(reader);
    return { ...name, mode: oneOf(reader.u8(), 1, 'lock mode') === 1 ? ('write' as const) : ('read' as const) };
  });
  reader.expectEnd();
  const isConfirmed = (flags & FLAG_CONFIRMED) !== 0;
  return { id, waits: (flags & FLAG_WAITS) !== 0, isConfirmed, leaseMs, keys };
}

export function encodeKeys(keys: readonly KeyName[]): Buffer {
  const writer = beginMessage();
  writer.varint(keys.length);
  for (const key of keys) writeKey(writer, key);
  return endMessage(writer);
}

export function decodeKeys(bytes: Uint8Array): readonly KeyName[] {
  const reader = new ByteReader(bytes);
  const keys = list(reader, () => readKey(reader));
  reader.expectEnd();
  return keys;
}

export function encodeFetched(fetched: Fetched): Buffer {
  const writer = beginFetched(fetched, fetched.objects.length);
  for (const { version, object } of fetched.objects) writeFetched(writer, version, object);
  return endFetched(writer, fetched.closed);
}

/** As `encodeFetched`, without an object for each key: then so many times `writeFetched`, then `endFetched`. */
export function beginFetched(
  { isGranted, term, nowMs }: Omit<Fetched, 'closed' | 'objects'>,
  count: number,
): ByteWriter {
  const writer = beginMessage();
  writer.u8(isGranted ? 1 : 0);
  writer.u64(term);
  writer.u64(nowMs);
  writer.varint(count);
  return writer;
}

export function writeFetched(writer: ByteWriter, version: Timestamp, object: WholeObject | null): void {
  writer.u64(version);
  writeMaybe(writer, object);
}

export function endFetched(writer: ByteWriter, closed: Timestamp): Buffer {
  writer.u64(closed);
  return endMessage(writer);
}

export function decodeFetched(bytes: Uint8Array): Fetched {
  const reader = new ByteReader(bytes);
  const isGranted = oneOf(reader.u8(), 1, 'outcome') === 1;
  const term = reader.u64();
  const nowMs = reader.u64();
  const objects = list(reader, () => ({ version: reader.u64(), object: readMaybe(reader) }));
  const closed = reader.u64();
  reader.expectEnd();
  return { isGranted, term, closed, nowMs, objects };
}

export function encodeChecks(term: Term, checks: readonly KeyCheck[]): Buffer {
  const writer = beginMessage();
  writer.u64(term);
  writeChecks(writer, checks);
  return endMessage(writer);
}

export function decodeChecks(bytes: Uint8Array): { readonly term: Term; readonly checks: readonly KeyCheck[] } {
  const reader = new ByteReader(bytes);
  const term = reader.u64();
  const checks = readChecks(reader);
  reader.expectEnd();
  return { term, checks };
}

export function encodeIntent(intent: Intent): Buffer {
  const writer = beginMessage();
  writeIntent(writer, intent);
  return endMessage(writer);
}

/** Also the record of a prepared part. */
export function decodeIntent(bytes: Uint8Array): Intent {
  const reader = new ByteReader(bytes);
  const intent = readIntent(reader);
  reader.expectEnd();
  return intent;
}

export function encodeCommit(request: CommitRequest): Buffer {
  const writer = beginMessage();
  writer.u64(request.timestampMin);
  writeGroups(writer, request.participants);
  writeIds(writer, request.settled);
  writeIntent(writer, request.intent);
  return endMessage(writer);
}

export function decodeCommit(bytes: Uint8Array): CommitRequest {
  const reader = new ByteReader(bytes);
  const timestampMin = reader.u64();
  const participants = list(reader, () => reader.u32());
  const settled = list(reader, () => readId(reader));
  const intent = readIntent(reader);
  reader.expectEnd();
  return { timestampMin, participants, settled, intent };
}

export function encodeResolve(id: TransactionId, timestamp: Timestamp): Buffer {
  const writer = beginMessage();
  writeId(writer, id);
  writer.u64(timestamp);
  return endMessage(writer);
}

export function decodeResolve(bytes: Uint8Array): { readonly id: TransactionId; readonly timestamp: Timestamp } {
  const reader = new ByteReader(bytes);
  const id = readId(reader);
  const timestamp = reader.u64();
  reader.expectEnd();
  return { id, timestamp };
}

export function encodeStatus(id: TransactionId, decideByMs: number): Buffer {
  return encodeResolve(id, decideByMs);
}

export function decodeStatus(bytes: Uint8Array): { readonly id: TransactionId; readonly decideByMs: number } {
  const { id, timestamp } = decodeResolve(bytes);
  return { id, decideByMs: timestamp };
}

export function encodeIds(ids: readonly TransactionId[]): Buffer {
  const writer = beginMessage();
  writeIds(writer, ids);
  return endMessage(writer);
}

export function decodeIds(bytes: Uint8Array): readonly TransactionId[] {
  const reader = new ByteReader(bytes);
  const ids = list(reader, () => readId(reader));
  reader.expectEnd();
  return ids;
}

// ---------------------------------------------------------------------------------------------------------------
// Answers and records

export function encodeOutcome({ isDone, timestamp }: Outcome): Buffer {
  const writer = beginMessage();
  writer.u8(isDone ? 1 : 0);
  writer.u64(timestamp);
  return endMessage(writer);
}

export function decodeOutcome(bytes: Uint8Array): Outcome {
  const reader = new ByteReader(bytes);
  const isDone = oneOf(reader.u8(), 1, 'outcome') === 1;
  const timestamp = reader.u64();
  reader.expectEnd();
  return { isDone, timestamp };
}

export function encodeDecision({ timestamp, participants }: Decision): Buffer {
  const writer = beginMessage();
  writer.u64(timestamp);
  writeGroups(writer, participants);
  return endMessage(writer);
}

export function decodeDecision(bytes: Uint8Array): Decision {
  const reader = new ByteReader(bytes);
  const timestamp = reader.u64();
  const participants = list(reader, () => reader.u32());
  reader.expectEnd();
  return { timestamp, participants };
}

// ---------------------------------------------------------------------------------------------------------------
// Pieces

function writeId(writer: ByteWriter, { node, epoch, counter }: TransactionId): void {
  writer.u32(node);
  writer.u64(epoch);
  writer.u64(counter);
}

function readId(reader: ByteReader): TransactionId {
  return { node: reader.u32(), epoch: reader.u64(), counter: reader.u64() };
}

function writeIds(writer: ByteWriter, ids: readonly TransactionId[]): void {
  writer.varint(ids.length);
  for (const id of ids) writeId(writer, id);
}

function writeGroups(writer: ByteWriter, groups: readonly GroupId[]): void {
  writer.varint(groups.length);
  for (const group of groups) writer.u32(group);
}

function writeKey(writer: ByteWriter, { space, key }: KeyName): void {
  writer.u8(space);
  writer.latin1(key);
}

function readKey(reader: ByteReader): KeyName {
  const space = oneOf(reader.u8(), SPACE_COUNT - 1, 'space');
  return { space, key: reader.latin1() };
}

function writeMaybe(writer: ByteWriter, object: WholeObject | null): void {
  writer.u8(object === null ? 0 : 1);
  if (object !== null) writeWhole(writer, object);
}

function readMaybe(reader: ByteReader): WholeObject | null {
  return oneOf(reader.u8(), 1, 'presence') === 1 ? readWhole(reader) : null;
}

function writeChecks(writer: ByteWriter, checks: readonly KeyCheck[]): void {
  writer.varint(checks.length);
  for (const check of checks) {
    writeKey(writer, check);
    writer.u64(check.version);
  }
}

function readChecks(reader: ByteReader): readonly KeyCheck[] {
  return list(reader, () => {
    const { space, key } = readKey(reader);
    return { space, key, version: reader.u64() };
  });
}

function writeIntent(writer: ByteWriter, intent: Intent): void {
  writeId(writer, intent.id);
  writer.u32(intent.anchor);
  writer.u64(intent.term);
  writer.u64(intent.decideByMs);
  writeChecks(writer, intent.checks);
  writer.varint(intent.writes.length);
  for (const write of intent.writes) {
    writeKey(writer, write);
    writeMaybe(writer, write.object);
  }
}

function readIntent(reader: ByteReader): Intent {
  const id = readId(reader);
  const anchor = reader.u32();
  const term = reader.u64();
  const decideByMs = reader.u64();
  const checks = readChecks(reader);
  const writes = list(reader, () => ({ ...readKey(reader), object: readMaybe(reader) }));
  return { id, anchor, term, decideByMs, checks, writes };
}

/** A count that is larger than what follows it ends in BYTES_MALFORMED before much was built. */
function list<T>(reader: ByteReader, read: () => T): readonly T[] {
  const items: T[] = [];
  for (let left = reader.varint(); left > 0; left--) items.push(read());
  return items;
}

function oneOf(value: number, max: number, what: string): number {
  if (value <= max) return value;
  throw new KahunaError('REQUEST_MALFORMED', `a message of a transaction cannot be read: ${value} is no ${what}`);
}
