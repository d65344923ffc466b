/**
 * Reads the directory of a log: which segments there are, whose they are, what they hold, where the chain ends. Changes
 * nothing; what has to be repaired before the log may be written again is part of the answer.
 *
 * Rules about files (flushes are judged in scan.ts):
 * - `identity` is written last when a log is created. Without it nothing was ever acknowledged, or it is damage.
 * - Segments are numbered without a gap: the oldest are removed first, one by one, each durably.
 * - The segment after a full one was durably there before the flush that says "full": if it is missing, that is damage.
 * - A segment that no flush has begun yet is one prepared ahead. It holds zeros, or the torn flush that was to begin it.
 */
import { copyBytes, equalBytes } from '../../base/bytes.ts';
import type { GroupId } from '../../base/ids.ts';
import type { Disk } from '../../base/platform.ts';
import { damagedAt, foreign, IDENTITY_FILE, segmentName, segmentOfName } from './damage.ts';
import {
  FORMAT_VERSION,
  isZero,
  readFlushHeader,
  readSegmentHeader,
  SALT_BYTES,
  SECTOR_BYTES,
  type SegmentHeader,
} from './format.ts';
import type { GroupState } from './group-state.ts';
import { Replay } from './replay.ts';
import { ChainScanner, type ScannedFlush, type SegmentImage, segmentImage } from './scan.ts';
import type { LogIdentity, RecoveredGroup } from './types.ts';

export interface LogFiles {
  readonly disk: Disk;
  readonly directory: string;
  readonly identity: LogIdentity;
}

export interface RecoveredLog {
  readonly salt: Uint8Array;
  readonly nextFlush: number;
  readonly hash: Uint8Array;
  readonly states: Map<GroupId, GroupState>;
  readonly recovered: Map<GroupId, RecoveredGroup>;
  /** Segments that hold flushes, oldest first, with the bytes used in them; the last one is the current one. */
  readonly segments: readonly { readonly number: number; readonly usedBytes: number }[];
  /** The next flush begins a new segment. */
  readonly segmentIsFull: boolean;
  /** Bytes of the last flush (with the segment header, if it is the first of its segment), to be written once more. */
  readonly lastWrite: { readonly offset: number; readonly bytes: Uint8Array };
  /** What a torn flush left: to be zeroed before anything is appended. */
  readonly torn: { readonly segment: number; readonly start: number; readonly end: number } | null;
  /** Segments that no flush has begun, ascending. If `segmentIsFull`, the first of them is the next one. */
  readonly unbegun: readonly number[];
}

/** What the directory listing says. */
export interface LogListing {
  readonly hasIdentity: boolean;
  /** Ascending. */
  readonly segments: readonly number[];
  /** Names that are none of ours. */
  readonly strangers: readonly string[];
}

export async function listLog(files: LogFiles): Promise<LogListing> {
  const segments: number[] = [];
  const strangers: string[] = [];
  let hasIdentity = false;
  for (const name of await files.disk.list(files.directory)) {
    const segment = segmentOfName(name);
    if (segment !== null) segments.push(segment);
    else if (name === IDENTITY_FILE) hasIdentity = true;
    else strangers.push(name);
  }
  return { hasIdentity, segments: segments.sort((a, b) => a - b), strangers };
}

/**
 * Without `identity`, the creation of the log was interrupted and what it left may be removed: at most the first segment
 * with at most its first flush, which holds nothing. Throws LOG_DAMAGED if there is more.
 */
export async function expectAbandonedCreation(files: LogFiles, segments: readonly number[]): Promise<void> {
  for (const segment of segments) {
    const lost = damagedAt(segmentName(segment), 0, `the file "${IDENTITY_FILE}" is missing, but segments are there`);
    if (segment !== 1) throw lost;
    const { bytes } = await readSegment(files, segment);
    const first = readSegmentHeader(bytes);
    if (first.kind === 'header') checkOwner(files, first.header);
    if (first.kind === 'newer') throw tooNew(files, first.version);
    const salt =
      first.kind === 'header' ? first.header.salt : bytes.subarray(SECTOR_BYTES + 8, SECTOR_BYTES + 8 + SALT_BYTES);
    for (let at = SECTOR_BYTES; at < bytes.length; at += SECTOR_BYTES) {
      const flush = readFlushHeader(bytes, at, salt);
      if (flush !== null && flush.number > 1) throw lost;
    }
  }
}

