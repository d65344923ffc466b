/** What the tests of the log share: opening one, waiting for a flush, and a small log with known content. */
import { type LogFields, type Logger, silentLogger } from '../../../src/base/log.ts';
import type { Disk } from '../../../src/base/platform.ts';
import { type OpenRaftLogOptions, openRaftLog } from '../../../src/storage/log/open.ts';
import type { LogEntry, RaftLog } from '../../../src/storage/log/types.ts';
import { MemoryProcess } from '../../doubles/memory-process.ts';
import { SeededRandom } from '../../doubles/seeded-random.ts';

const IDENTITY = { clusterId: 'cluster-a', nodeId: 1 };

export interface OpenedLog {
  readonly log: RaftLog;
  readonly process: MemoryProcess;
}

export async function openLog(disk: Disk, overrides: Partial<OpenRaftLogOptions> = {}): Promise<OpenedLog> {
  const process = new MemoryProcess();
  const log = await openRaftLog({
    disk,
    directory: 'log',
    identity: IDENTITY,
    process,
    log: silentLogger,
    random: new SeededRandom(7),
    segmentBytes: 8192,
    ...overrides,
  });
  return { log, process };
}

export function flush(log: RaftLog): Promise<void> {
  return new Promise((resolve) => log.flush(resolve));
}

/** Entries `first` … `last` of a term; the data is text that names the entry, filled up to `bytes`. */
export function entries(
  first: number,
  last: number,
  options: { readonly term?: number; readonly bytes?: number } = {},
): LogEntry[] {
  const { term = 1, bytes = 0 } = options;
  const result: LogEntry[] = [];
  for (let index = first; index <= last; index++) {
    result.push({ term, index, type: 0, data: Buffer.from(`entry ${term}/${index} `.padEnd(bytes, 'x')) });
  }
  return result;
}

export function checkpoint(index: number, term = 1): { index: number; term: number; state: Uint8Array } {
  return { index, term, state: Buffer.from(`state at ${index}`) };
}

/** Remembers warnings. */
export class MemoryLogger implements Logger {
  readonly warnings: { readonly event: string; readonly fields: LogFields | undefined }[] = [];
  debug = silentLogger.debug;
  info = silentLogger.info;
  error = silentLogger.error;
  child = (): Logger => this;
  warn = (event: string, fields?: LogFields): void => {
    this.warnings.push({ event, fields });
  };
}
