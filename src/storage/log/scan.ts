/**
 * Walks the chain of flushes over the segments and decides, where it ends, why it ends there.
 *
 * The problem: a crash may leave the last flush half written, and that is nobody's fault; any other irregularity means
 * that something acknowledged may be gone, and starting without it could break Raft's promises (a vote forgotten, an entry
 * un-acknowledged). The two must not be mistaken for each other.
 *
 * The idea: only one flush is ever under way, it goes where there were zeros, and a disk writes a sector whole or not at
 * all. So behind an unfinished flush there is nothing, and each of its sectors is either as written or still zeros:
 *
 * - the first sector is there and intact: it names number, length and, through the table, the sum of each other sector;
 *   a sector that fits its sum is written, a zero one is not, anything else is damage;
 * - the first sector is zeros: the other sectors cannot be judged, but they may be there (sectors reach the disk in any order);
 * - the first sector is neither: damage;
 * - and wherever the chain ends: an intact first sector or table sector of a later flush, anywhere behind it, proves that
 *   what is missing here was acknowledged: damage. Sectors of user data cannot pass for one, because the salt never leaves
 *   the log and a copy of an old piece of this very log carries an old number.
 *
 * What this cannot see: that the end of the log, already acknowledged, turned back to zeros in whole sectors. That looks
 * like a flush that was never finished. See README.md.
 */
import { equalBytes, getU32 } from '../../base/bytes.ts';
import { crc32 } from '../../base/checksum.ts';
import { damagedAt, segmentName } from './damage.ts';
import {
  FLUSH_FLAGS,
  FLUSH_HEADER_BYTES,
  FLUSH_PAYLOAD_BYTES_MAX,
  flushHash,
  type FlushHeader,
  flushSectors,
  isZero,
  readFlushHeader,
  readTableHeader,
  SECTOR_BYTES,
  TABLE_HEADER_BYTES,
  TABLE_SUMS_PER_SECTOR,
} from './format.ts';
import { sectorSeed, sectorSum } from './sector-sum.ts';

/** A segment file in memory, filled up with zeros to whole sectors, aligned for 32-bit access. */
export interface SegmentImage {
  readonly segment: number;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

export interface ScannedFlush {
  readonly segment: number;
  readonly offset: number;
  readonly size: number;
  readonly number: number;
  readonly startsWithGroups: boolean;
  /** A view into the image. */
  readonly payload: Uint8Array;
}

export interface ChainEnd {
  /** Where the first sector that belongs to no whole flush starts. */
  readonly position: number;
  /** The last flush says that the next one begins the next segment. */
  readonly segmentIsFull: boolean;
}

type Examined = { readonly kind: 'whole'; readonly size: number } | { readonly kind: 'torn' };

export function segmentImage(segment: number, content: Uint8Array): SegmentImage {
  const size = Math.ceil(content.length / SECTOR_BYTES) * SECTOR_BYTES;
  let bytes = content;
  if (size !== content.length || content.byteOffset % 4 !== 0) {
    bytes = new Uint8Array(size);
    bytes.set(content);
  }
  return { segment, bytes, words: new Uint32Array(bytes.buffer, bytes.byteOffset, size / 4) };
}

export class ChainScanner {
  readonly #salt: Uint8Array;
  /** Number of the flush that comes next; rises by one with each whole flush. */
  nextFlush: number;
  /** Hash of the flush before that one. */
  hash: Uint8Array;

  constructor(salt: Uint8Array, start: { readonly nextFlush: number; readonly hash: Uint8Array }) {
    this.#salt = salt;
    this.nextFlush = start.nextFlush;
    this.hash = start.hash;
  }

