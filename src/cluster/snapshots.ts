/**
 * Sends a partition's state to a node whose log is too far behind, and installs what others send.
 *
 * The sender reads its range at an explicit LevelDB snapshot and writes no faster than the connection takes it. The
 * receiver checks and stages the stream (snapshot-reception.ts) and lets its Raft core decide only when it is whole; the core
 * hands the snapshot back through its Ready, and then it is installed.
 */
import { assert } from '../base/assert.ts';
import { KahunaError } from '../base/errors.ts';
import type { GroupId, NodeId, Timestamp } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Platform } from '../base/platform.ts';
import { carriedAnswersKey, decodeCarriedAnswers, encodeCarriedAnswers } from '../partition/carried-answers.ts';
import type { Engine } from '../partition/engine.ts';
import { decodePartitionState, encodePartitionState } from '../partition/partition-state.ts';
import { isDamage } from '../partition/damage.ts';
import { partitionRange } from '../partition/ranges.ts';
import type { Replica } from '../partition/replica.ts';
import { decodeMessage, encodeMessage } from '../raft/codec.ts';
import { draftMessage } from '../raft/messages.ts';
import { MESSAGE_TYPES, type Message } from '../raft/types.ts';
import { WireWriter } from '../raft/wire.ts';
import { recordKeyLength } from '../storage/data/keys.ts';
import { sealRecord } from '../storage/data/records.ts';
import type { DataStore } from '../storage/data/types.ts';
import { checkRawRecord } from '../storage/data/versions.ts';
import type { LogCheckpoint, RaftLog } from '../storage/log/types.ts';
import type { Channel } from '../transport/channel.ts';
import type { Transport } from '../transport/transport.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';
import { Pulse } from './pulse.ts';
import {
  encodeEnd,
  encodeHeader,
  SNAPSHOT_PURPOSES,
  type SnapshotHeader,
  type SnapshotPurpose,
  writeRecords,
} from './snapshot-format.ts';
import { SnapshotReception } from './snapshot-reception.ts';
import { SnapshotStage, type StagedSnapshot } from './snapshot-stage.ts';

const RECORDS_PER_MESSAGE = 2_000;
const BYTES_PER_MESSAGE = 1024 * 1024;
/** Unsent bytes at which the sender waits for the connection. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024;

export interface SnapshotsOptions {
  readonly platform: Platform;
  readonly data: DataStore;
  readonly raftLog: RaftLog;
  readonly dataDirectory: string;
  readonly log: Logger;
  readonly engine: () => Engine;
  /** This node keeps moments of a group from `floor` on, 0 = none; resolves when that is in effect. */
  readonly hold: (group: GroupId, floor: Timestamp) => Promise<void>;
  readonly transport: () => Transport;
}

