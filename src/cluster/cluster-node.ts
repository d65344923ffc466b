/**
 * A node's part in the cluster: its replicas, its links, the way of requests to their leaders. This is where the rooms
 * below meet; it holds no algorithm of its own.
 */
import { Alarm } from '../base/alarm.ts';
import { mustExist } from '../base/assert.ts';
import { type GroupId, METADATA_GROUP, type NodeId, SLOT_COUNT, type Slot, type Timestamp } from '../base/ids.ts';
import { ByteReader } from '../base/bytes.ts';
import { KahunaError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Platform } from '../base/platform.ts';
import { slotOfKey, tagOfSlot } from '../base/slots.ts';
import type { DataCommand } from '../commands/define.ts';
import { ApplyPace } from '../partition/apply-pace.ts';
import { Engine } from '../partition/engine.ts';
import { KeyElsewhere } from '../partition/evaluation-ends.ts';
import type { Unblocking } from '../partition/job.ts';
import { type KeyspaceCounts, KeyspaceStats } from '../partition/keyspace-stats.ts';
import { floorRow, holdRow } from '../partition/holds.ts';
import { encodeKeysAt } from '../partition/moment-codec.ts';
import { keysAtRow, momentRows } from '../partition/moments.ts';
import { participantRows } from '../partition/participant.ts';
import { RecordReader } from '../partition/record-reader.ts';
import { Replica, type ReplicaHost } from '../partition/replica.ts';
import type { MemoryBudget } from '../partition/resident.ts';
import { Scanner, slotOfCursor } from '../partition/scanner.ts';
import { decodeMessage, encodeMessage } from '../raft/codec.ts';
import type { Message } from '../raft/types.ts';
import { WireWriter } from '../raft/wire.ts';
import { decodeReplies } from '../resp/decode.ts';
import { EncodedReply, ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';
import { METADATA_SLOT } from '../storage/data/keys.ts';
import type { DataStore } from '../storage/data/types.ts';
import type { LogCheckpoint, RaftLog } from '../storage/log/types.ts';
import { Transport } from '../transport/transport.ts';
import type { TransactionOptions } from '../txn/interactive.ts';
import type { TransactionStats } from '../txn/transaction-stats.ts';
import type {
  Cluster,
  HistoryReport,
  NodeDescription,
  OpenTransaction,
  PartitionDescription,
  ReplicaStatus,
  Work,
} from './api.ts';
import { WriteMark } from './api.ts';
import { AppliedBarrier } from './applied-barrier.ts';
import { fanOut } from './fan-out.ts';
import { Forwarder } from './forwarder.ts';
import { Founding } from './founding.ts';
import { internalRows, joinKeyspaces, keyspaceOf, keyspaceRow, timestampRow } from './internal-rows.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';
import { Holds, holdRows, readHolds } from './holds.ts';
import { Moments } from './moments.ts';
import { Leaderships } from './leaderships.ts';
import type { ClusterNodeOptions } from './node-options.ts';
import { openGroup } from './open-replica.ts';
import { Peers } from './peers.ts';
import { Quarantine } from './quarantine.ts';
import { statusOf } from './replica-status.ts';
import { ReplicaWait } from './replica-wait.ts';
import { readAnswer, readUnblock, readUnblockAnswer } from './request-codec.ts';
import type { Route } from './route.ts';
import { Router } from './router.ts';
import { ReplicatedScripts } from './script-catalog.ts';
import { Scrub } from './scrub.ts';
import { Snapshots } from './snapshots.ts';
import { partitionOfSlot, type Topology, type TopologyNode, type TopologyPartition } from './topology.ts';
import { Transactions } from './transactions.ts';

/** Share of the shortest election time-out that a lease lasts, in thousandths: the rest is for drift of the clocks. */
const LEASE_PER_MILLE = 900;
/** How much longer than any deadline the answers to requests are kept, in ms. */
const REQUEST_WINDOW_SLACK_MS = 5_000;
/** Least time between two looks at what waits here, in ms. */
const LOOK_GAP_MS = 20;
/** Time between two looks at what nobody asks for: whom to hand leadership to, what to say about damage and first starts, in ms. */
const CARE_MS = 500;
export class ClusterNode implements Cluster, ReplicaHost {
  readonly clusterId: string;
  readonly scripts: ReplicatedScripts;
  readonly holds: Holds;
  readonly engine: Engine;
  readonly transport: Transport;
  readonly dataCommands: readonly DataCommand[];
  readonly keyspaceStats = new KeyspaceStats();
  readonly scrub: Scrub;
  readonly leaderships: Leaderships;
  readonly clock: Platform['clock'];
  readonly timers: Platform['timers'];
  readonly random: Platform['random'];
  readonly log: Logger;
  readonly raftLog: RaftLog;
  readonly data: DataStore;
  readonly budget: MemoryBudget;
  readonly applyPace: ApplyPace;
  readonly #options: ClusterNodeOptions;
  readonly #topology: Topology;
  readonly #commands = new Map<string, DataCommand>();
  readonly #router: Router;
  readonly #transactions: Transactions;
  readonly #moments: Moments;
  readonly #forwarder: Forwarder;
  readonly #snapshots: Snapshots;
  readonly #replicaWait: ReplicaWait;
  readonly #appliedBarrier: AppliedBarrier;
  readonly #founding: Founding;
  readonly #quarantine: Quarantine;
  readonly #raftWriter = new WireWriter();
  readonly peers: Peers;
  readonly #alarm: Alarm;

  constructor(options: ClusterNodeOptions) {
    this.#options = options;
    this.clock = options.platform.clock;
    this.timers = options.platform.timers;
    this.random = options.platform.random;
    this.log = options.log;
    this.raftLog = options.raftLog;
    this.data = options.data;
    this.budget = options.budget;
    this.applyPace = new ApplyPace(this.clock, this.timers);
    this.#topology = options.topology;
    this.clusterId = options.topology.clusterId;
    const { platform, raftLog, data, log, topology } = options;
    this.#alarm = new Alarm(platform, {
      gapMs: LOOK_GAP_MS,
      ring: () => {
        this.#look();
      },
    });
    this.engine = new Engine({
      platform,
      raftLog,
      data,
      log,
      tickMs: options.heartbeatMs,
      checkpointIntervalMs: options.checkpointIntervalMs,
      history: options.history,
      events: {
        flushMessages: () => {
          this.transport.flush();
        },
      },
    });
    this.transport = new Transport({
      platform,
      identity: options.identity,
      secret: options.secret,
      listen: options.listen,
      peers: topology.nodes.map(({ id, host, port }) => ({ node: id, host, port })),
      log,
      events: {
        message: (from, kind, payload) => {
          this.#received(from, kind, payload);
        },
        linkUp: (node) => {
          this.#linkUp(node);
        },
        linkDown: (node) => {
          this.#linkDown(node);
        },
        snapshotConnection: (from, channel) => {
          this.#snapshots.receive(from, channel);
        },
      },
    });
    this.leaderships = new Leaderships({
      node: topology.self.id,
      platform,
      partitions: topology.partitions,
      transport: this.transport,
      replicas: this.engine.replicas,
    });
    this.peers = new Peers({
      platform,
      transport: this.transport,
      nodes: topology.nodes,
      bootEpoch: options.identity.bootEpoch,
      clientAddress: options.clientAddress,
    });
    this.#snapshots = new Snapshots({
      platform,
      data,
      raftLog,
      dataDirectory: options.dataDirectory,
      log,
      engine: () => this.engine,
      hold: (group, floor) => this.engine.history.holds(group, floor),
      transport: () => this.transport,
    });
    this.#router = new Router(topology, {
      clock: platform.clock,
      node: topology.self.id,
      bootEpoch: options.identity.bootEpoch,
      commandTimeoutMs: options.commandTimeoutMs,
      submitHere: (group, job) => {
        this.#replica(group).submit(job);
      },
      cancelHere: (group, job) => {
        this.engine.replicas.get(group)?.cancel(job);
      },
      sendRequest: (to, route, job) => this.peers.sendRequest(to, route, job),
      sendCancel: (to, counter) => {
        this.peers.sendCancel(to, counter);
      },
      unblockHere: (group, job, how) => this.engine.replicas.get(group)?.unblock(job, how) ?? false,
      sendUnblock: (to, what) => {
        this.peers.sendUnblock(to, what);
      },
      isServingHere: (group) => this.engine.replicas.get(group)?.isServing ?? false,
      endOfTurn: (callback) => {
        platform.timers.endOfTurn(callback);
      },
      lookAt: (atMs) => {
        this.#alarm.at(atMs);
      },
      submitAcross: (work) => {
        this.#transactions.submit(work);
      },
      sessionIsIdle: (mark) => {
        this.#transactions.mayBegin(mark);
      },
    });
    this.#transactions = new Transactions({
      node: topology.self.id,
      bootEpoch: options.identity.bootEpoch,
      clock: platform.clock,
      timers: platform.timers,
      random: platform.random,
      log,
      keyspaceStats: this.keyspaceStats,
      commandTimeoutMs: options.commandTimeoutMs,
      groupOfCursor: (cursor) =>
        partitionOfSlot(topology.partitions, Math.min(SLOT_COUNT - 1, slotOfCursor(cursor))).id,
      tags: topology.partitions.map(({ firstSlot }) => tagOfSlot(firstSlot)),
      groupOf: (key) => partitionOfSlot(topology.partitions, slotOfKey(key)).id,
      replicas: () => this.engine.replicas.values(),
      isConnected: (node, bootEpoch) => this.transport.isUp(node) && this.peers.bootEpochOf(node) === bootEpoch,
      silenceMs: (node) => this.transport.silenceMs(node),
      submit: (work) => {
        this.submit(work);
      },
      submitTo: (group, work) => {
        this.#router.submitTo(this.#router.route(group), work);
      },
    });
    this.#moments = new Moments(this.#transactions.moments, log);
    const wake = (): void => {
      this.peers.wake();
    };
    this.#forwarder = new Forwarder({
      transport: this.transport,
      bootEpochOf: (node) => this.peers.bootEpochOf(node),
      replicaOf: (group) => this.engine.replicas.get(group),
      commandOf: (name) => this.#commands.get(name),
      nowMs: () => platform.clock.monotonicMs(),
      wake,
      mustFetchScript: (job, then) => this.scripts.mustFetch(job, then),
    });
    this.#replicaWait = new ReplicaWait({
      clock: platform.clock,
      timers: platform.timers,
      node: topology.self.id,
      transport: this.transport,
      replicaOf: (group) => this.engine.replicas.get(group),
      leaderOf: (group) => this.#router.route(group).leader,
      wake,
    });
    const reader = new RecordReader(data, platform, () => METADATA_SLOT);
    if (topology.metadata.replicas.length > 1) {
      reader.onDamage = (error) => {
        this.engine.replicas.get(METADATA_GROUP)?.reader.fail(error);
      };
    }
    this.#appliedBarrier = new AppliedBarrier({
      timers: platform.timers,
      transport: this.transport,
      nodes: topology.nodes.map(({ id }) => id).filter((id) => id !== topology.self.id),
      appliedIndexOf: (group) => this.engine.replicas.get(group)?.appliedIndex ?? Number.POSITIVE_INFINITY,
      wake,
    });
    this.#quarantine = new Quarantine({
      node: topology.self.id,
      clock: platform.clock,
      disk: platform.disk,
      process: platform.process,
      log,
      dataDirectory: options.dataDirectory,
      transport: this.transport,
      replicas: () => this.engine.replicas,
      isReceiving: (group) => this.#snapshots.isReceiving(group),
      sendCopy: (replica, to) => {
        this.#snapshots.sendCopy(replica, to);
      },
      wake,
    });
    this.scrub = new Scrub({
      node: topology.self.id,
      platform,
      log,
      settings: options.scrub,
      transport: this.transport,
      replicas: () => this.engine.replicas,
      wake,
    });
    this.#founding = new Founding({
      node: topology.self.id,
      clock: platform.clock,
      log,
      transport: this.transport,
      replicas: () => this.engine.replicas.values(),
      nameOf: (node) => topology.nodes.find(({ id }) => id === node)?.name ?? String(node),
    });
    this.scripts = new ReplicatedScripts(reader, {
      call: async (command, args) => {
        const mark = new WriteMark();
        const reply = await this.#callGroup(METADATA_GROUP, command, args, { mark });
        return { reply, index: mark.index };
      },
      appliedEverywhere: (index) => this.#appliedBarrier.wait(METADATA_GROUP, index),
      flushedAt: () => this.engine.replicas.get(METADATA_GROUP)?.applier.state.flushedAt[0] ?? 0,
    });
    this.holds = new Holds({
      clock: platform.clock,
      log,
      groups: topology.partitions.map(({ id }) => id),
      retentionMs: options.history.retentionMs,
      call: (group, command, args, callOptions) => this.#callGroup(group, command, args, callOptions),
      latest: (deadlineMs) => this.latestTimestamp(deadlineMs),
      pass: (at, deadlineMs) => this.#pass(at, deadlineMs),
      metadata: () => this.engine.replicas.get(METADATA_GROUP),
      stored: () => readHolds(reader),
    });
    this.dataCommands = options.dataCommands(this.scripts);
    for (const row of [
      ...this.dataCommands,
      ...internalRows,
      ...holdRows,
      ...participantRows,
      ...momentRows,
      holdRow,
      floorRow,
    ]) {
      this.#commands.set(row.name, row);
      for (const sub of row.subcommands) this.#commands.set(sub.name, sub);
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Start and end

  async start(): Promise<void> {
    const { topology } = this.#options;
    const here = [topology.metadata, ...topology.partitions].filter(({ replicas }) => replicas.includes(this.node));
    await this.#quarantine.load();
    for (const partition of here) {
      const installed = await this.#snapshots.resume(partition.id, slotsOf(partition));
      // What was damaged has been replaced.
      if (installed !== undefined) this.#quarantine.end(partition.id);
      this.engine.add(this.#openReplica(partition, installed));
    }
    this.#options.raftLog.releaseRecovered();
    await this.transport.start();
    this.engine.start();
    this.scrub.start();
    this.#look();
  }

  #openReplica(partition: TopologyPartition, installed: LogCheckpoint | undefined): Replica {
    const { platform, data, raftLog, electionTimeoutMs, heartbeatMs } = this.#options;
    const isMetadata = partition.id === METADATA_GROUP;
    const slotOf = isMetadata ? (): Slot => METADATA_SLOT : this.#slotOfHere(partition);
    const electionTicks = Math.max(2, Math.round(electionTimeoutMs / heartbeatMs));
    const stored = openGroup({
      group: partition.id,
      node: this.node,
      voters: partition.replicas,
      raftLog,
      data,
      process: platform.process,
      random: platform.random,
      installed,
      quarantine: installed === undefined ? this.#quarantine.reasonOf(partition.id) : null,
      electionTicks,
      usesLeases: this.#options.readConsistency === 'lease',
    });
    const endSlot = isMetadata ? METADATA_SLOT : (this.#topology.partitions.at(-1)?.lastSlot ?? 0);
    return new Replica(
      this,
      {
        group: partition.id,
        core: stored.core,
        slots: slotsOf(partition),
        reader: new RecordReader(data, platform, slotOf),
        scanner: new Scanner(data, { first: partition.firstSlot, last: partition.lastSlot, end: endSlot }),
        slotOf,
        readConsistency: this.#options.readConsistency,
        // The others count whole ticks, the first of which may be short.
        leaseMs: ((electionTicks - 1) * heartbeatMs * LEASE_PER_MILLE) / 1_000,
        commandTimeoutMs: this.#options.commandTimeoutMs,
        // A node alone repeats nothing: its clients' requests end with it.
        requestWindowMs:
          this.#topology.nodes.length === 1 ? 0 : this.#options.commandTimeoutMs + REQUEST_WINDOW_SLACK_MS,
        logMemoryBytes: this.#options.logMemoryBytes,
        applied: stored.applied,
        damage: stored.damage,
      },
      stored.checkpoint,
    );
  }

  /** Slot of a key that must lie in this partition: a script may name any key. */
  #slotOfHere(partition: TopologyPartition): (key: string) => Slot {
    if (this.#topology.partitions.length === 1) return slotOfKey;
    return (key) => {
      const slot = slotOfKey(key);
      if (slot < partition.firstSlot || slot > partition.lastSlot) throw new KeyElsewhere();
      return slot;
    };
  }

  async close(): Promise<void> {
    this.#alarm.close();
    this.#replicaWait.close();
    this.#transactions.close();
    await this.#snapshots.close();
    await Promise.all([this.scrub.close(), this.engine.close()]);
    await this.#quarantine.close();
    await this.transport.close();
  }

  /** Whatever falls due with time here, and is no replica's. */
  #look(): void {
    const nextMs = this.#router.look();
    this.#founding.tick();
    this.#quarantine.tick();
    this.leaderships.look();
    this.holds.look();
    this.#alarm.at(Math.min(nextMs, this.clock.monotonicMs() + CARE_MS));
  }

  // -------------------------------------------------------------------------------------------------------------
  // Cluster

  get self(): NodeDescription {
    return this.#describe(this.#topology.self);
  }

  get isReady(): boolean {
    return [this.#topology.metadata, ...this.#topology.partitions].every(
      ({ id }) => this.#router.route(id).leader !== 0,
    );
  }

  nodes(): readonly NodeDescription[] {
    return this.#topology.nodes.map((node) => this.#describe(node));
  }

  #describe(node: TopologyNode): NodeDescription {
    const isSelf = node.id === this.node;
    const told = isSelf ? this.peers.clientAddress : this.peers.addressOf(node.id);
    return {
      id: node.id,
      name: node.name,
      hexId: node.hexId,
      clientHost: told?.host ?? node.host,
      clientPort: told?.port ?? 0,
      clusterPort: isSelf ? this.transport.port : node.port,
      isSelf,
      isConnected: isSelf || this.transport.isUp(node.id),
    };
  }

  /** The port that clients reach this node at, once it is bound. */
  announceClientPort(port: number): void {
    this.peers.announceClientPort(port);
  }

  partitions(): readonly PartitionDescription[] {
    return this.#topology.partitions.map((partition) => this.#describePartition(partition));
  }

  partitionOfSlot(slot: Slot): PartitionDescription {
    return this.#describePartition(partitionOfSlot(this.#topology.partitions, slot));
  }

  #describePartition(partition: TopologyPartition): PartitionDescription {
    const { leader, term } = this.#router.route(partition.id);
    const { id, firstSlot, lastSlot, replicas } = partition;
    return { id, firstSlot, lastSlot, replicas, leader, term };
  }

  replicaStatus(): readonly ReplicaStatus[] {
    return [...this.engine.replicas.values()].map(statusOf);
  }

  submit(work: Work): void {
    if (work.asOf !== undefined && work.asOf !== 0) {
      this.#moments.submit(work, work.asOf);
      return;
    }
    if (work.mark.crossing !== null) {
      work.mark.crossing.waiting.push({ work, run: null, isElder: false });
      return;
    }
    if (this.#topology.partitions.length > 1 && fanOut(work, this)) return;
    this.#router.submit(work);
  }

  get transactionStats(): TransactionStats {
    return this.#transactions.stats;
  }

  beginTransaction(options: TransactionOptions, mark: WriteMark): OpenTransaction {
    return this.#transactions.begin(options, mark);
  }

  cancel(work: Work): void {
    if (!this.#transactions.cancel(work)) this.#router.cancel(work);
  }

  unblock(work: Work, how: Unblocking): Promise<boolean> {
    return this.#router.unblock(work, how);
  }

  get routes(): readonly Route[] {
    return this.#topology.partitions.map(({ id }) => this.#router.route(id));
  }

  routeOfSlot(slot: Slot): Route {
    return this.#router.route(partitionOfSlot(this.#topology.partitions, slot).id);
  }

  submitTo(route: Route, work: Work): void {
    this.#router.submitTo(route, work);
  }

  flush(work: Work): void {
    this.#transactions.flush(work);
  }

  async keyspaceCounts(database: number, deadlineMs: number): Promise<KeyspaceCounts> {
    const replies = await Promise.all(
      this.#topology.partitions.map(({ id }) => this.#callGroup(id, keyspaceRow, [], { database, deadlineMs })),
    );
    return replies.map(keyspaceOf).reduce(joinKeyspaces);
  }

  /** What is asked for later shall be later everywhere: partitions whose time lags behind pass this moment, durably. */
  async timestamp(deadlineMs: number): Promise<Timestamp> {
    const at = await this.latestTimestamp(deadlineMs);
    await this.#pass(at, deadlineMs);
    return at;
  }

  /** No partition commits anything at or below the moment any more. */
  async #pass(at: Timestamp, deadlineMs: number): Promise<void> {
    const payload = encodeKeysAt({ at, keys: [] });
    const promises = await Promise.all(
      this.#topology.partitions.map(({ id }) => this.#callGroup(id, keysAtRow, [payload], { deadlineMs })),
    );
    for (const promise of promises) if (promise instanceof ErrorReply) throw new ReplyError(promise);
  }

  async historyFloor(deadlineMs: number): Promise<Timestamp> {
    const floors = await Promise.all(
      this.#topology.partitions.map(({ id }) => this.#callGroup(id, floorRow, [], { deadlineMs })),
    );
    return Math.max(...floors.map(numberOf));
  }

  get historyReport(): HistoryReport {
    const { keepsHistory, historyFloor } = this.#options.data;
    return { isKept: keepsHistory, floor: historyFloor, heldFloor: this.engine.history.heldFloor };
  }

  async latestTimestamp(deadlineMs: number): Promise<Timestamp> {
    const readings = await Promise.all(
      this.#topology.partitions.map(({ id }) => this.#callGroup(id, timestampRow, [], { deadlineMs })),
    );
    return Math.max(...readings.map(numberOf));
  }

  waitForReplicas(mark: WriteMark, count: number, timeoutMs: number): Promise<number> {
    const group = mark.index === 0 ? (this.#topology.partitions[0]?.id ?? 1) : mark.group;
    return this.#replicaWait.wait(group, mark.index, { count, timeoutMs });
  }

  #callGroup(
    group: GroupId,
    command: DataCommand,
    args: readonly Buffer[],
    session: { readonly database?: number; readonly mark?: WriteMark; readonly deadlineMs?: number } = {},
  ): Promise<Reply> {
    return new Promise<Reply>((resolve) => {
      this.#router.submitTo(this.#router.route(group), {
        call: { command, argv: [Buffer.from(command.name), ...args], database: session.database ?? 0 },
        transaction: null,
        protocol: 3,
        isNoTouch: true,
        deadlineMs: session.deadlineMs ?? this.#options.platform.clock.monotonicMs() + this.#options.commandTimeoutMs,
        mark: session.mark ?? new WriteMark(),
        complete: (reply) => {
          resolve(reply instanceof EncodedReply ? (decodeReplies(reply.bytes)[0] ?? null) : reply);
        },
      });
    });
  }

  // -------------------------------------------------------------------------------------------------------------
  // ReplicaHost

  get node(): NodeId {
    return this.#topology.self.id;
  }

  wake(replica: Replica): void {
    this.engine.wake(replica);
  }

  lookAt(atMs: number): void {
    this.engine.lookAt(atMs);
  }

  send(group: GroupId, message: Message): void {
    const writer = this.transport.begin(message.to, MESSAGE_KINDS.raft, true);
    if (writer === null) return;
    writer.u32(group);
    this.#raftWriter.clear();
    encodeMessage(message, this.#raftWriter);
    writer.bytes(this.#raftWriter.peek());
    this.transport.end(message.to);
  }

  sendSnapshot(replica: Replica, message: Message): void {
    this.#snapshots.send(replica, message);
  }

  installSnapshot(replica: Replica): void {
    this.#snapshots.install(replica);
  }

  quarantined(replica: Replica, reason: string): void {
    this.#quarantine.begin(replica.group, reason);
    this.engine.quarantined(replica);
    this.#alarm.at(0);
  }

  rebuilt(replica: Replica): void {
    this.#quarantine.end(replica.group);
    this.engine.rebuilt(replica);
  }

  flushed(done: () => void): void {
    this.engine.flushed(done);
  }

  servingChanged(replica: Replica, isServing: boolean): void {
    if (!isServing) {
      this.#router.ceasedHere(replica.group);
      return;
    }
    for (const { id } of this.#topology.nodes) this.peers.sendServing(id, replica);
    this.peers.wake();
    this.#router.leaderServes(replica.group, this.node, replica.term);
  }

  transactionOpened(): void {
    this.#transactions.mayBeOpen();
  }

  holdsChanged(replica: Replica, holds: { readonly floor: Timestamp }): Promise<void> {
    return this.engine.history.holds(replica.group, holds.floor);
  }

  appliedTo(replica: Replica): void {
    this.engine.appliedTo(replica);
    if (replica.group !== METADATA_GROUP) return;
    this.scripts.applied();
    this.#appliedBarrier.applied();
  }

  // -------------------------------------------------------------------------------------------------------------
  // Links

  #received(from: NodeId, kind: number, payload: Buffer): void {
    switch (kind) {
      case MESSAGE_KINDS.raft: {
        const group = new ByteReader(payload).u32();
        const message = decodeMessage(payload.subarray(4));
        if (message.from !== from) {
          throw new KahunaError('MESSAGE_MALFORMED', `node ${from} sent a message of node ${message.from}`);
        }
        this.engine.step(group, message);
        return;
      }
      case MESSAGE_KINDS.request:
        this.#forwarder.received(from, payload);
        return;
      case MESSAGE_KINDS.answer:
        this.#router.answered(from, readAnswer(payload));
        return;
      case MESSAGE_KINDS.cancel:
        this.#forwarder.cancelled(from, new ByteReader(payload).u64());
        return;
      case MESSAGE_KINDS.unblock:
        this.#forwarder.unblock(from, readUnblock(payload));
        return;
      case MESSAGE_KINDS.unblockAnswer:
        this.#router.unblockAnswered(from, readUnblockAnswer(payload));
        return;
      case MESSAGE_KINDS.serving: {
        const reader = new ByteReader(payload);
        const group = reader.u32();
        this.#router.leaderServes(group, from, reader.u64());
        return;
      }
      case MESSAGE_KINDS.waitQuery:
        this.#replicaWait.queried(from, payload);
        return;
      case MESSAGE_KINDS.waitAnswer:
        this.#replicaWait.answered(payload);
        return;
      case MESSAGE_KINDS.appliedQuery:
        this.#appliedBarrier.queried(from, payload);
        return;
      case MESSAGE_KINDS.appliedAnswer:
        this.#appliedBarrier.answered(payload);
        return;
      case MESSAGE_KINDS.rebuildRequest:
        this.#quarantine.requested(from, payload);
        return;
      case MESSAGE_KINDS.blank:
        this.#founding.received(from, payload);
        return;
      case MESSAGE_KINDS.address:
        this.peers.addressTold(from, payload);
        return;
      default:
        // A newer node may say more than this one understands; a keep-alive says nothing.
        this.scrub.received(from, kind, payload);
    }
  }

  #linkUp(node: NodeId): void {
    this.leaderships.linkUp(node);
    this.peers.sendAddress(node);
    this.#founding.linkUp(node);
    for (const replica of this.engine.replicas.values()) if (replica.isServing) this.peers.sendServing(node, replica);
    this.engine.nodeFound(node);
    this.peers.wake();
  }

  #linkDown(node: NodeId): void {
    this.leaderships.linkDown(node);
    this.#forwarder.nodeLost(node);
    this.#router.nodeLost(node);
    this.engine.nodeLost(node);
    this.#transactions.nodeLost(node);
  }

  #replica(group: GroupId): Replica {
    return mustExist(this.engine.replicas.get(group), `group ${group} has a replica on this node`);
  }
}

function slotsOf(partition: TopologyPartition): { readonly first: Slot; readonly last: Slot } {
  return { first: partition.firstSlot, last: partition.lastSlot };
}

function numberOf(reply: Reply): number {
  if (reply instanceof ErrorReply) throw new ReplyError(reply);
  return Number(reply);
}
