/**
 * How much of a replica's log is still needed: for replay after a crash (everything behind the checkpoint), for requests
 * that may be repeated (their answers lie in the entries), for followers that were away for a moment.
 *
 * The age of entries is kept as a timeline: when entries were appended here, on the monotonic clock, one every
 * TIMELINE_STEP_MS. An entry is never younger than its request, and after a restart all count as new.
 */
import { mustExist } from '../base/assert.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import type { Clock } from '../base/platform.ts';
import type { RaftCore } from '../raft/core.ts';
import { ENTRY_TYPES, type Entry } from '../raft/types.ts';
import type { LogCheckpoint, RaftLog } from '../storage/log/types.ts';
import { answersOf, decodeAnswers, decodeHeader, type RecordedAnswer } from './entry-format.ts';
import type { PartitionTime } from './partition-time.ts';
import type { RecordReader } from './record-reader.ts';
import type { RequestLedger } from './request-ledger.ts';

/** Resolution of the timeline; the request window is longer by more than this. */
const TIMELINE_STEP_MS = 250;

export interface LogWindowHost {
  readonly group: GroupId;
  readonly core: RaftCore;
  readonly raftLog: RaftLog;
  readonly reader: RecordReader;
  readonly clock: Clock;
  readonly time: PartitionTime;
  /** How long answers stay in the log, in ms: longer than any request can be repeated. */
  readonly requestWindowMs: number;
  readonly appliedIndex: LogIndex;
  /** Entries that are kept for followers that come back, in bytes. */
  readonly keepBytes: number;
}

export class LogWindow {
  readonly #host: LogWindowHost;
  #checkpoint: { readonly index: LogIndex; readonly term: Term };
  #notedIndex: LogIndex = 0;
  #appendedBytes = 0;
  #checkpointedBytes = 0;
  #timeline: { readonly appendedMs: number; readonly index: LogIndex }[] = [];
  /** Monotonic ms of the start or of the last snapshot: the carried answers are no younger. */
  #carriedSinceMs: number;

  constructor(host: LogWindowHost, checkpoint: { readonly index: LogIndex; readonly term: Term }) {
    this.#host = host;
    this.#checkpoint = checkpoint;
    this.#carriedSinceMs = host.clock.monotonicMs();
    this.#noteAll();
  }

  // -------------------------------------------------------------------------------------------------------------
  // What arrives

  /** Entries are appended; the first may replace the end of the log. */
  append(entries: readonly Entry[]): void {
    if ((entries[0]?.index ?? 0) <= this.#notedIndex) this.#noteAll();
    else for (const entry of entries) this.#note(entry);
  }

  #note(entry: Entry): void {
    this.#notedIndex = entry.index;
    this.#appendedBytes += entry.data.length;
    if (entry.type !== ENTRY_TYPES.normal || entry.data.length === 0) return;
    const { timeMs } = decodeHeader(entry.data);
    this.#host.time.logged(timeMs);
    const appendedMs = this.#host.clock.monotonicMs();
    const last = this.#timeline.at(-1);
    if (last === undefined || appendedMs - last.appendedMs >= TIMELINE_STEP_MS) {
      this.#timeline.push({ appendedMs, index: entry.index });
    }
  }

  /** At start, and when a new leader has replaced the end of the log. */
  #noteAll(): void {
    const { core } = this.#host;
    this.#timeline = [];
    for (let index = core.firstIndex; index <= core.lastIndex; index++) this.#note(this.#entry(index));
  }

  #entry(index: LogIndex): Entry {
    return mustExist(this.#host.core.entry(index), `entry ${index} is in memory`);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Answers that may still be asked for

  fillLedger(ledger: RequestLedger): void {
    for (const answer of this.#carriedAnswers()) ledger.add(answer, 0);
    for (const { data, index } of this.#answering(this.#host.core.lastIndex))
      ledger.addAll(data, answersOf(data), index);
  }

  /** In entries up to `index`, and what the last snapshot brought. */
  answersUpTo(index: LogIndex): readonly RecordedAnswer[] {
    const answers = [...this.#carriedAnswers()];
    for (const { data } of this.#answering(index)) answers.push(...decodeAnswers(data));
    return answers;
  }

  /** Entries up to `last` that may hold answers that may still be asked for. */
  *#answering(last: LogIndex): Generator<Entry> {
    for (let index = this.#start(); index <= last; index++) {
      const entry = this.#entry(index);
      if (entry.type === ENTRY_TYPES.normal && entry.data.length > 0) yield entry;
    }
  }

  /** What the last snapshot brought along, for as long as it may still be asked for: later ones need not pass it on. */
  #carriedAnswers(): readonly RecordedAnswer[] {
    const ageMs = this.#host.clock.monotonicMs() - this.#carriedSinceMs;
    return ageMs > this.#host.requestWindowMs ? [] : this.#host.reader.carriedAnswers(this.#host.group);
  }

  /** First entry whose answers may still be asked for. */
  #start(): LogIndex {
    const keepFromMs = this.#host.clock.monotonicMs() - this.#host.requestWindowMs;
    let start = this.#host.core.firstIndex;
    for (const { appendedMs, index } of this.#timeline) {
      if (appendedMs >= keepFromMs) break;
      start = Math.max(start, index);
    }
    return start;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Checkpoints and compaction

  get checkpointIndex(): LogIndex {
    return this.#checkpoint.index;
  }

  /** Bytes of entries that came after the last checkpoint. */
  get uncheckpointedBytes(): number {
    return this.#appendedBytes - this.#checkpointedBytes;
  }

  /** The data store was synced after `checkpoint` was taken: the log may start there, but keeps recent answers. */
  checkpointed(checkpoint: LogCheckpoint): boolean {
    this.#host.raftLog.stageCheckpoint(this.#host.group, checkpoint);
    this.#checkpoint = checkpoint;
    this.#checkpointedBytes = this.#appendedBytes;
    return this.compact();
  }

  /**
   * Drops entries that neither replay, nor a repeated request, nor a follower that was away for a moment can need. True
   * if there were any.
   */
  compact(): boolean {
    const { core, keepBytes, raftLog, group } = this.#host;
    if (core.logBytes <= keepBytes) return false;
    const upTo = Math.min(this.#checkpoint.index, this.#host.appliedIndex, this.#start() - 1);
    // Half of what is kept goes at once, so that compaction is rare.
    let excess = core.logBytes - keepBytes / 2;
    let last = core.firstIndex - 1;
    while (last < upTo && excess > 0) {
      last++;
      excess -= this.#entry(last).data.length;
    }
    if (last < core.firstIndex) return false;
    const term = core.termAt(last);
    core.compact(last);
    raftLog.stageCompaction(group, { index: last, term });
    this.#timeline = this.#timeline.filter(({ index }, i) => index > last || i === this.#timeline.length - 1);
    return true;
  }

  /** Answers came along with a copy of the data. */
  carried(): void {
    this.#carriedSinceMs = this.#host.clock.monotonicMs();
  }

  /** The log is being replaced by a checkpoint: none that was begun before may follow it. */
  resets(checkpoint: LogCheckpoint): void {
    this.#host.raftLog.stageReset(this.#host.group, checkpoint);
    this.#checkpoint = checkpoint;
  }

  /** A snapshot took the place of everything, durably. */
  installed(): void {
    this.#timeline = [];
    this.#notedIndex = 0;
    this.#carriedSinceMs = this.#host.clock.monotonicMs();
  }
}
