/**
 * Replicas whose data is damaged, from the moment when that is known until it was rebuilt from another replica.
 *
 * Problem: LevelDB hides damage. A record whose seal does not fit, or a database that has lost what was synced, means that the data of
 * this replica is wrong, here and perhaps elsewhere.
 *
 * Idea: the data alone is suspect. The Raft log has checksums of its own, and votes and acknowledgements speak of the log; so
 * the replica goes on voting and keeping entries, and the group is no weaker. What it does not do any more is whatever reads the data:
 * lead, serve, send snapshots, make checkpoints. It asks its leader for a copy, stages it as any snapshot (snapshot-stage.ts),
 * waits until its own log is committed up to where the copy was taken, replaces the data, and applies its log from there on. A log
 * that cannot get there, because what it lacks is gone from its leader's, is replaced by the copy as by any snapshot.
 * A copy that is older than the log's checkpoint is not taken: the log would not lead on from it.
 *
 * A file `quarantine/<group>`, which holds the reason, is there from the beginning to the end. It is durable before the first copy is
 * asked for. At a start it says that the data is not to be used; the replica then opens with what its log knows.
 *
 * If no replica can lead any more, because all are damaged, the partition has no leader and the log of each node says why:
 * better that than a guess.
 *
 *   rebuild request: u32 group
 */
import { ByteReader } from '../base/bytes.ts';
import type { GroupId, NodeId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock, Disk, ProcessControl } from '../base/platform.ts';
import type { Replica } from '../partition/replica.ts';
import type { Transport } from '../transport/transport.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';

/** Pause between two requests for a copy, in ms. */
const ASK_MS = 1_000;

export interface QuarantineHost {
  readonly node: NodeId;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly process: ProcessControl;
  readonly log: Logger;
  readonly dataDirectory: string;
  readonly transport: Pick<Transport, 'begin' | 'end'>;
  readonly replicas: () => ReadonlyMap<GroupId, Replica>;
  /** A copy for this group is on its way already. */
  readonly isReceiving: (group: GroupId) => boolean;
  /** Streams the data of a replica that serves to another node. */
  readonly sendCopy: (replica: Replica, to: NodeId) => void;
  readonly wake: () => void;
}

export class Quarantine {
  readonly #host: QuarantineHost;
  readonly #directory: string;
  /** Reasons that lie on the disk, by group. */
  readonly #marked = new Map<GroupId, string>();
  /** Ends with the last change of the files. */
  #writing: Promise<void> = Promise.resolve();
  #askAtMs = 0;

  constructor(host: QuarantineHost) {
    this.#host = host;
    this.#directory = `${host.dataDirectory}/quarantine`;
  }

  /** At start, before any replica is opened. */
  async load(): Promise<void> {
    for (const name of await this.#host.disk.list(this.#directory)) {
      const group = Number(name);
      if (!Number.isSafeInteger(group)) continue;
      this.#marked.set(group, (await this.#host.disk.readFile(`${this.#directory}/${name}`)).toString('utf8'));
    }
  }

  reasonOf(group: GroupId): string | null {
    return this.#marked.get(group) ?? null;
  }

  begin(group: GroupId, reason: string): void {
    const { log, disk } = this.#host;
    log.error('the data of this replica is damaged: it serves nothing until it was rebuilt from another', {
      group,
      reason,
    });
    this.#change(async () => {
      await disk.makeDirectory(this.#directory);
      await disk.writeFileAtomically(`${this.#directory}/${group}`, Buffer.from(reason.slice(0, 4096)));
      this.#marked.set(group, reason);
    });
  }

  /** The data of a replica was replaced, whether or not it was in quarantine. */
  end(group: GroupId): void {
    const { log, disk } = this.#host;
    this.#change(async () => {
      if (!this.#marked.delete(group)) return;
      log.info('this replica was rebuilt', { group });
      await disk.remove(`${this.#directory}/${group}`);
      await disk.syncDirectory(this.#directory);
    });
  }

  /** One after the other: an end never overtakes its beginning. */
  #change(change: () => Promise<void>): void {
    this.#writing = this.#writing.then(change).catch((error: unknown) => {
      this.#host.process.fatal('dataWrite', 'the mark of a damaged replica could not be changed', error);
    });
  }

  /** Asks for what is missing, from time to time. */
  tick(): void {
    const now = this.#host.clock.monotonicMs();
    if (this.#marked.size === 0 || now < this.#askAtMs) return;
    this.#askAtMs = now + ASK_MS;
    const { node, transport } = this.#host;
    for (const group of this.#marked.keys()) {
      const replica = this.#host.replicas().get(group);
      if (replica?.isQuarantined !== true || this.#host.isReceiving(group)) continue;
      const { leader } = replica;
      if (leader === 0 || leader === node) continue;
      const writer = transport.begin(leader, MESSAGE_KINDS.rebuildRequest, true);
      if (writer === null) continue;
      writer.u32(group);
      transport.end(leader);
      this.#host.wake();
    }
  }

  /** Throws KahunaError 'BYTES_MALFORMED'. */
  requested(from: NodeId, payload: Uint8Array): void {
    const reader = new ByteReader(payload);
    const group = reader.u32();
    reader.expectEnd();
    const replica = this.#host.replicas().get(group);
    if (replica?.isServing === true && !replica.isQuarantined) this.#host.sendCopy(replica, from);
  }

  /** Resolves when no change of the files is under way. */
  async close(): Promise<void> {
    await this.#writing;
  }
}
