/**
 * Requests whose keys lie in several partitions, at the node that the client called (the coordinator).
 *
 * Reads alone take no locks. Every key is read where it lives. If none has changed since a moment before they were read, which leaders' earlier
 * promises tell (closed-timestamps.ts), all of it was true then. Otherwise it is asked about once more: if nothing has changed, all of
 * it was true at one moment, the one between the two rounds. Timestamps of different partitions are not compared: the order that real time gives to
 * two writes in different partitions need not be the order of their timestamps.
 *
 * Writes are two-phase commit over Raft groups (Gray & Lamport, "Consensus on Transaction Commit", 2006, §2; Corbett et al.,
 * "Spanner", 2012, §4.2.1), with strict two-phase locking:
 *   1. lock the keys at their leaders, which answers with what they hold. At first all at once without waiting; if one was taken,
 *      all are let go and locked again in order of partition and key, waiting in the keys' queues: so nobody waits in a ring, and
 *      everybody's turn comes. (A request that only sets keys needs no objects, and no locks before step 3.)
 *   2. evaluate over the objects (transaction-view.ts). A key that turns out to be needed is locked too.
 *   3. prepare in parallel at every partition but the anchor: a replicated record of what was read and shall be written.
 *   4. commit at the anchor, the partition of the first key that is written: its own changes and the decision are one entry.
 *      This is the moment at which the transaction takes effect. The client has its answer.
 *   5. behind the answer, every participant carries the decision out; then the anchor forgets it.
 *
 * Why this is strictly serializable. From its preparation to the decision, nothing that the transaction read can change, and
 * nothing that it writes can be read, in any partition; the anchor checks and changes its own keys in the entry that decides. So all
 * of it is as if done at the decision, which lies between call and answer. Locks before preparation are a courtesy that avoids
 * conflicts: preparation compares versions.
 *
 * Whatever fails before step 4 leaves nothing behind: the attempt is aborted and made anew under another id, until the request's
 * deadline. Nothing was shown to the client, so repeating is safe. If the answer to step 4 is unknown, so is that to the client.
 * If this node is gone, the participants settle what is prepared through the anchor (recovery.ts).
 */
