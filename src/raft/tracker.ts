/**
 * The leader's table of members, derived from the configuration in force and rebuilt whenever that changes. Hot path:
 * the quorum questions run over arrays that are prepared here, so that an acknowledgement costs no lookup by voter.
 */
import type { LogIndex, NodeId } from '../base/ids.ts';
import { membersOf } from './membership.ts';
import type { InflightLimits } from './progress.ts';
import { Progress } from './progress.ts';
import { majorityIndex } from './quorum.ts';
import type { ConfState } from './types.ts';

export class Tracker {
  /** Everyone that is replicated to, this node left out. */
  peers: readonly Progress[] = [];
  private readonly id: NodeId;
  private readonly limits: InflightLimits;
  private readonly members = new Map<NodeId, Progress>();
  private voters: readonly Progress[] = [];
  private votersOutgoing: readonly Progress[] = [];
  private readonly scratch: number[] = [];

  constructor(id: NodeId, limits: InflightLimits) {
    this.id = id;
    this.limits = limits;
  }

  get(node: NodeId): Progress | undefined {
    return this.members.get(node);
  }

  /** A new term of leadership: nothing is known of anybody. */
  reset(conf: ConfState, next: LogIndex): void {
    this.members.clear();
    this.reconfigure(conf, next);
  }

  /** Takes over `conf`: keeps what is known of those who stay, starts newcomers at `next`, forgets the others. */
  reconfigure(conf: ConfState, next: LogIndex): void {
    const ids = membersOf(conf);
    for (const id of this.members.keys()) if (!ids.includes(id)) this.members.delete(id);
    for (const id of ids) if (!this.members.has(id)) this.members.set(id, new Progress(id, next, this.limits));
    this.voters = this.pick(conf.voters);
    this.votersOutgoing = this.pick(conf.votersOutgoing);
    this.peers = this.pick(ids.filter((id) => id !== this.id));
  }

  private pick(ids: readonly NodeId[]): readonly Progress[] {
    const picked: Progress[] = [];
    for (const id of ids) {
      const progress = this.members.get(id);
      if (progress !== undefined) picked.push(progress);
    }
    return picked;
  }

  /** The greatest index that a majority (of each half) holds durably. */
  committedIndex(): LogIndex {
    return Math.min(this.majorityMatch(this.voters), this.majorityMatch(this.votersOutgoing));
  }

  private majorityMatch(voters: readonly Progress[]): LogIndex {
    let count = 0;
    for (const voter of voters) this.scratch[count++] = voter.amnesia === 0 ? voter.match : 0;
    return majorityIndex(this.scratch, count);
  }

  /** The latest read-index round that a majority (of each half) has echoed. */
  confirmedRound(): number {
    return Math.min(this.majorityRound(this.voters), this.majorityRound(this.votersOutgoing));
  }

  private majorityRound(voters: readonly Progress[]): number {
    let count = 0;
    for (const voter of voters) this.scratch[count++] = voter.amnesia === 0 ? voter.ackedRound : 0;
    return majorityIndex(this.scratch, count);
  }

  /** True if a majority (of each half) has answered since the last time; starts the next period. */
  takeQuorumActive(): boolean {
    const isActive = this.isMajorityActive(this.voters) && this.isMajorityActive(this.votersOutgoing);
    for (const peer of this.peers) peer.isRecentlyActive = false;
    return isActive;
  }

  private isMajorityActive(voters: readonly Progress[]): boolean {
    let active = 0;
    for (const voter of voters) if (voter.id === this.id || (voter.isRecentlyActive && voter.amnesia === 0)) active++;
    return voters.length === 0 || active * 2 > voters.length;
  }
}