export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #sending = new Set<string>();
  /** Receivers whose whole snapshot waits for the core's decision, by group. */
  readonly #offered = new Map<GroupId, (isInstalled: boolean) => void>();
  /** Groups whose stage belongs to a reception. */
  readonly #receiving = new Set<GroupId>();
  readonly #installing = new Set<GroupId>();
  /** Installations under way, which use the data store. */
  readonly #installations = new Set<Promise<unknown>>();
  readonly #channels = new Set<Channel>();
  #isClosed = false;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Sending

  send(replica: Replica, message: Message): void {
    this.#send(replica, message, SNAPSHOT_PURPOSES.catchUp);
  }

  /** Sends the data of a replica to one whose own data is damaged (quarantine.ts). */
  sendCopy(replica: Replica, to: NodeId): void {
    const message = draftMessage(MESSAGE_TYPES.snapshot, replica.node, to, replica.core.term);
    this.#send(replica, message, SNAPSHOT_PURPOSES.rebuild);
  }

  #send(replica: Replica, message: Message, purpose: SnapshotPurpose): void {
    const name = `${replica.group}:${message.to}`;
    const report = (isInstalled: boolean): void => {
      if (this.#isClosed || purpose !== SNAPSHOT_PURPOSES.catchUp) return;
      replica.core.reportSnapshot(message.to, isInstalled);
      replica.wake();
    };
    if (this.#sending.has(name)) {
      // Else the core would wait for ever for the end of a stream that never began.
      report(false);
      return;
    }
    this.#sending.add(name);
    const sent = (isInstalled: boolean): void => {
      this.#sending.delete(name);
      report(isInstalled);
    };
    this.#stream(replica, message, purpose).then(
      (isInstalled) => {
        sent(isInstalled);
      },
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        // Only what is read here can be damaged: a replica that knows itself wrong does not go on, as with any other read.
        if (isDamage(error) && !this.#isClosed) replica.reader.fail(error);
        this.#options.log.warn('could not deliver a snapshot', { group: replica.group, to: message.to, error: text });
        sent(false);
      },
    );
  }

  async #stream(replica: Replica, message: Message, purpose: SnapshotPurpose): Promise<boolean> {
    const { data, log } = this.#options;
    if (replica.isQuarantined) throw new Error('the data of this replica is damaged');
    // In this turn: what the snapshot of LevelDB holds and what is said about it belong together.
    const snapshot = data.snapshot();
    try {
      const { index, term, state } = replica.applier;
      const answers = encodeCarriedAnswers(replica.answersUpTo(index));
      const metadata = { index, term, confState: state.confState };
      const header: SnapshotHeader = {
        purpose,
        historyFloor: snapshot.historyFloor,
        group: replica.group,
        message: encodedMessage({ ...message, snapshot: metadata }),
        state: encodePartitionState(state),
        answers,
      };
      const channel = await this.#options.transport().openSnapshotConnection(message.to);
      log.info('sending a snapshot', { group: replica.group, to: message.to, index });
      this.#channels.add(channel);
      const sender = new Sender(channel, this.#options.platform);
      try {
        await sender.send(MESSAGE_KINDS.snapshotHeader, (writer) => {
          writer.bytes(encodeHeader(header));
        });
        const iterator = snapshot.iterate(partitionRange(replica.slots), { withVersions: true });
        let recordCount = 0;
        let partCount = 0;
        try {
          for (;;) {
            const records = await iterator.next(RECORDS_PER_MESSAGE, BYTES_PER_MESSAGE);
            if (records.length === 0) break;
            for (const record of records) checkRawRecord(record, recordKeyLength(record.key));
            recordCount += records.length;
            partCount++;
            await sender.send(MESSAGE_KINDS.snapshotRecords, (writer) => {
              writeRecords(writer, records);
            });
          }
        } finally {
          await iterator.close();
        }
        await sender.send(MESSAGE_KINDS.snapshotEnd, (writer) => {
          writer.bytes(encodeEnd({ recordCount, partCount }));
        });
        return await sender.result();
      } finally {
        sender.stop();
        this.#channels.delete(channel);
        channel.close();
      }
    } finally {
      snapshot.release();
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Receiving

  receive(from: NodeId, channel: Channel): void {
    this.#channels.add(channel);
    const reception = new SnapshotReception(from, channel, new Pulse(channel, this.#options.platform), {
      claim: (group, purpose) => this.#claim(group, purpose),
      release: (group) => {
        this.#receiving.delete(group);
      },
      offer: (group, message, purpose) =>
        purpose === SNAPSHOT_PURPOSES.rebuild ? this.#rebuild(group, message) : this.#offer(group, message),
      failed: (error) => {
        const text = error instanceof Error ? error.message : String(error);
        this.#options.log.warn('could not receive a snapshot', { from, error: text });
      },
    });
    channel.attach({
      message: (kind, payload) => {
        reception.message(kind, payload);
      },
      closed: () => {
        this.#channels.delete(channel);
        reception.closed();
      },
      drained: () => undefined,
    });
  }

  /** True while the group's stage is in use. */
  isReceiving(group: GroupId): boolean {
    return this.#receiving.has(group) || this.#installing.has(group);
  }

  #claim(
    group: GroupId,
    purpose: SnapshotPurpose,
  ): { readonly stage: SnapshotStage; readonly slots: Replica['slots'] } | null {
    const replica = this.#options.engine().replicas.get(group);
    if (replica === undefined || this.isReceiving(group)) return null;
    if (purpose === SNAPSHOT_PURPOSES.rebuild && !replica.isQuarantined) return null;
    this.#receiving.add(group);
    return { stage: this.#stage(group), slots: replica.slots };
  }

  /** Gives the Raft message to the core; resolves when the snapshot is installed, or when the core did not want it. */
  #offer(group: GroupId, message: Message): Promise<boolean> {
    const replica = this.#options.engine().replicas.get(group);
    if (replica === undefined) return Promise.resolve(false);
    return new Promise<boolean>((resolve) => {
      this.#offered.set(group, resolve);
      replica.step(message);
      // The core decides in the turn that follows; if it has not taken the snapshot by then, it never will.
      this.#options.platform.timers.after(DECISION_MS, () => {
        if (this.#offered.get(group) !== resolve || this.#installing.has(group)) return;
        this.#offered.delete(group);
        resolve(false);
      });
    });
  }

  /**
   * Replaces damaged data by the staged copy, once the own log is committed up to where it was taken. False if that takes too
   * long, or if the log does not lead on from there: another copy will be asked for.
   *
   * The log may end before the copy, and what is missing may be gone from the leader's: only a snapshot leads on then, and the
   * copy is one. So the core is offered it, and takes it if it can use it.
   */
  async #rebuild(group: GroupId, message: Message): Promise<boolean> {
    const { engine, platform } = this.#options;
    const { clock, timers } = platform;
    const replica = engine().replicas.get(group);
    const at = message.snapshot;
    if (replica === undefined || at === null) return false;
    if (replica.canRebuildFrom(at) === 'later' && (await this.#offer(group, message))) return true;
    const deadlineMs = clock.monotonicMs() + REBUILD_WAIT_MS;
    while (replica.canRebuildFrom(at) === 'later' && clock.monotonicMs() < deadlineMs) {
      await new Promise<void>((resolve) => timers.after(REBUILD_POLL_MS, resolve));
    }
    if (this.#isClosed || replica.canRebuildFrom(at) !== 'now') return false;
    this.#installing.add(group);
    try {
      const installed = await this.#waitedFor(this.#rebuildNow(replica));
      this.#options.log.info('rebuilt a replica from a copy', { group, from: message.from, index: installed.index });
      return true;
    } catch (error) {
      if (this.#wasClosed()) return false;
      return platform.process.fatal('dataWrite', `the data of group ${group} could not be rebuilt`, error);
    } finally {
      this.#installing.delete(group);
    }
  }

  async #rebuildNow(replica: Replica): Promise<LogCheckpoint> {
    const stage = this.#stage(replica.group);
    const staged = await stage.open();
    assert(staged !== undefined, 'a copy is installed from its staged files');
    await replica.applier.suspend();
    const installed = await this.installStaged(replica.group, replica.slots, staged);
    replica.rebuildFrom(installed, decodePartitionState(installed.state));
    await stage.clear();
    return installed;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Installing

  /** `close` waits for it: the data store must not be closed under it. */
  async #waitedFor<T>(installation: Promise<T>): Promise<T> {
    this.#installations.add(installation);
    try {
      return await installation;
    } finally {
      this.#installations.delete(installation);
    }
  }

  /** The core has taken the staged snapshot. Ends the node if it cannot be installed: the files stay for the next start. */
  install(replica: Replica): void {
    const { group } = replica;
    this.#installing.add(group);
    this.#waitedFor(this.#install(replica)).then(
      () => {
        this.#installing.delete(group);
        this.#offered.get(group)?.(true);
        this.#offered.delete(group);
      },
      (error: unknown) => {
        if (this.#isClosed) return;
        this.#options.platform.process.fatal('dataWrite', `a snapshot of group ${group} could not be installed`, error);
      },
    );
  }

  async #install(replica: Replica): Promise<void> {
    const staged = await this.#stage(replica.group).open();
    assert(staged !== undefined, 'a snapshot is installed from its staged files');
    await replica.applier.suspend();
    const checkpoint = await this.installStaged(replica.group, replica.slots, staged);
    const state = decodePartitionState(checkpoint.state);
    await new Promise<void>((resolve) => {
      replica.installed(checkpoint, state, resolve);
    });
    await this.#stage(replica.group).clear();
    this.#options.log.info('installed a snapshot', { group: replica.group, index: checkpoint.index });
  }

  /** Puts a staged snapshot into the data store, durably. Also called at start, before there is a replica. */
  async installStaged(
    group: GroupId,
    slots: { readonly first: number; readonly last: number },
    staged: StagedSnapshot,
  ): Promise<LogCheckpoint> {
    const { data } = this.#options;
    const metadata = decodeMessage(staged.header.message).snapshot;
    assert(metadata !== null, 'a staged snapshot has metadata');
    const { index, term } = metadata;
    const state = Uint8Array.from(staged.header.state);
    const { historyFloor } = staged.header;
    // What is held there is held here from now on: the versions that come with it must be kept.
    await this.#options.hold(group, decodePartitionState(state).holds.floor);
    const install = await data.beginInstall(group, [partitionRange(slots)], { historyFloor });
    for (let part = 0; part < staged.end.partCount; part++) {
      // As if the process had died here: the next start finishes it, or asks for another copy.
      if (this.#isClosed) throw new Error('the node is being closed');
      await install.write(await staged.read(part));
    }
    await install.finish({ index, term, state });
    const answers = encodeCarriedAnswers(decodeCarriedAnswers(staged.header.answers));
    const key = carriedAnswersKey(group);
    const timestamp = decodePartitionState(state).lastTimestamp;
    const change = { key, sealed: sealRecord(key, timestamp, answers), timestamp, replaces: 0 };
    await new Promise<void>((resolve) => {
      data.apply(group, [change], { index, term, state }, resolve);
    });
    await data.sync();
    return { index, term, state };
  }

  /** At start: finishes an installation that was cut off, and throws away what never became whole. */
  async resume(
    group: GroupId,
    slots: { readonly first: number; readonly last: number },
  ): Promise<LogCheckpoint | undefined> {
    const { data, raftLog } = this.#options;
    const stage = this.#stage(group);
    const staged = await this.#openIntact(stage, group);
    const index = staged === undefined ? 0 : (decodeMessage(staged.header.message).snapshot?.index ?? 0);
    const stored = raftLog.recovered.get(group);
    const lastIndex = stored?.entries.at(-1)?.index ?? stored?.compacted.index ?? 0;
    // The core took it only if its data was cut off in the middle, or is ahead of a log that was not reset any more.
    const inData = data.recovered.get(group)?.index ?? 0;
    // A copy for damaged data is asked for anew: the mark of the quarantine is still there.
    const isCatchUp = staged?.header.purpose === SNAPSHOT_PURPOSES.catchUp;
    const wasCutOff = isCatchUp && (inData === 0 || inData === index) && lastIndex < index;
    let installed: LogCheckpoint | undefined;
    if (staged !== undefined && wasCutOff && stored !== undefined) {
      const checkpoint = await this.installStaged(group, slots, staged);
      raftLog.stageReset(group, checkpoint);
      await new Promise<void>((resolve) => {
        raftLog.flush(resolve);
      });
      installed = checkpoint;
      this.#options.log.info('finished the installation of a snapshot', { group, index });
    }
    await stage.clear();
    return installed;
  }

  /** A damaged one counts for nothing: what it was to replace is there, or its absence will be noticed. */
  async #openIntact(stage: SnapshotStage, group: GroupId): Promise<StagedSnapshot | undefined> {
    try {
      return await stage.open();
    } catch (error) {
      if (!(error instanceof KahunaError) || error.code !== 'SNAPSHOT_DAMAGED') throw error;
      this.#options.log.warn('a staged snapshot is damaged and thrown away', { group, error: error.message });
      return undefined;
    }
  }

  #stage(group: GroupId): SnapshotStage {
    return new SnapshotStage(this.#options.platform.disk, this.#options.dataDirectory, group);
  }

  /** For use after an await, which may have changed it. */
  #wasClosed(): boolean {
    return this.#isClosed;
  }

  /** Breaks off what is under way; resolves when nothing of it uses the data store any more. The engine must still run. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const channel of this.#channels) channel.close();
    await Promise.allSettled(this.#installations);
  }
}

/** How long a staged copy waits for the own log to be committed that far, and between two looks, in ms. */
const REBUILD_WAIT_MS = 30_000;
const REBUILD_POLL_MS = 50;
/** How long a staged snapshot waits for the core's decision, in ms. */
const DECISION_MS = 1_000;

