/**
 * Requests whose keys lie in several partitions, at the node that the client called (the coordinator).
 *
 * Reads alone take no locks. Every key is read where it lives, and then asked about once more: if nothing has changed, all of
 * it was true at one moment, the one between the two rounds. Timestamps would not do: the order that real time gives to two writes
 * in different partitions need not be the order of their timestamps.
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
import { assert, mustExist } from '../base/assert.ts';
import type { GroupId, Term, Timestamp } from '../base/ids.ts';
import { Args } from '../commands/args.ts';
import { keyIndices, keySpace } from '../commands/key-indices.ts';
import { RequestAborted } from '../partition/evaluation-view.ts';
import type { JobCall } from '../partition/job.ts';
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
} from '../partition/participant.ts';
import {
  decodeFetched,
  decodeOutcome,
  encodeChecks,
  encodeCommit,
  encodeIds,
  encodeIntent,
  encodeKeys,
  encodeLock,
  encodeResolve,
  type Fetched,
  type Intent,
  type KeyCheck,
  type KeyWrite,
  type Outcome,
} from '../partition/transaction-codec.ts';
import { runTransaction } from '../partition/transactions.ts';
import { INTERNAL_ERROR, transactionTooLarge, tryAgain } from '../resp/errors.ts';
import { ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';
import { wholeSize } from '../values/whole.ts';
import {
  CONFLICT_PAUSE_MAX_MS,
  CONFLICT_PAUSE_STEP_MS,
  FETCH_ROUNDS_MAX,
  READ_ROUNDS_MAX,
  RESOLVE_TRIES_MAX,
  SETTLED_MAX,
  WRITTEN_BYTES_MAX,
} from './limits.ts';
import type { Mark, Participants, Request } from './participants.ts';
import { bytesOf } from './step-replies.ts';
import { NotFetched, TransactionView } from './transaction-view.ts';

/** What became of one attempt: an answer, or a conflict with somebody else's work: then it is made again. */
type Attempt = { readonly reply: Reply } | typeof CONFLICT;
const CONFLICT = Symbol('conflict');

/** What came of an evaluation. */
type Evaluation = { readonly reply: Reply } | { readonly missing: KeyName };

/** What is known of one partition during an attempt. */
interface Part {
  term: Term;
  nowMs: number;
  isLocked: boolean;
}

/** The share of one partition in what a transaction read and writes. */
interface Share {
  readonly checks: KeyCheck[];
  readonly writes: KeyWrite[];
}

export class Coordinator {
  readonly #participants: Participants;
  #counter = 0;
  /** Carried out everywhere, and to be forgotten by their anchor with the next commit. */
  readonly #settled = new Map<GroupId, TransactionId[]>();

  constructor(participants: Participants) {
    this.#participants = participants;
  }

  /** Answers as if the request were evaluated at one moment between call and answer. Never rejects. */
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
    for (let tries = 0; ; tries++) {
      if (tries > 1) await this.#pause(tries);
      if (this.#nowMs >= request.deadlineMs) return tryAgain('other transactions kept its keys; nothing was applied');
      const isRead = isReadOnly && tries < READ_ROUNDS_MAX;
      const attempt = isRead ? await this.#read(request, keys) : await this.#write(request, keys, tries > 0);
      if (attempt !== CONFLICT) return attempt.reply;
    }
  }

