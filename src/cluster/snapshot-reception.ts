/**
 * One snapshot on its way in, from its connection into the stage.
 *
 * Problem: what is staged whole will be installed, now or at the next start, whatever happens to its sender. So nothing may
 * become whole that cannot be installed, and no two streams may write into one stage.
 *
 * Idea: everything is checked before it is staged (the header with all that it holds, each record with its seal and its
 * range), and damage costs the connection only. A reception claims its group before its first step to the disk, and gives
 * it back when its last one has ended, which may be after its connection.
 */
import type { GroupId, NodeId, Slot } from '../base/ids.ts';
import { KahunaError } from '../base/errors.ts';
import { decodeCarriedAnswers } from '../partition/carried-answers.ts';
import { decodePartitionState } from '../partition/partition-state.ts';
import { partitionRange } from '../partition/ranges.ts';
import { decodeMessage } from '../raft/codec.ts';
import type { Message } from '../raft/types.ts';
import { isWithin, recordKeyLength } from '../storage/data/keys.ts';
import type { RecordRange } from '../storage/data/types.ts';
import { checkRawRecord } from '../storage/data/versions.ts';
import type { Channel } from '../transport/channel.ts';
import { KEEP_ALIVE_KIND } from '../transport/frames.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';
import type { Pulse } from './pulse.ts';
import {
  decodeEnd,
  decodeHeader,
  decodeRecords,
  type SnapshotHeader,
  type SnapshotPurpose,
} from './snapshot-format.ts';
import type { SnapshotStage } from './snapshot-stage.ts';

/** Received messages that wait for the disk before the receiver stops reading. */
const UNSTAGED_MESSAGES_MAX = 4;

/** What a reception asks of the node. */
export interface ReceptionHost {
  /** Where the group's snapshot goes, for the claimer alone until `release`; null if it is not wanted here now. */
  claim(group: GroupId, purpose: SnapshotPurpose): { readonly stage: SnapshotStage; readonly slots: SlotRange } | null;
  release(group: GroupId): void;
  /** The snapshot is whole: resolves when it is installed, or when the core did not want it. */
  offer(group: GroupId, message: Message, purpose: SnapshotPurpose): Promise<boolean>;
  /** The connection failed, or what came over it was wrong. */
  failed(error: unknown): void;
}

interface SlotRange {
  readonly first: Slot;
  readonly last: Slot;
}

interface Received {
  readonly kind: number;
  readonly payload: Buffer;
}

export class SnapshotReception {
  readonly #from: NodeId;
  readonly #channel: Channel;
  readonly #pulse: Pulse;
  readonly #host: ReceptionHost;
  readonly #waiting: Received[] = [];
  #content: IncomingSnapshot | null = null;
  #isWorking = false;
  /** Nothing more is handled: it is answered, it failed, or the connection ended. */
  #isOver = false;

  constructor(from: NodeId, channel: Channel, pulse: Pulse, host: ReceptionHost) {
    this.#from = from;
    this.#channel = channel;
    this.#pulse = pulse;
    this.#host = host;
  }

