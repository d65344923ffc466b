/**
 * Fences (KAHUNA.FENCE) of a transaction that a client conducts. One that held when it was asked for must hold at the commit: the
 * record of its lock is validated there as whatever else was read. If that fails, the fence is looked at once more, because
 * the one who lost a lock must hear FENCED, and not CONFLICT, by which clients begin anew.
 */
import type { Logger } from '../base/log.ts';
import type { JobCall } from '../partition/job.ts';
import type { KeyName } from '../partition/key-locks.ts';
import { ErrorReply } from '../resp/reply.ts';
import { KeySet } from './attempt.ts';
import { declaredKeys, evaluate } from './evaluate.ts';
import type { TransactionView } from './transaction-view.ts';

export class Fences {
  /** The last call of each lock, by name: so there are no more than keys that a transaction may touch. */
  readonly #calls = new Map<string, JobCall>();

  /** A command has been answered with something else than an error. */
  note(call: JobCall): void {
    if (call.command.name !== 'KAHUNA.FENCE') return;
    for (const { key } of declaredKeys({ call, transaction: null })) this.#calls.set(key, call);
  }

  /** Of their locks. */
  get names(): readonly KeyName[] {
    return new KeySet([...this.#calls.values()].flatMap((call) => declaredKeys({ call, transaction: null }))).names;
  }

  /** The error of the first that does not hold, by what the view has of the locks; null if all do. */
  broken(view: TransactionView, log: Logger): ErrorReply | null {
    for (const call of this.#calls.values()) {
      const evaluation = evaluate({ call, transaction: null }, view, log);
      if ('reply' in evaluation && evaluation.reply instanceof ErrorReply) return evaluation.reply;
    }
    return null;
  }
}
