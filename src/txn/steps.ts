/**
 * The steps of a transaction as its coordinator takes them, one function each: read, lock, confirm, commit, release. What they mean
 * together is in coordinator.ts.
 */
import { assert, mustExist } from '../base/assert.ts';
import type { GroupId, Timestamp } from '../base/ids.ts';
import type { DataCommand } from '../commands/define.ts';
import type { KeyName, TransactionId } from '../partition/key-locks.ts';
import {
  checkRow,
  commitRow,
  forgetRow,
  lockRow,
  prepareRow,
  readRow,
  releaseRow,
  resolveRow,
  statusRow,
} from '../partition/participant.ts';
import {
  encodeChecks,
  encodeCommit,
  encodeIds,
  encodeIntent,
  encodeKeys,
  encodeLock,
  encodeResolve,
  encodeStatus,
  type Intent,
  type KeyCheck,
  type KeyWrite,
  type Outcome,
} from '../partition/transaction-codec.ts';
import { transactionTooLarge, tryAgain } from '../resp/errors.ts';
import { ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';
import { wholeSize } from '../values/whole.ts';
import { Attempt, byKey } from './attempt.ts';
import { ClosedTimestamps } from './closed-timestamps.ts';
import { RESOLVE_TRIES_MAX, SETTLED_MAX, WRITTEN_BYTES_MAX } from './limits.ts';
import type { Mark, Participants, StepPart } from './participants.ts';
import { fetchedOf, outcomeOf } from './step-replies.ts';
import type { TransactionView } from './transaction-view.ts';

/** Somebody else's work came between: nothing of the attempt is left. */
export const CONFLICT = Symbol('conflict');

/** The share of one partition in what a transaction read and writes. */
interface Share {
  readonly checks: KeyCheck[];
  readonly writes: KeyWrite[];
}

export class Steps {
  readonly #participants: Participants;
  #counter = 0;
  readonly #closed = new ClosedTimestamps();
  /** Carried out everywhere, and to be forgotten by their anchor with the next commit. */
  readonly #settled = new Map<GroupId, TransactionId[]>();

  constructor(participants: Participants) {
    this.#participants = participants;
  }

  begin(
    view: TransactionView,
    fields: {
      readonly sessionMark: Mark;
      readonly deadlineMs: number;
      readonly isConfirmed: boolean;
      readonly leaseUntilMs?: number;
    },
  ): Attempt {
    this.#counter++;
    const { node, bootEpoch } = this.#participants;
    const id = { node, epoch: bootEpoch, counter: this.#counter };
    const { sessionMark, deadlineMs, isConfirmed } = fields;
    const leaseUntilMs = fields.leaseUntilMs ?? deadlineMs + this.#participants.commandTimeoutMs;
    const mark = this.#participants.newMark();
    return new Attempt({ id, view, sessionMark, mark, deadlineMs, isConfirmed, leaseUntilMs });
  }

  // -------------------------------------------------------------------------------------------------------------
  // Reading and locking. All of them throw ReplyError if a partition does not answer.

  /** Reads keys where they live: what has committed. */
  async read(attempt: Attempt, names: readonly KeyName[]): Promise<void> {
    assert(attempt.isConfirmed, 'what is read without locks has committed');
    const groups = [...this.#byGroup(names)];
    if (attempt.parts.size === 0) for (const [group] of groups) this.#noteClosed(attempt, group);
    const parts = groups.map(([group, own]) => ({ group, payload: encodeKeys(own) }));
    const replies = await this.#readEach(readRow, parts, attempt);
    for (const [i, [group, own]] of groups.entries()) {
      const fetched = fetchedOf(replies[i] ?? null, own.length);
      this.#closed.heard(group, fetched);
      attempt.take(group, own, fetched);
    }
  }

  /** What the attempt will read, wherever it turns out to lie, is compared with what is known now. */
  noteAllClosed(attempt: Attempt): void {
    for (const group of this.#closed.groups) this.#noteClosed(attempt, group);
  }

  #noteClosed(attempt: Attempt, group: GroupId): void {
    const { term, timestamp } = this.#closed.of(group);
    const part = attempt.part(group);
    part.closedTerm = term;
    part.closed = timestamp;
  }

  /** True if all that was read is still so, and committed: then it was all true at one moment. */
  async confirm(attempt: Attempt, reads: readonly KeyCheck[]): Promise<boolean> {
    const parts = [...this.#byGroup(reads)].map(([group, checks]) => ({
      group,
      payload: encodeChecks(attempt.part(group).term, checks),
    }));
    const answers = await this.#readEach(checkRow, parts, attempt);
    return answers.every((answer) => Number(answer) === 1);
  }

  /** Takes keys without waiting. False if one was taken; others may be held then. */
  async lockAtOnce(attempt: Attempt, names: readonly KeyName[]): Promise<boolean> {
    const granted = await Promise.allSettled(
      [...this.#byGroup(names)].map(([group, own]) => this.#lock(attempt, group, { names: own, waits: false })),
    );
    // Not before all have answered: what is let go must not be taken after that.
    for (const one of granted) if (one.status === 'rejected') throw one.reason;
    return granted.every((one) => one.status === 'fulfilled' && one.value);
  }

  /** By partition, and within each by key: everybody waits in the same order, so nobody in a ring. */
  async lockInOrder(attempt: Attempt, keys: readonly KeyName[]): Promise<boolean> {
    const groups = [...this.#byGroup(keys)].sort(([a], [b]) => a - b);
    for (const [group, names] of groups) {
      if (!(await this.#lock(attempt, group, { names: [...names].sort(byKey), waits: true }))) return false;
    }
    return true;
  }

  async #lock(
    attempt: Attempt,
    group: GroupId,
    { names, waits }: { readonly names: readonly KeyName[]; readonly waits: boolean },
  ): Promise<boolean> {
    const { id, isConfirmed } = attempt;
    const leaseMs = Math.max(1, Math.ceil(attempt.leaseUntilMs - this.#nowMs));
    const keys = names.map((name) => ({ ...name, mode: 'write' as const }));
    const part = attempt.part(group);
    part.isLocked = true;
    const payload = encodeLock({ id, waits, isConfirmed, leaseMs, keys });
    // In the order of the attempt's own steps: what it lets go comes after what it takes.
    const { deadlineMs, mark } = attempt;
    const reply = await this.#participants.step(group, lockRow, payload, { deadlineMs, mark });
    if (reply instanceof ErrorReply) throw new ReplyError(reply);
    const fetched = fetchedOf(reply, names.length);
    this.#closed.heard(group, fetched);
    if (fetched.isGranted) return attempt.take(group, names, fetched);
    part.isLocked = false;
    return false;
  }

  /** Lets go what the attempt holds, but not where it is prepared or done. */
  release({ id, mark, parts }: Attempt, but: readonly GroupId[] = []): void {
    for (const [group, part] of parts) {
      if (!part.isLocked || but.includes(group)) continue;
      part.isLocked = false;
      // What does not arrive ends with the lease.
      void this.#participants.step(group, releaseRow, encodeIds([id]), { deadlineMs: this.#laterMs, mark });
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Committing

  /**
   * Prepares, decides, and leaves the rest to happen behind the answer: the commit timestamp. CONFLICT: nothing of it is left. An
   * error: nothing either, or, with UNCERTAIN, that is not known.
   */
  async commit(
    attempt: Attempt,
    { reads, writes }: { readonly reads: readonly KeyCheck[]; readonly writes: readonly KeyWrite[] },
  ): Promise<Timestamp | ErrorReply | typeof CONFLICT> {
    const { id, mark } = attempt;
    if (writes.reduce((sum, { object }) => sum + (object === null ? 0 : wholeSize(object)), 0) > WRITTEN_BYTES_MAX) {
      this.release(attempt);
      return transactionTooLarge(WRITTEN_BYTES_MAX);
    }
    const shares = this.#shares(reads, writes);
    const anchor = this.#participants.groupOf(mustExist(writes[0], 'a commit writes something').key);
    const others = [...shares.keys()].filter((group) => group !== anchor);
    const decideByMs = this.#decideBy(attempt, anchor);
    const intentOf = (group: GroupId): Intent => {
      const { checks, writes: own } = mustExist(shares.get(group), 'a participant has a share');
      const term = checks.length === 0 ? 0 : attempt.part(group).term;
      return { id, anchor, term, decideByMs, checks, writes: own };
    };
    const prepared = await Promise.all(
      others.map((group) => this.#stepOnce(group, prepareRow, encodeIntent(intentOf(group)), attempt, mark)),
    );
    const refusal = prepared.find((outcome) => outcome instanceof ErrorReply || !outcome.isDone);
    if (refusal !== undefined) return this.#abort(attempt, others, refusal);
    const timestampMin = Math.max(0, ...prepared.map((outcome) => (outcome as Outcome).timestamp));
    const commitMark = this.#participants.newMark();
    const settled = this.#takeSettled(anchor);
    const payload = encodeCommit({ timestampMin, participants: others, settled, intent: intentOf(anchor) });
    const decided = await this.#stepOnce(anchor, commitRow, payload, attempt, commitMark);
    if (decided instanceof ErrorReply || !decided.isDone) {
      this.#remember(anchor, settled);
      if (decided instanceof ErrorReply && isUncertain(decided)) {
        this.#participants.stats.uncertain++;
        this.#settleUnknown(attempt, anchor, { others, decideByMs }).catch((error: unknown) => {
          this.#participants.log.error('settling a transaction failed', { error });
        });
        return decided;
      }
      return this.#abort(attempt, others, decided);
    }
    this.#participants.stats.committed++;
    attempt.sessionMark.group = commitMark.group;
    attempt.sessionMark.index = commitMark.index;
    this.release(attempt, [...others, anchor]);
    this.#settle(id, anchor, { others, timestamp: decided.timestamp });
    return decided.timestamp;
  }

  /** In the time of the anchor, or by our own clock if we have not heard from it: then a wrong clock only costs an attempt. */
  #decideBy(attempt: Attempt, anchor: GroupId): number {
    const leftMs = Math.max(0, Math.ceil(attempt.deadlineMs - this.#nowMs));
    const anchorMs = attempt.parts.get(anchor)?.nowMs ?? 0;
    return (anchorMs === 0 ? Math.floor(this.#participants.clock.wallMs()) : anchorMs) + leftMs;
  }

  #abort(attempt: Attempt, others: readonly GroupId[], why: Outcome | ErrorReply): ErrorReply | typeof CONFLICT {
    this.#participants.stats.conflicts++;
    for (const group of others) {
      this.#resolve(group, attempt.id, 0).catch((error: unknown) => {
        this.#participants.log.error('aborting a transaction failed', { error });
      });
    }
    this.release(attempt, others);
    if (!(why instanceof ErrorReply)) return CONFLICT;
    if (isTransient(why) && this.#nowMs < attempt.deadlineMs) return CONFLICT;
    return isUncertain(why) ? tryAgain('a partition did not answer in time; nothing was applied') : why;
  }

  /** Behind the answer: tells everybody, and the anchor that everybody knows. */
  #settle(
    id: TransactionId,
    anchor: GroupId,
    { others, timestamp }: { readonly others: readonly GroupId[]; readonly timestamp: Timestamp },
  ): void {
    if (others.length === 0) return;
    Promise.all(others.map((group) => this.#resolve(group, id, timestamp))).then(
      (known) => {
        if (known.every((isKnown) => isKnown)) this.#remember(anchor, [id]);
      },
      (error: unknown) => {
        this.#participants.log.error('settling a transaction failed', { error });
      },
    );
  }

  /**
   * Behind the answer that the outcome is not known: asks the anchor, which decides for abort if it has not decided. So keys are free as soon as
   * it can be reached. If it cannot, whoever is prepared asks it later.
   */
  async #settleUnknown(
    attempt: Attempt,
    anchor: GroupId,
    { others, decideByMs }: { readonly others: readonly GroupId[]; readonly decideByMs: number },
  ): Promise<void> {
    const { id } = attempt;
    const to = { deadlineMs: this.#laterMs, mark: this.#participants.newMark() };
    const status = outcomeOf(await this.#participants.step(anchor, statusRow, encodeStatus(id, decideByMs), to));
    this.release(attempt, others);
    if (status instanceof ErrorReply) return;
    if (status.isDone) this.#settle(id, anchor, { others, timestamp: status.timestamp });
    else await Promise.all(others.map((group) => this.#resolve(group, id, 0)));
  }

  async #resolve(group: GroupId, id: TransactionId, timestamp: Timestamp): Promise<boolean> {
    for (let tries = 0; tries < RESOLVE_TRIES_MAX; tries++) {
      const to = { deadlineMs: this.#laterMs, mark: this.#participants.newMark() };
      const reply = await this.#participants.step(group, resolveRow, encodeResolve(id, timestamp), to);
      if (!(reply instanceof ErrorReply)) return true;
    }
    return false;
  }

  // -------------------------------------------------------------------------------------------------------------
  // Decisions that everybody knows

  #takeSettled(anchor: GroupId): readonly TransactionId[] {
    const settled = this.#settled.get(anchor) ?? [];
    this.#settled.delete(anchor);
    return settled;
  }

  #remember(anchor: GroupId, ids: readonly TransactionId[]): void {
    if (ids.length === 0) return;
    const settled = this.#settled.get(anchor) ?? [];
    settled.push(...ids);
    this.#settled.set(anchor, settled);
    if (settled.length >= SETTLED_MAX) this.forgetSettled();
    else this.#participants.settledLater();
  }

  /** Lets the anchors forget what no commit took along. */
  forgetSettled(): void {
    for (const [anchor, ids] of this.#settled) {
      // If it fails, recovery finds that all know, and forgets.
      const to = { deadlineMs: this.#laterMs, mark: this.#participants.newMark() };
      void this.#participants.step(anchor, forgetRow, encodeIds(ids), to);
    }
    this.#settled.clear();
  }

  // -------------------------------------------------------------------------------------------------------------
  // Pieces

  get #nowMs(): number {
    return this.#participants.clock.monotonicMs();
  }

  get #laterMs(): number {
    return this.#nowMs + this.#participants.commandTimeoutMs;
  }

  /** In how many partitions the keys lie. */
  groupCount(names: readonly KeyName[]): number {
    return this.#byGroup(names).size;
  }

  #byGroup<T extends KeyName>(names: readonly T[]): Map<GroupId, T[]> {
    const groups = new Map<GroupId, T[]>();
    for (const name of names) {
      const group = this.#participants.groupOf(name.key);
      const own = groups.get(group);
      if (own === undefined) groups.set(group, [name]);
      else own.push(name);
    }
    return groups;
  }

  #shares(reads: readonly KeyCheck[], writes: readonly KeyWrite[]): Map<GroupId, Share> {
    const shares = new Map<GroupId, Share>();
    const shareOf = (key: string): Share => {
      const group = this.#participants.groupOf(key);
      const share = shares.get(group) ?? { checks: [], writes: [] };
      shares.set(group, share);
      return share;
    };
    for (const check of reads) shareOf(check.key).checks.push(check);
    for (const write of writes) shareOf(write.key).writes.push(write);
    return shares;
  }

  /** Throws ReplyError if the step failed somewhere. */
  async #readEach(row: DataCommand, parts: readonly StepPart[], { deadlineMs }: Attempt): Promise<readonly Reply[]> {
    const replies = await this.#participants.readEach(row, parts, deadlineMs);
    for (const reply of replies) if (reply instanceof ErrorReply) throw new ReplyError(reply);
    return replies;
  }

  async #stepOnce(
    group: GroupId,
    row: DataCommand,
    payload: Buffer,
    { deadlineMs }: Attempt,
    mark: Mark,
  ): Promise<Outcome | ErrorReply> {
    return outcomeOf(await this.#participants.step(group, row, payload, { deadlineMs, mark }));
  }
}

function isUncertain({ text }: ErrorReply): boolean {
  return text.startsWith('UNCERTAIN');
}

/** The same may go well another time. */
function isTransient(error: ErrorReply): boolean {
  return isUncertain(error) || error.text.startsWith('TRYAGAIN') || error.text.startsWith('CLUSTERDOWN');
}
