/**
 * Requests between an entry node and a partition's leader.
 *
 *   request: u32 group | u64 term | u64 counter | u32 strand | u8 flags (1 = may have been applied before,
 *            2 = transaction, 4 = waits no more, 8 = touches no key, 16 = has waited) | u8 protocol |
 *            u32 remaining ms (2^32 - 1 = no limit) | with 16: u32 ms that it has waited elsewhere | calls | watched keys
 *     calls: u32 number, each: u8 database | u8 length, command name | u32 number of arguments, each: u32 length, bytes
 *     watched keys (transactions only): u32 number, each: u8 database | u64 version | u32 length, key
 *   answer:  u64 counter | u8 outcome (0 = reply, 1 = repeat elsewhere) | u32 group | u64 term | u64 log index |
 *            encoded reply to the end
 *
 * Little-endian. Hot path for commands that enter through a node that does not lead (bench: compat/bench, SET through a
 * follower): arguments are copied once on each side.
 */
import { ByteReader, type ByteWriter } from '../base/bytes.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import type { Protocol } from '../resp/reply.ts';
import type { Job, JobCall, JobTransaction, JobWatch, Unblocking } from '../partition/job.ts';
import { KahunaError } from '../base/errors.ts';
import type { DataCommand } from '../commands/define.ts';
import { DATABASE_COUNT } from '../values/value.ts';

const FLAG_RETRY = 1;
const FLAG_TRANSACTION = 2;
const FLAG_UNBLOCKED = 4;
const FLAG_NO_TOUCH = 8;
const FLAG_WAITED = 16;
const FLAGS_KNOWN = FLAG_RETRY | FLAG_TRANSACTION | FLAG_UNBLOCKED | FLAG_NO_TOUCH | FLAG_WAITED;
const WAITED_MS_MAX = 0xffff_ffff;
const NO_LIMIT = 0xffff_ffff;

export interface DecodedRequest {
  readonly group: GroupId;
  readonly term: Term;
  readonly counter: number;
  readonly strand: number;
  readonly isRetry: boolean;
  readonly isUnblocked: boolean;
  readonly isNoTouch: boolean;
  /** How long it has waited for a key at earlier leaders, in whole ms. */
  readonly waitedMs: number;
  readonly protocol: Protocol;
  /** Infinity = no limit. */
  readonly remainingMs: number;
  readonly call: JobCall | null;
  readonly transaction: JobTransaction | null;
}

export function writeRequest(
  writer: ByteWriter,
  job: Job,
  to: { readonly group: GroupId; readonly term: Term; readonly nowMs: number },
): void {
  const { call, transaction } = job;
  const waitedMs = Math.min(WAITED_MS_MAX, Math.floor(job.waitedMs));
  writer.u32(to.group);
  writer.u64(to.term);
  writer.u64(job.counter);
  writer.u32(job.strand);
  writer.u8(
    (job.isRetry ? FLAG_RETRY : 0) |
      (transaction === null ? 0 : FLAG_TRANSACTION) |
      (job.isUnblocked ? FLAG_UNBLOCKED : 0) |
      (job.isNoTouch ? FLAG_NO_TOUCH : 0) |
      (waitedMs > 0 ? FLAG_WAITED : 0),
  );
  writer.u8(job.protocol);
  const remaining = Math.ceil(job.deadlineMs - to.nowMs);
  writer.u32(remaining >= NO_LIMIT ? NO_LIMIT : Math.max(0, remaining));
  if (waitedMs > 0) writer.u32(waitedMs);
  if (call !== null) {
    writer.u32(1);
    writeCall(writer, call);
  } else if (transaction !== null) {
    writer.u32(transaction.calls.length);
    for (const one of transaction.calls) writeCall(writer, one);
    writer.u32(transaction.watched.length);
    for (const watched of transaction.watched) {
      writer.u8(watched.database);
      writer.u64(watched.version);
      writer.u32(watched.key.length);
      writer.bytes(watched.key);
    }
  }
}

function writeCall(writer: ByteWriter, call: JobCall): void {
  const { name } = call.command;
  writer.u8(call.database);
  writer.u8(name.length);
  for (let i = 0; i < name.length; i++) writer.u8(name.charCodeAt(i));
  writer.u32(call.argv.length);
  for (const arg of call.argv) {
    writer.u32(arg.length);
    writer.bytes(arg);
  }
}

