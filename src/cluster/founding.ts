/**
 * The first start of a cluster, and the nodes that come back with an empty directory.
 *
 * Problem: a replica that starts with nothing may belong to a new cluster, or have lost what it knew. It cannot tell, and
 * if it is the latter it must not vote (raft/amnesia.ts has the argument).
 *
 * Idea: whenever a link comes up, each side says which of its replicas are blank: have seen neither a term nor an entry. A
 * replica that has heard this from every other voter, since its own start, was never part of anything: it is founded. If only
 * one of them is not blank, the replica waits for a leader to give back what was lost. So the very first start of
 * a cluster needs all of its members to be there once, each linked to each; after that a majority is enough.
 *
 *   blank:  u32 number, then each: u32 group
 */
import { ByteReader } from '../base/bytes.ts';
import type { GroupId, NodeId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Clock } from '../base/platform.ts';
import type { Replica } from '../partition/replica.ts';
import type { Transport } from '../transport/transport.ts';
import { MESSAGE_KINDS } from './message-kinds.ts';

/** How long a replica may be without a memory before the log says so, and then between two such lines, in ms. */
const SAY_AFTER_MS = 10_000;
const SAY_AGAIN_MS = 60_000;

/** What of a replica matters here. */
export interface FoundingReplica {
  readonly group: GroupId;
  readonly core: Pick<Replica['core'], 'isBlank' | 'isAmnesiac' | 'leader' | 'confState'>;
  /** False if it has taken part in something meanwhile. */
  found(): boolean;
}

export interface FoundingHost {
  readonly node: NodeId;
  readonly clock: Clock;
  readonly log: Logger;
  readonly transport: Pick<Transport, 'begin' | 'end'>;
  readonly replicas: () => Iterable<FoundingReplica>;
  readonly nameOf: (node: NodeId) => string;
}

export class Founding {
  readonly #host: FoundingHost;
  /** Who has said since this start, by group, that its replica is blank. What was said once stays true of that moment. */
  readonly #blank = new Map<GroupId, Set<NodeId>>();
  /** Replicas without a memory of which another voter has one. */
  readonly #lost = new Set<GroupId>();
  #sayAtMs: number;

  constructor(host: FoundingHost) {
    this.#host = host;
    this.#sayAtMs = host.clock.monotonicMs() + SAY_AFTER_MS;
  }

  linkUp(node: NodeId): void {
    const blank = [...this.#host.replicas()].filter(({ core }) => core.isBlank);
    const writer = this.#host.transport.begin(node, MESSAGE_KINDS.blank, false);
    if (writer === null) return;
    writer.u32(blank.length);
    for (const { group } of blank) writer.u32(group);
    this.#host.transport.end(node);
  }

  /** Throws KahunaError 'BYTES_MALFORMED'. */
  received(from: NodeId, payload: Uint8Array): void {
    const reader = new ByteReader(payload);
    const blank = new Set<GroupId>();
    for (let left = reader.u32(); left > 0; left--) blank.add(reader.u32());
    reader.expectEnd();
    for (const replica of this.#host.replicas()) {
      if (!replica.core.isAmnesiac || !replica.core.confState.voters.includes(from)) continue;
      if (blank.has(replica.group)) this.#noteBlank(replica, from);
      else this.#noteLoss(replica, from);
    }
  }

  #noteBlank(replica: FoundingReplica, from: NodeId): void {
    const blank = this.#blank.get(replica.group) ?? new Set<NodeId>();
    this.#blank.set(replica.group, blank);
    blank.add(from);
    if (this.#missing(replica).length > 0 || !replica.found()) return;
    this.#host.log.info('first start: all members are new', { group: replica.group });
  }

  #noteLoss(replica: FoundingReplica, from: NodeId): void {
    if (this.#lost.has(replica.group)) return;
    this.#lost.add(replica.group);
    this.#host.log.warn(
      'this replica has no memory, but others have: it gives no votes until a leader has restored it',
      {
        group: replica.group,
        other: this.#host.nameOf(from),
      },
    );
  }

  #missing({ group, core }: FoundingReplica): readonly NodeId[] {
    const blank = this.#blank.get(group);
    return core.confState.voters.filter((voter) => voter !== this.#host.node && blank?.has(voter) !== true);
  }

  /** Says what is waited for, if it takes long. */
  tick(): void {
    const now = this.#host.clock.monotonicMs();
    if (now < this.#sayAtMs) return;
    this.#sayAtMs = now + SAY_AGAIN_MS;
    for (const replica of this.#host.replicas()) {
      const { group, core } = replica;
      if (!core.isAmnesiac) continue;
      if (core.isBlank && !this.#lost.has(group)) {
        const members = this.#missing(replica).map((node) => this.#host.nameOf(node));
        this.#host.log.warn('a first start needs every member once: still waiting for some', { group, members });
      } else {
        const advice = 'if no leader is elected, a majority has lost its memory, and only a copy of its data can help';
        this.#host.log.warn('this replica still waits for a leader to restore it', {
          group,
          leader: core.leader,
          advice,
        });
      }
    }
  }
}