  message(kind: number, payload: Buffer): void {
    this.#pulse.heard();
    if (kind === KEEP_ALIVE_KIND || this.#isOver) return;
    this.#waiting.push({ kind, payload: Buffer.from(payload) });
    if (this.#waiting.length >= UNSTAGED_MESSAGES_MAX) {
      this.#channel.pause();
      this.#pulse.isDeaf = true;
    }
    this.#pump();
  }

  closed(): void {
    this.#pulse.stop();
    this.#end();
  }

  #pump(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    this.#work().then(
      () => {
        this.#isWorking = false;
        if (this.#isOver) this.#end();
        else if (this.#waiting.length > 0) this.#pump();
      },
      (error: unknown) => {
        this.#isWorking = false;
        this.#end();
        this.#host.failed(error);
        this.#channel.close();
      },
    );
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.#waiting.length < UNSTAGED_MESSAGES_MAX) {
        this.#channel.resume();
        this.#pulse.isDeaf = false;
      }
      await this.#handle(next);
    }
  }

  async #handle({ kind, payload }: Received): Promise<void> {
    if (kind === MESSAGE_KINDS.snapshotHeader && this.#content === null) {
      const header = checkedHeader(payload, this.#from);
      const claimed = this.#host.claim(header.group, header.purpose);
      if (claimed === null) {
        this.#answer(false);
        return;
      }
      this.#content = new IncomingSnapshot(claimed.stage, header, claimed.slots);
      await this.#content.begin();
    } else if (kind === MESSAGE_KINDS.snapshotRecords && this.#content !== null) {
      await this.#content.add(payload);
    } else if (kind === MESSAGE_KINDS.snapshotEnd && this.#content !== null) {
      const { group, message, purpose } = this.#content.header;
      await this.#content.complete(payload);
      this.#answer(await this.#host.offer(group, message, purpose));
    } else {
      throw malformed(`message kind ${kind} does not belong into a snapshot`);
    }
  }

  #answer(isInstalled: boolean): void {
    this.#isOver = true;
    this.#waiting.length = 0;
    if (this.#channel.isClosed) return;
    this.#channel.begin(MESSAGE_KINDS.snapshotResult).u8(isInstalled ? 1 : 0);
    this.#channel.end();
    this.#channel.flush();
  }

  /** What waits is dropped; what is being done keeps the group until it is done. */
  #end(): void {
    this.#isOver = true;
    this.#waiting.length = 0;
    if (this.#isWorking || this.#content === null) return;
    this.#host.release(this.#content.header.group);
    this.#content = null;
  }
}

interface CheckedHeader {
  readonly purpose: SnapshotPurpose;
  readonly group: GroupId;
  readonly message: Message;
  readonly encoded: Uint8Array;
}

/** Throws a KahunaError unless the header, with everything in it, can be installed. */
function checkedHeader(encoded: Uint8Array, from: NodeId): CheckedHeader {
  const header: SnapshotHeader = decodeHeader(encoded);
  const message = decodeMessage(header.message);
  if (message.snapshot === null) throw malformed('its header announces no snapshot');
  if (message.from !== from) throw malformed(`node ${from} sends the snapshot of node ${message.from}`);
  decodePartitionState(header.state);
  decodeCarriedAnswers(header.answers);
  return { purpose: header.purpose, group: header.group, message, encoded };
}

class IncomingSnapshot {
  readonly header: CheckedHeader;
  readonly #stage: SnapshotStage;
  readonly #range: RecordRange;
  #partCount = 0;
  #recordCount = 0;

  constructor(stage: SnapshotStage, header: CheckedHeader, slots: SlotRange) {
    this.#stage = stage;
    this.header = header;
    this.#range = partitionRange(slots);
  }

  begin(): Promise<void> {
    return this.#stage.begin();
  }

  /** Throws KahunaError 'DATA_DAMAGED' for a record that could not be installed. */
  async add(payload: Uint8Array): Promise<void> {
    const records = decodeRecords(payload);
    for (const record of records) {
      checkRawRecord(record, recordKeyLength(record.key));
      if (!isWithin(record.key, this.#range)) throw malformed('it holds a record of another partition');
    }
    await this.#stage.addPart(this.#partCount, payload);
    this.#partCount++;
    this.#recordCount += records.length;
  }

  async complete(payload: Uint8Array): Promise<void> {
    const end = decodeEnd(payload);
    if (end.partCount !== this.#partCount || end.recordCount !== this.#recordCount) {
      throw malformed(`${end.recordCount} records were announced, ${this.#recordCount} came`);
    }
    await this.#stage.complete(this.header.encoded, end);
  }
}

function malformed(what: string): KahunaError<'SNAPSHOT_MALFORMED'> {
  return new KahunaError('SNAPSHOT_MALFORMED', `a snapshot from another node cannot be read: ${what}`);
}
