/**
 * Builds the groups from the records of the retained flushes.
 *
 * The oldest retained segment starts with the state of all groups as of then; that is the base. Entries that existed then
 * lie in segments that were freed, which was allowed only because they were compacted, overwritten or removed later
 * on: so they may be missing during the replay, but none of them may be missing at its end.
 * The state at the head of every later segment repeats what the replay must have arrived at; it is compared.
 */
import { unreachable } from '../../base/assert.ts';
import { ByteReader, copyBytes, equalBytes } from '../../base/bytes.ts';
import { KahunaError } from '../../base/errors.ts';
import type { GroupId, LogIndex } from '../../base/ids.ts';
import { damagedAt, segmentName } from './damage.ts';
import { GroupState, type Refusal } from './group-state.ts';
import { forEachRecord, type GroupSummary, type LogRecord, RECORD_KINDS, readGroupSummary } from './records.ts';
import type { ScannedFlush } from './scan.ts';
import type { LogEntry, RecoveredGroup } from './types.ts';

interface ReplayedGroup {
  readonly state: GroupState;
  /** Entries from `firstIndex` on; entries of the state before that are in freed segments. */
  entries: LogEntry[];
  firstIndex: LogIndex;
}

/** Copies of payloads lie together in pieces of this size: few allocations, and a live entry pins little. */
const ARENA_BYTES = 256 * 1024;

export class Replay {
  #arena = Buffer.alloc(0);
  #arenaUsed = 0;
  readonly #groups = new Map<GroupId, ReplayedGroup>();
  #hasBase = false;

  /**
   * Throws LOG_DAMAGED if the flush contradicts what came before it. The payload is copied once, and its entries are views
   * into that copy: so they never pin the segment that was read.
   */
  apply(flush: ScannedFlush): void {
    const isBase = !this.#hasBase;
    if (isBase && !flush.startsWithGroups)
      throw this.#damaged(flush, 'the oldest segment does not start with the state of the groups');
    this.#hasBase = true;
    const groupCount = this.#groups.size;
    let groupsSeen = 0;
    const refused = readRecords(this.#copy(flush.payload), (record) => {
      if (record.kind !== RECORD_KINDS.group) return this.#applyRecord(record, flush.segment);
      groupsSeen++;
      if (!flush.startsWithGroups) return 'a group record in the middle of a segment';
      return this.#applyGroup(record, isBase);
    });
    if (refused !== null) throw this.#damaged(flush, refused);
    if (flush.startsWithGroups && !isBase && groupsSeen !== groupCount) {
      throw this.#damaged(flush, `the segment starts with ${groupsSeen} groups, ${groupCount} are known`);
    }
  }

  /** Everything found, checked for gaps. Throws LOG_DAMAGED. */
  finish(oldestSegment: number): {
    readonly states: Map<GroupId, GroupState>;
    readonly recovered: Map<GroupId, RecoveredGroup>;
  } {
    const states = new Map<GroupId, GroupState>();
    const recovered = new Map<GroupId, RecoveredGroup>();
    for (const [id, group] of this.#groups) {
      const { state, entries, firstIndex } = group;
      const { compacted, hardState, checkpoint, lastIndex } = state;
      if (lastIndex > compacted.index && firstIndex !== compacted.index + 1) {
        const missing = `entries ${compacted.index + 1} to ${firstIndex - 1} of group ${id} are missing`;
        throw damagedAt(segmentName(oldestSegment), 0, missing);
      }
      states.set(id, state);
      recovered.set(id, { hardState, checkpoint, entries, compacted });
    }
    return { states, recovered };
  }

  #applyRecord(record: LogRecord, segment: number): Refusal {
    const { kind, group: id, term, index } = record;
    if (kind === RECORD_KINDS.removal) {
      this.#groups.delete(id);
      return null;
    }
    const group = this.#group(id);
    const { state } = group;
    switch (kind) {
      case RECORD_KINDS.entry: {
        const refused = state.append(index, 1, segment);
        if (refused === null) putEntry(group, { term, index, type: record.entryType, data: record.data });
        return refused;
      }
      case RECORD_KINDS.hardState: {
        const reader = new ByteReader(record.data);
        const vote = reader.u64();
        reader.expectEnd();
        return state.setHardState({ term, vote, commit: index });
      }
      case RECORD_KINDS.compaction: {
        const refused = state.compact({ index, term });
        if (refused === null) dropEntries(group, index);
        return refused;
      }
      case RECORD_KINDS.checkpoint:
        return state.setCheckpoint({ index, term, state: copyBytes(record.data) });
      case RECORD_KINDS.reset:
        group.entries = [];
        group.firstIndex = index + 1;
        return state.reset({ index, term, state: copyBytes(record.data) });
      case RECORD_KINDS.group:
        return 'a group record out of place';
      default:
        return unreachable(kind);
    }
  }

  #applyGroup(record: LogRecord, isBase: boolean): Refusal {
    const summary = readGroupSummary(record.data);
    const compacted = { index: record.index, term: record.term };
    const known = this.#groups.get(record.group);
    if (!isBase)
      return sameState(known?.state, compacted, summary)
        ? null
        : `state of group ${record.group} differs from what came before`;
    if (known !== undefined) return `group ${record.group} twice`;
    const { hardState, checkpoint, lastIndex } = summary;
    const state = GroupState.from({
      hardState,
      checkpoint: { ...checkpoint, state: copyBytes(checkpoint.state) },
      compacted,
      lastIndex,
    });
    this.#groups.set(record.group, { state, entries: [], firstIndex: lastIndex + 1 });
    return null;
  }

  #copy(payload: Uint8Array): Uint8Array {
    if (payload.length > ARENA_BYTES / 4) return Buffer.from(payload);
    if (this.#arenaUsed + payload.length > this.#arena.length) {
      this.#arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
      this.#arenaUsed = 0;
    }
    const start = this.#arenaUsed;
    this.#arenaUsed += payload.length;
    this.#arena.set(payload, start);
    return this.#arena.subarray(start, this.#arenaUsed);
  }

  #group(id: GroupId): ReplayedGroup {
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = { state: new GroupState(), entries: [], firstIndex: 1 };
      this.#groups.set(id, group);
    }
    return group;
  }

  #damaged(flush: ScannedFlush, what: string): Error {
    return damagedAt(segmentName(flush.segment), flush.offset, `flush ${flush.number}: ${what}`);
  }
}

