/**
 * Hot path: the buffer in which a flush takes shape (compat/powercut/flush-cost.ts measures it).
 *
 * Records are written behind room that is left for the headers; `seal` then fills in padding, table and header around
 * them, so what goes to the disk is one contiguous piece and an entry's bytes are copied once, into it. The first sector
 * stays free for a segment header, for the flush that begins a segment.
 *
 *     0    512  segment header, written out only with the first flush of a segment
 *     512  64   flush header
 *     576  …    records, then padding, then table
 *
 * The log has two of them: one is filled while the other is being written. Memory is kept from flush to flush, up to a bound.
 */
import { assert } from '../../base/assert.ts';
import { putU32, putU64 } from '../../base/bytes.ts';
import { crc32 } from '../../base/checksum.ts';
import type { GroupId, LogIndex, Term } from '../../base/ids.ts';
import {
  FLUSH_HEADER_BYTES,
  FLUSH_PAYLOAD_BYTES_MAX,
  flushHash,
  flushSectors,
  putFlushHeader,
  putSegmentHeader,
  putTableHeader,
  type SegmentHeader,
  SECTOR_BYTES,
  TABLE_HEADER_BYTES,
  TABLE_SUMS_PER_SECTOR,
} from './format.ts';
import type { GroupState } from './group-state.ts';
import {
  GROUP_RECORD_FIXED_BYTES,
  putRecordHeader,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  type RecordHeader,
} from './records.ts';
import { sectorSeed, sectorSum } from './sector-sum.ts';
import type { LogCheckpoint, LogEntry, LogHardState } from './types.ts';

const PAYLOAD_START = SECTOR_BYTES + FLUSH_HEADER_BYTES;
const CAPACITY_MIN = 64 * 1024;
/** Beyond this a buffer is given back after its flush, so that one giant does not stay for ever. */
const CAPACITY_KEPT_MAX = 4 * 1024 * 1024;

export interface FlushIdentity {
  readonly number: number;
  readonly previousHash: Uint8Array;
  readonly salt: Uint8Array;
  readonly flags: number;
}

export class StagingBuffer {
  #bytes = Buffer.alloc(0);
  /** The same memory, for the sums. */
  #words = new Uint32Array(0);
  /** End of the records; of the whole image once sealed. */
  #end = PAYLOAD_START;

  constructor() {
    this.#allocate(CAPACITY_MIN);
  }

