/**
 * A group for text scenarios: nothing happens by itself. Messages wait until they are delivered, Readys until they are
 * taken, flushes until they end; every step adds lines to the output. The random source of node n always gives n - 1, so
 * node n waits electionTicks + n - 1 ticks.
 */
import assert from 'node:assert/strict';
import { formatConfState, formatEntry, formatMessage, formatSnapshot } from '../../src/raft/messages.ts';
import { BLANK_CONF } from '../../src/raft/membership.ts';
import { ENTRY_TYPES } from '../../src/raft/types.ts';
import type { Entry, Message, RaftConfig, Ready, SnapshotMetadata } from '../../src/raft/types.ts';
import { SimDisk } from './simulation/disk.ts';
import { OpenCore } from './simulation/planted-bugs.ts';

const decoder = new TextDecoder();

export interface ScenarioNode {
  readonly id: number;
  readonly disk: SimDisk;
  core: OpenCore;
  /** Readys that were taken and whose flush has not ended. */
  pending: Ready[];
  installing: SnapshotMetadata | null;
}

export type ScenarioConfig = Omit<RaftConfig, 'id' | 'randomU32'>;

export const DEFAULT_CONFIG: ScenarioConfig = {
  electionTicks: 10,
  heartbeatTicks: 2,
  appendBytesMax: 1000,
  inflightMessagesMax: 4,
  inflightBytesMax: 10_000,
  uncommittedBytesMax: 10_000,
};

export class ScenarioGroup {
  config: ScenarioConfig = DEFAULT_CONFIG;
  readonly nodes = new Map<number, ScenarioNode>();
  /** Messages under way, in the order in which they were sent. */
  network: Message[] = [];
  private lines: string[] = [];

  say(line: string): void {
    this.lines.push(line);
  }

  takeLines(): string[] {
    const { lines } = this;
    this.lines = [];
    return lines;
  }

  node(id: number): ScenarioNode {
    const node = this.nodes.get(id);
    assert.ok(node !== undefined, `there is no node ${id}`);
    return node;
  }

  /** Starts a node from what `disk` holds. */
  boot(id: number, disk: SimDisk): ScenarioNode {
    const config: RaftConfig = { ...this.config, id, randomU32: () => id - 1 };
    const node = { id, disk, core: new OpenCore(config, disk.initialState()), pending: [], installing: null };
    this.nodes.set(id, node);
    return node;
  }

  blankDisk(): SimDisk {
    return new SimDisk({ index: 0, term: 0, confState: BLANK_CONF });
  }

  /** Takes one Ready: stages it, sends what may leave at once, applies what is committed. */
  ready(node: ScenarioNode): void {
    const ready = node.core.ready();
    node.pending.push(ready);
    const { role, leader, term } = ready.softState;
    this.say(
      `${node.id} ready ${ready.number}: ${role} of term ${term}, leader ${leader}${ready.mustSync ? ', must sync' : ''}`,
    );
    if (ready.hardState !== null) {
      this.say(
        `  hard state: term ${ready.hardState.term} vote ${ready.hardState.vote} commit ${ready.hardState.commit}`,
      );
    }
    if (ready.entries.length > 0) this.say(`  entries: ${formatEntries(ready.entries)}`);
    if (ready.snapshot !== null) {
      this.say(`  install: ${formatSnapshot(ready.snapshot)}`);
      node.installing = ready.snapshot;
    }
    for (const message of ready.messages) this.say(`  send ${formatMessage(message)}`);
    for (const message of ready.messagesAfterPersist) this.say(`  after persist ${formatMessage(message)}`);
    this.network.push(...ready.messages);
    if (ready.committed.length > 0) {
      this.say(`  apply: ${formatEntries(ready.committed)}`);
      node.core.applied(ready.committed[ready.committed.length - 1]?.index ?? 0);
      node.disk.applied = { index: node.core.appliedIndex, hash: 0 };
    }
    for (const read of ready.readStates) this.say(`  read ${read.context} at ${read.index}`);
    for (const context of ready.readsDropped) this.say(`  read ${context} dropped`);
  }

  /** The flush of the Readys up to `number` ends. */
  persist(node: ScenarioNode, number: number): void {
    let last = 0;
    while (node.pending.length > 0 && (node.pending[0]?.number ?? Infinity) <= number) {
      const ready = node.pending.shift();
      if (ready === undefined) break;
      node.disk.write(ready);
      this.network.push(...ready.messagesAfterPersist);
      last = ready.number;
    }
    if (last > 0) node.core.persisted(last);
  }

  /** Delivers those messages under way that `isMeant`, in order; those that this causes wait. */
  deliver(isMeant: (message: Message) => boolean): number {
    const meant = this.network.filter(isMeant);
    this.network = this.network.filter((message) => !isMeant(message));
    for (const message of meant) {
      this.say(formatMessage(message));
      this.nodes.get(message.to)?.core.step(message);
    }
    return meant.length;
  }

  /** Takes Readys, ends flushes and delivers messages among `ids` until nothing moves. */
  stabilize(ids: readonly number[]): void {
    for (let isMoving = true; isMoving; ) {
      isMoving = false;
      for (const id of ids) {
        const node = this.node(id);
        if (!node.core.hasReady() && node.pending.length === 0) continue;
        isMoving = true;
        if (node.core.hasReady()) this.ready(node);
        this.persist(node, Infinity);
      }
      if (this.deliver((message) => ids.includes(message.from) && ids.includes(message.to)) > 0) isMoving = true;
    }
  }

  describe(node: ScenarioNode): string {
    const { core } = node;
    const { vote } = core.internals;
    const votes = core.isAmnesiac ? 'forgotten' : String(vote);
    return `${node.id}: ${core.role} of term ${core.term} vote ${votes} leader ${core.leader} log ${core.firstIndex}..${core.lastIndex} durable ${core.durableIndex} commit ${core.commitIndex} applied ${core.appliedIndex} ${formatConfState(core.confState)}`;
  }
}

export function formatEntries(entries: readonly Entry[]): string {
  return entries
    .map((entry) => {
      if (entry.type !== ENTRY_TYPES.normal || entry.data.length === 0) return formatEntry(entry);
      return `${formatEntry(entry)} "${decoder.decode(entry.data.subarray(0, 20))}"`;
    })
    .join(', ');
}