  get #nowMs(): number {
    return this.#participants.clock.monotonicMs();
  }

  #pause(tries: number): Promise<void> {
    const most = Math.min(CONFLICT_PAUSE_MAX_MS, tries * CONFLICT_PAUSE_STEP_MS);
    return this.#participants.delay(this.#participants.random.u32() % (most + 1));
  }

  // -------------------------------------------------------------------------------------------------------------
  // Reads alone

  async #read(request: Request, keys: KeySet): Promise<Attempt> {
    const view = new TransactionView(this.#participants.random, keys.names[0] ?? ANY_KEY);
    const parts = new Map<GroupId, Part>();
    const fetch = async (names: readonly KeyName[]): Promise<boolean> => {
      const fetched = await Promise.all(
        [...this.#byGroup(names)].map(async ([group, own]) => {
          const reply = await this.#step(group, readRow, encodeKeys(own), request, request.mark);
          return this.#take(view, parts, { group, names: own, fetched: decodeFetched(bytesOf(reply)) });
        }),
      );
      return fetched.every((isSame) => isSame);
    };
    if (!(await fetch(keys.names))) return CONFLICT;
    for (let rounds = 0; ; rounds++) {
      const evaluation = this.#evaluate(request, view);
      if ('missing' in evaluation) {
        if (rounds >= FETCH_ROUNDS_MAX) return { reply: tryAgain('it needs too many keys that it does not name') };
        keys.add(evaluation.missing);
        if (!(await fetch([evaluation.missing]))) return CONFLICT;
        continue;
      }
      if (!(await this.#confirm(request, view, parts))) return CONFLICT;
      this.#count(view);
      return evaluation;
    }
  }

  /** True if all that was read is still so, and committed: then it was all true at one moment. */
  async #confirm(request: Request, view: TransactionView, parts: ReadonlyMap<GroupId, Part>): Promise<boolean> {
    const answers = await Promise.all(
      [...this.#byGroup(view.reads())].map(async ([group, checks]) => {
        const { term } = mustExist(parts.get(group), 'what was read came from a partition');
        return this.#step(group, checkRow, encodeChecks(term, checks), request);
      }),
    );
    return answers.every((answer) => Number(answer) === 1);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Writes

  async #write(request: Request, keys: KeySet, isOrdered: boolean): Promise<Attempt> {
    const id = this.#newId();
    const mark = this.#participants.newMark();
    const view = new TransactionView(this.#participants.random, keys.names[0] ?? ANY_KEY);
    const parts = new Map<GroupId, Part>();
    const release = (): void => {
      for (const [group, part] of parts) if (part.isLocked) this.#release(group, id, mark);
    };
    try {
      // What only sets keys needs nothing of what they hold; after a conflict it queues up like all others.
      let evaluation = isOrdered ? { missing: keys.names[0] ?? ANY_KEY } : this.#evaluate(request, view);
      if ('missing' in evaluation) {
        const isLocked = isOrdered
          ? await this.#lockInOrder(request, keys, { id, mark, view, parts })
          : await this.#lockAtOnce(request, keys.names, { id, mark, view, parts });
        if (!isLocked) {
          release();
          return CONFLICT;
        }
        evaluation = this.#evaluate(request, view);
      }
      for (let rounds = 0; 'missing' in evaluation; rounds++) {
        if (rounds >= FETCH_ROUNDS_MAX) {
          release();
          return { reply: tryAgain('it needs too many keys that it does not name; nothing was applied') };
        }
        keys.add(evaluation.missing);
        if (!(await this.#lockAtOnce(request, [evaluation.missing], { id, mark, view, parts }))) {
          release();
          return CONFLICT;
        }
        evaluation = this.#evaluate(request, view);
      }
      if (!view.hasChanged) {
        const isConfirmed = await this.#confirm(request, view, parts);
        release();
        if (!isConfirmed) return CONFLICT;
        this.#count(view);
        return evaluation;
      }
      const timestamp = await this.#commit(request, { id, mark, parts, reads: view.reads(), writes: view.writes() });
      if (timestamp === CONFLICT) return CONFLICT;
      this.#count(view);
      return timestamp instanceof ErrorReply ? { reply: timestamp } : evaluation;
    } catch (thrown) {
      release();
      throw thrown;
    }
  }

  async #lockAtOnce(request: Request, names: readonly KeyName[], to: Locking): Promise<boolean> {
    const granted = await Promise.all(
      [...this.#byGroup(names)].map(([group, own]) => this.#lock(request, group, { names: own, waits: false, to })),
    );
    return granted.every((isGranted) => isGranted);
  }

  /** By partition, and within each by key: everybody waits in the same order, so nobody in a ring. */
  async #lockInOrder(request: Request, keys: KeySet, to: Locking): Promise<boolean> {
    const groups = [...this.#byGroup(keys.names)].sort(([a], [b]) => a - b);
    for (const [group, names] of groups) {
      const sorted = [...names].sort(byKey);
      if (!(await this.#lock(request, group, { names: sorted, waits: true, to }))) return false;
    }
    return true;
  }

  async #lock(
    request: Request,
    group: GroupId,
    { names, waits, to }: { readonly names: readonly KeyName[]; readonly waits: boolean; readonly to: Locking },
  ): Promise<boolean> {
    const leaseMs = Math.max(1, Math.ceil(request.deadlineMs - this.#nowMs)) + this.#participants.commandTimeoutMs;
    const keys = names.map((name) => ({ ...name, mode: 'write' as const }));
    const part = to.parts.get(group) ?? { term: 0, nowMs: 0, isLocked: true };
    to.parts.set(group, part);
    part.isLocked = true;
    // Behind what the session asked of the partition before; once it waits for a lock, on its own.
    const mark = waits ? to.mark : request.mark;
    const reply = await this.#step(group, lockRow, encodeLock({ id: to.id, waits, leaseMs, keys }), request, mark);
    const fetched = decodeFetched(bytesOf(reply));
    if (!fetched.isGranted) {
      part.isLocked = false;
      return false;
    }
    return this.#take(to.view, to.parts, { group, names, fetched });
  }

  /** Prepares, decides, and leaves the rest to happen behind the answer. CONFLICT: nothing of it is left. */
  async #commit(request: Request, work: Committing): Promise<Timestamp | ErrorReply | typeof CONFLICT> {
    const { id, mark, parts, reads, writes } = work;
    if (writes.reduce((sum, { object }) => sum + (object === null ? 0 : wholeSize(object)), 0) > WRITTEN_BYTES_MAX) {
      this.#releaseAll(work, []);
      return transactionTooLarge(WRITTEN_BYTES_MAX);
    }
    const shares = this.#shares(reads, writes);
    const first = mustExist(writes[0], 'a commit writes something');
    const anchor = this.#participants.groupOf(first.key);
    const others = [...shares.keys()].filter((group) => group !== anchor);
    const leftMs = Math.max(0, Math.ceil(request.deadlineMs - this.#nowMs));
    const decideByMs = (parts.get(anchor)?.nowMs ?? Math.floor(this.#participants.clock.wallMs())) + leftMs;
    const intentOf = (group: GroupId): Intent => {
      const { checks, writes: own } = mustExist(shares.get(group), 'a participant has a share');
      const term = checks.length === 0 ? 0 : (parts.get(group)?.term ?? 0);
      return { id, anchor, term, decideByMs, checks, writes: own };
    };
    const prepared = await Promise.all(
      others.map((group) => this.#stepOnce(group, prepareRow, encodeIntent(intentOf(group)), request, mark)),
    );
    const refusal = prepared.find((outcome) => outcome instanceof ErrorReply || !outcome.isDone);
    if (refusal !== undefined) {
      this.#abort(work, others);
      return refusal instanceof ErrorReply && this.#nowMs >= request.deadlineMs ? notApplied(refusal) : CONFLICT;
    }
    const timestampMin = Math.max(0, ...prepared.map((outcome) => (outcome as Outcome).timestamp));
    const commitMark = this.#participants.newMark();
    const settled = this.#settled.get(anchor) ?? [];
    this.#settled.delete(anchor);
    const commit = encodeCommit({ timestampMin, participants: others, settled, intent: intentOf(anchor) });
    const decided = await this.#stepOnce(anchor, commitRow, commit, request, commitMark);
    if (decided instanceof ErrorReply) {
      this.#remember(anchor, settled);
      // Unknown: whoever is prepared will ask the anchor.
      if (decided.text.startsWith('UNCERTAIN')) return decided;
      this.#abort(work, others);
      return this.#nowMs >= request.deadlineMs || !isTransient(decided) ? notApplied(decided) : CONFLICT;
    }
    if (!decided.isDone) {
      this.#remember(anchor, settled);
      this.#abort(work, others);
      return CONFLICT;
    }
    request.mark.group = commitMark.group;
    request.mark.index = commitMark.index;
    this.#releaseAll(work, [...others, anchor]);
    this.#settle(id, anchor, { others, timestamp: decided.timestamp });
    return decided.timestamp;
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

  async #resolve(group: GroupId, id: TransactionId, timestamp: Timestamp): Promise<boolean> {
    for (let tries = 0; tries < RESOLVE_TRIES_MAX; tries++) {
      const deadlineMs = this.#nowMs + this.#participants.commandTimeoutMs;
      const mark = this.#participants.newMark();
      const reply = await this.#participants.step(group, resolveRow, encodeResolve(id, timestamp), {
        deadlineMs,
        mark,
      });
      if (!(reply instanceof ErrorReply)) return true;
    }
    return false;
  }

  #abort(work: Committing, prepared: readonly GroupId[]): void {
    for (const group of prepared) {
      this.#resolve(group, work.id, 0).catch((error: unknown) => {
        this.#participants.log.error('aborting a transaction failed', { error });
      });
    }
    this.#releaseAll(work, prepared);
  }

  #releaseAll({ id, mark, parts }: Committing, but: readonly GroupId[]): void {
    for (const [group, part] of parts) if (part.isLocked && !but.includes(group)) this.#release(group, id, mark);
  }

  #release(group: GroupId, id: TransactionId, mark: Mark): void {
    const deadlineMs = this.#nowMs + this.#participants.commandTimeoutMs;
    // What does not arrive ends with the lease.
    void this.#participants.step(group, releaseRow, encodeIds([id]), { deadlineMs, mark });
  }

  // -------------------------------------------------------------------------------------------------------------
  // Decisions that everybody knows

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
      const deadlineMs = this.#nowMs + this.#participants.commandTimeoutMs;
      // If it fails, recovery finds that all know, and forgets.
      void this.#participants.step(anchor, forgetRow, encodeIds(ids), {
        deadlineMs,
        mark: this.#participants.newMark(),
      });
    }
    this.#settled.clear();
  }

  // -------------------------------------------------------------------------------------------------------------
  // Pieces

  #newId(): TransactionId {
    this.#counter++;
    return { node: this.#participants.node, epoch: this.#participants.bootEpoch, counter: this.#counter };
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

  /** Notes what a leader handed out. False if it comes from another leader than what it handed out before. */
  #take(
    view: TransactionView,
    parts: Map<GroupId, Part>,
    got: { readonly group: GroupId; readonly names: readonly KeyName[]; readonly fetched: Fetched },
  ): boolean {
    const { group, names, fetched } = got;
    const part = parts.get(group);
    if (part !== undefined && part.term !== 0 && part.term !== fetched.term) return false;
    assert(fetched.objects.length === names.length, 'a leader answers for each key');
    parts.set(group, { term: fetched.term, nowMs: fetched.nowMs, isLocked: part?.isLocked ?? false });
    view.heard(fetched.nowMs);
    names.forEach((name, i) => {
      view.fetched(name, mustExist(fetched.objects[i], 'a leader answers for each key'));
    });
    return true;
  }

  #evaluate(request: Request, view: TransactionView): Evaluation {
    const { call, transaction } = request;
    const args = new Args();
    view.begin(request.protocol);
    const start = view.savepoint();
    try {
      if (call === null) return { reply: runTransaction(view, args, mustExist(transaction, 'a request has work')) };
      args.reset(call.argv, call.database);
      view.countsLookups = call.command.countsLookups;
      return { reply: call.command.run(view, args) };
    } catch (thrown) {
      if (thrown instanceof NotFetched) return { missing: thrown };
      view.rollback(start);
      if (thrown instanceof ReplyError || thrown instanceof RequestAborted) return { reply: thrown.reply };
      this.#participants.log.error('evaluation failed', { command: call?.command.name ?? 'EXEC', error: thrown });
      return { reply: INTERNAL_ERROR };
    }
  }

  #count(view: TransactionView): void {
    const { keyspaceStats } = this.#participants;
    keyspaceStats.hits += view.hits;
    keyspaceStats.misses += view.misses;
  }

  /** Throws ReplyError if the step failed: for steps that change nothing. */
  async #step(
    group: GroupId,
    row: Parameters<Participants['step']>[1],
    payload: Buffer,
    { deadlineMs }: Request,
    mark: Mark = this.#participants.newMark(),
  ): Promise<Reply> {
    const reply = await this.#participants.step(group, row, payload, { deadlineMs, mark });
    if (reply instanceof ErrorReply) throw new ReplyError(reply);
    return reply;
  }

  async #stepOnce(
    group: GroupId,
    row: Parameters<Participants['step']>[1],
    payload: Buffer,
    { deadlineMs }: Request,
    mark: Mark,
  ): Promise<Outcome | ErrorReply> {
    const reply = await this.#participants.step(group, row, payload, { deadlineMs, mark });
    return reply instanceof ErrorReply ? reply : decodeOutcome(bytesOf(reply));
  }
}

