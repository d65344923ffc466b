/**
 * A leader's tenure over a real data store in memory, with everything around it in the test's hands: when its batches are
 * closed, committed and applied, when reads are confirmed, and what time it is.
 */
import type { LogIndex } from '../../src/base/ids.ts';
import { NO_TRANSACTIONS, readOpenTransactions } from '../../src/partition/open-transactions.ts';
import { tagOfSlot } from '../../src/base/slots.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { Timers } from '../../src/base/platform.ts';
import { slotOfKey } from '../../src/base/slots.ts';
import type { DataCommand } from '../../src/commands/define.ts';
import { dataCommands } from '../../src/commands/index.ts';
import { ApplyPace } from '../../src/partition/apply-pace.ts';
import { Applier } from '../../src/partition/applier.ts';
import { answersOf } from '../../src/partition/entry-format.ts';
import { Job, type JobOwner } from '../../src/partition/job.ts';
import { KeyspaceStats } from '../../src/partition/keyspace-stats.ts';
import { floorRow, holdRow } from '../../src/partition/holds.ts';
import { momentRows } from '../../src/partition/moments.ts';
import { participantRows } from '../../src/partition/participant.ts';
import { emptyPartitionState, type PartitionState } from '../../src/partition/partition-state.ts';
import { PartitionTime } from '../../src/partition/partition-time.ts';
import { partitionRange } from '../../src/partition/ranges.ts';
import { RecordReader } from '../../src/partition/record-reader.ts';
import type { RequestLedger } from '../../src/partition/request-ledger.ts';
import { MemoryBudget } from '../../src/partition/resident.ts';
import { Scanner } from '../../src/partition/scanner.ts';
import { Tenure } from '../../src/partition/tenure.ts';
import type { TenureHost } from '../../src/partition/tenure-host.ts';
import { encodeReply } from '../../src/resp/encode.ts';
import type { Reply } from '../../src/resp/reply.ts';
import { openDataStore } from '../../src/storage/data/state.ts';
import type { DataStore } from '../../src/storage/data/types.ts';
import { MemoryProcess } from '../doubles/memory-process.ts';
import { MemoryDevice } from '../doubles/memory-store.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { drainPromises } from '../doubles/stepping.ts';

export const GROUP = 1;
const SLOTS = { first: 0, last: 16_383 };
const LOOK_GAP_MS = 20;

const rows = new Map<string, DataCommand>();
for (const row of [...dataCommands, ...participantRows, ...momentRows, holdRow, floorRow]) {
  rows.set(row.name, row);
  for (const sub of row.subcommands) rows.set(sub.name, sub);
}

/** The row of a request: containers by their second word. */
function rowOf(argv: readonly string[]): DataCommand {
  const [name = '', sub = ''] = argv.map((word) => word.toUpperCase());
  const row = rows.get(`${name}|${sub}`) ?? rows.get(name);
  if (row === undefined) throw new Error(`no command ${name}`);
  return row;
}

export interface JobFields {
  readonly strand?: number;
  readonly counter?: number;
  readonly isRetry?: boolean;
  readonly isUnblocked?: boolean;
  readonly isNoTouch?: boolean;
  readonly waitedMs?: number;
  readonly deadlineMs?: number;
}

