/**
 * The bytes of a partition's log entry: the effects of one batch of commands, and the answers that go with them.
 *
 *   u8  format = 1
 *   u64 partition time of the batch, ms
 *   u64 greatest commit timestamp in the batch
 *   u8  number of count changes, then each: u8 counter | i32 change. Counters: keys of a space under its number; keys of a
 *       database that have an expiry under 128 + its number
 *   u32 bytes of changes, then the changes:
 *         1 put    u32 key bytes | u32 sealed bytes | u64 timestamp | u64 replaced timestamp | key | sealed record
 *         2 delete u32 key bytes | u64 timestamp | u64 replaced timestamp | key
 *         3 flush  u8 space, 255 for all databases | u64 timestamp
 *         4 put    as 1, of a record that a flush may have left something under: replaced is what was committed at that timestamp
 *                  or before, if anything
 *         5 holds  u64 oldest moment that is held, 0 if none | u64 oldest moment that need be kept | u64 revision
 *   u32 number of answers, then each: u32 node | u64 boot epoch | u64 counter | u32 bytes | encoded reply
 *
 * Everything little-endian. Keys and records are in their final stored form, so that a follower hands slices of the
 * entry to LevelDB without looking into them. The numbers above are on disk and on the wire: append-only.
 */
import { ByteReader, getU32, getU64 } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import type { NodeId, Timestamp } from '../base/ids.ts';
import type { RecordChange } from '../storage/data/types.ts';

export const ENTRY_FORMAT = 1;
export const CHANGE_OPS = { put: 1, delete: 2, flush: 3, putUnknown: 4, hold: 5 } as const;
export const ALL_DATABASES = 255;
/** Counters from here on count the keys of a database that have an expiry. */
export const EXPIRING_COUNTER = 128;

/** Names one request for ever: the node that a client called, that node's boot, and a count. */
export interface RequestId {
  readonly node: NodeId;
  readonly epoch: number;
  readonly counter: number;
}

export interface RecordedAnswer extends RequestId {
  readonly reply: Uint8Array;
}

export interface FlushChange {
  /** A space, or ALL_DATABASES. */
  readonly space: number;
  readonly timestamp: Timestamp;
}

export interface EntryHeader {
  readonly timeMs: number;
  readonly lastTimestamp: Timestamp;
}

/** Which moments of the partition are held (cluster/holds.ts tells how they get here). */
export interface Holds {
  /** Nothing that was there at this moment or later may be collected; 0 = nothing is held. */
  readonly floor: Timestamp;
  /** What was there before this moment only may have been collected, because it had been held and was let go. */
  readonly passed: Timestamp;
  /** Of the list of holds in the metadata group from which this follows. Only rises. */
  readonly revision: Timestamp;
}

/** What applying an entry does. The views share memory with the entry. */
export interface DecodedEntry extends EntryHeader {
  readonly countChanges: readonly { readonly counter: number; readonly change: number }[];
  readonly records: readonly RecordChange[];
  readonly flushes: readonly FlushChange[];
  /** The last that it says; null if it says nothing. */
  readonly holds: Holds | null;
}

export function decodeEntry(data: Uint8Array): DecodedEntry {
  const reader = new ByteReader(data);
  const header = readHeader(reader);
  const countChanges: { counter: number; change: number }[] = [];
  for (let left = reader.u8(); left > 0; left--) countChanges.push({ counter: reader.u8(), change: reader.u32() | 0 });
  const changeBytes = reader.u32();
  const records: RecordChange[] = [];
  const flushes: FlushChange[] = [];
  const end = reader.position + changeBytes;
  if (end > data.length) throw malformed('its changes pass its end');
  const holds = decodeChanges(data, { start: reader.position, end }, records, flushes);
  return { ...header, countChanges, records, flushes, holds };
}

export function decodeHeader(data: Uint8Array): EntryHeader {
  return readHeader(new ByteReader(data));
}

/** The answers in an entry; their bytes share memory with it. */
export function decodeAnswers(data: Uint8Array): readonly RecordedAnswer[] {
  const reader = new ByteReader(data);
  readHeader(reader);
  reader.skip(reader.u8() * 5);
  reader.skip(reader.u32());
  const answers: RecordedAnswer[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const node = reader.u32();
    const epoch = reader.u64();
    const counter = reader.u64();
    answers.push({ node, epoch, counter, reply: reader.bytes(reader.u32()) });
  }
  reader.expectEnd();
  return answers;
}

/** Bytes of one answer before its reply: where it is parsed without objects (request-ledger.ts). */
export const ANSWER_HEADER_BYTES = 24;

/** Where the answers of an entry start: the first byte behind their number. */
export function answersOf(data: Uint8Array): { readonly offset: number; readonly count: number } {
  const reader = new ByteReader(data);
  readHeader(reader);
  reader.skip(reader.u8() * 5);
  reader.skip(reader.u32());
  const count = reader.u32();
  return { offset: reader.position, count };
}

function readHeader(reader: ByteReader): EntryHeader {
  const format = reader.u8();
  if (format !== ENTRY_FORMAT) throw malformed(`its format is ${format}, this version knows ${ENTRY_FORMAT}`);
  return { timeMs: reader.u64(), lastTimestamp: reader.u64() };
}

/** Hot path at every replica (bench: compat/bench, SET on three nodes): reads by offset, one object a record. */
function decodeChanges(
  data: Uint8Array,
  bounds: { readonly start: number; readonly end: number },
  records: RecordChange[],
  flushes: FlushChange[],
): Holds | null {
  let holds: Holds | null = null;
  let at = bounds.start;
  while (at < bounds.end) {
    const op = data[at];
    if (op === CHANGE_OPS.put || op === CHANGE_OPS.putUnknown) {
      const keyStart = at + 25;
      const keyEnd = keyStart + getU32(data, at + 1);
      const sealedEnd = keyEnd + getU32(data, at + 5);
      if (sealedEnd > bounds.end) throw malformed('a put passes its end');
      records.push({
        key: data.subarray(keyStart, keyEnd),
        sealed: data.subarray(keyEnd, sealedEnd),
        timestamp: getU64(data, at + 9),
        replaces: getU64(data, at + 17),
        isReplacedUnknown: op === CHANGE_OPS.putUnknown,
      });
      at = sealedEnd;
    } else if (op === CHANGE_OPS.delete) {
      const keyStart = at + 21;
      const keyEnd = keyStart + getU32(data, at + 1);
      if (keyEnd > bounds.end) throw malformed('a delete passes its end');
      records.push({
        key: data.subarray(keyStart, keyEnd),
        sealed: null,
        timestamp: getU64(data, at + 5),
        replaces: getU64(data, at + 13),
        isReplacedUnknown: false,
      });
      at = keyEnd;
    } else if (op === CHANGE_OPS.flush) {
      if (at + 10 > bounds.end) throw malformed('a flush passes its end');
      flushes.push({ space: data[at + 1] ?? 0, timestamp: getU64(data, at + 2) });
      at += 10;
    } else if (op === CHANGE_OPS.hold) {
      if (at + 25 > bounds.end) throw malformed('its holds pass its end');
      holds = { floor: getU64(data, at + 1), passed: getU64(data, at + 9), revision: getU64(data, at + 17) };
      at += 25;
    } else {
      throw malformed(`it holds a change of unknown kind ${op ?? 'none'}`);
    }
  }
  return holds;
}

function malformed(what: string): KahunaError<'ENTRY_MALFORMED'> {
  return new KahunaError('ENTRY_MALFORMED', `a log entry cannot be read: ${what}; was it written by a newer version?`);
}
