/** Work of sessions that read a moment (KAHUNA.ASOF): evaluated at this node, whichever partitions it concerns. */
import type { GroupId, Timestamp } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import { tryAgain } from '../resp/errors.ts';
import { MomentReads } from '../txn/moment-reads.ts';
import type { Participants } from '../txn/participants.ts';
import type { Work } from './api.ts';

export class Moments {
  readonly #reads: MomentReads;
  readonly #log: Logger;

  constructor(participants: Participants, groupOfCursor: (cursor: bigint) => GroupId) {
    this.#reads = new MomentReads(participants, groupOfCursor);
    this.#log = participants.log;
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