/** Its partition gives the time to scripts that name no key. */
const ANY_KEY: KeyName = { space: 0, key: '' };

interface Locking {
  readonly id: TransactionId;
  readonly mark: Mark;
  readonly view: TransactionView;
  readonly parts: Map<GroupId, Part>;
}

interface Committing {
  readonly id: TransactionId;
  readonly mark: Mark;
  readonly parts: ReadonlyMap<GroupId, Part>;
  readonly reads: readonly KeyCheck[];
  readonly writes: readonly KeyWrite[];
}

/** Keys without repetition, in order of mention. */
class KeySet {
  readonly names: KeyName[] = [];
  readonly #known = new Set<string>();

  constructor(names: readonly KeyName[]) {
    for (const name of names) this.add(name);
  }

  add({ space, key }: KeyName): void {
    const id = `${space}:${key}`;
    if (this.#known.has(id)) return;
    this.#known.add(id);
    this.names.push({ space, key });
  }
}

function callsOf({ call, transaction }: Request): readonly JobCall[] {
  return call === null ? (transaction?.calls ?? []) : [call];
}

/** Throws ReplyError if movable keys cannot be found in a malformed request. */
function declaredKeys(request: Request): readonly KeyName[] {
  const watched = request.transaction?.watched ?? [];
  return [
    ...callsOf(request).flatMap(({ command, argv, database }) =>
      keyIndices(command, argv).map((i) => ({
        space: keySpace(command, database),
        key: mustExist(argv[i], `there is no argument ${i}`).toString('latin1'),
      })),
    ),
    ...watched.map(({ database, key }) => ({ space: database, key: key.toString('latin1') })),
  ];
}

function byKey(a: KeyName, b: KeyName): number {
  if (a.space !== b.space) return a.space - b.space;
  return a.key < b.key ? -1 : Number(a.key > b.key);
}

/** Nothing was decided, whatever is unknown of a single step. */
function notApplied(error: ErrorReply): ErrorReply {
  return error.text.startsWith('UNCERTAIN')
    ? tryAgain('a partition did not answer in time; nothing was applied')
    : error;
}

/** The same may go well another time. */
function isTransient({ text }: ErrorReply): boolean {
  return text.startsWith('TRYAGAIN') || text.startsWith('CLUSTERDOWN');
}
