/**
 * The cluster as Redis Cluster's commands describe one: every slot has a master, and the other replicas follow it.
 *
 * A node may lead some partitions and follow in others, which Redis does not know. It is shown as a master of the slots
 * that it leads; a node that leads none is shown as a replica of the leader of its first partition. Clients need no more:
 * any node serves any key, the maps only save them a hop.
 */
import type { Cluster, NodeDescription, PartitionDescription } from '../cluster/api.ts';
import type { NodeId } from '../base/ids.ts';

export interface ShownPartition {
  readonly partition: PartitionDescription;
  /** The leader first (if one is known), then the others in order of their ids. */
  readonly nodes: readonly NodeDescription[];
}

export function shownPartitions(cluster: Cluster): ShownPartition[] {
  const byId = new Map(cluster.nodes().map((node) => [node.id, node]));
  return [...cluster.partitions()]
    .sort((a, b) => a.firstSlot - b.firstSlot)
    .map((partition) => {
      const ids = [...partition.replicas].sort((a, b) => rank(partition, a) - rank(partition, b));
      return { partition, nodes: ids.flatMap((id) => byId.get(id) ?? []) };
    });
}

function rank(partition: PartitionDescription, id: NodeId): number {
  return id === partition.leader ? -1 : id;
}

/** The leader's description; undefined while none is known. */
export function leaderOf(cluster: Cluster, partition: PartitionDescription): NodeDescription | undefined {
  return cluster.nodes().find((node) => node.id === partition.leader);
}

/** The node that Redis's commands call the master of `node`: itself if it leads anything, or nothing at all. */
export function masterOf(cluster: Cluster, node: NodeDescription): NodeDescription {
  const partitions = cluster.partitions();
  if (partitions.some((partition) => partition.leader === node.id)) return node;
  const followed = partitions.find((partition) => partition.replicas.includes(node.id));
  return followed === undefined ? node : (leaderOf(cluster, followed) ?? node);
}

/** One line of CLUSTER NODES (cluster.c clusterGenNodeDescription), without its end. */
export function nodeLine(cluster: Cluster, node: NodeDescription): string {
  const master = masterOf(cluster, node);
  const isMaster = master === node;
  const led = cluster.partitions().filter((partition) => partition.leader === node.id);
  const epoch = Math.max(0, ...led.map((partition) => partition.term));
  const flags = `${node.isSelf ? 'myself,' : ''}${isMaster ? 'master' : 'slave'}${node.isSelf || node.isConnected ? '' : ',fail?'}`;
  const slots = led
    .sort((a, b) => a.firstSlot - b.firstSlot)
    .map(({ firstSlot, lastSlot }) => (firstSlot === lastSlot ? `${firstSlot}` : `${firstSlot}-${lastSlot}`));
  return [
    node.hexId,
    `${node.clientHost}:${node.clientPort}@${node.clusterPort}`,
    flags,
    isMaster ? '-' : master.hexId,
    '0',
    '0',
    String(epoch),
    node.isSelf || node.isConnected ? 'connected' : 'disconnected',
    ...slots,
  ].join(' ');
}

export interface ClusterHealth {
  readonly slotsServed: number;
  readonly slotsUnserved: number;
  readonly leaders: number;
  readonly epoch: number;
}

export function clusterHealth(cluster: Cluster): ClusterHealth {
  let slotsServed = 0;
  let slotsUnserved = 0;
  let epoch = 0;
  const leaders = new Set<NodeId>();
  for (const { firstSlot, lastSlot, leader, term } of cluster.partitions()) {
    const slots = lastSlot - firstSlot + 1;
    if (leader === 0) slotsUnserved += slots;
    else slotsServed += slots;
    if (leader !== 0) leaders.add(leader);
    epoch = Math.max(epoch, term);
  }
  return { slotsServed, slotsUnserved, leaders: leaders.size, epoch };
}