export class TestLeader implements TenureHost {
  readonly group = GROUP;
  readonly node = 1;
  readonly commandTimeoutMs = 5_000;
  readonly random: SeededRandom;
  readonly time: PartitionTime;
  readonly log = silentLogger;
  term = 1;
  readonly transactionTag = tagOfSlot(SLOTS.first);
  /** Times that something was prepared, decided or taken up; nobody settles it here. */
  transactionsOpened = 0;
  readonly budget = new MemoryBudget(0);
  readonly keyspaceStats = new KeyspaceStats();
  readonly slots = SLOTS;
  readonly range = partitionRange(SLOTS);
  readonly data: DataStore;
  readonly reader: RecordReader;
  readonly scanner: Scanner;
  readonly applier: Applier;
  isSoleVoter = false;
  isBackedUp = false;
  isLeaseValid = false;
  commitIndex: LogIndex = 0;
  readonly entries: Uint8Array[] = [];
  nowMs = 0;
  /** When the tenure wants to be looked at. */
  #lookAtMs = Number.POSITIVE_INFINITY;
  readonly clock = { monotonicMs: () => this.nowMs, wallMs: () => 1_700_000_000_000 };
  /** Answers in the order in which they left: `name: reply`. */
  readonly answers: string[] = [];
  /** The last answer to each name, as it is. */
  readonly replies = new Map<string, Reply>();
  onAnswer: ((name: string, reply: Reply, index: LogIndex) => void) | null = null;
  readonly retried: Job[] = [];
  tenure: Tenure;
  #counter = 0;
  /** Log index of the write behind each of `answers`; 0 = none. */
  readonly indices: number[] = [];
  readonly #names = new Map<Job, string>();
  readonly #owner: JobOwner = {
    complete: (job, reply, index) => {
      this.indices.push(index);
      this.replies.set(this.#names.get(job) ?? '', reply);
      this.answers.push(`${this.#names.get(job) ?? ''}: ${told(reply)}`);
      this.onAnswer?.(this.#names.get(job) ?? '', reply, index);
    },
    retry: (job) => {
      this.retried.push(job);
    },
  };

  static async create(seed = 1): Promise<TestLeader> {
    const random = new SeededRandom(seed);
    const device = new MemoryDevice({
      random: random.fork('device'),
      schedule: (callback) => void setImmediate(callback),
    });
    const process = new MemoryProcess();
    const data = await openDataStore({
      store: device.open(),
      identity: { clusterId: 'c', nodeId: 1 },
      machineBootId: 'boot',
      process,
      disk: device.disk,
      directory: '/data',
      log: silentLogger,
    });
    return new TestLeader(data, random);
  }

  private constructor(data: DataStore, random: SeededRandom) {
    this.data = data;
    this.random = random;
    const soon = (work: () => void): void => void setImmediate(work);
    const timers: Timers = {
      after: (_, work) => {
        soon(work);
        return { cancel: () => undefined };
      },
      endOfTurn: soon,
    };
    this.reader = new RecordReader(data, { process: new MemoryProcess(), timers }, slotOfKey);
    this.scanner = new Scanner(data, { ...SLOTS, end: SLOTS.last });
    this.time = new PartitionTime(this.clock);
    this.time.anchor();
    const state = emptyPartitionState({ voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [] });
    this.applier = new Applier({
      group: GROUP,
      pace: new ApplyPace(this.clock, timers),
      data,
      index: 0,
      term: 1,
      state,
      events: {
        applied: (index) => {
          this.tenure.applied(index);
        },
        damaged: (error) => {
          throw error;
        },
        holdsChanged: () => Promise.resolve(),
        confStateAfter: () => state.confState,
      },
    });
    this.tenure = new Tenure(this, state, NO_TRANSACTIONS);
  }

  // -------------------------------------------------------------------------------------------------------------
  // TenureHost

  get lastIndex(): LogIndex {
    return this.entries.length;
  }

  get appliedState(): PartitionState {
    return this.applier.state;
  }

  get appliedIndex(): LogIndex {
    return this.applier.index;
  }

  slotOf(key: string): number {
    return slotOfKey(key);
  }

  propose(entry: Uint8Array): LogIndex {
    this.entries.push(entry);
    return this.entries.length;
  }

  /** Turns that were asked for; the test decides when one ends. */
  wakes = 0;

  wake(): void {
    this.wakes++;
  }

  transactionOpened(): void {
    this.transactionsOpened++;
  }

  /** Ledgers that were made. */
  ledgers = 0;

  fillLedger(ledger: RequestLedger): void {
    this.ledgers++;
    this.entries.forEach((entry, i) => {
      ledger.addAll(entry, answersOf(entry), i + 1);
    });
  }

  // -------------------------------------------------------------------------------------------------------------
  // What the test does

  /** Submits one request; its answer appears under `name`. */
  submit(name: string, argv: readonly string[], fields: JobFields = {}): Job {
    return this.#submit(name, fields, {
      call: { command: rowOf(argv), argv: argv.map((word) => Buffer.from(word, 'latin1')), database: 0 },
      transaction: null,
    });
  }

  submitTransaction(
    name: string,
    calls: readonly (readonly string[])[],
    watched: readonly { readonly key: string; readonly version: number }[] = [],
  ): Job {
    return this.#submit(
      name,
      {},
      {
        call: null,
        transaction: {
          calls: calls.map((argv) => ({
            command: rowOf(argv),
            argv: argv.map((word) => Buffer.from(word, 'latin1')),
            database: 0,
          })),
          watched: watched.map(({ key, version }) => ({ database: 0, key: Buffer.from(key), version })),
        },
      },
    );
  }

  #submit(name: string, fields: JobFields, what: Pick<Job, 'call' | 'transaction'>): Job {
    this.#counter++;
    const job = new Job({
      owner: this.#owner,
      ...what,
      protocol: 2,
      deadlineMs: fields.deadlineMs ?? this.nowMs + this.commandTimeoutMs,
      strand: fields.strand ?? this.#counter,
      node: 2,
      epoch: 9,
      counter: fields.counter ?? this.#counter,
    });
    job.isRetry = fields.isRetry ?? false;
    job.isUnblocked = fields.isUnblocked ?? false;
    job.isNoTouch = fields.isNoTouch ?? false;
    job.waitedMs = fields.waitedMs ?? 0;
    this.#names.set(job, name);
    this.tenure.submit(job);
    return job;
  }

  /** Ends the turn; confirms leadership for the reads of the round that starts. */
  endTurn(): void {
    this.tenure.closeBatch();
    const context = this.tenure.reads.startRound(this.nowMs, false);
    if (context !== 0) this.tenure.reads.confirm(context);
    this.tenure.releaseReads();
  }

  /** Everything in the log commits; the answers leave. */
  commit(upTo = this.entries.length): void {
    for (let index = this.commitIndex + 1; index <= upTo; index++) {
      this.commitIndex = index;
      this.applier.enqueue({ type: 0, term: 1, index, data: this.entries[index - 1] as Uint8Array });
      this.tenure.committed(index);
    }
    this.tenure.releaseReads();
  }

  /** Ends turns, commits and applies until nothing is left to do. */
  async settle(): Promise<void> {
    for (let rounds = 0; rounds < 40; rounds++) {
      this.endTurn();
      this.commit();
      await drainPromises();
    }
  }

  /** The answer to one request, after everything has settled. */
  async ask(...argv: readonly string[]): Promise<string> {
    this.submit('ask', argv);
    await this.settle();
    const answer = this.answers.pop() ?? '';
    return answer.replace(/^ask: /, '');
  }

  /** The tenure ends, and another one begins with what is applied. */
  begin(): readonly Job[] {
    const jobs = this.tenure.end();
    this.time.logged(this.applier.state.timeMs);
    this.tenure = new Tenure(this, this.applier.state, NO_TRANSACTIONS);
    return jobs;
  }

  /** Another leader, in another term, takes up what transactions have left here. */
  async takeOver(): Promise<readonly Job[]> {
    const jobs = this.tenure.end();
    this.term++;
    this.time.logged(this.applier.state.timeMs);
    const open = await readOpenTransactions(this.data, this.reader, SLOTS.first);
    this.tenure = new Tenure(this, this.applier.state, open);
    return jobs;
  }

  /** Drops all clean keys from memory. */
  evictAll(): void {
    this.budget.limitBytes = 1;
    this.tenure.applied(this.appliedIndex);
    this.tenure.applied(this.appliedIndex);
    this.budget.limitBytes = 0;
  }

  lookAt(atMs: number): void {
    this.#lookAtMs = Math.min(this.#lookAtMs, atMs);
  }

  /** Looks happen when the tenure asked for them, and at no other time, at least LOOK_GAP_MS apart. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.#lookAtMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.#lookAtMs);
      this.#lookAtMs = Number.POSITIVE_INFINITY;
      this.lookAt(Math.max(this.tenure.look(), this.nowMs + LOOK_GAP_MS));
    }
    this.nowMs = untilMs;
  }
}

function told(reply: Reply): string {
  return Buffer.from(encodeReply(reply, 2)).toString('latin1').replaceAll('\r\n', ' ').trim();
}
