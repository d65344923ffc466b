/**
 * Values that must not leave memory because a request that waits for others to be loaded will need them too: without that,
 * two values that do not fit into the budget together would push each other out for ever.
 *
 * The oldest of such requests may pin whatever it needs, so that one always gets on; the others only as long as all pinned
 * values fit into the budget.
 */
import type { Job } from './job.ts';
import type { ResidentKey } from './resident.ts';

interface Pin {
  readonly resident: ResidentKey;
  /** What it was charged for when it was pinned. */
  readonly bytes: number;
}

export class Pins {
  /** In the order in which the requests pinned their first value. */
  readonly #byJob = new Map<Job, Pin[]>();
  #bytes = 0;

  /** `limitBytes` 0 = no limit. */
  pin(job: Job, resident: ResidentKey, limitBytes: number): void {
    const pins = this.#byJob.get(job) ?? [];
    if (pins.some((pin) => pin.resident === resident)) return;
    const oldest = this.#byJob.keys().next();
    const isOldest = oldest.done === true || oldest.value === job;
    const bytes = resident.memoryBytes;
    if (!isOldest && limitBytes !== 0 && this.#bytes + bytes > limitBytes) return;
    pins.push({ resident, bytes });
    this.#byJob.set(job, pins);
    this.#bytes += bytes;
    resident.pinCount++;
  }

  release(job: Job): void {
    for (const { resident, bytes } of this.#byJob.get(job) ?? []) {
      resident.pinCount--;
      this.#bytes -= bytes;
    }
    this.#byJob.delete(job);
  }
}
