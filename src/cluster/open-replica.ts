/**
 * Puts a replica together from what the disk holds: where its log starts, what LevelDB already has, and from which entry
 * on it must be applied again.
 *
 * After a crash of the process alone (same boot of the machine) LevelDB holds all that was written to it: replay starts at
 * its applied index. After a crash of the machine it may have lost earlier writes and kept later ones: replay starts at the
 * checkpoint in the log, up to which everything was synced; replaying is idempotent.
 */
import { FORGOTTEN, type GroupId, type LogIndex, type NodeId, type Term } from '../base/ids.ts';
import type { ProcessControl, Random } from '../base/platform.ts';
import { decodePartitionState, emptyPartitionState, type PartitionState } from '../partition/partition-state.ts';
import { RaftCore } from '../raft/core.ts';
import { ENTRY_TYPES, type ConfState, type Entry, type HardState, type RaftConfig } from '../raft/types.ts';
import type { DataStore } from '../storage/data/types.ts';
import type { LogCheckpoint, LogEntry, RaftLog, RecoveredGroup } from '../storage/log/types.ts';

export interface Applied {
  readonly index: LogIndex;
  readonly term: Term;
  readonly state: PartitionState;
}

export interface StoredGroup {
  readonly applied: Applied;
  readonly checkpoint: { readonly index: LogIndex; readonly term: Term };
  readonly core: RaftCore;
  /** Why LevelDB's part is not to be used and must be rebuilt from another replica; null if it is well. */
  readonly damage: string | null;
}

export interface OpenGroupOptions {
  readonly group: GroupId;
  readonly node: NodeId;
  /** Voters of a group that starts for the first time. */
  readonly voters: readonly NodeId[];
  readonly raftLog: RaftLog;
  readonly data: DataStore;
  readonly process: ProcessControl;
  readonly random: Random;
  readonly electionTicks: number;
  /** Reads may rely on a lease: nobody votes while a leader was heard within an election time, nor right after a start. */
  readonly usesLeases: boolean;
  /** A snapshot whose installation was finished at this start: log and data are there now. */
  readonly installed: LogCheckpoint | undefined;
  /** Why the data was put into quarantine before; null if it was not. */
  readonly quarantine: string | null;
}

const APPEND_BYTES_MAX = 1024 * 1024;
const INFLIGHT_MESSAGES_MAX = 64;
const INFLIGHT_BYTES_MAX = 16 * 1024 * 1024;
/** Heartbeats of a group in which nothing is under way, in one election time-out: two may come late. */
const IDLE_HEARTBEATS_PER_ELECTION = 3;

export function openGroup(options: OpenGroupOptions): StoredGroup {
  const { group, raftLog, data, installed } = options;
  if (installed !== undefined) return afterInstallation(options, installed);
  const stored = raftLog.recovered.get(group);
  const inData = data.recovered.get(group);
  const first = emptyPartitionState({ voters: options.voters, votersOutgoing: [], learners: [], learnersNext: [] });
  if (stored === undefined) {
    if (inData !== undefined && inData.index > 0) {
      damaged(options, 'the data directory holds its state, but its log is gone');
    }
    const applied = { index: 0, term: 0, state: first };
    const core = makeCore(options, { applied, base: { index: 0, term: 0 }, entries: [], stored: undefined });
    return { applied, checkpoint: { index: 0, term: 0 }, core, damage: options.quarantine };
  }
  const start = startOf(options, stored, first);
  // Without others there is nothing to rebuild it from.
  if (start.damage !== null && options.voters.length < 2) damaged(options, start.damage);
  const damage = options.quarantine ?? start.damage;
  const applied = damage === null ? start.applied : atCheckpoint(stored, first);
  if (applied.index < stored.compacted.index) {
    damaged(options, `its state is as of entry ${applied.index}, but the log starts after ${stored.compacted.index}`);
  }
  const { base, entries } = entriesOf(stored, applied);
  const core = makeCore(options, { applied, base, entries, stored });
  return { applied, checkpoint: stored.checkpoint, core, damage };
}

function afterInstallation(options: OpenGroupOptions, installed: LogCheckpoint): StoredGroup {
  const { index, term } = installed;
  const applied = { index, term, state: decodePartitionState(installed.state) };
  const stored = options.raftLog.recovered.get(options.group);
  const core = makeCore(options, { applied, base: installed, entries: [], stored });
  return { applied, checkpoint: installed, core, damage: null };
}

/** What the log vouches for, whatever LevelDB holds. */
function atCheckpoint({ checkpoint }: RecoveredGroup, first: PartitionState): Applied {
  if (checkpoint.index === 0) return { index: 0, term: 0, state: first };
  return { index: checkpoint.index, term: checkpoint.term, state: decodePartitionState(checkpoint.state) };
}

