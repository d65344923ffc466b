/**
 * Transactions that a client conducts command by command (KAHUNA.TX).
 *
 * Commands run at once, on a view that lasts: objects that were read, and on top of them what the transaction has written, which
 * nobody else sees before the commit.
 *
 * Optimistic: nothing is locked before the commit. Whenever something more is read, all that was read before is compared again where it
 * lives, after the new was read; so everything that the client has seen was true at one moment, the present one, or the transaction
 * ends with CONFLICT then and there. The commit compares once more, under the locks of two-phase commit. If it was in the way
 * of others only for that moment, it queues up for the locks and tries again; what was read must still be so.
 *
 * Pessimistic: whatever is read or written is locked first, and stays so to the end. Two transactions that wait for each other end
 * by time: a lock is waited for no longer than a command may take.
 *
 * Serializable: either way reads are validated at the commit, absent keys too, also if nothing was written: strictness rests on no clock and on no
 * lock in anybody's memory. So a change of leader is no matter, unless it lost a lock and somebody used that: CONFLICT.
 *
 * Snapshot: everything is read as it was at one moment, that of BEGIN, whatever is committed meanwhile (moment-reads.ts). What is
 * written must not have been changed by others since (first committer wins, Berenson et al. 1995, §4.2); what was only read may have
 * been. Locks are the exception: what was seen of one must still be so, and a fence must hold at the commit. If nothing may be written, commands run on the moment itself, scans included; so do those of BEGIN … ASOF.
 */
import { msOfTimestamp } from '../base/hlc.ts';
import type { Timestamp } from '../base/ids.ts';
import type { TimerHandle } from '../base/platform.ts';
import type { JobCall } from '../partition/job.ts';
import type { KeyName } from '../partition/key-locks.ts';
import { conflict, genericError, TRANSACTION_READ_ONLY } from '../resp/errors.ts';
import { ErrorReply, type Protocol, type Reply, ReplyError } from '../resp/reply.ts';
import type { KeyCheck, KeyWrite } from '../partition/transaction-codec.ts';
import { type Attempt, KeySet } from './attempt.ts';
import { declaredKeys, evaluate } from './evaluate.ts';
import { Fences } from './fences.ts';
import { FETCH_ROUNDS_MAX, TRANSACTION_KEYS_MAX, WRITTEN_BYTES_MAX } from './limits.ts';
import type { MomentReads } from './moment-reads.ts';
import type { Mark, Participants } from './participants.ts';
import { CONFLICT, type Steps } from './steps.ts';
import { LOCK_SPACE } from '../values/value.ts';
import { TransactionView } from './transaction-view.ts';

export interface TransactionOptions {
  readonly mode: 'optimistic' | 'pessimistic';
  readonly isolation: 'serializable' | 'snapshot';
  /** The moment that is read; 0 = the present, for a serializable one. */
  readonly moment: Timestamp;
  readonly isReadOnly: boolean;
  /** After so many ms the server rolls back. */
  readonly timeoutMs: number;
}

export interface TransactionStatus extends TransactionOptions {
  readonly name: string;
  /** 'conflict' and 'expired': nothing of it will be; COMMIT and ROLLBACK end it. */
  readonly state: 'open' | 'conflict' | 'expired';
  readonly leftMs: number;
  readonly reads: number;
  readonly writes: number;
}

const EXPIRED = conflict('the transaction has passed its deadline and was rolled back; begin a new one');
const ANY_KEY: KeyName = { space: 0, key: '' };

export class InteractiveTransaction {
  readonly #participants: Participants;
  readonly #steps: Steps;
  readonly #moments: MomentReads;
  readonly #options: TransactionOptions;
  readonly #view: TransactionView;
  readonly #attempt: Attempt;
  readonly #deadlineMs: number;
  readonly #timer: TimerHandle;
  readonly #fences = new Fences();
  /** Why it can only be rolled back; null while it is open. */
  #failure: ErrorReply | null = null;
  #isOver = false;

