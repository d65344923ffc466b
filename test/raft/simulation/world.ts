/**
 * A whole group in one thread: virtual time, seeded choices, faults for a while, then a phase in which everything is
 * healed and the group must come to an agreement. The same seed makes the same run.
 */
import { FORGOTTEN, type LogIndex, type NodeId } from '../../../src/base/ids.ts';
import { RaftCore } from '../../../src/raft/core.ts';
import { BLANK_CONF, isJoint, isVoterOf, membersOf } from '../../../src/raft/membership.ts';
import type { ConfState } from '../../../src/raft/types.ts';
import { strike } from './faults.ts';
import { Ghost, must } from './ghost.ts';
import { SimNetwork } from './network.ts';
import type { CoreFactory } from './node.ts';
import { SimNode } from './node.ts';
import { drawProfile, TICK } from './profile.ts';
import type { Profile } from './profile.ts';
import { SimRandom } from './random.ts';

/** Election times within which a healed group must agree. */
const RECOVERY_ELECTIONS = 60;
/** Delay of a message, and of a flush, when everything is healed. */
const HEALED_DELAY_MAX = 3;
/** Time to replicate one entry when everything is healed and limits allow one at a time. */
const ENTRY_TIME_MAX = 4 * (HEALED_DELAY_MAX + 1);
/** Uncommitted entries beyond which clients wait. */
const BACKLOG_MAX = 60;
/** Events a run may take: more is a livelock. */
const EVENTS_MAX = 400_000;

export interface WorldOptions {
  readonly createCore?: CoreFactory;
  /** The driver sends what should wait for the disk at once: a planted bug. */
  readonly isCareless?: boolean;
  /** Changes the drawn profile, to aim at something. */
  readonly adjust?: (profile: Profile) => Profile;
  /** Called with each line of the trace. */
  readonly onTrace?: (line: string) => void;
}

export class World {
  readonly profile: Profile;
  readonly random: SimRandom;
  readonly ghost = new Ghost();
  readonly network: SimNetwork;
  readonly nodes: SimNode[] = [];
  readonly createCore: CoreFactory;
  readonly isCareless: boolean;
  /** How often something worth knowing happened. */
  readonly marks = new Map<string, number>();
  now = 0;
  isHealed = false;
  events = 0;
  private readonly buckets: ((() => void)[] | undefined)[] = [];
  private readonly onTrace: ((line: string) => void) | undefined;
  private nextContext = 1;
  private nextProposal = 1;

  constructor(seed: number, options: WorldOptions = {}) {
    const profile = drawProfile(seed);
    this.profile = options.adjust?.(profile) ?? profile;
    this.random = new SimRandom(seed, 2);
    this.createCore = options.createCore ?? ((config, initial) => new RaftCore(config, initial));
    this.isCareless = options.isCareless ?? false;
    this.onTrace = options.onTrace;
    this.network = new SimNetwork(this);
    this.createNodes();
  }

