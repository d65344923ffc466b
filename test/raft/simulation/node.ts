/**
 * One simulated node: the driver of a core as partition/ has one, on a disk whose flushes take time. It hands everything
 * that happens to the ghost. A crash throws the core away together with what was staged.
 */
import { assert, mustExist } from '../../../src/base/assert.ts';
import type { LogIndex, NodeId } from '../../../src/base/ids.ts';
import type { RaftCore } from '../../../src/raft/core.ts';
import type { Entry, Message, Ready, RaftConfig, RaftInitialState, SnapshotMetadata } from '../../../src/raft/types.ts';
import { SimDisk } from './disk.ts';
import { must, nextStateHash } from './ghost.ts';
import { Observer } from './observer.ts';
import { TICK } from './profile.ts';
import type { World } from './world.ts';

export type CoreFactory = (config: RaftConfig, initial: RaftInitialState) => RaftCore;

export class SimNode {
  readonly id: NodeId;
  readonly disk: SimDisk;
  /** Absent while the node is down. */
  core: RaftCore | null = null;
  /** Counts starts; whatever belongs to an earlier one must not run. */
  start = 0;
  /** Ticks are withheld until this time. */
  stalledUntil = 0;

  readonly observer: Observer;
  private readonly world: World;
  private pending: Ready[] = [];
  private isFlushing = false;
  private applyQueue: Entry[] = [];
  private isApplying = false;
  private applied = { index: 0, hash: 0 };
  /** State of snapshots that arrived, by index. */
  private readonly received = new Map<LogIndex, number>();
  private isInstalling = false;

  /** Reads under way: context → what was committed when they were asked. */
  private readonly reads = new Map<number, LogIndex>();

  private readonly base: SnapshotMetadata;

  constructor(world: World, id: NodeId, base: SnapshotMetadata) {
    this.base = base;
    this.world = world;
    this.id = id;
    this.disk = new SimDisk(base);
    this.observer = new Observer(world, this);
  }

  get isUp(): boolean {
    return this.core !== null;
  }

  get appliedIndex(): LogIndex {
    return this.applied.index;
  }

  get stateHash(): number {
    return this.applied.hash;
  }

  boot(): void {
    assert(this.core === null, `node ${this.id} is up already`);
    const { world, disk } = this;
    this.start++;
    const { raft } = world.profile;
    this.core = world.createCore({ ...raft, id: this.id, randomU32: () => world.random.u32() }, disk.initialState());
    this.applied = { ...disk.applied };
    this.observer.booted(this.core);
    this.scheduleTick(world.random.below(TICK));
    world.trace(
      () =>
        `node ${this.id} starts: term ${disk.hardState.term} log ${disk.base.index}..${disk.lastIndex} applied ${this.applied.index}`,
    );
    this.drive();
  }

  crash(): void {
    if (this.core === null) return;
    this.world.trace(() => `node ${this.id} crashes`);
    // A flush under way may have reached the disk or not.
    if (this.isFlushing && this.world.random.chance(0.5)) for (const ready of this.flightOf()) this.disk.write(ready);
    this.core = null;
    this.pending = [];
    this.flight = 0;
    this.isFlushing = false;
    this.applyQueue = [];
    this.isApplying = false;
    this.isInstalling = false;
    this.received.clear();
    this.reads.clear();
    this.blanks.clear();
    this.isAsking = false;
  }

  /** The disk is lost with everything on it, while the node is down. */
  lose(): void {
    assert(this.core === null, `node ${this.id} is up`);
    this.disk.lose(this.base);
    this.highestSeen = 0;
    this.world.ghost.lost(this.id);
    this.world.trace(() => `node ${this.id} loses its disk`);
  }

  /** How many of `pending`, from the first on, the flush under way carries. */
  private flight = 0;

  private flightOf(): readonly Ready[] {
    return this.pending.slice(0, this.flight);
  }