/** Copies what it keeps. Throws KahunaError 'BYTES_MALFORMED', 'REQUEST_MALFORMED' or 'COMMAND_UNKNOWN'. */
export function readRequest(payload: Uint8Array, commandOf: (name: string) => DataCommand | undefined): DecodedRequest {
  const own = Buffer.from(payload);
  const reader = new ByteReader(own);
  const group = reader.u32();
  const term = reader.u64();
  const counter = reader.u64();
  const strand = reader.u32();
  const flags = reader.u8();
  if ((flags & ~FLAGS_KNOWN) !== 0) throw malformed(`its flags are ${flags}`);
  const protocol = reader.u8();
  if (protocol !== 2 && protocol !== 3) throw malformed(`there is no protocol ${protocol}`);
  const remaining = reader.u32();
  const waitedMs = (flags & FLAG_WAITED) === 0 ? 0 : reader.u32();
  if ((flags & FLAG_WAITED) !== 0 && waitedMs === 0) throw malformed('it says that it has waited, and for 0 ms');
  const count = reader.u32();
  const calls: JobCall[] = [];
  for (let left = count; left > 0; left--) calls.push(readCall(reader, own, commandOf));
  const isTransaction = (flags & FLAG_TRANSACTION) !== 0;
  const watched: JobWatch[] = [];
  if (isTransaction) {
    for (let left = reader.u32(); left > 0; left--) {
      const database = checkedDatabase(reader.u8());
      const version = reader.u64();
      watched.push({ database, version, key: readBuffer(reader, own) });
    }
  }
  reader.expectEnd();
  if (!isTransaction && count !== 1) throw malformed(`it holds ${count} commands and is no transaction`);
  return {
    group,
    term,
    counter,
    strand,
    isRetry: (flags & FLAG_RETRY) !== 0,
    isUnblocked: (flags & FLAG_UNBLOCKED) !== 0,
    isNoTouch: (flags & FLAG_NO_TOUCH) !== 0,
    waitedMs,
    protocol,
    remainingMs: remaining === NO_LIMIT ? Number.POSITIVE_INFINITY : remaining,
    call: isTransaction ? null : (calls[0] ?? null),
    transaction: isTransaction ? { calls, watched } : null,
  };
}

function readCall(reader: ByteReader, own: Buffer, commandOf: (name: string) => DataCommand | undefined): JobCall {
  const database = reader.u8();
  const length = reader.u8();
  reader.skip(length);
  const name = own.toString('latin1', reader.position - length, reader.position);
  const command = commandOf(name);
  if (command === undefined) {
    throw new KahunaError('COMMAND_UNKNOWN', `another node sent command ${name}, which this version does not know`);
  }
  const argv: Buffer[] = [];
  for (let left = reader.u32(); left > 0; left--) argv.push(readBuffer(reader, own));
  const { arity } = command;
  if (arity >= 0 ? argv.length !== arity : argv.length < -arity)
    throw malformed(`${name} has ${argv.length} arguments`);
  return { command, argv, database: checkedDatabase(database) };
}

function checkedDatabase(database: number): number {
  if (database >= DATABASE_COUNT) throw malformed(`there is no database ${database}`);
  return database;
}

/** What the entry node checks before it sends; the leader relies on it. */
function malformed(what: string): KahunaError<'REQUEST_MALFORMED'> {
  return new KahunaError('REQUEST_MALFORMED', `a request from another node cannot be read: ${what}`);
}

function readBuffer(reader: ByteReader, own: Buffer): Buffer {
  const length = reader.u32();
  const start = reader.position;
  reader.skip(length);
  return own.subarray(start, start + length);
}

const OUTCOMES = { reply: 0, repeat: 1 } as const;

export interface DecodedAnswer {
  readonly counter: number;
  readonly isRepeat: boolean;
  readonly group: GroupId;
  readonly term: Term;
  readonly index: LogIndex;
  /** Valid during the call only. */
  readonly reply: Uint8Array;
}

export function writeAnswer(
  writer: ByteWriter,
  answer: Omit<DecodedAnswer, 'reply'> & { readonly reply: Uint8Array },
): void {
  writer.u64(answer.counter);
  writer.u8(answer.isRepeat ? OUTCOMES.repeat : OUTCOMES.reply);
  writer.u32(answer.group);
  writer.u64(answer.term);
  writer.u64(answer.index);
  writer.bytes(answer.reply);
}

export interface DecodedUnblock {
  readonly counter: number;
  readonly how: Unblocking;
}

/** u64 counter | u8 (0 = as if its time were over, 1 = with an error). */
export function writeUnblock(writer: ByteWriter, { counter, how }: DecodedUnblock): void {
  writer.u64(counter);
  writer.u8(how === 'error' ? 1 : 0);
}

export function readUnblock(payload: Uint8Array): DecodedUnblock {
  const reader = new ByteReader(payload);
  const counter = reader.u64();
  const how = reader.u8() === 1 ? 'error' : 'timeout';
  reader.expectEnd();
  return { counter, how };
}

export interface DecodedUnblockAnswer {
  readonly counter: number;
  readonly wasWaiting: boolean;
}

/** u64 counter | u8 (1 = it waited for a key, and waits no more). */
export function writeUnblockAnswer(writer: ByteWriter, { counter, wasWaiting }: DecodedUnblockAnswer): void {
  writer.u64(counter);
  writer.u8(wasWaiting ? 1 : 0);
}

export function readUnblockAnswer(payload: Uint8Array): DecodedUnblockAnswer {
  const reader = new ByteReader(payload);
  const counter = reader.u64();
  const wasWaiting = reader.u8() === 1;
  reader.expectEnd();
  return { counter, wasWaiting };
}

/** Throws KahunaError 'BYTES_MALFORMED' or 'REQUEST_MALFORMED'. */
export function readAnswer(payload: Uint8Array): DecodedAnswer {
  const reader = new ByteReader(payload);
  const counter = reader.u64();
  const outcome = reader.u8();
  if (outcome !== OUTCOMES.reply && outcome !== OUTCOMES.repeat) throw malformed(`there is no outcome ${outcome}`);
  const isRepeat = outcome === OUTCOMES.repeat;
  const group = reader.u32();
  const term = reader.u64();
  const index = reader.u64();
  return { counter, isRepeat, group, term, index, reply: reader.rest() };
}
