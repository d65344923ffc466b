/**
 * Records: what the payload of a flush is made of, one after the other without gaps. Little-endian.
 *
 *     0    1  kind
 *     1    1  type of the entry (kind entry), else 0
 *     2    2  zeros
 *     4    4  bytes of data that follow the 32 of this header
 *     8    8  group
 *     16   8  term
 *     24   8  index
 *
 *     kind             term, index                 data
 *     1  entry         of the entry                of the entry; replaces everything at and after its index
 *     2  hardState     term, commit                vote (8)
 *     3  compaction    last entry dropped          –
 *     4  checkpoint    of the checkpoint           state, opaque
 *     5  reset         of the checkpoint           state, opaque; the log of the group is empty and starts after it
 *     6  removal       –                           –
 *     7  group         last entry dropped          index of the last entry (8), term (8), vote (8), commit (8),
 *                                                  checkpoint's term (8), index (8), state: all that holds before the
 *                                                  other records of the flush; one for each group, at the head of a segment
 */
import { ByteReader, getU32, getU64, putU32, putU64 } from '../../base/bytes.ts';
import { KahunaError } from '../../base/errors.ts';
import type { GroupId, LogIndex, Term } from '../../base/ids.ts';
import type { LogCheckpoint, LogHardState } from './types.ts';

export const RECORD_HEADER_BYTES = 32;
export const GROUP_RECORD_FIXED_BYTES = 48;

/** Append-only. */
export const RECORD_KINDS = {
  entry: 1,
  hardState: 2,
  compaction: 3,
  checkpoint: 4,
  reset: 5,
  removal: 6,
  group: 7,
} as const;
export type RecordKind = (typeof RECORD_KINDS)[keyof typeof RECORD_KINDS];
const KIND_MAX = RECORD_KINDS.group;

export interface RecordHeader {
  readonly kind: RecordKind;
  readonly entryType: number;
  readonly group: GroupId;
  readonly term: Term;
  readonly index: LogIndex;
}

export interface LogRecord extends RecordHeader {
  /** A view into the payload. */
  readonly data: Uint8Array;
}

/** What a record of kind `group` says besides the last entry dropped. */
export interface GroupSummary {
  readonly lastIndex: LogIndex;
  readonly hardState: LogHardState;
  readonly checkpoint: LogCheckpoint;
}

/** Writes the 32 bytes at `at`; `dataBytes` of data follow them. */
export function putRecordHeader(target: Uint8Array, at: number, header: RecordHeader, dataBytes: number): void {
  target[at] = header.kind;
  target[at + 1] = header.entryType;
  target[at + 2] = 0;
  target[at + 3] = 0;
  putU32(target, at + 4, dataBytes);
  putU64(target, at + 8, header.group);
  putU64(target, at + 16, header.term);
  putU64(target, at + 24, header.index);
}

/** Hands out the records of a payload in order. Throws KahunaError 'BYTES_MALFORMED' where the bytes are no records. */
export function forEachRecord(payload: Uint8Array, visit: (record: LogRecord) => void): void {
  for (let at = 0; at < payload.length; ) {
    if (payload.length - at < RECORD_HEADER_BYTES) throw malformed(`${payload.length - at} bytes are no record header`);
    const kind = payload[at] ?? 0;
    const dataBytes = getU32(payload, at + 4);
    const group = getU64(payload, at + 8);
    const term = getU64(payload, at + 16);
    const index = getU64(payload, at + 24);
    const entryType = payload[at + 1] ?? 0;
    if (!isRecordKind(kind)) throw malformed(`record kind ${kind} is unknown`);
    if ((entryType !== 0 && kind !== RECORD_KINDS.entry) || payload[at + 2] !== 0 || payload[at + 3] !== 0)
      throw malformed('bytes that are zero in every record are not');
    if (Math.max(group, term, index) > Number.MAX_SAFE_INTEGER) throw malformed('a number exceeds 2^53 - 1');
    if (dataBytes > payload.length - at - RECORD_HEADER_BYTES)
      throw malformed(`a record of ${dataBytes} bytes passes the end`);
    const end = at + RECORD_HEADER_BYTES + dataBytes;
    visit({
      kind,
      entryType,
      group,
      term,
      index,
      data: payload.subarray(at + RECORD_HEADER_BYTES, end),
    });
    at = end;
  }
}

/** Reads the data of a `group` record; the checkpoint's state is a view. Throws KahunaError 'BYTES_MALFORMED'. */
export function readGroupSummary(data: Uint8Array): GroupSummary {
  const reader = new ByteReader(data);
  const lastIndex = reader.u64();
  const hardState = { term: reader.u64(), vote: reader.u64(), commit: reader.u64() };
  const checkpoint = { term: reader.u64(), index: reader.u64(), state: reader.rest() };
  return { lastIndex, hardState, checkpoint };
}

function isRecordKind(kind: number): kind is RecordKind {
  return kind >= 1 && kind <= KIND_MAX;
}

function malformed(what: string): KahunaError<'BYTES_MALFORMED'> {
  return new KahunaError('BYTES_MALFORMED', what);
}
