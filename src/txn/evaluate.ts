/** Runs requests over a TransactionView. */
import { mustExist } from '../base/assert.ts';
import type { Logger } from '../base/log.ts';
import { Args } from '../commands/args.ts';
import { keyIndices, keySpace } from '../commands/key-indices.ts';
import { RequestAborted, WaitForKey } from '../partition/evaluation-ends.ts';
import type { JobCall, JobTransaction } from '../partition/job.ts';
import type { KeyName } from '../partition/key-locks.ts';
import { runTransaction } from '../partition/transactions.ts';
import { INTERNAL_ERROR } from '../resp/errors.ts';
import { type Reply, ReplyError } from '../resp/reply.ts';
import { NotFetched, type TransactionView } from './transaction-view.ts';

export interface Evaluated {
  readonly call: JobCall | null;
  readonly transaction: JobTransaction | null;
}

/**
 * `isAborted`: the command asked for the whole request to end with this error. `waitsUntilMs`: it waits for a key; time of the
 * partitions at which it will have something to say anyway.
 */
export type Evaluation =
  | { readonly reply: Reply; readonly isAborted?: true }
  | { readonly missing: KeyName }
  | { readonly waitsUntilMs: number };

/** On top of what the view has been changed by before; what fails changes nothing. The view must have begun. */
export function evaluate({ call, transaction }: Evaluated, view: TransactionView, log: Logger): Evaluation {
  const args = new Args();
  const start = view.savepoint();
  try {
    if (call === null) return { reply: runTransaction(view, args, mustExist(transaction, 'a request has work')) };
    args.reset(call.argv, call.database);
    view.countsLookups = call.command.countsLookups;
    return { reply: call.command.run(view, args) };
  } catch (thrown) {
    view.rollback(start);
    if (thrown instanceof NotFetched) return { missing: thrown };
    if (thrown instanceof WaitForKey) return { waitsUntilMs: thrown.deadlineMs };
    if (thrown instanceof ReplyError) return { reply: thrown.reply };
    if (thrown instanceof RequestAborted) return { reply: thrown.reply, isAborted: true };
    log.error('evaluation failed', { command: call?.command.name ?? 'EXEC', error: thrown });
    return { reply: INTERNAL_ERROR };
  }
}

export function callsOf({ call, transaction }: Evaluated): readonly JobCall[] {
  return call === null ? (transaction?.calls ?? []) : [call];
}

/** Throws ReplyError if movable keys cannot be found in a malformed request. */
export function declaredKeys(request: Evaluated): readonly KeyName[] {
  const watched = request.transaction?.watched ?? [];
  return [
    ...callsOf(request).flatMap(({ command, argv, database }) =>
      keyIndices(command, argv).map((i) => ({
        space: keySpace(command, database),
        key: mustExist(argv[i], `there is no argument ${i}`).toString('latin1'),
      })),
    ),
    ...watched.map(({ database, key }) => ({ space: database, key: key.toString('latin1') })),
  ];
}
