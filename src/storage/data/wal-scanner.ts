/**
 * A look at LevelDB's write-ahead files before LevelDB opens them.
 *
 * LevelDB itself skips what it cannot read there, without a word, and rewrites the files as it opens: a flipped bit in the
 * middle silently takes away records that had been made durable, and afterwards no trace is left. So we look first, and tell
 * apart what a crash may leave from what only damage explains:
 *
 * - `clean`: every byte belongs to a valid record.
 * - `torn`: something invalid, and nothing valid behind it. That is a write that did not complete. What is lost was never
 *   synced, so the Raft log replays it; the store must not be trusted beyond the log's checkpoint (`isTailTorn`).
 * - `damaged`: something invalid or missing with valid records behind it.
 *
 * A file (db/log_format.h) consists of blocks of 32 KiB. A record never crosses a block: what does not fit is cut into
 * fragments, and fewer than seven bytes left in a block are zeros.
 *
 *     checksum u32   CRC-32C over type and payload, masked (crc32c.ts)
 *     length   u16   of the payload
 *     type     u8    1 whole, 2 first, 3 middle, 4 last fragment
 *     payload        joined: sequence number u64, number of operations u32, operations
 *
 * (all little-endian). Sequence numbers count operations without a gap, within a file and from file to file. So a record that
 * is missing as a whole is noticed too. Behind something invalid, valid records are looked for where each further block
 * begins, and at every position of the same block, since the invalid length cannot be trusted; there only such are
 * believed whose sequence number may follow, for a user's value may contain anything, LevelDB's own files included.
 *
 * Not noticed: damage to the very last records (they look torn) and to tables. For the first, compare the recovered applied
 * index with the log's checkpoint; for the second there are seals and the scrub.
 */
import { getU32, getU64 } from '../../base/bytes.ts';
import type { Logger } from '../../base/log.ts';
import type { Disk, ProcessControl } from '../../base/platform.ts';
import { isWriteAheadName } from './checkpoint.ts';
import { crc32c, unmaskCrc } from './crc32c.ts';

const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;
const BATCH_HEADER_BYTES = 12;
/** The smallest operation, a deletion of an empty key, takes two bytes. */
const OPERATION_BYTES_MIN = 2;
const WHOLE = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

export interface FileScan {
  readonly state: 'clean' | 'torn' | 'damaged';
  /** Where the first invalid record begins; the length of the file if it is clean. */
  readonly validBytes: number;
  readonly batchCount: number;
  /** Sequence number of the first operation; undefined if no batch was found. */
  readonly firstSequence: number | undefined;
  /** Sequence number that the operation behind the last one will have. */
  readonly nextSequence: number | undefined;
}

/**
 * Scans the write-ahead files of a directory. Ends the process with `dataDamaged` if one is damaged. Returns whether anything
 * at their ends was lost.
 */
export async function checkWriteAhead(options: {
  readonly disk: Pick<Disk, 'list' | 'readFile'>;
  readonly directory: string;
  readonly process: ProcessControl;
  readonly log: Logger;
}): Promise<{ readonly isTailTorn: boolean }> {
  const { disk, directory, process, log } = options;
  const names = (await disk.list(directory)).filter(isWriteAheadName);
  names.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  let isTailTorn = false;
  let nextSequence: number | undefined;
  for (const name of names) {
    const path = `${directory}/${name}`;
    const scan = scanWriteAheadFile(await disk.readFile(path));
    if (scan.state === 'damaged') {
      process.fatal(
        'dataDamaged',
        `data damaged in ${path} at ${scan.validBytes}; rebuild this replica from its peers`,
      );
    }
    const isGap = nextSequence !== undefined && scan.firstSequence !== undefined && scan.firstSequence !== nextSequence;
    if (scan.state === 'torn' || isGap) {
      isTailTorn = true;
      log.warn('the end of a write-ahead file is lost; the log will replay it', { path, validBytes: scan.validBytes });
    }
    nextSequence = scan.nextSequence ?? nextSequence;
  }
  return { isTailTorn };
}

export function scanWriteAheadFile(bytes: Uint8Array): FileScan {
  const scan = new Scan(bytes);
  return scan.run();
}

