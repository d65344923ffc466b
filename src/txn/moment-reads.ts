/**
 * Reads of a session that has chosen a moment (KAHUNA.ASOF), at the node that the client called. Requests of any kind, over keys of any
 * partitions, are evaluated here, over objects as they were at the moment, which their leaders hand out.
 *
 * Each leader makes sure that nothing is committed at or below the moment after it has answered (partition/history-reads.ts). So all
 * answers are about one state, whenever and in whatever order they are fetched, and the same request gives the same answer
 * again for as long as the moment is kept. No locks, no validation, no second round.
 */
import { mustExist } from '../base/assert.ts';
import { KahunaError } from '../base/errors.ts';
import type { GroupId, Timestamp } from '../base/ids.ts';
import { Args } from '../commands/args.ts';
import type { ScanPage } from '../commands/view.ts';
import { RequestAborted } from '../partition/evaluation-ends.ts';
import type { KeyName } from '../partition/key-locks.ts';
import { decodeFound, decodeObjects, encodeKeysAt, encodePageAt, type ObjectAt } from '../partition/moment-codec.ts';
import { keysAtRow, pageAtRow } from '../partition/moments.ts';
import { runTransaction } from '../partition/transactions.ts';
import { INTERNAL_ERROR, tryAgain } from '../resp/errors.ts';
import { ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';
import { declaredKeys } from './evaluate.ts';
import { FETCH_ROUNDS_MAX } from './limits.ts';
import { MomentView, PageNotFetched, type PageRequest } from './moment-view.ts';
import type { Participants, Request, StepOptions } from './participants.ts';
import { NotFetched } from './transaction-view.ts';

const UNREADABLE = tryAgain('what a partition answered cannot be read');
/** Keys of one page that is fetched; KEYS and DBSIZE take many. */
const PAGE_KEYS_MAX = 10_000;

export class MomentReads {
  readonly #participants: Participants;
  readonly #groupOfCursor: (cursor: bigint) => GroupId;

  /** `groupOfCursor`: the partition at which a cursor of SCAN stands. */
  constructor(participants: Participants, groupOfCursor: (cursor: bigint) => GroupId) {
    this.#participants = participants;
    this.#groupOfCursor = groupOfCursor;
  }

  /** Answers as if the request had been evaluated at the moment. */
  async run(request: Request, at: Timestamp): Promise<Reply> {
    try {
      return await this.#run(request, at);
    } catch (thrown) {
      if (thrown instanceof ReplyError) return thrown.reply;
      throw thrown;
    }
  }

  async #run(request: Request, at: Timestamp): Promise<Reply> {
    const { keyspaceStats } = this.#participants;
    const view = new MomentView(at, this.#participants.random);
    const options = { deadlineMs: request.deadlineMs, mark: this.#participants.newMark() };
    await this.#fetch(view, declaredKeys(request), options);
    for (let rounds = 0; rounds < FETCH_ROUNDS_MAX; rounds++) {
      const outcome = this.#evaluate(request, view);
      if (outcome instanceof NotFetched) await this.#fetch(view, [outcome], options);
      else if (outcome instanceof PageNotFetched) {
        view.fetchedPage(outcome.request, await this.#page(at, outcome.request, options));
      } else {
        keyspaceStats.hits += view.hits;
        keyspaceStats.misses += view.misses;
        return outcome.reply;
      }
      if (this.#participants.clock.monotonicMs() >= request.deadlineMs) break;
    }
    return tryAgain('it names too many keys, one after the other, to be read at a moment in time');
  }

  /** Keys as they were at a moment; null = absent. Throws ReplyError. */
  async fetch(
    keys: readonly KeyName[],
    { at, deadlineMs }: { readonly at: Timestamp; readonly deadlineMs: number },
  ): Promise<readonly ObjectAt[]> {
    const found = new Map<KeyName, ObjectAt>();
    const view = { timestamp: at, fetched: (name: KeyName, object: ObjectAt) => found.set(name, object) };
    await this.#fetch(view, keys, { deadlineMs, mark: this.#participants.newMark() });
    return keys.map((name) => found.get(name) ?? null);
  }

  #evaluate(
    { call, transaction, protocol }: Request,
    view: MomentView,
  ): { readonly reply: Reply } | NotFetched | PageNotFetched {
    const args = new Args();
    view.begin(protocol);
    try {
      if (call === null) return { reply: runTransaction(view, args, mustExist(transaction, 'a request has work')) };
      args.reset(call.argv, call.database);
      view.countsLookups = call.command.countsLookups;
      return { reply: call.command.run(view, args) };
    } catch (thrown) {
      if (thrown instanceof NotFetched || thrown instanceof PageNotFetched) return thrown;
      if (thrown instanceof ReplyError || thrown instanceof RequestAborted) return { reply: thrown.reply };
      this.#participants.log.error('evaluation failed', { command: call?.command.name ?? 'EXEC', error: thrown });
      return { reply: INTERNAL_ERROR };
    }
  }

  async #fetch(
    view: { readonly timestamp: Timestamp; fetched(name: KeyName, object: ObjectAt): void },
    keys: readonly KeyName[],
    options: StepOptions,
  ): Promise<void> {
    const byGroup = new Map<GroupId, KeyName[]>();
    for (const name of keys) {
      const group = this.#participants.groupOf(name.key);
      const present = byGroup.get(group);
      if (present === undefined) byGroup.set(group, [name]);
      else present.push(name);
    }
    await Promise.all(
      [...byGroup].map(async ([group, names]) => {
        const payload = encodeKeysAt({ at: view.timestamp, keys: names });
        const objects = answered(await this.#participants.step(group, keysAtRow, payload, options), decodeObjects);
        if (objects.length !== names.length) throw new ReplyError(UNREADABLE);
        names.forEach((name, i) => {
          view.fetched(name, objects[i] ?? null);
        });
      }),
    );
  }

  /** As many keys as were asked for, over the end of partitions if all are wanted. */
  async #page(at: Timestamp, { space, cursor, count, type }: PageRequest, options: StepOptions): Promise<ScanPage> {
    const keys: string[] = [];
    let next = cursor;
    let left = count;
    do {
      const looked = Math.min(left, PAGE_KEYS_MAX);
      const payload = encodePageAt({ at, space, type: type ?? 0, count: looked, cursor: next });
      const group = this.#groupOfCursor(next);
      const page = answered(await this.#participants.step(group, pageAtRow, payload, options), decodeFound);
      keys.push(...page.keys);
      next = page.next;
      left -= looked;
    } while (next !== 0n && left > 0 && count === Number.POSITIVE_INFINITY);
    return { keys, next };
  }
}

/** The answer of another node may be anything: what cannot be read is an error like others. */
function answered<T>(reply: Reply, decode: (bytes: Uint8Array) => T): T {
  if (reply instanceof ErrorReply) throw new ReplyError(reply);
  if (!(reply instanceof Uint8Array)) throw new ReplyError(UNREADABLE);
  try {
    return decode(reply);
  } catch (error) {
    if (error instanceof KahunaError) throw new ReplyError(UNREADABLE);
    throw error;
  }
}
