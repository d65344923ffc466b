/**
 * Opens the log of a node: creates it, or recovers it and repairs what a crash left.
 *
 * Repair, all of it durable before anything is appended:
 * - What a torn flush left is zeroed, because an unfinished flush is recognised by standing on zeros.
 * - The last flush is written and synced once more. After a mere process crash it may be in the page cache only; and after a
 *   failed sync the kernel may believe that its pages are clean though the disk never took them.
 * - Segments prepared ahead that no flush announced are removed: whether their zeros were synced is unknown.
 */
import { AssertionFailure, assert } from '../../base/assert.ts';
import { KahunaError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Disk, ProcessControl, Random, WritableFile } from '../../base/platform.ts';
import { IDENTITY_FILE, segmentName } from './damage.ts';
import { FLUSH_FLAGS, HASH_BYTES, putSegmentHeader, SALT_BYTES, SECTOR_BYTES } from './format.ts';
import { expectAbandonedCreation, type LogFiles, listLog, type RecoveredLog, recoverLog } from './recover.ts';
import { type LogPosition, SegmentedLog } from './segmented-log.ts';
import type { SegmentFile, SegmentFilesState } from './segments.ts';
import { StagingBuffer } from './staging.ts';
import type { LogIdentity, RaftLog } from './types.ts';

const SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024;
const SEGMENT_BYTES_MIN = 8 * SECTOR_BYTES;
const ZERO_CHUNK_BYTES = 1024 * 1024;

export interface OpenRaftLogOptions {
  readonly disk: Disk;
  /** Of this log alone. Whoever opens a log holds the lock of the node's data directory. */
  readonly directory: string;
  /** A log of another identity is refused; a new one is given this identity. */
  readonly identity: LogIdentity;
  readonly process: ProcessControl;
  readonly log: Logger;
  readonly random: Random;
  /** Size of a segment file, a multiple of 512, at least 4096. May differ from one start to the next. */
  readonly segmentBytes?: number;
}

/**
 * Ends the process with reason `logDamaged` (the message says where), `wrongDirectory` (another node, cluster or a newer
 * format) or `logWrite` (repair or creation failed). Rejects with KahunaError 'LOG_OPEN' if the directory cannot be read
 * for a reason that says nothing about its content, such as permissions.
 */
export async function openRaftLog(options: OpenRaftLogOptions): Promise<RaftLog> {
  const { process, directory, segmentBytes = SEGMENT_BYTES_DEFAULT } = options;
  assert(segmentBytes >= SEGMENT_BYTES_MIN, `a segment of ${segmentBytes} bytes is too small`);
  assert(segmentBytes % SECTOR_BYTES === 0, `a segment of ${segmentBytes} bytes is not made of whole sectors`);
  assert(isLittleEndian(), 'the format of the log is that of a little-endian machine');
  try {
    const position = await openFiles(options, segmentBytes);
    return new SegmentedLog({ ...options, segmentBytes }, position);
  } catch (error) {
    if (error instanceof KahunaError) {
      if (error.code === 'LOG_DAMAGED') return process.fatal('logDamaged', error.message, error);
      if (error.code === 'LOG_FOREIGN') return process.fatal('wrongDirectory', error.message, error);
      if (error.code === 'LOG_WRITE') return process.fatal('logWrite', error.message, error.cause);
    }
    if (error instanceof AssertionFailure) throw error;
    throw new KahunaError('LOG_OPEN', `cannot open the log in ${directory}: ${messageOf(error)}`, error);
  }
}

async function openFiles(options: OpenRaftLogOptions, segmentBytes: number): Promise<LogPosition> {
  const { disk, directory, log } = options;
  await mustWrite(directory, () => disk.makeDirectory(directory));
  const { hasIdentity, segments, strangers } = await listLog(options);
  if (strangers.length > 0)
    log.warn('the directory of the log holds files of something else', { directory, names: strangers.slice(0, 10) });
  if (hasIdentity) {
    const recovered = await recoverLog(options, segments);
    const files = await mustWrite(directory, () => repair(options, recovered, segmentBytes));
    const { salt, nextFlush, hash, states, segmentIsFull, torn } = recovered;
    const position = recovered.segments.at(-1)?.usedBytes ?? 0;
    if (torn !== null)
      log.info('the last flush of the log was not finished and is cut off', {
        file: segmentName(torn.segment),
        start: torn.start,
        end: torn.end,
      });
    log.info('the log was opened', { directory, groups: states.size, segments: files.used.length, nextFlush });
    return { files, salt, nextFlush, hash, position, segmentIsFull, states, recovered: recovered.recovered };
  }
  await expectAbandonedCreation(options, segments);
  return mustWrite(directory, () => create(options, segments, segmentBytes));
}

