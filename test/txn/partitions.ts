/**
 * Partitions for coordinators: each is a leader of its own (test/partition/leader.ts), reached without a network. A key belongs to the
 * partition that its first character says: `1a` to the first; others are spread. Every step is noted as a line, and the test may answer it itself,
 * hold it back, or have its answer lost.
 */
import type { GroupId, LogIndex } from '../../src/base/ids.ts';
import type { LogFields, Logger } from '../../src/base/log.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { TimerHandle } from '../../src/base/platform.ts';
import type { DataCommand } from '../../src/commands/define.ts';
import { dataCommands } from '../../src/commands/index.ts';
import type { JobCall, JobWatch } from '../../src/partition/job.ts';
import { transactionName } from '../../src/partition/key-locks.ts';
import { KeyspaceStats } from '../../src/partition/keyspace-stats.ts';
import {
  decodeChecks,
  decodeCommit,
  decodeIds,
  decodeIntent,
  decodeKeys,
  decodeLock,
  decodeResolve,
} from '../../src/partition/transaction-codec.ts';
import { decodeReplies } from '../../src/resp/decode.ts';
import { encodeReply } from '../../src/resp/encode.ts';
import { EncodedReply, type Reply } from '../../src/resp/reply.ts';
import { Coordinator } from '../../src/txn/coordinator.ts';
import type { Mark, Participants, Request, StepOptions, StepPart } from '../../src/txn/participants.ts';
import { Steps } from '../../src/txn/steps.ts';
import { TransactionStats } from '../../src/txn/transaction-stats.ts';
import { TRANSACTION_SPACE } from '../../src/values/value.ts';
import { SeededRandom } from '../doubles/seeded-random.ts';
import { drainPromises } from '../doubles/stepping.ts';
import { TestLeader } from '../partition/leader.ts';

const TAG_PREFIX = 'tag';
const rows = new Map<string, DataCommand>();
for (const row of dataCommands) for (const one of [row, ...row.subcommands]) rows.set(one.name, one);

/** `argv` as a call of the first database, or of another one. */
export function callOf(argv: readonly string[], database = 0): JobCall {
  const [name = '', sub = ''] = argv.map((word) => word.toUpperCase());
  const command = rows.get(`${name}|${sub}`) ?? rows.get(name);
  if (command === undefined) throw new Error(`no command ${name}`);
  return { command, argv: argv.map((word) => Buffer.from(word, 'latin1')), database };
}

export class TestMark implements Mark {
  group: GroupId = 0;
  index: LogIndex = 0;
  readonly strand: number;
  constructor(strand: number) {
    this.strand = strand;
  }
}

export interface SentStep {
  /** As noted: `1 LOCK a b`. */
  readonly line: string;
  readonly group: GroupId;
  readonly deadlineMs: number;
  /** Has the partition do it, and answers what that says. */
  readonly run: () => Promise<Reply>;
}

/** What the test has to say to a step: its answer, or undefined to have it done. */
export type Interference = (step: SentStep) => Promise<Reply> | Reply | undefined;

export class Partitions implements Participants {
  readonly node = 7;
  readonly bootEpoch = 3;
  readonly commandTimeoutMs = 5_000;
  readonly random = new SeededRandom(1);
  readonly keyspaceStats = new KeyspaceStats();
  readonly stats = new TransactionStats();
  readonly tags: readonly string[];
  readonly log: Logger;
  readonly clock = { monotonicMs: () => this.nowMs, wallMs: () => 1_700_000_000_000 + this.nowMs };
  nowMs = 0;
  readonly leaders = new Map<GroupId, TestLeader>();
  /** Steps in the order in which they were sent. */
  readonly lines: string[] = [];
  readonly failures: string[] = [];
  interfere: Interference = () => undefined;
  forgetsAsked = 0;
  readonly steps: Steps;
  readonly coordinator: Coordinator;
  readonly #timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  readonly #waiting = new Map<string, (reply: Reply, index: LogIndex) => void>();
  #marks = 100;
  #count = 0;

  static async create(count = 3): Promise<Partitions> {
    const leaders = await Promise.all(Array.from({ length: count }, (_, i) => TestLeader.create(i + 1)));
    return new Partitions(leaders);
  }

