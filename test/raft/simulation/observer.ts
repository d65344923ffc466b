/**
 * Looks at a core after every event and holds what it sees against the ghost: terms and commits only rise, leaders are
 * unique and complete, configurations change one at a time, leases exclude each other.
 */
import type { LogIndex, Term } from '../../../src/base/ids.ts';
import type { RaftCore } from '../../../src/raft/core.ts';
import { ENTRY_TYPES } from '../../../src/raft/types.ts';
import type { ConfState, Role } from '../../../src/raft/types.ts';
import { must } from './ghost.ts';
import type { SimNode } from './node.ts';
import { TICK } from './profile.ts';
import type { World } from './world.ts';

export class Observer {
  private readonly world: World;
  private readonly node: SimNode;
  /** Which start of the node is observed. */
  private start = 0;

  // What was seen after the last event.
  private seenCommit: LogIndex = 0;
  private seenTerm: Term = 0;
  private seenConf: ConfState | null = null;
  private seenConfIndex: LogIndex = 0;
  private seenRole: Role = 'follower';
  private seenConfirmed = 0;
  private readonly roundStarts = new Map<number, number>();
  /** Until then the node, as leader, believes that nobody else can lead. */
  leaseUntil = 0;

  constructor(world: World, node: SimNode) {
    this.world = world;
    this.node = node;
  }

  /** The node was started: what its disk held is the point to go on from. */
  booted(core: RaftCore): void {
    const { world, node } = this;
    this.start = node.start;
    this.seenCommit = core.commitIndex;
    this.seenTerm = core.term;
    this.seenConf = core.confState;
    this.seenConfIndex = core.confIndex;
    this.seenRole = 'follower';
    this.forgetRounds();
    for (let index = core.firstIndex; index <= this.seenCommit; index++) {
      const isKnown = world.ghost.isCommitted(node.id, index, core.termAt(index));
      must(isKnown, 'commit survives a restart', () => `node ${node.id} at ${index}`);
    }
  }

  private forgetRounds(): void {
    this.roundStarts.clear();
    this.seenConfirmed = 0;
    this.leaseUntil = 0;
  }

  /** Something happened to the core. */
  observe(core: RaftCore): void {
    const { world } = this;
    must(
      core.term >= this.seenTerm,
      'term is monotonic',
      () => `node ${this.node.id}: ${core.term} after ${this.seenTerm}`,
    );
    this.seenTerm = core.term;
    if (core.role === 'leader' && this.seenRole !== 'leader') this.observeElection(core);
    this.observeCommit(core);
    this.observeConf(core);
    this.observeLease(core);
    if (core.role !== this.seenRole) world.trace(() => `node ${this.node.id} is ${core.role} in term ${core.term}`);
    this.seenRole = core.role;
  }

  private observeElection(core: RaftCore): void {
    const { world } = this;
    world.ghost.leads(`node ${this.node.id} start ${this.start}`, core.term);
    world.mark('leader elected');
    const last = world.ghost.commitIndex;
    const has = last < core.firstIndex || core.termAt(last) === world.ghost.committed[last];
    must(has, 'leader completeness', () => `node ${this.node.id} leads term ${core.term} without ${last}`);
    this.forgetRounds();
    world.observeElection(this.node);
  }

  private observeCommit(core: RaftCore): void {
    const { ghost, nodes } = this.world;
    const commit = core.commitIndex;
    must(
      commit >= this.seenCommit,
      'commit is monotonic',
      () => `node ${this.node.id}: ${commit} after ${this.seenCommit}`,
    );
    for (let index = Math.max(this.seenCommit + 1, core.firstIndex); index <= commit; index++) {
      const term = core.termAt(index);
      if (ghost.isCommitted(this.node.id, index, term)) continue;
      must(
        core.role === 'leader' || this.seenRole === 'leader',
        'only a leader commits',
        () => `node ${this.node.id} at ${index}`,
      );
      const confs = this.seenConf === null ? [core.confState] : [this.seenConf, core.confState];
      ghost.commits(
        { index, term },
        confs,
        nodes.map((node) => node.disk),
      );
    }
    this.seenCommit = commit;
  }

  private observeConf(core: RaftCore): void {
    const { world } = this;
    if (core.confIndex !== this.seenConfIndex) {
      if (core.confIndex < this.seenConfIndex) world.mark('configuration rolled back');
      const entry = core.entry(core.confIndex);
      if (
        core.role === 'leader' &&
        entry?.term === core.term &&
        entry.type === ENTRY_TYPES.confChange &&
        core.confIndex > this.seenConfIndex
      ) {
        must(
          this.seenConfIndex <= world.ghost.commitIndex,
          'one configuration change at a time',
          () => `node ${this.node.id}: ${core.confIndex} while ${this.seenConfIndex} is open`,
        );
        world.mark(core.confState.votersOutgoing.length > 0 ? 'joint configuration entered' : 'configuration changed');
      }
    }
    this.seenConfIndex = core.confIndex;
    this.seenConf = core.confState;
  }

  private observeLease(core: RaftCore): void {
    if (!this.world.profile.isLeased || core.role !== 'leader') return;
    if (!this.roundStarts.has(core.readRound)) this.roundStarts.set(core.readRound, this.world.now);
    if (core.readRoundConfirmed > this.seenConfirmed) {
      this.seenConfirmed = core.readRoundConfirmed;
      const since = this.roundStarts.get(this.seenConfirmed) ?? 0;
      this.leaseUntil = since + (this.world.profile.raft.electionTicks - 1) * TICK;
    }
  }

  /** True if this node would serve reads without asking, by its lease. */
  get isLeaseHeld(): boolean {
    const { core } = this.node;
    return core !== null && core.role === 'leader' && core.isLeaseAllowed && this.world.now < this.leaseUntil;
  }
}
