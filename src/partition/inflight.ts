/** Batches that were proposed and have not committed, and the requests that wait for them. */
import type { LogIndex } from '../base/ids.ts';
import type { Job } from './job.ts';
import { INFLIGHT_BATCHES_MAX, INFLIGHT_LARGE_BATCHES_MAX, LARGE_BATCH_BYTES } from './limits.ts';

interface InflightBatch {
  readonly index: LogIndex;
  jobs: Job[];
  readonly bytes: number;
}

export class Inflight {
  #batches: InflightBatch[] = [];
  #bytes = 0;

  /** False while so many are under way that a batch of this size does better to grow. */
  takes(bytes: number): boolean {
    return this.#batches.length < (bytes >= LARGE_BATCH_BYTES ? INFLIGHT_LARGE_BATCHES_MAX : INFLIGHT_BATCHES_MAX);
  }

  /** Of all of them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** In order of evaluation. */
  *jobs(): Generator<Job> {
    for (const { jobs } of this.#batches) yield* jobs;
  }

  push(batch: InflightBatch): void {
    this.#batches.push(batch);
    this.#bytes += batch.bytes;
  }

  /** The entry has committed: the answers of its requests leave, and of those before it. */
  committed(index: LogIndex): void {
    while (this.#batches.length > 0 && (this.#batches[0] as InflightBatch).index <= index) {
      const batch = this.#batches.shift() as InflightBatch;
      this.#bytes -= batch.bytes;
      for (const job of batch.jobs) job.owner.complete(job, job.reply, batch.index);
    }
  }

  /** Takes out the jobs that `isDue` names; what they changed stays. */
  remove(isDue: (job: Job) => boolean): readonly Job[] {
    const removed: Job[] = [];
    for (const batch of this.#batches) {
      if (!batch.jobs.some(isDue)) continue;
      removed.push(...batch.jobs.filter(isDue));
      batch.jobs = batch.jobs.filter((job) => !isDue(job));
    }
    return removed;
  }

  /** Nothing is under way any more; returns whose outcome is open. */
  clear(): readonly Job[] {
    const jobs = [...this.jobs()];
    this.#batches = [];
    this.#bytes = 0;
    return jobs;
  }
}
