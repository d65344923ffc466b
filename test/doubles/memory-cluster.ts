/**
 * A cluster of one partition for tests of the server: a map of strings, evaluated at once, answered when the test says
 * so. `hold` keeps completions back, `release` lets them go in any order; held work shows what was cancelled.
 */
import type { Slot, Timestamp } from '../../src/base/ids.ts';
import type {
  HistoryReport,
  Call,
  Cluster,
  NodeDescription,
  OpenTransaction,
  PartitionDescription,
  ReplicaStatus,
  ScriptCatalog,
  ScrubReport,
  WatchedKey,
  Work,
  WriteMark,
} from '../../src/cluster/api.ts';
import type { HoldsApi } from '../../src/cluster/holds.ts';
import { createHash } from 'node:crypto';
import type { DataCommand } from '../../src/commands/define.ts';
import { encodeReply } from '../../src/resp/encode.ts';
import { type KeyspaceCounts, KeyspaceStats } from '../../src/partition/keyspace-stats.ts';
import type { TransactionOptions } from '../../src/txn/interactive.ts';
import { TransactionStats } from '../../src/txn/transaction-stats.ts';
import { UNBLOCKED } from '../../src/resp/errors.ts';
import { EncodedReply, NULL_ARRAY, type Reply, ReplyError } from '../../src/resp/reply.ts';

/** What the fake commands see instead of a view. */
export interface MemoryKeyspace {
  get(database: number, key: string): string | undefined;
  set(database: number, key: string, value: string): void;
  remove(database: number, key: string): boolean;
  version(database: number, key: string): number;
}

/** A data row of the double: it runs on the map. */
export type MemoryCommand = DataCommand & {
  readonly onMap: (keys: MemoryKeyspace, argv: readonly string[], database: number) => Reply;
  /** The work stays parked until `unpark`. */
  readonly parks?: boolean;
};

export class MemoryCluster implements Cluster {
  readonly clusterId = 'c'.repeat(40);
  isReady = true;
  /** Submitted and not yet completed, in order of submission. */
  readonly held: { readonly work: Work; readonly reply: Reply }[] = [];
  readonly parked: Work[] = [];
  readonly cancelled: Work[] = [];
  submitted = 0;
  isHolding = false;
  /** Completes with replies in the wire form, as those of a leader on another node are. */
  isRemote = false;
  /** Replies to every work instead of evaluating it. */
  failure: Reply | null = null;
  /** Thrown by `submit`, once. */
  bug: Error | null = null;
  replicas = 2;
  readonly waits: { readonly mark: WriteMark; readonly count: number; readonly timeoutMs: number }[] = [];
  nodeList: NodeDescription[];
  partitionList: PartitionDescription[];

  readonly scrub: { readonly report: ScrubReport } = {
    report: {
      rounds: 2,
      ranges: 9,
      records: 800,
      incompleteRanges: 1,
      mismatches: 0,
      undecided: 0,
      condemned: 0,
      lastRoundAtMs: 1_700_000_000_500,
    },
  };

  readonly #values = new Map<string, { value: string; version: number }>();
  #version = 1000;
  readonly #scripts = new Map<string, Buffer>();
  /** Scripts that other nodes know, and this one's copy does not have. */
  readonly remoteScripts = new Map<string, Buffer>();
  scriptLoads = 0;
  /** Script operations wait for this. */
  scriptGate: Promise<void> = Promise.resolve();

  constructor() {
    this.nodeList = [memoryNode(1, true)];
    this.partitionList = [{ id: 1, firstSlot: 0, lastSlot: 16_383, replicas: [1], leader: 1, term: 3 }];
  }

  get self(): NodeDescription {
    const self = this.nodeList.find((node) => node.isSelf);
    if (self === undefined) throw new Error('no node is this one');
    return self;
  }

  nodes(): readonly NodeDescription[] {
    return this.nodeList;
  }

  partitions(): readonly PartitionDescription[] {
    return this.partitionList;
  }

  readonly transactionStats = new TransactionStats();
  /** What transactions were begun with. */
  readonly begun: TransactionOptions[] = [];

  /** Runs its commands at once, and commits nothing. */
  beginTransaction(options: TransactionOptions, mark: WriteMark): OpenTransaction {
    this.begun.push(options);
    let state: 'open' | 'expired' = 'open';
    return {
      name: '1.2.3',
      run: (call, protocol) =>
        new Promise((complete) => {
          this.submit({ call, transaction: null, protocol, isNoTouch: false, deadlineMs: 0, mark, complete });
        }),
      commit: () => Promise.resolve(4096),
      rollback: () => {
        state = 'expired';
        this.rolledBack++;
      },
      status: () => ({ ...options, name: '1.2.3', state, leftMs: options.timeoutMs, reads: 1, writes: 2 }),
    };
  }

  rolledBack = 0;

  partitionOfSlot(slot: Slot): PartitionDescription {
    const found = this.partitionList.find(({ firstSlot, lastSlot }) => slot >= firstSlot && slot <= lastSlot);
    if (found === undefined) throw new Error(`slot ${slot} lies in no partition`);
    return found;
  }

  replicaStatus(): readonly ReplicaStatus[] {
    return this.partitionList.map(({ id, leader, term }) => ({
      group: id,
      role: 'leader',
      leader,
      term,
      commitIndex: 10,
      appliedIndex: 9,
      lastIndex: 11,
      logBytes: 100,
      residentKeys: this.#values.size,
      residentBytes: 1000,
      isQuarantined: false,
    }));
  }