  constructor(
    { participants, steps, moments }: { participants: Participants; steps: Steps; moments: MomentReads },
    { options, mark }: { options: TransactionOptions; mark: Mark },
  ) {
    this.#participants = participants;
    this.#steps = steps;
    this.#moments = moments;
    this.#options = options;
    this.#deadlineMs = participants.clock.monotonicMs() + options.timeoutMs;
    this.#view = new TransactionView(participants.random, ANY_KEY);
    this.#view.begin(2);
    if (options.moment !== 0) this.#view.heard(msOfTimestamp(options.moment));
    this.#attempt = steps.begin(this.#view, {
      sessionMark: mark,
      deadlineMs: this.#deadlineMs,
      isConfirmed: true,
      leaseUntilMs: this.#deadlineMs + participants.commandTimeoutMs,
    });
    this.#timer = participants.after(options.timeoutMs, () => {
      if (this.#failure === null) this.#fail(EXPIRED);
    });
  }

  get name(): string {
    return this.#attempt.name;
  }

  /** One command. Its error undoes the command alone; CONFLICT and FENCED end the transaction. */
  async run(call: JobCall, protocol: Protocol): Promise<Reply> {
    if (this.#failure !== null) return this.#failure;
    if (this.#options.isReadOnly && !call.command.flags.includes('readonly')) return TRANSACTION_READ_ONLY;
    try {
      return await this.#run(call, protocol);
    } catch (thrown) {
      if (thrown instanceof ReplyError) return this.#fail(explained(thrown.reply));
      throw thrown;
    }
  }

  async #run(call: JobCall, protocol: Protocol): Promise<Reply> {
    if (this.#options.isReadOnly && this.#options.moment !== 0) return this.#runAtMoment(call, protocol);
    const view = this.#view;
    for (let rounds = 0; rounds < FETCH_ROUNDS_MAX; rounds++) {
      this.#startStep();
      view.goOn(protocol, this.#participants.clock.monotonicMs());
      const evaluation = evaluate({ call, transaction: null }, view, this.#participants.log);
      // Nothing waits inside a transaction.
      if ('waitsUntilMs' in evaluation) return null;
      if (!('missing' in evaluation)) {
        if (evaluation.isAborted === true && evaluation.reply instanceof ErrorReply)
          return this.#fail(evaluation.reply);
        if (!(evaluation.reply instanceof ErrorReply)) this.#fences.note(call);
        return this.#checked(evaluation.reply);
      }
      const names = new KeySet(declaredKeys({ call, transaction: null }).filter((name) => !view.has(name)));
      if (evaluation.missing.space !== ANY_KEY.space || evaluation.missing.key !== '' || names.names.length === 0) {
        names.add(evaluation.missing);
      }
      if (!(await this.#fetch(names.names))) return this.#fail(await this.#fencedOr(CHANGED));
      // Meanwhile its time may have passed, or its client gone.
      if (this.#failure !== null) return this.#failure;
    }
    return this.#fail(
      conflict('the command needs too many keys that it does not name; the transaction was rolled back'),
    );
  }

  #runAtMoment(call: JobCall, protocol: Protocol): Promise<Reply> {
    this.#startStep();
    const { deadlineMs, sessionMark: mark } = this.#attempt;
    const request = { call, transaction: null, protocol, isNoTouch: false, deadlineMs, mark };
    return this.#moments.run(request, this.#options.moment);
  }

  /** False if something that was read before has changed. */
  async #fetch(names: readonly KeyName[]): Promise<boolean> {
    const { moment } = this.#options;
    if (moment !== 0) {
      if (this.#options.mode === 'pessimistic' && !(await this.#lockForSnapshot(names))) return false;
      const objects = await this.#moments.fetch(names, { at: moment, deadlineMs: this.#attempt.deadlineMs });
      names.forEach((name, i) => {
        const object = objects[i] ?? null;
        this.#view.fetched(name, { version: object?.version ?? 0, object });
      });
      return true;
    }
    if (this.#options.mode === 'pessimistic') return this.#steps.lockInOrder(this.#attempt, names);
    if (this.#attempt.parts.size === 0) this.#steps.noteAllClosed(this.#attempt);
    await this.#steps.read(this.#attempt, names);
    // Nothing that was read has changed since the first of it was.
    if (this.#attempt.isOfOneMoment) return true;
    // What one leader has just handed out was true at one moment; that what was read before still held then is to be seen.
    const earlier = this.#view.reads();
    const isOfOneLeader = this.#steps.groupCount(names) === 1;
    const reads = isOfOneLeader ? earlier : [...earlier, ...this.#view.checksOf(names)];
    return reads.length === 0 || this.#steps.confirm(this.#attempt, reads);
  }

  /** Nobody changes them from now on; false if somebody has since the moment. */
  async #lockForSnapshot(names: readonly KeyName[]): Promise<boolean> {
    const view = new TransactionView(this.#participants.random, ANY_KEY);
    const locked = await this.#steps.lockInOrder(this.#attempt.over(view), names);
    return locked && view.checksOf(names).every(({ version }) => version <= this.#options.moment);
  }

  #checked(reply: Reply): Reply {
    const { touchedCount, writtenBytes } = this.#view;
    if (touchedCount <= TRANSACTION_KEYS_MAX && writtenBytes <= WRITTEN_BYTES_MAX) return reply;
    return this.#fail(
      genericError(
        `a transaction may touch at most ${TRANSACTION_KEYS_MAX} keys and write ${WRITTEN_BYTES_MAX} bytes; it was rolled back`,
      ),
    );
  }

  /** The commit timestamp, or the error that tells why nothing was applied. It is over then, either way. */
  async commit(): Promise<Reply> {
    if (this.#failure !== null) {
      this.#end();
      return this.#failure;
    }
    this.#timer.cancel();
    this.#startStep();
    try {
      const reply = await this.#commit();
      if (reply === CHANGED) return await this.#fencedOr(CHANGED);
      if (reply === OVERTAKEN) return await this.#fencedOr(OVERTAKEN);
      return reply;
    } catch (thrown) {
      if (!(thrown instanceof ReplyError)) throw thrown;
      return this.#participants.clock.monotonicMs() >= this.#deadlineMs ? EXPIRED : explained(thrown.reply);
    } finally {
      this.#end();
    }
  }

  async #commit(): Promise<Reply> {
    const { moment } = this.#options;
    const reads = moment === 0 ? this.#view.reads() : [];
    const writes = this.#view.writes();
    if (writes.length === 0 && moment !== 0) return moment;
    if (moment !== 0) return this.#commitSnapshot(writes);
    if (writes.length === 0) {
      if (reads.length > 0 && !(await this.#steps.confirm(this.#attempt, reads))) return CHANGED;
      return reads.reduce<Timestamp>((latest, { version }) => Math.max(latest, version), 0);
    }
    const first = await this.#steps.commit(this.#attempt, { reads, writes });
    if (first !== CONFLICT) return first;
    if (this.#options.mode === 'pessimistic') return CHANGED;
    // Somebody held a key for a moment, or has changed it: behind them we shall see.
    const view = new TransactionView(this.#participants.random, ANY_KEY);
    const { sessionMark, deadlineMs } = this.#attempt;
    const attempt = this.#steps.begin(view, { sessionMark, deadlineMs, isConfirmed: true });
    const isLocked = await this.#steps.lockInOrder(attempt, new KeySet([...reads, ...writes]).names);
    const now = view.checksOf(reads);
    if (!isLocked || reads.some(({ version }, i) => now[i]?.version !== version)) {
      this.#steps.release(attempt);
      return CHANGED;
    }
    const second = await this.#steps.commit(attempt, { reads, writes });
    return second === CONFLICT ? CHANGED : second;
  }

  async #commitSnapshot(writes: readonly KeyWrite[]): Promise<Reply> {
    const guards = await this.#guards(writes);
    if (guards instanceof ErrorReply) return guards;
    const view = new TransactionView(this.#participants.random, ANY_KEY);
    const attempt = this.#attempt.over(view);
    const isLocked = await this.#steps.lockInOrder(attempt, writes);
    const reads = isLocked ? view.checksOf(writes) : [];
    if (!isLocked || reads.some(({ version }) => version > this.#options.moment)) {
      this.#steps.release(attempt);
      return OVERTAKEN;
    }
    const done = await this.#steps.commit(attempt, { reads: [...reads, ...guards], writes });
    return done === CONFLICT ? OVERTAKEN : done;
  }

  /** Locks that were looked at, as they are now, to be validated; or why they are in the way of the commit. */
  async #guards(writes: readonly KeyWrite[]): Promise<readonly KeyCheck[] | ErrorReply> {
    const isWritten = (name: string): boolean => writes.some(({ space, key }) => space === LOCK_SPACE && key === name);
    const names = this.#view.reads().filter(({ space, key }) => space === LOCK_SPACE && !isWritten(key));
    if (names.length === 0) return [];
    const view = await this.#readAgain(names);
    const fenced = new Set(this.#fences.names.map(({ key }) => key));
    const checks = view.checksOf(names);
    if (checks.some(({ key, version }) => !fenced.has(key) && version > this.#options.moment)) return OVERTAKEN;
    return this.#fences.broken(view, this.#participants.log) ?? checks;
  }

  /** The conflict, unless a fence that held does not any more. */
  async #fencedOr(conflicting: ErrorReply): Promise<ErrorReply> {
    const { names } = this.#fences;
    if (names.length === 0) return conflicting;
    return this.#fences.broken(await this.#readAgain(names), this.#participants.log) ?? conflicting;
  }

  /** Keys as they are now, whatever the transaction has seen of them. */
  async #readAgain(names: readonly KeyName[]): Promise<TransactionView> {
    const view = new TransactionView(this.#participants.random, ANY_KEY);
    view.begin(2);
    await this.#steps.read(this.#attempt.over(view), names);
    return view;
  }

  /** Nothing of it happens. */
  rollback(): void {
    this.#end();
  }

  status(): TransactionStatus {
    return {
      ...this.#options,
      name: this.name,
      state: this.#failure === null ? 'open' : this.#failure === EXPIRED ? 'expired' : 'conflict',
      leftMs: Math.max(0, Math.ceil(this.#deadlineMs - this.#participants.clock.monotonicMs())),
      reads: this.#view.reads().length,
      writes: this.#view.writes().length,
    };
  }

  #startStep(): void {
    const { clock, commandTimeoutMs } = this.#participants;
    this.#attempt.deadlineMs = Math.min(this.#deadlineMs, clock.monotonicMs() + commandTimeoutMs);
  }

  #fail(failure: ErrorReply): ErrorReply {
    this.#failure ??= failure;
    this.#timer.cancel();
    this.#steps.release(this.#attempt);
    return this.#failure;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure ??= EXPIRED;
    this.#timer.cancel();
    this.#steps.release(this.#attempt);
  }
}

const OVERTAKEN = conflict(
  'something that the transaction writes was changed since it began; nothing was applied. Begin a new one',
);
const CHANGED = conflict('something that the transaction has read was changed; nothing was applied. Begin a new one');

/** What a step was refused with, as the end of the transaction. */
function explained(error: ErrorReply): ErrorReply {
  if (!error.text.startsWith('TRYAGAIN')) return error;
  return conflict(
    'a key could not be had in time, perhaps because of a deadlock; nothing was applied. Begin a new one',
  );
}