  private createNodes(): void {
    const { initialVoters, initialLearners, nodeCount } = this.profile;
    const ids = Array.from({ length: nodeCount }, (_, i) => i + 1);
    const confState: ConfState = {
      ...BLANK_CONF,
      voters: ids.slice(0, initialVoters),
      learners: ids.slice(initialVoters, initialVoters + initialLearners),
    };
    for (const id of ids) {
      const isMember = id <= initialVoters + initialLearners;
      const node = new SimNode(this, id, { index: 0, term: 0, confState: isMember ? confState : BLANK_CONF });
      if (this.profile.isNew === true) node.disk.hardState = { term: 0, vote: FORGOTTEN, commit: 0 };
      this.nodes.push(node);
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Time

  after(delay: number, task: () => void): void {
    const at = this.now + delay;
    const bucket = this.buckets[at];
    if (bucket === undefined) this.buckets[at] = [task];
    else bucket.push(task);
  }

  /** Runs until `time`, or until `isDone`. */
  private runTo(time: number, isDone: () => boolean): boolean {
    for (; this.now < time; this.now++) {
      const bucket = this.buckets[this.now];
      if (bucket === undefined) continue;
      // Tasks may add tasks for this very moment.
      for (let i = 0; i < bucket.length; i++) {
        this.events++;
        bucket[i]?.();
      }
      this.buckets[this.now] = undefined;
      must(this.events <= EVENTS_MAX, 'no livelock', () => `${this.events} events at time ${this.now}`);
      if (isDone()) return true;
    }
    return false;
  }

  /** A delay of up to `max`; short once everything is healed, so that elections can be won. */
  delay(max: number): number {
    return this.random.below((this.isHealed ? Math.min(max, HEALED_DELAY_MAX) : max) + 1);
  }

  trace(line: () => string): void {
    if (this.onTrace !== undefined) this.onTrace(`${String(this.now).padStart(5)} ${line()}`);
  }

  mark(what: string): void {
    this.marks.set(what, (this.marks.get(what) ?? 0) + 1);
  }

  // -------------------------------------------------------------------------------------------------------------
  // The run

  /** Throws a Violation or an AssertionFailure if a rule is broken. */
  run(): void {
    for (const node of this.nodes) node.boot();
    this.every(this.profile.proposeGap, () => this.propose());
    this.every(this.profile.readGap, () => this.read());
    if (this.profile.faultGap !== Infinity) {
      this.every(this.profile.faultGap, () => {
        if (!this.isHealed) strike(this, this.random.pick(this.profile.faults));
      });
    }
    this.runTo(this.profile.faultTime, () => false);
    this.heal();
    // Small limits on what is in flight make a follower that is behind slow, not wrong.
    const backlog = Math.max(...this.nodes.map((node) => node.core?.lastIndex ?? 0));
    const limit = this.now + RECOVERY_ELECTIONS * this.profile.raft.electionTicks * TICK + backlog * ENTRY_TIME_MAX;
    must(
      this.runTo(limit, () => this.isSettled()),
      'a healed group agrees',
      () => this.describe(),
    );
  }

  private every(meanGap: number, task: () => void): void {
    const next = (): void =>
      this.after(this.random.between(1, 2 * meanGap), () => {
        task();
        next();
      });
    next();
  }

  private propose(): void {
    const node = this.random.chance(0.9) ? this.leader() : this.random.pick(this.nodes);
    const { core } = node ?? {};
    if (node === undefined || core === undefined || core === null) return;
    // A backlog that the limits of this seed cannot carry off would only delay the end.
    if (core.lastIndex - core.commitIndex > BACKLOG_MAX) return;
    const count = this.random.between(1, 4);
    for (let i = 0; i < count; i++) {
      const data = new Uint8Array(4 + this.random.below(this.random.chance(0.1) ? 100 : 12));
      new DataView(data.buffer).setUint32(0, this.nextProposal++);
      node.propose(data);
    }
    node.drive();
  }

  private read(): void {
    const node = this.random.pick(this.nodes);
    node.read(this.nextContext++);
    node.drive();
  }

  /** The leader with the highest term, of those that are up. */
  leader(): SimNode | undefined {
    let best: SimNode | undefined;
    for (const node of this.nodes) {
      if (node.core?.role === 'leader' && node.core.term > (best?.core?.term ?? 0)) best = node;
    }
    return best;
  }

  /** A node was elected: nobody else may still hold a lease. */
  observeElection(elected: SimNode): void {
    if (!this.profile.isLeased) return;
    for (const node of this.nodes) {
      must(
        node === elected || !node.observer.isLeaseHeld,
        'a lease excludes other leaders',
        () => `node ${elected.id} is elected, ${node.id} holds one until ${node.observer.leaseUntil}`,
      );
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Recovery

  private healedCommit: LogIndex = 0;
  /** What everybody must have applied in the end; 0 until it is known. */
  private goal: LogIndex = 0;

  private heal(): void {
    this.trace(() => 'everything heals');
    this.isHealed = true;
    this.network.heal();
    this.network.isLossless = true;
    const dead = this.random.chance(0.5) ? this.pickDead() : undefined;
    for (const node of this.nodes) {
      node.stalledUntil = 0;
      if (node === dead) {
        node.crash();
        this.mark('recovery without a voter');
      } else if (!node.isUp) {
        node.boot();
      }
    }
    this.healedCommit = this.ghost.commitIndex;
  }

  /** A node whose absence leaves every configuration that anybody believes in with a quorum. */
  private pickDead(): SimNode | undefined {
    const confs = this.nodes.filter((node) => node.isUp).map((node) => node.core?.confState ?? BLANK_CONF);
    for (const node of this.nodes) {
      const hasForgotten = node.disk.hardState.vote === FORGOTTEN;
      if (node.disk.entries.some((entry) => entry.type === 1) || !node.isUp || hasForgotten) return undefined;
    }
    const able = this.nodes.filter((node) => confs.every((conf) => canLose(conf, node.id)));
    return able.length === 0 ? undefined : this.random.pick(able);
  }

  /** A leader has committed something new, left joint configurations, and everybody in its group has applied it. */
  private isSettled(): boolean {
    const leader = this.leader();
    const core = leader?.core;
    if (leader === undefined || core === null || core === undefined) return false;
    if (!core.hasCommittedOwnTerm || core.commitIndex <= this.healedCommit || isJoint(core.confState)) return false;
    if (this.goal === 0) this.goal = core.commitIndex;
    return membersOf(core.confState).every((id) => {
      const node = this.nodes[id - 1];
      if (node?.core?.isAmnesiac === true) return false;
      return node === undefined || !node.isUp || node.appliedIndex >= this.goal;
    });
  }

  private describe(): string {
    return this.nodes
      .map((node) => {
        const { core } = node;
        if (core === null) return `${node.id} down`;
        return `${node.id} ${core.role} term ${core.term} log ${core.firstIndex}..${core.lastIndex} commit ${core.commitIndex} applied ${core.appliedIndex} voters ${core.confState.voters.join()}`;
      })
      .join('; ');
  }
}

function canLose(conf: ConfState, node: NodeId): boolean {
  if (!isVoterOf(conf, node)) return true;
  return [conf.voters, conf.votersOutgoing].every((voters) => {
    const left = voters.filter((voter) => voter !== node).length;
    return voters.length === 0 || left * 2 > voters.length;
  });
}
