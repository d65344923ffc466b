/** Why an evaluation ends without an answer: thrown through command code, caught by the tenure, or by a coordinator (txn/). */
import { NotResident, type ScanRequest } from '../commands/view.ts';
import type { ErrorReply } from '../resp/reply.ts';
import type { Space } from '../values/value.ts';
import type { KeyName } from './key-locks.ts';

/** The evaluation must wait until a long value is in memory. */
export class KeyNotResident extends NotResident {
  override readonly kind = 'key';
  readonly space: Space;
  readonly key: string;
  constructor(space: Space, key: string) {
    super();
    this.space = space;
    this.key = key;
  }
}

/** The evaluation must wait until a range of keys was read. */
export class RangeNotResident extends NotResident {
  override readonly kind = 'range';
  readonly request: ScanRequest;
  constructor(request: ScanRequest) {
    super();
    this.request = request;
  }
}

/** The evaluation waits for a key that a transaction across partitions holds, and runs again, inside EXEC and scripts too. */
export class KeyLocked extends NotResident {
  override readonly kind = 'lock';
  readonly space: Space;
  readonly key: string;
  /** It waits until no part is prepared: what begins later must not come in front of it. */
  readonly isForAll: boolean;
  constructor({ space, key }: KeyName, isForAll = false) {
    super();
    this.space = space;
    this.key = key;
    this.isForAll = isForAll;
  }
}

/** The evaluation came upon a key that lies in another partition: it must be done by a coordinator. */
export class KeyElsewhere extends NotResident {
  override readonly kind = 'elsewhere';
}

/** The evaluation waits for a key to change. */
export class WaitForKey {
  readonly space: Space;
  readonly key: string;
  readonly deadlineMs: number;
  constructor(space: Space, key: string, deadlineMs: number) {
    this.space = space;
    this.key = key;
    this.deadlineMs = deadlineMs;
  }
}

/** The whole request ends with this error. */
export class RequestAborted {
  readonly reply: ErrorReply;
  constructor(reply: ErrorReply) {
    this.reply = reply;
  }
}
