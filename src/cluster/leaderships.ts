/**
 * Which node leads: leaders move to the nodes that the topology prefers, so that load is spread, and away from a node that ends.
 */
import type { GroupId, NodeId } from '../base/ids.ts';
import type { Clock, Timers } from '../base/platform.ts';
import type { Replica } from '../partition/replica.ts';
import type { Transport } from '../transport/transport.ts';
import type { TopologyPartition } from './topology.ts';

/** Pause between looks, in ms. */
const LOOK_MS = 1_000;
/** A preferred leader must have been connected for this long before leadership is handed to it, in ms. */
const PREFERRED_AFTER_MS = 3_000;
/** Pause between two attempts for a group, in ms: while one fails, nobody serves (the other may be unable to lead). */
const PREFERRED_AGAIN_MS = 30_000;
const PREFERRED_LAG_MAX = 100;
/** Pause between two attempts of a node that ends, in ms. */
const HAND_OVER_AGAIN_MS = 20;

export interface LeadershipsHost {
  readonly node: NodeId;
  readonly platform: { readonly clock: Clock; readonly timers: Timers };
  readonly partitions: readonly TopologyPartition[];
  readonly transport: Transport;
  readonly replicas: ReadonlyMap<GroupId, Replica>;
}

export class Leaderships {
  readonly #host: LeadershipsHost;
  readonly #upSinceMs = new Map<NodeId, number>();
  #lastLookMs = 0;
  /** When leadership was last handed to the preferred node, by group. */
  readonly #preferredMs = new Map<GroupId, number>();

  constructor(host: LeadershipsHost) {
    this.#host = host;
  }

  linkUp(node: NodeId): void {
    this.#upSinceMs.set(node, this.#nowMs);
  }

  linkDown(node: NodeId): void {
    this.#upSinceMs.delete(node);
  }

  /** Never in a hurry. */
  look(): void {
    const now = this.#nowMs;
    if (now - this.#lastLookMs < LOOK_MS) return;
    this.#lastLookMs = now;
    for (const partition of this.#host.partitions) {
      const preferred = partition.replicas[0] ?? 0;
      const replica = this.#host.replicas.get(partition.id);
      if (replica?.isServing !== true || preferred === this.#host.node) continue;
      const upSince = this.#upSinceMs.get(preferred);
      if (upSince === undefined || now - upSince < PREFERRED_AFTER_MS) continue;
      if (now - (this.#preferredMs.get(partition.id) ?? Number.NEGATIVE_INFINITY) < PREFERRED_AGAIN_MS) continue;
      const follower = replica.core.followers().find(({ id }) => id === preferred);
      if (follower !== undefined && replica.commitIndex - follower.match <= PREFERRED_LAG_MAX) {
        this.#preferredMs.set(partition.id, now);
        replica.transferLeadership(preferred);
      }
    }
  }

  /** Hands all of them over to connected nodes; resolves when they are gone or the time is over. */
  async handOver(timeoutMs: number): Promise<void> {
    const { replicas, transport, platform } = this.#host;
    const deadline = this.#nowMs + timeoutMs;
    for (;;) {
      const led = [...replicas.values()].filter((replica) => replica.role === 'leader' && !replica.isSoleVoter);
      if (led.length === 0 || this.#nowMs >= deadline || transport.upCount === 0) return;
      for (const replica of led) {
        if (!replica.isServing) continue;
        const target = replica.core
          .followers()
          .filter(({ id }) => transport.isUp(id) && replica.core.confState.voters.includes(id))
          .sort((a, b) => b.match - a.match)[0];
        if (target !== undefined) replica.transferLeadership(target.id);
      }
      await new Promise<void>((resolve) => platform.timers.after(HAND_OVER_AGAIN_MS, resolve));
    }
  }

  get #nowMs(): number {
    return this.#host.platform.clock.monotonicMs();
  }
}
