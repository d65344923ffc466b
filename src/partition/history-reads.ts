/**
 * Reading what keys were, for evaluations at a partition's leader: KAHUNA.GET … ASOF, KAHUNA.HISTORY and the like, and what nodes ask
 * for that read a moment on behalf of a session (moments.ts).
 *
 * Problem. What is asked about lies in LevelDB under older versions, which can only be read aside; LevelDB lags behind what was
 * evaluated; and an answer about a moment must never be contradicted: nothing may be committed at or below it later, whoever leads.
 *
 * Idea. The evaluation asks; what is not known yet ends it, is loaded, and it runs again from its start, as with long values.
 * - Before anything is read at T, the clock passes T (EvaluationView.promise). If no entry says a timestamp of T or more yet, the
 *   open batch becomes one that does, and the answer waits for its commit: every later leader starts from there.
 *   One such entry serves all reads of a turn.
 * - If the newest version of the key is not younger than T, it is the answer: no matter how long ago the key changed, and whether
 *   history is kept.
 * - Else the versions are read from a snapshot of LevelDB, taken when it holds everything that was evaluated at or below T.
 * - What is prepared might be committed at or below T: it is waited for, as in any other read.
 * - The answer leaves when leadership was confirmed after its evaluation, like all answers.
 *
 * A key that had expired by T is absent at T, whenever its deletion was committed. The moments of flushes are part of the
 * partition's state (partition-state.ts), because the records that they kill are deleted later, bit by bit.
 */
import { msOfTimestamp } from '../base/hlc.ts';
import type { LogIndex, Timestamp } from '../base/ids.ts';
import { NotResident, type PastKey, type PastView, type ScanPage, type ScanRequest } from '../commands/view.ts';
import { fail, historyGone, historyTooLong } from '../resp/errors.ts';
import { ErrorReply, ReplyError } from '../resp/reply.ts';
import type { DataSnapshot, DataStore } from '../storage/data/types.ts';
import { HistoryGone } from '../storage/data/versions.ts';
import type { Space } from '../values/value.ts';
import type { EvaluationView, NewestKey } from './evaluation-view.ts';
import { HistoryScanner } from './history-scan.ts';
import type { Job } from './job.ts';
import { HISTORY_BYTES_MAX } from './limits.ts';
import { flushedBefore, flushesOf, type PartitionState } from './partition-state.ts';
import type { RecordReader } from './record-reader.ts';
import { isSameRequest } from './scanner.ts';

/** Keys of one request that are read in one go. */
interface Wanted {
  readonly space: Space;
  readonly key: string;
}

export type PastRequest =
  | { readonly kind: 'moments'; readonly keys: readonly Wanted[]; readonly at: Timestamp }
  | { readonly kind: 'moment' | 'revision'; readonly space: Space; readonly key: string; readonly at: Timestamp }
  | { readonly kind: 'history'; readonly space: Space; readonly key: string; readonly count: number }
  | { readonly kind: 'scan'; readonly scan: ScanRequest; readonly at: Timestamp };

/** The evaluation must wait until something of the past was read. */
export class PastNotRead extends NotResident {
  override readonly kind = 'past';
  readonly request: PastRequest;
  /** LevelDB must hold this entry before. */
  readonly settledIndex: LogIndex;
  constructor(request: PastRequest, settledIndex: LogIndex) {
    super();
    this.request = request;
    this.settledIndex = settledIndex;
  }
}

export interface HistoryHost {
  readonly data: DataStore;
  readonly reader: RecordReader;
  readonly slots: { readonly first: number; readonly last: number };
  readonly scanner: { readonly endSlot: number };
  readonly appliedIndex: LogIndex;
  /** As of `appliedIndex`. */
  readonly appliedState: PartitionState;
}

interface Page {
  readonly request: ScanRequest;
  readonly at: Timestamp;
  readonly page: ScanPage | ErrorReply;
}

/** What was read for one job. */
interface Answers {
  readonly keys: Map<string, PastKey | undefined | ErrorReply>;
  readonly histories: Map<string, readonly PastKey[] | ErrorReply>;
  readonly pages: Page[];
  /** Of the next page that the present evaluation asks for. */
  position: number;
}

interface Waiter {
  readonly index: LogIndex;
  readonly reached: () => void;
}

export class HistoryReads implements PastView {
  readonly #host: HistoryHost;
  readonly #view: EvaluationView;
  readonly #scanner: HistoryScanner;
  readonly #byJob = new Map<Job, Answers>();
  #active: Answers | null = null;
  #waiters: Waiter[] = [];

  constructor(host: HistoryHost, view: EvaluationView) {
    this.#host = host;
    this.#view = view;
    this.#scanner = new HistoryScanner(host);
  }

  // -------------------------------------------------------------------------------------------------------------
  // The life of an evaluation

