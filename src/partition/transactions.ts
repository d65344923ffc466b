/** MULTI/EXEC: all commands in one evaluation, after the watched keys were found unmoved. */
import type { Args } from '../commands/args.ts';
import { NULL_ARRAY, type Reply, ReplyError } from '../resp/reply.ts';
import type { View } from '../commands/view.ts';
import { WaitForKey } from './evaluation-ends.ts';
import type { JobCall, JobTransaction } from './job.ts';

/** Answers as EXEC does. A command that fails changes nothing and does not undo the others. */
export function runTransaction(view: View, args: Args, transaction: JobTransaction): Reply {
  for (const watched of transaction.watched) {
    if (view.version(watched.database, watched.key.toString('latin1')) !== watched.version) return NULL_ARRAY;
  }
  return transaction.calls.map((call) => runCall(view, args, call));
}

function runCall(view: View, args: Args, call: JobCall): Reply {
  const savepoint = view.savepoint();
  try {
    args.reset(call.argv, call.database);
    view.countsLookups = call.command.countsLookups;
    return call.command.run(view, args);
  } catch (thrown) {
    if (thrown instanceof ReplyError) {
      view.rollback(savepoint);
      return thrown.reply;
    }
    // Inside EXEC a blocking command answers as if its time had passed.
    if (thrown instanceof WaitForKey) {
      view.rollback(savepoint);
      return null;
    }
    throw thrown;
  }
}