class Scan {
  readonly #bytes: Uint8Array;
  /** Where the record begins whose fragments are being read; -1 between records. */
  #recordAt = -1;
  #firstLength = 0;
  #firstSequence: number | undefined;
  #nextSequence: number | undefined;
  #batchCount = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  run(): FileScan {
    let at = 0;
    while (at < this.#bytes.length) {
      const left = BLOCK_BYTES - (at % BLOCK_BYTES);
      if (left < HEADER_BYTES) {
        at += left;
        continue;
      }
      const length = this.#validPayloadLength(at);
      if (length === undefined)
        return this.#result(this.#isFollowedByRecords(at) ? 'damaged' : 'torn', this.#startOf(at));
      if (!this.#take(at, length)) return this.#result('damaged', this.#startOf(at));
      at += HEADER_BYTES + length;
    }
    if (this.#recordAt >= 0) return this.#result('torn', this.#recordAt);
    return this.#result('clean', this.#bytes.length);
  }

  #startOf(at: number): number {
    return this.#recordAt >= 0 ? this.#recordAt : at;
  }

  #result(state: FileScan['state'], validBytes: number): FileScan {
    return {
      state,
      validBytes,
      batchCount: this.#batchCount,
      firstSequence: this.#firstSequence,
      nextSequence: this.#nextSequence,
    };
  }

  /** Length of the payload of the fragment at `at`; undefined if there is no valid one. */
  #validPayloadLength(at: number): number | undefined {
    const bytes = this.#bytes;
    const blockEnd = Math.min(at - (at % BLOCK_BYTES) + BLOCK_BYTES, bytes.length);
    if (at + HEADER_BYTES > blockEnd) return undefined;
    const length = (bytes[at + 4] ?? 0) | ((bytes[at + 5] ?? 0) << 8);
    const type = bytes[at + 6] ?? 0;
    const end = at + HEADER_BYTES + length;
    if (type < WHOLE || type > LAST || end > blockEnd) return undefined;
    return crc32c(bytes, at + 6, end) === unmaskCrc(getU32(bytes, at)) ? length : undefined;
  }

  /** Adds a valid fragment; false if one is missing before it, or a whole record is. */
  #take(at: number, length: number): boolean {
    const type = this.#bytes[at + 6];
    const isContinuation = type === MIDDLE || type === LAST;
    if (isContinuation !== this.#recordAt >= 0) return false;
    if (!isContinuation) {
      this.#recordAt = at;
      this.#firstLength = length;
    }
    if (type === FIRST || type === MIDDLE) return true;
    return this.#endRecord();
  }

  /** The record is complete; false if another is missing before it. */
  #endRecord(): boolean {
    const header = this.#batchHeader(this.#recordAt, this.#firstLength);
    const sequence = getU64(header, 0);
    if (this.#nextSequence !== undefined && sequence !== this.#nextSequence) return false;
    this.#firstSequence ??= sequence;
    this.#nextSequence = sequence + getU32(header, 8);
    this.#batchCount++;
    this.#recordAt = -1;
    return true;
  }

  /** First twelve bytes of a batch; its first fragment, at `at`, may hold fewer. */
  #batchHeader(at: number, firstLength: number): Uint8Array {
    const header = new Uint8Array(BATCH_HEADER_BYTES);
    const payloadAt = at + HEADER_BYTES;
    const inFirst = Math.min(firstLength, BATCH_HEADER_BYTES);
    header.set(this.#bytes.subarray(payloadAt, payloadAt + inFirst));
    const nextAt = payloadAt + inFirst + HEADER_BYTES;
    header.set(this.#bytes.subarray(nextAt, nextAt + BATCH_HEADER_BYTES - inFirst), inFirst);
    return header;
  }

  #isFollowedByRecords(invalidAt: number): boolean {
    const bytes = this.#bytes;
    const blockEnd = Math.min(invalidAt - (invalidAt % BLOCK_BYTES) + BLOCK_BYTES, bytes.length);
    for (let at = blockEnd; at < bytes.length; at += BLOCK_BYTES) {
      if (this.#validPayloadLength(at) !== undefined) return true;
    }
    for (let at = invalidAt + 1; at + HEADER_BYTES + BATCH_HEADER_BYTES <= blockEnd; at++) {
      if (this.#mayBeNextBatch(at)) return true;
    }
    return false;
  }

  #mayBeNextBatch(at: number): boolean {
    const bytes = this.#bytes;
    const type = bytes[at + 6];
    if (type !== WHOLE && type !== FIRST) return false;
    if (this.#nextSequence !== undefined) {
      const ahead = getU64(bytes, at + HEADER_BYTES) - this.#nextSequence;
      if (ahead < 0 || ahead > bytes.length / OPERATION_BYTES_MIN) return false;
    }
    const length = this.#validPayloadLength(at);
    return length !== undefined && length >= BATCH_HEADER_BYTES;
  }
}
