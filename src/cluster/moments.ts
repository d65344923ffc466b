/** Work of sessions that read a moment (KAHUNA.ASOF): evaluated at this node, whichever partitions it concerns. */
import type { Timestamp } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import { tryAgain } from '../resp/errors.ts';
import type { MomentReads } from '../txn/moment-reads.ts';
import type { Work } from './api.ts';

export class Moments {
  readonly #reads: MomentReads;
  readonly #log: Logger;

  constructor(reads: MomentReads, log: Logger) {
    this.#reads = reads;
    this.#log = log;
  }

  submit(work: Work, at: Timestamp): void {
    this.#reads.run(work, at).then(
      (reply) => {
        work.complete(reply);
      },
      (error: unknown) => {
        this.#log.error('reading a moment broke', { error });
        work.complete(tryAgain('an internal error; the log of the node tells the cause'));
      },
    );
  }
}