/** Visits records until one is refused; bytes that are no records are refused too. */
function readRecords(payload: Uint8Array, visit: (record: LogRecord) => Refusal): Refusal {
  let refused: Refusal = null;
  try {
    forEachRecord(payload, (record) => {
      refused ??= visit(record);
    });
  } catch (error) {
    if (error instanceof KahunaError && error.code === 'BYTES_MALFORMED') return error.message;
    throw error;
  }
  return refused;
}

function putEntry(group: ReplayedGroup, entry: LogEntry): void {
  if (entry.index < group.firstIndex) {
    group.entries = [];
    group.firstIndex = entry.index;
  }
  group.entries.length = entry.index - group.firstIndex;
  group.entries.push(entry);
}

function dropEntries(group: ReplayedGroup, upTo: LogIndex): void {
  if (upTo < group.firstIndex) return;
  group.entries.splice(0, upTo + 1 - group.firstIndex);
  group.firstIndex = upTo + 1;
}

function sameState(
  known: GroupState | undefined,
  compacted: { readonly index: LogIndex; readonly term: number },
  summary: GroupSummary,
): boolean {
  if (known === undefined) return false;
  const { hardState, checkpoint, lastIndex } = summary;
  return (
    known.lastIndex === lastIndex &&
    known.compacted.index === compacted.index &&
    known.compacted.term === compacted.term &&
    known.hardState.term === hardState.term &&
    known.hardState.vote === hardState.vote &&
    known.hardState.commit === hardState.commit &&
    known.checkpoint.index === checkpoint.index &&
    known.checkpoint.term === checkpoint.term &&
    equalBytes(known.checkpoint.state, checkpoint.state)
  );
}
