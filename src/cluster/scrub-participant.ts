/**
 * A replica's part in the scrub (scrub.ts): it looks at a range of its own data as of the index that the leader names, and says
 * what it found. The leader's own replica does the same.
 *
 * One look a replica: a later one takes the place of an earlier one, which says nothing any more. A look that cannot begin, or does not
 * end, within LOOK_MAX_MS is given up. Between two reads of some 100 KiB other work of the node goes on.
 *
 * What has a seal that does not fit is not compared: the replica knows that it is damaged, and is rebuilt as if a client had met the
 * record. A replica without others only tells of it: the node that it is part of would end for nobody's good.
 *
 * A verdict is believed only from the leader of the present term, for the look that this replica answered last, and if its
 * data was not replaced since.
 */
import { crc32 } from '../base/checksum.ts';
import { compareBytes } from '../base/bytes.ts';
import type { GroupId, LogIndex, NodeId, Term } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { TimerHandle, Timers } from '../base/platform.ts';
import { isDamage } from '../partition/damage.ts';
import type { Replica } from '../partition/replica.ts';
import { type DataAtIndex, whenAppliedExactly } from '../partition/scrub-point.ts';
import type { RecordRange, ScrubbedRange } from '../storage/data/types.ts';
import type { ScrubFinding, ScrubLook, ScrubVerdict } from './scrub-codec.ts';

/** How long a replica waits for the index, and looks, in ms. */
export const LOOK_MAX_MS = 10_000;

/** What a look at this node's own replica has cost, beside what it found. */
export interface LookCost {
  readonly readBytes: number;
  readonly readCount: number;
}

const NO_COST: LookCost = { readBytes: 0, readCount: 0 };

type Told = (found: ScrubFinding['found'], cost: LookCost) => void;

export interface ScrubParticipantHost {
  readonly timers: Timers;
  readonly log: Logger;
  readonly replicaOf: (group: GroupId) => Replica | undefined;
}

interface Look {
  readonly wanted: ScrubLook;
  isOver: boolean;
  timer: TimerHandle | null;
}

interface Answered {
  readonly term: Term;
  readonly look: number;
  /** Of the applier at that time. */
  readonly resumeCount: number;
}

export class ScrubParticipant {
  readonly #host: ScrubParticipantHost;
  readonly #looks = new Map<GroupId, Look>();
  readonly #answered = new Map<GroupId, Answered>();
  /** Reads of the store that have not ended, those of looks that are over too. */
  readonly #reading = new Set<Promise<void>>();
  #isClosed = false;

  constructor(host: ScrubParticipantHost) {
    this.#host = host;
  }

  /** Tells once what was found, never within the call if something was; a look that another one replaced tells nothing. */
  look(wanted: ScrubLook, tell: Told): void {
    const { group } = wanted;
    const replica = this.#host.replicaOf(group);
    this.#end(group);
    if (this.#isClosed || replica === undefined || !isWithin(wanted, replica.range)) {
      tell('missed', NO_COST);
      return;
    }
    const look: Look = { wanted, isOver: false, timer: null };
    this.#looks.set(group, look);
    const finish: Told = (found, cost) => {
      if (look.isOver) return;
      this.#end(group);
      const { resumeCount } = replica.applier;
      this.#answered.set(group, { term: wanted.term, look: wanted.look, resumeCount });
      tell(found, cost);
    };
    look.timer = this.#host.timers.after(LOOK_MAX_MS, () => {
      look.timer = null;
      finish('missed', NO_COST);
    });
    whenAppliedExactly(replica, wanted.index, (data) => {
      if (data === null || look.isOver) {
        data?.snapshot.release();
        finish('missed', NO_COST);
        return;
      }
      const reading = this.#read(replica, look, { data, finish }).finally(() => {
        data.snapshot.release();
        this.#reading.delete(reading);
      });
      this.#reading.add(reading);
    });
  }

  async #read(
    replica: Replica,
    look: Look,
    { data, finish }: { readonly data: DataAtIndex; readonly finish: Told },
  ): Promise<void> {
    const { wanted } = look;
    const isStopped = (): boolean => look.isOver || this.#isClosed;
    let scrubbed: ScrubbedRange;
    try {
      scrubbed = await replica.data.scrubRange(data.snapshot, wanted, { bytesMax: wanted.bytesMax, isStopped });
    } catch (error) {
      if (isStopped()) return;
      if (isDamage(error)) this.#damaged(replica, wanted, error);
      else this.#host.log.error('a look at the data failed', { group: replica.group, error });
      finish(isDamage(error) ? 'damaged' : 'missed', NO_COST);
      return;
    }
    if (isStopped()) return;
    if (scrubbed.damage !== null) this.#damaged(replica, wanted, scrubbed.damage);
    const isKnown = replica.isQuarantined;
    finish(isKnown ? 'damaged' : hashOf(scrubbed, data.state), scrubbed);
  }

  #damaged(replica: Replica, { index }: ScrubLook, error: unknown): void {
    if (!replica.isSoleVoter) {
      replica.reader.fail(error);
      return;
    }
    this.#host.log.error(
      'a record is damaged, and no other replica has it: restore it from a backup, or write it anew',
      {
        group: replica.group,
        index,
        reason: error instanceof Error ? error.message : String(error),
      },
    );
  }

  /** A leader says that this replica differs from most. */
  condemned(from: NodeId, verdict: ScrubVerdict): void {
    const { group, term, look } = verdict;
    const replica = this.#host.replicaOf(group);
    const answered = this.#answered.get(group);
    if (replica === undefined || answered === undefined || replica.isSoleVoter) return;
    if (replica.core.role === 'leader' || replica.leader !== from || replica.term !== term) return;
    if (answered.term !== term || answered.look !== look) return;
    if (answered.resumeCount !== replica.applier.resumeCount) return;
    replica.quarantine(reasonOf(verdict));
  }

  #end(group: GroupId): void {
    const look = this.#looks.get(group);
    if (look === undefined) return;
    this.#looks.delete(group);
    look.isOver = true;
    look.timer?.cancel();
    this.#host.replicaOf(group)?.applier.endStop();
  }

  /** Resolves when nothing is read any more: the store may be closed then. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const group of this.#looks.keys()) this.#end(group);
    await Promise.allSettled(this.#reading);
  }
}

/** What the log and the mark of the quarantine say. */
export function reasonOf({ index, start, end }: { readonly index: LogIndex } & RecordRange): string {
  return `its data differs from that of most replicas, as of entry ${index}, ${shownRange({ start, end })}`;
}

/** Keys as hexadecimal digits, cut. */
export function shownRange({ start, end }: RecordRange): string {
  const shown = (key: Uint8Array): string => Buffer.from(key.subarray(0, 64)).toString('hex');
  return `between the keys ${shown(start)} and ${shown(end)}`;
}

function isWithin({ start, end }: RecordRange, range: RecordRange): boolean {
  return compareBytes(start, range.start) >= 0 && compareBytes(end, range.end) <= 0;
}

function hashOf({ hash, count, end }: ScrubbedRange, state: Uint8Array): ScrubFinding['found'] {
  return { hash, count, stateFormat: state[0] ?? 0, stateChecksum: crc32(state), end };
}
