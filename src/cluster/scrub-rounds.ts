/**
 * Where the scrub (scrub.ts) is in each partition that this node leads: what is looked at next, and when.
 *
 * A round is every range of a partition once. It begins in a random slot and goes around, because a new leader knows nothing of where
 * the one before it was: beginning at the front each time, a cluster whose leaders change often would never see the end
 * of a large partition.
 */
import { equalBytes } from '../base/bytes.ts';
import type { GroupId, NodeId, Term } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock, Random } from '../base/platform.ts';
import type { Replica } from '../partition/replica.ts';
import { slotRange } from '../storage/data/keys.ts';
import type { RecordRange } from '../storage/data/types.ts';
import type { ScrubReport } from './api.ts';
import type { ScrubHash } from './scrub-codec.ts';

/** A new leader has other things to do first, in ms; less if rounds are to follow each other faster. */
const FIRST_ROUND_AFTER_MS = 60_000;
/** After a round in which replicas differed, in ms; less if rounds are to follow each other faster. */
const ROUND_AFTER_DIFFERENCE_MS = 600_000;
/** Pause before a range is looked at again, in ms. */
const TRY_AGAIN_MS = 500;
/** Looks at a range in which somebody had nothing to say, or whose difference nobody could judge. */
const TRIES_MAX = 3;

/** Asked again and again: they change while the node runs. */
export interface ScrubSettings {
  /** Cost of what is compared, as bytes a second; 0 = nothing is. */
  readonly bytesPerSecond: () => number;
  /** Pause between two rounds of a partition, in ms. */
  readonly intervalMs: () => number;
}

export interface ScrubRoundsHost {
  readonly platform: { readonly clock: Clock; readonly random: Random };
  readonly log: Logger;
  readonly settings: ScrubSettings;
  readonly replicas: () => ReadonlyMap<GroupId, Replica>;
}

/** A range in which replicas differ. */
export interface Suspicion {
  /** Who may be condemned by the next look. */
  readonly nodes: readonly NodeId[];
  readonly end: Uint8Array;
}

/** The round of a partition. Only this file changes it, besides `suspicion`. */
export interface ScrubRound {
  readonly term: Term;
  readonly replica: Replica;
  /** Where it began, and ends. */
  readonly from: Uint8Array;
  cursor: Uint8Array;
  /** It has been at the end of the partition, and goes on from its beginning. */
  hasWrapped: boolean;
  /** Not before this time. */
  dueMs: number;
  /** Null: it has not begun. */
  startedMs: number | null;
  ranges: number;
  records: number;
  /** Ranges in which some replica had nothing to say. */
  incomplete: number;
  /** Ranges in which replicas differed. */
  mismatches: number;
  /** Looks at the present range that were in vain. */
  tries: number;
  /** Set while the present range is one in which replicas differ. */
  suspicion: Suspicion | null;
}

export class ScrubRounds {
  readonly report: { -readonly [Name in keyof ScrubReport]: ScrubReport[Name] } = {
    rounds: 0,
    ranges: 0,
    records: 0,
    incompleteRanges: 0,
    mismatches: 0,
    undecided: 0,
    condemned: 0,
    lastRoundAtMs: 0,
  };
  readonly #host: ScrubRoundsHost;
  readonly #random: Random;
  readonly #rounds = new Map<GroupId, ScrubRound>();
  /** The partition that was looked at last: the others have their turn first. */
  #lastGroup: GroupId = 0;

  constructor(host: ScrubRoundsHost) {
    this.#host = host;
    this.#random = host.platform.random.fork('scrub');
  }

