/**
 * What partitions' leaders have promised: whatever they evaluate later has versions above their closed timestamp (the idea of
 * closed timestamps is CockroachDB's: Taft et al., 2020, §3.3; here they serve reads of the present, not of the past).
 *
 * They let reads of several partitions be of one moment without a second look. Say a coordinator begins to read at moment s, and each
 * leader answers with keys whose versions are no greater than what the same leader, in the same term, had closed before s. Then none of
 * them has changed between s and its reading: all were as read at s. Why:
 *
 * - A change takes effect when the leader evaluates it, if it commits at all: from then on every evaluation there sees it, and waits for its
 *   commit. What is evaluated after the promise has a greater version. So what a key shows was evaluated before the promise, before s.
 * - A transaction across partitions takes effect when the anchor evaluates its decision. Elsewhere its changes are seen later, under a
 *   timestamp that may be less than what has been evaluated there meanwhile; but it is greater than the timestamp of the preparation there. So a leader
 *   closes nothing from the preparation of a part on until it is resolved (`EvaluationView.closedTimestamp`), and keys of a prepared part are not read.
 * - Keys that are absent have a version no less than the deletion that made them so (`EvaluationView.version`).
 * - A leader that is none any more does not answer: what is read is confirmed. What one of another term has closed says nothing.
 *
 * Clocks play no part: versions are compared with what the same partition said, and s is a moment at the coordinator, after it had heard it.
 */
import type { GroupId, Term, Timestamp } from '../base/ids.ts';
import type { Fetched } from '../partition/transaction-codec.ts';

interface Promised {
  term: Term;
  timestamp: Timestamp;
}

const NONE: Readonly<Promised> = { term: 0, timestamp: 0 };

/** Bounded by the number of partitions. */
export class ClosedTimestamps {
  readonly #byGroup = new Map<GroupId, Promised>();

  heard(group: GroupId, { term, closed }: Fetched): void {
    const known = this.#byGroup.get(group);
    if (known === undefined) {
      this.#byGroup.set(group, { term, timestamp: closed });
    } else if (term > known.term || (term === known.term && closed > known.timestamp)) {
      known.term = term;
      known.timestamp = closed;
    }
  }

  /** Of which anything was heard. */
  get groups(): IterableIterator<GroupId> {
    return this.#byGroup.keys();
  }

  /** What was heard last; changes with what is heard later. */
  of(group: GroupId): Readonly<Promised> {
    return this.#byGroup.get(group) ?? NONE;
  }
}
