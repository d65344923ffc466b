/**
 * Iterations over the keys of a partition, for evaluations that cannot wait: a page is read from LevelDB aside, under a
 * snapshot, and the evaluation runs again from its start. The page is then corrected by whatever changed after that
 * snapshot, committed or not, so it is exact at the moment of the evaluation.
 *
 * Invariant: changes are remembered until LevelDB holds them and no page is older than they are.
 */
import type { LogIndex } from '../base/ids.ts';
import type { Random } from '../base/platform.ts';
import type { ScanPage, ScanRequest } from '../commands/view.ts';
import type { EvaluationView } from './evaluation-view.ts';
import type { Job } from './job.ts';
import { type RecordReader, recordKeyOf } from './record-reader.ts';
import type { ResidentKey } from './resident.ts';
import { isSameRequest, isWithin, type ScannedRange, type Scanner } from './scanner.ts';

export interface JobScansHost {
  readonly scanner: Scanner;
  readonly reader: RecordReader;
  readonly random: Random;
  readonly appliedIndex: LogIndex;
  slotOf(key: string): number;
}

/** Pages read for one job, in the order in which its evaluation asked for them. */
interface Pages {
  readonly ranges: ScannedRange[];
  position: number;
  /** Applied index of its oldest page: changes after it are still needed. */
  readonly floor: LogIndex;
  /** Where RANDOMKEY started. */
  randomCursor: bigint | null;
}

/** Keys changed by the entry at `index`: what is in memory and, until applied, not in LevelDB. */
interface Touched {
  readonly index: LogIndex;
  readonly keys: readonly ResidentKey[];
}

export class JobScans {
  readonly #host: JobScansHost;
  readonly #view: EvaluationView;
  readonly #byJob = new Map<Job, Pages>();
  /** Of the job that is being evaluated. */
  #active: Pages | null = null;
  /** Drawn in the present evaluation. */
  #randomCursor: bigint | null = null;
  #touchedInBatch: ResidentKey[] = [];
  #touched: Touched[] = [];

  constructor(host: JobScansHost, view: EvaluationView) {
    this.#host = host;
    this.#view = view;
  }

  // -------------------------------------------------------------------------------------------------------------
  // The life of an evaluation

  begin(job: Job | null): void {
    this.#active = job === null || this.#byJob.size === 0 ? null : (this.#byJob.get(job) ?? null);
    if (this.#active !== null) this.#active.position = 0;
    this.#randomCursor = null;
  }

  finish(job: Job): void {
    this.#byJob.delete(job);
  }

  /** Reads the page that the job's last evaluation missed. */
  async load(job: Job, request: ScanRequest): Promise<void> {
    const { appliedIndex, scanner } = this.#host;
    const pages = this.#byJob.get(job) ?? {
      ranges: [],
      position: 0,
      floor: appliedIndex,
      randomCursor: this.#randomCursor,
    };
    this.#byJob.set(job, pages);
    const range = await scanner.scan(request, appliedIndex);
    pages.ranges[pages.position] = range;
    pages.ranges.length = pages.position + 1;
  }

  /** The same in every evaluation of a job. */
  randomCursor(): bigint {
    const drawn =
      this.#active?.randomCursor ?? this.#randomCursor ?? this.#host.scanner.randomCursor(this.#host.random);
    if (this.#active !== null) this.#active.randomCursor = drawn;
    this.#randomCursor = drawn;
    return drawn;
  }

  /** The next page of the present evaluation; undefined if it has to be loaded. */
  next(request: ScanRequest, nowMs: number): ScanPage | undefined {
    const pages = this.#active;
    const range = pages?.ranges[pages.position];
    if (pages === null || range === undefined || !isSameRequest(range.request, request)) return undefined;
    pages.position++;
    return this.#upToDate(range, request, nowMs);
  }

  /** Corrects a page by what was changed since its snapshot. */
  #upToDate(range: ScannedRange, request: ScanRequest, nowMs: number): ScanPage {
    const changed = new Set<string>();
    const lists: (readonly ResidentKey[])[] = this.#touched
      .filter((touched) => touched.index > range.appliedIndex)
      .map((touched) => touched.keys);
    lists.push(this.#touchedInBatch, this.#view.touched);
    for (const list of lists) {
      for (const resident of list) if (resident.space === request.space) changed.add(resident.key);
    }
    const flushedAt = this.#view.flushedAt(request.space);
    const keys: string[] = [];
    for (const found of range.keys) {
      if (changed.has(found.key) || found.timestamp <= flushedAt) continue;
      if (found.expiresAtMs !== 0 && found.expiresAtMs <= nowMs) continue;
      if (request.type === undefined || found.type === request.type) keys.push(found.key);
    }
    for (const key of changed) {
      if (!isWithin(range, recordKeyOf(this.#host.slotOf(key), request.space, key)) || !request.matches(key)) continue;
      const present = this.#view.peek(request.space, key);
      if (present === undefined) continue;
      if (request.type === undefined || this.#host.reader.typeOf(present.value) === request.type) keys.push(key);
    }
    return { keys, next: range.next };
  }

  // -------------------------------------------------------------------------------------------------------------
  // What changes meanwhile

  /** An evaluation that stands has changed the key. */
  touched(resident: ResidentKey): void {
    this.#touchedInBatch.push(resident);
  }

  /** The batch became the entry at `index`. */
  batchClosed(index: LogIndex): void {
    this.#touched.push({ index, keys: this.#touchedInBatch });
    this.#touchedInBatch = [];
  }

  /** LevelDB holds everything up to `index`. */
  applied(index: LogIndex): void {
    let floor = index;
    for (const pages of this.#byJob.values()) floor = Math.min(floor, pages.floor);
    let count = 0;
    while (count < this.#touched.length && (this.#touched[count] as Touched).index <= floor) count++;
    if (count > 0) this.#touched.splice(0, count);
  }

  clear(): void {
    this.#byJob.clear();
    this.#active = null;
    this.#touched = [];
    this.#touchedInBatch = [];
  }
}