/** The first segment with an empty flush 1, then, as the sign that all is there, the identity file. */
async function create(
  options: OpenRaftLogOptions,
  abandoned: readonly number[],
  segmentBytes: number,
): Promise<LogPosition> {
  const { disk, directory, identity, random, log } = options;
  for (const segment of abandoned) await disk.remove(`${directory}/${segmentName(segment)}`);
  await disk.syncDirectory(directory);
  const file = await disk.openForWriting(`${directory}/${segmentName(1)}`, segmentBytes);
  await disk.syncDirectory(directory);

  const salt = random.bytes(SALT_BYTES);
  const previousHash = new Uint8Array(HASH_BYTES);
  const header = { ...identity, salt, segment: 1, firstFlush: 1, previousHash };
  const first = { number: 1, previousHash, salt, flags: FLUSH_FLAGS.startsWithGroups };
  const { image, hash } = new StagingBuffer().seal(first, header);
  await writeAndSync(file, image, 0);

  const identityFile = new Uint8Array(SECTOR_BYTES);
  putSegmentHeader(identityFile, 0, { ...header, segment: 0, firstFlush: 0 });
  await disk.writeFileAtomically(`${directory}/${IDENTITY_FILE}`, identityFile);
  log.info('the log was created', { directory, clusterId: identity.clusterId, nodeId: identity.nodeId });
  return {
    files: { used: [{ number: 1, usedBytes: image.length }], current: { number: 1, file }, next: null },
    salt,
    nextFlush: 2,
    hash,
    position: image.length,
    segmentIsFull: false,
    states: new Map(),
    recovered: new Map(),
  };
}

async function repair(files: LogFiles, found: RecoveredLog, segmentBytes: number): Promise<SegmentFilesState> {
  const { disk, directory } = files;
  const { segmentIsFull, torn, lastWrite, unbegun, segments } = found;
  const last = segments.at(-1)?.number;
  assert(last !== undefined, 'a recovered log has no segment');
  const open = async (number: number): Promise<SegmentFile> => {
    return { number, file: await disk.openForWriting(`${directory}/${segmentName(number)}`, segmentBytes) };
  };

  const [announced, ...others] = segmentIsFull ? unbegun : [undefined, ...unbegun];
  for (const segment of others.toReversed()) {
    if (segment === undefined) continue;
    await disk.remove(`${directory}/${segmentName(segment)}`);
    await disk.syncDirectory(directory);
  }
  await disk.syncDirectory(directory);

  const current = await open(last);
  await disk.syncFile(`${directory}/${segmentName(last)}`);
  await writeAndSync(current.file, lastWrite.bytes, lastWrite.offset);
  const next = announced === undefined ? null : await open(announced);
  if (torn !== null) await zero(torn.segment === last ? current : next, torn);
  if (!segmentIsFull) return { used: segments, current, next: null };
  await current.file.close();
  return { used: segments, current: null, next };
}

async function zero(
  segment: SegmentFile | null,
  range: { readonly segment: number; readonly start: number; readonly end: number },
): Promise<void> {
  assert(segment?.number === range.segment, 'the torn flush lies in no open segment');
  const zeros = new Uint8Array(Math.min(ZERO_CHUNK_BYTES, range.end - range.start));
  for (let at = range.start; at < range.end; at += zeros.length) {
    await writeAndSync(segment.file, zeros.subarray(0, Math.min(zeros.length, range.end - at)), at);
  }
}

function writeAndSync(file: WritableFile, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    file.writeAndSync(bytes, position, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Whatever fails in here is a failed write of the log. */
async function mustWrite<T>(directory: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof AssertionFailure) throw error;
    throw new KahunaError('LOG_WRITE', `cannot write the log in ${directory}: ${messageOf(error)}`, error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isLittleEndian(): boolean {
  return new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
}