  /** The round whose next range is to be looked at now, in turn; or in how many ms there will be one. */
  next(): { readonly round: ScrubRound } | { readonly inMs: number } {
    this.#follow();
    const now = this.#nowMs;
    const rounds = [...this.#rounds.values()].sort((a, b) => a.replica.group - b.replica.group);
    const due = rounds.filter(({ dueMs }) => dueMs <= now);
    const round = due.find(({ replica }) => replica.group > this.#lastGroup) ?? due[0];
    if (round === undefined) return { inMs: Math.min(...rounds.map(({ dueMs }) => dueMs - now)) };
    this.#lastGroup = round.replica.group;
    round.startedMs ??= now;
    return { round };
  }

  /** Partitions that this node leads, and no others. */
  #follow(): void {
    for (const [group, round] of this.#rounds) if (!isCurrent(round)) this.#rounds.delete(group);
    for (const replica of this.#host.replicas().values()) {
      if (replica.isServing && !replica.isQuarantined && !this.#rounds.has(replica.group)) {
        this.#begin(replica, FIRST_ROUND_AFTER_MS);
      }
    }
  }

  #begin(replica: Replica, afterMs: number): void {
    const { first, last } = replica.slots;
    const from = slotRange(first + (this.#random.u32() % (last - first + 1)), last).start;
    this.#rounds.set(replica.group, {
      term: replica.term,
      replica,
      from,
      cursor: from,
      hasWrapped: false,
      dueMs: this.#nowMs + Math.min(afterMs, this.#host.settings.intervalMs()),
      startedMs: null,
      ranges: 0,
      records: 0,
      incomplete: 0,
      mismatches: 0,
      tries: 0,
      suspicion: null,
    });
  }

  /** The present range is done with. */
  advance(round: ScrubRound, { count, end }: ScrubHash): void {
    const { replica } = round;
    round.suspicion = null;
    round.tries = 0;
    round.ranges++;
    round.records += count;
    this.report.ranges++;
    this.report.records += count;
    const isPartOver = equalBytes(end, rangeLeft(round).end);
    const hasBeenAround = round.hasWrapped || equalBytes(round.from, replica.range.start);
    round.cursor = isPartOver ? replica.range.start : end;
    round.hasWrapped ||= isPartOver;
    if (isPartOver && hasBeenAround) this.#end(round);
  }

  /** False if the present range was looked at in vain often enough. */
  mayTryAgain(round: ScrubRound): boolean {
    if (round.tries + 1 >= TRIES_MAX) return false;
    round.tries++;
    this.pause(round);
    return true;
  }

  /** The present range is looked at again, after a while. */
  pause(round: ScrubRound): void {
    round.dueMs = this.#nowMs + TRY_AGAIN_MS;
  }

  /** Some replica had nothing to say of the present range. */
  lacks(round: ScrubRound): void {
    round.incomplete++;
    this.report.incompleteRanges++;
  }

  /** Replicas differ in the present range. */
  differs(round: ScrubRound, suspicion: Suspicion): void {
    this.report.mismatches++;
    round.mismatches++;
    round.tries = 0;
    round.suspicion = suspicion;
    this.pause(round);
  }

  /** The round cannot go on: the leader has nothing to compare with. */
  abandon({ replica }: ScrubRound): void {
    this.#begin(replica, ROUND_AFTER_DIFFERENCE_MS);
  }

  #end({ replica, ranges, records, incomplete, mismatches, startedMs }: ScrubRound): void {
    const { platform, log } = this.#host;
    this.report.rounds++;
    this.report.lastRoundAtMs = platform.clock.wallMs();
    const ms = Math.round(this.#nowMs - (startedMs ?? this.#nowMs));
    const { group } = replica;
    log.info('compared the replicas of a partition', { group, ranges, records, incomplete, mismatches, ms });
    // Whoever was told may not have heard it, and whoever was away may settle what nobody could judge.
    this.#begin(replica, mismatches > 0 ? ROUND_AFTER_DIFFERENCE_MS : Number.POSITIVE_INFINITY);
  }

  get #nowMs(): number {
    return this.#host.platform.clock.monotonicMs();
  }
}

/** What is left of the round up to the end of the partition, or to where the round began. */
export function rangeLeft({ cursor, hasWrapped, from, replica }: ScrubRound): RecordRange {
  return { start: cursor, end: hasWrapped ? from : replica.range.end };
}

/** The replica leads in the same term still. */
export function isCurrent({ replica, term }: ScrubRound): boolean {
  return replica.isServing && replica.term === term && !replica.isQuarantined;
}