  private constructor(leaders: readonly TestLeader[]) {
    leaders.forEach((leader, i) => {
      this.leaders.set(i + 1, leader);
      leader.onAnswer = (name, reply, index) => {
        const answer = this.#waiting.get(name);
        this.#waiting.delete(name);
        answer?.(reply instanceof EncodedReply ? (decodeReplies(reply.bytes)[0] ?? null) : reply, index);
      };
    });
    this.tags = leaders.map((_, i) => `${TAG_PREFIX}${i + 1}`);
    this.log = {
      ...silentLogger,
      error: (event: string, fields?: LogFields) => {
        const error = fields?.['error'];
        this.failures.push(`${event}: ${error instanceof Error ? (error.stack ?? error.message) : ''}`);
      },
    };
    this.steps = new Steps(this);
    this.coordinator = new Coordinator(this, this.steps);
  }

  leader(group: GroupId): TestLeader {
    const leader = this.leaders.get(group);
    if (leader === undefined) throw new Error(`no partition ${group}`);
    return leader;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Participants

  groupOf(key: string): GroupId {
    const group = Number(/^\{tag(\d)\}/.exec(key)?.[1] ?? key[0]);
    if (this.leaders.has(group)) return group;
    return ((key.charCodeAt(0) || 0) % this.leaders.size) + 1;
  }

  newMark(): TestMark {
    this.#marks++;
    return new TestMark(this.#marks);
  }

  isGone(): boolean {
    return false;
  }

  after(ms: number, callback: () => void): TimerHandle {
    const timer = { atMs: this.nowMs + ms, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        const at = this.#timers.indexOf(timer);
        if (at !== -1) this.#timers.splice(at, 1);
      },
    };
  }

  settledLater(): void {
    this.forgetsAsked++;
  }

  step(group: GroupId, command: DataCommand, payload: Buffer, { deadlineMs, mark }: StepOptions): Promise<Reply> {
    const line = `${group} ${lineOf(command.name, payload)}`;
    this.lines.push(line);
    if (!(mark instanceof TestMark)) throw new Error('marks come from here');
    const run = (): Promise<Reply> =>
      this.submit(group, [command.name, payload.toString('latin1')], { mark, deadlineMs });
    const answer = this.interfere({ line, group, deadlineMs, run });
    return answer === undefined ? run() : Promise.resolve(answer);
  }

  readEach(command: DataCommand, parts: readonly StepPart[], deadlineMs: number): Promise<readonly Reply[]> {
    return Promise.all(
      parts.map(({ group, payload }) => this.step(group, command, payload, { deadlineMs, mark: this.newMark() })),
    );
  }

  // -------------------------------------------------------------------------------------------------------------
  // What the test does

  /** A request to one partition, as a plain client would send it. */
  submit(
    group: GroupId,
    argv: readonly string[],
    { mark = this.newMark(), deadlineMs }: { readonly mark?: TestMark; readonly deadlineMs?: number } = {},
  ): Promise<Reply> {
    const name = `request ${this.#count++}`;
    return new Promise((resolve) => {
      this.#waiting.set(name, (reply, index) => {
        if (index > 0) Object.assign(mark, { group, index });
        resolve(reply);
      });
      const { strand } = mark;
      this.leader(group).submit(name, argv, deadlineMs === undefined ? { strand } : { strand, deadlineMs });
    });
  }

  /** A plain command, settled. */
  async ask(...argv: readonly string[]): Promise<string> {
    return this.settled(this.submit(this.groupOf(argv[1] ?? ''), argv));
  }

  request(fields: {
    readonly calls: readonly (readonly string[])[];
    readonly isExec?: boolean;
    readonly watched?: readonly JobWatch[];
    readonly deadlineMs?: number;
    readonly mark?: TestMark;
  }): Request {
    const calls = fields.calls.map((argv) => callOf(argv));
    const { isExec = calls.length > 1, watched = [] } = fields;
    return {
      call: isExec ? null : (calls[0] ?? null),
      transaction: isExec ? { calls, watched } : null,
      protocol: 2,
      isNoTouch: false,
      deadlineMs: fields.deadlineMs ?? this.nowMs + this.commandTimeoutMs,
      mark: fields.mark ?? this.newMark(),
    };
  }

  /** Runs MULTI/EXEC of several commands, or one command, and settles it. */
  run(...calls: readonly (readonly string[])[]): Promise<string> {
    return this.settled(this.coordinator.run(this.request({ calls })));
  }

  start(...calls: readonly (readonly string[])[]): Promise<Reply> {
    return this.coordinator.run(this.request({ calls }));
  }

  /** Turns end, entries commit and are applied, everywhere, until nothing moves any more. */
  async settle(): Promise<void> {
    for (let quiet = 0, before = -1; quiet < 4; ) {
      for (const leader of this.leaders.values()) {
        leader.endTurn();
        leader.commit();
      }
      await drainPromises();
      const moved =
        this.lines.length +
        [...this.leaders.values()].reduce((sum, { answers, applier }) => sum + answers.length + applier.index, 0);
      quiet = moved === before ? quiet + 1 : 0;
      before = moved;
    }
  }

  /** The answer, as RESP without line breaks, once everything has settled; time passes in between if it must. */
  async settled(reply: Promise<Reply>): Promise<string> {
    let told: string | undefined;
    reply.then(
      (answer) => {
        told = shown(answer);
      },
      (error: unknown) => {
        told = `broke: ${String(error)}`;
      },
    );
    for (let rounds = 0; rounds < 2_000; rounds++) {
      await this.settle();
      if (told !== undefined) return told;
      await this.pass(5);
    }
    return '(no answer)';
  }

  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    for (const leader of this.leaders.values()) leader.pass(ms);
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.nowMs) continue;
      this.#timers.splice(this.#timers.indexOf(timer), 1);
      timer.callback();
    }
    await drainPromises();
  }

  /** Parts and records that are left, by partition. */
  get leftovers(): readonly string[] {
    return [...this.leaders].flatMap(([group, { tenure, applier }]) => {
      const records = applier.state.keyCounts[TRANSACTION_SPACE] ?? 0;
      const parts = [...tenure.locks.parts].map(
        ({ name, isPrepared }) => `${group}: ${name}${isPrepared ? ' prepared' : ''}`,
      );
      return records === 0 ? parts : [...parts, `${group}: ${records} records`];
    });
  }
}

