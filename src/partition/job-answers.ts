/** What is said of a job, and how it leaves. */
import { tryAgain, uncertain } from '../resp/errors.ts';
import type { ErrorReply } from '../resp/reply.ts';
import type { Job } from './job.ts';
import type { Space } from '../values/value.ts';

/** A repeated write may have been applied by an earlier attempt: then nobody may say that it was not. */
export function refusalOf(job: Job, reason: string): ErrorReply {
  return job.isRetry && job.mayWrite ? uncertain(reason) : tryAgain(reason);
}

/** A key is in the list as often as it was found expired. */
export function distinctKeys(expired: readonly { readonly space: Space; readonly key: string }[]): number {
  return expired.length === 1 ? 1 : new Set(expired.map(({ space, key }) => `${space}:${key}`)).size;
}

/** A step of a transaction across partitions: these wait for each other in their own way. */
export function isStep(job: Job): boolean {
  return job.call?.command.name.startsWith('%TX') === true;
}

export function completeRead(job: Job): void {
  job.owner.complete(job, job.reply, job.appliedAt);
}

export function nameOf(job: Job): string {
  return job.call?.command.name ?? 'EXEC';
}
