/**
 * Where a snapshot waits on the receiving node until it is whole, and from where it is installed.
 *
 * Problem: installing replaces a partition's data, and a crash or a broken connection half-way would leave neither the
 * old state nor the new one.
 *
 * Idea: the stream goes into files first; the data stays as it is. Once every part is there, one file, written
 * atomically, says so. From then on the installation depends on nothing but this node's disk: it is repeated from the
 * files until it has succeeded, also after a crash. Before, whatever is found at start is thrown away.
 *
 * Files in `snapshots/<group>/`: `part-<n>` (the payload of one records message each) and `whole` (u32 bytes of the
 * end message, the end message, the header message).
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import type { GroupId } from '../base/ids.ts';
import type { Disk } from '../base/platform.ts';
import type { RawRecord } from '../storage/data/types.ts';
import {
  decodeEnd,
  decodeHeader,
  decodeRecords,
  encodeEnd,
  type SnapshotEnd,
  type SnapshotHeader,
} from './snapshot-format.ts';

const WHOLE = 'whole';

export class SnapshotStage {
  readonly #disk: Disk;
  readonly #directory: string;

  constructor(disk: Disk, dataDirectory: string, group: GroupId) {
    this.#disk = disk;
    this.#directory = `${dataDirectory}/snapshots/${group}`;
  }

  async clear(): Promise<void> {
    const names = await this.#disk.list(this.#directory);
    // First what makes the rest count.
    if (names.includes(WHOLE)) {
      await this.#disk.remove(`${this.#directory}/${WHOLE}`);
      await this.#disk.syncDirectory(this.#directory);
    }
    for (const name of names) if (name !== WHOLE) await this.#disk.remove(`${this.#directory}/${name}`);
  }

  async begin(): Promise<void> {
    await this.#disk.makeDirectory(this.#directory);
    await this.clear();
  }

  async addPart(number: number, payload: Uint8Array): Promise<void> {
    await this.#disk.writeFileAtomically(`${this.#directory}/part-${number}`, payload);
  }

  async complete(header: Uint8Array, end: SnapshotEnd): Promise<void> {
    const encodedEnd = encodeEnd(end);
    const writer = new ByteWriter(header.length + 64);
    writer.u32(encodedEnd.length);
    writer.bytes(encodedEnd);
    writer.bytes(header);
    await this.#disk.writeFileAtomically(`${this.#directory}/${WHOLE}`, writer.finish());
  }

  /** The whole snapshot that waits here, if there is one. */
  async open(): Promise<StagedSnapshot | undefined> {
    const names = await this.#disk.list(this.#directory);
    if (!names.includes(WHOLE)) return undefined;
    const reader = new ByteReader(await this.#disk.readFile(`${this.#directory}/${WHOLE}`));
    const end = decodeEnd(reader.bytes(reader.u32()));
    const header = decodeHeader(reader.rest());
    for (let part = 0; part < end.partCount; part++) {
      if (!names.includes(`part-${part}`)) {
        throw new KahunaError('SNAPSHOT_DAMAGED', `part ${part} of a staged snapshot is missing in ${this.#directory}`);
      }
    }
    const read = async (part: number): Promise<readonly RawRecord[]> =>
      decodeRecords(await this.#disk.readFile(`${this.#directory}/part-${part}`));
    return { header, end, read };
  }
}

export interface StagedSnapshot {
  readonly header: SnapshotHeader;
  readonly end: SnapshotEnd;
  readonly read: (part: number) => Promise<readonly RawRecord[]>;
}