  /** Hands out the whole flushes from `position` on, up to the end of the chain in this segment. Throws LOG_DAMAGED. */
  scan(image: SegmentImage, position: number, visit: (flush: ScannedFlush) => void): ChainEnd {
    const { segment, bytes } = image;
    let at = position;
    while (at < bytes.length) {
      const header = readFlushHeader(bytes, at, this.#salt);
      if (header === null) {
        if (!isZero(bytes, at, at + SECTOR_BYTES)) throw this.#damaged(image, at, 'neither a flush nor empty');
        break;
      }
      this.#checkChain(image, at, header);
      const examined = this.#examine(image, at, header);
      if (examined.kind === 'torn') break;
      const payloadStart = at + FLUSH_HEADER_BYTES;
      visit({
        segment,
        offset: at,
        size: examined.size,
        number: header.number,
        startsWithGroups: (header.flags & FLUSH_FLAGS.startsWithGroups) !== 0,
        payload: bytes.subarray(payloadStart, payloadStart + header.payloadBytes),
      });
      this.hash = flushHash(bytes, at);
      this.nextFlush++;
      at += examined.size;
      if ((header.flags & FLUSH_FLAGS.nextBeginsSegment) !== 0) {
        this.#expectNoLaterFlush(image, at);
        return { position: at, segmentIsFull: true };
      }
    }
    this.#expectNoLaterFlush(image, at + SECTOR_BYTES);
    return { position: at, segmentIsFull: false };
  }

  /** The chain ended before this segment: it may hold no flush, except the torn one that was to begin it. Throws LOG_DAMAGED. */
  expectUnbegun(image: SegmentImage, mayHoldTornFlush: boolean): void {
    this.#expectNoLaterFlush(image, mayHoldTornFlush ? 2 * SECTOR_BYTES : 0);
    const first = mayHoldTornFlush ? readFlushHeader(image.bytes, SECTOR_BYTES, this.#salt) : null;
    if (first !== null && first.number > this.nextFlush) throw this.#lost(image, SECTOR_BYTES, first.number);
  }

  #checkChain(image: SegmentImage, at: number, header: FlushHeader): void {
    if (header.number !== this.nextFlush) {
      throw this.#damaged(image, at, `flush ${header.number} lies where flush ${this.nextFlush} belongs`);
    }
    if (!equalBytes(header.previousHash, this.hash)) {
      throw this.#damaged(image, at, `flush ${header.number} does not follow from the flush before it`);
    }
    if (header.payloadBytes > FLUSH_PAYLOAD_BYTES_MAX) {
      throw this.#damaged(image, at, `flush ${header.number} claims ${header.payloadBytes} bytes`);
    }
  }

  #examine(image: SegmentImage, at: number, header: FlushHeader): Examined {
    const { bytes } = image;
    const { content, table } = flushSectors(header.payloadBytes);
    const tableStart = at + content * SECTOR_BYTES;
    const size = (content + table) * SECTOR_BYTES;
    let isWhole = at + size <= bytes.length;
    for (let position = 0; position < table; position++) {
      const tableAt = tableStart + position * SECTOR_BYTES;
      if (isUnwritten(bytes, tableAt)) {
        isWhole = false;
        continue;
      }
      const tableHeader = readTableHeader(bytes, tableAt, this.#salt);
      if (tableHeader?.flush !== header.number || tableHeader.position !== position) {
        throw this.#damaged(image, tableAt, `a sector of flush ${header.number} is neither as written nor empty`);
      }
      if (!this.#examineListed(image, at, { header, position, tableAt, content })) isWhole = false;
    }
    if (!isWhole) return { kind: 'torn' };
    if (table > 0 && crc32(bytes.subarray(tableStart, at + size)) !== header.tableChecksum) {
      throw this.#damaged(image, tableStart, `the table of flush ${header.number} is not the one that was written`);
    }
    return { kind: 'whole', size };
  }

  /** Compares the sectors that one table sector lists with their sums; false if some were not written. */
  #examineListed(
    image: SegmentImage,
    at: number,
    listed: {
      readonly header: FlushHeader;
      readonly position: number;
      readonly tableAt: number;
      readonly content: number;
    },
  ): boolean {
    const { header, position, tableAt, content } = listed;
    const first = 1 + position * TABLE_SUMS_PER_SECTOR;
    const end = Math.min(first + TABLE_SUMS_PER_SECTOR, content);
    let isWhole = true;
    for (let sector = first; sector < end; sector++) {
      const sectorAt = at + sector * SECTOR_BYTES;
      const wanted = getU32(image.bytes, tableAt + TABLE_HEADER_BYTES + 4 * (sector - first));
      const isPresent = sectorAt + SECTOR_BYTES <= image.bytes.length;
      if (isPresent && sectorSum(image.words, sectorAt / 4, sectorSeed(header.number, sector)) === wanted) continue;
      if (!isUnwritten(image.bytes, sectorAt)) {
        throw this.#damaged(image, sectorAt, `a sector of flush ${header.number} is neither as written nor empty`);
      }
      isWhole = false;
    }
    return isWhole;
  }

  /** First sectors and table sectors tell the number of their flush. The torn flush itself may have left its table. */
  #expectNoLaterFlush(image: SegmentImage, from: number): void {
    const { bytes } = image;
    for (let at = from; at < bytes.length; at += SECTOR_BYTES) {
      if (isUnwritten(bytes, at)) continue;
      const first = readFlushHeader(bytes, at, this.#salt);
      if (first !== null && first.number >= this.nextFlush) throw this.#lost(image, at, first.number);
      const table = readTableHeader(bytes, at, this.#salt);
      if (table !== null && table.flush > this.nextFlush) throw this.#lost(image, at, table.flush);
    }
  }

  #lost(image: SegmentImage, at: number, found: number): Error {
    return this.#damaged(image, at, `flush ${found} is here, but flush ${this.nextFlush} is not where it belongs`);
  }

  #damaged(image: SegmentImage, at: number, what: string): Error {
    return damagedAt(segmentName(image.segment), at, what);
  }
}

function isUnwritten(bytes: Uint8Array, at: number): boolean {
  return at >= bytes.length || isZero(bytes, at, Math.min(at + SECTOR_BYTES, bytes.length));
}
