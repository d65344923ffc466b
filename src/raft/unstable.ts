/**
 * What is on its way to the disk.
 *
 * The driver may have several Readys in flight. Each one that carries entries or hard state leaves a record here, and
 * `persisted(number)` turns the records up to that number into durable state. The danger is the ABA case: an entry is
 * handed out, overwritten by another leader, and written again, while the first flush is still under way; its
 * completion must not count for the second writing. So a truncation clips every record in flight to what it left
 * standing: a record claims only what is still the log's content, and the newer writing has a record of its own. That
 * is exact and needs no comparison of terms.
 *
 * Invariants: durable ≤ staged ≤ last index of the log; records are ordered by number; terms in them never fall.
 */
import type { LogIndex, NodeId, Term } from '../base/ids.ts';
import type { HardState } from './types.ts';
import { violated } from './violation.ts';

/** One Ready that has something to sync. `lastIndex` may fall by truncation; the rest never changes. */
class Flight {
  readonly number: number;
  lastIndex: LogIndex;
  readonly term: Term;
  readonly vote: NodeId;

  constructor(number: number, lastIndex: LogIndex, hardState: { readonly term: Term; readonly vote: NodeId }) {
    this.number = number;
    this.lastIndex = lastIndex;
    this.term = hardState.term;
    this.vote = hardState.vote;
  }
}

export class Unstable {
  /** Highest index that was handed to the driver. */
  stagedIndex: LogIndex;
  /** Highest index up to which the present content of the log is on the local disk. */
  durableIndex: LogIndex;
  /** Hard state as last handed to the driver. */
  stagedTerm: Term;
  stagedVote: NodeId;
  stagedCommit: LogIndex;
  /** Hard state that is on the disk for certain. */
  durableTerm: Term;
  durableVote: NodeId;
  /** Ready numbers handed out and acknowledged. */
  issued = 0;
  acknowledged = 0;
  private readonly flights: Flight[] = [];

  constructor(hardState: HardState, lastIndex: LogIndex) {
    this.stagedIndex = lastIndex;
    this.durableIndex = lastIndex;
    this.stagedTerm = hardState.term;
    this.stagedVote = hardState.vote;
    this.stagedCommit = hardState.commit;
    this.durableTerm = hardState.term;
    this.durableVote = hardState.vote;
  }

  /** The log lost everything from `index` on. */
  truncated(index: LogIndex): void {
    const last = index - 1;
    if (this.stagedIndex > last) this.stagedIndex = last;
    if (this.durableIndex > last) this.durableIndex = last;
    for (const flight of this.flights) if (flight.lastIndex > last) flight.lastIndex = last;
  }

  /** An installed snapshot replaced the log; the driver made that durable by itself. */
  replaced(index: LogIndex): void {
    this.stagedIndex = index;
    this.durableIndex = index;
    for (const flight of this.flights) flight.lastIndex = 0;
  }

  /** Records that the Ready `number` carries everything up to `lastIndex` and this hard state. */
  staged(number: number, lastIndex: LogIndex, hardState: { readonly term: Term; readonly vote: NodeId }): void {
    if (lastIndex < this.stagedIndex) violated(`staging goes back from ${this.stagedIndex} to ${lastIndex}`);
    if (hardState.term < this.stagedTerm) violated(`staged term falls from ${this.stagedTerm} to ${hardState.term}`);
    this.stagedIndex = lastIndex;
    this.stagedTerm = hardState.term;
    this.stagedVote = hardState.vote;
    this.flights.push(new Flight(number, lastIndex, hardState));
  }

  /** The Readys up to `number` are durable. */
  persisted(number: number): void {
    if (number > this.issued) violated(`Ready ${number} was never handed out; the last one is ${this.issued}`);
    if (number <= this.acknowledged)
      violated(`Ready ${number} was acknowledged before; the last one is ${this.acknowledged}`);
    this.acknowledged = number;
    let done = 0;
    for (const flight of this.flights) {
      if (flight.number > number) break;
      if (flight.lastIndex > this.durableIndex) this.durableIndex = flight.lastIndex;
      this.durableTerm = flight.term;
      this.durableVote = flight.vote;
      done++;
    }
    if (done > 0) this.flights.splice(0, done);
    if (this.durableIndex > this.stagedIndex)
      violated(`durable ${this.durableIndex} passes staged ${this.stagedIndex}`);
  }
}