import type { KeyName } from '../partition/key-locks.ts';
import { flushKey } from '../partition/open-transactions.ts';
import { INTERNAL_ERROR, tryAgain } from '../resp/errors.ts';
import { ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';
import { TRANSACTION_SPACE } from '../values/value.ts';
import { type Attempt, KeySet } from './attempt.ts';
import { callsOf, declaredKeys, evaluate, type Evaluation } from './evaluate.ts';
import {
  CONFLICT_PAUSE_MAX_MS,
  CONFLICT_PAUSE_STEP_MS,
  FETCH_ROUNDS_MAX,
  READ_ROUNDS_MAX,
  WAIT_LOOK_MS,
} from './limits.ts';
import type { Participants, Request } from './participants.ts';
import { CONFLICT, type Steps } from './steps.ts';
import { TransactionView } from './transaction-view.ts';

/** What became of one attempt: an answer, or a conflict with somebody else's work: then it is made again; or it waits for a key. */
type Result = { readonly reply: Reply } | typeof CONFLICT | { readonly waitMs: number };

/** Its partition gives the time to scripts that name no key. */
const ANY_KEY: KeyName = { space: 0, key: '' };

export class Coordinator {
  readonly #participants: Participants;
  readonly #steps: Steps;

  constructor(participants: Participants, steps: Steps) {
    this.#participants = participants;
    this.#steps = steps;
  }

  /** Answers as if the request were evaluated at one moment between call and answer. */
  async run(request: Request): Promise<Reply> {
    try {
      return await this.#run(request);
    } catch (thrown) {
      if (thrown instanceof ReplyError) return thrown.reply;
      throw thrown;
    }
  }

  async #run(request: Request): Promise<Reply> {
    const keys = new KeySet(declaredKeys(request));
    const isReadOnly = callsOf(request).every(({ command }) => command.flags.includes('readonly'));
    const first = { ms: 0 };
    return this.#again(request, (isOrdered, tries) => {
      const isRead = isReadOnly && tries < READ_ROUNDS_MAX;
      return isRead ? this.#read(request, keys) : this.#write(request, keys, { isOrdered, first });
    });
  }

  /** Until there is an answer, or the deadline has passed. After a conflict everybody queues up for the keys. */
  async #again(request: Request, attempt: (isOrdered: boolean, tries: number) => Promise<Result>): Promise<Reply> {
    for (let tries = 0; ; tries++) {
      if (tries > 1) await this.#pause(tries);
      if (this.#participants.clock.monotonicMs() >= request.deadlineMs) {
        return tryAgain('other transactions kept its keys; nothing was applied');
      }
      const result = await attempt(tries > 0, tries);
      if (result === CONFLICT) continue;
      if ('reply' in result) return result.reply;
      await this.#wait(Math.max(1, Math.min(WAIT_LOOK_MS, result.waitMs)));
      if (this.#participants.isGone(request)) return null;
      tries = -1;
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#participants.after(ms, resolve));
  }

  /** FLUSHALL or FLUSHDB: every partition is emptied at one moment. */
  async flush(request: Request): Promise<Reply> {
    const view = new TransactionView(this.#participants.random, ANY_KEY);
    view.begin(request.protocol);
    view.mayFlush = true;
    const evaluation = evaluate(request, view, this.#participants.log);
    const { flushed } = view;
    if (!('reply' in evaluation)) return INTERNAL_ERROR;
    if (flushed === null) return evaluation.reply;
    const names = this.#participants.tags.map((tag) => ({ space: TRANSACTION_SPACE, key: flushKey(tag, flushed) }));
    try {
      const done = await this.#again(request, (isOrdered) => this.#flush(request, names, isOrdered));
      return done instanceof ErrorReply ? done : evaluation.reply;
    } catch (thrown) {
      if (thrown instanceof ReplyError) return thrown.reply;
      throw thrown;
    }
  }

  async #flush(request: Request, names: readonly KeyName[], isOrdered: boolean): Promise<Result> {
    const attempt = this.#begin(request, new KeySet(names));
    if (isOrdered && !(await this.#steps.lockInOrder(attempt, names))) {
      this.#steps.release(attempt);
      return CONFLICT;
    }
    const writes = names.map((name) => ({ ...name, object: null }));
    const timestamp = await this.#steps.commit(attempt, { reads: [], writes });
    return timestamp === CONFLICT ? CONFLICT : { reply: timestamp };
  }

  #pause(tries: number): Promise<void> {
    const most = Math.min(CONFLICT_PAUSE_MAX_MS, tries * CONFLICT_PAUSE_STEP_MS);
    return this.#wait(this.#participants.random.u32() % (most + 1));
  }

  /** Reads alone. */
  async #read(request: Request, keys: KeySet): Promise<Result> {
    const attempt = this.#begin(request, keys, true);
    const { view } = attempt;
    await this.#steps.read(attempt, keys.names);
    for (let rounds = 0; ; rounds++) {
      const evaluation = this.#evaluate(request, view);
      if ('missing' in evaluation) {
        if (rounds >= FETCH_ROUNDS_MAX) return { reply: TOO_MANY_KEYS };
        keys.add(evaluation.missing);
        await this.#steps.read(attempt, [evaluation.missing]);
        continue;
      }
      if ('waitsUntilMs' in evaluation) return { reply: null };
      if (!attempt.isOfOneMoment && !(await this.#steps.confirm(attempt, view.reads()))) return CONFLICT;
      this.#count(view);
      return evaluation;
    }
  }

  async #write(
    request: Request,
    keys: KeySet,
    { isOrdered, first }: { readonly isOrdered: boolean; readonly first: { ms: number } },
  ): Promise<Result> {
    const attempt = this.#begin(request, keys);
    const { view } = attempt;
    view.mayWait = request.call !== null;
    view.firstAttemptMs = first.ms;
    try {
      // What only sets keys needs nothing of what they hold; after a conflict it queues up like all others.
      let evaluation: Evaluation = isOrdered ? { missing: keys.names[0] ?? ANY_KEY } : this.#evaluate(request, view);
      for (let rounds = 0; 'missing' in evaluation; rounds++) {
        if (rounds > FETCH_ROUNDS_MAX) {
          this.#steps.release(attempt);
          return { reply: TOO_MANY_KEYS };
        }
        const isFirst = rounds === 0;
        if (!isFirst || keys.names.length === 0) keys.add(evaluation.missing);
        const isLocked =
          isFirst && isOrdered
            ? await this.#steps.lockInOrder(attempt, keys.names)
            : await this.#steps.lockAtOnce(attempt, isFirst ? keys.names : [evaluation.missing]);
        if (!isLocked) {
          this.#steps.release(attempt);
          return CONFLICT;
        }
        evaluation = this.#evaluate(request, view);
      }
      if ('waitsUntilMs' in evaluation) {
        this.#steps.release(attempt);
        first.ms = view.firstRunMs;
        return { waitMs: evaluation.waitsUntilMs - view.nowMs };
      }
      if (!view.hasChanged) {
        const isConfirmed = await this.#steps.confirm(attempt, view.reads());
        this.#steps.release(attempt);
        if (!isConfirmed) return CONFLICT;
        this.#count(view);
        return evaluation;
      }
      const timestamp = await this.#steps.commit(attempt, { reads: view.reads(), writes: view.writes() });
      if (timestamp === CONFLICT) return CONFLICT;
      this.#count(view);
      return timestamp instanceof ErrorReply ? { reply: timestamp } : evaluation;
    } catch (thrown) {
      this.#steps.release(attempt);
      throw thrown;
    }
  }

  #begin({ mark, deadlineMs: lastMs }: Request, keys: KeySet, isConfirmed = false): Attempt {
    const { clock, commandTimeoutMs } = this.#participants;
    const deadlineMs = Math.min(lastMs, clock.monotonicMs() + commandTimeoutMs);
    const view = new TransactionView(this.#participants.random, keys.names[0] ?? ANY_KEY);
    return this.#steps.begin(view, { sessionMark: mark, deadlineMs, isConfirmed });
  }

  #evaluate(request: Request, view: TransactionView): Evaluation {
    view.begin(request.protocol);
    return evaluate(request, view, this.#participants.log);
  }

  #count(view: TransactionView): void {
    const { keyspaceStats } = this.#participants;
    keyspaceStats.hits += view.hits;
    keyspaceStats.misses += view.misses;
  }
}

const TOO_MANY_KEYS = tryAgain('it needs too many keys that it does not name; nothing was applied');