export function shown(reply: Reply): string {
  return Buffer.from(encodeReply(reply, 2)).toString('latin1').replaceAll('\r\n', ' ').trim();
}

/** A step in words: keys without their partition, versions and ids left out. */
function lineOf(name: string, payload: Buffer): string {
  const short = name.slice('%TX'.length);
  switch (short) {
    case 'LOCK': {
      const { keys, waits } = decodeLock(payload);
      return [waits ? 'LOCK-WAIT' : 'LOCK', ...keys.map(bare)].join(' ');
    }
    case 'GET':
      return [short, ...decodeKeys(payload).map(bare)].join(' ');
    case 'CHECK':
      return [short, ...decodeChecks(payload).checks.map(bare)].join(' ');
    case 'PREPARE':
      return intentLine(short, decodeIntent(payload));
    case 'COMMIT': {
      const { intent, participants, settled } = decodeCommit(payload);
      const others = participants.length === 0 ? '' : ` with ${participants.join(' ')}`;
      return intentLine(short, intent) + others + (settled.length === 0 ? '' : ` forgets ${settled.length}`);
    }
    case 'RESOLVE':
      return `${short} ${decodeResolve(payload).timestamp === 0 ? 'abort' : 'commit'}`;
    case 'STATUS':
      return `${short} ${transactionName(decodeResolve(payload).id)}`;
    default:
      return `${short} ${decodeIds(payload).length}`;
  }
}

function intentLine(name: string, { checks, writes }: ReturnType<typeof decodeIntent>): string {
  const read = checks.length === 0 ? '' : ` read ${checks.map(bare).join(' ')}`;
  const written = writes.length === 0 ? '' : ` write ${writes.map(bare).join(' ')}`;
  return `${name}${read}${written}`;
}

function bare({ key }: { readonly key: string }): string {
  return key.slice(1);
}
