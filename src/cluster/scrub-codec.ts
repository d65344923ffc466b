/**
 * What replicas say to each other while they are compared (scrub.ts).
 *
 *   look:    u32 group | u64 look | u64 term | u64 index | u32 bytes at most | u32 length, start | u32 length, end
 *   finding: u32 group | u64 look | u64 term | u8 outcome (0 = missed, 1 = hashed, 2 = damaged), and if it is hashed:
 *            16 bytes hash | u32 records | u8 format of the partition's state | u32 CRC-32 of it | u32 length, end
 *   verdict: u32 group | u64 look | u64 term | u64 index | u32 length, start | u32 length, end
 *
 * Little-endian. The hash is that of storage/data/scrub.ts: another one needs message kinds of its own, since hashes of two
 * kinds must never be compared. All readers copy what they keep.
 */
import { ByteReader, type ByteWriter, compareBytes, copyBytes } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';

/** Largest look that a replica takes part in, bytes. */
export const LOOK_BYTES_MAX = 16 * 1024 * 1024;
const HASH_BYTES = 16;

interface LookName {
  readonly group: GroupId;
  /** Counts the looks of a leader, from 1. */
  readonly look: number;
  /** Of the leader. */
  readonly term: Term;
}

/** Half open: [start, end). */
interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** A leader asks for what a replica holds, as of an applied index. */
export interface ScrubLook extends LookName, KeyRange {
  readonly index: LogIndex;
  /** Bytes of newest records after which the look ends, before the end of the range. */
  readonly bytesMax: number;
}

export interface ScrubHash {
  /** 32 hex digits. */
  readonly hash: string;
  readonly count: number;
  readonly stateFormat: number;
  readonly stateChecksum: number;
  /** Key of the first record that was not looked at, or the end of the range. */
  readonly end: Uint8Array;
}

export interface ScrubFinding extends LookName {
  /** 'damaged': a seal does not fit, and the replica knows it. */
  readonly found: ScrubHash | 'missed' | 'damaged';
}

/** The records of the receiver are not what most replicas have. */
export interface ScrubVerdict extends LookName, KeyRange {
  readonly index: LogIndex;
}

const OUTCOMES = { missed: 0, hashed: 1, damaged: 2 } as const;

export function writeLook(writer: ByteWriter, look: ScrubLook): void {
  writeName(writer, look);
  writer.u64(look.index);
  writer.u32(look.bytesMax);
  writeRange(writer, look);
}

/** Throws KahunaError 'BYTES_MALFORMED' or 'SCRUB_MALFORMED'. */
export function readLook(payload: Uint8Array): ScrubLook {
  const reader = new ByteReader(payload);
  const name = readName(reader);
  const index = reader.u64();
  const bytesMax = reader.u32();
  if (bytesMax === 0 || bytesMax > LOOK_BYTES_MAX) throw malformed(`a look at ${bytesMax} bytes`);
  const range = readRange(reader);
  reader.expectEnd();
  return { ...name, index, bytesMax, ...range };
}

export function writeFinding(writer: ByteWriter, finding: ScrubFinding): void {
  const { found } = finding;
  writeName(writer, finding);
  if (found === 'missed' || found === 'damaged') {
    writer.u8(OUTCOMES[found]);
    return;
  }
  writer.u8(OUTCOMES.hashed);
  writer.bytes(Buffer.from(found.hash, 'hex'));
  writer.u32(found.count);
  writer.u8(found.stateFormat);
  writer.u32(found.stateChecksum);
  writeBytes(writer, found.end);
}

/** Throws KahunaError 'BYTES_MALFORMED' or 'SCRUB_MALFORMED'. */
export function readFinding(payload: Uint8Array): ScrubFinding {
  const reader = new ByteReader(payload);
  const name = readName(reader);
  const found = readFound(reader);
  reader.expectEnd();
  return { ...name, found };
}

function readFound(reader: ByteReader): ScrubFinding['found'] {
  const outcome = reader.u8();
  if (outcome === OUTCOMES.missed) return 'missed';
  if (outcome === OUTCOMES.damaged) return 'damaged';
  if (outcome !== OUTCOMES.hashed) throw malformed(`the outcome ${outcome}`);
  return {
    hash: Buffer.from(reader.bytes(HASH_BYTES)).toString('hex'),
    count: reader.u32(),
    stateFormat: reader.u8(),
    stateChecksum: reader.u32(),
    end: readBytes(reader),
  };
}

export function writeVerdict(writer: ByteWriter, verdict: ScrubVerdict): void {
  writeName(writer, verdict);
  writer.u64(verdict.index);
  writeRange(writer, verdict);
}

/** Throws KahunaError 'BYTES_MALFORMED' or 'SCRUB_MALFORMED'. */
export function readVerdict(payload: Uint8Array): ScrubVerdict {
  const reader = new ByteReader(payload);
  const name = readName(reader);
  const index = reader.u64();
  const range = readRange(reader);
  reader.expectEnd();
  return { ...name, index, ...range };
}

function writeName(writer: ByteWriter, { group, look, term }: LookName): void {
  writer.u32(group);
  writer.u64(look);
  writer.u64(term);
}

function readName(reader: ByteReader): LookName {
  return { group: reader.u32(), look: reader.u64(), term: reader.u64() };
}

function writeRange(writer: ByteWriter, { start, end }: KeyRange): void {
  writeBytes(writer, start);
  writeBytes(writer, end);
}

function readRange(reader: ByteReader): KeyRange {
  const start = readBytes(reader);
  const end = readBytes(reader);
  if (compareBytes(start, end) >= 0) throw malformed('an empty range');
  return { start, end };
}

function writeBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writer.u32(bytes.length);
  writer.bytes(bytes);
}

function readBytes(reader: ByteReader): Uint8Array {
  return copyBytes(reader.bytes(reader.u32()));
}

function malformed(what: string): KahunaError<'SCRUB_MALFORMED'> {
  return new KahunaError('SCRUB_MALFORMED', `another node compares replicas by ${what}`);
}