  /** Bytes that the flush takes on disk, without a segment header, if it is sealed now. */
  get flushBytes(): number {
    const { content, table } = flushSectors(this.#end - PAYLOAD_START);
    return (content + table) * SECTOR_BYTES;
  }

  reset(): void {
    this.#end = PAYLOAD_START;
    if (this.#bytes.length > CAPACITY_KEPT_MAX) this.#allocate(CAPACITY_MIN);
  }

  putEntry(group: GroupId, entry: LogEntry): void {
    const { data } = entry;
    const header = { kind: RECORD_KINDS.entry, entryType: entry.type, group, term: entry.term, index: entry.index };
    const at = this.#putHeader(header, data.length);
    this.#bytes.set(data, at);
  }

  putHardState(group: GroupId, hardState: LogHardState): void {
    const { term, commit, vote } = hardState;
    const at = this.#putHeader({ kind: RECORD_KINDS.hardState, entryType: 0, group, term, index: commit }, 8);
    putU64(this.#bytes, at, vote);
  }

  putCompaction(group: GroupId, upTo: { readonly index: LogIndex; readonly term: Term }): void {
    this.#putHeader({ kind: RECORD_KINDS.compaction, entryType: 0, group, term: upTo.term, index: upTo.index }, 0);
  }

  putCheckpoint(kind: 'checkpoint' | 'reset', group: GroupId, checkpoint: LogCheckpoint): void {
    const { term, index, state } = checkpoint;
    const at = this.#putHeader({ kind: RECORD_KINDS[kind], entryType: 0, group, term, index }, state.length);
    this.#bytes.set(state, at);
  }

  putRemoval(group: GroupId): void {
    this.#putHeader({ kind: RECORD_KINDS.removal, entryType: 0, group, term: 0, index: 0 }, 0);
  }

  /** All that holds of a group, for the head of a segment. */
  putGroup(group: GroupId, state: GroupState): void {
    const { hardState, checkpoint, compacted, lastIndex } = state;
    const dataBytes = GROUP_RECORD_FIXED_BYTES + checkpoint.state.length;
    const { term, index } = compacted;
    const at = this.#putHeader({ kind: RECORD_KINDS.group, entryType: 0, group, term, index }, dataBytes);
    putU64(this.#bytes, at, lastIndex);
    putU64(this.#bytes, at + 8, hardState.term);
    putU64(this.#bytes, at + 16, hardState.vote);
    putU64(this.#bytes, at + 24, hardState.commit);
    putU64(this.#bytes, at + 32, checkpoint.term);
    putU64(this.#bytes, at + 40, checkpoint.index);
    this.#bytes.set(checkpoint.state, at + GROUP_RECORD_FIXED_BYTES);
  }

  /**
   * Completes the flush; with a segment header if it begins a segment. The image is a view: it holds until `reset`, and
   * nothing may be put in between. `hash` is what the next flush carries.
   */
  seal(flush: FlushIdentity, segment: SegmentHeader | null): { readonly image: Uint8Array; readonly hash: Uint8Array } {
    const payloadBytes = this.#end - PAYLOAD_START;
    assert(payloadBytes <= FLUSH_PAYLOAD_BYTES_MAX, 'a flush exceeds what its header can say');
    const { content, table } = flushSectors(payloadBytes);
    const contentEnd = SECTOR_BYTES * (1 + content);
    const end = contentEnd + SECTOR_BYTES * table;
    this.#reserve(end - this.#end);
    this.#bytes.fill(0, PAYLOAD_START + payloadBytes, end);
    const tableChecksum = table === 0 ? 0 : this.#fillTable(flush, contentEnd, content);
    putFlushHeader(this.#bytes, SECTOR_BYTES, flush.salt, {
      number: flush.number,
      previousHash: flush.previousHash,
      payloadBytes,
      tableChecksum,
      flags: flush.flags,
    });
    if (segment !== null) putSegmentHeader(this.#bytes, 0, segment);
    const image = this.#bytes.subarray(segment === null ? SECTOR_BYTES : 0, end);
    return { image, hash: flushHash(this.#bytes, SECTOR_BYTES) };
  }

  /** Writes the sums of all sectors but the first; returns the checksum of the whole table. */
  #fillTable(flush: FlushIdentity, tableStart: number, contentSectors: number): number {
    const { number, salt } = flush;
    let sector = 1;
    for (let at = tableStart; at < this.#end; at += SECTOR_BYTES) {
      const listed = Math.min(contentSectors, sector + TABLE_SUMS_PER_SECTOR);
      for (let slot = at + TABLE_HEADER_BYTES; sector < listed; sector++, slot += 4) {
        const word = ((1 + sector) * SECTOR_BYTES) / 4;
        putU32(this.#bytes, slot, sectorSum(this.#words, word, sectorSeed(number, sector)));
      }
      putTableHeader(this.#bytes, at, salt, { flush: number, position: (at - tableStart) / SECTOR_BYTES });
    }
    return crc32(this.#bytes.subarray(tableStart, this.#end));
  }

  /** Writes a record header; returns where its data starts. */
  #putHeader(header: RecordHeader, dataBytes: number): number {
    const at = this.#reserve(RECORD_HEADER_BYTES + dataBytes);
    putRecordHeader(this.#bytes, at, header, dataBytes);
    return at + RECORD_HEADER_BYTES;
  }

  /** Moves the end by `count`, growing as needed; returns where it was. */
  #reserve(count: number): number {
    const at = this.#end;
    this.#end = at + count;
    if (this.#end > this.#bytes.length) {
      const old = this.#bytes;
      this.#allocate(Math.max(this.#end, old.length * 2));
      old.copy(this.#bytes, 0, 0, at);
    }
    return at;
  }

  #allocate(capacity: number): void {
    const sectors = Math.ceil(capacity / SECTOR_BYTES);
    this.#bytes = Buffer.allocUnsafeSlow(sectors * SECTOR_BYTES);
    this.#words = new Uint32Array(this.#bytes.buffer, this.#bytes.byteOffset, (sectors * SECTOR_BYTES) / 4);
  }
}