/** Reads and checks everything. Throws LOG_DAMAGED or LOG_FOREIGN; any other error is the disk's. */
export async function recoverLog(files: LogFiles, segments: readonly number[]): Promise<RecoveredLog> {
  const identity = await readIdentity(files);
  checkNumbers(segments);
  const walk = new SegmentWalk(files, identity.salt);
  for (const segment of segments) walk.take(await readSegment(files, segment));
  return walk.finish();
}

/** Takes the segments in order. Up to the end of the chain they are scanned; those after it must be unbegun. */
class SegmentWalk {
  readonly #files: LogFiles;
  readonly #salt: Uint8Array;
  readonly #replay = new Replay();
  readonly #segments: { number: number; usedBytes: number }[] = [];
  readonly #unbegun: number[] = [];
  #scanner: ChainScanner | null = null;
  #segmentIsFull = false;
  #isEnded = false;
  #lastWrite: { offset: number; bytes: Uint8Array } | null = null;
  #torn: RecoveredLog['torn'] = null;

  constructor(files: LogFiles, salt: Uint8Array) {
    this.#files = files;
    this.#salt = salt;
  }

  take(image: SegmentImage): void {
    const scanner = this.#scanner;
    const header = this.#readHeader(image);
    if (scanner === null) {
      if (header === null) throw damagedAt(segmentName(image.segment), 0, 'the oldest segment has no header');
      const { firstFlush, previousHash } = header;
      this.#scanner = new ChainScanner(this.#salt, { nextFlush: firstFlush, hash: previousHash });
      this.#scan(this.#scanner, image);
      return;
    }
    if (this.#isEnded) {
      if (header !== null)
        throw damagedAt(
          segmentName(image.segment),
          0,
          `flush ${scanner.nextFlush}, which came before this segment, is missing`,
        );
      scanner.expectUnbegun(image, false);
      this.#addUnbegun(image);
      return;
    }
    if (header === null) {
      scanner.expectUnbegun(image, true);
      this.#addUnbegun(image);
      return;
    }
    if (header.firstFlush !== scanner.nextFlush || !equalBytes(header.previousHash, scanner.hash)) {
      throw damagedAt(segmentName(image.segment), 0, `the segment does not follow from flush ${scanner.nextFlush - 1}`);
    }
    this.#scan(scanner, image);
  }