/** `damage`: LevelDB holds less than it must. A log that holds less than LevelDB ends the process: that cannot be rebuilt. */
function startOf(
  options: OpenGroupOptions,
  stored: RecoveredGroup,
  first: PartitionState,
): { readonly applied: Applied; readonly damage: string | null } {
  const { data, group } = options;
  const { checkpoint, compacted } = stored;
  const inData = data.recovered.get(group);
  const lastIndex = stored.entries.at(-1)?.index ?? compacted.index;
  const start = atCheckpoint(stored, first);
  const inDataIndex = inData?.index ?? 0;
  if (!data.isSameBoot) {
    const isLost = inDataIndex < checkpoint.index;
    return {
      applied: start,
      damage: isLost ? `LevelDB has lost what was synced up to entry ${checkpoint.index}` : null,
    };
  }
  if (inData === undefined || inDataIndex === 0) {
    const damage = checkpoint.index > 0 ? 'its log has a checkpoint, but LevelDB is empty' : null;
    return { applied: { index: 0, term: 0, state: first }, damage };
  }
  if (inDataIndex > lastIndex) damaged(options, `LevelDB is at entry ${inDataIndex}, its log ends at ${lastIndex}`);
  if (inDataIndex < compacted.index) {
    return {
      applied: start,
      damage: `LevelDB ends at entry ${inDataIndex}, but the log starts after ${compacted.index}`,
    };
  }
  return {
    applied: { index: inDataIndex, term: inData.term, state: decodePartitionState(inData.state) },
    damage: null,
  };
}

/**
 * Entries in the log, from its base on. The membership is known as of the applied index; should the log before that hold
 * changes of membership, it starts at the applied index instead: followers that need more get a snapshot.
 */
function entriesOf(
  stored: RecoveredGroup,
  applied: Applied,
): { readonly base: { readonly index: LogIndex; readonly term: Term }; readonly entries: readonly Entry[] } {
  const changes = stored.entries.some((entry) => entry.index <= applied.index && entry.type === ENTRY_TYPES.confChange);
  const base = changes ? { index: applied.index, term: applied.term } : stored.compacted;
  return { base, entries: stored.entries.filter(({ index }) => index > base.index).map(toEntry) };
}

function toEntry(entry: LogEntry): Entry {
  const type = entry.type === ENTRY_TYPES.confChange ? ENTRY_TYPES.confChange : ENTRY_TYPES.normal;
  return { term: entry.term, index: entry.index, type, data: entry.data };
}

function makeCore(
  options: OpenGroupOptions,
  from: {
    readonly applied: Applied;
    readonly base: { readonly index: LogIndex; readonly term: Term };
    readonly entries: readonly Entry[];
    readonly stored: RecoveredGroup | undefined;
  },
): RaftCore {
  const random = options.random.fork(`raft ${options.group}`);
  const config: RaftConfig = {
    id: options.node,
    electionTicks: options.electionTicks,
    heartbeatTicks: 1,
    idleHeartbeatTicks: Math.max(1, Math.floor(options.electionTicks / IDLE_HEARTBEATS_PER_ELECTION)),
    appendBytesMax: APPEND_BYTES_MAX,
    inflightMessagesMax: INFLIGHT_MESSAGES_MAX,
    inflightBytesMax: INFLIGHT_BYTES_MAX,
    // The partition bounds what is uncommitted before it evaluates.
    uncommittedBytesMax: Number.MAX_SAFE_INTEGER,
    holdsCommitNotices: true,
    randomU32: () => random.u32(),
    ...(options.usesLeases ? { voteDelayTicks: options.electionTicks } : {}),
  };
  const hardState = from.stored?.hardState ?? emptyHardState(options);
  const confState: ConfState = from.applied.state.confState;
  return new RaftCore(config, {
    hardState: { ...hardState, commit: Math.max(hardState.commit, from.applied.index) },
    snapshot: { ...from.base, confState },
    entries: from.entries,
    applied: from.applied.index,
  });
}

/** Whoever has others beside it and knows nothing may have forgotten it (raft/amnesia.ts). */
function emptyHardState({ voters }: OpenGroupOptions): HardState {
  return { term: 0, vote: voters.length > 1 ? FORGOTTEN : 0, commit: 0 };
}

function damaged(options: OpenGroupOptions, what: string): never {
  return options.process.fatal(
    'dataDamaged',
    `group ${options.group} cannot be started: ${what}; rebuild this replica from its peers`,
  );
}