  submit(work: Work): void {
    this.submitted++;
    if (this.bug !== null) {
      const { bug } = this;
      this.bug = null;
      throw bug;
    }
    if (work.call !== null && memoryCommandOf(work.call).parks === true) {
      this.parked.push(work);
      return;
    }
    const answer = this.failure ?? this.#evaluate(work);
    const reply = this.isRemote ? new EncodedReply(encodeReply(answer, work.protocol)) : answer;
    if (this.isHolding) this.held.push({ work, reply });
    else work.complete(reply);
  }

  /** Completes held work; `positions` are indices into `held`, default all in order. */
  release(positions: readonly number[] = this.held.map((_, i) => i)): void {
    const chosen = positions.map((i) => this.held[i]);
    for (const item of chosen) {
      if (item === undefined) throw new Error('no such held work');
      this.held.splice(this.held.indexOf(item), 1);
      item.work.complete(item.reply);
    }
  }

  unpark(reply: Reply): void {
    this.parked.shift()?.complete(reply);
  }

  cancel(work: Work): void {
    this.cancelled.push(work);
    const parked = this.parked.indexOf(work);
    if (parked !== -1) this.parked.splice(parked, 1);
  }

  unblock(work: Work, how: 'timeout' | 'error'): Promise<boolean> {
    const parked = this.parked.indexOf(work);
    if (parked === -1) return Promise.resolve(false);
    this.parked.splice(parked, 1);
    work.complete(how === 'error' ? UNBLOCKED : NULL_ARRAY);
    return Promise.resolve(true);
  }

  keyspaceCounts(database: number): Promise<KeyspaceCounts> {
    const keys = [...this.#values.keys()].filter((key) => key.startsWith(`${database}/`)).length;
    return Promise.resolve({ keys, expiring: 0, averageTtlMs: 0 });
  }

  readonly keyspaceStats = new KeyspaceStats();

  waitForReplicas(mark: WriteMark, count: number, timeoutMs: number): Promise<number> {
    this.waits.push({ mark, count, timeoutMs });
    return Promise.resolve(this.replicas);
  }

  readonly historyReport: HistoryReport = { isKept: false, floor: 0, heldFloor: 0 };
  readonly holds: HoldsApi = {
    acquire: () => Promise.resolve({ id: 7, at: 5 }),
    renew: () => Promise.resolve(true),
    release: () => Promise.resolve(true),
    list: () => Promise.resolve([{ id: 7, holder: 'me', at: 5, ttlMs: 1_000 }]),
  };

  historyFloor(): Promise<Timestamp> {
    return Promise.resolve(0);
  }

  latestTimestamp(): Promise<Timestamp> {
    return this.timestamp();
  }

  timestamp(): Promise<Timestamp> {
    return Promise.resolve(this.#version);
  }

  readonly scripts: ScriptCatalog = {
    get: (sha) => this.#scripts.get(sha),
    find: async (sha) => {
      await this.scriptGate;
      const body = this.#scripts.get(sha) ?? this.remoteScripts.get(sha);
      if (body !== undefined) this.#scripts.set(sha, body);
      return body;
    },
    load: async (body) => {
      await this.scriptGate;
      this.scriptLoads++;
      const sha = createHash('sha1').update(body).digest('hex');
      this.#scripts.set(sha, Buffer.from(body));
      return sha;
    },
    loadEverywhere: (body) => this.scripts.load(body),
    exists: (shas) => Promise.resolve(shas.map((sha) => this.#scripts.has(sha))),
    flush: () => {
      this.#scripts.clear();
      return Promise.resolve();
    },
  };

  readonly keyspace: MemoryKeyspace = {
    get: (database, key) => this.#values.get(`${database}/${key}`)?.value,
    set: (database, key, value) => {
      this.#values.set(`${database}/${key}`, { value, version: ++this.#version });
    },
    remove: (database, key) => this.#values.delete(`${database}/${key}`),
    version: (database, key) => this.#values.get(`${database}/${key}`)?.version ?? 0,
  };

  #evaluate(work: Work): Reply {
    const { call, transaction } = work;
    if (call !== null) return this.#run(call);
    if (transaction === null) throw new Error('work holds a call or a transaction');
    if (transaction.watched.some((watched) => this.#hasMoved(watched))) return null;
    return transaction.calls.map((inner) => this.#run(inner));
  }

  #hasMoved({ database, key, version }: WatchedKey): boolean {
    return this.keyspace.version(database, key.toString('latin1')) !== version;
  }

  #run(call: Call): Reply {
    try {
      return memoryCommandOf(call).onMap(
        this.keyspace,
        call.argv.map((argument) => argument.toString('latin1')),
        call.database,
      );
    } catch (error) {
      if (error instanceof ReplyError) return error.reply;
      throw error;
    }
  }
}

export function memoryNode(id: number, isSelf: boolean): NodeDescription {
  return {
    id,
    name: `n${id}`,
    hexId: String(id).repeat(40),
    clientHost: '10.0.0.1',
    clientPort: 7000 + id,
    clusterPort: 7100 + id,
    isSelf,
    isConnected: true,
  };
}

function memoryCommandOf(call: Call): MemoryCommand {
  const { command } = call;
  if (!('onMap' in command)) throw new Error(`${command.name} is no command of the double`);
  return command as MemoryCommand;
}