  finish(): RecoveredLog {
    const scanner = this.#scanner;
    const oldest = this.#segments[0];
    if (scanner === null || oldest === undefined || this.#lastWrite === null)
      throw damagedAt(segmentName(1), 0, 'no segment is left');
    if (this.#segmentIsFull && this.#unbegun.length === 0) {
      const next = (this.#segments.at(-1)?.number ?? 0) + 1;
      throw damagedAt(segmentName(next), 0, `the segment is missing; flush ${scanner.nextFlush} was to begin it`);
    }
    const { states, recovered } = this.#replay.finish(oldest.number);
    return {
      salt: this.#salt,
      nextFlush: scanner.nextFlush,
      hash: scanner.hash,
      states,
      recovered,
      segments: this.#segments,
      segmentIsFull: this.#segmentIsFull,
      lastWrite: this.#lastWrite,
      torn: this.#torn,
      unbegun: this.#unbegun,
    };
  }

  #scan(scanner: ChainScanner, image: SegmentImage): void {
    const { segment, bytes } = image;
    let last: ScannedFlush | null = null;
    const end = scanner.scan(image, SECTOR_BYTES, (flush) => {
      this.#replay.apply(flush);
      last = flush;
    });
    const write = lastWriteOf(last, bytes);
    if (write === null) {
      // The header of the segment is there, the flush that came with it is not: they were one write.
      if (this.#segments.length === 0)
        throw damagedAt(segmentName(segment), SECTOR_BYTES, 'the oldest segment has no flush');
      this.#addUnbegun(image);
      return;
    }
    this.#lastWrite = write;
    this.#segments.push({ number: segment, usedBytes: end.position });
    this.#segmentIsFull = end.segmentIsFull;
    this.#isEnded = !end.segmentIsFull;
    if (!end.segmentIsFull) this.#torn = rangeToZero(image, end.position);
  }

  #addUnbegun(image: SegmentImage): void {
    // Only the segment that follows a full one may hold anything; further ones are removed as they are.
    if (!this.#isEnded) this.#torn = rangeToZero(image, 0);
    this.#unbegun.push(image.segment);
    this.#isEnded = true;
  }

  #readHeader(image: SegmentImage): SegmentHeader | null {
    const name = segmentName(image.segment);
    const decoded = readSegmentHeader(image.bytes);
    if (decoded.kind === 'empty') return null;
    if (decoded.kind === 'damaged') throw damagedAt(name, 0, 'the header of the segment is not intact');
    if (decoded.kind === 'newer') throw tooNew(this.#files, decoded.version);
    const { header } = decoded;
    checkOwner(this.#files, header);
    if (!equalBytes(header.salt, this.#salt))
      throw foreign(`${this.#files.directory}/${name} belongs to another log of this node`);
    if (header.segment !== image.segment)
      throw damagedAt(name, 0, `this is segment ${header.segment} under the name of another`);
    return header;
  }
}

async function readIdentity(files: LogFiles): Promise<SegmentHeader> {
  const decoded = readSegmentHeader(await readWhole(files, IDENTITY_FILE));
  if (decoded.kind === 'newer') throw tooNew(files, decoded.version);
  if (decoded.kind !== 'header') throw damagedAt(IDENTITY_FILE, 0, 'the file is not intact');
  checkOwner(files, decoded.header);
  return decoded.header;
}

function checkNumbers(segments: readonly number[]): void {
  const oldest = segments[0];
  if (oldest === undefined) throw damagedAt(segmentName(1), 0, 'all segments are missing');
  for (const [position, segment] of segments.entries()) {
    if (segment === oldest + position) continue;
    throw damagedAt(segmentName(oldest + position), 0, `the segment is missing, but segment ${segment} is there`);
  }
}

function checkOwner(files: LogFiles, header: SegmentHeader): void {
  const { clusterId, nodeId } = files.identity;
  if (header.clusterId === clusterId && header.nodeId === nodeId) return;
  throw foreign(
    `${files.directory} belongs to node ${header.nodeId} of cluster ${header.clusterId}, not to node ${nodeId} of cluster ` +
      `${clusterId}; give this node a directory of its own, or the settings that this one was made with`,
  );
}

function tooNew(files: LogFiles, version: number): Error {
  return foreign(
    `${files.directory} has log format ${version}; this program reads up to ${FORMAT_VERSION}: start a newer one`,
  );
}

async function readSegment(files: LogFiles, segment: number): Promise<SegmentImage> {
  return segmentImage(segment, await readWhole(files, segmentName(segment)));
}

/** A file that cannot be read for good (bad sectors, vanished) is damage; any other error passes. */
async function readWhole(files: LogFiles, name: string): Promise<Uint8Array> {
  try {
    return await files.disk.readFile(`${files.directory}/${name}`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EIO' || code === 'ENOENT') throw damagedAt(name, 0, `the file cannot be read (${code})`);
    throw error;
  }
}

function lastWriteOf(flush: ScannedFlush | null, bytes: Uint8Array): { offset: number; bytes: Uint8Array } | null {
  if (flush === null) return null;
  const offset = flush.offset === SECTOR_BYTES ? 0 : flush.offset;
  return { offset, bytes: copyBytes(bytes.subarray(offset, flush.offset + flush.size)) };
}

/** The range from `start` to the last sector that holds anything, or null if none does. */
function rangeToZero(image: SegmentImage, start: number): RecoveredLog['torn'] {
  let end = image.bytes.length;
  while (end > start && isZero(image.bytes, end - SECTOR_BYTES, end)) end -= SECTOR_BYTES;
  return end === start ? null : { segment: image.segment, start, end };
}