class Sender {
  readonly #channel: Channel;
  #wake: (() => void) | null = null;
  #result: boolean | null = null;
  #error: Error | null = null;
  readonly #pulse: Pulse;

  constructor(channel: Channel, platform: Platform) {
    this.#channel = channel;
    this.#pulse = new Pulse(channel, platform);
    channel.attach({
      message: (kind, payload) => {
        this.#pulse.heard();
        if (kind === MESSAGE_KINDS.snapshotResult) this.#result = payload[0] === 1;
        this.#wake?.();
      },
      closed: (error) => {
        this.#error = error ?? new Error('the connection was closed');
        this.#wake?.();
      },
      drained: () => {
        this.#wake?.();
      },
    });
  }

  async send(kind: number, write: (writer: ReturnType<Channel['begin']>) => void): Promise<void> {
    write(this.#channel.begin(kind));
    this.#channel.end();
    this.#channel.flush();
    await this.#until(() => this.#channel.bufferedBytes < UNSENT_BYTES_MAX);
  }

  async result(): Promise<boolean> {
    await this.#until(() => this.#result !== null);
    return this.#result === true;
  }

  stop(): void {
    this.#pulse.stop();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#error !== null) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#error !== null && this.#result === null) throw this.#error;
  }
}

function encodedMessage(message: Message): Uint8Array {
  const writer = new WireWriter();
  encodeMessage(message, writer);
  return writer.take();
}
