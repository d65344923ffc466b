/** What a driver may ask of a core without changing it. */
import { assert } from '../base/assert.ts';
import type { LogIndex, NodeId, Term } from '../base/ids.ts';
import type { FollowerProgress } from './progress.ts';
import type { RaftState } from './state.ts';
import type { ConfState, Entry, Role, SnapshotMetadata } from './types.ts';

const NO_FOLLOWERS: readonly FollowerProgress[] = Object.freeze([]);

export class RaftView {
  /** For tests that break a rule on purpose or print the inside; nothing else reaches in. */
  protected readonly state: RaftState;

  protected constructor(state: RaftState) {
    this.state = state;
  }

  get id(): NodeId {
    return this.state.id;
  }

  get term(): Term {
    return this.state.term;
  }

  get role(): Role {
    return this.state.role;
  }

  /** 0 = none known. */
  get leader(): NodeId {
    return this.state.leader;
  }

  /** The oldest index whose entry is in memory; lastIndex + 1 if there is none. */
  get firstIndex(): LogIndex {
    return this.state.log.baseIndex + 1;
  }

  get lastIndex(): LogIndex {
    return this.state.log.lastIndex;
  }

  get commitIndex(): LogIndex {
    return this.state.log.commit;
  }

  get appliedIndex(): LogIndex {
    return this.state.log.applied;
  }

  /** Everything up to here is on the local disk. */
  get durableIndex(): LogIndex {
    return this.state.log.unstable.durableIndex;
  }

  /** Bytes of the entries in memory. */
  get logBytes(): number {
    return this.state.log.sizeBytes;
  }

  /** Term of the entry at `index`; 0 if it is compacted away or not there yet. */
  termAt(index: LogIndex): Term {
    return this.state.log.termAt(index);
  }

  /** The entry at `index`; undefined if it is compacted away or not there yet. */
  entry(index: LogIndex): Entry | undefined {
    return this.state.log.entryAt(index);
  }

  /** Entries from `index` on, as many as fit into `bytesMax`, at least one if there is one; `index` ≥ firstIndex. */
  entriesFrom(index: LogIndex, bytesMax: number): readonly Entry[] {
    return this.state.log.slice(index, bytesMax);
  }

  /** The membership in force, committed or not. */
  get confState(): ConfState {
    return this.state.membership.conf;
  }

  /** The entry that brought the membership in force. */
  get confIndex(): LogIndex {
    return this.state.membership.confIndex;
  }

  /** What a snapshot or checkpoint at `index` carries; firstIndex - 1 ≤ `index` ≤ lastIndex. */
  snapshotMetadata(index: LogIndex): SnapshotMetadata {
    const { log, membership } = this.state;
    assert(log.hasTerm(index), `no metadata of ${index}; the log holds ${log.baseIndex} to ${log.lastIndex}`);
    return { index, term: log.termAt(index), confState: membership.at(index) };
  }

  get isVoter(): boolean {
    return this.state.isVoter;
  }

  /** This start began without a memory, and votes and acknowledgements do not count yet (amnesia.ts). */
  get isAmnesiac(): boolean {
    return this.state.isAmnesiac;
  }

  /** Neither a term nor an entry was ever seen. */
  get isBlank(): boolean {
    return this.state.isBlank;
  }

  get isTransferring(): boolean {
    return this.state.transferTarget !== 0;
  }

  /** Leader: true once an entry of the own term is committed, so that the state holds all that earlier leaders did. */
  get hasCommittedOwnTerm(): boolean {
    const s = this.state;
    return s.role === 'leader' && s.log.commit >= s.termStartIndex;
  }

  /** Leader: the read round that the latest heartbeats carry. Note the time when a Ready raises it: a lease starts there. */
  get readRound(): number {
    return this.state.reads.round;
  }

  /** Leader: the latest read round that a quorum has confirmed. */
  get readRoundConfirmed(): number {
    return this.state.reads.confirmed;
  }

  /** Leader: false if a handover was tried in this term, because stickiness no longer protects a lease then. */
  get isLeaseAllowed(): boolean {
    return this.hasCommittedOwnTerm && !this.state.isLeaseBroken;
  }

  /** Leader: everybody holds the whole log and was told that it is committed, and nothing is under way. */
  get isIdle(): boolean {
    const { isSettled, log, tracker } = this.state;
    return isSettled && tracker.peers.every((peer) => peer.sentCommit === log.lastIndex);
  }

  /** Leader: the other members; empty otherwise. The objects change as the leader learns; keep none of them. */
  followers(): readonly FollowerProgress[] {
    return this.state.role === 'leader' ? this.state.tracker.peers : NO_FOLLOWERS;
  }
}
