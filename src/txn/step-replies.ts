/** What steps are answered with. The answer of another node may be anything: what cannot be read is an error like others. */
import { KahunaError } from '../base/errors.ts';
import { decodeFetched, decodeOutcome, type Fetched, type Outcome } from '../partition/transaction-codec.ts';
import { tryAgain, uncertain } from '../resp/errors.ts';
import { ErrorReply, type Reply, ReplyError } from '../resp/reply.ts';

const UNREADABLE = 'what a partition answered cannot be read';

/** What a partition hands out for so many keys. Throws ReplyError if that cannot be read. */
export function fetchedOf(reply: Reply, keyCount: number): Fetched {
  const fetched = decoded(reply, decodeFetched);
  if (fetched !== null && (!fetched.isGranted || fetched.objects.length === keyCount)) return fetched;
  throw new ReplyError(tryAgain(`${UNREADABLE}; nothing was applied`));
}

/** What came of a step that changes something; UNCERTAIN if that cannot be read. */
export function outcomeOf(reply: Reply): Outcome | ErrorReply {
  if (reply instanceof ErrorReply) return reply;
  return decoded(reply, decodeOutcome) ?? uncertain(UNREADABLE);
}

function decoded<T>(reply: Reply, decode: (bytes: Uint8Array) => T): T | null {
  // The recorded answer to a repeated step comes as text.
  const bytes = typeof reply === 'string' ? Buffer.from(reply, 'latin1') : reply;
  if (!(bytes instanceof Uint8Array)) return null;
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof KahunaError) return null;
    throw error;
  }
}