  begin(job: Job | null): void {
    if (this.#byJob.size === 0) {
      this.#active = null;
      return;
    }
    this.#active = job === null ? null : (this.#byJob.get(job) ?? null);
    if (this.#active !== null) this.#active.position = 0;
  }

  finish(job: Job): void {
    if (this.#byJob.size !== 0) this.#byJob.delete(job);
  }

  /** Reads what the job's last evaluation missed. Rejects if the data is damaged. */
  async load(job: Job, { request, settledIndex }: PastNotRead): Promise<void> {
    // It may have counted on changes of its own evaluation, which have been undone: no entry comes of those alone.
    await this.#applied(Math.min(settledIndex, this.#view.evaluatedIndex));
    const answers = this.#answersOf(job);
    const snapshot = this.#host.data.snapshot();
    // In this turn: what the snapshot holds and the state belong together.
    const state = this.#host.appliedState;
    try {
      switch (request.kind) {
        case 'moments':
          for (const { space, key } of request.keys) {
            const one = { kind: 'moment', space, key, at: request.at } as const;
            answers.keys.set(nameOf(one), await answerOf(this.#moment(snapshot, state, one)));
          }
          return;
        case 'moment':
          answers.keys.set(nameOf(request), await answerOf(this.#moment(snapshot, state, request)));
          return;
        case 'revision':
          answers.keys.set(nameOf(request), await answerOf(this.#revision(snapshot, request)));
          return;
        case 'history':
          answers.histories.set(nameOf(request), await answerOf(this.#history(snapshot, state, request)));
          return;
        case 'scan': {
          const page = await answerOf(this.#scanner.scan(snapshot, state, request));
          answers.pages[answers.position] = { request: request.scan, at: request.at, page };
          answers.pages.length = answers.position + 1;
        }
      }
    } finally {
      snapshot.release();
    }
  }

  /** LevelDB holds everything up to `index`. */
  applied(index: LogIndex): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (waiter.index <= index) waiter.reached();
      else this.#waiters.push(waiter);
    }
  }

  clear(): void {
    this.#byJob.clear();
    this.#active = null;
    this.#waiters = [];
  }

  // -------------------------------------------------------------------------------------------------------------
  // PastView

  keyAt(space: Space, key: string, at: Timestamp): PastKey | undefined {
    this.#view.promise(at);
    const request = { kind: 'moment', space, key, at } as const;
    if (this.#active?.keys.has(nameOf(request)) === true) return known(this.#active.keys.get(nameOf(request)));
    const newest = this.#view.newest(space, key);
    if (isAnswer(newest) && newest.version <= at) return liveAt(newest, at);
    throw this.#missing(request, at);
  }

  /** As `keyAt` of each, but what is missing is read together. */
  keysAt(keys: readonly Wanted[], at: Timestamp): readonly (PastKey | undefined)[] {
    this.#view.promise(at);
    const found: (PastKey | undefined)[] = [];
    const missing: Wanted[] = [];
    for (const { space, key } of keys) {
      const name = nameOf({ kind: 'moment', space, key, at });
      const newest = this.#view.newest(space, key);
      if (this.#active?.keys.has(name) === true) found.push(known(this.#active.keys.get(name)));
      else if (isAnswer(newest) && newest.version <= at) found.push(liveAt(newest, at));
      else missing.push({ space, key });
    }
    if (missing.length > 0) throw this.#missing({ kind: 'moments', keys: missing, at }, at);
    return found;
  }

  revision(space: Space, key: string, revision: Timestamp): PastKey | undefined {
    const newest = this.#view.newest(space, key);
    if (isAnswer(newest) && newest.version === revision) return newest.value === undefined ? undefined : newest;
    const request = { kind: 'revision', space, key, at: revision } as const;
    if (this.#active?.keys.has(nameOf(request)) === true) return known(this.#active.keys.get(nameOf(request)));
    throw this.#missing(request);
  }

  history(space: Space, key: string, count: number): readonly PastKey[] {
    // Whatever is prepared may have been acknowledged.
    this.#view.newest(space, key);
    const request = { kind: 'history', space, key, count } as const;
    const found = this.#active?.histories.get(nameOf(request));
    if (found !== undefined) return known(found);
    throw this.#missing(request);
  }

  scanAt(scan: ScanRequest, at: Timestamp): ScanPage {
    this.#view.promise(at);
    this.#view.passAllParts();
    const answers = this.#active;
    const next = answers?.pages[answers.position];
    if (answers === null || next === undefined || next.at !== at || !isSameRequest(next.request, scan)) {
      throw this.#missing({ kind: 'scan', scan, at }, at);
    }
    answers.position++;
    return known(next.page);
  }

  get floor(): Timestamp {
    return this.#host.data.historyFloor;
  }

  /** True while this node keeps older versions. */
  get isKept(): boolean {
    return this.#host.data.keepsHistory;
  }

  // -------------------------------------------------------------------------------------------------------------

  #missing(request: PastRequest, at: Timestamp = Number.MAX_SAFE_INTEGER): PastNotRead {
    return new PastNotRead(request, this.#view.settledIndex(at));
  }

  #answersOf(job: Job): Answers {
    const present = this.#byJob.get(job);
    if (present !== undefined) return present;
    const answers: Answers = { keys: new Map(), histories: new Map(), pages: [], position: 0 };
    this.#byJob.set(job, answers);
    return answers;
  }

  #applied(index: LogIndex): Promise<void> {
    if (this.#host.appliedIndex >= index) return Promise.resolve();
    return new Promise<void>((resolve) => {
      this.#waiters.push({ index, reached: resolve });
    });
  }

  async #moment(
    snapshot: DataSnapshot,
    state: PartitionState,
    { space, key, at }: PastRequest & { readonly kind: 'moment' | 'revision' },
  ): Promise<PastKey | undefined> {
    const found = await this.#host.reader.readPastKey(snapshot, { space, key }, at);
    if (found === undefined) return undefined;
    const { value, expiresAtMs, timestamp } = found;
    const flushedAt = flushedBefore(state, space, at);
    if (flushedAt === null) throw new HistoryGone(at, flushesOf(state, space).from);
    return timestamp <= flushedAt ? undefined : liveAt({ value, expiresAtMs, version: timestamp }, at);
  }

  async #revision(
    snapshot: DataSnapshot,
    { space, key, at }: PastRequest & { readonly kind: 'moment' | 'revision' },
  ): Promise<PastKey | undefined> {
    const floor = snapshot.historyFloor;
    const found = await this.#host.reader.readPastKey(snapshot, { space, key }, Math.max(at, floor));
    if (found?.timestamp === at) return { value: found.value, expiresAtMs: found.expiresAtMs, version: at };
    if (at < floor) throw new HistoryGone(at, floor);
    return undefined;
  }

  async #history(
    snapshot: DataSnapshot,
    state: PartitionState,
    { space, key, count }: PastRequest & { readonly kind: 'history' },
  ): Promise<readonly PastKey[]> {
    const wanted = { upTo: Number.MAX_SAFE_INTEGER - 1, countMax: count + 1, bytesMax: HISTORY_BYTES_MAX };
    const { versions, isCut } = await this.#host.reader.readVersions(snapshot, { space, key }, wanted);
    const { from, moments } = flushesOf(state, space);
    const shown: PastKey[] = [];
    // From the oldest to the newest: a flush deletes what is there, and what was swept up after it was deleted already.
    for (const version of [...versions].reverse()) {
      if (version.version <= from) continue;
      const before = shown.at(-1);
      if (before?.value !== undefined) pushFlush(shown, moments, { from: before.version, to: version.version });
      const isGoneAlready = shown.length > 0 && shown.at(-1)?.value === undefined;
      if (version.value !== undefined || !isGoneAlready) shown.push(version);
    }
    const last = shown.at(-1);
    if (last?.value !== undefined) pushFlush(shown, moments, { from: last.version, to: Number.MAX_SAFE_INTEGER });
    if (isCut && shown.length < count) fail(historyTooLong(HISTORY_BYTES_MAX));
    return shown.reverse().slice(0, count);
  }
}

/** The first flush at or after `from` and before `to` deleted the key. */
function pushFlush(
  shown: PastKey[],
  moments: readonly Timestamp[],
  { from, to }: { readonly from: Timestamp; readonly to: Timestamp },
): void {
  const flushedAt = moments.find((moment) => moment >= from && moment < to);
  if (flushedAt !== undefined) shown.push({ value: undefined, expiresAtMs: 0, version: flushedAt });
}

function isAnswer(newest: NewestKey): newest is NewestKey & PastKey {
  return newest.value !== null;
}

/** What was there and had not expired. */
function liveAt(found: PastKey, at: Timestamp): PastKey | undefined {
  if (found.value === undefined) return undefined;
  return found.expiresAtMs !== 0 && found.expiresAtMs <= msOfTimestamp(at) ? undefined : found;
}

/** What cannot be answered any more is an answer too. */
async function answerOf<T>(reading: Promise<T>): Promise<T | ErrorReply> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof HistoryGone) return historyGone(error.at, error.oldest);
    if (error instanceof ReplyError) return error.reply;
    throw error;
  }
}

function known<T>(answer: T | ErrorReply): T {
  return isError(answer) ? fail(answer) : answer;
}

function isError(answer: unknown): answer is ErrorReply {
  return answer instanceof ErrorReply;
}

function nameOf(request: Exclude<PastRequest, { kind: 'scan' | 'moments' }>): string {
  const moment = request.kind === 'history' ? request.count : request.at;
  return `${request.kind} ${moment} ${request.space} ${request.key}`;
}
