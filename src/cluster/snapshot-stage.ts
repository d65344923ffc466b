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
 * end message, the end message, the header message). Each begins with u32 crc32 of what follows in it: a disk that changes
 * bits meanwhile is noticed before the data is touched.
 */
import { ByteReader, ByteWriter, getU32, putU32 } from '../base/bytes.ts';
import { crc32 } from '../base/checksum.ts';
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
const CHECKSUM_BYTES = 4;

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
    await this.#disk.writeFileAtomically(`${this.#directory}/part-${number}`, withChecksum(payload));
  }

  async complete(header: Uint8Array, end: SnapshotEnd): Promise<void> {
    const encodedEnd = encodeEnd(end);
    const writer = new ByteWriter(header.length + 64);
    writer.u32(encodedEnd.length);
    writer.bytes(encodedEnd);
    writer.bytes(header);
    await this.#disk.writeFileAtomically(`${this.#directory}/${WHOLE}`, withChecksum(writer.finish()));
  }

  /** The whole snapshot that waits here, if there is one. Rejects with 'SNAPSHOT_DAMAGED' if it is not what was written. */
  async open(): Promise<StagedSnapshot | undefined> {
    const names = await this.#disk.list(this.#directory);
    if (!names.includes(WHOLE)) return undefined;
    const reader = new ByteReader(await this.#intact(WHOLE));
    const end = decodeEnd(reader.bytes(reader.u32()));
    const header = decodeHeader(reader.rest());
    for (let part = 0; part < end.partCount; part++) {
      if (!names.includes(`part-${part}`)) throw this.#damaged(`part-${part}`, 'is missing');
      await this.#intact(`part-${part}`);
    }
    const read = async (part: number): Promise<readonly RawRecord[]> =>
      decodeRecords(await this.#intact(`part-${part}`));
    return { header, end, read };
  }

  async #intact(name: string): Promise<Uint8Array> {
    const content = await this.#disk.readFile(`${this.#directory}/${name}`);
    const payload = content.subarray(CHECKSUM_BYTES);
    if (content.length < CHECKSUM_BYTES || getU32(content, 0) !== crc32(payload)) {
      throw this.#damaged(name, 'is not what was written');
    }
    return payload;
  }

  #damaged(name: string, how: string): KahunaError<'SNAPSHOT_DAMAGED'> {
    return new KahunaError('SNAPSHOT_DAMAGED', `${name} of a staged snapshot in ${this.#directory} ${how}`);
  }
}

function withChecksum(payload: Uint8Array): Uint8Array {
  const content = new Uint8Array(CHECKSUM_BYTES + payload.length);
  putU32(content, 0, crc32(payload));
  content.set(payload, CHECKSUM_BYTES);
  return content;
}

export interface StagedSnapshot {
  readonly header: SnapshotHeader;
  readonly end: SnapshotEnd;
  readonly read: (part: number) => Promise<readonly RawRecord[]>;
}
