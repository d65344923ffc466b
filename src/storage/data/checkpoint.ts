/**
 * Making the data store durable, whatever LevelDB did with its files meanwhile.
 *
 * LevelDB writes each batch to a write-ahead file (NNNNNN.log), hands it to the kernel at once, and fsyncs only on request.
 * A request with `sync: true` is not enough: it covers the newest write-ahead file only, and when LevelDB starts another one
 * it closes the old without an fsync (google/leveldb#193). A power cut may then take an earlier batch while a later, synced
 * one stays. So we fsync every write-ahead file that exists, by descriptors of our own, and then the directory.
 *
 * Why that covers every batch that was complete before: it lies in a write-ahead file that still exists (then it is in our
 * list, or the file vanished since), or that file is gone. LevelDB removes one only after the table made from it and the
 * manifest that names the table are fsynced. So a file that vanishes between the listing and the fsync is no error.
 */
import type { Disk } from '../../base/platform.ts';

/** The part of `Disk` that is needed, so that a double of the store can bring its own. */
export type WriteAheadDisk = Pick<Disk, 'list' | 'syncFile' | 'syncDirectory'>;

const WRITE_AHEAD_NAME = /^\d+\.log$/;

export function isWriteAheadName(name: string): boolean {
  return WRITE_AHEAD_NAME.test(name);
}

/** Resolves once everything that had been written when it was called survives a power cut. */
export async function syncWriteAhead(disk: WriteAheadDisk, directory: string): Promise<void> {
  const names = await disk.list(directory);
  for (const name of names) {
    if (isWriteAheadName(name)) await disk.syncFile(`${directory}/${name}`);
  }
  await disk.syncDirectory(directory);
}
