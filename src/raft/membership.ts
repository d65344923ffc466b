/**
 * Who belongs to the group, and how that changes.
 *
 * A configuration takes effect when its entry is appended, committed or not (thesis §4.1), and goes away when that entry
 * is truncated. So the history of configurations runs beside the log: the one that holds as of the log's base, and one
 * for each change entry after it; the last one is in force.
 *
 * A change by one voter is simple: majorities of old and new overlap. Anything else goes through a joint configuration,
 * in which both majorities must agree (thesis §4.3); an empty change leaves it again. The leader proposes that one by
 * itself once the joint entry is committed. A voter that becomes a learner by a joint change stays a voter of the
 * outgoing half until then (`learnersNext`), so no node is voter and learner at once.
 *
 * Rejected: taking effect at apply. It needs a guard in elections (a committed change that is not applied yet), and
 * makes safety depend on how far the state machine has got.
 */
import { assert, mustExist } from '../base/assert.ts';
import type { LogIndex, NodeId } from '../base/ids.ts';
import type { ConfChange, ConfState } from './types.ts';
import { violated } from './violation.ts';

/** The membership of a node that belongs to no group yet: it waits for a snapshot. */
export const BLANK_CONF: ConfState = Object.freeze({ voters: [], votersOutgoing: [], learners: [], learnersNext: [] });

/** The change that leaves a joint configuration. */
export const LEAVE_JOINT: ConfChange = Object.freeze({ changes: [], joint: false, context: new Uint8Array(0) });

/** Members of one list; also the limit that the wire format states. */
export const MEMBERS_MAX = 1024;

export function isJoint(conf: ConfState): boolean {
  return conf.votersOutgoing.length > 0;
}

/** True if the node's vote counts in either half. */
export function isVoterOf(conf: ConfState, node: NodeId): boolean {
  return conf.voters.includes(node) || conf.votersOutgoing.includes(node);
}

/** Every node that the leader replicates to, each once. */
export function membersOf(conf: ConfState): readonly NodeId[] {
  return [...new Set([...conf.voters, ...conf.votersOutgoing, ...conf.learners, ...conf.learnersNext])];
}

/** Why `change` cannot follow `conf`; null if it can. */
export function objectionTo(conf: ConfState, change: ConfChange): string | null {
  const named = new Set(change.changes.map((one) => one.node));
  if (named.size !== change.changes.length) return 'a node is named twice in one change';
  if (change.changes.length === 0) {
    if (change.joint) return 'a joint change must change something';
    return isJoint(conf) ? null : 'there is no joint configuration to leave';
  }
  if (isJoint(conf)) return 'the joint configuration must be left first';
  const next = apply(conf, change);
  if (next.voters.length === 0) return 'no voter would be left';
  if (membersOf(next).length > MEMBERS_MAX) return `more than ${MEMBERS_MAX} members`;
  return null;
}

/** The configuration after `change`, which must have no objection. */
function changeConf(conf: ConfState, change: ConfChange): ConfState {
  const objection = objectionTo(conf, change);
  if (objection !== null) violated(`configuration change refused: ${objection}`);
  if (change.changes.length > 0) return apply(conf, change);
  return {
    voters: conf.voters,
    votersOutgoing: [],
    learners: [...conf.learners, ...conf.learnersNext].sort(ascending),
    learnersNext: [],
  };
}

function apply(conf: ConfState, change: ConfChange): ConfState {
  const isJointChange = change.joint || change.changes.length > 1;
  const outgoing = isJointChange ? conf.voters : [];
  const voters = new Set(conf.voters);
  const learners = new Set(conf.learners);
  const learnersNext = new Set<NodeId>();
  for (const { kind, node } of change.changes) {
    voters.delete(node);
    learners.delete(node);
    if (kind === 'addVoter') voters.add(node);
    else if (kind === 'addLearner') (outgoing.includes(node) ? learnersNext : learners).add(node);
  }
  return {
    voters: [...voters].sort(ascending),
    votersOutgoing: outgoing,
    learners: [...learners].sort(ascending),
    learnersNext: [...learnersNext].sort(ascending),
  };
}

