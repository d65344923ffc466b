/**
 * What the whole cluster has agreed on, as an observer sees it who may look into every node at every step. Looked at after
 * each thing that a node does; costs little while nothing changed.
 *
 * Rules: one leader a term; what is committed at an index is the same everywhere and for ever; commit and applied indices
 * of a running node only rise; a node never starts in a term below one that it led; equal state hashes at equal applied indices; the answer to a request is in the log once.
 */
import { crc32 } from '../../src/base/checksum.ts';
import type { ClusterNode } from '../../src/cluster/cluster-node.ts';
import { decodeAnswers } from '../../src/partition/entry-format.ts';
import type { Replica } from '../../src/partition/replica.ts';

interface Seen {
  term: number;
  commitIndex: number;
  appliedIndex: number;
}

interface GhostGroup {
  /** Checksum of term and data, by index. */
  readonly committed: number[];
  readonly hashes: Map<number, number>;
  readonly leaders: Map<number, string>;
  /** The last term that each node led: whatever happens to it, it knows no lower one. */
  readonly ledTerms: Map<string, number>;
  /** Index of the entry that holds a request's answer. */
  readonly answered: Map<string, number>;
  commitIndex: number;
}

export class Ghost {
  readonly #groups = new Map<number, GhostGroup>();
  /** Per replica object: a new start is a new object. */
  readonly #seen = new WeakMap<Replica, Seen>();
  readonly #violation: (text: string) => void;
  /** Leaderships seen, over all groups. */
  leaderCount = 0;

  constructor(violation: (text: string) => void) {
    this.#violation = violation;
  }

  look(node: string, cluster: ClusterNode): void {
    for (const replica of cluster.engine.replicas.values()) this.#lookAt(node, replica);
  }

  /** The node has lost its disks: it need not know what it knew. */
  forget(node: string): void {
    for (const group of this.#groups.values()) group.ledTerms.delete(node);
  }

  commitIndex(group: number): number {
    return this.#groups.get(group)?.commitIndex ?? 0;
  }

  #lookAt(node: string, replica: Replica): void {
    const { core } = replica;
    let seen = this.#seen.get(replica);
    if (seen === undefined) {
      seen = { term: 0, commitIndex: core.firstIndex - 1, appliedIndex: 0 };
      this.#seen.set(replica, seen);
      const led = this.#group(replica.group).ledTerms.get(node) ?? 0;
      if (core.term < led)
        this.#violation(`${node}, group ${replica.group}: starts in term ${core.term}, but has led ${led}`);
    }
    const { term, commitIndex } = core;
    // What is applied in quarantine counts for nothing: the copy that replaces it may be older.
    const appliedIndex = replica.isQuarantined ? 0 : replica.applier.index;
    if (term === seen.term && commitIndex === seen.commitIndex && appliedIndex === seen.appliedIndex) {
      if (core.role === 'leader') this.#leads(node, replica);
      return;
    }
    const where = `${node}, group ${replica.group}`;
    if (term < seen.term) this.#violation(`${where}: the term fell from ${seen.term} to ${term}`);
    if (commitIndex < seen.commitIndex) this.#violation(`${where}: the commit index fell to ${commitIndex}`);
    if (appliedIndex < seen.appliedIndex && !replica.isQuarantined)
      this.#violation(`${where}: the applied index fell to ${appliedIndex}`);
    if (core.role === 'leader') this.#leads(node, replica);
    const group = this.#group(replica.group);
    for (let index = seen.commitIndex + 1; index <= commitIndex; index++) this.#committed(where, group, replica, index);
    if (appliedIndex !== seen.appliedIndex && appliedIndex !== 0) this.#applied(where, group, replica);
    if (commitIndex > group.commitIndex) group.commitIndex = commitIndex;
    seen.term = term;
    seen.commitIndex = commitIndex;
    seen.appliedIndex = appliedIndex;
  }

  #leads(node: string, replica: Replica): void {
    const { leaders } = this.#group(replica.group);
    const { term } = replica.core;
    const known = leaders.get(term);
    if (known === node) return;
    if (known !== undefined) {
      this.#violation(`group ${replica.group} has two leaders in term ${term}: ${known} and ${node}`);
      return;
    }
    leaders.set(term, node);
    this.#group(replica.group).ledTerms.set(node, term);
    this.leaderCount++;
  }

  #committed(where: string, group: GhostGroup, replica: Replica, index: number): void {
    const entry = replica.core.entry(index);
    // Below a snapshot that was just installed.
    if (entry === undefined) return;
    const checksum = crc32(entry.data, entry.term);
    const known = group.committed[index];
    if (known === checksum) return;
    if (known !== undefined) {
      this.#violation(`${where}: entry ${index} (term ${entry.term}) is committed with other bytes than elsewhere`);
      return;
    }
    group.committed[index] = checksum;
    if (entry.type !== 1 && entry.data.length > 0) this.#answers(where, group, { index, data: entry.data });
  }

  #answers(where: string, group: GhostGroup, entry: { readonly index: number; readonly data: Uint8Array }): void {
    for (const { node, epoch, counter } of decodeAnswers(entry.data)) {
      const id = `${node}:${epoch}:${counter}`;
      const known = group.answered.get(id);
      if (known !== undefined)
        this.#violation(`${where}: request ${id} is applied by entries ${known} and ${entry.index}`);
      group.answered.set(id, entry.index);
    }
  }

  #applied(where: string, group: GhostGroup, replica: Replica): void {
    const { index, state } = replica.applier;
    const known = group.hashes.get(index);
    if (known === undefined) group.hashes.set(index, state.rollingHash);
    else if (known !== state.rollingHash)
      this.#violation(`${where}: another state than elsewhere is applied at ${index}`);
  }

  #group(id: number): GhostGroup {
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = {
        committed: [],
        hashes: new Map(),
        leaders: new Map(),
        ledTerms: new Map(),
        answered: new Map(),
        commitIndex: 0,
      };
      this.#groups.set(id, group);
    }
    return group;
  }
}
