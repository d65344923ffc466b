/**
 * What nobody in the cluster can see: the history of the whole group. Every event is held against it, in O(1).
 *
 * The pair (index, term) names an entry together with everything before it, if Log Matching holds; so that property is
 * checked entry by entry (same pair → same content and same predecessor), and everything else compares pairs.
 */
import { assert } from '../../../src/base/assert.ts';
import type { LogIndex, NodeId, Term } from '../../../src/base/ids.ts';
import { MESSAGE_TYPES } from '../../../src/raft/types.ts';
import type { ConfState, Entry, Message } from '../../../src/raft/types.ts';
import type { SimDisk } from './disk.ts';

/** Terms and indexes of a run stay far below this. */
const PAIR = 2 ** 20;

class Violation extends Error {
  override readonly name = 'Violation';
}

export function must(condition: boolean, rule: string, detail: () => string): asserts condition {
  if (!condition) throw new Violation(`${rule}: ${detail()}`);
}

interface KnownEntry {
  readonly entry: Entry;
  readonly termBefore: Term;
}

export class Ghost {
  /** Term of each committed entry, by index; [0] stands for "before the first". */
  readonly committed: Term[] = [0];
  private readonly known = new Map<number, KnownEntry>();
  private readonly leaders = new Map<Term, string>();
  private readonly votes = new Map<number, NodeId>();
  private readonly stateHashes: number[] = [0];

  get commitIndex(): LogIndex {
    return this.committed.length - 1;
  }

  /** A node appended `entry` behind one of `termBefore`. Log Matching. */
  appended(node: NodeId, entry: Entry, termBefore: Term): void {
    const key = entry.index * PAIR + entry.term;
    const known = this.known.get(key);
    if (known === undefined) {
      this.known.set(key, { entry, termBefore });
      return;
    }
    must(
      known.termBefore === termBefore && known.entry.type === entry.type && sameBytes(known.entry.data, entry.data),
      'log matching',
      () => `node ${node} holds another entry at ${entry.index}@${entry.term}`,
    );
  }

  /** `who` (node and start) leads `term`. Election safety. */
  leads(who: string, term: Term): boolean {
    const known = this.leaders.get(term);
    must(
      known === undefined || known === who,
      'election safety',
      () => `${known ?? 'nobody'} and ${who} lead term ${term}`,
    );
    this.leaders.set(term, who);
    return known === undefined;
  }

  /** One vote a (voter, term), whatever happens in between. */
  voted(voter: NodeId, term: Term, candidate: NodeId): void {
    const key = term * 1024 + voter;
    const known = this.votes.get(key);
    must(
      known === undefined || known === candidate,
      'one vote a term',
      () => `node ${voter} votes for ${known ?? 0} and ${candidate} in term ${term}`,
    );
    this.votes.set(key, candidate);
  }

  /** The disk of a voter is lost, and with it its votes: a second one of the same term must do no harm. */
  lost(voter: NodeId): void {
    for (const key of this.votes.keys()) if (key % 1024 === voter) this.votes.delete(key);
  }

  /** A node knows `index` to be committed, with this term. False if nobody knew before. */
  isCommitted(node: NodeId, index: LogIndex, term: Term): boolean {
    const known = this.committed[index];
    if (known === undefined) return false;
    must(
      known === term,
      'committed entries never change',
      () => `node ${node} has ${index}@${term}, known is @${known}`,
    );
    return true;
  }

  /** A leader commits the next entry: a true majority of synced voters must hold it. */
  commits(entry: { index: LogIndex; term: Term }, confs: readonly ConfState[], disks: readonly SimDisk[]): void {
    assert(entry.index === this.committed.length, `ghost skips from ${this.commitIndex} to ${entry.index}`);
    this.committed.push(entry.term);
    const isHeld = confs.some(
      (conf) => isMajority(conf.voters, entry, disks) && isMajority(conf.votersOutgoing, entry, disks),
    );
    must(isHeld, 'commit needs a synced quorum', () => `${entry.index}@${entry.term} is held by too few disks`);
  }

  /** State machine safety: equal state at an equal applied index. */
  applied(node: NodeId, index: LogIndex, hash: number): void {
    const known = this.stateHashes[index];
    must(known === undefined || known === hash, 'equal state at an equal index', () => `node ${node} at ${index}`);
    this.stateHashes[index] = hash;
  }

  /** No message claims more than the disk of its sender holds. */
  sends(m: Message, disk: SimDisk): void {
    const { term, vote } = disk.hardState;
    const detail = () => `message ${m.type} ${m.from}->${m.to} term ${m.term} index ${m.index}, disk ${term}/${vote}`;
    switch (m.type) {
      case MESSAGE_TYPES.preVote:
        return;
      case MESSAGE_TYPES.preVoteResponse:
        if (m.reject) must(term >= m.term, 'claims are durable', detail);
        return;
      case MESSAGE_TYPES.vote:
        this.voted(m.from, m.term, m.from);
        must(term > m.term || (term === m.term && vote === m.from), 'own vote is durable', detail);
        must(term > m.term || disk.termAt(m.index) === m.logTerm, 'candidate shows a durable log', detail);
        return;
      case MESSAGE_TYPES.voteResponse:
        if (m.reject) {
          must(term >= m.term, 'claims are durable', detail);
          return;
        }
        this.voted(m.from, m.term, m.to);
        must(term > m.term || (term === m.term && vote === m.to), 'vote is durable before it leaves', detail);
        return;
      case MESSAGE_TYPES.appendResponse:
        must(term >= m.term, 'claims are durable', detail);
        if (!m.reject && term === m.term) must(disk.lastIndex >= m.index, 'acknowledged is durable', detail);
        return;
      default:
        must(term >= m.term, 'claims are durable', detail);
    }
  }
}

function isMajority(
  voters: readonly NodeId[],
  entry: { index: LogIndex; term: Term },
  disks: readonly SimDisk[],
): boolean {
  let held = 0;
  for (const voter of voters) {
    const disk = disks[voter - 1];
    // A leader that has not heard of a lost disk counts what was on it (amnesia.ts, 3).
    if (disk !== undefined && [disk, ...disk.lost].some((each) => holds(each, entry))) held++;
  }
  return voters.length === 0 || held * 2 > voters.length;
}

function holds(disk: SimDisk, entry: { index: LogIndex; term: Term }): boolean {
  return disk.base.index >= entry.index || disk.termAt(entry.index) === entry.term;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]));
}

/** The state machine of the simulation: a hash over everything applied. */
export function nextStateHash(hash: number, entry: Entry): number {
  let h = hash ^ (entry.term * 31 + entry.index);
  for (const byte of entry.data) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}