function ascending(a: number, b: number): number {
  return a - b;
}

/** Why `conf` cannot be the membership of a group; null if it can. A blank one has no objection. */
export function objectionToConf(conf: ConfState): string | null {
  const lists = [conf.voters, conf.votersOutgoing, conf.learners, conf.learnersNext];
  for (const list of lists) {
    if (list.length > MEMBERS_MAX) return `more than ${MEMBERS_MAX} members`;
    if (new Set(list).size !== list.length) return 'a member is listed twice';
    if (list.some((node) => !Number.isInteger(node) || node < 1)) return 'a member id is not a positive integer';
  }
  if (conf.voters.length === 0 && membersOf(conf).length > 0) return 'members without a voter';
  if (conf.learnersNext.length > 0 && !isJoint(conf)) return 'learnersNext outside a joint configuration';
  if (conf.learners.some((node) => isVoterOf(conf, node))) return 'a voter is a learner too';
  if (conf.learnersNext.some((node) => !conf.votersOutgoing.includes(node))) return 'learnersNext was no voter';
  if (conf.learnersNext.some((node) => conf.voters.includes(node))) return 'learnersNext stays a voter';
  return null;
}

interface Epoch {
  /** The entry that brought the configuration, or the base of the log. */
  readonly index: LogIndex;
  readonly conf: ConfState;
}

export class Membership {
  /** Ascending by index, never empty; the last one is in force. */
  private epochs: Epoch[];

  constructor(index: LogIndex, conf: ConfState) {
    const objection = objectionToConf(conf);
    if (objection !== null) violated(`initial membership: ${objection}`);
    this.epochs = [{ index, conf }];
  }

  private get last(): Epoch {
    return mustExist(this.epochs[this.epochs.length - 1], 'the membership history is empty');
  }

  /** The configuration in force. */
  get conf(): ConfState {
    return this.last.conf;
  }

  /** The entry that brought the configuration in force (or the base of the log, if no entry in memory did). */
  get confIndex(): LogIndex {
    return this.last.index;
  }

  /** True until a snapshot has told this node who belongs to the group. */
  get isBlank(): boolean {
    return this.last.conf.voters.length === 0;
  }

  /** The configuration as of `index`, which is not below the log's base. */
  at(index: LogIndex): ConfState {
    for (let i = this.epochs.length - 1; i >= 0; i--) {
      const epoch = this.epochs[i];
      if (epoch !== undefined && epoch.index <= index) return epoch.conf;
    }
    violated(`the membership as of ${index} is compacted away`);
  }

  /** The change entry at `index` was appended. */
  appended(index: LogIndex, change: ConfChange): void {
    assert(index > this.last.index, `configuration entry ${index} does not follow ${this.last.index}`);
    assert(!this.isBlank, `configuration entry ${index} reached a node that knows no members`);
    this.epochs.push({ index, conf: changeConf(this.last.conf, change) });
  }

  /** The log lost everything from `index` on; true if the configuration in force went with it. */
  truncated(index: LogIndex): boolean {
    const before = this.epochs.length;
    while (this.epochs.length > 1 && this.last.index >= index) this.epochs.pop();
    assert(this.last.index < index, `the base configuration at ${this.last.index} was truncated at ${index}`);
    return this.epochs.length < before;
  }

  /** The log starts after `index` now. */
  compacted(index: LogIndex): void {
    let keep = 0;
    while (keep + 1 < this.epochs.length && (this.epochs[keep + 1]?.index ?? Infinity) <= index) keep++;
    if (keep > 0) this.epochs.splice(0, keep);
  }

  /** A snapshot replaced the log. */
  replaced(index: LogIndex, conf: ConfState): void {
    this.epochs = [{ index, conf }];
  }
}