  private scheduleTick(delay: number): void {
    const { start } = this;
    this.world.after(delay, () => {
      const { core } = this;
      if (core === null || this.start !== start) return;
      if (this.world.now >= this.stalledUntil) {
        core.tick();
        this.maybeFound(core);
        this.drive();
      }
      if (this.start === start) this.scheduleTick(TICK);
    });
  }

  /** Others that have said, since this start, that they are blank. */
  private readonly blanks = new Set<NodeId>();
  private isAsking = false;

  /** A node with an empty disk asks the others whether they are new too, as the handshake of a connection does. */
  private maybeFound(core: RaftCore): void {
    if (!core.isAmnesiac || !core.isBlank || this.isAsking) return;
    const { world, start } = this;
    this.isAsking = true;
    for (const voter of core.confState.voters) {
      if (voter === this.id) continue;
      world.after(1 + world.delay(world.profile.delayMax), () => {
        const isBlank = world.nodes[voter - 1]?.core?.isBlank === true;
        if (!world.network.isOpen(this.id, voter)) return;
        world.after(1 + world.delay(world.profile.delayMax), () => {
          if (!isBlank || this.start !== start || !world.network.isOpen(voter, this.id)) return;
          this.blanks.add(voter);
          if (!core.confState.voters.every((id) => id === this.id || this.blanks.has(id)) || !core.found()) return;
          world.mark('founded');
          this.drive();
        });
      });
    }
    world.after(10 * TICK, () => {
      if (this.start === start) this.isAsking = false;
    });
  }

  receive(message: Message, stateHash: number): void {
    const { core } = this;
    if (core === null) return;
    if (message.snapshot !== null) this.received.set(message.snapshot.index, stateHash);
    core.step(message);
    this.drive();
  }

  propose(data: Uint8Array): LogIndex {
    const index = this.core?.propose(data) ?? 0;
    return index;
  }

  /** Asks for a linearizable read, here or through the leader. */
  read(context: number): void {
    const { core } = this;
    if (core === null) return;
    const known = this.world.ghost.commitIndex;
    if (core.readIndex(context) || core.forwardReadIndex(context)) this.reads.set(context, known);
  }

  compact(): void {
    const { core } = this;
    if (core === null || this.isInstalling) return;
    const to = Math.min(this.applied.index, core.durableIndex);
    if (to < core.firstIndex) return;
    const index = core.firstIndex + this.world.random.below(to - core.firstIndex + 1);
    this.disk.compact(core.snapshotMetadata(index), { ...this.applied });
    core.compact(index);
    this.world.mark('log compacted');
  }

  // -------------------------------------------------------------------------------------------------------------
  // The driver

  /** Takes everything out of the core and carries it out, until nothing is left. */
  drive(): void {
    const { core } = this;
    if (core === null) return;
    this.observer.observe(core);
    if (core.entryWanted > core.lastIndex) core.propose(new Uint8Array(0));
    while (core.hasReady()) {
      const ready = core.ready();
      for (const [i, entry] of ready.entries.entries()) {
        const before = i === 0 ? core.termAt(entry.index - 1) : (ready.entries[i - 1]?.term ?? 0);
        this.world.ghost.appended(this.id, entry, before);
        if (entry.index <= this.highestSeen) this.world.mark('log truncated');
        this.highestSeen = entry.index;
      }
      this.pending.push(ready);
      this.send(ready.messages);
      if (this.world.isCareless) this.send(ready.messagesAfterPersist);
      this.finishReads(ready);
      for (const entry of ready.committed) this.applyQueue.push(entry);
      if (ready.snapshot !== null) this.install(ready.snapshot, ready.number);
      this.flush();
      this.apply();
      this.observer.observe(core);
    }
  }

  private highestSeen: LogIndex = 0;

  private send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (!this.world.isCareless) this.world.ghost.sends(message, this.disk);
      this.world.network.send(message, this.applied.hash);
    }
  }

  private flush(): void {
    if (this.isFlushing || this.pending.length === 0) return;
    const { world } = this;
    this.flight = world.random.chance(0.8) ? this.pending.length : world.random.between(1, this.pending.length);
    if (!this.flightOf().some((ready) => ready.mustSync)) {
      this.finishFlush();
      return;
    }
    this.isFlushing = true;
    const { start } = this;
    world.after(world.delay(world.profile.flushDelayMax), () => {
      if (this.start !== start || this.core === null) return;
      for (const ready of this.flightOf()) this.disk.write(ready);
      this.isFlushing = false;
      this.finishFlush();
      this.drive();
    });
  }

  private finishFlush(): void {
    const core = mustExist(this.core, 'the node is down');
    const flight = this.pending.splice(0, this.flight);
    this.flight = 0;
    const isOneByOne = this.world.random.chance(0.3);
    for (const [i, ready] of flight.entries()) {
      if (!this.world.isCareless) this.send(ready.messagesAfterPersist);
      if (isOneByOne || i === flight.length - 1) core.persisted(ready.number);
    }
    if (this.pending.length > 0) this.flush();
  }

  private apply(): void {
    if (this.isApplying || this.applyQueue.length === 0) return;
    const { world } = this;
    const delay = world.delay(world.profile.applyDelayMax);
    if (delay === 0) {
      this.applyNow();
      return;
    }
    this.isApplying = true;
    const { start } = this;
    world.after(delay, () => {
      if (this.start !== start || this.core === null) return;
      this.isApplying = false;
      this.applyNow();
      this.drive();
    });
  }

  private applyNow(): void {
    const { ghost } = this.world;
    let { index, hash } = this.applied;
    for (const entry of this.applyQueue) {
      must(entry.index === index + 1, 'applied in order', () => `node ${this.id}: ${entry.index} after ${index}`);
      must(
        ghost.isCommitted(this.id, entry.index, entry.term),
        'only committed entries are applied',
        () => `node ${this.id}: ${entry.index}@${entry.term}`,
      );
      must(
        this.disk.termAt(entry.index) === entry.term,
        'only durable entries are applied',
        () => `node ${this.id}: ${entry.index}@${entry.term}`,
      );
      index = entry.index;
      hash = nextStateHash(hash, entry);
      ghost.applied(this.id, index, hash);
    }
    this.applyQueue = [];
    this.applied = { index, hash };
    if (this.world.random.chance(0.2)) this.disk.applied = { index, hash };
    this.core?.applied(index);
  }

  private install(snapshot: SnapshotMetadata, readyNumber: number): void {
    const { start, world } = this;
    this.isInstalling = true;
    const attempt = (): void => {
      const { core } = this;
      if (this.start !== start || core === null) return;
      // Everything that was handed out before goes first.
      if (this.pending.some((ready) => ready.number <= readyNumber) || this.applyQueue.length > 0) {
        world.after(1, attempt);
        return;
      }
      this.isInstalling = false;
      if (world.random.chance(world.isHealed ? 0 : world.profile.installFailChance)) {
        core.snapshotInstalled(0);
      } else {
        const hash = mustExist(this.received.get(snapshot.index), 'a snapshot without its state');
        world.ghost.applied(this.id, snapshot.index, hash);
        this.disk.installSnapshot(snapshot, hash);
        this.applied = { index: snapshot.index, hash };
        core.snapshotInstalled(snapshot.index);
        this.highestSeen = snapshot.index;
        world.mark('snapshot installed');
      }
      this.drive();
    };
    world.after(1 + world.delay(world.profile.installDelayMax), attempt);
  }

  private finishReads(ready: Ready): void {
    for (const read of ready.readStates) {
      const known = this.reads.get(read.context);
      must(known !== undefined, 'a read is answered once', () => `node ${this.id} context ${read.context}`);
      must(
        read.index >= known,
        'reads are linearizable',
        () => `node ${this.id} serves ${read.index}, ${known} was committed`,
      );
      this.reads.delete(read.context);
      this.world.mark('read confirmed');
    }
    for (const context of ready.readsDropped) {
      must(this.reads.delete(context), 'a read is dropped once', () => `node ${this.id} context ${context}`);
      this.world.mark('read dropped');
    }
  }
}
